//! JSON text.

mod reader;
mod scan;
mod writer;

use serde::de::DeserializeSeed;
use serde::ser::Serialize;

pub(super) use self::reader::JsonReader;
pub(super) use self::writer::JsonFormat;
use super::Codec;
use super::canonical::{decode, encode};
use crate::error::{DecodeError, EncodeError};
use crate::frame::FrameWriter;

/// JSON text as serde_json writes it: what every value is, whichever codec carries it.
///
/// Unlike with serde_json, what has no JSON form is an error and not `null`.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Codec for Json {
    const NAME: &'static str = "json";

    #[inline]
    fn encode<T: Serialize + ?Sized>(
        value: &T,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        encode::<JsonFormat, T>(value, out).map_err(|refusal| refusal.into_error(Self::NAME, out))
    }

    #[inline]
    fn decode_seed<'de, S: DeserializeSeed<'de>>(
        seed: S,
        input: &'de [u8],
    ) -> Result<S::Value, DecodeError> {
        JsonReader::new(input)
            .and_then(|reader| decode(reader, seed))
            .map_err(|fault| fault.into_error(Self::NAME))
    }
}
