//! How each kind of value is written and read: one test per row of the mapping and codec.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tramline::AnyCodec;

use crate::cases::{both_ways, not_read, read};
use crate::laws::{hold, refused};
use crate::types::{
    Adjacent, Bytes, Chain, Colour, Defaults, External, Flat, Hex, Id, Internal, Large, Nothing,
    Pair, Point, Rest, Untagged,
};

/// Makes a test of each row for each codec.
macro_rules! rows {
    ($($row:ident: $msgpack:ident, $json:ident;)+) => {
        $(#[test]
        fn $msgpack() {
            $row(AnyCodec::MSGPACK);
        }

        #[test]
        fn $json() {
            $row(AnyCodec::JSON);
        })+
    };
}

rows! {
    bool_unit_none: mapping_row_bool_unit_none_msgpack, mapping_row_bool_unit_none_json;
    unit_struct: mapping_row_unit_struct_msgpack, mapping_row_unit_struct_json;
    integers: mapping_row_integers_msgpack, mapping_row_integers_json;
    wide_integers: mapping_row_wide_integers_msgpack, mapping_row_wide_integers_json;
    singles: mapping_row_f32_msgpack, mapping_row_f32_json;
    doubles: mapping_row_f64_msgpack, mapping_row_f64_json;
    char_and_str: mapping_row_char_and_str_msgpack, mapping_row_char_and_str_json;
    bytes: mapping_row_bytes_msgpack, mapping_row_bytes_json;
    sequences: mapping_row_seq_tuple_tuple_struct_msgpack, mapping_row_seq_tuple_tuple_struct_json;
    newtype_struct: mapping_row_newtype_struct_msgpack, mapping_row_newtype_struct_json;
    structs: mapping_row_struct_msgpack, mapping_row_struct_json;
    map: mapping_row_map_msgpack, mapping_row_map_json;
    external: mapping_row_enum_external_msgpack, mapping_row_enum_external_json;
    other_enums: mapping_row_other_enums_and_flatten_msgpack, mapping_row_other_enums_and_flatten_json;
    human_readable: mapping_row_human_readable_msgpack, mapping_row_human_readable_json;
    option: mapping_row_option_msgpack, mapping_row_option_json;
}

fn bool_unit_none(codec: AnyCodec) {
    both_ways(codec, true, "c3", "true");
    both_ways(codec, false, "c2", "false");
    both_ways(codec, (), "c0", "null");
    both_ways(codec, None::<u8>, "c0", "null");
    not_read::<bool>(codec, "01", "1");
    not_read::<bool>(codec, "a4 74727565", r#""true""#);
    not_read::<()>(codec, "90", "[]");
}

fn unit_struct(codec: AnyCodec) {
    both_ways(codec, Nothing, "c0", "null");
    // rmp-serde writes it so; its JSON view is then an empty array.
    read(codec, Nothing, "90", "[]");
    not_read::<Nothing>(codec, "91 c0", "[null]");
    not_read::<Nothing>(codec, "80", "{}");
}

fn integers(codec: AnyCodec) {
    both_ways(codec, 0_u8, "00", "0");
    both_ways(codec, 127_i8, "7f", "127");
    both_ways(codec, 128_u8, "cc80", "128");
    both_ways(codec, 255_u16, "ccff", "255");
    both_ways(codec, 256_i64, "cd0100", "256");
    both_ways(codec, u16::MAX, "cdffff", "65535");
    both_ways(codec, 65_536_u64, "ce00010000", "65536");
    both_ways(codec, u32::MAX, "ceffffffff", "4294967295");
    both_ways(codec, 4_294_967_296_i64, "cf0000000100000000", "4294967296");
    both_ways(codec, u64::MAX, "cfffffffffffffffff", "18446744073709551615");
    both_ways(codec, -1_i8, "ff", "-1");
    both_ways(codec, -32_i64, "e0", "-32");
    both_ways(codec, -33_i16, "d0df", "-33");
    both_ways(codec, i8::MIN, "d080", "-128");
    both_ways(codec, -129_i32, "d1ff7f", "-129");
    both_ways(codec, i16::MIN, "d18000", "-32768");
    both_ways(codec, -32_769_i64, "d2ffff7fff", "-32769");
    both_ways(codec, i32::MIN, "d280000000", "-2147483648");
    both_ways(codec, -2_147_483_649_i64, "d3ffffffff7fffffff", "-2147483649");
    both_ways(codec, i64::MIN, "d38000000000000000", "-9223372036854775808");
    // Any form of the same number.
    for longer in ["cc01", "cd0001", "ce00000001", "cf0000000000000001", "d001", "d10001"] {
        read(codec, 1_u8, longer, "1");
        read(codec, 1_i64, longer, "1");
    }
    read(codec, -1_i8, "d3ffffffffffffffff", "-1");
    for (msgpack, json) in [("cc80", "128"), ("d1ff7f", "-129"), ("cb3ff0000000000000", "1.0")] {
        not_read::<i8>(codec, msgpack, json);
    }
    not_read::<u8>(codec, "ff", "-1");
    not_read::<u64>(codec, "cb 43f0000000000000", "18446744073709551616");
    not_read::<i64>(codec, "cf8000000000000000", "9223372036854775808");
    not_read::<i64>(codec, "a131", r#""1""#);
}

fn wide_integers(codec: AnyCodec) {
    both_ways(codec, 5_u128, "05", "5");
    both_ways(codec, -5_i128, "fb", "-5");
    both_ways(codec, u128::from(u64::MAX), "cfffffffffffffffff", "18446744073709551615");
    both_ways(codec, i128::from(i64::MIN), "d38000000000000000", "-9223372036854775808");
    for value in [i128::from(u64::MAX) + 1, i128::from(i64::MIN) - 1, i128::MAX, i128::MIN] {
        let refused = refused(&[value]);
        assert!(refused.contains("`[0]`: an integer beyond 64 bits"), "{refused}");
    }
    refused(&u128::MAX);
    // Both are still read: what others write, and whatever a person writes.
    read(
        codec,
        u128::MAX,
        "c410 ffffffffffffffffffffffffffffffff",
        "340282366920938463463374607431768211455",
    );
    read(
        codec,
        i128::MIN,
        "c410 80000000000000000000000000000000",
        "-170141183460469231731687303715884105728",
    );
    read(codec, 5_u128, "c410 00000000000000000000000000000005", "5");
    not_read::<u128>(codec, "c40f 000000000000000000000000000005", "-1");
    not_read::<u128>(codec, "ff", "340282366920938463463374607431768211456");
    // By attribute there is no limit.
    let large = "340282366920938463463374607431768211455";
    hold(&Large(u128::MAX));
    assert_eq!(codec.to_vec(&Large(u128::MAX)), codec.to_vec(large));
}

fn singles(codec: AnyCodec) {
    both_ways(codec, 0.1_f32, "ca3dcccccd", "0.1");
    both_ways(codec, 1.0_f32, "ca3f800000", "1.0");
    both_ways(codec, f32::MAX, "ca7f7fffff", "3.4028235e+38");
    both_ways(codec, f32::from_bits(1), "ca00000001", "1e-45");
    both_ways(codec, 16_777_216_f32, "ca4b800000", "16777216.0");
    // Doubles, exact and rounded to the nearest: JSON text of a single is no exact double.
    read(codec, 0.5_f32, "cb3fe0000000000000", "0.5");
    read(codec, 0.1_f32, "cb3fb999999999999a", "0.10000000000000001");
    read(codec, 0.1_f32, "cb3fb99999a0000000", "0.10000000149011612");
    read(codec, 3_f32, "03", "3");
    read(codec, -3_f32, "fd", "-3");
    assert_eq!(
        codec.decode::<f32>(&codec.to_vec(&-0.0_f32).expect("written")).map(f32::to_bits),
        Ok(1 << 31)
    );
    not_read::<f32>(codec, "cb47f0000000000000", "3.402823669209385e38");
    not_read::<f32>(codec, "cbc7f0000000000000", "-1e300");
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        refused(&value);
    }
    if codec == AnyCodec::MSGPACK {
        for no_number in ["ca7fc00000", "ca7f800000", "caff800000"] {
            not_read::<f32>(codec, no_number, "");
            not_read::<f64>(codec, no_number, "");
        }
    }
}

fn doubles(codec: AnyCodec) {
    both_ways(codec, 1.0_f64, "cb3ff0000000000000", "1.0");
    both_ways(codec, 0.1_f64, "cb3fb999999999999a", "0.1");
    both_ways(codec, 1e300, "cb7e37e43c8800759c", "1e+300");
    both_ways(codec, 9_007_199_254_740_992.0_f64, "cb4340000000000000", "9007199254740992.0");
    both_ways(codec, f64::from_bits(1), "cb0000000000000001", "5e-324");
    both_ways(codec, 1.071_566_039_146_582_6e-75, "cb305f050c368dcc74", "1.0715660391465826e-75");
    read(codec, 3_f64, "03", "3");
    read(codec, u64::MAX as f64, "cfffffffffffffffff", "18446744073709551615");
    read(codec, 1e20, "cb4415af1d78b58c40", "100000000000000000000");
    let zero = codec.to_vec(&-0.0_f64).expect("written");
    assert_eq!(codec.decode::<f64>(&zero).map(f64::to_bits), Ok(1 << 63));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(&value);
    }
    if codec == AnyCodec::MSGPACK {
        for no_number in ["cb7ff8000000000000", "cb7ff0000000000000", "cbfff0000000000000"] {
            not_read::<f64>(codec, no_number, "");
            not_read::<serde::de::IgnoredAny>(codec, no_number, "");
        }
    }
    not_read::<f64>(codec, "c0", "null");
    not_read::<f64>(codec, "a3 312e35", r#""1.5""#);
}

fn char_and_str(codec: AnyCodec) {
    both_ways(codec, 'x', "a178", r#""x""#);
    both_ways(codec, '🦀', "a4 f09fa680", r#""🦀""#);
    both_ways(codec, String::new(), "a0", r#""""#);
    both_ways(codec, "é\n\"\\\u{1}".to_owned(), "a6 c3a9 0a 22 5c 01", r#""é\n\"\\\u0001""#);
    for len in [31, 32, 255, 256, 65_535, 65_536] {
        hold(&"x".repeat(len));
        hold(&"\u{1f}".repeat(len));
    }
    read(codec, "🦀/".to_owned(), "a5 f09fa6802f", r#""\ud83e\udd80\/""#);
    // Bytes are no text, and half a character is none either.
    not_read::<String>(codec, "c40178", "[120]");
    not_read::<char>(codec, "c40178", "[120]");
    not_read::<char>(codec, "a27878", r#""xx""#);
    not_read::<String>(codec, "a3 eda080", r#""\ud800""#);
    not_read::<String>(codec, "a1 ff", r#""\udfff\ud800""#);
    not_read::<String>(codec, "01", "1");
}

fn bytes(codec: AnyCodec) {
    both_ways(codec, Bytes(vec![0, 255, 1]), "c403 00ff01", "[0,255,1]");
    both_ways(codec, Bytes(vec![]), "c400", "[]");
    for len in [255, 256, 65_535, 65_536] {
        hold(&Bytes(vec![7; len]));
    }
    // Numbers where bytes are wanted, and bytes where numbers are.
    read(codec, Bytes(vec![0, 255, 1]), "93 00 ccff 01", "[0,255,1]");
    read(codec, vec![0_u8, 255, 1], "c403 00ff01", "[0,255,1]");
    read(codec, [0_u16, 255, 1], "c403 00ff01", "[0,255,1]");
    read(codec, serde_json::json!([0, 255, 1]), "c403 00ff01", "[0,255,1]");
    not_read::<Bytes>(codec, "a178", r#""x""#);
    not_read::<Bytes>(codec, "a2 c3a9", r#""\ud800""#);
    not_read::<Bytes>(codec, "91 cd0100", "[256]");
    not_read::<[u8; 2]>(codec, "c403 00ff01", "[0,255,1]");
    // By attribute: then they are text in both.
    both_ways(codec, Hex(vec![0, 255]), "a4 30306666", r#""00ff""#);
}

fn sequences(codec: AnyCodec) {
    both_ways(codec, vec![1, 2], "92 01 02", "[1,2]");
    both_ways(codec, Vec::<u8>::new(), "90", "[]");
    both_ways(codec, (1, "a".to_owned(), true), "93 01 a161 c3", r#"[1,"a",true]"#);
    both_ways(codec, [1.5], "91 cb3ff8000000000000", "[1.5]");
    both_ways(codec, Pair(1, "a".into()), "92 01 a161", r#"[1,"a"]"#);
    for len in [15, 16, 65_535, 65_536] {
        hold(&vec![1_u8; len]);
    }
    not_read::<(u8, u8)>(codec, "91 01", "[1]");
    not_read::<(u8, u8)>(codec, "93 01 02 03", "[1,2,3]");
    not_read::<Pair>(codec, "93 01 a161 c0", r#"[1,"a",null]"#);
    not_read::<Vec<u8>>(codec, "80", "{}");
}

fn newtype_struct(codec: AnyCodec) {
    both_ways(codec, Id(7), "07", "7");
    both_ways(codec, vec![Id(7)], "91 07", "[7]");
    // A name that rmp-serde takes for an extension type is a name like any other.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "_ExtStruct")]
    struct Extension((i8, Bytes));
    both_ways(codec, Extension((5, Bytes(vec![1]))), "92 05 c40101", "[5,[1]]");
}

fn structs(codec: AnyCodec) {
    both_ways(
        codec,
        Point { x: 0.5, y: -1 },
        "82 a178 cb3fe0000000000000 a179 ff",
        r#"{"x":0.5,"y":-1}"#,
    );
    read(
        codec,
        Point { x: 0.5, y: -1 },
        "82 a179 ff a178 cb3fe0000000000000",
        r#"{"y":-1,"x":0.5}"#,
    );
    read(
        codec,
        Point { x: 0.5, y: -1 },
        "83 a17a 91c0 a179 ff a178 cb3fe0000000000000",
        r#"{"z":[null],"y":-1,"x":0.5}"#,
    );
    // The array form, alone and within other things: nobody announces that.
    not_read::<Point>(codec, "92 cb3fe0000000000000 ff", "[0.5,-1]");
    not_read::<Vec<Point>>(codec, "91 92 cb3fe0000000000000 ff", "[[0.5,-1]]");
    not_read::<External>(codec, "81 a6537472756374 92 01 c0", r#"{"Struct":[1,null]}"#);
    not_read::<Point>(codec, "81 a178 cb3fe0000000000000", r#"{"x":0.5}"#);
    // By number, as rmp-serde reads them.
    not_read::<Point>(codec, "82 00 cb3fe0000000000000 01 ff", r#"{"0":0.5,"1":-1}"#);
}

fn map(codec: AnyCodec) {
    both_ways(codec, BTreeMap::from([(1_u32, 'a')]), "81 a131 a161", r#"{"1":"a"}"#);
    both_ways(codec, BTreeMap::from([(-1_i64, 'a')]), "81 a22d31 a161", r#"{"-1":"a"}"#);
    both_ways(codec, BTreeMap::from([(true, 1)]), "81 a474727565 01", r#"{"true":1}"#);
    both_ways(codec, BTreeMap::from([('é', 1)]), "81 a2c3a9 01", r#"{"é":1}"#);
    both_ways(
        codec,
        BTreeMap::from([(Colour::Blue, 1)]),
        "81 a9 6465657020626c7565 01",
        r#"{"deep blue":1}"#,
    );
    both_ways(codec, BTreeMap::from([(Some(1_u8), 1)]), "81 a131 01", r#"{"1":1}"#);
    both_ways(codec, BTreeMap::from([(Id(1), 1)]), "81 a131 01", r#"{"1":1}"#);
    both_ways(codec, BTreeMap::from([("a".to_owned(), Nothing)]), "81 a161 c0", r#"{"a":null}"#);
    for len in [15, 16, 17, 65_536] {
        hold(&(0..len).map(|key: u32| (key, 0)).collect::<HashMap<_, u8>>());
    }
    // Other writers have keys that are numbers: text, as in JSON, for whoever asks for no number.
    if codec == AnyCodec::MSGPACK {
        read(codec, BTreeMap::from([(1_u32, 'a')]), "81 01 a161", "");
        read(codec, BTreeMap::from([(-1_i64, 'a')]), "81 ff a161", "");
        read(codec, BTreeMap::from([(300_u16, 'a')]), "81 cd012c a161", "");
        read(codec, BTreeMap::from([(true, 1)]), "81 c3 01", "");
        for (other, key) in [("81 01 02", "1"), ("81 ff 02", "-1"), ("81 c3 02", "true")] {
            read(codec, serde_json::json!({ key: 2 }), other, "");
            read(codec, BTreeMap::from([(key.to_owned(), 2)]), other, "");
        }
        for other in ["81 c0 02", "81 9101 02", "81 c40131 02"] {
            not_read::<Value>(codec, other, "");
            not_read::<BTreeMap<String, u8>>(codec, other, "");
            not_read::<serde::de::IgnoredAny>(codec, other, "");
        }
        not_read::<BTreeMap<u8, u8>>(codec, "82 01 02 a131 02", "");
        not_read::<BTreeMap<u8, u8>>(codec, "81 c3 02", "");
        not_read::<BTreeMap<bool, u8>>(codec, "81 01 02", "");
        not_read::<BTreeMap<Colour, u8>>(codec, "81 00 02", "");
    }
    not_read::<BTreeMap<u8, u8>>(codec, "81 a3333030 01", r#"{"300":1}"#);
    for (msgpack, json) in [
        ("81 a23031 01", r#"{"01":1}"#),
        ("81 a22d30 01", r#"{"-0":1}"#),
        ("81 a3312e30 01", r#"{"1.0":1}"#),
        ("81 a22031 01", r#"{" 1":1}"#),
        ("81 a0 01", r#"{"":1}"#),
    ] {
        not_read::<BTreeMap<i8, u8>>(codec, msgpack, json);
    }
    refused(&BTreeMap::from([((1, 2), 3)]));
    refused(&BTreeMap::from([((), 3)]));
    refused(&BTreeMap::from([(None::<u8>, 3)]));
    refused(&BTreeMap::from([(vec![1], 3)]));
    refused(&BTreeMap::from([(Key(1.5), 3)]));
    refused(&BTreeMap::from([(BTreeMap::from([(1, 2)]), 3)]));
}

/// A fraction, as a key.
#[derive(Debug, PartialEq, PartialOrd, Serialize)]
struct Key(f64);

impl Eq for Key {}

#[expect(clippy::derive_ord_xor_partial_ord, reason = "there is only one of it")]
impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

fn external(codec: AnyCodec) {
    both_ways(codec, External::Unit, "a4 556e6974", r#""Unit""#);
    both_ways(codec, External::Newtype(7), "81 a7 4e657774797065 07", r#"{"Newtype":7}"#);
    both_ways(codec, External::Optional(None), "81 a8 4f7074696f6e616c c0", r#"{"Optional":null}"#);
    both_ways(
        codec,
        External::Tuple(1, "a".into()),
        "81 a5 5475706c65 92 01 a161",
        r#"{"Tuple":[1,"a"]}"#,
    );
    both_ways(
        codec,
        External::Struct { a: 1, b: None },
        "81 a6 537472756374 82 a161 01 a162 c0",
        r#"{"Struct":{"a":1,"b":null}}"#,
    );
    read(codec, External::Unit, "81 a4 556e6974 c0", r#"{"Unit":null}"#);
    both_ways(
        codec,
        Chain::Link(Box::new(Chain::End)),
        "81 a4 4c696e6b a3 456e64",
        r#"{"Link":"End"}"#,
    );
    // By number, as rmp-serde reads them, with more than one, or of another kind.
    not_read::<External>(codec, "00", "0");
    not_read::<External>(codec, "81 00 c0", r#"{"0":null}"#);
    not_read::<External>(codec, "81 01 07", r#"{"1":7}"#);
    not_read::<External>(codec, "80", "{}");
    not_read::<External>(codec, "82 a4 556e6974 c0 a4 556e6974 c0", r#"{"Unit":null,"Unit":null}"#);
    not_read::<External>(codec, "a7 4e657774797065", r#""Newtype""#);
    not_read::<External>(codec, "81 a4 556e6974 01", r#"{"Unit":1}"#);
    not_read::<External>(codec, "c404 556e6974", "[85,110,105,116]");
    not_read::<External>(codec, "a5 4f74686572", r#""Other""#);
    not_read::<Vec<External>>(codec, "91 81 a4 556e6974", r#"[{"Unit""#);
}

fn other_enums(codec: AnyCodec) {
    both_ways(codec, Internal::Unit, "81 a4 6b696e64 a4 556e6974", r#"{"kind":"Unit"}"#);
    both_ways(
        codec,
        Adjacent::Newtype(7),
        "82 a4 6b696e64 a7 4e657774797065 a2 6f66 07",
        r#"{"kind":"Newtype","of":7}"#,
    );
    both_ways(codec, Untagged::Number(7), "07", "7");
    hold(&Internal::Newtype(Point { x: -0.0, y: i64::MIN }));
    hold(&Internal::Map(BTreeMap::from([("a".into(), 1), ("b".into(), 2)])));
    hold(&Internal::Struct { a: 1, b: Some(true) });
    hold(&Adjacent::Unit);
    hold(&Adjacent::Tuple(1, "a".into()));
    hold(&Adjacent::Struct { a: 1, b: None });
    for untagged in [
        Untagged::Nothing,
        Untagged::Double(1.0),
        Untagged::Text("x".into()),
        Untagged::Pair(true, "x".into()),
        Untagged::Struct { a: 1, b: Some(false) },
    ] {
        hold(&vec![untagged]);
    }
    let inner = Defaults { first_name: "Ada".into(), number: 3, ..Defaults::default() };
    let choice = Internal::Struct { a: 1, b: Some(true) };
    hold(&Flat { id: 1, inner, choice });
    let rest = BTreeMap::from([("x".to_owned(), Untagged::Number(1))]);
    hold(&Rest { id: 1, rest });
    // A key from two sources would be read by nobody.
    let rest = BTreeMap::from([("id".to_owned(), Untagged::Number(2))]);
    let refused = refused(&Rest { id: 1, rest });
    assert!(refused.contains("the key `id` stands twice"), "{refused}");
    // By number: what is not kept in memory first is refused.
    not_read::<Adjacent>(codec, "81 a4 6b696e64 00", r#"{"kind":0}"#);
    not_read::<Internal>(codec, "81 a4 6b696e64 00", r#"{"kind":0}"#);
    // Where keys must be numbers behind a tag, serde finds text, in MessagePack as in JSON.
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Trap {
        Of { map: BTreeMap<u32, u8> },
    }
    let trap = codec.to_vec(&Trap::Of { map: BTreeMap::from([(1, 2)]) }).expect("written");
    assert!(codec.decode::<Trap>(&trap).is_err());
}

fn human_readable(codec: AnyCodec) {
    let address: IpAddr = [127, 0, 0, 1].into();
    both_ways(codec, address, "a9 3132372e302e302e31", r#""127.0.0.1""#);
    not_read::<IpAddr>(codec, "81 a2 5634 94 7f000001", r#"{"V4":[127,0,0,1]}"#);

    /// Says which form it was asked for.
    #[derive(Debug, PartialEq)]
    struct Asks(bool);
    impl Serialize for Asks {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let readable = serializer.is_human_readable();
            serializer.serialize_bool(readable)
        }
    }
    impl<'de> Deserialize<'de> for Asks {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let readable = deserializer.is_human_readable();
            bool::deserialize(deserializer).map(|_| Self(readable))
        }
    }
    both_ways(codec, Asks(true), "c3", "true");
    both_ways(codec, vec![Asks(true)], "91 c3", "[true]");
}

fn option(codec: AnyCodec) {
    both_ways(codec, Some(1), "01", "1");
    both_ways(codec, vec![Some(1), None], "92 01 c0", "[1,null]");
    read(
        codec,
        Defaults { first_name: "A".into(), ..Defaults::default() },
        "81 a9 66697273744e616d65 a141",
        r#"{"firstName":"A"}"#,
    );
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Maybe {
        a: Option<u8>,
    }
    read(codec, Maybe { a: None }, "80", "{}");
    read(codec, Maybe { a: None }, "81 a161 c0", r#"{"a":null}"#);
    // What is null within is null without: documented, and the same for every codec.
    for collapsed in [codec.to_vec(&Some(None::<u8>)), codec.to_vec(&Some(()))] {
        let bytes = collapsed.expect("written");
        assert_eq!(codec.decode::<Option<Option<u8>>>(&bytes), Ok(None));
        assert_eq!(codec.decode::<Option<()>>(&bytes), Ok(None));
    }
}
