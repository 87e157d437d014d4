//! JSON text. `float_roundtrip` is on in the workspace manifest, so every `f64` keeps its bits.

use serde::de::DeserializeSeed;
use serde::ser::Serialize;

use super::{Codec, refused};
use crate::error::{DecodeError, EncodeError};
use crate::frame::FrameWriter;

/// JSON as serde_json writes it: the reference for all other codecs.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Codec for Json {
    const NAME: &'static str = "json";

    #[inline]
    fn encode<T: Serialize + ?Sized>(
        value: &T,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        serde_json::to_writer(&mut *out, value).map_err(|e| refused(Self::NAME, out, e))
    }

    #[inline]
    fn decode_seed<'de, S: DeserializeSeed<'de>>(
        seed: S,
        input: &'de [u8],
    ) -> Result<S::Value, DecodeError> {
        let mut deserializer = serde_json::Deserializer::from_slice(input);
        seed.deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value))
            .map_err(|e| DecodeError::new(Self::NAME, e))
    }
}
