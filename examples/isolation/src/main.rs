//! Isolation. `cargo run -p example-isolation` runs three processes: a core, a guard, a client.
//!
//! The client is written as if there were no guard. The core admits only the guard's process, so
//! there is no way around it. This file only starts the other two as processes of their own.

#![forbid(unsafe_code)]

mod client;
mod core;
mod guard;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["core", endpoint, guard] => return core::run(endpoint, guard.parse()?),
        ["guard", endpoint, core] => return guard::run(endpoint, core),
        _ => {}
    }
    let endpoint = format!("isolation-{}", std::process::id());
    let core_endpoint = format!("{endpoint}-core");
    // The guard looks for the core when a client comes, so it can be there first.
    let mut guard = start(&["guard", &endpoint, &core_endpoint])?;
    let mut core = start(&["core", &core_endpoint, &guard.id().to_string()])?;
    let result = client::run(&endpoint, &core_endpoint);
    for process in [&mut guard, &mut core] {
        // They end when their standard input does.
        drop(process.stdin.take());
        process.wait()?;
    }
    Ok(result?)
}

/// Starts this program in another role and waits until it says that it can be reached.
fn start(args: &[&str]) -> std::io::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    Ok(child)
}

/// Tells whoever started this process that it can be reached.
fn say_ready() -> std::io::Result<()> {
    println!("ready");
    std::io::stdout().flush()
}

/// Waits until nobody needs this process any more.
fn wait_for_input_to_end() -> std::io::Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
