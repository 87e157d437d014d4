//! Too much, too little, and peers that stand still.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tramline::json;
use tramline_tests::stress::Summary;
use tramline_tests::victim::{Attacker, Victim};
use tramline_tests::{PATIENCE, Peer, bounded, eventually};

use crate::{HOSTILE, SMALL, VICTIM};

#[test]
fn stalled_reader_bounds_our_memory() {
    bounded(|| {
        let limits = ["send=400", "queued=1048576", "calls=16"];
        let settings = [&SMALL[..], &limits].concat();
        let mut victim = Victim::serve(VICTIM, "auto", &settings);
        victim.suffer(HOSTILE, "never-reads", |variant| {
            let report = &variant.report;
            if variant.name == "events" {
                // An event that finds no room is given back; the link lives until the peer goes.
                crate::assert_left(variant);
            } else {
                assert_eq!(report.code, "peer-stalled", "{variant:?}");
                assert!(report.text.contains("400 ms"), "{variant:?}");
            }
        });
        assert!(victim.growth() < 24 << 20, "{} bytes", victim.growth());
        victim.assert_unharmed();
    });
}

#[test]
fn flood_leaves_other_connections_fair() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &SMALL);
        let mut attacker = Attacker::spawn(HOSTILE, "flood", victim.name());
        while let Some(variant) = attacker.variant() {
            let other = victim.connect().expect("it serves");
            for number in 0..300 {
                let sum = other.invoke::<i64, _>("add", json!({ "a": number, "b": 1 }));
                assert_eq!(sum.timeout(PATIENCE).wait().expect("a sum"), number + 1, "{variant}");
            }
            drop(other);
            attacker.go_on();
            assert!(attacker.facts().is_empty());
            let report = victim.report();
            assert_eq!(report.code, "peer-died", "it was not cut off: {variant}: {report:?}");
            victim.assert_serves();
            attacker.go_on();
        }
        attacker.end();
        assert!(victim.growth() < 64 << 20, "{} bytes", victim.growth());
        victim.assert_unharmed();
    });
}

#[test]
fn calls_that_never_end_are_bounded() {
    bounded(|| {
        let settings = [&SMALL[..], &["calls=16"]].concat();
        let mut victim = Victim::serve(VICTIM, "shm", &settings);
        let mut attacker = Attacker::spawn(HOSTILE, "held-calls", victim.name());
        assert!(attacker.variant().is_some());
        let other = victim.connect().expect("it serves");
        let entered = json!({ "gate": "held", "count": 16 });
        other.invoke::<(), _>("wait_entered", entered).timeout(PATIENCE).wait().expect("16");
        // The seventeenth waits in the peer's own ring.
        for _ in 0..50 {
            victim.assert_serves();
        }
        let threads = victim.holdings().threads;
        assert!(threads < 40, "calls are no more threads than they may be: {threads}");
        attacker.go_on();
        assert_eq!(attacker.facts().len(), 1);
        attacker.go_on();
        attacker.end();
        other.invoke::<(), _>("open", json!({ "gate": "held" })).wait().expect("opened");
        assert_eq!(victim.report().code, "peer-died");
        drop(other);
        victim.assert_unharmed();
    });
}

#[test]
fn a_server_stops_although_its_peers_do_not() {
    bounded(|| {
        let settings = [&SMALL[..], &["calls=16"]].concat();
        let victim = Victim::serve(VICTIM, "shm", &settings);
        let _attackers = [
            ("flood", "calls"),
            ("flood", "events"),
            ("held-calls", "five thousand"),
            ("connection-flood", "open"),
        ]
        .map(|(attack, variant)| {
            let mut attacker = Attacker::only(HOSTILE, attack, victim.name(), variant);
            assert_eq!(attacker.variant().as_deref(), Some(variant));
            attacker
        });
        // 3 attacks and 60 connections.
        eventually("they are at work", || victim.holdings().connection_threads >= 63);
        victim.assert_stops();
    });
}

#[test]
fn stopped_peer_resumes_without_loss() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &[]);
        let endpoint = format!("shm:{}", victim.name());
        let peer = env!("CARGO_BIN_EXE_tramline-test-peer");
        // It checks by itself that nothing is lost, doubled, damaged or out of order.
        let stress = Peer::spawn(peer, &["stress", &endpoint, "17", "2"]);
        let pid = i32::try_from(stress.id()).ok().and_then(Pid::from_raw).expect("a pid");
        for _ in 0..8 {
            kill_process(pid, Signal::STOP).expect("it is our child");
            for _ in 0..40 {
                victim.assert_serves();
            }
            kill_process(pid, Signal::CONT).expect("it is our child");
            // Time for it to get going again; how much does not matter.
            thread::park_timeout(Duration::from_millis(30));
        }
        let line = stress.line().expect("it has counted");
        let summary: Summary = serde_json::from_str(&line).expect("a summary");
        assert!(summary.calls > 0 && summary.up > 0 && summary.down > 0, "{summary:?}");
        assert!(stress.exit().success());
        let _ = victim.report();
        victim.assert_unharmed();
    });
}
