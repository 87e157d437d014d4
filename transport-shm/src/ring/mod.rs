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
    on_socket: bool,
}

/// Bits 0-1 of a park word: asleep on a futex. Odd values mean asleep.
pub(crate) const PARKED_ON_FUTEX: u32 = 1;
/// Bits 0-1 of a park word: asleep on the control socket, and perhaps on the futex, too.
const PARKED_ON_SOCKET: u32 = 3;

/// Whether whoever stored this park word wants a byte on the control socket as well.
pub(crate) fn wants_doorbell(park: u32) -> bool {
    park & 3 == PARKED_ON_SOCKET
}

/// The epoch of a park word.
pub(crate) fn epoch(park: u32) -> u32 {
    park >> 2
}

/// How many sleeps were announced between two epochs.
pub(crate) fn epochs_between(from: u32, to: u32) -> u32 {
    to.wrapping_sub(from) & (u32::MAX >> 2)
}

impl ParkWord {
    /// The word for a new sleep.
    pub(crate) fn park(&mut self) -> u32 {
        self.epoch = self.epoch.wrapping_add(1) & (u32::MAX >> 2);
        self.parked = true;
        (self.epoch << 2) | if self.on_socket { PARKED_ON_SOCKET } else { PARKED_ON_FUTEX }
    }

    /// From now on sleeps are on the control socket.
    pub(crate) fn sleep_on_socket(&mut self) {
        self.on_socket = true;
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
