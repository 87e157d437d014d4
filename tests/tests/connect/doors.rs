//! Names, transports, codecs and limits.

use std::sync::mpsc::channel;

use tramline::{
    AnyCodec, Capabilities, Client, ConfigError, ConnectError, Error, Running, Server, command,
    commands, json,
};
use tramline_tests::codec::Strange;
use tramline_tests::fixture::{limits, serve_there, unique_name};
use tramline_tests::{PATIENCE, Peer, bounded};

use crate::PEER;

fn serve(endpoint: &str) -> Running {
    tramline_tests::commands::serve(Server::new(), limits())
        .start(endpoint)
        .expect("the name is free")
}

/// A child that another test starts at this moment has a copy of every descriptor until it runs its
/// own program, and so may keep a name for as long.
fn serve_when_free(endpoint: &str) -> Running {
    let mut running = None;
    tramline_tests::eventually("the name is free", || {
        running = tramline_tests::commands::serve(Server::new(), limits()).start(endpoint).ok();
        running.is_some()
    });
    running.expect("it was started")
}

fn add(client: &Client) -> i64 {
    client.invoke("add", json!({ "a": 1, "b": 1 })).timeout(PATIENCE).wait().expect("a sum")
}

#[test]
fn nobody_there_is_not_found() {
    for scheme in ["auto", "shm", "pipe", "mem"] {
        let endpoint = format!("{scheme}:{}", unique_name());
        let error = Client::connect(&endpoint).wait().unwrap_err();
        assert!(matches!(error, ConnectError::NotFound { .. }), "{error:?}");
    }
}

#[test]
fn second_server_on_a_name_is_refused() {
    let name = unique_name();
    let _there = serve_there(PEER, &format!("auto:{name}"), &limits());
    for scheme in ["auto", "shm", "pipe"] {
        let error = Server::new().start(&format!("{scheme}:{name}")).unwrap_err();
        assert!(matches!(error, Error::Connect(ConnectError::InUse { .. })), "{error:?}");
    }
    let mem = format!("mem:{name}");
    let _here = serve(&mem);
    let error = Server::new().start(&mem).unwrap_err();
    assert!(matches!(error, Error::Connect(ConnectError::InUse { .. })), "{error:?}");
}

#[test]
fn a_dropped_servers_name_is_free_again() {
    for scheme in ["auto", "mem"] {
        let endpoint = format!("{scheme}:{}", unique_name());
        for _ in 0..5 {
            let server = serve_when_free(&endpoint);
            let client = Client::connect(&endpoint).wait().expect("it serves");
            assert_eq!(add(&client), 2);
            server.stop();
            drop(server);
        }
    }
}

#[test]
fn a_stopped_servers_name_is_free_again() {
    for scheme in ["auto", "mem"] {
        let endpoint = format!("{scheme}:{}", unique_name());
        let first = serve(&endpoint);
        first.stop();
        let gone = Client::connect(&endpoint).wait().unwrap_err();
        assert!(matches!(gone, ConnectError::NotFound { .. }), "{scheme}: {gone:?}");
        serve_when_free(&endpoint);
        drop(first);
    }
}

#[test]
fn a_killed_servers_name_is_free_again() {
    let endpoint = format!("auto:{}", unique_name());
    serve_there(PEER, &endpoint, &limits()).kill();
    let server = serve(&endpoint);
    assert_eq!(add(&Client::connect(&endpoint).wait().expect("it serves")), 2);
    server.stop();
}

#[test]
fn endpoints_that_can_never_work_are_config_errors() {
    for bad in ["", "tcp:x", "pipe:", "pipe:a/b", "pipe:ä", &"x".repeat(65)] {
        let error = Client::connect(bad).wait().unwrap_err();
        assert!(matches!(error, ConnectError::Config(ConfigError::Endpoint { .. })), "{error:?}");
        let error = Server::new().start(bad).unwrap_err();
        assert_eq!(error.code(), "bad-endpoint");
    }
    let mut bad = limits();
    bad.ring_capacity = 100_000;
    let error = Client::connect("pipe:x").limits(bad).wait().unwrap_err();
    assert_eq!(error.code(), "limit-out-of-range");
    assert_eq!(Server::new().limits(bad).start("pipe:x").unwrap_err().code(), "limit-out-of-range");
}

#[test]
fn mistakes_in_a_server_are_found_when_it_starts() {
    #[command]
    fn one() {}
    let twice = Server::new().commands(commands![one]).command::<one>();
    assert_eq!(twice.start("mem:mistake").unwrap_err().code(), "duplicate-command");
    let bad = Server::new().listen("a b", |_| {});
    assert_eq!(bad.start("mem:mistake").unwrap_err().code(), "bad-event-name");
    let bad = Server::new().codec::<Strange>().codec::<Strange>();
    assert_eq!(bad.start("mem:mistake").unwrap_err().code(), "duplicate-codec");
}

#[test]
fn unknown_codec_is_refused_with_the_offered_names() {
    for scheme in ["shm", "pipe", "mem"] {
        let endpoint = format!("{scheme}:{}", unique_name());
        let server = serve(&endpoint);
        let strange = Client::connect(&endpoint).codec(AnyCodec::custom::<Strange>());
        let Err(ConnectError::Refused { code, text }) = strange.wait() else {
            panic!("not refused");
        };
        assert_eq!(&*code, "codec-refused");
        for name in ["msgpack", "json", "marked-json"] {
            assert!(text.contains(name), "{text}");
        }
        assert_eq!(add(&Client::connect(&endpoint).wait().expect("others still work")), 2);
        server.stop();
    }
}

#[test]
fn auto_picks_shared_memory_and_falls_back_to_the_pipe() {
    let name = unique_name();
    let _there = serve_there(PEER, &format!("auto:{name}"), &limits());
    for (scheme, expected) in [("auto", "shm"), ("shm", "shm"), ("pipe", "pipe")] {
        let client = Client::connect(&format!("{scheme}:{name}")).wait().expect("it serves");
        assert_eq!(client.server().transport(), expected, "{scheme}");
        assert_eq!(add(&client), 2);
    }
}

#[test]
fn transports_that_do_not_meet_are_refused() {
    for (server, client) in [("pipe", "shm"), ("shm", "pipe")] {
        let name = unique_name();
        let there = serve_there(PEER, &format!("{server}:{name}"), &limits());
        let error = Client::connect(&format!("{client}:{name}")).wait().unwrap_err();
        assert!(matches!(error, ConnectError::Transport { .. }), "{error:?}");
        let auto = Client::connect(&name).wait().expect("auto takes what is there");
        assert_eq!(auto.server().transport(), server);
        assert_eq!(add(&auto), 2);
        drop(there);
    }
}

#[test]
fn a_server_serves_many_clients_at_once() {
    let endpoint = format!("auto:{}", unique_name());
    let _there = serve_there(PEER, &endpoint, &limits());
    bounded(move || {
        let clients: Vec<_> = (0..40)
            .map(|index| {
                let scheme = if index % 2 == 0 { "pipe" } else { "shm" };
                let endpoint = endpoint.replace("auto", scheme);
                Client::connect(&endpoint).label(&index.to_string()).wait().expect("room")
            })
            .collect();
        std::thread::scope(|scope| {
            for client in &clients {
                scope.spawn(|| {
                    for _ in 0..50 {
                        assert_eq!(add(client), 2);
                    }
                });
            }
        });
        let count: usize = clients[0].invoke("clients", ()).wait().expect("a number");
        assert_eq!(count, 40);
    });
}

#[test]
fn too_many_connections_are_refused() {
    for scheme in ["pipe", "mem"] {
        let endpoint = format!("{scheme}:{}", unique_name());
        let mut few = limits();
        few.max_connections = 3;
        let (told, refused) = channel();
        let server = tramline_tests::commands::serve(Server::new(), few).on_refused(move |error| {
            let _ = told.send(error.code());
        });
        let server = server.start(&endpoint).expect("the name is free");
        let mut clients: Vec<_> =
            (0..3).map(|_| Client::connect(&endpoint).wait().expect("room")).collect();
        let error = Client::connect(&endpoint).wait().unwrap_err();
        assert_eq!(refused.recv_timeout(PATIENCE), Ok("connection-refused"));
        let ConnectError::Refused { code, .. } = &error else {
            panic!("{scheme}: the client should be told why: {error:?}");
        };
        assert_eq!(&**code, "too-many-peers");
        clients.pop();
        tramline_tests::eventually("there is room again", || {
            Client::connect(&endpoint).wait().is_ok_and(|client| add(&client) == 2)
        });
        server.stop();
    }
}

#[test]
fn too_many_connections_of_one_process_are_refused_and_other_processes_are_served() {
    for scheme in ["auto", "pipe"] {
        let endpoint = format!("{scheme}:{}", unique_name());
        let mut few = limits();
        few.max_connections_per_process = 2;
        let server = tramline_tests::commands::serve(Server::new(), few);
        let server = server.start(&endpoint).expect("the name is free");
        let mut ours: Vec<_> =
            (0..2).map(|_| Client::connect(&endpoint).wait().expect("room")).collect();
        let others: Vec<_> = (0..3).map(|_| Peer::ready(PEER, &["idle", &endpoint])).collect();
        let error = Client::connect(&endpoint).wait().unwrap_err();
        let ConnectError::Refused { code, text } = &error else {
            panic!("{scheme}: the client should be told why: {error:?}");
        };
        assert_eq!(&**code, "too-many-peers");
        assert!(text.contains("2 connections of one process"), "{text}");
        assert_eq!(server.clients().list().len(), 5);
        ours.pop();
        tramline_tests::eventually("there is room again", || {
            Client::connect(&endpoint).wait().is_ok_and(|client| add(&client) == 2)
        });
        drop(others);
        server.stop();
    }
}

#[test]
fn within_one_process_connections_of_it_are_not_counted() {
    let endpoint = format!("mem:{}", unique_name());
    let mut few = limits();
    few.max_connections_per_process = 1;
    let server = tramline_tests::commands::serve(Server::new(), few);
    let server = server.start(&endpoint).expect("the name is free");
    let clients: Vec<_> =
        (0..3).map(|_| Client::connect(&endpoint).wait().expect("room")).collect();
    assert!(clients.iter().all(|client| add(client) == 2));
    server.stop();
}

#[test]
fn the_end_of_each_connection_is_told_once_and_with_its_reason() {
    for scheme in ["shm", "pipe", "mem"] {
        let endpoint = format!("{scheme}:{}", unique_name());
        let (told, ended) = channel();
        let server = tramline_tests::commands::serve(Server::new(), limits());
        let server = server.on_ended(move |peer, why| {
            let _ = told.send((peer.label().map(str::to_owned), why.code()));
        });
        let server = server.start(&endpoint).expect("the name is free");
        for label in ["first", "second"] {
            let client = Client::connect(&endpoint).label(label).wait().expect("it serves");
            assert_eq!(add(&client), 2);
            assert!(ended.try_recv().is_err(), "{scheme}: it is not over yet");
            drop(client);
            let end = ended.recv_timeout(PATIENCE).expect("it is told");
            assert_eq!(end, (Some(label.to_owned()), "link-closed"), "{scheme}");
        }
        // One that says nothing has not come about: others are told of that.
        let _ = Client::connect(&endpoint).codec(AnyCodec::custom::<Strange>()).wait();
        let last = Client::connect(&endpoint).label("last").wait().expect("it serves");
        server.stop();
        let end = ended.recv_timeout(PATIENCE).expect("it is told");
        assert_eq!(end, (Some("last".to_owned()), "link-closed"), "{scheme}");
        assert!(ended.try_recv().is_err(), "{scheme}: once for each");
        drop(last);
    }
}

#[test]
fn a_server_without_permissions_lets_nobody_do_anything() {
    let server = Server::new().allow(Capabilities::none()).start("mem:nothing").unwrap();
    let client = Client::connect("mem:nothing").wait().unwrap();
    let refused = client.invoke::<i64, _>("add", ()).wait().unwrap_err();
    assert_eq!(refused.code(), "capability-denied");
    let refused = client.listen("x", |_| {}).wait().unwrap_err();
    assert_eq!(refused.code(), "capability-denied");
    server.stop();
}
