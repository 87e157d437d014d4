//! Clients are killed; the server and its other clients go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tramline::{Client, Running, Server, json};
use tramline_tests::fixture::{Transport, limits};
use tramline_tests::random::Random;
use tramline_tests::{PATIENCE, Peer, bounded, commands, eventually};

use crate::PEER;

fn with_server(test: fn(Running, String, Client, Arc<AtomicU64>)) {
    for transport in [Transport::Shm, Transport::Pipe] {
        bounded(move || {
            let endpoint = transport.endpoint();
            let came = Arc::new(AtomicU64::new(0));
            let count = Arc::clone(&came);
            let server = commands::serve(Server::new(), limits()).listen("up", move |_| {
                count.fetch_add(1, Ordering::SeqCst);
            });
            let server = server.start(&endpoint).expect("the name is free");
            let other = Client::connect(&endpoint).wait().expect("it serves");
            test(server, endpoint, other, came);
        });
    }
}

fn assert_serves(client: &Client) {
    let args = json!({ "a": 1, "b": 1 });
    let sum: i64 = client.invoke("add", args).timeout(PATIENCE).wait().expect("a sum");
    assert_eq!(sum, 2);
}

fn wait_for_clients(server: &Running, count: usize) {
    let clients = server.clients();
    eventually("dead clients are gone", || clients.list().len() == count);
}

#[test]
fn killing_an_idle_client_frees_the_server() {
    with_server(|server, endpoint, other, _| {
        let mut idle: Vec<_> = (0..3).map(|_| Peer::ready(PEER, &["idle", &endpoint])).collect();
        assert_eq!(server.clients().list().len(), 4);
        for peer in &mut idle {
            peer.kill();
        }
        wait_for_clients(&server, 1);
        assert_serves(&other);
        server.stop();
    });
}

#[test]
fn killing_a_client_that_waits_for_an_answer_frees_the_server() {
    with_server(|server, endpoint, other, _| {
        let mut parked = Peer::ready(PEER, &["park", &endpoint]);
        let args = json!({ "gate": "park", "count": 1 });
        other.invoke::<(), _>("wait_entered", args).wait().expect("entered");
        parked.kill();
        wait_for_clients(&server, 1);
        // The answer goes nowhere and hurts nobody.
        other.invoke::<(), _>("open", json!({ "gate": "park" })).wait().expect("opened");
        assert_serves(&other);
        server.stop();
    });
}

#[test]
fn killing_a_client_in_the_middle_of_traffic_leaves_the_others_alone() {
    with_server(|server, endpoint, other, came| {
        let mut random = Random::new(3);
        for _ in 0..15 {
            let mut traffic = Peer::ready(PEER, &["traffic", &endpoint]);
            let moment = came.load(Ordering::SeqCst) + random.below(300);
            eventually("traffic", || came.load(Ordering::SeqCst) >= moment);
            traffic.kill();
            wait_for_clients(&server, 1);
            assert_serves(&other);
        }
        server.stop();
    });
}

#[test]
fn killing_a_client_ends_its_channels_at_the_server() {
    with_server(|server, endpoint, other, _| {
        for round in 1..=5 {
            let mut channels = Peer::ready(PEER, &["channels", &endpoint]);
            channels.kill();
            for gate in ["send_until_closed peer-died", "read_until_over peer-died"] {
                let args = json!({ "gate": gate, "count": round });
                let seen = other.invoke::<(), _>("wait_entered", args).timeout(PATIENCE);
                seen.wait().expect("the command has ended");
            }
        }
        wait_for_clients(&server, 1);
        assert_serves(&other);
        server.stop();
    });
}

#[test]
fn a_stopped_client_process_does_not_hold_up_the_others() {
    use rustix::process::{Pid, Signal, kill_process};

    with_server(|server, endpoint, other, came| {
        let mut traffic = Peer::ready(PEER, &["traffic", &endpoint]);
        eventually("traffic", || came.load(Ordering::SeqCst) >= 50);
        let pid = i32::try_from(traffic.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, Signal::STOP).expect("it is our child");
        for _ in 0..200 {
            assert_serves(&other);
        }
        kill_process(pid, Signal::CONT).expect("it is our child");
        traffic.kill();
        wait_for_clients(&server, 1);
        server.stop();
    });
}

#[test]
fn events_from_before_the_end_are_delivered_although_no_more_calls_may_start() {
    for transport in [Transport::Shm, Transport::Pipe, Transport::Mem] {
        bounded(move || {
            let endpoint = transport.endpoint();
            let mut few = limits();
            few.max_calls_in_flight = 1;
            let came = Arc::new(AtomicU64::new(0));
            let count = Arc::clone(&came);
            let server = commands::serve(Server::new(), few).listen("up", move |_| {
                count.fetch_add(1, Ordering::SeqCst);
            });
            let server = server.start(&endpoint).expect("the name is free");
            let other = Client::connect(&endpoint).wait().expect("it serves");
            let client = Client::connect(&endpoint).label("dies").wait().expect("it serves");
            client.listen("down", |_| {}).wait().expect("allowed");
            let caller = client.clone();
            let call = std::thread::spawn(move || {
                caller.invoke::<String, _>("hold", json!({ "gate": "g" })).wait()
            });
            let args = json!({ "gate": "g", "count": 1 });
            other.invoke::<(), _>("wait_entered", args).wait().expect("entered");
            for number in 0..5 {
                client.emit("up", &number).expect("room");
            }
            client.close();
            call.join().expect("no panic").expect_err("closed");
            // The server does not read from a client with a call too many: a sender notices the end.
            let peers = server.clients().list();
            let peer = peers.iter().find(|peer| peer.label() == Some("dies")).expect("connected");
            while peer.emit("down", &1).is_ok() {}
            wait_for_clients(&server, 1);
            let now = came.load(Ordering::SeqCst);
            other.invoke::<(), _>("open", json!({ "gate": "g" })).wait().expect("opened");
            server.stop();
            assert_eq!(now, 5, "{transport:?}");
        });
    }
}
