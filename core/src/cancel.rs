//! Telling a running command, or a waiting caller, to stop.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Says whether somebody wants an operation to stop. Clones are the same token.
///
/// A command takes one as a parameter: it is cancelled when the caller no longer waits (it dropped
/// the call, cancelled it, or its deadline passed) or is gone. Nothing stops a command by force: it
/// looks, or does not.
///
/// A caller makes one of its own and passes it to a call.
///
/// # Examples
///
/// ```
/// use tramline_core::CancelToken;
///
/// let token = CancelToken::new();
/// let seen = token.clone();
/// assert!(!seen.is_cancelled());
/// token.cancel();
/// assert!(seen.is_cancelled());
/// ```
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Inner>);

#[derive(Default)]
struct Inner {
    cancelled: AtomicBool,
    waiting: Mutex<Waiting>,
    blocked: Condvar,
}

/// Who is told, under numbers that are never used twice.
#[derive(Default)]
struct Waiting {
    next: u64,
    told: Vec<(u64, Told)>,
}

enum Told {
    Task(Waker),
    Hook(Box<dyn FnOnce() + Send>),
}

impl Told {
    fn tell(self) {
        match self {
            Self::Task(waker) => waker.wake(),
            Self::Hook(hook) => hook(),
        }
    }
}

impl CancelToken {
    /// A token that nobody has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a stop. Any thread may, any number of times.
    pub fn cancel(&self) {
        // PAIRS WITH the load in `is_cancelled`. The lock below orders it for whoever begins to wait.
        if self.0.cancelled.swap(true, Ordering::AcqRel) {
            return;
        }
        let told = std::mem::take(&mut self.waiting().told);
        self.0.blocked.notify_all();
        // Without the lock: this is code of others.
        told.into_iter().for_each(|(_, told)| told.tell());
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        // PAIRS WITH the swap in `cancel`: what was done before the cancel is seen after this.
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Waits until a stop is asked for.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { token: self.clone(), waits_as: None }
    }

    /// Runs a future until it is done, or until a stop is asked for: it is dropped then, and the
    /// result is `None`.
    pub async fn run<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut cancelled = std::pin::pin!(self.cancelled());
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            cancelled.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// Blocks until a stop is asked for, or `timeout` has passed; whether it was asked for. A
    /// command that works in steps may rest like this between two of them.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let waiting = self.waiting();
        drop(self.0.blocked.wait_timeout_while(waiting, timeout, |_| !self.is_cancelled()));
        self.is_cancelled()
    }

    /// Calls `hook` when a stop is asked for: at once if it has been, and never after what is
    /// returned was dropped.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) -> OnCancel {
        let waits_as = self.add(Told::Hook(Box::new(hook)));
        OnCancel { token: self.clone(), waits_as }
    }

    /// Adds somebody to tell; tells at once, and adds nothing, if a stop was asked for.
    fn add(&self, told: Told) -> Option<u64> {
        let mut waiting = self.waiting();
        // Under the lock: `cancel` sets the word before it takes the lock, so it is seen here, or
        // what is added here is found there.
        if self.is_cancelled() {
            drop(waiting);
            told.tell();
            return None;
        }
        waiting.next += 1;
        let number = waiting.next;
        waiting.told.push((number, told));
        Some(number)
    }

    fn remove(&self, number: Option<u64>) {
        let Some(number) = number else { return };
        let mut waiting = self.waiting();
        let found = waiting.told.iter().position(|(n, _)| *n == number);
        let told = found.map(|at| waiting.told.swap_remove(at));
        drop(waiting);
        // Without the lock: dropping it may run code of others.
        drop(told);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both are the same token.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("cancelled", &self.is_cancelled()).finish()
    }
}

/// The wait for a stop, from [`CancelToken::cancelled`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Cancelled {
    token: CancelToken,
    waits_as: Option<u64>,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let before = self.waits_as.take();
        self.token.remove(before);
        if self.token.is_cancelled() {
            return Poll::Ready(());
        }
        // If it is cancelled meanwhile, the waker is woken at once and this is polled again.
        self.waits_as = self.token.add(Told::Task(cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.token.remove(self.waits_as);
    }
}

/// A hook that is in place, from [`CancelToken::on_cancel`]. Dropping it takes the hook away.
#[derive(Debug)]
#[must_use = "dropping it takes the hook away"]
pub struct OnCancel {
    token: CancelToken,
    waits_as: Option<u64>,
}

impl Drop for OnCancel {
    fn drop(&mut self) {
        self.token.remove(self.waits_as);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn hooks_run_once_and_not_after_they_were_taken_away() {
        let count = Arc::new(AtomicUsize::new(0));
        let hook = |by| {
            let count = Arc::clone(&count);
            move || {
                count.fetch_add(by, Ordering::Relaxed);
            }
        };
        let token = CancelToken::new();
        let kept = token.on_cancel(hook(1));
        drop(token.on_cancel(hook(10)));
        token.cancel();
        token.cancel();
        assert_eq!(count.load(Ordering::Relaxed), 1);
        let late = token.on_cancel(hook(100));
        assert_eq!(count.load(Ordering::Relaxed), 101);
        drop((kept, late));
        assert!(token.waiting().told.is_empty());
    }

    #[test]
    fn blocked_threads_are_woken() {
        let token = CancelToken::new();
        assert!(!token.wait_timeout(Duration::ZERO));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| token.wait_timeout(Duration::from_mins(1)));
            token.cancel();
            assert!(waits.join().expect("no panic"));
        });
    }

    #[test]
    fn a_future_is_dropped_when_a_stop_is_asked_for() {
        let token = CancelToken::new();
        let waker = Waker::noop();
        let mut cx = Context::from_waker(waker);
        let mut pending = std::pin::pin!(token.run(std::future::pending::<()>()));
        assert!(pending.as_mut().poll(&mut cx).is_pending());
        token.cancel();
        assert_eq!(pending.as_mut().poll(&mut cx), Poll::Ready(None));
        let mut done = std::pin::pin!(token.run(std::future::ready(7)));
        assert_eq!(done.as_mut().poll(&mut cx), Poll::Ready(Some(7)));
    }
}
