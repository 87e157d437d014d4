//! Events that wait for a listener that does not keep up.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Callback, Event, ListenerCounts, ListenerId, Overflow};
use crate::codec::AnyCodec;
use crate::envelope::BodyKind;
use crate::error::{ConfigError, LinkError};
use crate::peer::Peer;

/// Work that is to be done on another thread.
pub type Work = Box<dyn FnOnce() + Send>;

/// What may wait in one queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// A choice: a burst of one screen's worth of small events, and as much as a ring holds.
pub(super) const USUAL: Capacity = Capacity { events: 1024, bytes: 1 << 20 };

impl Capacity {
    pub(super) fn check(self) -> Result<(), ConfigError> {
        let in_range = |what, found, max| {
            if (1..=max).contains(&found) {
                Ok(())
            } else {
                Err(ConfigError::Limit { what, found, min: 1, max })
            }
        };
        in_range("event queue (events)", self.events as u64, 1 << 24)?;
        in_range("event queue (bytes)", self.bytes as u64, 1 << 34)
    }
}

/// What a waiting event costs beside its bytes. A choice: the size of its handle, doubled.
const QUEUED_OVERHEAD: usize = 128;

/// A listener with its events.
pub(super) struct Queue {
    pub(super) name: Box<str>,
    pub(super) id: ListenerId,
    pub(super) overflow: Overflow,
    pub(super) capacity: Capacity,
    pub(super) counts: ListenerCounts,
    pub(super) callback: Box<Callback>,
    /// Has work done elsewhere.
    pub(super) spawn: fn(Work),
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    waiting: VecDeque<Waiting>,
    /// What they cost, in bytes.
    cost: usize,
    /// Somebody calls the listener, or is about to.
    at_work: bool,
    /// Nobody wants them any more.
    removed: bool,
}

struct Waiting {
    body_kind: BodyKind,
    body: Bytes,
    codec: AnyCodec,
    peer: Peer,
}

impl Waiting {
    fn cost(&self) -> usize {
        self.body.len() + QUEUED_OVERHEAD
    }
}

impl State {
    /// An event that is alone may be as long as a message may be.
    fn has_room(&self, cost: usize, capacity: Capacity) -> bool {
        self.waiting.is_empty()
            || (self.waiting.len() < capacity.events && self.cost + cost <= capacity.bytes)
    }

    fn pop(&mut self) -> Option<Waiting> {
        let oldest = self.waiting.pop_front()?;
        self.cost -= oldest.cost();
        Some(oldest)
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event, or does what the policy says.
    pub(super) fn push(self: &Arc<Self>, event: &Event<'_>) {
        let cost = event.body.len() + QUEUED_OVERHEAD;
        let mut state = self.lock();
        if state.removed {
            return;
        }
        let Capacity { mut events, bytes } = self.capacity;
        if self.overflow == Overflow::LatestOnly {
            events = 1;
        }
        while !state.has_room(cost, Capacity { events, bytes }) {
            self.counts.count_dropped(1);
            match self.overflow {
                Overflow::DropOldest | Overflow::LatestOnly => {
                    state.pop();
                    self.counts.unqueue(1);
                }
                Overflow::Disconnect => {
                    drop(state);
                    event.peer.port().cut_off(LinkError::Overflow { event: self.name.clone() });
                    return;
                }
                Overflow::Block | Overflow::DropNewest => return,
            }
        }
        let Event { body_kind, codec, peer, .. } = *event;
        state.waiting.push_back(Waiting {
            body_kind,
            body: event.to_bytes(),
            codec,
            peer: peer.clone(),
        });
        state.cost += cost;
        self.counts.queue();
        if !std::mem::replace(&mut state.at_work, true) {
            drop(state);
            let queue = Arc::clone(self);
            (self.spawn)(Box::new(move || queue.work()));
        }
    }
}

impl Queue {
    /// Calls the listener until nothing waits.
    fn work(&self) {
        loop {
            let mut state = self.lock();
            let Some(next) = state.pop() else {
                state.at_work = false;
                return;
            };
            drop(state);
            self.counts.unqueue(1);
            let Waiting { body_kind, body, codec, peer } = &next;
            let event = Event::new(&self.name, *body_kind, body, *codec, peer).owned_by(body);
            // A panic is the listener's own loss, as everywhere.
            let _ = catch_unwind(AssertUnwindSafe(|| (self.callback)(event.heard_by(self.id))));
            self.counts.count_delivered();
        }
    }

    /// Drops what waits, and whatever comes.
    pub(super) fn remove(&self) {
        let mut state = self.lock();
        state.removed = true;
        state.cost = 0;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.counts.unqueue(waiting.len());
        self.counts.count_dropped(waiting.len());
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("overflow", &self.overflow).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::RefCell;
    use std::sync::Weak;

    use super::*;
    use crate::envelope::Head;
    use crate::error::SendError;
    use crate::peer::{Fill, Later, Patience, Port};
    use crate::transport::PeerIdentity;

    thread_local! {
        /// Work that runs when the test says so: no thread, no waiting.
        static WORK: RefCell<Vec<Work>> = const { RefCell::new(Vec::new()) };
    }

    fn later(work: Work) {
        WORK.with_borrow_mut(|all| all.push(work));
    }

    /// Runs what was put off; how many pieces of work that was.
    fn run() -> usize {
        let work = WORK.take();
        let count = work.len();
        work.into_iter().for_each(|work| work());
        count
    }

    /// Why the connection was ended.
    #[derive(Default)]
    pub(in crate::events) struct CutOff(Mutex<Vec<LinkError>>);

    impl Port for CutOff {
        fn send(&self, _: &Head<'_>, _: usize, _: Fill<'_>, _: Patience) -> Result<(), SendError> {
            unreachable!("nothing is sent here")
        }
        fn send_later(&self, _: Later) {}
        fn peer_listens(&self, _: &str) -> bool {
            false
        }
        fn close(&self, reason: LinkError) {
            self.0.lock().expect("no test panics in here").push(reason);
        }
        fn close_stalled(&self) {}
    }

    pub(in crate::events) fn peer(port: &Arc<CutOff>) -> Peer {
        let port: Arc<dyn Port> = Arc::<CutOff>::clone(port);
        Peer::new(1, None, PeerIdentity::default(), "test", AnyCodec::JSON, port)
    }

    struct Bench {
        queue: Arc<Queue>,
        peer: Peer,
        port: Arc<CutOff>,
        heard: Arc<Mutex<Vec<Vec<u8>>>>,
    }

    impl Bench {
        fn new(overflow: Overflow, events: usize, bytes: usize) -> Self {
            let port = Arc::new(CutOff::default());
            let peer = peer(&port);
            let heard = Arc::new(Mutex::new(Vec::new()));
            let hears = Arc::clone(&heard);
            let queue = Queue {
                name: "tick".into(),
                id: ListenerId(7),
                overflow,
                capacity: Capacity { events, bytes },
                counts: ListenerCounts::new(),
                callback: Box::new(move |event| {
                    assert_eq!((event.id(), event.name()), (ListenerId(7), "tick"));
                    hears.lock().expect("no test panics in here").push(event.bytes().to_vec());
                    assert!(event.bytes() != b"panic", "on purpose");
                }),
                spawn: later,
                state: Mutex::default(),
            };
            Self { queue: Arc::new(queue), peer, port, heard }
        }

        fn push(&self, body: &[u8]) {
            let codec = AnyCodec::JSON;
            self.queue.push(&Event::new("tick", BodyKind::Raw, body, codec, &self.peer));
        }

        fn seen(&self) -> (u64, u64, u64) {
            let counts = &self.queue.counts;
            (counts.delivered(), counts.dropped(), counts.queued())
        }

        fn heard(&self) -> Vec<Vec<u8>> {
            std::mem::take(&mut self.heard.lock().expect("no test panics in here"))
        }
    }

    #[test]
    fn one_piece_of_work_delivers_whatever_waits_by_then() {
        let bench = Bench::new(Overflow::DropOldest, 10, 1 << 20);
        bench.push(b"a");
        bench.push(b"b");
        assert_eq!((bench.seen(), run()), ((0, 0, 2), 1));
        assert_eq!((bench.heard(), bench.seen()), (vec![b"a".to_vec(), b"b".to_vec()], (2, 0, 0)));
        bench.push(b"c");
        assert_eq!((run(), bench.heard()), (1, vec![b"c".to_vec()]));
    }

    #[test]
    fn each_policy_says_what_gives_way() {
        for (overflow, left) in [
            (Overflow::DropOldest, &[b"3".to_vec(), b"4".to_vec()][..]),
            (Overflow::DropNewest, &[b"1".to_vec(), b"2".to_vec()]),
            (Overflow::LatestOnly, &[b"4".to_vec()]),
            (Overflow::Disconnect, &[b"1".to_vec(), b"2".to_vec()]),
        ] {
            let bench = Bench::new(overflow, 2, 1 << 20);
            [b"1", b"2", b"3", b"4"].into_iter().for_each(|body| bench.push(body));
            let queued = left.len() as u64;
            assert_eq!(bench.seen(), (0, 4 - queued, queued), "{overflow:?}");
            run();
            assert_eq!((bench.heard(), bench.seen()), (left.to_vec(), (queued, 4 - queued, 0)));
            let cut_off = bench.port.0.lock().expect("not poisoned");
            let overrun = LinkError::Overflow { event: "tick".into() };
            let times = if overflow == Overflow::Disconnect { 2 } else { 0 };
            assert_eq!(*cut_off, vec![overrun; times], "{overflow:?}");
        }
    }

    #[test]
    fn bytes_are_bounded_but_for_an_event_that_is_alone() {
        let room = 2 * (QUEUED_OVERHEAD + 100);
        let bench = Bench::new(Overflow::DropOldest, 100, room);
        (0..3).for_each(|n| bench.push(&[n; 100]));
        assert_eq!(bench.seen(), (0, 1, 2));
        bench.push(&[9; 10_000]);
        assert_eq!((bench.seen(), bench.queue.lock().cost), ((0, 3, 1), 10_000 + QUEUED_OVERHEAD));
        bench.push(&[1; 1]);
        assert_eq!((bench.seen(), bench.queue.lock().cost), ((0, 4, 1), 1 + QUEUED_OVERHEAD));
        run();
        assert_eq!((bench.heard(), bench.queue.lock().cost), (vec![vec![1]], 0));
    }

    #[test]
    fn a_removed_queue_is_empty_and_takes_nothing() {
        let bench = Bench::new(Overflow::DropNewest, 10, 1 << 20);
        bench.push(b"a");
        bench.queue.remove();
        bench.push(b"b");
        assert_eq!((run(), bench.heard(), bench.seen()), (1, vec![], (0, 1, 0)));
    }

    #[test]
    fn a_panic_takes_one_event_and_the_queue_goes_away_with_its_last_owner() {
        let bench = Bench::new(Overflow::DropNewest, 10, 1 << 20);
        bench.push(b"panic");
        bench.push(b"b");
        run();
        assert_eq!((bench.heard().len(), bench.seen()), (2, (2, 0, 0)));
        let gone: Weak<_> = Arc::downgrade(&bench.queue);
        drop(bench);
        assert!(gone.upgrade().is_none());
    }
}
