//! The tramline protocol without I/O: what a message means.
//!
//! Envelope, codecs, commands, channels, events, permissions, limits and errors. No sockets, no threads, no
//! clocks, no `unsafe`. Applications use the `tramline` crate, which re-exports what they need;
//! this crate is for writing a transport, a codec or another front end.

#![forbid(unsafe_code)]

pub mod acl;
pub mod answer;
mod cancel;
pub mod channel;
pub mod codec;
pub mod command;
pub mod envelope;
pub mod error;
pub mod events;
pub mod frame;
pub mod gate;
pub mod limits;
pub mod peer;
pub mod router;
pub mod session;
pub mod state;
pub mod transport;
pub mod typed;

pub use cancel::{CancelToken, Cancelled, OnCancel};
pub use codec::{AnyCodec, Codec};
pub use error::{
    CallCancelled, ConfigError, ConnectError, DeadlinePassed, DecodeError, EncodeError, Error,
    HandlerFailure, InvokeError, LinkError, PeerFault, RecvError, Rejection, SendError,
};
pub use frame::{Frame, FrameWriter};
pub use limits::Limits;
pub use transport::{Halves, Pages, PeerIdentity, Transport};
