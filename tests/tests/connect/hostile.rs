//! Peers that do not keep to the protocol.

use std::sync::mpsc::{Receiver, channel};

use tramline::{AnyCodec, BodyKind, Client, ConnectError, Limits, Running, Server, json};
use tramline_core::envelope::{Envelope, Head, Kind};
use tramline_core::session::Hello;
use tramline_tests::fixture::{limits, unique_name};
use tramline_tests::random::Random;
use tramline_tests::raw::{RawPeer, greeting, listen};
use tramline_tests::{PATIENCE, bounded, commands, eventually};

fn short() -> Limits {
    let mut limits = limits();
    limits.handshake_timeout_ms = 200;
    limits.max_connections_per_process = 256;
    limits
}

/// A server that says what it refused.
fn serve() -> (String, Running, Receiver<ConnectError>) {
    let name = unique_name();
    let (told, refused) = channel();
    let server = commands::serve(Server::new(), short()).on_refused(move |error| {
        let _ = told.send(error.clone());
    });
    let running = server.start(&format!("auto:{name}")).expect("the name is free");
    (name, running, refused)
}

fn assert_serves(name: &str) {
    let client = Client::connect(name).wait().expect("it still serves");
    let sum: i64 =
        client.invoke("add", json!({ "a": 1, "b": 1 })).timeout(PATIENCE).wait().expect("a sum");
    assert_eq!(sum, 2);
}

fn hello() -> Hello {
    Hello::new(AnyCodec::JSON, &Limits::default(), None, Vec::new())
}

#[test]
fn garbage_on_the_socket_is_one_typed_error_and_the_server_lives() {
    bounded(|| {
        let (name, running, refused) = serve();
        let garbage: [&[u8]; 7] = [
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            &Random::new(5).bytes(4096),
            &[0; 100],
            &[0xff; 100],
            b"TRAM",
            &[b'T', b'R', b'A', b'M', 9, 3, 0, 0],
            &[b'T', b'R', b'A', b'M', 1, 3, 0, 1],
        ];
        for bytes in garbage {
            let mut peer = RawPeer::connect(&name);
            peer.send(bytes);
            if bytes.len() < 8 {
                drop(peer);
            } else {
                peer.until_hung_up();
            }
            let error = refused.recv_timeout(PATIENCE).expect("it is reported");
            assert!(
                matches!(
                    error,
                    ConnectError::Handshake { .. }
                        | ConnectError::Version { .. }
                        | ConnectError::Link(_)
                ),
                "{error:?}"
            );
            assert_serves(&name);
        }
        assert!(refused.try_recv().is_err(), "one error for each");
        running.stop();
    });
}

#[test]
fn whoever_says_nothing_is_hung_up_on_after_the_handshake_deadline() {
    bounded(|| {
        let (name, running, refused) = serve();
        let mut silent = RawPeer::connect(&name);
        let mut half = RawPeer::connect(&name);
        half.send(b"TRA");
        let mut no_hello = RawPeer::greeted(&name);
        for peer in [&mut silent, &mut half, &mut no_hello] {
            peer.until_hung_up();
        }
        for _ in 0..3 {
            let error = refused.recv_timeout(PATIENCE).expect("it is reported");
            assert!(matches!(error, ConnectError::TimedOut { timeout_ms: 200 }), "{error:?}");
        }
        assert_serves(&name);
        running.stop();
    });
}

#[test]
fn refused_version_names_both_numbers() {
    bounded(|| {
        let (name, running, refused) = serve();
        let mut peer = RawPeer::greeted(&name);
        let mut old = hello();
        old.protocol = 7;
        peer.send_frame(&old.to_frame());
        let goodbye = peer.frame().expect("a goodbye");
        let error = Hello::read(&goodbye).unwrap_err();
        assert!(matches!(error, ConnectError::Version { found: 1, supported: 1 }), "{error:?}");
        let text = String::from_utf8_lossy(&goodbye);
        assert!(text.contains("version-refused") && text.contains('7'), "{text}");
        drop(peer);
        let error = refused.recv_timeout(PATIENCE).expect("it is reported");
        assert!(error.to_string().contains('7'), "{error}");
        assert_serves(&name);
        running.stop();
    });
}

#[test]
fn a_client_tells_both_versions_of_a_server_it_cannot_talk_to() {
    bounded(|| {
        let name = unique_name();
        let listener = listen(&name);
        let server = std::thread::spawn(move || {
            let (socket, _) = listener.accept().expect("a client");
            let mut peer = RawPeer::new(socket);
            peer.send(&greeting(1));
            // Its greeting and its hello are not looked at.
            let goodbye = br#"{"text":"no","protocol":7}"#;
            let head = Head::new(Kind::Goodbye, BodyKind::Structured, 0, "version-refused");
            peer.send_frame(&[&head.to_bytes()[..], head.name.as_bytes(), goodbye].concat());
            peer.until_hung_up();
        });
        let error = Client::connect(&format!("pipe:{name}")).wait().unwrap_err();
        assert!(matches!(error, ConnectError::Version { found: 7, supported: 1 }), "{error:?}");
        server.join().expect("no panic");
    });
}

#[test]
fn a_server_that_never_answers_costs_the_handshake_deadline() {
    bounded(|| {
        let name = unique_name();
        let _silent = listen(&name);
        let error = Client::connect(&name).limits(short()).wait().unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut { timeout_ms: 200 }), "{error:?}");
    });
}

#[test]
fn messages_before_hello_and_bad_hellos_are_refused() {
    bounded(|| {
        let (name, running, refused) = serve();
        let request = Head::new(Kind::Request, BodyKind::Empty, 1, "add");
        let request = [&request.to_bytes()[..], b"add"].concat();
        let hello_head = Head::new(Kind::Hello, BodyKind::Structured, 0, "");
        let no_json = [&hello_head.to_bytes()[..], b"{"].concat();
        let mut long_label = hello();
        long_label.label = Some("x".repeat(256));
        let mut bad_event = hello();
        bad_event.listens = vec!["a b".into()];
        let mut too_small = hello();
        too_small.max_message_len = 10;
        let bad = [
            request,
            no_json,
            vec![0; 3],
            vec![0; 20_000],
            long_label.to_frame(),
            bad_event.to_frame(),
            too_small.to_frame(),
        ];
        for frame in bad {
            let mut peer = RawPeer::greeted(&name);
            peer.send_frame(&frame);
            let answer = peer.frame().expect("a goodbye");
            let answer = Envelope::parse(&answer).expect("a message").head.kind;
            assert_eq!(answer, Kind::Goodbye);
            drop(peer);
            let _ = refused.recv_timeout(PATIENCE).expect("it is reported");
            assert_serves(&name);
        }
        running.stop();
    });
}

/// A client made by hand that has said hello.
fn open(name: &str) -> RawPeer {
    let mut peer = RawPeer::greeted(name);
    peer.send_frame(&hello().to_frame());
    let answer = peer.frame().expect("a hello");
    Hello::read(&answer).expect("a hello");
    peer
}

/// Raw clients that listen and read nothing, on links that are full.
fn stalled(name: &str, running: &Running, count: usize) -> Vec<RawPeer> {
    let mut deaf = hello();
    deaf.label = Some("deaf".into());
    deaf.listens = vec!["ballast".into()];
    let peers = (0..count).map(|_| {
        let mut peer = RawPeer::greeted(name);
        peer.send_frame(&deaf.to_frame());
        Hello::read(&peer.frame().expect("a hello")).expect("a hello");
        peer
    });
    let peers: Vec<_> = peers.collect();
    let ballast = "x".repeat(50_000);
    for client in running.clients().list() {
        if client.label() == Some("deaf") {
            while client.try_emit("ballast", &ballast).is_ok() {}
        }
    }
    peers
}

#[test]
fn a_server_that_stops_tells_all_peers_before_it_waits_for_any() {
    bounded(|| {
        let (name, running, _refused) = serve();
        // A quarter of a second for each, one after the other, would be beyond all patience.
        let deaf = stalled(&name, &running, 200);
        let mut attentive = open(&name);
        running.stop();
        let goodbye = attentive.frame().expect("a goodbye");
        assert_eq!(Envelope::parse(&goodbye).expect("a message").head.kind, Kind::Goodbye);
        drop(deaf);
    });
}

#[test]
fn a_fault_after_hello_ends_that_link_only() {
    bounded(|| {
        let (name, running, _refused) = serve();
        let second_hello = hello().to_frame();
        let head = Head::new(Kind::Request, BodyKind::Empty, 1, "add");
        let mut unknown_kind = head.to_bytes().to_vec();
        unknown_kind[0] = 99;
        let mut reserved = head.to_bytes().to_vec();
        reserved[4] = 1;
        let name_beyond = head.to_bytes().to_vec();
        for frame in [second_hello, unknown_kind, reserved, name_beyond, vec![1; 5], vec![]] {
            let mut peer = open(&name);
            peer.send_frame(&frame);
            peer.until_hung_up();
            assert_serves(&name);
        }
        eventually("nobody is left", || running.clients().list().is_empty());
        running.stop();
    });
}

#[test]
fn a_frame_announced_beyond_the_limit_ends_the_link_without_memory() {
    bounded(|| {
        let (name, running, _refused) = serve();
        let mut peer = open(&name);
        peer.send(&u32::MAX.to_le_bytes());
        peer.until_hung_up();
        assert_serves(&name);
        running.stop();
    });
}

#[test]
fn messages_that_mean_nothing_here_are_ignored() {
    bounded(|| {
        let (name, running, _refused) = serve();
        let mut peer = open(&name);
        for kind in [Kind::Response, Kind::Error, Kind::Cancel, Kind::Channel, Kind::ChannelEnd] {
            let head = Head::new(kind, BodyKind::Empty, 77, "");
            peer.send_frame(&head.to_bytes());
        }
        let event = Head::new(Kind::Event, BodyKind::Empty, 0, "secret");
        peer.send_frame(&[&event.to_bytes()[..], b"secret"].concat());
        let call = Head::new(Kind::Request, BodyKind::Structured, 5, "add");
        peer.send_frame(&[&call.to_bytes()[..], b"add", br#"{"a":1,"b":2}"#].concat());
        let answer = peer.frame().expect("an answer");
        let answer = Envelope::parse(&answer).expect("a message");
        assert_eq!((answer.head.kind, answer.head.id), (Kind::Response, 5));
        assert_eq!(answer.body, b"3");
        running.stop();
    });
}
