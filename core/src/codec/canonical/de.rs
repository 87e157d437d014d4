//! Reading: what each type may be made of, the same for every format.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Error, IgnoredAny, Unexpected, Visitor};

use super::access::{Elements, Entries, Fields, Variant};
use super::byte::ByteElements;
use super::fault::Trail;
use super::path::Segment;
use super::private::read_raw;
use super::{Fault, Kind, MAX_DEPTH, Number, PRIVATE_RAW, Reader, Text};

/// Reads the one value that fills the input.
#[inline]
pub(crate) fn decode<'de, R: Reader<'de>, S: DeserializeSeed<'de>>(
    reader: R,
    seed: S,
) -> Result<S::Value, Fault> {
    let mut de = Deserializer::new(reader, MAX_DEPTH);
    match seed.deserialize(&mut de).and_then(|value| de.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(fault) => Err(fault.behind(de.trail.take())),
    }
}

/// Reads values through a format's reader.
pub(in crate::codec) struct Deserializer<R> {
    pub(super) reader: R,
    /// Arrays and maps that may yet be opened within each other.
    depth: u8,
    /// A part was refused: whatever a type makes of the rest, nobody knows where it stands.
    trail: Option<Box<Trail>>,
}

impl<'de, R: Reader<'de>> Deserializer<R> {
    #[inline]
    pub(in crate::codec) fn new(reader: R, depth: u8) -> Self {
        Self { reader, depth, trail: None }
    }

    /// What it reads through.
    #[inline]
    pub(in crate::codec) fn reader(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The value is read: nothing may follow.
    #[inline]
    pub(in crate::codec) fn end(&mut self) -> Result<(), Fault> {
        if self.trail.is_some() {
            return Err(Fault::custom("a part was refused, and the type went on"));
        }
        self.reader.end()
    }

    /// A fault comes out of a part that begins at `at`.
    #[cold]
    pub(super) fn failed(&mut self, fault: Fault, at: usize, segment: Segment) -> Fault {
        Trail::follow(&mut self.trail, &fault, at, self.depth, segment);
        fault
    }

    /// A fault comes out of a key or a variant's name.
    #[cold]
    pub(super) fn failed_key(&mut self, fault: Fault, at: usize) -> Fault {
        let key = self.reader.key_again(at);
        self.failed(fault, at, Segment::Key(key))
    }

    #[inline]
    fn descend(&mut self, at: usize) -> Result<(), Fault> {
        match self.depth.checked_sub(1) {
            Some(depth) => {
                self.depth = depth;
                Ok(())
            }
            None => Err(too_deep(at)),
        }
    }

    #[inline]
    fn visit_number<V: Visitor<'de>>(
        &mut self,
        visitor: V,
        visit: impl FnOnce(Number<'de>, V) -> Result<V::Value, Fault>,
    ) -> Result<V::Value, Fault> {
        let at = self.reader.begin();
        match self.reader.number()? {
            Some(number) => visit(number, visitor).map_err(|fault| fault.at(at)),
            None => Err(self.mistyped(at, &visitor)),
        }
    }

    #[inline]
    fn visit_array<V: Visitor<'de>>(
        &mut self,
        at: usize,
        mut open: R::Open,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.descend(at)?;
        let elements = Elements { de: &mut *self, open: &mut open, index: 0 };
        let visited = visitor.visit_seq(elements);
        self.depth += 1;
        let value = visited.map_err(|fault| fault.at(at))?;
        if self.reader.element(&mut open)? {
            let at = self.reader.begin();
            return Err(Fault::new(at, "the array has more elements than expected"));
        }
        Ok(value)
    }

    /// Bytes, where they are not asked for, are the array that they are in JSON.
    fn visit_bytes_as_array<V: Visitor<'de>>(
        &mut self,
        at: usize,
        bytes: &'de [u8],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if self.depth == 0 {
            return Err(too_deep(at));
        }
        let mut elements = ByteElements::new(bytes);
        let value = visitor.visit_seq(&mut elements).map_err(|fault| fault.at(at))?;
        if !elements.is_over() {
            return Err(Fault::new(at, "the array has more elements than expected"));
        }
        Ok(value)
    }

    #[inline]
    fn visit_map<V: Visitor<'de>>(
        &mut self,
        at: usize,
        mut open: R::Open,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.descend(at)?;
        let mut entries = Entries::new(self, &mut open);
        let visited = match visitor.visit_map(&mut entries) {
            Ok(value) => entries.finish().map(|()| value),
            Err(fault) => Err(fault.at(at)),
        };
        self.depth += 1;
        visited
    }

    /// The value that begins at `at` is none of those that the type takes.
    #[cold]
    fn mistyped(&mut self, at: usize, expected: &dyn de::Expected) -> Fault {
        self.describe(at, expected).unwrap_or_else(|fault| fault)
    }

    fn describe(&mut self, at: usize, expected: &dyn de::Expected) -> Result<Fault, Fault> {
        let mistyped = |found: Unexpected<'_>| Ok(Fault::invalid_type(found, expected).at(at));
        match self.reader.kind()? {
            Kind::Null => mistyped(Unexpected::Unit),
            Kind::Bool => {
                let value = self.reader.boolean()?.unwrap_or_default();
                mistyped(Unexpected::Bool(value))
            }
            Kind::Number => match self.reader.number()? {
                Some(Number::Unsigned(value)) => mistyped(Unexpected::Unsigned(value)),
                Some(Number::Signed(value)) => mistyped(Unexpected::Signed(value)),
                Some(Number::Single(value)) => mistyped(Unexpected::Float(value.into())),
                Some(Number::Double(value)) => mistyped(Unexpected::Float(value)),
                Some(Number::Wide(_)) | None => mistyped(Unexpected::Other("integer")),
            },
            Kind::Text => match self.reader.text()? {
                Some(text) => mistyped(Unexpected::Str(text.as_str())),
                None => mistyped(Unexpected::Other("text")),
            },
            Kind::Bytes => mistyped(Unexpected::Other("byte array")),
            Kind::Array => mistyped(Unexpected::Seq),
            Kind::Map => mistyped(Unexpected::Map),
        }
    }
}

#[cold]
fn too_deep(at: usize) -> Fault {
    Fault::new(at, format_args!("nested deeper than {MAX_DEPTH}"))
}

macro_rules! numbers {
    ($($method:ident by $visit:ident),+) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.visit_number(visitor, |number, visitor| number.$visit(visitor))
        })+
    };
}

macro_rules! as_text {
    ($($method:ident),+) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let at = self.reader.begin();
            match self.reader.text()? {
                Some(text) => text.visit(visitor).map_err(|fault| fault.at(at)),
                None => Err(self.mistyped(at, &visitor)),
            }
        })+
    };
}

macro_rules! as_wide {
    ($($method:ident as $int:ident by $visit:ident),+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let at = self.reader.begin();
            if let Some(number) = self.reader.number()? {
                return number.visit_wide(visitor).map_err(|fault| fault.at(at));
            }
            // As other writers of MessagePack do, rmp-serde among them.
            if self.reader.kind()? == Kind::Bytes
                && let Some(bytes) = self.reader.bytes()?
            {
                return match bytes.try_into() {
                    Ok(bytes) => visitor.$visit($int::from_be_bytes(bytes)).map_err(|f: Fault| f.at(at)),
                    Err(_) => Err(Fault::invalid_length(bytes.len(), &"16 bytes").at(at)),
                };
            }
            Err(self.mistyped(at, &visitor))
        })+
    };
}

impl<'de, R: Reader<'de>> de::Deserializer<'de> for &mut Deserializer<R> {
    type Error = Fault;

    fn is_human_readable(&self) -> bool {
        true
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let at = self.reader.begin();
        let visited = match self.reader.kind()? {
            Kind::Map => match self.reader.map()? {
                Some(open) => return self.visit_map(at, open, visitor),
                None => Err(self.mistyped(at, &visitor)),
            },
            Kind::Array => match self.reader.array()? {
                Some(open) => return self.visit_array(at, open, visitor),
                None => Err(self.mistyped(at, &visitor)),
            },
            Kind::Text => match self.reader.text()? {
                Some(text) => text.visit(visitor),
                None => Err(self.mistyped(at, &visitor)),
            },
            Kind::Number => match self.reader.number()? {
                Some(number) => number.visit(visitor),
                None => Err(self.mistyped(at, &visitor)),
            },
            Kind::Bool => visitor.visit_bool(self.reader.boolean()?.unwrap_or_default()),
            Kind::Null => {
                self.reader.null()?;
                visitor.visit_unit()
            }
            Kind::Bytes => match self.reader.bytes()? {
                Some(bytes) => return self.visit_bytes_as_array(at, bytes, visitor),
                None => Err(self.mistyped(at, &visitor)),
            },
        };
        visited.map_err(|fault: Fault| fault.at(at))
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let at = self.reader.begin();
        match self.reader.boolean()? {
            Some(value) => visitor.visit_bool(value).map_err(|fault: Fault| fault.at(at)),
            None => Err(self.mistyped(at, &visitor)),
        }
    }

    numbers! {
        deserialize_i8 by visit,
        deserialize_i16 by visit,
        deserialize_i32 by visit,
        deserialize_i64 by visit,
        deserialize_u8 by visit,
        deserialize_u16 by visit,
        deserialize_u32 by visit,
        deserialize_u64 by visit,
        deserialize_f32 by visit_single,
        deserialize_f64 by visit_double
    }

    as_wide! {
        deserialize_i128 as i128 by visit_i128,
        deserialize_u128 as u128 by visit_u128
    }

    as_text! { deserialize_char, deserialize_str, deserialize_string, deserialize_identifier }

    #[inline(always)]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let at = self.reader.begin();
        if let Some(bytes) = self.reader.bytes()? {
            if self.depth == 0 {
                return Err(too_deep(at));
            }
            return visitor.visit_borrowed_bytes(bytes).map_err(|fault: Fault| fault.at(at));
        }
        match self.reader.array()? {
            Some(open) => self.visit_array(at, open, visitor),
            None => Err(self.mistyped(at, &visitor)),
        }
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let at = self.reader.begin();
        let visited =
            if self.reader.null()? { visitor.visit_none() } else { visitor.visit_some(self) };
        visited.map_err(|fault: Fault| fault.at(at))
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let at = self.reader.begin();
        if self.reader.null()? {
            visitor.visit_unit().map_err(|fault: Fault| fault.at(at))
        } else {
            Err(self.mistyped(at, &visitor))
        }
    }

    /// An empty array, too: rmp-serde writes that, and its JSON view must be read alike.
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let at = self.reader.begin();
        let Some(mut open) = self.reader.array()? else {
            return self.deserialize_unit(visitor);
        };
        if self.depth == 0 {
            return Err(too_deep(at));
        }
        if self.reader.element(&mut open)? {
            return Err(Fault::invalid_type(Unexpected::Seq, &visitor).at(at));
        }
        visitor.visit_unit().map_err(|fault: Fault| fault.at(at))
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == PRIVATE_RAW {
            return read_raw(self, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let at = self.reader.begin();
        if let Some(open) = self.reader.array()? {
            return self.visit_array(at, open, visitor);
        }
        match self.reader.bytes()? {
            Some(bytes) => self.visit_bytes_as_array(at, bytes, visitor),
            None => Err(self.mistyped(at, &visitor)),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let at = self.reader.begin();
        match self.reader.map()? {
            Some(open) => self.visit_map(at, open, visitor),
            None => Err(self.mistyped(at, &visitor)),
        }
    }

    /// By name only: nobody announces that he writes a struct as an array.
    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let at = self.reader.begin();
        let Some(mut open) = self.reader.map()? else {
            return Err(self.mistyped(at, &visitor));
        };
        self.descend(at)?;
        let mut members = Fields::new(self, &mut open, fields);
        let visited = match visitor.visit_map(&mut members) {
            Ok(value) => members.finish().map(|()| value),
            Err(fault) => Err(fault.at(at)),
        };
        self.depth += 1;
        visited
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let at = self.reader.begin();
        let Some(mut open) = self.reader.map()? else {
            return match self.reader.text()? {
                Some(Text::Borrowed(name)) => {
                    visitor.visit_enum(de::value::BorrowedStrDeserializer::new(name))
                }
                Some(Text::Copied(name)) => {
                    visitor.visit_enum(de::value::StrDeserializer::new(name))
                }
                None => Err(self.mistyped(at, &visitor)),
            }
            .map_err(|fault: Fault| fault.at(at));
        };
        self.descend(at)?;
        let mut due = Variant::<R>::NONE;
        let variant = Variant { de: &mut *self, open: &mut open, due: &mut due };
        let visited = visitor.visit_enum(variant);
        self.depth += 1;
        let value = visited.map_err(|fault| fault.at(at))?;
        if due != Variant::<R>::NONE || self.reader.entry(&mut open)? {
            return Err(Fault::new(at, "an enum is a text or a map of one entry"));
        }
        Ok(value)
    }

    /// What nobody wants keeps the rules all the same.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }
}

impl<R> fmt::Debug for Deserializer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deserializer").field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// Reads over a value, by all rules.
pub(super) fn skip<'de, R: Reader<'de>>(de: &mut Deserializer<R>) -> Result<(), Fault> {
    IgnoredAny::deserialize(de).map(|IgnoredAny| ())
}
