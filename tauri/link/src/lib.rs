//! What the core of a Tauri app and its web process say to each other through tramline's shared
//! memory, and how both hang it into the main loop that they live on.
//!
//! - [`frames`]: the messages, both ways.
//! - [`Inlet`]: reading, and sleeping until there is something to read.
//! - [`Outbox`]: writing from any thread, without ever waiting for room.
//! - [`Source`]: a safe face for a GLib event source.
//!
//! The page is hostile: nothing here panics, whatever the other end sends.

pub mod frames;
mod inlet;
mod outbox;
mod source;

pub use inlet::{Inlet, Polled};
pub use outbox::{Body, Outbox, OutboxError};
pub use source::{Handler, Next, Source, Turn};

use tramline_core::Limits;

/// Version of [`frames`] and of the handing-over. Core and extension may have been installed one by
/// one, so each tells the other its own, and another one is refused on both sides.
///
/// What stays for ever, so that any two understand that much: the core gives WebKit a tuple of two
/// for the extension, and the extension sends a message called [`HAND_OVER`]; the first thing in
/// either is the version, as a `u32`. A message without a descriptor is a refusal.
pub const VERSION: u32 = 2;

/// Name of the user message that hands one end of a socket to the core.
pub const HAND_OVER: &str = "tramline-link";

/// Name of the property under which the page's script finds the native functions, until it takes
/// them away.
pub const NATIVE_NAME: &str = "__TRAMLINE_NATIVE__";

/// Ring of each direction, in bytes. A choice: a raw body of 10 MiB goes in one run, so that the end
/// that may not wait for room, the core's main thread, does not have to come back for the rest.
pub const RING_CAPACITY: usize = 16 << 20;

/// Largest message, in bytes. What is larger goes by Tauri's own way.
pub const MAX_MESSAGE_LEN: usize = 256 << 20;

/// The limits of both ends.
#[must_use]
pub fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.ring_capacity = RING_CAPACITY;
    limits.max_message_len = MAX_MESSAGE_LEN;
    limits
}
