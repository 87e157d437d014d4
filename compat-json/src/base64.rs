//! Bytes as base64 text, in every codec: for `#[serde(with = "..")]`.
//!
//! Without it bytes are bytes where the codec has them and an array of numbers in JSON, at 3.6
//! characters for each. As base64 they are one string, of 4 characters for 3 bytes, which JavaScript
//! reads with `atob`. The alphabet is the standard one with padding; text that another encoder would
//! not have written, such as without padding, is refused.
//!
//! It serves for everything that lends its bytes and can be made of a `Vec<u8>`: `Vec<u8>`,
//! `[u8; N]`, `Box<[u8]>`, `Cow<[u8]>`, `Bytes`.
//!
//! # Examples
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tramline_core::AnyCodec;
//!
//! #[derive(Serialize, Deserialize, PartialEq, Debug)]
//! struct Picture {
//!     #[serde(with = "tramline_compat_json::base64")]
//!     png: Vec<u8>,
//! }
//!
//! let picture = Picture { png: vec![0x89, b'P', b'N', b'G'] };
//! let json = AnyCodec::JSON.to_vec(&picture)?;
//! assert_eq!(json, br#"{"png":"iVBORw=="}"#);
//! assert_eq!(AnyCodec::JSON.decode(&json).ok(), Some(picture));
//! # Ok::<(), tramline_core::EncodeError>(())
//! ```
//!
//! In a program that uses the crate `tramline` the path is `tramline::base64`.

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// Writes bytes as text.
///
/// # Errors
///
/// Only those of the serializer.
pub fn serialize<T, S>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: AsRef<[u8]> + ?Sized,
    S: Serializer,
{
    serializer.serialize_str(&STANDARD.encode(bytes))
}

/// Reads the bytes of a text.
///
/// # Errors
///
/// What is there is no text, or no base64, or of another length than `T` has.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<Vec<u8>>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(Text(PhantomData))
}

struct Text<T>(PhantomData<T>);

impl<T: TryFrom<Vec<u8>>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64 text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let bytes = STANDARD.decode(text).map_err(|error| E::custom(format!("base64: {error}")))?;
        let len = bytes.len();
        T::try_from(bytes).map_err(|_| E::invalid_length(len, &"as many bytes as the field has"))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use tramline_core::AnyCodec;

    use crate::{from_json, round_trip, to_json};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Blob {
        #[serde(with = "crate::base64")]
        any: Vec<u8>,
        #[serde(with = "crate::base64")]
        four: [u8; 4],
    }

    #[test]
    fn bytes_are_one_text_in_every_codec_and_come_back() {
        let text = r#"{"any":"AP8B","four":"AQIDBA=="}"#;
        for codec in [AnyCodec::MSGPACK, AnyCodec::JSON] {
            let blob = Blob { any: vec![0, 255, 1], four: [1, 2, 3, 4] };
            assert_eq!(to_json(codec, &codec.to_vec(&blob).expect("encodes")).expect("good"), text);
            assert_eq!(codec.decode(&from_json(codec, text).expect("good")).ok(), Some(blob));
            for len in 0..70 {
                let blob = Blob { any: (0..len).collect(), four: [len; 4] };
                round_trip(codec, &blob).expect("the same");
            }
        }
    }

    #[test]
    fn text_that_no_encoder_writes_is_refused() {
        for any in ["A", "AP8", "AP8B=", "AP=8", "A P8B", "AP8B\n", "_-8B", "AR=="] {
            let text = format!(r#"{{"any":{any:?},"four":"AQIDBA=="}}"#);
            assert!(AnyCodec::JSON.decode::<Blob>(text.as_bytes()).is_err(), "{any}");
        }
        let short = r#"{"any":"","four":"AQID"}"#;
        let error = AnyCodec::JSON.decode::<Blob>(short.as_bytes()).expect_err("three bytes");
        assert!(error.to_string().contains("invalid length 3"), "{error}");
        let bytes = r#"{"any":[1,2],"four":"AQIDBA=="}"#;
        assert!(AnyCodec::JSON.decode::<Blob>(bytes.as_bytes()).is_err());
    }
}
