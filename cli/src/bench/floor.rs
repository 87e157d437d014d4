//! The floor on its own.

use std::time::{Duration, Instant};

use super::args::Args;
use super::pair::Pair;
use super::report::Line;
use super::window::{self, Burst, time_count};
use crate::failure::Failure;

/// Round trips for one order.
const ROUND_TRIPS: u64 = 4000;
/// Round trips after an order that do not count: the other side has to wake up.
const WARM_UP: u64 = 300;

pub(crate) fn measure(args: &Args, pair: &mut Pair) -> Result<Line, Failure> {
    let figures = window::run(args.time(), pair, u32::MAX, &mut [Box::new(burst)])?;
    let mut line = Line::new(args);
    line.burst(&figures.series[0], 0, &figures.floor);
    line.count("payload", 0);
    line.windows(&figures);
    Ok(line)
}

fn burst(pair: &mut Pair, slice: Duration) -> Result<Burst, Failure> {
    let mut all = Burst::empty();
    let start = Instant::now();
    while all.count == 0 || start.elapsed() < slice {
        let mut values = pair.order_floor(WARM_UP + ROUND_TRIPS)?;
        let probe = &pair.bare.probe;
        let mut ping = |_| {
            let came = values.next().is_some_and(|value| probe.ping(value));
            if came { Ok(()) } else { Err(Failure::OtherGone) }
        };
        (0..WARM_UP).try_for_each(&mut ping)?;
        all.add(&time_count(&mut pair.samples, ROUND_TRIPS, ping)?);
    }
    Ok(all)
}
