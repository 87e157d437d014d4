//! Sleeping and waking: how long to look before sleeping, and the sleep itself.

pub(crate) mod budget;
pub(crate) mod cpus;
pub(crate) mod futex;
