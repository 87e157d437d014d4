//! Our readers beside serde_json and rmp-serde: the same values, and the same refusals where no
//! rule differs.

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tramline::AnyCodec;
use tramline_compat_json::to_json;

use crate::cases::cases;
use crate::exact::{Exact, exact};

/// Text that is JSON, nearly JSON, or nothing like it.
fn json_like() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:?}")),
        "-?[0-9]{1,25}(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        "\"([ -~é🦀]|\\\\[\"\\\\/bfnrtu]|\\\\u[0-9a-fA-F]{4}|\\\\ud83d\\\\ude00){0,6}\"",
        "[ -~\\n]{0,3}",
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        let key = "\"[a-e]\"|\"\\\\u006[1-5]\"|[a-e\"]";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|e| format!("[{}]", e.join(","))),
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|e| format!("[ {}\n]", e.join(" , "))),
            prop::collection::vec((key, inner), 0..4).prop_map(|entries| {
                let entries: Vec<_> =
                    entries.into_iter().map(|(key, value)| format!("{key} :{value}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

/// What serde_json lets pass and we do not: keys that stand twice, integers beyond 64 bits, and, where
/// it keeps digits, numbers of any size.
fn is_only_ours(error: &tramline::DecodeError) -> bool {
    error.cause.contains("stands twice")
        || error.cause.contains("does not fit into 64 bits")
        || cfg!(feature = "arbitrary-precision") && error.cause.contains("does not fit into an f64")
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn json_is_read_as_serde_json_reads_it(text in json_like()) {
        let ours = AnyCodec::JSON.decode::<Value>(text.as_bytes());
        let theirs = serde_json::from_str::<Value>(&text);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours.to_string(), normal(theirs).to_string()),
            (Err(_), Err(_)) => {}
            (Err(ours), Ok(_)) => prop_assert!(is_only_ours(&ours), "{ours}: {text}"),
            (Ok(_), Err(theirs)) => prop_assert!(false, "{theirs}: {text}"),
        }
    }

    #[test]
    fn json_cut_or_changed_anywhere_is_read_as_serde_json_reads_it(
        text in json_like(),
        at: prop::sample::Index,
        with in prop_oneof![Just(None), any::<u8>().prop_map(Some), "[\\[\\]{}:,\"0-9eE.+-]".prop_map(|c| Some(c.as_bytes()[0]))],
    ) {
        let mut bytes = text.into_bytes();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            match with {
                Some(byte) => bytes[at] = byte,
                None => bytes.truncate(at),
            }
        }
        let ours = AnyCodec::JSON.decode::<Value>(&bytes);
        let theirs = serde_json::from_slice::<Value>(&bytes);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours.to_string(), normal(theirs).to_string()),
            (Err(_), Err(_)) => {}
            (Err(ours), Ok(_)) => prop_assert!(is_only_ours(&ours), "{ours}: {bytes:?}"),
            (Ok(_), Err(theirs)) => prop_assert!(false, "{theirs}: {bytes:?}"),
        }
    }

    #[test]
    fn any_bytes_are_refused_or_are_one_value_with_one_json_text(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80_u8..0xa4, 0xc0_u8..0xe0], 0..40),
    ) {
        let value = match AnyCodec::MSGPACK.decode::<Exact>(&bytes) {
            Ok(value) => value,
            // It has a JSON text, for a type may have asked for such a key.
            Err(error) if error.cause.contains("a key that is no text") => return Ok(()),
            Err(_) => {
                prop_assert!(to_json(AnyCodec::MSGPACK, &bytes).is_err(), "{bytes:x?}");
                return Ok(());
            }
        };
        let text = to_json(AnyCodec::MSGPACK, &bytes);
        let text = text.map_err(|e| TestCaseError::fail(format!("{e}: {bytes:x?}")))?;
        prop_assert_eq!(exact(&text), value, "{:x?} {}", bytes, text);
    }

    #[test]
    fn messagepack_is_read_as_rmp_serde_reads_it(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80_u8..0x84, 0x90_u8..0x94, 0xa0_u8..0xa3, 0x61_u8..0x64], 0..24),
    ) {
        // The other way round there are rules of ours.
        if let Ok(ours) = AnyCodec::MSGPACK.decode::<Value>(&bytes)
            && bytes.iter().all(|byte| !(0xc4..=0xc6).contains(byte))
        {
            let mut theirs = rmp_serde::Deserializer::from_read_ref(&bytes).with_human_readable();
            match Value::deserialize(&mut theirs) {
                // A rule of ours: a key that is an integer or a bool is text where none is asked for.
                Err(_) if has_number_as_key(&ours) => {}
                theirs => prop_assert_eq!(theirs.ok(), Some(ours), "{:x?}", bytes),
            }
        }
    }
}

fn has_number_as_key(value: &Value) -> bool {
    match value {
        Value::Array(array) => array.iter().any(has_number_as_key),
        Value::Object(map) => map.iter().any(|(key, value)| {
            key.parse::<i128>().is_ok() || key.parse::<bool>().is_ok() || has_number_as_key(value)
        }),
        _ => false,
    }
}

/// Digits that serde_json kept, under its feature `arbitrary_precision`, as the number they mean.
fn normal(value: Value) -> Value {
    match value {
        Value::Number(number) if number.to_string() == "-0" => (-0.0).into(),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => number.into(),
            (_, Some(number), _) => number.into(),
            (.., Some(number)) => number.into(),
            _ => Value::Number(number),
        },
        Value::Array(array) => array.into_iter().map(normal).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, normal(value))).collect(),
        other => other,
    }
}
