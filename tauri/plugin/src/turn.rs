//! Whether somebody waits for a turn of the main loop, for those who would keep it.

use std::sync::atomic::{AtomicBool, Ordering};

static WANTED: AtomicBool = AtomicBool::new(false);

/// Something has been put into the event loop's queue.
pub(crate) fn want() {
    // Relaxed: a hint, which carries nothing. What waits is in a queue with a lock of its own.
    WANTED.store(true, Ordering::Relaxed);
}

/// The turn has come.
pub(crate) fn come() {
    WANTED.store(false, Ordering::Relaxed);
}

/// Whether looking out for calls keeps something else from being done.
#[cfg(target_os = "linux")]
pub(crate) fn is_wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}
