//! Changing what peers may do while the server runs.

use std::fmt;
use std::sync::Weak;

use tramline_core::ConfigError;
use tramline_core::acl::{Capabilities, Warning};

use crate::hub::Hub;

/// The capabilities of a running server: add to them, revoke them.
///
/// [`Running::capabilities`](crate::Running::capabilities) gives it, and a command can ask for it as
/// `State<'_, LiveCapabilities>`.
///
/// A change holds for every call, subscription and event that is handled after it; calls that have
/// begun go on. Two things about events: whoever may not listen any more is sent no more, and has to
/// listen again if he may later; and a peer learns when it connects which events it may emit, so
/// that a right to emit that is added reaches only those that connect from then on.
///
/// # Examples
///
/// ```
/// use tramline::{Capabilities, Capability, Client, Server, command, commands};
///
/// #[command(inline)]
/// fn wipe() {}
///
/// let server = Server::new().commands(commands![wipe]).start("mem:live-doc")?;
/// let client = Client::connect("mem:live-doc").wait()?;
/// assert!(client.invoke::<(), _>("wipe", ()).wait().is_err());
///
/// let live = server.capabilities();
/// live.add(Capabilities::none().with(Capability::new("cleaning").command("wipe")))?;
/// client.invoke::<(), _>("wipe", ()).wait()?;
///
/// assert!(live.revoke("cleaning"));
/// assert!(client.invoke::<(), _>("wipe", ()).wait().is_err());
/// # server.stop();
/// # Ok::<(), tramline::Error>(())
/// ```
#[derive(Clone)]
pub struct LiveCapabilities(Weak<Hub>);

impl LiveCapabilities {
    pub(crate) fn new(hub: Weak<Hub>) -> Self {
        Self(hub)
    }

    /// Adds capabilities. Permissions of the server's files can be named.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Capabilities`]: what can never be meant, also an identifier that is taken;
    /// then nothing has changed.
    pub fn add(&self, more: Capabilities) -> Result<(), ConfigError> {
        match self.0.upgrade() {
            Some(hub) => hub.change_capabilities(|gate| gate.add(more)).map_err(Into::into),
            None => Ok(()),
        }
    }

    /// Takes a capability back; false if there is none of this identifier.
    ///
    /// When it returns, no call that comes later is allowed by it.
    pub fn revoke(&self, identifier: &str) -> bool {
        let revoke = |hub: &Hub| hub.change_capabilities(|gate| gate.revoke(identifier));
        self.0.upgrade().is_some_and(|hub| revoke(&hub))
    }

    /// The identifiers of all capabilities. What [`Capabilities::command`] and its like have said
    /// is one of them, `(code)`.
    #[must_use]
    pub fn identifiers(&self) -> Vec<String> {
        self.0.upgrade().map(|hub| hub.gate().identifiers()).unwrap_or_default()
    }

    /// What is probably not meant, but does no harm.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        self.0.upgrade().map(|hub| hub.gate().warnings()).unwrap_or_default()
    }
}

impl fmt::Debug for LiveCapabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveCapabilities").field(&self.identifiers()).finish()
    }
}
