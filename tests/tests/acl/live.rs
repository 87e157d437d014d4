//! Capabilities that change while the server runs.

use std::sync::mpsc::{RecvTimeoutError, channel};

use serde_json::json;
use tramline::{Capabilities, Capability, Client, Server, command, commands};
use tramline_tests::acl::{Settings, There};
use tramline_tests::fixture::limits;
use tramline_tests::{PATIENCE, Transport, bounded};

use crate::PEER;
use crate::calls::{call, denied, greets};

fn add(there: &There, identifier: &str, permission: &str) {
    let file = json!({
        "identifier": identifier, "windows": ["main"], "permissions": [permission]
    });
    there.control::<()>("add", json!({ "file": file }));
}

fn revoke(there: &There, identifier: &str) -> bool {
    there.control("revoke", json!({ "identifier": identifier }))
}

#[test]
fn revoked_capability_stops_the_next_call() {
    for transport in [Transport::Shm, Transport::ShmShared, Transport::Pipe] {
        let there = Settings::default().serve(PEER, transport);
        bounded(move || {
            let (main, other) = (there.client("main"), there.client("other"));
            for _ in 0..20 {
                assert!(!greets(&main));
                add(&there, "greeting", "allow-greet");
                assert!(greets(&main), "a connection that was there before");
                assert!(greets(&there.client("main")), "and one that comes after");
                assert!(!greets(&other));
                assert!(revoke(&there, "greeting"));
                assert!(!greets(&main));
            }
            assert!(!revoke(&there, "greeting"), "it is gone");
            assert!(!revoke(&there, "never was"));
        });
    }
}

#[test]
fn a_revoked_capability_lets_calls_that_have_begun_go_on() {
    bounded(|| {
        let there = Settings::default().serve(PEER, Transport::Shm);
        add(&there, "holding", "allow-hold");
        let main = there.client("main");
        let held = main.clone();
        let holding = std::thread::spawn(move || call(&held, "hold", json!({ "gate": "g" })));
        there.control::<()>("entered", json!({ "gate": "g" }));
        assert!(revoke(&there, "holding"));
        denied(&main, "hold", json!({ "gate": "g" }));
        there.control::<()>("release", json!({ "gate": "g" }));
        holding.join().expect("no panic").expect("it went on");
    });
}

#[test]
fn a_mistake_changes_nothing() {
    bounded(|| {
        let there = Settings::default().serve(PEER, Transport::Shm);
        add(&there, "greeting", "allow-greet");
        let main = there.client("main");
        for wrong in [
            json!({ "identifier": "greeting", "windows": ["*"], "permissions": ["allow-wipe"] }),
            json!([
                { "identifier": "a", "windows": ["*"], "permissions": ["allow-wipe"] },
                { "identifier": "b", "windows": ["*"], "permissions": ["allow-nothing"] }
            ]),
        ] {
            let control = there.client(tramline_tests::acl::CONTROL);
            let error = call(&control, "add", json!({ "file": wrong })).expect_err("a mistake");
            assert_eq!(error.code(), "command-failed");
        }
        assert!(greets(&main));
        denied(&main, "wipe", json!({ "value": 1 }));
    });
}

#[test]
fn a_revoked_right_to_listen_ends_what_is_listened_to() {
    bounded(|| {
        let there = Settings::default().serve(PEER, Transport::Shm);
        add(&there, "hearing", "core:event:allow-listen");
        let main = there.client("main");
        let (told, heard) = channel();
        let listener = move |_: tramline::Event<'_>| {
            let _ = told.send(());
        };
        main.listen("news", listener).wait().expect("allowed");
        there.control::<()>("emit", json!({ "event": "news" }));
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(()));
        assert!(revoke(&there, "hearing"));
        there.control::<()>("emit", json!({ "event": "news" }));
        // Whatever was sent before an answer is there before it.
        denied(&main, "greet", json!({ "name": "you" }));
        assert_eq!(heard.try_recv().ok(), None);
        assert!(main.listen("news", |_| {}).wait().is_err());
        drop(main);
        assert_eq!(heard.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    });
}

#[command(inline)]
fn ping() -> u32 {
    7
}

#[test]
fn what_code_has_said_can_be_revoked_and_added_to() {
    bounded(|| {
        let endpoint = Transport::Mem.endpoint();
        let server = Server::new().commands(commands![ping]).limits(limits());
        let server = server.allow(Capabilities::none().command("ping")).start(&endpoint);
        let server = server.expect("the name is free");
        let client = Client::connect(&endpoint).wait().expect("it serves");
        let pings = || client.invoke::<u32, _>("ping", ()).wait().is_ok();
        assert!(pings());
        let live = server.capabilities();
        assert_eq!(live.identifiers(), ["(code)"]);
        assert!(live.revoke("(code)"));
        assert!(!pings());
        live.add(Capabilities::none().command("ping")).expect("no mistake");
        assert!(pings());
        live.add(Capabilities::none().with(Capability::new("no").deny_command("ping")))
            .expect("no mistake");
        assert!(!pings(), "a denial added later counts, too");
        assert!(live.revoke("no"));
        assert!(pings());
        assert!(live.warnings().is_empty());
        server.stop();
    });
}

#[test]
fn capabilities_that_cannot_be_meant_keep_a_server_from_starting() {
    let name: tramline::acl::Identifier = "allow-pong".parse().expect("well formed");
    let typo = Capability::new("x").permission(name);
    let server = Server::new().commands(commands![ping]);
    let error = server.allow(Capabilities::none().with(typo)).start("mem:typo").unwrap_err();
    assert_eq!(error.code(), "bad-capabilities");
    assert_eq!(
        error.to_string(),
        "capabilities: `x` names permission `allow-pong`, which there is not"
    );
}
