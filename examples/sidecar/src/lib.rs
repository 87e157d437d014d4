//! What the program and its sidecar say to each other.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// The sidecar's program: it lies beside the one that starts it.
pub const SIDECAR: &str = "example-sidecar-worker";

/// Event `brightness`, from the program: what pictures are made brighter by from now on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Brightness {
    /// Added to each byte, 255 at most.
    pub by: u8,
}

/// Event `progress`, from the sidecar.
#[derive(Debug, Serialize, Deserialize)]
pub struct Progress {
    /// The row that is done; the first one is 1.
    pub row: u64,
}

/// What the command `status` answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// Pictures since the sidecar began.
    pub pictures: u64,
    /// The brightness it works with.
    pub brightness: u8,
}
