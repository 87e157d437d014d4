//! Child processes over a private socket.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use tramline::{AnyCodec, Client, ConnectError, Scheme, Server, Sidecar, json};
use tramline_tests::census::is_alive;
use tramline_tests::child::{pidfd, wait_for_exit};
use tramline_tests::{PATIENCE, Peer, bounded};

use crate::PEER;

fn command(role: &str) -> Command {
    let mut command = Command::new(PEER);
    command.arg(role);
    command
}

fn add(client: &Client) -> i64 {
    client.invoke("add", json!({ "a": 1, "b": 1 })).timeout(PATIENCE).wait().expect("a sum")
}

#[test]
fn a_sidecar_answers_over_each_transport_and_codec() {
    bounded(|| {
        for (scheme, transport) in
            [(Scheme::Auto, "shm"), (Scheme::Shm, "shm"), (Scheme::Pipe, "pipe")]
        {
            for codec in [AnyCodec::MSGPACK, AnyCodec::JSON] {
                let sidecar = Sidecar::spawn(command("sidecar")).scheme(scheme).codec(codec);
                let sidecar = sidecar.label("parent").wait().expect("it starts");
                assert_eq!(sidecar.server().transport(), transport);
                assert_eq!(add(&sidecar), 2);
                let label: String = sidecar.invoke("my_label", ()).wait().expect("a label");
                assert_eq!(label, "parent");
                assert!(sidecar.close().expect("it is ours").success());
            }
        }
    });
}

#[test]
fn from_parent_without_a_parent_is_a_config_error() {
    let error = Server::from_parent().run().wait().unwrap_err();
    assert_eq!(error.code(), "no-parent");
    let error = Server::new().run().wait().unwrap_err();
    assert_eq!(error.code(), "no-parent");
    let orphan = Peer::spawn(PEER, &["orphan"]);
    assert_eq!(orphan.line().as_deref(), Some("no-parent"));
    assert!(orphan.exit().success());
}

#[test]
fn child_may_print_to_stdout() {
    bounded(|| {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = command("sidecar");
        command.stdout(Stdio::from(writer));
        let sidecar = Sidecar::spawn(command).wait().expect("it starts");
        for number in 0..100 {
            let args = json!({ "text": format!("line {number}") });
            sidecar.invoke::<(), _>("print", args).wait().expect("printed");
        }
        assert_eq!(add(&sidecar), 2);
        drop(sidecar);
        let lines: Vec<_> = BufReader::new(reader).lines().map(|line| line.unwrap()).collect();
        assert_eq!(lines.len(), 100);
        assert_eq!(lines[99], "line 99");
    });
}

#[test]
fn sidecar_dies_with_its_parent() {
    let mut middle = Peer::spawn(PEER, &["middle", "sidecar"]);
    let sidecar: u32 = middle.line().expect("it says its child").parse().expect("a number");
    let sidecar = pidfd(sidecar).expect("it lives");
    middle.kill();
    wait_for_exit(&sidecar);
}

#[test]
fn outliving_child_stays_when_told() {
    let mut middle = Peer::spawn(PEER, &["middle", "outliving-sidecar"]);
    let sidecar: u32 = middle.line().expect("it says its child").parse().expect("a number");
    let sidecar = pidfd(sidecar).expect("it lives");
    middle.kill();
    // It prints to the same output, after its parent is gone.
    assert_eq!(middle.line().as_deref(), Some("outlived"));
    wait_for_exit(&sidecar);
}

#[test]
fn dropping_a_sidecar_leaves_no_process() {
    bounded(|| {
        // One that ends by itself, and one that has to be killed.
        for role in ["sidecar", "sleeping-sidecar"] {
            let sidecar = Sidecar::spawn(command(role)).wait().expect("it starts");
            let pid = sidecar.id();
            assert!(is_alive(pid));
            drop(sidecar);
            assert!(!is_alive(pid), "{role}");
        }
    });
}

#[test]
fn a_killed_sidecar_ends_its_calls() {
    bounded(|| {
        let mut sidecar = Sidecar::spawn(command("sidecar")).wait().expect("it starts");
        let client = sidecar.client().clone();
        let held = std::thread::spawn(move || {
            client.invoke::<String, _>("hold", json!({ "gate": "g" })).wait()
        });
        let args = json!({ "gate": "g", "count": 1 });
        sidecar.invoke::<(), _>("wait_entered", args).wait().expect("entered");
        sidecar.kill().expect("it is ours");
        let ended = held.join().expect("no panic").expect_err("dead");
        assert_eq!(ended.code(), "peer-died");
    });
}

#[test]
fn a_program_that_is_no_sidecar_is_a_connect_error_and_is_gone() {
    bounded(|| {
        let error = Sidecar::spawn(Command::new("/nonexistent/program")).wait().unwrap_err();
        assert!(matches!(error, ConnectError::Os { .. }), "{error:?}");
        let error = Sidecar::spawn(Command::new("true")).wait().unwrap_err();
        assert!(
            matches!(error, ConnectError::Link(_) | ConnectError::Handshake { .. }),
            "{error:?}"
        );
    });
}
