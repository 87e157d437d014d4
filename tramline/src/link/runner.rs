//! The runner: one thread per connection that handles what is not a reply.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tramline_core::command::{Call, Handler, OwnedCall};
use tramline_core::envelope::{BodyKind, Envelope, Head, Kind};
use tramline_core::events::{Event, Listeners};
use tramline_core::limits::{MAX_SUBSCRIPTIONS, check_event_name};
use tramline_core::peer::{Patience, Peer, Port, send_bytes};
use tramline_core::router::{self, Router};
use tramline_core::transport::WaitFor;
use tramline_core::{Frame, LinkError, PeerFault};

use super::{ABSENT, ASLEEP_ON_DATA, ASLEEP_ON_KICK, AWAKE, Link};
use crate::executor::Executor;

/// What this side does for its peers.
pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) listeners: Listeners,
    pub(crate) executor: Executor,
    /// A client lets the server emit whatever the client listens to; a server asks its
    /// capabilities.
    pub(crate) gate_events: bool,
}

impl Service {
    fn may_use_event(&self, event: &str) -> bool {
        !self.gate_events || self.router.capabilities().may_use_event(event)
    }
}

impl Link {
    /// Marks that a runner is about to start; false if there is one.
    pub(crate) fn claim_runner(&self) -> bool {
        self.runner.compare_exchange(ABSENT, AWAKE, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Wakes the runner so that it looks at its deadlines.
    pub(crate) fn kick_runner(&self) {
        self.signal.kick();
    }

    /// Adds a call that a future waits for; [`claim_runner`](Self::claim_runner) must have seen to
    /// a runner.
    pub(crate) fn add_task(&self, deadline: Option<Instant>) -> u64 {
        let id = self.next_id();
        self.calls.add_task(id, deadline);
        id
    }

    pub(crate) fn forget(&self, id: u64) {
        self.calls.remove(id);
    }

    pub(crate) fn poll_ended(&self, id: u64, waker: &std::task::Waker) -> Option<super::Ended> {
        self.calls.poll_ended(id, waker)
    }

    /// Runs until the link is over; says why it is.
    pub(crate) fn run(self: &Arc<Self>, peer: &Peer, service: &Arc<Service>) -> LinkError {
        let _ = self.runner_thread.set(std::thread::current().id());
        let mut current = BytesMut::new();
        loop {
            while let Some(message) = self.take_from_inbox() {
                self.handle(&message, Some(&message), peer, service);
            }
            if let Some(error) = self.over() {
                return error.clone();
            }
            let deadline = self.calls.end_overdue(Instant::now);
            let kicks = self.signal.kicks();
            if self.in_flight.load(Ordering::Relaxed) >= self.limits.max_calls_in_flight {
                self.sleep(
                    ASLEEP_ON_KICK,
                    WaitFor { kicks, ..WaitFor::default() },
                    deadline,
                    || self.in_flight.load(Ordering::Relaxed) >= self.limits.max_calls_in_flight,
                );
                continue;
            }
            let Some(mut lead) = self.try_lead() else {
                // A caller leads. It kicks us when it leaves, or when it has read something for us.
                let wait = WaitFor { kicks, ..WaitFor::default() };
                self.sleep(ASLEEP_ON_KICK, wait, deadline, || self.try_lead().is_none());
                continue;
            };
            if self.inbox_len() != 0 {
                continue;
            }
            lead.disarm();
            match lead.poll() {
                Ok(Some(frame)) => {
                    frame.swap(&mut current);
                    drop(lead);
                    // What follows may take its time: a thread that waits for its reply reads on.
                    fence(Ordering::SeqCst);
                    self.calls.wake_one_thread();
                    self.handle(&current, None, peer, service);
                    continue;
                }
                Ok(None) => {}
                Err(e) => {
                    drop(lead);
                    return self.end(e);
                }
            }
            if !lead.spin()
                && let Some(ticket) = lead.arm()
            {
                drop(lead);
                let wait = WaitFor { kicks, data: Some(ticket), ..WaitFor::default() };
                self.sleep(ASLEEP_ON_DATA, wait, deadline, || self.inbox_len() == 0);
            }
        }
    }

    /// Sleeps if `still` holds after everyone can see that we are about to.
    fn sleep(
        &self,
        state: u8,
        mut wait: WaitFor,
        deadline: Option<Instant>,
        still: impl FnOnce() -> bool,
    ) {
        self.runner.store(state, Ordering::SeqCst);
        // PAIRS WITH the fence in `Link::leave` and the kick in `Link::put_into_inbox`.
        fence(Ordering::SeqCst);
        if still() && self.over().is_none() {
            wait.timeout = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            self.signal.wait(wait);
        }
        self.runner.store(AWAKE, Ordering::SeqCst);
    }

    fn inbox_len(&self) -> usize {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).queue.len()
    }

    fn take_from_inbox(&self) -> Option<Bytes> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let message = inbox.queue.pop_front()?;
        inbox.bytes -= message.len();
        let room = inbox.bytes < self.limits.max_queued_len;
        drop(inbox);
        if room {
            self.inbox_drained.notify_all();
        }
        Some(message)
    }

    fn put_into_inbox(&self, message: Bytes) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.bytes += message.len();
        inbox.queue.push_back(message);
        drop(inbox);
        fence(Ordering::SeqCst);
        if matches!(self.runner.load(Ordering::Relaxed), ASLEEP_ON_DATA | ASLEEP_ON_KICK) {
            self.signal.kick();
        }
    }

    /// Hands out a message that another thread than the runner has read: replies to those who wait,
    /// everything else to the runner.
    pub(super) fn hand_out(&self, frame: Frame<'_>) -> Result<(), LinkError> {
        let message = Envelope::parse(frame.bytes()).map_err(|e| self.fault(e))?;
        let Head { kind, id, .. } = message.head;
        match kind {
            Kind::Response | Kind::Error => self.hand_out_reply(id, || frame.take()),
            Kind::Goodbye => self.said_goodbye.store(true, Ordering::Relaxed),
            _ => self.put_into_inbox(frame.take()),
        }
        Ok(())
    }

    fn hand_out_reply(&self, id: u64, message: impl FnOnce() -> Bytes) {
        if !self.calls.answer(id, message) {
            self.counts.late_replies.fetch_add(1, Ordering::Relaxed);
        } else if self.sleeping_leaders.load(Ordering::Relaxed) != 0 {
            // The caller may sleep at the transport, where `answer` does not reach it. It counted
            // itself before it looked into the table, and the table's lock orders the two.
            self.signal.kick();
        }
    }

    /// Handles one message. `owned` is the same message if it may be kept without a copy.
    fn handle(
        self: &Arc<Self>,
        bytes: &[u8],
        owned: Option<&Bytes>,
        peer: &Peer,
        service: &Arc<Service>,
    ) {
        let message = match Envelope::parse(bytes) {
            Ok(message) => message,
            Err(e) => {
                self.fault(e);
                return;
            }
        };
        let keep = || owned.cloned().unwrap_or_else(|| Bytes::copy_from_slice(bytes));
        let Head { kind, id, name, body } = message.head;
        match kind {
            Kind::Request => self.handle_request(&message, keep, peer, service),
            Kind::Response | Kind::Error => self.hand_out_reply(id, keep),
            Kind::Event => {
                if !service.may_use_event(name) {
                    self.counts.ignored.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                let event = Event::new(name, body, message.body, self.codec, peer);
                let deliver = std::panic::AssertUnwindSafe(|| service.listeners.deliver(event));
                // A panicking listener is the listener's loss; its text went to the panic hook.
                if let Ok(Some(orphaned)) = std::panic::catch_unwind(deliver) {
                    self.unsubscribe(&orphaned);
                }
            }
            Kind::Subscribe => self.handle_subscribe(id, name, peer, service),
            Kind::Unsubscribe => {
                let mut names = self.peer_listens.write().unwrap_or_else(PoisonError::into_inner);
                names.remove(name);
            }
            Kind::Goodbye => self.said_goodbye.store(true, Ordering::Relaxed),
            Kind::Cancel => {
                self.counts.cancels.fetch_add(1, Ordering::Relaxed);
            }
            Kind::Hello => {
                self.fault(PeerFault::new("hello", "a second one"));
            }
            // Channels without a reader: nobody asked for them in this version.
            _ => {
                self.counts.ignored.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn handle_request(
        self: &Arc<Self>,
        message: &Envelope<'_>,
        keep: impl FnOnce() -> Bytes,
        peer: &Peer,
        service: &Arc<Service>,
    ) {
        let Head { id, name, body, .. } = message.head;
        let states = service.router.states();
        let handler = match service.router.route(name) {
            Ok(handler) => handler,
            Err(rejection) => {
                Call::new(id, name, body, message.body, peer, states).reject(&rejection);
                return;
            }
        };
        match handler {
            Handler::Inline(run) => {
                router::run(run, &Call::new(id, name, body, message.body, peer, states));
            }
            Handler::Blocking(run) => {
                let mut call =
                    OwnedCall::new(&message.head, keep(), peer.clone(), Arc::clone(states));
                let running = Running::new(self);
                blocking::unblock(move || {
                    router::run(run, &call.view());
                    call.answered();
                    drop(running);
                })
                .detach();
            }
            Handler::Async(start) => {
                let call = OwnedCall::new(&message.head, keep(), peer.clone(), Arc::clone(states));
                let running = Running::new(self);
                let future = start(call);
                service.executor.spawn(Box::pin(async move {
                    future.await;
                    drop(running);
                }));
            }
            _ => {}
        }
    }

    fn handle_subscribe(&self, id: u64, name: &str, peer: &Peer, service: &Service) {
        let states = service.router.states();
        let call = Call::new(id, name, BodyKind::Empty, &[], peer, states);
        if let Err(e) = check_event_name(name) {
            call.refuse(tramline_core::error::codes::BAD_ARGUMENTS, &e.to_string());
            return;
        }
        if !service.may_use_event(name) {
            let text = format!("Event {name} not allowed by ACL");
            call.refuse(tramline_core::error::codes::DENIED, &text);
            return;
        }
        let mut names = self.peer_listens.write().unwrap_or_else(PoisonError::into_inner);
        let room = names.len() < MAX_SUBSCRIPTIONS;
        if room {
            names.insert(name.into());
        }
        drop(names);
        if room {
            let head = Head { kind: Kind::Response, body: BodyKind::Empty, id, name: "" };
            let _ = send_bytes(self, &head, &[], Patience::SendTimeout);
        } else {
            let text = format!("{MAX_SUBSCRIPTIONS} subscriptions are the limit");
            call.refuse(tramline_core::error::codes::DENIED, &text);
        }
    }

    /// Tells the peer that nobody here listens to this event any more. Best effort.
    pub(crate) fn unsubscribe(&self, name: &str) {
        let head = Head { kind: Kind::Unsubscribe, body: BodyKind::Empty, id: 0, name };
        let port: &dyn Port = self;
        let _ = send_bytes(port, &head, &[], Patience::SendTimeout);
    }
}

/// Counts one running call; wakes the runner when it had stopped for too many.
struct Running(Arc<Link>);

impl Running {
    fn new(link: &Arc<Link>) -> Self {
        link.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(link))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let before = self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        if before >= self.0.limits.max_calls_in_flight {
            self.0.signal.kick();
        }
    }
}
