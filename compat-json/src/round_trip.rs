//! The check that users can run on their own types.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tramline_core::codec::AnyCodec;
use tramline_core::{DecodeError, EncodeError};

use crate::transcode::{from_json, to_json};

/// A value that does not survive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoundTripError {
    /// It has no encoded form.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Its encoded form cannot be read back.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The codec says something else than JSON does.
    #[error("{codec} reads as {found} in JSON, serde_json writes {expected}")]
    Json {
        /// The codec.
        codec: &'static str,
        /// Its bytes as JSON text.
        found: String,
        /// What serde_json writes.
        expected: String,
    },
    /// What came back is another value.
    #[error("{way} gives {found}, the value was {expected}")]
    Value {
        /// Which way it went.
        way: &'static str,
        /// What came back.
        found: String,
        /// What was sent.
        expected: String,
    },
}

/// Checks that `value` is the same after every way between `codec` and JSON.
///
/// # Errors
///
/// The first way on which it is not.
///
/// # Examples
///
/// ```
/// use tramline_compat_json::round_trip;
/// use tramline_core::AnyCodec;
///
/// round_trip(AnyCodec::MSGPACK, &vec![(1_u8, "one".to_owned())])?;
/// assert!(round_trip(AnyCodec::MSGPACK, &f64::NAN).is_err());
/// # Ok::<(), tramline_compat_json::RoundTripError>(())
/// ```
pub fn round_trip<T>(codec: AnyCodec, value: &T) -> Result<(), RoundTripError>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let same = |way, found: T| {
        if found == *value {
            return Ok(());
        }
        let (found, expected) = (format!("{found:?}"), format!("{value:?}"));
        Err(RoundTripError::Value { way, found, expected })
    };
    let encoded = codec.to_vec(value)?;
    let expected = String::from_utf8_lossy(&AnyCodec::JSON.to_vec(value)?).into_owned();
    let found = to_json(codec, &encoded)?;
    if found != expected {
        return Err(RoundTripError::Json { codec: codec.name(), found, expected });
    }
    same("the codec alone", codec.decode(&encoded)?)?;
    same("JSON alone", AnyCodec::JSON.decode(expected.as_bytes())?)?;
    same("JSON to the codec", codec.decode(&from_json(codec, &expected)?)?)
}
