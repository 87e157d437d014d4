//! What is called, with what. What must come out is not written anywhere: Tauri says it.

mod arguments;
mod channels;
mod errors;
mod names;
mod refusals;
mod results;
mod runs;
mod types;

use serde_json::Value;

/// What is sent with a call.
#[derive(Debug, Clone)]
pub enum Body {
    /// A JSON value.
    Json(Value),
    /// Bytes.
    Raw(Vec<u8>),
}

/// What the caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Everything: Tauri's rule for local pages of an application without permissions of its own.
    Open,
    /// Only to call `greet`: an application with permissions of its own, and one capability.
    Greet,
}

/// One call.
#[derive(Debug)]
pub struct Case {
    /// What it is about, unique.
    pub id: String,
    /// The rows of `docs/SEMANTICS.md` that it belongs to.
    pub rows: &'static [u8],
    /// The command's name on the wire.
    pub command: String,
    /// What is sent.
    pub body: Body,
    /// What the caller may do.
    pub gate: Gate,
    /// Why tramline cannot be asked, if it cannot.
    pub not_compiled: Option<&'static str>,
}

impl Case {
    fn new(group: &str, rows: &'static [u8], about: &str, command: &str, body: Body) -> Self {
        Self {
            id: format!("{group}: {about}"),
            rows,
            command: command.to_owned(),
            body,
            gate: Gate::Open,
            not_compiled: None,
        }
    }
}

/// All cases, in the order of the table.
pub fn all() -> Vec<Case> {
    let groups = [
        names::cases(),
        refusals::cases(),
        arguments::cases(),
        types::cases(),
        results::cases(),
        errors::cases(),
        runs::cases(),
        channels::cases(),
    ];
    groups.into_iter().flatten().collect()
}
