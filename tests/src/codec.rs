//! A codec of one's own.

use serde::Serialize;
use serde::de::DeserializeSeed;
use tramline::{Codec, DecodeError, EncodeError, FrameWriter, Json};

/// JSON behind a mark, so that neither side mistakes it for JSON.
#[derive(Debug, Clone, Copy)]
pub struct Marked;

impl Codec for Marked {
    const NAME: &'static str = "marked-json";

    fn encode<T: Serialize + ?Sized>(
        value: &T,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        out.put(b"!").map_err(|e| EncodeError::new(Self::NAME, e))?;
        Json::encode(value, out)
    }

    fn decode_seed<'de, S: DeserializeSeed<'de>>(
        seed: S,
        input: &'de [u8],
    ) -> Result<S::Value, DecodeError> {
        match input.strip_prefix(b"!") {
            Some(json) => Json::decode_seed(seed, json),
            None => Err(DecodeError::new(Self::NAME, "the mark is missing")),
        }
    }
}

/// A codec that no server offers.
#[derive(Debug, Clone, Copy)]
pub struct Strange;

impl Codec for Strange {
    const NAME: &'static str = "strange";

    fn encode<T: Serialize + ?Sized>(
        value: &T,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        Json::encode(value, out)
    }

    fn decode_seed<'de, S: DeserializeSeed<'de>>(
        seed: S,
        input: &'de [u8],
    ) -> Result<S::Value, DecodeError> {
        Json::decode_seed(seed, input)
    }
}
