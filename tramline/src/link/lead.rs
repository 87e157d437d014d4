//! Calling, and reading the link while waiting for the answer.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use tramline_core::answer::Answer;
use tramline_core::envelope::{BodyKind, Extension, HEADER_LEN, Head, Kind, plain_result};
use tramline_core::peer::{Fill, Patience};
use tramline_core::transport::WaitFor;
use tramline_core::{CallCancelled, CancelToken, DeadlinePassed, InvokeError, LinkError, Pages};

use super::brought::Brought;
use super::room::Room;
use super::send::put_bytes;
use super::{Ended, Lead, Link, SenderGuard, try_lock};
use crate::shadow::LinkShadow;
use crate::time::Time;

/// Looks that found no whole message, after which the clock is read. A choice: a call whose answer
/// comes at once never gets there.
const LOOKS_PER_CLOCK: u32 = 16;

/// How often a thread lets others go on before it sleeps. A choice: a few calls of others fit into
/// it, and it is over before a sleep and its wake would be.
const YIELDS: u32 = 32;

/// A request or a subscription about to be sent.
pub(crate) struct Outgoing<'a, 'f> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    pub(crate) extension: Extension<'a>,
    pub(crate) body: BodyKind,
    pub(crate) body_len: usize,
    pub(crate) fill: Fill<'f>,
    /// The body, if it may be handed over instead of being filled in.
    pub(crate) pages: Option<Arc<dyn Pages>>,
    /// The channels among the arguments.
    pub(crate) brings: Option<&'a Brought>,
}

impl<'a> Outgoing<'a, '_> {
    fn head(&self, id: u64) -> Head<'a> {
        Head::new(self.kind, self.body, id, self.name).extended(self.extension)
    }
}

/// When a call stops waiting.
#[derive(Clone, Copy)]
struct Deadline<'a> {
    /// `None` is never.
    at: Option<Instant>,
    timeout: Option<Duration>,
    token: Option<&'a CancelToken>,
    time: &'a Time,
}

impl<'a> Deadline<'a> {
    fn new(timeout: Option<Duration>, token: Option<&'a CancelToken>, time: &'a Time) -> Self {
        // A time beyond the clock's range is never.
        let at = timeout.and_then(|timeout| time.now().checked_add(timeout));
        Self { at, timeout, token, time }
    }

    /// How long a sleep may last; `None` is without limit.
    fn left(&self) -> Result<Option<Duration>, InvokeError> {
        if self.token.is_some_and(CancelToken::is_cancelled) {
            return Err(CallCancelled.into());
        }
        let Some(at) = self.at else { return Ok(None) };
        match at.checked_duration_since(self.time.now()) {
            Some(left) if !left.is_zero() => Ok(self.time.sleep(left)),
            _ => Err(self.passed()),
        }
    }

    fn passed(&self) -> InvokeError {
        deadline_passed(self.timeout.unwrap_or_default())
    }
}

/// The error for a call that waited this long.
pub(crate) fn deadline_passed(timeout: Duration) -> InvokeError {
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    DeadlinePassed { timeout_ms }.into()
}

/// A call in the table. Dropping it, also by a panic in code of the user's, takes it out and passes
/// on the duty to read that others may have counted on.
struct InTable<'a> {
    link: &'a Link,
    id: u64,
}

impl<'a> InTable<'a> {
    fn new(link: &'a Link, id: u64) -> Self {
        link.calls.add_thread(id);
        Self { link, id }
    }
}

impl Drop for InTable<'_> {
    fn drop(&mut self) {
        self.link.calls.remove(self.id);
        self.link.pass_on();
    }
}

/// What a thread that leads found for its own call.
enum Found<R> {
    /// The answer, read where it lay.
    Answer(R),
    /// Nothing comes for now.
    Nothing,
}

impl Link {
    /// Sends a message and blocks until its answer is there. `read` sees the answer where it lies.
    pub(crate) fn call<R>(
        &self,
        mut message: Outgoing<'_, '_>,
        timeout: Option<Duration>,
        token: Option<&CancelToken>,
        read: impl FnOnce(Answer<'_>) -> Result<R, InvokeError>,
    ) -> Result<R, InvokeError> {
        let deadline = Deadline::new(timeout, token, &self.time);
        let _hook = token.map(|token| {
            let (link, thread) = (self.me.clone(), std::thread::current());
            token.on_cancel(move || {
                // It sleeps at the transport, or behind another thread that does.
                if let Some(link) = link.upgrade() {
                    link.signal.kick();
                }
                thread.unpark();
            })
        });
        deadline.left()?;
        let mut sent_as = None;
        let mut read = Some(read);
        let result = match self.shadow() {
            Some(shadow) if message.pages.is_none() => {
                self.call_in_shadow(shadow, deadline, message, &mut sent_as, &mut read)
            }
            _ => self.call_until(deadline, &mut message, &mut sent_as, &mut read),
        };
        if let (Err(InvokeError::Deadline(_) | InvokeError::Cancelled(_)), Some(id)) =
            (&result, sent_as)
        {
            self.cancel(id);
        }
        result
    }

    /// The same with somebody who looks at the message first.
    #[cold]
    fn call_in_shadow<R>(
        &self,
        shadow: &LinkShadow,
        deadline: Deadline<'_>,
        mut message: Outgoing<'_, '_>,
        sent_as: &mut Option<u64>,
        read: &mut Option<impl FnOnce(Answer<'_>) -> Result<R, InvokeError>>,
    ) -> Result<R, InvokeError> {
        let head = message.head(0);
        let Some(seen) = shadow.outgoing(&head, self.max_send_len, &mut *message.fill) else {
            return self.call_until(deadline, &mut message, sent_as, read);
        };
        let Outgoing { kind, name, extension, body, pages, brings, .. } = message;
        let (body_len, fill): (_, Fill<'_>) = (seen.len(), &mut put_bytes(&seen));
        let mut message = Outgoing { kind, name, extension, body, body_len, fill, pages, brings };
        self.call_until(deadline, &mut message, sent_as, read)
    }

    fn call_until<R>(
        &self,
        deadline: Deadline<'_>,
        message: &mut Outgoing<'_, '_>,
        sent_as: &mut Option<u64>,
        read: &mut Option<impl FnOnce(Answer<'_>) -> Result<R, InvokeError>>,
    ) -> Result<R, InvokeError> {
        let room = Room::new(Patience::SendTimeout, &self.limits, deadline.at);
        let Some((mut lead, mut sender)) = self.try_alone() else {
            let mut sender = self.lock_sender();
            let id = sender.next_id();
            *sent_as = Some(id);
            // Someone may read the answer before we look: enter the table first.
            let entry = InTable::new(self, id);
            let head = message.head(id);
            self.send_outgoing(sender, &head, message, room, None)?;
            return self.wait_in_table(&entry, deadline, read);
        };
        let id = sender.next_id();
        *sent_as = Some(id);
        let head = message.head(id);
        // The short way: nobody else reads, so this thread does, from before it sends until its
        // answer is there. It needs no entry in the table.
        lead.disarm();
        self.send_outgoing(sender, &head, message, room, Some(&mut *lead))?;
        match self.lead_for(id, &mut lead, deadline, read)? {
            Found::Answer(result) => Ok(result),
            Found::Nothing => {
                // About to sleep: others may lead meanwhile and read our answer.
                let entry = InTable::new(self, id);
                self.sleep_as_leader(id, lead, deadline)?;
                self.wait_in_table(&entry, deadline, read)
            }
        }
    }

    /// The receiver and the sender, once nobody else has them. Whoever has them is done soon, as a
    /// rule, and may be waiting for this very CPU: to let it go on costs less than to sleep and be
    /// woken by it.
    #[inline]
    fn try_alone(&self) -> Option<(Lead<'_>, SenderGuard<'_>)> {
        let both = || Some((self.try_lead()?, try_lock(&self.sender)?));
        both().or_else(|| {
            (0..YIELDS).find_map(|_| {
                std::thread::yield_now();
                both()
            })
        })
    }

    /// Reads until the answer to `id` is there, or nothing comes any more for now.
    fn lead_for<R>(
        &self,
        id: u64,
        lead: &mut Lead<'_>,
        deadline: Deadline<'_>,
        read: &mut Option<impl FnOnce(Answer<'_>) -> Result<R, InvokeError>>,
    ) -> Result<Found<R>, InvokeError> {
        let mut looks = 0_u32;
        loop {
            let frame = match lead.poll() {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    if lead.spin() {
                        // Something comes, but no message: a peer that never ends one must not keep
                        // us from our deadline either.
                        looks = looks.wrapping_add(1);
                        if looks.is_multiple_of(LOOKS_PER_CLOCK) {
                            deadline.left()?;
                        }
                        continue;
                    }
                    return Ok(Found::Nothing);
                }
                Err(e) => return Err(InvokeError::OutcomeUnknown(self.end(e))),
            };
            if frame.tail().is_none()
                && let Some(body) = plain_result(frame.bytes(), id)
                && let Some(read) = read.take()
            {
                let answer =
                    Answer::from_frame(frame, self.codec, Kind::Response, body, HEADER_LEN);
                return read(answer.into_result()?).map(Found::Answer);
            }
            if let Ok(message) = frame.envelope()
                && message.head.id == id
                && matches!(message.head.kind, Kind::Response | Kind::Error)
                && let Some(read) = read.take()
            {
                let Head { kind, body, .. } = message.head;
                let offset = message.body_offset();
                let answer = Answer::from_frame(frame, self.codec, kind, body, offset);
                return read(answer.into_result()?).map(Found::Answer);
            }
            self.hand_out(frame).map_err(|e| InvokeError::OutcomeUnknown(self.end(e)))?;
            // A peer that never stops talking must not keep us from our deadline.
            deadline.left()?;
            self.make_inbox_room().map_err(InvokeError::OutcomeUnknown)?;
        }
    }

    /// From here on the peer need not ring: whoever called looks at the link soon, or calls
    /// [`listen_for_bell`](Self::listen_for_bell).
    pub(crate) fn ignore_bell(&self) {
        if let Some(mut lead) = self.try_lead() {
            lead.disarm();
            lead.release();
            self.pass_on();
        }
    }

    /// The peer rings again if somebody sleeps. Whoever leads now sees to that by itself.
    pub(crate) fn listen_for_bell(&self) {
        drop(self.try_lead());
    }

    /// Reads for up to `at_most` what futures wait for; true as soon as something was handed out, or
    /// the link is over. False at once if another thread reads.
    pub(crate) fn look_out(&self, at_most: Duration) -> bool {
        let Some(mut lead) = self.try_lead() else { return false };
        lead.disarm();
        let start = Instant::now();
        let seen = loop {
            match self.look(&mut lead) {
                Ok(true) => break true,
                Ok(false) if start.elapsed() >= at_most => break false,
                // Whoever answers may be waiting for this very CPU.
                Ok(false) => std::thread::yield_now(),
                Err(e) => {
                    drop(lead);
                    self.end(e);
                    return true;
                }
            }
        };
        // The bell is for `listen_for_bell`.
        lead.release();
        self.pass_on();
        seen
    }

    /// Looks some times; whether anything was handed out.
    fn look(&self, lead: &mut Lead<'_>) -> Result<bool, LinkError> {
        for _ in 0..LOOKS_PER_CLOCK {
            if self.drain(&mut **lead, self.limits.max_queued_len)? > 0 {
                return Ok(true);
            }
            std::hint::spin_loop();
        }
        Ok(false)
    }

    /// The long way: other threads use the connection too, or the answer takes its time.
    fn wait_in_table<R>(
        &self,
        entry: &InTable<'_>,
        deadline: Deadline<'_>,
        read: &mut Option<impl FnOnce(Answer<'_>) -> Result<R, InvokeError>>,
    ) -> Result<R, InvokeError> {
        let id = entry.id;
        let mut yields = 0;
        loop {
            if let Some(ended) = self.calls.take_ended(id) {
                let answer = match ended {
                    Ended::Answer(kept) => {
                        Answer::from_kept(kept, self.codec).map_err(InvokeError::OutcomeUnknown)?
                    }
                    Ended::Link(error) => return Err(InvokeError::OutcomeUnknown(error)),
                    Ended::Deadline => return Err(deadline.passed()),
                    Ended::Cancelled => return Err(CallCancelled.into()),
                };
                let Some(read) = read.take() else {
                    return Err(InvokeError::OutcomeUnknown(LinkError::Closed));
                };
                return read(answer.into_result()?);
            }
            if let Some(error) = self.over() {
                return Err(InvokeError::OutcomeUnknown(error.clone()));
            }
            let left = deadline.left()?;
            let Some(mut lead) = self.try_lead() else {
                if yields < YIELDS {
                    yields += 1;
                    std::thread::yield_now();
                } else {
                    park(left);
                }
                continue;
            };
            lead.disarm();
            // An answer may have come between the look above and the lead.
            if self.calls.has_ended(id) {
                continue;
            }
            match self.lead_for(id, &mut lead, deadline, read)? {
                Found::Answer(result) => return Ok(result),
                Found::Nothing if self.sleeping_leaders.load(Ordering::SeqCst) == 0 => {
                    self.sleep_as_leader(id, lead, deadline)?;
                }
                Found::Nothing => {
                    // One sleeper at the transport is enough; it wakes us with our answer.
                    drop(lead);
                    park(left);
                }
            }
        }
    }

    /// Lets go of the receiver and sleeps until the peer has something for it.
    fn sleep_as_leader(
        &self,
        id: u64,
        mut lead: Lead<'_>,
        deadline: Deadline<'_>,
    ) -> Result<(), InvokeError> {
        // Read first: a cancel from now on ends the sleep below.
        let kicks = self.signal.kicks();
        let timeout = deadline.left()?;
        let Some(ticket) = lead.arm() else { return Ok(()) };
        self.sleeping_leaders.fetch_add(1, Ordering::SeqCst);
        lead.release();
        // The runner may have held our answer in its hands when we looked at the link.
        if self.over().is_none() && !self.calls.has_ended(id) {
            self.signal.wait(WaitFor { kicks, data: Some(ticket), room: None, timeout });
        }
        // PAIRS WITH the loads in `wait_in_table` and `Link::pass_on`: a thread that parked because
        // it saw us here is seen by us when we look for one to wake.
        self.sleeping_leaders.fetch_sub(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Ok(())
    }
}

fn park(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => std::thread::park_timeout(timeout),
        None => std::thread::park(),
    }
}
