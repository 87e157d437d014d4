//! The kit for users' tests: mocks, a pair without a name, and its time.

#![cfg(feature = "test-kit")]

use std::future::IntoFuture;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use tramline::test::{
    Clock, IpcResponse, assert_ipc_response, connect, get_ipc_response, mock_ipc, pair,
};
use tramline::{
    Bytes, CancelToken, Capabilities, InvokeError, Quota, Rate, Raw, Rejection, Server, State,
    command, commands, json,
};

/// No test waits as long as this by the system's clock.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);
/// Turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(60);

#[command(inline)]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[command]
fn fail() -> Result<(), serde_json::Value> {
    Err(json!({ "kind": "full", "left": 0 }))
}

#[command]
fn forbidden() {}

#[command(inline)]
fn raw() -> Raw {
    vec![1, 2].into()
}

/// Ends when its caller gives up; says so to the test.
#[command]
async fn endless(started: State<'_, mpsc::SyncSender<&'static str>>, token: CancelToken) {
    let _ = started.send("started");
    token.cancelled().await;
    let _ = started.send("cancelled");
}

/// Takes this many seconds, by its own clock.
#[command]
async fn slow(secs: u64, clock: State<'_, Clock>, token: CancelToken) {
    clock.advance(Duration::from_secs(secs));
    token.cancelled().await;
}

fn server() -> (Server, mpsc::Receiver<&'static str>) {
    let (sender, receiver) = mpsc::sync_channel(16);
    let names = ["add", "fail", "raw", "endless", "slow", "missing"];
    let allowed = names.iter().fold(Capabilities::none(), |all, name| all.command(name));
    let server = Server::new()
        .commands(commands![add, fail, forbidden, raw, endless, slow])
        .manage(sender)
        .allow(allowed.event("tick").event("tock"));
    (server, receiver)
}

#[test]
fn mocked_calls_reach_the_closure_with_their_arguments_headers_and_bytes() {
    let mock = mock_ipc(|call| match call.command() {
        "args" => Ok(call.args().clone()),
        "header" => Ok(json!(call.header("trace"))),
        "raw" => Ok(json!(call.raw().map(Bytes::len))),
        "timeout" => Ok(json!(call.timeout().map(|timeout| timeout.as_secs()))),
        other => Err(json!({ "unexpected": other })),
    });
    let mock = mock.start().expect("started");
    let client = mock.client();
    let args: serde_json::Value = client.invoke("args", json!({ "a": [1] })).wait().expect("args");
    assert_eq!(args, json!({ "a": [1] }));
    let header: String = client.invoke("header", ()).header("trace", "7").wait().expect("header");
    assert_eq!(header, "7");
    assert_eq!(client.invoke_raw::<usize>("raw", &[1, 2, 3][..]).wait().expect("raw"), 3);
    let timeout = client.invoke::<u64, _>("timeout", ()).timeout(Duration::from_secs(9));
    assert_eq!(timeout.wait().expect("timeout"), 9);
    let failed = client.invoke::<(), _>("plugin:fs|read", ()).wait().expect_err("an error");
    let InvokeError::Failed(failure) = failed else { panic!("{failed:?}") };
    assert_eq!(failure.code(), "command-failed");
    let value: serde_json::Value = failure.value().expect("JSON");
    assert_eq!(value, json!({ "unexpected": "plugin:fs|read" }));
}

#[test]
fn a_panicking_mock_fails_the_call_and_a_cleared_one_knows_no_command() {
    let mock = mock_ipc(|call| {
        assert_ne!(call.command(), "panics", "on purpose");
        Ok(json!(1))
    });
    let mock = mock.start().expect("started");
    let call = |name: &str| mock.client().invoke::<u64, _>(name, ()).wait();
    assert_eq!(call("panics").expect_err("a panic").code(), "handler-panicked");
    assert_eq!(call("one").expect("answered"), 1);
    mock.clear();
    let unknown = call("one").expect_err("cleared");
    assert!(matches!(unknown, InvokeError::Rejected(Rejection::UnknownCommand { .. })));
    assert_eq!(unknown.to_string(), "Command one not found");
}

#[test]
fn mocked_events_come_back_to_the_listeners_of_their_client() {
    let mock = mock_ipc(|_| Ok(json!(null))).should_mock_events().start().expect("started");
    let client = mock.client();
    let sum = Arc::new(AtomicU64::new(0));
    let listen = |sum: &Arc<AtomicU64>| {
        let sum = Arc::clone(sum);
        move |event: tramline::Event<'_>| {
            sum.fetch_add(event.payload().unwrap_or(1000), Ordering::SeqCst);
        }
    };
    let id = client.listen("tick", listen(&sum)).wait().expect("listening");
    client.once("tick", listen(&sum)).wait().expect("listening");
    client.emit("tick", &3).expect("emitted");
    assert_eq!(sum.load(Ordering::SeqCst), 6);
    client.emit("tick", &1).expect("emitted");
    assert_eq!(sum.load(Ordering::SeqCst), 7);
    client.emit_raw("tick", &b"raw"[..]).expect("emitted");
    assert_eq!(sum.load(Ordering::SeqCst), 1007);
    client.unlisten(id);
    client.emit("tick", &1).expect("emitted");
    client.emit("nobody listens", &1).expect_err("no event name");
    assert_eq!(sum.load(Ordering::SeqCst), 1007);
}

#[test]
fn without_mocked_events_only_the_servers_own_are_heard() {
    let mock = mock_ipc(|_| Ok(json!(null))).start().expect("started");
    let (heard, came) = mpsc::channel();
    let listener = move |event: tramline::Event<'_>| {
        let _ = heard.send(event.payload::<u64>());
    };
    mock.client().listen("tick", listener).wait().expect("listening");
    mock.client().emit("tick", &1).expect("goes nowhere");
    mock.server().clients().emit("tick", &2).expect("emitted");
    assert_eq!(came.recv_timeout(PATIENCE).expect("an event").expect("a number"), 2);
    assert!(came.try_recv().is_err());
}

#[test]
fn a_mock_that_never_answers_lets_the_deadline_pass_without_waiting() {
    let mock = mock_ipc(|call| Err(call.never_answered())).start().expect("started");
    let call = || mock.client().invoke::<(), _>("x", ()).timeout(FOR_EVER);
    assert!(matches!(call().wait(), Err(InvokeError::Deadline(_))));
    assert!(matches!(block_on(call().into_future()), Err(InvokeError::Deadline(_))));
    assert!(mock.clock().elapsed() >= 2 * FOR_EVER);
}

#[test]
fn responses_are_compared_as_json() {
    let (server, _told) = server();
    let pair = pair(server).expect("a pair");
    let server = pair.server();
    assert_ipc_response(server, "add", json!({ "a": 1, "b": 2 }), Ok::<_, ()>(3));
    let full = json!({ "kind": "full", "left": 0 });
    assert_ipc_response(server, "fail", (), Err::<(), _>(full));
    let denied = "Command forbidden not allowed by ACL";
    assert_ipc_response(server, "forbidden", (), Err::<(), _>(denied));
    assert_ipc_response(server, "missing", (), Err::<(), _>("Command missing not found"));
    let raw = get_ipc_response(server, "raw", ());
    assert_eq!(raw, Ok(IpcResponse::Raw(Bytes::from_static(&[1, 2]))));
    assert!(raw.expect("bytes").deserialize::<Vec<u8>>().is_err());
}

#[test]
#[should_panic(expected = "command `add`")]
fn a_response_that_differs_fails_the_test() {
    let (server, _told) = server();
    let pair = pair(server).expect("a pair");
    assert_ipc_response(pair.server(), "add", json!({ "a": 1, "b": 2 }), Ok::<_, ()>(4));
}

#[test]
fn any_running_server_can_be_asked_without_its_endpoint() {
    let endpoint = format!("mem:kit-{}", std::process::id());
    let (server, _told) = server();
    let running = server.start(&endpoint).expect("started");
    assert_ipc_response(&running, "add", json!({ "a": 1, "b": 2 }), Ok::<_, ()>(3));
    running.stop();
    let gone = get_ipc_response(&running, "add", json!({ "a": 1, "b": 2 }));
    assert!(gone.is_err(), "{gone:?}");
}

#[test]
fn several_clients_share_a_pairs_server_and_its_time() {
    let (server, told) = server();
    let pair = pair(server).expect("a pair");
    let editor = connect(pair.server()).label("editor").wait().expect("connected");
    assert!(pair.server().clients().list().iter().any(|peer| peer.label() == Some("editor")));
    let call = || editor.invoke::<(), _>("endless", ()).timeout(FOR_EVER);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| call().wait());
        assert_eq!(told.recv_timeout(PATIENCE), Ok("started"));
        pair.advance(FOR_EVER);
        assert!(matches!(call.join().expect("no panic"), Err(InvokeError::Deadline(_))));
    });
    assert_eq!(told.recv_timeout(PATIENCE), Ok("cancelled"));
}

#[test]
fn a_deadline_passes_when_the_clock_is_moved_to_it_and_not_before() {
    let (server, told) = server();
    let pair = pair(server).expect("a pair");
    let secs = Duration::from_secs;
    // Awaited: the future is looked at by hand.
    block_on(async {
        let call = pair.client().invoke::<(), _>("endless", ()).timeout(secs(10));
        let mut call = call.into_future();
        assert!(poll_once(&mut call).await.is_none());
        assert_eq!(told.recv_timeout(PATIENCE), Ok("started"));
        pair.advance(secs(9));
        assert_eq!(
            pair.client().invoke::<i64, _>("add", json!({ "a": 1, "b": 2 })).await.ok(),
            Some(3)
        );
        assert!(poll_once(&mut call).await.is_none());
        pair.advance(secs(1));
        assert!(matches!(call.await, Err(InvokeError::Deadline(_))));
    });
    assert_eq!(told.recv_timeout(PATIENCE), Ok("cancelled"));
    // Blocking, alone on its connection and beside another that reads for it.
    for others in [0, 2] {
        std::thread::scope(|scope| {
            let call = |secs| {
                let timeout = Duration::from_secs(secs);
                pair.client().invoke::<(), _>("endless", ()).timeout(timeout).wait()
            };
            let others: Vec<_> = (0..others).map(|_| scope.spawn(move || call(20))).collect();
            let short = scope.spawn(move || call(10));
            for _ in 0..=others.len() {
                assert_eq!(told.recv_timeout(PATIENCE), Ok("started"));
            }
            pair.advance(secs(10));
            assert!(matches!(short.join().expect("no panic"), Err(InvokeError::Deadline(_))));
            assert_eq!(told.recv_timeout(PATIENCE), Ok("cancelled"));
            assert!(!others.iter().any(|other| other.is_finished()));
            pair.advance(secs(10));
            for other in others {
                assert!(matches!(other.join().expect("no panic"), Err(InvokeError::Deadline(_))));
                assert_eq!(told.recv_timeout(PATIENCE), Ok("cancelled"));
            }
        });
    }
}

#[test]
fn a_command_can_take_its_time_by_moving_the_clock() {
    let (server, _told) = server();
    let pair = pair(server).expect("a pair");
    let slow = |secs: u64| {
        let call = pair.client().invoke::<(), _>("slow", json!({ "secs": secs }));
        call.timeout(Duration::from_secs(60)).wait()
    };
    assert!(matches!(slow(61), Err(InvokeError::Deadline(_))));
    assert_eq!(pair.clock().elapsed(), Duration::from_secs(61));
}

#[test]
fn a_quota_is_filled_again_by_the_clock_and_by_nothing_else() {
    let (server, _told) = server();
    let quota = Quota::none().messages(Rate::per_second(1));
    let pair = pair(server.quota(quota)).expect("a pair");
    let add = || pair.client().invoke::<i64, _>("add", json!({ "a": 1, "b": 2 })).wait();
    let used_up = (0..1000).find_map(|_| add().err()).expect("used up");
    assert!(matches!(used_up, InvokeError::Rejected(Rejection::OverQuota { .. })));
    assert!(add().is_err());
    pair.advance(Duration::from_secs(1));
    assert_eq!(add().expect("a second later"), 3);
    assert!(add().is_err());
}

#[test]
fn a_clock_moved_too_far_stops_at_its_end() {
    let (server, _told) = server();
    let pair = pair(server).expect("a pair");
    pair.advance(Duration::MAX);
    pair.advance(Duration::MAX);
    let call = pair.client().invoke::<i64, _>("add", json!({ "a": 1, "b": 2 }));
    assert_eq!(call.timeout(Duration::MAX).wait().expect("answered"), 3);
}
