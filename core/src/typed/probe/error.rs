//! What a type says of a made-up value that it does not take.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, Expected, Unexpected};

/// A type did not take a made-up value.
#[derive(Debug)]
pub struct ProbeError(Box<str>);

/// One complaint. A type may swallow its own: untagged enums try one variant after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Complaint {
    /// Another kind of value, or another value of this kind.
    Expected {
        found: Found,
        expected: String,
    },
    UnknownVariant {
        found: String,
        known: &'static [&'static str],
    },
    UnknownField {
        found: String,
        known: &'static [&'static str],
    },
    MissingField(&'static str),
    DuplicateField(&'static str),
    Length {
        too_long: bool,
    },
    Other(String),
}

/// What it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Text(String),
    Bool,
    Integer,
    Float,
    Unit,
    Bytes,
    Seq,
    Map,
    /// A variant without content.
    UnitVariant,
    Other,
}

thread_local! {
    /// Complaints since somebody began to listen. The constructors of an error know nobody else.
    static HEARD: RefCell<Option<Vec<Complaint>>> = const { RefCell::new(None) };
}

/// Listens from now on.
pub(super) fn listen() {
    HEARD.set(Some(Vec::new()));
}

/// What was heard. Stops to listen.
pub(super) fn heard() -> Vec<Complaint> {
    HEARD.take().unwrap_or_default()
}

/// How many complaints there are so far.
pub(super) fn count() -> usize {
    HEARD.with_borrow(|heard| heard.as_ref().map_or(0, Vec::len))
}

fn say(complaint: Complaint) {
    HEARD.with_borrow_mut(|heard| {
        if let Some(heard) = heard {
            heard.push(complaint);
        }
    });
}

impl ProbeError {
    /// A refusal of the probe's own: no complaint of the type.
    pub(super) fn silent(cause: &str) -> Self {
        Self(cause.into())
    }

    fn expected(found: Unexpected<'_>, expected: &dyn Expected, what: &str) -> Self {
        let words = format!("invalid {what}: {found}, expected {expected}");
        let found = match found {
            Unexpected::Str(text) => Found::Text(text.to_owned()),
            Unexpected::Bool(_) => Found::Bool,
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => Found::Integer,
            Unexpected::Float(_) => Found::Float,
            Unexpected::Unit | Unexpected::Option => Found::Unit,
            Unexpected::Bytes(_) => Found::Bytes,
            Unexpected::Seq => Found::Seq,
            Unexpected::Map => Found::Map,
            Unexpected::UnitVariant => Found::UnitVariant,
            _ => Found::Other,
        };
        say(Complaint::Expected { found, expected: expected.to_string() });
        Self(words.into())
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ProbeError {}

impl de::Error for ProbeError {
    fn custom<T: fmt::Display>(words: T) -> Self {
        let words = words.to_string();
        say(Complaint::Other(words.clone()));
        Self(words.into())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(found, expected, "type")
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(found, expected, "value")
    }

    fn invalid_length(len: usize, expected: &dyn Expected) -> Self {
        // serde's words where something is left over, and only there.
        let expected = expected.to_string();
        say(Complaint::Length { too_long: expected.ends_with("in sequence") });
        Self(format!("invalid length {len}, expected {expected}").into())
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        say(Complaint::UnknownVariant { found: found.to_owned(), known });
        Self(format!("unknown variant `{found}`").into())
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        say(Complaint::UnknownField { found: found.to_owned(), known });
        Self(format!("unknown field `{found}`").into())
    }

    fn missing_field(name: &'static str) -> Self {
        say(Complaint::MissingField(name));
        Self(format!("missing field `{name}`").into())
    }

    fn duplicate_field(name: &'static str) -> Self {
        say(Complaint::DuplicateField(name));
        Self(format!("duplicate field `{name}`").into())
    }
}
