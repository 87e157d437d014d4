//! Holding a handler or a listener up until a test says so.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::PATIENCE;

#[derive(Debug, Default, Clone, Copy)]
struct Door {
    entered: u64,
    open: bool,
}

/// Named gates. Whoever enters a gate waits there until it is opened; an opened gate stays open.
#[derive(Debug, Default)]
pub struct Gates {
    doors: Mutex<HashMap<String, Door>>,
    changed: Condvar,
}

impl Gates {
    /// Waits at a gate.
    ///
    /// # Panics
    ///
    /// If nobody opens it within [`PATIENCE`].
    pub fn enter(&self, name: &str) {
        self.update(name, |door| door.entered += 1);
        self.wait_until(name, |door| door.open);
    }

    /// Is seen at a gate and goes on.
    pub fn pass(&self, name: &str) {
        self.update(name, |door| door.entered += 1);
    }

    /// Opens a gate.
    pub fn open(&self, name: &str) {
        self.update(name, |door| door.open = true);
    }

    /// Waits until `count` have entered a gate since the beginning.
    ///
    /// # Panics
    ///
    /// If they do not within [`PATIENCE`].
    pub fn wait_entered(&self, name: &str, count: u64) {
        self.wait_until(name, |door| door.entered >= count);
    }

    /// How many have entered a gate since the beginning.
    #[must_use]
    pub fn entered(&self, name: &str) -> u64 {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.get(name).map_or(0, |door| door.entered)
    }

    fn update(&self, name: &str, change: impl FnOnce(&mut Door)) {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        change(doors.entry(name.to_owned()).or_default());
        self.changed.notify_all();
    }

    fn wait_until(&self, name: &str, holds: impl Fn(&Door) -> bool) {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(doors, PATIENCE, |doors| !doors.get(name).is_some_and(&holds))
            .unwrap_or_else(PoisonError::into_inner);
        let timed_out = waited.1.timed_out();
        drop(waited);
        assert!(!timed_out, "nobody came to gate `{name}`");
    }
}
