//! One JSON-RPC client: what the server knows of it, and how messages leave.

use std::collections::HashSet;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use tramline_compat_json::jsonrpc::{
    ErrorObject, Framing, Trace, body_to_json, log_trace, notification, result_response,
};
use tramline_compat_json::{Integers, JsonForm, to_json_with};
use tramline_core::acl::EventRights;
use tramline_core::channel::{Channels, Token};
use tramline_core::envelope::{BodyKind, Head, Kind};
use tramline_core::error::codes;
use tramline_core::frame::Written;
use tramline_core::limits::{MAX_SUBSCRIPTIONS, check_event_name};
use tramline_core::peer::{Fill, Later, Patience, Port, Work, Working, send_body};
use tramline_core::{AnyCodec, EncodeError, FrameWriter, Limits, LinkError, SendError};

use super::at_work::AtWork;
use super::calls::{Calls, Waiting, Way};
use super::channels::Tokens;
use super::outgoing::Outgoing;
use crate::layer::Leaving;
use crate::link::Service;

/// How long an ordinary close may wait for what is on its way out. A choice: the same as for other
/// peers' goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

/// Bytes of params and results that a verbose trace shows. A choice: a page on a screen.
const TRACED_LEN: usize = 1024;

/// Ends the transport below, from any thread.
pub(super) type HangUp = Box<dyn Fn() + Send + Sync>;

/// What happened on one connection, for people.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Cancels for calls that had no answer yet.
    pub(super) cancels: AtomicU64,
    /// Answers nobody waited for, events the client may not emit, messages of channels that are over
    /// or never were, unknown `$/` notifications, calls that were refused a place and wanted no
    /// answer.
    pub(super) ignored: AtomicU64,
}

pub(crate) struct Connection {
    pub(super) me: Weak<Connection>,
    pub(super) service: Arc<Service>,
    pub(super) limits: Limits,
    pub(super) outgoing: Outgoing,
    pub(super) calls: Calls,
    /// Bytes of answers that wait for the rest of their batch.
    pub(super) batched_len: Arc<AtomicUsize>,
    /// What the client is sent for integers that JavaScript would round.
    integers: Integers,
    hang_up: HangUp,
    /// The framing of the client's last message: [`NOTHING_YET`], or a [`Framing`] and one.
    framing: AtomicU8,
    trace: AtomicU8,
    hears: RwLock<Hears>,
    pub(super) at_work: AtWork,
    pub(super) channels: Channels,
    pub(super) leaving: Leaving,
    pub(super) tokens: Tokens,
    /// The call that runs on the thread that reads, or [`NO_CALL`].
    inline_call: AtomicU64,
    pub(super) counts: Counts,
}

const NO_CALL: u64 = u64::MAX;
/// The events that go to a client.
#[derive(Default)]
struct Hears {
    /// Those it may listen to.
    rights: EventRights,
    /// Those it chose; `None` for all it may listen to.
    chosen: Option<HashSet<Box<str>>>,
}

/// Nobody knows how to frame anything for the client.
const NOTHING_YET: u8 = 0;
const LINES: u8 = 1;
const HEADERS: u8 = 2;

impl Connection {
    pub(super) fn new(
        service: Arc<Service>,
        limits: Limits,
        integers: Integers,
        hang_up: HangUp,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            service,
            limits,
            outgoing: Outgoing::new(&limits),
            calls: Calls::default(),
            batched_len: Arc::default(),
            integers,
            hang_up,
            framing: AtomicU8::new(NOTHING_YET),
            trace: AtomicU8::new(Trace::Off as u8),
            hears: RwLock::default(),
            at_work: AtWork::default(),
            channels: Channels::new(AnyCodec::JSON, &limits),
            leaving: Leaving::default(),
            tokens: Tokens::default(),
            inline_call: AtomicU64::new(NO_CALL),
            counts: Counts::default(),
        })
    }

    /// Writes until the connection is over.
    pub(super) fn write_to(&self, mut writer: impl Write) {
        let mut text = Vec::new();
        while self.outgoing.next(&mut text) {
            let mut written = Ok(());
            for part in Outgoing::parts(&text) {
                written = writer.write_all(part).and_then(|()| writer.flush());
                if written.is_err() {
                    break;
                }
                self.outgoing.wrote(part.len());
                self.unpark();
            }
            if let Err(e) = written {
                self.end(match e.kind() {
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => LinkError::PeerDied,
                    _ => LinkError::os("writing", &e),
                });
            }
        }
    }

    /// Ends the connection now. The first reason stays.
    pub(super) fn end(&self, error: LinkError) {
        let ended = error.clone();
        if self.outgoing.end(error) {
            self.calls.forget_all();
            self.at_work.connection_is_over();
            self.channels.end_all(&ended);
            (self.hang_up)();
        }
    }

    pub(super) fn over(&self) -> Option<LinkError> {
        self.outgoing.over()
    }

    /// Runs a short command on the thread that reads.
    pub(super) fn run_inline(&self, call: u64, run: impl FnOnce()) {
        // Relaxed: whoever asks for this call runs it.
        self.inline_call.store(call, Ordering::Relaxed);
        run();
        self.inline_call.store(NO_CALL, Ordering::Relaxed);
    }

    pub(super) fn is_inline(&self, call: u64) -> bool {
        self.inline_call.load(Ordering::Relaxed) == call
    }

    /// Closes all of them in hardly more time than one.
    pub(super) fn close_all<'a>(
        connections: impl Iterator<Item = &'a Arc<Self>> + Clone,
        reason: &LinkError,
    ) {
        connections.clone().for_each(|connection| connection.outgoing.close());
        let until = Instant::now() + CLOSE_TIMEOUT;
        for connection in connections {
            connection.outgoing.wait_until_drained_by(until);
            connection.end(reason.clone());
        }
    }
}

/// What the client says of itself.
impl Connection {
    pub(super) fn set_framing(&self, framing: Framing) {
        let number = match framing {
            Framing::Lines => LINES,
            Framing::Headers => HEADERS,
        };
        // Relaxed: a client that changes it takes what is on its way as it comes.
        self.framing.store(number, Ordering::Relaxed);
    }

    fn framing(&self) -> Option<Framing> {
        match self.framing.load(Ordering::Relaxed) {
            LINES => Some(Framing::Lines),
            HEADERS => Some(Framing::Headers),
            _ => None,
        }
    }

    pub(super) fn set_trace(&self, trace: Trace) {
        self.trace.store(trace as u8, Ordering::Relaxed);
    }

    /// What the client may listen to from now on. What it may not is forgotten.
    pub(super) fn may_listen(&self, rights: EventRights) {
        let mut hears = self.hears.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = &mut hears.chosen {
            names.retain(|name| rights.allow(name));
        }
        hears.rights = rights;
    }

    /// Listens to this event, and from the first one on only to those that were asked for; false if
    /// the client may not.
    pub(super) fn listen(&self, event: &str) -> bool {
        if check_event_name(event).is_err() {
            return true;
        }
        let mut hears = self.hears.write().unwrap_or_else(PoisonError::into_inner);
        let Hears { rights, chosen } = &mut *hears;
        let names = chosen.get_or_insert_default();
        let may = rights.allow(event);
        if may && names.len() < MAX_SUBSCRIPTIONS {
            names.insert(event.into());
        }
        may
    }

    /// A client that hears everything has chosen nothing that it could give up.
    pub(super) fn unlisten(&self, event: &str) {
        let mut hears = self.hears.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = &mut hears.chosen {
            names.remove(event);
        }
    }

    /// Tells the client, if it wants to know, what happened. Dropped if there is no room.
    pub(super) fn trace(&self, what: impl FnOnce() -> String, details: Option<&[u8]>) {
        let trace = self.trace.load(Ordering::Relaxed);
        let Some(framing) = self.framing().filter(|_| trace != Trace::Off as u8) else { return };
        let details = details.filter(|_| trace == Trace::Verbose as u8);
        let details =
            details.map(|json| String::from_utf8_lossy(&json[..json.len().min(TRACED_LEN)]));
        let text = framing.frame(log_trace(&what(), details.as_deref()));
        let _ = self.outgoing.push(text, Patience::None);
    }
}

/// Answers.
impl Connection {
    /// Gives a request its answer. Neither blocks nor fails.
    pub(super) fn respond(&self, id: &str, way: &Way, answer: Vec<u8>) {
        self.trace(|| format!("Sending the answer to {id}."), Some(&answer));
        let (framing, answer) = match way {
            Way::Alone(framing) => (*framing, answer),
            Way::Batch(batch) => match batch.add(id, &answer) {
                Some(answers) => (batch.framing(), answers),
                None => return,
            },
        };
        self.push_always(framing.frame(answer));
    }

    /// Sends what must not be lost, room or not.
    pub(super) fn push_always(&self, text: Vec<u8>) {
        // Once it is over nobody is left to be told.
        let _ = self.outgoing.push_answer(text, || self.watch());
    }

    /// Sees on a thread of its own whether the client goes on reading: an answer cannot be dropped,
    /// so a client that takes none ends its connection.
    fn watch(&self) {
        let Some(connection) = self.me.upgrade() else { return };
        let watching = std::thread::Builder::new().name("tramline-stall".into()).spawn(move || {
            if let Err(SendError::Full) = connection.outgoing.watch() {
                connection.close_stalled();
            }
        });
        if watching.is_err() {
            // Nobody would ever notice.
            self.close_stalled();
        }
    }

    /// Writes a message and queues it.
    fn push(&self, head: &Head<'_>, fill: Fill<'_>, patience: Patience) -> Result<(), SendError> {
        if let Some(error) = self.over() {
            return Err(error.into());
        }
        let message = match head.kind {
            Kind::Response | Kind::Error => return self.answer(head, fill),
            Kind::Event | Kind::Channel | Kind::ChannelEnd | Kind::ChannelCredit => {
                self.encode(head.body, fill)?
            }
            // Hello and subscriptions have no counterpart.
            _ => return Ok(()),
        };
        // A client that has said nothing yet hears nothing.
        let Some(framing) = self.framing() else { return Ok(()) };
        if head.kind == Kind::ChannelCredit {
            self.tell_credit(head.id, framing, &message);
            return Ok(());
        }
        let json = body_to_json(head.body, &message);
        self.check_len(json.len())?;
        let text = match head.kind {
            Kind::ChannelEnd => {
                self.tell_channel_end(head, framing, &json);
                return Ok(());
            }
            // What was under way when the client ended it goes nowhere.
            Kind::Channel => match self.progress_of(head.id, &json) {
                Some(text) => text,
                None => return Ok(()),
            },
            _ => notification(head.name, &json),
        };
        self.outgoing.push(framing.frame(text), patience)
    }

    /// A command's result or error.
    fn answer(&self, head: &Head<'_>, fill: Fill<'_>) -> Result<(), SendError> {
        match self.calls.is_wanted(head.id) {
            Some(true) => {}
            Some(false) => {
                self.calls.take(head.id);
                return Ok(());
            }
            // Cancelled meanwhile.
            None => return Ok(()),
        }
        let body = self.encode(head.body, fill)?;
        let json = body_to_json(head.body, &body);
        self.check_len(json.len())?;
        let taken = self.calls.take(head.id);
        if let Some(Waiting::Request { id, way }) = taken.as_ref().map(|taken| &taken.waiting) {
            let answer = match head.kind {
                Kind::Error => error_object(head.name, &json).response(id),
                _ => result_response(id, &json),
            };
            self.respond(id, way, answer);
        }
        Ok(())
    }

    fn encode(&self, body: BodyKind, fill: Fill<'_>) -> Result<Vec<u8>, SendError> {
        let mut writer = FrameWriter::new(&mut [], self.limits.max_message_len);
        let filled = fill(AnyCodec::JSON, &mut writer);
        if let Some(len) = writer.overflow() {
            return Err(SendError::TooLarge { len, max: self.limits.max_message_len });
        }
        filled?;
        let bytes = match writer.finish() {
            Written::InPlace { .. } => Vec::new(),
            Written::Spilled { bytes } => bytes,
        };
        if body != BodyKind::Structured || self.integers == Integers::Exact {
            return Ok(bytes);
        }
        let form = JsonForm { integers: self.integers, ..JsonForm::default() };
        let text = to_json_with(AnyCodec::JSON, &bytes, form);
        Ok(text.map_err(|e| EncodeError::new(e.codec, e.cause))?.into_bytes())
    }

    fn check_len(&self, len: usize) -> Result<(), SendError> {
        let max = self.limits.max_message_len;
        if len > max { Err(SendError::TooLarge { len, max }) } else { Ok(()) }
    }
}

/// What an error says: the command's own value, or our words.
pub(super) fn error_object(code: &str, json: &[u8]) -> ErrorObject {
    let error = ErrorObject::new(code);
    if [codes::COMMAND_FAILED, codes::CHANNEL_FAILED].contains(&code) {
        return error.value(json);
    }
    match serde_json::from_slice::<String>(json) {
        Ok(words) => error.text(&words),
        Err(_) => error,
    }
}

impl Port for Connection {
    fn send(
        &self,
        head: &Head<'_>,
        _body_len: usize,
        fill: Fill<'_>,
        patience: Patience,
    ) -> Result<(), SendError> {
        self.leaving.pass(head, || self.push(head, fill, patience))
    }

    fn send_later(&self, message: Later) {
        // Answers find their own way to wait (`respond`), so nothing is left for this one.
        let Later { kind, body_kind, id, name, body } = message;
        let head = Head::new(kind, body_kind, id, name);
        let _ = send_body(self, &head, &body, Patience::None);
    }

    fn peer_listens(&self, event: &str) -> bool {
        if self.framing().is_none() {
            return false;
        }
        let hears = self.hears.read().unwrap_or_else(PoisonError::into_inner);
        let Hears { rights, chosen } = &*hears;
        chosen.as_ref().is_none_or(|names| names.contains(event)) && rights.allow(event)
    }

    fn channels(&self) -> Option<&Channels> {
        Some(&self.channels)
    }

    fn channel_of_token(
        &self,
        call: u64,
        token: &Token,
        peer_reads: bool,
    ) -> Option<Result<u32, String>> {
        Some(self.add_channel(call, token, peer_reads))
    }

    fn someone_waits(&self) {
        self.at_work.look_again();
    }

    fn elsewhere(&self, work: Work) -> Working {
        Box::pin(blocking::unblock(work))
    }

    fn close(&self, reason: LinkError) {
        if let Some(connection) = self.me.upgrade() {
            Self::close_all([&connection].into_iter(), &reason);
        }
    }

    fn cut_off(&self, reason: LinkError) {
        self.end(reason);
    }

    fn close_stalled(&self) {
        self.end(LinkError::Stalled { stalled_ms: self.limits.send_timeout_ms });
    }
}
