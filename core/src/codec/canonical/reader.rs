//! What a format must be able to do so that values can be read from it.

use super::{Fault, Number};

/// What kind of value comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    Bytes,
    Array,
    Map,
}

/// A text: part of the input, or put together elsewhere because it held escapes.
#[derive(Debug)]
pub(crate) enum Text<'de, 's> {
    Borrowed(&'de str),
    Copied(&'s str),
}

/// A map's key as it stands in the input. Only a format with keys of other kinds has those.
#[derive(Debug)]
pub(crate) enum Key<'de, 's> {
    Text(Text<'de, 's>),
    Unsigned(u64),
    Signed(i64),
    Bool(bool),
}

/// Reads the parts of values from bytes, and judges nothing but these bytes.
///
/// Before each value stands [`begin`](Self::begin). The methods named after a kind read a value of
/// that kind; if another one comes next they read nothing and say `None`.
pub(crate) trait Reader<'de> {
    /// How far an open array or map has been read.
    type Open;

    /// How far the input has been read, in bytes.
    fn offset(&self) -> usize;

    /// Goes to the next value. Its offset.
    fn begin(&mut self) -> usize;

    /// The kind of the next value.
    fn kind(&mut self) -> Result<Kind, Fault>;

    /// Whether `null` came next, which is then read.
    fn null(&mut self) -> Result<bool, Fault>;

    fn boolean(&mut self) -> Result<Option<bool>, Fault>;

    fn number(&mut self) -> Result<Option<Number<'de>>, Fault>;

    fn text(&mut self) -> Result<Option<Text<'de, '_>>, Fault>;

    fn bytes(&mut self) -> Result<Option<&'de [u8]>, Fault>;

    fn array(&mut self) -> Result<Option<Self::Open>, Fault>;

    fn map(&mut self) -> Result<Option<Self::Open>, Fault>;

    /// Whether a further element follows, at whose beginning the reader is then; if not, the array is
    /// over.
    fn element(&mut self, open: &mut Self::Open) -> Result<bool, Fault>;

    /// Whether a further entry follows, at whose key the reader is then; if not, the map is over.
    fn entry(&mut self, open: &mut Self::Open) -> Result<bool, Fault>;

    /// Whether the key of an entry is this one, which is then read. `false` may also mean that
    /// nobody looked.
    fn likely_key(&mut self, name: &str) -> bool;

    /// The key of an entry.
    fn key(&mut self) -> Result<Key<'de, '_>, Fault>;

    /// Goes from a key to its value.
    fn colon(&mut self) -> Result<(), Fault>;

    /// How many elements or entries are left, if the format says so and the input is long enough to
    /// hold them.
    fn left(open: &Self::Open) -> Option<usize>;

    /// The key that begins at `at`, once more, for an error message.
    fn key_again(&self, at: usize) -> Box<str>;

    /// The input from `at` up to here, if it is JSON text.
    fn json_since(&self, at: usize) -> Option<&'de str>;

    /// Refuses what follows the value.
    fn end(&mut self) -> Result<(), Fault>;
}
