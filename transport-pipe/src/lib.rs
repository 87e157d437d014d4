//! The same frames over a Unix socket or a named pipe of Windows, and within one process.
//!
//! [`Listener`] and [`Stream`] find the other process and state who it is; [`PipeTransport`] puts
//! frames on a [`Stream`]; [`mem`] joins two sides of one process without the operating system.
//! [`ByteHalves`] are a stream, or standard input and output, without frames.
//! On the wire a frame is its length in bytes as a little-endian `u32`, then the bytes.
//!
//! On Windows each connection has a thread of its own and up to 320 KiB of buffers, the peer is a
//! process id without a user, and `Stream` has no pairs and no inherited descriptors.

// `unix.rs` lifts it for descriptors that a parent left open, `windows/overlapped.rs` for overlapped
// reads and writes.
#![deny(unsafe_code)]

mod backlog;
mod bytes;
mod framing;
mod halves;
mod link;
pub mod mem;
mod stream;
mod wake;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as sys;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as sys;

pub use self::{
    bytes::{ByteHalves, stdio},
    link::PipeTransport,
    sys::{Listener, Stream},
};

/// Largest frame that is written in place, in bytes. A choice: the same as the ring's, so that a
/// message takes the same way on both transports.
const MAX_CLAIM_LEN: usize = 128 << 10;

/// Room that a claim offers when no more is asked for, in bytes. A choice: most messages fit.
const USUAL_CLAIM_LEN: usize = 64 << 10;

/// How much a claim offers for `min_len` bytes on a link with this message limit.
fn claim_len(min_len: usize, max_message_len: usize) -> usize {
    // Never more than a message may have: what is written in place is not checked again.
    min_len.clamp(USUAL_CLAIM_LEN, MAX_CLAIM_LEN).min(max_message_len)
}
