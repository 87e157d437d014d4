//! The clients of a server.

use std::fmt;
use std::sync::Weak;

use serde::Serialize;
use tramline_core::SendError;
use tramline_core::peer::Peer;

use crate::hub::Hub;

/// The clients a server has at this moment: emit to one, some or all of them.
///
/// [`Running::clients`](crate::Running::clients) gives it, and a command can ask for it as
/// `State<'_, Clients>`.
#[derive(Clone)]
pub struct Clients(Weak<Hub>);

impl Clients {
    pub(crate) fn new(hub: Weak<Hub>) -> Self {
        Self(hub)
    }

    /// Every connected client, in the order in which they came.
    #[must_use]
    pub fn list(&self) -> Vec<Peer> {
        self.0.upgrade().map(|hub| hub.peers()).unwrap_or_default()
    }

    /// Emits an event to every client that listens to it.
    ///
    /// # Errors
    ///
    /// The first client's error that is not the end of its link; the others got the event.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, payload: &T) -> Result<(), SendError> {
        self.emit_filter(event, payload, |_| true)
    }

    /// Emits an event to the clients of this label.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_to<T: Serialize + ?Sized>(
        &self,
        label: &str,
        event: &str,
        payload: &T,
    ) -> Result<(), SendError> {
        self.emit_filter(event, payload, |peer| peer.label() == Some(label))
    }

    /// Emits an event to the clients that `filter` picks.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_filter<T: Serialize + ?Sized>(
        &self,
        event: &str,
        payload: &T,
        filter: impl Fn(&Peer) -> bool,
    ) -> Result<(), SendError> {
        let mut outcome = Ok(());
        for peer in self.list().iter().filter(|peer| filter(peer)) {
            match peer.emit(event, payload) {
                // A client that has just gone does not listen any more.
                Ok(()) | Err(SendError::Link(_)) => {}
                Err(e) => outcome = outcome.and(Err(e)),
            }
        }
        outcome
    }

    /// Stops the server; may be called from a command.
    pub fn stop(&self) {
        if let Some(hub) = self.0.upgrade() {
            hub.stop();
        }
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clients").field(&self.list()).finish()
    }
}
