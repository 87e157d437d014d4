//! The ring: records in shared memory, one producer, one consumer. No OS calls.
//!
//! The law is `docs/WIRE-FORMAT.md`, ring layout v1 and its table of ordering pairs P1 to P5.

pub(crate) mod consumer;
#[cfg(feature = "trusted-in-place")]
pub(crate) mod in_place;
pub(crate) mod memory;
#[cfg(all(test, loom))]
mod model;
pub(crate) mod producer;
pub(crate) mod record;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
mod threads;

/// What a thread sleeps for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Data to read.
    Data,
    /// Space to write.
    Space,
}

/// The epoch word of one sleeper: bits 2-31 count the parks, bits 0-1 say how it sleeps.
#[derive(Debug, Default)]
pub(crate) struct ParkWord {
    epoch: u32,
    parked: bool,
}

/// Bits 0-1 of a park word: asleep on a futex. Odd values mean asleep.
const PARKED_ON_FUTEX: u32 = 1;

impl ParkWord {
    /// The word for a new sleep.
    pub(crate) fn park(&mut self) -> u32 {
        self.epoch = self.epoch.wrapping_add(1) & (u32::MAX >> 2);
        self.parked = true;
        (self.epoch << 2) | PARKED_ON_FUTEX
    }

    /// The word for "awake" under the same epoch, if the last word said "asleep".
    pub(crate) fn unpark(&mut self) -> Option<u32> {
        std::mem::take(&mut self.parked).then_some(self.epoch << 2)
    }
}

/// Remembers which sleep of the peer was already ended, so that a peer costs at most one wake for
/// each time it announces a sleep.
#[derive(Debug, Default)]
pub(crate) struct WakeOnce {
    last: u32,
}

impl WakeOnce {
    /// True if `park` announces a sleep that was not yet answered.
    pub(crate) fn is_due(&mut self, park: u32) -> bool {
        let due = park & 1 == 1 && park != self.last;
        if due {
            self.last = park;
        }
        due
    }
}
