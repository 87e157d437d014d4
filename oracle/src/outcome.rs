//! What came out of a call, in words that can be compared.

use std::fmt;

use serde_json::Value;

/// One outcome. Two are the same if their words are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome(pub String);

/// How an outcome begins that is none.
const BROKEN: &str = "BROKEN: ";

/// Longer outcomes are cut: every byte counts in the comparison, none is missed in a table.
const MAX_SHOWN: usize = 400;

impl Outcome {
    /// A result, as its JSON text.
    pub fn json(text: &str) -> Self {
        Self(format!("ok {text}"))
    }

    /// A result that is bytes.
    pub fn raw(bytes: &[u8]) -> Self {
        Self(format!("ok, bytes {bytes:?}"))
    }

    /// An error value. Key order is left out: Tauri's error values have none.
    pub fn error(value: &Value) -> Self {
        Self(format!("error {value}"))
    }

    /// The call would wait for ever.
    pub fn no_answer() -> Self {
        Self("no answer, ever".to_owned())
    }

    /// A panic in the command came back to the thread that dispatches all calls.
    pub fn unwinds() -> Self {
        Self("panic on the thread that dispatches".to_owned())
    }

    /// The program does not compile.
    pub fn not_compiled(why: &str) -> Self {
        Self(format!("does not compile: {why}"))
    }

    /// Not an outcome of the libraries: something is wrong with the oracle.
    pub fn broken(why: impl fmt::Display) -> Self {
        Self(format!("{BROKEN}{why}"))
    }

    /// Whether it is such a one.
    pub fn is_broken(&self) -> bool {
        self.0.starts_with(BROKEN)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_SHOWN) {
            Some((end, _)) => write!(f, "{}.. ({} bytes)", &self.0[..end], self.0.len()),
            None => f.write_str(&self.0),
        }
    }
}
