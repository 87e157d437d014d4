//! Connections by the process that made them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tramline_core::PeerIdentity;

/// How many connections each process has. Processes that are not known are not counted.
#[derive(Debug, Default)]
pub(crate) struct Processes(Mutex<HashMap<u32, usize>>);

impl Processes {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one connection more; `None` if its process has `max` already.
    pub(crate) fn count(self: &Arc<Self>, peer: PeerIdentity, max: usize) -> Option<OfProcess> {
        // Linux says 0 for a process that has no id in our namespace.
        let pid = peer.pid.filter(|pid| *pid != 0);
        if let Some(pid) = pid {
            let mut counts = self.lock();
            let count = counts.entry(pid).or_default();
            if *count >= max {
                return None;
            }
            *count += 1;
        }
        Some(OfProcess { processes: Arc::clone(self), pid })
    }
}

/// A counted connection, until this is dropped.
#[derive(Debug)]
pub(crate) struct OfProcess {
    processes: Arc<Processes>,
    pid: Option<u32>,
}

impl Drop for OfProcess {
    fn drop(&mut self) {
        let Some(pid) = self.pid else { return };
        let mut counts = self.processes.lock();
        if let Some(count) = counts.get_mut(&pid) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&pid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32) -> PeerIdentity {
        PeerIdentity::new(None, Some(pid))
    }

    #[test]
    fn each_process_has_a_count_of_its_own_and_none_is_left_behind() {
        let processes = Arc::new(Processes::default());
        let one = processes.count(process(7), 2);
        let two = processes.count(process(7), 2);
        assert!(one.is_some() && two.is_some());
        assert!(processes.count(process(7), 2).is_none());
        let other = processes.count(process(8), 2);
        assert!(other.is_some());
        drop(one);
        let again = processes.count(process(7), 2);
        assert!(again.is_some());
        assert!(processes.count(process(7), 2).is_none());
        drop((two, other, again));
        assert!(processes.lock().is_empty());
    }

    #[test]
    fn processes_that_are_not_known_are_not_counted() {
        let processes = Arc::new(Processes::default());
        for unknown in [PeerIdentity::default(), process(0)] {
            let taken: Vec<_> = (0..3).map(|_| processes.count(unknown, 1)).collect();
            assert!(taken.iter().all(Option::is_some), "{unknown:?}");
        }
        assert!(processes.lock().is_empty());
    }
}
