//! What a forwarded call costs over a local one, on the mock runtime: no window, no page.
//!
//! `cargo run --release -p tramline-tauri-forward --bin tramline-forward-cost`, after
//! `cargo build --release -p tramline-tauri-forward`, which builds the other program. The mock runtime
//! has no event loop: a turn of the main thread is a task of Tauri's tokio instead, with its wake.

use std::error::Error;
use std::future::IntoFuture as _;
use std::io::Write as _;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use serde_json::{Value, json};
use tauri::http::HeaderMap;
use tauri::ipc::Invoke;
use tauri::test::{MockRuntime, mock_builder, mock_context, noop_assets};
use tauri_plugin_tramline::Forward;
use tramline::{Client, Sidecar, Spawn, WaitMode};
use tramline_tauri_forward::{Outcome, PATIENCE, begin, page};

const CALLS: usize = 20_000;
const WARM: usize = 2_000;
const IN_FLIGHT: usize = 64;

fn app_commands(invoke: Invoke<MockRuntime>) -> bool {
    match invoke.message.command() {
        "local" => invoke.resolver.resolve(()),
        "local_later" => invoke.resolver.respond_async(async { Ok(()) }),
        _ => return false,
    }
    true
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    for (name, mode, workers, polls) in [
        ("spinning", WaitMode::LowLatency, "low-latency", true),
        ("balanced", WaitMode::Balanced, "balanced", true),
        ("parked", WaitMode::Idle, "idle", false),
    ] {
        let direct = spawn(mode, workers)?.wait()?;
        let blocking = p50(|| direct.invoke::<(), _>("nothing", ()).wait())?;
        let awaited = p50(|| awaited(&direct))?;
        drop(direct);

        let forward = Forward::<MockRuntime>::spawning(move || match spawn(mode, workers) {
            Ok(spawn) => spawn,
            // Said by whoever cannot start it.
            Err(_) => Sidecar::spawn(std::process::Command::new("")),
        });
        let forward = forward.commands(["nothing", "echo"]).polls(polls);
        let app = mock_builder()
            .plugin(forward.plugin("worker"))
            .invoke_handler(forward.or(app_commands))
            .build(mock_context(noop_assets()))?;
        let page = page(&app, "main");
        let call = |command: &str, args: Value| begin(&page, command, args, HeaderMap::new());
        let one = |command: &str| p50(|| answer(&call(command, json!({}))));
        let (local, later, forwarded) = (one("local")?, one("local_later")?, one("nothing")?);
        let text = "x".repeat(1024);
        let echo = p50(|| answer(&call("echo", json!({ "value": text }))))?;
        let rate = |command: &str| -> Result<f64, Box<dyn Error>> {
            let start = Instant::now();
            for _ in 0..CALLS / IN_FLIGHT {
                let calls: Vec<_> = (0..IN_FLIGHT).map(|_| call(command, json!({}))).collect();
                calls.iter().try_for_each(answer)?;
            }
            Ok(CALLS as f64 / start.elapsed().as_secs_f64() / 1000.0)
        };
        let (local_rate, rate) = (rate("local")?, rate("nothing")?);
        writeln!(
            out,
            "{name}: p50 us: tramline alone {blocking:.2} blocking, {awaited:.2} awaited; \
             local {local:.2}, local async {later:.2}, forwarded {forwarded:.2} \
             (added {:.2}), forwarded 1 KiB echo {echo:.2}; {IN_FLIGHT} in flight: \
             local {local_rate:.0} k/s, forwarded {rate:.0} k/s",
            forwarded - local,
        )?;
    }
    Ok(())
}

fn spawn(mode: WaitMode, workers: &str) -> std::io::Result<Spawn> {
    let program = std::env::current_exe()?.with_file_name("tramline-forward-worker");
    let mut worker = std::process::Command::new(program);
    worker.env("TRAMLINE_WORKER_WAITS", workers);
    Ok(Sidecar::spawn(worker).wait_mode(mode))
}

/// As a task of Tauri's runtime waits for it: with a thread that reads, and a wake of another one.
fn awaited(client: &Client) -> Result<(), tramline::InvokeError> {
    tauri::async_runtime::block_on(client.invoke::<(), _>("nothing", ()).into_future())
}

fn answer(call: &Receiver<Outcome>) -> Result<(), Box<dyn Error>> {
    match call.recv_timeout(PATIENCE)? {
        Ok(_) => Ok(()),
        Err(value) => Err(value.to_string().into()),
    }
}

fn p50<E>(mut call: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut times = Vec::with_capacity(CALLS);
    for n in 0..WARM + CALLS {
        let start = Instant::now();
        call()?;
        if n >= WARM {
            times.push(start.elapsed());
        }
    }
    times.sort_unstable();
    Ok(times[times.len() / 2].as_secs_f64() * 1e6)
}
