//! What the transcoders do, beyond what the parts' own tests say.

use std::io::{self, Read};

use proptest::prelude::*;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use super::*;

/// A value, written by serde as the codecs write theirs.
#[derive(Debug, Clone)]
enum Tree {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    Text(String),
    Bytes(Vec<u8>),
    Array(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::F32(value) => serializer.serialize_f32(*value),
            Self::F64(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::Array(items) => {
                let mut array = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| array.serialize_element(item))?;
                array.end()
            }
            Self::Map(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                pairs.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z_]{0,20}",
        2 => "\\PC{0,12}",
        1 => proptest::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter),
        1 => ("[\"\\\\\\x00-\\x20é€😀]", 0..90_usize).prop_map(|(text, n)| text.repeat(n)),
        1 => (any::<char>(), 60..300_usize).prop_map(|(letter, n)| letter.to_string().repeat(n)),
    ]
}

/// Any value with a JSON form; `bytes` and `f32` come back as something else.
fn tree(canonical: bool) -> impl Strategy<Value = Tree> {
    let finite = any::<f64>().prop_filter("finite", |x| x.is_finite());
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        any::<u64>().prop_map(Tree::Unsigned),
        (any::<u64>(), 0..64_u32).prop_map(|(n, shift)| Tree::Unsigned(n >> shift)),
        (any::<i64>(), 0..64_u32).prop_map(|(n, shift)| Tree::Signed(n >> shift)),
        finite.prop_map(Tree::F64),
        any::<i32>().prop_map(|n| Tree::F64(n.into())),
        text().prop_map(Tree::Text),
        any::<f32>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(move |x| { if canonical { Tree::F64(x.into()) } else { Tree::F32(x) } }),
        proptest::collection::vec(any::<u8>(), 0..300)
            .prop_map(move |bytes| { if canonical { Tree::Null } else { Tree::Bytes(bytes) } }),
    ];
    leaf.prop_recursive(6, 64, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..20).prop_map(Tree::Array),
            proptest::collection::btree_map(text(), inner, 0..20)
                .prop_map(|map| Tree::Map(map.into_iter().collect())),
        ]
    })
}

/// Gives its bytes in pieces of the lengths asked for, over and over.
struct Trickle<'a> {
    bytes: &'a [u8],
    lens: Vec<usize>,
    reads: usize,
}

impl<'a> Trickle<'a> {
    fn new(bytes: &'a [u8], lens: &[usize]) -> Self {
        Self { bytes, lens: lens.to_vec(), reads: 0 }
    }
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = self.lens[self.reads % self.lens.len()].min(buffer.len()).min(self.bytes.len());
        let (now, rest) = self.bytes.split_at(len);
        buffer[..len].copy_from_slice(now);
        self.bytes = rest;
        Ok(len)
    }
}

/// All values of a stream, each on its line, and the error at its end.
fn stream(mut values: Transcoder<impl Read>) -> (Vec<u8>, Option<(&'static str, u64)>) {
    let mut whole = Vec::new();
    loop {
        let mut value = Vec::new();
        match values.next_value(&mut value) {
            Ok(true) => {
                whole.extend(value);
                whole.push(b'\n');
            }
            Ok(false) => return (whole, None),
            Err(error) => return (whole, Some((error.code(), error.at))),
        }
    }
}

fn pack(value: &impl Serialize) -> Vec<u8> {
    AnyCodec::MSGPACK.to_vec(value).expect("encodes")
}

fn packed_error(bytes: &[u8]) -> (&'static str, u64) {
    packed_error_with(bytes, JsonForm::default())
}

fn packed_error_with(bytes: &[u8], form: JsonForm) -> (&'static str, u64) {
    let error: TranscodeError = msgpack_to_json(bytes, form, &mut Vec::new()).unwrap_err().into();
    assert!(to_json_with(AnyCodec::MSGPACK, bytes, form).is_err());
    let (_, streamed) = stream(Transcoder::msgpack_to_json(Trickle::new(bytes, &[1]), form));
    // In a row of values nothing trails.
    if error.code() != "trailing" {
        assert_eq!(streamed, Some((error.code(), error.at)), "{bytes:x?}");
    }
    (error.code(), error.at)
}

fn text_error(text: impl AsRef<[u8]>) -> (&'static str, u64) {
    let text = text.as_ref();
    let error: TranscodeError = json_to_msgpack(text).unwrap_err().into();
    let again = json_to_json(text, JsonForm::default(), &mut Vec::new()).unwrap_err();
    let again = TranscodeError::from(again);
    assert_eq!((again.code(), again.at), (error.code(), error.at));
    let (_, streamed) = stream(Transcoder::json_to_msgpack(Trickle::new(text, &[1])));
    if error.code() != "trailing" {
        assert_eq!(streamed, Some((error.code(), error.at)), "{}", text.escape_ascii());
    }
    (error.code(), error.at)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn messagepack_becomes_the_text_that_serde_json_writes(tree in tree(false)) {
        let packed = pack(&tree);
        let text = serde_json::to_string(&tree).expect("JSON");
        prop_assert_eq!(&to_json(AnyCodec::MSGPACK, &packed).expect("good"), &text);
        prop_assert_eq!(&to_json(AnyCodec::JSON, text.as_bytes()).is_ok(), &true);
        let pretty = serde_json::to_string_pretty(&tree).expect("JSON");
        prop_assert_eq!(to_json_pretty(AnyCodec::MSGPACK, &packed).expect("good"), pretty);
    }

    #[test]
    fn canonical_messagepack_goes_through_json_unchanged(tree in tree(true)) {
        let packed = pack(&tree);
        let text = to_json(AnyCodec::MSGPACK, &packed).expect("good");
        prop_assert_eq!(&from_json(AnyCodec::MSGPACK, &text).expect("good"), &packed);
        let pretty = to_json_pretty(AnyCodec::JSON, text.as_bytes()).expect("good");
        prop_assert_eq!(&from_json(AnyCodec::MSGPACK, &pretty).expect("good"), &packed);
        prop_assert_eq!(from_json(AnyCodec::JSON, &pretty).expect("good"), text.into_bytes());
    }

    #[test]
    fn a_reader_gives_what_a_slice_gives_however_it_is_cut(
        trees in proptest::collection::vec(tree(false), 0..4),
        lens in proptest::collection::vec(1..40_usize, 1..4),
    ) {
        let packed: Vec<u8> = trees.iter().flat_map(pack).collect();
        let lines: String = trees
            .iter()
            .map(|tree| serde_json::to_string(tree).expect("JSON") + "\n")
            .collect();
        let form = JsonForm::default();
        let values = Transcoder::msgpack_to_json(Trickle::new(&packed, &lens), form);
        prop_assert_eq!(stream(values), (lines.clone().into_bytes(), None));
        // An f32 is read back as the f64 of the same digits, so the text is the measure.
        let canonical: String = trees
            .iter()
            .map(|tree| {
                let text = serde_json::to_string(tree).expect("JSON");
                to_json(AnyCodec::JSON, text.as_bytes()).expect("good") + "\n"
            })
            .collect();
        let values = Transcoder::json_to_json(Trickle::new(lines.as_bytes(), &lens), form);
        prop_assert_eq!(stream(values), (canonical.into_bytes(), None));
        let mut repacked = Vec::new();
        for line in lines.lines() {
            repacked.extend(from_json(AnyCodec::MSGPACK, line).expect("good"));
            repacked.push(b'\n');
        }
        let values = Transcoder::json_to_msgpack(Trickle::new(lines.as_bytes(), &lens));
        prop_assert_eq!(stream(values), (repacked, None));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_are_judged_alike_in_pieces(
        bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(&b"[]{},:\" \\u0123eE+-.tfn\x80\x92\xc0\xd9"[..])],
            0..64,
        ),
        len in 1..5_usize,
    ) {
        for codec in [AnyCodec::MSGPACK, AnyCodec::JSON] {
            let _ = to_json(codec, &bytes);
        }
        let form = JsonForm::default();
        let (whole, pieces) = (Trickle::new(&bytes, &[64]), Trickle::new(&bytes, &[len]));
        prop_assert_eq!(
            stream(Transcoder::msgpack_to_json(whole, form)),
            stream(Transcoder::msgpack_to_json(pieces, form))
        );
        let (whole, pieces) = (Trickle::new(&bytes, &[64]), Trickle::new(&bytes, &[len]));
        prop_assert_eq!(
            stream(Transcoder::json_to_msgpack(whole)),
            stream(Transcoder::json_to_msgpack(pieces))
        );
    }

    /// Stricter are duplicate keys, and integers that serde_json makes floats of.
    #[test]
    fn text_is_judged_as_serde_json_judges_it_or_more_strictly(
        tokens in proptest::collection::vec(
            prop_oneof![
                prop::sample::select(&[
                    "[", "]", "{", "}", ",", ":", " ", "\n", "\"", "\"a\"", "\"b\":", "\\", "\\u00e9",
                    "\\ud83d", "\\ude00", "null", "true", "false", "nul", "0", "-", "1", "12", ".5",
                    "e1", "E+", "1e5", "é", "\u{7f}", "\t", "[]", "{}", "\"\"",
                ][..]).prop_map(str::to_owned),
                any::<char>().prop_map(String::from),
            ],
            0..12,
        ),
    ) {
        let text = tokens.concat();
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match (json_to_msgpack(text.as_bytes()).map_err(TranscodeError::from), theirs) {
            (Ok(_), Err(error)) => prop_assert!(false, "{text}: {error}"),
            (Err(error), Ok(_)) => {
                prop_assert!(["duplicate-key", "integer-range"].contains(&error.code()), "{text}: {error}");
            }
            _ => {}
        }
    }
}

#[test]
fn random_doubles_keep_their_bits_through_every_transcoder() {
    const DOUBLES: usize = 1_000_000;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let high = state >> 32;
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        f64::from_bits(high << 32 | state >> 32)
    };
    let doubles: Vec<f64> =
        std::iter::repeat_with(&mut random).filter(|x| x.is_finite()).take(DOUBLES).collect();
    let packed = pack(&doubles);
    let text = to_json(AnyCodec::MSGPACK, &packed).expect("good");
    assert!(from_json(AnyCodec::MSGPACK, &text).expect("good") == packed);
    assert!(from_json(AnyCodec::JSON, &text).expect("good") == text.as_bytes());
    let mut streamed = Vec::new();
    let mut values = Transcoder::msgpack_to_json(&packed[..], JsonForm::default());
    assert!(values.next_value(&mut streamed).expect("good"));
    assert!(streamed == text.as_bytes());
    streamed.clear();
    assert!(Transcoder::json_to_msgpack(text.as_bytes()).next_value(&mut streamed).expect("good"));
    assert!(streamed == packed);
}

#[test]
fn u64_above_2_pow_53_survives_or_is_refused_never_rounded() {
    let max_safe = (1_u64 << 53) - 1;
    let form = |integers| JsonForm { pretty: false, integers };
    for beyond in [max_safe + 1, max_safe + 2, u64::MAX] {
        for (value, digits) in [
            (Tree::Unsigned(beyond), beyond.to_string()),
            (Tree::Signed(-i64::try_from(beyond >> 1).expect("63 bits") - 1), {
                let negative = -i128::from(beyond >> 1) - 1;
                negative.to_string()
            }),
        ] {
            let small = matches!(value, Tree::Signed(n) if n.unsigned_abs() <= max_safe);
            let (packed, text) = (pack(&value), digits.as_bytes());
            for (codec, bytes) in [(AnyCodec::MSGPACK, &packed[..]), (AnyCodec::JSON, text)] {
                let with = |integers| to_json_with(codec, bytes, form(integers));
                assert_eq!(with(Integers::Exact).expect("good"), digits);
                let quoted = format!("\"{digits}\"");
                let expected = if small { &digits } else { &quoted };
                assert_eq!(&with(Integers::String).expect("good"), expected);
                assert_eq!(with(Integers::Refuse).is_ok(), small);
            }
            assert_eq!(from_json(AnyCodec::MSGPACK, &digits).expect("good"), packed);
        }
    }
    // The largest that JavaScript knows stays a number, and so does any float.
    let safe = pack(&(max_safe, -(max_safe.cast_signed()), 1e300));
    let text = to_json_with(AnyCodec::MSGPACK, &safe, form(Integers::Refuse)).expect("good");
    assert_eq!(text, "[9007199254740991,-9007199254740991,1e+300]");
    let beyond = pack(&[1, max_safe + 1]);
    assert_eq!(packed_error_with(&beyond, form(Integers::Refuse)), ("unsafe-integer", 2));
}

#[test]
fn every_form_of_an_integer_is_read_and_the_shortest_is_written() {
    for bytes in [
        &b"\x05"[..],
        b"\xcc\x05",
        b"\xcd\0\x05",
        b"\xce\0\0\0\x05",
        b"\xcf\0\0\0\0\0\0\0\x05",
        b"\xd0\x05",
        b"\xd1\0\x05",
        b"\xd2\0\0\0\x05",
        b"\xd3\0\0\0\0\0\0\0\x05",
    ] {
        assert_eq!(to_json(AnyCodec::MSGPACK, bytes).expect("good"), "5", "{bytes:x?}");
    }
    for bytes in [
        &b"\xfb"[..],
        b"\xd0\xfb",
        b"\xd1\xff\xfb",
        b"\xd2\xff\xff\xff\xfb",
        b"\xd3\xff\xff\xff\xff\xff\xff\xff\xfb",
    ] {
        assert_eq!(to_json(AnyCodec::MSGPACK, bytes).expect("good"), "-5", "{bytes:x?}");
    }
    for shift in 0..64 {
        for value in [1_u64 << shift, (1 << shift) - 1] {
            let packed = from_json(AnyCodec::MSGPACK, &value.to_string()).expect("good");
            assert_eq!(packed, pack(&value));
            let Ok(negative) = i64::try_from(-i128::from(value)) else { continue };
            if negative != 0 {
                let packed = from_json(AnyCodec::MSGPACK, &negative.to_string()).expect("good");
                assert_eq!(packed, pack(&negative));
            }
        }
    }
}

#[test]
fn the_length_of_a_container_decides_its_header() {
    for len in [0, 1, 15, 16, 17, 65_535, 65_536, 70_000] {
        let array: Vec<u8> = (0..len).map(|i: u32| i.to_le_bytes()[0] & 0x7f).collect();
        let text = serde_json::to_string(&array).expect("JSON");
        assert_eq!(from_json(AnyCodec::MSGPACK, &text).expect("good"), pack(&array), "{len}");
        let map: std::collections::BTreeMap<String, Vec<u32>> =
            (0..len).map(|i| (i.to_string(), vec![i; 17])).collect();
        let text = serde_json::to_string(&map).expect("JSON");
        assert!(from_json(AnyCodec::MSGPACK, &text).expect("good") == pack(&map), "{len}");
        assert!(to_json(AnyCodec::MSGPACK, &pack(&map)).expect("good") == text, "{len}");
    }
    for len in [0, 13, 14, 15, 16, 31, 32, 255, 256, 65_535, 65_536, 200_000] {
        for text in ["a".repeat(len), format!("\n{}", "é".repeat(len / 2))] {
            let json = serde_json::to_string(&text).expect("JSON");
            assert!(from_json(AnyCodec::MSGPACK, &json).expect("good") == pack(&text), "{len}");
            let mut streamed = Vec::new();
            let pieces = Trickle::new(json.as_bytes(), &[1000]);
            Transcoder::json_to_msgpack(pieces).next_value(&mut streamed).expect("good");
            assert!(streamed == pack(&text), "{len}");
        }
    }
}

#[test]
fn headers_that_grow_across_segments_leave_the_rest_in_place() {
    // Containers open at every depth while the segments fill, each growing after the next is closed.
    let mut value = serde_json::json!([]);
    for depth in 0..20 {
        let mut members = vec![serde_json::json!("x".repeat(5000 + depth)); 3];
        members.push(value);
        members.extend((0..70 * depth).map(serde_json::Value::from));
        value = serde_json::Value::Array(members);
    }
    let text = value.to_string();
    assert!(from_json(AnyCodec::MSGPACK, &text).expect("good") == pack(&value));
}

#[test]
fn keys_that_serde_json_makes_text_of_become_text_and_no_others_do() {
    let keys = b"\x84\x01\xc0\xff\xc0\xc3\xc0\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc0";
    let text = r#"{"1":null,"-1":null,"true":null,"18446744073709551615":null}"#;
    assert_eq!(to_json(AnyCodec::MSGPACK, keys).expect("good"), text);
    for key in [
        &b"\xc0"[..],
        b"\xca\0\0\0\0",
        b"\xcb\0\0\0\0\0\0\0\0",
        b"\xc4\x01a",
        b"\x90",
        b"\x80",
        b"\xd4\0\0",
    ] {
        assert_eq!(
            packed_error(&[b"\x81", key, b"\xc0"].concat()),
            ("key-not-text", 1),
            "{key:x?}"
        );
    }
    // 1 and "1" would be one key.
    assert_eq!(packed_error(b"\x82\x01\xc0\xa11\xc0"), ("duplicate-key", 3));
}

#[test]
fn a_key_that_comes_twice_is_found_however_it_is_written_and_wherever_it_stands() {
    assert_eq!(packed_error(b"\x82\xa1a\xc0\xa1a\xc0"), ("duplicate-key", 4));
    assert_eq!(packed_error(b"\x82\xa1a\xc0\xd9\x01a\xc0"), ("duplicate-key", 4));
    assert_eq!(text_error(r#"{"a":1,"b":2,"\u0061":3}"#), ("duplicate-key", 13));
    // In different maps they are no two.
    let same = r#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#;
    assert_eq!(from_json(AnyCodec::JSON, same).expect("good"), same.as_bytes());
    assert_eq!(text_error(r#"{"a":{"a":1},"a":2}"#), ("duplicate-key", 13));
    for key_len in [1, 13, 14, 15, 16, 63, 64, 65, 128, 200, 70_000] {
        for members in [2, 16, 17, 18, 40] {
            let zeros = "0".repeat(key_len);
            let key = |i: usize| format!("{}{i}", &zeros[..key_len - i.to_string().len()]);
            if members.to_string().len() > key_len {
                continue;
            }
            let pairs: Vec<String> = (0..members).map(|i| format!("\"{}\":0,", key(i))).collect();
            let mut text = format!("{{{}", pairs.concat());
            let at = text.len() as u64;
            text += &format!("\"{}\":1}}", key(members / 2));
            assert_eq!(text_error(&text), ("duplicate-key", at), "{key_len} {members}");
            let distinct = text.replace("\":1}", "_\":1}");
            let packed = from_json(AnyCodec::MSGPACK, &distinct).expect("good");
            assert!(to_json(AnyCodec::MSGPACK, &packed).expect("good") == distinct);
        }
    }
}

#[test]
fn depth_is_limited_as_the_codecs_limit_it() {
    let nested = |depth| ("[".repeat(depth) + &"]".repeat(depth), vec![0x91; depth - 1]);
    for depth in [MAX_DEPTH, MAX_DEPTH + 1, 100_000] {
        let (text, mut packed) = nested(depth);
        packed.push(0x90);
        let good = depth <= MAX_DEPTH;
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), good);
        assert_eq!(AnyCodec::MSGPACK.decode::<serde_json::Value>(&packed).is_ok(), good);
        if good {
            assert_eq!(from_json(AnyCodec::MSGPACK, &text).expect("good"), packed);
            assert_eq!(to_json(AnyCodec::MSGPACK, &packed).expect("good"), text);
        } else {
            assert_eq!(text_error(&text), ("too-deep", MAX_DEPTH as u64));
            assert_eq!(packed_error(&packed), ("too-deep", MAX_DEPTH as u64));
        }
    }
    let maps = "{\"a\":".repeat(MAX_DEPTH + 1);
    assert_eq!(text_error(maps), ("too-deep", 5 * MAX_DEPTH as u64));
}

#[test]
fn bad_messagepack_is_refused_at_its_byte() {
    let nan = [b"\x91\xcb", &f64::NAN.to_be_bytes()[..]].concat();
    for (bytes, code, at) in [
        (&b""[..], "truncated", 0),
        (b"\x92\x01", "truncated", 2),
        (b"\xdd\xff\xff\xff\xff", "truncated", 5),
        (b"\xdf\xff\xff\xff\xff\xa1a", "truncated", 7),
        (b"\xdb\xff\xff\xff\xffabc", "truncated", 8),
        (b"\xc6\xff\xff\xff\xff\x01\x02", "truncated", 7),
        (b"\xcf\x01", "truncated", 2),
        (b"\xd9", "truncated", 1),
        (b"\x81\xa5ab", "truncated", 4),
        (b"\x01\x02", "trailing", 1),
        (b"\x90\xc1", "trailing", 1),
        (b"\x92\x01\xc1", "reserved-byte", 2),
        (b"\x91\xd6\xff\0\0\0\0", "extension", 1),
        (b"\xc7\x01\x05\x00", "extension", 0),
        (&nan, "not-finite", 1),
        (b"\xca\x7f\x80\0\0", "not-finite", 0),
        (b"\xa3a\xffb", "invalid-utf8", 2),
        (b"\xa3ab\xe2", "invalid-utf8", 3),
        (b"\xa4ab\xe2\x82", "invalid-utf8", 3),
        (b"\xa3\xed\xa0\x80", "invalid-utf8", 1),
        (b"\x81\xa2\xc3(\xc0", "invalid-utf8", 2),
    ] {
        if bytes.is_empty() {
            // A row of no values is good; one value it is not.
            assert!(to_json(AnyCodec::MSGPACK, bytes).is_err());
            continue;
        }
        assert_eq!(packed_error(bytes), (code, at), "{}", bytes.escape_ascii());
    }
}

#[test]
fn bad_text_is_refused_at_its_byte() {
    for (text, code, at) in [
        (&b"[1"[..], "truncated", 2),
        (b"\"ab", "truncated", 3),
        (b"\"a\\u00", "truncated", 6),
        (b"nul", "truncated", 3),
        (b"-", "truncated", 1),
        (b"{\"a\"", "truncated", 4),
        (b"1 2", "trailing", 2),
        (b"[] x", "trailing", 3),
        (b"truefalse", "trailing", 4),
        (b"[1,]", "syntax", 3),
        (b"[1 2]", "syntax", 3),
        (b"{\"a\" 1}", "syntax", 5),
        (b"{a:1}", "syntax", 1),
        (b"{\"a\":1,}", "syntax", 7),
        (b"nulx", "syntax", 3),
        (b"01", "syntax", 1),
        (b"[1.]", "syntax", 3),
        (b"+1", "syntax", 0),
        (b"\xef\xbb\xbf1", "syntax", 0),
        (b"'a'", "syntax", 0),
        (b"\"\\x\"", "syntax", 2),
        (b"\"\\u00g0\"", "syntax", 5),
        (b"[18446744073709551616]", "integer-range", 1),
        (b"-9223372036854775809", "integer-range", 0),
        (b"[0,1e400]", "float-range", 3),
        (b"\"a\nb\"", "control-character", 2),
        (b"\"\\ud800\"", "lone-surrogate", 1),
        (b"\"x\\udc00\"", "lone-surrogate", 2),
        (b"\"\\ud800\\n\"", "lone-surrogate", 1),
        (b"\"\\ud800\\ud800\"", "lone-surrogate", 1),
        (b"\"a\xff\"", "invalid-utf8", 2),
        (b"\"a\xe2\x82\"", "invalid-utf8", 2),
        (b"\"a\xe2\x82\\n\"", "invalid-utf8", 2),
        (b"\"\xed\xa0\x80\"", "invalid-utf8", 1),
        (b"{\"a\":1,\"a\":1}", "duplicate-key", 7),
    ] {
        assert_eq!(text_error(text), (code, at), "{}", text.escape_ascii());
    }
    let empty: TranscodeError = json_to_msgpack(b" ").unwrap_err().into();
    assert_eq!((empty.code(), empty.at), ("truncated", 1));
}

#[test]
fn numbers_are_read_as_serde_json_reads_them() {
    for text in ["0", "-0", "-0.0", "1.0", "1e3", "-1", "0.1", "1E-7", "123456789.125", "1e-400"] {
        let theirs: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(from_json(AnyCodec::JSON, text).expect("good"), theirs.to_string().into_bytes());
        assert_eq!(from_json(AnyCodec::MSGPACK, text).expect("good"), pack(&theirs), "{text}");
    }
}

#[test]
fn values_in_a_row_need_white_space_only_where_they_would_run_together() {
    let form = JsonForm::default();
    let values =
        stream(Transcoder::json_to_json(&b" 1\n2[3]{\"a\":4}\"b\"\"c\"true null\t\r\n"[..], form));
    let lines = b"1\n2\n[3]\n{\"a\":4}\n\"b\"\n\"c\"\ntrue\nnull\n".to_vec();
    assert_eq!(values, (lines, None));
    let values = stream(Transcoder::json_to_msgpack(&b"[1] 2 x"[..]));
    assert_eq!(values, (b"\x91\x01\n\x02\n".to_vec(), Some(("syntax", 6))));
    let mut values = Transcoder::msgpack_to_json(&b"\x01\xc1"[..], form);
    let mut out = Vec::new();
    assert!(values.next_value(&mut out).expect("good"));
    assert_eq!(values.next_value(&mut out).expect_err("bad").code(), "reserved-byte");
    assert!(!values.next_value(&mut out).expect("ended"));
    assert_eq!(out, b"1");
}

#[test]
fn a_failing_reader_or_writer_is_told_apart_from_bad_input() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    impl io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let kind = |error: &TranscodeError| {
        let source = std::error::Error::source(error).expect("the system's error");
        source.downcast_ref::<std::sync::Arc<io::Error>>().map(|e| e.kind())
    };
    let start = &b"\x92\x01"[..];
    let error = Transcoder::msgpack_to_json(start.chain(Broken), JsonForm::default())
        .next_value(&mut Vec::new())
        .expect_err("broken");
    assert_eq!((error.code(), error.at), ("read-failed", 2));
    assert_eq!(kind(&error), Some(io::ErrorKind::ConnectionReset));
    for packed in [pack(&1), pack(&"x".repeat(1 << 20)), pack(&vec![0; 1 << 18])] {
        let error = Transcoder::msgpack_to_json(&packed[..], JsonForm::default())
            .next_value(&mut Broken)
            .expect_err("broken");
        assert_eq!(error.code(), "write-failed");
        assert_eq!(kind(&error), Some(io::ErrorKind::BrokenPipe));
    }
    let error = Transcoder::json_to_msgpack(&b"1"[..]).next_value(&mut Broken).expect_err("broken");
    assert_eq!(error.code(), "write-failed");
}

#[test]
fn a_codec_of_ones_own_goes_by_the_same_rules() {
    use serde::de::DeserializeSeed;
    use tramline_core::FrameWriter;
    use tramline_core::codec::{Codec, Json};

    /// JSON that ends with a mark.
    struct Marked;

    impl Codec for Marked {
        const NAME: &'static str = "marked";

        fn encode<T: Serialize + ?Sized>(
            value: &T,
            out: &mut FrameWriter<'_>,
        ) -> Result<(), EncodeError> {
            Json::encode(value, out)?;
            out.put(b"!").map_err(|e| EncodeError::new(Self::NAME, e))
        }

        fn decode_seed<'de, S: DeserializeSeed<'de>>(
            seed: S,
            input: &'de [u8],
        ) -> Result<S::Value, DecodeError> {
            Json::decode_seed(seed, input.strip_suffix(b"!").unwrap_or_default())
        }
    }

    let codec = AnyCodec::custom::<Marked>();
    let text = r#"{"z":18446744073709551615,"a":[0.1,null,"é"]}"#;
    let encoded = from_json(codec, text).expect("good");
    assert_eq!(encoded, format!("{text}!").into_bytes());
    assert_eq!(to_json(codec, &encoded).expect("good"), text);
    assert!(from_json(codec, r#"{"a":1,"a":2}"#).is_err());
    assert!(from_json(codec, "18446744073709551616").is_err());
    assert!(to_json(codec, br#"{"a":1,"a":2}!"#).is_err());
    assert!(to_json(codec, b"1").is_err());
}
