//! A peer made by hand: the pipe's framing on a plain socket (`docs/WIRE-FORMAT.md` sections 1
//! and 2). It may say anything.

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use crate::PATIENCE;

/// Where a server of this name listens.
#[must_use]
pub fn address(name: &str) -> SocketAddr {
    let user = rustix::process::geteuid().as_raw();
    SocketAddr::from_abstract_name(format!("tramline-{user}-{name}")).expect("short enough")
}

/// Listens where a server of this name would.
#[must_use]
pub fn listen(name: &str) -> UnixListener {
    UnixListener::bind_addr(&address(name)).expect("the name is free")
}

/// The greeting of a client that offers these transports (1 pipe, 2 shared memory).
#[must_use]
pub fn greeting(transports: u8) -> [u8; 8] {
    [b'T', b'R', b'A', b'M', 1, transports, 0, 0]
}

/// A socket connected to the server of this name.
#[derive(Debug)]
pub struct RawPeer(UnixStream);

impl RawPeer {
    /// Connects.
    #[must_use]
    pub fn connect(name: &str) -> Self {
        Self::new(UnixStream::connect_addr(&address(name)).expect("somebody listens"))
    }

    /// Over a socket that is there already.
    #[must_use]
    pub fn new(socket: UnixStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).expect("socket");
        socket.set_write_timeout(Some(PATIENCE)).expect("socket");
        Self(socket)
    }

    /// Connects and greets as a client of the pipe.
    #[must_use]
    pub fn greeted(name: &str) -> Self {
        let mut peer = Self::connect(name);
        peer.send(&greeting(1));
        let mut answer = [0; 8];
        peer.0.read_exact(&mut answer).expect("a greeting");
        assert_eq!(answer, greeting(1));
        peer
    }

    /// Sends bytes as they are; a peer that has hung up is no error.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Sends one frame.
    pub fn send_frame(&mut self, frame: &[u8]) {
        let len = u32::try_from(frame.len()).expect("a short frame");
        self.send(&[&len.to_le_bytes(), frame].concat());
    }

    /// The next frame; `None` when the other side has hung up.
    ///
    /// # Panics
    ///
    /// If nothing comes within [`PATIENCE`].
    pub fn frame(&mut self) -> Option<Vec<u8>> {
        let mut len = [0; 4];
        self.fill(&mut len)?;
        let mut frame = vec![0; usize::try_from(u32::from_le_bytes(len)).expect("64 bits")];
        self.fill(&mut frame)?;
        Some(frame)
    }

    /// Waits until the other side hangs up.
    pub fn until_hung_up(&mut self) {
        let mut rest = [0; 4096];
        while self.fill(&mut rest[..1]).is_some() {}
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Option<()> {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        match self.0.read_exact(bytes) {
            Ok(()) => Some(()),
            Err(e) if matches!(e.kind(), TimedOut | WouldBlock) => panic!("nothing comes"),
            Err(_) => None,
        }
    }
}
