//! Advisory counters in a segment's header: readable from outside while the link lives, read by
//! nobody here.

/// Which counter. The discriminant is its index at 0x280.
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
}
