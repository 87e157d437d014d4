//! Waiting for connections.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use interprocess::local_socket::traits::Listener as _;
use interprocess::local_socket::{ListenerNonblockingMode, ListenerOptions, Name};
use interprocess::os::unix::uds_local_socket;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use tramline_core::ConnectError;

use super::Stream;
use super::endpoint::{self, Claim};
use super::poll::{Waker, poll_for};
use super::socket_file::{self, SocketFile};

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
    _claim: Option<Claim>,
    _file: Option<SocketFile>,
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
        let socket = listen(place, name)?;
        Self::new(socket, Some(claim), None)
    }

    /// Listens at a path: a socket file, made now and removed when the listener is dropped. One that
    /// a process which is gone has left there is replaced. Only processes of the same user are let
    /// in, whatever the file's mode is.
    ///
    /// Of two processes that find the same abandoned file in the same instant, one may end up
    /// without its name.
    ///
    /// # Errors
    ///
    /// - [`ConnectError::InUse`]: somebody listens there, or a file that is no socket is there.
    /// - [`ConnectError::Os`]: the system refused, for example a path of more than some 100 bytes.
    pub fn bind_path(path: &Path) -> Result<Listener, ConnectError> {
        let shown = path.to_string_lossy();
        let socket = match listen(socket_file::name(path)?, &shown) {
            Err(ConnectError::InUse { .. }) if socket_file::remove_stale(path)? => {
                listen(socket_file::name(path)?, &shown)?
            }
            bound => bound?,
        };
        let file = SocketFile::made(path)
            .map_err(|error| ConnectError::os("looking at the socket", error))?;
        Self::new(socket, None, Some(file))
    }

    fn new(
        socket: uds_local_socket::Listener,
        claim: Option<Claim>,
        file: Option<SocketFile>,
    ) -> Result<Listener, ConnectError> {
        let stop = Waker::new().map_err(|error| ConnectError::os("making a wake", error))?;
        Ok(Self { socket, stop, stopped: AtomicBool::new(false), _claim: claim, _file: file })
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

/// `shown` is the place for people.
fn listen(place: Name<'_>, shown: &str) -> Result<uds_local_socket::Listener, ConnectError> {
    ListenerOptions::new()
        .name(place)
        .nonblocking(ListenerNonblockingMode::Accept)
        // Where there is a file, whoever made it removes it.
        .reclaim_name(false)
        .create_sync_as::<uds_local_socket::Listener>()
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => ConnectError::InUse { endpoint: shown.into() },
            _ => ConnectError::os("binding the name", error),
        })
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}
