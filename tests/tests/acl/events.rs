//! Events: to listen and to emit are rights of their own.

use std::sync::mpsc::{Receiver, channel};

use serde_json::json;
use tramline::{Client, InvokeError, Rejection};
use tramline_tests::acl::{Settings, There};
use tramline_tests::{PATIENCE, Transport, bounded};

use crate::PEER;

/// Listens; gives what comes, or the words of the refusal.
fn listen(client: &Client, event: &str) -> Result<Receiver<String>, String> {
    let (told, heard) = channel();
    let listener = move |event: tramline::Event<'_>| {
        let _ = told.send(event.payload::<String>().expect("a text"));
    };
    match client.listen(event, listener).wait() {
        Ok(_) => Ok(heard),
        Err(InvokeError::Rejected(Rejection::Denied { text })) => Err(text.into()),
        Err(other) => panic!("{other:?}"),
    }
}

fn emit(there: &There, event: &str) {
    there.control::<()>("emit", json!({ "event": event }));
}

#[test]
fn event_rights_are_checked_both_ways() {
    let file = json!([
        { "identifier": "ears", "windows": ["ear"], "permissions": ["core:event:allow-listen"] },
        { "identifier": "mouths", "windows": ["mouth"], "permissions": ["core:event:allow-emit"] },
        { "identifier": "all", "windows": ["both"], "permissions": ["core:default"] },
    ]);
    for transport in [Transport::Shm, Transport::ShmShared, Transport::Pipe] {
        let there = Settings::file(file.clone()).serve(PEER, transport);
        bounded(move || {
            let [ear, mouth, both, none] =
                ["ear", "mouth", "both", "none"].map(|l| there.client(l));
            for client in [&ear, &both] {
                let heard = listen(client, "news").expect("allowed");
                emit(&there, "news");
                assert_eq!(heard.recv_timeout(PATIENCE).as_deref(), Ok("news"));
            }
            for client in [&mouth, &none] {
                let text = listen(client, "news").expect_err("not allowed");
                assert_eq!(text, "Event news not allowed by ACL");
            }
            // Whoever may not emit is told of no listener, so nothing crosses.
            for client in [&ear, &mouth, &both, &none] {
                client.emit("up", &"x").expect("sent, or not");
            }
            // Everything of one connection comes in order: what was emitted before is there.
            for client in [&ear, &mouth, &both, &none] {
                let _ = client.invoke::<(), _>("nothing", ()).wait();
            }
            assert_eq!(there.counts().up, 2);
        });
    }
}

#[test]
fn an_event_that_may_not_be_emitted_is_ignored_and_counted_however_it_comes() {
    use tramline_core::AnyCodec;
    use tramline_core::envelope::{BodyKind, Head, Kind};
    use tramline_core::session::Hello;
    use tramline_tests::raw::RawPeer;

    bounded(|| {
        let file = json!({ "identifier": "x", "windows": ["raw"], "permissions": [
            { "identifier": "core:event:allow-emit", "allow": [{ "event": "up" }] }
        ] });
        let there = Settings::file(file).serve(PEER, Transport::Pipe);
        let name = there.endpoint.strip_prefix("pipe:").expect("a pipe");
        let mut raw = RawPeer::greeted(name);
        let limits = tramline::Limits::default();
        raw.send_frame(&Hello::new(AnyCodec::JSON, &limits, Some("raw".into()), vec![]).to_frame());
        let hello = Hello::read(&raw.frame().expect("an answer")).expect("a hello");
        assert_eq!(hello.listens, ["up".into()], "and not what the peer may not emit");
        for event in ["admin/reset", "up", "admin/reset", "nobody-listens"] {
            let head = Head::new(Kind::Event, BodyKind::Structured, 0, event);
            raw.send_frame(&[&head.to_bytes()[..], event.as_bytes(), b"\"x\""].concat());
        }
        let head = Head::new(Kind::Request, BodyKind::Empty, 1, "nothing");
        raw.send_frame(&[&head.to_bytes()[..], b"nothing"].concat());
        assert!(raw.frame().is_some(), "the call behind them is answered");
        let counts = there.counts();
        assert_eq!((counts.up, counts.reset), (1, 0));
        let (denied, _): (u64, u64) = there.control("refusals", json!({ "label": "raw" }));
        assert_eq!(denied, 4, "three events and a call");
        assert!(there.next_denied().contains("may not emit \"admin/reset\""));
    });
}

#[test]
fn rights_by_name_and_pattern_are_checked_for_each_event() {
    let file = json!({ "identifier": "x", "windows": ["main"], "permissions": [
        { "identifier": "core:event:allow-listen",
          "allow": [{ "event": "tick" }, { "event": "progress/*" }],
          "deny": [{ "event": "progress/secret" }] },
    ] });
    bounded(move || {
        let there = Settings::file(file).serve(PEER, Transport::Shm);
        let main = there.client("main");
        for (event, expected) in [
            ("tick", true),
            ("progress/a", true),
            ("progress/secret", false),
            ("tock", false),
            ("", false),
        ] {
            assert_eq!(listen(&main, event).is_ok(), expected, "{event:?}");
        }
    });
}
