//! One answer to each call, whatever its command does, and in which order.

use std::future::IntoFuture;

use futures_lite::future::{block_on, poll_once};
use serde_json::Value;
use tramline::{Capabilities, Client, InvokeError, Server, command, commands, json};
use tramline_tests::{PATIENCE, Setup, conformance};

conformance! {
    second_answer_is_an_error_not_a_panic,
    dropped_call_is_an_error_reply,
    calls_are_accepted_in_order_and_finish_in_any,
}

fn second_answer_is_an_error_not_a_panic(setup: &Setup) {
    let f = setup.open();
    for command in ["hasty", "hasty_inline", "hasty_async", "hasty_panic"] {
        let call = f.client.invoke::<String, _>(command, json!({ "gate": command }));
        assert_eq!(call.timeout(PATIENCE).wait().expect("answered"), "first", "{command}");
        // Whoever answered was told that the second answer did not count.
        f.wait_entered(command, 1);
        let sum: i64 = f.client.invoke("add", json!({ "a": 1, "b": 1 })).wait().expect("it lives");
        assert_eq!(sum, 2, "{command}");
    }
}

#[command]
async fn never_run() -> u64 {
    7
}

fn dropped_call_is_an_error_reply(setup: &Setup) {
    let endpoint = setup.transport.endpoint();
    let server = Server::new()
        .commands(commands![never_run])
        .allow(Capabilities::all())
        .codec::<tramline_tests::codec::Marked>()
        .executor(drop)
        .start(&endpoint)
        .expect("the name is free");
    let client = Client::connect(&endpoint).codec(setup.codec).wait().expect("it serves");
    for _ in 0..3 {
        let call = client.invoke::<u64, _>("never_run", ()).timeout(PATIENCE);
        let dropped = call.wait().expect_err("nobody answers");
        assert!(matches!(dropped, InvokeError::Failed(_)), "{dropped:?}");
        assert_eq!(dropped.code(), "handler-dropped");
        assert_eq!(dropped.to_string(), "command `never_run` ended without an answer");
    }
    assert_eq!(client.ended(), None);
    server.stop();
}

fn calls_are_accepted_in_order_and_finish_in_any(setup: &Setup) {
    let f = setup.open();
    let count = 200;
    block_on(async {
        // The first stays at work while all others are answered.
        let slow = f.client.invoke::<String, _>("hold", json!({ "gate": "slow" }));
        let mut slow = slow.into_future();
        assert!(poll_once(&mut slow).await.is_none());
        let mut calls = Vec::new();
        for number in 0..count {
            let call = f.client.invoke::<u64, _>("note", json!({ "number": number }));
            let mut call = call.timeout(PATIENCE).into_future();
            // The first look sends it.
            let answer = poll_once(&mut call).await;
            calls.push((number, call, answer));
        }
        // Asked for backwards, accepted in order.
        for (number, call, answer) in calls.into_iter().rev() {
            let before = match answer {
                Some(answer) => answer,
                None => call.await,
            };
            assert_eq!(before.expect("noted"), number);
        }
        let noted: Vec<u64> = f.client.invoke("noted", Value::Null).await.expect("noted");
        assert_eq!(noted, (0..count).collect::<Vec<_>>());
        assert!(poll_once(&mut slow).await.is_none());
        f.open_gate("slow");
        assert_eq!(slow.await.expect("answered"), "slow");
    });
}
