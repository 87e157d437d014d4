//! Values that are wrong, or wrongly written: refused as a whole, with the place.

use std::collections::BTreeMap;

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, Serializer,
};
use tramline::AnyCodec;
use tramline_tests::Setup;

use crate::laws::{CODECS, refused};
use crate::types::{Adjacent, Chain, External, Point, Tree};

/// Fails.
struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("on purpose"))
    }
}

/// Writes its parts and does not care.
enum Careless {
    Seq,
    Map,
    Struct,
    Entries,
}

impl Serialize for Careless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seq => {
                let mut seq = serializer.serialize_seq(Some(2))?;
                let _ = seq.serialize_element(&Fails);
                let _ = seq.serialize_element(&1);
                seq.end()
            }
            Self::Map => {
                let mut map = serializer.serialize_map(None)?;
                let _ = map.serialize_entry("a", &f64::NAN);
                let _ = map.serialize_entry("b", &1);
                map.end()
            }
            Self::Struct => {
                let mut fields = serializer.serialize_struct("Careless", 1)?;
                let _ = fields.serialize_field("a", &[Fails]);
                fields.end()
            }
            Self::Entries => {
                let mut map = serializer.serialize_map(Some(1))?;
                let _ = map.serialize_key(&[1]);
                let _ = map.serialize_value(&1);
                map.end()
            }
        }
    }
}

#[test]
fn a_value_that_goes_on_after_a_refusal_is_refused_as_a_whole() {
    for careless in [Careless::Seq, Careless::Map, Careless::Struct, Careless::Entries] {
        refused(&careless);
        refused(&vec![Some(&careless)]);
        let around = refused(&BTreeMap::from([("x", &careless)]));
        assert!(around.contains("`.x`: "), "{around}");
    }
}

#[test]
fn a_codec_of_ones_own_is_told_of_such_a_value_and_does_not_panic() {
    let codec = Setup::own_codec();
    for careless in [Careless::Seq, Careless::Map, Careless::Struct, Careless::Entries] {
        assert!(codec.to_vec(&careless).is_err());
        assert!(codec.to_vec(&(1, Some(&careless))).is_err());
    }
    assert_eq!(codec.to_vec(&(1, "a")), Ok(b"![1,\"a\"]".to_vec()));
}

/// Announces so many parts, and writes as many others.
struct Miscounts(usize, usize, bool);

impl Serialize for Miscounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(announced, written, as_map) = *self;
        if as_map {
            let mut map = serializer.serialize_map(Some(announced))?;
            for key in 0..written {
                map.serialize_entry(&key, &())?;
            }
            map.end()
        } else {
            let mut tuple = serializer.serialize_tuple(announced)?;
            for element in 0..written {
                tuple.serialize_element(&element)?;
            }
            tuple.end()
        }
    }
}

#[test]
fn as_many_parts_are_written_as_were_announced() {
    for as_map in [false, true] {
        for (announced, written) in [(0, 1), (1, 0), (2, 1), (2, 3), (16, 15), (65_536, 2)] {
            let refused = refused(&[Miscounts(announced, written, as_map)]);
            let words = format!("`[0]`: {written} parts were written, {announced} announced");
            assert!(refused.contains(&words), "{refused}");
        }
        for codec in CODECS {
            assert!(codec.to_vec(&Miscounts(20, 20, as_map)).is_ok());
        }
    }
}

/// A sequence that does not know its length, with another one in each place.
struct Unknown(u8);

impl Serialize for Unknown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for _ in 0..self.0 {
            seq.serialize_element(&Self(self.0 - 1))?;
        }
        seq.end()
    }
}

#[test]
fn an_array_of_unknown_length_is_written_as_one_of_known_length() {
    fn known(n: u8) -> serde_json::Value {
        (0..n).map(|_| known(n - 1)).collect()
    }
    for codec in CODECS {
        for n in 0..6 {
            assert_eq!(codec.to_vec(&Unknown(n)), codec.to_vec(&known(n)), "{codec:?} {n}");
        }
    }
}

#[test]
fn a_refusal_names_the_part() {
    let nan = Point { x: f64::NAN, y: 0 };
    for (refused, path) in [
        (refused(&nan), ".x"),
        (refused(&vec![(1, Some(BTreeMap::from([("a b", [&nan])])))]), r#"[0][1]["a b"][0].x"#),
        (refused(&BTreeMap::from([(1, f32::NAN)])), ".1"),
        (refused(&Variants::Newtype(f64::NAN)), ".Newtype"),
        (refused(&Variants::Tuple(1, f64::INFINITY)), ".Tuple[1]"),
        (refused(&Variants::Struct { a: Some([f64::NAN]) }), ".Struct.a[0]"),
        (refused(&Flat { id: 1, rest: BTreeMap::from([("x", Fails)]) }), ".x"),
        (refused(&vec![BTreeMap::from([([1], 1)])]), "[0]"),
    ] {
        assert!(refused.contains(&format!("CODEC: `{path}`: ")), "{refused}");
    }
    let plain = refused(&f64::NAN);
    assert_eq!(plain, "value cannot be encoded as CODEC: NaN has no JSON form");
}

#[derive(serde::Serialize)]
enum Variants {
    Newtype(f64),
    Tuple(u8, f64),
    Struct { a: Option<[f64; 1]> },
}

#[derive(serde::Serialize)]
struct Flat<T> {
    id: u8,
    #[serde(flatten)]
    rest: BTreeMap<&'static str, T>,
}

#[test]
fn a_refusal_is_short_whatever_the_value_says() {
    struct Talks;
    impl Serialize for Talks {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("é".repeat(1 << 20)))
        }
    }
    let refused = refused(&BTreeMap::from([("k".repeat(1 << 20), Talks)]));
    assert!(refused.len() < 1000, "{}", refused.len());
}

#[test]
fn nesting_of_127_is_written_and_of_128_is_not() {
    fn nested(depth: usize) -> serde_json::Value {
        (1..depth).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner]))
    }
    let chain = |depth| (0..depth).fold(Chain::End, |chain, _| Chain::Link(Box::new(chain)));
    for codec in CODECS {
        assert!(codec.to_vec(&nested(127)).is_ok());
        assert!(codec.to_vec(&chain(127)).is_ok());
        assert!(
            codec.to_vec(&(0..126).fold(Any::Bytes, |inner, _| Any::In(Box::new(inner)))).is_ok()
        );
    }
    refused(&nested(128));
    refused(&chain(128));
    refused(&(0..127).fold(Any::Bytes, |inner, _| Any::In(Box::new(inner))));
    refused(&(0..126).fold(Any::Both, |inner, _| Any::In(Box::new(inner))));
}

/// In an array, bytes or a variant with content.
enum Any {
    In(Box<Any>),
    Bytes,
    Both,
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::In(inner) => [inner].serialize(serializer),
            Self::Bytes => serializer.serialize_bytes(&[1]),
            Self::Both => External::Tuple(1, String::new()).serialize(serializer),
        }
    }
}

#[test]
fn much_nesting_is_refused_before_the_stack_ends() {
    let tree = (0..100_000).fold(Tree { below: vec![] }, |tree, _| Tree { below: vec![tree] });
    refused(&tree);
    // Dropped step by step, for dropping would go as deep.
    let mut below = tree.below;
    while let Some(mut tree) = below.pop() {
        below.append(&mut tree.below);
    }
}

#[test]
fn what_a_plain_writer_of_messagepack_writes_is_written_where_no_rule_differs() {
    fn same<T: Serialize>(value: &T) {
        let plain = rmp_serde::to_vec_named(value).expect("written");
        assert_eq!(AnyCodec::MSGPACK.to_vec(value), Ok(plain));
    }
    same(&(1_u8, -1_i64, 300_u16, 1.5_f32, 1.5_f64, 'x', "text", true, None::<u8>, ()));
    same(&Point { x: 0.1, y: i64::MIN });
    same(&[External::Unit, External::Newtype(1), External::Struct { a: 1, b: None }]);
    same(&[Adjacent::Tuple(1, "a".into()), Adjacent::Unit]);
    same(&Flat { id: 1, rest: BTreeMap::from([("a", 1), ("b", 2)]) });
    for len in [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        same(&"x".repeat(len));
        same(&vec![0_u8; len]);
        same(&serde_bytes::ByteBuf::from(vec![0; len]));
        same(&(0..len).map(|key| (key.to_string(), ())).collect::<BTreeMap<_, _>>());
    }
    for shift in 0..64 {
        for value in [1_u64 << shift, (1 << shift) - 1, (1 << shift) + 1] {
            same(&value);
            same(&(value as i64));
            same(&(value as i64).wrapping_neg());
        }
    }
}
