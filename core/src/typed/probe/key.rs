//! The keys of made-up maps.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::Trait;
use super::error::ProbeError;
use super::parts::Variant;
use super::prober::{Names, Prober, Result};

/// A map with one entry, or none if none can be made up.
pub(super) struct OneEntry<'a, 'p> {
    pub(super) around: &'a Prober<'p>,
    pub(super) left: bool,
}

impl<'de> MapAccess<'de> for OneEntry<'_, '_> {
    type Error = ProbeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !std::mem::take(&mut self.left) {
            return Ok(None);
        }
        seed.deserialize(Key { map: self.around, own: self.around.within("{key}") }).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        seed.deserialize(self.around.within("{}"))
    }
}

/// A map's key.
struct Key<'a, 'p> {
    map: &'a Prober<'p>,
    own: Prober<'p>,
}

impl Key<'_, '_> {
    /// A key that is text only where the type says so: not within content that is read before it is
    /// known what it is.
    fn numeric(&self, kind: &'static str) {
        if self.own.state.borrow().adjacent > 0 {
            self.map.note(Trait::BufferedKey(kind.into()));
        }
    }

    fn no_scalar<T>(&self, kind: &'static str) -> Result<T> {
        self.map.note(Trait::KeyNoScalar(kind));
        self.own.choose(1, false);
        Err(ProbeError::silent("no key"))
    }
}

macro_rules! numeric_keys {
    ($($method:ident $kind:literal)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.numeric($kind);
            self.own.$method(visitor)
        })*
    };
}

macro_rules! no_keys {
    ($($method:ident($($type:ty),*) $kind:literal)*) => {
        $(fn $method<V: Visitor<'de>>(self, $(_: $type,)* _: V) -> Result<V::Value> {
            self.no_scalar($kind)
        })*
    };
}

impl<'de> Deserializer<'de> for Key<'_, '_> {
    type Error = ProbeError;

    numeric_keys! {
        deserialize_bool "bool"
        deserialize_i8 "i8"
        deserialize_i16 "i16"
        deserialize_i32 "i32"
        deserialize_i64 "i64"
        deserialize_i128 "i128"
        deserialize_u8 "u8"
        deserialize_u16 "u16"
        deserialize_u32 "u32"
        deserialize_u64 "u64"
        deserialize_u128 "u128"
    }

    no_keys! {
        deserialize_f32() "a float"
        deserialize_f64() "a float"
        deserialize_bytes() "bytes"
        deserialize_byte_buf() "bytes"
        deserialize_unit() "nothing"
        deserialize_unit_struct(&'static str) "nothing"
        deserialize_seq() "a sequence"
        deserialize_tuple(usize) "a tuple"
        deserialize_tuple_struct(&'static str, usize) "a tuple"
        deserialize_map() "a map"
        deserialize_struct(&'static str, Names) "a struct"
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.map.note(Trait::OptionalKey);
        visitor.visit_some(self)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.own.deserialize_char(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.own.deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.own.deserialize_str(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.own.is_positional() {
            return self.own.deserialize_any(visitor);
        }
        self.own.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: Names,
        visitor: V,
    ) -> Result<V::Value> {
        let index = self.own.choose(names.len(), true);
        visitor.visit_enum(Variant { around: &self.own, names, index, is_key: true })
    }

    /// A struct with flattened fields is read as a map whose keys are names.
    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        if self.own.is_positional() {
            return self.map.refuse(Trait::Flattened);
        }
        let mut state = self.own.state.borrow_mut();
        state.again = state.flatten(&self.map.path);
        Err(ProbeError::silent("a struct with flattened fields"))
    }
}
