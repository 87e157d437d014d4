//! What the peer listens to, and as what: decides at the sender who is reached.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::EventTarget;
use crate::limits::{MAX_SUBSCRIPTIONS, MAX_TARGETS, NameMap};

/// Whoever listens to an event, without doubles.
pub type Targets = Arc<[EventTarget]>;

/// The event names one peer has subscribed to, each with the targets as which it listens. Bounded:
/// [`MAX_SUBSCRIPTIONS`] pairs, [`MAX_TARGETS`] of one name.
pub struct Subscriptions {
    own: EventTarget,
    pairs: RwLock<Pairs>,
}

#[derive(Default)]
struct Pairs {
    by_name: NameMap<Box<str>, Targets>,
    count: usize,
}

/// One subscription too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// Of one connection.
    #[error("{MAX_SUBSCRIPTIONS} subscriptions are the limit")]
    Subscriptions,
    /// Of one event.
    #[error("{MAX_TARGETS} targets of one event are the limit")]
    Targets,
}

impl Subscriptions {
    /// None yet. `own` is what the peer listens as where it says nothing.
    #[must_use]
    pub fn new(own: EventTarget) -> Self {
        Self { own, pairs: RwLock::default() }
    }

    /// Adds a subscription; one that is there already is no other.
    ///
    /// # Errors
    ///
    /// There are as many as there may be.
    pub fn add(&self, event: &str, target: Option<EventTarget>) -> Result<(), SubscribeError> {
        self.add_if(event, target, || true).map(drop)
    }

    /// The same if `may` says so, which is asked while nobody can change anything. Whether it did.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_if(
        &self,
        event: &str,
        target: Option<EventTarget>,
        may: impl FnOnce() -> bool,
    ) -> Result<bool, SubscribeError> {
        let target = target.unwrap_or_else(|| self.own.clone());
        let mut pairs = self.pairs.write().unwrap_or_else(PoisonError::into_inner);
        if !may() {
            return Ok(false);
        }
        let Pairs { by_name, count } = &mut *pairs;
        let known = by_name.get(event).map_or(&[][..], |known| known);
        if known.contains(&target) {
            return Ok(true);
        }
        if *count >= MAX_SUBSCRIPTIONS {
            return Err(SubscribeError::Subscriptions);
        }
        if known.len() >= MAX_TARGETS {
            return Err(SubscribeError::Targets);
        }
        let all = known.iter().cloned().chain([target]).collect();
        by_name.insert(event.into(), all);
        *count += 1;
        Ok(true)
    }

    /// Forgets the subscriptions to events of which `may` says no.
    pub fn retain(&self, may: impl Fn(&str) -> bool) {
        let mut pairs = self.pairs.write().unwrap_or_else(PoisonError::into_inner);
        let Pairs { by_name, count } = &mut *pairs;
        by_name.retain(|event, _| may(event));
        *count = by_name.values().map(|targets| targets.len()).sum();
    }

    /// Takes a subscription back, if there is one.
    pub fn remove(&self, event: &str, target: Option<EventTarget>) {
        let target = target.as_ref().unwrap_or(&self.own);
        let mut pairs = self.pairs.write().unwrap_or_else(PoisonError::into_inner);
        let Pairs { by_name, count } = &mut *pairs;
        let Some(known) = by_name.get_mut(event).filter(|known| known.contains(target)) else {
            return;
        };
        *count -= 1;
        if known.len() == 1 {
            by_name.remove(event);
        } else {
            *known = known.iter().filter(|one| *one != target).cloned().collect();
        }
    }

    /// Whether the peer listens to this event, as whatever.
    #[must_use]
    pub fn has(&self, event: &str) -> bool {
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        pairs.by_name.contains_key(event)
    }

    /// As what the peer listens to this event, in the order in which it said so.
    #[must_use]
    pub fn targets(&self, event: &str) -> Targets {
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        pairs.by_name.get(event).cloned().unwrap_or_default()
    }
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Subscriptions")
            .field("own", &self.own)
            .field("count", &pairs.count)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(number: usize) -> Option<EventTarget> {
        Some(EventTarget::window(number.to_string()))
    }

    #[test]
    fn a_subscription_is_a_name_and_a_target() {
        let all = Subscriptions::new(EventTarget::peer("me"));
        all.add("tick", None).expect("room");
        all.add("tick", Some(EventTarget::peer("me"))).expect("the same");
        all.add("tick", window(1)).expect("room");
        assert_eq!(*all.targets("tick"), [EventTarget::peer("me"), EventTarget::window("1")]);
        all.remove("tick", window(2));
        all.remove("tock", None);
        all.remove("tick", None);
        all.remove("tick", None);
        assert!(all.has("tick") && !all.has("tock"));
        all.remove("tick", window(1));
        assert!(!all.has("tick") && all.targets("tick").is_empty());
        assert_eq!(all.pairs.into_inner().expect("not poisoned").count, 0);
    }

    #[test]
    fn what_may_not_be_heard_is_not_added_and_is_forgotten() {
        let all = Subscriptions::new(EventTarget::App);
        assert_eq!(all.add_if("tick", None, || false), Ok(false));
        assert!(!all.has("tick"));
        for (event, target) in [("tick", None), ("tick", window(1)), ("tock", None)] {
            assert_eq!(all.add_if(event, target, || true), Ok(true));
        }
        all.retain(|event| event == "tock");
        assert!(!all.has("tick") && all.has("tock"));
        assert_eq!(all.pairs.into_inner().expect("not poisoned").count, 1);
    }

    #[test]
    fn subscriptions_have_bounds() {
        let all = Subscriptions::new(EventTarget::App);
        (0..MAX_TARGETS).for_each(|number| all.add("tick", window(number)).expect("room"));
        assert_eq!(all.add("tick", None), Err(SubscribeError::Targets));
        assert_eq!(all.add("tick", window(0)), Ok(()), "it is there already");
        for number in MAX_TARGETS..MAX_SUBSCRIPTIONS {
            all.add(&number.to_string(), None).expect("room");
        }
        assert_eq!(all.add("other", None), Err(SubscribeError::Subscriptions));
        all.remove("tick", window(0));
        assert_eq!(all.add("other", None), Ok(()));
    }
}
