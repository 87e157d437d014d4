//! What the page's cases call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;
use tauri::ipc::{Channel, InvokeBody, InvokeResponseBody, Request, Response};
use tauri::{AppHandle, Emitter as _, EventTarget, Listener as _, Manager as _, State};

use crate::setting;

#[derive(Default)]
pub(crate) struct Counts {
    runs: Mutex<HashMap<u32, u32>>,
    heard: AtomicU32,
    order: Mutex<Vec<usize>>,
}

pub(crate) fn listen(app: &AppHandle) {
    let for_listener = app.clone();
    app.listen_any("to-core", move |_| {
        for_listener.state::<Counts>().heard.fetch_add(1, Ordering::Relaxed);
    });
}

#[tauri::command]
pub(crate) fn task() -> String {
    setting("TASK").unwrap_or_else(|| "test".into())
}

#[tauri::command]
#[allow(clippy::needless_pass_by_value, reason = "commands own their arguments")]
pub(crate) fn report(app: AppHandle, text: String) {
    let written = match setting("OUT") {
        Some(path) => std::fs::write(path, text),
        None => {
            use std::io::Write as _;
            writeln!(std::io::stdout(), "{text}")
        }
    };
    app.exit(i32::from(written.is_err()));
}

#[tauri::command]
pub(crate) fn own_pid() -> u32 {
    std::process::id()
}

/// Tauri's own way has a header that the ring has no use for.
#[tauri::command]
pub(crate) fn on_ring(request: Request<'_>) -> bool {
    !request.headers().contains_key("tauri-callback")
}

#[tauri::command]
pub(crate) fn nothing() {}

#[tauri::command]
pub(crate) fn echo(value: Value) -> Value {
    value
}

#[tauri::command]
pub(crate) async fn echo_later(value: Value) -> Value {
    value
}

#[derive(Serialize)]
pub(crate) struct Failure {
    code: u32,
    text: String,
}

#[tauri::command]
pub(crate) fn fail(how: &str) -> Result<(), Value> {
    let failure = Failure { code: 7, text: "größer".into() };
    Err(if how == "text" {
        "it failed".into()
    } else {
        serde_json::to_value(failure).unwrap_or_default()
    })
}

#[tauri::command]
pub(crate) async fn fail_later() -> Result<(), String> {
    Err("it failed later".into())
}

#[tauri::command]
pub(crate) fn headers(request: Request<'_>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = request
        .headers()
        .iter()
        .filter(|(name, _)| {
            name.as_str().starts_with("x-") || *name == "content-type" || *name == "origin"
        })
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    found.sort();
    found
}

pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 31) & 255).unwrap_or(0)).collect()
}

#[tauri::command]
pub(crate) fn raw_get(len: usize) -> Response {
    Response::new(bytes(len))
}

#[tauri::command]
pub(crate) fn raw_put(request: Request<'_>) -> String {
    match request.body() {
        InvokeBody::Raw(bytes) => {
            let sum: u64 =
                bytes.iter().zip(1_u64..).map(|(byte, at)| u64::from(*byte) * (at % 251)).sum();
            format!("{} bytes, {sum}", bytes.len())
        }
        InvokeBody::Json(value) => format!("json {value}"),
    }
}

#[tauri::command]
pub(crate) fn raw_echo(request: Request<'_>) -> Result<Response, String> {
    match request.body() {
        InvokeBody::Raw(bytes) => Ok(Response::new(bytes.clone())),
        InvokeBody::Json(_) => Err("not raw".into()),
    }
}

#[derive(Clone, Serialize)]
pub(crate) struct Numbered {
    pub(crate) index: usize,
    pub(crate) text: String,
}

#[tauri::command]
pub(crate) fn stream(channel: Channel<Numbered>, count: usize, len: usize) -> tauri::Result<()> {
    (0..count).try_for_each(|index| channel.send(Numbered { index, text: "t".repeat(len) }))
}

#[tauri::command]
pub(crate) fn stream_raw(
    channel: Channel<InvokeResponseBody>,
    lens: Vec<usize>,
) -> tauri::Result<()> {
    lens.into_iter().try_for_each(|len| channel.send(InvokeResponseBody::Raw(bytes(len))))
}

#[tauri::command]
pub(crate) fn emit_some(app: AppHandle, name: &str, count: usize) -> tauri::Result<()> {
    (0..count).try_for_each(|index| app.emit(name, Numbered { index, text: "é".into() }))
}

#[tauri::command]
pub(crate) fn emit_to_target(app: AppHandle, name: &str, to: &str) -> tauri::Result<()> {
    match to {
        "all" => app.emit(name, to),
        "app" => app.emit_to(EventTarget::app(), name, to),
        "window" => app.emit_to(EventTarget::window("main"), name, to),
        "webview" => app.emit_to(EventTarget::webview("main"), name, to),
        "both" => app.emit_to(EventTarget::webview_window("main"), name, to),
        label => app.emit_to(label, name, to),
    }
}

#[tauri::command]
pub(crate) fn heard(counts: State<'_, Counts>) -> u32 {
    counts.heard.load(Ordering::Relaxed)
}

#[tauri::command]
pub(crate) fn count_up(counts: State<'_, Counts>, id: u32) {
    *counts.runs.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default() += 1;
}

#[tauri::command]
pub(crate) fn count_of(counts: State<'_, Counts>, id: u32) -> u32 {
    let runs = counts.runs.lock().unwrap_or_else(PoisonError::into_inner);
    runs.get(&id).copied().unwrap_or_default()
}

#[tauri::command]
pub(crate) fn counted_twice(counts: State<'_, Counts>) -> Vec<u32> {
    let runs = counts.runs.lock().unwrap_or_else(PoisonError::into_inner);
    runs.iter().filter(|(id, runs)| **runs > 1 || **id == 999).map(|(id, _)| *id).collect()
}

#[derive(Clone, Serialize)]
struct ByOne {
    who: usize,
    index: usize,
}

/// Two threads emit at once; returns when both are through.
#[tauri::command]
pub(crate) async fn emit_by_two(app: AppHandle, name: String, count: usize) -> Result<(), String> {
    let both = Arc::new(Barrier::new(2));
    let emit = |who: usize| {
        let (app, name, both) = (app.clone(), name.clone(), Arc::clone(&both));
        std::thread::spawn(move || {
            both.wait();
            (0..count).try_for_each(|index| app.emit(&name, ByOne { who, index }))
        })
    };
    let threads = [emit(0), emit(1)];
    for thread in threads {
        let emitted = thread.join().map_err(|_| "a panic".to_owned())?;
        emitted.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A page of another origin, for a frame: tells its parent what it finds.
const FRAME: &str = r#"<!doctype html><script type="module">
const found = (name) => name in window
const tell = (asked) =>
  parent.postMessage({ kind: 'frame', functions: found('__TRAMLINE_NATIVE__'), asked }, '*')
fetch('ipc://localhost/count_up', { method: 'POST', body: '{"id":888}', headers: { 'Content-Type': 'application/json' } })
  .then((r) => tell(r.status), () => tell('refused'))
</script>"#;

#[tauri::command]
pub(crate) fn frame_url() -> Result<String, String> {
    crate::lives::serve(FRAME, |_| {})
}

/// A number, in the arguments or as the length of the body.
#[tauri::command]
pub(crate) fn in_order(counts: State<'_, Counts>, request: Request<'_>) {
    let number = match request.body() {
        InvokeBody::Raw(bytes) => bytes.len(),
        InvokeBody::Json(value) => {
            value["number"].as_u64().and_then(|number| number.try_into().ok()).unwrap_or_default()
        }
    };
    counts.order.lock().unwrap_or_else(PoisonError::into_inner).push(number);
}

/// The numbers that have come.
#[tauri::command]
pub(crate) fn order(counts: State<'_, Counts>) -> Vec<usize> {
    std::mem::take(&mut *counts.order.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What is said to be JSON, and is not.
#[tauri::command]
pub(crate) fn no_json() -> Response {
    Response::new(InvokeResponseBody::Json("{no".to_owned()))
}
