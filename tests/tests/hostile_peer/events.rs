//! Events: as whom they are listened to, at whom they are aimed, and how many there are.

use tramline::json;
use tramline_tests::victim::{Attacker, Victim};
use tramline_tests::{PATIENCE, bounded};

use crate::{HOSTILE, SMALL, VICTIM, assert_left, attack, number};

#[test]
fn a_target_that_breaks_a_rule_closes_the_link() {
    attack("bad-targets", |variant| variant.report.assert_fault(&["extension"]));
}

#[test]
fn subscriptions_as_many_targets_are_bounded() {
    bounded(|| {
        let settings = [&SMALL[..], &["all=1"]].concat();
        let mut victim = Victim::serve(VICTIM, "shm", &settings);
        victim.suffer(HOSTILE, "many-targets", |variant| {
            assert_left(variant);
            let taken = if variant.name == "of one event" { 64 } else { 4096 };
            assert_eq!(number(variant, "taken"), taken);
        });
        assert!(victim.growth() < 16 << 20, "{} bytes", victim.growth());
        victim.assert_unharmed();
    });
}

#[test]
fn an_aimed_event_is_heard_by_whom_it_names_and_nobody_else() {
    attack("aimed", |variant| {
        assert_left(variant);
        let heard = if variant.name == "at others" { 0 } else { 1000 };
        assert_eq!(number(variant, "heard"), heard);
    });
}

#[test]
fn a_peer_that_overruns_a_listener_is_cut_off_and_told_apart() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &SMALL);
        let mut attacker = Attacker::spawn(HOSTILE, "overrun", victim.name());
        assert!(attacker.variant().is_some());
        assert!(attacker.facts().is_empty());
        let report = victim.report();
        assert_eq!(report.code, "event-overflow", "{report:?}");
        assert!(report.text.contains("overrun"), "{report:?}");
        victim.assert_serves();
        attacker.go_on();
        attacker.end();
        let other = victim.connect().expect("it serves");
        let call = other.invoke::<(), _>("open", json!({ "gate": "overrun" }));
        call.timeout(PATIENCE).wait().expect("opened");
        drop(other);
        assert!(victim.growth() < 16 << 20, "{} bytes", victim.growth());
        victim.assert_unharmed();
    });
}
