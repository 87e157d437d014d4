//! Waking threads that sleep in `poll`.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Locks `mutex`. A panic elsewhere leaves nothing half done under the locks of this crate.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Polls `fds` for at most `timeout`. Returns early when a signal handler ran.
pub(crate) fn poll_for(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    // A duration that does not fit is longer than any machine stays up: without limit.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// True if `fd` is ready for one of `events` (or over) now.
pub(crate) fn is_ready(fd: BorrowedFd<'_>, events: PollFlags) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, events)];
    // Not being able to look counts as ready: whoever asked looks for himself and sees the error.
    poll_for(&mut fds, Some(Duration::ZERO)).is_err() || !fds[0].revents().is_empty()
}

/// A descriptor that becomes readable when set and stays so until cleared.
#[derive(Debug)]
pub(crate) struct Waker {
    read: OwnedFd,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    write: OwnedFd,
}

impl Waker {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let read = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { read })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = std::os::unix::net::UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        Ok(Self {
            read: read.into(),
            write: write.into(),
        })
    }

    pub(crate) fn set(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let to = &self.read;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let to = &self.write;
        // An eventfd takes eight bytes at a time. The only refusal is "full": readable anyway.
        let _ = rustix::io::write(to, &1_u64.to_le_bytes());
    }

    pub(crate) fn clear(&self) {
        // One read empties an eventfd; a socket pair holds what `set` wrote since, at most once
        // per wait.
        let _ = rustix::io::read(&self.read, &mut [0; 64]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
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
        entries.push(Entry {
            waker: Arc::clone(waker),
            reasons,
            set: false,
        });
        self.for_data
            .fetch_add(usize::from(reasons.data), Ordering::SeqCst);
    }

    /// Takes the thread off the list and leaves its waker cleared.
    pub(crate) fn leave(&self, waker: &Arc<Waker>) {
        let mut entries = lock(&self.entries);
        if let Some(at) = entries
            .iter()
            .position(|entry| Arc::ptr_eq(&entry.waker, waker))
        {
            let entry = entries.swap_remove(at);
            self.for_data
                .fetch_sub(usize::from(entry.reasons.data), Ordering::SeqCst);
            // Nobody sets it any more: that happens under this lock, for entries only.
            if entry.set {
                entry.waker.clear();
            }
        }
    }

    /// How many sleep.
    #[cfg(test)]
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
