//! Capabilities as code and files declare them.

use serde::Deserialize;

use super::{
    CapabilityFile, CommandNames, Permission, PermissionEntry, PermissionFile, Platform,
    RemoteUrls, Scopes,
};

/// The identifier of the capability that `Capabilities::command` and its like write to. No file can
/// hold it by chance.
pub(super) const OF_CODE: &str = "(code)";

pub(super) const LISTEN: &str = "plugin:event|listen";
pub(super) const EMIT: &str = "plugin:event|emit";
pub(super) const EMIT_TO: &str = "plugin:event|emit_to";

/// Some peers, and what they may do.
///
/// The same thing as an entry of a capability file: each method stands for a line of one. Peers are
/// meant by their class ([`PeerClass`](super::PeerClass)) and by their label; the connect policy
/// decides both.
///
/// # Examples
///
/// ```
/// use serde_json::json;
/// use tramline_core::acl::{Capability, Scopes};
///
/// let capability = Capability::new("viewers")
///     .label("viewer-*")
///     .command("list")
///     .command_scoped("read", Scopes::new().allow(json!({ "path": "/srv/*" })))
///     .listen("progress/*");
/// assert_eq!(capability.identifier(), "viewers");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Capability {
    pub(super) identifier: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    pub(super) remote: Option<RemoteUrls>,
    #[serde(default = "yes")]
    pub(super) local: bool,
    #[serde(default)]
    pub(super) windows: Vec<String>,
    #[serde(default)]
    pub(super) webviews: Vec<String>,
    pub(super) permissions: Vec<PermissionEntry>,
    #[serde(default)]
    pub(super) platforms: Option<Vec<Platform>>,
    /// Whatever the label: said by code only.
    #[serde(skip)]
    pub(super) any_label: bool,
    /// Every command is allowed: said by code only.
    #[serde(skip)]
    pub(super) every_command: bool,
    /// Permissions that stand here and nowhere else: said by code only. Their commands have full
    /// names.
    #[serde(skip)]
    pub(super) inline: Vec<Permission>,
}

fn yes() -> bool {
    true
}

impl Capability {
    /// A capability of all local peers that allows nothing yet.
    #[must_use]
    pub fn new(identifier: &str) -> Self {
        Self {
            identifier: identifier.into(),
            description: String::new(),
            remote: None,
            local: true,
            windows: Vec::new(),
            webviews: Vec::new(),
            permissions: Vec::new(),
            platforms: None,
            any_label: true,
            every_command: false,
            inline: Vec::new(),
        }
    }

    /// Its identifier, by which it can be revoked.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// What it is for, in words for people.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Only for peers whose label matches this pattern, or another one given in this way: `*` is
    /// any run of characters, `?` any one, `[a-z]` one of these.
    ///
    /// Of denied commands the label is not looked at: they are denied to all.
    #[must_use]
    pub fn label(mut self, pattern: &str) -> Self {
        self.any_label = false;
        self.webviews.push(pattern.into());
        self
    }

    /// Also for remote peers whose origin matches this URL pattern, such as
    /// `https://*.example.com`. Needs the feature `remote-urls`; without it remote peers are
    /// allowed nothing.
    #[must_use]
    pub fn remote_url(mut self, pattern: &str) -> Self {
        self.remote.get_or_insert_default().urls.push(pattern.into());
        self
    }

    /// Not for local peers.
    #[must_use]
    pub fn not_local(mut self) -> Self {
        self.local = false;
        self
    }

    /// Names a permission, or a set of them: an [`Identifier`](super::Identifier), or a
    /// [`PermissionEntry`] with more scope.
    #[must_use]
    pub fn permission(mut self, entry: impl Into<PermissionEntry>) -> Self {
        self.permissions.push(entry.into());
        self
    }

    /// Allows to invoke this command.
    #[must_use]
    pub fn command(self, name: &str) -> Self {
        self.command_scoped(name, Scopes::default())
    }

    /// Allows to invoke this command, which is given this scope
    /// ([`CommandScope`](super::CommandScope)).
    #[must_use]
    pub fn command_scoped(self, name: &str, scope: Scopes) -> Self {
        self.inline(&[name], &[], scope)
    }

    /// Denies this command to every peer of the classes this capability is for, whatever allows it
    /// and whatever the peer's label.
    #[must_use]
    pub fn deny_command(self, name: &str) -> Self {
        self.inline(&[], &[name], Scopes::default())
    }

    /// Allows to listen to events of this name, or of names that match it as a pattern.
    #[must_use]
    pub fn listen(self, pattern: &str) -> Self {
        self.inline(&[LISTEN], &[], Scopes::new().allow(event(pattern)))
    }

    /// Allows to emit events of this name, or of names that match it as a pattern.
    #[must_use]
    pub fn emit(self, pattern: &str) -> Self {
        self.inline(&[EMIT], &[], Scopes::new().allow(event(pattern)))
    }

    /// Allows both to listen to and to emit such events.
    #[must_use]
    pub fn event(self, pattern: &str) -> Self {
        self.inline(&[LISTEN, EMIT], &[], Scopes::new().allow(event(pattern)))
    }

    /// Denies to listen to such events, as [`deny_command`](Self::deny_command) does.
    #[must_use]
    pub fn deny_listen(self, pattern: &str) -> Self {
        self.inline(&[], &[LISTEN], Scopes::new().deny(event(pattern)))
    }

    /// Denies to emit such events, as [`deny_command`](Self::deny_command) does.
    #[must_use]
    pub fn deny_emit(self, pattern: &str) -> Self {
        self.inline(&[], &[EMIT], Scopes::new().deny(event(pattern)))
    }

    /// Adds to the global scope of the application's commands
    /// ([`GlobalScope`](super::GlobalScope)). As with Tauri it is theirs whoever calls.
    #[must_use]
    pub fn global_scope(self, scope: Scopes) -> Self {
        self.inline(&[], &[], scope)
    }

    /// Allows every command and every event.
    #[must_use]
    pub fn everything(mut self) -> Self {
        self.every_command = true;
        self.inline(&[LISTEN, EMIT], &[], Scopes::default())
    }

    fn inline(mut self, allow: &[&str], deny: &[&str], scope: Scopes) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let commands = CommandNames { allow: owned(allow), deny: owned(deny) };
        let identifier = OF_CODE.to_owned();
        self.inline.push(Permission { identifier, commands, scope, ..Permission::default() });
        self
    }
}

fn event(pattern: &str) -> serde_json::Value {
    serde_json::json!({ "event": pattern })
}

/// Whose permissions a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    App,
    Plugin(Box<str>),
    /// The plugin of this name if the server has commands of it, otherwise the application.
    Folder(Box<str>),
}

/// What peers may do. Nothing, unless it is said here.
///
/// # Examples
///
/// ```
/// use tramline_core::acl::Capabilities;
///
/// // Every local peer may invoke `add`, and emit and listen to `progress`.
/// let allowed = Capabilities::none().command("add").event("progress");
/// # let _ = allowed;
/// ```
///
/// From Tauri's files, here given as text:
///
/// ```
/// use tramline_core::acl::{Capabilities, CapabilityFile, Format};
///
/// let text = r#"{
///     "identifier": "main",
///     "windows": ["main"],
///     "permissions": ["core:default", "allow-greet"]
/// }"#;
/// let allowed = Capabilities::none().with_file(CapabilityFile::parse(text, Format::Json)?);
/// # let _ = allowed;
/// # Ok::<(), tramline_core::acl::AclError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub(super) capabilities: Vec<Capability>,
    pub(super) permissions: Vec<(Owner, PermissionFile)>,
    pub(super) tauri_default: bool,
}

impl Capabilities {
    /// Nothing is allowed: the default.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every command and every event is allowed to local peers.
    #[must_use]
    pub fn all() -> Self {
        Self::none().by_code(Capability::everything)
    }

    /// Also allows local peers to invoke this command.
    #[must_use]
    pub fn command(self, name: &str) -> Self {
        self.by_code(|capability| capability.command(name))
    }

    /// Also allows local peers to invoke these commands.
    #[must_use]
    pub fn commands<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().fold(self, Self::command)
    }

    /// Also allows local peers to emit and to listen to events of this name, or of names that match
    /// it as a pattern.
    #[must_use]
    pub fn event(self, name: &str) -> Self {
        self.by_code(|capability| capability.event(name))
    }

    /// Also allows local peers to emit and to listen to these events.
    #[must_use]
    pub fn events<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().fold(self, Self::event)
    }

    /// Adds a capability. Its identifier must be its own.
    #[must_use]
    pub fn with(mut self, capability: Capability) -> Self {
        self.capabilities.push(capability);
        self
    }

    /// Adds the capabilities of a file.
    #[must_use]
    pub fn with_file(mut self, file: CapabilityFile) -> Self {
        self.capabilities.extend(file.0);
        self
    }

    /// Adds permissions of the application, for capabilities to name. A later file's permission
    /// takes the place of an earlier one of the same identifier, as with Tauri.
    #[must_use]
    pub fn with_permissions(mut self, file: PermissionFile) -> Self {
        self.permissions.push((Owner::App, file));
        self
    }

    /// Adds permissions of a plugin, whose commands are named `plugin:<plugin>|<command>`.
    #[must_use]
    pub fn with_plugin_permissions(mut self, plugin: &str, file: PermissionFile) -> Self {
        self.permissions.push((Owner::Plugin(plugin.into()), file));
        self
    }

    /// Adds permissions found in this folder below `permissions`: those of the plugin of that name
    /// if the server has commands of it, otherwise the application's, as with Tauri.
    #[must_use]
    pub fn with_folder_permissions(mut self, folder: &str, file: PermissionFile) -> Self {
        self.permissions.push((Owner::Folder(folder.into()), file));
        self
    }

    /// Adds all that another declaration says.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for capability in other.capabilities {
            // What code says without naming a capability is one capability, however it is put
            // together.
            match self.capabilities.iter_mut().find(|known| known.identifier == OF_CODE) {
                Some(known) if capability.identifier == OF_CODE => {
                    known.every_command |= capability.every_command;
                    known.inline.extend(capability.inline);
                }
                _ => self.capabilities.push(capability),
            }
        }
        self.permissions.extend(other.permissions);
        self.tauri_default |= other.tauri_default;
        self
    }

    /// Tauri's rule instead of the default deny, for applications that move over: the application's
    /// own commands are open to every local peer, unless there are permission files of the
    /// application. Commands of plugins and remote peers still need a capability.
    #[must_use]
    pub fn tauri_default(mut self) -> Self {
        self.tauri_default = true;
        self
    }

    /// The identifiers of all capabilities, in the order in which they were added.
    pub fn identifiers(&self) -> impl Iterator<Item = &str> {
        self.capabilities.iter().map(Capability::identifier)
    }

    /// Takes the capability of this identifier out; false if there is none.
    pub(crate) fn remove(&mut self, identifier: &str) -> bool {
        let before = self.capabilities.len();
        self.capabilities.retain(|capability| capability.identifier != identifier);
        self.capabilities.len() < before
    }

    fn by_code(mut self, change: impl FnOnce(Capability) -> Capability) -> Self {
        let known = self.capabilities.iter().position(|known| known.identifier == OF_CODE);
        let capability = match known {
            Some(index) => self.capabilities.remove(index),
            None => Capability::new(OF_CODE),
        };
        self.capabilities.push(change(capability));
        self
    }
}
