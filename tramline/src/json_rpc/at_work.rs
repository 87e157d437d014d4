//! The calls of one client that are in a handler, or wait for a thread.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tramline_core::{CancelToken, Limits};

use super::connection::Connection;
use crate::link::Tokens;

/// A command that blocks.
pub(super) type Task = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct AtWork {
    counts: Mutex<Counts>,
    ended: Condvar,
    /// Commands that are not started before the client has read more.
    parked: Mutex<Vec<Task>>,
    tokens: Tokens,
}

/// Calls in handlers, and the bytes of their messages.
#[derive(Debug, Default)]
struct Counts {
    calls: usize,
    bytes: usize,
}

impl AtWork {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parked(&self) -> MutexGuard<'_, Vec<Task>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits for a slot may not go on waiting.
    pub(super) fn look_again(&self) {
        // Whoever is about to wait holds it, and sees what has changed or is woken.
        drop(self.counts());
        self.ended.notify_all();
    }

    /// Drops what was parked, for its answers find nobody, and lets go who waits for a slot.
    pub(super) fn connection_is_over(&self) {
        self.tokens.cancel_all();
        let parked = std::mem::take(&mut *self.parked());
        drop(parked);
        self.look_again();
    }
}

/// Whether one more call may be in a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Free,
    /// As many as may be are, and one waits for what stands behind this call.
    Refused,
    /// The connection is over.
    Over,
}

impl Connection {
    /// Blocks until one more call may be in a handler, or it is plain that this thread must not wait
    /// for that.
    pub(super) fn wait_for_slot(&self) -> Slot {
        let Limits { max_calls_in_flight, max_queued_len, .. } = self.limits;
        let full =
            |counts: &Counts| counts.calls >= max_calls_in_flight || counts.bytes >= max_queued_len;
        let waited = self.at_work.ended.wait_while(self.at_work.counts(), |counts| {
            full(counts) && self.over().is_none() && !self.channels.has_waiters()
        });
        let counts = waited.unwrap_or_else(PoisonError::into_inner);
        if self.over().is_some() {
            Slot::Over
        } else if full(&counts) {
            Slot::Refused
        } else {
            Slot::Free
        }
    }

    /// Runs a command on a worker thread. Not while its client has too much to read already: the
    /// threads are everyone's, and what it answers would only wait.
    pub(super) fn run_later(self: &Arc<Self>, task: Task) {
        let connection = Arc::clone(self);
        blocking::unblock(move || {
            let mut parked = connection.at_work.parked();
            if connection.outgoing.is_within_limit() {
                drop(parked);
                task();
            } else {
                parked.push(task);
            }
        })
        .detach();
    }

    /// Starts what was parked if the client has read enough.
    pub(super) fn unpark(&self) {
        let mut parked = self.at_work.parked();
        if parked.is_empty() || !self.outgoing.is_within_limit() {
            return;
        }
        let tasks = std::mem::take(&mut *parked);
        drop(parked);
        if let Some(connection) = self.me.upgrade() {
            tasks.into_iter().for_each(|task| connection.run_later(task));
        }
    }

    /// Calls in handlers, and those that wait for a thread.
    pub(super) fn running_calls(&self) -> usize {
        self.at_work.counts().calls
    }

    /// Counts one call whose message has `len` bytes.
    pub(super) fn running(self: &Arc<Self>, number: u64, len: usize) -> Running {
        let mut counts = self.at_work.counts();
        counts.calls += 1;
        counts.bytes += len;
        drop(counts);
        let token = self.at_work.tokens.begin(number);
        // `end` says that it is over before it looks at the tokens.
        if self.over().is_some() {
            token.cancel();
        }
        Running { connection: Arc::clone(self), number, len, token }
    }

    /// Tells a command that nobody waits for it.
    pub(super) fn cancel(&self, number: u64) {
        self.at_work.tokens.cancel(number);
    }
}

/// Counts one call in a handler.
pub(super) struct Running {
    connection: Arc<Connection>,
    number: u64,
    len: usize,
    token: CancelToken,
}

impl Running {
    /// The call's token.
    pub(super) fn token(&self) -> CancelToken {
        self.token.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let at_work = &self.connection.at_work;
        at_work.tokens.end(self.number, &self.token);
        let mut counts = at_work.counts();
        counts.calls -= 1;
        counts.bytes -= self.len;
        drop(counts);
        at_work.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use tramline_compat_json::Integers;
    use tramline_core::events::Listeners;
    use tramline_core::router::Router;
    use tramline_core::{Limits, LinkError};

    use super::*;
    use crate::executor::Executor;
    use crate::layer::Layers;
    use crate::link::Service;

    /// Far longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// A client with room for ten bytes, and nobody who writes them.
    fn connection() -> Arc<Connection> {
        let service = Service {
            router: Router::default(),
            listeners: Listeners::default(),
            executor: Executor::default(),
            layers: Layers::default(),
            subscriptions: Mutex::default(),
            gate_events: true,
            guarded: None,
            links: AtomicUsize::new(0),
        };
        let mut limits = Limits::default();
        limits.ring_capacity = 10;
        Connection::new(Arc::new(service), limits, Integers::Exact, Box::new(|| {}))
    }

    fn wait_until_parked(connection: &Connection) {
        let until = Instant::now() + PATIENCE;
        while connection.at_work.parked().is_empty() {
            assert!(Instant::now() < until, "it was not parked");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_command_is_not_started_while_its_client_has_too_much_to_read() {
        let connection = connection();
        let (tell, told) = channel();
        let task = |number: u32| -> Task {
            let tell = tell.clone();
            Box::new(move || tell.send(number).unwrap())
        };
        connection.run_later(task(1));
        assert_eq!(told.recv_timeout(PATIENCE), Ok(1));
        for text in ["123456", "789012"] {
            connection.outgoing.push_answer(text.into(), || {}).unwrap();
        }
        connection.run_later(task(2));
        wait_until_parked(&connection);
        assert!(told.try_recv().is_err());
        connection.outgoing.wrote(6);
        connection.unpark();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(2));
    }

    #[test]
    fn what_was_parked_when_the_connection_ends_is_dropped() {
        let connection = connection();
        connection.outgoing.push_answer(vec![0; 11], || {}).unwrap();
        let (tell, told) = channel::<()>();
        connection.run_later(Box::new(move || tell.send(()).unwrap()));
        wait_until_parked(&connection);
        connection.end(LinkError::PeerDied);
        let dropped = std::sync::mpsc::RecvTimeoutError::Disconnected;
        assert_eq!(told.recv_timeout(PATIENCE), Err(dropped));
    }
}
