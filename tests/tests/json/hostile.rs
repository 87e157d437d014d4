//! Input that is wrong: judged alike by every codec, with the place, and at no cost.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde_bytes::ByteBuf;
use serde_json::Value;
use tramline::AnyCodec;

use crate::cases::{Forms, hex};
use crate::exact::Exact;
use crate::laws::CODECS;
use crate::types::{
    Adjacent, Chain, Colour, Defaults, External, Flat, Internal, Nothing, Point, Rest, Tree,
    Untagged,
};

fn judge<T: DeserializeOwned>(codec: AnyCodec, input: &[u8]) -> Result<(), String> {
    match codec.decode::<T>(input) {
        Ok(_) => Ok(()),
        Err(e) => {
            assert!(e.at.is_none_or(|at| at <= input.len()), "{e}");
            Err(e.to_string())
        }
    }
}

/// Into types of every kind, by both codecs.
fn judge_all(forms: Forms) -> [Vec<Result<(), String>>; 2] {
    CODECS.map(|codec| {
        let input = forms.of(codec);
        vec![
            judge::<Value>(codec, &input),
            judge::<IgnoredAny>(codec, &input),
            judge::<Exact>(codec, &input),
            judge::<Point>(codec, &input),
            judge::<Defaults>(codec, &input),
            judge::<BTreeMap<String, Value>>(codec, &input),
            judge::<BTreeMap<u32, IgnoredAny>>(codec, &input),
            judge::<Vec<Value>>(codec, &input),
            judge::<Vec<u8>>(codec, &input),
            judge::<(Value, Value)>(codec, &input),
            judge::<ByteBuf>(codec, &input),
            judge::<String>(codec, &input),
            judge::<Option<f64>>(codec, &input),
            judge::<f32>(codec, &input),
            judge::<u64>(codec, &input),
            judge::<i128>(codec, &input),
            judge::<bool>(codec, &input),
            judge::<char>(codec, &input),
            judge::<Nothing>(codec, &input),
            judge::<Colour>(codec, &input),
            judge::<External>(codec, &input),
            judge::<Internal>(codec, &input),
            judge::<Adjacent>(codec, &input),
            judge::<Untagged>(codec, &input),
            judge::<Flat>(codec, &input),
            judge::<Rest>(codec, &input),
            judge::<Tree>(codec, &input),
        ]
    })
}

#[test]
fn hostile_input_is_judged_alike_by_every_codec() {
    // Refused whatever it is read into.
    for (what, forms) in [
        ("nothing", Forms("", "")),
        ("no value", Forms("c1", "x")),
        ("cut off", Forms("92 01", "[1,")),
        ("cut off in a key", Forms("82 a161 01 a1", r#"{"a":1,""#)),
        ("cut off before a value", Forms("81 a161", r#"{"a":"#)),
        ("cut off in a text", Forms("a3 6161", r#""aa"#)),
        ("cut off in a number", Forms("cd 01", "-")),
        ("trailing value", Forms("c0 c0", "null null")),
        ("trailing value behind a map", Forms("81 a161 01 01", r#"{"a":1}1"#)),
        ("no UTF-8", Forms("a2 c328", "\"\\udc00\"")),
        ("no UTF-8 within", Forms("91 a2 c328", "[\"\\ud83e\\u0041\"]")),
        ("no UTF-8 in a key", Forms("81 a1ff 01", r#"{"\ud800":1}"#)),
        ("a key twice", Forms("82 a178 01 a178 01", r#"{"x":1,"x":1}"#)),
        ("a key twice within", Forms("81 a17a 91 82 a178 01 a178 01", r#"{"z":[{"x":1,"x":1}]}"#)),
        ("an unknown key twice", Forms("82 a17a 01 a17a 01", r#"{"z":1,"z":1}"#)),
        ("a key twice by escape", Forms("82 a178 01 a178 01", r#"{"x":1,"\u0078":1}"#)),
        ("infinite", Forms("cb7ff0000000000000", "1e400")),
        ("infinite within", Forms("81 a161 91 ca7f800000", r#"{"a":[-1e400]}"#)),
        ("an integer key", Forms("81 c0 01", r#"{null:1}"#)),
        (
            "a private key",
            Forms(
                "81 bc 24736572 64655f6a 736f6e3a 3a707269 76617465 3a3a4e75 6d626572 a131",
                r#"{"$serde_json::private::Number":"1"}"#,
            ),
        ),
    ] {
        for (codec, judged) in CODECS.iter().zip(judge_all(forms)) {
            for (number, judged) in judged.iter().enumerate() {
                assert!(judged.is_err(), "{what}, {codec:?}, type {number}");
            }
        }
    }
    // Each type says for itself, and the same to both.
    for forms in [
        Forms("c0", "null"),
        Forms("90", "[]"),
        Forms("80", "{}"),
        Forms("c3", "true"),
        Forms("01", "1"),
        Forms("ff", "-1"),
        Forms("cb3ff0000000000000", "1.0"),
        Forms("cb8000000000000000", "-0"),
        Forms("cb7e37e43c8800759c", "1e300"),
        Forms("cfffffffffffffffff", "18446744073709551615"),
        Forms("a0", r#""""#),
        Forms("a178", r#""x""#),
        Forms("a131", r#""1""#),
        Forms("a3 526564", r#""Red""#),
        Forms("a4 556e6974", r#""Unit""#),
        Forms("c403 010203", "[1,2,3]"),
        Forms("c402 6162", "[97,98]"),
        Forms("93 01 02 03", "[1,2,3]"),
        Forms("92 01 a161", r#"[1,"a"]"#),
        Forms("92 c3 a161", r#"[true,"a"]"#),
        Forms("92 cb3fe0000000000000 01", "[0.5,1]"),
        Forms("81 a131 01", r#"{"1":1}"#),
        Forms("81 a4 556e6974 c0", r#"{"Unit":null}"#),
        Forms("81 a5 5475706c65 92 01 a161", r#"{"Tuple":[1,"a"]}"#),
        Forms("81 a6 537472756374 92 01 c0", r#"{"Struct":[1,null]}"#),
        Forms("82 a178 cb3fe0000000000000 a179 01", r#"{"x":0.5,"y":1}"#),
        Forms("82 a179 01 a178 01", r#"{"y":1,"x":1}"#),
        Forms("83 a178 01 a179 01 a17a 93010203", r#"{"x":1,"y":1,"z":[1,2,3]}"#),
        Forms("81 a4 6b696e64 a4 556e6974", r#"{"kind":"Unit"}"#),
        Forms("82 a4 6b696e64 a6 537472756374 a161 01", r#"{"kind":"Struct","a":1}"#),
        Forms("81 a26964 01", r#"{"id":1}"#),
        Forms("82 a26964 01 a161 c0", r#"{"id":1,"a":null}"#),
        Forms("81 a5 62656c6f77 91 81 a5 62656c6f77 90", r#"{"below":[{"below":[]}]}"#),
    ] {
        let [msgpack, json] = judge_all(forms);
        for (number, (msgpack, json)) in msgpack.iter().zip(&json).enumerate() {
            assert_eq!(
                msgpack.is_ok(),
                json.is_ok(),
                "{forms:?}, type {number}: {msgpack:?} {json:?}"
            );
        }
    }
}

#[test]
fn an_extension_type_is_refused_by_name() {
    for digits in
        ["d401 00", "d5ff 0000", "d6ff 00000000", "c70105 00", "c8000105 00", "91 d401 00"]
    {
        let refused = AnyCodec::MSGPACK.decode::<Value>(&hex(digits)).expect_err("no JSON form");
        assert!(refused.cause.contains("an extension type has no JSON form"), "{refused}");
        assert!(AnyCodec::MSGPACK.decode::<IgnoredAny>(&hex(digits)).is_err());
        assert!(AnyCodec::MSGPACK.decode::<ByteBuf>(&hex(digits)).is_err());
    }
}

#[test]
fn a_refusal_says_where_in_the_bytes_and_where_in_the_value() {
    #[derive(Debug, Deserialize)]
    struct Order {
        #[expect(dead_code, reason = "only read")]
        rows: Vec<Point>,
    }
    let rows = Forms(
        "81 a4726f7773 92 82 a178 01 a179 02 82 a178 a131 a179 02",
        r#"{"rows": [{"x":1, "y":2}, {"x":"1", "y":2}]}"#,
    );
    for codec in CODECS {
        let refused = rows.decode::<Order>(codec).expect_err("a text is no number");
        assert_eq!(&*refused.path, ".rows[1].x", "{refused}");
        assert_eq!(refused.at, Some(if codec == AnyCodec::JSON { 31 } else { 17 }), "{refused}");
        assert!(refused.cause.contains(r#"string "1", expected f64"#), "{refused}");
    }
    let refused = rows.decode::<Order>(AnyCodec::JSON).expect_err("a text is no number");
    assert_eq!(
        refused.to_string(),
        "value cannot be decoded as json: `.rows[1].x` at byte 31: invalid type: string \"1\", \
         expected f64"
    );
    // Variants, odd keys, missing fields.
    let odd =
        Forms("81 a3612262 92 c0 81 a5 5475706c65 92 01 02", r#"{"a\"b":[null,{"Tuple":[1,2]}]}"#);
    for codec in CODECS {
        type Odd = BTreeMap<String, (Option<u8>, External)>;
        let refused = odd.decode::<Odd>(codec).expect_err("a number is no text");
        assert_eq!(&*refused.path, r#"["a\"b"][1].Tuple[1]"#, "{refused}");
        let missing = Forms("91 81 a178 01", r#"[{"x":1}]"#).decode::<Vec<Point>>(codec);
        let missing = missing.expect_err("y is missing");
        assert_eq!((&*missing.path, missing.at), ("[0]", Some(1)), "{missing}");
        assert!(missing.cause.contains("missing field `y`"), "{missing}");
    }
}

/// Arrays within each other, or maps.
fn nested(codec: AnyCodec, depth: usize, maps: bool) -> Vec<u8> {
    let (open, inner, close): (&[u8], &[u8], &[u8]) = match (codec == AnyCodec::JSON, maps) {
        (true, false) => (b"[", b"[]", b"]"),
        (true, true) => (br#"{"Link":"#, br#"{"Link":"End"}"#, b"}"),
        (false, false) => (b"\x91", b"\x90", b""),
        (false, true) => (b"\x81\xa4Link", b"\x81\xa4Link\xa3End", b""),
    };
    [open.repeat(depth - 1), inner.to_vec(), close.repeat(depth - 1)].concat()
}

#[test]
fn nesting_of_127_is_read_and_of_128_is_not() {
    for codec in CODECS {
        for maps in [false, true] {
            let fits = nested(codec, 127, maps);
            assert!(judge::<Value>(codec, &fits).is_ok(), "{codec:?} {maps}");
            assert!(judge::<IgnoredAny>(codec, &fits).is_ok(), "{codec:?} {maps}");
            for depth in [128, 100_000] {
                let deep = nested(codec, depth, maps);
                for judged in [judge::<Value>(codec, &deep), judge::<IgnoredAny>(codec, &deep)] {
                    let refused = judged.expect_err("too deep");
                    assert!(refused.contains("nested deeper than 127"), "{refused}");
                }
            }
        }
        assert!(judge::<Chain>(codec, &nested(codec, 127, true)).is_ok());
        assert!(judge::<Chain>(codec, &nested(codec, 128, true)).is_err());
    }
    // Bytes are an array in JSON, and count as one here.
    for (depth, fits) in [(126, true), (127, false)] {
        let bytes = [vec![0x91; depth], hex("c40101")].concat();
        assert_eq!(judge::<Value>(AnyCodec::MSGPACK, &bytes).is_ok(), fits);
    }
}

/// Looks at the stated length of an array.
#[derive(Debug)]
struct Hint(usize);

impl<'de> Deserialize<'de> for Hint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HintVisitor;
        impl<'de> Visitor<'de> for HintVisitor {
            type Value = Hint;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Hint, A::Error> {
                let hint = seq.size_hint().unwrap_or(0);
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Hint(hint))
            }
        }
        deserializer.deserialize_seq(HintVisitor)
    }
}

#[test]
fn a_length_beyond_the_input_is_refused_before_anything_is_made_of_it() {
    for digits in [
        "ddffffffff",
        "dcffff 01",
        "9f 01",
        "dfffffffff",
        "deffff a161 01",
        "8f a161 01",
        "dbffffffff 61",
        "daffff 61",
        "d9ff 61",
        "bf 61",
        "c6ffffffff 01",
        "c5ffff 01",
        "c4ff 01",
    ] {
        let input = hex(digits);
        for codec_judged in [
            judge::<Value>(AnyCodec::MSGPACK, &input),
            judge::<IgnoredAny>(AnyCodec::MSGPACK, &input),
        ] {
            let refused = codec_judged.expect_err("there is not so much");
            assert!(refused.contains("are stated") && refused.contains("left"), "{refused}");
        }
        assert!(judge::<Vec<[u64; 32]>>(AnyCodec::MSGPACK, &input).is_err());
        assert!(judge::<String>(AnyCodec::MSGPACK, &input).is_err());
        assert!(judge::<ByteBuf>(AnyCodec::MSGPACK, &input).is_err());
    }
    let Hint(hint) = AnyCodec::MSGPACK.decode(&hex("dd00000003 010203")).expect("an array");
    assert_eq!(hint, 3);
}

#[test]
fn what_a_type_passes_over_is_refused_all_the_same() {
    /// Takes what it understands, as careless code does.
    #[derive(Debug)]
    struct Lenient;
    impl<'de> Deserialize<'de> for Lenient {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct LenientVisitor;
            impl<'de> Visitor<'de> for LenientVisitor {
                type Value = Lenient;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("anything")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Lenient, A::Error> {
                    let _ = seq.next_element::<(u8, String)>();
                    while let Ok(Some(_)) = seq.next_element::<IgnoredAny>() {}
                    Ok(Lenient)
                }
            }
            deserializer.deserialize_seq(LenientVisitor)
        }
    }
    for codec in CODECS {
        let understood = Forms("91 92 01 a161", r#"[[1,"a"]]"#).decode::<Lenient>(codec);
        assert!(understood.is_ok(), "{understood:?}");
        for passed_over in
            [Forms("91 92 01 02", "[[1,2]]"), Forms("92 92 01 02 c0", "[[1,2],null]")]
        {
            assert!(passed_over.decode::<Lenient>(codec).is_err(), "{codec:?}");
        }
    }
}

#[test]
fn a_refusal_is_short_whatever_the_peer_says() {
    let key = "k".repeat(1 << 20);
    for codec in CODECS {
        let input = codec.to_vec(&BTreeMap::from([(&key, &key)])).expect("written");
        let refused = codec.decode::<BTreeMap<String, u8>>(&input).expect_err("no number");
        assert!(refused.to_string().len() < 1000, "{}", refused.to_string().len());
    }
}

#[test]
fn many_keys_are_compared_in_time() {
    fn assert_twice<T: DeserializeOwned + Debug>(codec: AnyCodec, input: &[u8]) {
        let refused = codec.decode::<T>(input).expect_err("a key stands twice");
        assert!(refused.cause.contains("stands twice"), "{refused}");
    }
    // A comparison of each with each would take an hour.
    let count = 1 << 18;
    let mut text = String::from("{");
    for key in 0..count {
        text += &format!("\"{key}\":0,");
    }
    text += "\"777\":0}";
    assert_twice::<IgnoredAny>(AnyCodec::JSON, text.as_bytes());
    assert_twice::<Defaults>(AnyCodec::JSON, text.as_bytes());
    let mut packed = vec![0xdf];
    packed.extend((u32::try_from(count).expect("fits") + 1).to_be_bytes());
    for key in (0..count).chain([777]) {
        packed.extend(AnyCodec::MSGPACK.to_vec(&key.to_string()).expect("written"));
        packed.push(0);
    }
    assert_twice::<IgnoredAny>(AnyCodec::MSGPACK, &packed);
    assert_twice::<Defaults>(AnyCodec::MSGPACK, &packed);
    assert_twice::<BTreeMap<u32, u8>>(AnyCodec::MSGPACK, &packed);
}

/// More fields than there are bits to remember them by.
#[test]
fn a_struct_of_many_fields_has_each_key_once() {
    macro_rules! many {
        ($($field:ident)+) => {
            #[derive(Debug, PartialEq, serde::Serialize, Deserialize)]
            #[serde(default)]
            struct Many { $($field: u8),+ }
            impl Default for Many {
                fn default() -> Self {
                    Self { $($field: 1),+ }
                }
            }
            const NAMES: &[&str] = &[$(stringify!($field)),+];
        };
    }
    many! {
        a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 c0 c1 c2 c3 c4 c5 c6 c7 c8 c9
        d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 e0 e1 e2 e3 e4 e5 e6 e7 e8 e9 f0 f1 f2 f3 f4 f5 f6 f7 f8 f9
        g0 g1 g2 g3 g4 g5 g6 g7 g8 g9
    }
    crate::laws::hold(&Many::default());
    for first in [0, 1, 62, 63, 64, 69] {
        for second in [0, 1, 62, 63, 64, 69] {
            let (a, b) = (NAMES[first], NAMES[second]);
            let judged =
                AnyCodec::JSON.decode::<Many>(format!(r#"{{"{a}":1,"{b}":1}}"#).as_bytes());
            assert_eq!(judged.is_ok(), a != b, "{a} {b}: {judged:?}");
        }
    }
}
