//! Values to bytes.

use std::fmt::{self, Display, Write as _};

use ::postcard::ser_flavors::Flavor;
use serde::ser::{Error as _, Serialize, Serializer};

use super::super::canonical::{
    Refusal, Segment, Written, beyond_64_bits, no_form, too_deep, went_on,
};
use super::Depth;
use super::items::Items;
use crate::frame::FrameWriter;

/// Lets the crate write into a frame.
pub(super) struct Out<'w, 'o>(pub(super) &'w mut FrameWriter<'o>);

impl Flavor for Out<'_, '_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> ::postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> ::postcard::Result<()> {
        self.0.put(bytes).map_err(|_| ::postcard::Error::SerializeBufferFull)
    }

    fn finalize(self) -> ::postcard::Result<()> {
        Ok(())
    }
}

/// Writes one value.
pub(super) struct Writer<'w, 'o> {
    pub(super) plain: ::postcard::Serializer<Out<'w, 'o>>,
    pub(super) depth: Depth,
    pub(super) empty_elements: u32,
    /// A part was refused. A value that goes on although it was told would have a hole, and nobody
    /// could read what follows it.
    refused: bool,
}

impl<'w, 'o> Writer<'w, 'o> {
    pub(super) fn new(out: &'w mut FrameWriter<'o>) -> Self {
        let plain = ::postcard::Serializer { output: Out(out) };
        Self { plain, depth: Depth::default(), empty_elements: 0, refused: false }
    }

    /// Whether all of it was written.
    pub(super) fn finish(self) -> Written {
        if self.refused { Err(went_on()) } else { Ok(()) }
    }

    #[inline]
    pub(super) fn plain<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        value.serialize(&mut self.plain).map_err(|_| self.refuse(Refusal::NoRoom))
    }

    #[cold]
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Refusal {
        self.refused = true;
        refusal
    }

    /// Goes deeper; gives the depth to come back to.
    #[inline]
    fn deeper(&mut self, by: Depth) -> Result<Depth, Refusal> {
        match self.depth.deeper(by) {
            Some(depth) => Ok(std::mem::replace(&mut self.depth, depth)),
            None => Err(self.refuse(too_deep())),
        }
    }

    /// A value within a level of its own, which is over with it.
    #[inline]
    fn nested<T: Serialize + ?Sized>(&mut self, by: Depth, value: &T) -> Written {
        let outer = self.deeper(by)?;
        value.serialize(&mut *self)?;
        self.depth = outer;
        Ok(())
    }

    fn len(&mut self, len: Option<usize>) -> Result<usize, Refusal> {
        let Some(len) = len else {
            let cause = "a flattened field or a sequence of unknown length: the length comes first";
            return Err(self.refuse(Refusal::custom(cause)));
        };
        self.plain(&len)?;
        Ok(len)
    }

    fn items(&mut self, len: usize) -> Result<Items<'_, 'w, 'o>, Refusal> {
        let outer = self.deeper(Depth::CONTAINER)?;
        Ok(Items { writer: self, len, index: 0, outer })
    }

    fn variant_items(&mut self, index: u32, len: usize) -> Result<Items<'_, 'w, 'o>, Refusal> {
        self.plain(&index)?;
        let outer = self.deeper(Depth::VARIANT)?;
        Ok(Items { writer: self, len, index: 0, outer })
    }
}

macro_rules! plain {
    ($($method:ident($type:ty))*) => {
        $(#[inline]
        fn $method(self, value: $type) -> Written {
            self.plain(&value)
        })*
    };
}

impl<'s, 'w, 'o> Serializer for &'s mut Writer<'w, 'o> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Items<'s, 'w, 'o>;
    type SerializeTuple = Items<'s, 'w, 'o>;
    type SerializeTupleStruct = Items<'s, 'w, 'o>;
    type SerializeTupleVariant = Items<'s, 'w, 'o>;
    type SerializeMap = Items<'s, 'w, 'o>;
    type SerializeStruct = Items<'s, 'w, 'o>;
    type SerializeStructVariant = Items<'s, 'w, 'o>;

    plain! {
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

    fn serialize_i128(self, value: i128) -> Written {
        if i64::try_from(value).is_err() && u64::try_from(value).is_err() {
            return Err(self.refuse(beyond_64_bits()));
        }
        self.plain(&value)
    }

    fn serialize_u128(self, value: u128) -> Written {
        if u64::try_from(value).is_err() {
            return Err(self.refuse(beyond_64_bits()));
        }
        self.plain(&value)
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Written {
        if !value.is_finite() {
            return Err(self.refuse(no_form(value)));
        }
        self.plain(&value)
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Written {
        if !value.is_finite() {
            return Err(self.refuse(no_form(value)));
        }
        self.plain(&value)
    }

    #[inline]
    fn serialize_bytes(self, bytes: &[u8]) -> Written {
        self.depth = self.deeper(Depth::CONTAINER)?;
        let written = self.plain.serialize_bytes(bytes);
        written.map_err(|_| self.refuse(Refusal::NoRoom))
    }

    #[inline]
    fn serialize_none(self) -> Written {
        self.plain(&false)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        self.plain(&true)?;
        self.nested(Depth::WRAPPER, value)
    }

    fn serialize_unit(self) -> Written {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Written {
        self.plain(&index)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Written {
        self.nested(Depth::WRAPPER, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        self.plain(&index)?;
        self.nested(Depth::CONTAINER, value).map_err(|e| e.inside(|| Segment::Field(variant)))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items<'s, 'w, 'o>, Refusal> {
        let len = self.len(len)?;
        self.items(len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Items<'s, 'w, 'o>, Refusal> {
        self.items(len)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        len: usize,
    ) -> Result<Items<'s, 'w, 'o>, Refusal> {
        self.items(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        len: usize,
    ) -> Result<Items<'s, 'w, 'o>, Refusal> {
        self.variant_items(index, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Items<'s, 'w, 'o>, Refusal> {
        let len = self.len(len)?;
        self.items(len)
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Items<'s, 'w, 'o>, Refusal> {
        self.items(len)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        len: usize,
    ) -> Result<Items<'s, 'w, 'o>, Refusal> {
        self.variant_items(index, len)
    }

    /// Puts the text into words twice instead of into memory once.
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Written {
        struct Count(usize);
        impl fmt::Write for Count {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0 += text.len();
                Ok(())
            }
        }
        struct Put<'p, 'w, 'o>(&'p mut Out<'w, 'o>, Count);
        impl fmt::Write for Put<'_, '_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.1.write_str(text)?;
                self.0.try_extend(text.as_bytes()).map_err(|_| fmt::Error)
            }
        }
        let mut count = Count(0);
        let said = write!(count, "{value}").map_err(|_| Refusal::custom("it has no text"));
        said.map_err(|e| self.refuse(e))?;
        self.plain(&count.0)?;
        let mut put = Put(&mut self.plain.output, Count(0));
        let said = write!(put, "{value}");
        let same = put.1.0 == count.0;
        said.map_err(|_| self.refuse(Refusal::NoRoom))?;
        if !same {
            return Err(self.refuse(Refusal::custom("its text was another one the second time")));
        }
        Ok(())
    }
}
