//! The same without blocking a thread.

use std::future::IntoFuture;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_executor::LocalExecutor;
use futures_lite::future::{self, block_on};
use tramline::{Client, InvokeError, Raw, json};
use tramline_tests::tally::{Count, Tally};
use tramline_tests::{PATIENCE, Setup, conformance};

conformance! {
    many_calls_in_flight_from_one_thread,
    large_awaited_calls_wait_for_room_together,
    awaited_and_blocking_calls_share_a_connection,
    awaited_listen_is_told_before_it_returns,
    awaited_connect_connects,
    dropping_a_future_forgets_the_call,
    awaited_deadline_passes_and_the_link_lives,
    every_short_deadline_is_noticed,
    awaited_emit_waits_for_room,
}

fn many_calls_in_flight_from_one_thread(setup: &Setup) {
    let f = setup.open();
    let executor = LocalExecutor::new();
    for command in ["add", "later", "echo"] {
        let tasks: Vec<_> = (0..64_u64)
            .map(|number| {
                let client = &f.client;
                executor.spawn(async move {
                    let args =
                        json!({ "a": number, "b": 1, "number": number, "value": number + 1 });
                    let call = client.invoke::<u64, _>(command, args).timeout(PATIENCE);
                    (number, call.await.expect("answered"))
                })
            })
            .collect();
        block_on(executor.run(async {
            for task in tasks {
                let (number, answer) = task.await;
                assert_eq!(answer, number + 1, "{command}");
            }
        }));
    }
}

fn large_awaited_calls_wait_for_room_together(setup: &Setup) {
    let f = setup.open();
    let executor = LocalExecutor::new();
    let tasks: Vec<_> = (0..16_u8)
        .map(|number| {
            let client = &f.client;
            executor.spawn(async move {
                let body = vec![number; 700_000];
                let call = client.invoke_raw::<Raw>("echo_raw", body.clone()).timeout(PATIENCE);
                assert!(call.await.expect("answered").0 == body);
            })
        })
        .collect();
    block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
}

fn awaited_and_blocking_calls_share_a_connection(setup: &Setup) {
    let f = setup.open();
    let add = |client: &Client, number: i64| {
        let args = json!({ "a": number, "b": 1 });
        client.invoke::<i64, _>("add", args).timeout(PATIENCE).wait().expect("a sum")
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for number in 0..1000 {
                    assert_eq!(add(&f.client, number), number + 1);
                }
            });
        }
        scope.spawn(|| {
            for number in 0..1000_i64 {
                let args = json!({ "a": number, "b": 1 });
                let call = f.client.invoke::<i64, _>("add", args).timeout(PATIENCE);
                assert_eq!(block_on(call.into_future()).expect("a sum"), number + 1);
            }
        });
    });
}

fn awaited_listen_is_told_before_it_returns(setup: &Setup) {
    let f = setup.open();
    let tally = Arc::new(Tally::default());
    let counts = Arc::clone(&tally);
    block_on(async {
        let listen = f.client.listen("down", move |event| {
            counts.add(event.payload().expect("a number"));
        });
        listen.await.expect("allowed");
        let args = json!({ "event": "down", "first": 0, "count": 100 });
        f.client.invoke::<(), _>("emit_numbers", args).await.expect("emitted");
        let refused = f.client.listen("secret", |_| {}).await.expect_err("not allowed");
        assert_eq!(refused.code(), "capability-denied");
        let refused = f.client.listen("a b", |_| {}).await.expect_err("a bad name");
        assert_eq!(refused.code(), "bad-event-name");
    });
    tally.expect(100);
}

fn awaited_connect_connects(setup: &Setup) {
    let f = setup.open();
    let sum: i64 = block_on(async {
        let client = f.connect().await.expect("it serves");
        client.invoke("add", json!({ "a": 1, "b": 2 })).await.expect("a sum")
    });
    assert_eq!(sum, 3);
}

fn dropping_a_future_forgets_the_call(setup: &Setup) {
    let f = setup.open();
    let args = json!({ "gate": "dropped" });
    let mut call = f.client.invoke::<String, _>("hold", args).into_future();
    assert!(block_on(future::poll_once(&mut call)).is_none());
    f.wait_entered("dropped", 1);
    drop(call);
    f.open_gate("dropped");
    for number in 0..100_i64 {
        let args = json!({ "value": number });
        let call = f.client.invoke::<i64, _>("echo", args).timeout(PATIENCE);
        assert_eq!(block_on(call.into_future()).expect("an answer of its own"), number);
    }
    // Never polled: never sent.
    drop(f.client.invoke::<String, _>("hold", json!({ "gate": "never" })).into_future());
    assert_eq!(f.client.ended(), None);
}

fn awaited_deadline_passes_and_the_link_lives(setup: &Setup) {
    let f = setup.open();
    let args = json!({ "gate": "late" });
    let call = f.client.invoke::<String, _>("hold", args).timeout(Duration::from_millis(20));
    let Err(InvokeError::Deadline(passed)) = block_on(call.into_future()) else {
        panic!("no deadline");
    };
    assert_eq!(passed.timeout_ms, 20);
    f.open_gate("late");
    let sum: i64 = f.client.invoke("add", json!({ "a": 1, "b": 1 })).wait().expect("it lives");
    assert_eq!(sum, 2);
}

fn every_short_deadline_is_noticed(setup: &Setup) {
    let f = setup.open();
    for number in 0..300_i64 {
        // The answer has the connection's thread look around just when the next call comes.
        let args = json!({ "a": number, "b": 1 });
        let sum: i64 = block_on(f.client.invoke("add", args).into_future()).expect("a sum");
        assert_eq!(sum, number + 1);
        let args = json!({ "gate": "late" });
        let call = f.client.invoke::<String, _>("hold", args).timeout(Duration::from_millis(1));
        let passed = block_on(call.into_future()).expect_err("nobody opens the gate");
        assert_eq!(passed.code(), "deadline-passed");
    }
    f.open_gate("late");
}

fn awaited_emit_waits_for_room(setup: &Setup) {
    let f = setup.open();
    f.client.emit("blocking", "gate").expect("room");
    f.wait_entered("gate", 1);
    let ballast = "x".repeat(10_000);
    thread::scope(|scope| {
        // More than fits: it can only be done when the gate is open.
        let emits = scope.spawn(|| {
            block_on(async {
                for number in 0..500_u64 {
                    f.client.emit_async("up", &(number, &ballast)).await.expect("room comes");
                }
            });
        });
        f.open_gate("gate");
        emits.join().expect("room comes");
    });
    let args = json!({ "count": 500 });
    let count: Count = f.client.invoke("wait_up", args).timeout(PATIENCE).wait().expect("counted");
    assert_eq!(count, Count { count: 500, out_of_order: 0, next: 500 });
}
