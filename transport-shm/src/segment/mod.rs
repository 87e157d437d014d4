//! One segment: made, sealed and handed over by its owner; checked and mapped read-only by the peer.

pub(crate) mod limit;
mod unix;

#[cfg(feature = "named")]
pub(crate) use unix::NamedFile;
pub(crate) use unix::{Mapping, Refused, accept, create, is_same, probe};
