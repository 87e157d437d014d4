//! Keeps Tauri's handles safe on the threads of async commands.
//!
//! `AppHandle` and `Webview` may be sent to other threads, but hold an `Rc` of tao's, whose count is
//! no atomic one. Each async command clones and drops some on its own thread while the main thread
//! does the same: now and then an update is lost. Stock, too, but calls come thirty times as fast
//! here. A count that comes out too high harms nobody. One that comes out too low reaches zero while
//! there are handles, and what they share is freed under them: the heap is lost.
//!
//! So some handles are never dropped. Nothing but the lost updates then moves the count's lowest
//! value, and these are few and go both ways: measured, two threads doing nothing else lost 0 to
//! 2700 in 80 million updates, net.

use std::cell::Cell;
use std::mem;

use tauri::{AppHandle, Wry};

/// Handles kept at the start. A choice: some sixteen counts each, so by estimate 2 ms for all of them.
const KEPT_AT_FIRST: u32 = 1 << 14;

/// And one more each time as many calls have come: more than lost updates can take away, whichever
/// way they go.
const CALLS_FOR_ONE: u32 = 1 << 10;

/// No more than that in all: GLib's counts have 32 bits.
const KEPT_AT_MOST: u32 = 1 << 28;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static KEPT: Cell<u32> = const { Cell::new(0) };
}

/// Keeps the first ones. On the main thread, before there is another one that has a handle.
pub(crate) fn keep(app: &AppHandle<Wry>) {
    if KEPT.replace(KEPT_AT_FIRST) == 0 {
        for _ in 0..KEPT_AT_FIRST {
            mem::forget(app.clone());
        }
    }
}

/// A call has come. On the main thread.
pub(crate) fn count_call(app: &AppHandle<Wry>) {
    let calls = CALLS.get().wrapping_add(1);
    CALLS.set(calls);
    if calls.is_multiple_of(CALLS_FOR_ONE) && KEPT.get() < KEPT_AT_MOST {
        KEPT.set(KEPT.get() + 1);
        mem::forget(app.clone());
    }
}
