//! What ends a transcoding, and where in the input.

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

/// The input cannot be transcoded: what is wrong, and where.
///
/// # Units
///
/// `at` counts bytes from the start of the input, of a whole stream too. It names the first byte of
/// what is wrong: of the value that cannot be, of the second of two equal keys, of the byte sequence
/// that is no character. Where the input ends too early it is the input's length.
///
/// # Examples
///
/// ```
/// use tramline_compat_json::{JsonForm, Transcoder};
///
/// // An array of two, of which one is there.
/// let mut input = Transcoder::msgpack_to_json(&[0x92_u8, 1][..], JsonForm::default());
/// let error = input.next_value(&mut Vec::new()).unwrap_err();
/// assert_eq!((error.code(), error.at), ("truncated", 2));
/// assert_eq!(error.to_string(), "the input ends inside a value, at byte 2");
/// ```
#[derive(Debug, Clone)]
pub struct TranscodeError {
    /// Bytes before it.
    pub at: u64,
    /// What is wrong.
    pub what: TranscodeFault,
}

impl fmt::Display for TranscodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at byte {}", self.what, self.at)
    }
}

impl Error for TranscodeError {
    /// The system's error, where reading or writing failed.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.what.source()
    }
}

/// What is wrong with an input. See [`TranscodeError`].
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TranscodeFault {
    /// More was promised than there is.
    #[error("the input ends inside a value")]
    Truncated,
    /// One value was expected and something follows it.
    #[error("something follows the value")]
    Trailing,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// The second of two equal keys of one map.
    #[error("a key comes twice in one map")]
    DuplicateKey,
    /// An array or a map inside too many others.
    #[error("arrays and maps lie more than {max} deep")]
    TooDeep {
        /// How many may be open at a time.
        max: usize,
    },
    /// A key that JSON has no text for.
    #[error("a map's key is {found}; JSON's keys are text")]
    Key {
        /// What it is.
        found: &'static str,
    },
    /// A MessagePack extension type; a timestamp is one.
    #[error("an extension type has no JSON form")]
    Extension,
    /// The one byte that MessagePack never uses, 0xc1.
    #[error("0xc1 begins no MessagePack value")]
    Reserved,
    /// JSON has no NaN and no infinities.
    #[error("{value} has no JSON form")]
    NotFinite {
        /// `NaN`, `inf` or `-inf`.
        value: f64,
    },
    /// [`Integers::Refuse`](crate::Integers::Refuse) was asked for.
    #[error("integer is beyond 2^53 - 1")]
    UnsafeInteger,
    /// An integer that neither an `i64` nor a `u64` holds.
    #[error("integer is beyond 64 bits")]
    IntegerRange,
    /// A number too large for an `f64`.
    #[error("number is beyond the range of f64")]
    FloatRange,
    /// A string, an array or a map too large for MessagePack.
    #[error("a string, an array or a map is longer than {max}")]
    TooLong {
        /// Most bytes, members or pairs.
        max: u32,
    },
    /// Text that is no JSON.
    #[error("{found:?} stands where {expected} should")]
    Syntax {
        /// What JSON has there.
        expected: &'static str,
        /// The byte that is there; one above 127 is shown as the Latin-1 character of that number.
        found: char,
    },
    /// A control character in a string; JSON wants it escaped.
    #[error("a string has the control character {found:?} in it")]
    Control {
        /// The character.
        found: char,
    },
    /// Half of a pair of `\u` escapes.
    #[error("an escape is half of a surrogate pair")]
    LoneSurrogate,
    /// The input could not be read.
    #[error("cannot read the input")]
    Read(#[source] Arc<io::Error>),
    /// The output could not be written. `at` says how far the input had been read.
    #[error("cannot write the output")]
    Write(#[source] Arc<io::Error>),
}

impl TranscodeError {
    /// The fixed code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.what {
            TranscodeFault::Truncated => "truncated",
            TranscodeFault::Trailing => "trailing",
            TranscodeFault::InvalidUtf8 => "invalid-utf8",
            TranscodeFault::DuplicateKey => "duplicate-key",
            TranscodeFault::TooDeep { .. } => "too-deep",
            TranscodeFault::Key { .. } => "key-not-text",
            TranscodeFault::Extension => "extension",
            TranscodeFault::Reserved => "reserved-byte",
            TranscodeFault::NotFinite { .. } => "not-finite",
            TranscodeFault::UnsafeInteger => "unsafe-integer",
            TranscodeFault::IntegerRange => "integer-range",
            TranscodeFault::FloatRange => "float-range",
            TranscodeFault::TooLong { .. } => "too-long",
            TranscodeFault::Syntax { .. } => "syntax",
            TranscodeFault::Control { .. } => "control-character",
            TranscodeFault::LoneSurrogate => "lone-surrogate",
            TranscodeFault::Read(_) => "read-failed",
            TranscodeFault::Write(_) => "write-failed",
        }
    }
}

/// An error on its way out: thin, so that what goes well costs little.
#[derive(Debug)]
pub(super) struct Stop(Box<TranscodeError>);

impl Stop {
    /// The same, found at byte `at`.
    #[cold]
    pub(super) fn at(mut self, at: u64) -> Self {
        self.0.at = at;
        self
    }
}

impl From<TranscodeFault> for Stop {
    /// Found by a writer; the reader knows where.
    #[cold]
    fn from(what: TranscodeFault) -> Self {
        Self(Box::new(TranscodeError { at: 0, what }))
    }
}

impl From<io::Error> for Stop {
    /// Writing failed.
    #[cold]
    fn from(error: io::Error) -> Self {
        TranscodeFault::Write(Arc::new(error)).into()
    }
}

impl From<Stop> for TranscodeError {
    fn from(stop: Stop) -> Self {
        *stop.0
    }
}

impl TranscodeFault {
    /// This, found at byte `at`.
    #[cold]
    pub(super) fn at(self, at: u64) -> Stop {
        Stop::from(self).at(at)
    }
}
