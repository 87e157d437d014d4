//! Why a value cannot be written, and which part of it.

use std::fmt::{self, Display};
use std::io;

use serde::ser;

use super::path::{Path, Segment, Words};
use crate::error::EncodeError;
use crate::frame::FrameWriter;

/// What came of writing a part.
pub(crate) type Written = Result<(), Refusal>;

/// A refusal on its way out. Each array and map that it passes adds where it came from.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The frame has no room, and knows why. That is not the value's fault, it may well be tried
    /// again, and nobody reads why: words would only cost memory.
    NoRoom,
    /// The value has no form.
    Value(Box<Inner>),
}

#[derive(Debug)]
pub(crate) struct Inner {
    cause: Words,
    path: Path,
}

impl Refusal {
    /// The same, in this part of the value around it.
    #[cold]
    pub(crate) fn inside(mut self, segment: impl FnOnce() -> Segment) -> Self {
        if let Self::Value(inner) = &mut self {
            inner.path.push(segment());
        }
        self
    }

    /// A frame that outgrew its claim is written once more elsewhere: no words for that.
    #[cold]
    pub(crate) fn into_error(self, codec: &'static str, out: &FrameWriter<'_>) -> EncodeError {
        match self {
            Self::NoRoom if out.outgrown() => {
                EncodeError::within(codec, Box::default(), Box::default())
            }
            Self::NoRoom => EncodeError::new(codec, "the frame has no room"),
            Self::Value(inner) => {
                let Inner { cause, path } = *inner;
                EncodeError::within(codec, cause.as_str().into(), path.to_string().into())
            }
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(_: io::Error) -> Self {
        Self::NoRoom
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom => f.write_str("the frame has no room"),
            Self::Value(inner) => f.write_str(inner.cause.as_str()),
        }
    }
}

impl std::error::Error for Refusal {}

impl ser::Error for Refusal {
    #[cold]
    fn custom<T: Display>(cause: T) -> Self {
        Self::Value(Box::new(Inner { cause: Words::new(cause), path: Path::default() }))
    }
}
