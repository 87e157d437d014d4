//! The differences that are meant: `declared.toml`.

use serde::Deserialize;

use crate::outcome::Outcome;

/// One difference. Both outcomes are written down: whatever else comes out is not declared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The case's name.
    pub case: String,
    /// The row of `docs/SEMANTICS.md` that says so.
    pub row: String,
    /// Tauri's outcome.
    pub tauri: String,
    /// Ours.
    pub tramline: Ours,
    /// Why it is meant.
    pub reason: String,
}

/// Our outcome.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Ours {
    /// In every codec.
    Every(String),
    /// In each of [`CODECS`](crate::ours::CODECS).
    Each(Vec<String>),
}

impl Difference {
    /// Whether this is what came out.
    pub fn is(&self, theirs: &Outcome, ours: &[Outcome]) -> bool {
        let same = match &self.tramline {
            Ours::Every(text) => ours.iter().all(|ours| ours.0 == *text),
            Ours::Each(texts) => ours.iter().map(|ours| &ours.0).eq(texts),
        };
        same && theirs.0 == self.tauri
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    difference: Vec<Difference>,
}

/// The file, as it was when this was built.
pub fn all() -> Result<Vec<Difference>, String> {
    let file: File = toml::from_str(include_str!("../declared.toml"))
        .map_err(|e| format!("declared.toml: {e}"))?;
    Ok(file.difference)
}
