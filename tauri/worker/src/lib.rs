//! The other process: serves what the tests and the benches forward.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tramline::{
    CancelToken, Capabilities, Channel, Error, Peer, Raw, Request, Server, State, WaitMode,
    command, commands,
};

/// Turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Seen {
    calls: AtomicU64,
    cancelled: AtomicU64,
    brightness: AtomicU64,
}

#[derive(Serialize)]
struct Failure {
    code: u32,
    text: &'static str,
}

#[command(inline)]
fn nothing() {}

/// The same, by a name that no app of the tests has.
#[command(inline)]
fn nothing_there() {}

#[command(inline)]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[command]
fn echo(value: Value, seen: State<'_, Arc<Seen>>) -> Value {
    seen.calls.fetch_add(1, Ordering::SeqCst);
    value
}

#[command]
fn fail(how: &str) -> Result<(), Value> {
    Err(match how {
        "text" => "it failed".into(),
        _ => serde_json::to_value(Failure { code: 7, text: "größer" }).unwrap_or_default(),
    })
}

#[command]
fn reverse(bytes: Raw) -> Raw {
    bytes.0.iter().rev().copied().collect::<Vec<u8>>().into()
}

#[command]
fn headers(request: Request<'_>) -> BTreeMap<String, String> {
    request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[command]
fn count(to: u64, on_number: Channel<u64>) -> Result<u64, String> {
    (0..to).try_for_each(|number| on_number.send(&number)).map_err(|e| e.to_string())?;
    Ok(to)
}

#[command]
fn chunks(on_chunk: Channel<u64>) -> Result<(), String> {
    let send = |bytes: Vec<u8>| on_chunk.send_raw(bytes).map_err(|e| e.to_string());
    send(vec![1, 2, 3])?;
    send(vec![4; 100_000])
}

#[command]
fn break_channel(on_number: Channel<u64>) -> Result<(), String> {
    on_number.send(&1).map_err(|e| e.to_string())?;
    on_number.fail(&Failure { code: 7, text: "größer" }).map_err(|e| e.to_string())
}

/// Tells that it has begun, then waits for its caller to give up.
#[command]
fn wait(on_begun: Channel<bool>, token: CancelToken, seen: State<'_, Arc<Seen>>) -> bool {
    let begun = on_begun.send(&true).is_ok();
    if begun && token.wait_timeout(PATIENCE) {
        seen.cancelled.fetch_add(1, Ordering::SeqCst);
    }
    begun
}

#[command]
fn seen(seen: State<'_, Arc<Seen>>) -> BTreeMap<&'static str, u64> {
    let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
    BTreeMap::from([
        ("calls", of(&seen.calls)),
        ("cancelled", of(&seen.cancelled)),
        ("brightness", of(&seen.brightness)),
    ])
}

#[command]
fn pid() -> u32 {
    std::process::id()
}

#[command]
fn die() {
    // What a bug in somebody else's decoder looks like from outside.
    std::process::exit(70);
}

#[command]
fn tell(peer: Peer, name: &str, value: Value) -> Result<(), String> {
    peer.emit(name, &value).map_err(|e| e.to_string())
}

/// Serves the parent until it goes. `TRAMLINE_WORKER_WAITS` says how it waits for calls:
/// `low-latency`, `idle`, or else balanced; with `TRAMLINE_WORKER_ALLOWS_LITTLE` it allows `add` only.
///
/// # Errors
///
/// No tramline [`Sidecar`](tramline::Sidecar) has started this process.
pub fn run() -> Result<(), Error> {
    let seen_by_all = Arc::new(Seen::default());
    let told = Arc::clone(&seen_by_all);
    let mut allowed = Capabilities::all();
    if std::env::var_os("TRAMLINE_WORKER_ALLOWS_LITTLE").is_some() {
        allowed = Capabilities::none().command("add");
    }
    let mode = match std::env::var("TRAMLINE_WORKER_WAITS").as_deref() {
        Ok("low-latency") => WaitMode::LowLatency,
        Ok("idle") => WaitMode::Idle,
        _ => WaitMode::Balanced,
    };
    Server::from_parent()
        .commands(commands![
            nothing,
            nothing_there,
            add,
            echo,
            fail,
            reverse,
            headers,
            count,
            chunks,
            break_channel,
            wait,
            seen,
            pid,
            die,
            tell
        ])
        .allow(allowed)
        .wait_mode(mode)
        .manage(seen_by_all)
        .listen("brightness", move |event| {
            if let Ok(by) = event.payload() {
                told.brightness.store(by, Ordering::SeqCst);
            }
        })
        .run()
        .wait()
}
