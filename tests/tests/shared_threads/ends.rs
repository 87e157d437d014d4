//! How connections end that share a thread.

use tramline_tests::{Peer, bounded, eventually};

use crate::{PEER, Shared, add};

#[test]
fn killed_peers_are_noticed_and_the_others_are_served() {
    bounded(|| {
        let shared = Shared::start();
        let other = shared.connect("other");
        let roles = ["idle", "traffic", "park", "idle", "traffic"];
        let mut peers: Vec<_> =
            roles.iter().map(|role| Peer::ready(PEER, &[role, &shared.endpoint])).collect();
        eventually("all are there", || shared.server.clients().list().len() == 6);
        for peer in &mut peers {
            peer.shoot();
            let (label, why) = shared.ended();
            assert_eq!((label, why.code()), (None, "peer-died"));
            add(&other, 1, 2);
        }
        assert_eq!(shared.server.clients().list().len(), 1);
        // The call that a killed peer has left behind goes on; let it end.
        let gate = tramline::json!({ "gate": "park" });
        other.invoke::<(), _>("open", gate).wait().expect("opened");
        shared.server.stop();
    });
}

#[test]
fn a_server_that_stops_says_goodbye_to_all() {
    bounded(|| {
        let shared = Shared::start();
        let clients: Vec<_> = (0..10).map(|n| shared.connect(&n.to_string())).collect();
        clients.iter().for_each(|client| add(client, 1, 2));
        shared.server.stop();
        for client in clients {
            let call = client.invoke::<i64, _>("add", tramline::json!({ "a": 1, "b": 1 }));
            assert!(call.wait().is_err());
            assert_eq!(client.ended().map(|why| why.code()), Some("link-closed"));
        }
    });
}

#[test]
fn disconnecting_from_the_server_side_ends_one_of_many() {
    bounded(|| {
        let shared = Shared::start();
        let (first, second) = (shared.connect("first"), shared.connect("second"));
        add(&first, 1, 2);
        let peers = shared.server.clients().list();
        let peer = peers.iter().find(|peer| peer.label() == Some("first")).expect("it is there");
        peer.disconnect();
        let (label, why) = shared.ended();
        assert_eq!((label.as_deref(), why.code()), (Some("first"), "link-closed"));
        add(&second, 1, 2);
        shared.server.stop();
    });
}

#[test]
fn other_transports_keep_a_thread_for_each_connection() {
    bounded(|| {
        for scheme in ["pipe", "mem"] {
            let endpoint = format!("{scheme}:{}", tramline_tests::fixture::unique_name());
            let limits = tramline_tests::fixture::limits();
            let server = tramline_tests::commands::serve(tramline::Server::new(), limits);
            let server = server.shared_threads(1).start(&endpoint).expect("the name is free");
            let clients: Vec<_> = (0..3)
                .map(|_| tramline::Client::connect(&endpoint).wait().expect("it serves"))
                .collect();
            clients.iter().for_each(|client| add(client, 1, 2));
            server.stop();
        }
    });
}
