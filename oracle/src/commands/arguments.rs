//! Commands that show what became of their arguments.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use super::types::*;

both! {
    commands: [
        take_bool, take_u8, take_i8, take_u32, take_i32, take_u64, take_i64, take_u128, take_i128,
        take_f32, take_f64, take_char, take_string, take_str, take_bytes, take_unit, take_option,
        take_option_str, take_option_user, take_nested_option, take_vec, take_array, take_tuple,
        take_map, take_int_map, take_level_map, take_user, take_users, take_team, take_strict,
        take_flat, take_skip, take_meters, take_pair, take_nothing, take_level, take_external,
        take_internal, take_adjacent, take_untagged, take_value, take_ip, take_nonzero,
        take_duration, take_file, take_outcome, no_arguments, two, three, optional_between,
        user_name, keeps_snake_case, hidden, keyword, numbered, acronym, one_letter, managed,
        managed_between, unmanaged, unmanaged_then_value, value_then_unmanaged, raw_sum,
        raw_and_name, taken_apart, greet,
    ];

    #[command]
    fn take_bool(value: bool) -> bool { value }
    #[command]
    fn take_u8(value: u8) -> u8 { value }
    #[command]
    fn take_i8(value: i8) -> i8 { value }
    #[command]
    fn take_u32(value: u32) -> u32 { value }
    #[command]
    fn take_i32(value: i32) -> i32 { value }
    #[command]
    fn take_u64(value: u64) -> u64 { value }
    #[command]
    fn take_i64(value: i64) -> i64 { value }
    #[command]
    fn take_u128(value: u128) -> String { value.to_string() }
    #[command]
    fn take_i128(value: i128) -> String { value.to_string() }
    #[command]
    fn take_f32(value: f32) -> f32 { value }
    #[command]
    fn take_f64(value: f64) -> f64 { value }
    #[command]
    fn take_char(value: char) -> char { value }
    #[command]
    fn take_string(value: String) -> String { value }
    #[command]
    fn take_str(value: &str) -> String { value.to_uppercase() }
    #[command]
    fn take_bytes(value: &[u8]) -> Vec<u8> { value.to_vec() }
    #[command]
    fn take_unit(value: ()) -> &'static str { let () = value; "unit" }
    #[command]
    fn take_option(value: Option<u8>) -> Option<u8> { value }
    #[command]
    fn take_option_str(value: Option<&str>) -> Option<usize> { value.map(str::len) }
    #[command]
    fn take_option_user(value: Option<User>) -> Option<User> { value }
    #[command]
    fn take_nested_option(value: Option<Option<u8>>) -> String { format!("{value:?}") }
    #[command]
    fn take_vec(value: Vec<u8>) -> Vec<u8> { value }
    #[command]
    fn take_array(value: [u8; 2]) -> [u8; 2] { value }
    #[command]
    fn take_tuple(value: (u8, String)) -> (u8, String) { value }
    #[command]
    fn take_map(value: BTreeMap<String, u8>) -> BTreeMap<String, u8> { value }
    #[command]
    fn take_int_map(value: BTreeMap<u32, u8>) -> BTreeMap<u32, u8> { value }
    #[command]
    fn take_level_map(value: BTreeMap<Level, u8>) -> BTreeMap<Level, u8> { value }
    #[command]
    fn take_user(value: User) -> User { value }
    #[command]
    fn take_users(value: Vec<User>) -> Vec<User> { value }
    #[command]
    fn take_team(value: Team) -> Team { value }
    #[command]
    fn take_strict(value: Strict) -> Strict { value }
    #[command]
    fn take_flat(value: Flat) -> Flat { value }
    #[command]
    fn take_skip(value: Skip) -> Skip { value }
    #[command]
    fn take_meters(value: Meters) -> Meters { value }
    #[command]
    fn take_pair(value: Pair) -> Pair { value }
    #[command]
    fn take_nothing(value: Nothing) -> Nothing { value }
    #[command]
    fn take_level(value: Level) -> Level { value }
    #[command]
    fn take_external(value: External) -> External { value }
    #[command]
    fn take_internal(value: Internal) -> Internal { value }
    #[command]
    fn take_adjacent(value: Adjacent) -> Adjacent { value }
    #[command]
    fn take_untagged(value: Untagged) -> Untagged { value }
    #[command]
    fn take_value(value: serde_json::Value) -> serde_json::Value { value }
    #[command]
    fn take_ip(value: IpAddr) -> IpAddr { value }
    #[command]
    fn take_nonzero(value: NonZeroU8) -> NonZeroU8 { value }
    #[command]
    fn take_duration(value: Duration) -> Duration { value }
    #[command]
    fn take_file(value: File) -> File { value }
    #[command]
    fn take_outcome(value: Result<u8, String>) -> String { format!("{value:?}") }

    #[command]
    fn no_arguments() -> &'static str { "ran" }
    #[command]
    fn two(a: u8, b: u8) -> (u8, u8) { (a, b) }
    #[command]
    fn three(a: u8, b: User, c: String) -> (u8, User, String) { (a, b, c) }
    #[command]
    fn optional_between(a: u8, b: Option<u8>, c: u8) -> (u8, Option<u8>, u8) { (a, b, c) }

    #[command]
    fn user_name(user_name: String) -> String { user_name }
    #[command(rename_all = "snake_case")]
    fn keeps_snake_case(user_name: String) -> String { user_name }
    #[command]
    fn hidden(_user_name: String) -> String { _user_name }
    #[command]
    fn keyword(r#type: String) -> String { r#type }
    #[command]
    fn numbered(arg_1: u8, arg2_x: u8) -> (u8, u8) { (arg_1, arg2_x) }
    #[command]
    #[allow(non_snake_case, reason = "what becomes of it is the question")]
    fn acronym(html_url: String, user_ID: u8) -> (String, u8) { (html_url, user_ID) }
    #[command]
    fn one_letter(a_b_c: u8) -> u8 { a_b_c }

    #[command]
    fn managed(state: State<'_, Managed>) -> u32 { state.0 }
    #[command]
    fn managed_between(a: u32, state: State<'_, Managed>, b: u32) -> u32 { a + state.0 + b }
    #[command]
    fn unmanaged(my_state: State<'_, Unmanaged>) -> bool { let _ = my_state; true }
    #[command]
    fn unmanaged_then_value(state: State<'_, Unmanaged>, value: u8) -> u8 { let _ = state; value }
    #[command]
    fn value_then_unmanaged(value: u8, state: State<'_, Unmanaged>) -> u8 { let _ = state; value }

    #[command]
    fn raw_sum(body: RawBody<'_>) -> u64 { raw_body(body).iter().copied().map(u64::from).sum() }
    #[command]
    fn raw_and_name(name: Option<String>, value: u8) -> (Option<String>, u8) { (name, value) }

    #[command]
    fn taken_apart(User { name, .. }: User, Pair(number, _): Pair) -> (String, u8) { (name, number) }

    #[command]
    fn greet(name: &str) -> String { format!("Hello, {name}! You've been greeted from Rust!") }
}
