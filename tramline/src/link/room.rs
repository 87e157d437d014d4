//! Waiting for room to send, without leaving the peer unread.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tramline_core::peer::Patience;
use tramline_core::transport::{Sender, WaitFor};
use tramline_core::{Limits, SendError};

use super::{Held, Link};
use crate::time::Time;

/// How long one message may still wait for room. The clock starts with the first wait.
pub(super) struct Room {
    patience: Patience,
    timeout: Duration,
    until: Option<Instant>,
    /// The caller's own deadline, whatever the send timeout says.
    deadline: Option<Instant>,
    /// Waits although the link is closing.
    farewell: bool,
}

impl Room {
    pub(super) fn new(patience: Patience, limits: &Limits, deadline: Option<Instant>) -> Self {
        let timeout = Duration::from_millis(limits.send_timeout_ms);
        Self { patience, timeout, until: None, deadline, farewell: false }
    }

    /// For the last message of a link.
    pub(super) fn until(timeout: Duration) -> Self {
        let patience = Patience::SendTimeout;
        Self { patience, timeout, until: None, deadline: None, farewell: true }
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// A part has gone and cannot be taken back: the caller's own deadline does not count any more.
    pub(super) fn begun(&mut self) {
        self.deadline = None;
    }

    /// Something went: the time counts from now.
    pub(super) fn restart(&mut self) {
        self.patience = Patience::SendTimeout;
        self.until = None;
    }

    /// How long a sleep may last; `None` is without limit.
    fn left(&mut self, time: &Time) -> Result<Option<Duration>, SendError> {
        if self.patience == Patience::None {
            return Err(SendError::Full);
        }
        // Nobody moves a test's clock for a link that closes.
        let time = if self.farewell { &Time::SYSTEM } else { time };
        let now = time.now();
        let mut until = *self.until.get_or_insert(now + self.timeout);
        if let Some(deadline) = self.deadline {
            until = until.min(deadline);
        }
        match until.checked_duration_since(now) {
            Some(left) if !left.is_zero() => Ok(time.sleep(left)),
            _ => Err(SendError::Full),
        }
    }
}

impl Link {
    /// Sleeps until there may be room. Meanwhile it reads, for the peer may be waiting for room
    /// too.
    pub(super) fn wait_for_room(
        &self,
        sender: &mut dyn Sender,
        room: &mut Room,
        held: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        // Read first: whatever happens from now on ends the sleep below.
        let kicks = self.signal.kicks();
        let timeout = room.left(&self.time)?;
        if let Some(error) = self.over() {
            return Err(error.clone().into());
        }
        if !room.farewell {
            self.check()?;
        }
        self.waiting_for_room.store(true, Ordering::Relaxed);
        let waited = self.read_or_sleep(sender, kicks, timeout, held);
        self.waiting_for_room.store(false, Ordering::Relaxed);
        waited
    }

    fn read_or_sleep(
        &self,
        sender: &mut dyn Sender,
        kicks: u32,
        timeout: Option<Duration>,
        held: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        let mut own = if held.is_some() { None } else { self.try_lead() };
        let receiver: Option<Held<'_>> = match (held, &mut own) {
            (Some(held), _) => Some(held),
            (None, Some(lead)) => Some(&mut **lead),
            (None, None) => None,
        };
        let limit = self.limits.max_queued_len;
        let mut data = None;
        if let Some(receiver) = receiver
            && self.inbox.cost() < limit
        {
            if let Err(e) = self.drain(receiver, limit) {
                drop(own);
                return Err(self.end(e).into());
            }
            data = receiver.arm();
            if data.is_none() && self.inbox.cost() < limit {
                // There is more to read already.
                return Ok(());
            }
        }
        if sender.spin() {
            return Ok(());
        }
        // Counted before the last try for the lead: whoever leads then kicks us when it stops.
        let reads = data.is_some();
        if !reads {
            self.kick_waiters.fetch_add(1, Ordering::SeqCst);
        }
        let room = sender.arm();
        if room.is_some() && (reads || own.is_some() || self.try_lead().is_none()) {
            self.signal.wait(WaitFor { kicks, data, room, timeout });
        }
        if !reads {
            self.kick_waiters.fetch_sub(1, Ordering::SeqCst);
        }
        sender.disarm();
        Ok(())
    }
}
