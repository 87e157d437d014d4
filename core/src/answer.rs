//! An answering message, as the caller sees it.

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned};

use crate::codec::AnyCodec;
use crate::command::Raw;
use crate::envelope::{BodyKind, Envelope, Kind};
use crate::error::{DecodeError, InvokeError, LinkError, PeerFault};
use crate::frame::{Frame, Kept};
use crate::typed::ValueType;

/// A `Response` or an `Error`, still in its frame.
#[derive(Debug)]
pub struct Answer<'a> {
    message: Message<'a>,
    codec: AnyCodec,
    kind: Kind,
    body_kind: BodyKind,
    body_offset: usize,
}

#[derive(Debug)]
enum Message<'a> {
    Frame(Frame<'a>),
    Kept(Kept),
}

impl Message<'_> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Frame(frame) => frame.bytes(),
            Self::Kept(kept) => kept.bytes(),
        }
    }
}

impl<'a> Answer<'a> {
    /// An answer that lies where it was received. `kind`, `body_kind` and `body_offset` are what
    /// [`Envelope::parse`] found in it; a kind that is no answer is read as a result.
    #[inline]
    pub fn from_frame(
        frame: Frame<'a>,
        codec: AnyCodec,
        kind: Kind,
        body_kind: BodyKind,
        body_offset: usize,
    ) -> Self {
        Self { message: Message::Frame(frame), codec, kind, body_kind, body_offset }
    }

    /// An answer that was kept.
    ///
    /// # Errors
    ///
    /// A [`PeerFault`] if the message is no answer.
    pub fn from_kept(kept: Kept, codec: AnyCodec) -> Result<Answer<'static>, LinkError> {
        let envelope = kept.envelope()?;
        let (kind, body_kind) = (envelope.head.kind, envelope.head.body);
        if !matches!(kind, Kind::Response | Kind::Error) {
            return Err(PeerFault::new("answer", format_args!("{kind:?} is no answer")).into());
        }
        let body_offset = envelope.body_offset();
        Ok(Answer { message: Message::Kept(kept), codec, kind, body_kind, body_offset })
    }

    /// A message of a channel, which begins at `body_offset` of what was kept.
    pub(crate) fn from_channel(
        kept: Kept,
        codec: AnyCodec,
        body_kind: BodyKind,
        body_offset: usize,
    ) -> Answer<'static> {
        Answer { message: Message::Kept(kept), codec, kind: Kind::Channel, body_kind, body_offset }
    }

    /// The answer if it is a result.
    ///
    /// # Errors
    ///
    /// The error it carries, as the row of the error table it belongs to.
    #[inline]
    pub fn into_result(self) -> Result<Self, InvokeError> {
        if self.kind == Kind::Error { Err(self.into_error()) } else { Ok(self) }
    }

    #[cold]
    fn into_error(self) -> InvokeError {
        let code: Box<str> = Envelope::parse(self.message.bytes())
            .map_or_else(|_| Box::default(), |envelope| envelope.head.name.into());
        let (codec, body_kind) = (self.codec, self.body_kind);
        InvokeError::from_wire(&code, body_kind, self.into_body(), codec)
    }

    /// The value, which may borrow from the answer: `&str` and `&[u8]` are then not copied.
    ///
    /// # Errors
    ///
    /// The body is something else, or raw bytes: those are [`body`](Self::body).
    #[inline]
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, DecodeError> {
        match self.body_kind {
            BodyKind::Structured => self.codec.decode(self.body()),
            BodyKind::Empty => AnyCodec::JSON.decode(b"null"),
            BodyKind::Raw => {
                Err(DecodeError::new("raw", "the body is raw bytes; read it as `tramline::Raw`"))
            }
        }
    }

    /// How [`body`](Self::body) is to be read.
    #[must_use]
    pub fn body_kind(&self) -> BodyKind {
        self.body_kind
    }

    /// The body's bytes.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &[u8] {
        match &self.message {
            Message::Frame(frame) => match frame.tail() {
                None => &frame.bytes()[self.body_offset..],
                Some(tail) => tail,
            },
            Message::Kept(kept) => kept.body(self.body_offset),
        }
    }

    /// The body's bytes, to keep; without a copy if they were handed over.
    #[must_use]
    pub fn into_body(self) -> Bytes {
        let kept = match self.message {
            Message::Frame(frame) => frame.keep(),
            Message::Kept(kept) => kept,
        };
        kept.into_body(self.body_offset)
    }
}

/// A type that an answer can be read as: anything deserialisable, or [`Raw`].
#[diagnostic::on_unimplemented(
    message = "an answer cannot be read as `{Self}`",
    note = "a result is `Raw`, or a type that implements `serde::de::DeserializeOwned`"
)]
pub trait FromAnswer: Sized {
    /// Reads the answer's body.
    ///
    /// # Errors
    ///
    /// The body is something else.
    fn from_answer(answer: Answer<'_>) -> Result<Self, DecodeError>;

    /// How to show what is read, if it is a structured value.
    #[doc(hidden)]
    #[must_use]
    fn value_type() -> Option<ValueType> {
        None
    }
}

impl<T: DeserializeOwned> FromAnswer for T {
    #[inline]
    fn from_answer(answer: Answer<'_>) -> Result<Self, DecodeError> {
        answer.decode()
    }

    fn value_type() -> Option<ValueType> {
        Some(ValueType::shown::<T>())
    }
}

impl FromAnswer for Raw {
    fn from_answer(answer: Answer<'_>) -> Result<Self, DecodeError> {
        match answer.body_kind {
            BodyKind::Raw => Ok(Self(answer.into_body())),
            _ => Err(DecodeError::new(
                answer.codec.name(),
                "the body is a structured value, not raw bytes",
            )),
        }
    }
}
