//! From declared capabilities to rules: identifiers become permissions, permissions become lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use glob::Pattern;
use serde_json::Value;

use super::declared::{EMIT, EMIT_TO, LISTEN, OF_CODE, Owner};
use super::rules::{EventRule, EventRules, Rule, Who, pattern};
use super::{
    AclError, Capabilities, Capability, CommandNames, Identifier, Permission, Platform, Rules,
    Scope, Scopes, Warning, plugin_command,
};

/// What the names of one owner's permissions stand for.
#[derive(Debug, Default)]
struct Manifest {
    default: Option<Vec<Identifier>>,
    sets: BTreeMap<String, Vec<Identifier>>,
    permissions: BTreeMap<String, Permission>,
}

impl Manifest {
    /// Adds `allow-<command>` and `deny-<command>`, as Tauri's build script would.
    fn add_generated(&mut self, command: &str) {
        let slug = command.replace('_', "-");
        let mut add = |verb, names: fn(&mut CommandNames) -> &mut Vec<String>| {
            let identifier = format!("{verb}-{slug}");
            let permission = self
                .permissions
                .entry(identifier.clone())
                .or_insert_with(|| Permission { identifier, ..Permission::default() });
            names(&mut permission.commands).push(command.to_owned());
        };
        add("allow", |commands| &mut commands.allow);
        add("deny", |commands| &mut commands.deny);
    }
}

/// By owner; the application under the empty name.
type Manifests = BTreeMap<String, Manifest>;

/// Tauri's own plugin `core:event`, whose permissions mean something here, and `core:default`, which
/// contains it. The others of that set speak of windows, menus and paths.
fn built_in() -> Result<Manifests, AclError> {
    let (mut event, mut core) = (Manifest::default(), Manifest::default());
    let mut allowed = Vec::new();
    for command in ["listen", "unlisten", "emit", "emit_to"] {
        event.add_generated(command);
        allowed.push(format!("allow-{}", command.replace('_', "-")).try_into()?);
    }
    event.default = Some(allowed);
    core.default = Some(vec!["core:event:default".parse()?]);
    Ok(BTreeMap::from([("core:event".into(), event), ("core".into(), core)]))
}

impl Owner {
    /// The owner's name, empty for the application.
    fn resolve(&self, commands: &[&str]) -> &str {
        let is_plugin = |folder: &str| {
            commands.iter().any(|c| plugin_command(c).is_some_and(|(plugin, _)| plugin == folder))
        };
        match self {
            Self::Plugin(name) => name,
            Self::Folder(name) if is_plugin(name) => name,
            Self::App | Self::Folder(_) => "",
        }
    }
}

/// The manifests of a server that has these commands. A file's permission counts for more than a
/// generated one, and a later file's for more than an earlier one's.
fn manifests(declared: &Capabilities, commands: &[&str]) -> Result<Manifests, AclError> {
    let mut manifests = built_in()?;
    // The application can always be named.
    manifests.entry(String::new()).or_default();
    for command in commands {
        let (owner, name) = plugin_command(command).unwrap_or(("", command));
        manifests.entry(owner.to_owned()).or_default().add_generated(name);
    }
    for (owner, file) in &declared.permissions {
        let owner = owner.resolve(commands);
        let manifest = manifests.entry(owner.to_owned()).or_default();
        if let Some(default) = &file.default {
            manifest.default = Some(default.permissions.clone());
        }
        for set in &file.set {
            manifest.sets.insert(set.identifier.clone(), set.permissions.clone());
        }
        for permission in &file.permission {
            manifest.permissions.insert(permission.identifier.clone(), permission.clone());
        }
    }
    Ok(manifests)
}

/// What the declared capabilities mean for a server that has these commands, on this platform.
///
/// # Errors
///
/// [`AclError`]: what is named and is not there, patterns that cannot be read, identifiers that
/// stand twice.
///
/// # Examples
///
/// ```
/// use tramline_core::acl::{Capabilities, PeerClass, Platform, Subject, resolve};
///
/// let declared = Capabilities::none().command("greet");
/// let (rules, warnings) = resolve(&declared, &["greet", "wipe"], Platform::current())?;
/// let peer = Subject { label: "main", class: &PeerClass::Local };
/// assert!(rules.access(peer, "greet").is_allowed());
/// assert!(!rules.access(peer, "wipe").is_allowed());
/// assert!(warnings.is_empty());
/// # Ok::<(), tramline_core::acl::AclError>(())
/// ```
pub fn resolve(
    declared: &Capabilities,
    commands: &[&str],
    platform: Platform,
) -> Result<(Rules, Vec<Warning>), AclError> {
    let manifests = manifests(declared, commands)?;
    let of_app = |owner: &Owner| owner.resolve(commands).is_empty();
    let has_app_manifest = declared.permissions.iter().any(|(owner, _)| of_app(owner));
    let mut resolving = Resolving {
        manifests: &manifests,
        platform,
        rules: Rules {
            open_to_local: declared.tauri_default && !has_app_manifest,
            ..Rules::default()
        },
        global: BTreeMap::new(),
        warnings: Vec::new(),
    };
    for (index, capability) in declared.capabilities.iter().enumerate() {
        let same = |other: &Capability| other.identifier == capability.identifier;
        if declared.capabilities[..index].iter().any(same) {
            let identifier = capability.identifier.as_str().into();
            return Err(AclError::DuplicateCapability { identifier });
        }
        if platform.is_among(capability.platforms.as_deref()) {
            resolving.capability(capability)?;
        }
    }
    let Resolving { mut rules, global, warnings, .. } = resolving;
    rules.global =
        global.into_iter().map(|(owner, scope)| (owner.into(), Arc::new(scope))).collect();
    Ok((rules, warnings))
}

struct Resolving<'a> {
    manifests: &'a Manifests,
    platform: Platform,
    rules: Rules,
    global: BTreeMap<String, Scope>,
    warnings: Vec<Warning>,
}

/// A permission and whose it is.
type Found<'a> = Vec<(&'a str, &'a Permission)>;

impl<'a> Resolving<'a> {
    fn capability(&mut self, capability: &'a Capability) -> Result<(), AclError> {
        let identifier = capability.identifier.as_str();
        let Capability { windows, webviews, remote, .. } = capability;
        if !capability.any_label && windows.is_empty() && webviews.is_empty() {
            self.warnings.push(Warning::NoLabels { capability: identifier.into() });
        }
        let has_urls = remote.as_ref().is_some_and(|remote| !remote.urls.is_empty());
        if has_urls && cfg!(not(feature = "remote-urls")) {
            self.warnings.push(Warning::RemoteUrls { capability: identifier.into() });
        }
        let who = Arc::new(Who::of(capability)?);
        if capability.every_command {
            let (who, permission) = (Arc::clone(&who), OF_CODE.into());
            self.rules.allow_every.push(Rule { who, permission, scope: None });
        }
        for permission in &capability.inline {
            self.permission(&who, "", permission, &Scopes::default())?;
        }
        for entry in &capability.permissions {
            let mut found = Found::new();
            self.find(&entry.identifier, "", identifier, &mut Vec::new(), &mut found)?;
            for (owner, permission) in found {
                if self.platform.is_among(permission.platforms.as_deref()) {
                    self.permission(&who, owner, permission, &entry.scope)?;
                }
            }
        }
        Ok(())
    }

    /// Follows an identifier to its permissions. One without an owner in front means `owner`'s.
    fn find(
        &mut self,
        identifier: &'a Identifier,
        owner: &'a str,
        named_by: &str,
        within: &mut Vec<(&'a str, &'a str)>,
        found: &mut Found<'a>,
    ) -> Result<(), AclError> {
        let base = identifier.base();
        let owner = if identifier.key().is_empty() { owner } else { identifier.key() };
        let names = || (identifier.as_str().into(), named_by.into());
        let manifests = self.manifests;
        let Some(manifest) = manifests.get(owner) else {
            let (permission, named_by) = names();
            self.warnings.push(Warning::UnknownPermission { permission, named_by });
            return Ok(());
        };
        let permission = manifest.permissions.get(base);
        let set = match base {
            // Nobody has to say what its default is.
            "default" => Some(manifest.default.as_deref().unwrap_or_default()),
            // Where one name is both, Tauri takes the set for a capability, and the permission
            // within a set.
            _ if permission.is_some() && !within.is_empty() => None,
            _ => manifest.sets.get(base).map(Vec::as_slice),
        };
        match (set, permission) {
            (Some(set), _) => {
                if within.contains(&(owner, base)) {
                    return Err(AclError::SetInItself { set: names().0 });
                }
                within.push((owner, base));
                for member in set {
                    self.find(member, owner, identifier.as_str(), within, found)?;
                }
                within.pop();
                Ok(())
            }
            (None, Some(permission)) => {
                found.push((owner, permission));
                Ok(())
            }
            (None, None) => {
                let (permission, named_by) = names();
                Err(AclError::UnknownPermission { permission, named_by })
            }
        }
    }

    /// Writes the lines of one permission, for the peers of one capability.
    fn permission(
        &mut self,
        who: &Arc<Who>,
        owner: &str,
        permission: &Permission,
        more: &Scopes,
    ) -> Result<(), AclError> {
        let scope = more.and(&permission.scope);
        let CommandNames { allow, deny } = &permission.commands;
        if allow.is_empty() && deny.is_empty() {
            if !scope.is_none() {
                let owner = plugin_of(owner);
                self.global.entry(owner.to_owned()).or_default().add(&scope);
            }
            return Ok(());
        }
        let name = match owner {
            "" => permission.identifier.clone(),
            owner => format!("{owner}:{}", permission.identifier),
        };
        let scope = (!scope.is_none()).then(|| Arc::new(scope));
        let rule = || Rule {
            who: Arc::clone(who),
            permission: name.as_str().into(),
            scope: scope.clone(),
        };
        for command in allow {
            let command = full_name(owner, command);
            if let Some(events) = self.of_event_command(&command) {
                let (names, except) = event_names(scope.as_deref(), &name)?;
                let names = (!names.is_empty()).then_some(names);
                events.allow.push(EventRule { rule: rule(), names, except });
            }
            self.rules.allow.entry(command.into()).or_default().push(rule());
        }
        for command in deny {
            let command = full_name(owner, command);
            if let Some(events) = self.of_event_command(&command) {
                let (_, names) = event_names(scope.as_deref(), &name)?;
                let names = (!names.is_empty()).then_some(names);
                events.deny.push(EventRule { rule: rule(), names, except: Vec::new() });
            }
            self.rules.deny.entry(command.into()).or_default().push(rule());
        }
        Ok(())
    }

    /// Tauri guards events by guarding the commands behind them; here they are rights.
    fn of_event_command(&mut self, command: &str) -> Option<&mut EventRules> {
        match command {
            LISTEN => Some(&mut self.rules.listen),
            EMIT | EMIT_TO => Some(&mut self.rules.emit),
            _ => None,
        }
    }
}

fn plugin_of(owner: &str) -> &str {
    owner.strip_prefix("core:").unwrap_or(owner)
}

/// A command's name on the wire.
fn full_name(owner: &str, command: &str) -> String {
    match owner {
        "" => command.to_owned(),
        owner => format!("plugin:{}|{command}", plugin_of(owner)),
    }
}

/// The event names that a scope allows, and those that it denies.
fn event_names(
    scope: Option<&Scopes>,
    permission: &str,
) -> Result<(Vec<Pattern>, Vec<Pattern>), AclError> {
    let read = |entry: &Value| match entry.get("event") {
        Some(Value::String(text)) => pattern(text),
        _ => Err(AclError::EventScope {
            permission: permission.into(),
            found: entry.to_string().into(),
        }),
    };
    let patterns = |entries: Option<&Vec<Value>>| -> Result<Vec<Pattern>, AclError> {
        entries.into_iter().flatten().map(read).collect()
    };
    let (allow, deny) = scope.map_or((None, None), |s| (s.allow.as_ref(), s.deny.as_ref()));
    Ok((patterns(allow)?, patterns(deny)?))
}
