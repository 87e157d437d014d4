//! A server for the suite `acl`: its capabilities, its connect policy and its quota come from the
//! test, which runs it as another process and asks it by a client labelled [`CONTROL`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tramline::acl::{CapabilityFile, Format, PermissionFile};
use tramline::{
    Admission, Capabilities, Capability, Client, Clients, CommandScope, GlobalScope,
    LiveCapabilities, Peer, Quota, Rate, Refusals, ScopeObjectMatch, Server, State, Visitor,
    command, commands, json, read_capabilities,
};

use crate::fixture::{Transport, limits, unique_name};
use crate::gate::Gates;
use crate::{PATIENCE, child};

/// The label of the client that may ask what has happened.
pub const CONTROL: &str = "control";

/// What the other process serves.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// A folder with Tauri's files.
    pub folder: Option<PathBuf>,
    /// What a capability file says, as JSON.
    pub capabilities: Option<Value>,
    /// What a permission file of the application says, as TOML.
    pub permissions: Option<String>,
    /// Names that `Capabilities::command` is called with.
    pub commands: Vec<String>,
    /// `Capabilities::tauri_default`.
    pub tauri_default: bool,
    /// What the connect policy says to whom, by the label that is asked for; see `judge`. Without
    /// any there is no policy.
    pub admit: Vec<(String, String)>,
    /// Calls in flight.
    pub calls_in_flight: Option<usize>,
    /// Messages in an hour.
    pub messages: Option<u64>,
    /// Bytes in an hour.
    pub bytes: Option<u64>,
    /// Threads that all connections share; 0 is one for each.
    pub threads: usize,
    /// The pipe that JSON-RPC clients come by, too.
    pub json_rpc: Option<String>,
    /// With [`guard::judge`](crate::guard::judge) as a layer.
    pub guarded: bool,
    /// Print nothing.
    pub quiet: bool,
}

/// The server, in a process of its own, and the client that controls it.
#[derive(Debug)]
pub struct There {
    /// Prints `denied: ..` for each refusal and `refused: ..` for each connection.
    pub process: child::Peer,
    /// Where it serves.
    pub endpoint: String,
}

impl Settings {
    /// Only this capability file.
    #[must_use]
    pub fn file(capabilities: Value) -> Self {
        Self { capabilities: Some(capabilities), ..Self::default() }
    }

    /// Starts it as another process.
    #[must_use]
    pub fn serve(&self, program: &str, transport: Transport) -> There {
        let endpoint = transport.endpoint();
        let mut settings = self.clone();
        if transport == Transport::ShmShared {
            settings.threads = 2;
        }
        let process = child::Peer::ready(program, &["serve-acl", &endpoint, &settings.to_text()]);
        There { process, endpoint }
    }

    /// Starts it as another process, for JSON-RPC clients as well: by the pipe of this name.
    #[must_use]
    pub fn serve_json_rpc(&self, program: &str) -> (There, String) {
        let name = unique_name();
        let settings = Self { json_rpc: Some(name.clone()), ..self.clone() };
        (settings.serve(program, Transport::Pipe), name)
    }

    /// What `tramline-test-peer serve-acl` takes.
    ///
    /// # Panics
    ///
    /// Never: these are plain values.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("plain values")
    }

    fn declared(&self) -> Capabilities {
        let mut declared = match &self.folder {
            Some(folder) => read_capabilities(folder).expect("good files"),
            None => Capabilities::none(),
        };
        if let Some(file) = &self.capabilities {
            let file = CapabilityFile::parse(&file.to_string(), Format::Json);
            declared = declared.with_file(file.expect("a good file"));
        }
        if let Some(text) = &self.permissions {
            let file = PermissionFile::parse(text, Format::Toml).expect("a good file");
            declared = declared.with_permissions(file);
        }
        for name in &self.commands {
            declared = declared.command(name);
        }
        if self.tauri_default {
            declared = declared.tauri_default();
        }
        let control = ["counts", "entered", "release", "emit", "add", "revoke", "refusals"];
        let control = control
            .into_iter()
            .fold(Capability::new(CONTROL).label(CONTROL), |capability, name| {
                capability.command(name)
            });
        declared.with(control)
    }

    fn quota(&self) -> Quota {
        let an_hour = |count| Rate::new(count, Duration::from_secs(3600));
        let mut quota = Quota::none();
        if let Some(count) = self.calls_in_flight {
            quota = quota.calls_in_flight(count);
        }
        if let Some(count) = self.messages {
            quota = quota.messages(an_hour(count));
        }
        if let Some(count) = self.bytes {
            quota = quota.bytes(an_hour(count));
        }
        quota
    }

    /// The server, not started yet.
    #[must_use]
    pub fn server(&self) -> Server {
        self.set_up(Server::new())
    }

    /// The same of a server that is begun already.
    #[must_use]
    pub fn set_up(&self, server: Server) -> Server {
        let counts = Arc::new(Counts::default());
        let heard = Arc::clone(&counts);
        let reset = Arc::clone(&counts);
        let mut server = server
            .commands(commands![
                greet,
                wipe,
                wipe_inline,
                wipe_async,
                read,
                scopes,
                hold,
                hold_async,
                fs_read,
                fs_scopes,
                bad_scope,
                counts_of,
                entered,
                release,
                emit,
                add,
                revoke,
                refusals
            ])
            .allow(self.declared())
            .manage(counts)
            .manage(Gates::default())
            .limits(limits())
            .listen("up", move |_| {
                heard.up.fetch_add(1, Ordering::SeqCst);
            })
            .listen("admin/reset", move |_| {
                reset.reset.fetch_add(1, Ordering::SeqCst);
            })
            .quota(self.quota());
        if !self.quiet {
            server = server
                .on_denied(|denial| println!("denied: {denial}"))
                .on_refused(|error| println!("refused: {error}"));
        }
        if self.guarded {
            server = server.guarded_by(crate::guard::judge);
        }
        if self.threads > 0 {
            server = server.shared_threads(self.threads);
        }
        if !self.admit.is_empty() {
            let rules = self.admit.clone();
            server = server.admit(move |visitor| match visitor.label() {
                Some(CONTROL) => Admission::local().quota(Quota::none()),
                _ => judge(&rules, visitor),
            });
        }
        server
    }
}

/// What a policy of `settings` says to a visitor: `local`, `remote <url>`, `label <label>`, `no
/// label`, `panic`, `refuse <text>`, `executable <path>`, `same ids`, `over <transport>`. Whoever asks
/// for another label is refused. With `as <label> ` before it, under that label.
fn judge(rules: &[(String, String)], visitor: &Visitor) -> Admission {
    let asked = visitor.label().unwrap_or_default();
    let Some((_, verdict)) = rules.iter().find(|(label, _)| label == asked) else {
        return Admission::refuse("no such label here");
    };
    if let Some((label, verdict)) = verdict.strip_prefix("as ").and_then(|v| v.split_once(' ')) {
        return admission(verdict, visitor).label(label);
    }
    admission(verdict, visitor)
}

fn admission(verdict: &str, visitor: &Visitor) -> Admission {
    match verdict.split_once(' ').unwrap_or((verdict, "")) {
        ("local", _) => Admission::local(),
        ("remote", url) => Admission::remote(url),
        ("label", label) => Admission::local().label(label),
        ("no", _) => Admission::local().no_label(),
        ("executable", path) => match visitor.executable() {
            Ok(found) if found == Path::new(path) => Admission::local(),
            Ok(found) => Admission::refuse(&format!("it runs {}", found.display())),
            Err(e) => Admission::refuse(&format!("its program is not known: {e}")),
        },
        ("same", "ids") => {
            let identity = visitor.identity();
            let ours = (
                Some(rustix::process::geteuid().as_raw()),
                Some(rustix::process::getegid().as_raw()),
            );
            if (identity.uid, identity.gid) == ours && identity.pid.is_some() {
                Admission::local()
            } else {
                Admission::refuse(&format!("{identity:?}"))
            }
        }
        ("over", transport) if visitor.transport() == transport => Admission::local(),
        ("over", _) => Admission::refuse(visitor.transport()),
        ("panic", _) => panic!("{} by the policy", crate::commands::ON_PURPOSE),
        (_, text) => Admission::refuse(text),
    }
}

impl There {
    /// A client of this label.
    ///
    /// # Panics
    ///
    /// If it is refused.
    #[must_use]
    pub fn client(&self, label: &str) -> Client {
        self.connect(label).wait().expect("it is admitted")
    }

    /// A client of this label, not connected yet.
    pub fn connect(&self, label: &str) -> tramline::Connect {
        Client::connect(&self.endpoint).limits(limits()).label(label)
    }

    /// A client that gives no label.
    pub fn connect_unlabelled(&self) -> tramline::Connect {
        Client::connect(&self.endpoint).limits(limits())
    }

    /// How often handlers ran and arguments were decoded, and what was heard.
    #[must_use]
    pub fn counts(&self) -> Counted {
        self.control("counts", json!({}))
    }

    /// Calls a command as the control client.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn control<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        command: &str,
        args: Value,
    ) -> T {
        let control = self.client(CONTROL);
        control.invoke(command, args).timeout(PATIENCE).wait().expect("the control client may")
    }

    /// Reads what the server prints up to the next refusal, and gives that.
    ///
    /// # Panics
    ///
    /// If it says no more.
    #[must_use]
    pub fn next_denied(&self) -> String {
        loop {
            let line = self.process.line().expect("it still serves");
            if let Some(denial) = line.strip_prefix("denied: ") {
                return denial.to_owned();
            }
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    ran: AtomicU64,
    up: AtomicU64,
    reset: AtomicU64,
}

/// Counted here because a `Deserialize` has no state.
static DECODED: AtomicU64 = AtomicU64::new(0);

/// What has happened at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Times one of the `wipe` commands ran.
    pub ran: u64,
    /// Times an argument of one of them was decoded.
    pub decoded: u64,
    /// Events `up` that were heard.
    pub up: u64,
    /// Events `admin/reset` that were heard.
    pub reset: u64,
}

/// An argument that says when it is decoded.
#[derive(Debug)]
struct Watched;

impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.fetch_add(1, Ordering::SeqCst);
        Value::deserialize(deserializer).map(|_| Self)
    }
}

/// A scope entry of the kind that Tauri's file plugin has.
#[derive(Debug, Serialize, Deserialize)]
struct Below {
    path: String,
}

impl ScopeObjectMatch for Below {
    type Input = str;

    fn matches(&self, file: &str) -> bool {
        file.starts_with(&self.path)
    }
}

#[command]
fn greet(name: &str) -> String {
    format!("hello {name}")
}

#[command]
fn wipe(value: Watched, counts: State<'_, Arc<Counts>>) {
    let _ = value;
    counts.ran.fetch_add(1, Ordering::SeqCst);
}

#[command(inline)]
fn wipe_inline(value: Watched, counts: State<'_, Arc<Counts>>) {
    let _ = value;
    counts.ran.fetch_add(1, Ordering::SeqCst);
}

#[command]
async fn wipe_async(value: Watched, counts: State<'_, Arc<Counts>>) {
    let _ = value;
    counts.ran.fetch_add(1, Ordering::SeqCst);
}

#[command]
fn read(path: &str, scope: CommandScope<Below>) -> Result<String, String> {
    if scope.matches(path) { Ok(format!("read {path}")) } else { Err("out of scope".into()) }
}

/// What a scope holds, as the handler sees it.
fn shown(allows: &[Value], denies: &[Value]) -> Value {
    json!({ "allows": allows, "denies": denies })
}

#[command(inline)]
fn scopes(scope: CommandScope<Value>, global: GlobalScope<Value>) -> (Value, Value) {
    (shown(scope.allows(), scope.denies()), shown(global.allows(), global.denies()))
}

#[command(rename = "plugin:fs|scopes")]
async fn fs_scopes(scope: CommandScope<Value>, global: GlobalScope<Value>) -> (Value, Value) {
    (shown(scope.allows(), scope.denies()), shown(global.allows(), global.denies()))
}

#[command(rename = "plugin:fs|read_file")]
fn fs_read(path: &str, scope: CommandScope<Below>) -> Result<String, String> {
    if scope.matches(path) { Ok(format!("read {path}")) } else { Err("out of scope".into()) }
}

#[command]
fn bad_scope(scope: CommandScope<Below>) -> usize {
    scope.allows().len()
}

#[command]
fn hold(gate: String, gates: State<'_, Gates>) {
    gates.enter(&gate);
}

#[command]
async fn hold_async(gate: String, gates: State<'_, Gates>) {
    gates.enter(&gate);
}

#[command(rename = "counts", inline)]
fn counts_of(counts: State<'_, Arc<Counts>>) -> Counted {
    let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
    Counted {
        ran: of(&counts.ran),
        decoded: of(&DECODED),
        up: of(&counts.up),
        reset: of(&counts.reset),
    }
}

/// Answers when somebody has entered a gate.
#[command]
fn entered(gate: String, gates: State<'_, Gates>) {
    gates.wait_entered(&gate, 1);
}

#[command]
fn release(gate: String, gates: State<'_, Gates>) {
    gates.open(&gate);
}

/// Emits to everyone who listens.
#[command]
fn emit(event: String, clients: State<'_, Clients>) -> Result<(), String> {
    clients.emit(&event, &"news").map_err(|e| e.to_string())
}

#[command]
fn add(file: Value, live: State<'_, LiveCapabilities>) -> Result<(), String> {
    let file = CapabilityFile::parse(&file.to_string(), Format::Json).map_err(|e| e.to_string())?;
    live.add(Capabilities::none().with_file(file)).map_err(|e| e.to_string())
}

#[command]
fn revoke(identifier: String, live: State<'_, LiveCapabilities>) -> bool {
    live.revoke(&identifier)
}

/// How often the clients of a label were refused something.
#[command(inline)]
fn refusals(label: String, clients: State<'_, Clients>, caller: Peer) -> (u64, u64) {
    let _ = caller;
    let peers = clients.list();
    let of_label = peers.iter().filter(|peer| peer.label() == Some(&label));
    of_label
        .map(Peer::refusals)
        .fold((0, 0), |(denied, over), Refusals { denied: d, over_quota, .. }| {
            (denied + d, over + over_quota)
        })
}
