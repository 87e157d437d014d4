//! Where two JSON texts say different things.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use tramline_core::{AnyCodec, DecodeError};

/// The first place at which two JSON texts differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// `.name`, `["any key"]` or `[3]`, from the outside in; empty at the top.
    pub path: String,
    /// What the first text says there; `None` if it has nothing there.
    pub left: Option<Box<str>>,
    /// What the second text says there.
    pub right: Option<Box<str>>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_nothing = |side: &Option<Box<str>>| side.clone().unwrap_or_else(|| "nothing".into());
        if !self.path.is_empty() {
            write!(f, "at {}: ", self.path)?;
        }
        write!(f, "{} and {}", or_nothing(&self.left), or_nothing(&self.right))
    }
}

/// Compares two JSON texts as values: the order of keys does not matter, integers are compared by
/// their digits, floats by their bits, and the integer `1` is not the float `1.0`.
///
/// No tree of serde_json's is made: that would round large integers and widen `f32`.
///
/// # Errors
///
/// One of them is no JSON text that the codec [`AnyCodec::JSON`] reads: a key that stands twice, for
/// example, or an integer beyond 64 bits.
///
/// # Examples
///
/// ```
/// use tramline_compat_json::difference;
///
/// assert_eq!(difference(r#"{"a":1,"b":[0.10]}"#, r#"{"b":[1e-1],"a":1}"#)?, None);
/// let found = difference(r#"{"a":[1,2]}"#, r#"{"a":[1,2.0]}"#)?.unwrap();
/// assert_eq!(found.to_string(), "at .a[1]: 2 and 2.0");
/// # Ok::<(), tramline_core::DecodeError>(())
/// ```
pub fn difference(left: &str, right: &str) -> Result<Option<Mismatch>, DecodeError> {
    let read = |text: &str| AnyCodec::JSON.decode::<Value>(text.as_bytes());
    let (left, right) = (read(left)?, read(right)?);
    let mut path = String::new();
    Ok(differ(&left, &right, &mut path).map(|(left, right)| {
        // What was read can be written.
        let text = |value: &Value| AnyCodec::JSON.to_vec(value).unwrap_or_default();
        let text = |value: &Value| String::from_utf8_lossy(&text(value)).into();
        Mismatch { left: left.map(text), right: right.map(text), path }
    }))
}

/// A value of which nothing is lost.
enum Value {
    Null,
    Bool(bool),
    /// Not below zero.
    Unsigned(u64),
    /// Below zero.
    Signed(i64),
    Float(f64),
    Text(String),
    Array(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

/// Two parts in the same place; one of them may be missing.
type Sides<'v> = (Option<&'v Value>, Option<&'v Value>);

/// The first two parts that differ; `path` then leads to them.
fn differ<'v>(left: &'v Value, right: &'v Value, path: &mut String) -> Option<Sides<'v>> {
    let same = match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Unsigned(left), Value::Unsigned(right)) => left == right,
        (Value::Signed(left), Value::Signed(right)) => left == right,
        (Value::Float(left), Value::Float(right)) => left.to_bits() == right.to_bits(),
        (Value::Text(left), Value::Text(right)) => left == right,
        (Value::Array(lefts), Value::Array(rights)) => {
            return (0..lefts.len().max(rights.len())).find_map(|index| {
                let sides = (lefts.get(index), rights.get(index));
                differ_within(sides, path, |path| path.push_str(&format!("[{index}]")))
            });
        }
        (Value::Object(lefts), Value::Object(rights)) => {
            let keys: BTreeSet<_> = lefts.keys().chain(rights.keys()).collect();
            return keys.into_iter().find_map(|key| {
                let sides = (lefts.get(key), rights.get(key));
                differ_within(sides, path, |path| push_key(path, key))
            });
        }
        _ => false,
    };
    (!same).then_some((Some(left), Some(right)))
}

/// The first difference of two parts that lie a step further.
fn differ_within<'v>(
    sides: Sides<'v>,
    path: &mut String,
    step: impl FnOnce(&mut String),
) -> Option<Sides<'v>> {
    let len = path.len();
    step(path);
    let found = match sides {
        (Some(left), Some(right)) => differ(left, right, path),
        one => Some(one),
    };
    if found.is_none() {
        path.truncate(len);
    }
    found
}

fn push_key(path: &mut String, key: &str) {
    let plain = |c: char| c.is_alphanumeric() || c == '_';
    if !key.is_empty() && key.chars().all(plain) {
        path.push('.');
        path.push_str(key);
    } else {
        path.push_str(&format!("[{key:?}]"));
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Signed(value), Value::Unsigned))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(part) = parts.next_element()? {
            array.push(part);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry()? {
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Array(parts) => serializer.collect_seq(parts),
            Self::Object(entries) => serializer.collect_map(entries),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(left: &str, right: &str) -> String {
        difference(left, right).expect("JSON").map_or_else(String::new, |found| found.to_string())
    }

    #[test]
    fn order_of_keys_and_spelling_do_not_matter() {
        assert_eq!(found(r#"{"a":1,"b":"\u0041"}"#, " { \"b\" : \"A\" , \"a\" : 1 } "), "");
        assert_eq!(found("1.50", "15e-1"), "");
        assert_eq!(found("[]", "[ ]"), "");
    }

    #[test]
    fn numbers_are_told_apart_as_the_laws_say() {
        assert_eq!(found("1", "1.0"), "1 and 1.0");
        assert_eq!(found("-0.0", "0.0"), "-0.0 and 0.0");
        assert!(found("[9007199254740993]", "[9007199254740992]").starts_with("at [0]: "));
        assert_eq!(found("-1", "1"), "-1 and 1");
        assert_eq!(found("0.1", "0.10000000149011612"), "0.1 and 0.10000000149011612");
    }

    #[test]
    fn the_first_difference_comes_with_its_path() {
        let odd_key = found(r#"{"a":{"b c":[0,1]}}"#, r#"{"a":{"b c":[0]}}"#);
        assert_eq!(odd_key, r#"at .a["b c"][1]: 1 and nothing"#);
        assert_eq!(found(r#"{"a":1}"#, r#"{"b":1}"#), "at .a: 1 and nothing");
        assert_eq!(found(r#"{"b":1}"#, r#"{"a":1,"b":1}"#), "at .a: nothing and 1");
        assert_eq!(found("[[1],[2,[3]]]", "[[1],[2,{}]]"), "at [1][1]: [3] and {}");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(100_000);
        for text in [
            "",
            "nul",
            "[1 2]",
            "{\"a\"}",
            "\"a",
            "1 2",
            "{1:2}",
            "[1,",
            "[1,]",
            "-",
            "1-2",
            &deep,
            "18446744073709551616",
            r#"{"a":1,"a":1}"#,
        ] {
            assert!(difference(text, text).is_err(), "{text:.20}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(left: String, right in "[\\[\\]{}\",:0-9a-e.\\\\ -]{0,40}") {
            let _ = difference(&left, &right);
            let _ = difference(&right, &right);
        }
    }
}
