//! Headers, attachments and the deadline: what goes with a call's arguments.

use std::future::IntoFuture;
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use tramline::{InvokeError, json};
use tramline_tests::{PATIENCE, Setup, conformance};

conformance! {
    header_values_may_be_any_utf8,
    deadline_travels_in_the_envelope,
    named_arguments_travel_with_attachments,
    large_attachments_travel_in_pieces,
    attachments_wait_for_room,
    missing_attachment_is_a_bad_argument,
    what_does_not_fit_is_refused_before_it_is_sent,
}

const COMMANDS: [&str; 3] = ["request", "request_inline", "request_async"];

type Seen = (Vec<(String, String)>, usize, Option<u64>);

fn header_values_may_be_any_utf8(setup: &Setup) {
    let f = setup.open();
    let pairs = [("user", "Jörg 🚋"), ("", "not sent"), ("user", ""), ("größe", "line\nbreak\0")];
    let pairs: Vec<_> = pairs.into_iter().filter(|(name, _)| !name.is_empty()).collect();
    for command in COMMANDS {
        for awaited in [false, true] {
            let mut call = f.client.invoke::<Seen, _>(command, json!({ "a": 1 }));
            for (name, value) in &pairs {
                call = call.header(name, value);
            }
            let seen = if awaited { block_on(call.into_future()) } else { call.wait() };
            let (headers, body_len, left_ms) = seen.expect("answered");
            let headers: Vec<_> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
            assert_eq!(headers, pairs, "{command}");
            assert!(body_len > 0 && left_ms.is_none());
        }
    }
    let (headers, _, _) = f.client.invoke::<Seen, _>("request", ()).wait().expect("answered");
    assert_eq!(headers, []);
}

fn deadline_travels_in_the_envelope(setup: &Setup) {
    let f = setup.open();
    for command in COMMANDS {
        for awaited in [false, true] {
            for (timeout, sent) in [
                (Duration::from_secs(77), 77_000),
                (Duration::from_micros(60_000_001), 60_001),
                (Duration::from_secs(u64::MAX), u64::from(u32::MAX)),
            ] {
                let call = f.client.invoke::<Seen, _>(command, ()).timeout(timeout);
                let seen = if awaited { block_on(call.into_future()) } else { call.wait() };
                assert_eq!(seen.expect("answered").2, Some(sent));
            }
        }
    }
}

fn named_arguments_travel_with_attachments(setup: &Setup) {
    let f = setup.open();
    for command in ["upload", "upload_inline"] {
        for awaited in [false, true] {
            let first: Vec<u8> = (0..=255).collect();
            let call = f
                .client
                .invoke::<(String, u64, Vec<u8>), _>(command, json!({ "title": "große Datei" }))
                .header("kind", "test")
                .attach("second", &b""[..])
                .attach("unknown", &b"nobody asks"[..])
                .attach("first", first)
                .timeout(PATIENCE);
            let answer = if awaited { block_on(call.into_future()) } else { call.wait() };
            assert_eq!(answer.expect("answered"), ("große Datei".into(), 32_640, vec![]));
        }
    }
}

fn large_attachments_travel_in_pieces(setup: &Setup) {
    let f = setup.open();
    for len in [10_000, 300_000, 5 << 20] {
        let (first, second) = (vec![3; len], vec![5; len / 100]);
        let answer: (String, u64, Vec<u8>) = f
            .client
            .invoke("upload", json!({ "title": "t" }))
            .attach("first", &first[..])
            .attach("second", &second[..])
            .timeout(PATIENCE)
            .wait()
            .expect("answered");
        assert_eq!(answer, ("t".into(), 3 * len as u64, second));
    }
    let call = f.client.invoke::<(), _>("upload", json!({ "title": "t" }));
    let refused = call.attach("first", vec![0; 64 << 20]).wait().expect_err("over the limit");
    assert_eq!(refused.code(), "message-too-large");
    assert_eq!(f.client.ended(), None);
}

fn attachments_wait_for_room(setup: &Setup) {
    let f = setup.open();
    f.client.emit("blocking", "gate").expect("room");
    f.wait_entered("gate", 1);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..8_u8)
            .map(|number| {
                let client = &f.client;
                scope.spawn(move || {
                    let call = client
                        .invoke::<(String, u64, Vec<u8>), _>("upload", json!({ "title": "t" }))
                        .header("number", &number.to_string())
                        .attach("first", vec![number; 100_000])
                        .attach("second", vec![number; 3]);
                    block_on(call.into_future())
                })
            })
            .collect();
        f.open_gate("gate");
        for (number, caller) in (0_u8..).zip(callers) {
            let answer = caller.join().expect("no panic").expect("answered");
            assert_eq!(answer, ("t".into(), 100_000 * u64::from(number), vec![number; 3]));
        }
    });
}

fn missing_attachment_is_a_bad_argument(setup: &Setup) {
    let f = setup.open();
    let call = f.client.invoke::<(), _>("upload", json!({ "title": "t" }));
    let refused = call.attach("first", &b"x"[..]).wait().expect_err("one is missing");
    assert_eq!(refused.code(), "bad-arguments");
    let text = refused.to_string();
    assert!(text.contains("command upload missing required attachment second"), "{text}");
}

fn what_does_not_fit_is_refused_before_it_is_sent(setup: &Setup) {
    let f = setup.open();
    let long = "x".repeat(70_000);
    for (name, value) in [("", "x"), (&long[..256], "x"), ("x", &long)] {
        for awaited in [false, true] {
            let call = f.client.invoke::<Seen, _>("request", ()).header(name, value);
            let refused = if awaited { block_on(call.into_future()) } else { call.wait() };
            let Err(InvokeError::Send(refused)) = refused else { panic!("{refused:?}") };
            assert_eq!(refused.code(), "limit-out-of-range");
        }
    }
    assert_eq!(f.client.ended(), None);
}
