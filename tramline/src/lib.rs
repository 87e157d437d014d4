//! Commands and events between two processes, over shared memory when possible and a pipe when not.
//!
//! Start with [`Server`] and [`Client`], or with [`Sidecar`] for a child process. `#[command]` turns
//! a function into a command; `commands![..]` gathers them.
//!
//! # JSON
//!
//! Every command's arguments, results and errors round-trip as JSON, whatever codec is on the wire.
//! `docs/JSON.md` says what becomes what. One line in a test checks it for your own types:
//!
//! ```
//! use tramline::{command, commands};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Found {
//!     path: String,
//!     lines: Vec<u32>,
//! }
//!
//! #[command]
//! fn scan(root: &str, limit: Option<u32>) -> Result<Vec<Found>, String> {
//!     let path = root.to_owned();
//!     Ok(vec![Found { path, lines: limit.into_iter().collect() }])
//! }
//!
//! tramline::verify_json(commands![scan])?;
//! # Ok::<(), tramline::Findings>(())
//! ```
//!
//! - [`verify_json`] names command, argument and path of everything that does not survive;
//!   [`round_trips`] proves values of a property test.
//! - [`Connect::shadow`] and [`Server::shadow`] compare each message with its JSON, for a migration
//!   to another codec.
//! - A codec whose bytes do not tell what they are ([`Codec::SELF_DESCRIBING`]; `Postcard` with the
//!   feature `postcard`) may be used where both ends know the types. A server checks the types of
//!   its commands when it starts, and [`compat_json::TypedView`] shows every message.

#![forbid(unsafe_code)]
#![cfg_attr(doctest, doc = include_str!("../../README.md"))]

mod admit;
mod capability_files;
mod channels;
mod client;
mod clients;
mod endpoint;
mod executor;
mod extras;
pub mod guard;
mod hub;
mod invoke;
mod json_rpc;
#[cfg(feature = "layers")]
pub mod layer;
#[cfg(not(feature = "layers"))]
#[path = "layer/none.rs"]
mod layer;
mod link;
mod live;
mod look_out;
mod meet;
mod processes;
#[cfg(feature = "retry")]
mod retry;
mod server;
mod shadow;
mod shared;
#[cfg(unix)]
mod sidecar;
#[cfg(feature = "test-kit")]
pub mod test;
mod time;
#[cfg(feature = "tower")]
mod tower;

pub use bytes::Bytes;
pub use serde_json::json;
#[doc(inline)]
pub use tramline_compat_json as compat_json;
pub use tramline_compat_json::{
    Finding, Findings, RoundTripError, base64, round_trip, round_trips, verify_json,
};
#[doc(inline)]
#[doc(inline)]
pub use tramline_core::acl;
pub use tramline_core::acl::{
    AclError, Capabilities, Capability, CommandScope, Denial, GlobalScope, PeerClass, Quota, Rate,
    ScopeObjectMatch, Scopes,
};
pub use tramline_core::answer::{Answer, FromAnswer};
pub use tramline_core::channel::{Channel, ChannelArg, ChannelMessage, ChannelReader};
#[cfg(feature = "postcard")]
pub use tramline_core::codec::Postcard;
pub use tramline_core::codec::{AnyCodec, Codec, Json, MsgPack};
pub use tramline_core::command::{
    AlreadyAnswered, Attachment, Call, CommandArg, CommandFuture, Commands, Raw, RawBody, Request,
};
pub use tramline_core::envelope::BodyKind;
pub use tramline_core::events::{
    Event, EventTarget, ListenOptions, ListenerCounts, ListenerId, Overflow,
};
pub use tramline_core::peer::{Peer, Refusals};
pub use tramline_core::state::State;
pub use tramline_core::transport::WaitMode;
pub use tramline_core::{
    CallCancelled, CancelToken, Cancelled, ConfigError, ConnectError, DeadlinePassed, DecodeError,
    EncodeError, Error, FrameWriter, HandlerFailure, InvokeError, Limits, LinkError, OnCancel,
    PeerFault, PeerIdentity, RecvError, Rejection, SendError,
};
pub use tramline_macros::{command, commands};
pub use tramline_transport_shm::{BlobBuilder, SealedBlob, set_mapped_limit};

pub use crate::admit::{Admission, Visitor};
pub use crate::capability_files::read_capabilities;
pub use crate::client::{Client, Connect, Listen};
pub use crate::clients::Clients;
pub use crate::endpoint::{Endpoint, Scheme};
pub use crate::invoke::{Borrowed, Invoke};
pub use crate::json_rpc::JsonRpc;
pub use crate::live::LiveCapabilities;
pub use crate::look_out::LookOut;
#[cfg(feature = "retry")]
pub use crate::retry::{Retry, RetryInvoke};
pub use crate::server::{Running, Serve, Server};
pub use crate::shadow::{Difference, Stage};
#[cfg(unix)]
pub use crate::sidecar::{Sidecar, Spawn};
#[cfg(feature = "tower")]
pub use crate::tower::{ClientService, CommandCall};

/// The page's programs are compiled, so that they cannot go stale.
#[cfg(doctest)]
#[doc = include_str!("../../docs/CAPABILITIES.md")]
pub mod capabilities_page {}

/// As above.
#[cfg(all(doctest, feature = "test-kit"))]
#[doc = include_str!("../../docs/TESTING.md")]
pub mod testing_page {}

/// As above.
#[cfg(doctest)]
#[doc = include_str!("../../docs/ISOLATION.md")]
pub mod isolation_page {}
/// Needs all of its features.
#[cfg(all(
    doctest,
    feature = "layers",
    feature = "metrics",
    feature = "rate-limit",
    feature = "retry",
    feature = "tracing"
))]
#[doc = include_str!("../../docs/MIDDLEWARE.md")]
pub mod middleware_page {}

/// For the code that `#[command]` writes. Not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use tramline_core::command::{
        BytesArg, Call, Command, CommandArg, CommandFuture, Commands, Handler, Outcome, OwnedCall,
        Reply, TextArg, ViaResult, ViaValue,
    };
    pub use tramline_core::typed::{
        CommandTypes, Parameter, ReadableType, Returned, Seen, SplitResult, SplitValue, ValueType,
        ViaArg, ViaNoArg, ViaNothing, ViaSerialize, WrittenType, never,
    };
}
