//! Segments in ordinary memory, for tests and fuzzers: the types, and so the unsafe code, are those
//! of real segments. All holders see one allocation at one address.

use std::sync::Arc;

use super::{OwnMap, OwnRingMap, PeerMap};
use crate::counters::Counter;
use crate::layout;
use crate::segment::Mapping;
use crate::sync::Ordering;

/// A fresh segment with a ring of `capacity` bytes: what its owner holds, and its peer's view. The
/// capacity may be smaller than the layout allows, so that a ring is soon full and soon wraps.
pub(crate) fn segment(capacity: usize) -> ((OwnMap, OwnRingMap), PeerMap) {
    assert!(capacity.is_power_of_two() && capacity >= 64, "no fragment would fit");
    let mapping = Arc::new(Mapping::on_heap(layout::HEADER_LEN + capacity));
    let view = PeerMap { mapping: Arc::clone(&mapping), capacity };
    let ring = OwnRingMap { mapping: Arc::clone(&mapping), capacity };
    ((OwnMap { mapping }, ring), view)
}

impl OwnMap {
    /// What a counter says.
    pub(crate) fn counted(&self, counter: Counter) -> u64 {
        self.word64(layout::COUNTERS + 8 * counter as usize).load(Ordering::Relaxed)
    }
}
