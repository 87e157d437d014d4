use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::num::NonZeroU8;

use serde::{Deserialize, Serialize};

use super::{Explored, Style, Trait};
use crate::typed::ValueType;

fn explore(value: ValueType, style: Style) -> (Vec<String>, usize) {
    let Explored { notes, values } = value.explore(style, &mut |_| {});
    (notes.iter().map(|note| format!("{}: {:?}", note.path, note.what)).collect(), values)
}

fn json<T: serde::de::DeserializeOwned>() -> Vec<String> {
    let (notes, values) = explore(ValueType::read_only::<T>(), Style::SelfDescribing);
    assert!(values > 0, "{notes:?}");
    notes
}

fn positional<T: serde::de::DeserializeOwned>() -> Vec<String> {
    explore(ValueType::read_only::<T>(), Style::Positional).0
}

/// What a type looked like when it was written.
fn seen<T: Serialize + serde::de::DeserializeOwned>() -> Vec<String> {
    let mut seen = Vec::new();
    let see: super::See<'_> = &mut |value| {
        seen.push(serde_json::to_string(value).expect("JSON"));
    };
    let _ = ValueType::of::<T>().explore(Style::SelfDescribing, see);
    seen
}

#[derive(Debug, Serialize, Deserialize)]
enum Plain {
    Unit,
    Newtype(u8),
    Tuple(u8, String),
    Struct { x: Option<Box<Plain>>, list: Vec<Plain> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal {
    Empty,
    Named { id: u32, name: String },
    Keyed { map: HashMap<u32, String> },
    Inner(Nested),
    Wide { n: u128 },
}

#[derive(Debug, Serialize, Deserialize)]
struct Nested {
    address: IpAddr,
    pairs: Vec<(bool, f64)>,
    deep: BTreeMap<String, BTreeMap<bool, u8>>,
    kind: Kind,
}

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    FirstOne,
    Second,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    Map(BTreeMap<i64, u8>),
    Texts(BTreeMap<String, u8>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u32),
    Point { x: f64, y: f64 },
    Keyed { keys: BTreeMap<u8, u8> },
}

#[derive(Debug, Serialize, Deserialize)]
struct Flat {
    own: u32,
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    title: String,
    at: IpAddr,
}

#[derive(Debug, Serialize, Deserialize)]
struct FlatKeys {
    #[serde(flatten)]
    rest: BTreeMap<u32, u8>,
}

#[test]
fn every_variant_and_option_is_tried() {
    let seen = seen::<Plain>();
    for wanted in [
        r#""Unit""#,
        r#"{"Newtype":1}"#,
        r#"{"Tuple":[1,"probe"]}"#,
        r#"{"Struct":{"x":null,"list":["Unit"]}}"#,
        r#"{"Struct":{"x":"Unit","list":["Unit"]}}"#,
    ] {
        assert!(seen.iter().any(|text| text == wanted), "{wanted} is missing: {seen:#?}");
    }
    assert!(json::<Plain>().is_empty());
    assert!(positional::<Plain>().is_empty());
}

#[test]
fn what_codecs_take_without_a_word_leaves_no_note() {
    type Usual = (
        (bool, u8, i64, f32, char, String, Option<u16>),
        (Vec<NonZeroU8>, [i8; 3], BTreeMap<u32, Kind>, HashMap<Kind, ()>),
        (IpAddr, std::time::Duration, std::path::PathBuf, serde_bytes::ByteBuf),
        Result<String, Box<Plain>>,
    );
    assert_eq!(json::<Usual>(), [""; 0]);
    assert_eq!(positional::<Usual>(), [""; 0]);
}

#[test]
fn maps_with_number_keys_are_found_within_tags_and_flattened_fields() {
    let keyed = json::<Internal>();
    assert!(keyed.contains(&".map: BufferedKey(\"u32\")".to_owned()), "{keyed:#?}");
    assert!(keyed.contains(&".deep{}: BufferedKey(\"a boolean\")".to_owned()), "{keyed:#?}");
    assert!(keyed.contains(&": Wide".to_owned()), "{keyed:#?}");
    assert_eq!(json::<Adjacent>(), ["::Map.c: BufferedKey(\"i64\")"]);
    assert_eq!(json::<Untagged>(), [".keys: BufferedKey(\"u8\")"]);
    assert_eq!(json::<Flat>(), [""; 0]);
    assert_eq!(json::<FlatKeys>(), [": BufferedKey(\"u32\")"]);
    // The same maps where nothing has to be read before it is known what it is.
    assert_eq!(json::<Vec<Option<HashMap<u32, BTreeMap<bool, u8>>>>>(), [""; 0]);
}

#[test]
fn fields_that_may_be_missing_are_found_where_the_type_can_be_written() {
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Lazy {
        Deep {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            inner: Option<Box<Inner>>,
        },
    }
    #[derive(Serialize, Deserialize)]
    struct Inner {
        #[serde(default)]
        keys: BTreeMap<u16, u8>,
    }
    let (notes, _) = explore(ValueType::of::<Lazy>(), Style::SelfDescribing);
    assert_eq!(notes, [".inner.keys: BufferedKey(\"u16\")"]);
}

#[test]
fn tagged_enums_are_seen_in_all_their_variants() {
    let seen = seen::<Internal>().join("\n");
    for wanted in ["Empty", "Named", "Keyed", "Inner", "first-one", "second"] {
        assert!(seen.contains(wanted), "{wanted} is missing: {seen}");
    }
    let seen = self::seen::<Flat>();
    assert!(seen.iter().any(|text| text.contains("title")), "{seen:?}");
    let seen = self::seen::<Untagged>().join("\n");
    for wanted in ["1", r#""x":"#, r#""keys":"#] {
        assert!(seen.contains(wanted), "{wanted} is missing: {seen}");
    }
}

#[test]
fn what_collapses_is_noted_with_its_path() {
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Collapses {
        twice: Option<Option<u8>>,
        nothing: Vec<Option<()>>,
        wide: BTreeMap<String, i128>,
        fine: Option<Vec<Option<u8>>>,
    }
    let mut notes = json::<Collapses>();
    notes.sort();
    assert_eq!(notes, [".nothing[]: OptionalUnit", ".twice: NestedOption", ".wide{}: Wide"]);
}

#[test]
fn keys_that_are_no_scalars_are_noted() {
    #[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
    enum Content {
        #[allow(dead_code, reason = "only read")]
        Some(u8),
    }
    assert_eq!(json::<BTreeMap<(u8, u8), u8>>(), [": KeyNoScalar(\"a tuple\")"]);
    assert_eq!(json::<BTreeMap<Option<u8>, u8>>(), [": OptionalKey"]);
    assert_eq!(json::<BTreeMap<(), u8>>(), [": KeyNoScalar(\"nothing\")"]);
    let notes = json::<BTreeMap<Content, u8>>();
    assert!(notes[0].contains("a variant with content"), "{notes:?}");
}

#[test]
fn bytes_beside_sequences_are_noted_where_they_are_ambiguous() {
    #[derive(Deserialize)]
    #[serde(untagged)]
    #[allow(dead_code, reason = "only read")]
    enum Ambiguous {
        List(Vec<u8>),
        Bytes(serde_bytes::ByteBuf),
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    #[allow(dead_code, reason = "only read")]
    enum Clear {
        Text(String),
        List(Vec<u8>),
    }
    assert_eq!(json::<Ambiguous>(), [": BytesOrSequence"]);
    assert_eq!(json::<Clear>(), [""; 0]);
}

#[test]
fn a_codec_without_names_is_told_what_it_cannot_carry() {
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Renamed {
        #[serde(alias = "old")]
        new: u8,
    }
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only read")]
    enum RenamedVariant {
        #[serde(alias = "Old")]
        New,
        Other,
    }
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Outer {
        first: Vec<Option<serde_json::Value>>,
        second: Internal,
        third: Renamed,
    }
    assert!(positional::<Flat>().contains(&": Flattened".to_owned()));
    assert_eq!(positional::<Renamed>(), [": Aliases"]);
    assert!(positional::<RenamedVariant>().contains(&": Aliases".to_owned()));
    assert_eq!(json::<Renamed>(), [""; 0]);
    let adjacent = positional::<Adjacent>();
    assert!(adjacent.contains(&": Names".to_owned()), "{adjacent:?}");
    let outer = positional::<Outer>().join("\n");
    for wanted in [
        ".first[]: Asks(\"any valid JSON value\")",
        ".second: Asks(\"internally tagged enum Internal\")",
        ".third: Aliases",
    ] {
        assert!(outer.contains(wanted), "{wanted} is missing: {outer}");
    }
}

#[test]
fn types_that_contain_themselves_come_to_an_end() {
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only read")]
    enum Expression {
        Add(Box<Expression>, Box<Expression>),
        Neg(Box<Expression>),
        Number(f64),
    }
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Tree {
        left: Option<Box<Tree>>,
        right: Option<Box<Tree>>,
        all: Vec<Tree>,
        by_name: BTreeMap<String, Tree>,
        bad: Option<Option<u8>>,
    }
    #[derive(Deserialize)]
    #[serde(tag = "op")]
    #[allow(dead_code, reason = "only read")]
    enum Tagged {
        Not { of: Box<Tagged> },
        True,
    }
    assert_eq!(json::<Expression>(), [""; 0]);
    assert_eq!(positional::<Expression>(), [""; 0]);
    let tree = json::<Tree>();
    assert!(tree.contains(&".bad: NestedOption".to_owned()), "{tree:?}");
    assert_eq!(json::<Tagged>(), [""; 0]);
}

#[test]
fn types_that_contain_each_other_in_every_way_come_to_an_end() {
    macro_rules! tangle {
        ($($name:ident)*) => {
            #[derive(Deserialize)]
            #[allow(non_snake_case, dead_code, reason = "only read")]
            struct All {
                $($name: Option<Box<$name>>,)*
            }
            $(#[derive(Deserialize)]
            #[allow(dead_code, reason = "only read")]
            struct $name {
                all: Vec<All>,
                more: Option<Box<All>>,
            })*
        };
    }
    tangle! { A B C D E F G H }
    assert_eq!(json::<All>(), [""; 0]);
    assert_eq!(positional::<All>(), [""; 0]);
}

#[test]
fn a_type_that_takes_nothing_or_panics_is_said_to_be_unexplored() {
    struct Picky;
    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            String::deserialize(from)?;
            Err(serde::de::Error::custom("never"))
        }
    }
    struct Panics;
    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let text = String::deserialize(from)?;
            assert_eq!(text, "something else", "on purpose");
            Ok(Self)
        }
    }
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Holder {
        picky: Picky,
        after: Option<Option<u8>>,
    }
    let (notes, values) = explore(ValueType::read_only::<Holder>(), Style::SelfDescribing);
    assert_eq!(values, 0);
    assert!(notes.contains(&".picky: Unexplored(\"never\")".to_owned()), "{notes:?}");
    assert!(notes.contains(&".after: NestedOption".to_owned()), "{notes:?}");
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (notes, _) = explore(ValueType::read_only::<Panics>(), Style::SelfDescribing);
    std::panic::set_hook(hook);
    assert!(notes[0].contains("panicked"), "{notes:?}");
    // Where it may be left out, the rest is looked at.
    let (_, values) = explore(ValueType::read_only::<Vec<Option<Picky>>>(), Style::SelfDescribing);
    assert!(values > 0);
}

#[test]
fn private_types_of_serde_json_are_known_by_name() {
    #[derive(Deserialize)]
    #[serde(rename = "$serde_json::private::RawValue")]
    #[allow(dead_code, reason = "only read")]
    struct Raw(String);
    let (notes, _) = explore(ValueType::read_only::<Vec<Raw>>(), Style::SelfDescribing);
    assert_eq!(notes[0], "[]: Private(\"$serde_json::private::RawValue\")");
    assert!(matches!(Trait::Wide, Trait::Wide));
}
