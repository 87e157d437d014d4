//! A connected Unix stream socket, and who is at its other end.
#![allow(unsafe_code)] // `Stream::inherited` turns a bare number into a descriptor

#[deny(unsafe_code)]
mod endpoint;
#[deny(unsafe_code)]
mod listener;
#[deny(unsafe_code)]
mod poll;
#[deny(unsafe_code)]
mod socket_file;
#[deny(unsafe_code)]
mod stdio;

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use interprocess::local_socket::ConnectOptions;
use interprocess::local_socket::traits::StreamCommon;
use interprocess::os::unix::uds_local_socket;
use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketType, getpeername, recv, send,
    sendmsg, sockopt,
};
use rustix::process::{getegid, geteuid};
use tramline_core::{ConfigError, ConnectError, PeerIdentity};

pub use self::listener::Listener;
pub(crate) use self::poll::Waker;
use self::poll::{is_ready, poll_for};
pub(crate) use self::stdio::stdio;
use crate::stream::Moved;
use crate::wake::{Reasons, lock};

/// How long connecting may wait for the listener's queue. A choice: the default handshake limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: SendFlags = SendFlags::empty();

/// A connected local socket on which nothing has been framed yet, with the peer as the operating
/// system states it.
///
/// The socket never blocks and is closed on `exec`; dropping the `Stream` closes it.
#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    pub(crate) peer: PeerIdentity,
}

impl Stream {
    /// Connects to the listener of that name which runs as the same user.
    ///
    /// # Errors
    ///
    /// - [`ConnectError::NotFound`]: nobody listens.
    /// - [`ConnectError::PeerUser`]: another user holds the name; nothing was sent to him.
    /// - [`ConnectError::Config`]: the name is empty, too long, or has a slash or a control
    ///   character.
    /// - [`ConnectError::Os`]: the system refused, for example because the listener's queue is
    ///   full.
    pub fn connect(name: &str) -> Result<Stream, ConnectError> {
        let place = endpoint::to_connect(name)?;
        let socket = ConnectOptions::new()
            .name(place)
            .wait_mode(interprocess::ConnectWaitMode::Timeout(CONNECT_TIMEOUT))
            .connect_sync_as::<uds_local_socket::Stream>()
            .map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                    ConnectError::NotFound { endpoint: name.into() }
                }
                _ => ConnectError::os("connecting", error),
            })?;
        Self::from_fd(socket.into())
    }

    /// Takes over a connected Unix stream socket and checks that its peer is the same user.
    ///
    /// # Errors
    ///
    /// [`ConnectError::PeerUser`] when the peer is another user, [`ConnectError::Os`] when the
    /// system does not say who it is. The descriptor is closed.
    pub fn from_fd(fd: OwnedFd) -> Result<Stream, ConnectError> {
        let (fd, peer) = credentials(fd)?;
        let expected = geteuid().as_raw();
        match peer.uid {
            Some(found) if found == expected => {}
            Some(found) => return Err(ConnectError::PeerUser { found, expected }),
            None => {
                let why = "the system does not tell the peer's user".into();
                return Err(ConnectError::Transport { transport: "pipe", why });
            }
        }
        Self::with_peer(fd, peer).map_err(|error| ConnectError::os("preparing the socket", error))
    }

    fn with_peer(fd: OwnedFd, peer: PeerIdentity) -> io::Result<Stream> {
        let socket = UnixStream::from(fd);
        socket.set_nonblocking(true)?;
        // There the flag belongs to the socket; elsewhere it goes with each send.
        #[cfg(target_vendor = "apple")]
        sockopt::set_socket_nosigpipe(&socket, true)?;
        Ok(Self { socket, peer })
    }

    /// Two connected ends: one to keep and one for a child process.
    ///
    /// Both are closed on `exec`; whatever starts the child must lift that for its end. The kept
    /// end's [`peer`](Self::peer) is this process, which made the pair.
    ///
    /// # Errors
    ///
    /// What the system says, for example that there are no descriptors left.
    pub fn pair() -> io::Result<(Stream, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        let peer = PeerIdentity::new(Some(geteuid().as_raw()), Some(std::process::id()))
            .with_gid(Some(getegid().as_raw()));
        Ok((Self::with_peer(ours.into(), peer)?, theirs.into()))
    }

    /// Adopts descriptor number `fd`, 3 or above, that a parent process left open for this one.
    ///
    /// Call it once per number, before other code may reuse it. A descriptor that this process
    /// opened itself is refused where it is closed on `exec`, as all of Rust's are: no parent can
    /// have left such a one. The peer's user is stated, not checked: the parent chose it.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoParent`] when the number is below 3, was adopted before, is not open, or
    /// is not a connected Unix stream socket left open across `exec`.
    pub fn inherited(fd: RawFd) -> Result<Stream, ConfigError> {
        static ADOPTED: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());
        let refuse = |why| Err(ConfigError::NoParent { why });
        if fd < 3 {
            return refuse("descriptors 0 to 2 are the standard streams");
        }
        // Held to the end: of two callers with one number the second sees the first's entry.
        let mut adopted = lock(&ADOPTED);
        // SAFETY:
        // - valid: not -1, for it is at least 3.
        // - alive: used below only to ask the kernel about the number, which answers EBADF if it
        //   is not open; nothing is read, written or closed through it.
        let probe = unsafe { BorrowedFd::borrow_raw(fd) };
        match fcntl_getfd(probe) {
            Err(_) => return refuse("the descriptor is not open"),
            Ok(flags) if flags.contains(FdFlags::CLOEXEC) => {
                return refuse("the descriptor is closed on exec, so no parent left it");
            }
            Ok(_) => {}
        }
        match sockopt::socket_type(probe) {
            Ok(SocketType::STREAM) => {}
            Ok(_) => return refuse("the descriptor is not a stream socket"),
            Err(_) => return refuse("the descriptor is not a socket"),
        }
        match getpeername(probe) {
            Ok(Some(address)) if address.address_family() != AddressFamily::UNIX => {
                return refuse("the descriptor is not a Unix socket");
            }
            Ok(_) => {}
            Err(_) => return refuse("the descriptor is not connected"),
        }
        if adopted.contains(&fd) {
            return refuse("the descriptor was taken before");
        }
        if fcntl_setfd(probe, FdFlags::CLOEXEC).is_err() {
            return refuse("the descriptor cannot be kept from child processes");
        }
        adopted.insert(fd);
        // SAFETY:
        // - valid: the kernel has just described it as an open socket.
        // - unshared: it was open across `exec`, so no object of this process made it; the set
        //   makes this the only time that this function owns the number. Nothing else may adopt
        //   it, as the documentation asks.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let Ok((fd, peer)) = credentials(fd) else {
            return refuse("the system does not tell who is at the other end");
        };
        Self::with_peer(fd, peer)
            .map_err(|_| ConfigError::NoParent { why: "the socket cannot be made non-blocking" })
    }

    /// The bare socket, for instance to pass descriptors over it.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.socket.into()
    }
}

/// What the link needs of a socket.
impl Stream {
    pub(crate) fn try_recv(&self, buf: &mut [u8]) -> io::Result<Moved> {
        moved(|| recv(&self.socket, &mut *buf, RecvFlags::empty()).map(|(len, _)| len))
            // A stream that gives nothing is over.
            .map(|moved| match moved {
                Moved::Some(0) => Moved::Ended,
                moved => moved,
            })
    }

    pub(crate) fn try_send(&self, bytes: &[u8]) -> io::Result<Moved> {
        moved(|| send(&self.socket, bytes, SEND_FLAGS))
    }

    /// As one write of `first` and then `second`.
    pub(crate) fn try_send_both(&self, first: &[u8], second: &[u8]) -> io::Result<Moved> {
        let parts = [IoSlice::new(first), IoSlice::new(second)];
        let mut none = SendAncillaryBuffer::default();
        moved(|| sendmsg(&self.socket, &parts, &mut none, SEND_FLAGS))
    }

    /// True if a call for one of `wanted` would not be blocked now.
    pub(crate) fn is_ready(&self, wanted: Reasons) -> bool {
        is_ready(self.socket.as_fd(), flags(wanted))
    }

    /// Sleeps until `waker` is set, one of `wanted` is ready, or the time is up. May return for no
    /// reason.
    pub(crate) fn wait(
        &self,
        waker: Option<&Arc<Waker>>,
        wanted: Reasons,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let events = flags(wanted);
        let socket = PollFd::from_borrowed_fd(self.socket.as_fd(), events);
        match waker.map(|waker| PollFd::from_borrowed_fd(waker.as_fd(), PollFlags::IN)) {
            None => poll_for(&mut [socket], timeout),
            // A socket that is over would wake even who wants nothing of it.
            Some(waker) if events.is_empty() => poll_for(&mut [waker], timeout),
            Some(waker) => poll_for(&mut [waker, socket], timeout),
        }
    }

    /// Sleeps until neither side sends or reads any more.
    pub(crate) fn wait_until_gone(&self) {
        // Who wants nothing is only told of the end.
        while !self.is_ready(Reasons::NONE) && self.wait(None, Reasons::NONE, None).is_ok() {}
    }

    /// Ends one direction or both. What was sent before still arrives.
    pub(crate) fn shut_down(&self, how: Shutdown) {
        // Refused only if the peer has gone.
        let _ = self.socket.shutdown(how);
    }
}

fn flags(wanted: Reasons) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, wanted.data);
    flags.set(PollFlags::OUT, wanted.room);
    flags
}

/// Calls until no signal handler gets in between.
fn moved(mut call: impl FnMut() -> Result<usize, Errno>) -> io::Result<Moved> {
    loop {
        return match call() {
            Ok(len) => Ok(Moved::Some(len)),
            Err(Errno::AGAIN) => Ok(Moved::Blocked),
            Err(Errno::INTR) => continue,
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(Moved::Ended),
            Err(error) => Err(error.into()),
        };
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Who the system says is at the other end of a socket.
fn credentials(fd: OwnedFd) -> Result<(OwnedFd, PeerIdentity), ConnectError> {
    let socket = uds_local_socket::Stream::from(fd);
    let found =
        socket.peer_creds().map_err(|error| ConnectError::os("asking for the peer", error))?;
    let pid = found.pid().and_then(|pid| u32::try_from(pid).ok());
    let identity = PeerIdentity::new(found.euid(), pid).with_gid(found.egid());
    Ok((socket.into(), identity))
}
