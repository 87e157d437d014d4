//! A Tauri app to look at: `cargo run --release -p tramline-tauri-showcase`.
//!
//! | panel | shows | files |
//! |---|---|---|
//! | Speed | the same page in two apps, with [`accelerate`] and without | `meter.rs`, `ui/speed.js`, `ui/meter.js` |
//! | Files | raw bytes to a page, and from it | `files.rs`, `ui/files.js` |
//! | Sidecar | commands of another process | `worker.rs`, `ui/sidecar.js` |
//!
//! This program is also its three sidecars: two meters and the worker, each started with an argument.
//! They end with the app, whichever way it ends.

mod files;
mod mandelbrot;
mod meter;
mod options;
mod worker;

use std::io::Write as _;
use std::process::{Command, ExitCode};

use serde::Serialize;
use tauri::ipc::Request;
use tauri::{AppHandle, Builder, State, WebviewUrl, WebviewWindowBuilder};
use tauri_plugin_tramline::{Forward, accelerate};
use tramline::Sidecar;

use crate::files::Files;
use crate::options::{Options, Role};

fn main() -> ExitCode {
    // Only the first logger counts, and there is no other.
    let _ = log::set_logger(&ToStandardError);
    log::set_max_level(log::LevelFilter::Warn);
    let ran = match Role::from_arguments(std::env::args_os().skip(1)) {
        Ok(Role::App(options)) => app(options).map_err(|error| error.to_string()),
        Ok(Role::Meter { accelerated }) => meter::run(accelerated).map_err(|e| e.to_string()),
        Ok(Role::Worker) => worker::run().map_err(|error| error.to_string()),
        Err(usage) => Err(usage),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nowhere to complain to.
            let _ = writeln!(std::io::stderr(), "{why}");
            ExitCode::FAILURE
        }
    }
}

fn app(options: Options) -> tauri::Result<()> {
    let worker = sidecar(["--worker"]).events_to_app(["worker-beat"]);
    let [stock, accelerated] = ["stock", "accelerated"].map(|way| sidecar(["--meter", way]));

    let builder = Builder::default();
    // This is the line. Everything else, and the page, stays as it is without it.
    let builder = if options.stock { builder } else { accelerate(builder) };

    builder
        .plugin(worker.plugin("worker"))
        .plugin(stock.plugin("stock"))
        .plugin(accelerated.plugin("accelerated"))
        .manage(Files::new(&options.files))
        .manage(Sidecars { worker, meters: [stock, accelerated] })
        .manage(options)
        .invoke_handler(tauri::generate_handler![
            about,
            kill_worker,
            smoked,
            files::files,
            files::read,
            files::keep,
        ])
        .setup(|app| {
            WebviewWindowBuilder::new(app, "main", WebviewUrl::default())
                .title("tramline showcase")
                .inner_size(1100.0, 760.0)
                .min_inner_size(900.0, 620.0)
                // Files that are dropped go to the page, as in a browser.
                .disable_drag_drop_handler()
                // Nothing of it stays on the disk.
                .incognito(true)
                .build()?;
            Ok(())
        })
        .run(tauri::generate_context!())
}

/// This program once more, in another role.
fn sidecar<const COUNT: usize>(arguments: [&'static str; COUNT]) -> Forward {
    Forward::spawning(move || {
        // A path that cannot be had is a program that does not start, which the page is told.
        let mut command = Command::new(std::env::current_exe().unwrap_or_default());
        command.args(arguments);
        Sidecar::spawn(command)
    })
    .polls(true)
}

/// What the app started.
struct Sidecars {
    worker: Forward,
    meters: [Forward; 2],
}

/// What the page wants to know first.
#[derive(Serialize)]
struct About {
    accelerated: bool,
    smoke: bool,
    panel: Option<String>,
}

#[tauri::command]
fn about(request: Request<'_>, options: State<'_, Options>) -> About {
    About {
        // Asked of the call itself: Tauri's own way has this header, the ring has no use for it.
        accelerated: !request.headers().contains_key("tauri-callback"),
        smoke: options.smoke,
        panel: options.panel.clone(),
    }
}

/// Ends the worker the hard way, whatever it does.
#[tauri::command]
fn kill_worker(sidecars: State<'_, Sidecars>) -> Result<u32, String> {
    let pid = sidecars.worker.child().ok_or("there is no worker")?;
    kill(pid)?;
    Ok(pid)
}

fn kill(pid: u32) -> Result<(), String> {
    let status = Command::new("kill").args(["-9", &pid.to_string()]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("kill: {status}")),
        Err(error) => Err(format!("kill did not start: {error}")),
    }
}

/// The end of a smoke run: says how it went, and which processes must be gone after it.
#[tauri::command]
#[allow(clippy::needless_pass_by_value, reason = "commands own their arguments")]
fn smoked(
    app: AppHandle,
    sidecars: State<'_, Sidecars>,
    options: State<'_, Options>,
    line: String,
    well: bool,
) {
    let [stock, accelerated] = &sidecars.meters;
    let children: Vec<String> = [&sidecars.worker, stock, accelerated]
        .iter()
        .filter_map(|forward| forward.child())
        .map(|pid| pid.to_string())
        .collect();
    // Nowhere to complain to.
    let _ = writeln!(std::io::stdout(), "{line}; children {}", children.join(" "));
    if options.sigkill {
        // Not even its exit code is its own.
        let _ = kill(std::process::id());
    }
    app.exit(i32::from(!well));
}

struct ToStandardError;

impl log::Log for ToStandardError {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // As above.
        let _ = writeln!(std::io::stderr(), "{}: {}", record.level(), record.args());
    }

    fn flush(&self) {}
}
