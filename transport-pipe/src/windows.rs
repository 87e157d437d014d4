//! A connected named pipe, and who is at its other end.
//!
//! A named pipe has no readiness to ask for, so each connection has a thread that reads ahead and
//! writes behind, through bounded buffers; see `port.rs`. Everything above sees the same calls as
//! over a Unix socket.

mod listener;
mod overlapped;
mod port;
mod stdio;
mod waker;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::windows::io::OwnedHandle;
use std::sync::Arc;
use std::time::Duration;

use interprocess::ConnectWaitMode;
use interprocess::os::windows::named_pipe::DuplexPipeStream;
use interprocess::os::windows::named_pipe::pipe_mode::Bytes;
use tramline_core::{ConnectError, PeerIdentity};

use self::port::Port;
use crate::stream::{Moved, check_name};
use crate::wake::Reasons;

pub use self::listener::Listener;
pub(crate) use self::stdio::stdio;
pub(crate) use self::waker::Waker;

/// How long connecting may wait for the listener to accept somebody else. A choice: the default
/// handshake limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The name of a user's endpoint, without its place. The user's name keeps users apart; what keeps
/// them out is the pipe's security descriptor.
fn full_name(name: &str) -> Result<String, ConnectError> {
    check_name(name)?;
    let user: String = std::env::var("USERNAME")
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control() && *c != '\\' && *c != '/')
        .collect();
    Ok(format!("tramline-{user}-{name}"))
}

/// Where the pipe of that full name is.
fn place(full_name: &str) -> OsString {
    format!(r"\\.\pipe\{full_name}").into()
}

/// A connected local socket on which nothing has been framed yet, with the peer as the operating
/// system states it.
///
/// On Windows it is a named pipe, and the peer is a process id without a user. The pipe is not
/// inherited by child processes. Dropping the `Stream` closes it once the peer, or the pipe, has
/// taken what was written, at the latest after two seconds.
pub struct Stream {
    port: Arc<Port>,
    pub(crate) peer: PeerIdentity,
}

impl Stream {
    /// Connects to the listener of that name which runs as the same user.
    ///
    /// On Windows names do not differ by case. The system does not tell under which user the
    /// listener runs: another user can take a name that is free.
    ///
    /// # Errors
    ///
    /// - [`ConnectError::NotFound`]: nobody listens.
    /// - [`ConnectError::Config`]: the name is empty, too long, or has a slash or a control
    ///   character.
    /// - [`ConnectError::Os`]: the system refused, for example because another user listens, or
    ///   because the listener does not accept within two seconds.
    pub fn connect(name: &str) -> Result<Stream, ConnectError> {
        let mode = ConnectWaitMode::Timeout(CONNECT_TIMEOUT);
        let place = place(&full_name(name)?);
        let pipe =
            DuplexPipeStream::connect_by_path_with_wait_mode(place, mode).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::NotFound => ConnectError::NotFound { endpoint: name.into() },
                    _ => ConnectError::os("connecting", error),
                }
            })?;
        Self::from_pipe(pipe)
    }

    fn from_pipe(pipe: DuplexPipeStream<Bytes>) -> Result<Stream, ConnectError> {
        let peer = PeerIdentity::new(None, pipe.peer_process_id().ok());
        // Only a pipe that was split cannot be taken out.
        let handle = OwnedHandle::try_from(pipe)
            .map_err(|_| ConnectError::os("preparing the pipe", io::ErrorKind::Other.into()))?;
        let port =
            Port::open(handle).map_err(|error| ConnectError::os("preparing the pipe", error))?;
        Ok(Self { port, peer })
    }
}

/// What the link needs of a socket.
impl Stream {
    pub(crate) fn try_recv(&self, buf: &mut [u8]) -> io::Result<Moved> {
        self.port.try_recv(buf)
    }

    pub(crate) fn try_send(&self, bytes: &[u8]) -> io::Result<Moved> {
        self.port.try_send(&[bytes])
    }

    /// As one write of `first` and then `second`.
    pub(crate) fn try_send_both(&self, first: &[u8], second: &[u8]) -> io::Result<Moved> {
        self.port.try_send(&[first, second])
    }

    /// True if a call for one of `wanted` would not be blocked now.
    pub(crate) fn is_ready(&self, wanted: Reasons) -> bool {
        self.port.is_ready(wanted)
    }

    /// Sleeps until `waker` is set, one of `wanted` is ready, or the time is up. May return for no
    /// reason. Cannot fail, as it can on Unix.
    pub(crate) fn wait(
        &self,
        waker: Option<&Arc<Waker>>,
        wanted: Reasons,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        match waker {
            Some(waker) => self.port.wait(waker, wanted, timeout),
            None => self.port.wait(&Arc::default(), wanted, timeout),
        }
        Ok(())
    }

    /// A pipe that has ended in one direction has ended in both.
    pub(crate) fn wait_until_gone(&self) {}

    /// Ends one direction or both. What was sent before still arrives if the peer reads it soon.
    pub(crate) fn shut_down(&self, how: Shutdown) {
        self.port.shut_down(how);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.port.shut_down(Shutdown::Both);
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("peer", &self.peer).finish_non_exhaustive()
    }
}
