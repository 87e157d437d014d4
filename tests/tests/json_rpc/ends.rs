//! How connections end.

use std::os::unix::net::UnixStream;

use serde_json::json;
use tramline::compat_json::jsonrpc::Framing;
use tramline::{JsonRpc, LinkError, Server};
use tramline_tests::fixture::limits;
use tramline_tests::json_rpc::{Client, Served};
use tramline_tests::{PATIENCE, bounded, commands, eventually};

#[test]
fn calls_that_run_when_the_input_ends_are_answered_first() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for (id, method) in [(1, "hold"), (2, "hold_async")] {
            client.line(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":["ends"]}}"#
            ));
        }
        // The last line needs no end.
        client.send(r#"{"jsonrpc":"2.0","id":3,"method":"add","params":[1,2]}"#);
        client.end_input();
        assert_eq!(client.read()["id"], 3);
        server.wait_entered("ends", 2);
        server.open_gate("ends");
        let mut ids = [client.read()["id"].as_u64(), client.read()["id"].as_u64()];
        ids.sort_unstable();
        assert_eq!(ids, [Some(1), Some(2)]);
        assert!(client.message().is_none());
        // The gate's two helpers end alike.
        for _ in 0..3 {
            assert!(matches!(server.ended(), LinkError::Closed));
        }
    });
}

#[test]
fn a_body_that_is_cut_short_is_answered() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        client.send("Content-Length: 100\r\n\r\n{\"jsonrpc\":");
        client.end_input();
        let (framing, text) = client.message().expect("an answer");
        assert_eq!(framing, Framing::Headers);
        assert!(text.contains("-32700"), "{text}");
        assert!(client.message().is_none());
    });
}

#[test]
fn a_client_that_vanishes_ends_its_connection_and_no_other() {
    bounded(|| {
        let server = Served::usual();
        let mut stays = server.client();
        stays.assert_lives();
        let mut client = server.client();
        client.line(r#"{"jsonrpc":"2.0","id":1,"method":"hold","params":["gone"]}"#);
        server.wait_entered("gone", 1);
        drop(client);
        // The command still runs, and nobody waits for it.
        eventually("only one client is left", || server.running.clients().list().len() == 1);
        let mut ended = [server.ended().code(), server.ended().code()];
        ended.sort_unstable();
        // The other one asked whether the command had begun.
        assert_eq!(ended, ["link-closed", "peer-died"]);
        server.open_gate("gone");
        stays.assert_lives();
    });
}

#[test]
fn stopping_the_server_ends_every_client() {
    bounded(|| {
        let server = Served::usual();
        let mut idle = server.client();
        idle.assert_lives();
        let mut busy = server.client();
        busy.line(r#"{"jsonrpc":"2.0","id":1,"method":"hold","params":["stop"]}"#);
        server.wait_entered("stop", 1);
        let mut silent = server.client();
        server.running.stop();
        assert!(idle.message().is_none() && busy.message().is_none() && silent.message().is_none());
    });
}

#[test]
fn what_is_on_its_way_when_the_server_stops_still_arrives() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        client.assert_lives();
        let peer = server.running.clients().list().remove(0);
        // Few enough for the socket: the client reads only when the server has stopped.
        for number in 0..50 {
            peer.emit("down", &number).expect("there is room");
        }
        server.running.stop();
        for number in 0..50 {
            assert_eq!(client.read()["params"], json!([number]));
        }
        assert!(client.message().is_none());
    });
}

#[test]
fn a_command_can_disconnect_its_client() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        client.assert_lives();
        server.running.clients().list().remove(0).disconnect();
        assert!(client.message().is_none());
        assert!(matches!(server.ended(), LinkError::Closed));
    });
}

#[test]
fn one_server_serves_both_kinds_of_clients() {
    bounded(|| {
        let endpoint = tramline_tests::Transport::Mem.endpoint();
        let server = commands::serve(Server::new(), limits()).start(&endpoint);
        let server = server.expect("the name is free");
        let (ours, theirs) = UnixStream::pair().expect("descriptors");
        let writer = theirs.try_clone().expect("descriptors");
        server.add_json_rpc(JsonRpc::streams(theirs, writer)).expect("it runs");
        let mut json_rpc = Client::new(ours);
        json_rpc.assert_lives();

        let client = tramline::Client::connect(&endpoint).wait().expect("it serves");
        let (tell, told) = std::sync::mpsc::channel();
        let listener = move |event: tramline::Event<'_>| {
            let _ = tell.send(event.payload::<String>());
        };
        client.listen("down", listener).wait().expect("allowed");
        let told_all = json_rpc.call("emit_all", &json!({ "event": "down", "text": "both" }));
        assert_eq!(told_all["params"], json!(["both"]));
        assert_eq!(told.recv_timeout(PATIENCE).expect("an event").as_deref(), Ok("both"));
        let count: usize = client.invoke("clients", ()).wait().expect("allowed");
        assert_eq!(count, 2);
        assert_eq!(json_rpc.read()["id"], "call");

        // A read that nobody can end does not keep the server.
        server.stop();
        drop(server);
        drop(json_rpc);
    });
}
