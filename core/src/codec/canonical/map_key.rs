//! A map's key, as whatever the map's type wants: in JSON every key is text.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::{Fault, Key, Number, Text};

impl<'de> Text<'de, '_> {
    #[inline]
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Copied(text) => text,
        }
    }

    #[inline]
    pub(super) fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Borrowed(text) => visitor.visit_borrowed_str(text),
            Self::Copied(text) => visitor.visit_str(text),
        }
    }
}

impl Key<'_, '_> {
    /// The text that it is in JSON.
    pub(super) fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Unsigned(value) => value.to_string().into(),
            Self::Signed(value) => value.to_string().into(),
            Self::Bool(value) => if *value { "true" } else { "false" }.into(),
        }
    }
}

/// Reads a key.
pub(super) struct MapKey<'de, 's>(pub(super) Key<'de, 's>);

impl<'de> MapKey<'de, '_> {
    fn integer(&self) -> Option<Number<'_>> {
        match &self.0 {
            Key::Text(text) => Number::integer(text.as_str()),
            Key::Unsigned(value) => Some(Number::Unsigned(*value)),
            Key::Signed(value) => Some(Number::Signed(*value)),
            Key::Bool(_) => None,
        }
    }

    #[cold]
    fn mistyped<V: Visitor<'de>>(&self, visitor: &V) -> Fault {
        match &self.0 {
            Key::Text(text) => Fault::invalid_value(Unexpected::Str(text.as_str()), visitor),
            Key::Unsigned(value) => Fault::invalid_type(Unexpected::Unsigned(*value), visitor),
            Key::Signed(value) => Fault::invalid_type(Unexpected::Signed(*value), visitor),
            Key::Bool(value) => Fault::invalid_type(Unexpected::Bool(*value), visitor),
        }
    }
}

macro_rules! integer_keys {
    ($($method:ident by $visit:ident),+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.integer() {
                Some(number) => number.$visit(visitor),
                None => Err(self.mistyped(&visitor)),
            }
        })+
    };
}

impl<'de> Deserializer<'de> for MapKey<'de, '_> {
    type Error = Fault;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Key::Text(text) => text.visit(visitor),
            // Where no integer was asked for, the key is what it is in JSON.
            key => visitor.visit_str(&key.as_text()),
        }
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    integer_keys! {
        deserialize_i8 by visit,
        deserialize_i16 by visit,
        deserialize_i32 by visit,
        deserialize_i64 by visit,
        deserialize_i128 by visit_wide,
        deserialize_u8 by visit,
        deserialize_u16 by visit,
        deserialize_u32 by visit,
        deserialize_u64 by visit,
        deserialize_u128 by visit_wide
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match &self.0 {
            Key::Bool(value) => Some(*value),
            Key::Text(text) => text.as_str().parse().ok(),
            Key::Unsigned(_) | Key::Signed(_) => None,
        };
        match value {
            Some(value) => visitor.visit_bool(value),
            None => Err(self.mistyped(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Key::Text(Text::Borrowed(name)) => {
                visitor.visit_enum(BorrowedStrDeserializer::new(name))
            }
            Key::Text(Text::Copied(name)) => visitor.visit_enum(StrDeserializer::new(name)),
            _ => Err(self.mistyped(&visitor)),
        }
    }

    // Not numbers with a fraction: they are not written as keys either.
    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        ignored_any
    }
}
