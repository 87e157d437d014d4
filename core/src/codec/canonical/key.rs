//! A map's key on its way out: in JSON every key is text.

use std::fmt::{self, Display, Write};

use serde::ser::{Error, Impossible, Serialize, Serializer};

use super::Refusal;

/// Gives the text of a map's key to `take`, or refuses the key.
#[inline]
pub(super) fn with_text<T: Serialize + ?Sized, R>(
    key: &T,
    take: impl FnOnce(&str) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    key.serialize(KeySerializer(take))
}

struct KeySerializer<F>(F);

/// The digits of an integer.
struct Digits {
    /// Room for any of 128 bits.
    bytes: [u8; 40],
    len: usize,
}

impl Write for Digits {
    fn write_str(&mut self, digits: &str) -> fmt::Result {
        let end = self.len + digits.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(digits.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl<R, F: FnOnce(&str) -> Result<R, Refusal>> KeySerializer<F> {
    fn integer(self, value: impl Display) -> Result<R, Refusal> {
        let mut digits = Digits { bytes: [0; 40], len: 0 };
        write!(digits, "{value}").map_err(Refusal::custom)?;
        (self.0)(str::from_utf8(&digits.bytes[..digits.len]).map_err(Refusal::custom)?)
    }
}

/// What every codec says of another key.
pub(crate) const NO_KEY: &str =
    "a key must be a text, an integer, a bool, a char or a variant without content";

#[cold]
fn no_text<T>() -> Result<T, Refusal> {
    Err(Refusal::custom(NO_KEY))
}

macro_rules! integers {
    ($($method:ident $type:ty),+) => {
        $(fn $method(self, value: $type) -> Result<R, Refusal> {
            self.integer(value)
        })+
    };
}

macro_rules! no_texts {
    ($($method:ident($($type:ty),*) -> $ok:ty),+ $(,)?) => {
        $(fn $method(self, $(_: $type),*) -> Result<$ok, Refusal> {
            no_text()
        })+
    };
}

impl<R, F: FnOnce(&str) -> Result<R, Refusal>> Serializer for KeySerializer<F> {
    type Ok = R;
    type Error = Refusal;
    type SerializeSeq = Impossible<R, Refusal>;
    type SerializeTuple = Impossible<R, Refusal>;
    type SerializeTupleStruct = Impossible<R, Refusal>;
    type SerializeTupleVariant = Impossible<R, Refusal>;
    type SerializeMap = Impossible<R, Refusal>;
    type SerializeStruct = Impossible<R, Refusal>;
    type SerializeStructVariant = Impossible<R, Refusal>;

    #[inline]
    fn serialize_str(self, text: &str) -> Result<R, Refusal> {
        (self.0)(text)
    }

    fn serialize_char(self, value: char) -> Result<R, Refusal> {
        (self.0)(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_bool(self, value: bool) -> Result<R, Refusal> {
        (self.0)(if value { "true" } else { "false" })
    }

    integers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_i128 i128, serialize_u8 u8, serialize_u16 u16, serialize_u32 u32,
        serialize_u64 u64, serialize_u128 u128
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<R, Refusal> {
        (self.0)(variant)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<R, Refusal> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<R, Refusal> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<R, Refusal> {
        no_text()
    }

    no_texts! {
        serialize_f32(f32) -> R,
        serialize_f64(f64) -> R,
        serialize_bytes(&[u8]) -> R,
        serialize_none() -> R,
        serialize_unit() -> R,
        serialize_unit_struct(&'static str) -> R,
        serialize_seq(Option<usize>) -> Self::SerializeSeq,
        serialize_tuple(usize) -> Self::SerializeTuple,
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct,
        serialize_tuple_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeTupleVariant,
        serialize_map(Option<usize>) -> Self::SerializeMap,
        serialize_struct(&'static str, usize) -> Self::SerializeStruct,
        serialize_struct_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeStructVariant,
    }
}
