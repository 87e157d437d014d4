//! Before the guard is ready, around it, and after its end.

use std::sync::Arc;

use futures_lite::future::{block_on, zip};
use serde_json::{Value, json};
use tramline::guard::{Guard, GuardKind, Verdict};
use tramline::{Client, ConnectError, InvokeError, LinkError};
use tramline_tests::fixture::{limits, serve_there};
use tramline_tests::gate::Gates;
use tramline_tests::{Transport, bounded, eventually};

use crate::{Guarded, PEER, greet, rights};

#[test]
fn core_accepts_only_the_guard() {
    for transport in [Transport::Shm, Transport::Pipe] {
        let there = Guarded::open(transport);
        bounded(move || {
            // Whatever it calls itself.
            for label in ["main", "", "guard", "nobody"] {
                match there.core.connect(label).wait() {
                    Err(ConnectError::Refused { code, .. }) => assert_eq!(&*code, "peer-refused"),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(greet(&there.client("main"), "you").expect("it passes"), "hello you");
        });
    }
}

#[test]
fn calls_wait_for_the_guard() {
    bounded(|| {
        let core = rights().serve(PEER, Transport::Shm);
        let gates = Arc::new(Gates::default());
        let not_ready = Arc::clone(&gates);
        let guard = Guard::new(move |_| {
            not_ready.enter("ready");
            Verdict::Allow
        });
        let endpoint = Transport::Shm.endpoint();
        let guarding =
            guard.limits(limits()).between(&endpoint, &core.endpoint).start().expect("a free name");
        // Connecting asks whether the core may know who listens here to what: `up`.
        let connecting = std::thread::spawn(move || {
            let client = Client::connect(&endpoint).limits(limits()).label("main");
            client.wait().expect("it waits as long as it must")
        });
        gates.wait_entered("ready", 1);
        assert!(!connecting.is_finished());
        gates.open("ready");
        let client = connecting.join().expect("connected");
        assert_eq!(greet(&client, "you").expect("it passes"), "hello you");
        guarding.stop();
    });
}

#[test]
fn what_waits_for_the_guard_is_bounded_and_arrives_in_order() {
    bounded(|| {
        let core = Transport::Shm.endpoint();
        let _core = serve_there(PEER, &core, &limits());
        let gates = Arc::new(Gates::default());
        let not_ready = Arc::clone(&gates);
        let guard = Guard::new(move |message| {
            if message.kind() == GuardKind::Invoke {
                not_ready.enter("ready");
            }
            Verdict::Allow
        });
        let endpoint = Transport::Shm.endpoint();
        let guarding =
            guard.limits(limits()).between(&endpoint, &core).start().expect("a free name");
        let mut impatient = limits();
        impatient.send_timeout_ms = 1;
        let client = Client::connect(&endpoint).limits(impatient).wait().expect("it serves");
        let args = || json!({ "value": "x".repeat(100_000) });
        let call = || client.invoke::<Value, _>("echo", args()).into_future();
        let first = call();
        let second = call();
        let both = std::thread::scope(|scope| {
            let both = scope.spawn(|| block_on(zip(first, second)));
            gates.wait_entered("ready", 1);
            // No more than the link holds waits; then the sender is told.
            let full = (0..100).find_map(|_| {
                let call = client.invoke::<Value, _>("echo", args());
                let late =
                    call.timeout(std::time::Duration::from_millis(1)).wait().expect_err("waits");
                (late.code() == "link-full").then_some(())
            });
            assert_eq!(full, Some(()), "the link is never full");
            gates.open("ready");
            both.join().expect("answered")
        });
        assert_eq!(both.0.expect("answered"), "x".repeat(100_000));
        assert_eq!(both.1.expect("answered"), "x".repeat(100_000));
        guarding.stop();
    });
}

#[test]
fn dead_guard_fails_closed() {
    for transport in [Transport::Shm, Transport::Pipe] {
        let mut there = Guarded::open(transport);
        bounded(move || {
            let client = there.client("main");
            assert_eq!(greet(&client, "you").expect("it passes"), "hello you");
            there.guard.kill();
            match greet(&client, "you") {
                Err(InvokeError::OutcomeUnknown(LinkError::PeerDied))
                | Err(InvokeError::Send(tramline::SendError::Link(LinkError::PeerDied))) => {}
                other => panic!("{other:?}"),
            }
            assert_eq!(client.ended(), Some(LinkError::PeerDied));
            // Nobody serves there any more, and the core still admits nobody else.
            let again = Client::connect(&there.endpoint).limits(limits()).wait();
            assert!(matches!(again, Err(ConnectError::NotFound { .. })), "{again:?}");
            let around = there.core.connect("main").wait();
            assert!(matches!(around, Err(ConnectError::Refused { .. })), "{around:?}");
        });
    }
}

#[test]
fn the_end_of_the_core_is_the_end_for_the_client() {
    bounded(|| {
        let mut there = Guarded::open(Transport::Shm);
        let client = there.client("main");
        there.core.process.kill();
        // The guard lives, so its side of the link is closed and not dead.
        assert!(greet(&client, "you").is_err());
        assert_eq!(client.ended(), Some(LinkError::Closed));
        match Client::connect(&there.endpoint).limits(limits()).wait() {
            Err(ConnectError::Refused { code, text }) => {
                assert_eq!(&*code, "not-found");
                assert!(text.starts_with("no core behind this guard"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn what_a_client_sent_before_it_left_reaches_the_core() {
    bounded(|| {
        let there = Guarded::open(Transport::Shm);
        let client = there.client("main");
        for _ in 0..1000 {
            client.emit("up", &"go").expect("sent");
        }
        drop(client);
        eventually("all of it has come", || there.core.counts().up == 1000);
    });
}

#[test]
fn a_guard_that_is_stopped_says_goodbye_to_both_sides() {
    bounded(|| {
        let core = rights().serve(PEER, Transport::Shm);
        let endpoint = Transport::Shm.endpoint();
        let guard = Guard::new(|_| Verdict::Allow).between(&endpoint, &core.endpoint);
        let guarding = guard.start().expect("a free name");
        let client = Client::connect(&endpoint).limits(limits()).label("main").wait();
        let client = client.expect("it serves");
        assert_eq!(greet(&client, "you").expect("it passes"), "hello you");
        guarding.stop();
        assert!(greet(&client, "you").is_err());
        assert_eq!(client.ended(), Some(LinkError::Closed));
        let again = Guard::new(|_| Verdict::Allow).between(&endpoint, &core.endpoint).start();
        again.expect("the name is free again").stop();
    });
}
