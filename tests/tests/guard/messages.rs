//! What passes, what is rewritten, and what is refused.

use std::sync::mpsc::channel;

use serde_json::{Value, json};
use tramline::guard::{Guard, GuardKind, Verdict};
use tramline::{
    AnyCodec, Capabilities, Client, ConnectError, EventTarget, InvokeError, ListenOptions,
    RecvError, Server,
};
use tramline_core::envelope::{BodyKind, Head, Kind};
use tramline_core::session::Hello;
use tramline_tests::codec::Marked;
use tramline_tests::fixture::{limits, serve_there};
use tramline_tests::raw::RawPeer;
use tramline_tests::{PATIENCE, Peer, Transport, bounded};

use crate::{Guarded, PEER, call, greet, refused};

/// A program that knows of no guard; what it has seen.
fn plain_program(endpoint: &str, codec: AnyCodec) -> Vec<Value> {
    let client = Client::connect(endpoint).codec(codec).label("first").limits(limits());
    let client = client.wait().expect("it serves");
    let mut seen = Vec::new();
    let mut note = |result: Result<Value, InvokeError>| {
        seen.push(match result {
            Ok(value) => value,
            Err(e) => json!([e.code(), e.to_string()]),
        });
    };
    note(call(&client, "add", json!({ "a": 1, "b": 2 })));
    note(call(&client, "add", json!({ "a": "one" })));
    note(call(&client, "userName", json!({ "userId": 7 })));
    note(call(&client, "user_name", json!({ "userId": 7, "firstName": "A", "type": null })));
    note(call(&client, "echo", json!({ "value": { "a": [1, -1.5, "\u{1f600}", null] } })));
    note(call(&client, "fail", json!({ "path": "x" })));
    note(call(&client, "panics", json!({})));
    note(call(&client, "nothing", json!({})));
    note(call(&client, "my_label", json!({})));
    note(client.invoke("request", json!({ "a": 1 })).header("h", "\u{e9}").wait());
    let upload = client.invoke("upload", json!({ "title": "t" }));
    note(upload.attach("first", &[1, 2][..]).attach("second", &[3][..]).wait());
    note(client.invoke_raw("raw_length", vec![7_u8; 100_000]).wait());
    let (to, reader) = client.channel::<(u64, String)>();
    note(call(&client, "count_to", json!({ "count": 300, "ballast": 100, "numbers": to })));
    seen.push(reader.into_iter().map(|number| number.expect("a number").0).sum::<u64>().into());
    let (told, heard) = channel();
    let listener = move |event: tramline::Event<'_>| {
        let _ = told.send(event.payload::<Value>().expect("a value"));
    };
    client.listen("down", listener).wait().expect("allowed");
    let args = json!({ "event": "down", "first": 5, "count": 3 });
    let emitted: Value = client.invoke("emit_numbers", args).wait().expect("allowed");
    seen.push(emitted);
    seen.extend((0..3).map(|_| heard.recv_timeout(PATIENCE).expect("emitted")));
    seen
}

#[test]
fn plain_client_works_without_changes() {
    for (transport, codec) in [
        (Transport::Shm, AnyCodec::MSGPACK),
        (Transport::Pipe, AnyCodec::JSON),
        (Transport::Pipe, AnyCodec::MSGPACK),
    ] {
        bounded(move || {
            let core = transport.endpoint();
            let _core = serve_there(PEER, &core, &limits());
            let plain = plain_program(&core, codec);
            assert_eq!(plain[0], 3, "{plain:?}");
            let endpoint = transport.endpoint();
            let _guard = Peer::ready(PEER, &["guard", &endpoint, &core]);
            assert_eq!(plain_program(&endpoint, codec), plain);
        });
    }
}

#[test]
fn guard_sees_rewrites_and_refuses() {
    for transport in [Transport::Shm, Transport::Pipe] {
        let there = Guarded::open(transport);
        bounded(move || {
            let client = there.client("main");
            assert_eq!(greet(&client, "you").expect("it passes"), "hello you");
            // Refused: the core never sees it.
            let before = there.core.counts();
            assert_eq!(
                refused(call(&client, "wipe", json!({ "value": 1 }))),
                "nothing is wiped here"
            );
            assert_eq!(there.core.counts(), before);
            call(&client, "wipe_inline", json!({ "value": 1 })).expect("it passes");
            assert_eq!(there.core.counts().ran, before.ran + 1);
            // Rewritten on the way there and on the way back.
            assert_eq!(greet(&client, "old").expect("rewritten"), "hello new");
            assert_eq!(greet(&client, "secret").expect("rewritten"), "hello nobody");
            assert_eq!(refused(greet(&client, "password")), "this stays here");
            let failed = call(&client, "read", json!({ "path": "x" })).expect_err("no scope");
            let InvokeError::Failed(failure) = failed else { panic!("{failed:?}") };
            let value: Value = failure.value().expect("an object");
            assert_eq!(value, json!({ "because": "of the guard" }));
            // Headers and labels are seen, too.
            let evil = client.invoke::<Value, _>("greet", json!({ "name": "you" }));
            assert_eq!(refused(evil.header("evil", "yes").wait()), "no such headers");
            assert_eq!(refused(greet(&there.client("nobody"), "you")), "nobody may call");
            // Events both ways.
            client.emit("up", &"stop").expect("sent");
            client.emit("up", &"go").expect("sent");
            assert_eq!(greet(&client, "behind them").expect("it passes"), "hello behind them");
            assert_eq!(there.core.counts().up, 1);
            let (told, heard) = channel();
            let listener = move |event: tramline::Event<'_>| {
                let _ = told.send(event.payload::<String>().expect("a text"));
            };
            client.listen("news", listener).wait().expect("it passes");
            there.core.control::<()>("emit", json!({ "event": "news" }));
            assert_eq!(heard.recv_timeout(PATIENCE).as_deref(), Ok("old news"));
            let ear = client.listen("secrets", |_| {}).wait().expect_err("refused");
            assert_eq!(
                (ear.code(), ear.to_string().as_str()),
                ("guard-refused", "nobody listens to these")
            );
        });
    }
}

#[test]
fn a_guard_that_panics_or_talks_nonsense_refuses() {
    let there = Guarded::open(Transport::Shm);
    bounded(move || {
        let client = there.client("main");
        let panicked = refused(call(&client, "wipe_async", json!({ "value": 1 })));
        assert_eq!(panicked, "the guard failed");
        let text = refused(greet(&client, "broken"));
        assert!(text.starts_with("the guard's words are no JSON: "), "{text}");
        assert_eq!(there.core.counts().ran, 0);
        assert_eq!(greet(&client, "you").expect("it still works"), "hello you");
    });
}

#[test]
fn channel_messages_pass_the_guard_and_one_that_is_refused_ends_its_channel() {
    bounded(|| {
        let core = Transport::Shm.endpoint();
        let _core = serve_there(PEER, &core, &limits());
        let guard = Guard::new(|message| match message.kind() {
            GuardKind::Channel if message.name() != "count_to" => Verdict::refuse("which one?"),
            GuardKind::Channel if message.json().is_some_and(|json| json.starts_with("[5,")) => {
                Verdict::refuse("not five")
            }
            GuardKind::Invoke if message.name() == "count_to_async" => Verdict::refuse("not this"),
            _ => Verdict::Allow,
        });
        let endpoint = Transport::Shm.endpoint();
        let guarding = guard.between(&endpoint, &core).start().expect("a free name");
        let client = Client::connect(&endpoint).limits(limits()).wait().expect("it serves");
        let count = |command: &str| {
            let (to, reader) = client.channel::<(u64, String)>();
            let called = call(&client, command, json!({ "count": 9, "ballast": 1, "numbers": to }));
            let came: Vec<_> =
                reader.into_iter().map(|number| number.map(|(number, _)| number)).collect();
            (called, came)
        };
        let code = |came: &[Result<u64, RecvError>]| match came.last() {
            Some(Err(RecvError::Failed(failure))) => failure.code().to_owned(),
            other => panic!("{other:?}"),
        };
        let (_, came) = count("count_to");
        assert_eq!(came.iter().flatten().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(code(&came), "guard-refused");
        // The channel of a call that is refused ends, too.
        let (called, came) = count("count_to_async");
        assert_eq!(refused(called), "not this");
        assert_eq!((came.len(), code(&came).as_str()), (1, "channel-not-taken"));
        guarding.stop();
    });
}

#[test]
fn guard_sees_as_what_somebody_listens_and_which_listeners_an_event_is_for() {
    bounded(|| {
        let (core, endpoint) = (Transport::Mem.endpoint(), Transport::Mem.endpoint());
        let (told, heard) = channel();
        let hears = move |event: tramline::Event<'_>| {
            let _ = told.send(event.name().to_owned());
        };
        let server = Server::new().allow(Capabilities::all()).listen_any("up", hears);
        let _core = server.start(&core).expect("a free name");
        let (tell, seen) = channel();
        let guard = Guard::new(move |message| {
            let _ = tell.send((message.kind(), message.targets().collect::<Vec<_>>()));
            Verdict::Allow
        });
        let guarding = guard.between(&endpoint, &core).start().expect("a free name");
        let client = Client::connect(&endpoint).limits(limits()).wait().expect("it serves");
        let main = EventTarget::window("main");
        // What the server listens to from the start.
        assert_eq!(seen.recv().expect("asked"), (GuardKind::Listen, vec![EventTarget::Any]));
        let as_main = ListenOptions::new().target(main.clone());
        client.listen("down", |_| {}).with(as_main).wait().expect("allowed");
        assert_eq!(seen.recv().expect("asked"), (GuardKind::Listen, vec![main.clone()]));
        assert_eq!(seen.recv().expect("asked").0, GuardKind::Answer);
        client.emit_to(main, "up", &1).expect("sent");
        assert_eq!(seen.recv().expect("asked"), (GuardKind::Event, vec![EventTarget::Any]));
        assert_eq!(heard.recv_timeout(PATIENCE).as_deref(), Ok("up"));
        guarding.stop();
    });
}

#[test]
fn a_codec_that_the_guard_cannot_read_is_refused() {
    bounded(|| {
        let there = Guarded::open(Transport::Pipe);
        let client = Client::connect(&there.endpoint).codec(AnyCodec::custom::<Marked>());
        match client.label("main").wait() {
            Err(ConnectError::Refused { code, .. }) => assert_eq!(&*code, "codec-refused"),
            other => panic!("{other:?}"),
        }
    });
}

/// A client of the guard's made by hand.
fn raw(there: &Guarded) -> RawPeer {
    let mut raw = RawPeer::greeted(there.endpoint.strip_prefix("pipe:").expect("a pipe"));
    let hello = Hello::new(AnyCodec::JSON, &limits(), Some("main".into()), vec!["secrets".into()]);
    raw.send_frame(&hello.to_frame());
    Hello::read(&raw.frame().expect("an answer")).expect("a hello");
    raw
}

fn frame(kind: Kind, id: u64, name: &str, body: &str) -> Vec<u8> {
    let head = Head::new(kind, BodyKind::Structured, id, name);
    [&head.to_bytes()[..], name.as_bytes(), body.as_bytes()].concat()
}

#[test]
fn what_the_guard_cannot_read_does_not_pass_and_what_breaks_a_rule_ends_the_link() {
    bounded(|| {
        let there = Guarded::open(Transport::Pipe);
        let client = there.client("main");
        // A key that stands twice: two readers might see two things.
        let mut twice = raw(&there);
        twice.send_frame(&frame(Kind::Request, 1, "wipe_inline", r#"{"value":1,"value":2}"#));
        let answer = String::from_utf8_lossy(&twice.frame().expect("an answer")).into_owned();
        assert!(answer.contains("guard-refused") && answer.contains("cannot read"), "{answer}");
        assert_eq!(there.core.counts().ran, 0);
        let second_hello = Hello::new(AnyCodec::JSON, &limits(), None, vec![]).to_frame();
        for broken in [vec![], vec![99; 16], second_hello] {
            let mut raw = raw(&there);
            raw.send_frame(&broken);
            raw.until_hung_up();
        }
        // What nobody waits for, and channels that nobody brought, mean nothing.
        let mut odd = raw(&there);
        for kind in [Kind::Response, Kind::Error, Kind::Channel, Kind::ChannelEnd, Kind::Cancel] {
            odd.send_frame(&frame(kind, 9, "", "1"));
        }
        odd.send_frame(&frame(Kind::Request, 2, "greet", r#"{"name":"odd"}"#));
        let answer = String::from_utf8_lossy(&odd.frame().expect("an answer")).into_owned();
        assert!(answer.ends_with("\"hello odd\""), "{answer}");
        assert_eq!(greet(&client, "you").expect("others are served"), "hello you");
    });
}

#[test]
fn a_number_of_two_calls_at_once_ends_the_link() {
    bounded(|| {
        let core = Transport::Pipe.endpoint();
        let _core = serve_there(PEER, &core, &limits());
        let endpoint = Transport::Pipe.endpoint();
        let _guard = Peer::ready(PEER, &["guard", &endpoint, &core]);
        let mut raw = RawPeer::greeted(endpoint.strip_prefix("pipe:").expect("a pipe"));
        raw.send_frame(&Hello::new(AnyCodec::JSON, &limits(), None, vec![]).to_frame());
        Hello::read(&raw.frame().expect("an answer")).expect("a hello");
        // An answer to the first would be judged as one to the second.
        raw.send_frame(&frame(Kind::Request, 1, "hold", r#"{"gate":"never"}"#));
        raw.send_frame(&frame(Kind::Request, 1, "token", "{}"));
        let answer = String::from_utf8_lossy(&raw.frame().expect("a goodbye")).into_owned();
        assert!(answer.contains("peer-fault"), "{answer}");
        raw.until_hung_up();
    });
}
