//! Attacks on a client: a server that keeps no rule. Each variant serves one connection.

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

use tramline_core::envelope::{BodyKind, Envelope, Head, Kind};
use tramline_core::limits::MAX_HELLO_LEN;
use tramline_core::session::{Goodbye, Hello};
use tramline_core::{AnyCodec, Limits};
use tramline_tests::random::Random;
use tramline_tests::raw::{greeting, listen};

use crate::link::{Link, MAX_FRAME, at, frame, header, record};
use crate::meeting::{HALF, READY, Socket, exchange_hellos, message, nonce, offer, their_offer};
use crate::messages::bad_envelopes;
use crate::stage::Stage;
use crate::words::Lie;

/// Serves each variant at the same name, one after the other.
struct Server<'a> {
    stage: &'a Stage,
    listener: UnixListener,
}

impl<'a> Server<'a> {
    fn new(stage: &'a Stage) -> Self {
        Self { stage, listener: listen(&stage.name) }
    }

    fn variant(&self, name: &str, act: impl FnOnce(&UnixListener)) {
        self.stage.variant(name, || act(&self.listener));
    }

    /// Attacks where the answer to the client's call belongs, and waits for it to hang up.
    fn instead_of_an_answer(&self, name: &str, act: impl FnOnce(&mut Link, u64)) {
        self.variant(name, |listener| {
            let mut link = Link::accept(listener);
            let id = request(&mut link);
            act(&mut link, id);
            link.until_hung_up();
        });
    }
}

/// Waits for a call of the client: its id.
fn request(link: &mut Link) -> u64 {
    let message = link.receive().expect("a call");
    let message = Envelope::parse(&message).expect("an honest message");
    assert_eq!(message.head.kind, Kind::Request);
    message.head.id
}

fn response(id: u64, body: BodyKind, bytes: &[u8]) -> Vec<u8> {
    frame(&Head::new(Kind::Response, body, id, ""), bytes)
}

/// A header word for a link in this state.
type Word = fn(&Link) -> u64;

pub(crate) fn bad_records(stage: &Stage) {
    let server = Server::new(stage);
    let bad: [(&str, Word); 7] = [
        ("kind", |link| header(9, 0, 8, link.seq())),
        ("flags", |link| header(record::DATA, 1, 8, link.seq())),
        ("sequence", |link| header(record::DATA, 0, 8, link.seq() + 1)),
        ("length beyond a frame", |link| {
            header(record::DATA, 0, u32::try_from(MAX_FRAME + 1).expect("small"), link.seq())
        }),
        ("length beyond the ring", |link| header(record::DATA, 0, u32::MAX, link.seq())),
        ("padding", |link| header(record::PAD, 0, 8, link.seq())),
        ("fragment", |link| header(record::MIDDLE, 0, 8, link.seq())),
    ];
    for (variant, word) in bad {
        server.instead_of_an_answer(variant, |link, _| link.put_header(word(link)));
    }
    server.instead_of_an_answer("over budget", |link, _| {
        let mut kind = record::FIRST;
        while link.try_record(kind, &[0; MAX_FRAME]) {
            kind = record::MIDDLE;
        }
    });
    server.instead_of_an_answer("byte on the control socket", |link, _| {
        link.socket.send(&[1]);
    });
    server.instead_of_an_answer("urgent byte on the control socket", |link, _| {
        link.socket.send_urgent();
    });
}

pub(crate) fn head_lies(stage: &Stage) {
    let server = Server::new(stage);
    let lies: [(&str, Lie); 3] = [
        ("beyond", |head| head + (1 << 20)),
        ("back", |_| 0),
        ("no multiple of 8", |head| head | 4),
    ];
    for (variant, lie) in lies {
        server.variant(variant, |listener| {
            let mut link = Link::accept(listener);
            // The calls are answered as they should be; the client sends more than a lap of them.
            while let Some(call) = link.receive() {
                let message = Envelope::parse(&call).expect("an honest message");
                if message.head.kind != Kind::Request {
                    continue;
                }
                let id = message.head.id;
                if link.head > 3 * (1 << 15) {
                    link.own.store64(at::HEAD, lie(link.head));
                }
                let len = message.body.len().to_string();
                link.message(&response(id, BodyKind::Structured, len.as_bytes()));
            }
        });
    }
}

pub(crate) fn silent(stage: &Stage) {
    let server = Server::new(stage);
    server.variant("never accepts", |_| {});
    server.variant("after accepting", |listener| {
        // The connection of the variant before comes first.
        drop(Socket::accept(listener));
        Socket::accept(listener).until_hung_up();
    });
    server.variant("after the greeting", |listener| {
        let socket = Socket::accept(listener);
        socket.send(&greeting(2));
        socket.until_hung_up();
    });
    server.variant("after HELLO", |listener| {
        let socket = greeted(listener);
        exchange_hellos(&socket, HALF);
        socket.until_hung_up();
    });
    server.variant("after READY", |listener| {
        Link::accept_silent(listener).until_hung_up();
    });
    server.variant("after hello", |listener| {
        let mut link = Link::accept(listener);
        request(&mut link);
        link.until_hung_up();
    });
}

fn greeted(listener: &UnixListener) -> Socket {
    let socket = Socket::accept(listener);
    assert!(socket.fill(&mut [0; 8]), "a greeting");
    socket.send(&greeting(2));
    socket
}

pub(crate) fn vanishing(stage: &Stage) {
    let server = Server::new(stage);
    server.variant("after accepting", |listener| drop(Socket::accept(listener)));
    server.variant("after the greeting", |listener| drop(greeted(listener)));
    server.variant("after READY", |listener| drop(Link::accept_silent(listener)));
    server.variant("after hello", |listener| drop(Link::accept(listener)));
    server.variant("after the call", |listener| {
        request(&mut Link::accept(listener));
    });
    server.variant("inside the answer", |listener| {
        let mut link = Link::accept(listener);
        request(&mut link);
        link.record(record::FIRST, &[0; 100]);
    });
}

pub(crate) fn bad_envelope(stage: &Stage) {
    let server = Server::new(stage);
    for (variant, message) in bad_envelopes() {
        server.instead_of_an_answer(&variant, |link, _| {
            link.message(&message);
        });
    }
}

pub(crate) fn bad_answers(stage: &Stage) {
    let server = Server::new(stage);
    let text = |letters: usize| format!("\"{}\"", "x".repeat(letters)).into_bytes();
    let error = |id, name: &str, body: &[u8]| {
        frame(&Head::new(Kind::Error, BodyKind::Structured, id, name), body)
    };
    server.instead_of_an_answer("another type", |link, id| {
        link.message(&response(id, BodyKind::Structured, b"\"text\""));
    });
    server.instead_of_an_answer("no JSON", |link, id| {
        link.message(&response(id, BodyKind::Structured, b"{"));
    });
    server.instead_of_an_answer("raw", |link, id| {
        link.message(&response(id, BodyKind::Raw, &[7; 100]));
    });
    server.instead_of_an_answer("nested", |link, id| {
        link.message(&response(id, BodyKind::Structured, &[b'['; 5000]));
    });
    server.instead_of_an_answer("unknown code", |link, id| {
        link.message(&error(id, "no-such-code", b"1"));
    });
    server.instead_of_an_answer("long words", |link, id| {
        link.message(&error(id, "bad-arguments", &text(50_000)));
    });
    server.instead_of_an_answer("to another call", |link, id| {
        for wrong in [0, id + 1, u64::MAX] {
            link.message(&response(wrong, BodyKind::Structured, b"1"));
        }
        link.message(&error(id, "capability-denied", &text(3)));
    });
    server.instead_of_an_answer("goodbye", |link, _| {
        link.message(&Goodbye::new("closed", "").to_frame());
        let _ = link.socket.0.shutdown(std::net::Shutdown::Both);
    });
}

pub(crate) fn bad_hello(stage: &Stage) {
    let server = Server::new(stage);
    let good = || Hello::new(AnyCodec::JSON, &Limits::default(), None, Vec::new());
    let hellos: Vec<(&str, Vec<u8>)> = vec![
        ("another version", Hello { protocol: 7, ..good() }.to_frame()),
        ("another codec", Hello { codec: "cbor".into(), ..good() }.to_frame()),
        ("limit too small", Hello { max_message_len: 0, ..good() }.to_frame()),
        ("label too long", Hello { label: Some("x".repeat(300)), ..good() }.to_frame()),
        ("too large", Hello { label: Some("x".repeat(MAX_HELLO_LEN)), ..good() }.to_frame()),
        ("no event name", Hello { listens: vec!["a b".into()], ..good() }.to_frame()),
        ("a refusal", Goodbye::new("made-up-code", "no\u{7}").to_frame()),
        ("an answer", response(1, BodyKind::Structured, b"1")),
        ("garbage", Random::new(9).bytes(300)),
    ];
    for (variant, hello) in hellos {
        server.variant(variant, |listener| {
            let mut link = Link::accept_silent(listener);
            let _ = link.receive();
            link.message(&hello);
            link.until_hung_up();
        });
    }
    for (variant, bytes) in [
        ("greeting of another protocol", b"HTTP/1.1".as_slice()),
        ("greeting of another version", b"TRAM\x09\x02\0\0"),
        ("greeting with a reserved byte", b"TRAM\x01\x02\0\x01"),
        ("greeting without a transport", b"TRAM\x01\0\0\0"),
        ("greeting with what was not offered", b"TRAM\x01\xF1\0\0"),
    ] {
        server.variant(variant, |listener| {
            let socket = Socket::accept(listener);
            assert!(socket.fill(&mut [0; 8]), "a greeting");
            socket.send(bytes);
            socket.until_hung_up();
        });
    }
}

/// The client's own memory as the server's: without a check the client would talk to itself.
pub(crate) fn their_own(stage: &Stage) {
    let server = Server::new(stage);
    server.variant("of this connection", |listener| {
        let socket = greeted(listener);
        let nonce = nonce(HALF, &exchange_hellos(&socket, HALF));
        let theirs = their_offer(&socket);
        socket.send_with(&offer(theirs.len, theirs.capacity, nonce), &[theirs.file.as_fd()]);
        socket.send(&message(READY, &[]));
        socket.until_hung_up();
    });
}

pub(crate) fn flood(stage: &Stage) {
    let server = Server::new(stage);
    for (variant, kind) in
        [("events", Kind::Event), ("calls", Kind::Request), ("answers", Kind::Response)]
    {
        server.instead_of_an_answer(variant, |link, id| {
            let (id, name) = match kind {
                Kind::Event => (0, "never-subscribed"),
                Kind::Request => (1, "anything"),
                _ => (id + 1, ""),
            };
            let message = frame(&Head::new(kind, BodyKind::Raw, id, name), &[7; 2000]);
            while link.message(&message) && !link.socket.is_hung_up() {
                while link.poll().is_some() {}
            }
        });
    }
    server.instead_of_an_answer("messages begun and abandoned", |link, _| {
        while link.try_record(record::FIRST, &[7]) && link.try_record(record::ABANDON, &[]) {
            while link.poll().is_some() {}
        }
    });
}

pub(crate) fn scribbling(stage: &Stage) {
    let server = Server::new(stage);
    for seed in 0..6 {
        server.instead_of_an_answer(&format!("seed {seed}"), |link, _| {
            let mut random = Random::new(seed);
            while !link.socket.is_hung_up() {
                for at in (0..link.own.len()).step_by(8) {
                    link.own.store64(at, random.next_u64());
                }
                link.wake();
            }
        });
    }
}
