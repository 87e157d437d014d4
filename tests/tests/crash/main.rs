//! SIGKILL at bad moments. What it may leave behind is in `leftovers.rs`, in a process of its own.

mod client_dies;
mod server_dies;

/// The test peer's program.
const PEER: &str = env!("CARGO_BIN_EXE_tramline-test-peer");
