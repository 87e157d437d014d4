//! One type per outcome, sorted by who can do something about it.
//!
//! Every error has a fixed [`code`](LinkError::code): logs, the JSON view and other languages agree
//! on it. The codes are listed in `docs/ERRORS.md`.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use crate::acl::AclError;
use crate::codec::AnyCodec;
use crate::envelope::{BodyKind, Kind};

/// The fixed codes that travel in an `ERROR` message.
pub mod codes {
    /// The command is not registered.
    pub const UNKNOWN_COMMAND: &str = "unknown-command";
    /// The peer may not do this.
    pub const DENIED: &str = "capability-denied";
    /// The peer asks for more than its quota.
    pub const OVER_QUOTA: &str = "over-quota";
    /// A guard between the peers, or in front of the server, said no.
    pub const GUARD_REFUSED: &str = "guard-refused";
    /// A missing or mistyped argument.
    pub const BAD_ARGUMENTS: &str = "bad-arguments";
    /// The command ran and returned `Err`.
    pub const COMMAND_FAILED: &str = "command-failed";
    /// The command panicked.
    pub const HANDLER_PANICKED: &str = "handler-panicked";
    /// The command ended without an answer, for example because its executor stopped.
    pub const HANDLER_DROPPED: &str = "handler-dropped";
    /// The command's result could not be encoded.
    pub const RESULT_NOT_ENCODABLE: &str = "result-not-encodable";
    /// The reply is larger than the caller accepts.
    pub const RESULT_TOO_LARGE: &str = "result-too-large";
    /// The peer speaks another protocol version.
    pub const VERSION_REFUSED: &str = "version-refused";
    /// The server has no codec of that name.
    pub const CODEC_REFUSED: &str = "codec-refused";
    /// A hello that cannot be understood.
    pub const BAD_HELLO: &str = "bad-hello";
    /// The server serves as many peers as it may.
    pub const TOO_MANY_PEERS: &str = "too-many-peers";
    /// The server's connect policy does not admit this peer.
    pub const PEER_REFUSED: &str = "peer-refused";
    /// The sending end of a channel said that it failed.
    pub const CHANNEL_FAILED: &str = "channel-failed";
    /// The call that brought a channel ended, and its command had not taken the channel.
    pub const CHANNEL_NOT_TAKEN: &str = "channel-not-taken";
    /// The peer has as many channels on this connection as it may.
    pub const TOO_MANY_CHANNELS: &str = "too-many-channels";
    /// An ordinary end of the connection.
    pub const CLOSED: &str = "closed";
}

/// You passed something that can never work. Fix the code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An endpoint that cannot be read.
    #[error("endpoint `{endpoint}` is not usable: {why}")]
    Endpoint {
        /// What was passed.
        endpoint: Box<str>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two commands under one name.
    #[error("command `{name}` is registered twice")]
    DuplicateCommand {
        /// The name both use.
        name: Box<str>,
    },
    /// A command name that does not fit the envelope.
    #[error("command name `{name}` is {len} bytes, the limit is {max}")]
    CommandName {
        /// The name.
        name: Box<str>,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// An event name with a character outside Tauri's set, or too long.
    #[error("{}", bad_event_name(name, *max))]
    EventName {
        /// The name.
        name: Box<str>,
        /// The limit in bytes.
        max: usize,
    },
    /// A label that is too long to listen as.
    #[error("label is {len} bytes, the limit is {max}")]
    Label {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A second codec under one name.
    #[error("codec `{name}` is offered twice")]
    DuplicateCodec {
        /// The name both use.
        name: &'static str,
    },
    /// A command with a type that a codec cannot carry.
    #[error("codec `{codec}` cannot carry command `{command}`, {place}: {why}")]
    NotCarried {
        /// The codec's name.
        codec: &'static str,
        /// The command.
        command: Box<str>,
        /// Which argument, or the result or error, and where in it.
        place: Box<str>,
        /// What stands in the way.
        why: Box<str>,
    },
    /// This process was not started as a sidecar.
    #[error("this process has no parent link: {why}")]
    NoParent {
        /// What is missing.
        why: &'static str,
    },
    /// A limit outside its range.
    #[error("{what} is {found}, allowed is {min} to {max}")]
    Limit {
        /// Which limit, with its unit.
        what: &'static str,
        /// What was passed.
        found: u64,
        /// Smallest allowed value.
        min: u64,
        /// Largest allowed value.
        max: u64,
    },
    /// Capabilities that cannot be read, or that say what can never be meant.
    #[error("capabilities: {0}")]
    Capabilities(#[from] AclError),
}

/// Tauri's words where Tauri refuses the name, too.
fn bad_event_name(name: &str, max: usize) -> String {
    match name.len() {
        len if len > max => format!("event name is {len} bytes, the limit is {max}"),
        _ => format!("only alphanumeric, '-', '/', ':', '_' permitted for event names: {name:?}"),
    }
}

impl ConfigError {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Endpoint { .. } => "bad-endpoint",
            Self::DuplicateCommand { .. } => "duplicate-command",
            Self::CommandName { .. } => "bad-command-name",
            Self::EventName { .. } => "bad-event-name",
            Self::Label { .. } => "bad-label",
            Self::DuplicateCodec { .. } => "duplicate-codec",
            Self::NotCarried { .. } => "type-not-carried",
            Self::NoParent { .. } => "no-parent",
            Self::Limit { .. } => "limit-out-of-range",
            Self::Capabilities(_) => "bad-capabilities",
        }
    }
}

/// No connection came about: nobody there, wrong version, no permission.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody serves this endpoint.
    #[error("nobody serves `{endpoint}`")]
    NotFound {
        /// The endpoint that was tried.
        endpoint: Box<str>,
    },
    /// Another process serves this endpoint already.
    #[error("`{endpoint}` is served by another process")]
    InUse {
        /// The endpoint.
        endpoint: Box<str>,
    },
    /// The peer belongs to another user.
    #[error("the peer runs as user {found}, allowed is {expected}")]
    PeerUser {
        /// The peer's user id.
        found: u32,
        /// The user id that may connect.
        expected: u32,
    },
    /// The two sides speak different protocol versions.
    #[error("the peer speaks protocol version {found}, this build speaks {supported}")]
    Version {
        /// The peer's version.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// The other side said no, with its reason.
    #[error("the peer refused the connection: {text} ({code})")]
    Refused {
        /// The fixed code, see `docs/ERRORS.md`.
        code: Box<str>,
        /// The peer's words.
        text: Box<str>,
    },
    /// The wanted transport cannot be had here.
    #[error("transport `{transport}` cannot be had: {why}")]
    Transport {
        /// The transport that was asked for.
        transport: &'static str,
        /// What stands in the way.
        why: Box<str>,
    },
    /// The peer broke the handshake.
    #[error("handshake refused at {at}: {what}")]
    Handshake {
        /// Which step.
        at: &'static str,
        /// What was found.
        what: Box<str>,
    },
    /// The peer did not finish the handshake in time.
    #[error("the peer did not finish the handshake within {timeout_ms} ms")]
    TimedOut {
        /// The limit in milliseconds.
        timeout_ms: u64,
    },
    /// The operating system refused a step.
    #[error("{step} failed")]
    Os {
        /// What was tried.
        step: &'static str,
        /// The system's answer.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The link ended before it was open.
    #[error("the link ended before it was open")]
    Link(#[from] LinkError),
    /// What was passed can never work.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl ConnectError {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::InUse { .. } => "endpoint-in-use",
            Self::PeerUser { .. } => "peer-user-refused",
            Self::Version { .. } => codes::VERSION_REFUSED,
            Self::Refused { .. } => "connection-refused",
            Self::Transport { .. } => "transport-unavailable",
            Self::Handshake { .. } => "handshake-refused",
            Self::TimedOut { .. } => "handshake-timeout",
            Self::Os { .. } => "os-error",
            Self::Link(link) => link.code(),
            Self::Config(config) => config.code(),
        }
    }

    /// An operating system's refusal of `step`.
    #[must_use]
    pub fn os(step: &'static str, source: std::io::Error) -> Self {
        Self::Os { step, source: Arc::new(source) }
    }
}

/// The message was not sent.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No room now, and none came within the send timeout. The value is still yours.
    #[error("the link has no room for this message now")]
    Full,
    /// It will never fit.
    #[error("message is {len} bytes, the limit is {max}")]
    TooLarge {
        /// Bytes needed; at least this many.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The value cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The name cannot be sent.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nobody reads this channel any more: its reader is gone, or the channel has ended.
    #[error("nobody reads this channel any more")]
    ChannelClosed,
    /// A layer of this side refused the message. Nothing of it has gone.
    #[error(transparent)]
    Refused(#[from] Rejection),
    /// The link is over.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl SendError {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full => "link-full",
            Self::TooLarge { .. } => "message-too-large",
            Self::Encode(e) => e.code(),
            Self::Config(e) => e.code(),
            Self::ChannelClosed => "channel-closed",
            Self::Refused(e) => e.code(),
            Self::Link(e) => e.code(),
        }
    }
}

/// What came out of a channel instead of a message.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The channel ended with an error: the sending end said so, its command panicked, or no command
    /// took the channel. It was the last one.
    #[error(transparent)]
    Failed(#[from] HandlerFailure),
    /// The message is not what the reader expects. The next one may be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The link ended before the channel did. It was the last one.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl RecvError {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Failed(e) => e.code(),
            Self::Decode(e) => e.code(),
            Self::Link(e) => e.code(),
        }
    }
}

/// A value that its codec cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be encoded as {codec}: {}{cause}", self.what(), Place(None, path))]
#[non_exhaustive]
pub struct EncodeError {
    /// The codec's name.
    pub codec: &'static str,
    /// What it was part of, as ``arguments of command `add` ``; empty if it was no message.
    pub message: Box<str>,
    /// Which part of the value: `.rows[3].price`. Empty for all of it, or if the codec does not say.
    pub path: Box<str>,
    /// The codec's own words.
    pub cause: Box<str>,
}

impl EncodeError {
    /// Wraps a codec's refusal.
    #[must_use]
    pub fn new(codec: &'static str, cause: impl fmt::Display) -> Self {
        Self::within(codec, cause.to_string().into(), Box::default())
    }

    /// A codec's refusal of a part.
    pub(crate) fn within(codec: &'static str, cause: Box<str>, path: Box<str>) -> Self {
        Self { codec, message: Box::default(), path, cause }
    }

    /// The same, as part of a message: a caller learns which of its calls it was.
    #[cold]
    #[must_use]
    pub fn in_message(mut self, kind: Kind, name: &str) -> Self {
        match kind {
            Kind::Request => self.message = format!("arguments of command `{name}`").into(),
            Kind::Event => self.message = format!("payload of event `{name}`").into(),
            // The name of these is no name of the user's.
            _ => {}
        }
        self
    }

    fn what(&self) -> &str {
        if self.message.is_empty() { "value" } else { &self.message }
    }

    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "encode-failed"
    }
}

/// Bytes that do not hold what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("value cannot be decoded as {codec}: {}", self.detail())]
#[non_exhaustive]
pub struct DecodeError {
    /// The codec's name, or `raw` where a structured body was expected.
    pub codec: &'static str,
    /// Where in the input, in bytes from its beginning, if the codec says so: where the value begins
    /// that is not what was expected, or the first byte that cannot stand where it stands.
    pub at: Option<usize>,
    /// Which part of the value: `.rows[3].price`. Empty for all of it, or if the codec does not say.
    pub path: Box<str>,
    /// The codec's own words.
    pub cause: Box<str>,
}

impl DecodeError {
    /// Wraps a codec's refusal.
    #[must_use]
    pub fn new(codec: &'static str, cause: impl fmt::Display) -> Self {
        Self { codec, at: None, path: Box::default(), cause: cause.to_string().into() }
    }

    /// Path, offset and cause.
    pub(crate) fn detail(&self) -> impl fmt::Display {
        fmt::from_fn(|f| write!(f, "{}{}", Place(self.at, &self.path), self.cause))
    }

    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "decode-failed"
    }
}

/// In front of a cause: where it lies, as far as that is known.
struct Place<'a>(Option<usize>, &'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(None, "") => Ok(()),
            Self(None, path) => write!(f, "`{path}`: "),
            Self(Some(at), "") => write!(f, "at byte {at}: "),
            Self(Some(at), path) => write!(f, "`{path}` at byte {at}: "),
        }
    }
}

/// The gate or the router said no; the command did not run and the link lives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No such command.
    #[error("{text}")]
    UnknownCommand {
        /// The peer's words.
        text: Box<str>,
    },
    /// This peer may not do that.
    #[error("{text}")]
    Denied {
        /// The peer's words.
        text: Box<str>,
    },
    /// This peer asks for more than its quota. Later it may work.
    #[error("{text}")]
    OverQuota {
        /// Which quota.
        text: Box<str>,
    },
    /// A guard between the peers, or in front of the server, refused the message. If it was the
    /// call, the command did not run; if it was the answer, it did.
    #[error("{text}")]
    ByGuard {
        /// The guard's words.
        text: Box<str>,
    },
    /// A missing or mistyped argument.
    #[error("{text}")]
    BadArguments {
        /// Command, argument and cause.
        text: Box<str>,
    },
}

impl Rejection {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownCommand { .. } => codes::UNKNOWN_COMMAND,
            Self::Denied { .. } => codes::DENIED,
            Self::OverQuota { .. } => codes::OVER_QUOTA,
            Self::ByGuard { .. } => codes::GUARD_REFUSED,
            Self::BadArguments { .. } => codes::BAD_ARGUMENTS,
        }
    }
}

/// A command, or a channel, failed; carries the value it failed with.
#[derive(Clone)]
pub struct HandlerFailure {
    pub(crate) code: Box<str>,
    pub(crate) body_kind: BodyKind,
    pub(crate) body: Bytes,
    pub(crate) codec: AnyCodec,
}

impl HandlerFailure {
    /// A failure with words for people.
    pub(crate) fn with_text(code: &str, text: &str, codec: AnyCodec) -> Self {
        let body = codec.to_vec(text).unwrap_or_default().into();
        Self { code: code.into(), body_kind: BodyKind::Structured, body, codec }
    }

    /// The fixed code. Of a command: `command-failed`, `handler-panicked`, `handler-dropped`,
    /// `result-not-encodable` or `result-too-large`. Of a channel: `channel-failed`,
    /// `channel-not-taken`, `too-many-channels`, `guard-refused` or `handler-panicked`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The error value, as the type the command failed with (or `serde_json::Value`).
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the value is not a `T`.
    pub fn value<'de, T: Deserialize<'de>>(&'de self) -> Result<T, DecodeError> {
        if self.body_kind == BodyKind::Structured {
            self.codec.decode(&self.body)
        } else {
            Err(DecodeError::new("raw", "the error has no structured value"))
        }
    }
}

impl fmt::Display for HandlerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.codec.is_self_describing() {
            // Of what a command failed with only its caller knows the type; the rest is text.
            return match self.value::<String>() {
                Ok(text) if *self.code != *codes::COMMAND_FAILED => f.write_str(&text),
                _ => f.write_str(&self.code),
            };
        }
        match self.value::<serde_json::Value>() {
            Ok(serde_json::Value::String(text)) => f.write_str(&text),
            Ok(other) => write!(f, "{other}"),
            Err(_) => f.write_str(&self.code),
        }
    }
}

impl fmt::Debug for HandlerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerFailure({}: {self})", self.code)
    }
}

impl std::error::Error for HandlerFailure {}

/// No answer in time. The command may still have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {timeout_ms} ms; the command may still have run")]
pub struct DeadlinePassed {
    /// The limit in milliseconds.
    pub timeout_ms: u64,
}

impl DeadlinePassed {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "deadline-passed"
    }
}

/// The caller cancelled the call. The command may still have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call was cancelled; the command may still have run")]
pub struct CallCancelled;

impl CallCancelled {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "cancelled"
    }
}

/// The peer broke the protocol. The link is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the peer broke the protocol at {at}: {what}")]
pub struct PeerFault {
    /// Where: the field or rule, as `docs/WIRE-FORMAT.md` names it.
    pub at: &'static str,
    /// What was found, with the limit.
    pub what: Box<str>,
}

impl PeerFault {
    /// A fault at a place the wire format names.
    #[must_use]
    pub fn new(at: &'static str, what: impl fmt::Display) -> Self {
        Self { at, what: what.to_string().into() }
    }

    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "peer-fault"
    }
}

/// Why a link is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// One side closed it in the ordinary way.
    #[error("the link is closed")]
    Closed,
    /// The other side vanished without a goodbye.
    #[error("the peer died")]
    PeerDied,
    /// The peer broke the protocol.
    #[error(transparent)]
    Fault(#[from] PeerFault),
    /// The peer did not read for too long while an answer was due.
    #[error("the peer did not read for {stalled_ms} ms")]
    Stalled {
        /// How long we waited, in milliseconds.
        stalled_ms: u64,
    },
    /// A listener with [`Overflow::Disconnect`](crate::events::Overflow::Disconnect) had no room
    /// for the peer's next event.
    #[error("the peer sent more events `{event}` than their listener took")]
    Overflow {
        /// The event's name.
        event: Box<str>,
    },
    /// The operating system ended it.
    #[error("the operating system ended the link: {step}, error {errno}")]
    Os {
        /// What was tried.
        step: &'static str,
        /// The system's error number, 0 if there is none.
        errno: i32,
    },
}

impl LinkError {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closed => "link-closed",
            Self::PeerDied => "peer-died",
            Self::Fault(fault) => fault.code(),
            Self::Stalled { .. } => "peer-stalled",
            Self::Overflow { .. } => "event-overflow",
            Self::Os { .. } => "os-error",
        }
    }

    /// An operating system's refusal of `step`.
    #[must_use]
    pub fn os(step: &'static str, error: &std::io::Error) -> Self {
        Self::Os { step, errno: error.raw_os_error().unwrap_or(0) }
    }
}

/// Everything that can end a call without a result.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// The request was not sent; the command did not run.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The gate or the router said no; the command did not run.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The command ran and failed.
    #[error(transparent)]
    Failed(#[from] HandlerFailure),
    /// No answer in time.
    #[error(transparent)]
    Deadline(#[from] DeadlinePassed),
    /// The caller cancelled the call.
    #[error(transparent)]
    Cancelled(#[from] CallCancelled),
    /// The result is not what the caller expects.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The link ended after the request was sent; the command may or may not have run.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(LinkError),
}

impl InvokeError {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Send(e) => e.code(),
            Self::Rejected(e) => e.code(),
            Self::Failed(e) => e.code(),
            Self::Deadline(e) => e.code(),
            Self::Cancelled(e) => e.code(),
            Self::Decode(e) => e.code(),
            Self::OutcomeUnknown(e) => e.code(),
        }
    }

    /// Turns a received `ERROR` message into the row of the table it belongs to.
    #[must_use]
    pub fn from_wire(code: &str, body_kind: BodyKind, body: Bytes, codec: AnyCodec) -> Self {
        let failure = HandlerFailure { code: code.into(), body_kind, body, codec };
        let text = || failure.to_string().into_boxed_str();
        match code {
            codes::UNKNOWN_COMMAND => Rejection::UnknownCommand { text: text() }.into(),
            codes::DENIED => Rejection::Denied { text: text() }.into(),
            codes::OVER_QUOTA => Rejection::OverQuota { text: text() }.into(),
            codes::GUARD_REFUSED => Rejection::ByGuard { text: text() }.into(),
            codes::BAD_ARGUMENTS => Rejection::BadArguments { text: text() }.into(),
            _ => failure.into(),
        }
    }
}

/// Any error of this library, for `?` in programs.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// See [`ConfigError`].
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// See [`ConnectError`].
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// See [`SendError`].
    #[error(transparent)]
    Send(#[from] SendError),
    /// See [`RecvError`].
    #[error(transparent)]
    Recv(#[from] RecvError),
    /// See [`InvokeError`].
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// See [`DecodeError`].
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// See [`LinkError`].
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl Error {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Config(e) => e.code(),
            Self::Connect(e) => e.code(),
            Self::Send(e) => e.code(),
            Self::Recv(e) => e.code(),
            Self::Invoke(e) => e.code(),
            Self::Decode(e) => e.code(),
            Self::Link(e) => e.code(),
        }
    }
}
