//! What the transcoders are compared with: a plain tree, read by rmpv or serde_json and judged by the
//! rules of `compat-json`. Numbers are compared exactly: integers as such, floats by their bits.

#![allow(dead_code, reason = "each target uses its part")]

use std::io::{self, Read};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use tramline_compat_json::Transcoder;

/// Arrays and maps that may be open at a time.
const MAX_DEPTH: usize = 127;

#[derive(Debug, Clone)]
pub enum Tree {
    Null,
    Bool(bool),
    Integer(i128),
    F32(f32),
    F64(f64),
    Text(String),
    Bytes(Vec<u8>),
    Array(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// One MessagePack value; nothing if the rules refuse it.
    pub fn from_msgpack(mut bytes: &[u8]) -> Option<Self> {
        let value = rmpv::decode::read_value(&mut bytes).ok()?;
        if bytes.is_empty() { Self::from_rmpv(value, 0) } else { None }
    }

    fn from_rmpv(value: rmpv::Value, depth: usize) -> Option<Self> {
        let container = matches!(value, rmpv::Value::Array(_) | rmpv::Value::Map(_));
        if container && depth == MAX_DEPTH {
            return None;
        }
        Some(match value {
            rmpv::Value::Nil => Self::Null,
            rmpv::Value::Boolean(value) => Self::Bool(value),
            rmpv::Value::Integer(value) => Self::Integer(
                value.as_u64().map(i128::from).or_else(|| value.as_i64().map(i128::from))?,
            ),
            rmpv::Value::F32(value) => Self::F32(Some(value).filter(|value| value.is_finite())?),
            rmpv::Value::F64(value) => Self::F64(Some(value).filter(|value| value.is_finite())?),
            rmpv::Value::String(text) => Self::Text(text.into_str()?),
            rmpv::Value::Binary(bytes) => Self::Bytes(bytes),
            rmpv::Value::Array(items) => Self::Array(
                items
                    .into_iter()
                    .map(|item| Self::from_rmpv(item, depth + 1))
                    .collect::<Option<_>>()?,
            ),
            rmpv::Value::Map(pairs) => {
                let mut map: Vec<(String, Self)> = Vec::new();
                for (key, value) in pairs {
                    let key = match Self::from_rmpv(key, depth + 1)? {
                        Self::Text(text) => text,
                        Self::Integer(integer) => integer.to_string(),
                        Self::Bool(value) => value.to_string(),
                        _ => return None,
                    };
                    map.push((key, Self::from_rmpv(value, depth + 1)?));
                }
                let pairs = Self::Map(map);
                if pairs.has_equal_keys() {
                    return None;
                }
                pairs
            }
            rmpv::Value::Ext(..) => return None,
        })
    }

    /// One JSON text; nothing if serde_json or the rules refuse it.
    pub fn from_json(text: &[u8]) -> Option<Self> {
        let tree: Self = serde_json::from_slice(text).ok()?;
        if tree.has_equal_keys() || has_integer_beyond_64_bits(text) { None } else { Some(tree) }
    }

    fn has_equal_keys(&self) -> bool {
        match self {
            Self::Array(items) => items.iter().any(Self::has_equal_keys),
            Self::Map(pairs) => {
                let mut keys: Vec<_> = pairs.iter().map(|(key, _)| key).collect();
                keys.sort();
                keys.windows(2).any(|pair| pair[0] == pair[1])
                    || pairs.iter().any(|(_, value)| value.has_equal_keys())
            }
            _ => false,
        }
    }

    /// The text that serde_json would write.
    pub fn to_json(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::F32(value) => serde_json::to_string(value).expect("a number"),
            Self::F64(value) => serde_json::to_string(value).expect("a number"),
            Self::Text(text) => serde_json::to_string(text).expect("text"),
            Self::Bytes(bytes) => serde_json::to_string(bytes).expect("numbers"),
            Self::Array(items) => {
                let items: Vec<_> = items.iter().map(Self::to_json).collect();
                format!("[{}]", items.join(","))
            }
            Self::Map(pairs) => {
                let pair = |(key, value): &(String, Self)| {
                    format!("{}:{}", serde_json::to_string(key).expect("text"), value.to_json())
                };
                let pairs: Vec<_> = pairs.iter().map(pair).collect();
                format!("{{{}}}", pairs.join(","))
            }
        }
    }

    /// The MessagePack that its JSON text stands for, in the shortest form.
    pub fn to_msgpack(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &self.to_rmpv()).expect("written");
        bytes
    }

    fn to_rmpv(&self) -> rmpv::Value {
        match self {
            Self::Null => rmpv::Value::Nil,
            Self::Bool(value) => (*value).into(),
            Self::Integer(value) => match u64::try_from(*value) {
                Ok(value) => value.into(),
                Err(_) => i64::try_from(*value).expect("64 bits").into(),
            },
            // Its digits, read as those of an f64.
            Self::F32(_) => rmpv::Value::F64(self.to_json().parse().expect("a number")),
            Self::F64(value) => (*value).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => {
                rmpv::Value::Array(bytes.iter().map(|&byte| byte.into()).collect())
            }
            Self::Array(items) => rmpv::Value::Array(items.iter().map(Self::to_rmpv).collect()),
            Self::Map(pairs) => rmpv::Value::Map(
                pairs.iter().map(|(key, value)| (key.as_str().into(), value.to_rmpv())).collect(),
            ),
        }
    }
}

/// In a text that serde_json accepts. It makes a float of such an integer without a word.
fn has_integer_beyond_64_bits(text: &[u8]) -> bool {
    let mut rest = text;
    let part_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    while let Some(first) = rest.first() {
        let len = match first {
            b'"' => {
                let mut len = 1;
                while rest[len] != b'"' {
                    len += if rest[len] == b'\\' { 2 } else { 1 };
                }
                len + 1
            }
            b'-' | b'0'..=b'9' => {
                let len = rest.iter().position(|byte| !part_of_number(byte)).unwrap_or(rest.len());
                let number = std::str::from_utf8(&rest[..len]).expect("ASCII");
                let is_integer = !number.contains(['.', 'e', 'E']);
                if is_integer && number.parse::<u64>().is_err() && number.parse::<i64>().is_err() {
                    return true;
                }
                len
            }
            _ => 1,
        };
        rest = &rest[len..];
    }
    false
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Integer(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::F64(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Tree::Map(pairs))
    }
}

/// A reader that gives its bytes a few at a time.
pub struct Trickle<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> Trickle<'a> {
    /// The length of the pieces depends on the input, so that all of them come up.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, len: 1 + usize::from(bytes.last().copied().unwrap_or_default()) % 24 }
    }
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.len.min(buffer.len()).min(self.bytes.len());
        let (now, rest) = self.bytes.split_at(len);
        buffer[..len].copy_from_slice(now);
        self.bytes = rest;
        Ok(len)
    }
}

/// All values of a stream, and the code and the offset of the error that ends it.
pub type Values = (Vec<Vec<u8>>, Option<(&'static str, u64)>);

pub fn values(mut input: Transcoder<impl Read>) -> Values {
    let mut values = Vec::new();
    loop {
        let mut value = Vec::new();
        match input.next_value(&mut value) {
            Ok(true) => values.push(value),
            Ok(false) => return (values, None),
            Err(error) => return (values, Some((error.code(), error.at))),
        }
    }
}
