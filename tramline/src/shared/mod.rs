//! Who runs a server's connections: a thread for each, a few threads for all, or a tokio runtime.
//!
//! Sharing needs a connection that can be slept on together with others: shared memory, which has a
//! doorbell on its control socket. Every other connection keeps a thread of its own.

#[cfg(target_os = "linux")]
mod shift;
#[cfg(all(target_os = "linux", feature = "tokio"))]
mod task;
#[cfg(target_os = "linux")]
mod thread;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tramline_core::LinkError;
use tramline_core::peer::Peer;
use tramline_transport_shm::Doorbell;

use crate::hub::{Hub, Seat};
use crate::link::Link;

/// An open connection of a server. Dropping it ends it and tells whoever wants to know.
pub(crate) struct Connection {
    pub(crate) link: Arc<Link>,
    pub(crate) peer: Peer,
    seat: Seat,
}

impl Connection {
    /// A connection whose runner was claimed.
    pub(crate) fn new(link: Arc<Link>, peer: Peer, seat: Seat) -> Self {
        Self { link, peer, seat }
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        self.seat.hub()
    }

    /// It has no thread any more.
    #[cfg(all(target_os = "linux", feature = "tokio"))]
    fn leave_thread(&mut self) {
        self.seat.leave_thread();
    }

    /// Serves it on this thread until it is over; says why it is.
    pub(crate) fn run(self) -> LinkError {
        self.link.run(&self.peer, self.hub().service())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The first reason stays.
        let why = self.link.end(LinkError::Closed);
        let (hub, peer) = (self.seat.hub(), &self.peer);
        // Code of the user's; the thread may serve others.
        let _ = catch_unwind(AssertUnwindSafe(|| hub.ended(peer, &why)));
    }
}

/// Who runs the connections of one server.
#[derive(Debug, Default)]
pub(crate) enum Drive {
    /// A thread for each.
    #[default]
    OwnThreads,
    /// These threads.
    #[cfg(target_os = "linux")]
    Shared(thread::Threads),
    /// Tasks of this runtime.
    #[cfg(all(target_os = "linux", feature = "tokio"))]
    Tokio(tokio::runtime::Handle),
}

impl Drive {
    /// A few threads, at least one; on systems that cannot share, a thread for each connection.
    pub(crate) fn shared(count: usize) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            thread::Threads::new(count.max(1)).map(Self::Shared)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = count;
            Ok(Self::OwnThreads)
        }
    }

    /// Tasks of the runtime this is called in.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or in one that watches no sockets.
    #[cfg(feature = "tokio")]
    pub(crate) fn tokio() -> Self {
        #[cfg(target_os = "linux")]
        {
            task::check_runtime();
            Self::Tokio(tokio::runtime::Handle::current())
        }
        #[cfg(not(target_os = "linux"))]
        {
            Self::OwnThreads
        }
    }

    /// Starts what is needed before the first connection.
    pub(crate) fn start(&self, hub: &Arc<Hub>) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Shared(threads) => threads.start(hub).inspect_err(|_| threads.stop()),
            _ => {
                let _ = hub;
                Ok(())
            }
        }
    }

    /// Threads that run beside those of single connections.
    pub(crate) fn threads(&self) -> usize {
        match self {
            #[cfg(target_os = "linux")]
            Self::Shared(threads) => threads.count(),
            _ => 0,
        }
    }

    /// Runs a connection from now on, unless it needs a thread of its own: then it is given back.
    pub(crate) fn take_over(
        &self,
        connection: Connection,
        doorbell: Option<Doorbell>,
    ) -> Option<Connection> {
        match (self, doorbell) {
            #[cfg(target_os = "linux")]
            (Self::Shared(threads), Some(doorbell)) => threads.take_over(connection, doorbell),
            #[cfg(all(target_os = "linux", feature = "tokio"))]
            (Self::Tokio(runtime), Some(doorbell)) => {
                task::take_over(runtime, connection, doorbell)
            }
            _ => Some(connection),
        }
    }

    /// No more connections will come; what was started ends with the last one.
    pub(crate) fn stop(&self) {
        #[cfg(target_os = "linux")]
        if let Self::Shared(threads) = self {
            threads.stop();
        }
    }
}
