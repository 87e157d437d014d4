//! Calls that come alone: both sides sleep when they are made.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::args::Args;
use super::calls::echo;
use super::pair::Pair;
use super::peer::bytes;
use super::raw::Task;
use super::report::{Line, ratio};
use super::socket::{self, Letter};
use super::window::{self, Burst, Measure, nanos};
use crate::failure::Failure;

/// Before each call.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) fn measure(args: &Args, pair: &mut Pair) -> Result<Line, Failure> {
    let data = bytes(args.payload_len());
    let client = pair.client.clone();
    let mut letter = Letter::new(&data);
    let mut measures: [Measure<'_>; 2] = [
        Box::new(|pair, slice| {
            let mut id = 0;
            with_pauses(&mut pair.samples, slice, || {
                id += 1;
                echo(&client, id, &data)
            })
        }),
        Box::new(|pair, slice| {
            pair.order(Task::SocketEcho { len: data.len() as u64 })?;
            let control = &mut pair.control;
            let burst = with_pauses(&mut pair.samples, slice, || letter.round_trip(control))?;
            socket::stop(control)?;
            Ok(burst)
        }),
    ];
    let figures = window::run(args.time(), pair, u32::MAX, &mut measures)?;
    let [calls, socket] = &figures.series[..] else { return Err(Failure::OtherGone) };
    let mut line = Line::new(args);
    line.burst(calls, data.len(), &figures.floor);
    line.number("socket_p50_ns", socket.p50_ns());
    line.number("socket_p99_ns", socket.quantile_ns(0.99));
    line.number("ratio_socket", ratio(calls.p50_ns(), socket.p50_ns()));
    line.number("ratio_socket_p99", ratio(calls.quantile_ns(0.99), socket.quantile_ns(0.99)));
    line.number("pause_ns", Some(PAUSE.as_secs_f64() * 1e9));
    line.windows(&figures);
    Ok(line)
}

/// Times calls one by one, each after a pause. The first one does not count: what it finds was left
/// by other calls.
fn with_pauses(
    samples: &mut Vec<u32>,
    slice: Duration,
    mut once: impl FnMut() -> Result<(), Failure>,
) -> Result<Burst, Failure> {
    once()?;
    samples.clear();
    let start = Instant::now();
    while samples.is_empty() || start.elapsed() < slice {
        sleep(PAUSE);
        let before = Instant::now();
        once()?;
        samples.push(nanos(before.elapsed()));
    }
    Ok(Burst::timed(samples, start.elapsed()))
}
