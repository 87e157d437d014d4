//! JSON values, compared as the laws say: integers and doubles are different, doubles are their
//! bits, keys have no order.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use tramline::AnyCodec;

/// A value of which nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exact {
    Null,
    Bool(bool),
    Integer(i128),
    /// The bits of a double.
    Double(u64),
    Text(String),
    Array(Vec<Exact>),
    Map(BTreeMap<String, Exact>),
}

/// The value of a JSON text.
pub(crate) fn exact(json: &str) -> Exact {
    match AnyCodec::JSON.decode(json.as_bytes()) {
        Ok(value) => value,
        Err(e) => panic!("{e}: {json}"),
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExactVisitor;

        impl<'de> Visitor<'de> for ExactVisitor {
            type Value = Exact;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything that JSON has")
            }

            fn visit_unit<E>(self) -> Result<Exact, E> {
                Ok(Exact::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Exact, E> {
                Ok(Exact::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Exact, E> {
                Ok(Exact::Integer(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Exact, E> {
                Ok(Exact::Integer(value.into()))
            }

            // Not by way of a double: as text a single is other digits. By serde_json's text, for
            // there may be two that are as short and as near.
            fn visit_f32<E: serde::de::Error>(self, value: f32) -> Result<Exact, E> {
                let text = serde_json::to_string(&value).map_err(E::custom)?;
                let double: f64 = text.parse().map_err(E::custom)?;
                Ok(Exact::Double(double.to_bits()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Exact, E> {
                Ok(Exact::Double(value.to_bits()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Exact, E> {
                Ok(Exact::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Exact, A::Error> {
                let mut array = Vec::new();
                while let Some(element) = seq.next_element()? {
                    array.push(element);
                }
                Ok(Exact::Array(array))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Exact, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, value)) = map.next_entry()? {
                    entries.insert(key, value);
                }
                Ok(Exact::Map(entries))
            }
        }

        deserializer.deserialize_any(ExactVisitor)
    }
}

#[test]
fn an_integer_is_no_double_and_order_does_not_matter() {
    assert_ne!(exact("1"), exact("1.0"));
    assert_ne!(exact("0.0"), exact("-0.0"));
    assert_ne!(exact("9007199254740993"), exact("9007199254740992"));
    assert_eq!(exact(r#"{"a":1,"b":[2.5e0,null]}"#), exact(r#"{ "b": [2.5, null], "a": 1 }"#));
}
