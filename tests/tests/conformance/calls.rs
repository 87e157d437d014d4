//! Calls that are answered.

use std::thread;

use serde::Serialize;
use tramline::{Raw, json};
use tramline_tests::{PATIENCE, Setup, conformance};

conformance! {
    invoke_returns_what_the_handler_returned,
    arguments_are_named_in_camel_case,
    missing_and_null_options_are_none,
    extra_keys_are_ignored,
    raw_result_arrives_as_bytes,
    raw_body_reaches_the_handler,
    borrowed_arguments_survive_escapes_and_arrays,
    state_and_peer_are_injected,
    async_commands_answer,
    calls_from_many_threads_on_one_connection_are_answered_right,
    slow_command_blocks_no_other_call,
    several_connections_do_not_mix_their_answers,
}

fn invoke_returns_what_the_handler_returned(setup: &Setup) {
    let f = setup.open();
    let sum: i64 = f.client.invoke("add", json!({ "a": 2, "b": -5 })).wait().expect("a sum");
    assert_eq!(sum, -3);
    let value = json!({ "a": [1, null, 2.5], "b": { "c": "ü" }, "d": u64::MAX, "e": i64::MIN });
    let echoed: serde_json::Value =
        f.client.invoke("echo", json!({ "value": value })).wait().expect("the value");
    assert_eq!(echoed, value);
    let nothing: Option<u8> =
        f.client.invoke("open", json!({ "gate": "unused" })).wait().expect("nothing");
    assert_eq!(nothing, None);
}

fn arguments_are_named_in_camel_case(setup: &Setup) {
    let f = setup.open();
    let args = json!({ "userId": 7, "firstName": "Ada", "type": "x" });
    let text: String = f.client.invoke("user_name", args).wait().expect("a name");
    assert_eq!(text, "7 Ada x");
    let args = json!({ "user_id": 7, "first_name": "Ada" });
    let refused = f.client.invoke::<String, _>("user_name", args).wait().expect_err("snake case");
    assert_eq!(refused.code(), "bad-arguments");
}

fn missing_and_null_options_are_none(setup: &Setup) {
    let f = setup.open();
    for args in [json!({}), json!({ "number": null, "text": null }), json!(null)] {
        let text: String = f.client.invoke("options", args).wait().expect("options");
        assert_eq!(text, "None None");
    }
    let text: String = f.client.invoke("options", ()).wait().expect("options");
    assert_eq!(text, "None None");
    let text: String =
        f.client.invoke("options", json!({ "number": 3, "text": "t" })).wait().expect("options");
    assert_eq!(text, "Some(3) Some(\"t\")");
}

fn extra_keys_are_ignored(setup: &Setup) {
    let f = setup.open();
    let args = json!({ "z": { "deep": [1, 2, { "x": null }] }, "a": 1, "y": "text", "b": 2 });
    let sum: i64 = f.client.invoke("add", args).wait().expect("a sum");
    assert_eq!(sum, 3);
}

fn raw_result_arrives_as_bytes(setup: &Setup) {
    let f = setup.open();
    let Raw(bytes) = f.client.invoke("raw_result", json!({ "len": 5 })).wait().expect("bytes");
    assert_eq!(bytes, [7; 5][..]);
    let wrong = f.client.invoke::<String, _>("raw_result", json!({ "len": 5 })).wait();
    assert_eq!(wrong.expect_err("not structured").code(), "decode-failed");
    let wrong = f.client.invoke::<Raw, _>("add", json!({ "a": 1, "b": 1 })).wait();
    assert_eq!(wrong.expect_err("not raw").code(), "decode-failed");
}

fn raw_body_reaches_the_handler(setup: &Setup) {
    let f = setup.open();
    let body = b"\x00\xff{\"a\":1}".to_vec();
    let Raw(echoed) = f.client.invoke_raw("echo_raw", body.clone()).wait().expect("bytes");
    assert_eq!(echoed, body);
    let len: usize = f.client.invoke_raw("raw_length", body.clone()).wait().expect("a length");
    assert_eq!(len, body.len());
    let wrong = f.client.invoke_raw::<i64>("add", body).wait().expect_err("no arguments");
    assert_eq!(wrong.code(), "bad-arguments");
    let wrong = f.client.invoke::<Raw, _>("echo_raw", json!({ "body": 1 })).wait();
    assert_eq!(wrong.expect_err("no bytes").code(), "bad-arguments");
}

#[derive(Serialize)]
struct Bytes<'a> {
    #[serde(with = "serde_bytes")]
    bytes: &'a [u8],
}

fn borrowed_arguments_survive_escapes_and_arrays(setup: &Setup) {
    let f = setup.open();
    for text in ["", "plain", "\"quoted\" \\ \n \u{1} \u{1F600} ü", "\u{FFFF}\u{2028}"] {
        let echoed: String =
            f.client.invoke("echo_text", json!({ "text": text })).wait().expect("a text");
        assert_eq!(echoed, text);
    }
    let sum: u64 =
        f.client.invoke("sum_bytes", json!({ "bytes": [1, 2, 255] })).wait().expect("a sum");
    assert_eq!(sum, 258);
    let bytes = Bytes { bytes: &[250, 0, 7] };
    let sum: u64 = f.client.invoke("sum_bytes", bytes).wait().expect("a sum");
    assert_eq!(sum, 257);
}

fn state_and_peer_are_injected(setup: &Setup) {
    let f = setup.open();
    let token: String = f.client.invoke("token", ()).wait().expect("managed");
    assert_eq!(token, "managed");
    let label: Option<String> = f.client.invoke("my_label", ()).wait().expect("a peer");
    assert_eq!(label.as_deref(), Some("first"));
    let unnamed = f.connect().wait().expect("it serves");
    let label: Option<String> = unnamed.invoke("my_label", ()).wait().expect("a peer");
    assert_eq!(label, None);
    assert_eq!(f.client.server().label(), Some("test server"));
}

fn async_commands_answer(setup: &Setup) {
    let f = setup.open();
    for number in 0..100 {
        let next: u64 =
            f.client.invoke("later", json!({ "number": number })).wait().expect("a number");
        assert_eq!(next, number + 1);
    }
}

fn calls_from_many_threads_on_one_connection_are_answered_right(setup: &Setup) {
    let f = setup.open();
    thread::scope(|scope| {
        for thread in 0..8_i64 {
            let client = &f.client;
            scope.spawn(move || {
                for number in 0..2000_i64 {
                    let args = json!({ "a": thread * 10_000, "b": number });
                    // Every fourth goes through another thread at the server.
                    let sum: i64 = if number % 4 == 0 {
                        let args = json!({ "value": thread * 10_000 + number });
                        client.invoke("echo", args).timeout(PATIENCE).wait().expect("echo")
                    } else {
                        client.invoke("add", args).timeout(PATIENCE).wait().expect("a sum")
                    };
                    assert_eq!(sum, thread * 10_000 + number);
                }
            });
        }
    });
}

fn slow_command_blocks_no_other_call(setup: &Setup) {
    let f = setup.open();
    for command in ["hold", "hold_async"] {
        thread::scope(|scope| {
            let args = json!({ "gate": command });
            let slow = scope.spawn(|| f.client.invoke::<String, _>(command, args).wait());
            let args = json!({ "gate": command, "count": 1 });
            let entered = f.client.invoke::<(), _>("wait_entered", args);
            entered.timeout(PATIENCE).wait().expect("it runs");
            for number in 0..100 {
                let args = json!({ "a": number, "b": 1 });
                let sum: i64 =
                    f.client.invoke("add", args).timeout(PATIENCE).wait().expect("a sum");
                assert_eq!(sum, number + 1);
            }
            assert!(!slow.is_finished());
            let opened = f.client.invoke::<(), _>("open", json!({ "gate": command }));
            opened.timeout(PATIENCE).wait().expect("opened");
            let slow = slow.join().expect("no panic").expect("answered");
            assert_eq!(slow, command);
        });
    }
}

fn several_connections_do_not_mix_their_answers(setup: &Setup) {
    let f = setup.open();
    thread::scope(|scope| {
        for number in 0..6_i64 {
            let client = f.connect().wait().expect("it serves");
            scope.spawn(move || {
                for round in 0..300 {
                    let args = json!({ "a": number * 1000, "b": round });
                    let sum: i64 =
                        client.invoke("add", args).timeout(PATIENCE).wait().expect("a sum");
                    assert_eq!(sum, number * 1000 + round);
                }
            });
        }
    });
}
