//! Two processes, and a command that streams both ways. `cargo run -p example-progress` runs both.
//!
//! Read `server.rs` and `client.rs`: each is a whole program's worth. This file only starts the
//! server as a second process, which in your programs somebody else does.

#![forbid(unsafe_code)]

mod client;
mod server;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use futures_lite::future::block_on;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(endpoint) = std::env::args().nth(1) {
        return server::run(&endpoint);
    }
    let endpoint = format!("progress-{}", std::process::id());
    let mut server = Command::new(std::env::current_exe()?)
        .arg(&endpoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    // The server writes a line as soon as it can be reached.
    if let Some(output) = server.stdout.take() {
        BufReader::new(output).read_line(&mut String::new())?;
    }
    let result = block_on(client::run(&endpoint));
    // The server ends when its standard input does.
    drop(server.stdin.take());
    server.wait()?;
    Ok(result?)
}
