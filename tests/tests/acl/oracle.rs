//! What Tauri itself decided: every world and every case of `oracle/expected/acl.json`, with the
//! differences that `oracle/declared.toml` means.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::ours_acl::{Files, NO_RULES, decide, files_in_words, in_words};

#[path = "../../../oracle/src/ours_acl.rs"]
mod ours_acl;

#[derive(Deserialize)]
struct Table {
    worlds: BTreeMap<String, World>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct World {
    folder: Option<PathBuf>,
    app: Option<Vec<Value>>,
    #[serde(default)]
    plugins: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    capabilities: Vec<Value>,
    expected: Value,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    world: String,
    command: String,
    label: Option<String>,
    window: Option<String>,
    origin: Option<String>,
    expected: Value,
}

#[derive(Deserialize)]
struct Declared {
    difference: Vec<Difference>,
}

#[derive(Deserialize)]
struct Difference {
    case: String,
    tauri: String,
    tramline: toml::Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../oracle")
}

fn read<T: DeserializeOwned>(
    file: &str,
    parse: impl Fn(&str) -> Result<T, Box<dyn std::error::Error>>,
) -> T {
    let text = std::fs::read_to_string(folder().join(file)).expect(file);
    parse(&text).expect(file)
}

impl World {
    fn files(&self) -> Files<'_> {
        Files {
            folder: self.folder.as_ref().map(|within| folder().join(within)),
            app: self.app.as_deref(),
            plugins: &self.plugins,
            capabilities: &self.capabilities,
        }
    }
}

impl Case {
    fn decide(&self, world: &World) -> String {
        let label = self.window.as_deref().or(self.label.as_deref()).unwrap_or("main");
        match world.files().rules() {
            Ok(rules) => in_words(decide(&rules, &self.command, label, self.origin.as_deref())),
            Err(_) => NO_RULES.to_owned(),
        }
    }
}

/// Asserts that outcomes, Tauri's and ours by the names of their cases, are the same, but for those
/// declared differences that `is_ours` picks.
fn compare(outcomes: &BTreeMap<String, [String; 2]>, is_ours: impl Fn(&str) -> bool) {
    let declared: Declared = read("declared.toml", |text| Ok(toml::from_str(text)?));
    let meant: BTreeSet<_> = (declared.difference.iter())
        .filter_map(|d| Some((d.case.strip_prefix("capabilities: ")?, d)))
        .filter(|(case, _)| is_ours(case))
        .map(|(case, d)| (case, d.tauri.as_str(), d.tramline.as_str().expect("one outcome")))
        .collect();
    let found: BTreeSet<_> = (outcomes.iter())
        .filter(|(_, [theirs, ours])| theirs != ours)
        .map(|(case, [theirs, ours])| (case.as_str(), theirs.as_str(), ours.as_str()))
        .collect();
    assert_eq!(found, meant, "case, Tauri, tramline");
}

const FILES: &str = ": the files";

#[test]
fn files_load_or_are_refused_as_tauri_decided() {
    let table: Table = read("expected/acl.json", |text| Ok(serde_json::from_str(text)?));
    let outcome = |(name, world): (&String, &World)| {
        let theirs = files_in_words(world.expected == "loads").to_owned();
        let ours = files_in_words(world.files().rules().is_ok()).to_owned();
        (format!("{name}{FILES}"), [theirs, ours])
    };
    let outcomes: BTreeMap<_, _> = table.worlds.iter().map(outcome).collect();
    assert!(outcomes.len() >= 40, "{} worlds", outcomes.len());
    compare(&outcomes, |case| case.ends_with(FILES));
}

#[test]
fn every_case_is_decided_as_tauri_decided() {
    let table: Table = read("expected/acl.json", |text| Ok(serde_json::from_str(text)?));
    let outcome = |case: &Case| {
        let ours = case.decide(&table.worlds[&case.world]);
        (case.id.clone(), [in_words(case.expected.clone()), ours])
    };
    let outcomes: BTreeMap<_, _> = table.cases.iter().map(outcome).collect();
    assert!(outcomes.len() >= 150, "{} cases", outcomes.len());
    compare(&outcomes, |case| !case.ends_with(FILES));
}
