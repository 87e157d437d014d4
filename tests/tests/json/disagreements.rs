//! Where serde_json and rmp-serde, as they come, disagree: one test per point.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::{Value, json};
use tramline::AnyCodec;
use tramline_compat_json::{from_json, to_json};

use crate::cases::{Forms, hex, not_read};
use crate::laws::{CODECS, hold, refused};
use crate::types::{
    Adjacent, Bytes, Defaults, External, Internal, Nothing, Point, Rest, Tree, Untagged,
};

fn packed<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    AnyCodec::MSGPACK.to_vec(value).expect("written")
}

fn shown(packed: &[u8]) -> String {
    to_json(AnyCodec::MSGPACK, packed).expect("it has JSON text")
}

#[test]
fn disagreement_1_is_gone() {
    // Structs are never arrays, and what failed in that form goes there and back.
    let point = Point { x: 0.5, y: 1 };
    assert_eq!(shown(&packed(&point)), r#"{"x":0.5,"y":1}"#);
    hold(&Adjacent::Unit);
    hold(&Adjacent::Struct { a: 1, b: None });
    hold(&vec![Untagged::Struct { a: 1, b: None }]);
    hold(&Defaults { number: 1, ..Defaults::default() });
}

#[test]
fn disagreement_2_is_gone() {
    assert_eq!(packed(&Nothing), hex("c0"));
    assert_eq!(shown(&packed(&vec![Nothing])), "[null]");
}

#[test]
fn disagreement_3_is_gone() {
    assert_eq!(shown(&packed(&5_u128)), "5");
    hold(&u128::from(u64::MAX));
    hold(&i128::from(i64::MIN));
    refused(&u128::MAX);
    refused(&i128::MIN);
}

#[test]
fn disagreement_4_is_gone() {
    let address: IpAddr = [127, 0, 0, 1].into();
    assert_eq!(shown(&packed(&address)), r#""127.0.0.1""#);
    hold(&address);
    hold(&BTreeMap::from([(address, 1)]));
}

#[test]
fn disagreement_5_is_gone() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let refused = refused(&Point { x: value, y: 1 });
        assert!(refused.contains("`.x`:") && refused.contains("has no JSON form"), "{refused}");
    }
}

#[test]
fn disagreement_6_is_gone() {
    let map = BTreeMap::from([(Some(1_u8), "a")]);
    assert_eq!(packed(&map), hex("81 a131 a161"));
    hold(&BTreeMap::from([(1_u32, 'a')]));
    hold(&BTreeMap::from([(-1_i64, 'a')]));
    hold(&BTreeMap::from([(true, 'a')]));
    let value: Value = AnyCodec::MSGPACK.decode(&packed(&map)).expect("text keys");
    assert_eq!(value, json!({ "1": "a" }));
}

#[test]
fn disagreement_7_is_gone() {
    let refused_pair = refused(&BTreeMap::from([((1_u8, 2_u8), 3)]));
    assert!(refused_pair.contains("a key must be a text"), "{refused_pair}");
    refused(&BTreeMap::from([((), 3)]));
}

#[test]
fn disagreement_8_is_gone() {
    let bytes = packed(&Bytes(vec![0, 255, 1]));
    assert_eq!(bytes, hex("c403 00ff01"));
    assert_eq!(shown(&bytes), "[0,255,1]");
    assert_eq!(AnyCodec::MSGPACK.decode(&bytes), Ok(json!([0, 255, 1])));
    hold(&Bytes(vec![0, 255, 1]));
}

#[test]
fn disagreement_9_is_gone() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Of { map: BTreeMap<u32, u8> },
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        map: BTreeMap<u32, u8>,
    }
    // Both are the same trap in both codecs: no program works with one and breaks with the other.
    let map = BTreeMap::from([(1, 2)]);
    for codec in CODECS {
        let tagged = codec.to_vec(&Tagged::Of { map: map.clone() }).expect("written");
        assert!(codec.decode::<Tagged>(&tagged).is_err(), "{codec:?}");
        let flat = codec.to_vec(&Flat { map: map.clone() }).expect("written");
        assert!(codec.decode::<Flat>(&flat).is_err(), "{codec:?}");
    }
    for (msgpack, json) in [("81 01 02", r#"{"1":2}"#), ("81 a131 02", r#"{"1":2}"#)] {
        not_read::<Flat>(AnyCodec::MSGPACK, msgpack, json);
        not_read::<Flat>(AnyCodec::JSON, msgpack, json);
    }
}

#[test]
fn disagreement_10_is_gone() {
    for value in [1.071_566_039_146_582_6e-75, 0.1 + 0.2, 0.001 * 7919.0, 5e-324, f64::MAX] {
        hold(&value);
        hold(&vec![Untagged::Double(value)]);
    }
}

#[test]
fn disagreement_11_is_gone() {
    // They agree: what is null within is null without.
    for codec in CODECS {
        let null = codec.to_vec(&()).expect("written");
        assert_eq!(codec.to_vec(&Some(None::<u8>)).as_ref(), Ok(&null));
        assert_eq!(codec.decode::<Option<Option<u8>>>(&null), Ok(None));
    }
}

#[test]
fn disagreement_12_is_gone() {
    // With the feature on, `features.rs` is about the same values.
    for value in [json!(1), json!(-1), json!(1.5), json!(u64::MAX), json!([1.0, { "a": 0.1 }])] {
        assert_eq!(shown(&packed(&value)), value.to_string());
        hold(&value);
    }
    // A map that looks like a number of serde_json's is no number, whatever features are on.
    for codec in CODECS {
        for name in ["Number", "RawValue", "Other"] {
            let key = format!("$serde_json::private::{name}");
            refused(&BTreeMap::from([(&key, "1")]));
            let mut input = vec![0x81, 0xd9, u8::try_from(key.len()).expect("short")];
            input.extend([key.as_bytes(), &hex("a131")].concat());
            if codec == AnyCodec::JSON {
                input = format!(r#"{{"{key}":"1"}}"#).into_bytes();
            }
            assert!(codec.decode::<Value>(&input).is_err(), "{codec:?} {key}");
            assert!(codec.decode::<BTreeMap<String, String>>(&input).is_err(), "{codec:?} {key}");
        }
    }
    hold(&Internal::Newtype(Point { x: 0.1, y: 1 }));
}

#[test]
fn disagreement_13_is_gone() {
    /// What `RawValue` does.
    struct Raw(&'static str);
    impl Serialize for Raw {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeStruct;

            const NAME: &str = "$serde_json::private::RawValue";
            let mut raw = serializer.serialize_struct(NAME, 1)?;
            raw.serialize_field(NAME, self.0)?;
            raw.end()
        }
    }
    assert_eq!(packed(&[Raw(r#" {"a": [1, 2.50]} "#)]), packed(&[json!({ "a": [1, 2.5] })]));
    assert_eq!(
        AnyCodec::JSON.to_vec(&[Raw(r#" {"a": [1, 2.50]} "#)]),
        Ok(br#"[{"a":[1,2.5]}]"#.to_vec())
    );
    for wrong in ["", "1 2", r#"{"a":1,"a":1}"#, "1e400", "18446744073709551616", r#""\ud800""#] {
        refused(&Raw(wrong));
    }
}

#[test]
fn disagreement_14_is_gone() {
    assert_eq!(shown(&packed(&0.1_f32)), "0.1");
    hold(&0.1_f32);
    hold(&vec![Some(0.1_f32)]);
}

#[test]
fn disagreement_15_is_gone() {
    let twice = Forms("82 a161 01 a161 02", r#"{"a":1,"a":2}"#);
    for codec in CODECS {
        let words = [
            twice.decode::<Value>(codec).map(drop),
            twice.decode::<BTreeMap<String, u8>>(codec).map(drop),
            twice.decode::<Nameless>(codec).map(drop),
            twice.decode::<Untagged>(codec).map(drop),
            twice.decode::<Rest>(codec).map(drop),
            twice.decode::<serde::de::IgnoredAny>(codec).map(drop),
        ];
        for refused in words {
            let refused = refused.expect_err("twice");
            assert!(refused.cause.contains("`a` stands twice"), "{refused}");
        }
    }
    /// Looks at no field.
    #[derive(Debug, Deserialize)]
    struct Nameless {}
}

#[test]
fn disagreement_16_is_gone() {
    for codec in CODECS {
        for (more, at) in [(Forms("01 02", "1 2"), [1, 2]), (Forms("01 c1", "1x"), [1, 1])] {
            let refused = more.decode::<u8>(codec).expect_err("there is more");
            let at = at[usize::from(codec == AnyCodec::JSON)];
            assert_eq!(refused.at, Some(at), "{refused}");
        }
    }
}

#[test]
fn disagreement_17_is_gone() {
    let tree = |depth| {
        let leaf = Tree { below: vec![] };
        (1..depth).fold(leaf, |tree, _| Tree { below: vec![tree] })
    };
    // A tree is a map and an array at each step.
    hold(&tree(63));
    let refused = refused(&tree(64));
    assert!(refused.contains("nested deeper than 127"), "{refused}");
}

#[test]
fn disagreement_18_is_gone() {
    for codec in CODECS {
        for half in [Forms("a3 eda080", r#""\ud800""#), Forms("a3 edb080", r#""\udc00x""#)] {
            assert!(half.decode::<String>(codec).is_err());
            assert!(half.decode::<ByteBuf>(codec).is_err());
            assert!(half.decode::<Value>(codec).is_err());
            assert!(half.decode::<serde::de::IgnoredAny>(codec).is_err());
        }
    }
}

#[test]
fn disagreement_19_is_gone() {
    for codec in CODECS {
        not_read::<String>(codec, "c40178", "[120]");
        not_read::<ByteBuf>(codec, "a178", r#""x""#);
        not_read::<External>(codec, "00", "0");
        not_read::<External>(codec, "81 00 c0", r#"{"0":null}"#);
        // Nor where serde keeps the value in memory first.
        not_read::<Untagged>(codec, "c40178", "[120]");
        not_read::<Internal>(
            codec,
            "82 a4 6b696e64 c404 556e6974 a161 01",
            r#"{"kind":[85],"a":1}"#,
        );
    }
}

#[test]
fn disagreement_20_is_gone() {
    for codec in CODECS {
        not_read::<u8>(codec, "cb3ff0000000000000", "1.0");
        not_read::<i8>(codec, "cb8000000000000000", "-0");
        let zero = Forms("cb8000000000000000", "-0").decode::<f64>(codec);
        assert_eq!(zero.map(f64::to_bits), Ok((-0.0_f64).to_bits()));
    }
    // Never rounded: neither where a type is known, nor where none is.
    for wide in ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"] {
        assert!(AnyCodec::JSON.decode::<u64>(wide.as_bytes()).is_err());
        assert!(AnyCodec::JSON.decode::<i64>(wide.as_bytes()).is_err());
        assert!(AnyCodec::JSON.decode::<Value>(wide.as_bytes()).is_err());
        assert!(AnyCodec::JSON.decode::<serde::de::IgnoredAny>(wide.as_bytes()).is_err());
    }
    for huge in ["1e400", "-1e309", "1000e306"] {
        assert!(AnyCodec::JSON.decode::<f64>(huge.as_bytes()).is_err());
        assert!(AnyCodec::JSON.decode::<Value>(huge.as_bytes()).is_err());
    }
    assert_eq!(AnyCodec::JSON.decode(b"18446744073709551615"), Ok(json!(u64::MAX)));
}

#[test]
fn disagreement_21_is_gone() {
    /// By nature the first one that fits.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Numbers(Vec<u8>),
        Bytes(ByteBuf),
    }
    for codec in CODECS {
        for either in [Either::Numbers(vec![1, 2]), Either::Bytes(ByteBuf::from([1, 2]))] {
            let encoded = codec.to_vec(&either).expect("written");
            assert_eq!(codec.decode(&encoded), Ok(Either::Numbers(vec![1, 2])), "{codec:?}");
            let json = to_json(codec, &encoded).expect("JSON text");
            let again = from_json(AnyCodec::MSGPACK, &json).expect("JSON text");
            assert_eq!(AnyCodec::MSGPACK.decode(&again), Ok(Either::Numbers(vec![1, 2])));
        }
    }
}
