//! Waiting for connections.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use interprocess::local_socket::traits::Listener as _;
use interprocess::local_socket::{ListenerNonblockingMode, ListenerOptions};
use interprocess::os::unix::uds_local_socket;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use tramline_core::ConnectError;

use super::Stream;
use super::endpoint::{self, Claim};
use super::poll::{Waker, poll_for};

/// A name under which this process can be reached by processes of the same user.
///
/// On Linux the name lives in the abstract namespace: nothing is left behind when the process
/// dies, and processes in another network namespace do not see it. Elsewhere it is a socket file
/// in a folder that only this user can enter, removed on drop.
pub struct Listener {
    /// Before `claim`: the socket closes, then its file goes, then the lock.
    socket: uds_local_socket::Listener,
    stop: Waker,
    stopped: AtomicBool,
    _claim: Claim,
}

impl Listener {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// - [`ConnectError::InUse`]: somebody listens under it.
    /// - [`ConnectError::Config`]: the name is empty, too long, or has a slash or a control
    ///   character.
    /// - [`ConnectError::Os`]: the system refused.
    pub fn bind(name: &str) -> Result<Listener, ConnectError> {
        let (place, claim) = endpoint::to_bind(name)?;
        let socket = ListenerOptions::new()
            .name(place)
            .nonblocking(ListenerNonblockingMode::Accept)
            // Where there is a file, `claim` removes it under its lock.
            .reclaim_name(false)
            .create_sync_as::<uds_local_socket::Listener>()
            .map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => ConnectError::InUse { endpoint: name.into() },
                _ => ConnectError::os("binding the name", error),
            })?;
        let stop = Waker::new().map_err(|error| ConnectError::os("making a wake", error))?;
        Ok(Self { socket, stop, stopped: AtomicBool::new(false), _claim: claim })
    }

    /// Waits for the next connection of the same user; `None` once [`stop`](Self::stop) was
    /// called. Connections of other users are closed and not returned.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Os`] when the system refuses, for example for want of descriptors. The
    /// listener stays usable; wait for something to be closed before the next try.
    pub fn accept(&self) -> Result<Option<Stream>, ConnectError> {
        loop {
            if self.stopped.load(Ordering::SeqCst) {
                return Ok(None);
            }
            match self.socket.accept() {
                // Another user, or one who has gone already: the next one may be better.
                Ok(socket) => {
                    if let Ok(stream) = Stream::from_fd(socket.into()) {
                        return Ok(Some(stream));
                    }
                }
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::AGAIN) => {
                        let mut fds = [
                            PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN),
                            PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
                        ];
                        poll_for(&mut fds, None)
                            .map_err(|error| ConnectError::os("waiting", error))?;
                    }
                    Some(Errno::INTR | Errno::CONNABORTED) => {}
                    _ => return Err(ConnectError::os("accepting", error)),
                },
            }
        }
    }

    /// Ends [`accept`](Self::accept), now and for ever, in every thread. Idempotent. The name stays
    /// taken until the listener is dropped.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Never cleared: each thread that looks finds it.
        self.stop.set();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}
