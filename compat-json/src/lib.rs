//! Every command's arguments and results as JSON, whatever codec is on the wire.
//!
//! [`to_json`] and [`from_json`] turn an encoded value into JSON text and back, streaming, without a
//! tree in between. [`message_to_json`] shows a whole message. [`round_trip`] checks that a value
//! survives both ways. [`jsonrpc`] is the text of JSON-RPC 2.0.

#![forbid(unsafe_code)]

pub mod jsonrpc;
mod message;
mod round_trip;
mod transcode;

pub use message::message_to_json;
pub use round_trip::{RoundTripError, round_trip};
pub use transcode::{from_json, to_json};
