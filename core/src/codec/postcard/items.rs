//! The parts of containers to bytes.

use serde::ser::{self, Error as _, Serialize};

use super::super::canonical::{Refusal, Segment, Written};
use super::key::KeyWriter;
use super::write::Writer;
use super::{Depth, MAX_EMPTY_ELEMENTS};

/// The parts of one container.
pub(super) struct Items<'s, 'w, 'o> {
    pub(super) writer: &'s mut Writer<'w, 'o>,
    /// Parts announced.
    pub(super) len: usize,
    /// Parts written.
    pub(super) index: usize,
    /// The depth around it.
    pub(super) outer: Depth,
}

impl Items<'_, '_, '_> {
    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.index += 1;
        value.serialize(&mut *self.writer)
    }

    /// A part whose number is not the type's but the value's.
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        let (index, before) = (self.index, self.writer.plain.output.0.written());
        self.part(value).map_err(|e| e.inside(|| Segment::Index(index)))?;
        if self.writer.plain.output.0.written() == before {
            self.writer.empty_elements += 1;
            if self.writer.empty_elements > MAX_EMPTY_ELEMENTS {
                let cause = "more than 65536 elements without content";
                return Err(self.writer.refuse(Refusal::custom(cause)));
            }
        }
        Ok(())
    }

    fn end(self) -> Written {
        self.writer.depth = self.outer;
        if self.index == self.len {
            return Ok(());
        }
        let Self { writer, len, index, .. } = self;
        Err(writer
            .refuse(Refusal::custom(format_args!("{index} parts were written, {len} announced"))))
    }

    fn skip(&mut self, name: &'static str) -> Written {
        let cause = "the field is left out, and nothing would say so: \
                     `skip_serializing_if` cannot be carried";
        Err(self.writer.refuse(Refusal::custom(cause).inside(|| Segment::Field(name))))
    }
}

macro_rules! compound {
    ($($trait:ident::$part:ident => $how:ident)*) => {
        $(impl ser::$trait for Items<'_, '_, '_> {
            type Ok = ();
            type Error = Refusal;

            #[inline]
            fn $part<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                self.$how(value)
            }

            #[inline]
            fn end(self) -> Written {
                Items::end(self)
            }
        })*
    };
}

impl Items<'_, '_, '_> {
    #[inline]
    fn member<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        let index = self.index;
        self.part(value).map_err(|e| e.inside(|| Segment::Index(index)))
    }
}

compound! {
    SerializeSeq::serialize_element => element
    SerializeTuple::serialize_element => member
    SerializeTupleStruct::serialize_field => member
    SerializeTupleVariant::serialize_field => member
}

macro_rules! named {
    ($($trait:ident)*) => {
        $(impl ser::$trait for Items<'_, '_, '_> {
            type Ok = ();
            type Error = Refusal;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Written {
                self.part(value).map_err(|e| e.inside(|| Segment::Field(name)))
            }

            fn skip_field(&mut self, name: &'static str) -> Written {
                self.skip(name)
            }

            #[inline]
            fn end(self) -> Written {
                Items::end(self)
            }
        })*
    };
}

named! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Items<'_, '_, '_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        let index = self.index;
        let written = key.serialize(KeyWriter(&mut *self.writer));
        written.map_err(|e| e.inside(|| Segment::Index(index)))
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.member(value)
    }

    #[inline]
    fn end(self) -> Written {
        Items::end(self)
    }
}
