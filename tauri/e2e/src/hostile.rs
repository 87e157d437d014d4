//! Attacks by a page, or by a web process in foreign hands: see `ui/hostile.js`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tauri::{AppHandle, Emitter as _, State};

use crate::commands::{Counts, counted_twice, report};
use crate::lives::{go_home, serve};
use crate::views::memory_kib;

/// The codes of faults in the log since the attack under way began.
static FAULTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static LOGGED: Condvar = Condvar::new();
/// Turns a hang into a failure.
const LIMIT: Duration = Duration::from_secs(10);
static NOTES: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());
/// Pages that have asked: even ones attack, odd ones see what is left.
static AT: AtomicUsize = AtomicUsize::new(0);
/// A command ran that must not.
static FORBIDDEN: AtomicBool = AtomicBool::new(false);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The log's line of a fault begins with its code.
pub(crate) fn note_fault(line: &str) {
    if let Some((code, _)) = line.strip_prefix("tramline[").and_then(|rest| rest.split_once(']')) {
        lock(&FAULTS).insert(code.to_owned());
        LOGGED.notify_all();
    }
}

/// How far the pages have come.
#[tauri::command]
pub(crate) fn hostile_at() -> usize {
    AT.load(Ordering::Relaxed)
}

/// Answers when the log has a line about the attack: that comes by another way than calls.
#[tauri::command]
pub(crate) async fn hostile_logged() -> tauri::Result<()> {
    tauri::async_runtime::spawn_blocking(wait_for_fault).await
}

fn wait_for_fault() {
    // A line that never comes is missed by the report.
    drop(LOGGED.wait_timeout_while(lock(&FAULTS), LIMIT, |faults| faults.is_empty()));
}

/// A page is through with its part, and says what came of it.
#[tauri::command]
pub(crate) fn hostile_next(name: String, seen: Value) {
    let faults = std::mem::take(&mut *lock(&FAULTS));
    let mut notes = lock(&NOTES);
    let entry = notes.entry(name).or_insert_with(|| json!({}));
    if let (Some(entry), Value::Object(seen)) = (entry.as_object_mut(), seen) {
        entry.extend(seen);
        if !faults.is_empty() {
            entry.insert("log".into(), json!(faults));
        }
    }
    AT.fetch_add(1, Ordering::Relaxed);
}

#[tauri::command]
pub(crate) fn hostile_done(app: AppHandle, counts: State<'_, Counts>) {
    let mut notes = std::mem::take(&mut *lock(&NOTES));
    notes.insert("calls that ran twice".into(), json!(counted_twice(counts)));
    report(app, json!({ "results": notes }).to_string());
}

/// What no page may get run: it is called in ways that must be refused only.
#[tauri::command]
pub(crate) fn hostile_forbidden() {
    FORBIDDEN.store(true, Ordering::Relaxed);
}

#[tauri::command]
pub(crate) fn hostile_forbidden_ran() -> bool {
    FORBIDDEN.load(Ordering::Relaxed)
}

/// A choice: far more than may wait.
const FLOOD: usize = 700;

/// Sends a page that does not read more than may wait, then has the view load the page again.
#[tauri::command]
pub(crate) fn hostile_flood(app: AppHandle) {
    thread::spawn(move || {
        let text = "x".repeat(1 << 20);
        let mut sent = 0;
        while sent < FLOOD && lock(&FAULTS).is_empty() {
            // What is not sent does not count.
            sent += usize::from(app.emit("flood", &text).is_ok());
        }
        wait_for_fault();
        hostile_next("a page that never reads".into(), json!({ "given up": sent < FLOOD }));
        go_home(&app);
    });
}

/// A page of another origin that hands over sockets while the view is on its way to ours.
const FOREIGN: &str = r#"<!doctype html><script>
const attacks = window.__TRAMLINE_ATTACKS__
const functions = '__TRAMLINE_NATIVE__' in window
const told = JSON.stringify({ functions, handed: attacks.handOver(0) })
fetch('/told', { method: 'POST', body: told })
setInterval(() => attacks.handOver(0), 1)
</script>"#;

#[tauri::command]
pub(crate) fn hostile_foreign(app: AppHandle) -> Result<String, String> {
    serve(FOREIGN, move |told| {
        hostile_next("a foreign page on its way to us".into(), told);
        go_home(&app);
    })
}

/// How many threads the core has.
#[tauri::command]
pub(crate) fn hostile_threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// The most memory that the core has ever had, in MiB.
#[tauri::command]
pub(crate) fn hostile_memory() -> u64 {
    memory_kib("self", "VmHWM").unwrap_or_default() >> 10
}
