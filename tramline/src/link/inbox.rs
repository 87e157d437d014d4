//! Messages for the runner that another thread has read.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tramline_core::LinkError;
use tramline_core::frame::Kept;

use super::{ASLEEP_ON_DATA, ASLEEP_ON_KICK, Link};

/// What a queued message costs beside its bytes. A choice: the size of its handle, doubled.
const QUEUED_OVERHEAD: usize = 64;

/// The messages, in order.
#[derive(Default)]
pub(super) struct Inbox {
    queue: Mutex<VecDeque<Kept>>,
    /// What the queued messages cost, in bytes; 0 is an empty queue. Written under the lock.
    cost: AtomicUsize,
    /// Told when there is room again.
    pub(super) drained: Condvar,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the queued messages cost, in bytes.
    pub(super) fn cost(&self) -> usize {
        // Relaxed: a decision about limits may be a message late; where a sleep depends on it, the
        // fence in `Link::sleep` pairs with the one in `put_into_inbox`.
        self.cost.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cost() == 0
    }

    fn push(&self, message: Kept) {
        let mut queue = self.lock();
        let cost = self.cost() + message.len() + QUEUED_OVERHEAD;
        queue.push_back(message);
        self.cost.store(cost, Ordering::Relaxed);
    }

    /// The oldest message, and what the queue cost before and after.
    fn pop(&self) -> Option<(Kept, usize, usize)> {
        if self.is_empty() {
            return None;
        }
        let mut queue = self.lock();
        let message = queue.pop_front()?;
        let before = self.cost();
        let after = before - message.len() - QUEUED_OVERHEAD;
        self.cost.store(after, Ordering::Relaxed);
        Some((message, before, after))
    }

    /// Whoever looked at the link's end before it was set is asleep on `drained` by now, or holds
    /// the lock.
    pub(super) fn link_is_over(&self) {
        drop(self.lock());
        self.drained.notify_all();
    }
}

impl Link {
    pub(super) fn put_into_inbox(&self, message: Kept) {
        self.inbox.push(message);
        // PAIRS WITH the fence in `Link::sleep`: either the runner sees the message, or we see that
        // it sleeps.
        fence(Ordering::SeqCst);
        if matches!(self.runner.load(Ordering::Relaxed), ASLEEP_ON_DATA | ASLEEP_ON_KICK) {
            self.signal.kick();
        }
    }

    pub(super) fn take_from_inbox(&self) -> Option<Kept> {
        let max = self.limits.max_queued_len;
        let (message, before, after) = self.inbox.pop()?;
        if before >= max && after < max {
            self.inbox.drained.notify_all();
            // A thread that waits for room may read again.
            self.signal.kick();
        }
        Some(message)
    }

    /// Waits until the runner has taken enough out of the inbox.
    pub(super) fn make_inbox_room(&self) -> Result<(), LinkError> {
        let max = self.limits.max_queued_len;
        if self.inbox.cost() < max {
            return Ok(());
        }
        let timeout = Duration::from_millis(self.limits.send_timeout_ms);
        if self.runner_thread.get() == Some(&std::thread::current().id()) {
            // A listener that invokes: nobody else can make room. Allow it once more.
            if self.inbox.cost() < 2 * max {
                return Ok(());
            }
        } else {
            let full = |_: &mut VecDeque<Kept>| self.inbox.cost() >= max && self.over().is_none();
            let queue = self.inbox.lock();
            let waited = self.inbox.drained.wait_timeout_while(queue, timeout, full);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            if self.inbox.cost() < max || self.over().is_some() {
                return self.check();
            }
        }
        Err(self.end(LinkError::Stalled { stalled_ms: self.limits.send_timeout_ms }))
    }
}
