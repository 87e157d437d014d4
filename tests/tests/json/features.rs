//! Features of serde_json that any crate in a build may turn on for all others.
//!
//! `cargo xtask check` runs this suite once more with both of them.

#[cfg(feature = "arbitrary-precision")]
#[test]
fn build_with_arbitrary_precision_still_round_trips() {
    use serde_json::{Number, Value, json};
    use tramline::AnyCodec;

    use crate::laws::{CODECS, hold, refused};
    use crate::types::{Internal, Point};

    // That it is on: digits are kept.
    let kept: Value = serde_json::from_str("0.10").expect("a number");
    assert_eq!(kept.to_string(), "0.10");

    let value = json!({ "a": [1, -1, 1.5, u64::MAX, i64::MIN], "b": { "c": 1e300 } });
    hold(&value);
    assert_eq!(AnyCodec::MSGPACK.to_vec(&json!(1)), Ok(vec![1]));
    assert_eq!(AnyCodec::MSGPACK.to_vec(&json!(1.5)), AnyCodec::MSGPACK.to_vec(&1.5));
    for codec in CODECS {
        assert_eq!(codec.to_vec(&kept), codec.to_vec(&0.1), "a plain number");
        let number: Number = serde_json::from_str("12345678901234567890").expect("a number");
        assert_eq!(codec.to_vec(&number), codec.to_vec(&12_345_678_901_234_567_890_u64));
    }
    for beyond in ["18446744073709551616", "-9223372036854775809", "1e400"] {
        let beyond: Value = serde_json::from_str(beyond).expect("a number");
        refused(&[beyond]);
    }
    // Numbers behind a tag: serde_json itself fails here under this feature.
    hold(&Internal::Newtype(Point { x: 0.1, y: 1 }));
    // A deserializer of serde_json's, written on.
    for codec in CODECS {
        let mut numbers = serde_json::Deserializer::from_str(r#"{"a":[0.10,1,-2]}"#);
        let written = codec.to_vec(&serde_transcode::Transcoder::new(&mut numbers));
        assert_eq!(written, codec.to_vec(&json!({ "a": [0.1, 1, -2] })));
    }
}

#[cfg(feature = "raw-value")]
#[test]
fn build_with_raw_value_still_round_trips() {
    use serde::{Deserialize, Serialize};
    use serde_json::value::RawValue;
    use tramline::AnyCodec;
    use tramline_compat_json::to_json;

    use crate::laws::CODECS;

    #[derive(Debug, Serialize, Deserialize)]
    struct Message {
        id: u8,
        raw: Box<RawValue>,
    }
    let text = r#"{"a":[1,2.5,"x\n"],"b":null}"#;
    let raw = RawValue::from_string(text.to_owned()).expect("JSON text");
    let message = Message { id: 1, raw };
    let json = serde_json::to_string(&message).expect("JSON text");
    for codec in CODECS {
        let encoded = codec.to_vec(&message).expect("written");
        assert_eq!(to_json(codec, &encoded).as_ref(), Ok(&json));
        let back: Message = codec.decode(&encoded).expect("read");
        assert_eq!((back.id, back.raw.get()), (1, text));
        // In text it is the text itself that comes, checked by all rules.
        let spaced = br#"{"id":1,"raw": {"a" : [1.50]} }"#;
        let back: Message = AnyCodec::JSON.decode(spaced).expect("read");
        assert_eq!(back.raw.get(), r#"{"a" : [1.50]}"#);
        for wrong in [r#"{"id":1,"raw":{"a":1,"a":1}}"#, r#"{"id":1,"raw":"\ud800"}"#] {
            assert!(AnyCodec::JSON.decode::<Message>(wrong.as_bytes()).is_err());
        }
    }
    // Borrowed from text; what has no text in the input cannot be.
    let raw: &RawValue = AnyCodec::JSON.decode(b" [1, 2] ").expect("read");
    assert_eq!(raw.get(), "[1, 2]");
    assert!(AnyCodec::MSGPACK.decode::<&RawValue>(&[0x91, 1]).is_err());
}
