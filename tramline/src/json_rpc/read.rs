//! The thread that reads what one client sends, and starts what it asks for.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tramline_compat_json::jsonrpc::{
    Control, Deframer, ErrorObject, Framing, Id, Incoming, Message, Received, codes,
    params_to_payload,
};
use tramline_core::acl::Asked;
use tramline_core::codec::AnyCodec;
use tramline_core::command::{Call, Handler, OwnedCall};
use tramline_core::envelope::{BodyKind, Envelope, Head, Kind};
use tramline_core::error::codes as core_codes;
use tramline_core::events::{Event, LastEvent};
use tramline_core::frame::Kept;
use tramline_core::gate::Guard;
use tramline_core::limits::{MAX_NAME_LEN, check_event_name};
use tramline_core::peer::{Peer, Port};
use tramline_core::router::Routed;
use tramline_core::{LinkError, PeerFault, Rejection, SendError};

use super::at_work::{Running, Slot};
use super::calls::{Batch, Waiting, Way};
use super::connection::Connection;
use crate::guard::{Judged, Seen, Toward};

/// Bytes that are read at a time. A choice: as much as a pipe of Linux holds.
const READ_LEN: usize = 64 << 10;

/// Blocks until the client is gone, or this side has hung up.
pub(super) type Gone = Box<dyn FnOnce() + Send>;

/// Reads one client's messages.
pub(super) struct Reader<'a> {
    pub(super) connection: &'a Arc<Connection>,
    pub(super) peer: &'a Peer,
    pub(super) last_event: LastEvent,
    /// What the client may do.
    pub(super) guard: Guard,
}

/// A request or a notification of a command.
struct Called<'m> {
    method: &'m str,
    params: Option<&'m str>,
}

impl Called<'_> {
    fn body(&self) -> (BodyKind, &[u8]) {
        match self.params {
            Some(params) => (BodyKind::Structured, params.as_bytes()),
            None => (BodyKind::Empty, &[]),
        }
    }

    /// The request as other peers send it, to keep.
    fn to_frame(&self, head: &Head<'_>) -> Kept {
        let (_, body) = self.body();
        [&head.to_bytes()[..], head.name.as_bytes(), body].concat().into()
    }
}

impl Reader<'_> {
    /// Reads until the connection is over, and sees to it that it is. `gone` blocks until the client
    /// reads no more either.
    pub(super) fn run(&mut self, reader: impl Read, gone: Option<Gone>) {
        let connection = self.connection;
        match self.read_all(reader) {
            Ok(()) => {
                connection.end_of_input();
                // The client says no more, but may still read.
                if let Some(gone) = gone.filter(|_| connection.calls.any_runs()) {
                    end_when(gone, connection);
                }
                connection.calls.wait_until_none(|| connection.over().is_some());
                connection.outgoing.close();
                if connection.outgoing.wait_until_drained() {
                    connection.end(LinkError::Closed);
                } else {
                    connection.close_stalled();
                }
            }
            Err(LinkError::Fault(fault)) => {
                let last_word = ErrorObject::new(fault.code()).text(&fault.to_string());
                self.refuse(Framing::Headers, Id::NULL, &last_word);
                connection.close(fault.into());
            }
            Err(error) => connection.end(error),
        }
    }

    fn read_all(&mut self, mut reader: impl Read) -> Result<(), LinkError> {
        let mut deframer = Deframer::new(self.connection.limits.max_message_len);
        let mut chunk = vec![0; READ_LEN];
        loop {
            let len = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(len) => len,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == ErrorKind::ConnectionReset => {
                    return Err(LinkError::PeerDied);
                }
                Err(e) => return Err(LinkError::os("reading", &e)),
            };
            let mut input = &chunk[..len];
            while let Some(received) = deframer.feed(&mut input)? {
                self.receive(received)?;
            }
        }
        match deframer.finish()? {
            Some(received) => self.receive(received),
            None => Ok(()),
        }
    }

    fn receive(&mut self, received: Received) -> Result<(), LinkError> {
        match self.connection.outgoing.wait_for_reader() {
            Ok(()) => {}
            Err(SendError::Link(error)) => return Err(error),
            Err(_) => {
                let stalled_ms = self.connection.limits.send_timeout_ms;
                return Err(LinkError::Stalled { stalled_ms });
            }
        }
        match received {
            Received::Message { framing, text } => self.handle(framing, &text)?,
            Received::TooLarge { framing, len } => {
                self.charge_anyway(usize::try_from(len).unwrap_or(usize::MAX));
                self.connection.set_framing(framing);
                let max = self.connection.limits.max_message_len;
                let words = format!("message is {len} bytes, the limit is {max}");
                let error = ErrorObject::new(codes::TOO_LARGE).text(&words);
                self.refuse(framing, Id::NULL, &error);
            }
        }
        Ok(())
    }

    fn refuse(&self, framing: Framing, id: Id<'_>, error: &ErrorObject) {
        let answer = error.response(id.json());
        let way = Way::Alone(framing);
        self.connection.respond(id.json(), &way, answer);
    }

    fn handle(&mut self, framing: Framing, text: &[u8]) -> Result<(), PeerFault> {
        self.connection.set_framing(framing);
        match Incoming::parse(text) {
            Incoming::One(message) => self.handle_one(message, &Way::Alone(framing), text.len())?,
            Incoming::Batch(messages) => {
                let open = messages.iter().filter(|message| message.wants_answer()).count();
                let Connection { limits, batched_len, .. } = &**self.connection;
                let way = Way::Batch(Batch::new(framing, open, limits, batched_len));
                // Each is charged its share.
                let len = text.len().div_ceil(messages.len().max(1));
                for message in messages {
                    self.handle_one(message, &way, len)?;
                }
            }
            Incoming::Refused(error) => {
                self.charge_anyway(text.len());
                self.refuse(framing, Id::NULL, &error);
            }
        }
        Ok(())
    }

    /// Charges a message of `len` bytes to the client's quota.
    fn charge(&mut self, asked: Asked, name: &str, len: usize) -> Result<(), Rejection> {
        self.refresh();
        if !self.guard.is_metered() {
            return Ok(());
        }
        let router = &self.connection.service.router;
        let charged = self.guard.charge(Instant::now(), len);
        charged.map_err(|over| router.refuse_over_quota(self.peer, asked, name, over))
    }

    /// Charges a message that cannot be refused.
    fn charge_anyway(&mut self, len: usize) {
        self.refresh();
        if self.guard.is_metered() {
            self.guard.charge_anyway(Instant::now(), len);
        }
    }

    fn refresh(&mut self) {
        self.guard.refresh(self.connection.service.router.gate(), self.peer);
    }

    /// Handles one message of `len` bytes.
    fn handle_one(&mut self, message: Message<'_>, way: &Way, len: usize) -> Result<(), PeerFault> {
        let connection = self.connection;
        match message {
            Message::Request { id, method, .. } if Control::is_method(&method) => {
                self.charge_anyway(len);
                let words = format!("{} is no request", shown(&method));
                let error = ErrorObject::new(core_codes::UNKNOWN_COMMAND).text(&words);
                let answer = error.response(id.json());
                connection.respond(id.json(), way, answer);
            }
            Message::Request { id, method, params } => {
                connection.trace(
                    || format!("Received request {} as {}.", shown(&method), id.json()),
                    params.map(str::as_bytes),
                );
                let called = Called { method: &method, params };
                let waiting = Waiting::Request { id: id.json().into(), way: way.clone() };
                if let Err(over) = self.charge(Asked::Invoke, &method, len) {
                    self.reject(&called, waiting, &over);
                    return Ok(());
                }
                let rewritten = match self.judge(Kind::Request, &method, params) {
                    Ok(rewritten) => rewritten,
                    Err(refused) => {
                        self.reject(&called, waiting, &refused);
                        return Ok(());
                    }
                };
                let called = Called { params: rewritten.as_deref().or(params), ..called };
                match connection.wait_for_slot() {
                    Slot::Free => self.start(&called, waiting),
                    Slot::Refused => {
                        let words = "the calls at work wait for what comes behind this one";
                        let error = ErrorObject::new(codes::TOO_MANY_CALLS).text(words);
                        connection.respond(id.json(), way, error.response(id.json()));
                    }
                    Slot::Over => {}
                }
            }
            Message::Notification { method, params } if Control::is_method(&method) => {
                return self.control(Control::read(&method, params), len);
            }
            Message::Notification { method, params } => {
                let details = params.map(str::as_bytes);
                connection.trace(|| format!("Received {}.", shown(&method)), details);
                self.refresh();
                let is_call = connection.service.router.find(&self.guard, &method).is_some();
                let asked = if is_call { Asked::Invoke } else { Asked::Emit };
                if self.charge(asked, &method, len).is_err() {
                    self.ignore();
                    return Ok(());
                }
                let (kind, body) = match params {
                    Some(params) if is_call => (Kind::Request, Some(params)),
                    Some(params) => (Kind::Event, Some(params_to_payload(params))),
                    None if is_call => (Kind::Request, None),
                    None => (Kind::Event, None),
                };
                let Ok(rewritten) = self.judge(kind, &method, body) else {
                    self.ignore();
                    return Ok(());
                };
                let body = rewritten.as_deref().or(body);
                if !is_call {
                    self.event(&method, body);
                    return Ok(());
                }
                match connection.wait_for_slot() {
                    Slot::Free => {
                        let called = Called { method: &method, params: body };
                        self.start(&called, Waiting::Notification);
                    }
                    Slot::Refused => self.ignore(),
                    Slot::Over => {}
                }
            }
            // This side asks its clients nothing.
            Message::Response => {
                self.charge_anyway(len);
                self.ignore();
            }
            Message::Invalid { id, why } => {
                self.charge_anyway(len);
                let answer = ErrorObject::new(codes::INVALID_REQUEST).text(why).response(id.json());
                connection.respond(id.json(), way, answer);
            }
        }
        Ok(())
    }

    fn ignore(&self) {
        self.connection.counts.ignored.fetch_add(1, Ordering::Relaxed);
    }

    fn control(&mut self, control: Control<'_>, len: usize) -> Result<(), PeerFault> {
        let connection = self.connection;
        if let Control::Listen(event) = &control {
            if self.charge(Asked::Listen, event, len).is_err()
                || self.judge(Kind::Subscribe, event, None).is_err()
            {
                self.ignore();
            } else if !connection.listen(event) {
                // Nobody waits for an answer.
                let _ = connection.service.router.refuse_to_listen(self.peer, event);
                self.ignore();
            }
            return Ok(());
        }
        self.charge_anyway(len);
        let judged = match &control {
            Control::Cancel(_) => self.judge(Kind::Cancel, "", None),
            Control::Unlisten(event) => self.judge(Kind::Unsubscribe, event, None),
            _ => Ok(None),
        };
        if judged.is_err() {
            self.ignore();
            return Ok(());
        }
        match control {
            Control::Cancel(id) => {
                for taken in connection.calls.take_by_id(id.json()) {
                    connection.counts.cancels.fetch_add(1, Ordering::Relaxed);
                    connection.cancel(taken.number);
                    if let Waiting::Request { id, way } = &taken.waiting {
                        let answer = ErrorObject::new(codes::CANCELLED).response(id);
                        connection.respond(id, way, answer);
                    }
                }
            }
            Control::SetTrace(trace) => connection.set_trace(trace),
            Control::Unlisten(event) => connection.unlisten(&event),
            Control::Progress { token, value } => {
                self.expected(connection.receive_progress(token, value)?);
            }
            Control::ProgressEnd { token, error } => {
                self.expected(connection.receive_progress_end(token, error)?);
            }
            _ => self.ignore(),
        }
        Ok(())
    }

    /// Counts what meant nothing.
    fn expected(&self, meant_something: bool) {
        if !meant_something {
            self.ignore();
        }
    }

    fn event(&mut self, name: &str, payload: Option<&str>) {
        let service = &self.connection.service;
        if check_event_name(name).is_err() {
            // No event: a command that there is not, or that the client may not run.
            let _ = service.router.route(&self.guard, self.peer, name);
            self.ignore();
            return;
        }
        if !self.guard.may_emit(name) {
            service.router.refuse_to_emit(self.peer, name);
            self.ignore();
            return;
        }
        let (kind, payload) = match payload {
            Some(payload) => (BodyKind::Structured, payload.as_bytes()),
            None => (BodyKind::Empty, &[][..]),
        };
        let event = Event::new(name, kind, payload, AnyCodec::JSON, self.peer);
        let head = Head::new(Kind::Event, kind, 0, name);
        let Self { peer, ref mut last_event, .. } = *self;
        let deliver = || service.listeners.deliver(event, last_event);
        if service.layers.deliver(peer, &head, payload.len(), deliver).is_err() {
            self.ignore();
        }
    }

    /// Asks the server's guard, if it has one; what it puts in place of the body.
    fn judge(
        &self,
        kind: Kind,
        name: &str,
        body: Option<&str>,
    ) -> Result<Option<String>, Rejection> {
        let Some(judge) = &self.connection.service.guarded else { return Ok(None) };
        let body_kind = if body.is_some() { BodyKind::Structured } else { BodyKind::Empty };
        let body = body.unwrap_or_default().as_bytes();
        let message =
            Envelope { head: Head::new(kind, body_kind, 0, name), body, attachments: &[] };
        let seen = Seen { toward: Toward::Core, name, label: self.peer.label() };
        match judge.judge(&message, AnyCodec::JSON, seen) {
            Judged::Passes => Ok(None),
            Judged::Rewritten(body) => String::from_utf8(body)
                .map(Some)
                .map_err(|_| Rejection::ByGuard { text: "the guard's words are no text".into() }),
            Judged::Refused(text) => Err(Rejection::ByGuard { text: text.into() }),
        }
    }

    /// Answers a command that is not started.
    fn reject(&self, called: &Called<'_>, waiting: Waiting, rejection: &Rejection) {
        let states = self.connection.service.router.states();
        let number = self.connection.calls.add(waiting);
        let (body_kind, body) = called.body();
        Call::new(number, called.method, body_kind, body, self.peer, states).reject(rejection);
    }

    /// Starts a command the way it wants to be run, as for every other peer.
    fn start(&mut self, called: &Called<'_>, waiting: Waiting) {
        // There may have been a wait.
        self.refresh();
        let Self { connection, peer, guard, .. } = self;
        let id_len = if let Waiting::Request { id, .. } = &waiting { id.len() } else { 0 };
        let (router, states) = (&connection.service.router, connection.service.router.states());
        let number = connection.calls.add(waiting);
        let (body_kind, body) = called.body();
        let call = Call::new(number, called.method, body_kind, body, peer, states);
        let Routed { handler, scopes } = match router.route(guard, peer, called.method) {
            Ok(routed) => routed,
            Err(rejection) if called.method.len() > MAX_NAME_LEN => {
                let len = called.method.len();
                let words = format!("the method is {len} bytes, the limit is {MAX_NAME_LEN}");
                call.refuse(rejection.code(), &words);
                return;
            }
            Err(rejection) => {
                call.reject(&rejection);
                return;
            }
        };
        if !matches!(handler, Handler::Inline(_))
            && let Err(over) = guard.check_calls(connection.running_calls())
        {
            let asked = Asked::Invoke;
            call.reject(&router.refuse_over_quota(peer, asked, called.method, over));
            return;
        }
        let head = Head::new(Kind::Request, body_kind, number, called.method);
        let handling = match connection.service.layers.handle(peer, &head, body.len()) {
            Ok(handling) => handling,
            Err(rejection) => {
                call.reject(&rejection);
                return;
            }
        };
        let own = |running: &Running| {
            OwnedCall::new(called.to_frame(&head), (*peer).clone(), Arc::clone(states))
                .cancelled_by(running.token())
                .scoped(scopes)
        };
        match handler {
            Handler::Inline(run) => {
                let answered = AtomicBool::new(false);
                let call = call.scoped(scopes).answered_once(&answered);
                connection.run_inline(number, || handling.run(run, call));
            }
            Handler::Blocking(run) => {
                let running = connection.running(number, body.len() + id_len);
                let mut call = own(&running);
                connection.run_later(Box::new(move || {
                    handling.run(run, call.view());
                    call.answered();
                    drop(running);
                }));
            }
            Handler::Async(start) => {
                let running = connection.running(number, body.len() + id_len);
                let call = handling.watch(own(&running));
                let future = handling.around(start(call));
                connection.service.executor.spawn(Box::pin(async move {
                    future.await;
                    drop(running);
                }));
            }
            _ => {}
        }
    }
}

/// Ends a connection whose client neither sends nor reads any more, although calls of it run.
fn end_when(gone: Gone, connection: &Arc<Connection>) {
    let connection = Arc::clone(connection);
    // Without a thread the calls are waited for. It ends with the connection, if not before.
    let _ = std::thread::Builder::new().name("tramline-gone".into()).spawn(move || {
        gone();
        connection.end(LinkError::PeerDied);
    });
}

/// A name as words for people, who need no more of it.
fn shown(method: &str) -> &str {
    let end = method.char_indices().nth(64).map_or(method.len(), |(at, _)| at);
    &method[..end]
}
