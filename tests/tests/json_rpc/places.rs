//! Where clients come from.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;
use tramline::{ConnectError, Error, JsonRpc, Server};
use tramline_tests::child::{pidfd, wait_for_exit};
use tramline_tests::fixture::{limits, unique_name};
use tramline_tests::json_rpc::Client;
use tramline_tests::{bounded, commands};

/// A path for a socket, gone with this.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("tramline-{}.sock", unique_name())))
    }

    fn client(&self) -> Client {
        Client::new(UnixStream::connect(&self.0).expect("somebody listens"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn server() -> Server {
    commands::serve(Server::new(), limits())
}

#[test]
fn a_socket_is_made_at_its_path_and_goes_with_the_server() {
    bounded(|| {
        let place = Place::new();
        let running = server().start_json_rpc(JsonRpc::socket(&place.0)).expect("free");
        place.client().assert_lives();
        let taken = server().start_json_rpc(JsonRpc::socket(&place.0)).expect_err("taken");
        assert!(matches!(taken, Error::Connect(ConnectError::InUse { .. })), "{taken}");
        place.client().assert_lives();
        drop(running);
        assert!(!place.0.exists());
    });
}

#[test]
fn a_socket_that_a_dead_process_left_is_replaced() {
    bounded(|| {
        let place = Place::new();
        drop(std::os::unix::net::UnixListener::bind(&place.0).expect("free"));
        assert!(place.0.exists());
        let _running = server().start_json_rpc(JsonRpc::socket(&place.0)).expect("abandoned");
        place.client().assert_lives();
    });
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    bounded(|| {
        let place = Place::new();
        std::fs::write(&place.0, "mine").expect("a folder for temporary files");
        let taken = server().start_json_rpc(JsonRpc::socket(&place.0)).expect_err("taken");
        assert!(matches!(taken, Error::Connect(ConnectError::InUse { .. })), "{taken}");
        assert_eq!(std::fs::read_to_string(&place.0).expect("still there"), "mine");
    });
}

#[test]
fn a_server_on_standard_input_stops_although_that_stays_open() {
    bounded(|| {
        use std::io::{BufRead, BufReader, Write};

        let mut child = Command::new(env!("CARGO_BIN_EXE_tramline-test-peer"))
            .arg("json-rpc")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let ended = pidfd(child.id()).expect("not reaped yet");
        let mut input = child.stdin.take().expect("piped");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "add", "params": [1, 2] });
        writeln!(input, "{call}").expect("it reads");
        let answer = lines.next().expect("an answer").expect("text");
        assert_eq!(answer, r#"{"jsonrpc":"2.0","result":3,"id":1}"#);
        writeln!(input, r#"{{"jsonrpc":"2.0","method":"stop"}}"#).expect("it reads");
        wait_for_exit(&ended);
        assert!(child.wait().expect("it is ours").success());
        drop(input);
    });
}
