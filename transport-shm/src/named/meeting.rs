//! The first page of a named file, where two processes find each other. `docs/WIRE-FORMAT.md`
//! section 2.5.

use std::time::{Duration, Instant};

use super::name::{Process, Unlink};
use crate::ring::memory::{self, OwnMap};
use crate::segment::Mapping;
use crate::sync::{AtomicU32, Ordering};
use crate::wake::cpus;
use crate::wake::futex::{self, Watch};

/// Byte offsets. The word that both sides change has a line for itself.
const STEP: usize = 0x000;
const CREATOR_CPUS: usize = 0x080;
const JOINER_PID: usize = 0x088;
const JOINER_START: usize = 0x090;
const JOINER_CPUS: usize = 0x098;

/// How far it is. Every step is taken by a compare-and-swap, so both sides agree how it ended.
pub(super) const WAITING: u32 = 0;
/// A joiner has come, and no other one can.
pub(super) const TAKEN: u32 = 1;
/// The joiner has mapped the file and filled its part.
pub(super) const JOINED: u32 = 2;
/// The creator has checked it: the link is open.
pub(super) const OPEN: u32 = 3;
/// The creator gave up.
pub(super) const WITHDRAWN: u32 = 4;
/// The joiner gave up.
pub(super) const LEFT: u32 = 5;

/// One side's hold on the page.
#[derive(Debug)]
pub(super) struct Meeting {
    words: OwnMap,
}

impl Meeting {
    pub(super) fn new(page: Mapping) -> Self {
        // A page of words without a ring.
        Self { words: memory::own(page, 0).0 }
    }

    fn word(&self) -> &AtomicU32 {
        self.words.word32(STEP)
    }

    /// Takes one step, if the other side has not taken another one, and wakes it. Else says where
    /// it went.
    pub(super) fn step(&self, from: u32, to: u32) -> Result<(), u32> {
        let word = self.word();
        // PAIRS WITH itself on the other side: whoever sees a step sees what was written before it.
        word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)?;
        futex::wake_shared(word);
        Ok(())
    }

    /// Where it is once it is none of `steps`, or when the time is up. No deadline is for ever.
    pub(super) fn wait_while(&self, steps: &[u32], deadline: Option<Instant>) -> u32 {
        // What the futex functions want beside a word of another process.
        let never = AtomicU32::new(0);
        loop {
            // PAIRS WITH `step`.
            let step = self.word().load(Ordering::Acquire);
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if !steps.contains(&step) || left.is_some_and(|left| left.is_zero()) {
                return step;
            }
            let word = self.word().as_ptr().cast_const();
            let meeting = Watch { word, value: step, private: false };
            let never = Watch { word: never.as_ptr().cast_const(), value: 0, private: true };
            futex::wait_any(&[meeting, never], left);
        }
    }

    fn put(&self, offset: usize, value: u64) {
        // Published by the next `step`.
        self.words.word64(offset).store(value, Ordering::Relaxed);
    }

    fn get(&self, offset: usize) -> u64 {
        // Behind the `step` that published it.
        self.words.word64(offset).load(Ordering::Relaxed)
    }

    /// What the creator says of itself, beside what the name says. Before the name is known.
    pub(super) fn introduce_creator(&self) {
        self.put(CREATOR_CPUS, cpus::own());
    }

    /// What the joiner says of itself, once the meeting is its own.
    pub(super) fn introduce_joiner(&self, process: &Process) {
        self.put(JOINER_PID, u64::from(process.pid));
        self.put(JOINER_START, process.start);
        self.put(JOINER_CPUS, cpus::own());
    }

    /// The joiner, after [`JOINED`]. It has checked that its namespaces are the creator's.
    pub(super) fn joiner(&self, namespaces: u64) -> Option<Process> {
        let pid = u32::try_from(self.get(JOINER_PID)).ok()?;
        Some(Process { pid, start: self.get(JOINER_START), namespaces })
    }

    /// The CPUs that the joiner said it may run on.
    pub(super) fn joiner_cpus(&self) -> u64 {
        self.get(JOINER_CPUS)
    }

    /// The CPUs that the creator said it may run on.
    pub(super) fn creator_cpus(&self) -> u64 {
        self.get(CREATOR_CPUS)
    }
}

/// The creator's side: the name goes with it, and nobody waits for it any longer.
#[derive(Debug)]
pub(super) struct Invitation {
    pub(super) meeting: Meeting,
    pub(super) unlink: Unlink,
}

impl Drop for Invitation {
    fn drop(&mut self) {
        for step in [WAITING, TAKEN, JOINED] {
            // A joiner that moves on meanwhile is met at its next step.
            let _ = self.meeting.step(step, WITHDRAWN);
        }
    }
}

/// A deadline, `None` if the clock cannot say it.
pub(super) fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}
