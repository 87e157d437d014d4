//! Commands of a sidecar, which is this program once more: see `ui/forward.js`.

use std::process::Command;

use tauri::ipc::Invoke;
use tauri::{Builder, State, Wry};
use tauri_plugin_tramline::Forward;
use tramline::{Sidecar, WaitMode};

use crate::{bench, setting};

/// The argument that makes this program the sidecar.
pub(crate) const WORKER: &str = "worker";

/// Commands of the worker that the page calls as the app's own. The app has a `nothing` too, and
/// `echo`, `fail` and `headers`, which go to the worker then.
const COMMANDS: &[&str] = &[
    "add",
    "break_channel",
    "chunks",
    "count",
    "die",
    "echo",
    "fail",
    "headers",
    "missing",
    "nothing_there",
    "pid",
    "reverse",
    "seen",
    "tell",
    "wait",
];

/// Whether this run has a sidecar, and which commands are its.
fn commands() -> Option<&'static [&'static str]> {
    match setting("TASK").as_deref() {
        Some("forward") => Some(COMMANDS),
        // The loads beside have commands of the app's own.
        Some("bench") => Some(&["add", "nothing_there"]),
        _ => None,
    }
}

/// A builder whose commands stand behind the sidecar's, if this run has one.
pub(crate) struct Behind(pub(crate) Builder<Wry>);

impl Behind {
    /// As the builder's.
    pub(crate) fn invoke_handler(
        self,
        own: impl Fn(Invoke<Wry>) -> bool + Send + Sync + 'static,
    ) -> Builder<Wry> {
        let Some(commands) = commands() else { return self.0.invoke_handler(own) };
        let spinning = setting("MODE").as_deref() != Some("parked");
        let forward = Forward::spawning(move || spawn(spinning))
            .commands(commands.iter().copied())
            .events_to_app(["from-worker", "brightness"])
            .events_from_app(["brightness"])
            .polls(spinning);
        let forwarded = forward.or(own);
        self.0.plugin(forward.plugin("worker")).manage(forward).invoke_handler(move |invoke| {
            if invoke.message.command() == "nothing_there" {
                bench::stamp();
            }
            forwarded(invoke)
        })
    }
}

fn spawn(spinning: bool) -> tramline::Spawn {
    // A path that cannot be had is a program that does not start, which the page is told.
    let mut worker = Command::new(std::env::current_exe().unwrap_or_default());
    let (mode, workers) =
        if spinning { (WaitMode::LowLatency, "low-latency") } else { (WaitMode::Idle, "idle") };
    worker.arg(WORKER).env("TRAMLINE_WORKER_WAITS", workers);
    Sidecar::spawn(worker).wait_mode(mode)
}

/// Kills the worker in whatever it does.
#[tauri::command]
pub(crate) fn kill_worker(forward: State<'_, Forward>) -> Result<bool, String> {
    let pid = forward.child().ok_or("no worker")?;
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    killed.map(|status| status.success()).map_err(|error| error.to_string())
}
