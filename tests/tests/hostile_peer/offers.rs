//! Segments that are offered and must not be taken.

use tramline_tests::victim::{Variant, Victim};
use tramline_tests::{bounded, eventually};

use crate::{HOSTILE, SMALL, VICTIM, assert_left, attack, attack_with};

/// Asserts that the segment was refused for this reason, and that the peer was told.
fn assert_refused(variant: &Variant, why: &[&str]) {
    let report = &variant.report;
    assert_eq!(report.code, "transport-unavailable", "{variant:?}");
    assert!(why.iter().any(|why| report.text.contains(why)), "{variant:?}");
    assert_eq!(variant.facts, ["rejected with code 4"], "{variant:?}");
}

#[test]
fn hostile_descriptor_matrix_is_refused() {
    let mut count = 0;
    attack("descriptor-matrix", move |variant| {
        let why: &[_] = match variant.name.as_str() {
            "pipe"
            | "socket"
            | "directory"
            | "zero device"
            | "null device"
            | "path only"
            | "file of the kernel's"
            | "regular file" => &["not a memory file", "seal is missing"],
            "empty" | "too small" | "too large" | "not a multiple of a page" => &["size differs"],
            "huge pages" => &["not on tmpfs"],
            _ => &["seal is missing"],
        };
        assert_refused(variant, why);
        count += 1;
        assert!(count <= 20);
    });
}

#[test]
fn capacity_that_is_not_a_power_of_two_is_refused() {
    attack("lying-numbers", |variant| {
        assert_refused(variant, &["ring capacity", "segment length", "size differs"]);
    });
}

#[test]
fn every_header_field_is_checked() {
    attack("header-fields", |variant| {
        let field = variant.name.split(',').next().expect("a field");
        assert_refused(variant, &[&format!("segment header: {field}")]);
    });
}

#[test]
fn sparse_segment_is_refused_by_size() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &SMALL);
        victim.suffer(HOSTILE, "sparse", |variant| {
            let why = ["size differs", "capacity", "segment length"];
            assert_refused(variant, &why);
        });
        assert!(victim.growth() < 8 << 20, "nothing of it was mapped: {}", victim.growth());
        victim.assert_unharmed();
    });
}

#[test]
fn swapped_segment_is_refused() {
    attack("swapped", |variant| assert_refused(variant, &["nonce"]));
}

#[test]
fn our_own_segment_offered_back_is_refused() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &SMALL);
        let mut attacker =
            tramline_tests::victim::Attacker::spawn(HOSTILE, "their-own", victim.name());
        assert_eq!(attacker.variant().as_deref(), Some("of this connection"));
        assert_eq!(attacker.facts(), ["answered by kind 4"]);
        let report = victim.report();
        assert_eq!(report.code, "transport-unavailable", "{report:?}");
        assert!(report.text.contains("own segment"), "{report:?}");
        victim.assert_serves();
        attacker.go_on();

        // That of another connection cannot be told from the segment of a peer in this process.
        // What one link says is then heard on the other, and does no harm there.
        assert_eq!(attacker.variant().as_deref(), Some("of another connection"));
        assert_eq!(attacker.facts(), ["answered by kind 3"]);
        for _ in 0..2 {
            // Its goodbye to the one is heard by the other, too.
            let report = victim.report();
            assert!(["peer-died", "link-closed"].contains(&report.code.as_str()), "{report:?}");
        }
        victim.assert_serves();
        attacker.go_on();
        attacker.end();
        victim.assert_unharmed();
    });
}

#[test]
fn a_mirror_is_refused() {
    attack("mirror", |variant| {
        assert_eq!(variant.report.code, "transport-unavailable", "{variant:?}");
        assert!(variant.report.text.contains("our own nonce"), "{variant:?}");
    });
}

#[test]
fn after_a_refused_segment_the_pipe_is_judged_anew() {
    attack_with("auto", &SMALL, "refused-then-pipe", |variant| match variant.name.as_str() {
        "an honest call" => {
            assert_left(variant);
            assert_eq!(variant.facts, ["the sum is 2"]);
        }
        _ => variant.report.assert_fault(&["frame length"]),
    });
}

#[test]
fn our_memory_in_a_strangers_hands_is_no_burden() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &SMALL);
        let before = victim.holdings();
        let mut attacker =
            tramline_tests::victim::Attacker::spawn(HOSTILE, "keeps-their-memory", victim.name());
        assert!(attacker.variant().is_some());
        assert_eq!(victim.report().code, "peer-died");
        // It still holds descriptor and mapping; the victim holds nothing.
        eventually("nothing is held for it", || victim.holdings() == before);
        victim.assert_serves();
        attacker.go_on();
        assert!(attacker.facts().is_empty());
        attacker.go_on();
        attacker.end();
        victim.assert_unharmed();
    });
}
