//! Every kind of listener against every kind of target: `expected/targets.json`.
//!
//! The file is for tramline's own tests, which have no Tauri. A JavaScript listener that names a
//! label, the only one of kind AnyLabel, cannot be had without a webview.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tauri::test::MockRuntime;
use tauri::{Emitter, EventTarget, Listener};

use crate::events::{Log, Theirs};
use crate::ours::CODECS;
use crate::outcome::Outcome;
use crate::reached::Ours;

const EVENT: &str = "matrix";

/// Who listens, and who hears what.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Table {
    about: String,
    /// The version of Tauri that this is of.
    tauri: String,
    /// Each listener's name, and what it listens as.
    listeners: Vec<(String, EventTarget)>,
    cases: Vec<Case>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// The row of `docs/SEMANTICS.md`.
    pub row: u8,
    /// `emit`, `emit_to`, or `emit_filter` with a filter that picks the target and nothing else.
    call: String,
    /// Who emits: `App`, or a window's label.
    by: String,
    /// At whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<EventTarget>,
    /// The listeners that heard it, by name.
    pub reached: Vec<String>,
}

/// What a case came to.
pub struct Reached {
    /// With the listeners that Tauri reached.
    pub case: Case,
    /// Whether the file says the same.
    pub as_written: bool,
    /// Whom tramline reached, in each codec.
    pub ours: Vec<Outcome>,
}

/// Has Tauri emit every event; writes who was reached into the file `path` if `write` says so.
pub fn reach(path: &Path, write: bool) -> Result<Vec<Reached>, String> {
    let theirs = Theirs::start();
    let log = Log::default();
    let listeners = listen(&theirs, &log);
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |call: &str, by: &str, target: Option<&EventTarget>| {
        let name = target.map(|target| format!(" {target:?}")).unwrap_or_default();
        cases.push(Case {
            id: format!("targets: {call}{name} by {by}"),
            row: if call == "emit_filter" { 56 } else { 55 },
            call: call.to_owned(),
            by: by.to_owned(),
            target: target.cloned(),
            reached: log.take(),
        });
    };
    let window = &theirs.windows[0];
    let _ = theirs.app.emit(EVENT, ());
    add("emit", "App", None);
    let _ = window.emit(EVENT, ());
    add("emit", window.label(), None);
    for target in targets() {
        let _ = theirs.app.emit_to(target.clone(), EVENT, ());
        add("emit_to", "App", Some(&target));
        let _ = window.emit_to(target.clone(), EVENT, ());
        add("emit_to", window.label(), Some(&target));
        let _ = theirs.app.emit_filter(EVENT, (), |candidate| *candidate == target);
        add("emit_filter", "App", Some(&target));
        let _ = window.emit_filter(EVENT, (), |candidate| *candidate == target);
        add("emit_filter", window.label(), Some(&target));
    }
    let _ = theirs.app.emit_filter(EVENT, (), |_| false);
    add("emit_filter", "App", None);

    let written = std::fs::read_to_string(path).unwrap_or_default();
    let written: Option<Table> = serde_json::from_str(&written).ok();
    if write {
        let about =
            "Who hears an event, as Tauri decides it. Written by `cargo xtask oracle --write`; \
                     docs/ORACLE.md says what the fields mean."
                .to_owned();
        let tauri = tauri::VERSION.to_owned();
        let table = Table { about, tauri, listeners: listeners.clone(), cases: cases.clone() };
        std::fs::write(path, table.to_text()).map_err(|e| e.to_string())?;
    }
    let is_written = |case: &Case| written.as_ref().is_some_and(|table| table.cases.contains(case));
    // The same JSON on both sides.
    let as_json = |target: &EventTarget| json!(target);
    let listeners: Vec<_> =
        listeners.iter().map(|(name, target)| (name.clone(), as_json(target))).collect();
    let ours: Vec<_> = (0..CODECS.len()).map(|at| Ours::start(at, &listeners)).collect();
    let reached = |case: Case| {
        let target = case.target.as_ref().map(as_json);
        let reached = |side: &Ours| side.reached(&case.call, &case.by, target.as_ref());
        let ours = ours.iter().map(reached).collect();
        Reached { as_written: is_written(&case), ours, case }
    };
    Ok(cases.into_iter().map(reached).collect())
}

impl Table {
    /// One line for each case: a change of one is a change of one line.
    fn to_text(&self) -> String {
        let cases = self.cases.iter().map(|case| serde_json::to_string(case).unwrap_or_default());
        format!(
            "{{\n\"about\": {},\n\"tauri\": {},\n\"listeners\": {},\n\"cases\": [\n{}\n]\n}}\n",
            json!(self.about),
            json!(self.tauri),
            json!(self.listeners),
            cases.collect::<Vec<_>>().join(",\n")
        )
    }
}

/// A listener of each kind.
fn listen(theirs: &Theirs, log: &Log) -> Vec<(String, EventTarget)> {
    let mut listeners = Vec::new();
    let mut told = |name: String, target: EventTarget| {
        listeners.push((name.clone(), target));
        let log = log.clone();
        move |_: tauri::Event| log.add(name.clone())
    };
    theirs.app.listen(EVENT, told("app".to_owned(), EventTarget::App));
    theirs.app.listen_any(EVENT, told("app, any".to_owned(), EventTarget::Any));
    for window in &theirs.windows {
        let label = window.label();
        let webview: &tauri::Webview<MockRuntime> = window.as_ref();
        let name = |kind: &str| format!("{kind} {label}");
        window.listen(EVENT, told(name("webview window"), EventTarget::webview_window(label)));
        window.listen_any(EVENT, told(name("any, by webview window"), EventTarget::Any));
        webview.listen(EVENT, told(name("webview"), EventTarget::webview(label)));
        webview.window().listen(EVENT, told(name("window"), EventTarget::window(label)));
    }
    // What each handle listens as is said by Tauri, not by us.
    let asked = Log::default();
    let _ = theirs.app.emit_filter(EVENT, (), |target| {
        asked.add(format!("{target:?}"));
        false
    });
    let mut said: Vec<String> = listeners.iter().map(|(_, target)| format!("{target:?}")).collect();
    // A filter is not asked about those that hear everything.
    said.retain(|target| *target != format!("{:?}", EventTarget::Any));
    said.sort();
    assert_eq!(asked.take(), said, "Tauri's default targets");
    log.take();
    listeners
}

fn targets() -> Vec<EventTarget> {
    vec![
        EventTarget::Any,
        EventTarget::App,
        EventTarget::labeled("main"),
        EventTarget::labeled("side"),
        EventTarget::labeled("nobody"),
        EventTarget::window("main"),
        EventTarget::window("nobody"),
        EventTarget::webview("main"),
        EventTarget::webview_window("main"),
        EventTarget::webview_window("side"),
    ]
}
