//! Quotas: what one peer may ask for. Rates are per hour, so that no test waits for one.

use serde_json::json;
use tramline::{Client, InvokeError, Rejection};
use tramline_tests::acl::{CONTROL, Settings, There};
use tramline_tests::{PATIENCE, Transport, bounded, eventually};

use crate::PEER;
use crate::calls::{call, greets};

fn allowed() -> Settings {
    let permissions =
        ["allow-greet", "allow-hold", "allow-hold-async", "allow-wipe-inline", "core:default"];
    let windows = ["main", "other"];
    Settings::file(json!({
        "identifier": "x", "windows": windows, "permissions": permissions
    }))
}

fn over(error: &InvokeError) -> &str {
    let InvokeError::Rejected(Rejection::OverQuota { text }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.code(), "over-quota");
    text
}

fn refusals(there: &There, label: &str) -> (u64, u64) {
    there.control("refusals", json!({ "label": label }))
}

#[test]
fn quota_refuses_and_counts() {
    for transport in [Transport::Shm, Transport::ShmShared, Transport::Pipe] {
        let there = Settings { messages: Some(5), ..allowed() }.serve(PEER, transport);
        bounded(move || {
            let main = there.client("main");
            for _ in 0..5 {
                assert!(greets(&main));
            }
            for _ in 0..10 {
                let error = call(&main, "greet", json!({ "name": "you" })).expect_err("too many");
                assert_eq!(over(&error), "over the quota of messages");
            }
            let error = main.listen("up", |_| {}).wait().expect_err("too many");
            assert_eq!(over(&error), "over the quota of messages");
            // Denied or not: what is over the quota is not even looked at.
            let error = call(&main, "wipe", json!({})).expect_err("too many");
            assert_eq!(over(&error), "over the quota of messages");
            main.emit("up", &"x").expect("sent");
            eventually("the event was dropped", || refusals(&there, "main") == (0, 13));
            assert_eq!(there.counts().up, 0);
            assert!(there.next_denied().contains("over the quota of messages"));
            // A quota is each connection's own, and the link lives.
            assert!(greets(&there.client("other")));
            assert!(main.ended().is_none());
        });
    }
}

#[test]
fn a_quota_of_bytes_counts_whole_messages() {
    bounded(|| {
        let there = Settings { bytes: Some(10_000), ..allowed() }.serve(PEER, Transport::Shm);
        let main = there.client("main");
        assert!(greets(&main));
        // Larger than all that is left: passes, and is paid off for hours.
        let name = "x".repeat(100_000);
        call(&main, "greet", json!({ "name": name })).expect("something was left");
        let error = call(&main, "greet", json!({ "name": "you" })).expect_err("nothing is left");
        assert_eq!(over(&error), "over the quota of bytes");
        assert_eq!(refusals(&there, "main"), (0, 1));
    });
}

#[test]
fn a_quota_of_bytes_counts_bodies_that_are_handed_over() {
    bounded(|| {
        let there = Settings { bytes: Some(10_000), ..allowed() }.serve(PEER, Transport::Shm);
        let main = there.client("main");
        let blob = tramline::SealedBlob::from_bytes(&[1; 100_000]).expect("memory");
        // Not what the command takes, which is found out after it was charged.
        let refused = main.invoke_raw::<()>("wipe_inline", &blob).wait().expect_err("raw");
        assert_eq!(refused.code(), "bad-arguments");
        let error = call(&main, "greet", json!({ "name": "you" })).expect_err("nothing is left");
        assert_eq!(over(&error), "over the quota of bytes");
    });
}

#[test]
fn a_quota_of_calls_in_flight_refuses_the_next_one_until_one_ends() {
    for command in ["hold", "hold_async"] {
        let there = Settings { calls_in_flight: Some(1), ..allowed() }.serve(PEER, Transport::Shm);
        bounded(move || {
            let main = there.client("main");
            let held = main.clone();
            let running = std::thread::spawn(move || call(&held, command, json!({ "gate": "g" })));
            there.control::<()>("entered", json!({ "gate": "g" }));
            let next = || call(&main, "greet", json!({ "name": "you" }));
            for _ in 0..10 {
                let error = next().expect_err("one is in flight");
                assert_eq!(over(&error), "over the quota of calls in flight");
            }
            // Inline commands are over before the next message is looked at.
            let inline = main.invoke::<(), _>("wipe_inline", json!({ "value": 1 }));
            inline.timeout(PATIENCE).wait().expect("it does not count");
            there.control::<()>("release", json!({ "gate": "g" }));
            running.join().expect("no panic").expect("answered");
            eventually("there is room again", || greets_or_over(&next()));
            assert!(refusals(&there, "main").1 >= 10);
        });
    }
}

/// The count of a call goes down after its answer has gone.
fn greets_or_over(result: &Result<serde_json::Value, InvokeError>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) => {
            over(error);
            false
        }
    }
}

#[test]
fn within_one_process_a_quota_holds_as_well() {
    bounded(|| {
        let endpoint = Transport::Mem.endpoint();
        let server = Settings { messages: Some(2), ..allowed() }.server();
        let server = server.start(&endpoint).expect("the name is free");
        let main = Client::connect(&endpoint).label("main").wait().expect("it serves");
        assert!(greets(&main) && greets(&main));
        let error = call(&main, "greet", json!({ "name": "you" })).expect_err("too many");
        assert_eq!(over(&error), "over the quota of messages");
        assert_eq!(server.clients().list()[0].refusals().over_quota, 1);
        server.stop();
    });
}

#[test]
fn a_policy_gives_some_peers_another_quota_than_the_servers() {
    bounded(|| {
        // The control client's is none: see `Settings::server`.
        let admit = vec![("main".into(), "local".into())];
        let there = Settings { messages: Some(1), admit, ..allowed() }.serve(PEER, Transport::Shm);
        let main = there.client("main");
        assert!(greets(&main));
        let error = call(&main, "greet", json!({ "name": "you" })).expect_err("too many");
        over(&error);
        let control = there.client(CONTROL);
        for _ in 0..20 {
            call(&control, "counts", json!({})).expect("no quota");
        }
    });
}
