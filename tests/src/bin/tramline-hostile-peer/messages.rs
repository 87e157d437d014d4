//! Attacks by messages: good records with bad envelopes, bad bodies, or too many of them.

use serde_json::json;
use tramline_core::AnyCodec;
use tramline_core::Limits;
use tramline_core::envelope::{BodyKind, Head, Kind};
use tramline_core::events::EventTarget;
use tramline_core::limits::MAX_HELLO_LEN;
use tramline_core::session::{Hello, Listens};
use tramline_tests::random::Random;
use tramline_tests::raw::{RawPeer, greeting};

use crate::link::{Answer, Link, frame};
use crate::meeting::Socket;
use crate::stage::Stage;

fn head(kind: Kind, body: BodyKind, id: u64, name: &str) -> Vec<u8> {
    frame(&Head::new(kind, body, id, name), b"")
}

/// A request whose byte at `at` is another one.
fn spoilt(at: usize, byte: u8) -> Vec<u8> {
    let mut message = head(Kind::Request, BodyKind::Empty, 77, "add");
    message[at] = byte;
    message
}

/// Envelopes that break a rule, each with a name for it.
pub(crate) fn bad_envelopes() -> Vec<(String, Vec<u8>)> {
    let mut bad = vec![
        ("empty".into(), vec![]),
        ("one byte".into(), vec![3]),
        ("fifteen bytes".into(), head(Kind::Request, BodyKind::Empty, 1, "")[..15].to_vec()),
        ("body kind 3".into(), spoilt(1, 3)),
        ("body kind 255".into(), spoilt(1, 255)),
        ("name beyond the message".into(), spoilt(2, 4)),
        ("longest name beyond the message".into(), spoilt(2, 255)),
        ("flags".into(), spoilt(3, 1)),
        ("extension".into(), spoilt(4, 1)),
        ("extension, high byte".into(), spoilt(5, 0x80)),
        ("reserved".into(), spoilt(6, 1)),
        ("reserved, high byte".into(), spoilt(7, 0x80)),
        ("name that is not UTF-8".into(), spoilt(17, 0xFF)),
        (
            "empty body that is not".into(),
            [head(Kind::Request, BodyKind::Empty, 1, "add"), vec![1]].concat(),
        ),
    ];
    for kind in [0, 13, 14, 127, 255] {
        bad.push((format!("message kind {kind}"), spoilt(0, kind)));
    }
    bad
}

pub(crate) fn bad_envelope(stage: &Stage) {
    for (variant, message) in bad_envelopes() {
        stage.variant(&variant, || {
            let mut link = Link::open(&stage.name, &variant);
            assert!(link.add());
            link.message(&message);
            link.until_hung_up();
        });
    }
}

fn good_hello() -> Hello {
    Hello::new(AnyCodec::JSON, &Limits::default(), Some("late".into()), Vec::new())
}

pub(crate) fn second_hello(stage: &Stage) {
    stage.variant("the same again", || {
        let mut link = Link::open(&stage.name, "the same again");
        link.message(&good_hello().to_frame());
        link.until_hung_up();
    });
    stage.variant("a larger one", || {
        let mut link = Link::open(&stage.name, "a larger one");
        let listens = (0..5000).map(|n| format!("event-{n}").as_str().into()).collect();
        let hello = Hello { listens, ..good_hello() };
        link.message(&hello.to_frame());
        link.until_hung_up();
    });
}

pub(crate) fn bad_hello(stage: &Stage) {
    let long = |len: usize| Hello { label: Some("x".repeat(len)), ..good_hello() }.to_frame();
    let json = |body: &[u8]| frame(&hello_head(), body);
    let listens_as = |target: &EventTarget| {
        let listens = vec![Listens::As { event: "down".into(), target: target.clone() }];
        Hello { listens, ..good_hello() }.to_frame()
    };
    let deep = [br#"{"protocol":1,"x":"#.as_slice(), &[b'['; 10_000]].concat();
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("a call before hello", head(Kind::Request, BodyKind::Empty, 1, "add")),
        ("too large", long(MAX_HELLO_LEN)),
        ("label too long", long(256)),
        ("another version", Hello { protocol: 7, ..good_hello() }.to_frame()),
        ("unknown codec", Hello { codec: "cbor".into(), ..good_hello() }.to_frame()),
        ("limit too small", Hello { max_message_len: 10, ..good_hello() }.to_frame()),
        ("no event name", Hello { listens: vec!["a b".into()], ..good_hello() }.to_frame()),
        ("listens as a long label", listens_as(&EventTarget::window("x".repeat(256)))),
        (
            "listens as nobody",
            json(br#"{"protocol":1,"codec":"json","max_message_len":70000,"listens":[{"event":"a","target":{"kind":"Nobody"}}]}"#),
        ),
        ("no JSON", json(b"{")),
        ("nothing", json(b"")),
        ("another type", json(b"[1,2,3]")),
        ("negative numbers", json(br#"{"protocol":-1,"codec":"json","max_message_len":-5}"#)),
        ("nested", json(&deep)),
        ("not UTF-8", json(b"{\"protocol\":1,\"codec\":\"\xff\",\"max_message_len\":70000}")),
        ("garbage", Random::new(3).bytes(500)),
    ];
    for (variant, message) in bad {
        stage.variant(variant, || {
            let mut link = Link::over(Socket::greeted(&stage.name));
            link.message(&message);
            let answer = link.receive();
            let name = answer.as_ref().and_then(|bytes| bytes.get(16..)).unwrap_or_default();
            stage.fact(String::from_utf8_lossy(name));
        });
    }
}

fn hello_head() -> Head<'static> {
    Head::new(Kind::Hello, BodyKind::Structured, 0, "")
}

pub(crate) fn subscriptions(stage: &Stage) {
    stage.variant("ten thousand names", || {
        let mut link = Link::open(&stage.name, "ten thousand names");
        stage.fact(format_args!("{} taken", subscribe(&mut link, false)));
        assert!(link.add());
    });
    stage.variant("on and off", || {
        let mut link = Link::open(&stage.name, "on and off");
        stage.fact(format_args!("{} taken", subscribe(&mut link, true)));
        assert!(link.add());
    });
}

/// Subscribes to ten thousand long names, and takes each back at once if it says so: how many were
/// taken.
fn subscribe(link: &mut Link, take_back: bool) -> usize {
    /// As many as the smallest ring holds.
    const AT_ONCE: u8 = 50;
    let mut taken = 0;
    for first in (0..10_000).step_by(AT_ONCE.into()) {
        for number in first..first + u64::from(AT_ONCE) {
            let name = format!("{number:0>250}");
            link.message(&head(Kind::Subscribe, BodyKind::Empty, number + 1, &name));
            if take_back {
                link.message(&head(Kind::Unsubscribe, BodyKind::Empty, 0, &name));
            }
        }
        let answers = (0..AT_ONCE).map(|_| link.answer().expect("an answer to each"));
        taken += answers.filter(|answer| answer.kind == Kind::Response).count();
    }
    taken
}

pub(crate) fn unasked(stage: &Stage) {
    let kinds =
        [Kind::Response, Kind::Error, Kind::Cancel, Kind::Channel, Kind::ChannelEnd, Kind::Event];
    for kind in kinds {
        let variant = format!("{kind:?}");
        stage.variant(&variant, || {
            let mut link = Link::open(&stage.name, &variant);
            let mut random = Random::new(11);
            for _ in 0..5_000 {
                let id = if kind == Kind::Event { 0 } else { random.next_u64() };
                link.message(&head(kind, BodyKind::Empty, id, "nobody-knows"));
            }
            assert!(link.add(), "ignored, and the link works on");
        });
    }
}

pub(crate) fn forbidden(stage: &Stage) {
    stage.variant("commands and events", || {
        let mut link = Link::open(&stage.name, "commands and events");
        for name in ["forbidden", "no_such", "", "add\0", "../add", "ADD"] {
            // The arguments would not decode: they are not looked at.
            let answer = link.call(name, b"\xFF\xFF").expect("an answer");
            stage.fact(&answer.name);
        }
        link.message(&head(Kind::Subscribe, BodyKind::Empty, 900, "secret"));
        stage.fact(link.answer().expect("an answer").name);
        assert!(link.add());
    });
}

/// Bodies that hold nothing good, for commands that would take them.
fn json_bombs() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let nested = |prefix: &[u8], open: &[u8]| [prefix, &open.repeat(12_000)].concat();
    vec![
        ("nesting", "echo", nested(br#"{"value":"#, b"[")),
        ("nested maps", "echo", nested(br#"{"value":"#, br#"{"a":"#)),
        ("nesting under a key nobody asks for", "add", nested(br#"{"x":"#, b"[")),
        ("number too large", "add", br#"{"a":99999999999999999999,"b":1}"#.to_vec()),
        ("number without end", "add", br#"{"a":1e999999999,"b":1}"#.to_vec()),
        ("fraction", "add", br#"{"a":1.5,"b":1}"#.to_vec()),
        ("text that is not UTF-8", "echo_text", b"{\"text\":\"\xff\xfe\"}".to_vec()),
        ("half a character", "echo_text", br#"{"text":"\ud800"}"#.to_vec()),
        ("cut off", "add", br#"{"a":1,"b":"#.to_vec()),
        ("more behind it", "add", br#"{"a":1,"b":2}{}"#.to_vec()),
        ("a key twice", "add", br#"{"a":1,"a":2,"b":3}"#.to_vec()),
        ("too few", "add", b"[1]".to_vec()),
        ("no map", "add", b"true".to_vec()),
        ("zeros", "add", vec![0; 100]),
        ("numbers that are no bytes", "sum_bytes", br#"{"bytes":[1,2,300]}"#.to_vec()),
    ]
}

fn msgpack_bombs() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let under = |key: &str, value: &[u8]| {
        let key_len = 0xA0 | u8::try_from(key.len()).expect("short");
        [&[0x81, key_len], key.as_bytes(), value].concat()
    };
    let endless = |marker: u8| [marker, 0xFF, 0xFF, 0xFF, 0xFF];
    let deep = [vec![0x91; 50_000], vec![0xC0]].concat();
    vec![
        ("nesting", "echo", under("value", &deep)),
        ("nested maps", "echo", under("value", &[0x81, 0xA1, b'a'].repeat(16_000))),
        ("nesting under a key nobody asks for", "add", under("x", &deep)),
        ("array of 2^32", "echo", under("value", &endless(0xDD))),
        ("map of 2^32", "echo", under("value", &endless(0xDF))),
        ("arguments: map of 2^32", "add", endless(0xDF).to_vec()),
        ("arguments: array of 2^32", "add", endless(0xDD).to_vec()),
        ("text of 2^32", "echo_text", under("text", &endless(0xDB))),
        ("bytes of 2^32", "sum_bytes", under("bytes", &endless(0xC6))),
        ("bytes as array of 2^32", "sum_bytes", under("bytes", &endless(0xDD))),
        ("extension of 2^32", "echo", under("value", &endless(0xC9))),
        ("array of 2^32 nobody asks for", "add", under("x", &endless(0xDD))),
        ("reserved marker", "echo", under("value", &[0xC1])),
        ("text that is not UTF-8", "echo_text", under("text", &[0xA2, 0xFF, 0xFE])),
        ("keys that are no text", "add", vec![0x82, 1, 1, 2, 2]),
        ("cut off", "add", vec![0x82, 0xA1, b'a', 1]),
        ("more behind it", "add", vec![0x82, 0xA1, b'a', 1, 0xA1, b'b', 2, 0xC0]),
        ("nothing but a marker", "add", vec![0xDF]),
    ]
}

pub(crate) fn body_bombs(stage: &Stage) {
    for (codec, bombs) in [(AnyCodec::JSON, json_bombs()), (AnyCodec::MSGPACK, msgpack_bombs())] {
        stage.variant(codec.name(), || {
            let mut link = Link::open_as(&stage.name, codec.name(), codec);
            let tell = |what: &str, answer: Option<Answer>| match answer {
                Some(answer) => stage.fact(format_args!("{what}: {}", answer.name)),
                None => stage.fact(format_args!("{what}: hung up")),
            };
            for (what, command, body) in bombs {
                tell(what, link.call(command, &body));
            }
            let kinds =
                [("raw", BodyKind::Raw, "add"), ("not raw", BodyKind::Structured, "raw_length")];
            for (what, kind, command) in kinds {
                link.request(command, kind, b"\x01\x02");
                tell(what, link.answer());
            }
            let arguments = codec.to_vec(&json!({ "a": 1, "b": 1 })).expect("numbers");
            let answer = link.call("add", &arguments).expect("the link lives");
            assert_eq!(answer.kind, Kind::Response);
        });
    }
}

/// Urgent bytes between and inside the frames of a pipe.
pub(crate) fn urgent_on_the_pipe(stage: &Stage) {
    stage.variant("before hello and behind a call", || {
        let socket = Socket::connect(&stage.name);
        socket.send(&greeting(1));
        assert!(socket.fill(&mut [0; 8]), "a greeting");
        let again = Socket(socket.0.try_clone().expect("a descriptor"));
        again.send_urgent();
        let mut pipe = RawPeer::new(socket.0);
        let sum = call_over_pipe(&mut pipe, "before hello and behind a call");
        stage.fact(format_args!("the sum is {sum}"));
        for _ in 0..1000 {
            again.send_urgent();
        }
    });
    stage.variant("inside a frame", || {
        let socket = Socket::connect(&stage.name);
        socket.send(&greeting(1));
        assert!(socket.fill(&mut [0; 8]), "a greeting");
        let hello = Hello { label: Some("inside a frame".into()), ..good_hello() }.to_frame();
        let len = u32::try_from(hello.len()).expect("short");
        socket.send(&len.to_le_bytes());
        socket.send_urgent();
        let (first, second) = hello.split_at(20);
        socket.send(first);
        socket.send(second);
        let mut pipe = RawPeer::new(socket.0);
        Hello::read(&pipe.frame().expect("a hello")).expect("a hello");
        stage.fact("heard");
    });
}

/// Hello and one call over the pipe.
pub(crate) fn call_over_pipe(pipe: &mut RawPeer, label: &str) -> String {
    let hello = Hello { label: Some(label.into()), ..good_hello() };
    pipe.send_frame(&hello.to_frame());
    Hello::read(&pipe.frame().expect("a hello")).expect("a hello");
    let call = Head::new(Kind::Request, BodyKind::Structured, 1, "add");
    pipe.send_frame(&frame(&call, br#"{"a":1,"b":1}"#));
    let answer = pipe.frame().expect("an answer");
    String::from_utf8_lossy(&answer[16..]).into_owned()
}
