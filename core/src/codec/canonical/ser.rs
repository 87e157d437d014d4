//! Writing: what each kind of value becomes, the same for every format.

use std::fmt::Display;
use std::marker::PhantomData;

use serde::ser::{self, Error, Serialize};

use super::listing::{Array, Map};
use super::parts::{Content, Variant};
use super::path::Segment;
use super::private::Struct;
use super::refusal::Written;
use super::{Format, MAX_DEPTH, PRIVATE_NUMBER, PRIVATE_RAW, Refusal};
use crate::frame::FrameWriter;

/// Writes a value by the rules.
#[inline]
pub(crate) fn encode<F: Format, T: Serialize + ?Sized>(
    value: &T,
    out: &mut FrameWriter<'_>,
) -> Written {
    value.serialize(Serializer::<F>::new(out, MAX_DEPTH))
}

/// Writes one value into a frame.
pub(super) struct Serializer<'o, 'f, F> {
    pub(super) out: &'o mut FrameWriter<'f>,
    /// Arrays and maps that may yet be opened within each other.
    pub(super) depth: u8,
    format: PhantomData<F>,
}

impl<'o, 'f, F: Format> Serializer<'o, 'f, F> {
    #[inline]
    pub(super) fn new(out: &'o mut FrameWriter<'f>, depth: u8) -> Self {
        Self { out, depth, format: PhantomData }
    }

    /// Opens an array or a map of `len` parts.
    #[inline]
    fn descend(&mut self, len: usize) -> Written {
        // MessagePack states a length in 32 bits; what is longer is refused whatever the format.
        if u32::try_from(len).is_err() {
            return Err(too_long(len));
        }
        match self.depth.checked_sub(1) {
            Some(depth) => {
                self.depth = depth;
                Ok(())
            }
            None => Err(too_deep()),
        }
    }

    /// Opens the map of one entry that a variant with content is.
    #[inline]
    fn variant(&mut self, variant: &'static str) -> Written {
        self.descend(1)?;
        F::map(self.out, 1)?;
        F::key(self.out, true, variant)
    }
}

#[cold]
fn too_long(len: usize) -> Refusal {
    Refusal::custom(format_args!("{len} parts, the limit is {}", u32::MAX))
}

#[cold]
pub(crate) fn too_deep() -> Refusal {
    Refusal::custom(format_args!("nested deeper than {MAX_DEPTH}"))
}

#[cold]
pub(crate) fn no_form(value: impl Display) -> Refusal {
    Refusal::custom(format_args!("{value} has no JSON form"))
}

#[cold]
pub(crate) fn beyond_64_bits() -> Refusal {
    Refusal::custom("an integer beyond 64 bits has no JSON form; write it as text")
}

macro_rules! integers {
    ($($method:ident $type:ty as $written:ident),+) => {
        $(#[inline]
        fn $method(self, value: $type) -> Written {
            F::$written(self.out, value.into())
        })+
    };
}

impl<'o, 'f, F: Format> ser::Serializer for Serializer<'o, 'f, F> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Array<'o, 'f, F>;
    type SerializeTuple = Content<'o, 'f, F>;
    type SerializeTupleStruct = Content<'o, 'f, F>;
    type SerializeTupleVariant = Variant<'o, 'f, F>;
    type SerializeMap = Map<'o, 'f, F>;
    type SerializeStruct = Struct<'o, 'f, F>;
    type SerializeStructVariant = Variant<'o, 'f, F>;

    #[inline]
    fn is_human_readable(&self) -> bool {
        true
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Written {
        F::boolean(self.out, value)
    }

    integers! {
        serialize_i8 i8 as signed, serialize_i16 i16 as signed, serialize_i32 i32 as signed,
        serialize_i64 i64 as signed, serialize_u8 u8 as unsigned, serialize_u16 u16 as unsigned,
        serialize_u32 u32 as unsigned, serialize_u64 u64 as unsigned
    }

    fn serialize_i128(self, value: i128) -> Written {
        if let Ok(value) = u64::try_from(value) {
            F::unsigned(self.out, value)
        } else if let Ok(value) = i64::try_from(value) {
            F::signed(self.out, value)
        } else {
            Err(beyond_64_bits())
        }
    }

    fn serialize_u128(self, value: u128) -> Written {
        match u64::try_from(value) {
            Ok(value) => F::unsigned(self.out, value),
            Err(_) => Err(beyond_64_bits()),
        }
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Written {
        if value.is_finite() { F::single(self.out, value) } else { Err(no_form(value)) }
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Written {
        if value.is_finite() { F::double(self.out, value) } else { Err(no_form(value)) }
    }

    fn serialize_char(self, value: char) -> Written {
        F::text(self.out, value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Written {
        F::text(self.out, text)
    }

    #[inline]
    fn serialize_bytes(mut self, bytes: &[u8]) -> Written {
        self.descend(bytes.len())?;
        F::bytes(self.out, bytes)
    }

    #[inline]
    fn serialize_none(self) -> Written {
        F::null(self.out)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Written {
        F::null(self.out)
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Written {
        F::null(self.out)
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        F::text(self.out, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        self.variant(variant)?;
        let Self { out, depth, .. } = self;
        match value.serialize(Serializer::<F>::new(&mut *out, depth)) {
            Ok(()) => F::map_end(out),
            Err(refusal) => Err(refusal.inside(|| Segment::Field(variant))),
        }
    }

    #[inline]
    fn serialize_seq(mut self, len: Option<usize>) -> Result<Self::SerializeSeq, Refusal> {
        self.descend(len.unwrap_or(0))?;
        Array::begin(self.out, self.depth, len)
    }

    #[inline]
    fn serialize_tuple(mut self, len: usize) -> Result<Self::SerializeTuple, Refusal> {
        self.descend(len)?;
        F::array(self.out, len)?;
        Ok(Content::new(self.out, self.depth, len))
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, Refusal> {
        self.serialize_tuple(len)
    }

    #[inline]
    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Refusal> {
        self.variant(variant)?;
        self.descend(len)?;
        F::array(self.out, len)?;
        let content = Content::new(self.out, self.depth, len);
        Ok(Variant { content, name: variant })
    }

    #[inline]
    fn serialize_map(mut self, len: Option<usize>) -> Result<Self::SerializeMap, Refusal> {
        self.descend(len.unwrap_or(0))?;
        Map::begin(self.out, self.depth, len)
    }

    #[inline]
    fn serialize_struct(
        mut self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, Refusal> {
        if len == 1 && (name == PRIVATE_NUMBER || name == PRIVATE_RAW) {
            return Ok(Struct::private(self, name));
        }
        self.descend(len)?;
        F::map(self.out, len)?;
        Ok(Struct::Plain(Content::new(self.out, self.depth, len)))
    }

    #[inline]
    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Refusal> {
        self.variant(variant)?;
        self.descend(len)?;
        F::map(self.out, len)?;
        let content = Content::new(self.out, self.depth, len);
        Ok(Variant { content, name: variant })
    }

    #[inline]
    fn collect_str<T: Display + ?Sized>(self, text: &T) -> Written {
        F::display(self.out, &format_args!("{text}"))
    }
}
