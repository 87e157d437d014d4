//! What a guard sees, what it may say, and how its word is asked for.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use tramline_compat_json::{from_json, to_json};
use tramline_core::AnyCodec;
use tramline_core::envelope::{BodyKind, Envelope, Field, Kind};
use tramline_core::events::{EventTarget, TargetRef};

/// Longest text of a refusal that goes to a peer, in bytes. A choice: words for people.
const MAX_REFUSAL_LEN: usize = 1024;

/// What a message is, to a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GuardKind {
    /// A call.
    Invoke,
    /// The result of a call.
    Answer,
    /// A call that failed; see [`GuardMessage::code`].
    Failure,
    /// An event.
    Event,
    /// The sender wants to hear events of this name.
    Listen,
    /// The sender no longer wants to.
    Unlisten,
    /// Nobody waits for the call any more.
    Cancel,
    /// One message of a channel.
    Channel,
    /// The end of a channel; see [`GuardMessage::code`].
    ChannelEnd,
}

impl GuardKind {
    fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Request => Self::Invoke,
            Kind::Response => Self::Answer,
            Kind::Error => Self::Failure,
            Kind::Event => Self::Event,
            Kind::Subscribe => Self::Listen,
            Kind::Unsubscribe => Self::Unlisten,
            Kind::Cancel => Self::Cancel,
            Kind::Channel => Self::Channel,
            Kind::ChannelEnd => Self::ChannelEnd,
            _ => return None,
        })
    }

    /// The kind as a word: `invoke`, `answer`, `failure`, `event`, `listen`, `unlisten`, `cancel`,
    /// `channel` or `channel-end`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::Answer => "answer",
            Self::Failure => "failure",
            Self::Event => "event",
            Self::Listen => "listen",
            Self::Unlisten => "unlisten",
            Self::Cancel => "cancel",
            Self::Channel => "channel",
            Self::ChannelEnd => "channel-end",
        }
    }

    /// What the guard may put something else in place of. The messages of a channel are counted in
    /// bytes by both sides, and the others have nothing in them.
    fn may_be_rewritten(self) -> bool {
        matches!(self, Self::Invoke | Self::Answer | Self::Failure | Self::Event)
    }
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Toward {
    /// From the client to the core.
    Core,
    /// From the core to the client.
    Client,
}

/// One message on its way, as a guard sees it.
pub struct GuardMessage<'a> {
    kind: GuardKind,
    seen: Seen<'a>,
    message: &'a Envelope<'a>,
    json: Option<String>,
}

impl GuardMessage<'_> {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> GuardKind {
        self.kind
    }

    /// Where it goes.
    #[must_use]
    pub fn toward(&self) -> Toward {
        self.seen.toward
    }

    /// The command or the event. Of an answer, a cancel or a message of a channel: the command that
    /// was called, as far as that is known; it is not in the layer of a server.
    #[must_use]
    pub fn name(&self) -> &str {
        self.seen.name
    }

    /// The label under which the client is known; in front of a core, the one that it asks for.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.seen.label
    }

    /// Pairs a call with its answer, or names a channel; on this connection only. 0 where neither
    /// applies.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.message.head.id
    }

    /// Arguments, result or payload as JSON text. `None` if there is nothing, or raw bytes.
    #[must_use]
    pub fn json(&self) -> Option<&str> {
        self.json.as_deref()
    }

    /// Raw bytes. `None` if there is nothing, or a structured value.
    #[must_use]
    pub fn raw(&self) -> Option<&[u8]> {
        (self.message.head.body == BodyKind::Raw).then_some(self.message.body)
    }

    /// The fixed code of a failure, or of a channel that ended with an error.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        let has_code = matches!(self.kind, GuardKind::Failure | GuardKind::ChannelEnd);
        (has_code && !self.message.head.name.is_empty()).then_some(self.message.head.name)
    }

    /// The headers of a call in their order; names may repeat.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.message.head.extension.fields().filter_map(|field| match field {
            Field::Header { name, value } => Some((name, value)),
            _ => None,
        })
    }

    /// Of an event that does not go to every listener: the targets of those that hear it. Of
    /// somebody who listens: as what, none if as what it is.
    pub fn targets(&self) -> impl Iterator<Item = EventTarget> {
        self.message.head.extension.targets().map(TargetRef::to_target)
    }

    /// The attachments of a call in their order; names may repeat.
    pub fn attachments(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = self.message.attachments;
        self.message.head.extension.fields().filter_map(move |field| match field {
            Field::Attachment { name, len } => {
                // There are as many: the envelope was checked.
                let (bytes, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
                rest = after;
                Some((name, bytes))
            }
            _ => None,
        })
    }

    /// All of it as one line of JSON without a line break; raw bytes and attachments by their length
    /// in bytes. What `tramline guard --program` tells its program.
    #[must_use]
    pub fn to_line(&self) -> String {
        let view = Line {
            kind: self.kind.name(),
            toward: match self.seen.toward {
                Toward::Core => "core",
                Toward::Client => "client",
            },
            id: self.id(),
            name: self.name(),
            label: self.label(),
            code: self.code(),
            headers: self.headers().collect(),
            targets: self.targets().collect(),
            attachments: self
                .attachments()
                .map(|(name, bytes)| Attached { name, len: bytes.len() })
                .collect(),
            raw_len: self.raw().map(<[u8]>::len),
        };
        // Text and numbers always have a JSON form.
        let mut line = serde_json::to_string(&view).unwrap_or_default();
        if let Some(json) = &self.json
            && line.pop() == Some('}')
        {
            line.push_str(",\"args\":");
            line.push_str(json);
            line.push('}');
        }
        line
    }
}

impl fmt::Debug for GuardMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuardMessage").field(&self.to_line()).finish()
    }
}

#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    toward: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    id: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(&'a str, &'a str)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<EventTarget>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attached<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_len: Option<usize>,
}

#[derive(Serialize)]
struct Attached<'a> {
    name: &'a str,
    len: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(id: &u64) -> bool {
    *id == 0
}

/// What a guard says to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It goes on as it is.
    Allow,
    /// It goes no further. Who waits for an answer is told this text, with the code
    /// `guard-refused`.
    Refuse(Box<str>),
    /// It goes on with this JSON text in place of its arguments, its result or its payload. Name,
    /// headers, deadline, attachments and channels stay. Calls, answers, failures and events can be
    /// rewritten; to rewrite anything else, or into what is no JSON, refuses it.
    Rewrite(Box<str>),
}

impl Verdict {
    /// Refused with these words.
    #[must_use]
    pub fn refuse(text: &str) -> Self {
        Self::Refuse(text.into())
    }

    /// Rewritten to this JSON text.
    #[must_use]
    pub fn rewrite(json: &str) -> Self {
        Self::Rewrite(json.into())
    }
}

/// What is known of a message beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) toward: Toward,
    pub(crate) name: &'a str,
    pub(crate) label: Option<&'a str>,
}

/// What becomes of a message.
#[derive(Debug)]
pub(crate) enum Judged {
    Passes,
    /// The body in the connection's codec.
    Rewritten(Vec<u8>),
    Refused(String),
}

/// The user's word on each message.
pub(crate) struct Judge(Box<dyn Fn(&GuardMessage<'_>) -> Verdict + Send + Sync>);

impl Judge {
    pub(crate) fn new(
        judge: impl Fn(&GuardMessage<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(judge))
    }

    /// Asks. Whatever goes wrong refuses: a body that cannot be shown, a panic, a rewrite that is no
    /// JSON. Messages without a meaning of their own (hello, goodbye, credit) pass.
    pub(crate) fn judge(&self, message: &Envelope<'_>, codec: AnyCodec, seen: Seen<'_>) -> Judged {
        let Some(kind) = GuardKind::of(message.head.kind) else { return Judged::Passes };
        let json = match message.head.body {
            BodyKind::Structured => match to_json(codec, message.body) {
                Ok(json) => Some(json),
                Err(e) => return Judged::Refused(short(&format!("the guard cannot read it: {e}"))),
            },
            _ => None,
        };
        let asked = GuardMessage { kind, seen, message, json };
        let verdict = catch_unwind(AssertUnwindSafe(|| (self.0)(&asked)));
        match verdict {
            Ok(Verdict::Allow) => Judged::Passes,
            Ok(Verdict::Refuse(text)) => Judged::Refused(short(&text)),
            Ok(Verdict::Rewrite(_)) if !kind.may_be_rewritten() => {
                Judged::Refused(format!("the guard may not rewrite this: {}", kind.name()))
            }
            Ok(Verdict::Rewrite(text)) => match from_json(codec, &text) {
                Ok(body) => Judged::Rewritten(body),
                Err(e) => Judged::Refused(short(&format!("the guard's words are no JSON: {e}"))),
            },
            Err(_) => Judged::Refused("the guard failed".into()),
        }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_REFUSAL_LEN)].to_owned()
}

/// The same message with another body, which is structured.
pub(crate) fn with_body(message: &Envelope<'_>, body: &[u8]) -> Vec<u8> {
    let head = tramline_core::envelope::Head { body: BodyKind::Structured, ..message.head };
    let (name, extension) = (head.name.as_bytes(), head.extension.bytes());
    [&head.to_bytes()[..], name, extension, body, message.attachments].concat()
}

/// The whole message in one run of bytes.
pub(crate) fn whole<'a>(bytes: &'a [u8], tail: Option<&[u8]>) -> Cow<'a, [u8]> {
    match tail {
        None => Cow::Borrowed(bytes),
        Some(tail) => Cow::Owned([bytes, tail].concat()),
    }
}
