//! Good records whose messages are bad.

use tramline_tests::bounded;
use tramline_tests::victim::Victim;

use crate::{HOSTILE, SMALL, VICTIM, assert_left, attack, attack_with, number};

#[test]
fn envelope_that_breaks_a_rule_closes_the_link() {
    attack("bad-envelope", |variant| {
        let at = match variant.name.as_str() {
            name if name.starts_with("message kind") => "kind",
            name if name.starts_with("body kind") => "body kind",
            "empty body that is not" => "body kind",
            name if name.contains("beyond the message") => "name_len",
            "name that is not UTF-8" => "name",
            name if name.starts_with("extension") => "ext_len",
            _ => "envelope",
        };
        variant.report.assert_fault(&[at]);
    });
}

#[test]
fn second_hello_closes_the_link() {
    attack("second-hello", |variant| variant.report.assert_fault(&["hello"]));
}

#[test]
fn bad_hello_is_refused() {
    attack("bad-hello", |variant| {
        let report = &variant.report;
        assert_eq!(report.what, "refused", "{variant:?}");
        let (code, told) = match variant.name.as_str() {
            "another version" => ("connection-refused", "version-refused"),
            "unknown codec" => ("connection-refused", "codec-refused"),
            "label too long" | "limit too small" | "no event name" | "listens as a long label" => {
                ("connection-refused", "bad-hello")
            }
            _ => ("peer-fault", "bad-hello"),
        };
        assert_eq!(report.code, code, "{variant:?}");
        assert!(variant.facts[0].starts_with(told), "the peer is told why: {variant:?}");
    });
}

#[test]
fn subscriptions_are_bounded() {
    bounded(|| {
        let settings = [&SMALL[..], &["all=1"]].concat();
        let mut victim = Victim::serve(VICTIM, "shm", &settings);
        victim.suffer(HOSTILE, "subscriptions", |variant| {
            assert_left(variant);
            let taken = if variant.name == "on and off" { 10_000 } else { 4096 };
            assert_eq!(number(variant, "taken"), taken);
        });
        assert!(victim.growth() < 16 << 20, "{} bytes", victim.growth());
        victim.assert_unharmed();
    });
}

#[test]
fn messages_nobody_asked_for_are_ignored() {
    attack("unasked", assert_left);
}

#[test]
fn forbidden_names_are_denied_before_their_arguments_are_read() {
    attack("forbidden", |variant| {
        assert_left(variant);
        assert_eq!(variant.facts.len(), 7, "{variant:?}");
        for fact in &variant.facts {
            assert_eq!(fact, "capability-denied", "{variant:?}");
        }
    });
}

#[test]
fn urgent_bytes_on_a_pipe_harm_nobody() {
    attack_with("pipe", &SMALL, "urgent-on-the-pipe", |variant| {
        assert!(["the sum is 2", "heard"].contains(&variant.facts[0].as_str()), "{variant:?}");
        // One that is followed by another before it was passed over is an ordinary byte.
        if variant.report.code == "peer-fault" {
            variant.report.assert_fault(&["frame length"]);
        } else {
            assert_left(variant);
        }
    });
}

#[test]
fn body_bombs_are_bad_arguments() {
    bounded(|| {
        let mut victim = Victim::serve(VICTIM, "shm", &SMALL);
        victim.suffer(HOSTILE, "body-bombs", |variant| {
            assert_left(variant);
            assert!(variant.facts.len() > 15, "{variant:?}");
            for fact in &variant.facts {
                assert!(fact.ends_with(": bad-arguments"), "{}: {fact}", variant.name);
            }
        });
        // Announced were 4 GiB, again and again; sent were 64 KiB at most.
        assert!(victim.growth() < 16 << 20, "{} bytes", victim.growth());
        victim.assert_unharmed();
    });
}
