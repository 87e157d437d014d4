//! What becomes of events that come too fast, and how many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// What happens to events that come faster than their listener takes them.
///
/// With any policy but [`Block`](Self::Block) the listener has a bounded queue of its own, and runs
/// on a thread of its own: it holds up neither its connection nor other listeners, and what comes
/// while it is at work waits in the queue. The policy says what gives way when the queue is full.
/// Its events still come in order.
///
/// Whoever emits is told nothing: for it an event has gone when it was taken from the link. An
/// emitter that would rather drop than wait for a link that is full uses `try_emit`.
///
/// # JSON
///
/// `"block"`, `"drop-oldest"`, `"drop-newest"`, `"latest-only"`, `"disconnect"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Overflow {
    /// Nothing is dropped and there is no queue: the listener runs on the connection's own thread,
    /// and while it works the connection is not read, until whoever emits finds no more room and
    /// waits. The default, and the quickest.
    #[default]
    Block,
    /// The events that have waited longest give way.
    DropOldest,
    /// The event that has just come gives way.
    DropNewest,
    /// One event waits, the latest, whatever its length.
    LatestOnly,
    /// The connection it came from ends with [`LinkError::Overflow`](crate::LinkError::Overflow); what waits is still delivered.
    Disconnect,
}

/// What became of the events of one listener, readable from any thread while it listens.
///
/// Make one, give it to the listener with [`ListenOptions::counts`], and keep a clone. Given to
/// several listeners it holds their sums. At rest, every event that came for the listener is in
/// exactly one of the three.
///
/// [`ListenOptions::counts`]: super::ListenOptions::counts
#[derive(Debug, Clone, Default)]
pub struct ListenerCounts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    delivered: AtomicU64,
    dropped: AtomicU64,
    queued: AtomicU64,
}

impl ListenerCounts {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Events the listener was called with and has returned from.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.0.delivered.load(Ordering::Relaxed)
    }

    /// Events that gave way, or still waited when the listener was removed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Events that wait now, apart from the one the listener is at.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.0.queued.load(Ordering::Relaxed)
    }

    // Relaxed throughout: figures for people; nothing is published by them.
    pub(super) fn count_delivered(&self) {
        self.0.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_dropped(&self, events: usize) {
        self.0.dropped.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(super) fn queue(&self) {
        self.0.queued.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unqueue(&self, events: usize) {
        self.0.queued.fetch_sub(events as u64, Ordering::Relaxed);
    }
}
