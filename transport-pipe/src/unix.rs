//! A connected Unix stream socket, and who is at its other end.
#![allow(unsafe_code)] // `Stream::inherited` turns a bare number into a descriptor

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use interprocess::local_socket::ConnectOptions;
use interprocess::local_socket::traits::StreamCommon;
use interprocess::os::unix::uds_local_socket;
use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, getpeername, recv, send, sockopt,
};
use rustix::process::geteuid;
use tramline_core::{ConfigError, ConnectError, LinkError, PeerIdentity};

use crate::wake::{lock, poll_for};

/// How long connecting may wait for the listener's queue. A choice: the default handshake limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(not(target_vendor = "apple"))]
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::empty();

/// A connected local socket on which nothing has been framed yet, with the peer as the operating
/// system states it.
///
/// The socket never blocks and is closed on `exec`; dropping the `Stream` closes it.
#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    peer: PeerIdentity,
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
        let place = crate::endpoint::to_connect(name)?;
        let socket = ConnectOptions::new()
            .name(place)
            .wait_mode(interprocess::ConnectWaitMode::Timeout(CONNECT_TIMEOUT))
            .connect_sync_as::<uds_local_socket::Stream>()
            .map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                    ConnectError::NotFound {
                        endpoint: name.into(),
                    }
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
                return Err(ConnectError::Transport {
                    transport: "pipe",
                    why,
                });
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
        let peer = PeerIdentity::new(Some(geteuid().as_raw()), Some(std::process::id()));
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
        Self::with_peer(fd, peer).map_err(|_| ConfigError::NoParent {
            why: "the socket cannot be made non-blocking",
        })
    }

    /// Who is at the other end, as the operating system says.
    #[must_use]
    pub fn peer(&self) -> PeerIdentity {
        self.peer
    }

    /// Fills `buf`; never takes more than that off the socket.
    ///
    /// # Errors
    ///
    /// [`ConnectError::TimedOut`] at the deadline, with what was left of it when the call began;
    /// [`LinkError::PeerDied`] when the stream ends; [`ConnectError::Os`] otherwise.
    pub fn read_exact(&self, buf: &mut [u8], deadline: Instant) -> Result<(), ConnectError> {
        let (started, mut filled) = (Instant::now(), 0);
        while filled < buf.len() {
            match recv(&self.socket, &mut buf[filled..], RecvFlags::empty()) {
                Ok((0, _)) | Err(Errno::CONNRESET) => return Err(LinkError::PeerDied.into()),
                Ok((len, _)) => filled += len,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::IN, started, deadline)?,
                Err(error) => return Err(ConnectError::os("reading", error.into())),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`read_exact`](Self::read_exact).
    pub fn write_all(&self, bytes: &[u8], deadline: Instant) -> Result<(), ConnectError> {
        let (started, mut written) = (Instant::now(), 0);
        while written < bytes.len() {
            match send(&self.socket, &bytes[written..], SEND_FLAGS) {
                Ok(len) => written += len,
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(LinkError::PeerDied.into()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, started, deadline)?,
                Err(error) => return Err(ConnectError::os("writing", error.into())),
            }
        }
        Ok(())
    }

    /// Sleeps until the socket is ready or the deadline has passed.
    fn wait(
        &self,
        events: PollFlags,
        started: Instant,
        deadline: Instant,
    ) -> Result<(), ConnectError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let limit = deadline.saturating_duration_since(started).as_millis();
            let timeout_ms = u64::try_from(limit).unwrap_or(u64::MAX);
            return Err(ConnectError::TimedOut { timeout_ms });
        }
        let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), events)];
        poll_for(&mut fds, Some(left)).map_err(|error| ConnectError::os("waiting", error))
    }

    /// The bare socket, for instance to pass descriptors over it.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.socket.into()
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
    let found = socket
        .peer_creds()
        .map_err(|error| ConnectError::os("asking for the peer", error))?;
    let pid = found.pid().and_then(|pid| u32::try_from(pid).ok());
    Ok((socket.into(), PeerIdentity::new(found.euid(), pid)))
}
