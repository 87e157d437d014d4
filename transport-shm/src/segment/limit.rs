//! How much memory this process has mapped for segments, its own and its peers'.

use crate::sync::{AtomicUsize, Ordering};

/// 1 GiB. A choice: some 500 connections with rings of the default size.
const DEFAULT_LIMIT: usize = 1 << 30;

static LIMIT: AtomicUsize = AtomicUsize::new(DEFAULT_LIMIT);
static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// See [`crate::set_mapped_limit`].
pub(crate) fn set(bytes: usize) {
    // Relaxed, as all here: numbers that publish nothing else.
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// See [`crate::mapped`].
pub(crate) fn mapped() -> usize {
    MAPPED.load(Ordering::Relaxed)
}

/// Bytes that count as mapped until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge(usize);

impl Charge {
    /// Takes so many bytes before they are mapped; `None` if that would be more than the limit.
    pub(crate) fn take(len: usize) -> Option<Self> {
        let limit = LIMIT.load(Ordering::Relaxed);
        let add = |mapped: usize| mapped.checked_add(len).filter(|sum| *sum <= limit);
        MAPPED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok().map(|_| Self(len))
    }

    /// For memory that does not count: blobs, bounded by the message limit; named files, whose peers
    /// are trusted; heap memory.
    pub(crate) fn nothing() -> Self {
        Self(0)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        MAPPED.fetch_sub(self.0, Ordering::Relaxed);
    }
}
