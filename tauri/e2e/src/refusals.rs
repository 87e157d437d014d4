//! Windows with different capabilities ask for the same: see `ui/refusals.js`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use tauri::ipc::CommandScope;
use tauri::plugin::TauriPlugin;
use tauri::{AppHandle, WebviewUrl, WebviewWindowBuilder, Wry};

use crate::commands::report;
use crate::lives::serve;

/// What is asked for, by window.
static TOLD: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());
const WINDOWS: usize = 3;
/// Windows whose page called through the ring.
static ON_RING: AtomicUsize = AtomicUsize::new(0);

const REMOTE: &str = concat!(
    "<!doctype html><script type=\"module\">",
    include_str!("../ui/refusals.js"),
    "</script>"
);

/// Opens the windows beside the first one.
pub(crate) fn open(app: &AppHandle) -> Result<(), Box<dyn std::error::Error>> {
    WebviewWindowBuilder::new(app, "limited", WebviewUrl::default()).build()?;
    let for_remote = app.clone();
    let address = serve(REMOTE, move |told| tell(&for_remote, "remote".into(), told))?;
    WebviewWindowBuilder::new(app, "remote", WebviewUrl::External(address.parse()?)).build()?;
    Ok(())
}

#[tauri::command]
pub(crate) fn refusals_told(app: AppHandle, label: String, ring: bool, told: Value) {
    if ring {
        ON_RING.fetch_add(1, Ordering::Relaxed);
    }
    tell(&app, label, told);
}

fn tell(app: &AppHandle, label: String, told: Value) {
    let mut all = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    all.insert(label, told);
    if all.len() == WINDOWS {
        let on_ring = ON_RING.load(Ordering::Relaxed);
        let text = json!({ "results": *all, "on the ring": on_ring }).to_string();
        let for_main = app.clone();
        // The report is missed if it does not get there.
        let _ = app.run_on_main_thread(move || report(for_main, text));
    }
}

/// What a scope of `scoped` says.
#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[tauri::command]
fn scoped(scope: CommandScope<Named>, name: &str) -> Result<String, String> {
    let has = |list: &[std::sync::Arc<Named>]| list.iter().any(|found| found.name == name);
    if has(scope.allows()) && !has(scope.denies()) {
        Ok(format!("{name} is in scope"))
    } else {
        Err(format!("{name} is out of scope"))
    }
}

#[tauri::command]
fn open_it() -> &'static str {
    "opened"
}

#[tauri::command]
fn shut_it() -> &'static str {
    "shut"
}

/// A plugin whose commands need permission.
pub(crate) fn guarded() -> TauriPlugin<Wry> {
    tauri::plugin::Builder::new("guarded")
        .invoke_handler(tauri::generate_handler![open_it, shut_it, scoped])
        .build()
}
