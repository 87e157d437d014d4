//! Frames through memory that two processes share, and noticing when one of them dies.
//!
//! Two segments per connection, each written by one process and mapped read-only by the other; the
//! kernel enforces it. Linux, little-endian, 64 bit; elsewhere [`unavailable`] says why not, and
//! callers use another transport.
//!
//! With the feature `named`, a module of that name links trusted processes that have no socket.
//!
//! The bytes are in `docs/WIRE-FORMAT.md`, the soundness argument in `docs/SAFETY.md`.

mod blob;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod control;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod counters;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod death;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod doorbell;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
#[cfg(any(fuzzing, all(test, not(loom))))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod handshake;
mod inspect;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod layout;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod link;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
#[cfg(feature = "named")]
pub mod named;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod probe;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod ring;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod segment;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod sync;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
#[cfg(feature = "trusted-in-place")]
mod trusted;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod wake;

#[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
mod absent;

pub use counters::Counters;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
pub use counters::LinkCounters;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
pub use doorbell::Doorbell;
pub use inspect::{SegmentReport, inspect};
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
pub use link::ShmTransport;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
pub use probe::Probe;
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
pub use segment::{BlobBuilder, SealedBlob};
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
#[cfg(feature = "trusted-in-place")]
pub use trusted::{TrustedParts, TrustedReader};

#[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
pub use absent::{BlobBuilder, Doorbell, SealedBlob, ShmTransport};

/// How a handshake ended.
#[cfg(unix)]
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one value per connection, taken apart at once")]
pub enum Established {
    /// The link is open.
    Open(ShmTransport),
    /// One side said no. Both know, and the socket is in step: its next byte belongs to whatever
    /// transport comes next.
    Rejected {
        /// The socket that was handed in.
        socket: std::os::fd::OwnedFd,
        /// Why shared memory is not used.
        why: tramline_core::ConnectError,
    },
}

/// Why shared memory cannot be had in this process, `None` if it can.
///
/// The answer is found once, by making and sealing a tiny memory file, and kept.
#[must_use]
pub fn unavailable() -> Option<&'static str> {
    #[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
    {
        static ANSWER: std::sync::OnceLock<Option<&'static str>> = std::sync::OnceLock::new();
        *ANSWER.get_or_init(|| {
            segment::probe().err().map(|_| "the system refuses sealed memory files")
        })
    }
    #[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
    {
        Some("shared memory needs Linux on a little-endian 64-bit processor")
    }
}

/// How much memory this process may have mapped for shared-memory links at the same time, in bytes:
/// its own segments and its peers'. 1 GiB unless this was called.
///
/// A connection that would go beyond it is refused shared memory, and goes on over the pipe where
/// its endpoint allows that. Open links stay, also above a limit that was lowered.
///
/// Does nothing where there is no shared memory.
pub fn set_mapped_limit(bytes: usize) {
    #[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
    segment::limit::set(bytes);
    #[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
    let _ = bytes;
}

/// How much memory this process has mapped for shared-memory links now, in bytes. A link that was
/// dropped counts a moment longer if the peer hung up just then: the thread that watches all links
/// may still look at it. See [`set_mapped_limit`].
#[must_use]
pub fn mapped() -> usize {
    #[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
    {
        segment::limit::mapped()
    }
    #[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
    {
        0
    }
}

/// Opens shared memory over a connected Unix stream socket.
///
/// The peer runs the same function on its end. On success the socket belongs to the link: it tells
/// when the peer dies. Whether the peer may connect at all must be decided before; `peer` is only
/// passed on.
///
/// Where [`unavailable`] is known at compile time nothing is sent, so both sides must have agreed
/// to try. Where it is found at run time the peer is told.
///
/// # Errors
///
/// - [`ConnectError::Handshake`](tramline_core::ConnectError::Handshake): the peer broke the
///   handshake.
/// - [`ConnectError::TimedOut`](tramline_core::ConnectError::TimedOut): not done within
///   `limits.handshake_timeout_ms`.
/// - [`ConnectError::Link`](tramline_core::ConnectError::Link): the peer hung up.
/// - [`ConnectError::Config`](tramline_core::ConnectError::Config): a limit is out of range.
/// - [`ConnectError::Os`](tramline_core::ConnectError::Os): the system refused a step.
///
/// The socket is closed in all of these cases. A segment that is not good enough is no error but
/// [`Established::Rejected`].
///
/// # Source
///
/// `docs/WIRE-FORMAT.md`, handshake v1.
#[cfg(unix)]
pub fn establish(
    socket: std::os::fd::OwnedFd,
    limits: &tramline_core::Limits,
    peer: tramline_core::PeerIdentity,
) -> Result<Established, tramline_core::ConnectError> {
    #[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
    {
        handshake::run(socket, limits, peer)
    }
    #[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
    {
        let _ = (limits, peer);
        let why = unavailable().unwrap_or_default().into();
        let why = tramline_core::ConnectError::Transport { transport: "shm", why };
        Ok(Established::Rejected { socket, why })
    }
}
