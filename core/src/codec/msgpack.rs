//! MessagePack with named fields, human-readable types as text on both ends.

use serde::de::{Deserialize, DeserializeSeed, IgnoredAny};
use serde::ser::Serialize;

use super::{Codec, refused};
use crate::error::{DecodeError, EncodeError};
use crate::frame::FrameWriter;

/// MessagePack as rmp-serde writes it, named and human-readable.
#[derive(Debug, Clone, Copy)]
pub struct MsgPack;

/// Nesting accepted when reading; serde_json's own limit, so that both codecs judge alike.
const MAX_DEPTH: usize = 128;

impl Codec for MsgPack {
    const NAME: &'static str = "msgpack";

    #[inline]
    fn encode<T: Serialize + ?Sized>(
        value: &T,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        let mut serializer =
            rmp_serde::Serializer::new(&mut *out).with_struct_map().with_human_readable();
        value.serialize(&mut serializer).map_err(|e| refused(Self::NAME, out, e))
    }

    #[inline]
    fn decode_seed<'de, S: DeserializeSeed<'de>>(
        seed: S,
        input: &'de [u8],
    ) -> Result<S::Value, DecodeError> {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(input).with_human_readable();
        deserializer.set_max_depth(MAX_DEPTH);
        let value =
            seed.deserialize(&mut deserializer).map_err(|e| DecodeError::new(Self::NAME, e))?;
        // rmp-serde does not say how far it read: at the end a further value meets the end at once.
        match IgnoredAny::deserialize(&mut deserializer) {
            Err(rmp_serde::decode::Error::InvalidMarkerRead(e))
                if e.kind() == std::io::ErrorKind::UnexpectedEof =>
            {
                Ok(value)
            }
            _ => Err(DecodeError::new(Self::NAME, "bytes follow the value")),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::AnyCodec;

    #[test]
    fn trailing_bytes_are_refused_by_every_codec() {
        assert_eq!(AnyCodec::MSGPACK.decode::<u8>(&[1]).ok(), Some(1));
        assert!(AnyCodec::MSGPACK.decode::<u8>(&[1, 2]).is_err());
        assert!(AnyCodec::MSGPACK.decode::<u8>(&[1, 0xc1]).is_err());
        assert!(AnyCodec::JSON.decode::<u8>(b"1 2").is_err());
        assert_eq!(AnyCodec::JSON.decode::<u8>(b"1 ").ok(), Some(1));
    }

    #[test]
    fn addresses_are_text_in_every_codec() {
        let address: std::net::IpAddr = [127, 0, 0, 1].into();
        let packed = AnyCodec::MSGPACK.to_vec(&address).expect("encodes");
        assert_eq!(AnyCodec::MSGPACK.decode::<&str>(&packed).ok(), Some("127.0.0.1"));
        assert_eq!(AnyCodec::MSGPACK.decode(&packed).ok(), Some(address));
    }

    #[test]
    fn nesting_beyond_the_limit_is_an_error_in_every_codec() {
        let deep = |open: u8, close: &[u8], n: usize| {
            let mut bytes = vec![open; n];
            bytes.extend(close.iter().cycle().take(n * close.len()));
            bytes
        };
        let json = deep(b'[', b"]", 10_000);
        assert!(AnyCodec::JSON.decode::<serde_json::Value>(&json).is_err());
        let mut packed = deep(0x91, b"", 10_000);
        packed.push(0xc0);
        assert!(AnyCodec::MSGPACK.decode::<serde_json::Value>(&packed).is_err());
    }
}
