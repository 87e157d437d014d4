//! What a view goes through: see `ui/lives.js`.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

use serde_json::Value;
use tauri::{AppHandle, Emitter as _, Manager as _, WebviewUrl, WebviewWindowBuilder, WindowEvent};

use crate::commands::{count_up, report};
use crate::views;

static STEPS: AtomicUsize = AtomicUsize::new(0);
static NOTES: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());

/// How many pages the first window has begun before this one.
#[tauri::command]
pub(crate) fn step() -> usize {
    STEPS.fetch_add(1, Ordering::Relaxed)
}

#[tauri::command]
pub(crate) fn note(what: String, value: Value) {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner).insert(what, value);
}

#[tauri::command]
pub(crate) fn report_notes(app: AppHandle) {
    let notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    report(app, serde_json::json!({ "results": *notes }).to_string());
}

/// Kills the first window's process, with calls on their way; the page is loaded again when it is gone.
#[tauri::command]
pub(crate) fn kill_web_process(app: AppHandle) -> Result<(), String> {
    let window = app.get_webview_window("main").ok_or("no window")?;
    let told = || note("the process was gone".into(), true.into());
    views::revive(&window, told).map_err(|error| error.to_string())?;
    note("the process was killed".into(), (views::kill_web_processes() == Some(1)).into());
    Ok(())
}

/// Calls that wait for the next page, and who is to be woken when it opens the gate.
static GATE: Mutex<(bool, Vec<Waker>)> = Mutex::new((false, Vec::new()));

fn lock_gate() -> MutexGuard<'static, (bool, Vec<Waker>)> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tauri::command]
pub(crate) async fn hold(app: AppHandle, id: u32) {
    count_up(app.state(), id);
    poll_fn(|context| {
        let mut gate = lock_gate();
        if gate.0 {
            return Poll::Ready(());
        }
        gate.1.push(context.waker().clone());
        Poll::Pending
    })
    .await;
}

#[tauri::command]
pub(crate) fn open_gate() -> usize {
    let mut gate = lock_gate();
    gate.0 = true;
    let held = std::mem::take(&mut gate.1);
    let count = held.len();
    held.into_iter().for_each(Waker::wake);
    count
}

/// Panics, as one of the last calls of a page that goes: in the main loop, or as the page is left.
#[tauri::command]
pub(crate) fn panics() {
    note("a command panicked".into(), true.into());
    panic!("on purpose");
}

/// A page of another origin, which tries what it may not, and tells.
const FOREIGN: &str = r#"<!doctype html><script type="module">
const found = '__TRAMLINE_NATIVE__' in window
const internals = window.__TAURI_INTERNALS__
const limit = new Promise((resolve) => setTimeout(() => resolve('no answer'), 3000))
const call = internals
  ? Promise.race([internals.invoke('nothing').then((v) => ({ value: v }), (e) => ({ error: e })), limit])
  : 'no internals'
await fetch('/told', { method: 'POST', body: JSON.stringify({ functions: found, call: await call }) })
</script>"#;

/// The address of that page, served from here.
#[tauri::command]
pub(crate) fn foreign_url(app: AppHandle) -> Result<String, String> {
    serve(FOREIGN, move |told| {
        note("a foreign page".into(), told);
        go_home(&app);
    })
}

/// Shows the first page again.
pub(crate) fn go_home(app: &AppHandle) {
    let home = views::HOME.parse().ok();
    if let (Some(window), Some(home)) = (app.get_webview_window("main"), home) {
        // The report lacks what comes next if it fails.
        let _ = window.navigate(home);
    }
}

/// Serves a page from another origin, until it tells something: the address.
pub(crate) fn serve(
    page: &'static str,
    told: impl FnOnce(Value) + Send + 'static,
) -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    thread::spawn(move || {
        if let Some(value) = listener.incoming().flatten().find_map(|stream| answer(stream, page)) {
            told(value);
        }
    });
    Ok(format!("http://{address}/"))
}

fn answer(stream: TcpStream, page: &str) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let told = line.starts_with("POST");
    let mut len = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            len = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    let page = if told { "" } else { page };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length:";
    write!(reader.get_mut(), "{head} {}\r\n\r\n{page}", page.len()).ok()?;
    if told { serde_json::from_slice(&body).ok() } else { None }
}

#[tauri::command]
pub(crate) async fn open_second(app: AppHandle) -> tauri::Result<()> {
    let window = WebviewWindowBuilder::new(&app, "second", WebviewUrl::default()).build()?;
    window.on_window_event(move |event| {
        if matches!(event, WindowEvent::Destroyed) {
            // Missed by the page if it fails, and then by the report.
            let _ = app.emit("second-is-gone", ());
        }
    });
    Ok(())
}

#[tauri::command]
pub(crate) fn close_second(app: AppHandle) -> tauri::Result<()> {
    app.get_webview_window("second").map_or(Ok(()), |window| window.destroy())
}
