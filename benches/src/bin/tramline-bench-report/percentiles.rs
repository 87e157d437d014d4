//! How long single calls take, and the floor measured in between.

use std::env;
use std::error::Error;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tramline_benches::floor;
use tramline_benches::pair::{CODECS, Pair, TRANSPORTS};
use tramline_benches::shapes;

use crate::{human, machine, size, times_as_long};

/// Makes this program the other process.
pub(crate) const PEER: &str = "--peer";

const LENS: [usize; 2] = [64, 1024];
/// All rows take turns this often, so that whatever else runs on the machine hits all of them.
const ROUNDS: usize = 20;
/// Calls at the start of each turn that are not counted: a link that was left alone sleeps.
const WARM_UP: u64 = 200;
/// The pause before each call of the second table. A choice: longer than any spin budget (50 us).
const PAUSE: Duration = Duration::from_millis(1);
/// Calls of the second table, per row.
const PAUSED_CALLS: usize = 1000;

struct Row {
    pair: Pair,
    codec: &'static str,
    data: Vec<u8>,
    times: Vec<Duration>,
    paused: Vec<Duration>,
    id: u64,
}

impl Row {
    fn call(&mut self) -> Result<Duration, tramline::Error> {
        self.id += 1;
        let started = Instant::now();
        self.pair.echo(self.id, &self.data)?;
        Ok(started.elapsed())
    }

    fn name(&self) -> String {
        let transport = self.pair.client().server().transport();
        format!("{transport} | {} | {}", self.codec, size(self.data.len()))
    }
}

/// Measures and prints.
pub(crate) fn report(calls: usize) -> Result<(), Box<dyn Error>> {
    let mut rows = open()?;
    let mut floor = Vec::new();
    let calls_per_round = calls.div_ceil(ROUNDS);
    for _ in 0..ROUNDS {
        floor.extend(floor::each_round_trip(calls_per_round));
        for row in &mut rows {
            for _ in 0..WARM_UP {
                row.call()?;
            }
            for _ in 0..calls_per_round {
                let took = row.call()?;
                row.times.push(took);
            }
        }
    }
    for row in &mut rows {
        for _ in 0..PAUSED_CALLS {
            thread::sleep(PAUSE);
            let took = row.call()?;
            row.paused.push(took);
        }
    }

    println!("# Single calls\n");
    machine::print();
    println!("Made by `tramline-bench-report --percentiles {calls}`.\n");
    println!(
        "`echo({{ id, data }})`, answered with the same by an inline command, one call after the \
         other, blocking. {} calls a row in {ROUNDS} turns; the floor and all rows take turns, and \
         the first {WARM_UP} calls of a turn are not counted. The other side is a second process, \
         except for `mem`. Every time includes one reading of the clock ({}).\n",
        calls_per_round * ROUNDS,
        human(clock_ns()),
    );
    println!(
        "**Spinning is on**, as it is by default: `shm` and `mem` look for an answer for some \
         microseconds before they sleep, so that between calls that follow each other nobody \
         sleeps. `pipe` never spins: looking would cost a system call. The floor is one cache line \
         that two threads write in turn, there and back.\n"
    );
    println!("| transport | codec | payload | p50 | p90 | p99 | p99.9 | p50 / floor p50 |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let floor = in_order(&floor);
    let floor_p50 = at(&floor, 0.5);
    println!("| floor | | | {} | 1.0 |", four(&floor));
    for row in &rows {
        let times = in_order(&row.times);
        let ratio = at(&times, 0.5) / floor_p50;
        println!("| {} | {} | {} |", row.name(), four(&times), times_as_long(ratio));
    }
    println!("\n## After a pause\n");
    println!(
        "The same calls, each {} ms after the one before ({PAUSED_CALLS} a row): both sides sleep \
         when it is made, and waking them is most of the time. Shared memory gains by not sleeping; \
         for a lone call it has little or no advantage.\n",
        PAUSE.as_millis()
    );
    println!("| transport | codec | payload | p50 | p90 | p99 | p99.9 |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: |");
    for row in &rows {
        println!("| {} | {} |", row.name(), four(&in_order(&row.paused)));
    }
    Ok(())
}

fn open() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for codec in CODECS {
        for len in LENS {
            for transport in TRANSPORTS {
                let mut peer = Command::new(env::current_exe()?);
                peer.arg(PEER);
                rows.push(Row {
                    pair: Pair::open(transport, codec, peer)?,
                    codec: codec.name(),
                    data: shapes::bytes(len),
                    times: Vec::new(),
                    paused: Vec::new(),
                    id: 0,
                });
            }
        }
    }
    Ok(rows)
}

/// What one reading of the clock takes, in nanoseconds.
fn clock_ns() -> f64 {
    const READINGS: u32 = 100_000;
    let started = Instant::now();
    for _ in 0..READINGS {
        std::hint::black_box(Instant::now());
    }
    started.elapsed().as_secs_f64() * 1e9 / f64::from(READINGS)
}

fn in_order(times: &[Duration]) -> Vec<f64> {
    let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e9).collect();
    times.sort_unstable_by(f64::total_cmp);
    times
}

/// The time that `part` of all calls do not exceed (nearest rank).
fn at(times: &[f64], part: f64) -> f64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a few thousand times"
    )]
    let rank = (times.len() as f64 * part).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn four(times: &[f64]) -> String {
    [0.5, 0.9, 0.99, 0.999].map(|part| human(at(times, part))).join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let times: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(at(&times, 0.5), 500.0);
        assert_eq!(at(&times, 0.999), 999.0);
        assert_eq!(at(&times[..1], 0.999), 1.0);
        assert!(at(&[], 0.5).is_nan());
    }
}
