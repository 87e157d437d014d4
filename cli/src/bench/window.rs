//! Interleaving: the floor before and after every burst, and what is set apart because it moved.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::pair::Pair;
use crate::failure::Failure;

/// Most windows of a run, and how many there are in a second. A choice: short enough for the floor
/// to be the same throughout, long enough for a burst to outweigh its start.
const MAX_WINDOWS: u32 = 40;
const MIN_WINDOWS: u32 = 4;
const WINDOWS_PER_SECOND: f64 = 8.0;
/// How far the floor may move, as a part of itself.
const MOVES: f64 = 0.15;
/// Calls before the first one of a burst that counts, and their part of its time at most.
const WARM_UP: u64 = 200;
const WARM_UP_PART: u32 = 10;
/// Largest time that is told apart, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;

/// Round trips of one floor probe: before it counts, timed in batches, timed one by one.
const FLOOR_WARM_UP: u64 = 300;
const FLOOR_BATCHES: u64 = 20;
const FLOOR_BATCH: u64 = 50;
const FLOOR_SINGLES: u64 = 1000;

/// What a burst gave.
#[derive(Debug, Clone)]
pub(crate) struct Burst {
    pub(crate) times_ns: Histogram<u32>,
    pub(crate) count: u64,
    pub(crate) elapsed: Duration,
}

impl Burst {
    pub(crate) fn empty() -> Self {
        #[expect(clippy::expect_used, reason = "constants that the library takes")]
        let times_ns = Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("bounds");
        Self { times_ns, count: 0, elapsed: Duration::ZERO }
    }

    /// Messages that were not timed one by one.
    pub(crate) fn counted(count: u64, elapsed: Duration) -> Self {
        Self { count, elapsed, ..Self::empty() }
    }

    pub(crate) fn timed(samples: &[u32], elapsed: Duration) -> Self {
        let mut burst = Self::counted(samples.len() as u64, elapsed);
        for sample in samples {
            burst.times_ns.saturating_record(u64::from(*sample).max(1));
        }
        burst
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // Same bounds, so this cannot fail.
        let _ = self.times_ns.add(&other.times_ns);
        self.count += other.count;
        self.elapsed += other.elapsed;
    }

    pub(crate) fn quantile_ns(&self, quantile: f64) -> Option<f64> {
        let some = !self.times_ns.is_empty();
        some.then(|| self.times_ns.value_at_quantile(quantile) as f64)
    }

    pub(crate) fn p50_ns(&self) -> Option<f64> {
        self.quantile_ns(0.5)
    }

    pub(crate) fn per_second(&self) -> Option<f64> {
        let seconds = self.elapsed.as_secs_f64();
        (seconds > 0.0).then(|| self.count as f64 / seconds)
    }
}

/// A kind of burst: measures for about as long as it is told.
pub(crate) type Measure<'a> = Box<dyn FnMut(&mut Pair, Duration) -> Result<Burst, Failure> + 'a>;

/// One look at the floor.
#[derive(Debug, Clone)]
struct Floor {
    /// Median of batches, in nanoseconds: finer than the clock, to tell whether it moved.
    batch_ns: f64,
    singles: Burst,
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Round trips of the cache line, each timed like every call.
    pub(crate) floor: Burst,
    /// Median of the batches of round trips, in nanoseconds: without the clock, and finer.
    pub(crate) floor_batch_ns: f64,
    /// In the order in which they were asked for.
    pub(crate) series: Vec<Burst>,
    pub(crate) windows: u64,
    /// Windows in which the floor moved; their samples are not in `series`.
    pub(crate) apart: u64,
    /// False if the floor moved in every window: then all of them are in `series`.
    pub(crate) steady: bool,
}

/// Takes all kinds of bursts in turn, with the floor around each turn. `time` is for all bursts
/// together.
pub(crate) fn run(
    time: Duration,
    pair: &mut Pair,
    most_windows: u32,
    measures: &mut [Measure<'_>],
) -> Result<Figures, Failure> {
    let seconds = time.as_secs_f64();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and seconds are positive"
    )]
    let windows = (seconds * WINDOWS_PER_SECOND) as u32;
    let windows = windows.clamp(MIN_WINDOWS, MAX_WINDOWS).min(most_windows);
    let kinds = u32::try_from(measures.len()).unwrap_or(u32::MAX).max(1);
    let slice = time / (windows * kinds);

    let mut taken = Vec::new();
    pair.settle()?;
    // Not counted: it wakes everyone up.
    floor(pair)?;
    for _ in 0..windows {
        let before = floor(pair)?;
        let mut bursts = Vec::with_capacity(measures.len());
        for measure in &mut *measures {
            bursts.push(measure(pair, slice)?);
            pair.settle()?;
        }
        taken.push(Window { before, after: floor(pair)?, bursts });
    }
    Ok(sort_out(&taken, measures.len()))
}

struct Window {
    before: Floor,
    after: Floor,
    bursts: Vec<Burst>,
}

fn sort_out(taken: &[Window], kinds: usize) -> Figures {
    let mut floors: Vec<f64> =
        taken.iter().flat_map(|w| [w.before.batch_ns, w.after.batch_ns]).collect();
    let usual = median(&mut floors);
    let still = |a: f64, b: f64| (a - b).abs() <= MOVES * a.min(b);
    let is_good = |window: &Window| {
        let (before, after) = (window.before.batch_ns, window.after.batch_ns);
        still(before, after) && still(before, usual) && still(after, usual)
    };
    let steady = taken.iter().any(is_good);
    let mut figures = Figures {
        floor: Burst::empty(),
        floor_batch_ns: 0.0,
        series: vec![Burst::empty(); kinds],
        windows: taken.len() as u64,
        apart: taken.iter().filter(|window| !is_good(window)).count() as u64,
        steady,
    };
    let mut floors = Vec::new();
    for window in taken.iter().filter(|window| !steady || is_good(window)) {
        floors.extend([window.before.batch_ns, window.after.batch_ns]);
        figures.floor.add(&window.before.singles);
        figures.floor.add(&window.after.singles);
        for (sum, burst) in figures.series.iter_mut().zip(&window.bursts) {
            sum.add(burst);
        }
    }
    figures.floor_batch_ns = median(&mut floors);
    figures
}

fn floor(pair: &mut Pair) -> Result<Floor, Failure> {
    let mut values =
        pair.order_floor(FLOOR_WARM_UP + FLOOR_BATCHES * FLOOR_BATCH + FLOOR_SINGLES)?;
    let probe = &pair.bare.probe;
    let mut pings = |count: u64| {
        let all = values.by_ref().take(usize::try_from(count).unwrap_or(0));
        let mut all = all.map(|value| probe.ping(value));
        if all.all(|came| came) { Ok(()) } else { Err(Failure::OtherGone) }
    };
    pings(FLOOR_WARM_UP)?;
    let mut batches = Vec::new();
    for _ in 0..FLOOR_BATCHES {
        let start = Instant::now();
        pings(FLOOR_BATCH)?;
        batches.push(start.elapsed().as_secs_f64() * 1e9 / FLOOR_BATCH as f64);
    }
    let times = time_count(&mut pair.samples, FLOOR_SINGLES, |_| pings(1))?;
    Ok(Floor { batch_ns: median(&mut batches), singles: times })
}

/// Times `count` calls one by one, with one reading of the clock for each.
pub(crate) fn time_count(
    samples: &mut Vec<u32>,
    count: u64,
    mut once: impl FnMut(u64) -> Result<(), Failure>,
) -> Result<Burst, Failure> {
    samples.clear();
    let start = Instant::now();
    let mut before = start;
    for i in 0..count {
        once(i)?;
        let now = Instant::now();
        samples.push(nanos(now - before));
        before = now;
    }
    Ok(Burst::timed(samples, before - start))
}

/// Times calls one by one for about `slice`, with one reading of the clock for each.
pub(crate) fn time_each(
    samples: &mut Vec<u32>,
    slice: Duration,
    mut once: impl FnMut(u64) -> Result<(), Failure>,
) -> Result<Burst, Failure> {
    let done = warm_up(slice, &mut once)?;
    time_until(samples, slice, done, once)
}

/// Calls that do not count, at the beginning of a burst; how many.
pub(crate) fn warm_up(
    slice: Duration,
    mut once: impl FnMut(u64) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut done = 0;
    let start = Instant::now();
    while done < WARM_UP && (done == 0 || start.elapsed() < slice / WARM_UP_PART) {
        once(done)?;
        done += 1;
    }
    Ok(done)
}

/// The part of [`time_each`] behind the warm-up. `done` is the number of the first call.
pub(crate) fn time_until(
    samples: &mut Vec<u32>,
    slice: Duration,
    mut done: u64,
    mut once: impl FnMut(u64) -> Result<(), Failure>,
) -> Result<Burst, Failure> {
    samples.clear();
    let start = Instant::now();
    let mut before = start;
    loop {
        once(done)?;
        done += 1;
        let now = Instant::now();
        samples.push(nanos(now - before));
        before = now;
        if now - start >= slice || samples.len() == samples.capacity() {
            return Ok(Burst::timed(samples, now - start));
        }
    }
}

/// In nanoseconds, as far as 4 seconds.
pub(crate) fn nanos(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(before: f64, after: f64, sample: u32) -> Window {
        let floor = |batch_ns| Floor { batch_ns, singles: Burst::timed(&[100], Duration::ZERO) };
        let bursts = vec![Burst::timed(&[sample], Duration::from_secs(1))];
        Window { before: floor(before), after: floor(after), bursts }
    }

    #[test]
    fn windows_in_which_the_floor_moved_are_set_apart_and_counted() {
        let taken = [
            window(100.0, 114.0, 1000),
            window(100.0, 120.0, 2000),
            window(104.0, 104.0, 1001),
            // Still, but elsewhere.
            window(400.0, 401.0, 3000),
        ];
        let figures = sort_out(&taken, 1);
        assert_eq!((figures.windows, figures.apart, figures.steady), (4, 2, true));
        assert_eq!(figures.series[0].count, 2);
        assert_eq!(figures.series[0].times_ns.max(), 1001);
        assert_eq!(figures.floor.count, 4);
    }

    #[test]
    fn a_run_without_one_steady_window_says_so_and_keeps_all() {
        let figures = sort_out(&[window(100.0, 200.0, 5), window(300.0, 100.0, 6)], 1);
        assert_eq!((figures.apart, figures.steady, figures.series[0].count), (2, false, 2));
    }

    #[test]
    fn rates_count_whole_bursts_and_quantiles_are_samples() {
        let mut burst = Burst::timed(&[10, 20, 30], Duration::from_millis(500));
        burst.add(&Burst::counted(1, Duration::from_millis(500)));
        assert_eq!(burst.per_second(), Some(4.0));
        assert_eq!(burst.p50_ns(), Some(20.0));
        assert_eq!(Burst::empty().p50_ns(), None);
        assert_eq!(Burst::empty().per_second(), None);
    }
}
