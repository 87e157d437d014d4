//! Many connections on one thread of a server. The conformance suite runs on shared threads, too;
//! here is what only many connections show.
#![cfg(target_os = "linux")]

mod ends;
mod many;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};

use tramline::{Client, LinkError, Running, Server};
use tramline_tests::fixture::{limits, unique_name};
use tramline_tests::{PATIENCE, commands};

/// The test peer's program.
const PEER: &str = env!("CARGO_BIN_EXE_tramline-test-peer");
const VICTIM: &str = env!("CARGO_BIN_EXE_tramline-victim");
const HOSTILE: &str = env!("CARGO_BIN_EXE_tramline-hostile-peer");

/// A server of this process, with one thread for all of its connections.
struct Shared {
    server: Running,
    endpoint: String,
    /// Label and reason of each connection that ended.
    ended: Mutex<Receiver<(Option<String>, LinkError)>>,
}

impl Shared {
    fn start() -> Self {
        let (told, ended) = channel();
        let told = Mutex::new(told);
        let endpoint = format!("shm:{}", unique_name());
        let server = commands::serve(Server::new(), limits())
            .shared_threads(1)
            .on_ended(move |peer, why| {
                let label = peer.label().map(str::to_owned);
                let told = told.lock().unwrap_or_else(PoisonError::into_inner);
                // The test may be over.
                let _ = told.send((label, why.clone()));
            })
            .start(&endpoint)
            .expect("the name is free");
        Self { server, endpoint, ended: Mutex::new(ended) }
    }

    fn connect(&self, label: &str) -> Client {
        let client = Client::connect(&self.endpoint).limits(limits()).label(label);
        let client = client.wait().expect("it serves");
        assert_eq!(client.server().transport(), "shm");
        client
    }

    /// Why the connection that ended next did.
    fn ended(&self) -> (Option<String>, LinkError) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(PATIENCE).expect("a connection ends")
    }
}

fn add(client: &Client, a: i64, b: i64) {
    let sum = client.invoke::<i64, _>("add", tramline::json!({ "a": a, "b": b }));
    assert_eq!(sum.timeout(PATIENCE).wait().expect("a sum"), a + b);
}
