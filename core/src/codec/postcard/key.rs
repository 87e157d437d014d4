//! The keys of maps, in either direction: something that JSON has as text.

use std::fmt::Display;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor};
use serde::ser::{Error as _, Impossible, Serialize, Serializer};

use super::super::canonical::{Fault, NO_KEY, Refusal, Written};
use super::parts::variant;
use super::read::Reader;
use super::write::Writer;

/// Writes a map's key, which must be something that JSON has as text.
pub(super) struct KeyWriter<'s, 'w, 'o>(pub(super) &'s mut Writer<'w, 'o>);

impl KeyWriter<'_, '_, '_> {
    #[cold]
    fn refuse<T>(self) -> Result<T, Refusal> {
        Err(self.0.refuse(Refusal::custom(NO_KEY)))
    }
}

macro_rules! write_key {
    ($($method:ident($type:ty))*) => {
        $(#[inline]
        fn $method(self, key: $type) -> Written {
            self.0.$method(key)
        })*
    };
}

macro_rules! write_no_key {
    ($($method:ident($($type:ty),*) -> $result:ty)*) => {
        $(fn $method(self, $(_: $type),*) -> $result {
            self.refuse()
        })*
    };
}

type NoKey = Impossible<(), Refusal>;

impl Serializer for KeyWriter<'_, '_, '_> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = NoKey;
    type SerializeTuple = NoKey;
    type SerializeTupleStruct = NoKey;
    type SerializeTupleVariant = NoKey;
    type SerializeMap = NoKey;
    type SerializeStruct = NoKey;
    type SerializeStructVariant = NoKey;

    write_key! {
        serialize_bool(bool)
        serialize_i8(i8)
        serialize_i16(i16)
        serialize_i32(i32)
        serialize_i64(i64)
        serialize_u8(u8)
        serialize_u16(u16)
        serialize_u32(u32)
        serialize_u64(u64)
        serialize_char(char)
        serialize_str(&str)
    }

    /// As text there is no limit.
    fn serialize_i128(self, key: i128) -> Written {
        self.0.plain(&key)
    }

    fn serialize_u128(self, key: u128) -> Written {
        self.0.plain(&key)
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, key: &'static str) -> Written {
        self.0.serialize_unit_variant(name, index, key)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, key: &T) -> Written {
        key.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, key: &T) -> Written {
        key.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written {
        self.refuse()
    }

    fn collect_str<T: Display + ?Sized>(self, key: &T) -> Written {
        self.0.collect_str(key)
    }

    write_no_key! {
        serialize_f32(f32) -> Written
        serialize_f64(f64) -> Written
        serialize_bytes(&[u8]) -> Written
        serialize_none() -> Written
        serialize_unit() -> Written
        serialize_unit_struct(&'static str) -> Written
        serialize_seq(Option<usize>) -> Result<NoKey, Refusal>
        serialize_tuple(usize) -> Result<NoKey, Refusal>
        serialize_tuple_struct(&'static str, usize) -> Result<NoKey, Refusal>
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Result<NoKey, Refusal>
        serialize_map(Option<usize>) -> Result<NoKey, Refusal>
        serialize_struct(&'static str, usize) -> Result<NoKey, Refusal>
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Result<NoKey, Refusal>
    }
}

/// Reads a map's key.
pub(super) struct KeyReader<'r, 'de>(pub(super) &'r mut Reader<'de>);

macro_rules! read_key {
    ($($method:ident)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.0.$method(visitor)
        })*
    };
}

macro_rules! read_no_key {
    ($($method:ident($($type:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(self, $(_: $type,)* _: V) -> Result<V::Value, Fault> {
            Err(self.0.refuse(NO_KEY))
        })*
    };
}

impl<'de> Deserializer<'de> for KeyReader<'_, 'de> {
    type Error = Fault;

    read_key! {
        deserialize_bool
        deserialize_i8
        deserialize_i16
        deserialize_i32
        deserialize_i64
        deserialize_u8
        deserialize_u16
        deserialize_u32
        deserialize_u64
        deserialize_char
        deserialize_str
        deserialize_string
        deserialize_identifier
        deserialize_any
        deserialize_ignored_any
    }

    /// As text there is no limit.
    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_i128(self.0.integer()?)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u128(self.0.integer()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(KeyVariant(self.0))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    read_no_key! {
        deserialize_f32()
        deserialize_f64()
        deserialize_bytes()
        deserialize_byte_buf()
        deserialize_unit()
        deserialize_unit_struct(&'static str)
        deserialize_seq()
        deserialize_tuple(usize)
        deserialize_tuple_struct(&'static str, usize)
        deserialize_map()
        deserialize_struct(&'static str, &'static [&'static str])
    }
}

/// A variant as a key: nothing may follow it.
struct KeyVariant<'r, 'de>(&'r mut Reader<'de>);

impl<'r, 'de> EnumAccess<'de> for KeyVariant<'r, 'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let (_, variant) = variant(self.0, seed)?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for KeyVariant<'_, 'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, Fault> {
        Err(self.0.refuse(NO_KEY))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(self.0.refuse(NO_KEY))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(self.0.refuse(NO_KEY))
    }
}
