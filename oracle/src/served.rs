//! The cases of `acl.rs`, asked of a server of tramline's: who connects, may call or not, and the
//! command answers with its scopes.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tramline::acl::plugin_command;
use tramline::{
    Admission, Capabilities, Client, CommandScope, Commands, GlobalScope, Running, Server, command,
    commands,
};

use crate::cases::Body;
use crate::ours::{CODECS, call};
use crate::outcome::Outcome;

/// A server for one case.
pub struct Served {
    endpoint: String,
    _server: Running,
}

impl Served {
    /// With the commands of the application and of these plugins, for a visitor with this label and
    /// origin. The error is about the files.
    pub fn start(
        allowed: Capabilities,
        plugins: &[String],
        label: &str,
        origin: Option<&str>,
    ) -> Result<Self, String> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let endpoint = format!("mem:oracle-acl-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let admission = origin.map_or_else(Admission::local, Admission::remote).label(label);
        let server = Server::new()
            .commands(of(plugins))
            .allow(allowed)
            .admit(move |_| admission.clone())
            .start(&endpoint)
            .map_err(|e| e.to_string())?;
        Ok(Self { endpoint, _server: server })
    }

    /// What comes of a call in each of [`CODECS`]: a decision as `expected/acl.json` has it, or what
    /// is none.
    pub fn ask(&self, command: &str) -> Vec<Result<Value, Outcome>> {
        CODECS
            .iter()
            .map(|(_, codec)| {
                let client = Client::connect(&self.endpoint)
                    .codec(*codec)
                    .wait()
                    .map_err(Outcome::broken)?;
                decision(command, call(&client, command, &Body::Json(json!({}))))
            })
            .collect()
    }
}

fn decision(command: &str, outcome: Outcome) -> Result<Value, Outcome> {
    let says = |text: String| outcome == Outcome::error(&Value::String(text));
    if says(format!("Command {command} not allowed by ACL")) {
        return Ok(json!({ "allowed": false }));
    }
    // One that nobody has may be called, too.
    let own = plugin_command(command);
    if says(format!("Command {} not found", own.map_or(command, |(_, name)| name)))
        || own.is_some_and(|(plugin, _)| says(format!("plugin {plugin} not found")))
    {
        return Ok(json!({ "allowed": true }));
    }
    let scopes = outcome.0.strip_prefix("ok ").and_then(|text| serde_json::from_str(text).ok());
    let Some(Value::Object(scopes)) = scopes else { return Err(outcome) };
    let mut decision = json!({ "allowed": true });
    for (name, scope) in scopes {
        decision[name] = scope;
    }
    Ok(decision)
}

fn answer(scope: &CommandScope<Value>, global: &GlobalScope<Value>) -> Value {
    let mut found = json!({});
    for (name, allow, deny) in [
        ("scope", scope.allows(), scope.denies()),
        ("global_scope", global.allows(), global.denies()),
    ] {
        if !allow.is_empty() || !deny.is_empty() {
            found[name] = json!({ "allow": allow, "deny": deny });
        }
    }
    found
}

/// Commands that answer with their scopes; those of the application, and those of some plugins.
macro_rules! answering {
    ($($function:ident: $name:literal,)*) => {
        $(
            #[command(rename = $name)]
            fn $function(scope: CommandScope<Value>, global: GlobalScope<Value>) -> Value {
                answer(&scope, &global)
            }
        )*

        fn of(plugins: &[String]) -> Commands {
            let mut all = Commands::new();
            $(
                let plugin = plugin_command($name);
                if plugin.is_none_or(|(name, _)| plugins.iter().any(|plugin| plugin == name)) {
                    all.extend(commands![$function]);
                }
            )*
            all
        }
    };
}

// All that the cases call, but for Tauri's own.
answering! {
    of_no_plugin: "Plugin:files|read",
    add: "add",
    bare: "bare",
    greet: "greet",
    here: "here",
    missing: "missing",
    of_plugin_without_name: "plugin:",
    of_large_files: "plugin:FILES|read",
    dialog_open: "plugin:dialog|open",
    of_files_without_name: "plugin:files",
    files_large_read: "plugin:files|Read",
    files_add: "plugin:files|add",
    files_missing: "plugin:files|missing",
    files_read: "plugin:files|read",
    files_read_x: "plugin:files|read|x",
    files_stat: "plugin:files|stat",
    files_walk: "plugin:files|walk",
    files_write: "plugin:files|write",
    fs_exists: "plugin:fs|exists",
    fs_mkdir: "plugin:fs|mkdir",
    fs_read_text_file: "plugin:fs|read_text_file",
    fs_write_text_file: "plugin:fs|write_text_file",
    missing_read: "plugin:missing|read",
    opener_open_path: "plugin:opener|open_path",
    opener_open_url: "plugin:opener|open_url",
    opener_reveal_item_in_dir: "plugin:opener|reveal_item_in_dir",
    other_read: "plugin:other|read",
    quit: "quit",
    read: "read",
    remove: "remove",
    rename_all_with_dash: "rename-all",
    rename_all: "rename_all",
    scalar: "scalar",
    share: "share",
    there: "there",
    version: "version",
}
