//! Numbers keep every bit.

use std::collections::BTreeMap;

use serde_json::Value;
use tramline::AnyCodec;
use tramline_compat_json::{from_json, to_json};
use tramline_core::typed::ValueType;
use tramline_tests::random::Random;

use crate::laws::{CODECS, hold};

/// Codecs whose values a type can show.
#[cfg(not(feature = "postcard"))]
const TYPED: [AnyCodec; 2] = CODECS;
#[cfg(feature = "postcard")]
const TYPED: [AnyCodec; 3] = [AnyCodec::POSTCARD, AnyCodec::MSGPACK, AnyCodec::JSON];

/// How many doubles, and how many of them go together.
const DOUBLES: usize = 1_000_000;
const TOGETHER: usize = 1000;

fn assert_same_bits(found: &[f64], expected: &[f64], way: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.to_bits(), expected.to_bits(), "{way}: {found:e} for {expected:e}");
    }
}

#[test]
fn random_doubles_keep_their_bits_through_every_codec_and_transcoder() {
    let mut random = Random::new(10);
    let mut left = DOUBLES;
    while left > 0 {
        let doubles: Vec<_> = std::iter::repeat_with(|| f64::from_bits(random.next_u64()))
            .filter(|double| double.is_finite())
            .take(TOGETHER)
            .collect();
        left -= TOGETHER;
        for codec in CODECS {
            let encoded = codec.to_vec(&doubles).expect("written");
            assert_same_bits(
                &codec.decode::<Vec<_>>(&encoded).expect("read"),
                &doubles,
                codec.name(),
            );
            let json = to_json(codec, &encoded).expect("JSON text");
            let parsed: Vec<f64> = serde_json::from_str(&json).expect("read by serde_json");
            assert_same_bits(&parsed, &doubles, "to JSON text");
            let again = from_json(codec, &json).expect("JSON text");
            assert_same_bits(&codec.decode::<Vec<_>>(&again).expect("read"), &doubles, "and back");
        }
        for codec in TYPED {
            let encoded = codec.to_vec(&doubles).expect("written");
            let decoded = codec.decode::<Vec<_>>(&encoded).expect("read");
            assert_same_bits(&decoded, &doubles, codec.name());
            let json = ValueType::of::<Vec<f64>>().to_json(codec, &encoded).expect("shown");
            let parsed: Vec<f64> = AnyCodec::JSON.decode(json.as_bytes()).expect("JSON text");
            assert_same_bits(&parsed, &doubles, "shown by its type");
        }
    }
}

#[test]
fn random_singles_keep_their_bits_through_every_codec_and_transcoder() {
    let mut random = Random::new(11);
    // Among all singles one changes if its text is first read as a double and then rounded.
    let odd = [f32::from_bits(0x15ae_43fd), -f32::from_bits(0x15ae_43fd)];
    let singles: Vec<_> = std::iter::repeat_with(|| random.next_u64().to_le_bytes())
        .map(|[a, b, c, d, ..]| f32::from_le_bytes([a, b, c, d]))
        .filter(|single| single.is_finite())
        .take(DOUBLES / 10)
        .chain(odd)
        .collect();
    let bits = |singles: &[f32]| singles.iter().map(|single| single.to_bits()).collect::<Vec<_>>();
    for codec in CODECS {
        let encoded = codec.to_vec(&singles).expect("written");
        assert_eq!(codec.decode::<Vec<f32>>(&encoded).map(|s| bits(&s)), Ok(bits(&singles)));
        let json = to_json(codec, &encoded).expect("JSON text");
        let again = from_json(codec, &json).expect("JSON text");
        assert_eq!(codec.decode::<Vec<f32>>(&again).map(|s| bits(&s)), Ok(bits(&singles)));
    }
    for codec in TYPED {
        let encoded = codec.to_vec(&singles).expect("written");
        assert_eq!(codec.decode::<Vec<f32>>(&encoded).map(|s| bits(&s)), Ok(bits(&singles)));
        let json = ValueType::of::<Vec<f32>>().to_json(codec, &encoded).expect("shown");
        let parsed = AnyCodec::JSON.decode::<Vec<f32>>(json.as_bytes());
        assert_eq!(parsed.map(|s| bits(&s)), Ok(bits(&singles)));
    }
}

#[test]
fn u64_above_2_pow_53_survives_or_is_refused_never_rounded() {
    for value in [(1 << 53) - 1, 1 << 53, (1 << 53) + 1, i64::MAX as u64, u64::MAX - 1, u64::MAX] {
        hold(&value);
        hold(&BTreeMap::from([(value, Some([value]))]));
        for codec in CODECS {
            let encoded = codec.to_vec(&value).expect("written");
            assert_eq!(codec.decode::<Value>(&encoded), Ok(Value::from(value)));
            assert_eq!(to_json(codec, &encoded), Ok(value.to_string()));
        }
    }
    for value in [-(1 << 53) - 1, i64::MIN, i64::MIN + 1] {
        hold(&value);
        for codec in CODECS {
            let encoded = codec.to_vec(&value).expect("written");
            assert_eq!(codec.decode::<Value>(&encoded), Ok(Value::from(value)));
        }
    }
    // One more is no number of any type.
    let beyond = b"18446744073709551616";
    assert!(AnyCodec::JSON.decode::<u64>(beyond).is_err());
    assert!(AnyCodec::JSON.decode::<Value>(beyond).is_err());
    // Unless it is asked for as one that is rounded.
    assert_eq!(AnyCodec::JSON.decode(beyond), Ok(18_446_744_073_709_551_616_f64));
    assert_eq!(AnyCodec::JSON.decode(beyond), Ok(18_446_744_073_709_551_616_u128));
}
