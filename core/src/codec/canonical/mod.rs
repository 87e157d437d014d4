//! One set of rules for every built-in codec: a value *is* what it is in JSON.
//!
//! [`encode`] is one serializer over a [`Format`], [`decode`] one deserializer over a [`Reader`]; each
//! codec has one of either that only knows its bytes. So what is refused, and which two forms mean
//! the same, cannot differ between codecs.
//!
//! What serde itself keeps in memory first (untagged and internally tagged enums, `flatten`) then
//! follows serde's rules, in every codec alike.

mod access;
mod byte;
mod de;
mod fault;
mod format;
mod key;
mod listing;
mod map_key;
mod number;
mod parts;
mod path;
mod private;
mod reader;
mod refusal;
mod seen;
mod ser;

pub(super) use self::de::{Deserializer, decode};
pub(super) use self::fault::Fault;
pub(super) use self::format::Format;
pub(super) use self::number::Number;
pub(super) use self::reader::{Key, Kind, Reader, Text};
pub(super) use self::refusal::{Refusal, Written};
pub(super) use self::ser::encode;
#[cfg(feature = "postcard")]
pub(super) use self::{
    key::NO_KEY,
    parts::went_on,
    path::Segment,
    ser::{beyond_64_bits, no_form, too_deep},
};

/// Arrays and maps within each other, at most, in either direction. Bytes count as the array that
/// they are in JSON. What serde_json reads, so that whatever is sent can be read as JSON by everybody.
pub const MAX_DEPTH: u8 = 127;

/// What all names begin with that serde_json keeps for itself: whether they mean anything depends on
/// which features somebody in the build has turned on, so as keys they are refused.
const PRIVATE: &str = "$serde_json::private::";
/// How a `serde_json::Number` is written under the feature `arbitrary_precision`.
const PRIVATE_NUMBER: &str = "$serde_json::private::Number";
/// How a `serde_json::value::RawValue` is written and asked for.
const PRIVATE_RAW: &str = "$serde_json::private::RawValue";
