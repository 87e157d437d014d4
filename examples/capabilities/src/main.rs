//! Capabilities from Tauri's own files. `cargo run -p example-capabilities` runs both processes.
//!
//! What a peer may do stands in `capabilities/` and `permissions/`. This file only starts the server
//! as a second process, which in your programs somebody else does.

#![forbid(unsafe_code)]

mod client;
mod server;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(endpoint) = std::env::args().nth(1) {
        return server::run(&endpoint);
    }
    let endpoint = format!("capabilities-{}", std::process::id());
    let mut server = Command::new(std::env::current_exe()?)
        .arg(&endpoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = server.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
    // The server writes a line as soon as it can be reached.
    lines.next();
    let result = client::run(&endpoint);
    // The server ends when its standard input does; what else it wrote is its log.
    drop(server.stdin.take());
    for line in lines {
        println!("the server's log: {}", line?);
    }
    server.wait()?;
    Ok(result?)
}
