//! The differences that are meant: `declared.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::outcome::Outcome;

/// One difference.
#[derive(Debug)]
pub struct Difference {
    /// The case's name.
    pub case: String,
    /// The row of `docs/SEMANTICS.md` that says so.
    pub row: String,
    /// What it is.
    pub what: What,
    /// Why it is meant.
    pub reason: String,
}

/// What differs. It is written down as it is: whatever else comes out is not declared.
#[derive(Debug)]
pub enum What {
    /// Both outcomes.
    Outcomes {
        /// Tauri's.
        tauri: String,
        /// Ours.
        tramline: Ours,
    },
    /// Ours is Tauri's refusal and the place of the fault.
    Place(Place),
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

/// Where the fault lies.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Its path.
    pub at: String,
    /// Its byte in each of [`CODECS`](crate::ours::CODECS).
    pub bytes: Vec<usize>,
}

impl Difference {
    /// Whether this is what came out.
    pub fn is(&self, theirs: &Outcome, ours: &[Outcome]) -> bool {
        let ours = ours.iter().map(|ours| ours.0.as_str());
        match &self.what {
            What::Outcomes { tauri, tramline } => {
                theirs.0 == *tauri
                    && match tramline {
                        Ours::Every(text) => ours.clone().all(|ours| ours == text),
                        Ours::Each(texts) => ours.eq(texts),
                    }
            }
            What::Place(Place { at, bytes }) => theirs
                .0
                .strip_suffix('"')
                .filter(|words| words.starts_with("error "))
                .is_some_and(|words| {
                    ours.eq(bytes.iter().map(|byte| format!("{words}, at `{at}`, byte {byte}\"")))
                }),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    difference: Vec<Entry>,
    places: Places,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    case: String,
    row: String,
    reason: String,
    tauri: String,
    tramline: Ours,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Places {
    row: String,
    reason: String,
    cases: BTreeMap<String, Place>,
}

/// The file, as it was when this was built.
pub fn all() -> Result<Vec<Difference>, String> {
    let File { difference, places } = toml::from_str(include_str!("../declared.toml"))
        .map_err(|e| format!("declared.toml: {e}"))?;
    let Places { row, reason, cases } = places;
    let entry = |Entry { case, row, reason, tauri, tramline }| {
        let what = What::Outcomes { tauri, tramline };
        Difference { case, row, what, reason }
    };
    let place = |(case, place)| {
        let what = What::Place(place);
        Difference { case, row: row.clone(), what, reason: reason.clone() }
    };
    Ok(difference.into_iter().map(entry).chain(cases.into_iter().map(place)).collect())
}

/// Those that a reader of `docs/SEMANTICS.md` would not know of: their rows are not there, or say
/// that both do the same.
pub fn unsaid(declared: &[Difference]) -> Vec<&Difference> {
    let table = include_str!("../../docs/SEMANTICS.md");
    declared.iter().filter(|d| !says_that_it_differs(table, &d.row)).collect()
}

/// Whether the table has that row, and `+` in its fourth column.
fn says_that_it_differs(table: &str, row: &str) -> bool {
    let found = table.lines().find(|line| line.starts_with(&format!("| {row} |")));
    found.is_some_and(|line| line.replace("\\|", "").split(" | ").nth(3) == Some("+"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_stands_behind_the_very_words_of_tauri() {
        let place = Place { at: ".a[1]".to_owned(), bytes: vec![2, 3] };
        let [case, row, reason] = ["case", "1", "why"].map(str::to_owned);
        let difference = Difference { case, row, reason, what: What::Place(place) };
        let is = |theirs: &str, ours: [&str; 2]| {
            let outcome = |text: &str| Outcome(text.to_owned());
            difference.is(&outcome(theirs), &ours.map(outcome))
        };
        let (two, three) =
            (r#"error "no, at `.a[1]`, byte 2""#, r#"error "no, at `.a[1]`, byte 3""#);
        assert!(is(r#"error "no""#, [two, three]));
        assert!(!is(r#"error "yes""#, [two, three]));
        assert!(!is(r#"error "no""#, [two, two]));
        assert!(!is(r#"error "no""#, [r#"error "no""#; 2]));
        assert!(!is(
            r#"ok "no""#,
            [r#"ok "no, at `.a[1]`, byte 2""#, r#"ok "no, at `.a[1]`, byte 3""#]
        ));
    }

    #[test]
    fn row_is_one_that_says_it_differs() {
        let table = "| 1 | a \\| b | c | = | d |\n| 12 | a `x\\|y` | c | + | d |\n";
        assert!(says_that_it_differs(table, "12"));
        assert!(!says_that_it_differs(table, "1"));
        assert!(!says_that_it_differs(table, "2"));
    }
}
