//! Mixed load for a long time in two windows, with reloads and killed web processes: see
//! `ui/soak.js`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tauri::{AppHandle, Manager as _, WebviewUrl, WebviewWindowBuilder};

use crate::commands::report;
use crate::setting;
use crate::views::{self, memory_kib};

const KILL_EVERY: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Pages whose calls are remembered. A choice: both windows' for some lives; all of them would be
/// what grows.
const PAGES_KEPT: usize = 8;

#[derive(Default)]
struct State {
    pages: usize,
    pages_off_the_ring: usize,
    calls: u64,
    doubled: u64,
    lost: u64,
    faults: Vec<String>,
    /// By page, a bit for each call that has run.
    ran: BTreeMap<usize, Vec<u64>>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);
/// Processes that we have killed, and such as are gone.
static KILLED: AtomicUsize = AtomicUsize::new(0);
static GONE: AtomicUsize = AtomicUsize::new(0);

fn with_state<T>(run: impl FnOnce(&mut State) -> T) -> T {
    let mut state: MutexGuard<'_, _> = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    run(state.get_or_insert_default())
}

/// A page begins: its number. The first one starts the clock, and opens the other window.
#[tauri::command]
pub(crate) fn soak_begin(app: AppHandle, ring: bool) -> usize {
    let page = with_state(|state| {
        let page = state.pages;
        state.pages += 1;
        state.pages_off_the_ring += usize::from(!ring);
        state.ran.insert(page, Vec::new());
        while state.ran.len() > PAGES_KEPT {
            state.ran.pop_first();
        }
        page
    });
    if page == 0 {
        thread::spawn(move || {
            if let Err(error) = begin(&app) {
                note_fault(format!("no second window: {error}"));
            }
            watch(&app);
        });
    }
    page
}

fn begin(app: &AppHandle) -> tauri::Result<()> {
    let second = WebviewWindowBuilder::new(app, "second", WebviewUrl::default()).build()?;
    let gone = || {
        GONE.fetch_add(1, Ordering::Relaxed);
    };
    if let Some(main) = app.get_webview_window("main") {
        views::revive(&main, gone)?;
    }
    views::revive(&second, gone)
}

/// A call with a number of its own.
#[tauri::command]
pub(crate) fn soak_call(page: usize, n: usize, value: Value) -> Value {
    let doubled = with_state(|state| {
        state.calls += 1;
        let Some(ran) = state.ran.get_mut(&page) else { return true };
        if ran.len() <= n / 64 {
            ran.resize(n / 64 + 1, 0);
        }
        let bit = 1 << (n % 64);
        let doubled = ran[n / 64] & bit != 0;
        ran[n / 64] |= bit;
        state.doubled += u64::from(doubled);
        doubled
    });
    if doubled {
        note_fault(format!("page {page}: call {n} ran twice, or long after its page"));
    }
    value
}

#[tauri::command]
pub(crate) async fn soak_later(page: usize, n: usize, value: Value) -> Value {
    soak_call(page, n, value)
}

#[tauri::command]
pub(crate) fn soak_fault(what: String, lost: bool) {
    with_state(|state| state.lost += u64::from(lost));
    note_fault(what);
}

fn note_fault(what: String) {
    log::error!("{what}");
    with_state(|state| {
        // The first ones tell; the counts go on.
        if state.faults.len() < 100 {
            state.faults.push(what);
        }
    });
}

fn watch(app: &AppHandle) {
    let seconds = setting("SECONDS").and_then(|text| text.parse().ok()).unwrap_or(60);
    let (start, limit) = (Instant::now(), Duration::from_secs(seconds));
    let mut next_kill = KILL_EVERY;
    let mut kills = 0;
    let mut memory = Vec::new();
    while start.elapsed() < limit {
        thread::sleep(LOOK_EVERY);
        let web: u64 =
            views::web_processes().iter().filter_map(|pid| memory_kib(pid, "VmRSS")).sum();
        let core = memory_kib("self", "VmRSS");
        memory.push(json!([start.elapsed().as_secs(), core, web]));
        if start.elapsed() >= next_kill {
            next_kill += KILL_EVERY;
            match views::kill_web_processes() {
                Some(count) => {
                    kills += 1;
                    KILLED.fetch_add(count, Ordering::Relaxed);
                }
                None => note_fault("the web processes were not killed".into()),
            }
        }
    }
    // A process that died by itself was not killed by us.
    let crashes = GONE.load(Ordering::Relaxed).saturating_sub(KILLED.load(Ordering::Relaxed));
    let text = with_state(|state| {
        json!({
            "seconds": seconds,
            "calls": state.calls,
            "doubled": state.doubled,
            "lost": state.lost,
            "crashes of web processes": crashes,
            "pages": state.pages,
            "pages off the ring": state.pages_off_the_ring,
            "kills": kills,
            "faults": state.faults,
            "seconds, core KiB, web processes KiB": memory,
        })
    });
    let for_main = app.clone();
    // The report is missed if it does not get there.
    let _ = app.run_on_main_thread(move || report(for_main, text.to_string()));
}
