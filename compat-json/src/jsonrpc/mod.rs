//! JSON-RPC 2.0 without I/O: where a message ends, what it is, and what an answer looks like.
//!
//! [`Deframer`] finds messages in bytes, [`Incoming`] reads one, the functions here and
//! [`ErrorObject`] write what goes back. Serving them is `tramline::JsonRpc`'s part.
//!
//! How the two worlds meet:
//!
//! | JSON-RPC | tramline |
//! |---|---|
//! | request | call: `params` by name, or by position in declared order, injected parameters left out |
//! | notification of a command's name | call whose result is dropped |
//! | any other notification | event; see [`notification`] for its payload |
//! | `$/cancelRequest` | cancel; what the call answers afterwards is dropped |
//! | `$/progress`, `$/progressEnd`, `$/progressCredit` | a channel's message, end and credit: the token is what the client gave as the argument |
//! | `$/listen`, `$/unlisten` | the client's choice of events; without one it hears all it may |
//! | `$/setTrace`, `$/logTrace` | a line for each message, for people |
//! | raw bytes | array of numbers |
//!
//! # Source
//!
//! The JSON-RPC 2.0 specification, <https://www.jsonrpc.org/specification>; framing, `$/` methods and
//! -32800 as in the base protocol of the Language Server Protocol 3.17.

mod control;
mod error;
mod framing;
mod message;
mod scan;
mod write;

pub use control::{Control, Trace};
pub use error::{ErrorObject, codes};
pub use framing::{Deframer, Framing, MAX_HEADER_LEN, Received};
pub use message::{Id, Incoming, MAX_BATCH_MEMBERS, Message};
pub use write::{
    body_to_json, log_trace, notification, params_to_payload, progress, progress_credit,
    progress_end, result_response,
};
