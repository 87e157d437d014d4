//! The bare ring, and beside it the same over a Unix socket.

use std::time::{Duration, Instant};

use super::args::Args;
use super::pair::Pair;
use super::peer::bytes;
use super::raw::Task;
use super::report::{Line, ratio};
use super::socket::{self, Letter};
use super::window::{self, Burst, Measure, time_each};
use crate::failure::Failure;

/// Bytes that are sent between two looks at the clock, which costs as much as a small message.
const BYTES_PER_CLOCK: usize = 32 << 10;
/// Messages between two looks at the clock, at most.
const MESSAGES_PER_CLOCK: usize = 128;

pub(crate) fn measure(args: &Args, pair: &mut Pair) -> Result<Line, Failure> {
    let len = args.payload_len();
    let mut measures: [Measure<'_>; 5] = [
        round_trips(len),
        one_way(len, Flush::Batches),
        one_way(len, Flush::Each),
        socket_round_trips(len),
        socket_one_way(len),
    ];
    let figures = window::run(args.time(), pair, u32::MAX, &mut measures)?;
    let [round_trip, batches, each, socket, socket_one_way] = &figures.series[..] else {
        return Err(Failure::OtherGone);
    };
    let mut line = Line::new(args);
    line.burst(round_trip, len, &figures.floor);
    let one_way = batches.per_second();
    line.number("one_way_per_s", one_way);
    line.number("one_way_bytes_per_s", one_way.map(|rate| rate * len as f64));
    line.number("one_way_each_per_s", each.per_second());
    line.number("socket_p50_ns", socket.p50_ns());
    line.number("socket_p99_ns", socket.quantile_ns(0.99));
    line.number("ratio_socket", ratio(round_trip.p50_ns(), socket.p50_ns()));
    line.number("socket_one_way_per_s", socket_one_way.per_second());
    line.number("ratio_socket_one_way", ratio(one_way, socket_one_way.per_second()));
    line.windows(&figures);
    Ok(line)
}

/// A message that ends a burst: of another length.
fn stop(len: usize) -> Vec<u8> {
    vec![0; if len == 1 { 2 } else { 1 }]
}

/// Round trips of `len` bytes through the ring.
pub(crate) fn round_trips<'a>(len: usize) -> Measure<'a> {
    let data = bytes(len);
    Box::new(move |pair, slice| {
        pair.order(Task::RingEcho { len: len as u64 })?;
        let ring = &mut pair.bare.ring;
        let burst = time_each(&mut pair.samples, slice, |_| {
            ring.send(&data)?;
            ring.flush()?;
            let back = ring.receive()?;
            if back == len { Ok(()) } else { Err(Failure::OtherGone) }
        })?;
        ring.send(&stop(len))?;
        ring.flush()?;
        ring.receive()?;
        Ok(burst)
    })
}

/// When the other side may see a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// When the ring thinks it worth while.
    Batches,
    /// At once.
    Each,
}

/// Messages of `len` bytes to the other side, as many as it takes.
pub(crate) fn one_way<'a>(len: usize, flush: Flush) -> Measure<'a> {
    let data = bytes(len);
    Box::new(move |pair, slice| {
        pair.order(Task::RingSink { len: len as u64 })?;
        let ring = &mut pair.bare.ring;
        ring.receive()?;
        let (start, count) = send_for(slice, len, || {
            ring.send(&data)?;
            if flush == Flush::Each { ring.flush() } else { Ok(()) }
        })?;
        ring.send(&stop(len))?;
        ring.flush()?;
        ring.receive()?;
        Ok(Burst::counted(count, start.elapsed()))
    })
}

/// Round trips of `len` bytes over the socket.
pub(crate) fn socket_round_trips<'a>(len: usize) -> Measure<'a> {
    let mut letter = Letter::new(&bytes(len));
    Box::new(move |pair, slice| {
        pair.order(Task::SocketEcho { len: len as u64 })?;
        let control = &mut pair.control;
        let burst = time_each(&mut pair.samples, slice, |_| letter.round_trip(control))?;
        socket::stop(control)?;
        Ok(burst)
    })
}

fn socket_one_way<'a>(len: usize) -> Measure<'a> {
    let letter = Letter::new(&bytes(len));
    Box::new(move |pair, slice| {
        pair.order(Task::SocketSink { len: len as u64 })?;
        let control = &mut pair.control;
        socket::done(control)?;
        let (start, count) = send_for(slice, len, || letter.send(control))?;
        socket::stop(control)?;
        Ok(Burst::counted(count, start.elapsed()))
    })
}

/// Sends for about `slice`: when it began and how many went.
fn send_for(
    slice: Duration,
    len: usize,
    mut send: impl FnMut() -> Result<(), Failure>,
) -> Result<(Instant, u64), Failure> {
    let at_once = (BYTES_PER_CLOCK / len.max(1)).clamp(1, MESSAGES_PER_CLOCK);
    let start = Instant::now();
    let mut count = 0;
    while count == 0 || start.elapsed() < slice {
        for _ in 0..at_once {
            send()?;
        }
        count += at_once as u64;
    }
    Ok((start, count))
}
