//! What serde_json disguises: numbers whose digits it kept, under its feature
//! `arbitrary_precision`, and values that stay JSON text, `RawValue`, under `raw_value`.
//!
//! Both look like structs with a private name. Here they become what they mean, so that every codec
//! carries them, whichever features somebody in the build has turned on.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{self, DeserializeSeed, Visitor};
use serde::ser::{Error as _, Serialize, SerializeStruct, Serializer as _};
use serde_transcode::Transcoder;

use super::de::{Deserializer, skip};
use super::key::with_text;
use super::parts::{Content, went_on};
use super::refusal::Written;
use super::ser::Serializer;
use super::{Fault, Format, MAX_DEPTH, Number, PRIVATE_RAW, Reader, Refusal};
use crate::codec::json::{JsonFormat, JsonReader};
use crate::frame::FrameWriter;

/// A struct, or what serde_json disguises as one.
pub(super) enum Struct<'o, 'f, F> {
    /// A struct.
    Plain(Content<'o, 'f, F>),
    /// A number or a whole value as text, in a struct with a private name.
    Private(Box<Private<'o, 'f, F>>),
}

/// See [`Struct::Private`].
pub(super) struct Private<'o, 'f, F> {
    to: Serializer<'o, 'f, F>,
    name: &'static str,
    text: Option<String>,
}

impl<'o, 'f, F: Format> Struct<'o, 'f, F> {
    #[cold]
    pub(super) fn private(to: Serializer<'o, 'f, F>, name: &'static str) -> Self {
        Self::Private(Box::new(Private { to, name, text: None }))
    }
}

impl<F: Format> SerializeStruct for Struct<'_, '_, F> {
    type Ok = ();
    type Error = Refusal;

    #[inline(always)]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        match self {
            Self::Plain(content) => content.field(key, value),
            Self::Private(private) => private.take(value),
        }
    }

    #[inline(always)]
    fn end(self) -> Written {
        match self {
            Self::Plain(content) => content.end_map(),
            Self::Private(private) => private.end(),
        }
    }
}

impl<F: Format> Private<'_, '_, F> {
    #[cold]
    fn take<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.text = Some(with_text(value, |text| Ok(text.to_owned()))?);
        Ok(())
    }

    #[cold]
    fn end(self) -> Written {
        let Self { to, name, text } = self;
        let Some(text) = text else {
            return Err(went_on());
        };
        if name == PRIVATE_RAW {
            return write_raw(&text, to);
        }
        write_number(&text, to)
    }
}

/// A number whose digits serde_json kept becomes a plain one.
#[cold]
pub(super) fn write_number<F: Format>(text: &str, to: Serializer<'_, '_, F>) -> Written {
    match (Number::integer(text), text.parse()) {
        (Some(Number::Unsigned(value)), _) => to.serialize_u64(value),
        (Some(Number::Signed(value)), _) => to.serialize_i64(value),
        (None, Ok(value)) => to.serialize_f64(value),
        _ => Err(Refusal::custom(format_args!("the number {text} does not fit into 64 bits"))),
    }
}

/// Reads a value as the JSON text of it.
#[cold]
pub(super) fn read_raw<'de, R: Reader<'de>, V: Visitor<'de>>(
    de: &mut Deserializer<R>,
    visitor: V,
) -> Result<V::Value, Fault> {
    let at = de.reader.begin();
    let text = if de.reader.json_since(at).is_some() {
        skip(de)?;
        Cow::Borrowed(de.reader.json_since(at).unwrap_or_default())
    } else {
        let mut text = FrameWriter::new(&mut [], usize::MAX);
        let to = Serializer::<JsonFormat>::new(&mut text, MAX_DEPTH);
        serde_transcode::transcode(&mut *de, to).map_err(|e| Fault::new(at, e))?;
        Cow::Owned(String::from_utf8(text.into_bytes()).map_err(|e| Fault::new(at, e))?)
    };
    visitor.visit_map(RawText(Some(text))).map_err(|fault: Fault| fault.at(at))
}

/// Writes JSON text as the value that it means.
#[cold]
fn write_raw<F: Format>(text: &str, to: Serializer<'_, '_, F>) -> Written {
    let reader = JsonReader::new(text.as_bytes()).map_err(Refusal::custom)?;
    let mut de = Deserializer::new(reader, MAX_DEPTH);
    Transcoder::new(&mut de).serialize(to)?;
    de.end().map_err(Refusal::custom)
}

/// The form in which `RawValue` wants its text: a map of one entry under its private name.
struct RawText<'de>(Option<Cow<'de, str>>);

impl<'de> de::MapAccess<'de> for RawText<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        if self.0.is_none() {
            return Ok(None);
        }
        seed.deserialize(BorrowedStrDeserializer::new(PRIVATE_RAW)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        match self.0.take().unwrap_or_default() {
            Cow::Borrowed(text) => seed.deserialize(BorrowedStrDeserializer::new(text)),
            Cow::Owned(text) => seed.deserialize(StringDeserializer::new(text)),
        }
    }
}
