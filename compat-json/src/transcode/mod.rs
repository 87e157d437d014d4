//! MessagePack to JSON text and back, never through a tree of values: that would reorder keys, widen
//! `f32` and round large integers.
//!
//! A reader ([`msgpack`], [`json`]) walks over the input with a stack of its own and hands each part
//! on at once to a writer ([`text`], [`pack`]).

mod emit;
mod error;
mod input;
mod json;
mod keys;
mod msgpack;
mod number;
mod pack;
mod scan;
mod stream;
#[cfg(test)]
mod tests;
mod text;

use serde::Deserializer;
use serde::de::DeserializeSeed;
use tramline_core::codec::AnyCodec;
use tramline_core::{DecodeError, EncodeError};

pub use self::error::{TranscodeError, TranscodeFault};
pub use self::stream::Transcoder;

use self::error::Stop;
use self::input::Input;
use self::json::JsonReader;
use self::msgpack::MsgPackReader;
use self::pack::Packer;
use self::text::{JsonWriter, Keep};

/// Arrays and maps that may be open at a time, as for the codecs.
const MAX_DEPTH: usize = tramline_core::codec::MAX_DEPTH as usize;

/// How JSON text is written.
///
/// # Examples
///
/// ```
/// use tramline_compat_json::{Integers, JsonForm, to_json_with};
/// use tramline_core::AnyCodec;
///
/// let packed = AnyCodec::MSGPACK.to_vec(&u64::MAX).unwrap();
/// let form = JsonForm { integers: Integers::String, ..JsonForm::default() };
/// assert_eq!(to_json_with(AnyCodec::MSGPACK, &packed, form)?, r#""18446744073709551615""#);
/// # Ok::<(), tramline_core::DecodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JsonForm {
    /// For people: a line for each member, two spaces for each level.
    pub pretty: bool,
    /// For readers that know no integers beyond 2^53 - 1.
    pub integers: Integers,
}

/// What becomes of an integer beyond 2^53 - 1, above or below zero. JavaScript would round it; here
/// it never is.
///
/// A key is text whatever the choice. Floats are doubles in JavaScript, too, and are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Integers {
    /// It stays a number.
    #[default]
    Exact,
    /// It becomes a string of its digits.
    String,
    /// It is an error.
    Refuse,
}

/// The JSON text of an encoded value. Bytes become arrays of numbers, as Tauri does.
///
/// A map's key that is an integer or a bool becomes text, as serde_json writes such keys; a typed
/// reader takes either. Any other key that is no text is refused.
///
/// # Errors
///
/// [`DecodeError`] when `input` is not one value of `codec`, or has no JSON form. For the built-in
/// codecs it says at which byte; [`TranscodeFault`] lists what is refused.
///
/// # Examples
///
/// ```
/// use tramline_compat_json::to_json;
/// use tramline_core::AnyCodec;
///
/// let packed = AnyCodec::MSGPACK.to_vec(&("a", 1.5, [true, false])).unwrap();
/// assert_eq!(to_json(AnyCodec::MSGPACK, &packed)?, r#"["a",1.5,[true,false]]"#);
/// # Ok::<(), tramline_core::DecodeError>(())
/// ```
pub fn to_json(codec: AnyCodec, input: &[u8]) -> Result<String, DecodeError> {
    to_json_with(codec, input, JsonForm::default())
}

/// As [`to_json`], for people: a line for each member, two spaces for each level.
///
/// # Errors
///
/// As [`to_json`].
///
/// # Examples
///
/// ```
/// use tramline_compat_json::to_json_pretty;
/// use tramline_core::AnyCodec;
///
/// assert_eq!(to_json_pretty(AnyCodec::JSON, br#"{"a":[1]}"#)?, "{\n  \"a\": [\n    1\n  ]\n}");
/// # Ok::<(), tramline_core::DecodeError>(())
/// ```
pub fn to_json_pretty(codec: AnyCodec, input: &[u8]) -> Result<String, DecodeError> {
    to_json_with(codec, input, JsonForm { pretty: true, ..JsonForm::default() })
}

/// As [`to_json`], in another form.
///
/// # Errors
///
/// As [`to_json`], and for integers that `form` refuses.
pub fn to_json_with(codec: AnyCodec, input: &[u8], form: JsonForm) -> Result<String, DecodeError> {
    let mut text = Vec::new();
    append_json(codec, input, form, &mut text)?;
    String::from_utf8(text).map_err(|e| DecodeError::new(codec.name(), e))
}

/// Writes the JSON text of an encoded value behind what is in `text`.
pub(crate) fn append_json(
    codec: AnyCodec,
    input: &[u8],
    form: JsonForm,
    text: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let written = if codec == AnyCodec::MSGPACK {
        msgpack_to_json(input, form, text)
    } else if codec == AnyCodec::JSON {
        json_to_json(input, form, text)
    } else {
        let json = codec.decode_seed(ViaJson, input)?;
        // Where it is in that text would tell nobody anything.
        return json_to_json(&json, form, text)
            .map_err(|stop| DecodeError::new(codec.name(), TranscodeError::from(stop).what));
    };
    written.map_err(|stop| DecodeError::new(codec.name(), TranscodeError::from(stop)))
}

/// The value of a JSON text, encoded.
///
/// Integers are exact or refused, floats keep their bits, and the order of keys stays.
///
/// # Errors
///
/// [`EncodeError`] when `text` is not one JSON value, at which byte it is not, and when `codec` has no
/// form for it; [`TranscodeFault`] lists what is refused.
///
/// # Examples
///
/// ```
/// use tramline_compat_json::from_json;
/// use tramline_core::AnyCodec;
///
/// assert_eq!(from_json(AnyCodec::MSGPACK, r#"{"a": -1}"#)?, b"\x81\xa1a\xff");
/// let error = from_json(AnyCodec::MSGPACK, r#"{"a": 1, "a": 2}"#).unwrap_err();
/// assert!(error.to_string().ends_with("a key comes twice in one map, at byte 9"));
/// # Ok::<(), tramline_core::EncodeError>(())
/// ```
pub fn from_json(codec: AnyCodec, text: &str) -> Result<Vec<u8>, EncodeError> {
    let refused = |stop| EncodeError::new(AnyCodec::JSON.name(), TranscodeError::from(stop));
    if codec == AnyCodec::MSGPACK {
        return json_to_msgpack(text.as_bytes()).map_err(refused);
    }
    let mut own = Vec::with_capacity(text.len());
    json_to_json(text.as_bytes(), JsonForm::default(), &mut own).map_err(refused)?;
    if codec == AnyCodec::JSON {
        return Ok(own);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(&own);
    codec.to_vec(&serde_transcode::Transcoder::new(&mut deserializer))
}

fn msgpack_to_json(input: &[u8], form: JsonForm, text: &mut Vec<u8>) -> Result<(), Stop> {
    text.reserve(input.len() + input.len() / 2);
    let mut input = Input::new(input);
    MsgPackReader::default().value(&mut input, &mut JsonWriter::new(text, Keep, form))?;
    match input.peek()? {
        None => Ok(()),
        Some(_) => Err(TranscodeFault::Trailing.at(input.at())),
    }
}

fn json_to_json(input: &[u8], form: JsonForm, text: &mut Vec<u8>) -> Result<(), Stop> {
    text.reserve(input.len());
    let mut input = Input::new(input);
    JsonReader::new().value(&mut input, &mut JsonWriter::new(text, Keep, form))?;
    json::end_of_input(&mut input)
}

fn json_to_msgpack(text: &[u8]) -> Result<Vec<u8>, Stop> {
    let mut input = Input::new(text);
    let mut packer = Packer::default();
    JsonReader::new().value(&mut input, &mut packer)?;
    json::end_of_input(&mut input)?;
    Ok(packer.into_vec())
}

/// What a codec of somebody's own reads, as the JSON codec writes it; the rules that are checked on
/// the way through text hold for it, too.
struct ViaJson;

impl<'de> DeserializeSeed<'de> for ViaJson {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
        AnyCodec::JSON
            .to_vec(&serde_transcode::Transcoder::new(deserializer))
            .map_err(serde::de::Error::custom)
    }
}
