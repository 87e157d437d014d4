//! Commands on the files of one folder, for the demo's second process and for JSON-RPC clients.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tramline::{Capabilities, Limits, Peer, Raw, SendError, Server, State, command, commands};
use tramline_core::envelope::HEADER_LEN;

use crate::failure::Failure;
use crate::folder::{Digest, Folder, Refusal, Scan};

/// What `echo` is given and returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Echo {
    pub(crate) id: u64,
    #[serde(with = "serde_bytes")]
    pub(crate) data: Vec<u8>,
}

/// One of many small events.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Tick {
    pub(crate) number: u64,
}

/// Serves the demo that started this process, until it is gone.
pub(crate) fn run(path: &Path) -> Result<(), Failure> {
    let folder = Folder::open(path).map_err(|e| Failure::path(path, &e))?;
    serving(Server::from_parent(), folder).run().wait().map_err(Failure::Serve)
}

/// A server of this folder's files.
pub(crate) fn serving(server: Server, folder: Folder) -> Server {
    let allowed = Capabilities::none()
        .commands(["scan", "read_file", "digest", "echo", "emit_ticks"])
        .events(["scan-progress", "tick", "ticks-done"]);
    server
        .commands(commands![scan, read_file, digest, echo, emit_ticks])
        .manage(folder)
        .allow(allowed)
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        Self::new(error.code(), error)
    }
}

#[command]
fn scan(
    path: &str,
    fitting_len: u64,
    folder: State<'_, Folder>,
    peer: Peer,
) -> Result<Scan, Refusal> {
    folder.scan(path, fitting_len, |progress| Ok(peer.emit("scan-progress", &progress)?))
}

#[command]
fn read_file(path: &str, folder: State<'_, Folder>) -> Result<Raw, Refusal> {
    let max_len = Limits::default().max_message_len - HEADER_LEN;
    Ok(folder.read(path, max_len)?.into())
}

#[command]
fn digest(path: &str, folder: State<'_, Folder>) -> Result<Digest, Refusal> {
    folder.digest(path)
}

#[command(inline)]
fn echo(id: u64, data: &[u8]) -> Echo {
    let data = data.to_vec();
    Echo { id, data }
}

/// Emits up to `count` events, as many as go out in `max_ms`; says how many.
#[command]
fn emit_ticks(count: u64, max_ms: u64, peer: Peer) -> Result<u64, Refusal> {
    let end = Instant::now() + Duration::from_millis(max_ms);
    let mut number = 0;
    // The clock costs about as much as an event: it is read once in a while.
    while number < count && (number % 256 != 0 || Instant::now() < end) {
        peer.emit("tick", &Tick { number })?;
        number += 1;
    }
    peer.emit("ticks-done", &number)?;
    Ok(number)
}
