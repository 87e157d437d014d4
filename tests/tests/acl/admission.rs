//! The connect policy: who may come in, and as what.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use tramline::{Admission, Capabilities, Client, ConnectError, Server, Sidecar, command, commands};
use tramline_core::AnyCodec;
use tramline_core::envelope::{BodyKind, Head, Kind};
use tramline_core::session::Hello;
use tramline_tests::acl::{Settings, There};
use tramline_tests::fixture::limits;
use tramline_tests::raw::RawPeer;
use tramline_tests::{Peer, Transport, bounded};

use crate::PEER;
use crate::calls::{call, denied, greets};

fn policy(rules: &[(&str, &str)]) -> Settings {
    let rules = rules.iter().map(|(label, verdict)| ((*label).into(), (*verdict).into()));
    let file = json!({
        "identifier": "main", "windows": ["main"], "permissions": ["allow-greet"]
    });
    Settings { admit: rules.collect(), ..Settings::file(file) }
}

fn refused(there: &There, label: &str) -> String {
    match there.connect(label).wait() {
        Err(ConnectError::Refused { code, text }) => {
            assert_eq!(&*code, "peer-refused");
            text.into()
        }
        other => panic!("{label}: {other:?}"),
    }
}

#[test]
fn a_refused_peer_is_told_so_and_others_are_served() {
    for transport in [Transport::Shm, Transport::ShmShared, Transport::Pipe] {
        let rules = [("main", "local"), ("bad", "refuse we do not like you"), ("odd", "panic")];
        let there = policy(&rules).serve(PEER, transport);
        bounded(move || {
            assert_eq!(refused(&there, "bad"), "we do not like you");
            let line = there.process.line().expect("told here, too");
            assert!(line.contains("we do not like you (peer-refused)"), "{line}");
            assert_eq!(refused(&there, "stranger"), "no such label here");
            // A policy that fails admits nobody.
            assert_eq!(refused(&there, "odd"), "the connect policy failed");
            assert!(greets(&there.client("main")));
        });
    }
}

#[test]
fn unauthenticated_peer_is_closed() {
    bounded(|| {
        let there = policy(&[("main", "local")]).serve(PEER, Transport::Pipe);
        let name = there.endpoint.strip_prefix("pipe:").expect("a pipe");
        let mut raw = RawPeer::greeted(name);
        let hello = Hello::new(AnyCodec::JSON, &limits(), Some("stranger".into()), vec![]);
        raw.send_frame(&hello.to_frame());
        // A call right behind the hello, in the hope that somebody looks at it.
        let head = Head::new(Kind::Request, BodyKind::Structured, 1, "wipe");
        raw.send_frame(&[&head.to_bytes()[..], b"wipe", br#"{"value":1}"#].concat());
        match Hello::read(&raw.frame().expect("a goodbye")) {
            Err(ConnectError::Refused { code, .. }) => assert_eq!(&*code, "peer-refused"),
            other => panic!("{other:?}"),
        }
        raw.until_hung_up();
        let counts = there.counts();
        assert_eq!((counts.ran, counts.decoded), (0, 0));
    });
}

#[test]
fn a_policy_gives_labels_and_takes_them() {
    bounded(|| {
        let rules = [("worker", "label main"), ("main", "no label"), ("other", "local")];
        let there = policy(&rules).serve(PEER, Transport::Shm);
        assert!(greets(&there.client("worker")), "it is `main` here");
        assert!(!greets(&there.client("main")), "it is nobody here");
        assert!(!greets(&there.client("other")));
    });
}

#[test]
fn peer_cannot_choose_its_class() {
    bounded(|| {
        let there = policy(&[("main", "remote https://example.com")]).serve(PEER, Transport::Pipe);
        assert!(!greets(&there.client("main")), "the label alone does not do");
        // Whatever else a hello says is not looked at.
        let name = there.endpoint.strip_prefix("pipe:").expect("a pipe");
        for claim in [
            json!({ "class": "local" }),
            json!({ "class": { "Local": null } }),
            json!({ "local": true, "remote": null, "origin": "tauri://localhost" }),
        ] {
            let mut hello = json!({
                "protocol": 1, "codec": "json", "max_message_len": 1 << 20, "label": "main"
            });
            let fields = hello.as_object_mut().expect("an object");
            fields.extend(claim.as_object().expect("an object").clone());
            let mut raw = RawPeer::greeted(name);
            let mut frame = vec![1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            frame.extend(hello.to_string().into_bytes());
            raw.send_frame(&frame);
            Hello::read(&raw.frame().expect("an answer")).expect("a hello");
            let head = Head::new(Kind::Request, BodyKind::Structured, 1, "greet");
            raw.send_frame(&[&head.to_bytes()[..], b"greet", br#"{"name":"you"}"#].concat());
            let answer = raw.frame().expect("an answer");
            let text = String::from_utf8_lossy(&answer).into_owned();
            assert!(text.contains("Command greet not allowed by ACL"), "{text}");
        }
    });
}

#[test]
fn a_policy_sees_user_group_and_process() {
    for transport in [Transport::Shm, Transport::ShmShared, Transport::Pipe] {
        let there = policy(&[("main", "same ids")]).serve(PEER, transport);
        bounded(move || assert!(greets(&there.client("main"))));
    }
}

/// This test's program, as another process sees it.
fn own_program() -> String {
    let path = std::fs::read_link("/proc/self/exe").expect("procfs");
    path.display().to_string()
}

#[test]
fn a_policy_may_ask_for_the_program() {
    for transport in [Transport::Shm, Transport::ShmShared, Transport::Pipe] {
        let right = format!("executable {}", own_program());
        let there =
            policy(&[("main", &right), ("other", "executable /bin/true")]).serve(PEER, transport);
        bounded(move || {
            assert!(greets(&there.client("main")));
            assert_eq!(refused(&there, "other"), format!("it runs {}", own_program()));
        });
    }
}

#[command(inline)]
fn ping() -> u32 {
    7
}

fn ping_server() -> Server {
    Server::new().commands(commands![ping]).allow(Capabilities::all()).limits(limits())
}

#[test]
fn another_process_is_known_by_its_own_program() {
    bounded(|| {
        let endpoint = Transport::Pipe.endpoint();
        let (told, asked) = std::sync::mpsc::channel();
        let server = ping_server().admit(move |visitor| {
            let _ = told.send((visitor.identity().pid, visitor.executable().ok()));
            Admission::local()
        });
        let server = server.start(&endpoint).expect("the name is free");
        let peer = Peer::ready(PEER, &["idle", &endpoint]);
        let (pid, program) = asked.recv().expect("it was judged");
        assert_eq!(pid, Some(peer.id()));
        let expected = Path::new(PEER).canonicalize().expect("it runs");
        assert_eq!(program, Some(expected));
        server.stop();
    });
}

#[test]
fn the_program_of_a_process_that_has_ended_is_not_known() {
    bounded(|| {
        let endpoint = Transport::Pipe.endpoint();
        let (told, asked) = std::sync::mpsc::channel();
        let (killed, was_killed) = std::sync::mpsc::channel::<()>();
        let was_killed = std::sync::Mutex::new(was_killed);
        let server = ping_server().admit(move |visitor| {
            let _ = told.send(visitor.executable().map_err(|e| e.kind()));
            was_killed.lock().expect("one visitor").recv().expect("told");
            let _ = told.send(visitor.executable().map_err(|e| e.kind()));
            Admission::local()
        });
        let server = server.start(&endpoint).expect("the name is free");
        let mut peer = Peer::spawn(PEER, &["idle", &endpoint]);
        asked.recv().expect("judged").expect("it runs");
        peer.kill();
        killed.send(()).expect("the policy waits");
        let after = asked.recv().expect("judged");
        assert_eq!(after, Err(std::io::ErrorKind::NotFound));
        server.stop();
    });
}

#[test]
fn within_one_process_there_is_no_program_to_ask_for() {
    bounded(|| {
        let endpoint = Transport::Mem.endpoint();
        let server = ping_server().admit(|visitor| {
            assert_eq!(visitor.transport(), "mem");
            assert_eq!(visitor.identity().pid, Some(std::process::id()));
            match visitor.executable().map_err(|e| e.kind()) {
                Err(std::io::ErrorKind::Unsupported) => Admission::local().label("here"),
                other => Admission::refuse(&format!("{other:?}")),
            }
        });
        let server = server.start(&endpoint).expect("the name is free");
        let client = Client::connect(&endpoint).label("there").wait().expect("admitted");
        assert_eq!(client.invoke::<u32, _>("ping", ()).wait().expect("allowed"), 7);
        assert_eq!(server.clients().list()[0].label(), Some("here"));
        server.stop();
    });
}

#[test]
fn the_same_policy_judges_on_every_endpoint_of_a_refusing_server() {
    bounded(|| {
        for transport in [Transport::Shm, Transport::Pipe, Transport::Mem] {
            let endpoint = transport.endpoint();
            let server = ping_server().admit(|_| Admission::refuse("closed for today"));
            let server = server.start(&endpoint).expect("the name is free");
            let error = Client::connect(&endpoint).wait().expect_err("refused");
            assert!(error.to_string().contains("closed for today"), "{error}");
            assert!(server.clients().list().is_empty());
            server.stop();
        }
    });
}

#[test]
fn a_sidecar_judges_and_gates_its_parent() {
    bounded(|| {
        let quiet = |rules| Settings { quiet: true, messages: Some(3), ..policy(rules) };
        let spawn = |settings: &Settings| {
            let mut command = Command::new(PEER);
            command.args(["sidecar-acl", &settings.to_text()]);
            Sidecar::spawn(command).wait()
        };
        let sidecar = spawn(&quiet(&[("", "label main")])).expect("admitted");
        assert!(greets(&sidecar));
        denied(&sidecar, "wipe", json!({ "value": 1 }));
        assert!(greets(&sidecar));
        let over = call(&sidecar, "greet", json!({ "name": "you" })).expect_err("too many");
        assert_eq!(over.code(), "over-quota");
        assert!(sidecar.close().expect("it is ours").success());
        let refused = spawn(&quiet(&[("", "refuse not you")])).expect_err("not admitted");
        assert!(refused.to_string().contains("not you"), "{refused}");
    });
}

#[test]
fn without_a_policy_the_same_user_is_local_under_the_label_it_asks_for() {
    bounded(|| {
        let settings = Settings { commands: vec!["greet".into()], ..Settings::default() };
        let there = settings.serve(PEER, Transport::Shm);
        let client = there.client("any");
        assert!(greets(&client));
        denied(&client, "wipe", json!({}));
    });
}
