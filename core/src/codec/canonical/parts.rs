//! Tuples, structs and variants, part by part: nothing goes on after a refusal, and as many parts
//! come as were announced.

use std::marker::PhantomData;

use serde::ser::{
    Error, Serialize, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant,
};

use super::path::Segment;
use super::refusal::Written;
use super::ser::Serializer;
use super::{Format, Refusal};
use crate::frame::FrameWriter;

/// How many parts were written of how many.
#[derive(Clone, Copy)]
pub(super) struct Tally {
    pub(super) len: u32,
    pub(super) count: u32,
}

/// The count once a part was refused.
pub(super) const FAILED: u32 = u32::MAX;

impl Tally {
    /// No part yet of `len`, which the serializer has found to fit into 32 bits.
    #[inline]
    pub(super) fn new(len: usize) -> Self {
        Self { len: u32::try_from(len).unwrap_or(FAILED), count: 0 }
    }

    /// Before a part. Whether it is the first one.
    #[inline]
    pub(super) fn begin(self) -> Result<bool, Refusal> {
        if self.count == FAILED { Err(self.unfinished()) } else { Ok(self.count == 0) }
    }

    /// Behind a part, with the number of those before it.
    #[inline]
    pub(super) fn wrote(
        &mut self,
        written: Written,
        segment: impl FnOnce(usize) -> Segment,
    ) -> Written {
        match written {
            Ok(()) => {
                self.count = self.count.saturating_add(1);
                Ok(())
            }
            Err(refusal) => {
                let count = usize::try_from(self.count).unwrap_or(usize::MAX);
                self.count = FAILED;
                Err(refusal.inside(|| segment(count)))
            }
        }
    }

    /// Behind all parts.
    #[inline]
    pub(super) fn end(self) -> Written {
        if self.count == self.len && self.count != FAILED { Ok(()) } else { Err(self.unfinished()) }
    }

    #[cold]
    fn unfinished(self) -> Refusal {
        let Self { len, count } = self;
        if count == FAILED {
            return went_on();
        }
        Refusal::custom(format_args!("{count} parts were written, {len} announced"))
    }
}

#[cold]
pub(crate) fn went_on() -> Refusal {
    Refusal::custom("a part was refused, and the value went on")
}

/// A tuple or a struct.
pub(super) struct Content<'o, 'f, F> {
    out: &'o mut FrameWriter<'f>,
    tally: Tally,
    depth: u8,
    format: PhantomData<F>,
}

// What is in here stands between the value's own code and the frame: each call would cost more than
// it does.
impl<'o, 'f, F: Format> Content<'o, 'f, F> {
    #[inline]
    pub(super) fn new(out: &'o mut FrameWriter<'f>, depth: u8, len: usize) -> Self {
        Self { out, tally: Tally::new(len), depth, format: PhantomData }
    }

    #[inline(always)]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        F::element(self.out, self.tally.begin()?)?;
        let written = value.serialize(Serializer::<F>::new(self.out, self.depth));
        self.tally.wrote(written, Segment::Index)
    }

    #[inline(always)]
    pub(super) fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        F::key(self.out, self.tally.begin()?, key)?;
        let written = value.serialize(Serializer::<F>::new(self.out, self.depth));
        self.tally.wrote(written, |_| Segment::Field(key))
    }

    #[inline(always)]
    fn end_array(self) -> Written {
        self.tally.end()?;
        F::array_end(self.out)
    }

    #[inline(always)]
    pub(super) fn end_map(self) -> Written {
        self.tally.end()?;
        F::map_end(self.out)
    }
}

macro_rules! tuples {
    ($($trait:ident $method:ident),+) => {
        $(impl<F: Format> $trait for Content<'_, '_, F> {
            type Ok = ();
            type Error = Refusal;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                self.element(value)
            }

            #[inline(always)]
            fn end(self) -> Written {
                self.end_array()
            }
        })+
    };
}

tuples! { SerializeTuple serialize_element, SerializeTupleStruct serialize_field }

/// What stands in a variant: the map of one entry around it is open.
pub(super) struct Variant<'o, 'f, F> {
    pub(super) content: Content<'o, 'f, F>,
    pub(super) name: &'static str,
}

impl<F> Variant<'_, '_, F> {
    #[inline]
    fn inside(&self, written: Written) -> Written {
        written.map_err(|refusal| refusal.inside(|| Segment::Field(self.name)))
    }
}

impl<F: Format> SerializeTupleVariant for Variant<'_, '_, F> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        let written = self.content.element(value);
        self.inside(written)
    }

    #[inline]
    fn end(self) -> Written {
        self.content.tally.end()?;
        F::array_end(self.content.out)?;
        F::map_end(self.content.out)
    }
}

impl<F: Format> SerializeStructVariant for Variant<'_, '_, F> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        let written = self.content.field(key, value);
        self.inside(written)
    }

    #[inline]
    fn end(self) -> Written {
        self.content.tally.end()?;
        F::map_end(self.content.out)?;
        F::map_end(self.content.out)
    }
}
