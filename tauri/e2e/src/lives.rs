//! What a view goes through: see `ui/lives.js`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tauri::{AppHandle, Manager as _, WebviewUrl, WebviewWindowBuilder};

use crate::commands::report;

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

/// Kills the first window's process a little later, then loads the page again.
#[tauri::command]
pub(crate) fn kill_web_process(app: AppHandle) -> Result<(), String> {
    let pid = web_process().ok_or("no web process")?;
    let url = app.get_webview_window("main").and_then(|window| window.url().ok());
    let url = url.ok_or("no window")?;
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        let killed = Command::new("kill").args(["-9", &pid]).status();
        note("the process was killed".into(), killed.is_ok_and(|status| status.success()).into());
        thread::sleep(Duration::from_millis(500));
        if let Some(window) = app.get_webview_window("main") {
            note("the page was loaded again".into(), window.navigate(url).is_ok().into());
        }
    });
    Ok(())
}

/// The first child that is one of WebKit's.
pub(crate) fn web_process() -> Option<String> {
    let me = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").ok()?;
    entries.flatten().find_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let parent = tail.split_whitespace().nth(1)?;
        (parent == me && head.contains("WebKitWeb"))
            .then(|| entry.file_name().into_string().ok())?
    })
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
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let home = app.get_webview_window("main").and_then(|window| window.url().ok());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(told) = serve(stream) {
                note("a foreign page".into(), told);
                if let (Some(window), Some(home)) = (app.get_webview_window("main"), home) {
                    // The report lacks the next notes if it fails.
                    let _ = window.navigate(home);
                }
                break;
            }
        }
    });
    Ok(format!("http://{address}/"))
}

fn serve(stream: TcpStream) -> Option<Value> {
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
    let page = if told { "" } else { FOREIGN };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length:";
    write!(reader.get_mut(), "{head} {}\r\n\r\n{page}", page.len()).ok()?;
    if told { serde_json::from_slice(&body).ok() } else { None }
}

#[tauri::command]
pub(crate) async fn open_second(app: AppHandle) -> tauri::Result<()> {
    WebviewWindowBuilder::new(&app, "second", WebviewUrl::default()).build().map(|_| ())
}

#[tauri::command]
pub(crate) fn close_second(app: AppHandle) -> tauri::Result<()> {
    app.get_webview_window("second").map_or(Ok(()), |window| window.destroy())
}
