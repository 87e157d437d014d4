//! `verify_json`, as a user's test has it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use tramline::{
    AnyCodec, Commands, Finding, Findings, Peer, Raw, State, command, commands, round_trip,
    round_trips, verify_json,
};

/// What is found about commands, a line for each.
fn found(commands: Commands) -> Vec<String> {
    match verify_json(commands) {
        Ok(()) => Vec::new(),
        Err(findings) => findings.iter().map(Finding::to_string).collect(),
    }
}

/// Asserts that there is one finding, that it is where it should be and says what it should.
#[track_caller]
fn assert_found(commands: Commands, place: &str, words: &str) {
    let found = found(commands);
    let [one] = &found[..] else { panic!("{found:#?}") };
    assert!(one.starts_with(&format!("{place}: ")), "{one}");
    assert!(one.contains(words), "{one}");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Fine {
    id: u64,
    at: IpAddr,
    wait: Duration,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    note: Option<String>,
    scores: HashMap<u32, f64>,
    kind: Kind,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    Empty,
    Text { text: String },
    Nested(Inner),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    list: Vec<Option<u8>>,
    untagged: Untagged,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
}

#[command]
fn all_fine(first: Fine, second: &str, third: Option<&[u8]>, peer: Peer) -> Result<Fine, Kind> {
    let _ = (second, third, peer);
    Ok(first)
}

#[command]
async fn also_fine(value: Value, state: State<'_, u8>) -> &'static str {
    let _ = (value, state);
    std::future::ready("fixed").await
}

#[command(inline)]
fn raw(body: Raw) -> Raw {
    body
}

type Text = &'static str;
type Outcome<T> = Result<T, Text>;

#[command]
fn by_another_name() -> Outcome<Fine> {
    Err("fixed")
}

#[command]
fn hidden(number: u8) -> impl Serialize {
    vec![number]
}

#[derive(Deserialize)]
struct Borrowed<'a> {
    name: &'a str,
    #[serde(borrow, with = "serde_bytes")]
    bytes: Option<&'a [u8]>,
}

#[command]
async fn borrowed(value: Borrowed<'_>) -> usize {
    std::future::ready(value.name.len() + value.bytes.map_or(0, <[u8]>::len)).await
}

#[test]
fn types_that_survive_are_not_found_fault_with() {
    assert_eq!(found(commands![all_fine, also_fine, raw]), [""; 0]);
    assert_eq!(found(commands![by_another_name, hidden, borrowed]), [""; 0]);
    assert_eq!(verify_json(Commands::new()), Ok(()));
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Change {
    Nothing,
    Scores { by_id: HashMap<u32, i64> },
}

#[derive(Serialize, Deserialize)]
struct Batch {
    changes: Vec<Option<Change>>,
}

#[command]
fn apply(dry: bool, batch: Batch) {
    let _ = (dry, batch);
}

#[test]
fn integer_keys_within_a_tag_are_found_with_command_argument_and_path() {
    let place = "command `apply`, argument `batch`, at .changes[].by_id";
    assert_found(commands![all_fine, apply], place, "keys are u32");
}

#[command]
fn give_changes() -> Result<Vec<Change>, String> {
    Ok(vec![Change::Nothing])
}

#[derive(Serialize, Deserialize)]
struct Flat {
    #[serde(flatten)]
    by_flag: BTreeMap<bool, u8>,
}

#[command]
fn fail_flat() -> Result<(), Flat> {
    Ok(())
}

#[test]
fn results_and_errors_are_looked_at_too() {
    assert_found(commands![give_changes], "command `give_changes`, result, at [].by_id", "u32");
    assert_found(commands![fail_flat], "command `fail_flat`, error", "a boolean");
}

#[command]
fn pairs(by_pair: HashMap<(u8, u8), u8>) {
    let _ = by_pair;
}

#[command]
fn twice(value: Option<Option<u8>>) {
    let _ = value;
}

#[command]
fn nothing(values: Vec<Option<()>>) {
    let _ = values;
}

#[command]
fn wide(sum: u128) {
    let _ = sum;
}

#[derive(Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "only read")]
enum Blob {
    List(Vec<u8>),
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
}

#[command]
fn blob(value: Blob) {
    let _ = value;
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "$serde_json::private::RawValue")]
struct NotRaw(String);

#[command]
fn private(value: NotRaw) {
    let _ = value;
}

#[test]
fn every_shape_that_does_not_survive_is_found() {
    let command = |name| format!("command `{name}`, argument `{}`", argument(name));
    fn argument(command: &str) -> &'static str {
        match command {
            "pairs" => "byPair",
            "nothing" => "values",
            "wide" => "sum",
            _ => "value",
        }
    }
    assert_found(commands![pairs], &command("pairs"), "a list of pairs");
    assert_found(commands![twice], &command("twice"), "use an enum (warning)");
    assert_found(commands![nothing], &(command("nothing") + ", at []"), "use a bool (warning)");
    let wide = &found(commands![wide])[0];
    assert!(wide.starts_with(&command("wide")) && wide.ends_with("as text (warning)"), "{wide}");
    assert_found(commands![blob], &command("blob"), "use a tag (warning)");
    assert_found(commands![private], &command("private"), "serde_json's own");
}

#[test]
fn warnings_can_be_left_out_and_errors_cannot() {
    let ignored = verify_json(commands![twice, nothing]).or_else(Findings::ignore_warnings);
    assert_eq!(ignored, Ok(()));
    let left = verify_json(commands![twice, pairs]).or_else(Findings::ignore_warnings);
    assert_eq!(left.expect_err("an error").iter().count(), 1);
    let all = verify_json(commands![twice, pairs]).expect_err("both");
    assert_eq!(all.to_string().lines().count(), 2);
}

/// Written one way and read another.
struct Lopsided(u8);

impl Serialize for Lopsided {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string())
    }
}

impl<'de> Deserialize<'de> for Lopsided {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        u8::deserialize(from).map(Self)
    }
}

#[derive(Serialize, Deserialize)]
struct Changes {
    #[serde(rename(serialize = "out"))]
    field: u8,
}

#[derive(Serialize, Deserialize)]
#[allow(dead_code, reason = "never looked at")]
struct Loses {
    #[serde(skip_serializing, default)]
    kept_back: u8,
    sent: u8,
}

#[command]
fn lopsided(value: Lopsided) {
    let _ = value;
}

#[command]
fn renamed(value: Changes) {
    let _ = value;
}

#[command]
fn loses(value: Loses) -> Loses {
    value
}

#[test]
fn what_does_not_come_back_is_found_where_the_type_can_be_written() {
    assert_found(commands![lopsided], "command `lopsided`, argument `value`", "cannot read again");
    assert_found(
        commands![renamed],
        "command `renamed`, argument `value`",
        "missing field `field`",
    );
    // What is never written is not missed: it has a default.
    assert_eq!(found(commands![loses]), [""; 0]);
}

/// Takes nothing that anybody would guess.
struct Secret;

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match String::deserialize(from)?.as_str() {
            "open sesame" => Ok(Self),
            _ => Err(serde::de::Error::custom("no")),
        }
    }
}

#[command]
fn guarded(door: Secret, sesame: Option<Secret>) {
    let _ = (door, sesame);
}

#[test]
fn a_type_that_takes_no_made_up_value_is_said_not_to_have_been_looked_at() {
    let place = "command `guarded`, argument `door`";
    assert_found(commands![guarded], place, "not looked at");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Own {
    number: f64,
    large: i64,
    text: String,
    maybe: Option<u8>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn types_of_ones_own_are_proven_in_one_line(
        number in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
        large: i64, text: String, maybe: Option<u8>,
    ) {
        round_trips([Own { number, large, text, maybe }])?;
    }
}

#[test]
fn values_that_do_not_survive_are_refused() {
    assert!(round_trips([1.5, f64::NAN]).is_err());
    assert!(round_trips([Some(Some(1)), Some(None)]).is_err());
    assert!(round_trip(AnyCodec::MSGPACK, &f64::INFINITY).is_err());
    assert!(round_trips([vec![1_u8]]).is_ok());
}
