//! Capabilities: what files and code declare, what peers may then do, and what they are told.

mod admission;
mod calls;
mod events;
mod files;
#[cfg(target_os = "linux")]
mod json_rpc;
mod live;
mod oracle;
mod quotas;
mod scopes;
mod table;

use std::path::{Path, PathBuf};

/// The test peer's program.
const PEER: &str = env!("CARGO_BIN_EXE_tramline-test-peer");

/// A project's `src-tauri`, as `create-tauri-app` begins one, with permissions of its own.
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/acl/app")
}

/// The commands of the server that `fixture` is for.
const COMMANDS: [&str; 8] = [
    "greet",
    "wipe",
    "wipe_inline",
    "read",
    "scopes",
    "plugin:fs|read_file",
    "plugin:fs|scopes",
    "never_declared",
];
