//! Calls that their caller no longer waits for, and commands that are told so.

use std::future::IntoFuture;
use std::thread;
use std::time::Duration;

use futures_lite::future::{self, block_on};
use tramline::{CancelToken, Client, Invoke, InvokeError, json};
use tramline_tests::{PATIENCE, Setup, conformance};

conformance! {
    dropping_the_call_cancels_the_handler,
    a_cancelled_call_returns_and_tells_the_handler,
    each_of_many_waiting_threads_is_cancelled_alone,
    deadline_answers_the_caller_and_tells_the_handler,
    cancel_after_answer_is_ignored,
    a_call_cancelled_before_it_begins_is_not_sent,
    the_end_of_the_caller_cancels_its_calls,
}

const COMMANDS: [&str; 2] = ["until_cancelled", "until_cancelled_async"];

fn call<'a>(
    client: &'a Client,
    command: &'a str,
    gate: &str,
) -> Invoke<'a, bool, serde_json::Value> {
    client.invoke(command, json!({ "gate": gate }))
}

fn dropping_the_call_cancels_the_handler(setup: &Setup) {
    let f = setup.open();
    for command in COMMANDS {
        let mut pending = call(&f.client, command, command).into_future();
        assert!(block_on(future::poll_once(&mut pending)).is_none());
        f.wait_entered(command, 1);
        drop(pending);
        f.wait_entered(&format!("{command} told"), 1);
    }
    assert_eq!(f.client.ended(), None);
}

fn a_cancelled_call_returns_and_tells_the_handler(setup: &Setup) {
    let f = setup.open();
    for command in COMMANDS {
        for awaited in [false, true] {
            let gate = format!("{command} {awaited}");
            let token = CancelToken::new();
            let ended = thread::scope(|scope| {
                let client = &f.client;
                let caller = scope.spawn(|| {
                    let call = call(client, command, &gate).cancel_with(&token);
                    if awaited { block_on(call.into_future()) } else { call.wait() }
                });
                f.wait_entered(&gate, 1);
                token.cancel();
                caller.join().expect("no panic")
            });
            assert!(matches!(ended, Err(InvokeError::Cancelled(_))), "{ended:?}");
            f.wait_entered(&format!("{gate} told"), 1);
        }
    }
    assert_eq!(f.client.ended(), None);
}

fn each_of_many_waiting_threads_is_cancelled_alone(setup: &Setup) {
    const CALLERS: usize = 6;
    let f = setup.open();
    let tokens: Vec<_> = (0..CALLERS).map(|_| CancelToken::new()).collect();
    thread::scope(|scope| {
        let mut callers = Vec::new();
        for (number, token) in tokens.iter().enumerate() {
            let (client, gate) = (&f.client, format!("gate {number}"));
            callers.push(scope.spawn(move || {
                call(client, COMMANDS[number % 2], &gate).cancel_with(token).wait()
            }));
        }
        for number in 0..CALLERS {
            f.wait_entered(&format!("gate {number}"), 1);
        }
        for (number, caller) in callers.into_iter().enumerate().rev() {
            assert!(!caller.is_finished());
            tokens[number].cancel();
            let ended = caller.join().expect("no panic");
            assert!(matches!(ended, Err(InvokeError::Cancelled(_))), "{ended:?}");
            f.wait_entered(&format!("gate {number} told"), 1);
        }
    });
}

fn deadline_answers_the_caller_and_tells_the_handler(setup: &Setup) {
    let f = setup.open();
    for command in COMMANDS {
        for awaited in [false, true] {
            let gate = format!("{command} {awaited}");
            let call = call(&f.client, command, &gate).timeout(Duration::from_millis(20));
            let ended = if awaited { block_on(call.into_future()) } else { call.wait() };
            assert!(matches!(ended, Err(InvokeError::Deadline(_))), "{ended:?}");
            f.wait_entered(&format!("{gate} told"), 1);
        }
    }
}

fn cancel_after_answer_is_ignored(setup: &Setup) {
    let f = setup.open();
    for number in 0..100_i64 {
        let token = CancelToken::new();
        let args = json!({ "a": number, "b": 1 });
        let sum = f.client.invoke::<i64, _>("add", args).cancel_with(&token).wait();
        token.cancel();
        assert_eq!(sum.expect("a sum"), number + 1);
    }
    let sum: i64 = f.client.invoke("add", json!({ "a": 1, "b": 1 })).wait().expect("it lives");
    assert_eq!(sum, 2);
}

fn a_call_cancelled_before_it_begins_is_not_sent(setup: &Setup) {
    let f = setup.open();
    let token = CancelToken::new();
    token.cancel();
    for awaited in [false, true] {
        let call = f.client.invoke::<(), _>("open", json!({ "gate": "never" }));
        let call = call.cancel_with(&token);
        let ended = if awaited { block_on(call.into_future()) } else { call.wait() };
        assert!(matches!(ended, Err(InvokeError::Cancelled(_))), "{ended:?}");
    }
    let call = f.client.invoke::<String, _>("hold", json!({ "gate": "never" }));
    let ended = call.timeout(Duration::from_millis(20)).wait();
    assert!(matches!(ended, Err(InvokeError::Deadline(_))), "the gate was opened: {ended:?}");
    f.open_gate("never");
}

fn the_end_of_the_caller_cancels_its_calls(setup: &Setup) {
    let f = setup.open();
    for command in COMMANDS {
        let second = f.second();
        let args = json!({ "gate": command });
        let mut pending = second.invoke::<bool, _>(command, args).timeout(PATIENCE).into_future();
        assert!(block_on(future::poll_once(&mut pending)).is_none());
        f.wait_entered(command, 1);
        second.close();
        f.wait_entered(&format!("{command} told"), 1);
        let ended = block_on(pending);
        assert!(matches!(ended, Err(InvokeError::OutcomeUnknown(_))), "{ended:?}");
    }
}
