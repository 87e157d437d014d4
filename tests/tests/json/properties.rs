//! The laws for values of every kind, made up by proptest: ten thousand of the data model, and as
//! many of types with all that serde's derives know.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tramline::AnyCodec;
use tramline_compat_json::{from_json, round_trip, to_json};

use crate::cases::cases;
use crate::exact::{Exact, exact};
use crate::laws::{CODECS, hold, hold_seeded};
use crate::model::{Like, Node, admitted, same};
use crate::types::{
    Adjacent, Borrowed, Bytes, Colour, Defaults, External, Flat, Hex, Id, Internal, Keys, Large,
    Nothing, Pair, Point, Rest, Tree, Untagged,
};

/// A node that is compared by the bits of its doubles.
#[derive(Debug)]
struct Bits(Node);

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl serde::Serialize for Bits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

struct LikeBits<'n>(&'n Node);

impl<'de> serde::de::DeserializeSeed<'de> for LikeBits<'_> {
    type Value = Bits;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Bits, D::Error> {
        Like(self.0).deserialize(deserializer).map(Bits)
    }
}

fn finite() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |x| x.is_finite())
}

fn point() -> impl Strategy<Value = Point> {
    (finite(), any::<i64>()).prop_map(|(x, y)| Point { x, y })
}

fn external() -> impl Strategy<Value = External> {
    prop_oneof![
        Just(External::Unit),
        any::<u32>().prop_map(External::Newtype),
        any::<Option<i8>>().prop_map(External::Optional),
        any::<(u8, String)>().prop_map(|(a, b)| External::Tuple(a, b)),
        any::<(i64, Option<bool>)>().prop_map(|(a, b)| External::Struct { a, b }),
    ]
}

fn internal() -> impl Strategy<Value = Internal> {
    let map = prop::collection::btree_map("[a-j]{1,3}", any::<i64>(), 0..5);
    prop_oneof![
        Just(Internal::Unit),
        point().prop_map(Internal::Newtype),
        map.prop_map(Internal::Map),
        any::<(i64, Option<bool>)>().prop_map(|(a, b)| Internal::Struct { a, b }),
    ]
}

fn adjacent() -> impl Strategy<Value = Adjacent> {
    prop_oneof![
        Just(Adjacent::Unit),
        any::<u32>().prop_map(Adjacent::Newtype),
        any::<(u8, String)>().prop_map(|(a, b)| Adjacent::Tuple(a, b)),
        any::<(i64, Option<bool>)>().prop_map(|(a, b)| Adjacent::Struct { a, b }),
    ]
}

fn untagged() -> impl Strategy<Value = Untagged> {
    prop_oneof![
        Just(Untagged::Nothing),
        any::<i64>().prop_map(Untagged::Number),
        finite().prop_map(Untagged::Double),
        any::<String>().prop_map(Untagged::Text),
        any::<(bool, String)>().prop_map(|(a, b)| Untagged::Pair(a, b)),
        any::<(i64, Option<bool>)>().prop_map(|(a, b)| Untagged::Struct { a, b }),
    ]
}

fn defaults() -> impl Strategy<Value = Defaults> {
    any::<(String, Option<String>, Vec<String>, u32)>().prop_map(
        |(first_name, middle_name, tags, number)| Defaults {
            first_name,
            middle_name,
            tags: tags.into_iter().take(3).collect(),
            number,
            cache: None,
        },
    )
}

fn flat() -> impl Strategy<Value = Flat> {
    // What lies in one object must not have the names of its neighbours: that is refused.
    let choice = internal().prop_filter("a map reads its neighbours too", |choice| {
        !matches!(choice, Internal::Map(_))
    });
    (any::<u32>(), defaults(), choice).prop_map(|(id, inner, choice)| Flat { id, inner, choice })
}

/// A few entries.
fn few<K: std::fmt::Debug + Ord>(
    key: impl Strategy<Value = K>,
) -> impl Strategy<Value = BTreeMap<K, u8>> {
    prop::collection::btree_map(key, any::<u8>(), 0..4)
}

fn keys() -> impl Strategy<Value = Keys> {
    let colour = prop_oneof![Just(Colour::Red), Just(Colour::Blue)];
    let address = any::<std::net::IpAddr>();
    (
        prop::collection::hash_map(any::<String>(), any::<u8>(), 0..40),
        prop::collection::hash_map(any::<u64>(), any::<u8>(), 0..40),
        (few(any::<i32>()), few(any::<i128>()), few(any::<bool>()), few(any::<char>())),
        (few(colour), few(any::<u32>().prop_map(Id)), few(address)),
    )
        .prop_map(|(text, unsigned, (signed, wide, bool, char), (colour, id, address))| Keys {
            text,
            unsigned,
            signed,
            wide,
            bool,
            char,
            colour,
            id,
            address,
        })
}

fn tree() -> impl Strategy<Value = Tree> {
    Just(Tree { below: vec![] }).prop_recursive(20, 40, 3, |inner| {
        prop::collection::vec(inner, 0..3).prop_map(|below| Tree { below })
    })
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn the_laws_hold_for_every_value_of_the_data_model(node in admitted()) {
        hold_seeded(&Bits(node.clone()), || LikeBits(&node));
    }

    #[test]
    fn a_value_is_one_json_value_where_no_type_is_known(node in admitted()) {
        let json = serde_json::to_string(&node).expect("an admitted value");
        let expected = exact(&json);
        for codec in CODECS {
            let encoded = codec.to_vec(&node).expect("an admitted value");
            prop_assert_eq!(&codec.decode::<Exact>(&encoded).expect("read"), &expected);
            let packed = from_json(codec, &json).expect("JSON text");
            prop_assert_eq!(&codec.decode::<Exact>(&packed).expect("read"), &expected);
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_refused_or_is_another_value_in_both(
        node in admitted(),
        at: prop::sample::Index,
        to: Option<u8>,
    ) {
        let mut bytes = AnyCodec::MSGPACK.to_vec(&node).expect("an admitted value");
        let at = at.index(bytes.len());
        match to {
            Some(byte) => bytes[at] = byte,
            None => bytes.truncate(at),
        }
        // What MessagePack has and JSON has not is refused, so what is left has one JSON text, which
        // reads alike into the type and where none is known.
        let Ok(value) = AnyCodec::MSGPACK.decode::<Exact>(&bytes) else {
            return Ok(());
        };
        let json = to_json(AnyCodec::MSGPACK, &bytes).expect("JSON text");
        prop_assert_eq!(exact(&json), value);
        let packed = AnyCodec::MSGPACK.decode_seed(LikeBits(&node), &bytes);
        let parsed = AnyCodec::JSON.decode_seed(LikeBits(&node), json.as_bytes());
        prop_assert_eq!(packed.ok(), parsed.ok(), "{:x?} {}", bytes, json);
    }

    #[test]
    fn the_laws_hold_for_derived_types(value in derived()) {
        match value {
            Derived::Point(value) => hold_and_agree(&value),
            Derived::External(value) => hold_and_agree(&value),
            Derived::Internal(value) => hold_and_agree(&value),
            Derived::Adjacent(value) => hold_and_agree(&value),
            Derived::Untagged(value) => hold_and_agree(&value),
            Derived::Defaults(value) => hold_and_agree(&value),
            Derived::Flat(value) => hold_and_agree(&value),
            Derived::Rest(value) => hold_and_agree(&value),
            // Hash maps have no order that the users' check could compare.
            Derived::Keys(value) => hold(&*value),
            Derived::Tree(value) => hold_and_agree(&value),
            Derived::Large(value) => hold_and_agree(&value),
            Derived::Bytes(value) => hold_and_agree(&value),
            Derived::Hex(value) => hold_and_agree(&value),
            Derived::Mixed(value) => hold_and_agree(&value),
            Derived::Borrowed(text, bytes) => {
                for codec in CODECS {
                    let value = Borrowed { text: text.as_str().into(), bytes: bytes.as_slice().into() };
                    let encoded = codec.to_vec(&value).expect("written");
                    prop_assert_eq!(&codec.decode::<Borrowed<'_>>(&encoded).expect("read"), &value);
                }
            }
        }
    }
}

fn hold_and_agree<T>(value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    hold(value);
    round_trip(AnyCodec::MSGPACK, value).expect("the check that users have says the same");
}

/// A value of one of the types.
#[derive(Debug, Clone)]
enum Derived {
    Point(Point),
    External(External),
    Internal(Internal),
    Adjacent(Adjacent),
    Untagged(Vec<Untagged>),
    Defaults(Defaults),
    Flat(Flat),
    Rest(Rest),
    Keys(Box<Keys>),
    Tree(Tree),
    Large(Large),
    Bytes(Bytes),
    Hex(Hex),
    Mixed((Nothing, Pair, [Option<u16>; 3], f32, Id)),
    Borrowed(String, Vec<u8>),
}

fn derived() -> impl Strategy<Value = Derived> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let single = any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |x| x.is_finite());
    let rest = prop::collection::btree_map("[a-h]{1,2}", untagged(), 0..20);
    prop_oneof![
        point().prop_map(Derived::Point),
        external().prop_map(Derived::External),
        internal().prop_map(Derived::Internal),
        adjacent().prop_map(Derived::Adjacent),
        prop::collection::vec(untagged(), 0..4).prop_map(Derived::Untagged),
        defaults().prop_map(Derived::Defaults),
        flat().prop_map(Derived::Flat),
        (any::<u32>(), rest).prop_map(|(id, rest)| Derived::Rest(Rest { id, rest })),
        keys().prop_map(|keys| Derived::Keys(Box::new(keys))),
        tree().prop_map(Derived::Tree),
        any::<u128>().prop_map(|value| Derived::Large(Large(value))),
        bytes().prop_map(|value| Derived::Bytes(Bytes(value))),
        bytes().prop_map(|value| Derived::Hex(Hex(value))),
        (any::<(u8, String, [Option<u16>; 3], u32)>(), single).prop_map(
            |((a, b, c, d), single)| { Derived::Mixed((Nothing, Pair(a, b), c, single, Id(d))) }
        ),
        (any::<String>(), bytes()).prop_map(|(text, bytes)| Derived::Borrowed(text, bytes)),
    ]
}

#[test]
fn text_and_bytes_are_borrowed_where_they_stand_in_the_input() {
    let encoded =
        AnyCodec::MSGPACK.to_vec(&("text", serde_bytes::Bytes::new(b"bytes"))).expect("written");
    let (text, bytes): (&str, &[u8]) = AnyCodec::MSGPACK.decode(&encoded).expect("borrowed");
    assert_eq!((text, bytes), ("text", &b"bytes"[..]));
    assert!(encoded.as_ptr_range().contains(&text.as_ptr()));
    assert!(encoded.as_ptr_range().contains(&bytes.as_ptr()));
    let text: &str = AnyCodec::JSON.decode(br#""text""#).expect("borrowed");
    assert_eq!(text, "text");
    assert!(AnyCodec::JSON.decode::<&str>(br#""t\u0065xt""#).is_err(), "it stands there otherwise");
    assert!(AnyCodec::JSON.decode::<&[u8]>(b"[1,2]").is_err(), "they stand there otherwise");
    let map: BTreeMap<&str, &str> = AnyCodec::JSON.decode(br#"{"a":"b"}"#).expect("borrowed");
    assert_eq!(map["a"], "b");
}
