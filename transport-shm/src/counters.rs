//! Advisory counters in a segment's header: readable from outside while the link lives. Nothing in
//! the protocol looks at them.

#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
pub(crate) use here::Counter;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
pub use here::LinkCounters;

/// What one side of a link has done so far: a snapshot, and only a hint.
///
/// Each number is read by itself while its writer goes on, so two of them need not fit together.
/// A record is counted after it was published: a reader may have it before it is counted, and a
/// writer that is killed in between never counts it. `parks` and `wakes` are counted by both halves
/// without a lock and may miss a few. What a peer counts is what the peer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Records published: messages, fragments of large ones, and padding.
    pub records: u64,
    /// Ring bytes published, record headers and padding included.
    pub bytes: u64,
    /// Ring bytes of the *other* side's that this side has read and given back.
    pub consumed: u64,
    /// Times a thread of this side announced that it sleeps.
    pub parks: u64,
    /// Times this side woke a thread of the other one.
    pub wakes: u64,
    /// Times a claim of this side found no room in the ring.
    pub full_waits: u64,
    /// Messages this side gave up: for want of room in time, or in the middle of being written.
    pub drops: u64,
}

#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod here {
    use std::fmt;

    use super::Counters;
    use crate::layout;
    use crate::ring::memory::{OwnMap, PeerMap};
    use crate::sync::Ordering;

    /// Which counter. The discriminant is its index at 0x280; the others are reserved and 0.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[repr(usize)]
    pub(crate) enum Counter {
        /// Records published, padding included.
        Records = 0,
        /// Ring bytes published, headers and padding included.
        Bytes = 1,
        /// Times a thread of the owner announced that it sleeps.
        Parks = 2,
        /// Times the owner woke the peer.
        Wakes = 3,
        /// Times the owner found no room.
        FullWaits = 4,
        /// Messages the owner gave up.
        Drops = 5,
    }

    impl Counters {
        /// Puts a snapshot together; `word` gives the 64-bit word at an offset in a segment's
        /// header.
        pub(crate) fn gather(word: impl Fn(usize) -> u64) -> Self {
            let counter = |counter: Counter| word(layout::COUNTERS + 8 * counter as usize);
            Self {
                records: counter(Counter::Records),
                bytes: counter(Counter::Bytes),
                consumed: word(layout::HEAD),
                parks: counter(Counter::Parks),
                wakes: counter(Counter::Wakes),
                full_waits: counter(Counter::FullWaits),
                drops: counter(Counter::Drops),
            }
        }
    }

    /// The counters of one link, both sides, from
    /// [`ShmTransport::counters`](crate::ShmTransport::counters).
    ///
    /// It keeps the memory of both directions alive, and nothing else: the link ends without regard
    /// to it, and the counters can be read after that. Drop it to give the memory back.
    #[derive(Clone)]
    pub struct LinkCounters {
        own: OwnMap,
        peer: PeerMap,
    }

    impl LinkCounters {
        pub(crate) fn new(own: OwnMap, peer: PeerMap) -> Self {
            Self { own, peer }
        }

        /// What this side has done.
        #[must_use]
        pub fn own(&self) -> Counters {
            Counters::gather(|at| self.own.word64(at).load(Ordering::Relaxed))
        }

        /// What the peer says it has done; it may say anything.
        #[must_use]
        pub fn peer(&self) -> Counters {
            Counters::gather(|at| self.peer.load_u64(at))
        }
    }

    impl fmt::Debug for LinkCounters {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("LinkCounters")
                .field("own", &self.own())
                .field("peer", &self.peer())
                .finish()
        }
    }
}
