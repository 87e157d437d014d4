//! Panics that are part of a case are caught and not printed.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use crate::commands::runs::PANIC;

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the panic hook from printing panics that a case is about.
pub fn install() {
    let before = take_hook();
    set_hook(Box::new(move |info| {
        let by_command = info.payload_as_str().is_some_and(|text| text == PANIC);
        if !by_command && !EXPECTED.get() {
            before(info);
        }
    }));
}

/// Runs `f`; `None` if it panicked.
pub fn caught<T>(f: impl FnOnce() -> T) -> Option<T> {
    EXPECTED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(f));
    EXPECTED.set(false);
    outcome.ok()
}
