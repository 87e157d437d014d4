//! Calls that wait for their answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::Thread;
use std::time::Instant;

use bytes::Bytes;
use tramline_core::LinkError;

/// How a waiting call ended: the whole answering message, the end of the link, or its deadline.
#[derive(Debug)]
pub(crate) enum Ended {
    Answer(Bytes),
    Link(LinkError),
    Deadline,
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
    fn wake(&mut self) {
        match &mut self.waiter {
            Waiter::Thread(thread) => thread.unpark(),
            Waiter::Task(waker) => {
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
            }
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
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call whose thread sleeps with `std::thread::park`.
    pub(crate) fn add_thread(&self, id: u64) {
        let waiter = Waiter::Thread(std::thread::current());
        self.lock().insert(id, Slot { waiter, deadline: None, ended: None });
        // PAIRS WITH the load in `wake_one_thread`: whoever gives up the receiver after this line
        // sees that a thread waits.
        self.threads.fetch_add(1, Ordering::SeqCst);
    }

    /// Adds a call that a future waits for.
    pub(crate) fn add_task(&self, id: u64, deadline: Option<Instant>) {
        let slot = Slot { waiter: Waiter::Task(None), deadline, ended: None };
        self.lock().insert(id, slot);
    }

    /// Forgets a call.
    pub(crate) fn remove(&self, id: u64) {
        if let Some(slot) = self.lock().remove(&id) {
            self.forget(&slot);
        }
    }

    fn forget(&self, slot: &Slot) {
        if matches!(slot.waiter, Waiter::Thread(_)) {
            self.threads.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// How the call ended, if it has; it is then forgotten.
    pub(crate) fn take_ended(&self, id: u64) -> Option<Ended> {
        let mut slots = self.lock();
        slots.get(&id)?.ended.as_ref()?;
        let slot = slots.remove(&id)?;
        self.forget(&slot);
        slot.ended
    }

    /// Whether the call has ended.
    pub(crate) fn has_ended(&self, id: u64) -> bool {
        self.lock().get(&id).is_none_or(|slot| slot.ended.is_some())
    }

    /// As [`take_ended`](Self::take_ended); remembers whom to wake if it has not ended.
    pub(crate) fn poll_ended(&self, id: u64, new_waker: &Waker) -> Option<Ended> {
        let mut slots = self.lock();
        let slot = slots.get_mut(&id)?;
        if slot.ended.is_some() {
            return slots.remove(&id)?.ended;
        }
        if let Waiter::Task(waker) = &mut slot.waiter {
            match waker {
                Some(waker) => waker.clone_from(new_waker),
                None => *waker = Some(new_waker.clone()),
            }
        }
        None
    }

    /// Gives an answer to the call that waits for it; false if none does.
    pub(crate) fn answer(&self, id: u64, message: impl FnOnce() -> Bytes) -> bool {
        match self.lock().get_mut(&id) {
            Some(slot) if slot.ended.is_none() => {
                slot.ended = Some(Ended::Answer(message()));
                slot.wake();
                true
            }
            _ => false,
        }
    }

    /// Ends every waiting call.
    pub(crate) fn end_all(&self, error: &LinkError) {
        for slot in self.lock().values_mut() {
            if slot.ended.is_none() {
                slot.ended = Some(Ended::Link(error.clone()));
            }
            slot.wake();
        }
    }

    /// Ends the calls whose deadline has passed; the time of the next one.
    pub(crate) fn end_overdue(&self, now: impl FnOnce() -> Instant) -> Option<Instant> {
        let mut slots = self.lock();
        if slots.values().all(|slot| slot.deadline.is_none()) {
            return None;
        }
        let now = now();
        let mut next: Option<Instant> = None;
        for slot in slots.values_mut().filter(|slot| slot.ended.is_none()) {
            match slot.deadline {
                Some(deadline) if deadline <= now => {
                    slot.ended = Some(Ended::Deadline);
                    slot.wake();
                }
                Some(deadline) => next = Some(next.map_or(deadline, |n| n.min(deadline))),
                None => {}
            }
        }
        next
    }

    /// Wakes one waiting thread so that it takes over the receiver.
    #[inline]
    pub(crate) fn wake_one_thread(&self) {
        // PAIRS WITH the add in `add_thread`; the caller has put a SeqCst fence after giving up the
        // receiver.
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
