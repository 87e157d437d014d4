//! Counting numbered events.

use std::sync::{Condvar, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::PATIENCE;

/// What came.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub count: u64,
    /// How many did not bear the number after their predecessor's.
    pub out_of_order: u64,
    /// The number expected next.
    pub next: u64,
}

/// Events that have to be numbered 0, 1, 2 and so on.
#[derive(Debug, Default)]
pub struct Tally {
    count: Mutex<Count>,
    changed: Condvar,
}

impl Tally {
    /// One has come.
    pub fn add(&self, number: u64) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.count += 1;
        count.out_of_order += u64::from(number != count.next);
        count.next = number + 1;
        self.changed.notify_all();
    }

    /// What has come so far.
    #[must_use]
    pub fn now(&self) -> Count {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until at least `count` have come, but no longer than [`PATIENCE`]: what has come then.
    #[must_use]
    pub fn wait(&self, count: u64) -> Count {
        let now = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *self
            .changed
            .wait_timeout_while(now, PATIENCE, |now| now.count < count)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// Asserts that exactly the numbers `0..count` come, once and in order.
    ///
    /// # Panics
    ///
    /// If they do not.
    pub fn expect(&self, count: u64) {
        let expected = Count { count, out_of_order: 0, next: count };
        assert_eq!(self.wait(count), expected);
    }
}
