//! What the machine itself takes: one cache line that two threads write in turn.
//!
//! Two threads and not two processes, because sharing memory between processes takes unsafe code;
//! the caches make no difference between the two. No call can be faster than this, for it needs at
//! least one line there and one back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Tells the partner to end.
const STOP: u64 = u64::MAX;
/// Round trips before anything is measured: the partner has to be running.
const WARM_UP: u64 = 10_000;
/// Looks before a thread lets another one have its CPU: only reached when the machine is busy.
const LOOKS: u32 = 1 << 16;

/// On its own, whatever the CPU fetches along with it.
#[repr(align(128))]
#[derive(Debug)]
struct Line(AtomicU64);

impl Line {
    fn wait(&self, wanted: impl Fn(u64) -> bool) -> u64 {
        let mut looks = 0_u32;
        loop {
            let value = self.0.load(Ordering::Acquire);
            if wanted(value) {
                return value;
            }
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(LOOKS) {
                thread::yield_now();
            }
        }
    }
}

/// This side of the line.
#[derive(Debug)]
struct Ping<'a> {
    line: &'a Line,
    at: u64,
}

impl Ping<'_> {
    fn round_trip(&mut self) {
        self.line.0.store(self.at + 1, Ordering::Release);
        self.at += 2;
        let answer = self.at;
        self.line.wait(|value| value == answer);
    }
}

fn with_partner<R>(measure: impl FnOnce(&mut Ping<'_>) -> R) -> R {
    let line = Line(AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                let odd = line.wait(|value| value % 2 == 1);
                if odd == STOP {
                    return;
                }
                line.0.store(odd + 1, Ordering::Release);
            }
        });
        let mut ping = Ping { line: &line, at: 0 };
        (0..WARM_UP).for_each(|_| ping.round_trip());
        let result = measure(&mut ping);
        line.0.store(STOP, Ordering::Release);
        result
    })
}

/// How long `count` round trips take in all.
#[must_use]
pub fn round_trips(count: u64) -> Duration {
    with_partner(|ping| {
        let started = Instant::now();
        (0..count).for_each(|_| ping.round_trip());
        started.elapsed()
    })
}

/// How long each of `count` round trips takes, the clock included.
#[must_use]
pub fn each_round_trip(count: usize) -> Vec<Duration> {
    with_partner(|ping| {
        (0..count)
            .map(|_| {
                let started = Instant::now();
                ping.round_trip();
                started.elapsed()
            })
            .collect()
    })
}
