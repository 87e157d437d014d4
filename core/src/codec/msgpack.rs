//! MessagePack with named fields, human-readable types as text on both ends.

mod reader;
mod writer;

use serde::de::DeserializeSeed;
use serde::ser::Serialize;

use self::reader::MsgPackReader;
use self::writer::MsgPackFormat;
use super::Codec;
use super::canonical::{decode, encode};
use crate::error::{DecodeError, EncodeError};
use crate::frame::FrameWriter;

/// MessagePack, named and human-readable, made to mean what JSON means.
///
/// What rmp-serde writes in that mode is read, and it reads what is written here.
#[derive(Debug, Clone, Copy)]
pub struct MsgPack;

impl Codec for MsgPack {
    const NAME: &'static str = "msgpack";

    #[inline]
    fn encode<T: Serialize + ?Sized>(
        value: &T,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        encode::<MsgPackFormat, T>(value, out)
            .map_err(|refusal| refusal.into_error(Self::NAME, out))
    }

    #[inline]
    fn decode_seed<'de, S: DeserializeSeed<'de>>(
        seed: S,
        input: &'de [u8],
    ) -> Result<S::Value, DecodeError> {
        decode(MsgPackReader::new(input), seed).map_err(|fault| fault.into_error(Self::NAME))
    }
}
