//! Who listens to what.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use bytes::Bytes;
use serde::Deserialize;

use crate::codec::AnyCodec;
use crate::envelope::BodyKind;
use crate::error::{ConfigError, DecodeError};
use crate::limits::{NameMap, check_event_name};
use crate::peer::Peer;

/// A received event, as a listener sees it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    pub(crate) name: &'a str,
    pub(crate) body_kind: BodyKind,
    pub(crate) body: &'a [u8],
    /// What the body lies in, if it may be kept without a copy.
    pub(crate) owner: Option<&'a Bytes>,
    pub(crate) codec: AnyCodec,
    pub(crate) peer: &'a Peer,
}

impl<'a> Event<'a> {
    /// An event from its parts.
    #[must_use]
    pub fn new(
        name: &'a str,
        body_kind: BodyKind,
        body: &'a [u8],
        codec: AnyCodec,
        peer: &'a Peer,
    ) -> Self {
        Self { name, body_kind, body, owner: None, codec, peer }
    }

    /// The same event, whose body is all of `owner` and may be kept without a copy.
    #[must_use]
    pub fn owned_by(mut self, owner: &'a Bytes) -> Self {
        (self.body, self.owner) = (owner, Some(owner));
        self
    }

    /// The event's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Who emitted it.
    #[must_use]
    pub fn peer(&self) -> &'a Peer {
        self.peer
    }

    /// The payload; it may borrow from the event. An event without payload reads as `null`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the payload is not a `T`, or is raw.
    pub fn payload<T: Deserialize<'a>>(&self) -> Result<T, DecodeError> {
        match self.body_kind {
            BodyKind::Structured => self.codec.decode(self.body),
            BodyKind::Empty => AnyCodec::JSON.decode(b"null"),
            BodyKind::Raw => Err(DecodeError::new("raw", "the event carries raw bytes")),
        }
    }

    /// The payload's bytes as they came.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.body
    }

    /// The payload's bytes, to keep: without a copy if they were handed over.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.owner.map_or_else(|| Bytes::copy_from_slice(self.body), Bytes::clone)
    }

    /// How [`bytes`](Self::bytes) are to be read.
    #[must_use]
    pub fn body_kind(&self) -> BodyKind {
        self.body_kind
    }
}

/// Names one listener, for `unlisten`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

type Callback = dyn Fn(Event<'_>) + Send + Sync;

struct Listener {
    id: ListenerId,
    once: bool,
    active: AtomicBool,
    callback: Box<Callback>,
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
    next_id: AtomicU64,
    by_name: RwLock<NameMap<Box<str>, Group>>,
    /// Counts the changes of `by_name`.
    changes: AtomicU64,
}

impl Listeners {
    /// Adds a listener.
    ///
    /// # Errors
    ///
    /// [`ConfigError::EventName`].
    pub fn add(
        &self,
        name: &str,
        once: bool,
        callback: impl Fn(Event<'_>) + Send + Sync + 'static,
    ) -> Result<ListenerId, ConfigError> {
        check_event_name(name)?;
        // Relaxed: only uniqueness matters.
        let id = ListenerId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let listener = Arc::new(Listener {
            id,
            once,
            active: AtomicBool::new(true),
            callback: Box::new(callback),
        });
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let known = by_name.get(name).cloned().unwrap_or_default();
        by_name.insert(name.into(), known.iter().cloned().chain([listener]).collect());
        self.changed();
        Ok(id)
    }

    /// Removes a listener; unknown ids are ignored. The name it listened to.
    pub fn remove(&self, id: ListenerId) -> Option<Box<str>> {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let (name, known) = by_name.iter().find(|(_, known)| known.iter().any(|l| l.id == id))?;
        let name = name.clone();
        let left: Group = known
            .iter()
            .filter(|l| {
                if l.id == id {
                    // Relaxed: the lock orders it for later events; an event being delivered on
                    // another thread at this moment may still arrive.
                    l.active.store(false, Ordering::Relaxed);
                }
                l.id != id
            })
            .cloned()
            .collect();
        if left.is_empty() {
            by_name.remove(&name);
        } else {
            by_name.insert(name.clone(), left);
        }
        self.changed();
        Some(name)
    }

    fn changed(&self) {
        // PAIRS WITH the acquire in `deliver`: whoever reads the count finds the change in the map.
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Calls every listener of the event's name, in the order in which they were added. True if one
    /// of them was a `once` and is gone now: the peers may have to be told.
    ///
    /// A listener that panics is its own loss: its text goes to the panic hook, the others are
    /// called.
    pub fn deliver(&self, event: Event<'_>, last: &mut LastEvent) -> bool {
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
        let mut removed = false;
        for listener in listeners.iter() {
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
                self.remove(listener.id);
                removed = true;
            }
            let _ = catch_unwind(AssertUnwindSafe(|| (listener.callback)(event)));
        }
        removed
    }

    /// Whether anybody listens to this event.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.contains_key(name)
    }

    /// Every name somebody listens to.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.keys().map(|name| name.to_string()).collect()
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listeners").field(&self.names()).finish()
    }
}
