//! Deadlines, and the end of a link.

use std::thread;
use std::time::Duration;

use tramline::{Client, InvokeError, LinkError, SendError, json};
use tramline_tests::{PATIENCE, Setup, Transport, bounded, conformance, eventually};

conformance! {
    deadline_passes_and_the_link_lives,
    late_reply_is_ignored,
    deadline_of_one_thread_leaves_the_others_waiting,
    a_stopped_server_ends_its_clients_calls_with_closed,
    a_stopped_server_says_so_even_in_the_middle_of_traffic,
    closing_a_client_ends_its_own_calls,
    the_last_client_dropped_is_gone_at_the_server,
    a_closed_link_is_an_error_at_once,
}

fn add(client: &Client) -> Result<i64, InvokeError> {
    client.invoke("add", json!({ "a": 1, "b": 1 })).timeout(PATIENCE).wait()
}

fn deadline_passes_and_the_link_lives(setup: &Setup) {
    let f = setup.open();
    for command in ["hold", "hold_async"] {
        let call = f.client.invoke::<String, _>(command, json!({ "gate": "late" }));
        let passed = call.timeout(Duration::from_millis(30)).wait();
        let Err(InvokeError::Deadline(passed)) = passed else {
            panic!("{passed:?}");
        };
        assert_eq!(passed.timeout_ms, 30);
        assert_eq!(add(&f.client).expect("it lives"), 2);
    }
    f.open_gate("late");
    let now: String =
        f.client.invoke("hold", json!({ "gate": "late" })).wait().expect("the gate is open");
    assert_eq!(now, "late");
}

fn late_reply_is_ignored(setup: &Setup) {
    let f = setup.open();
    for _ in 0..20 {
        let call = f.client.invoke::<String, _>("hold", json!({ "gate": "late" }));
        let passed = call.timeout(Duration::from_millis(1)).wait().expect_err("blocked");
        assert_eq!(passed.code(), "deadline-passed");
    }
    f.wait_entered("late", 20);
    f.open_gate("late");
    for number in 0..500_i64 {
        let echo = f.client.invoke("echo", json!({ "value": number })).timeout(PATIENCE);
        let echoed: i64 = echo.wait().expect("an answer of its own");
        assert_eq!(echoed, number);
    }
    assert_eq!(f.client.ended(), None);
}

fn deadline_of_one_thread_leaves_the_others_waiting(setup: &Setup) {
    let f = setup.open();
    thread::scope(|scope| {
        let patient: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let call = f.client.invoke::<String, _>("hold", json!({ "gate": "g" }));
                    call.timeout(PATIENCE).wait()
                })
            })
            .collect();
        f.wait_entered("g", 4);
        let hasty: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let call = f.client.invoke::<String, _>("hold", json!({ "gate": "g" }));
                    call.timeout(Duration::from_millis(20)).wait()
                })
            })
            .collect();
        for hasty in hasty {
            let passed = hasty.join().expect("no panic").expect_err("blocked");
            assert_eq!(passed.code(), "deadline-passed");
        }
        f.open_gate("g");
        for patient in patient {
            assert_eq!(patient.join().expect("no panic").expect("answered"), "g");
        }
    });
}

fn stop(client: &Client) {
    // Its own answer may be cut off by what it does.
    match client.invoke::<(), _>("stop", ()).timeout(PATIENCE).wait() {
        Ok(()) | Err(InvokeError::OutcomeUnknown(LinkError::Closed)) => {}
        Err(e) => panic!("{e:?}"),
    }
}

fn a_stopped_server_ends_its_clients_calls_with_closed(setup: &Setup) {
    let f = setup.open();
    let second = f.second();
    thread::scope(|scope| {
        let blocking: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| f.client.invoke::<String, _>("hold", json!({ "gate": "g" })).wait())
            })
            .collect();
        let awaited = scope.spawn(|| {
            let call = f.client.invoke::<String, _>("hold", json!({ "gate": "g" }));
            futures_lite::future::block_on(async { call.await })
        });
        f.wait_entered("g", 4);
        stop(&second);
        for call in blocking.into_iter().chain([awaited]) {
            let ended = call.join().expect("no panic");
            assert!(
                matches!(ended, Err(InvokeError::OutcomeUnknown(LinkError::Closed))),
                "{ended:?}"
            );
        }
    });
    assert_eq!(f.client.ended(), Some(LinkError::Closed));
}

fn a_stopped_server_says_so_even_in_the_middle_of_traffic(setup: &Setup) {
    for _ in 0..5 {
        let f = setup.open();
        let second = f.second();
        thread::scope(|scope| {
            let busy: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            if let Err(e) = add(&f.client) {
                                return e;
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..20 {
                add(&second).expect("it lives");
            }
            stop(&second);
            for busy in busy {
                let error = busy.join().expect("no panic");
                assert_eq!(error.code(), "link-closed", "{error:?}");
            }
        });
    }
}

fn closing_a_client_ends_its_own_calls(setup: &Setup) {
    let f = setup.open();
    thread::scope(|scope| {
        let blocking =
            scope.spawn(|| f.client.invoke::<String, _>("hold", json!({ "gate": "g" })).wait());
        let awaited = scope.spawn(|| {
            let call = f.client.invoke::<String, _>("hold", json!({ "gate": "g" }));
            futures_lite::future::block_on(async { call.await })
        });
        f.wait_entered("g", 2);
        f.client.close();
        f.client.close();
        for call in [blocking, awaited] {
            let ended = call.join().expect("no panic");
            assert!(
                matches!(ended, Err(InvokeError::OutcomeUnknown(LinkError::Closed))),
                "{ended:?}"
            );
        }
    });
    assert_eq!(f.client.ended(), Some(LinkError::Closed));
    f.open_gate("g");
}

fn the_last_client_dropped_is_gone_at_the_server(setup: &Setup) {
    let f = setup.open();
    let count = || f.client.invoke::<usize, _>("clients", ()).wait().expect("a number");
    let second = f.second();
    // With and without a thread of its own.
    let third = f.second();
    third.listen("down", |_| {}).wait().expect("allowed");
    assert_eq!(count(), 3);
    let clone = second.clone();
    drop(second);
    assert_eq!(count(), 3);
    drop(clone);
    drop(third);
    eventually("the server has one client", || count() == 1);
}

fn a_closed_link_is_an_error_at_once(setup: &Setup) {
    let f = setup.open();
    f.client.close();
    let refused = add(&f.client).expect_err("closed");
    assert!(
        matches!(refused, InvokeError::Send(SendError::Link(LinkError::Closed))),
        "{refused:?}"
    );
    let awaited = f.client.invoke::<i64, _>("add", json!({ "a": 1, "b": 1 }));
    let refused = futures_lite::future::block_on(async { awaited.await }).expect_err("closed");
    assert_eq!(refused.code(), "link-closed");
    let refused = f.client.emit("up", &1).expect_err("closed");
    assert_eq!(refused.code(), "link-closed");
    assert!(f.client.listen("down", |_| {}).wait().is_err());
    if setup.transport == Transport::Mem {
        let running = f.running().map(tramline::Running::clients).expect("it is here");
        eventually("the server has no client", || running.list().is_empty());
        bounded(move || f.running().expect("it is here").stop());
    }
}
