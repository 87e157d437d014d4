//! One segment: made, sealed and handed over by its owner; checked and mapped read-only by the peer.

mod blob;
pub(crate) mod limit;
mod unix;

pub use blob::{BlobBuilder, SealedBlob};
pub(crate) use blob::{Sealed, accept as accept_blob};
#[cfg(feature = "named")]
pub(crate) use unix::NamedFile;
pub(crate) use unix::{Mapping, Refused, accept, create, is_same, probe};
