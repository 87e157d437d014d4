//! Attacks by how much is sent, and by what is never read.

use tramline_core::envelope::{BodyKind, Head, Kind};
use tramline_core::session::Hello;
use tramline_core::{AnyCodec, Limits};
use tramline_tests::raw::greeting;

use crate::link::{Link, frame};
use crate::meeting::Socket;
use crate::stage::Stage;

/// An answer of this many bytes to each call that nobody reads.
const LARGE: &[u8] = br#"{"len":20000}"#;

pub(crate) fn never_reads(stage: &Stage) {
    for (variant, command, body, bytes) in [
        ("inline answers", "echo_raw", BodyKind::Raw, &[7; 20_000][..]),
        ("answers of plain commands", "raw_result", BodyKind::Structured, LARGE),
        ("refusals", "no_such_command", BodyKind::Empty, b""),
    ] {
        stage.variant(variant, || {
            let mut link = Link::open(&stage.name, variant);
            assert!(link.add());
            while link.request(command, body, bytes).is_some() {}
            link.until_hung_up();
        });
    }
    stage.variant("events", || {
        let mut link = Link::open(&stage.name, "events");
        let subscribe = Head::new(Kind::Subscribe, BodyKind::Empty, 1, "down");
        link.message(&frame(&subscribe, b""));
        assert!(link.answer().is_some());
        // Each one is answered by an event.
        let echo = Head::new(Kind::Event, BodyKind::Structured, 0, "echo");
        // As many as there is room for: the other side gives each one its time.
        let mut sent = 0;
        while sent < 20_000 && link.free() > 200 {
            link.message(&frame(&echo, b"1"));
            sent += 1;
        }
        stage.fact(format_args!("{sent} sent"));
    });
    stage.variant("over the pipe", || {
        let socket = Socket::connect(&stage.name);
        socket.send(&greeting(1));
        assert!(socket.fill(&mut [0; 8]), "a greeting");
        let label = Some("over the pipe".into());
        let hello = Hello::new(AnyCodec::JSON, &Limits::default(), label, Vec::new());
        send_frame(&socket, &hello.to_frame());
        let call = Head::new(Kind::Request, BodyKind::Structured, 1, "raw_result");
        while send_frame(&socket, &frame(&call, LARGE)) {}
    });
}

fn send_frame(socket: &Socket, frame: &[u8]) -> bool {
    let len = u32::try_from(frame.len()).expect("short");
    socket.send(&[&len.to_le_bytes(), frame].concat())
}

pub(crate) fn flood(stage: &Stage) {
    stage.variant("calls", || {
        let mut link = Link::open(&stage.name, "calls");
        stage.until_told(|| {
            while link.free() > 1000 {
                if link.request("add", BodyKind::Structured, br#"{"a":1,"b":1}"#).is_none() {
                    return false;
                }
            }
            while link.poll_answer().is_some() {}
            true
        });
    });
    stage.variant("events", || {
        let mut link = Link::open(&stage.name, "events");
        let event = Head::new(Kind::Event, BodyKind::Structured, 0, "up");
        let event = frame(&event, b"1");
        stage.until_told(|| link.message(&event));
    });
    stage.variant("large messages", || {
        let mut link = Link::open(&stage.name, "large messages");
        let body = vec![7; 50_000];
        stage.until_told(|| {
            link.request("raw_length", BodyKind::Raw, &body).is_some() && link.answer().is_some()
        });
    });
}

/// More calls than may be at work, none of which ends.
pub(crate) fn held_calls(stage: &Stage) {
    stage.variant("five thousand", || {
        let mut link = Link::open(&stage.name, "five thousand");
        let mut sent = 0;
        while sent < 5_000 && link.free() > 1000 {
            link.request("hold", BodyKind::Structured, br#"{"gate":"held"}"#);
            sent += 1;
        }
        stage.fact(format_args!("{sent} sent"));
        stage.until_told(|| {
            std::thread::park_timeout(std::time::Duration::from_millis(1));
            true
        });
    });
}
