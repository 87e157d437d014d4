//! Arguments in a codec whose bytes do not tell what they are: a map from name to value.

use std::fmt::Display;
use std::marker::PhantomData;

use serde::Serialize;
use serde::ser::{Error, Impossible, SerializeMap, SerializeStruct, Serializer};

const NEEDS_STRUCT: &str = "arguments in a codec that is not self-describing are a struct, or `()` \
                            for none: nothing else tells their names and types";

/// Writes a struct as a map from name to value.
///
/// Names cost a few bytes; without them the server would have to trust that caller and function
/// declare the same order, and two numbers the wrong way round would go unnoticed.
#[derive(Debug)]
pub(super) struct ByName<'a, T: ?Sized>(pub(super) &'a T);

impl<T: Serialize + ?Sized> Serialize for ByName<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Names(serializer))
    }
}

struct Names<S>(S);

impl<S: Serializer> Names<S> {
    fn none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_map(Some(0))?.end()
    }

    fn refuse<T>(self) -> Result<T, S::Error> {
        Err(S::Error::custom(NEEDS_STRUCT))
    }
}

macro_rules! refuse {
    ($($method:ident($($type:ty),*))*) => {
        $(fn $method(self, $(_: $type),*) -> Result<S::Ok, S::Error> {
            self.refuse()
        })*
    };
}

impl<S: Serializer> Serializer for Names<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Empty<S>;
    type SerializeStruct = Fields<S>;
    type SerializeStructVariant = Impossible<S::Ok, S::Error>;

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Fields<S>, S::Error> {
        self.0.serialize_map(Some(len)).map(|map| Fields { map, serializer: PhantomData })
    }

    /// `json!({})` is none, too.
    fn serialize_map(self, len: Option<usize>) -> Result<Empty<S>, S::Error> {
        if len == Some(0) { Ok(Empty(self)) } else { self.refuse() }
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<S::Ok, S::Error> {
        self.none()
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    refuse! {
        serialize_bool(bool)
        serialize_i8(i8)
        serialize_i16(i16)
        serialize_i32(i32)
        serialize_i64(i64)
        serialize_i128(i128)
        serialize_u8(u8)
        serialize_u16(u16)
        serialize_u32(u32)
        serialize_u64(u64)
        serialize_u128(u128)
        serialize_f32(f32)
        serialize_f64(f64)
        serialize_char(char)
        serialize_str(&str)
        serialize_bytes(&[u8])
        serialize_unit_variant(&'static str, u32, &'static str)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        self.refuse()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.refuse()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.refuse()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.refuse()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.refuse()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.refuse()
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<S::Ok, S::Error> {
        self.refuse()
    }
}

struct Fields<S: Serializer> {
    map: S::SerializeMap,
    serializer: PhantomData<S>,
}

impl<S: Serializer> SerializeStruct for Fields<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        self.map.serialize_entry(name, value)
    }

    /// What is left out is missing in the map, and `len` did not count it.
    fn skip_field(&mut self, _: &'static str) -> Result<(), S::Error> {
        Ok(())
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.map.end()
    }
}

struct Empty<S>(Names<S>);

impl<S: Serializer> SerializeMap for Empty<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), S::Error> {
        Err(S::Error::custom(NEEDS_STRUCT))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), S::Error> {
        Err(S::Error::custom(NEEDS_STRUCT))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.none()
    }
}
