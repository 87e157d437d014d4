//! The same frames over a Unix socket, and within one process.
//!
//! [`Listener`] and [`Stream`] find the other process and state who it is; [`PipeTransport`] puts
//! frames on a [`Stream`]; [`mem`] joins two sides of one process without the operating system.
//! On the wire a frame is its length in bytes as a little-endian `u32`, then the bytes.
//!
//! Windows: [`mem`] works, [`Stream`] and [`Listener`] answer
//! [`ConnectError::Transport`](tramline_core::ConnectError::Transport) in this version.

#![deny(unsafe_code)] // `unix.rs` alone lifts it, for descriptors that a parent left open

#[cfg(unix)]
mod framing;
pub mod mem;

#[cfg(unix)]
mod backlog;
#[cfg(unix)]
mod endpoint;
#[cfg(unix)]
mod halves;
#[cfg(unix)]
mod link;
#[cfg(unix)]
mod listener;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
mod wake;
#[cfg(not(unix))]
mod windows;

#[cfg(not(unix))]
pub use self::windows::{Listener, PipeTransport, Stream};
#[cfg(unix)]
pub use self::{link::PipeTransport, listener::Listener, unix::Stream};

/// Largest frame that is written in place, in bytes. A choice: the same as the ring's, so that a
/// message takes the same way on both transports.
const MAX_CLAIM_LEN: usize = 128 << 10;

/// Room that a claim offers when no more is asked for, in bytes. A choice: most messages fit.
const USUAL_CLAIM_LEN: usize = 64 << 10;

/// How much a claim offers for `min_len` bytes on a link with this message limit.
fn claim_len(min_len: usize, max_message_len: usize) -> usize {
    // Never more than a message may have: what is written in place is not checked again.
    min_len
        .clamp(USUAL_CLAIM_LEN, MAX_CLAIM_LEN)
        .min(max_message_len)
}
