use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize, Serializer};

use crate::codec::{AnyCodec, Codec};

const POSTCARD: AnyCodec = AnyCodec::POSTCARD;

fn cause<T: Debug>(outcome: Result<T, impl ToString>) -> String {
    outcome.expect_err("refused").to_string()
}

fn read<T: DeserializeOwned + Debug>(bytes: &[u8]) -> String {
    cause(POSTCARD.decode::<T>(bytes))
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    small: i8,
    medium: i32,
    large: u64,
    half: f32,
    whole: f64,
    letter: char,
    text: String,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    nothing: (),
    maybe: Option<Box<Everything>>,
    list: Vec<Shape>,
    map: BTreeMap<u16, (i16, String)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(u32),
    Tuple(i64, bool),
    Struct { x: i8, y: Option<String> },
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Unit),
        any::<u32>().prop_map(Shape::Newtype),
        any::<(i64, bool)>().prop_map(|(a, b)| Shape::Tuple(a, b)),
        any::<(i8, Option<String>)>().prop_map(|(x, y)| Shape::Struct { x, y }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let finite = any::<f64>().prop_filter("finite", |x| x.is_finite());
    let numbers = (any::<(bool, i8, i32, u64, char)>(), -1e30_f32..1e30, finite);
    let texts = any::<(String, Vec<u8>)>();
    let lists = (
        prop::collection::vec(shape(), 0..4),
        prop::collection::btree_map(any::<u16>(), any::<(i16, String)>(), 0..4),
    );
    let leaf = (numbers, texts, lists).prop_map(|(numbers, (text, bytes), (list, map))| {
        let ((flag, small, medium, large, letter), half, whole) = numbers;
        let (nothing, maybe) = ((), None);
        Everything {
            flag,
            small,
            medium,
            large,
            half,
            whole,
            letter,
            text,
            bytes,
            nothing,
            maybe,
            list,
            map,
        }
    });
    let leaf = leaf.boxed();
    (leaf.clone(), prop::option::of(leaf))
        .prop_map(|(outer, inner)| Everything { maybe: inner.map(Box::new), ..outer })
}

proptest! {
    #[test]
    fn bytes_are_those_of_the_crate_and_are_read_back(value in everything()) {
        let ours = POSTCARD.to_vec(&value).expect("encodes");
        prop_assert_eq!(&ours, &::postcard::to_stdvec(&value).expect("encodes"));
        prop_assert_eq!(POSTCARD.decode::<Everything>(&ours).expect("ours"), value);
    }

    #[test]
    fn arbitrary_and_damaged_bytes_never_panic(
        bytes: Vec<u8>, value in everything(), cut: prop::sample::Index, flip: prop::sample::Index,
    ) {
        let _ = POSTCARD.decode::<Everything>(&bytes);
        let _ = POSTCARD.decode::<Vec<Vec<()>>>(&bytes);
        let _ = POSTCARD.decode::<BTreeMap<String, Option<char>>>(&bytes);
        let mut damaged = POSTCARD.to_vec(&value).expect("encodes");
        let at = flip.index(damaged.len());
        damaged[at] ^= 1 << (at % 8);
        let _ = POSTCARD.decode::<Everything>(&damaged);
        damaged.truncate(cut.index(damaged.len()));
        let _ = POSTCARD.decode::<Everything>(&damaged);
    }
}

#[test]
fn the_type_and_the_erased_codec_are_one() {
    assert_eq!(AnyCodec::custom::<super::Postcard>(), POSTCARD);
    assert!(!POSTCARD.is_self_describing() && AnyCodec::MSGPACK.is_self_describing());
    assert_eq!(POSTCARD.name(), super::Postcard::NAME);
}

#[test]
fn addresses_are_text() {
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    let bytes = POSTCARD.to_vec(&address).expect("encodes");
    assert_eq!(bytes, b"\x09127.0.0.1");
    assert_eq!(POSTCARD.decode(&bytes).ok(), Some(address));
    assert_eq!(POSTCARD.decode(&bytes).ok(), Some("127.0.0.1"));
}

#[test]
fn what_has_no_json_form_is_refused_with_its_path() {
    #[derive(Serialize)]
    struct Points {
        points: Vec<(f64, f32)>,
    }
    let points = Points { points: vec![(1.0, 1.0), (2.0, f32::NAN)] };
    let refused = cause(POSTCARD.to_vec(&points));
    assert!(refused.ends_with("`.points[1][1]`: NaN has no JSON form"), "{refused}");
    assert!(cause(POSTCARD.to_vec(&f64::INFINITY)).contains("inf has no JSON form"));
    assert!(cause(POSTCARD.to_vec(&u128::MAX)).contains("64 bits"));
    assert!(cause(POSTCARD.to_vec(&i128::MIN)).contains("64 bits"));
    for fits in [i128::from(i64::MIN), i128::from(u64::MAX)] {
        let bytes = POSTCARD.to_vec(&fits).expect("fits");
        assert_eq!(POSTCARD.decode(&bytes).ok(), Some(fits));
    }
    let keys = [BTreeMap::from([((1_u8, 2_u8), 0_u8)])];
    assert!(cause(POSTCARD.to_vec(&keys)).contains("`[0][0]`: a key must be"));
    assert!(POSTCARD.to_vec(&BTreeMap::from([((), 0)])).is_err());
    assert!(POSTCARD.to_vec(&BTreeMap::from([(None::<u8>, 0)])).is_err());
    let optional = BTreeMap::from([(Some(1_u8), 0_u8)]);
    let bytes = POSTCARD.to_vec(&optional).expect("as in the other codecs");
    assert_eq!(POSTCARD.decode(&bytes).ok(), Some(optional));
    let wide = BTreeMap::from([(i128::MIN, 0_u8), (i128::MAX, 1)]);
    let bytes = POSTCARD.to_vec(&wide).expect("as text there is no limit");
    assert_eq!(POSTCARD.decode(&bytes).ok(), Some(wide));
}

#[test]
fn what_the_bytes_could_not_tell_is_refused_when_it_is_written() {
    #[derive(Serialize)]
    struct Skips {
        before: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        maybe: Option<u8>,
    }
    assert!(POSTCARD.to_vec(&Skips { before: 1, maybe: Some(1) }).is_ok());
    let refused = cause(POSTCARD.to_vec(&Skips { before: 1, maybe: None }));
    assert!(refused.contains("skip_serializing_if") && refused.contains("`.maybe`:"), "{refused}");

    #[derive(Serialize)]
    struct Flat {
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    let flat = Flat { rest: BTreeMap::new() };
    assert!(cause(POSTCARD.to_vec(&flat)).contains("flattened"));

    struct Miscounts;
    impl Serialize for Miscounts {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serde::ser::SerializeSeq::end(serializer.serialize_seq(Some(2))?)
        }
    }
    assert!(cause(POSTCARD.to_vec(&Miscounts)).contains("0 parts were written, 2 announced"));
}

#[test]
fn a_value_that_swallows_a_refusal_is_refused() {
    struct Careless;
    impl Serialize for Careless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut pair = serializer.serialize_tuple(2)?;
            let _ = serde::ser::SerializeTuple::serialize_element(&mut pair, &f64::NAN);
            serde::ser::SerializeTuple::serialize_element(&mut pair, &1_u8)?;
            serde::ser::SerializeTuple::end(pair)
        }
    }
    assert!(POSTCARD.to_vec(&Careless).is_err());
}

#[test]
fn bad_bytes_are_refused_with_their_offset() {
    assert!(read::<u8>(&[1, 2]).ends_with("at byte 1: bytes follow the value"));
    assert!(read::<(u8, u32)>(&[1]).ends_with("`[1]` at byte 1: the input ends too early"));
    assert!(
        read::<(u8, String)>(&[1, 3, b'a', 0xff, b'b'])
            .ends_with("`[1]` at byte 1: a text that is not UTF-8")
    );
    assert!(read::<Vec<u64>>(&[0xff, 0xff, 0xff, 0xff, 0x0f]).contains("elements in 0 bytes"));
    assert!(read::<(u8, bool)>(&[1, 2]).contains("`[1]` at byte 1: a bool"));
    assert!(read::<Option<u8>>(&[2, 0]).contains("neither 0 nor 1"));
    assert!(read::<char>(&[2, b'a', b'b']).contains("not one char"));
    assert!(read::<Shape>(&[9]).contains("variant index"));
    assert!(read::<Shape>(&[3, 0, 1, 5, b'a']).contains("`.Struct.y` at byte 3: "));
    assert!(read::<f32>(&f32::NAN.to_le_bytes()).contains("NaN"));
    assert!(read::<u128>(&[0xff; 19]).contains("integer"));
}

#[test]
fn a_key_that_stands_twice_is_refused_however_it_is_written() {
    type Map = BTreeMap<u32, u8>;
    assert!(POSTCARD.decode::<Map>(&[2, 1, 7, 2, 7]).is_ok());
    assert!(read::<Map>(&[2, 1, 7, 1, 7]).ends_with("`[1]` at byte 3: the key stands twice"));
    assert!(read::<Map>(&[2, 1, 7, 0x81, 0, 7]).contains("longer than it need be"));
    let mut many = vec![200, 1];
    (0..200_u8).for_each(|key| many.extend([&[1, key / 2][..], &[0]].concat()));
    assert!(read::<BTreeMap<serde_bytes::ByteBuf, u8>>(&many).contains("a key must be"));
    let mut many = vec![100];
    (0..100_u8).for_each(|key| many.extend([key % 90, 0]));
    assert!(read::<Map>(&many).contains("`[90]` at byte 181: the key stands twice"));
}

#[test]
fn nesting_beyond_the_limit_is_refused_on_both_sides() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Nest(Vec<Nest>);
    let nest = |depth: usize| {
        let mut bytes = vec![1; depth - 1];
        bytes.push(0);
        bytes
    };
    // A newtype is no level of its own. All codecs have one limit.
    let json = |depth| "[".repeat(depth) + &"]".repeat(depth);
    let deepest: Nest = AnyCodec::JSON.decode(json(127).as_bytes()).expect("as deep as may be");
    assert_eq!(POSTCARD.to_vec(&deepest).ok(), Some(nest(127)));
    assert!(POSTCARD.decode::<Nest>(&nest(127)).is_ok());
    assert!(AnyCodec::JSON.decode::<Nest>(json(128).as_bytes()).is_err());
    assert!(read::<Nest>(&nest(128)).contains("nested"));
    assert!(cause(POSTCARD.to_vec(&Nest(vec![deepest]))).contains("nested"));
    assert!(read::<Nest>(&[1; 1 << 20]).contains("nested"));

    #[derive(Debug, Serialize, Deserialize)]
    struct Chain(Option<Box<Chain>>);
    assert!(read::<Chain>(&[1; 1 << 20]).contains("nested"));
    let chain = |len| (0..len).fold(Chain(None), |chain, _| Chain(Some(Box::new(chain))));
    assert!(POSTCARD.to_vec(&chain(250)).is_ok());
    assert!(cause(POSTCARD.to_vec(&chain(260))).contains("nested"));

    type Deep = Vec<Vec<Vec<u8>>>;
    assert!(POSTCARD.decode::<Deep>(&[1, 1, 1, 7]).is_ok());
}

#[test]
fn elements_without_content_are_bounded_on_both_sides() {
    assert_eq!(POSTCARD.decode::<Vec<()>>(&[3]).map(|v| v.len()).ok(), Some(3));
    assert_eq!(POSTCARD.to_vec(&[(); 3]).ok(), Some(vec![]));
    assert_eq!(POSTCARD.to_vec(&vec![(); 3]).ok(), Some(vec![3]));
    let many = vec![(); super::MAX_EMPTY_ELEMENTS as usize];
    let bytes = POSTCARD.to_vec(&many).expect("just as many as may be");
    assert_eq!(POSTCARD.decode::<Vec<()>>(&bytes).map(|v| v.len()).ok(), Some(many.len()));
    assert!(cause(POSTCARD.to_vec(&(many, [()].as_slice()))).contains("without content"));
    assert!(read::<Vec<()>>(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]).contains("elements in"));
    // What follows is longer than what is too much.
    let follows = [&[0x8a, 0x80, 0x04, 100][..], &[0; 100]].concat();
    assert!(read::<(Vec<()>, Vec<u8>)>(&follows).contains("without content"));
    // Each inner sequence is within the limit.
    let inner = [0x80, 0x80, 0x03];
    assert!(read::<Vec<Vec<()>>>(&[&[2][..], &inner, &inner].concat()).contains("elements"));
}

#[test]
fn types_that_ask_the_bytes_are_told_so() {
    assert!(read::<serde_json::Value>(&[1]).contains("the bytes do not tell"));
    assert!(read::<IgnoredAny>(&[1]).contains("the bytes do not tell"));
}

#[test]
fn arguments_are_a_map_from_name_to_value() {
    #[derive(Serialize)]
    struct Args<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        maybe: Option<u8>,
        count: i64,
    }
    let write = |args: &dyn erased_serde::Serialize| {
        let mut slot = [0; 64];
        let mut out = crate::FrameWriter::new(&mut slot, 64);
        POSTCARD.encode_args(args, &mut out).map(|()| out.written()).map(|len| slot[..len].to_vec())
    };
    let args = Args { name: "n", maybe: None, count: -1 };
    assert_eq!(write(&args).expect("a struct"), b"\x02\x04name\x01n\x05count\x01");
    assert_eq!(write(&()).expect("nothing"), b"\x00");
    assert_eq!(write(&serde_json::json!({})).expect("nothing"), b"\x00");
    for refused in [write(&serde_json::json!({ "a": 1 })), write(&(1, 2)), write(&[1]), write(&7)] {
        assert!(cause(refused).contains("a struct"));
    }
}
