//! Who may call what: the cases of `expected/acl.json`, decided by Tauri and by tramline.
//!
//! The file holds the question and the answer, so that tramline's own tests can use it without
//! Tauri.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tauri::ipc::{
    CommandArg, CommandItem, CommandScope, GlobalScope, Invoke, InvokeBody, Origin,
    RuntimeAuthority,
};
use tauri::plugin::TauriPlugin;
use tauri::test::{MockRuntime, mock_builder, mock_context, noop_assets};
use tauri::utils::acl::capability::{Capability, CapabilityFile};
use tauri::utils::acl::manifest::{Manifest, PermissionFile};
use tauri::utils::acl::resolved::Resolved;
use tauri::utils::acl::{APP_ACL_KEY, Error};
use tauri::utils::platform::Target;

use crate::ours_acl;
use crate::outcome::Outcome;
use crate::quiet::caught;
use crate::served::Served;
use crate::theirs::{LOCAL, call, window};

/// The platform that all cases are decided for.
const PLATFORM: Target = Target::Linux;

/// All of `expected/acl.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Table {
    about: String,
    /// The version of Tauri that decided.
    tauri: String,
    worlds: BTreeMap<String, World>,
    cases: Vec<Case>,
}

/// Permissions and capabilities of one application.
#[derive(Debug, Serialize, Deserialize)]
struct World {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    about: String,
    /// Where the files are; the next three fields are then empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<PathBuf>,
    /// The application's own permission files; none is another thing than an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app: Option<Vec<Value>>,
    /// The permission files of each plugin.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    plugins: BTreeMap<String, Vec<Value>>,
    /// The content of each capability file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<Value>,
    /// Schemes that the application registered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    schemes: Vec<String>,
    #[serde(default)]
    expected: Option<Loads>,
}

/// Whether a world's files are accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Loads {
    Loads,
    Refused(String),
}

/// One question.
#[derive(Debug, Serialize, Deserialize)]
struct Case {
    id: String,
    rows: Vec<u8>,
    world: String,
    command: String,
    /// Of the window and of the webview in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Where the two have different labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webview: Option<String>,
    /// The page's address; a local page without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(default)]
    expected: Option<Decision>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Decision {
    allowed: bool,
    /// What `CommandScope` holds, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Value>,
    /// What `GlobalScope` holds, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    global_scope: Option<Value>,
}

/// What a case came to.
pub struct Decided {
    /// Its name.
    pub id: String,
    /// Its rows of `docs/SEMANTICS.md`.
    pub rows: Vec<u8>,
    /// Tauri's decision.
    pub theirs: Outcome,
    /// tramline's: of files one, of calls one in each codec.
    pub ours: Vec<Outcome>,
    /// Whether the file says the same.
    pub as_written: bool,
}

/// Has Tauri decide every case of the file `path`; writes the decisions into it if `write` says so.
pub fn decide(path: &Path, write: bool) -> Result<Vec<Decided>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let mut table: Table = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let folder = path.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let mut decided = Vec::new();
    for (name, world) in &mut table.worlds {
        let loads = match caught(|| world.resolve(folder)) {
            Some(Ok(_)) => Loads::Loads,
            Some(Err(e)) => Loads::Refused(e),
            None => Loads::Refused("panics".to_owned()),
        };
        let in_words = |accepted| Outcome(ours_acl::files_in_words(accepted).to_owned());
        decided.push(Decided {
            id: format!("{name}: the files"),
            rows: vec![66, 67],
            theirs: in_words(loads == Loads::Loads),
            ours: vec![in_words(world.ours(folder).rules().is_ok())],
            as_written: world.expected.as_ref() == Some(&loads),
        });
        world.expected = Some(loads);
    }
    for case in &mut table.cases {
        let world = table.worlds.get(&case.world).ok_or_else(|| format!("no {}", case.world))?;
        let decision = case.decide(world, folder)?;
        let theirs = serde_json::to_value(&decision).map_err(|e| e.to_string())?;
        decided.push(Decided {
            id: case.id.clone(),
            rows: case.rows.clone(),
            theirs: Outcome(ours_acl::in_words(theirs)),
            ours: case.ask_ours(world, folder)?,
            as_written: case.expected.as_ref() == Some(&decision),
        });
        case.expected = Some(decision);
    }
    if write {
        tauri::VERSION.clone_into(&mut table.tauri);
        std::fs::write(path, table.to_text()).map_err(|e| e.to_string())?;
    }
    Ok(decided)
}

impl Table {
    /// One line for each world and case: a change of one is a change of one line.
    fn to_text(&self) -> String {
        let line = |value: Value| value.to_string();
        let mut text = String::from("{\n");
        let _ = writeln!(text, "\"about\": {},", line(json!(self.about)));
        let _ = writeln!(text, "\"tauri\": {},", line(json!(self.tauri)));
        let worlds = self.worlds.iter().map(|(name, world)| {
            format!("{}: {}", json!(name), serde_json::to_string(world).unwrap_or_default())
        });
        let cases = self.cases.iter().map(|c| serde_json::to_string(c).unwrap_or_default());
        let lines = |lines: Vec<String>| lines.join(",\n");
        let _ = writeln!(text, "\"worlds\": {{\n{}\n}},", lines(worlds.collect()));
        let _ = writeln!(text, "\"cases\": [\n{}\n]\n}}", lines(cases.collect()));
        text
    }
}

type Files = (BTreeMap<String, Manifest>, BTreeMap<String, Capability>);

impl World {
    fn resolve(&self, folder: &Path) -> Result<(BTreeMap<String, Manifest>, Resolved), String> {
        let (manifests, capabilities) = match &self.folder {
            Some(within) => from_folder(&folder.join(within)),
            None => self.inline(),
        }?;
        let resolved = Resolved::resolve(&manifests, capabilities, PLATFORM);
        resolved.map(|resolved| (manifests, resolved)).map_err(|e: Error| e.to_string())
    }

    fn inline(&self) -> Result<Files, String> {
        let own = self.app.iter().map(|files| (APP_ACL_KEY.to_owned(), files));
        let plugins = self.plugins.iter().map(|(key, files)| (key.clone(), files));
        let mut manifests = BTreeMap::new();
        for (key, files) in own.chain(plugins) {
            let files = files.iter().map(|file| serde_json::from_value(file.clone()));
            let files: Result<Vec<PermissionFile>, _> = files.collect();
            manifests.insert(key, Manifest::new(files.map_err(|e| e.to_string())?, None));
        }
        let mut capabilities = BTreeMap::new();
        for file in &self.capabilities {
            let file: Result<CapabilityFile, _> = serde_json::from_value(file.clone());
            add(&mut capabilities, file.map_err(|e| e.to_string())?);
        }
        Ok((manifests, capabilities))
    }

    /// The same files for tramline.
    fn ours(&self, folder: &Path) -> ours_acl::Files<'_> {
        ours_acl::Files {
            folder: self.folder.as_ref().map(|within| folder.join(within)),
            app: self.app.as_deref(),
            plugins: &self.plugins,
            capabilities: &self.capabilities,
        }
    }

    /// The names of its plugins, without the core's, which Tauri brings along.
    fn plugins(&self, manifests: &BTreeMap<String, Manifest>) -> Vec<String> {
        let own = |key: &&String| *key != APP_ACL_KEY && !key.starts_with("core:");
        manifests.keys().filter(own).cloned().collect()
    }
}

/// Permission and capability files as an application has them.
fn from_folder(folder: &Path) -> Result<Files, String> {
    let mut manifests = BTreeMap::new();
    for plugin in listed(&folder.join("permissions"))? {
        let name =
            plugin.file_name().unwrap_or_default().to_string_lossy().replace("core-", "core:");
        let key = if name == "app" { APP_ACL_KEY.to_owned() } else { name };
        let mut files: Vec<PermissionFile> = Vec::new();
        for file in listed(&plugin)? {
            let text = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
            files.push(toml::from_str(&text).map_err(|e| e.to_string())?);
        }
        manifests.insert(key, Manifest::new(files, None));
    }
    let mut capabilities = BTreeMap::new();
    for file in listed(&folder.join("capabilities"))? {
        add(&mut capabilities, CapabilityFile::load(&file).map_err(|e| e.to_string())?);
    }
    Ok((manifests, capabilities))
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn add(capabilities: &mut BTreeMap<String, Capability>, file: CapabilityFile) {
    let list = match file {
        CapabilityFile::Capability(one) => vec![one],
        CapabilityFile::List(list) | CapabilityFile::NamedList { capabilities: list } => list,
    };
    capabilities.extend(list.into_iter().map(|c| (c.identifier.clone(), c)));
}

impl Case {
    fn decide(&self, world: &World, folder: &Path) -> Result<Decision, String> {
        let (manifests, resolved) = world.resolve(folder)?;
        let plugins = world.plugins(&manifests);
        let authority = tauri::runtime_authority!(manifests, resolved);
        let label = self.label.as_deref().unwrap_or("main");
        let (window, webview) = (self.window.as_deref(), self.webview.as_deref());
        // The mock runtime has no window whose webview bears another label, and no window bears
        // letters that Tauri does not want in one.
        let odd = |c: char| !c.is_alphanumeric() && !"-/:_".contains(c);
        if window.or(webview).is_some() || label.contains(odd) {
            let (window, webview) = (window.unwrap_or(label), webview.unwrap_or(label));
            return Ok(by_labels(&authority, &self.command, window, webview));
        }
        self.ask(authority, &plugins, &world.schemes)
    }

    /// Has tramline decide it: a server, and by themselves the rules, which is what tests without
    /// Tauri ask.
    fn ask_ours(&self, world: &World, folder: &Path) -> Result<Vec<Outcome>, String> {
        let files = world.ours(folder);
        let label = self.window.as_deref().or(self.label.as_deref()).unwrap_or("main");
        let origin = self.origin.as_deref();
        let by_rules = match files.rules() {
            Ok(rules) => ours_acl::in_words(ours_acl::decide(&rules, &self.command, label, origin)),
            Err(_) => ours_acl::NO_RULES.to_owned(),
        };
        let (manifests, _) = world.resolve(folder)?;
        let plugins = world.plugins(&manifests);
        let answers = match Served::start(files.capabilities()?, &plugins, label, origin) {
            Ok(server) => server.ask(&self.command),
            Err(_) if by_rules == ours_acl::NO_RULES => return Ok(vec![Outcome(by_rules)]),
            Err(e) => return Ok(vec![Outcome::broken(e)]),
        };
        let compared = |answer: Result<Value, Outcome>| match answer.map(ours_acl::in_words) {
            Ok(answer) if answer == by_rules => Outcome(answer),
            Ok(answer) => {
                Outcome::broken(format!("the server says {answer}, the rules {by_rules}"))
            }
            Err(none) => none,
        };
        Ok(answers.into_iter().map(compared).collect())
    }

    /// Makes the call.
    fn ask(
        &self,
        authority: RuntimeAuthority,
        plugins: &[String],
        schemes: &[String],
    ) -> Result<Decision, String> {
        let mut context = mock_context(noop_assets());
        *context.runtime_authority_mut() = authority;
        let mut builder = mock_builder().invoke_handler(|invoke| answer(invoke, None));
        for plugin in plugins {
            builder = builder.plugin(catch_all(plugin));
        }
        for scheme in schemes {
            builder = builder.register_uri_scheme_protocol(scheme, |_, _| {
                tauri::http::Response::new(Vec::new())
            });
        }
        let app = builder.build(context).map_err(|e| e.to_string())?;
        let webview = window(&app, self.label.as_deref().unwrap_or("main"));
        let origin = self.origin.as_deref().unwrap_or(LOCAL);
        let outcome = call(&webview, &self.command, InvokeBody::default(), origin);
        if outcome == Outcome::error(&json!(format!("Command {} not allowed by ACL", self.command)))
        {
            return Ok(Decision { allowed: false, scope: None, global_scope: None });
        }
        let scopes: Value = match outcome.0.strip_prefix("ok ") {
            Some(text) => serde_json::from_str(text).map_err(|e| e.to_string())?,
            // One of Tauri's own commands, or one that nobody has.
            None => Value::Null,
        };
        let given = |name| scopes.get(name).filter(|scope| !scope.is_null()).cloned();
        Ok(Decision { allowed: true, scope: given("scope"), global_scope: given("global_scope") })
    }
}

/// Whether a local page may call, by the labels of its window and its webview.
fn by_labels(authority: &RuntimeAuthority, command: &str, window: &str, webview: &str) -> Decision {
    let entries = authority.resolve_access(command, window, webview, &Origin::Local);
    Decision { allowed: entries.is_some(), scope: None, global_scope: None }
}

/// A plugin that has every command.
fn catch_all(name: &str) -> TauriPlugin<MockRuntime> {
    // Tauri wants names that live as long as the program, which is short.
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    tauri::plugin::Builder::new(name)
        .invoke_handler(move |invoke| answer(invoke, Some(name)))
        .build()
}

/// Answers any command with the scopes that it is given.
fn answer(invoke: Invoke<MockRuntime>, plugin: Option<&'static str>) -> bool {
    let Invoke { message, resolver, acl } = invoke;
    let item = || CommandItem { plugin, name: "any", key: "scope", message: &message, acl: &acl };
    let scope = match CommandScope::<Value>::from_command(item()) {
        Ok(scope) => shown(scope.allows(), scope.denies()),
        Err(e) => Value::String(format!("{e:?}")),
    };
    let global_scope = match GlobalScope::<Value>::from_command(item()) {
        Ok(scope) => shown(scope.allows(), scope.denies()),
        Err(e) => Value::String(format!("{e:?}")),
    };
    resolver.resolve(json!({ "scope": scope, "global_scope": global_scope }));
    true
}

fn shown(allow: &[Arc<Value>], deny: &[Arc<Value>]) -> Value {
    if allow.is_empty() && deny.is_empty() {
        Value::Null
    } else {
        json!({ "allow": allow, "deny": deny })
    }
}
