//! What commands do with calls, in every codec: arguments, results, refusals.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use tramline::{Channel, ChannelReader, Peer, Raw, State, command};
use tramline_core::codec::AnyCodec;
use tramline_core::command::{Call, Command, Handler, OwnedCall};
use tramline_core::envelope::{BodyKind, Envelope, Head, Kind};
use tramline_core::error::{LinkError, SendError, codes};
use tramline_core::frame::{FrameWriter, Written};
use tramline_core::peer::{Fill, Later, Patience, Port};
use tramline_core::state::States;
use tramline_core::transport::PeerIdentity;

const CODECS: [AnyCodec; 2] = [AnyCodec::JSON, AnyCodec::MSGPACK];

/// Keeps the frames that would have gone to the peer.
struct Recorder {
    codec: AnyCodec,
    frames: Mutex<Vec<Vec<u8>>>,
}

impl Port for Recorder {
    fn send(
        &self,
        head: &Head<'_>,
        _: usize,
        fill: Fill<'_>,
        _: Patience,
    ) -> Result<(), SendError> {
        let mut slot = [0; 4096];
        let mut out = FrameWriter::new(&mut slot, usize::MAX);
        out.put(&head.to_bytes()).expect("no limit");
        out.put(head.name.as_bytes()).expect("no limit");
        fill(self.codec, &mut out)?;
        let frame = match out.finish() {
            Written::InPlace { len } => slot[..len].to_vec(),
            Written::Spilled { bytes } => bytes,
        };
        self.frames.lock().expect("no test panics in here").push(frame);
        Ok(())
    }

    fn send_later(&self, _: Later) {
        unreachable!("this port is never full");
    }

    fn peer_listens(&self, _: &str) -> bool {
        false
    }

    fn close(&self, _: LinkError) {}

    fn close_stalled(&self) {}
}

/// The one answer to a call.
#[derive(Debug, PartialEq)]
enum Answer {
    Value(Value),
    Raw(Vec<u8>),
    Error { code: String, value: Value },
}

impl Answer {
    fn refused(text: &str) -> Self {
        Self::Error { code: codes::BAD_ARGUMENTS.into(), value: text.into() }
    }

    fn failed(value: Value) -> Self {
        Self::Error { code: codes::COMMAND_FAILED.into(), value }
    }

    /// What a refused call says.
    fn text(&self) -> &str {
        match self {
            Self::Error { code, value: Value::String(text) } if code == codes::BAD_ARGUMENTS => {
                text
            }
            other => panic!("not refused: {other:?}"),
        }
    }
}

const ID: u64 = 7;

fn states() -> States {
    let mut states = States::default();
    states.manage(String::from("managed"));
    states
}

/// Calls a command with a body as it came.
fn call_with_bytes<C: Command>(codec: AnyCodec, body_kind: BodyKind, body: &[u8]) -> Answer {
    let port = Arc::new(Recorder { codec, frames: Mutex::default() });
    let identity = PeerIdentity::default();
    let peer = Peer::new(1, Some("caller".into()), identity, "mem", codec, port.clone());
    match C::HANDLER {
        Handler::Inline(run) | Handler::Blocking(run) => {
            run(&Call::new(ID, C::NAME, body_kind, body, &peer, &states()));
        }
        Handler::Async(start) => {
            let head = Head::new(Kind::Request, body_kind, ID, C::NAME);
            let frame = [&head.to_bytes(), C::NAME.as_bytes(), body].concat();
            block_on(start(OwnedCall::new(frame.into(), peer, Arc::new(states()))));
        }
        other => panic!("no such handler: {other:?}"),
    }
    let frames = port.frames.lock().expect("no test panics in there");
    let [frame] = &frames[..] else { panic!("{} answers", frames.len()) };
    let Envelope { head, body, .. } = Envelope::parse(frame).expect("our own frame");
    assert_eq!(head.id, ID);
    let value = || codec.decode(body).expect("our own value");
    match (head.kind, head.body) {
        (Kind::Response, BodyKind::Structured) => Answer::Value(value()),
        (Kind::Response, BodyKind::Raw) => Answer::Raw(body.to_vec()),
        (Kind::Error, BodyKind::Structured) => {
            Answer::Error { code: head.name.into(), value: value() }
        }
        other => panic!("no answer: {other:?}"),
    }
}

/// Calls a command with arguments.
fn call<C: Command>(codec: AnyCodec, arguments: impl Serialize) -> Answer {
    let body = codec.to_vec(&arguments).expect("encodes");
    call_with_bytes::<C>(codec, BodyKind::Structured, &body)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// Named arguments in the order given, twice the same one if need be.
struct Named<'a>(&'a [(&'a str, Value)]);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[command]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[command]
async fn add_later(a: i64, b: i64) -> i64 {
    std::future::ready(a).await + b
}

#[command(inline)]
fn user(user_id: u32, _first_name: String) -> String {
    format!("{_first_name}:{user_id}")
}

#[command(rename_all = "snake_case")]
fn user_as_is(user_id: u32) -> u32 {
    user_id
}

#[command(rename = "users/find")]
async fn find(name: &str) -> Result<String, ()> {
    Ok(name.to_owned())
}

#[command]
fn options(number: Option<u8>, text: Option<&str>, bytes: Option<&[u8]>) -> String {
    format!("{number:?} {text:?} {bytes:?}")
}

#[command]
fn text(text: &str) -> String {
    text.to_owned()
}

#[command]
async fn text_later(text: &str) -> &str {
    std::future::ready(()).await;
    text
}

#[command]
fn sum(data: &[u8]) -> u32 {
    data.iter().copied().map(u32::from).sum()
}

#[command]
fn place(text: &str) -> usize {
    text.as_ptr().addr()
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Fault {
    kind: String,
    at: u32,
}

type Checked<T> = Result<T, Fault>;

#[command]
fn checked(fail: bool) -> Result<u8, Fault> {
    if fail { Err(Fault { kind: "asked".into(), at: 3 }) } else { Ok(1) }
}

#[command]
async fn checked_alias(fail: bool) -> Checked<Raw> {
    if fail { Err(Fault { kind: "asked".into(), at: 4 }) } else { Ok(vec![0, 255].into()) }
}

#[command]
fn unit() {}

#[command]
async fn unit_later() -> Result<(), String> {
    Ok(())
}

#[command]
fn injected(before: u8, kept: State<'_, String>, peer: Peer, after: u8) -> String {
    format!("{before} {} {} {after}", *kept, peer.label().unwrap_or("-"))
}

#[command]
async fn injected_later(kept: State<'_, String>, some_text: &str) -> String {
    std::future::ready(()).await;
    format!("{} {some_text}", *kept)
}

#[command]
fn unmanaged(some_state: State<'_, Vec<u8>>) -> usize {
    some_state.len()
}

#[command]
fn unmanaged_first(state: State<'_, Vec<u8>>, number: u8) -> usize {
    state.len() + usize::from(number)
}

#[command]
fn unmanaged_last(number: u8, state: State<'_, Vec<u8>>) -> usize {
    state.len() + usize::from(number)
}

#[command(rename = "plugin:files|scan")]
fn of_plugin(max_depth: u8) -> u8 {
    max_depth
}

#[derive(Deserialize)]
struct Wrapper {
    inner: i64,
}

#[derive(Deserialize)]
struct Pair(i64, i64);

#[command]
fn taken_apart(Wrapper { inner }: Wrapper, Pair(a, b): Pair) -> i64 {
    inner + a + b
}

#[command]
fn streams(on_event: Channel<str>, numbers: ChannelReader<u64>) -> bool {
    on_event.is_closed() && numbers.is_over()
}

#[command]
fn length(upload: Raw) -> usize {
    upload.0.len()
}

#[test]
fn parameters_are_camel_case_on_the_wire() {
    for codec in CODECS {
        let answer = call::<user>(codec, json!({ "userId": 5, "firstName": "Ada" }));
        assert_eq!(answer, Answer::Value("Ada:5".into()));
        let text = "invalid args `userId` for command `user`: command user missing required key \
                    userId";
        let answer = call::<user>(codec, json!({ "user_id": 5, "first_name": "Ada" }));
        assert_eq!(answer, Answer::refused(text));
    }
}

#[test]
fn rename_all_keeps_snake_case() {
    for codec in CODECS {
        assert_eq!(call::<user_as_is>(codec, json!({ "user_id": 5 })), Answer::Value(5.into()));
        assert!(call::<user_as_is>(codec, json!({ "userId": 5 })).text().contains("user_id"));
    }
    assert_eq!(user_as_is::NAME, "user_as_is");
}

#[test]
fn rename_changes_the_command_name() {
    for codec in CODECS {
        assert_eq!(call::<find>(codec, json!({ "name": "Ada" })), Answer::Value("Ada".into()));
        let text = "invalid args `name` for command `users/find`: command users/find missing \
                    required key name";
        assert_eq!(call::<find>(codec, json!({})), Answer::refused(text));
    }
    assert_eq!(find::NAME, "users/find");
}

#[test]
fn missing_and_null_options_are_none() {
    for codec in CODECS {
        let none = Answer::Value("None None None".into());
        assert_eq!(call::<options>(codec, json!({})), none);
        assert_eq!(
            call::<options>(codec, json!({ "number": null, "text": null, "bytes": null })),
            none
        );
        assert_eq!(call_with_bytes::<options>(codec, BodyKind::Empty, b""), none);
        assert_eq!(
            call::<options>(codec, json!({ "number": 1, "text": "x", "bytes": [2, 3] })),
            Answer::Value("Some(1) Some(\"x\") Some([2, 3])".into())
        );
    }
}

#[test]
fn extra_keys_are_ignored() {
    for codec in CODECS {
        let arguments = json!({ "A": 9, "a": 1, "c": { "a": [1, { "b": 2 }] }, "b": 2 });
        assert_eq!(call::<add>(codec, &arguments), Answer::Value(3.into()));
        assert_eq!(call::<unit>(codec, &arguments), Answer::Value(Value::Null));
    }
}

#[test]
fn key_that_stands_twice_is_refused() {
    for codec in CODECS {
        let twice = Named(&[("a", 1.into()), ("b", 2.into()), ("a", 3.into())]);
        let answer = call::<add>(codec, twice);
        let text = answer.text();
        assert!(text.starts_with("invalid args for command `add`: at byte "), "{text}");
        assert!(text.ends_with(": the key `a` stands twice"), "{text}");
    }
}

#[test]
fn missing_key_text_equals_tauri() {
    let text = |command| {
        format!(
            "invalid args `a` for command `{command}`: command {command} missing required key a"
        )
    };
    for codec in CODECS {
        assert_eq!(call::<add>(codec, json!({ "b": 2 })), Answer::refused(&text("add")));
        assert_eq!(call::<add>(codec, json!(null)), Answer::refused(&text("add")));
        assert_eq!(
            call_with_bytes::<add_later>(codec, BodyKind::Empty, b""),
            Answer::refused(&text("add_later"))
        );
    }
}

#[test]
fn mistyped_argument_is_named() {
    for codec in CODECS {
        for answer in [
            call::<add>(codec, json!({ "a": 1, "b": "two" })),
            call::<add>(codec, json!([1, "two"])),
            call::<add_later>(codec, json!({ "b": null, "a": 1 })),
        ] {
            assert!(answer.text().starts_with("invalid args `b` for command `add"), "{answer:?}");
        }
    }
}

#[test]
fn argument_error_text_equals_tauri() {
    let text =
        |cause: &str| Answer::refused(&format!("invalid args `b` for command `add`: {cause}"));
    for codec in CODECS {
        let answer = |b: Value| call::<add>(codec, json!({ "a": 1, "b": b }));
        assert_eq!(answer(json!("two")), text("invalid type: string \"two\", expected i64"));
        assert_eq!(answer(json!(null)), text("invalid type: null, expected i64"));
        assert_eq!(answer(json!([1])), text("invalid type: sequence, expected i64"));
        let answer = call::<add>(codec, json!([1, "two"]));
        assert_eq!(answer, text("invalid type: string \"two\", expected i64"));
    }
}

#[test]
fn refused_call_that_is_long_is_put_into_the_codec_s_own_words() {
    for codec in CODECS {
        let padding = "x".repeat(100_000);
        let answer = call::<add>(codec, json!({ "a": null, "b": "two", "padding": padding }));
        assert!(answer.text().starts_with("invalid args `a` for command `add`"), "{answer:?}");
    }
}

#[test]
fn plugin_s_command_goes_by_its_own_name_in_errors() {
    for codec in CODECS {
        let text = "invalid args `maxDepth` for command `scan`: command scan missing required key \
                    maxDepth";
        assert_eq!(call::<of_plugin>(codec, json!({})), Answer::refused(text));
    }
}

#[test]
fn body_that_is_no_object_has_no_arguments() {
    let text = "invalid args `a` for command `add`: command add missing required key a";
    for codec in CODECS {
        for body in [json!(1), json!(-1), json!(1.5), json!("a"), json!(true), json!(null)] {
            assert_eq!(call::<add>(codec, &body), Answer::refused(text), "{body}");
            assert_eq!(call::<unit>(codec, &body), Answer::Value(Value::Null), "{body}");
            let none = Answer::Value("None None None".into());
            assert_eq!(call::<options>(codec, &body), none, "{body}");
        }
    }
}

#[test]
fn first_failing_argument_rejects() {
    for codec in CODECS {
        let refused_for = |answer: Answer, name: &str| {
            assert!(answer.text().starts_with(&format!("invalid args `{name}`")), "{answer:?}");
        };
        refused_for(call::<add>(codec, json!({})), "a");
        refused_for(call::<injected>(codec, json!({ "after": 1 })), "before");
        // In the order of the parameters, whatever the body's is.
        refused_for(call::<add>(codec, json!({ "b": "two", "a": "one" })), "a");
        refused_for(call::<add>(codec, json!({ "b": "two" })), "a");
        refused_for(call::<add>(codec, json!({ "a": "one" })), "a");
        refused_for(call::<add>(codec, json!(["one", "two"])), "a");
        refused_for(call::<injected>(codec, json!({ "after": "x", "before": "y" })), "before");
        let answer = call::<unmanaged_first>(codec, json!({ "number": "x" }));
        assert!(answer.text().starts_with("state not managed for field `state`"), "{answer:?}");
        refused_for(call::<unmanaged_last>(codec, json!({ "number": "x" })), "number");
    }
}

#[test]
fn struct_that_is_taken_apart_has_its_own_name() {
    for codec in CODECS {
        let answer =
            call::<taken_apart>(codec, json!({ "wrapper": { "inner": 2 }, "pair": [3, 4] }));
        assert_eq!(answer, Answer::Value(9.into()));
    }
    assert_eq!(taken_apart::ARGS, ["wrapper", "pair"]);
}

#[test]
fn text_with_escapes_arrives_unescaped() {
    let value = "line\n\"quoted\" \u{1F600}";
    for codec in CODECS {
        let arguments = json!({ "text": value });
        assert_eq!(call::<text>(codec, &arguments), Answer::Value(value.into()));
        assert_eq!(call::<text_later>(codec, &arguments), Answer::Value(value.into()));
    }
    let escaped = br#"{"text":"\u0041\/"}"#;
    assert_eq!(
        call_with_bytes::<text>(AnyCodec::JSON, BodyKind::Structured, escaped),
        Answer::Value("A/".into())
    );
}

#[test]
fn borrowed_arguments_point_into_the_frame() {
    for codec in CODECS {
        let body = codec.to_vec(&json!({ "text": "plain" })).expect("encodes");
        let Range { start, end } = body.as_ptr_range();
        let answer = call_with_bytes::<place>(codec, BodyKind::Structured, &body);
        let Answer::Value(place) = answer else { panic!("{answer:?}") };
        let place = place.as_u64().expect("an address");
        assert!((start.addr() as u64..end.addr() as u64).contains(&place));
    }
}

#[test]
fn bytes_come_from_the_codec_s_own_form_or_from_numbers() {
    for codec in CODECS {
        let answer = call::<sum>(codec, json!({ "data": [1, 2, 255] }));
        assert_eq!(answer, Answer::Value(258.into()));
        let answer = call::<sum>(codec, json!({ "data": [256] }));
        assert!(answer.text().starts_with("invalid args `data` for command `sum`"), "{answer:?}");
    }
    for codec in CODECS {
        // A text is no bytes, whatever it holds.
        let answer = call::<sum>(codec, json!({ "data": "ß" }));
        assert!(answer.text().starts_with("invalid args `data` for command `sum`"), "{answer:?}");
    }
    // A map of one, its key `data`, three bytes in MessagePack's `bin 8`.
    let packed = b"\x81\xa4data\xc4\x03\x01\x02\xff";
    assert_eq!(
        call_with_bytes::<sum>(AnyCodec::MSGPACK, BodyKind::Structured, packed),
        Answer::Value(258.into())
    );
}

#[test]
fn ok_answers_and_err_fails() {
    for codec in CODECS {
        assert_eq!(call::<checked>(codec, json!({ "fail": false })), Answer::Value(1.into()));
        assert_eq!(
            call::<checked_alias>(codec, json!({ "fail": false })),
            Answer::Raw(vec![0, 255])
        );
    }
}

#[test]
fn error_object_keeps_its_shape() {
    for codec in CODECS {
        let arguments = json!({ "fail": true });
        let error = |at: u32| Answer::failed(json!({ "kind": "asked", "at": at }));
        assert_eq!(call::<checked>(codec, &arguments), error(3));
        // Behind another name it is a `Result` all the same.
        assert_eq!(call::<checked_alias>(codec, &arguments), error(4));
    }
}

#[test]
fn unit_is_null() {
    for codec in CODECS {
        assert_eq!(call::<unit>(codec, json!({})), Answer::Value(Value::Null));
        assert_eq!(call::<unit_later>(codec, json!(null)), Answer::Value(Value::Null));
    }
}

#[test]
fn positional_arguments_come_in_declared_order() {
    for codec in CODECS {
        assert_eq!(call::<add>(codec, json!([1, 2])), Answer::Value(3.into()));
        assert_eq!(call::<add_later>(codec, json!([1, 2, "more"])), Answer::Value(3.into()));
        // What is injected takes no place among them.
        let answer = call::<injected>(codec, json!([1, 2]));
        assert_eq!(answer, Answer::Value("1 managed caller 2".into()));
        assert!(call::<add>(codec, json!([1])).text().contains("missing required key b"));
    }
}

#[test]
fn bytes_payload_text_equals_tauri() {
    for codec in CODECS {
        let text = "invalid args `a` for command `add`: command add expected a value for key a \
                    but the IPC call used a bytes payload";
        assert_eq!(
            call_with_bytes::<add>(codec, BodyKind::Raw, b"\x01\x02"),
            Answer::refused(text)
        );
    }
}

#[test]
fn each_extractor_injects_its_value() {
    for codec in CODECS {
        let answer = call::<injected>(codec, json!({ "after": 2, "before": 1, "peer": "no" }));
        assert_eq!(answer, Answer::Value("1 managed caller 2".into()));
        let answer = call::<injected_later>(codec, json!({ "someText": "text" }));
        assert_eq!(answer, Answer::Value("managed text".into()));
        assert_eq!(
            call_with_bytes::<length>(codec, BodyKind::Raw, &[0; 300]),
            Answer::Value(300.into())
        );
    }
}

#[test]
fn channel_argument_text_equals_tauri() {
    for codec in CODECS {
        let refused = |on_event: Value| {
            let answer = call::<streams>(codec, json!({ "onEvent": on_event, "numbers": "" }));
            answer.text().to_owned()
        };
        let expected =
            "invalid channel value `x`, expected a string in the `__CHANNEL__:ID` format";
        assert_eq!(refused(json!("x")), expected);
        let prefix = "invalid args `onEvent` for command `streams`: invalid type: ";
        assert!(refused(json!(7)).starts_with(prefix), "{}", refused(json!(7)));
        assert_eq!(
            call::<streams>(codec, ()).text(),
            "invalid args `onEvent` for command `streams`: \
             command streams missing required key onEvent"
        );
        // A connection may have none at all.
        assert_eq!(refused(json!("__CHANNEL__:7")), "this connection carries no channels");
    }
}

#[test]
fn missing_state_text_equals_tauri() {
    for codec in CODECS {
        let text = "state not managed for field `someState` on command `unmanaged`. You must call \
                    `.manage()` before using this command";
        assert_eq!(call::<unmanaged>(codec, json!({})), Answer::refused(text));
    }
}

#[test]
fn command_is_still_a_function() {
    assert_eq!(add(1, 2), 3);
    assert_eq!(block_on(add_later(1, 2)), 3);
}
