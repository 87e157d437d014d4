//! What a command may return.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::Serialize;

use super::Call;
use crate::channel::mentioned;
use crate::codec::AnyCodec;
use crate::envelope::BodyKind;
use crate::error::EncodeError;
use crate::frame::FrameWriter;
use crate::transport::Pages;

/// Bytes that travel as they are, in no codec: as a result, or as a parameter for a raw body.
///
/// # Examples
///
/// ```
/// use tramline_core::command::Raw;
///
/// fn read_file(path: &str) -> std::io::Result<Raw> {
///     Ok(std::fs::read(path)?.into())
/// }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raw(pub Bytes);

impl From<Vec<u8>> for Raw {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Bytes> for Raw {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

/// A raw body on its way out: bytes, or pages that a transport may hand over.
///
/// Made with `into()` from bytes, borrowed or owned, and from `SealedBlob`.
#[derive(Debug, Clone)]
pub enum RawBody<'a> {
    /// Bytes of somebody else's.
    Borrowed(&'a [u8]),
    /// Bytes.
    Bytes(Bytes),
    /// Pages. A transport that cannot hand them over copies their bytes.
    Pages(Arc<dyn Pages>),
}

impl RawBody<'_> {
    /// The body's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Bytes(bytes) => bytes,
            Self::Pages(pages) => pages.bytes(),
        }
    }
}

impl Reply for RawBody<'_> {
    const BODY: BodyKind = BodyKind::Raw;

    fn len_hint(&self) -> usize {
        self.bytes().len()
    }

    fn encode(&self, _: AnyCodec, out: &mut FrameWriter<'_>) -> Result<(), EncodeError> {
        out.put(self.bytes()).map_err(|e| EncodeError::new("raw", e))
    }

    fn pages(&self) -> Option<Arc<dyn Pages>> {
        match self {
            Self::Pages(pages) => Some(Arc::clone(pages)),
            Self::Borrowed(_) | Self::Bytes(_) => None,
        }
    }
}

macro_rules! raw_body_from {
    (borrowed $($borrowed:ty),+; owned $($owned:ty),+) => {
        $(impl<'a> From<$borrowed> for RawBody<'a> {
            fn from(bytes: $borrowed) -> Self {
                Self::Borrowed(bytes.as_ref())
            }
        })+
        $(impl From<$owned> for RawBody<'_> {
            fn from(bytes: $owned) -> Self {
                Self::Bytes(bytes.into())
            }
        })+
    };
}

raw_body_from! {
    borrowed &'a [u8], &'a str, &'a Vec<u8>, &'a String, &'a Bytes;
    owned Bytes, BytesMut, Vec<u8>, String, Box<[u8]>
}

impl<'a, const N: usize> From<&'a [u8; N]> for RawBody<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl From<Raw> for RawBody<'_> {
    fn from(Raw(bytes): Raw) -> Self {
        Self::Bytes(bytes)
    }
}

/// A value that can be an answer: anything serialisable, or [`Raw`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a command",
    label = "this command's result",
    note = "a result is `Raw`, or a type that implements `serde::Serialize`, or a `Result` of two such types"
)]
pub trait Reply {
    /// How the body is to be read.
    const BODY: BodyKind;

    /// A guess at the encoded length, in bytes.
    fn len_hint(&self) -> usize;

    /// Writes the body.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`](crate::Codec::encode).
    fn encode(&self, codec: AnyCodec, out: &mut FrameWriter<'_>) -> Result<(), EncodeError>;

    /// Calls `found` with the number of each channel that is an argument, if this is arguments.
    fn channels(&self, found: &mut dyn FnMut(u32)) {
        let _ = found;
    }

    /// Writes the body as a call's arguments.
    ///
    /// # Errors
    ///
    /// As [`AnyCodec::encode_args`].
    #[inline]
    fn encode_args(&self, codec: AnyCodec, out: &mut FrameWriter<'_>) -> Result<(), EncodeError> {
        self.encode(codec, out)
    }

    /// The body as pages that a transport may hand over instead of having it written.
    #[inline]
    fn pages(&self) -> Option<Arc<dyn Pages>> {
        None
    }
}

impl<T: Serialize + ?Sized> Reply for T {
    const BODY: BodyKind = BodyKind::Structured;

    fn len_hint(&self) -> usize {
        size_of_val(self)
    }

    #[inline]
    fn encode(&self, codec: AnyCodec, out: &mut FrameWriter<'_>) -> Result<(), EncodeError> {
        codec.encode(self, out)
    }

    fn channels(&self, found: &mut dyn FnMut(u32)) {
        mentioned(self, found);
    }

    #[inline]
    fn encode_args(&self, codec: AnyCodec, out: &mut FrameWriter<'_>) -> Result<(), EncodeError> {
        codec.encode_args(self, out)
    }
}

impl Reply for Raw {
    const BODY: BodyKind = BodyKind::Raw;

    fn len_hint(&self) -> usize {
        self.0.len()
    }

    fn encode(&self, _: AnyCodec, out: &mut FrameWriter<'_>) -> Result<(), EncodeError> {
        out.put(&self.0).map_err(|e| EncodeError::new("raw", e))
    }
}

/// What a command returned, whatever its type. `(&Outcome(value)).answer_to(&call)` picks
/// [`ViaResult`] for a `Result` and [`ViaValue`] for everything else.
#[derive(Debug)]
pub struct Outcome<T>(pub T);

/// Answers with `Ok`'s value or fails with `Err`'s.
///
/// The bounds stand on the method, not on the implementation: which of the two traits is meant is
/// then decided without them, and the compiler can say which bound is not met.
pub trait ViaResult {
    /// The result.
    type Value;
    /// The error value.
    type Error;

    /// Answers the call.
    fn answer_to(&self, call: &Call<'_>)
    where
        Self::Value: Reply,
        Self::Error: Reply;
}

impl<T, E> ViaResult for Outcome<Result<T, E>> {
    type Value = T;
    type Error = E;

    #[inline]
    fn answer_to(&self, call: &Call<'_>)
    where
        T: Reply,
        E: Reply,
    {
        // Whoever has answered before was told that the first answer stands.
        let _ = match &self.0 {
            Ok(value) => call.answer(value),
            Err(error) => call.fail(error),
        };
    }
}

/// Answers with the value.
pub trait ViaValue {
    /// The result.
    type Value;

    /// Answers the call.
    fn answer_to(&self, call: &Call<'_>)
    where
        Self::Value: Reply;
}

impl<T> ViaValue for &Outcome<T> {
    type Value = T;

    #[inline]
    fn answer_to(&self, call: &Call<'_>)
    where
        T: Reply,
    {
        // As above.
        let _ = call.answer(&self.0);
    }
}
