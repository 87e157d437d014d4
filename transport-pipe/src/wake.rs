//! The threads that sleep on a link, and waking them.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sys::Waker;

/// Locks `mutex`. A panic elsewhere leaves nothing half done under the locks of this crate.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// A thread sleeps in one wait at a time, so one waker per thread serves every link.
    static WAKER: RefCell<Option<Arc<Waker>>> = const { RefCell::new(None) };
}

/// The waker of this thread.
pub(crate) fn thread_waker() -> io::Result<Arc<Waker>> {
    WAKER
        .try_with(|slot| match &*slot.borrow() {
            Some(waker) => Ok(Arc::clone(waker)),
            None => Ok(Arc::new(Waker::new()?)),
        })
        // The thread is ending and has lost its storage.
        .unwrap_or_else(|_| Ok(Arc::new(Waker::new()?)))
        .inspect(|waker| {
            let _ = WAKER.try_with(|slot| {
                slot.borrow_mut().get_or_insert_with(|| Arc::clone(waker));
            });
        })
}

/// Why a thread sleeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reasons {
    pub(crate) data: bool,
    pub(crate) room: bool,
}

impl Reasons {
    pub(crate) const NONE: Self = Self { data: false, room: false };
    pub(crate) const DATA: Self = Self { data: true, room: false };
    pub(crate) const ROOM: Self = Self { data: false, room: true };
}

#[derive(Debug)]
struct Entry {
    waker: Arc<Waker>,
    reasons: Reasons,
    set: bool,
}

/// The threads that sleep on one link.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    entries: Mutex<Vec<Entry>>,
    /// Entries that sleep for data, readable without the lock.
    for_data: AtomicUsize,
}

impl Waiters {
    /// Enters the thread in the list. Look at every condition once more after this and before
    /// sleeping: whoever changes one afterwards finds the entry.
    pub(crate) fn enter(&self, waker: &Arc<Waker>, reasons: Reasons) {
        let mut entries = lock(&self.entries);
        entries.push(Entry { waker: Arc::clone(waker), reasons, set: false });
        self.for_data.fetch_add(usize::from(reasons.data), Ordering::SeqCst);
    }

    /// Takes the thread off the list and leaves its waker cleared.
    pub(crate) fn leave(&self, waker: &Arc<Waker>) {
        let mut entries = lock(&self.entries);
        if let Some(at) = entries.iter().position(|entry| Arc::ptr_eq(&entry.waker, waker)) {
            let entry = entries.swap_remove(at);
            self.for_data.fetch_sub(usize::from(entry.reasons.data), Ordering::SeqCst);
            // Nobody sets it any more: that happens under this lock, for entries only.
            if entry.set {
                entry.waker.clear();
            }
        }
    }

    /// How many sleep.
    #[cfg(all(test, unix))]
    pub(crate) fn len(&self) -> usize {
        lock(&self.entries).len()
    }

    /// True if somebody sleeps for data.
    pub(crate) fn any_for_data(&self) -> bool {
        self.for_data.load(Ordering::SeqCst) != 0
    }

    /// Wakes the threads whose reasons are `chosen`.
    pub(crate) fn wake(&self, chosen: impl Fn(Reasons) -> bool) {
        for entry in lock(&self.entries).iter_mut() {
            if !entry.set && chosen(entry.reasons) {
                entry.set = true;
                entry.waker.set();
            }
        }
    }
}
