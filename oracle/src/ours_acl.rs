//! Who may call what, decided by tramline from the same files. The tests of the main workspace
//! include this one: they compare with what `expected/acl.json` says of Tauri.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tramline::acl::{
    Access, Capabilities, CapabilityFile, Format, PermissionFile, Platform, Rules, Scope, Subject,
    resolve,
};
use tramline::{AclError, PeerClass};

/// Permission and capability files of one application.
#[derive(Debug)]
pub(crate) struct Files<'a> {
    /// Where they are; the others are then not looked at.
    pub(crate) folder: Option<PathBuf>,
    /// The application's own permission files.
    pub(crate) app: Option<&'a [Value]>,
    /// Those of each plugin.
    pub(crate) plugins: &'a BTreeMap<String, Vec<Value>>,
    /// The content of each capability file.
    pub(crate) capabilities: &'a [Value],
}

impl Files<'_> {
    /// What they declare. Tauri's rule for an application's own commands is a switch here.
    pub(crate) fn capabilities(&self) -> Result<Capabilities, String> {
        let declared = match &self.folder {
            Some(folder) => from_folder(folder),
            None => self.inline().map_err(|e| e.to_string()),
        };
        declared.map(Capabilities::tauri_default)
    }

    /// What they mean.
    pub(crate) fn rules(&self) -> Result<Rules, String> {
        let resolved = resolve(&self.capabilities()?, &[], Platform::Linux);
        resolved.map(|(rules, _)| rules).map_err(|e| e.to_string())
    }

    fn inline(&self) -> Result<Capabilities, AclError> {
        let mut declared = Capabilities::none();
        let app = self.app.iter().map(|files| ("", *files));
        let plugins = self.plugins.iter().map(|(name, files)| (name.as_str(), files.as_slice()));
        for (owner, files) in app.chain(plugins) {
            // An empty list is a word, too.
            declared = add(declared, owner, PermissionFile::default());
            for file in files {
                let file = PermissionFile::parse(&file.to_string(), Format::Json)?;
                declared = add(declared, owner, file);
            }
        }
        for file in self.capabilities {
            declared = declared.with_file(CapabilityFile::parse(&file.to_string(), Format::Json)?);
        }
        Ok(declared)
    }
}

fn add(declared: Capabilities, owner: &str, file: PermissionFile) -> Capabilities {
    if owner.is_empty() {
        declared.with_permissions(file)
    } else {
        declared.with_plugin_permissions(owner, file)
    }
}

/// Permissions lie there by their owners: `app`, and `core-event` for `core:event`.
fn from_folder(folder: &Path) -> Result<Capabilities, String> {
    let mut declared = Capabilities::none();
    for owner in listed(&folder.join("permissions"))? {
        let name =
            owner.file_name().unwrap_or_default().to_string_lossy().replace("core-", "core:");
        let name = if name == "app" { "" } else { &name };
        for (text, format) in texts(&owner)? {
            let file = PermissionFile::parse(&text, format).map_err(|e| e.to_string())?;
            declared = add(declared, name, file);
        }
    }
    for (text, format) in texts(&folder.join("capabilities"))? {
        let file = CapabilityFile::parse(&text, format).map_err(|e| e.to_string())?;
        declared = declared.with_file(file);
    }
    Ok(declared)
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn texts(folder: &Path) -> Result<Vec<(String, Format)>, String> {
    let read = |path: PathBuf| {
        let format = Format::of_extension(path.extension()?.to_str()?)?;
        Some(fs::read_to_string(&path).map(|text| (text, format)).map_err(|e| e.to_string()))
    };
    listed(folder)?.into_iter().filter_map(read).collect()
}

/// One answer. A peer has one label: the window's.
pub(crate) fn decide(rules: &Rules, command: &str, label: &str, origin: Option<&str>) -> Value {
    let class = match origin {
        None => PeerClass::Local,
        Some(origin) => PeerClass::Remote { origin: origin.into() },
    };
    let scopes = match rules.access(Subject { label, class: &class }, command) {
        Access::Denied => return json!({ "allowed": false }),
        Access::Allowed(scopes) => scopes,
    };
    let mut decision = json!({ "allowed": true });
    if let Some(scopes) = scopes {
        for (name, scope) in [("scope", &scopes.command), ("global_scope", &scopes.global)] {
            if let Some(scope) = shown(scope) {
                decision[name] = scope;
            }
        }
    }
    decision
}

fn shown(scope: &Scope) -> Option<Value> {
    let (allow, deny) = (scope.allow(), scope.deny());
    let says_something = !allow.is_empty() || !deny.is_empty();
    says_something.then(|| json!({ "allow": allow, "deny": deny }))
}

/// A decision in words that can be compared: a scope is a union, so its order means nothing.
pub(crate) fn in_words(mut decision: Value) -> String {
    for list in ["/scope/allow", "/scope/deny", "/global_scope/allow", "/global_scope/deny"] {
        if let Some(Value::Array(list)) = decision.pointer_mut(list) {
            list.sort_by_key(Value::to_string);
        }
    }
    decision.to_string()
}

/// What is said of files, whose errors each side words in its own way.
pub(crate) fn files_in_words(are_accepted: bool) -> &'static str {
    if are_accepted { "are accepted" } else { "are refused" }
}

/// What is said of a question about files that are refused.
pub(crate) const NO_RULES: &str = "its files are refused";
