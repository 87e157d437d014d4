//! How a connection comes about, or does not.

mod doors;
mod hostile;
mod sidecars;

/// The test peer's program.
const PEER: &str = env!("CARGO_BIN_EXE_tramline-test-peer");
