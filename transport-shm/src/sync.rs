//! The only place that names atomics. Under `cfg(loom)` the fences become loom's, so that the ring
//! code itself can be modelled; the words then come from a model memory instead of a mapping.

/// A 32-bit word that more than one thread or process looks at.
pub(crate) type AtomicU32 = core::sync::atomic::AtomicU32;
/// A 64-bit word that more than one thread or process looks at.
pub(crate) type AtomicU64 = core::sync::atomic::AtomicU64;

pub(crate) use core::sync::atomic::Ordering;

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::fence;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::fence;
