//! Calling, and reading the link while waiting for the answer.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tramline_core::answer::Answer;
use tramline_core::envelope::{BodyKind, Envelope, Head, Kind};
use tramline_core::peer::{Fill, Patience};
use tramline_core::transport::WaitFor;
use tramline_core::{DeadlinePassed, InvokeError, LinkError};

use super::{Ended, Lead, Link};

/// A request or a subscription about to be sent.
pub(crate) struct Outgoing<'a, 'f> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    pub(crate) body: BodyKind,
    pub(crate) body_len: usize,
    pub(crate) fill: Fill<'f>,
}

impl<'a> Outgoing<'a, '_> {
    fn head(&self, id: u64) -> Head<'a> {
        Head { kind: self.kind, body: self.body, id, name: self.name }
    }
}

struct Deadline {
    at: Option<Instant>,
    timeout: Option<Duration>,
}

impl Deadline {
    /// Time left; `None` is no limit.
    fn left(&self) -> Result<Option<Duration>, InvokeError> {
        let Some(at) = self.at else { return Ok(None) };
        match at.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(self.passed()),
        }
    }

    fn passed(&self) -> InvokeError {
        let timeout = self.timeout.unwrap_or_default();
        deadline_passed(timeout)
    }
}

/// The error for a call that waited this long.
pub(crate) fn deadline_passed(timeout: Duration) -> InvokeError {
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    DeadlinePassed { timeout_ms }.into()
}

impl Link {
    /// Sends a message and blocks until its answer is there. `read` sees the answer where it lies.
    pub(crate) fn call<R>(
        &self,
        mut message: Outgoing<'_, '_>,
        timeout: Option<Duration>,
        read: impl FnOnce(Answer<'_>) -> Result<R, InvokeError>,
    ) -> Result<R, InvokeError> {
        let deadline = Deadline { at: timeout.map(|t| Instant::now() + t), timeout };
        let id = self.next_id();
        let mut read = Some(read);
        if let Some(result) = self.call_alone(id, &mut message, &deadline, &mut read)? {
            return Ok(result);
        }
        let ended = self.wait_in_table(id, &deadline, &mut read);
        self.calls.remove(id);
        // Others may have gone to sleep because this thread was there to read.
        self.calls.wake_one_thread();
        ended
    }

    /// The short way: nobody else reads, so this thread does, from before it sends until its
    /// answer is there. `None` if the call is now in the table and must be waited for there.
    fn call_alone<R>(
        &self,
        id: u64,
        message: &mut Outgoing<'_, '_>,
        deadline: &Deadline,
        read: &mut Option<impl FnOnce(Answer<'_>) -> Result<R, InvokeError>>,
    ) -> Result<Option<R>, InvokeError> {
        let head = message.head(id);
        let free = self.try_lead().zip(self.sender.try_lock().ok());
        let Some((mut lead, sender)) = free else {
            // Someone may read the answer before we look: enter the table first.
            self.calls.add_thread(id);
            let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
            let sent = self.send_message(
                sender,
                &head,
                message.body_len,
                &mut *message.fill,
                Patience::SendTimeout,
                None,
            );
            return match sent {
                Ok(()) => Ok(None),
                Err(e) => {
                    self.calls.remove(id);
                    Err(e.into())
                }
            };
        };
        lead.disarm();
        let sent = self.send_message(
            sender,
            &head,
            message.body_len,
            &mut *message.fill,
            Patience::SendTimeout,
            Some(&mut **lead),
        );
        if let Err(e) = sent {
            self.leave(lead);
            return Err(e.into());
        }
        let result = self.lead_for(id, &mut lead, deadline, read);
        if matches!(result, Ok(None)) {
            // About to sleep: others may lead meanwhile and read our answer.
            self.calls.add_thread(id);
        }
        let parked = match &result {
            Ok(None) => self.sleep_as_leader(id, lead, deadline),
            _ => {
                self.leave(lead);
                Ok(())
            }
        };
        if let Err(e) = parked {
            self.calls.remove(id);
            self.cancel(id);
            return Err(e);
        }
        result
    }

    /// Reads until the answer to `id` is there, or nothing comes any more for now.
    fn lead_for<R>(
        &self,
        id: u64,
        lead: &mut Lead<'_>,
        deadline: &Deadline,
        read: &mut Option<impl FnOnce(Answer<'_>) -> Result<R, InvokeError>>,
    ) -> Result<Option<R>, InvokeError> {
        loop {
            let frame = match lead.poll() {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    if lead.spin() {
                        continue;
                    }
                    return Ok(None);
                }
                Err(e) => return Err(InvokeError::OutcomeUnknown(self.end(e))),
            };
            let mine = Envelope::parse(frame.bytes()).is_ok_and(|message| {
                message.head.id == id && matches!(message.head.kind, Kind::Response | Kind::Error)
            });
            if mine && let Some(read) = read.take() {
                let answer = Answer::from_frame(frame, self.codec)
                    .map_err(InvokeError::OutcomeUnknown)?
                    .into_result()?;
                return read(answer).map(Some);
            }
            self.hand_out(frame).map_err(|e| InvokeError::OutcomeUnknown(self.end(e)))?;
            // A peer that never stops talking must not keep us from our deadline.
            deadline.left()?;
            self.make_inbox_room().map_err(InvokeError::OutcomeUnknown)?;
        }
    }

    /// The long way: other threads use the connection too, or the answer takes its time.
    fn wait_in_table<R>(
        &self,
        id: u64,
        deadline: &Deadline,
        read: &mut Option<impl FnOnce(Answer<'_>) -> Result<R, InvokeError>>,
    ) -> Result<R, InvokeError> {
        loop {
            if let Some(ended) = self.calls.take_ended(id) {
                let answer = match ended {
                    Ended::Answer(bytes) => Answer::from_bytes(bytes, self.codec)
                        .map_err(InvokeError::OutcomeUnknown)?,
                    Ended::Link(error) => return Err(InvokeError::OutcomeUnknown(error)),
                    Ended::Deadline => return Err(deadline.passed()),
                };
                let Some(read) = read.take() else {
                    return Err(InvokeError::OutcomeUnknown(LinkError::Closed));
                };
                return read(answer.into_result()?);
            }
            if let Some(error) = self.over() {
                return Err(InvokeError::OutcomeUnknown(error.clone()));
            }
            let left = deadline.left().inspect_err(|_| self.cancel(id))?;
            match self.try_lead() {
                Some(mut lead) => {
                    lead.disarm();
                    // An answer may have come between the look above and the lead.
                    if self.calls.has_ended(id) {
                        self.leave(lead);
                        continue;
                    }
                    match self.lead_for(id, &mut lead, deadline, read) {
                        Ok(None) if self.sleeping_leaders.load(Ordering::SeqCst) == 0 => {
                            self.sleep_as_leader(id, lead, deadline)
                                .inspect_err(|_| self.cancel(id))?;
                        }
                        Ok(None) => {
                            // One sleeper at the transport is enough; it wakes us with our answer.
                            self.leave(lead);
                            park(left);
                        }
                        Ok(Some(result)) => {
                            self.leave(lead);
                            return Ok(result);
                        }
                        Err(e) => {
                            self.leave(lead);
                            return Err(e);
                        }
                    }
                }
                None => park(left),
            }
        }
    }

    /// Lets go of the receiver and sleeps until the peer has something for it.
    fn sleep_as_leader(
        &self,
        id: u64,
        mut lead: Lead<'_>,
        deadline: &Deadline,
    ) -> Result<(), InvokeError> {
        let timeout = match deadline.left() {
            Ok(left) => left,
            Err(e) => {
                self.leave(lead);
                return Err(e);
            }
        };
        let kicks = self.signal.kicks();
        let Some(ticket) = lead.arm() else {
            self.leave(lead);
            return Ok(());
        };
        self.sleeping_leaders.fetch_add(1, Ordering::SeqCst);
        drop(lead);
        // The runner may have held our answer in its hands when we looked at the link.
        if self.over().is_none() && !self.calls.has_ended(id) {
            self.signal.wait(WaitFor { kicks, data: Some(ticket), room: None, timeout });
        }
        // PAIRS WITH the load in `wait_in_table` and `Calls::add_thread`: a thread that parked because
        // it saw us here is seen by us when we look for one to wake.
        self.sleeping_leaders.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

fn park(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => std::thread::park_timeout(timeout),
        None => std::thread::park(),
    }
}
