//! A connection whose runner is a turn of somebody who serves others, too.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tramline_core::peer::Patience;
use tramline_transport_shm::Doorbell;

use super::Connection;
use crate::link::{IfQuiet, Runner, Step};

/// One connection and what its runner keeps between two turns.
pub(super) struct Shift {
    doorbell: Doorbell,
    runner: Runner,
    connection: Connection,
}

/// What is to be done about a connection after its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another turn soon: it had something to do.
    Again,
    /// Another turn soon: it had nothing to do, but the peer was not told to ring.
    Look,
    /// No turn before the peer rings or somebody kicks.
    Sleep,
    /// It is over.
    Drop,
}

impl Shift {
    pub(super) fn new(connection: Connection, doorbell: Doorbell) -> Self {
        connection.link.share_thread();
        // Whoever waits for room here keeps all the others waiting.
        let runner = Runner::new(IfQuiet::Sleep, Patience::None);
        Self { doorbell, runner, connection }
    }

    pub(super) fn doorbell(&self) -> &Doorbell {
        &self.doorbell
    }

    #[cfg(feature = "tokio")]
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The connection, for a thread of its own. Whatever was attached to the doorbell stays: it
    /// does not keep a thread from sleeping.
    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// The peer rang or hung up.
    pub(super) fn hear(&mut self) {
        self.doorbell.hear();
    }

    /// To be called before the first turn after [`Next::Sleep`].
    pub(super) fn awake(&self) {
        self.connection.link.awake();
    }

    /// Reads and handles some of what is there. `look`: do not sleep yet.
    pub(super) fn turn(&mut self, look: bool) -> Next {
        self.runner.if_quiet = if look { IfQuiet::Leave } else { IfQuiet::Sleep };
        let Connection { link, peer, .. } = &self.connection;
        let service = self.connection.hub().service();
        let runner = &mut self.runner;
        // Handlers and listeners are caught where they are called. Whatever else panics, such as a
        // codec of the user's, ends its own connection only.
        match catch_unwind(AssertUnwindSafe(|| link.step(runner, peer, service))) {
            Ok(Step::Busy) => Next::Again,
            Ok(Step::Quiet) => Next::Look,
            Ok(Step::Asleep(wait)) => {
                // Only calls have deadlines, and a server makes none.
                debug_assert_eq!(wait.timeout, None);
                Next::Sleep
            }
            Ok(Step::Over(_)) | Err(_) => Next::Drop,
        }
    }
}
