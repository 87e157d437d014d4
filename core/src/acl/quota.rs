//! Quotas: how much one peer may ask for. No clock here: whoever charges brings the time.

use std::time::{Duration, Instant};

/// So many, within such a time.
///
/// A peer that was quiet for that time may use all of it at once; on average it gets no more than
/// the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u64,
    per: Duration,
}

impl Rate {
    /// `count` within `per`. A count of 0 is nothing at all.
    #[must_use]
    pub fn new(count: u64, per: Duration) -> Self {
        Self { count, per }
    }

    /// `count` per second.
    #[must_use]
    pub fn per_second(count: u64) -> Self {
        Self::new(count, Duration::from_secs(1))
    }
}

/// What one peer may ask for. No limit, unless it is said here.
///
/// A request, a subscription or an event over the quota is refused with the code `over-quota`, or
/// dropped if it is an event, and counted ([`Peer::refusals`](crate::peer::Peer::refusals)); the
/// connection lives. This is apart from [`Limits`](crate::Limits), beyond which a connection is read
/// no further.
///
/// # Examples
///
/// ```
/// use tramline_core::acl::{Quota, Rate};
///
/// let quota = Quota::none()
///     .calls_in_flight(8)
///     .messages(Rate::per_second(1000))
///     .bytes(Rate::per_second(10 << 20));
/// # let _ = quota;
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    pub(crate) calls_in_flight: Option<usize>,
    messages: Option<Rate>,
    bytes: Option<Rate>,
}

impl Quota {
    /// No limit.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Commands that may run at the same time, inline ones apart: those never do.
    #[must_use]
    pub fn calls_in_flight(mut self, count: usize) -> Self {
        self.calls_in_flight = Some(count);
        self
    }

    /// Messages that may come.
    #[must_use]
    pub fn messages(mut self, rate: Rate) -> Self {
        self.messages = Some(rate);
        self
    }

    /// Bytes that may come, names and headers included. A message larger than what is left still
    /// passes if at least one byte is left, and is then paid off.
    #[must_use]
    pub fn bytes(mut self, rate: Rate) -> Self {
        self.bytes = Some(rate);
        self
    }
}

/// Which quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverQuota {
    /// [`Quota::calls_in_flight`].
    #[error("calls in flight")]
    CallsInFlight,
    /// [`Quota::messages`].
    #[error("messages")]
    Messages,
    /// [`Quota::bytes`].
    #[error("bytes")]
    Bytes,
}

/// What one connection has used of its rates.
#[derive(Debug)]
pub struct Meter {
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl Meter {
    /// A meter that has used nothing; `None` if the quota has no rates, so that nobody need look at
    /// a clock.
    #[must_use]
    pub fn new(quota: &Quota) -> Option<Self> {
        if quota.messages.is_none() && quota.bytes.is_none() {
            return None;
        }
        let bucket = |rate: Rate| Bucket { rate, debt: 0, at: None };
        Some(Self { messages: quota.messages.map(bucket), bytes: quota.bytes.map(bucket) })
    }

    /// Charges one message of `len` bytes.
    ///
    /// # Errors
    ///
    /// The quota that is used up; then nothing was charged.
    pub fn charge(&mut self, now: Instant, len: usize) -> Result<(), OverQuota> {
        if self.messages.as_mut().is_some_and(|bucket| bucket.is_empty(now)) {
            return Err(OverQuota::Messages);
        }
        if self.bytes.as_mut().is_some_and(|bucket| bucket.is_empty(now)) {
            return Err(OverQuota::Bytes);
        }
        self.take(len);
        Ok(())
    }

    /// Charges one message that cannot be refused.
    pub fn charge_anyway(&mut self, now: Instant, len: usize) {
        for bucket in [&mut self.messages, &mut self.bytes].into_iter().flatten() {
            bucket.is_empty(now);
        }
        self.take(len);
    }

    /// Whether nothing is used any more: as good as a new meter.
    pub fn is_full(&mut self, now: Instant) -> bool {
        [&mut self.messages, &mut self.bytes].into_iter().flatten().all(|bucket| {
            bucket.is_empty(now);
            bucket.debt == 0
        })
    }

    fn take(&mut self, len: usize) {
        if let Some(bucket) = &mut self.messages {
            bucket.take(1);
        }
        if let Some(bucket) = &mut self.bytes {
            bucket.take(len as u64);
        }
    }
}

/// A token bucket, by its debt: full at 0, empty at `count` times `per`. One token is `per` long,
/// and each nanosecond pays `count`, so nothing is ever rounded.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    debt: u128,
    /// When time last paid.
    at: Option<Instant>,
}

impl Bucket {
    /// Lets time pay, then says whether not even one token is left.
    fn is_empty(&mut self, now: Instant) -> bool {
        let since = self.at.replace(now).unwrap_or(now);
        let paid = now.saturating_duration_since(since).as_nanos();
        self.debt = self.debt.saturating_sub(paid.saturating_mul(self.rate.count.into()));
        let (one, count) = (self.rate.per.as_nanos(), u128::from(self.rate.count));
        self.debt.saturating_add(one) > one.saturating_mul(count)
    }

    fn take(&mut self, tokens: u64) {
        let cost = self.rate.per.as_nanos().saturating_mul(tokens.into());
        self.debt = self.debt.saturating_add(cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(quota: Quota) -> (Meter, Instant) {
        (Meter::new(&quota).expect("a rate"), Instant::now())
    }

    #[test]
    fn a_quota_without_rates_needs_no_clock() {
        let quota = Quota::none().calls_in_flight(3);
        assert!(Meter::new(&quota).is_none());
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let (mut meter, start) = meter(Quota::none().messages(Rate::per_second(3)));
        for _ in 0..3 {
            assert_eq!(meter.charge(start, 10), Ok(()));
        }
        assert_eq!(meter.charge(start, 10), Err(OverQuota::Messages));
        let sooner = start + Duration::from_nanos(333_333_333);
        assert_eq!(meter.charge(sooner, 10), Err(OverQuota::Messages), "not a whole one yet");
        let third = start + Duration::from_nanos(333_333_334);
        assert_eq!(meter.charge(third, 10), Ok(()));
        assert_eq!(meter.charge(third, 10), Err(OverQuota::Messages));
        let later = start + Duration::from_secs(60);
        for _ in 0..3 {
            assert_eq!(meter.charge(later, 10), Ok(()), "no more than a burst is saved up");
        }
        assert_eq!(meter.charge(later, 10), Err(OverQuota::Messages));
    }

    #[test]
    fn a_large_message_passes_once_and_is_paid_off() {
        let (mut meter, start) = meter(Quota::none().bytes(Rate::per_second(100)));
        assert_eq!(meter.charge(start, 1000), Ok(()));
        assert_eq!(meter.charge(start, 1), Err(OverQuota::Bytes));
        assert_eq!(meter.charge(start + Duration::from_secs(9), 1), Err(OverQuota::Bytes));
        assert_eq!(meter.charge(start + Duration::from_millis(9010), 1), Ok(()));
    }

    #[test]
    fn what_is_refused_is_not_charged_and_what_cannot_be_refused_is() {
        let quota = Quota::none().messages(Rate::per_second(2)).bytes(Rate::per_second(1));
        let (mut meter, start) = meter(quota);
        assert_eq!(meter.charge(start, 1), Ok(()));
        for _ in 0..100 {
            assert_eq!(meter.charge(start, 1), Err(OverQuota::Bytes));
        }
        let later = start + Duration::from_secs(1);
        assert_eq!(meter.charge(later, 1), Ok(()), "the refused ones cost nothing");
        meter.charge_anyway(later, 1);
        assert_eq!(meter.charge(later + Duration::from_secs(1), 1), Err(OverQuota::Bytes));
    }

    #[test]
    fn extreme_rates_neither_overflow_nor_let_anything_slip() {
        let (mut none, start) = meter(Quota::none().messages(Rate::per_second(0)));
        assert_eq!(none.charge(start, 1), Err(OverQuota::Messages));
        assert_eq!(none.charge(start + Duration::from_secs(1 << 40), 1), Err(OverQuota::Messages));
        let most = Rate::new(u64::MAX, Duration::MAX);
        let (mut most, start) = meter(Quota::none().messages(most).bytes(most));
        for _ in 0..10 {
            assert_eq!(most.charge(start, usize::MAX), Ok(()));
        }
    }
}
