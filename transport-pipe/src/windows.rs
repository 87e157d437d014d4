//! The surface of the Unix files where there is no Unix socket. Nothing here can be built.

use std::convert::Infallible;
use std::time::Instant;

use tramline_core::{ConnectError, Halves, Limits, PeerIdentity, Transport};

fn unavailable() -> ConnectError {
    let why = "named pipes are not offered in this version".into();
    ConnectError::Transport {
        transport: "pipe",
        why,
    }
}

/// A connected local socket. Not offered on this platform: there is no value of this type.
#[derive(Debug)]
pub struct Stream(Infallible);

impl Stream {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// Always [`ConnectError::Transport`].
    pub fn connect(_name: &str) -> Result<Stream, ConnectError> {
        Err(unavailable())
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> PeerIdentity {
        match self.0 {}
    }

    /// Fills `buf`.
    ///
    /// # Errors
    ///
    /// None: there is no value to call it on.
    pub fn read_exact(&self, _buf: &mut [u8], _deadline: Instant) -> Result<(), ConnectError> {
        match self.0 {}
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// None: there is no value to call it on.
    pub fn write_all(&self, _bytes: &[u8], _deadline: Instant) -> Result<(), ConnectError> {
        match self.0 {}
    }
}

/// A name to be reached by. Not offered on this platform: there is no value of this type.
#[derive(Debug)]
pub struct Listener(Infallible);

impl Listener {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// Always [`ConnectError::Transport`].
    pub fn bind(_name: &str) -> Result<Listener, ConnectError> {
        Err(unavailable())
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// None: there is no value to call it on.
    pub fn accept(&self) -> Result<Option<Stream>, ConnectError> {
        match self.0 {}
    }

    /// Ends [`accept`](Self::accept).
    pub fn stop(&self) {
        match self.0 {}
    }
}

/// Frames over a [`Stream`]. Not offered on this platform: there is no value of this type.
#[derive(Debug)]
pub struct PipeTransport(Infallible);

impl PipeTransport {
    /// Frames over `stream`, which cannot exist.
    ///
    /// # Errors
    ///
    /// None: there is no value to call it with.
    pub fn new(stream: Stream, _limits: &Limits) -> Result<PipeTransport, ConnectError> {
        match stream.0 {}
    }
}

impl Transport for PipeTransport {
    fn into_halves(self: Box<Self>) -> Halves {
        match self.0 {}
    }
}
