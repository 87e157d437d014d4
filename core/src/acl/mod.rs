//! Capabilities: who may call what, listen to what, emit what, and within which scope.
//!
//! - *Declared*: [`Capabilities`], written in code or read from Tauri's own permission and
//!   capability files. Nothing is decided yet.
//! - *Resolved*: [`Rules`], what the declared capabilities mean for the commands that a server has.
//!   Pure: [`Rules::access`] and [`Rules::events`] decide for one [`Subject`].
//! - *At work*: [`Gate`](crate::gate::Gate), which holds the rules of a running server, and
//!   [`Guard`](crate::gate::Guard), what they come to for one connection, looked up once.
//!
//! The rules are Tauri's (`docs/CAPABILITIES.md`): a deny entry refuses whatever the peer's label;
//! otherwise an allow entry must match both the peer's class and its label; otherwise the answer is
//! no.

mod class;
mod declared;
mod denial;
mod error;
mod file;
mod identifier;
mod quota;
mod resolve;
mod rules;
mod scope;
#[cfg(test)]
mod tests;

pub use self::class::{PeerClass, Standing};
pub use self::declared::{Capabilities, Capability};
pub use self::denial::{Asked, Denial, OnDenied};
pub use self::error::{AclError, Warning};
pub use self::file::{
    CapabilityFile, CommandNames, DefaultPermission, Format, Permission, PermissionEntry,
    PermissionFile, PermissionSet, Platform, RemoteUrls, Scopes,
};
pub use self::identifier::Identifier;
pub use self::quota::{Meter, OverQuota, Quota, Rate};
pub use self::resolve::resolve;
pub use self::rules::{Access, EventRights, Rules, Subject};
pub use self::scope::{CallScopes, CommandScope, GlobalScope, Scope, ScopeObjectMatch};

/// The prefix of the name of a plugin's command: `plugin:<plugin>|<command>`.
const PLUGIN: &str = "plugin:";

/// The plugin that a command belongs to, and its name there. `None` for a command of the
/// application itself.
///
/// # Examples
///
/// ```
/// use tramline_core::acl::plugin_command;
///
/// assert_eq!(plugin_command("plugin:fs|read"), Some(("fs", "read")));
/// assert_eq!(plugin_command("read"), None);
/// ```
#[must_use]
pub fn plugin_command(command: &str) -> Option<(&str, &str)> {
    let rest = command.strip_prefix(PLUGIN)?;
    // What stands behind a second bar is nothing to Tauri either.
    let mut parts = rest.split('|');
    Some((parts.next().unwrap_or_default(), parts.next().unwrap_or_default()))
}
