//! Pages of an app on the mock runtime reach the commands of a real second process.

use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use serde_json::{Value, json};
use tauri::http::{HeaderMap, HeaderName, HeaderValue};
use tauri::ipc::{Invoke, InvokeBody, InvokeResponseBody};
use tauri::test::{MockRuntime, mock_builder, mock_context, noop_assets};
use tauri::utils::acl::ExecutionContext;
use tauri::utils::acl::resolved::Resolved;
use tauri::{App, Context, Emitter as _, Listener as _, WebviewWindow};
use tauri_plugin_tramline::{CHANNEL_ERROR, Forward, forward};
use tramline::{AnyCodec, Client, Sidecar, Spawn};
use tramline_tauri_forward::{Outcome, PATIENCE, begin, page};

const ALL: &[&str] = &[
    "nothing",
    "add",
    "echo",
    "fail",
    "reverse",
    "headers",
    "count",
    "chunks",
    "break_channel",
    "wait",
    "seen",
    "pid",
    "die",
    "tell",
    "missing",
];

/// What the page's channels got: the channel, the message's number, and the message.
type Messages = Receiver<(u32, usize, InvokeResponseBody)>;

struct Setup {
    page: WebviewWindow<MockRuntime>,
    messages: Messages,
    forward: Forward<MockRuntime>,
    app: App<MockRuntime>,
}

fn worker() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tramline-forward-worker"))
}

fn spawn() -> Spawn {
    Sidecar::spawn(worker())
}

/// Of the app's own.
fn app_commands(invoke: Invoke<MockRuntime>) -> bool {
    match invoke.message.command() {
        "own" => invoke.resolver.resolve("own"),
        _ => return false,
    }
    true
}

fn start() -> Setup {
    start_with(Forward::spawning(spawn), &[])
}

/// An app with both ways; `allowed` are the plugin's commands that its capabilities allow.
fn start_with(forward: Forward<MockRuntime>, allowed: &[&str]) -> Setup {
    let forward = forward.commands(ALL.iter().copied());
    let mut context: Context<MockRuntime> = mock_context(noop_assets());
    let mut authority = tauri::runtime_authority!(Default::default(), Resolved::default());
    for command in allowed {
        authority.__allow_command(format!("plugin:worker|{command}"), ExecutionContext::Local);
    }
    *context.runtime_authority_mut() = authority;
    let (received, messages) = channel();
    let app = mock_builder()
        .plugin(forward.plugin("worker"))
        .invoke_handler(forward.or(app_commands))
        .channel_interceptor(move |_, channel, number, message| {
            received.send((channel.0, number, message.clone())).is_ok()
        })
        .build(context)
        .expect("an app on the mock runtime");
    let page = page(&app, "main");
    Setup { page, messages, forward, app }
}

impl Setup {
    fn call(&self, command: &str, body: impl Into<InvokeBody>) -> Outcome {
        let answered = begin(&self.page, command, body, HeaderMap::new());
        answered.recv_timeout(PATIENCE).expect("an answer")
    }

    fn ok(&self, command: &str, args: Value) -> Value {
        let body = self.call(command, args).expect("a result");
        body.deserialize().expect("JSON")
    }

    fn err(&self, command: &str, args: Value) -> Value {
        self.call(command, args).expect_err("an error")
    }

    fn message(&self) -> (u32, usize, InvokeResponseBody) {
        self.messages.recv_timeout(PATIENCE).expect("a message")
    }

    fn events(&self, name: &str) -> Receiver<Value> {
        let (heard, events) = channel();
        self.app.listen_any(name, move |event| {
            let _ = heard.send(serde_json::from_str(event.payload()).expect("JSON"));
        });
        events
    }
}

#[test]
fn named_commands_go_to_the_other_process_and_others_stay_the_apps() {
    let setup = start();
    assert_eq!(setup.ok("add", json!({ "a": 2, "b": 3 })), 5);
    assert_eq!(setup.ok("own", json!({})), "own");
    let worker = setup.ok("pid", json!({}));
    assert_eq!(worker.as_u64(), setup.forward.child().map(u64::from));
    assert_eq!(setup.err("nobodys", json!({})), "Command nobodys not found");
}

#[test]
fn json_comes_back_as_it_was_whatever_its_size() {
    let setup = start();
    let long = "größer\u{2028}\"\\".repeat(30_000);
    for value in
        [json!(null), json!([1, -2.5, u64::MAX, "größer"]), json!({ "": { "a": [] } }), json!(long)]
    {
        assert_eq!(setup.ok("echo", json!({ "value": value })), value);
    }
    assert_eq!(setup.ok("nothing", json!({})), Value::Null);
}

#[test]
fn raw_bodies_go_both_ways() {
    let setup = start();
    for len in [0, 3, 5_000_000] {
        let bytes: Vec<u8> = (0..len).map(|n: u32| n.to_le_bytes()[0]).collect();
        let Ok(InvokeResponseBody::Raw(back)) = setup.call("reverse", bytes.clone()) else {
            panic!("not raw");
        };
        assert!(back.iter().rev().eq(bytes.iter()));
    }
}

#[test]
fn errors_have_the_form_that_the_command_gave_them() {
    let setup = start();
    assert_eq!(setup.err("fail", json!({ "how": "text" })), "it failed");
    assert_eq!(
        setup.err("fail", json!({ "how": "object" })),
        json!({ "code": 7, "text": "größer" })
    );
}

#[test]
fn refusals_have_the_words_of_tauri() {
    let setup = start();
    assert_eq!(setup.err("missing", json!({})), "Command missing not found");
    assert_eq!(
        setup.err("add", json!({ "a": 2 })),
        "invalid args `b` for command `add`: command add missing required key b"
    );
}

#[test]
fn the_pages_own_headers_arrive_and_the_invoke_key_does_not() {
    let setup = start();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("tauri-invoke-key", "secret"),
        ("tauri-callback", "1"),
        ("content-type", "application/json"),
        ("origin", "tauri://localhost"),
        ("sec-fetch-mode", "cors"),
        ("x-colour", "blue"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let answered = begin(&setup.page, "headers", json!({}), headers);
    let body = answered.recv_timeout(PATIENCE).expect("an answer").expect("a result");
    assert_eq!(body.deserialize::<Value>().expect("JSON"), json!({ "x-colour": "blue" }));
}

#[test]
fn channel_messages_arrive_in_order() {
    let setup = start();
    let many = 5_000;
    assert_eq!(setup.ok("count", json!({ "to": many, "onNumber": "__CHANNEL__:41" })), many);
    for number in 0..many {
        let (channel, index, message) = setup.message();
        assert_eq!((channel, index as u64), (41, number));
        assert_eq!(message.deserialize::<u64>().expect("a number"), number);
    }
}

#[test]
fn channel_messages_may_be_raw() {
    let setup = start();
    setup.ok("chunks", json!({ "onChunk": "__CHANNEL__:1" }));
    for expected in [vec![1, 2, 3], vec![4; 100_000]] {
        let (_, _, InvokeResponseBody::Raw(bytes)) = setup.message() else { panic!("not raw") };
        assert!(bytes == expected);
    }
}

#[test]
fn the_page_is_told_of_a_channel_that_failed() {
    let setup = start();
    let failures = setup.events(CHANNEL_ERROR);
    setup.ok("break_channel", json!({ "onNumber": "__CHANNEL__:9" }));
    let (_, _, message) = setup.message();
    assert_eq!(message.deserialize::<u64>().expect("a number"), 1);
    let told = failures.recv_timeout(PATIENCE).expect("an event");
    assert_eq!(told["channel"], 9);
    assert_eq!(told["code"], "channel-failed");
    assert_eq!(told["data"], json!({ "code": 7, "text": "größer" }));
}

#[test]
fn events_reach_the_app_and_are_not_sent_back() {
    let both = Forward::spawning(spawn)
        .events_to_app(["progress", "brightness"])
        .events_from_app(["brightness"]);
    let setup = start_with(both, &[]);
    let (progress, brightness) = (setup.events("progress"), setup.events("brightness"));
    setup.ok("tell", json!({ "name": "progress", "value": { "row": 1 } }));
    assert_eq!(progress.recv_timeout(PATIENCE).expect("an event"), json!({ "row": 1 }));
    setup.ok("tell", json!({ "name": "brightness", "value": 5 }));
    assert_eq!(brightness.recv_timeout(PATIENCE).expect("an event"), 5);
    assert_eq!(setup.ok("seen", json!({}))["brightness"], 0);
    setup.ok("tell", json!({ "name": "unnamed", "value": 5 }));
}

#[test]
fn events_of_the_app_arrive_before_the_calls_behind_them() {
    let setup = start_with(Forward::spawning(spawn).events_from_app(["brightness"]), &[]);
    setup.ok("nothing", json!({}));
    for by in 1..100 {
        setup.app.emit("brightness", by).expect("emitted");
        assert_eq!(setup.ok("seen", json!({}))["brightness"], by);
    }
}

#[test]
fn a_death_in_mid_call_rejects_it_and_the_next_call_reaches_a_new_process() {
    let setup = start();
    let first = setup.ok("pid", json!({}));
    let waiting =
        begin(&setup.page, "wait", json!({ "onBegun": "__CHANNEL__:1" }), HeaderMap::new());
    setup.message();
    let lost = setup.err("die", json!({}));
    assert_eq!((&lost["code"], &lost["outcome"]), (&json!("peer-died"), &json!("unknown")));
    let lost = waiting.recv_timeout(PATIENCE).expect("an answer").expect_err("an error");
    assert_eq!((&lost["code"], &lost["outcome"]), (&json!("peer-died"), &json!("unknown")));
    assert_eq!(setup.ok("own", json!({})), "own");
    let second = setup.ok("pid", json!({}));
    assert_ne!(first, second);
    // Nothing was sent again.
    assert_eq!(setup.ok("seen", json!({})), json!({ "brightness": 0, "calls": 0, "cancelled": 0 }));
}

#[test]
fn events_of_a_new_process_are_heard_as_well() {
    let setup = start_with(Forward::spawning(spawn).events_to_app(["progress"]), &[]);
    let progress = setup.events("progress");
    setup.err("die", json!({}));
    setup.ok("tell", json!({ "name": "progress", "value": 2 }));
    assert_eq!(progress.recv_timeout(PATIENCE).expect("an event"), 2);
}

#[test]
fn a_program_that_does_not_start_is_a_typed_rejection() {
    let forward = Forward::spawning(|| Sidecar::spawn(Command::new("./no-such-program")));
    let setup = start_with(forward, &[]);
    let refused = setup.err("add", json!({ "a": 2, "b": 3 }));
    assert_eq!((&refused["code"], &refused["outcome"]), (&json!("os-error"), &json!("not-run")));
    assert_eq!(setup.ok("own", json!({})), "own");
}

#[test]
fn a_page_that_goes_cancels_its_calls_and_no_others() {
    let setup = start();
    let other = page(&setup.app, "other");
    let args = |id| json!({ "onBegun": format!("__CHANNEL__:{id}") });
    let going = begin(&setup.page, "wait", args(1), HeaderMap::new());
    let staying = begin(&other, "wait", args(2), HeaderMap::new());
    setup.message();
    setup.message();
    setup.forward.page_gone("main");
    assert_eq!(going.recv_timeout(PATIENCE).err(), Some(RecvTimeoutError::Disconnected));
    let started = std::time::Instant::now();
    while setup.ok("seen", json!({}))["cancelled"] != 1 {
        assert!(started.elapsed() < PATIENCE, "the command was not told");
    }
    assert!(staying.try_recv().is_err());
    setup.forward.page_gone("other");
}

#[test]
fn what_no_capability_allows_is_refused_before_anything_is_sent() {
    let setup = start_with(Forward::spawning(spawn), &["seen", "echo"]);
    let refused = setup.err("plugin:worker|pid", json!({}));
    assert_eq!(refused, "Command plugin:worker|pid not allowed by ACL");
    let refused = setup.err("plugin:worker|nobodys", json!({}));
    assert_eq!(refused, "Command plugin:worker|nobodys not allowed by ACL");
    assert_eq!(setup.ok("plugin:worker|seen", json!({}))["calls"], 0);
    assert_eq!(setup.ok("plugin:worker|echo", json!({ "value": 1 })), 1);
    assert_eq!(setup.ok("plugin:worker|seen", json!({}))["calls"], 1);
}

#[test]
fn the_servers_own_capabilities_apply_as_well() {
    let forward = Forward::spawning(|| {
        let mut worker = worker();
        worker.env("TRAMLINE_WORKER_ALLOWS_LITTLE", "1");
        Sidecar::spawn(worker)
    });
    let setup = start_with(forward, &[]);
    assert_eq!(setup.ok("add", json!({ "a": 2, "b": 3 })), 5);
    assert!(setup.err("pid", json!({})).is_string());
}

#[test]
fn many_calls_in_flight_are_all_answered() {
    for polls in [false, true] {
        let setup = start_with(Forward::spawning(spawn).polls(polls), &[]);
        setup.ok("nothing", json!({}));
        let calls: Vec<_> = (0..2_000)
            .map(|n| begin(&setup.page, "add", json!({ "a": n, "b": 1 }), HeaderMap::new()))
            .collect();
        for (n, call) in calls.into_iter().enumerate() {
            let body = call.recv_timeout(PATIENCE).expect("an answer").expect("a result");
            assert_eq!(body.deserialize::<usize>().expect("a number"), n + 1);
        }
    }
}

#[test]
fn a_client_that_is_given_may_speak_another_codec_and_is_not_made_again() {
    let sidecar = spawn().codec(AnyCodec::MSGPACK).wait().expect("a worker");
    let client: Client = sidecar.client().clone();
    let setup = start_with(forward(client), &[]);
    let value = json!({ "z": [1, -2.5, "größer"], "a": null });
    assert_eq!(setup.ok("echo", json!({ "value": value })), value);
    assert_eq!(
        setup.err("fail", json!({ "how": "object" })),
        json!({ "code": 7, "text": "größer" })
    );
    setup.err("die", json!({}));
    assert_eq!(setup.err("pid", json!({}))["outcome"], "not-run");
}
