//! What the benches share: the shapes that travel, the other process, the floor.
//!
//! Every figure about a connection is taken with the other side in a second process (except `mem`,
//! which has none), through the public API, with the library's default limits.

#![forbid(unsafe_code)]

pub mod events;
pub mod floor;
pub mod pair;
pub mod peer;
pub mod shapes;
