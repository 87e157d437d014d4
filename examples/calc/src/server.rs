//! The side that offers a command.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize};
use tramline::{Capabilities, Peer, SendError, Server, command, commands};

/// What the event carries.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Added {
    pub(crate) sum: i64,
}

/// A function becomes a command. `peer` is no argument on the wire: it is whoever calls.
#[command]
fn add(a: i64, b: i64, peer: Peer) -> i64 {
    let sum = a + b;
    if let Err(e) = announce(&peer, sum) {
        eprintln!("no event for {sum}: {e}");
    }
    sum
}

fn announce(peer: &Peer, sum: i64) -> Result<(), SendError> {
    peer.emit("added", &Added { sum })
}

pub(crate) fn run(endpoint: &str) -> Result<(), Box<dyn std::error::Error>> {
    // Nothing is allowed that does not stand here.
    let allowed = Capabilities::none().command("add").event("added");
    let server = Server::new().commands(commands![add]).allow(allowed).start(endpoint)?;

    // It serves in the background now. A server that has nothing else to do would say
    // `server.wait()`, or `.serve(endpoint).await` instead of `.start(endpoint)`.
    println!("ready");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    server.stop();
    Ok(())
}
