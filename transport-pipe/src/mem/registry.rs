//! The names of this process.

use std::collections::HashMap;
use std::sync::Mutex;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select_biased};
use tramline_core::error::codes;
use tramline_core::{ConnectError, Limits};

use super::{MemTransport, lock, pair};

/// Connections that wait to be accepted. A choice: as many as Linux used to queue per socket.
const BACKLOG: usize = 128;

/// Every name with the way to its listener; `None` once that has stopped.
static NAMES: Mutex<Option<HashMap<String, Option<Sender<MemTransport>>>>> = Mutex::new(None);

/// A name under which the threads of this process can connect.
#[derive(Debug)]
pub struct MemListener {
    name: String,
    limits: Limits,
    incoming: Receiver<MemTransport>,
    stopped: Receiver<()>,
    /// Dropped to stop.
    running: Mutex<Option<Sender<()>>>,
}

impl MemListener {
    /// Takes a name until it is dropped.
    ///
    /// # Errors
    ///
    /// [`ConnectError::InUse`] when the name is taken, [`ConnectError::Config`] when a limit is
    /// out of its range.
    pub fn bind(name: &str, limits: &Limits) -> Result<MemListener, ConnectError> {
        limits.check()?;
        let (sender, incoming) = bounded(BACKLOG);
        let (running, stopped) = bounded(0);
        let mut names = lock(&NAMES);
        let names = names.get_or_insert_default();
        if names.contains_key(name) {
            return Err(ConnectError::InUse { endpoint: name.into() });
        }
        names.insert(name.to_owned(), Some(sender));
        let running = Mutex::new(Some(running));
        Ok(Self { name: name.to_owned(), limits: *limits, incoming, stopped, running })
    }

    /// Waits for the next connection; `None` once [`stop`](Self::stop) was called.
    #[must_use]
    pub fn accept(&self) -> Option<MemTransport> {
        select_biased! {
            recv(self.stopped) -> _ => None,
            recv(self.incoming) -> peer => {
                let mut peer = peer.ok()?;
                // Each side goes by its own limits.
                peer.max_message_len = self.limits.max_message_len;
                Some(peer)
            }
        }
    }

    /// Ends [`accept`](Self::accept), now and for ever, in every thread, and refuses whoever still
    /// waits. Idempotent. The name stays taken until the listener is dropped.
    pub fn stop(&self) {
        // First, so that no connection arrives after the queue was emptied.
        if let Some(way) = lock(&NAMES).as_mut().and_then(|names| names.get_mut(&self.name)) {
            *way = None;
        }
        drop(lock(&self.running).take());
        while self.incoming.try_recv().is_ok() {}
    }
}

impl Drop for MemListener {
    fn drop(&mut self) {
        self.stop();
        if let Some(names) = lock(&NAMES).as_mut() {
            names.remove(&self.name);
        }
    }
}

/// Connects to the listener of that name in this process.
///
/// # Errors
///
/// - [`ConnectError::NotFound`]: nobody listens.
/// - [`ConnectError::Refused`]: too many connections wait to be accepted.
/// - [`ConnectError::Config`]: a limit is out of its range.
pub fn connect(name: &str, limits: &Limits) -> Result<MemTransport, ConnectError> {
    limits.check()?;
    let not_found = || ConnectError::NotFound { endpoint: name.into() };
    let (local, peer) = pair(limits);
    // Sent under the lock, so that a listener that stops afterwards finds it in its queue.
    let names = lock(&NAMES);
    let way = names.as_ref().and_then(|names| names.get(name)?.as_ref()).ok_or_else(not_found)?;
    match way.try_send(peer) {
        Ok(()) => Ok(local),
        Err(TrySendError::Disconnected(_)) => Err(not_found()),
        Err(TrySendError::Full(_)) => Err(ConnectError::Refused {
            code: codes::TOO_MANY_PEERS.into(),
            text: "too many connections wait to be accepted".into(),
        }),
    }
}
