//! Any codec to JSON text and back, never through a tree of values: that would reorder keys, widen
//! `f32` and round large integers.

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _};
use tramline_core::codec::{AnyCodec, Codec, Json};
use tramline_core::{DecodeError, EncodeError};

/// The JSON text of an encoded value. Bytes become arrays of numbers, as Tauri does.
///
/// # Errors
///
/// [`DecodeError`] when `input` is not one value of `codec`, or has no JSON form (a map whose keys
/// are no text).
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
    let mut text = Vec::with_capacity(input.len() + input.len() / 2);
    codec.decode_seed(IntoJson(&mut text), input)?;
    String::from_utf8(text).map_err(|e| DecodeError::new(Json::NAME, e))
}

/// The value of a JSON text, encoded.
///
/// # Errors
///
/// [`EncodeError`] when `text` is not one JSON value.
pub fn from_json(codec: AnyCodec, text: &str) -> Result<Vec<u8>, EncodeError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let encoded = codec.to_vec(&serde_transcode::Transcoder::new(&mut deserializer))?;
    deserializer.end().map_err(|e| EncodeError::new(Json::NAME, e))?;
    Ok(encoded)
}

struct IntoJson<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for IntoJson<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let mut serializer = serde_json::Serializer::new(self.0);
        serde_transcode::transcode(deserializer, &mut serializer).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn json_survives_the_way_through_messagepack(
            numbers in proptest::collection::vec(any::<f64>().prop_filter("finite", |x| x.is_finite()), 0..8),
            integers: Vec<i64>,
            texts in proptest::collection::vec("\\PC{0,20}", 0..8),
            large: u64,
        ) {
            let text = serde_json::json!({
                "numbers": numbers, "integers": integers, "texts": texts, "large": large,
                "nested": { "null": null, "yes": true },
            }).to_string();
            let packed = from_json(AnyCodec::MSGPACK, &text).expect("JSON");
            prop_assert_eq!(to_json(AnyCodec::MSGPACK, &packed).expect("ours"), text);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = to_json(AnyCodec::MSGPACK, &bytes);
            let _ = to_json(AnyCodec::JSON, &bytes);
        }
    }

    #[test]
    fn key_order_and_large_integers_are_kept() {
        let text = r#"{"z":18446744073709551615,"a":-9223372036854775808,"m":0.1}"#;
        let packed = from_json(AnyCodec::MSGPACK, text).expect("JSON");
        assert_eq!(to_json(AnyCodec::MSGPACK, &packed).expect("ours"), text);
    }

    #[test]
    fn trailing_text_and_truncated_bytes_are_refused() {
        assert!(from_json(AnyCodec::MSGPACK, "1 2").is_err());
        assert!(to_json(AnyCodec::MSGPACK, &[0x92, 1]).is_err());
        // An array that claims four billion members.
        assert!(to_json(AnyCodec::MSGPACK, &[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
