//! Mixed load for a long time, with reloads and killed web processes: see `ui/soak.js`.

use std::collections::HashSet;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tauri::{AppHandle, Manager as _};

use crate::commands::report;
use crate::lives::web_process;
use crate::setting;

const KILL_EVERY: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(5);

static SEEN: Mutex<Option<HashSet<u64>>> = Mutex::new(None);
static FAULTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static PAGES: AtomicU32 = AtomicU32::new(0);
static STOCK_PAGES: AtomicU32 = AtomicU32::new(0);
static KILLS: AtomicU32 = AtomicU32::new(0);

/// A page begins: its number. The first one starts the clock.
#[tauri::command]
pub(crate) fn soak_begin(app: AppHandle, ring: bool) -> u32 {
    let page = PAGES.fetch_add(1, Ordering::Relaxed);
    if !ring {
        STOCK_PAGES.fetch_add(1, Ordering::Relaxed);
    }
    if page == 0 {
        thread::spawn(move || watch(&app));
    }
    page
}

/// A call with a number of its own.
#[tauri::command]
pub(crate) fn soak_call(id: u64, value: Value) -> Value {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if !seen.get_or_insert_default().insert(id) {
        soak_fault(format!("call {id} ran twice"));
    }
    value
}

#[tauri::command]
pub(crate) fn soak_fault(what: String) {
    log::error!("{what}");
    FAULTS.lock().unwrap_or_else(PoisonError::into_inner).push(what);
}

fn watch(app: &AppHandle) {
    let seconds = setting("SECONDS").and_then(|text| text.parse().ok()).unwrap_or(60);
    let (start, limit) = (Instant::now(), Duration::from_secs(seconds));
    let mut next_kill = KILL_EVERY;
    let mut memory = Vec::new();
    while start.elapsed() < limit {
        thread::sleep(LOOK_EVERY);
        memory.push(json!([
            start.elapsed().as_secs(),
            resident("self"),
            web_process().map(|pid| resident(&pid))
        ]));
        if start.elapsed() >= next_kill {
            next_kill += KILL_EVERY;
            kill(app);
        }
    }
    let calls =
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, HashSet::len);
    let faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text = json!({
        "calls": calls,
        "pages": PAGES.load(Ordering::Relaxed),
        "pages off the ring": STOCK_PAGES.load(Ordering::Relaxed),
        "kills": KILLS.load(Ordering::Relaxed),
        "faults": faults,
        "seconds, core KiB, web process KiB": memory,
    });
    let for_main = app.clone();
    // The report is missed if it does not get there.
    let _ = app.run_on_main_thread(move || report(for_main, text.to_string()));
}

fn kill(app: &AppHandle) {
    let Some(pid) = web_process() else { return soak_fault("no web process".into()) };
    // Asked before: a view without a process has none.
    let window = app.get_webview_window("main");
    let Some(url) = window.as_ref().and_then(|window| window.url().ok()) else {
        return soak_fault("no window".into());
    };
    let killed = Command::new("kill").args(["-9", &pid]).status();
    if !killed.is_ok_and(|status| status.success()) {
        return soak_fault("the web process was not killed".into());
    }
    KILLS.fetch_add(1, Ordering::Relaxed);
    thread::sleep(Duration::from_millis(500));
    if window.is_none_or(|window| window.navigate(url).is_err()) {
        soak_fault("the page was not loaded again".into());
    }
}

/// Resident memory of a process, in KiB.
fn resident(pid: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
