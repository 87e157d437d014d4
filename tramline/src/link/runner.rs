//! The runner: handles what is not a reply. A thread of its own for each connection, or one that many
//! connections share (`crate::shared`): the steps are the same.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tramline_core::acl::Asked;
use tramline_core::channel::Incoming;
use tramline_core::command::{Call, Handler, OwnedCall, RawBody};
use tramline_core::envelope::{BodyKind, Envelope, Extension, ExtensionBuf, Head, Kind};
use tramline_core::events::{Event, EventTarget, LastEvent, Listeners};
use tramline_core::frame::Kept;
use tramline_core::gate::Guard;
use tramline_core::limits::check_event_name;
use tramline_core::peer::{Later, Patience, Peer, Port as _};
use tramline_core::router::{Routed, Router};
use tramline_core::transport::WaitFor;
use tramline_core::{ConfigError, LinkError, PeerFault, Rejection, SendError};

use super::batch::{Batch, Next, is_for_callers};
use super::running::Running;
use super::{ABSENT, ASLEEP_ON_DATA, ASLEEP_ON_KICK, AWAKE, Held, Link, try_lock};
use crate::executor::Executor;
use crate::guard::{Judge, Judged, Seen, Toward, with_body};
use crate::layer::Layers;

/// What this side does for its peers.
pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) listeners: Listeners,
    pub(crate) executor: Executor,
    pub(crate) layers: Layers,
    /// Orders a look at the listeners and the message that follows from it.
    pub(crate) subscriptions: Mutex<()>,
    /// A client lets the server emit whatever the client listens to; a server asks its
    /// capabilities.
    pub(crate) gate_events: bool,
    /// Is asked about every message, before anything else looks at it.
    pub(crate) guarded: Option<Judge>,
    /// Open links of a server; a client counts none.
    pub(crate) links: AtomicUsize,
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
    pub(crate) fn add_task(self: &Arc<Self>, deadline: Option<Instant>) -> u64 {
        let id = self.next_task_id();
        self.calls.add_task(id, deadline);
        self.task_added();
        id
    }

    pub(crate) fn forget(&self, id: u64) {
        self.calls.remove(id);
    }

    /// The caller of an awaited call wants no answer any more.
    pub(crate) fn cancelled(&self, id: u64) {
        self.calls.cancelled(id);
    }

    pub(crate) fn poll_ended(&self, id: u64, waker: &std::task::Waker) -> Option<super::Ended> {
        self.calls.poll_ended(id, waker)
    }

    /// Runs until the link is over; says why it is.
    pub(crate) fn run(self: &Arc<Self>, peer: &Peer, service: &Arc<Service>) -> LinkError {
        let _ = self.runner_thread.set(std::thread::current().id());
        let mut runner = Runner::new(IfQuiet::Spin, Patience::SendTimeout);
        loop {
            match self.step(&mut runner, peer, service) {
                Step::Over(error) => return error,
                Step::Asleep(wait) => {
                    self.signal.wait(wait);
                    self.awake();
                }
                Step::Busy | Step::Quiet => {}
            }
        }
    }

    /// The runner looks again.
    pub(crate) fn awake(&self) {
        self.runner.store(AWAKE, Ordering::SeqCst);
    }

    /// Reads and handles what is there, but no more than others can wait for.
    #[inline]
    pub(crate) fn step(
        self: &Arc<Self>,
        runner: &mut Runner,
        peer: &Peer,
        service: &Arc<Service>,
    ) -> Step {
        let Runner { batch, last_event, guard, if_quiet, patience } = runner;
        let (if_quiet, patience) = (*if_quiet, *patience);
        let mut work = Work { peer, service, last_event, guard, patience };
        // Read first: whatever happens from now on ends the sleeps below.
        let kicks = self.signal.kicks();
        let over = self.over().cloned();
        self.work_off(batch, &mut work, over.is_some());
        if let Some(error) = over {
            return Step::Over(error);
        }
        let deadline = self.calls.end_overdue(|| self.time.now());
        let wait = WaitFor { kicks, ..WaitFor::default() };
        if !self.may_start_calls() {
            if self.is_waited_for() {
                self.stand_in();
            }
            return self.fall_asleep(ASLEEP_ON_KICK, wait, deadline, || !self.may_start_calls());
        }
        if !batch.is_empty() {
            // A call has ended since the last look. The rest of the batch comes before anything
            // that is still to be read.
            return Step::Busy;
        }
        let Some(mut lead) = self.try_lead() else {
            // Another thread leads. It kicks us when it leaves, or when it has read something
            // for us.
            return self.fall_asleep(ASLEEP_ON_KICK, wait, deadline, || {
                self.inbox.is_empty() && try_lock(&self.receiver).is_none()
            });
        };
        if !self.inbox.is_empty() {
            lead.step_aside();
            return Step::Busy;
        }
        lead.disarm();
        match self.fill(batch, &mut *lead, if_quiet == IfQuiet::Spin) {
            Ok(()) if !batch.is_empty() => {
                // Odd before the fence in `step_aside`, which PAIRS WITH the one in `task_added`.
                // What follows may take its time: a thread that waits for its reply reads on.
                self.turn();
                lead.step_aside();
                let flooded = batch.ready_in_a_row >= FLOW && batch.is_full();
                self.handle_batch(batch, &mut work, false);
                self.turn();
                // Relaxed: a guess. Without this, whoever else is to be served on this CPU waits for
                // as long as the system's scheduler lets a busy thread run: milliseconds.
                if flooded && service.links.load(Ordering::Relaxed) > 1 {
                    std::thread::yield_now();
                }
            }
            Ok(()) if if_quiet == IfQuiet::Leave => {
                lead.step_aside();
                return Step::Quiet;
            }
            Ok(()) => {
                if let Some(ticket) = lead.arm() {
                    lead.release();
                    let wait = WaitFor { data: Some(ticket), ..wait };
                    let still = || self.inbox.is_empty();
                    return self.fall_asleep(ASLEEP_ON_DATA, wait, deadline, still);
                }
                lead.step_aside();
            }
            Err(e) => {
                lead.step_aside();
                self.end(e);
            }
        }
        Step::Busy
    }

    /// Reads what is there, after having looked out for it: replies go to those who wait, the rest
    /// into the batch. An empty batch means that nothing comes for now.
    fn fill(&self, batch: &mut Batch, receiver: Held<'_>, spin: bool) -> Result<(), LinkError> {
        debug_assert!(batch.is_empty(), "what is in it is older");
        let mut gathered = false;
        for _ in 0..BATCH_READS {
            match receiver.poll() {
                // Handed out before anyone else can lead and meet the end of the link.
                Ok(Some(frame)) if self.is_for_callers(frame.bytes()) => self.hand_out(frame)?,
                Ok(Some(frame)) => {
                    batch.add(frame);
                    // Where nothing was there a moment ago, nothing more is likely: the first one
                    // need not wait for another look.
                    if batch.is_full() || batch.ready_in_a_row == 0 {
                        break;
                    }
                }
                Ok(None) if batch.is_empty() => {
                    batch.ready_in_a_row = 0;
                    if !spin || !receiver.spin() {
                        return Ok(());
                    }
                }
                Ok(None) if !gathered && batch.ready_in_a_row >= FLOW => {
                    gathered = true;
                    (0..GATHER_PAUSES).for_each(|_| std::hint::spin_loop());
                }
                // The next look meets it again.
                Err(e) if batch.is_empty() => return Err(e),
                Ok(None) | Err(_) => break,
            }
        }
        batch.ready_in_a_row = batch.ready_in_a_row.saturating_add(1);
        Ok(())
    }

    #[inline]
    fn is_for_callers(&self, frame: &[u8]) -> bool {
        is_for_callers(frame, |id| self.channels.knows(id))
    }

    /// Handles what is at hand, the batch before the inbox, which is younger, as far as calls may be
    /// started; all of it if the link is over.
    fn work_off(self: &Arc<Self>, batch: &mut Batch, work: &mut Work<'_>, over: bool) {
        if batch.is_empty() && self.inbox.is_empty() {
            return;
        }
        self.turn();
        // PAIRS WITH the fence in `task_added`.
        fence(Ordering::SeqCst);
        self.handle_batch(batch, work, over);
        let mut left = BATCH_READS;
        while batch.is_empty()
            && (over || (left > 0 && self.may_start_calls()))
            && let Some(message) = self.take_from_inbox()
        {
            left = left.saturating_sub(1);
            self.handle(message.bytes(), Some(&message), work);
        }
        self.turn();
    }

    fn handle_batch(self: &Arc<Self>, batch: &mut Batch, work: &mut Work<'_>, over: bool) {
        while over || self.may_start_calls() {
            match batch.next() {
                Some(Next::Small(message)) => self.handle(message, None, work),
                Some(Next::Large(message)) => self.handle(message.bytes(), Some(&message), work),
                None => return,
            }
        }
    }

    /// Whether this connection may have one more call at work.
    pub(super) fn may_start_calls(&self) -> bool {
        self.calls_in_flight.load(Ordering::SeqCst) < self.limits.max_calls_in_flight
            && self.bytes_in_flight.load(Ordering::SeqCst) < self.limits.max_queued_len
    }

    /// Time to sleep if `still` holds after everyone can see that we are about to.
    fn fall_asleep(
        &self,
        state: u8,
        mut wait: WaitFor,
        deadline: Option<Instant>,
        still: impl FnOnce() -> bool,
    ) -> Step {
        self.runner.store(state, Ordering::SeqCst);
        // PAIRS WITH the fences in `Link::pass_on` and `Link::put_into_inbox`.
        fence(Ordering::SeqCst);
        if still() && self.over().is_none() {
            let left = |end: Instant| end.saturating_duration_since(self.time.now());
            wait.timeout = deadline.map(left).and_then(|left| self.time.sleep(left));
            return Step::Asleep(wait);
        }
        self.awake();
        Step::Busy
    }

    /// Handles one message, after a turn was started and a fence was passed. `owned` is the same
    /// message if it may be kept without a copy.
    #[inline]
    fn handle(self: &Arc<Self>, bytes: &[u8], owned: Option<&Kept>, work: &mut Work<'_>) {
        if self.is_waited_for() {
            self.stand_in();
        }
        self.handle_message(bytes, owned, work);
    }

    /// Begins or ends the handling of what was read at once; only the runner does.
    #[inline]
    fn turn(&self) {
        let turns = self.runner_turns.load(Ordering::Relaxed);
        self.runner_turns.store(turns.wrapping_add(1), Ordering::Relaxed);
    }

    #[inline]
    fn handle_message(self: &Arc<Self>, bytes: &[u8], owned: Option<&Kept>, work: &mut Work<'_>) {
        let Work { peer, service, ref mut guard, .. } = *work;
        let parsed = owned.map_or_else(|| Envelope::parse(bytes), Kept::envelope);
        let message = match parsed {
            Ok(message) => message,
            Err(e) => {
                self.fault(e);
                return;
            }
        };
        guard.refresh(service.router.gate(), peer);
        if guard.is_metered() && !self.charge(&message, work) {
            return;
        }
        if let Some(judge) = &service.guarded
            && !self.passes(judge, &message, work)
        {
            return;
        }
        self.dispatch(&message, bytes, owned, work);
    }

    /// Handles a message that may be looked at.
    #[inline]
    fn dispatch(
        self: &Arc<Self>,
        message: &Envelope<'_>,
        bytes: &[u8],
        owned: Option<&Kept>,
        work: &mut Work<'_>,
    ) {
        let keep = || owned.cloned().unwrap_or_else(|| Bytes::copy_from_slice(bytes).into());
        let Head { kind, id, name, body, .. } = message.head;
        let Work { peer, service, ref mut last_event, ref mut guard, .. } = *work;
        match kind {
            // Over, and one call too many: its caller has been told that the outcome is unknown.
            Kind::Request if !self.may_start_calls() => {}
            Kind::Request => {
                if let Some(shadow) = self.shadow() {
                    let may_invoke = service.router.find(guard, name).is_some();
                    shadow.incoming(message, may_invoke);
                }
                let tail = owned.and_then(Kept::tail);
                self.handle_request(message, tail, keep, work);
            }
            Kind::Event => {
                if service.gate_events && !guard.may_emit(name) {
                    self.counts.ignored.fetch_add(1, Ordering::Relaxed);
                    service.router.refuse_to_emit(peer, name);
                    return;
                }
                let event = Event::new(name, body, message.body, self.codec, peer);
                let tail = owned.and_then(Kept::tail);
                let event = tail.map_or(event, |tail| event.owned_by(tail));
                let event = event.aimed_by(message.head.extension);
                let len = message.body.len();
                let deliver = || service.listeners.deliver(event, last_event);
                match service.layers.deliver(peer, &message.head, len, deliver) {
                    Ok(deaf) => {
                        for target in deaf {
                            self.unsubscribe_if_deaf(service, name, &target);
                        }
                    }
                    Err(_) => {
                        self.counts.ignored.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            Kind::Subscribe | Kind::Unsubscribe => match message.head.extension.only_target() {
                Ok(target) if kind == Kind::Subscribe => {
                    self.handle_subscribe(id, name, target, work);
                }
                Ok(target) => self.peer_listens.remove(name, target),
                Err(fault) => {
                    self.fault(fault);
                }
            },
            Kind::Cancel => {
                self.counts.cancels.fetch_add(1, Ordering::Relaxed);
                self.tokens.cancel(id);
            }
            Kind::Hello => {
                self.fault(PeerFault::new("hello", "a second one"));
            }
            // What a request has brought since, or nobody knows.
            Kind::Channel | Kind::ChannelEnd | Kind::ChannelCredit => {
                let incoming = Incoming::read(message);
                match incoming.and_then(|incoming| self.channels.receive(incoming, keep)) {
                    Ok(true) => {}
                    Ok(false) => {
                        self.counts.ignored.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(fault) => {
                        self.fault(fault);
                    }
                }
            }
            // Replies and goodbyes were handed out when they were read.
            _ => {
                self.counts.ignored.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Asks the guard; true if the message goes on as it is. If not, all is done.
    #[cold]
    fn passes(
        self: &Arc<Self>,
        judge: &Judge,
        message: &Envelope<'_>,
        work: &mut Work<'_>,
    ) -> bool {
        let Work { peer, service, patience, .. } = *work;
        let Head { kind, id, name, body, extension } = message.head;
        let name = match kind {
            Kind::Request | Kind::Event | Kind::Subscribe | Kind::Unsubscribe => name,
            Kind::Cancel => "",
            // Other threads read the messages of channels, too.
            _ => return true,
        };
        let seen = Seen { toward: Toward::Core, name, label: peer.label() };
        let text = match judge.judge(message, self.codec, seen) {
            Judged::Passes => return true,
            Judged::Rewritten(new) => {
                let rewritten = Kept::from(with_body(message, &new));
                let (len, max) = (rewritten.len(), self.limits.max_message_len);
                match rewritten.envelope() {
                    Ok(message) if len <= max => {
                        self.dispatch(&message, rewritten.bytes(), Some(&rewritten), work);
                        return false;
                    }
                    _ => format!("rewritten it is {len} bytes, the limit is {max}"),
                }
            }
            Judged::Refused(text) => text,
        };
        match kind {
            Kind::Request | Kind::Subscribe => {
                if let Err(fault) = self.declare_channels(id, extension, patience) {
                    self.fault(fault);
                    return false;
                }
                let states = service.router.states();
                let call = Call::new(id, name, body, message.body, peer, states)
                    .extended(extension, message.attachments);
                let call = if patience == Patience::None { call.never_blocking() } else { call };
                call.reject(&Rejection::ByGuard { text: text.into() });
            }
            // Nobody waits for an answer.
            _ => {
                self.counts.ignored.fetch_add(1, Ordering::Relaxed);
            }
        }
        false
    }

    #[inline]
    fn handle_request(
        self: &Arc<Self>,
        message: &Envelope<'_>,
        tail: Option<&Bytes>,
        keep: impl FnOnce() -> Kept,
        work: &Work<'_>,
    ) {
        let Work { peer, service, ref guard, patience, .. } = *work;
        let Head { id, name, body, extension, .. } = message.head;
        if !extension.is_empty()
            && let Err(fault) = self.declare_channels(id, extension, patience)
        {
            self.fault(fault);
            return;
        }
        let states = service.router.states();
        // Answered on this thread.
        let here = || {
            let mut call = Call::new(id, name, body, message.body, peer, states)
                .extended(extension, message.attachments);
            if let Some(tail) = tail {
                call = call.owned_by(tail);
            }
            if patience == Patience::None { call.never_blocking() } else { call }
        };
        let Routed { handler, scopes } = match service.router.route(guard, peer, name) {
            Ok(routed) => routed,
            Err(rejection) => {
                here().reject(&rejection);
                return;
            }
        };
        if !matches!(handler, Handler::Inline(_))
            && let Err(over) = guard.check_calls(self.calls_in_flight.load(Ordering::SeqCst))
        {
            here().reject(&service.router.refuse_over_quota(peer, Asked::Invoke, name, over));
            return;
        }
        let len = message.body.len() + message.attachments.len();
        let handling = match service.layers.handle(peer, &message.head, len) {
            Ok(handling) => handling,
            Err(rejection) => {
                here().reject(&rejection);
                return;
            }
        };
        match handler {
            Handler::Inline(run) => {
                let answered = AtomicBool::new(false);
                handling.run(run, here().scoped(scopes).answered_once(&answered));
            }
            Handler::Blocking(run) => {
                let running = Running::new(self, id, message.body.len());
                let mut call = OwnedCall::new(keep(), peer.clone(), Arc::clone(states))
                    .cancelled_by(running.token())
                    .scoped(scopes);
                blocking::unblock(move || {
                    handling.run(run, call.view());
                    call.answered();
                    drop(running);
                })
                .detach();
            }
            Handler::Async(start) => {
                let running = Running::new(self, id, message.body.len());
                let call = OwnedCall::new(keep(), peer.clone(), Arc::clone(states))
                    .cancelled_by(running.token())
                    .scoped(scopes);
                let call = handling.watch(call);
                let future = handling.around(start(call));
                service.executor.spawn(Box::pin(async move {
                    future.await;
                    drop(running);
                }));
            }
            _ => {}
        }
    }

    /// Notes the channels that a request brings, before its command or its answer can.
    fn declare_channels(
        &self,
        call: u64,
        extension: Extension<'_>,
        patience: Patience,
    ) -> Result<(), PeerFault> {
        for (id, credit) in extension.channels() {
            if !self.channels.declare(call, id, credit)? {
                self.channels.refuse(self, id, patience);
            }
        }
        Ok(())
    }

    fn handle_subscribe(
        &self,
        id: u64,
        name: &str,
        target: Option<EventTarget>,
        work: &mut Work<'_>,
    ) {
        let Work { peer, service, ref mut guard, patience, .. } = *work;
        let router = &service.router;
        let mut call = Call::new(id, name, BodyKind::Empty, &[], peer, router.states());
        if patience == Patience::None {
            call = call.never_blocking();
        }
        if let Err(e) = check_event_name(name) {
            call.refuse(tramline_core::error::codes::BAD_ARGUMENTS, &e.to_string());
            return;
        }
        // Under the lock: what `retain_listens` takes back does not come in behind it.
        let may = || {
            guard.refresh(router.gate(), peer);
            !service.gate_events || guard.may_listen(name)
        };
        match self.peer_listens.add_if(name, target, may) {
            Ok(true) => {}
            Ok(false) => {
                call.reject(&router.refuse_to_listen(peer, name));
                return;
            }
            Err(e) => {
                call.refuse(tramline_core::error::codes::DENIED, &e.to_string());
                return;
            }
        }
        let head = Head::new(Kind::Response, BodyKind::Empty, id, "");
        let sent = self.send_bytes(&head, &[], patience);
        if patience == Patience::None && matches!(sent, Err(SendError::Full)) {
            let (kind, body_kind, body) = (Kind::Response, BodyKind::Empty, RawBody::Borrowed(&[]));
            self.send_later(Later { kind, body_kind, id, name: "", body });
        }
    }

    /// Charges a message to the peer's quota; false if it is refused, and has been.
    #[cold]
    fn charge(&self, message: &Envelope<'_>, work: &mut Work<'_>) -> bool {
        let Work { peer, service, ref mut guard, patience, .. } = *work;
        let Head { kind, id, name, body, .. } = message.head;
        let len = message.head.len() + message.body.len() + message.attachments.len();
        let asked = match kind {
            Kind::Request => Asked::Invoke,
            Kind::Subscribe => Asked::Listen,
            Kind::Event => Asked::Emit,
            _ => {
                guard.charge_anyway(self.time.now(), len);
                return true;
            }
        };
        let Err(over) = guard.charge(self.time.now(), len) else { return true };
        let rejection = service.router.refuse_over_quota(peer, asked, name, over);
        if kind == Kind::Event {
            self.counts.ignored.fetch_add(1, Ordering::Relaxed);
        } else {
            let call = Call::new(id, name, body, message.body, peer, service.router.states());
            let call = if patience == Patience::None { call.never_blocking() } else { call };
            call.reject(&rejection);
        }
        false
    }

    /// Forgets what the peer listens to and may not any more.
    pub(crate) fn retain_listens(&self, may: impl Fn(&str) -> bool) {
        self.peer_listens.retain(may);
    }

    /// What a subscription says of its target.
    pub(crate) fn extension_of(&self, target: &EventTarget) -> Result<ExtensionBuf, ConfigError> {
        let mut extension = ExtensionBuf::default();
        if *target != self.own {
            extension.target(target)?;
        }
        Ok(extension)
    }

    /// Tells the peer if nobody here listens to this event as this any more. Best effort.
    pub(crate) fn unsubscribe_if_deaf(&self, service: &Service, name: &str, target: &EventTarget) {
        // Held while the message goes out: a listener added after the look subscribes after it.
        let _order = service.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        if !service.listeners.has(name, target)
            && let Ok(extension) = self.extension_of(target)
        {
            let head = Head::new(Kind::Unsubscribe, BodyKind::Empty, 0, name);
            let head = head.extended(extension.as_extension());
            let _ = self.send_bytes(&head, &[], Patience::SendTimeout);
        }
    }
}

/// What the runner works with.
struct Work<'a> {
    peer: &'a Peer,
    service: &'a Arc<Service>,
    last_event: &'a mut LastEvent,
    guard: &'a mut Guard,
    /// How long an answer that is given on this thread may wait for room.
    patience: Patience,
}

/// What a step does when nothing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfQuiet {
    /// Looks out for as long as that pays, then lets the peer know that this side sleeps.
    Spin,
    /// Nothing: the next look comes soon.
    Leave,
    /// Lets the peer know at once that this side sleeps.
    Sleep,
}

/// How a step ended.
pub(crate) enum Step {
    /// There is more to do, or may be.
    Busy,
    /// Nothing has come; nobody was told to ring ([`IfQuiet::Leave`]).
    Quiet,
    /// To be called again after this, and after [`Link::awake`].
    Asleep(WaitFor),
    /// The link is over, and everything that came before is handled.
    Over(LinkError),
}

/// What the runner keeps between two steps.
pub(crate) struct Runner {
    batch: Batch,
    last_event: LastEvent,
    /// What the peer may do.
    guard: Guard,
    pub(crate) if_quiet: IfQuiet,
    patience: Patience,
}

impl Runner {
    /// A runner that has not read yet. Answers that it gives itself wait for room as `patience`
    /// says.
    pub(crate) fn new(if_quiet: IfQuiet, patience: Patience) -> Self {
        let (batch, last_event) = (Batch::default(), LastEvent::default());
        Self { batch, last_event, guard: Guard::default(), if_quiet, patience }
    }
}

/// Reads in one go while nothing but replies comes. A choice: others may want to lead.
const BATCH_READS: u32 = 256;
/// Looks in a row that found a message at once, after which messages are said to flow.
const FLOW: u32 = 8;
/// While messages flow, how long to let more of them gather before handling what was read.
const GATHER_PAUSES: u32 = 64;
