//! Shadow mode: every message in the connection's codec and as JSON, side by side.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tramline_compat_json::{TypedView, ViewError, difference, to_json};
use tramline_core::answer::Answer;
use tramline_core::command::Commands;
use tramline_core::envelope::{BodyKind, Envelope, Head, Kind};
use tramline_core::frame::Written;
use tramline_core::peer::Fill;
use tramline_core::typed::{CommandTypes, ValueType};
use tramline_core::{AnyCodec, DecodeError, FrameWriter};

/// Something that a message says in the connection's codec and not as JSON, or the other way round.
///
/// Given to the closure of [`Connect::shadow`](crate::Connect::shadow),
/// [`Spawn::shadow`](crate::Spawn::shadow) or [`Server::shadow`](crate::Server::shadow).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// What kind of message: `request`, `response`, `error` or `event`.
    pub message: &'static str,
    /// The command or event.
    pub name: Box<str>,
    /// Whether it was found in what was written, or in what a type has read of it.
    pub stage: Stage,
    /// Where in it: `.name`, `["any key"]` or `[3]`; empty for all of it.
    pub path: Box<str>,
    /// The connection's codec.
    pub codec: &'static str,
    /// What is there in that codec, as JSON text, or why nothing is.
    pub in_codec: Box<str>,
    /// What is there in JSON, or why nothing is.
    pub in_json: Box<str>,
}

/// Where a [`Difference`] was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// In a message that this side sends.
    Written,
    /// In what the arguments' or the result's type reads from a message that this side received.
    Read,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, name, stage, path, codec, in_codec, in_json } = self;
        let stage = match stage {
            Stage::Written => "written",
            Stage::Read => "read",
        };
        write!(f, "{message} `{name}`, {stage}")?;
        if !path.is_empty() {
            write!(f, ", at {path}")?;
        }
        write!(f, ": {codec} has {in_codec}, json has {in_json}")
    }
}

/// Is told of differences.
pub(crate) type Report = dyn Fn(&Difference) + Send + Sync;

/// The shadow of one side's connections.
pub(crate) struct Shadow {
    view: TypedView,
    types: HashMap<&'static str, CommandTypes>,
    report: Box<Report>,
}

impl Shadow {
    /// A shadow that knows the types of these commands.
    pub(crate) fn new(commands: &Commands, report: Box<Report>) -> Arc<Self> {
        let types = commands.types().filter_map(|(name, types)| Some((name, types?))).collect();
        Arc::new(Self { view: TypedView::new(commands), types, report })
    }
}

impl fmt::Debug for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shadow")
    }
}

/// The shadow of one connection.
#[derive(Debug)]
pub(crate) struct LinkShadow {
    shared: Arc<Shadow>,
    codec: AnyCodec,
    /// The commands of calls that this side has yet to answer: an answer does not name them.
    calls: Mutex<HashMap<u64, Box<str>>>,
}

thread_local! {
    /// Whoever is told of a difference may send messages. Those are not looked at: with a difference
    /// in each of them it would never end.
    static REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Shows what a type reads from a body in some codec.
type Read<'r> = &'r dyn Fn(AnyCodec, &[u8]) -> Result<String, DecodeError>;

/// Both sides of a comparison: JSON text, or why there is none.
type Side = Result<String, Box<str>>;

impl LinkShadow {
    pub(crate) fn new(shared: &Arc<Shadow>, codec: AnyCodec) -> Self {
        Self { shared: Arc::clone(shared), codec, calls: Mutex::default() }
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<u64, Box<str>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a message that is about to be sent. Gives the bytes to send, for a value that is
    /// encoded once more may be another one; `None` if it has to be sent as without a shadow.
    #[cold]
    pub(crate) fn outgoing(
        &self,
        head: &Head<'_>,
        max_len: usize,
        fill: Fill<'_>,
    ) -> Option<Vec<u8>> {
        let name = match head.kind {
            Kind::Request | Kind::Event => head.name.into(),
            Kind::Response | Kind::Error => self.calls().remove(&head.id).unwrap_or_default(),
            _ => return None,
        };
        if head.body != BodyKind::Structured || REPORTING.get() {
            return None;
        }
        let bytes = encode(self.codec, max_len, fill)?;
        // Attachments are the same bytes behind either.
        let attached = usize::try_from(head.extension.attachments_len()).unwrap_or(usize::MAX);
        // It has gone as far as it would have gone; from here on nothing may fail it.
        let differs = catch_unwind(AssertUnwindSafe(|| {
            let message = Envelope { head: *head, body: front(&bytes, attached), attachments: &[] };
            let in_codec = match self.shared.view.body_to_json(self.codec, &message, Some(&name)) {
                // Nobody knows its types.
                Err(ViewError::Unknown { .. } | ViewError::WriteOnly { .. }) => return None,
                shown => shown.map_err(|e| e.to_string().into()),
            };
            let in_json = encode(AnyCodec::JSON, usize::MAX, fill)
                .and_then(|json| String::from_utf8(front(&json, attached).to_vec()).ok())
                .ok_or_else(|| "a refusal".into());
            // No arguments are `null` as the value that they are, and `{}` by their names.
            let by_name = |side: Side| match side {
                Ok(text) if head.kind == Kind::Request && text == "null" => Ok("{}".to_owned()),
                other => other,
            };
            let (in_codec, in_json) = (by_name(in_codec), by_name(in_json));
            self.compare(head.kind, &name, Stage::Written, in_codec, in_json)
        }));
        if let Ok(Some(difference)) = differs {
            self.report(&difference);
        }
        Some(bytes)
    }

    /// Looks at a request that has come. Arguments that the gate refuses are not read here either.
    #[cold]
    pub(crate) fn incoming(&self, message: &Envelope<'_>, may_invoke: bool) {
        let name = message.head.name;
        self.calls().insert(message.head.id, name.into());
        if !may_invoke {
            return;
        }
        let Some(types) = self.shared.types.get(name) else { return };
        let read: Read<'_> = &|codec, body| types.args_to_json(codec, body);
        let (body_kind, body) = (message.head.body, message.body);
        if let Some(found) = self.read_both_ways(Kind::Request, name, body_kind, body, read) {
            self.report(&found);
        }
    }

    /// A message goes whose bytes are not looked at.
    pub(crate) fn passed(&self, head: &Head<'_>) {
        if matches!(head.kind, Kind::Response | Kind::Error) {
            self.calls().remove(&head.id);
        }
    }

    /// Looks at the answer to a call of this side's. Whoever reads the link must not be held up: the
    /// difference is for the caller to report.
    #[cold]
    pub(crate) fn answered(
        &self,
        command: &str,
        answer: &Answer<'_>,
        result: Option<ValueType>,
    ) -> Option<Difference> {
        let result = result?;
        let read: Read<'_> = &|codec, body| result.to_json(codec, body);
        let (body_kind, body) = (answer.body_kind(), answer.body());
        self.read_both_ways(Kind::Response, command, body_kind, body, read)
    }

    /// Reads a body as it came and as JSON.
    fn read_both_ways(
        &self,
        kind: Kind,
        name: &str,
        body_kind: BodyKind,
        body: &[u8],
        read: Read<'_>,
    ) -> Option<Difference> {
        if body_kind != BodyKind::Structured || REPORTING.get() {
            return None;
        }
        let differs = catch_unwind(AssertUnwindSafe(|| {
            let words = |e: DecodeError| -> Box<str> { format!("a refusal ({})", e.cause).into() };
            let in_codec = read(self.codec, body);
            let json = match &in_codec {
                Ok(text) if !self.codec.is_self_describing() => text.clone(),
                // Without the types there is nothing to compare with.
                Err(_) if !self.codec.is_self_describing() => return None,
                _ => to_json(self.codec, body).ok()?,
            };
            let in_json = read(AnyCodec::JSON, json.as_bytes());
            let (in_codec, in_json) = (in_codec.map_err(words), in_json.map_err(words));
            self.compare(kind, name, Stage::Read, in_codec, in_json)
        }));
        differs.ok().flatten()
    }

    fn compare(
        &self,
        kind: Kind,
        name: &str,
        stage: Stage,
        in_codec: Side,
        in_json: Side,
    ) -> Option<Difference> {
        let (path, in_codec, in_json) = match (in_codec, in_json) {
            (Ok(left), Ok(right)) => match difference(&left, &right) {
                Ok(None) => return None,
                Ok(Some(found)) => {
                    let or_nothing =
                        |side: Option<Box<str>>| side.unwrap_or_else(|| "nothing".into());
                    (found.path.into(), or_nothing(found.left), or_nothing(found.right))
                }
                Err(_) => (Box::default(), left.into(), right.into()),
            },
            (Err(_), Err(_)) => return None,
            (left, right) => {
                let text = |side: Side| side.map_or_else(|why| why, String::into_boxed_str);
                (Box::default(), text(left), text(right))
            }
        };
        let message = match kind {
            Kind::Request => "request",
            Kind::Response => "response",
            Kind::Error => "error",
            _ => "event",
        };
        let (name, codec) = (name.into(), self.codec.name());
        Some(Difference { message, name, stage, path, codec, in_codec, in_json })
    }

    /// Tells of a difference. A closure that panics is its own loss.
    pub(crate) fn report(&self, difference: &Difference) {
        REPORTING.set(true);
        let _ = catch_unwind(AssertUnwindSafe(|| (self.shared.report)(difference)));
        REPORTING.set(false);
    }
}

/// All but so many bytes at the end.
fn front(bytes: &[u8], end: usize) -> &[u8] {
    &bytes[..bytes.len().saturating_sub(end)]
}

/// A body in memory of its own; `None` if it is refused.
fn encode(codec: AnyCodec, max_len: usize, fill: Fill<'_>) -> Option<Vec<u8>> {
    let mut out = FrameWriter::new(&mut [], max_len);
    fill(codec, &mut out).ok()?;
    if out.overflow().is_some() {
        return None;
    }
    Some(match out.finish() {
        Written::InPlace { .. } => Vec::new(),
        Written::Spilled { bytes } => bytes,
    })
}
