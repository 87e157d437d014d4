//! How long a reader looks for data before it sleeps: learned from what happened before.
//!
//! Spinning must be earned. It pays when data comes within the budget; with both sides on one CPU
//! it only takes the time the other side needs.

use tramline_core::transport::WaitMode;

/// Where a link starts, in nanoseconds. A choice: most replies of a running peer come within it.
const START_NS: u32 = 20_000;
/// Upper end, in nanoseconds. A choice: twice what a sleep and its wake cost across cores.
const MAX_NS: u32 = 50_000;
/// What the budget grows from after it has fallen to nothing, in nanoseconds.
const RESTART_NS: u32 = 5_000;
/// Below this it is not worth reading the clock.
const LEAST_NS: u32 = 1_000;
/// What a sleep and its wake cost, in nanoseconds. Measured across cores of a virtual machine.
const WAKE_COST_NS: u64 = 50_000;

/// The budget of [`WaitMode::LowLatency`], in nanoseconds. A choice: pauses of a busy peer are
/// shorter; a CPU that is busy for this long after the last message is a small price.
const LOW_LATENCY_NS: u32 = 2_000_000;

/// The budget of one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Budget {
    now_ns: u32,
    vain_parks: u8,
    spun_in_vain: bool,
    allowed: bool,
    mode: WaitMode,
}

impl Budget {
    /// A fresh budget on a machine where this process may use `cpus` CPUs.
    pub(crate) fn new(cpus: usize) -> Self {
        let allowed = cpus > 1;
        Self {
            now_ns: if allowed { START_NS } else { 0 },
            vain_parks: 0,
            spun_in_vain: false,
            allowed,
            mode: WaitMode::Balanced,
        }
    }

    /// Begins anew in another mode.
    pub(crate) fn set_mode(&mut self, mode: WaitMode) {
        self.mode = mode;
        self.now_ns = match mode {
            _ if !self.allowed => 0,
            WaitMode::LowLatency => LOW_LATENCY_NS,
            WaitMode::Idle => 0,
            _ => START_NS,
        };
    }

    /// How long to look now, in nanoseconds.
    pub(crate) fn spin_ns(&self) -> u32 {
        self.now_ns
    }

    /// Data came while looking.
    #[inline]
    pub(crate) fn found_in_time(&mut self) {
        self.grow(LEAST_NS);
    }

    /// The whole budget went by without data.
    pub(crate) fn spun_in_vain(&mut self) {
        self.spun_in_vain = true;
    }

    /// A sleep ended after `waited_ns`.
    pub(crate) fn parked(&mut self, waited_ns: u64) {
        let spun_in_vain = std::mem::take(&mut self.spun_in_vain);
        if self.mode != WaitMode::Balanced {
            return;
        }
        if waited_ns < 2 * WAKE_COST_NS {
            // Most of that wait was the wake itself: looking a little longer would have won.
            self.grow(RESTART_NS);
        } else if spun_in_vain {
            self.vain_parks += 1;
            if self.vain_parks >= 2 {
                self.vain_parks = 0;
                self.now_ns = if self.now_ns / 2 < LEAST_NS { 0 } else { self.now_ns / 2 };
            }
        }
    }

    #[inline]
    fn grow(&mut self, at_least_ns: u32) {
        self.vain_parks = 0;
        self.spun_in_vain = false;
        if self.allowed && self.mode == WaitMode::Balanced {
            self.now_ns = (self.now_ns + self.now_ns / 2).clamp(at_least_ns, MAX_NS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_is_zero_on_one_cpu_and_stays_zero() {
        let mut budget = Budget::new(1);
        budget.found_in_time();
        budget.parked(1);
        assert_eq!(budget.spin_ns(), 0);
    }

    #[test]
    fn low_latency_and_idle_are_not_learned() {
        let mut budget = Budget::new(2);
        for (mode, ns) in [(WaitMode::LowLatency, LOW_LATENCY_NS), (WaitMode::Idle, 0)] {
            budget.set_mode(mode);
            (0..5).for_each(|_| budget.found_in_time());
            (0..5).for_each(|_| {
                budget.spun_in_vain();
                budget.parked(10_000_000);
            });
            budget.parked(1);
            assert_eq!(budget.spin_ns(), ns);
        }
        let mut single = Budget::new(1);
        single.set_mode(WaitMode::LowLatency);
        assert_eq!(single.spin_ns(), 0);
    }

    #[test]
    fn budget_grows_while_data_comes_in_time_up_to_its_cap() {
        let mut budget = Budget::new(2);
        assert_eq!(budget.spin_ns(), START_NS);
        budget.found_in_time();
        assert_eq!(budget.spin_ns(), 30_000);
        (0..10).for_each(|_| budget.found_in_time());
        assert_eq!(budget.spin_ns(), MAX_NS);
    }

    #[test]
    fn budget_halves_after_two_parks_that_followed_a_full_spin_down_to_nothing() {
        let mut budget = Budget::new(2);
        let in_vain = |budget: &mut Budget| {
            budget.spun_in_vain();
            budget.parked(10_000_000);
        };
        in_vain(&mut budget);
        assert_eq!(budget.spin_ns(), START_NS);
        in_vain(&mut budget);
        assert_eq!(budget.spin_ns(), START_NS / 2);
        (0..20).for_each(|_| in_vain(&mut budget));
        assert_eq!(budget.spin_ns(), 0);
    }

    #[test]
    fn budget_returns_after_a_sleep_that_was_too_short_to_pay() {
        let mut budget = Budget { now_ns: 0, ..Budget::new(2) };
        budget.parked(2 * WAKE_COST_NS);
        assert_eq!(budget.spin_ns(), 0);
        budget.parked(WAKE_COST_NS);
        assert_eq!(budget.spin_ns(), RESTART_NS);
    }
}
