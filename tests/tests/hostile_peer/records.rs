//! Headers and payloads that break a rule of the ring.

use std::os::unix::process::ExitStatusExt;

use tramline_tests::bounded;
use tramline_tests::victim::{Attacker, Victim};

use crate::{HOSTILE, SMALL, VICTIM, assert_left, attack, number};

#[test]
fn unknown_kind_or_flag_closes_the_link() {
    attack("unknown-kind-or-flag", |variant| {
        let at = if variant.name.starts_with("kind") { "kind" } else { "flags" };
        variant.report.assert_fault(&[at]);
    });
}

#[test]
fn length_beyond_the_ring_closes_the_link() {
    attack("length-beyond", |variant| variant.report.assert_fault(&["len"]));
}

#[test]
fn record_out_of_sequence_closes_the_link() {
    attack("out-of-sequence", |variant| variant.report.assert_fault(&["seq16"]));
}

#[test]
fn misplaced_padding_closes_the_link() {
    attack("misplaced-padding", |variant| variant.report.assert_fault(&["len"]));
}

#[test]
fn two_paddings_in_a_row_close_the_link() {
    attack("two-paddings", |variant| {
        variant.report.assert_fault(&["kind"]);
        assert!(variant.report.text.contains("two PADs"), "{variant:?}");
    });
}

#[test]
fn fragment_out_of_order_closes_the_link() {
    attack("fragment-order", |variant| {
        let at = if variant.name.starts_with("empty") { "len" } else { "kind" };
        variant.report.assert_fault(&[at]);
    });
}

#[test]
fn reassembly_over_budget_is_refused() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &SMALL);
        victim.suffer(HOSTILE, "over-budget", |variant| {
            variant.report.assert_fault(&["len"]);
            assert!(variant.report.text.contains("above the limit"), "{variant:?}");
            // What may be put together, and what lay in the ring behind it.
            assert!(number(variant, "bytes") <= (64 << 10) + (64 << 10), "{variant:?}");
        });
        assert!(victim.growth() < 4 << 20, "{} bytes", victim.growth());
        victim.assert_unharmed();
    });
}

#[test]
fn record_after_close_closes_the_link() {
    attack("after-close", |variant| {
        let at = if variant.name == "close with payload" { "len" } else { "kind" };
        variant.report.assert_fault(&[at]);
    });
}

#[test]
fn flipping_payload_yields_a_snapshot_or_a_decode_error() {
    attack("flipping-payload", |variant| {
        if variant.name == "body" {
            assert_left(variant);
            assert_eq!(number(variant, "rounds"), 300, "{variant:?}");
            assert_eq!(number(variant, "neither"), 0, "{variant:?}");
            // Bits were flipped in time at least once, or this shows nothing.
            assert!(number(variant, "refused") > 0, "{variant:?}");
        } else if variant.report.code == "peer-fault" {
            let parts = [
                "kind",
                "body kind",
                "envelope",
                "name_len",
                "name",
                "hello",
                "ext_len",
                "extension",
                "attachments",
            ];
            variant.report.assert_fault(&parts);
        } else {
            assert_left(variant);
        }
    });
}

#[test]
fn killed_mid_record_frees_the_reader() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &SMALL);
        let variants = [
            "payload without header",
            "later header only",
            "first fragment",
            "behind a whole call",
        ];
        for variant in variants {
            let mut attacker = Attacker::only(HOSTILE, "killed-mid-record", victim.name(), variant);
            assert_eq!(attacker.variant().as_deref(), Some(variant));
            assert_eq!(attacker.exit().signal(), Some(9), "it kills itself");
            let report = victim.report();
            assert_eq!(
                (report.code.as_str(), report.label.as_deref()),
                ("peer-died", Some(variant))
            );
            victim.assert_serves();
        }
        victim.assert_unharmed();
    });
}

#[test]
fn scribbling_over_the_whole_segment_ends_only_that_link() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &SMALL);
        // An honest client is there all the time.
        let other = victim.connect().expect("it serves");
        let add = || {
            let sum = other.invoke::<i64, _>("add", tramline::json!({ "a": 1, "b": 1 }));
            assert_eq!(sum.timeout(tramline_tests::PATIENCE).wait().expect("a sum"), 2);
        };
        victim.suffer(HOSTILE, "scribbling", |variant| {
            if variant.name.starts_with("words only") {
                assert_left(variant);
                assert_eq!(variant.facts, ["served"], "{variant:?}");
            } else {
                let at = ["flags", "seq16", "len", "kind", "head", "envelope", "body kind"];
                variant.report.assert_fault(&at);
            }
            add();
        });
        drop(other);
        victim.assert_unharmed();
    });
}
