//! How a call was answered, for those who stand around its command.

use std::sync::{Mutex, PoisonError};

/// Learns how one call is answered.
#[derive(Debug, Default)]
pub struct Watch(Mutex<Option<&'static str>>);

impl Watch {
    pub(super) fn note(&self, code: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
    }

    /// The code of the answer, empty for a result; `None` if there is no answer yet.
    #[must_use]
    pub fn answer(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
