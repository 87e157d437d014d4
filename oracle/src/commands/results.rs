//! Commands without arguments: what results look like.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::types::*;

fn ada() -> User {
    User { name: "Ada".to_owned(), age: 36 }
}

both! {
    commands: [
        give_nothing, give_unit, give_unit_struct, give_bool, give_tuple, give_user, give_team,
        give_flat, give_skip, give_meters, give_pair, give_level, give_external, give_internal,
        give_adjacent, give_untagged, give_int_map, give_bool_map, give_char_map, give_level_map,
        give_tuple_map, give_floats, give_none, give_some_none, give_options, give_u64_max,
        give_above_2_53,
        give_i64_min, give_u128_small, give_u128_max, give_i128_min, give_f64, give_nan,
        give_infinity, give_f32, give_f32_nan, give_char, give_unicode, give_escapes, give_bytes,
        give_byte_buf, give_file, give_ip, give_duration, give_outcome, give_unwritable,
        give_unwritable_within, give_raw, give_no_bytes, give_long_text, give_deep, give_value,
        give_static, give_empty,
    ];

    #[command]
    fn give_nothing() {}
    #[command]
    fn give_unit() -> Box<()> { Box::new(()) }
    #[command]
    fn give_unit_struct() -> Nothing { Nothing }
    #[command]
    fn give_bool() -> bool { true }
    #[command]
    fn give_tuple() -> (u8, &'static str, bool) { (1, "two", true) }
    #[command]
    fn give_user() -> User { ada() }
    #[command]
    fn give_team() -> Team {
        Team { lead: ada(), members: vec![ada(), ada()], by_number: [(7, ada())].into() }
    }
    #[command]
    fn give_flat() -> Flat { Flat { id: 7, user: ada() } }
    #[command]
    fn give_skip() -> (Skip, Skip) {
        (Skip::default(), Skip { sometimes: Some(1), never: 1, always: 1 })
    }
    #[command]
    fn give_meters() -> Meters { Meters(1.0) }
    #[command]
    fn give_pair() -> Pair { Pair(1, "one".to_owned()) }
    #[command]
    fn give_level() -> [Level; 2] { [Level::VeryLow, Level::High] }
    #[command]
    fn give_external() -> [External; 4] {
        [
            External::Unit,
            External::One(1),
            External::Two(1, "two".to_owned()),
            External::Named { user_id: 1 },
        ]
    }
    #[command]
    fn give_internal() -> [Internal; 3] {
        [Internal::NotThere, Internal::Named { id: 1 }, Internal::Of(ada())]
    }
    #[command]
    fn give_adjacent() -> [Adjacent; 4] {
        [
            Adjacent::Unit,
            Adjacent::One(1),
            Adjacent::Two(1, "two".to_owned()),
            Adjacent::Named { id: 1 },
        ]
    }
    #[command]
    fn give_untagged() -> [Untagged; 3] {
        [Untagged::Number(1), Untagged::Text("1".to_owned()), Untagged::Named { id: 1 }]
    }
    #[command]
    fn give_int_map() -> BTreeMap<i32, u8> { [(-1, 1), (20, 2)].into() }
    #[command]
    fn give_bool_map() -> BTreeMap<bool, u8> { [(false, 0), (true, 1)].into() }
    #[command]
    fn give_char_map() -> BTreeMap<char, u8> { [('a', 0), ('ß', 1)].into() }
    #[command]
    fn give_level_map() -> BTreeMap<Level, u8> { [(Level::VeryLow, 0), (Level::High, 1)].into() }
    #[command]
    fn give_tuple_map() -> BTreeMap<(u8, u8), u8> { [((1, 2), 3)].into() }
    #[command]
    fn give_floats() -> Vec<(f32, f64)> { vec![(0.1, 0.1), (1.0, 1.0), (1e20, 1e-7)] }
    #[command]
    fn give_none() -> Option<u8> { None }
    #[command]
    fn give_some_none() -> Option<Option<u8>> { Some(None) }
    #[command]
    fn give_options() -> [Option<u8>; 2] { [Some(1), None] }
    #[command]
    fn give_u64_max() -> u64 { u64::MAX }
    #[command]
    fn give_above_2_53() -> [u64; 2] { [(1 << 53) + 1, (1 << 62) + 1] }
    #[command]
    fn give_i64_min() -> i64 { i64::MIN }
    #[command]
    fn give_u128_small() -> u128 { 5 }
    #[command]
    fn give_u128_max() -> u128 { u128::MAX }
    #[command]
    fn give_i128_min() -> i128 { i128::MIN }
    #[command]
    fn give_f64() -> [f64; 9] {
        [0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, f64::MAX, f64::MIN_POSITIVE, 1.0715660391465826e-75]
    }
    #[command]
    fn give_nan() -> f64 { f64::NAN }
    #[command]
    fn give_infinity() -> [f64; 2] { [f64::INFINITY, f64::NEG_INFINITY] }
    #[command]
    fn give_f32() -> [f32; 5] { [0.1, -0.0, 1.0, f32::MAX, f32::MIN_POSITIVE] }
    #[command]
    fn give_f32_nan() -> f32 { f32::NAN }
    #[command]
    fn give_char() -> [char; 3] { ['a', 'ß', '🦀'] }
    #[command]
    fn give_unicode() -> &'static str { "größe 日本 🦀 e\u{301} \u{202e}rtl \u{feff}" }
    #[command]
    fn give_escapes() -> &'static str { "quote \" back \\ slash / nul \0 tab \t del \u{7f} \u{2028}" }
    #[command]
    fn give_bytes() -> Vec<u8> { vec![0, 127, 255] }
    #[command]
    fn give_byte_buf() -> serde_bytes::ByteBuf { serde_bytes::ByteBuf::from(vec![0, 127, 255]) }
    #[command]
    fn give_file() -> File { File { name: "a.bin".to_owned(), content: vec![0, 127, 255] } }
    #[command]
    fn give_ip() -> Ipv4Addr { Ipv4Addr::LOCALHOST }
    #[command]
    fn give_duration() -> Duration { Duration::from_millis(1500) }
    #[command]
    fn give_outcome() -> [Result<u8, String>; 2] { [Ok(1), Err("no".to_owned())] }
    #[command]
    fn give_unwritable() -> Unwritable { Unwritable }
    #[command]
    fn give_unwritable_within() -> (u8, Vec<Unwritable>) { (1, vec![Unwritable]) }
    #[command]
    fn give_raw() -> RawAnswer { raw_answer(vec![0, 127, 255]) }
    #[command]
    fn give_no_bytes() -> RawAnswer { raw_answer(Vec::new()) }
    #[command]
    fn give_long_text() -> String { "0123456789".repeat(20_000) }
    #[command]
    fn give_deep() -> serde_json::Value {
        (0..100).fold(serde_json::Value::Null, |inner, _| serde_json::Value::Array(vec![inner]))
    }
    #[command]
    fn give_value() -> serde_json::Value { serde_json::json!({ "a": [1, -1, 1.5, null, "x"] }) }
    #[command]
    fn give_static() -> &'static [&'static str] { &["a", "b"] }
    #[command]
    fn give_empty() -> (Vec<u8>, String, BTreeMap<String, u8>, [u8; 0]) { Default::default() }
}
