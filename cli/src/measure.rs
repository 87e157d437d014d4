//! How long a call takes, and how many events come through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tramline::{Client, json};

use crate::failure::Failure;
use crate::worker::{Echo, Tick};

/// Bytes of data in a measured call.
pub(crate) const ECHO_LEN: usize = 64;

/// Calls before the measured ones.
const WARM_UP: u64 = 200;
/// Measured calls, at most.
const CALLS: u64 = 20_000;
/// Measured events, at most.
const TICKS: u64 = 100_000;
/// Time for each of the two measurements, at most.
const TIME: Duration = Duration::from_secs(1);
/// How long delivered events may lag behind the answer that follows them.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one link does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speed {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) calls_per_second: f64,
    pub(crate) events_per_second: f64,
}

pub(crate) fn speed(client: &Client) -> Result<Speed, Failure> {
    for id in 0..WARM_UP {
        call(client, id)?;
    }
    let mut times = Vec::with_capacity(usize::try_from(CALLS).unwrap_or(0));
    let start = Instant::now();
    let mut before = start;
    for id in 0..CALLS {
        call(client, id)?;
        let now = Instant::now();
        times.push(now - before);
        before = now;
        if now - start > TIME {
            break;
        }
    }
    let calls_per_second = times.len() as f64 / (before - start).as_secs_f64();
    times.sort_unstable();
    Ok(Speed {
        p50: percentile(&times, 50),
        p99: percentile(&times, 99),
        calls_per_second,
        events_per_second: events_per_second(client)?,
    })
}

/// One call, whose answer is compared with what was sent.
fn call(client: &Client, id: u64) -> Result<(), Failure> {
    let byte = id.to_le_bytes()[0];
    let data = vec![byte; ECHO_LEN];
    let sent = Echo { id, data };
    let back: Echo = client.invoke("echo", &sent).wait()?;
    if back == sent { Ok(()) } else { Err(Failure::OtherEcho { call: id }) }
}

/// The smallest sample that `percent` of all samples do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// From the request for events until the last of them has reached its listener.
fn events_per_second(client: &Client) -> Result<f64, Failure> {
    let next = Arc::new(AtomicU64::new(0));
    let expected = Arc::clone(&next);
    let ticks = client.listen("tick", move |event| {
        // Relaxed: events come on one thread, and the channel below orders the last look.
        let in_order = event
            .payload::<Tick>()
            .is_ok_and(|tick| tick.number == expected.load(Ordering::Relaxed));
        if in_order {
            expected.fetch_add(1, Ordering::Relaxed);
        }
    });
    let ticks = ticks.wait()?;
    let (done, all_came) = mpsc::channel();
    let end = client.once("ticks-done", move |_| {
        let _ = done.send(Instant::now());
    });
    end.wait()?;
    let start = Instant::now();
    let args = json!({ "count": TICKS, "maxMs": TIME.as_millis() });
    let emitted: u64 = client.invoke("emit_ticks", args).wait()?;
    let end = all_came.recv_timeout(PATIENCE);
    client.unlisten(ticks);
    let in_order = next.load(Ordering::Relaxed);
    match end {
        Ok(end) if in_order == emitted => Ok(emitted as f64 / (end - start).as_secs_f64()),
        _ => Err(Failure::LostEvents { emitted, in_order }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_micros(100));
        assert_eq!(percentile(&sorted, 99), Duration::from_micros(198));
        assert_eq!(percentile(&sorted[..1], 99), Duration::from_micros(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
