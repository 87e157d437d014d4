//! Finding the channels among a call's arguments.
//!
//! The arguments are serialised into nothing: whatever the codec, and whether they are a struct or
//! were made by `json!` long before, a channel shows as its text. Only the top level is looked at,
//! for only there are arguments.

use std::fmt;

use serde::Serialize;
use serde::ser::{
    self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple,
    SerializeTupleStruct, Serializer,
};

use super::id_in;

/// Calls `found` with the number of each channel among the arguments.
pub(crate) fn mentioned<A: Serialize + ?Sized>(args: &A, found: &mut dyn FnMut(u32)) {
    // What cannot be an argument is none.
    let _ = args.serialize(Arguments(found));
}

/// This value is of no interest.
#[derive(Debug)]
struct Other;

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no channel")
    }
}

impl std::error::Error for Other {}

impl ser::Error for Other {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Found = Result<(), Other>;

/// All arguments.
struct Arguments<'f>(&'f mut dyn FnMut(u32));

/// One of them.
struct Argument<'f>(&'f mut dyn FnMut(u32));

impl Arguments<'_> {
    fn look<T: Serialize + ?Sized>(&mut self, value: &T) -> Found {
        let _ = value.serialize(Argument(self.0));
        Ok(())
    }
}

/// What neither of the two serialisers wants.
macro_rules! nothing_of {
    ($($method:ident $type:ty),*) => {
        $(fn $method(self, _: $type) -> Found {
            Err(Other)
        })*

        fn serialize_none(self) -> Found {
            Err(Other)
        }

        fn serialize_unit(self) -> Found {
            Err(Other)
        }

        fn serialize_unit_struct(self, _: &'static str) -> Found {
            Err(Other)
        }

        fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Found {
            Err(Other)
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Found {
            Err(Other)
        }

        fn serialize_tuple_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleVariant, Other> {
            Err(Other)
        }

        fn serialize_struct_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStructVariant, Other> {
            Err(Other)
        }

        fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Found {
            value.serialize(self)
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            value: &T,
        ) -> Found {
            value.serialize(self)
        }
    };
}

impl<'f> Serializer for Arguments<'f> {
    type Ok = ();
    type Error = Other;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Impossible<(), Other>;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Other>;

    nothing_of! {
        serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32,
        serialize_i64 i64, serialize_i128 i128, serialize_u8 u8, serialize_u16 u16,
        serialize_u32 u32, serialize_u64 u64, serialize_u128 u128, serialize_f32 f32,
        serialize_f64 f64, serialize_char char, serialize_str &str, serialize_bytes &[u8]
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Other> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Other> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Other> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Other> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Other> {
        Ok(self)
    }
}

impl Serializer for Argument<'_> {
    type Ok = ();
    type Error = Other;
    type SerializeSeq = Impossible<(), Other>;
    type SerializeTuple = Impossible<(), Other>;
    type SerializeTupleStruct = Impossible<(), Other>;
    type SerializeTupleVariant = Impossible<(), Other>;
    type SerializeMap = Impossible<(), Other>;
    type SerializeStruct = Impossible<(), Other>;
    type SerializeStructVariant = Impossible<(), Other>;

    nothing_of! {
        serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32,
        serialize_i64 i64, serialize_i128 i128, serialize_u8 u8, serialize_u16 u16,
        serialize_u32 u32, serialize_u64 u64, serialize_u128 u128, serialize_f32 f32,
        serialize_f64 f64, serialize_char char, serialize_bytes &[u8]
    }

    fn serialize_str(self, text: &str) -> Found {
        if let Some(id) = id_in(text) {
            (self.0)(id);
        }
        Ok(())
    }

    /// A channel is written as text that is there already.
    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Found {
        Err(Other)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Other> {
        Err(Other)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Other> {
        Err(Other)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Other> {
        Err(Other)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Other> {
        Err(Other)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Other> {
        Err(Other)
    }
}

macro_rules! looks_at_each {
    ($($trait:ident $method:ident),*) => {
        $(impl $trait for Arguments<'_> {
            type Ok = ();
            type Error = Other;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Found {
                self.look(value)
            }

            fn end(self) -> Found {
                Ok(())
            }
        })*
    };
}

looks_at_each!(SerializeSeq serialize_element, SerializeTuple serialize_element);

impl SerializeTupleStruct for Arguments<'_> {
    type Ok = ();
    type Error = Other;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Found {
        self.look(value)
    }

    fn end(self) -> Found {
        Ok(())
    }
}

impl SerializeStruct for Arguments<'_> {
    type Ok = ();
    type Error = Other;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Found {
        self.look(value)
    }

    fn end(self) -> Found {
        Ok(())
    }
}

impl SerializeMap for Arguments<'_> {
    type Ok = ();
    type Error = Other;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Found {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Found {
        self.look(value)
    }

    fn end(self) -> Found {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found_in<A: Serialize + ?Sized>(args: &A) -> Vec<u32> {
        let mut ids = Vec::new();
        mentioned(args, &mut |id| ids.push(id));
        ids
    }

    #[derive(Serialize)]
    struct Args<'a> {
        name: &'a str,
        on_event: Option<&'a str>,
        deep: Vec<&'a str>,
    }

    #[derive(Serialize)]
    struct Wrapped<T>(T);

    #[test]
    fn channels_are_found_among_the_arguments_and_nowhere_else() {
        let text = "__CHANNEL__:7";
        let args = Args { name: "x", on_event: Some(text), deep: vec![text] };
        assert_eq!(found_in(&args), [7]);
        assert_eq!(found_in(&Wrapped(&args)), [7]);
        assert_eq!(found_in(&(1, text, "__CHANNEL__:8")), [7, 8]);
        assert_eq!(found_in(&[text]), [7]);
        assert_eq!(found_in(&json!({ "a": text, "b": { "c": text }, text: 1 })), [7]);
        assert_eq!(found_in(&json!(["__CHANNEL__:0", [text], 1.5, null])), [0]);
        for none in [json!(text), json!(null), json!(7)] {
            assert_eq!(found_in(&none), [0; 0], "{none}");
        }
        for none in [
            "__CHANNEL__:",
            "__CHANNEL__:+7",
            "__CHANNEL__:-7",
            "__CHANNEL__:7 ",
            "__CHANNEL__:4294967296",
            " __CHANNEL__:7",
            "__channel__:7",
        ] {
            assert_eq!(found_in(&[none]), [0; 0], "{none}");
        }
    }
}
