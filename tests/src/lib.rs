//! The test kit: what the suites in `tests/tests` share.
//!
//! - [`fixture`]: one server and its clients, for each transport and codec.
//! - [`child`]: other processes, which never outlive a test.
//! - [`commands`], [`channels`] and [`gate`]: what the server of a test does, and how a test holds it up without
//!   a clock.
//! - [`matrix`]: commands that stay until nobody wants their answer.
//! - [`bounded()`]: nothing hangs for ever.
//! - [`prices`]: a value with parts, of which one may be wrong.
//! - [`raw`]: a peer made by hand, that may lie.
//! - [`json_rpc`]: a JSON-RPC client made by hand.
//! - [`victim`]: real processes for `tramline-hostile-peer` to attack.
//! - [`stress`], [`census`]: traffic, and what a process has open.
//! - [`history`]: whether what came is what was sent.
//! - [`acl`]: a server with whatever capabilities a test wants.
//! - `typed`, with the feature `postcard`: a server whose types every codec can carry.
//! - [`guard`]: what the guard of a test does.
//! - [`layers`]: a server with layers that says what they saw.
//! - [`doomed`], [`flood`], [`api_flood`]: processes that are killed in the middle of their work.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test kit reports what goes wrong by panicking"
)]

pub mod acl;
pub mod api_flood;
pub mod bounded;
pub mod census;
pub mod channels;
pub mod child;
pub mod codec;
pub mod commands;
pub mod doomed;
pub mod fixture;
pub mod flood;
pub mod gate;
pub mod guard;
pub mod history;
#[cfg(target_os = "linux")]
pub mod json_rpc;
pub mod layers;
pub mod matrix;
pub mod prices;
pub mod random;
pub mod raw;
pub mod stress;
pub mod tally;
#[cfg(feature = "postcard")]
pub mod typed;
pub mod victim;

pub use bounded::{PATIENCE, bounded, eventually};
pub use child::Peer;
pub use fixture::{Fixture, Setup, Transport};
