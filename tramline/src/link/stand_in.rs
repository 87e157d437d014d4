//! A reader for awaited calls while the runner is in a listener.
//!
//! Futures do not read the link; the runner does it for them. A listener that waits for a future's
//! answer, itself or through another thread, would wait for ever. So while calls are awaited and
//! the runner is busy with messages, one thread of the blocking pool looks after it once a tick:
//! when it finds the runner in the same listener as at the last tick, it reads in its place.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use tramline_core::transport::WaitFor;

use super::Link;

/// How long a listener may take before somebody else reads. A choice: far above what a listener
/// that only notes the event takes, so that a flow of events costs no more than a look now and then.
const TICK: Duration = Duration::from_millis(1);

impl Link {
    /// Called after an awaited call was added to the table.
    pub(super) fn task_added(self: &Arc<Self>) {
        // PAIRS WITH the fence that the runner passes after it has said that it is busy: either it
        // sees the task, or we see that it is busy.
        fence(Ordering::SeqCst);
        if self.runner_is_busy() {
            self.stand_in();
        }
    }

    fn runner_is_busy(&self) -> bool {
        // Odd: in the middle of a message.
        self.runner_turns.load(Ordering::SeqCst) % 2 == 1
    }

    /// Sees to it that one thread looks after the runner for as long as that is needed.
    #[inline]
    pub(super) fn stand_in(self: &Arc<Self>) {
        if self.standing_in.load(Ordering::Relaxed) || self.standing_in.swap(true, Ordering::SeqCst)
        {
            return;
        }
        let link = Arc::clone(self);
        blocking::unblock(move || {
            loop {
                let mut seen = None;
                while link.over().is_none() && link.calls.has_tasks() {
                    let turn = link.runner_turns.load(Ordering::SeqCst);
                    let (kicks, timeout) = (link.signal.kicks(), Some(TICK));
                    let wait = WaitFor { kicks, timeout, ..WaitFor::default() };
                    if seen != Some(turn) {
                        seen = Some(turn);
                        link.signal.wait(wait);
                    } else if link.runner_is_busy() {
                        link.read_once(wait);
                    } else {
                        // The runner has had nothing to do for a whole tick.
                        break;
                    }
                }
                link.pass_on();
                link.standing_in.store(false, Ordering::SeqCst);
                fence(Ordering::SeqCst);
                // Needed again in the meantime, and nobody else came?
                let needed =
                    link.over().is_none() && link.runner_is_busy() && link.calls.has_tasks();
                if !needed || link.standing_in.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        })
        .detach();
    }

    fn read_once(&self, mut wait: WaitFor) {
        self.calls.end_overdue(Instant::now);
        // The runner empties the inbox only when its listener has returned.
        let limit = 2 * self.limits.max_queued_len;
        let Some(mut lead) = self.try_lead() else {
            self.signal.wait(wait);
            return;
        };
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
        if self.inbox.cost() >= limit {
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
        self.signal.wait(wait);
        self.sleeping_leaders.fetch_sub(1, Ordering::SeqCst);
    }
}
