//! The check that users can run on their own types.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tramline_core::codec::AnyCodec;
use tramline_core::typed::ValueType;
use tramline_core::{DecodeError, EncodeError};

use crate::difference::difference;
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
    let found = if codec.is_self_describing() {
        to_json(codec, &encoded)?
    } else {
        ValueType::of::<T>().to_json(codec, &encoded)?
    };
    if difference(&found, &expected)?.is_some() {
        return Err(RoundTripError::Json { codec: codec.name(), found, expected });
    }
    same("the codec alone", codec.decode(&encoded)?)?;
    same("JSON alone", AnyCodec::JSON.decode(expected.as_bytes())?)?;
    if codec.is_self_describing() {
        same("JSON to the codec", codec.decode(&from_json(codec, &expected)?)?)?;
    }
    Ok(())
}

/// Checks that each of these values is the same after every way between JSON and the codecs that a
/// connection has without being asked.
///
/// For types of one's own, with values made up by a property-testing library.
///
/// # Errors
///
/// The first value that is not, and on which way.
///
/// # Examples
///
/// ```
/// use proptest::prelude::*;
/// use tramline_compat_json::round_trips;
///
/// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// struct Point {
///     x: f64,
///     label: Option<String>,
/// }
///
/// # fn check() {
/// proptest!(|(x in -1e300..1e300, label: Option<String>)| {
///     round_trips([Point { x, label }])?;
/// });
/// # }
/// # check();
/// # round_trips([Some(1.5), None])?;
/// # Ok::<(), tramline_compat_json::RoundTripError>(())
/// ```
pub fn round_trips<T>(values: impl IntoIterator<Item = T>) -> Result<(), RoundTripError>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    for value in values {
        for codec in [AnyCodec::JSON, AnyCodec::MSGPACK] {
            round_trip(codec, &value)?;
        }
    }
    Ok(())
}
