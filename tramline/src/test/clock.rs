//! A time that stands still until a test moves it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::link::Link;

/// As far as a clock can be moved, 136 years: every system's instants reach further.
const FURTHEST: Duration = Duration::from_secs(u32::MAX as u64);

/// The time of a [`Pair`](super::Pair). It stands still until [`advance`](Self::advance) moves it.
///
/// Clones are the same clock. A command asks for it as `State<'_, Clock>`: moving it is how a test's
/// command takes ten seconds.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    start: Instant,
    moved: Mutex<Moved>,
}

#[derive(Default)]
struct Moved {
    elapsed: Duration,
    links: Vec<Weak<Link>>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner { start: Instant::now(), moved: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Moved> {
        // Nothing inside can be left half done.
        self.0.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the clock on and wakes everybody who waits for a time that has now come. Returns at once:
    /// calls whose deadline has passed end a moment later, on their own threads.
    ///
    /// A call that is made after this has its whole time before it.
    pub fn advance(&self, by: Duration) {
        let links: Vec<_> = {
            let mut moved = self.lock();
            moved.elapsed = moved.elapsed.saturating_add(by).min(FURTHEST);
            moved.links.retain(|link| link.strong_count() > 0);
            moved.links.iter().filter_map(Weak::upgrade).collect()
        };
        // Without the lock: whoever wakes looks at the clock.
        links.iter().for_each(|link| link.time_has_moved());
    }

    /// How far it was moved so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.lock().elapsed
    }

    pub(crate) fn now(&self) -> Instant {
        let Inner { start, .. } = *self.0;
        start.checked_add(self.elapsed()).unwrap_or(start)
    }

    pub(crate) fn wakes(&self, link: &Arc<Link>) {
        self.lock().links.push(Arc::downgrade(link));
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.elapsed()).finish()
    }
}
