//! Small words for cases: bytes in hexadecimal beside JSON text, and how many are made up.

use std::fmt::Debug;

use proptest::prelude::ProptestConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tramline::{AnyCodec, DecodeError};

/// So many cases of a property. A failure is shown, and not kept in a file.
pub(crate) fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

/// The bytes that these digits stand for; white space is for people.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<_> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|two| u8::try_from(two[0] * 16 + two[1]).expect("a byte")).collect()
}

/// A value in both codecs: MessagePack in hexadecimal, and JSON text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forms(pub(crate) &'static str, pub(crate) &'static str);

impl Forms {
    /// The one that belongs to a codec.
    pub(crate) fn of(self, codec: AnyCodec) -> Vec<u8> {
        if codec == AnyCodec::JSON { self.1.as_bytes().to_vec() } else { hex(self.0) }
    }

    pub(crate) fn decode<T: DeserializeOwned>(self, codec: AnyCodec) -> Result<T, DecodeError> {
        codec.decode(&self.of(codec))
    }
}

/// A value is written like this, and like this it is read.
pub(crate) fn both_ways<T>(codec: AnyCodec, value: T, msgpack: &'static str, json: &'static str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let forms = Forms(msgpack, json);
    assert_eq!(codec.to_vec(&value).as_ref(), Ok(&forms.of(codec)), "{value:?} {forms:?}");
    read(codec, value, msgpack, json);
}

/// This, too, is read as the value.
pub(crate) fn read<T>(codec: AnyCodec, value: T, msgpack: &'static str, json: &'static str)
where
    T: DeserializeOwned + PartialEq + Debug,
{
    let forms = Forms(msgpack, json);
    assert_eq!(forms.decode::<T>(codec).as_ref(), Ok(&value), "{forms:?}");
}

/// This is no value of the type.
pub(crate) fn not_read<T>(codec: AnyCodec, msgpack: &'static str, json: &'static str)
where
    T: DeserializeOwned + Debug,
{
    let forms = Forms(msgpack, json);
    let error = forms.decode::<T>(codec).expect_err(&format!("{forms:?} is refused"));
    assert!(error.at.is_some_and(|at| at <= forms.of(codec).len()), "{error} {forms:?}");
}
