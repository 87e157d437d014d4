//! Connections in a codec whose bytes do not tell what they are.

use std::fmt::Debug;
use std::sync::mpsc::channel;

use futures_lite::future::block_on;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tramline::compat_json::{TypedView, ViewError, difference, message_to_json};
use tramline::{
    AnyCodec, Capabilities, Client, ConfigError, ConnectError, Error, InvokeError, Postcard,
    SendError, Server, command, commands, json,
};
use tramline_core::envelope::{BodyKind, Head, Kind};
use tramline_tests::fixture::limits;
use tramline_tests::typed::{Item, Refusal, Shape, item, serve, typed_commands};
use tramline_tests::{PATIENCE, Peer, Transport, bounded};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tramline-test-peer");

/// A server, here or in another process.
enum Side {
    #[allow(dead_code, reason = "held")]
    Here(tramline::Running),
    #[allow(dead_code, reason = "held")]
    There(Peer),
}

fn open(transport: Transport) -> (Side, String) {
    let endpoint = transport.endpoint();
    let side = match transport {
        Transport::Mem => Side::Here(serve(Server::new()).start(&endpoint).expect("it starts")),
        _ => Side::There(Peer::ready(PROGRAM, &["serve-typed", &endpoint])),
    };
    (side, endpoint)
}

fn connect(endpoint: &str, codec: AnyCodec) -> Client {
    Client::connect(endpoint).codec(codec).limits(limits()).wait().expect("it serves")
}

#[derive(Serialize)]
struct One {
    item: Item,
}

#[derive(Serialize)]
struct Join<'a> {
    // Not in declared order, and one is missing.
    right: Option<&'a str>,
    #[serde(with = "serde_bytes")]
    bytes: &'a [u8],
    left: &'a str,
}

#[derive(Serialize)]
struct Id {
    id: u64,
}

fn invoke<T, A>(client: &Client, command: &str, args: A) -> Result<T, InvokeError>
where
    T: tramline::FromAnswer,
    A: Serialize,
{
    client.invoke(command, args).timeout(PATIENCE).wait()
}

fn calls_and_events_work(transport: Transport) {
    let (_server, endpoint) = open(transport);
    let client = connect(&endpoint, AnyCodec::POSTCARD);
    assert_eq!(client.server().codec(), AnyCodec::POSTCARD);
    let echoed: Item = invoke(&client, "echo_item", One { item: item(7) }).expect("an item");
    assert_eq!(echoed, item(7));
    let large = Item { name: "x".repeat(3 << 20), ..item(8) };
    let echoed: Item = invoke(&client, "echo_item", One { item: large.clone() }).expect("an item");
    assert!(echoed == large);

    let args = Join { right: Some("r"), bytes: &[1, 2], left: "l" };
    let joined: String = invoke(&client, "join", args).expect("text");
    assert_eq!(joined, "lr[1, 2]");
    let prefixed: String =
        invoke(&client, "token_text", Prefix { prefix: "p-" }).expect("text and state");
    assert_eq!(prefixed, "p-managed");
    invoke::<(), _>(&client, "nothing", ()).expect("no arguments");
    invoke::<(), _>(&client, "nothing", json!({})).expect("no arguments");
    let text: String = invoke(&client, "fixed_text", ()).expect("text");
    assert_eq!(text, "fixed");

    let found: Item =
        block_on(async { client.invoke("find_later", Id { id: 1 }).await }).expect("1");
    assert_eq!(found, item(1));
    for (id, wanted) in [(0, Refusal::Busy), (9, Refusal::Unknown { id: 9 })] {
        match invoke::<Item, _>(&client, "find_later", Id { id }) {
            Err(InvokeError::Failed(failure)) => {
                assert_eq!(failure.value::<Refusal>().ok(), Some(wanted));
                assert_eq!(failure.to_string(), "command-failed");
            }
            other => panic!("{other:?}"),
        }
    }
    let len: usize = client.invoke_raw("raw_len", vec![1; 70_000]).wait().expect("raw bytes");
    assert_eq!(len, 70_000);

    let (came, items) = channel();
    let told = came.clone();
    client
        .listen("item-back", move |event| {
            let _ = told.send(event.payload::<Item>().map_err(|e| e.to_string()));
        })
        .wait()
        .expect("allowed");
    client.emit("item", &item(3)).expect("sent");
    assert_eq!(items.recv_timeout(PATIENCE).expect("comes"), Ok(item(3)));
    let args = Emit { event: "item-back", id: 4 };
    invoke::<(), _>(&client, "emit_item", args).expect("emitted");
    assert_eq!(items.recv_timeout(PATIENCE).expect("comes"), Ok(item(4)));
}

#[derive(Serialize)]
struct Prefix {
    prefix: &'static str,
}

#[derive(Serialize)]
struct Emit {
    event: &'static str,
    id: u64,
}

#[test]
fn calls_and_events_work_over_shm() {
    bounded(|| calls_and_events_work(Transport::Shm));
}

#[test]
fn calls_and_events_work_over_a_pipe() {
    bounded(|| calls_and_events_work(Transport::Pipe));
}

#[test]
fn calls_and_events_work_in_memory() {
    bounded(|| calls_and_events_work(Transport::Mem));
}

#[test]
fn every_command_can_be_called_with_json_on_the_same_server() {
    bounded(|| {
        let (_server, endpoint) = open(Transport::Shm);
        let client = connect(&endpoint, AnyCodec::JSON);
        let echoed: Item =
            invoke(&client, "echo_item", json!({ "item": item(7) })).expect("an item");
        assert_eq!(echoed, item(7));
        for codec in [AnyCodec::JSON, AnyCodec::MSGPACK] {
            let client = connect(&endpoint, codec);
            let echoed: Item =
                invoke(&client, "echo_item", One { item: item(7) }).expect("an item");
            assert_eq!(echoed, item(7));
            let args = json!({ "left": "l", "bytes": [1], "times": 2 });
            let joined: String = invoke(&client, "join", args).expect("text");
            assert_eq!(joined, "l-[1]l-[1]");
        }
    });
}

#[test]
fn refusals_of_the_library_come_as_words() {
    bounded(|| {
        let (_server, endpoint) = open(Transport::Shm);
        let client = connect(&endpoint, AnyCodec::POSTCARD);
        let refused = |command, args: &dyn Fn() -> Id| {
            invoke::<Item, _>(&client, command, args()).expect_err("refused").to_string()
        };
        let id = || Id { id: 1 };
        assert_eq!(refused("no_such", &id), "Command no_such not found");
        let unknown = refused("echo_item", &id);
        assert!(unknown.contains("the bytes do not tell"), "{unknown}");
        let missing = invoke::<Item, _>(&client, "find_later", ()).expect_err("refused");
        assert!(matches!(missing, InvokeError::Rejected(_)), "{missing:?}");
        assert!(missing.to_string().contains("missing required key id"), "{missing}");
        let panicked = invoke::<u8, _>(&client, "panics_typed", ()).expect_err("it panics");
        assert_eq!(panicked.to_string(), "command `panics_typed` panicked");
    });
}

#[test]
fn arguments_without_names_and_types_are_refused_before_they_are_sent() {
    bounded(|| {
        let (_server, endpoint) = open(Transport::Shm);
        let client = connect(&endpoint, AnyCodec::POSTCARD);
        #[track_caller]
        fn refused<T: Debug>(outcome: Result<T, InvokeError>) {
            match outcome {
                Err(InvokeError::Send(SendError::Encode(e))) => {
                    assert!(e.to_string().contains("a struct"), "{e}");
                }
                other => panic!("{other:?}"),
            }
        }
        // As bytes of postcard this would be another number.
        refused(invoke::<i64, _>(&client, "echo_number", json!({ "number": 4 })));
        refused(invoke::<i64, _>(&client, "echo_number", (4,)));
        refused(block_on(async { client.invoke::<i64, _>("echo_number", [4]).await }));
        #[derive(Serialize)]
        struct Number {
            number: i64,
        }
        let echoed: i64 = invoke(&client, "echo_number", Number { number: -4 }).expect("a number");
        assert_eq!(echoed, -4);
    });
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    A { x: u8 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Text(String),
    Number(f64),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    A(u8),
}

#[derive(Debug, Serialize, Deserialize)]
struct Flat {
    own: u8,
    #[serde(flatten)]
    rest: Point,
}

#[derive(Debug, Serialize, Deserialize)]
struct Point {
    x: u8,
}

#[derive(Debug, Serialize, Deserialize)]
struct Skips {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maybe: Option<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Aliased {
    #[serde(alias = "old")]
    new: u8,
}

#[derive(Debug, Serialize, Deserialize)]
struct Deep {
    list: Vec<Option<Tagged>>,
}

#[command]
fn takes_tagged(first: u8, second: Vec<Tagged>) {
    let _ = (first, second);
}

#[command]
fn takes_untagged(value: Untagged) {
    let _ = value;
}

#[command]
fn takes_adjacent(value: Adjacent) {
    let _ = value;
}

#[command]
fn takes_flat(value: Flat) {
    let _ = value;
}

#[command]
fn takes_skips(value: Skips) {
    let _ = value;
}

#[command]
fn takes_aliased(value: Aliased) {
    let _ = value;
}

#[command]
fn takes_any(value: Option<Value>) {
    let _ = value;
}

#[command]
fn gives_deep() -> Result<u8, Deep> {
    Ok(1)
}

#[command]
async fn gives_tagged() -> Tagged {
    Tagged::A { x: 1 }
}

#[test]
fn typed_codec_refuses_a_type_it_cannot_carry_before_the_first_message() {
    let cases = [
        (commands![takes_tagged], "argument `second`, at []", "takes_tagged", "no `tag`"),
        (commands![takes_untagged], "argument `value`", "takes_untagged", "`untagged`"),
        (commands![takes_adjacent], "argument `value`", "takes_adjacent", "adjacently tagged"),
        (commands![takes_flat], "argument `value`", "takes_flat", "flattened"),
        (commands![takes_skips], "argument `value`", "takes_skips", "skip_serializing_if"),
        (commands![takes_aliased], "argument `value`", "takes_aliased", "aliases"),
        (commands![takes_any], "argument `value`", "takes_any", "serde_json::Value"),
        (commands![gives_deep], "error, at .list[]", "gives_deep", "no `tag`"),
        (commands![gives_tagged], "result", "gives_tagged", "no `tag`"),
    ];
    for (commands, wanted_place, wanted_command, reason) in cases {
        // The types are no reason to refuse codecs that take them.
        let plain = Server::new().commands(commands.clone()).start(&Transport::Mem.endpoint());
        drop(plain.expect("MessagePack and JSON carry it"));
        let endpoint = Transport::Mem.endpoint();
        let server = Server::new().commands(commands.clone()).allow(Capabilities::all());
        let refused = server.codec::<Postcard>().start(&endpoint);
        let assert_refused = |refused: ConfigError| match refused {
            ConfigError::NotCarried { codec, command, place, why } => {
                assert_eq!((codec, &*command), ("postcard", wanted_command));
                assert_eq!(&*place, wanted_place, "{why}");
                assert!(why.contains(reason), "{why}");
            }
            other => panic!("{other}"),
        };
        match refused {
            Err(Error::Config(refused)) => assert_refused(refused),
            other => panic!("{:?}", other.map(drop)),
        }
        // Nobody serves there: it is refused without a look.
        let client = Client::connect(&endpoint).codec(AnyCodec::POSTCARD).commands(commands);
        match client.wait() {
            Err(ConnectError::Config(refused)) => assert_refused(refused),
            other => panic!("{other:?}"),
        }
    }
}

/// The frame of a message.
fn frame(kind: Kind, name: &str, body: &[u8]) -> Vec<u8> {
    let head = Head::new(kind, BodyKind::Structured, 7, name);
    [&head.to_bytes()[..], name.as_bytes(), body].concat()
}

fn view() -> TypedView {
    TypedView::new(&typed_commands()).event::<Item>("item")
}

/// Shows the same message in postcard and in JSON.
#[track_caller]
fn shows_the_same<T: Serialize>(kind: Kind, name: &str, answers: Option<&str>, value: &T) {
    let encode = |codec: AnyCodec| match kind {
        Kind::Request => {
            let mut slot = vec![0; 1 << 16];
            let mut out = tramline::FrameWriter::new(&mut slot, usize::MAX);
            codec.encode_args(value, &mut out).expect("encodes");
            let len = out.written();
            slot[..len].to_vec()
        }
        _ => codec.to_vec(value).expect("encodes"),
    };
    let typed = frame(kind, name, &encode(AnyCodec::POSTCARD));
    let shown = view().message_to_json(AnyCodec::POSTCARD, &typed, answers).expect("known");
    let text = frame(kind, name, &encode(AnyCodec::JSON));
    let wanted = message_to_json(AnyCodec::JSON, &text).expect("JSON");
    assert_eq!(difference(&shown, &wanted).expect("JSON"), None, "{shown}\n{wanted}");
    // Codecs that tell what they are need no types.
    let packed = frame(kind, name, &encode(AnyCodec::MSGPACK));
    let shown = view().message_to_json(AnyCodec::MSGPACK, &packed, None).expect("told");
    assert_eq!(difference(&shown, &wanted).expect("JSON"), None, "{shown}\n{wanted}");
}

#[test]
fn every_kind_of_message_is_shown_as_json_by_its_types() {
    shows_the_same(Kind::Request, "echo_item", None, &One { item: item(1) });
    let args = Join { right: None, bytes: &[1], left: "l" };
    shows_the_same(Kind::Request, "join", None, &args);
    shows_the_same(Kind::Response, "", Some("echo_item"), &item(2));
    shows_the_same(Kind::Response, "", Some("find_later"), &item(2));
    shows_the_same(Kind::Response, "", Some("nothing"), &());
    shows_the_same(Kind::Error, "command-failed", Some("find_later"), &Refusal::Unknown { id: 1 });
    shows_the_same(Kind::Error, "capability-denied", Some("find_later"), &"not allowed");
    shows_the_same(Kind::Event, "item", None, &item(3));
    let shown = view().message_to_json(
        AnyCodec::POSTCARD,
        &frame(Kind::Request, "nothing", &AnyCodec::POSTCARD.to_vec(&0_u8).expect("encodes")),
        None,
    );
    assert_eq!(shown.expect("known"), r#"{"kind":"request","id":7,"name":"nothing","body":{}}"#);
}

#[test]
fn what_nobody_knows_the_types_of_is_a_typed_error() {
    let one = AnyCodec::POSTCARD.to_vec(&1_u8).expect("encodes");
    let show = |kind, name, answers| {
        view().message_to_json(AnyCodec::POSTCARD, &frame(kind, name, &one), answers)
    };
    for (kind, name, answers) in [
        (Kind::Request, "no_such", None),
        (Kind::Response, "", None),
        (Kind::Response, "", Some("no_such")),
        (Kind::Event, "no-such", None),
    ] {
        let shown = show(kind, name, answers);
        assert!(matches!(shown, Err(ViewError::Unknown { .. })), "{shown:?}");
    }
    match show(Kind::Response, "", Some("fixed_text")) {
        Err(ViewError::WriteOnly { command, part: "result", type_name }) => {
            assert_eq!((&*command, type_name), ("fixed_text", "&str"));
        }
        other => panic!("{other:?}"),
    }
    let shown = show(Kind::Response, "", Some("echo_item"));
    assert!(matches!(shown, Err(ViewError::Decode(_))), "{shown:?}");
}

#[derive(Serialize, Deserialize)]
struct Note<'a> {
    title: &'a str,
    #[serde(borrow)]
    text: std::borrow::Cow<'a, str>,
}

#[command(inline)]
fn note_len(note: Note<'_>) -> usize {
    note.title.len() + note.text.len()
}

#[test]
fn arguments_that_borrow_from_their_message_are_carried_and_shown() {
    #[derive(Serialize)]
    struct Args<'a> {
        note: Note<'a>,
    }
    bounded(|| {
        let endpoint = Transport::Mem.endpoint();
        let server = Server::new().commands(commands![note_len]).codec::<Postcard>();
        let _server = server.allow(Capabilities::all()).start(&endpoint).expect("it starts");
        let client = connect(&endpoint, AnyCodec::POSTCARD);
        let args = || Args { note: Note { title: "t", text: "text".into() } };
        assert_eq!(invoke::<usize, _>(&client, "note_len", args()).expect("a length"), 5);
        let mut body = [0; 64];
        let mut out = tramline::FrameWriter::new(&mut body, 64);
        AnyCodec::POSTCARD.encode_args(&args(), &mut out).expect("encodes");
        let len = out.written();
        let frame = frame(Kind::Request, "note_len", &body[..len]);
        let view = TypedView::new(&commands![note_len]);
        assert_eq!(
            view.message_to_json(AnyCodec::POSTCARD, &frame, None).expect("known"),
            r#"{"kind":"request","id":7,"name":"note_len","body":{"note":{"title":"t","text":"text"}}}"#
        );
    });
}

#[test]
fn types_named_by_hand_are_shown_too() {
    let shape = Shape::Box { width: 1, height: 2, label: None };
    let bytes = AnyCodec::POSTCARD.to_vec(&shape).expect("encodes");
    let shown = tramline_core::typed::ValueType::of::<Shape>().to_json(AnyCodec::POSTCARD, &bytes);
    assert_eq!(shown.expect("its own"), r#"{"Box":{"width":1,"height":2,"label":null}}"#);
    // Which of the two names it is does not stand anywhere.
    let shown = tramline_core::typed::ValueType::of::<Aliased>().to_json(AnyCodec::POSTCARD, &[1]);
    assert!(shown.expect_err("two names").to_string().contains("an alias hides"));
}
