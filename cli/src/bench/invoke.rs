//! Calls, and beside them what they are to be compared with.

use tramline::{Client, Scheme};

use super::args::{Args, Transport};
use super::calls::{echo, many, one_by_one};
use super::pair::Pair;
use super::peer::bytes;
use super::report::{Line, ratio};
use super::ring;
use super::window::{self, Burst, Measure};
use crate::failure::Failure;

/// Windows, if other connections are opened and closed in each: that takes longer than the calls.
const WINDOWS_WITH_OTHERS: u32 = 10;

pub(crate) fn measure(args: &Args, pair: &mut Pair) -> Result<Line, Failure> {
    let data = bytes(args.payload_len());
    let (threads, inflight) = (args.threads(), args.inflight());
    let others = args.connections() - 1;
    let client = &pair.client.clone();
    let data = &data[..];

    let mut names = vec!["invoke"];
    let mut measures: Vec<Measure<'_>> = vec![Box::new(move |pair, slice| {
        let kept = open(pair, others, data)?;
        let burst = if (threads, inflight) == (1, 1) {
            one_by_one(client, data, &mut pair.samples, slice)
        } else {
            many(client, data, threads, inflight, slice)
        };
        drop(kept);
        burst
    })];
    if args.transport == Transport::Shm {
        names.push("ring");
        measures.push(ring::round_trips(data.len()));
    }
    if threads > 1 {
        names.push("one_thread");
        measures.push(Box::new(move |pair, slice| {
            if inflight == 1 {
                one_by_one(client, data, &mut pair.samples, slice)
            } else {
                many(client, data, 1, inflight, slice)
            }
        }));
    }
    if others > 0 {
        names.push("one_connection");
        measures
            .push(Box::new(move |pair, slice| one_by_one(client, data, &mut pair.samples, slice)));
    }
    if pair.shares_cpu && args.transport != Transport::Pipe {
        names.push("pipe");
        let pipe = pair.connect(Scheme::Pipe)?;
        echo(&pipe, 0, data)?;
        measures
            .push(Box::new(move |pair, slice| one_by_one(&pipe, data, &mut pair.samples, slice)));
    }

    let most = if others > 0 { WINDOWS_WITH_OTHERS } else { u32::MAX };
    let figures = window::run(args.time(), pair, most, &mut measures)?;
    let mut line = Line::new(args);
    let calls = &figures.series[0];
    line.burst(calls, data.len(), &figures.floor);
    for (name, burst) in names.into_iter().zip(&figures.series) {
        beside(&mut line, name, calls, burst);
    }
    line.windows(&figures);
    Ok(line)
}

/// Opens connections that stay idle, each of them used once.
pub(crate) fn open(pair: &mut Pair, count: usize, data: &[u8]) -> Result<Vec<Client>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let client = pair.connect_again()?;
        echo(&client, 0, data)?;
        clients.push(client);
    }
    pair.settle()?;
    Ok(clients)
}

/// What was measured beside the calls, and how they compare.
fn beside(line: &mut Line, name: &str, calls: &Burst, other: &Burst) {
    let p50 = ratio(calls.p50_ns(), other.p50_ns());
    match name {
        "ring" => {
            line.number("ring_p50_ns", other.p50_ns());
            line.number("ratio_ring", p50);
        }
        "one_thread" => {
            line.number("one_thread_per_s", other.per_second());
            line.number("ratio_one_thread", ratio(calls.per_second(), other.per_second()));
        }
        "one_connection" => {
            line.number("one_connection_p50_ns", other.p50_ns());
            line.number("ratio_one_connection", p50);
        }
        "pipe" => {
            line.number("pipe_p50_ns", other.p50_ns());
            line.number("ratio_pipe", p50);
        }
        _ => {}
    }
}
