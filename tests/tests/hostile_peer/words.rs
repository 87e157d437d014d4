//! The words beside the ring, the control socket, and memory that a peer must not touch.

use tramline_tests::bounded;
use tramline_tests::victim::{Attacker, Variant, Victim};

use crate::{HOSTILE, SHARED, SMALL, VICTIM, assert_left, attack, attack_with, number};

#[test]
fn head_going_back_closes_the_link() {
    attack("head-back", |variant| variant.report.assert_fault(&["head"]));
}

#[test]
fn head_beyond_tail_closes_the_link() {
    attack("head-beyond", |variant| variant.report.assert_fault(&["head"]));
}

#[test]
fn lying_state_word_is_ignored() {
    // Believed is only how the peer left, once the socket says that it left.
    attack("lying-state", |variant| {
        let code = if variant.name == "state 3" { "link-closed" } else { "peer-died" };
        assert_eq!(variant.report.code, code, "{variant:?}");
    });
}

#[test]
fn park_toggler_costs_bounded_work() {
    attack("park-toggler", |variant| {
        assert_left(variant);
        let (epochs, records, wakes) =
            (number(variant, "epochs"), number(variant, "records"), number(variant, "wakes"));
        // One wake for each announced sleep, and none without something to say.
        assert!(wakes <= epochs, "{variant:?}");
        assert!(wakes <= records + 1, "{variant:?}");
        assert!(wakes > 0, "{variant:?}");
    });
}

#[test]
fn bells_without_a_reason_keep_nobody_from_working() {
    attack("bell-ringer", assert_left);
}

#[test]
fn doorbell_storm_closes_the_link() {
    attack("doorbell-storm", |variant| variant.report.assert_fault(&["control socket"]));
}

#[test]
fn doorbell_flood_closes_a_link_on_a_shared_thread() {
    attack_with("shm", &SHARED, "doorbell-flood", |variant| {
        variant.report.assert_fault(&["control socket"]);
        let many = variant.report.text.contains("doorbells a second");
        // One with descriptors is one too many.
        let bare = !variant.name.contains("descriptors");
        assert_eq!(many, bare && variant.name.ends_with("without end"), "{variant:?}");
    });
}

#[test]
fn half_a_hang_up_ends_a_link_on_a_shared_thread() {
    attack_with("shm", &SHARED, "half-hang-up", assert_left);
}

#[test]
fn park_toggler_costs_a_shared_thread_bounded_work() {
    attack_with("shm", &SHARED, "park-toggler", assert_left);
}

#[test]
fn half_a_hang_up_ends_the_link() {
    attack("half-hang-up", assert_left);
}

/// What came of each way to do what must not work: none was possible.
fn assert_nothing_worked(variant: &Variant, at_least: usize) {
    assert_left(variant);
    assert!(variant.facts.len() >= at_least, "{variant:?}");
    for fact in &variant.facts {
        let (route, result) = fact.split_once(": ").expect("route and result");
        assert_eq!(result, "refused", "{route}");
    }
}

#[test]
fn peer_cannot_write_our_segment() {
    attack("write-theirs", |variant| {
        for route in ["write", "pwrite", "mmap", "mprotect", "reopen and pwrite", "reopen and mmap"]
        {
            let fact = |fact: &String| fact.starts_with(&format!("{route}: "));
            assert!(variant.facts.iter().any(fact), "{route} was not tried: {variant:?}");
        }
        assert_nothing_worked(variant, 13);
    });
}

#[test]
fn peer_cannot_shrink_or_punch_our_segment() {
    attack("write-theirs", |variant| {
        let routes =
            ["truncate to nothing", "grow", "punch", "zero", "remove", "reopen and truncate"];
        for route in routes {
            let fact = |fact: &String| fact.starts_with(&format!("{route}: "));
            assert!(variant.facts.iter().any(fact), "{route} was not tried: {variant:?}");
        }
        assert_nothing_worked(variant, 13);
    });
}

#[test]
fn peer_cannot_shrink_or_punch_its_own_segment_under_us() {
    attack("shrink-ours", |variant| assert_nothing_worked(variant, 4));
}

#[test]
fn stated_pid_is_ignored() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &SMALL);
        let mut attacker = Attacker::spawn(HOSTILE, "stated-pid", victim.name());
        while attacker.variant().is_some() {
            assert_eq!(attacker.facts(), [attacker.id().to_string()]);
            let _ = victim.report();
            victim.assert_serves();
            attacker.go_on();
        }
        attacker.end();
        victim.assert_unharmed();
    });
}
