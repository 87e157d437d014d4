//! Layers around calls, events and channels, and what is built of them.

#[cfg(target_os = "linux")]
mod json_rpc;
mod layers;
mod metrics;
mod rate_limit;
mod retry;
mod tower;
mod tracing;

use tramline::{Client, Connect};
use tramline_tests::fixture::limits;
use tramline_tests::{Peer, Transport, layers as kit};

/// The test peer's program.
const PEER: &str = env!("CARGO_BIN_EXE_tramline-test-peer");

/// Every transport that has another process.
const BETWEEN_PROCESSES: [Transport; 3] = [Transport::Shm, Transport::ShmShared, Transport::Pipe];

/// A server with layers in a process of its own, and how to reach it.
struct There {
    peer: Peer,
    endpoint: String,
}

impl There {
    fn new(transport: Transport, kind: &str) -> Self {
        let (peer, endpoint) = kit::serve_there(PEER, transport, kind, None);
        Self { peer, endpoint }
    }

    fn connect(&self) -> Connect {
        Client::connect(&self.endpoint).limits(limits()).label("caller")
    }

    fn client(&self) -> Client {
        self.connect().wait().expect("it serves")
    }
}
