//! A connection and the other side of it.

use std::fmt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(unix)]
use tramline::Sidecar;
use tramline::{AnyCodec, Client, Error, InvokeError, Running, Scheme};

use crate::peer;
use crate::shapes::{Block, BlockRef};

/// Every codec that is measured.
pub const CODECS: [AnyCodec; 2] = [AnyCodec::MSGPACK, AnyCodec::JSON];

/// Every transport that is measured.
#[cfg(unix)]
pub const TRANSPORTS: [Transport; 3] = [Transport::Shm, Transport::Pipe, Transport::Mem];
/// Every transport that is measured; sidecars are offered on Unix only.
#[cfg(not(unix))]
pub const TRANSPORTS: [Transport; 1] = [Transport::Mem];

/// How the bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Shared memory, to a second process.
    Shm,
    /// A Unix socket, to a second process.
    Pipe,
    /// Within this process.
    Mem,
}

impl Transport {
    /// The name in bench ids.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shm => "shm",
            Self::Pipe => "pipe",
            Self::Mem => "mem",
        }
    }

    #[cfg(unix)]
    fn scheme(self) -> Scheme {
        match self {
            Self::Shm => Scheme::Shm,
            Self::Pipe => Scheme::Pipe,
            Self::Mem => Scheme::Mem,
        }
    }
}

/// Both sides of one connection. Dropping it ends the other process.
pub struct Pair(Sides);

enum Sides {
    #[cfg(unix)]
    Processes(Sidecar),
    Here {
        client: Client,
        _server: Running,
    },
}

impl Pair {
    /// Connects; `other_side` is the program that runs [`peer::serve_parent`].
    ///
    /// # Errors
    ///
    /// The other side does not start or the transport cannot be had.
    ///
    /// # Panics
    ///
    /// If the connection came about over another transport than asked for.
    pub fn open(transport: Transport, codec: AnyCodec, other_side: Command) -> Result<Self, Error> {
        let pair = match transport {
            #[cfg(unix)]
            Transport::Shm | Transport::Pipe => {
                let spawn = Sidecar::spawn(other_side).scheme(transport.scheme()).codec(codec);
                Self(Sides::Processes(spawn.wait()?))
            }
            _ => Self::open_here(codec)?,
        };
        assert_eq!(pair.client().server().transport(), transport.name());
        Ok(pair)
    }

    fn open_here(codec: AnyCodec) -> Result<Self, Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let endpoint = format!("mem:bench-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let server = peer::serve_here(&endpoint)?;
        let client = Client::connect(&endpoint).codec(codec).wait()?;
        Ok(Self(Sides::Here { client, _server: server }))
    }

    /// The calling side.
    #[must_use]
    pub fn client(&self) -> &Client {
        match &self.0 {
            #[cfg(unix)]
            Sides::Processes(sidecar) => sidecar.client(),
            Sides::Here { client, .. } => client,
        }
    }

    /// One call, answered with what was sent.
    ///
    /// # Errors
    ///
    /// The call failed.
    ///
    /// # Panics
    ///
    /// If the answer belongs to another call or has another length.
    pub fn echo(&self, id: u64, data: &[u8]) -> Result<Block, InvokeError> {
        let answer: Block = self.client().invoke("echo", BlockRef::new(id, data)).wait()?;
        assert_eq!((answer.id, answer.data.len()), (id, data.len()));
        Ok(answer)
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pair").field(self.client()).finish()
    }
}
