//! The laws of the guarantee, for one value of a type.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeSeed};
use tramline::AnyCodec;
use tramline_compat_json::{from_json, to_json};

use crate::exact::exact;

pub(crate) const CODECS: [AnyCodec; 2] = [AnyCodec::MSGPACK, AnyCodec::JSON];

/// Holds the laws L1, L2 and L3 for a value; what is decoded may borrow.
pub(crate) fn hold<T>(value: &T)
where
    T: Serialize + for<'de> Deserialize<'de> + PartialEq + Debug,
{
    hold_with(value, |codec, bytes| match codec.decode(bytes) {
        Ok(value) => value,
        Err(e) => panic!("{e}: {bytes:x?}"),
    });
}

/// Holds the laws for a value that is decoded with a seed.
pub(crate) fn hold_seeded<T, S>(value: &T, seed: impl Fn() -> S)
where
    T: Serialize + PartialEq + Debug,
    S: for<'de> DeserializeSeed<'de, Value = T>,
{
    hold_with(value, |codec, bytes| match codec.decode_seed(seed(), bytes) {
        Ok(value) => value,
        Err(e) => panic!("{e}: {bytes:x?}"),
    });
}

fn hold_with<T>(value: &T, decode: impl Fn(AnyCodec, &[u8]) -> T)
where
    T: Serialize + PartialEq + Debug,
{
    let json = serde_json::to_string(value).expect("an admitted value has JSON text");
    let ours = AnyCodec::JSON.to_vec(value).expect("an admitted value can be written");
    assert_eq!(String::from_utf8(ours).as_ref(), Ok(&json), "our JSON text is serde_json's");
    assert_eq!(&decode(AnyCodec::JSON, json.as_bytes()), value, "L3: {json}");
    for codec in CODECS {
        let encoded = codec.to_vec(value).expect("an admitted value can be written");
        let shown = to_json(codec, &encoded).expect("what was written has JSON text");
        assert_eq!(exact(&shown), exact(&json), "L1, {codec:?}: {shown} {json}");
        assert_eq!(&decode(codec, &encoded), value, "there and back, {codec:?}: {json}");
        let packed = from_json(codec, &json).expect("JSON text can be written");
        assert_eq!(&decode(codec, &packed), value, "L2, {codec:?}: {json}");
    }
}

/// A value that has no JSON form is refused by every codec, in the same words.
pub(crate) fn refused<T: Serialize + ?Sized>(value: &T) -> String {
    let [msgpack, json] = CODECS.map(|codec| {
        let error = codec.to_vec(value).expect_err("it has no JSON form");
        assert_eq!(error.codec, codec.name());
        error.to_string().replacen(codec.name(), "CODEC", 1)
    });
    assert_eq!(msgpack, json);
    msgpack
}
