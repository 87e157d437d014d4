//! The handshake: its order, its time, its descriptors, and how many there are.

use tramline_tests::victim::{Attacker, Victim};
use tramline_tests::{bounded, eventually};

use crate::{HOSTILE, SMALL, VICTIM, assert_left, attack, attack_with};

/// A handshake may take this long, in milliseconds.
const SHORT: [&str; 3] = ["ring=65536", "message=65536", "handshake=400"];

#[test]
fn handshake_out_of_order_is_refused() {
    attack("out-of-order", |variant| {
        assert_eq!(variant.report.code, "handshake-refused", "{variant:?}");
        let at = match variant.name.as_str() {
            name if name.contains("first") || name.starts_with("HELLO with") => "HELLO",
            name if name.contains("third") || name.starts_with("READY with") => "READY",
            "second OFFER" => "READY",
            _ => "OFFER",
        };
        assert_eq!(variant.report.at.as_deref(), Some(at), "{variant:?}");
    });
}

#[test]
fn another_protocol_is_refused() {
    attack("garbage-greeting", |variant| {
        let code = match variant.name.as_str() {
            "another version" => "version-refused",
            "no transport" | "transports that do not exist" => "transport-unavailable",
            _ => "handshake-refused",
        };
        assert_eq!(variant.report.code, code, "{variant:?}");
        let reserved = variant.report.text.contains("reserved bytes");
        assert_eq!(reserved, variant.name.starts_with("reserved"), "{variant:?}");
    });
}

#[test]
fn silent_handshake_times_out() {
    attack_with("shm", &SHORT, "silent", |variant| {
        assert_eq!(variant.report.code, "handshake-timeout", "{variant:?}");
        assert!(variant.report.text.contains("400 ms"), "{variant:?}");
    });
}

#[test]
fn slow_handshake_byte_by_byte_times_out() {
    attack_with("shm", &SHORT, "slow", |variant| {
        assert_eq!(variant.report.code, "handshake-timeout", "{variant:?}");
    });
}

#[test]
fn hanging_up_in_any_step_of_the_handshake_is_a_death() {
    attack("vanishing", assert_left);
}

#[test]
fn descriptor_bomb_leaks_nothing() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &SMALL);
        let before = victim.holdings();
        let mut attacker = Attacker::spawn(HOSTILE, "descriptor-bomb", victim.name());
        while let Some(variant) = attacker.variant() {
            assert!(attacker.facts().is_empty());
            let report = victim.report();
            assert_eq!(report.code, "handshake-refused", "{variant}: {report:?}");
            eventually("all descriptors are closed", || victim.holdings() == before);
            victim.assert_serves();
            attacker.go_on();
        }
        attacker.end();
        victim.assert_unharmed();
    });
}

#[test]
fn connection_flood_is_bounded() {
    bounded(|| {
        let settings = [&SHORT[..], &["connections=6"]].concat();
        let mut victim = Victim::serve(VICTIM, "shm", &settings);
        let mut attacker = Attacker::spawn(HOSTILE, "connection-flood", victim.name());

        assert_eq!(attacker.variant().as_deref(), Some("silent"));
        for _ in 0..200 {
            // Those that are refused at once must not become threads beyond the limits.
            let threads = victim.holdings().connection_threads;
            assert!(threads <= 6 + 8, "{threads} threads");
            let report = victim.report();
            assert!(
                ["connection-refused", "handshake-timeout"].contains(&report.code.as_str()),
                "{report:?}"
            );
        }
        assert!(attacker.facts().is_empty());
        eventually("they are gone", || victim.holdings().connection_threads == 0);
        victim.assert_serves();
        attacker.go_on();

        assert_eq!(attacker.variant().as_deref(), Some("open"));
        eventually("the limit is reached", || victim.holdings().connection_threads >= 6);
        for _ in 0..54 {
            assert_eq!(victim.report().code, "connection-refused");
        }
        attacker.go_on();
        let facts = attacker.facts();
        assert_eq!(facts, ["6 served", "54 refused"]);
        for _ in 0..6 {
            assert_eq!(victim.report().code, "peer-died");
        }
        eventually("they are gone", || victim.holdings().connection_threads == 0);
        victim.assert_serves();
        attacker.go_on();

        assert_eq!(attacker.variant().as_deref(), Some("come and go"));
        assert!(attacker.facts().is_empty());
        for _ in 0..500 {
            let code = victim.report().code;
            assert!(["peer-died", "connection-refused"].contains(&code.as_str()), "{code}");
        }
        eventually("they are gone", || victim.holdings().connection_threads == 0);
        attacker.go_on();
        attacker.end();
        assert!(victim.growth() < 32 << 20, "{} bytes", victim.growth());
        victim.assert_unharmed();
    });
}

#[test]
fn a_server_that_may_map_no_more_memory_serves_on_over_the_pipe() {
    // With rings of 1 MiB a connection maps somewhat more than 2 MiB: for the second there is no
    // segment of the server's own, or one, but no room for the peer's.
    for mapped in ["mapped=2600000", "mapped=4000000"] {
        bounded(move || {
            let mut victim = Victim::serve(VICTIM, "auto", &[mapped]);
            let transport = |client: &tramline::Client| client.server().transport();
            let first = victim.connect().expect("it serves");
            assert_eq!(transport(&first), "shm");
            for _ in 0..3 {
                assert_eq!(transport(&victim.connect().expect("it serves")), "pipe");
                victim.assert_serves();
            }
            drop(first);
            eventually("its memory is free again", || {
                victim.connect().is_ok_and(|client| transport(&client) == "shm")
            });
            victim.assert_unharmed();
        });
    }
}

#[test]
fn a_server_without_descriptors_left_recovers() {
    bounded(|| {
        let settings = [&SHORT[..], &["descriptors=24"]].concat();
        let mut victim = Victim::serve(VICTIM, "shm", &settings);
        let mut attacker = Attacker::only(HOSTILE, "connection-flood", victim.name(), "silent");
        assert!(attacker.variant().is_some());
        // Each of the 200 is accepted in the end; what failed in between is reported, too.
        let mut timed_out = 0;
        while timed_out < 200 {
            let report = victim.report();
            match report.code.as_str() {
                "handshake-timeout" | "peer-died" => timed_out += 1,
                "os-error" => assert!(report.text.contains("accepting"), "{report:?}"),
                other => panic!("{other}: {report:?}"),
            }
        }
        assert!(attacker.facts().is_empty());
        attacker.go_on();
        attacker.end();
        eventually("they are gone", || victim.holdings().connection_threads == 0);
        victim.assert_unharmed();
    });
}
