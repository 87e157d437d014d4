//! Bytes to values.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::super::canonical::{Fault, MAX_DEPTH};
use super::parts::{Elements, Entries, Keys, Members, Variant};
use super::{Depth, MAX_EMPTY_ELEMENTS};

/// Reads one value.
pub(super) struct Reader<'de> {
    pub(super) rest: &'de [u8],
    /// Bytes of the whole input.
    input_len: usize,
    depth: Depth,
    pub(super) empty_elements: u32,
}

impl<'de> Reader<'de> {
    pub(super) fn new(input: &'de [u8]) -> Self {
        Self { rest: input, input_len: input.len(), depth: Depth::default(), empty_elements: 0 }
    }

    /// Whether all of the input was read.
    pub(super) fn finish(self) -> Result<(), Fault> {
        match self.rest.len() {
            0 => Ok(()),
            _ => Err(self.refuse("bytes follow the value")),
        }
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> usize {
        self.input_len - self.rest.len()
    }

    #[cold]
    pub(super) fn refuse(&self, cause: impl fmt::Display) -> Fault {
        Fault::new(self.offset(), cause)
    }

    /// Something the crate reads, as it reads it.
    #[inline]
    fn plain<T: Deserialize<'de>>(&mut self) -> Result<T, Fault> {
        match ::postcard::take_from_bytes(self.rest) {
            Ok((value, rest)) => {
                self.rest = rest;
                Ok(value)
            }
            Err(e) => Err(self.refuse(plain_words(&e))),
        }
    }

    /// An integer of several bytes, in its shortest form: otherwise one key would have several.
    #[inline]
    pub(super) fn integer<T: Deserialize<'de>>(&mut self) -> Result<T, Fault> {
        let before = self.rest;
        let value = self.plain()?;
        match &before[..before.len() - self.rest.len()] {
            [_, .., 0] => {
                self.rest = before;
                Err(self.refuse("an integer is longer than it need be"))
            }
            _ => Ok(value),
        }
    }

    /// Text or bytes behind their length.
    #[inline]
    fn run<T: Deserialize<'de>>(&mut self) -> Result<T, Fault> {
        let before = self.rest;
        self.integer::<usize>()?;
        self.rest = before;
        self.plain()
    }

    /// How many elements follow.
    #[inline]
    fn len(&mut self) -> Result<usize, Fault> {
        let before = self.rest;
        let len: usize = self.integer()?;
        let empty_ones = (MAX_EMPTY_ELEMENTS - self.empty_elements) as usize;
        if len > self.rest.len().saturating_add(empty_ones) {
            let left = self.rest.len();
            self.rest = before;
            return Err(self.refuse(format_args!("{len} elements in {left} bytes")));
        }
        Ok(len)
    }

    /// Reads within a level of its own, which is over with it.
    #[inline]
    pub(super) fn nested<R>(
        &mut self,
        by: Depth,
        read: impl FnOnce(&mut Self) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let Some(depth) = self.depth.deeper(by) else {
            return Err(self.refuse(format_args!("nested deeper than {MAX_DEPTH}")));
        };
        let outer = std::mem::replace(&mut self.depth, depth);
        let value = read(self)?;
        self.depth = outer;
        Ok(value)
    }

    #[inline]
    pub(super) fn members<V: Visitor<'de>>(
        &mut self,
        names: &'static [&'static str],
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.nested(Depth::CONTAINER, |reader| {
            visitor.visit_seq(Members { reader, names, left: len, index: 0 })
        })
    }

    #[cold]
    fn untold<T>(&self, expected: &dyn de::Expected) -> Result<T, Fault> {
        Err(self.refuse(format_args!(
            "the type ({expected}) asks what comes next, and the bytes do not tell"
        )))
    }
}

/// The crate's errors are sentences about itself.
#[cold]
fn plain_words(error: &::postcard::Error) -> &'static str {
    use ::postcard::Error;
    match error {
        Error::DeserializeUnexpectedEnd => "the input ends too early",
        Error::DeserializeBadVarint => "an integer is out of range",
        Error::DeserializeBadBool => "a bool or option is neither 0 nor 1",
        Error::DeserializeBadUtf8 => "a text that is not UTF-8",
        _ => "not what the type asks for",
    }
}

macro_rules! read {
    ($($method:ident: $read:ident $type:ty => $visit:ident)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.$read::<$type>()?)
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Fault;

    read! {
        deserialize_bool: plain bool => visit_bool
        deserialize_i8: plain i8 => visit_i8
        deserialize_i16: integer i16 => visit_i16
        deserialize_i32: integer i32 => visit_i32
        deserialize_i64: integer i64 => visit_i64
        deserialize_u8: plain u8 => visit_u8
        deserialize_u16: integer u16 => visit_u16
        deserialize_u32: integer u32 => visit_u32
        deserialize_u64: integer u64 => visit_u64
        deserialize_str: run &'de str => visit_borrowed_str
        deserialize_string: run &'de str => visit_borrowed_str
    }

    /// An array in JSON, so a level of nesting.
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let bytes = self.nested(Depth::CONTAINER, |reader| reader.run::<&'de [u8]>())?;
        visitor.visit_borrowed_bytes(bytes)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value: i128 = self.integer()?;
        if i64::try_from(value).is_err() && u64::try_from(value).is_err() {
            return Err(self.refuse("an integer beyond 64 bits"));
        }
        visitor.visit_i128(value)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value: u128 = self.integer()?;
        if u64::try_from(value).is_err() {
            return Err(self.refuse("an integer beyond 64 bits"));
        }
        visitor.visit_u128(value)
    }

    #[inline]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value: f32 = self.plain()?;
        if !value.is_finite() {
            return Err(self.refuse(format_args!("{value} has no JSON form")));
        }
        visitor.visit_f32(value)
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value: f64 = self.plain()?;
        if !value.is_finite() {
            return Err(self.refuse(format_args!("{value} has no JSON form")));
        }
        visitor.visit_f64(value)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        // The crate would take the first of several.
        let text: &str = self.run()?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(char), None) => visitor.visit_char(char),
            _ => Err(self.refuse("a char is not one char")),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.plain::<bool>()? {
            self.nested(Depth::WRAPPER, |reader| visitor.visit_some(reader))
        } else {
            visitor.visit_none()
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.nested(Depth::WRAPPER, |reader| visitor.visit_newtype_struct(reader))
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let len = self.len()?;
        self.nested(Depth::CONTAINER, |reader| {
            let mut elements = Elements { reader, left: len, index: 0 };
            let value = visitor.visit_seq(&mut elements)?;
            elements.all_read()?;
            Ok(value)
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.members(&[], len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.members(&[], len, visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let len = self.len()?;
        self.nested(Depth::CONTAINER, |reader| {
            let elements = Elements { reader, left: len, index: 0 };
            let mut entries = Entries { elements, keys: Keys::default() };
            let value = visitor.visit_map(&mut entries)?;
            entries.elements.all_read()?;
            Ok(value)
        })
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.members(names, names.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(Variant { reader: self, names })
    }

    /// Of the names of fields and variants only those of arguments are in the bytes, and those are
    /// asked for as text.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.untold(&visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.untold(&visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.untold(&visitor)
    }
}
