//! Events: as what somebody listens, who is reached, and what happens when a listener is slow.

mod listeners;
mod options;
mod overflow;
mod queue;
mod subscriptions;
mod target;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::listeners::{LastEvent, Listeners};
pub use self::options::ListenOptions;
pub use self::overflow::{ListenerCounts, Overflow};
pub use self::queue::Work;
pub use self::subscriptions::{SubscribeError, Subscriptions, Targets};
pub use self::target::{EventTarget, TargetRef};
use crate::codec::AnyCodec;
use crate::envelope::{BodyKind, Extension};
use crate::error::DecodeError;
use crate::peer::Peer;

/// A received event, as a listener sees it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    pub(crate) name: &'a str,
    pub(crate) body_kind: BodyKind,
    pub(crate) body: &'a [u8],
    /// What the body lies in, if it may be kept without a copy.
    pub(crate) owner: Option<&'a Bytes>,
    pub(crate) codec: AnyCodec,
    pub(crate) peer: &'a Peer,
    id: ListenerId,
    /// Names those it is for, if not everybody.
    aim: Extension<'a>,
}

impl<'a> Event<'a> {
    /// An event from its parts.
    #[must_use]
    pub fn new(
        name: &'a str,
        body_kind: BodyKind,
        body: &'a [u8],
        codec: AnyCodec,
        peer: &'a Peer,
    ) -> Self {
        let (owner, id, aim) = (None, ListenerId(0), Extension::NONE);
        Self { name, body_kind, body, owner, codec, peer, id, aim }
    }

    /// The same event for the targets that its message's extension names; for everybody if it names
    /// none.
    #[must_use]
    pub fn aimed_by(mut self, extension: Extension<'a>) -> Self {
        self.aim = extension;
        self
    }

    /// The same event, whose body is all of `owner` and may be kept without a copy.
    #[must_use]
    pub fn owned_by(mut self, owner: &'a Bytes) -> Self {
        (self.body, self.owner) = (owner, Some(owner));
        self
    }

    /// The event's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The listener that hears it: what [`unlisten`](Listeners::remove) wants.
    #[must_use]
    pub fn id(&self) -> ListenerId {
        self.id
    }

    /// Who emitted it.
    #[must_use]
    pub fn peer(&self) -> &'a Peer {
        self.peer
    }

    /// The payload; it may borrow from the event. An event without payload reads as `null`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the payload is not a `T`, or is raw.
    pub fn payload<T: Deserialize<'a>>(&self) -> Result<T, DecodeError> {
        match self.body_kind {
            BodyKind::Structured => self.codec.decode(self.body),
            BodyKind::Empty => AnyCodec::JSON.decode(b"null"),
            BodyKind::Raw => Err(DecodeError::new("raw", "the event carries raw bytes")),
        }
    }

    /// The payload's bytes as they came.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.body
    }

    /// The payload's bytes, to keep: without a copy if they were handed over.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.owner.map_or_else(|| Bytes::copy_from_slice(self.body), Bytes::clone)
    }

    /// How [`bytes`](Self::bytes) are to be read.
    #[must_use]
    pub fn body_kind(&self) -> BodyKind {
        self.body_kind
    }

    fn heard_by(mut self, id: ListenerId) -> Self {
        self.id = id;
        self
    }

    /// Whether it is for whoever listens as this.
    fn is_for(&self, listener: &EventTarget) -> bool {
        if self.aim.is_empty() {
            return true;
        }
        let mut targets = self.aim.targets().peekable();
        targets.peek().is_none() || targets.any(|target| target.is(listener))
    }
}

/// Names one listener, for `unlisten`. Never used again by the same client or server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ListenerId(u64);

type Callback = dyn Fn(Event<'_>) + Send + Sync;
