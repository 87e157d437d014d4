//! Heap memory in the place of a mapping, for tests and fuzzers.
//!
//! The ring's own code runs over it unchanged. Two threads can share it at one address, which is
//! all that ThreadSanitizer can see, and AddressSanitizer watches the bytes around it, which it
//! does not do for mappings.

use core::ptr::NonNull;
use std::alloc::{self, Layout};

use super::{Behind, Charge, Mapping};

/// What mappings are aligned to at least.
const PAGE: usize = 4096;

impl Mapping {
    /// `len` zeroed bytes of ordinary memory.
    pub(crate) fn on_heap(len: usize) -> Self {
        assert!(len > 0, "an allocation has a size");
        // SAFETY: `layout` has a size above 0, just asserted.
        let start = unsafe { alloc::alloc_zeroed(layout(len)) };
        let Some(start) = NonNull::new(start) else { alloc::handle_alloc_error(layout(len)) };
        Self { start, len, behind: Behind::Heap, charge: Charge::nothing() }
    }

    /// What `drop` does with such memory.
    pub(super) fn drop_heap(&mut self) {
        // SAFETY: `on_heap` allocated it with this very layout; nothing frees it before, and
        // addresses inside it are used only while `self` lives.
        unsafe { alloc::dealloc(self.start.as_ptr(), layout(self.len)) };
    }
}

fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, PAGE).expect("a length far below the address space")
}
