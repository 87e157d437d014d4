//! Every command's arguments and results as JSON, whatever codec is on the wire.
//!
//! [`to_json`] and [`from_json`] turn an encoded value into JSON text and back, without a tree in
//! between; [`Transcoder`] does the same for values in a row, from a reader to a writer, at any size.
//! [`message_to_json`](message_to_json()) shows a whole message, [`TypedView`] also in codecs whose
//! bytes do not tell what they are. [`round_trip`](round_trip()) checks that a value survives both
//! ways, [`verify_json`] looks at the types of commands, [`difference`](difference()) compares.
//! [`base64`](mod@base64) is for bytes that should be text. [`jsonrpc`] is the text of JSON-RPC 2.0.

#![forbid(unsafe_code)]

pub mod base64;
pub mod jsonrpc;

mod difference;
mod message;
mod round_trip;
mod transcode;
mod typed_view;
mod verify;

pub use difference::{Mismatch, difference};
pub use message::message_to_json;
pub use round_trip::{RoundTripError, round_trip, round_trips};
pub use transcode::{
    Integers, JsonForm, TranscodeError, TranscodeFault, Transcoder, from_json, to_json,
    to_json_pretty, to_json_with,
};
pub use typed_view::{TypedView, ViewError};
pub use verify::{Finding, Findings, Part, Severity, verify_codec, verify_json};
