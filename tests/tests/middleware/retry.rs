//! What is repeated after a server died, and what never is.

use std::future::IntoFuture;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::future::block_on;
use tramline::{
    Capabilities, Client, Error, InvokeError, LinkError, Retry, Server, command, commands, json,
};
use tramline_tests::fixture::{limits, unique_name};
use tramline_tests::{Peer, Transport, bounded};

use crate::PEER;

/// A server that `retry` connects to, and that dies in the middle of a call when the call asks for
/// it; the next connection begins a new one.
struct Dying {
    retry: Retry,
    connected: Arc<AtomicU64>,
    /// What the servers printed for each call: the command and its key.
    ran: Arc<Mutex<Vec<String>>>,
    peer: Arc<Mutex<Option<Peer>>>,
}

impl Dying {
    /// The first `deaths` servers die in the middle of their first call.
    fn new(transport: Transport, retries: u32, deaths: u64) -> Self {
        let connected = Arc::new(AtomicU64::new(0));
        let ran = Arc::<Mutex<Vec<String>>>::default();
        let peer = Arc::<Mutex<Option<Peer>>>::default();
        let (count, running, lines) = (connected.clone(), Arc::clone(&peer), Arc::clone(&ran));
        let retry = Retry::new(retries, move || {
            let dies = count.fetch_add(1, Ordering::SeqCst) < deaths;
            let endpoint = transport.endpoint();
            let mut running = running.lock().expect("no panic");
            read_lines(running.as_ref(), &lines);
            let kind = if dies { "dies" } else { "lives" };
            *running = Some(Peer::ready(PEER, &["serve-dying", &endpoint, kind]));
            Client::connect(&endpoint).limits(limits()).wait()
        });
        Self { retry: retry.pause(Duration::ZERO), connected, ran, peer }
    }

    fn connections(&self) -> u64 {
        self.connected.load(Ordering::SeqCst)
    }

    /// The calls that ran, in order.
    fn ran(&self) -> Vec<String> {
        let mut peer = self.peer.lock().expect("no panic");
        if let Some(peer) = &mut *peer {
            peer.kill();
        }
        read_lines(peer.as_ref(), &self.ran);
        self.ran.lock().expect("no panic").clone()
    }
}

/// What a server that is dead has printed.
fn read_lines(peer: Option<&Peer>, lines: &Mutex<Vec<String>>) {
    while let Some(line) = peer.and_then(Peer::line) {
        lines.lock().expect("no panic").push(line);
    }
}

fn with_server(retries: u32, deaths: u64, test: fn(&Dying)) {
    for transport in [Transport::Shm, Transport::Pipe] {
        bounded(move || test(&Dying::new(transport, retries, deaths)));
    }
}

/// The declarations that a caller shares with its server.
mod declared {
    #[tramline::command(idempotent)]
    pub(super) fn put(text: String) -> String {
        text
    }

    #[tramline::command]
    pub(super) fn append(text: String) -> String {
        text
    }
}

fn args() -> serde_json::Value {
    json!({ "text": "x" })
}

#[test]
fn only_idempotent_commands_are_retried() {
    with_server(3, 2, |server| {
        let text: String =
            server.retry.command::<declared::put, _, _>(args()).wait().expect("third");
        assert_eq!((&*text, server.connections()), ("x", 3));
        let ran = server.ran();
        assert_eq!(ran.len(), 3, "{ran:?}");
        // The same key each time.
        assert!(ran[0].starts_with("put ") && ran.iter().all(|line| *line == ran[0]), "{ran:?}");
        assert_eq!(ran[0].len(), "put ".len() + 32);
    });
    with_server(3, 2, |server| {
        let call = server.retry.invoke::<String, _>("append", args()).idempotent();
        assert_eq!(block_on(call.into_future()).expect("third"), "x");
        assert_eq!((server.connections(), server.ran().len()), (3, 3));
    });
    with_server(3, 2, |server| {
        for declared in [false, true] {
            let call = || server.retry.invoke::<String, _>("append", args());
            let ended = if declared {
                server.retry.command::<declared::append, String, _>(args()).wait()
            } else {
                block_on(call().into_future())
            };
            let error = ended.expect_err("it died");
            let lost =
                matches!(error, Error::Invoke(InvokeError::OutcomeUnknown(LinkError::PeerDied)));
            assert!(lost, "{error:?}");
        }
        // The next call finds a new connection, and runs once.
        let text: String = server.retry.invoke("append", args()).wait().expect("alive");
        assert_eq!((&*text, server.connections()), ("x", 3));
        assert_eq!(server.ran(), ["append ", "append ", "append "]);
    });
}

#[test]
fn tries_are_bounded() {
    with_server(2, u64::MAX, |server| {
        let ended = server.retry.command::<declared::put, String, _>(args()).wait();
        let error = ended.expect_err("all died");
        assert!(matches!(error, Error::Invoke(InvokeError::OutcomeUnknown(_))), "{error:?}");
        assert_eq!((server.connections(), server.ran().len()), (3, 3));
    });
}

#[command(idempotent)]
fn fails(runs: tramline::State<'_, Arc<AtomicU64>>) -> Result<(), String> {
    runs.fetch_add(1, Ordering::SeqCst);
    Err("no".into())
}

#[test]
fn what_failed_or_was_refused_is_not_retried() {
    bounded(|| {
        let endpoint = format!("mem:{}", unique_name());
        let runs = Arc::new(AtomicU64::new(0));
        let server = Server::new()
            .commands(commands![fails])
            .manage(Arc::clone(&runs))
            .allow(Capabilities::none().command("fails"))
            .start(&endpoint)
            .expect("the name is free");
        let to = endpoint.clone();
        let retry = Retry::new(9, move || Client::connect(&to).wait()).pause(Duration::ZERO);
        let ended = retry.command::<fails, (), _>(()).wait();
        assert_eq!(ended.expect_err("fails").code(), "command-failed");
        let ended = retry.invoke::<(), _>("other", ()).idempotent().wait();
        assert_eq!(ended.expect_err("denied").code(), "capability-denied");
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        server.stop();
    });
}

#[test]
fn a_server_that_is_not_there_is_looked_for_as_often_as_said() {
    let looked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&looked);
    let nobody = unique_name();
    let retry = Retry::new(4, move || {
        count.fetch_add(1, Ordering::SeqCst);
        Client::connect(&nobody).wait()
    });
    let retry = retry.pause(Duration::ZERO);
    let ended = retry.invoke::<(), _>("put", ()).wait();
    assert_eq!(ended.expect_err("nobody").code(), "not-found");
    assert_eq!(looked.swap(0, Ordering::SeqCst), 1);
    let ended = block_on(retry.invoke::<(), _>("put", ()).idempotent().into_future());
    assert_eq!(ended.expect_err("nobody").code(), "not-found");
    assert_eq!(looked.load(Ordering::SeqCst), 5);
}
