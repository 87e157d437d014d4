//! Channels against their rules.

use tramline_tests::bounded;
use tramline_tests::victim::{Variant, Victim};

use crate::{HOSTILE, SMALL, VICTIM, assert_left, number};

/// Performs an attack; its commands that hold are let go when it is over.
fn attack(
    settings: &'static [&'static str],
    name: &'static str,
    check: impl FnMut(&Variant) + Send + 'static,
) {
    bounded(move || {
        let mut victim = Victim::serve(VICTIM, "shm", &[&SMALL[..], settings].concat());
        victim.suffer(HOSTILE, name, check);
        // What is bounded here is far less, the rest is what a busy process grows by.
        assert!(victim.growth() < 24 << 20, "{} bytes", victim.growth());
        let other = victim.connect().expect("it serves");
        let open = tramline::json!({ "gate": "held" });
        other.invoke::<(), _>("open", open).wait().expect("opened");
        drop(other);
        victim.assert_unharmed();
    });
}

#[test]
fn channel_that_breaks_a_rule_closes_the_link() {
    attack(&[], "channel-rules", |variant| {
        let at = match variant.name.split(':').next() {
            Some("credit") => "channel credit",
            Some("direction") => "channel",
            Some("number") => "channel id",
            _ => "extension",
        };
        variant.report.assert_fault(&[at]);
    });
}

#[test]
fn channel_messages_that_mean_nothing_are_ignored() {
    attack(&[], "channel-nonsense", |variant| {
        assert_left(variant);
        for fact in &variant.facts {
            assert_eq!(fact, "bad-arguments", "{variant:?}");
        }
    });
}

#[test]
fn channels_of_one_peer_are_bounded() {
    attack(&["send=400", "queued=1048576"], "channel-flood", |variant| {
        match variant.name.as_str() {
            "refused calls, unread" => assert_eq!(variant.report.code, "peer-stalled"),
            "refused calls" => {
                assert_left(variant);
                assert_eq!(number(variant, "ended"), 300 * 16);
            }
            _ => {
                assert_left(variant);
                assert_eq!(number(variant, "refused"), 32);
            }
        }
    });
}

#[test]
fn stalled_channels_bound_our_memory() {
    attack(&["send=400", "queued=1048576", "calls=16"], "channel-stall", |variant| {
        if variant.name == "grants and never reads the link" {
            assert_eq!(variant.report.code, "peer-stalled", "{variant:?}");
        } else {
            assert_left(variant);
        }
    });
}
