//! Whether both sides of a link can run at the same time: looking for data before sleeping only pays
//! if they can.

use rustix::thread::{CpuSet, sched_getaffinity};

/// The CPUs this thread may run on: bit `n mod 64` for CPU `n`. 0 if the system does not tell.
pub(crate) fn own() -> u64 {
    let Ok(set) = sched_getaffinity(None) else { return 0 };
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).fold(0, |bits, cpu| bits | 1 << (cpu % 64))
}

/// How many CPUs this side and a peer that named `theirs` have together. What the peer says is a
/// hint: a lie makes this side look in vain for the length of its budget, or sleep too early.
pub(crate) fn shared_with(theirs: u64) -> usize {
    let mine = own();
    // Counts CPUs and the control group's quota.
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    count(mine, theirs, allowed)
}

fn count(mine: u64, theirs: u64, allowed: usize) -> usize {
    let cpus_of = |bits: u64| usize::try_from(bits.count_ones()).unwrap_or(1);
    if mine == 0 || allowed < cpus_of(mine) {
        // A quota is shared with the peer, as far as anybody here can know.
        return allowed;
    }
    cpus_of(mine | theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_on_two_cpus_have_two_although_each_may_use_one() {
        assert_eq!(count(0b01, 0b10, 1), 2);
        assert_eq!(count(0b01, 0b01, 1), 1);
        assert_eq!(count(0b11, 0b01, 2), 2);
    }

    #[test]
    fn a_quota_counts_more_than_the_cpus() {
        assert_eq!(count(0b1111, 0b1111, 1), 1);
        assert_eq!(count(0b1111, 0, 3), 3);
    }

    #[test]
    fn a_peer_that_says_nothing_leaves_our_own() {
        assert_eq!(count(0b11, 0, 2), 2);
        assert_eq!(count(0, 0b11, 2), 2);
    }

    #[test]
    fn this_thread_may_run_somewhere() {
        assert_ne!(own(), 0);
        assert!(shared_with(0) >= 1);
    }
}
