//! The floor under every latency: one cache line that two processes write in turn.
//!
//! For measuring only. The ring, the handshake and the end of a link never look at these words.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::link::Link;

/// How long one turn may take before it is given up. A choice: far above any scheduler's slice.
const PATIENCE: Duration = Duration::from_secs(5);

/// A cache line each way between the two processes of a link, from
/// [`ShmTransport::probe`](crate::ShmTransport::probe).
///
/// One side calls [`ping`](Self::ping), the other [`pong`](Self::pong) with the same values, each of
/// them different from the one before.
pub struct Probe {
    link: Arc<Link>,
    yield_after: u32,
}

impl Probe {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link, yield_after: 1 << 12 }
    }

    /// After how many looks in vain this side lets another thread have its CPU; 4096 by default,
    /// some microseconds. With both sides on one CPU it should be few.
    #[must_use]
    pub fn yielding_after(mut self, looks: u32) -> Self {
        self.yield_after = looks.max(1);
        self
    }

    /// Writes `value` and waits until the peer has written it, too. False if the link is over or
    /// nothing came within five seconds.
    #[inline]
    pub fn ping(&self, value: u64) -> bool {
        self.link.store_probe(value);
        self.link.peer_probe() == value || self.wait(value)
    }

    /// Waits until the peer has written `value`, then writes it, too. False as in
    /// [`ping`](Self::ping).
    #[inline]
    pub fn pong(&self, value: u64) -> bool {
        let came = self.link.peer_probe() == value || self.wait(value);
        if came {
            self.link.store_probe(value);
        }
        came
    }

    #[inline]
    fn wait(&self, value: u64) -> bool {
        let mut since = None;
        loop {
            // No PAUSE between the looks: the plain exchange, as others measure it.
            for _ in 0..self.yield_after {
                if self.link.peer_probe() == value {
                    return true;
                }
            }
            let since = *since.get_or_insert_with(Instant::now);
            if self.link.is_over() || since.elapsed() > PATIENCE {
                return false;
            }
            rustix::thread::sched_yield();
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("yield_after", &self.yield_after).finish_non_exhaustive()
    }
}
