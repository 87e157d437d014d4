//! Calls that wait for their answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::Thread;
use std::time::Instant;

use tramline_core::LinkError;
use tramline_core::frame::Kept;

/// How a waiting call ended: the whole answering message, the end of the link, its deadline, or its
/// caller's wish.
#[derive(Debug)]
pub(crate) enum Ended {
    Answer(Kept),
    Link(LinkError),
    Deadline,
    Cancelled,
}

#[derive(Debug)]
enum Waiter {
    Thread(Thread),
    Task(Option<Waker>),
}

#[derive(Debug)]
struct Slot {
    waiter: Waiter,
    deadline: Option<Instant>,
    ended: Option<Ended>,
}

impl Slot {
    /// Wakes a thread; a future's waker is given back, to be woken without the table's lock: waking
    /// may run code of the user's.
    #[must_use]
    fn wake(&mut self) -> Option<Waker> {
        match &mut self.waiter {
            Waiter::Thread(thread) => {
                thread.unpark();
                None
            }
            Waiter::Task(waker) => waker.take(),
        }
    }
}

/// The table of waiting calls. A thread that waits alone for its own reply is not in it: it holds
/// the receiver and sees the reply first.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slots: Mutex<HashMap<u64, Slot>>,
    /// Threads in the table; read without the lock by a thread that gives up the receiver.
    threads: AtomicUsize,
    /// Futures in the table; read without the lock by a runner that enters a listener.
    tasks: AtomicUsize,
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call whose thread sleeps with `std::thread::park`.
    pub(crate) fn add_thread(&self, id: u64) {
        let waiter = Waiter::Thread(std::thread::current());
        self.lock().insert(id, Slot { waiter, deadline: None, ended: None });
        self.threads.fetch_add(1, Ordering::SeqCst);
        // PAIRS WITH the fence in `Link::pass_on`: whoever gives up the receiver after this line
        // sees that a thread waits.
        fence(Ordering::SeqCst);
    }

    /// Adds a call that a future waits for.
    pub(crate) fn add_task(&self, id: u64, deadline: Option<Instant>) {
        let slot = Slot { waiter: Waiter::Task(None), deadline, ended: None };
        self.lock().insert(id, slot);
        self.tasks.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether futures wait.
    pub(crate) fn has_tasks(&self) -> bool {
        self.tasks.load(Ordering::SeqCst) != 0
    }

    /// Forgets a call.
    pub(crate) fn remove(&self, id: u64) {
        let removed = self.lock().remove(&id);
        self.forget(removed);
    }

    /// Counts a slot out. Its waker is dropped here, without the table's lock.
    fn forget(&self, removed: Option<Slot>) -> Option<Ended> {
        let slot = removed?;
        let count = match slot.waiter {
            Waiter::Thread(_) => &self.threads,
            Waiter::Task(_) => &self.tasks,
        };
        count.fetch_sub(1, Ordering::SeqCst);
        slot.ended
    }

    /// How the call ended, if it has; it is then forgotten.
    pub(crate) fn take_ended(&self, id: u64) -> Option<Ended> {
        let removed = {
            let mut slots = self.lock();
            slots.get(&id)?.ended.as_ref()?;
            slots.remove(&id)
        };
        self.forget(removed)
    }

    /// Whether the call has ended.
    pub(crate) fn has_ended(&self, id: u64) -> bool {
        self.lock().get(&id).is_none_or(|slot| slot.ended.is_some())
    }

    /// As [`take_ended`](Self::take_ended); remembers whom to wake if it has not ended.
    pub(crate) fn poll_ended(&self, id: u64, new_waker: &Waker) -> Option<Ended> {
        // Cloned and dropped without the lock: both may be code of the user's.
        let mut new_waker = Some(new_waker.clone());
        let mut slots = self.lock();
        let slot = slots.get_mut(&id)?;
        if slot.ended.is_some() {
            let removed = slots.remove(&id);
            drop(slots);
            return self.forget(removed);
        }
        if let Waiter::Task(waker) = &mut slot.waiter {
            std::mem::swap(waker, &mut new_waker);
        }
        drop(slots);
        None
    }

    /// Gives an answer to the call that waits for it; false if none does.
    pub(crate) fn answer(&self, id: u64, message: impl FnOnce() -> Kept) -> bool {
        self.end_one(id, || Ended::Answer(message()))
    }

    /// Ends a call that its caller no longer waits for.
    pub(crate) fn cancelled(&self, id: u64) {
        self.end_one(id, || Ended::Cancelled);
    }

    fn end_one(&self, id: u64, how: impl FnOnce() -> Ended) -> bool {
        let waker = match self.lock().get_mut(&id) {
            Some(slot) if slot.ended.is_none() => {
                slot.ended = Some(how());
                slot.wake()
            }
            _ => return false,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Ends every waiting call.
    pub(crate) fn end_all(&self, error: &LinkError) {
        let mut wakers = Vec::new();
        for slot in self.lock().values_mut() {
            if slot.ended.is_none() {
                slot.ended = Some(Ended::Link(error.clone()));
            }
            wakers.extend(slot.wake());
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends the calls whose deadline has passed; the time of the next one.
    pub(crate) fn end_overdue(&self, now: impl FnOnce() -> Instant) -> Option<Instant> {
        if !self.has_tasks() {
            return None;
        }
        let mut slots = self.lock();
        if slots.values().all(|slot| slot.deadline.is_none()) {
            return None;
        }
        let now = now();
        let mut next: Option<Instant> = None;
        let mut wakers = Vec::new();
        for slot in slots.values_mut().filter(|slot| slot.ended.is_none()) {
            match slot.deadline {
                Some(deadline) if deadline <= now => {
                    slot.ended = Some(Ended::Deadline);
                    wakers.extend(slot.wake());
                }
                Some(deadline) => next = Some(next.map_or(deadline, |n| n.min(deadline))),
                None => {}
            }
        }
        drop(slots);
        wakers.into_iter().for_each(Waker::wake);
        next
    }

    /// Wakes every waiting thread so that it looks at its deadline.
    #[cfg(feature = "test-kit")]
    pub(crate) fn wake_all_threads(&self) {
        for slot in self.lock().values() {
            if let Waiter::Thread(thread) = &slot.waiter {
                thread.unpark();
            }
        }
    }

    /// Wakes one waiting thread so that it takes over the receiver.
    #[inline]
    pub(crate) fn wake_one_thread(&self) {
        // PAIRS WITH the add and fence in `add_thread`; the caller has put a SeqCst fence after
        // giving up the receiver.
        if self.threads.load(Ordering::SeqCst) != 0 {
            self.wake_one_thread_slowly();
        }
    }

    #[cold]
    fn wake_one_thread_slowly(&self) {
        let waiting =
            |slot: &&Slot| slot.ended.is_none() && matches!(slot.waiter, Waiter::Thread(_));
        if let Some(Slot { waiter: Waiter::Thread(thread), .. }) =
            self.lock().values().find(waiting)
        {
            thread.unpark();
        }
    }
}
