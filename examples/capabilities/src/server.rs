//! The side that decides who may do what.

use std::io::{Read, Write};
use std::path::Path;

use serde::Deserialize;
use tramline::{Admission, CommandScope, Server, command, commands, read_capabilities};

/// An entry of the scope in `permissions/notes.toml`. The command knows what it means.
#[derive(Debug, Deserialize)]
struct Folder {
    folder: String,
}

#[command]
fn read_note(name: &str, scope: CommandScope<Folder>) -> Result<String, String> {
    if scope.permits(|entry| name.starts_with(&entry.folder)) {
        Ok(format!("this is {name}"))
    } else {
        Err(format!("{name} is out of scope"))
    }
}

#[command]
fn delete_note(name: &str) {
    unreachable!("nobody may delete {name}: no capability allows it");
}

pub(crate) fn run(endpoint: &str) -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::new()
        .commands(commands![read_note, delete_note])
        // `capabilities/*` and `permissions/*`, as in a project's `src-tauri`.
        .allow(read_capabilities(Path::new(env!("CARGO_MANIFEST_DIR")))?)
        // The label is ours to give: whatever a peer calls itself, here it is a reader.
        .admit(|_| Admission::local().label("reader"))
        // Refusals are explained to us, not to the peer.
        .on_denied(|denial| println!("{denial}"))
        .start(endpoint)?;
    println!("ready");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    server.stop();
    Ok(())
}
