//! A reader for awaited calls while the runner is in a listener.
//!
//! Futures do not read the link; the runner does it for them. A listener that waits for a future's
//! answer, itself or through another thread, would wait for ever. So while the runner is busy and
//! calls are awaited, one thread of the blocking pool stands in.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

use tramline_core::transport::WaitFor;

use super::Link;

impl Link {
    /// Called after an awaited call was added to the table.
    pub(super) fn task_added(self: &Arc<Self>) {
        // PAIRS WITH the fence that the runner passes after it has said that it is busy: either it
        // sees the task, or we see that it is busy.
        fence(Ordering::SeqCst);
        if self.runner_busy.load(Ordering::Relaxed) {
            self.stand_in();
        }
    }

    fn is_needed(&self) -> bool {
        self.over().is_none() && self.runner_busy.load(Ordering::SeqCst) && self.calls.has_tasks()
    }

    /// Sees to it that one thread stands in for as long as that is needed.
    pub(super) fn stand_in(self: &Arc<Self>) {
        if self.standing_in.swap(true, Ordering::SeqCst) {
            return;
        }
        let link = Arc::clone(self);
        blocking::unblock(move || {
            loop {
                link.kick_waiters.fetch_add(1, Ordering::SeqCst);
                while link.is_needed() {
                    link.read_once();
                }
                link.kick_waiters.fetch_sub(1, Ordering::SeqCst);
                link.pass_on();
                link.standing_in.store(false, Ordering::SeqCst);
                fence(Ordering::SeqCst);
                // Needed again in the meantime, and nobody else came?
                if !link.is_needed() || link.standing_in.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        })
        .detach();
    }

    fn read_once(&self) {
        let kicks = self.signal.kicks();
        let timeout = self
            .calls
            .end_overdue(Instant::now)
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let mut wait = WaitFor { kicks, timeout, ..WaitFor::default() };
        // The runner empties the inbox only when its listener has returned.
        let limit = 2 * self.limits.max_queued_len;
        if let Some(mut lead) = self.try_lead() {
            lead.disarm();
            match self.drain(&mut *lead, limit) {
                Ok(0) => {}
                Ok(_) => return,
                Err(e) => {
                    drop(lead);
                    self.end(e);
                    return;
                }
            }
            if self.inbox_bytes() >= limit {
                drop(lead);
                let stalled_ms = self.limits.send_timeout_ms;
                self.end(tramline_core::LinkError::Stalled { stalled_ms });
                return;
            }
            wait.data = lead.arm();
            if wait.data.is_none() {
                return;
            }
            self.sleeping_leaders.fetch_add(1, Ordering::SeqCst);
            lead.release();
            if self.is_needed() {
                self.signal.wait(wait);
            }
            self.sleeping_leaders.fetch_sub(1, Ordering::SeqCst);
        } else if self.is_needed() {
            // Another thread leads; it kicks us when it stops.
            self.signal.wait(wait);
        }
    }
}
