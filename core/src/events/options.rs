//! How somebody listens.

use super::queue::{Capacity, USUAL};
use super::{EventTarget, ListenerCounts, Overflow};
use crate::error::ConfigError;

/// How a listener is to listen: as what, once or always, and what happens when it does not keep up.
///
/// # Examples
///
/// ```
/// use tramline_core::events::{EventTarget, ListenOptions, ListenerCounts, Overflow};
///
/// let counts = ListenerCounts::new();
/// let options = ListenOptions::new()
///     .target(EventTarget::window("main"))
///     .overflow(Overflow::DropOldest)
///     .queue(100, 64 << 10)
///     .counts(&counts);
/// # let _ = options;
/// assert_eq!(counts.dropped(), 0);
/// ```
#[derive(Debug, Clone)]
pub struct ListenOptions {
    pub(super) target: Option<EventTarget>,
    pub(super) once: bool,
    pub(super) overflow: Overflow,
    pub(super) capacity: Capacity,
    pub(super) counts: Option<ListenerCounts>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        let overflow = Overflow::default();
        Self { target: None, once: false, overflow, capacity: USUAL, counts: None }
    }
}

impl ListenOptions {
    /// As what the listening side is, always, and without a queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As what to listen. Without it a server listens as [`EventTarget::App`], a client as the
    /// [`EventTarget::Peer`] of its own label.
    #[must_use]
    pub fn target(mut self, target: impl Into<EventTarget>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// To the next event only. At a server that is the first one of any client; the other clients
    /// are not told that nobody listens any more, and what they go on sending is not looked at.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// What happens to events that come faster than the listener takes them.
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// How many events may wait, and how many bytes they may have together, with 128 bytes for
    /// each. Without it 1024 events and 1 MiB. A single event may have more bytes. Where nothing
    /// waits ([`Overflow::Block`]) or one event does ([`Overflow::LatestOnly`]) this says nothing.
    #[must_use]
    pub fn queue(mut self, events: usize, bytes: usize) -> Self {
        self.capacity = Capacity { events, bytes };
        self
    }

    /// Counts here what becomes of the events.
    #[must_use]
    pub fn counts(mut self, counts: &ListenerCounts) -> Self {
        self.counts = Some(counts.clone());
        self
    }

    /// As what to listen, where the listening side is `own`.
    #[must_use]
    pub fn target_or(&self, own: &EventTarget) -> EventTarget {
        self.target.clone().unwrap_or_else(|| own.clone())
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.capacity.check()?;
        self.target.as_ref().map_or(Ok(()), EventTarget::check)
    }
}
