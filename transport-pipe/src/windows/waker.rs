//! Waking one thread.

use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::wake::lock;

/// Something to sleep on: set until it is cleared.
#[derive(Debug, Default)]
pub(crate) struct Waker {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Waker {
    /// Cannot fail, as it can on Unix.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self::default())
    }

    pub(crate) fn set(&self) {
        *lock(&self.is_set) = true;
        self.changed.notify_all();
    }

    pub(crate) fn clear(&self) {
        *lock(&self.is_set) = false;
    }

    /// Sleeps until it is set, for at most `timeout`. May return for no reason.
    pub(super) fn sleep(&self, timeout: Option<Duration>) {
        let is_set = lock(&self.is_set);
        if *is_set {
            return;
        }
        match timeout {
            Some(timeout) => drop(
                self.changed.wait_timeout(is_set, timeout).unwrap_or_else(PoisonError::into_inner),
            ),
            None => drop(self.changed.wait(is_set).unwrap_or_else(PoisonError::into_inner)),
        }
    }
}
