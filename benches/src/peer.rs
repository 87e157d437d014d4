//! What the other process serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tramline::{Capabilities, Error, Peer, Server, State, command, commands};

use crate::shapes::{self, BlockRef, PAYLOAD_LENS};

/// The event that `emit` emits.
pub const DOWN: &str = "down";
/// The event that the server counts.
pub const UP: &str = "up";

/// Arguments of `emit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emission {
    /// How many events.
    pub count: u64,
    /// Payload of each, in bytes.
    pub len: usize,
}

/// What emitted payloads are cut from.
struct Source(Vec<u8>);

/// How many `up` events have come, each with the number that was due.
struct Seen(Arc<AtomicU64>);

/// Answers with its arguments.
#[command(inline)]
fn echo<'a>(id: u64, data: &'a [u8]) -> BlockRef<'a> {
    BlockRef::new(id, data)
}

/// Emits `count` events to the caller and says how many it has.
#[command]
fn emit(peer: Peer, source: State<'_, Source>, count: u64, len: usize) -> Result<u64, String> {
    let data = source
        .0
        .get(..len)
        .ok_or_else(|| format!("len is {len}, the limit is {}", source.0.len()))?;
    for id in 0..count {
        peer.emit(DOWN, &BlockRef::new(id, data)).map_err(|e| format!("event {id}: {e}"))?;
    }
    Ok(count)
}

/// How many `up` events have come in order.
#[command(inline)]
fn seen(seen: State<'_, Seen>) -> u64 {
    seen.0.load(Ordering::Relaxed)
}

fn with_commands(server: Server) -> Server {
    let count = Arc::new(AtomicU64::new(0));
    let longest = PAYLOAD_LENS.into_iter().max().unwrap_or_default();
    server
        .commands(commands![echo, emit, seen])
        .manage(Source(shapes::bytes(longest)))
        .manage(Seen(Arc::clone(&count)))
        .listen(UP, move |event| {
            let due = count.load(Ordering::Relaxed);
            if event.payload::<BlockRef>().is_ok_and(|block| block.id == due) {
                count.store(due + 1, Ordering::Relaxed);
            }
        })
        .allow(Capabilities::all())
}

/// Serves the process that started this one, until it ends the connection.
///
/// # Errors
///
/// This process was not started as a sidecar.
pub fn serve_parent() -> Result<(), Error> {
    with_commands(Server::from_parent()).run().wait()
}

/// Serves in this process.
///
/// # Errors
///
/// The endpoint is bad or in use.
pub fn serve_here(endpoint: &str) -> Result<tramline::Running, Error> {
    with_commands(Server::new()).start(endpoint)
}
