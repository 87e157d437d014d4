//! MessagePack with named fields, human-readable types as text on both ends.

mod reader;
mod writer;

use serde::de::DeserializeSeed;
use serde::ser::Serialize;

use self::reader::MsgPackReader;
use self::writer::MsgPackFormat;
use super::Codec;
use super::canonical::{Deserializer, MAX_DEPTH, Reader as _, decode, encode};
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

/// A map whose entries come in an order that is known, as a caller of ours writes a command's
/// arguments. Whoever finds another one reads the map anew, in the way that tells what is wrong.
pub(crate) struct Listed<'de>(Deserializer<MsgPackReader<'de>>);

impl<'de> Listed<'de> {
    /// Opens a map of so many entries, fifteen at most.
    #[inline(always)]
    pub(crate) fn open(input: &'de [u8], count: usize) -> Option<Self> {
        let marker = 0x80 | u8::try_from(count).ok().filter(|count| *count < 16)?;
        let mut reader = MsgPackReader::new(input);
        reader.skip_exactly(marker).then(|| Self(Deserializer::new(reader, MAX_DEPTH - 1)))
    }

    /// The next entry's value, if this is its key and that is its type.
    #[inline(always)]
    pub(crate) fn value<S: DeserializeSeed<'de>>(
        &mut self,
        key: &str,
        seed: S,
    ) -> Option<S::Value> {
        if !self.0.reader().likely_key(key) {
            return None;
        }
        seed.deserialize(&mut self.0).ok()
    }

    /// Whether the map was all, and nothing in it was refused.
    #[inline(always)]
    pub(crate) fn end(&mut self) -> bool {
        self.0.end().is_ok()
    }
}
