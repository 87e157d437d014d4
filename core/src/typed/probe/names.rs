//! The names of a value's fields, also of those that it leaves out or has nothing in: a type that
//! asks what comes does not say that it would take them.

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::error::ProbeError;

/// All names in a value.
pub(super) fn of(value: &dyn erased_serde::Serialize) -> Vec<&'static str> {
    let mut names = Vec::new();
    // What cannot be written has been looked at as far as it goes.
    let _ = value.serialize(Names(&mut names));
    names.sort_unstable();
    names.dedup();
    names
}

struct Names<'n>(&'n mut Vec<&'static str>);

impl Error for ProbeError {
    fn custom<T: std::fmt::Display>(words: T) -> Self {
        Self::silent(&words.to_string())
    }
}

type Done = Result<(), ProbeError>;

macro_rules! nothing {
    ($($method:ident($($type:ty),*))*) => {
        $(fn $method(self, $(_: $type),*) -> Done {
            Ok(())
        })*
    };
}

macro_rules! parts {
    ($($method:ident($($type:ty),*))*) => {
        $(fn $method(self, $(_: $type),*) -> Result<Self, ProbeError> {
            Ok(self)
        })*
    };
}

impl Serializer for Names<'_> {
    type Ok = ();
    type Error = ProbeError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    nothing! {
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
        serialize_none()
        serialize_unit()
        serialize_unit_struct(&'static str)
        serialize_unit_variant(&'static str, u32, &'static str)
    }

    parts! {
        serialize_seq(Option<usize>)
        serialize_tuple(usize)
        serialize_tuple_struct(&'static str, usize)
        serialize_tuple_variant(&'static str, u32, &'static str, usize)
        serialize_map(Option<usize>)
        serialize_struct(&'static str, usize)
        serialize_struct_variant(&'static str, u32, &'static str, usize)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Done {
        value.serialize(self)
    }
}

macro_rules! unnamed {
    ($($trait:ident::$part:ident)*) => {
        $(impl $trait for Names<'_> {
            type Ok = ();
            type Error = ProbeError;

            fn $part<T: Serialize + ?Sized>(&mut self, part: &T) -> Done {
                part.serialize(Names(self.0))
            }

            fn end(self) -> Done {
                Ok(())
            }
        })*
    };
}

unnamed! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

macro_rules! named {
    ($($trait:ident)*) => {
        $(impl $trait for Names<'_> {
            type Ok = ();
            type Error = ProbeError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Done {
                self.0.push(name);
                value.serialize(Names(self.0))
            }

            fn skip_field(&mut self, name: &'static str) -> Done {
                self.0.push(name);
                Ok(())
            }

            fn end(self) -> Done {
                Ok(())
            }
        })*
    };
}

named! { SerializeStruct SerializeStructVariant }

impl SerializeMap for Names<'_> {
    type Ok = ();
    type Error = ProbeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Done {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(Names(self.0))
    }

    fn end(self) -> Done {
        Ok(())
    }
}
