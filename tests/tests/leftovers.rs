//! What a dead peer leaves behind: nothing. One test, so that nothing else runs in this process.

use std::thread;

use tramline::{Client, Running, Server, Sidecar, json};
use tramline_tests::census::{Census, is_alive};
use tramline_tests::fixture::{Transport, limits, serve_there};
use tramline_tests::{PATIENCE, Peer, bounded, commands, eventually};

const PEER: &str = env!("CARGO_BIN_EXE_tramline-test-peer");

/// A server that is killed while one client waits, listens and has called.
fn kill_a_server(transport: Transport) {
    let endpoint = transport.endpoint();
    let mut server = serve_there(PEER, &endpoint, &limits());
    let client = Client::connect(&endpoint).limits(limits()).wait().expect("it serves");
    client.listen("down", |_| {}).wait().expect("allowed");
    thread::scope(|scope| {
        let held =
            scope.spawn(|| client.invoke::<String, _>("hold", json!({ "gate": "g" })).wait());
        let args = json!({ "gate": "g", "count": 1 });
        client.invoke::<(), _>("wait_entered", args).timeout(PATIENCE).wait().expect("entered");
        server.kill();
        assert_eq!(held.join().expect("no panic").expect_err("dead").code(), "peer-died");
    });
    assert!(!is_alive(server.id()));
}

fn kill_a_client(transport: Transport) {
    let endpoint = transport.endpoint();
    let server: Running =
        commands::serve(Server::new(), limits()).start(&endpoint).expect("the name is free");
    let mut client = Peer::ready(PEER, &["traffic", &endpoint]);
    client.kill();
    let clients = server.clients();
    eventually("the client is gone", || clients.list().is_empty());
    server.stop();
}

fn drop_a_sidecar() {
    let mut command = std::process::Command::new(PEER);
    command.arg("sidecar");
    let sidecar = Sidecar::spawn(command).wait().expect("it starts");
    let sum: i64 = sidecar.invoke("add", json!({ "a": 1, "b": 1 })).wait().expect("a sum");
    assert_eq!(sum, 2);
}

fn everything() {
    for transport in [Transport::Shm, Transport::Pipe] {
        // On a thread of its own: what belongs to a thread ends with it.
        bounded(move || kill_a_server(transport));
        bounded(move || kill_a_client(transport));
    }
    bounded(drop_a_sidecar);
}

#[test]
fn killing_either_side_leaves_nothing_behind() {
    // The first round starts what a process has once: the thread that notices deaths, the pool.
    everything();
    let mut before = Census::take();
    eventually("the first round has settled", || {
        let last = std::mem::replace(&mut before, Census::take());
        !before.threads.iter().any(|name| name.contains("client") || name.contains("server"))
            && last == before
    });
    for _ in 0..3 {
        everything();
    }
    let mut after = Census::take();
    eventually_or(|| {
        after = Census::take();
        // Worker threads of the pool come and go; they hold no descriptors but their own wakers.
        after.threads == before.threads
            && after.files == before.files
            && after.descriptors.len() <= before.descriptors.len()
    });
    assert_eq!(after.threads, before.threads);
    assert_eq!(after.files, before.files);
    assert!(
        after.descriptors.len() <= before.descriptors.len(),
        "before: {before:#?}\nafter: {after:#?}"
    );
}

/// Waits as [`eventually`] does, but leaves it to the caller to say what is wrong.
fn eventually_or(mut holds: impl FnMut() -> bool) {
    for _ in 0..5000 {
        if holds() {
            return;
        }
        thread::park_timeout(std::time::Duration::from_millis(1));
    }
}
