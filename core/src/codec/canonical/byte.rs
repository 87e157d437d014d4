//! Bytes where no bytes are asked for: the array of numbers that they are in JSON.

use serde::de::{self, DeserializeSeed, Deserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::Fault;

/// The elements of such an array.
pub(super) struct ByteElements<'de> {
    bytes: &'de [u8],
    index: usize,
}

impl<'de> ByteElements<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, index: 0 }
    }

    pub(super) fn is_over(&self) -> bool {
        self.index == self.bytes.len()
    }
}

impl<'de> de::SeqAccess<'de> for ByteElements<'de> {
    type Error = Fault;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(byte) = self.bytes.get(self.index) else {
            return Ok(None);
        };
        let value = seed.deserialize(Byte(*byte))?;
        self.index += 1;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len() - self.index)
    }
}

/// A number, for whoever takes a number in JSON.
struct Byte(u8);

impl<'de> Deserializer<'de> for Byte {
    type Error = Fault;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u8(self.0)
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

    /// Not by its number.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        Err(de::Error::invalid_type(Unexpected::Unsigned(self.0.into()), &visitor))
    }

    /// Not by its number.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_identifier(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct ignored_any
    }
}
