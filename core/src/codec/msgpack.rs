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

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::codec::AnyCodec;

    /// `a` and `b` of a body, read straight.
    fn straight<'de, B: Deserialize<'de>>(body: &'de [u8]) -> Option<(u64, B)> {
        let mut map = Listed::open(body, 2)?;
        let read = (map.value("a", PhantomData)?, map.value("b", PhantomData)?);
        map.end().then_some(read)
    }

    fn body(value: &Value) -> Vec<u8> {
        AnyCodec::MSGPACK.to_vec(value).expect("has a form")
    }

    #[test]
    fn listed_entries_are_read_as_in_the_general_way() {
        let body = body(&json!({ "a": 7, "b": ["x", null] }));
        let (a, b) = straight::<Value>(&body).expect("in order");
        let general: Value = AnyCodec::MSGPACK.decode(&body).expect("a map");
        assert_eq!(json!({ "a": a, "b": b }), general);
    }

    #[test]
    fn whatever_is_not_the_listed_map_is_left_to_the_general_way() {
        let order = [&[0x82, 0xa1, b'b', 1][..], &[0xa1, b'a', 2]].concat();
        let twice = [&[0x82, 0xa1, b'a', 1][..], &[0xa1, b'a', 2]].concat();
        let whole = body(&json!({ "a": 7, "b": 8 }));
        let mut behind = whole.clone();
        behind.push(0);
        let others =
            [json!({ "a": 7 }), json!({ "a": 7, "b": 8, "c": 9 }), json!([7, 8]), json!(1)];
        for other in others.iter().map(body).chain([order, twice, behind, vec![], vec![0x82]]) {
            assert_eq!(straight::<u64>(&other), None, "{other:x?}");
        }
        for end in 0..whole.len() {
            assert_eq!(straight::<u64>(&whole[..end]), None, "cut off at {end}");
        }
        assert_eq!(straight::<String>(&whole), None, "another type");
        assert_eq!(straight::<u64>(&whole), Some((7, 8)));
    }

    #[test]
    fn a_listed_value_may_be_nested_as_deep_as_any_other() {
        let nested = |depth: u8| {
            let mut bytes = vec![0x82, 0xa1, b'a', 1, 0xa1, b'b'];
            bytes.extend((0..depth).map(|_| 0x91));
            bytes.push(1);
            bytes
        };
        // The map around it is one level itself.
        let (fits, too_deep) = (nested(MAX_DEPTH - 1), nested(MAX_DEPTH));
        assert!(straight::<Value>(&fits).is_some());
        assert!(AnyCodec::MSGPACK.decode::<Value>(&fits).is_ok());
        assert!(straight::<Value>(&too_deep).is_none());
        assert!(AnyCodec::MSGPACK.decode::<Value>(&too_deep).is_err());
    }
}
