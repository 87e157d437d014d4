//! By which time a connection goes: the system's, or one that a test moves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::link::Link;

/// The time of one connection. Without the feature `test-kit` this is nothing but the system's clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Time {
    #[cfg(feature = "test-kit")]
    clock: Option<crate::test::Clock>,
}

impl Time {
    /// The system's clock.
    pub(crate) const SYSTEM: Self = Self {
        #[cfg(feature = "test-kit")]
        clock: None,
    };

    /// A clock that a test moves.
    #[cfg(feature = "test-kit")]
    pub(crate) fn of(clock: crate::test::Clock) -> Self {
        Self { clock: Some(clock) }
    }

    #[inline]
    pub(crate) fn now(&self) -> Instant {
        #[cfg(feature = "test-kit")]
        if let Some(clock) = &self.clock {
            return clock.now();
        }
        Instant::now()
    }

    /// How long to sleep for a time that is `left` away. Nobody need look at a test's clock before it
    /// is moved, and whoever moves it wakes all sleepers: then it is without limit.
    #[inline]
    pub(crate) fn sleep(&self, left: Duration) -> Option<Duration> {
        #[cfg(feature = "test-kit")]
        if self.clock.is_some() {
            return None;
        }
        Some(left)
    }

    /// The link's sleepers are woken whenever the clock is moved.
    pub(crate) fn wakes(&self, link: &Arc<Link>) {
        #[cfg(feature = "test-kit")]
        if let Some(clock) = &self.clock {
            clock.wakes(link);
        }
        #[cfg(not(feature = "test-kit"))]
        let _ = link;
    }
}
