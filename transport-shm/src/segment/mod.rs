//! One segment: made, sealed and handed over by its owner; checked and mapped read-only by the peer.

mod unix;

pub(crate) use unix::{Mapping, Refused, accept, create, is_same, probe};
