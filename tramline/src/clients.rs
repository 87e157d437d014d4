//! The clients of a server.

use std::fmt;
use std::sync::Weak;

use serde::Serialize;
use tramline_core::SendError;
use tramline_core::events::EventTarget;
use tramline_core::peer::Peer;

use crate::hub::Hub;

/// The clients a server has at this moment: emit to one, some or all of them.
///
/// [`Running::clients`](crate::Running::clients) gives it, and a command can ask for it as
/// `State<'_, Clients>`.
///
/// What is emitted here goes to the other ends of the server's connections; the server's own
/// listeners hear what clients emit.
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

    /// Emits an event to every client that listens to it, one after the other. A client whose link
    /// is full is waited for, as long as [`Limits::send_timeout_ms`](crate::Limits) says; to drop
    /// instead, [`list`](Self::list) them and [`try_emit`](Peer::try_emit) to each.
    ///
    /// # Errors
    ///
    /// The first client's error that is not the end of its link; the others got the event.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, payload: &T) -> Result<(), SendError> {
        self.emit_each(|peer| peer.emit(event, payload))
    }

    /// Emits an event to the clients' listeners that `target` reaches. A text is a label of any kind:
    /// it reaches the listeners of the clients that connected with it, unless they said another
    /// target, and those that listen as [`EventTarget::Any`].
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline::{Capabilities, Client, EventTarget, Server};
    /// # use std::sync::mpsc::channel;
    ///
    /// let server = Server::new().allow(Capabilities::none().event("tick"));
    /// let server = server.start("mem:targets-doc")?;
    /// let client = Client::connect("mem:targets-doc").label("main").wait()?;
    /// let (sent, came) = channel();
    /// client.listen("tick", move |event| sent.send(event.payload::<u32>()).unwrap()).wait()?;
    ///
    /// server.clients().emit_to("side", "tick", &1)?;
    /// server.clients().emit_to("main", "tick", &2)?;
    /// server.clients().emit_to(EventTarget::window("main"), "tick", &3)?;
    /// server.clients().emit_to(EventTarget::peer("main"), "tick", &4)?;
    /// assert_eq!((came.recv().unwrap(), came.recv().unwrap()), (Ok(2), Ok(4)));
    /// # server.stop();
    /// # Ok::<(), tramline::Error>(())
    /// ```
    pub fn emit_to<T: Serialize + ?Sized>(
        &self,
        target: impl Into<EventTarget>,
        event: &str,
        payload: &T,
    ) -> Result<(), SendError> {
        match target.into() {
            EventTarget::Any => self.emit(event, payload),
            target => self.emit_filter(event, payload, |listener| target.reaches(listener)),
        }
    }

    /// Emits an event to the clients' listeners whose target `filter` picks, and to those that
    /// listen as [`EventTarget::Any`]. For one client, use [`Peer::emit`].
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_filter<T: Serialize + ?Sized>(
        &self,
        event: &str,
        payload: &T,
        filter: impl Fn(&EventTarget) -> bool,
    ) -> Result<(), SendError> {
        self.emit_each(|peer| peer.emit_filter(event, payload, &filter))
    }

    fn emit_each(&self, emit: impl Fn(&Peer) -> Result<(), SendError>) -> Result<(), SendError> {
        let mut outcome = Ok(());
        for peer in &self.list() {
            match emit(peer) {
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
