//! Whether somebody waits for a turn of the main loop, for those who would keep it.

use std::cell::Cell;
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

thread_local! {
    static MORE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the page has sent another call, as the hop knows that is about to dispatch one.
pub(crate) fn set_more(more: bool) {
    MORE.set(more);
}

/// Whether another call waits for this thread behind the one that is being dispatched.
pub(crate) fn has_more() -> bool {
    MORE.get()
}
