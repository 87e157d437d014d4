//! Hostile servers: a client's call must end with a typed error, and the client goes on.

use crate::attack_client;

const SMALL: [&str; 2] = ["ring=65536", "message=65536"];
/// Handshakes and calls may take this long, in milliseconds.
const SHORT: [&str; 5] = ["ring=65536", "message=65536", "handshake=400", "call=400", "send=400"];

#[test]
fn bad_records_of_a_server_end_the_call() {
    attack_client(&SMALL, "server-bad-records", |variant| {
        let at = match variant.name.as_str() {
            "kind" | "fragment" => "kind",
            "flags" => "flags",
            "sequence" => "seq16",
            name if name.contains("control socket") => "control socket",
            _ => "len",
        };
        variant.report.assert_fault(&[at]);
    });
}

#[test]
fn head_beyond_tail_of_a_server_ends_the_call() {
    attack_client(&SMALL, "server-head-lies", |variant| variant.report.assert_fault(&["head"]));
}

#[test]
fn silent_server_costs_no_more_than_the_time_limit() {
    attack_client(&SHORT, "server-silent", |variant| {
        let code =
            if variant.name == "after hello" { "deadline-passed" } else { "handshake-timeout" };
        assert_eq!(variant.report.code, code, "{variant:?}");
        assert!(variant.report.text.contains("400 ms"), "{variant:?}");
    });
}

#[test]
fn server_that_vanishes_is_a_dead_peer() {
    attack_client(&SMALL, "server-vanishing", |variant| {
        assert_eq!(variant.report.code, "peer-died", "{variant:?}");
    });
}

#[test]
fn bad_envelope_of_a_server_ends_the_call() {
    attack_client(&SMALL, "server-bad-envelope", |variant| {
        let at = [
            "kind",
            "body kind",
            "envelope",
            "name_len",
            "name",
            "ext_len",
            "extension",
            "attachments",
        ];
        variant.report.assert_fault(&at);
    });
}

#[test]
fn bad_answer_of_a_server_is_a_typed_error() {
    attack_client(&SMALL, "server-bad-answers", |variant| {
        let code = match variant.name.as_str() {
            "another type" | "no JSON" | "raw" | "nested" => "decode-failed",
            "unknown code" => "no-such-code",
            "long words" => "bad-arguments",
            "to another call" => "capability-denied",
            _ => "link-closed",
        };
        assert_eq!(variant.report.code, code, "{variant:?}");
    });
}

#[test]
fn bad_hello_of_a_server_is_refused() {
    attack_client(&SMALL, "server-bad-hello", |variant| {
        let code = match variant.name.as_str() {
            "another version" | "another codec" | "limit too small" | "label too long"
            | "no event name" | "a refusal" => "connection-refused",
            "too large" | "an answer" | "garbage" => "peer-fault",
            "greeting of another protocol" | "greeting with a reserved byte" => "handshake-refused",
            "greeting of another version" => "version-refused",
            _ => "transport-unavailable",
        };
        assert_eq!(
            (variant.report.what.as_str(), variant.report.code.as_str()),
            ("refused", code),
            "{variant:?}"
        );
    });
}

#[test]
fn our_own_segment_offered_back_by_a_server_is_refused() {
    attack_client(&SMALL, "server-their-own", |variant| {
        assert_eq!(variant.report.code, "transport-unavailable", "{variant:?}");
        assert!(variant.report.text.contains("own segment"), "{variant:?}");
    });
}

#[test]
fn flood_of_a_server_does_not_keep_a_call_beyond_its_deadline() {
    attack_client(&SHORT, "server-flood", |variant| {
        let codes = ["deadline-passed", "peer-stalled"];
        assert!(codes.contains(&variant.report.code.as_str()), "{variant:?}");
    });
}

#[test]
fn scribbling_of_a_server_ends_the_call() {
    attack_client(&SMALL, "server-scribbling", |variant| {
        let at = ["flags", "seq16", "len", "kind", "head", "envelope"];
        variant.report.assert_fault(&at);
    });
}
