//! A reader for awaited calls and channels while the runner is in a listener, or reads no further
//! because too many calls are at work.
//!
//! Futures do not read the link, nor does whoever waits for a channel; the runner does it for them. A
//! listener that waits for a future's answer or a channel's message, itself or through another
//! thread, would wait for ever. So while somebody waits so and the runner is busy with messages, one
//! thread of the blocking pool looks after it once a tick: when it finds the runner in the same
//! listener as at the last tick, it reads in its place.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use tramline_core::transport::WaitFor;

use super::Link;

/// How long a listener may take before somebody else reads. A choice: far above what a listener
/// that only notes the event takes, so that a flow of events costs no more than a look now and then.
const TICK: Duration = Duration::from_millis(1);

impl Link {
    /// Whether somebody waits who does not read.
    #[inline]
    pub(super) fn is_waited_for(&self) -> bool {
        self.calls.has_tasks() || self.channels.has_waiters()
    }

    /// Called after an awaited call was added to the table, or a wait for a channel was counted.
    pub(super) fn task_added(self: &Arc<Self>) {
        // PAIRS WITH the fence that the runner passes after it has said that it is busy: either it
        // sees the task, or we see that it is busy.
        fence(Ordering::SeqCst);
        if self.runner_is_busy() {
            self.stand_in();
        }
    }

    /// Whether the runner does not read.
    fn runner_is_busy(&self) -> bool {
        // Odd: in the middle of a message. At the limit of calls it reads no more requests, but the
        // calls may be waiting for what stands behind them.
        self.runner_turns.load(Ordering::SeqCst) % 2 == 1 || !self.may_start_calls()
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
                while link.over().is_none() && link.is_waited_for() {
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
                let needed = link.over().is_none() && link.runner_is_busy() && link.is_waited_for();
                if !needed || link.standing_in.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        })
        .detach();
    }

    fn read_once(&self, mut wait: WaitFor) {
        self.calls.end_overdue(|| self.time.now());
        // The runner empties the inbox only when its listener has returned. If only a channel waits,
        // it goes on waiting then: behind a slow listener, as its events do.
        let may_end = self.calls.has_tasks();
        let limit = self.limits.max_queued_len * if may_end { 2 } else { 1 };
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
            if !may_end {
                self.signal.wait(wait);
                return;
            }
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
