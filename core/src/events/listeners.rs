//! Who listens here.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use super::queue::{Queue, Work};
use super::{Callback, Event, EventTarget, ListenOptions, ListenerCounts, ListenerId, Overflow};
use crate::error::ConfigError;
use crate::limits::{NameMap, check_event_name};

struct Listener {
    id: ListenerId,
    target: EventTarget,
    once: bool,
    active: AtomicBool,
    runs: Runs,
}

enum Runs {
    /// On the thread that delivers.
    Here(Box<Callback>, Option<ListenerCounts>),
    /// On a thread of its own.
    Queued(Arc<Queue>),
}

impl Listener {
    fn hear(&self, event: Event<'_>) {
        match &self.runs {
            Runs::Here(callback, counts) => {
                // A panic goes to the panic hook and is the listener's own loss.
                let _ = catch_unwind(AssertUnwindSafe(|| callback(event.heard_by(self.id))));
                if let Some(counts) = counts {
                    counts.count_delivered();
                }
            }
            Runs::Queued(queue) => queue.push(&event),
        }
    }
}

/// The listeners of one name. A slice behind a counter, so that delivery holds no lock.
type Group = Arc<[Arc<Listener>]>;

/// The listeners of the last event of one connection: events of one name come in runs.
pub struct LastEvent {
    name: Box<str>,
    /// Weak: a listener that is removed goes at once, and what it holds with it.
    listeners: Weak<[Arc<Listener>]>,
    changes: u64,
}

impl Default for LastEvent {
    fn default() -> Self {
        let none: Group = Arc::default();
        Self { name: Box::default(), listeners: Arc::downgrade(&none), changes: 0 }
    }
}

impl fmt::Debug for LastEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LastEvent").field(&self.name).finish()
    }
}

/// All listeners of one place.
///
/// A listener may listen and unlisten inside its callback: callbacks run without any lock held.
#[derive(Default)]
pub struct Listeners {
    last_id: AtomicU64,
    by_name: RwLock<NameMap<Box<str>, Group>>,
    /// Counts the changes of `by_name`.
    changes: AtomicU64,
}

impl Listeners {
    /// Adds a listener. `own` is as what it listens if the options do not say; `spawn` has work done
    /// on another thread, for listeners with a queue.
    ///
    /// # Errors
    ///
    /// [`ConfigError::EventName`], [`ConfigError::Label`] or [`ConfigError::Limit`].
    pub fn add(
        &self,
        name: &str,
        options: ListenOptions,
        own: &EventTarget,
        spawn: fn(Work),
        callback: impl Fn(Event<'_>) + Send + Sync + 'static,
    ) -> Result<ListenerId, ConfigError> {
        check_event_name(name)?;
        options.check()?;
        // Relaxed: only uniqueness matters. 0 is nobody's.
        let id = ListenerId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        let target = options.target_or(own);
        let ListenOptions { once, overflow, capacity, counts, .. } = options;
        let runs = if overflow == Overflow::Block {
            Runs::Here(Box::new(callback), counts)
        } else {
            Runs::Queued(Arc::new(Queue {
                name: name.into(),
                id,
                overflow,
                capacity,
                counts: counts.unwrap_or_default(),
                callback: Box::new(callback),
                spawn,
                state: Mutex::default(),
            }))
        };
        let active = AtomicBool::new(true);
        let listener = Arc::new(Listener { id, target, once, active, runs });
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let known = by_name.get(name).cloned().unwrap_or_default();
        by_name.insert(name.into(), known.iter().cloned().chain([listener]).collect());
        self.changed();
        Ok(id)
    }

    /// Removes a listener, and drops the events that wait for it; unknown ids are ignored. To what
    /// it listened, and as what.
    pub fn remove(&self, id: ListenerId) -> Option<(Box<str>, EventTarget)> {
        let (name, listener) = self.take(id)?;
        if let Runs::Queued(queue) = &listener.runs {
            queue.remove();
        }
        Some((name, listener.target.clone()))
    }

    fn take(&self, id: ListenerId) -> Option<(Box<str>, Arc<Listener>)> {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let has_id = |listener: &Arc<Listener>| listener.id == id;
        let (name, listener, known) = by_name.iter().find_map(|(name, known)| {
            known.iter().find(|l| has_id(l)).map(|found| (name.clone(), Arc::clone(found), known))
        })?;
        // Relaxed: the lock orders it for later events; an event being delivered on another thread
        // at this moment may still arrive.
        listener.active.store(false, Ordering::Relaxed);
        let left: Group = known.iter().filter(|l| !has_id(l)).cloned().collect();
        if left.is_empty() {
            by_name.remove(&name);
        } else {
            by_name.insert(name.clone(), left);
        }
        self.changed();
        Some((name, listener))
    }

    /// Removes every listener: nothing more will come. What waits for them is still delivered.
    pub fn clear(&self) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let all = std::mem::take(&mut *by_name);
        self.changed();
        // What the listeners hold may be the last of something that comes back here.
        drop(by_name);
        drop(all);
    }

    fn changed(&self) {
        // PAIRS WITH the acquire in `deliver`: whoever reads the count finds the change in the map.
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Calls every listener of the event's name that it is for, in the order in which they were
    /// added. The targets of those that were a `once` and are gone now: the peers may have to be
    /// told.
    ///
    /// A listener that panics is its own loss: its text goes to the panic hook, the others are
    /// called.
    pub fn deliver(&self, event: Event<'_>, last: &mut LastEvent) -> Vec<EventTarget> {
        // PAIRS WITH the release in `changed`. Read before the map: a change in between is then
        // looked up once more next time.
        let changes = self.changes.load(Ordering::Acquire);
        let known = if last.changes == changes && *last.name == *event.name {
            last.listeners.upgrade()
        } else {
            None
        };
        let listeners = known.unwrap_or_else(|| {
            let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
            let found = by_name.get(event.name).cloned().unwrap_or_default();
            drop(by_name);
            if *last.name != *event.name {
                last.name = event.name.into();
            }
            (last.listeners, last.changes) = (Arc::downgrade(&found), changes);
            found
        });
        let mut removed = Vec::new();
        for listener in listeners.iter().filter(|listener| event.is_for(&listener.target)) {
            // The swap decides a race between two threads that deliver a `once`. Relaxed: nothing
            // else is published by it.
            let active = if listener.once {
                listener.active.swap(false, Ordering::Relaxed)
            } else {
                listener.active.load(Ordering::Relaxed)
            };
            if !active {
                continue;
            }
            if listener.once {
                self.take(listener.id);
                removed.push(listener.target.clone());
            }
            listener.hear(event);
        }
        removed
    }

    /// Whether anybody listens to this event as this.
    #[must_use]
    pub fn has(&self, name: &str, target: &EventTarget) -> bool {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get(name).is_some_and(|known| known.iter().any(|l| l.target == *target))
    }

    /// To what somebody listens, and as what, without doubles.
    #[must_use]
    pub fn all(&self) -> Vec<(String, EventTarget)> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for (name, known) in by_name.iter() {
            let first = all.len();
            for listener in known.iter() {
                if !all[first..].iter().any(|(_, target)| *target == listener.target) {
                    all.push((name.to_string(), listener.target.clone()));
                }
            }
        }
        all
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listeners").field(&self.all()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::super::queue::tests::{CutOff, peer};
    use super::*;
    use crate::codec::AnyCodec;
    use crate::envelope::BodyKind;

    fn deliver(listeners: &Listeners) -> Vec<EventTarget> {
        let peer = peer(&Arc::<CutOff>::default());
        let event = Event::new("tick", BodyKind::Empty, b"", AnyCodec::JSON, &peer);
        listeners.deliver(event, &mut LastEvent::default())
    }

    #[test]
    fn once_fires_once_under_race() {
        for overflow in [Overflow::Block, Overflow::DropOldest] {
            for _ in 0..200 {
                let (listeners, counts) = (Listeners::default(), ListenerCounts::new());
                let options = ListenOptions::new().once().overflow(overflow).counts(&counts);
                let here = |work: Work| work();
                listeners.add("tick", options, &EventTarget::App, here, |_| {}).expect("a name");
                let together = Barrier::new(3);
                let race = || {
                    together.wait();
                    deliver(&listeners).len()
                };
                let told: usize = thread::scope(|scope| {
                    let racing = [(); 3].map(|()| scope.spawn(race));
                    racing.into_iter().map(|one| one.join().expect("no panic")).sum()
                });
                assert_eq!((told, counts.delivered()), (1, 1));
                assert!(listeners.all().is_empty());
            }
        }
    }

    #[test]
    fn what_is_listened_to_is_told_without_doubles() {
        let listeners = Listeners::default();
        let add = |name: &str, options| {
            listeners.add(name, options, &EventTarget::App, |_| {}, |_| {}).expect("a name")
        };
        let any = ListenOptions::new().target(EventTarget::Any);
        let ids = [
            add("tick", ListenOptions::new()),
            add("tick", any.clone()),
            add("tick", any.clone()),
            add("tock", any),
        ];
        let mut all = listeners.all();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let pair = |name: &str, target| (name.to_owned(), target);
        let (app, any) = (EventTarget::App, EventTarget::Any);
        let expected =
            [pair("tick", app.clone()), pair("tick", any.clone()), pair("tock", any.clone())];
        assert_eq!(all, expected);
        assert_eq!(listeners.remove(ids[1]), Some(("tick".into(), any.clone())));
        assert!(listeners.has("tick", &any) && listeners.has("tick", &app));
        listeners.remove(ids[2]);
        assert!(!listeners.has("tick", &any) && listeners.has("tock", &any));
        assert_eq!(listeners.remove(ids[2]), None);
        listeners.clear();
        assert!(listeners.all().is_empty());
    }
}
