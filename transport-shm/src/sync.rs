//! The only place that names atomics. Under `cfg(loom)` the fences become loom's, so that the ring
//! code itself can be modelled; the words then come from a model memory instead of a mapping.

/// A 32-bit word that more than one thread or process looks at.
pub(crate) type AtomicU32 = core::sync::atomic::AtomicU32;
/// A 64-bit word that more than one thread or process looks at.
pub(crate) type AtomicU64 = core::sync::atomic::AtomicU64;
/// A count that only this process looks at.
pub(crate) type AtomicUsize = core::sync::atomic::AtomicUsize;

pub(crate) use core::sync::atomic::Ordering;

/// Names a fence of the ring, so that a model can leave it out and show what then breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// Behind the reader's load of a header (P1).
    HeaderLoad,
    /// Behind the writer's load of `head` (P2).
    HeadLoad,
    /// Behind a load of the peer's park word (P5).
    ParkLoad,
    /// Behind a sleeper's load of the peer's bell (P5).
    BellLoad,
    /// The writer's, between a header and the reader's park word (P3).
    Flush,
    /// The reader's, between its park word and a header (P3).
    ArmForData,
    /// The reader's, between `head` and the writer's park word (P4).
    PublishHead,
    /// The writer's, between its park word and `head` (P4).
    ArmForSpace,
}

/// A fence. `site` is only for the models.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn fence_at(_site: Site, order: Ordering) {
    core::sync::atomic::fence(order);
}

/// A fence, unless the running model leaves this one out.
#[cfg(loom)]
pub(crate) fn fence_at(site: Site, order: Ordering) {
    if LEFT_OUT.get() != Some(site) {
        loom::sync::atomic::fence(order);
    }
}

#[cfg(loom)]
thread_local! {
    /// The fence that is left out. A model runs all of its threads on the thread of its test.
    pub(crate) static LEFT_OUT: std::cell::Cell<Option<Site>> =
        const { std::cell::Cell::new(None) };
}
