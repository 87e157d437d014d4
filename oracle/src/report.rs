//! The table, and the verdict of each case.

use comfy_table::{ContentArrangement, Table};

use crate::declared::{self, Difference};
use crate::ours::CODECS;
use crate::outcome::Outcome;

/// What one case came to on both sides.
pub struct Row {
    /// Its name.
    pub id: String,
    /// Its rows of `docs/SEMANTICS.md`.
    pub rows: Vec<u8>,
    /// Tauri's outcome.
    pub theirs: Outcome,
    /// Ours in each codec.
    pub ours: Vec<Outcome>,
    /// Tauri decided otherwise than a file in `expected` says.
    pub outdated: bool,
}

/// What is to be said of a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// No difference in any codec.
    Same,
    /// A difference that `declared.toml` has.
    Declared { row: String, reason: String },
    /// A difference that nobody means.
    Undeclared,
    /// Tauri does not do what a file in `expected` says.
    Outdated,
}

impl Verdict {
    fn of(row: &Row, declared: &[Difference]) -> Self {
        if row.outdated {
            return Self::Outdated;
        }
        // An oracle that is broken on both sides alike has compared nothing.
        if !row.ours.is_empty()
            && !row.theirs.is_broken()
            && row.ours.iter().all(|ours| *ours == row.theirs)
        {
            return Self::Same;
        }
        let meant = declared.iter().find(|d| d.case == row.id && d.is(&row.theirs, &row.ours));
        meant.map_or(Self::Undeclared, |d| Self::Declared {
            row: d.row.clone(),
            reason: d.reason.clone(),
        })
    }

    fn text(&self) -> String {
        match self {
            Self::Same => "same".to_owned(),
            Self::Declared { row, reason } => format!("declared, row {row}: {reason}"),
            Self::Undeclared => "UNDECLARED".to_owned(),
            Self::Outdated => "OUTDATED".to_owned(),
        }
    }
}

/// Width of the table in characters.
const WIDTH: u16 = 180;
/// Outcomes that are the same on both sides need not be shown whole.
const MAX_SAME: usize = 70;

/// Prints the table; true if nothing is wrong.
pub fn print(rows: &[Row], declared: &[Difference]) -> bool {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(["case", "rows", "Tauri", "tramline", "verdict"]);
    let [mut same, mut meant, mut undeclared, mut outdated] = [0_usize; 4];
    for row in rows {
        let verdict = Verdict::of(row, declared);
        *match verdict {
            Verdict::Same => &mut same,
            Verdict::Declared { .. } => &mut meant,
            Verdict::Undeclared => &mut undeclared,
            Verdict::Outdated => &mut outdated,
        } += 1;
        let semantics: Vec<_> = row.rows.iter().map(u8::to_string).collect();
        let (theirs, ours) = match &verdict {
            Verdict::Same => (shortened(&row.theirs), "same".to_owned()),
            _ => (row.theirs.to_string(), both(row)),
        };
        table.add_row([row.id.clone(), semantics.join(", "), theirs, ours, verdict.text()]);
    }
    println!("{table}");
    for row in rows {
        let verdict = Verdict::of(row, declared);
        if let Verdict::Undeclared | Verdict::Outdated = verdict {
            println!("{} {}\n  Tauri: {}", verdict.text(), row.id, row.theirs);
            for (name, ours) in CODECS.iter().map(|(name, _)| name).zip(&row.ours) {
                println!("  tramline, {name}: {ours}");
            }
        }
    }
    let stale = stale(rows, declared);
    for case in &stale {
        println!("declared.toml: `{case}` is no case, or has no difference, or another one");
    }
    let unsaid = declared::unsaid(declared);
    for Difference { case, row, .. } in &unsaid {
        println!("declared.toml: `{case}`: docs/SEMANTICS.md has no row {row} with a `+`");
    }
    println!(
        "{} cases: {same} same, {meant} declared, {undeclared} UNDECLARED, {outdated} OUTDATED",
        rows.len()
    );
    undeclared == 0 && outdated == 0 && stale.is_empty() && unsaid.is_empty()
}

/// Declarations that nothing comes of.
fn stale<'d>(rows: &[Row], declared: &'d [Difference]) -> Vec<&'d str> {
    let used = |d: &&Difference| {
        rows.iter().any(|row| {
            row.id == d.case && matches!(Verdict::of(row, declared), Verdict::Declared { .. })
        })
    };
    declared.iter().filter(|d| !used(d)).map(|d| d.case.as_str()).collect()
}

fn shortened(outcome: &Outcome) -> String {
    match outcome.0.char_indices().nth(MAX_SAME) {
        Some((end, _)) => format!("{}..", &outcome.0[..end]),
        None => outcome.0.clone(),
    }
}

/// Our outcome, once if it is the same in all codecs.
fn both(row: &Row) -> String {
    let ours = &row.ours;
    if ours.windows(2).all(|pair| pair[0] == pair[1]) {
        return ours.first().map(Outcome::to_string).unwrap_or_default();
    }
    let named = CODECS.iter().zip(ours).map(|((name, _), ours)| format!("{name}: {ours}"));
    named.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declared::{Ours, What};

    fn row(theirs: &str, ours: [&str; 2]) -> Row {
        let outcome = |text: &str| Outcome(text.to_owned());
        Row {
            id: "case".to_owned(),
            rows: vec![1],
            theirs: outcome(theirs),
            ours: ours.map(outcome).to_vec(),
            outdated: false,
        }
    }

    fn declared(tramline: Ours) -> [Difference; 1] {
        let [case, row, tauri, reason] = ["case", "1", "a", "why"].map(str::to_owned);
        [Difference { case, row, what: What::Outcomes { tauri, tramline }, reason }]
    }

    #[test]
    fn one_codec_that_differs_is_a_difference() {
        assert_eq!(Verdict::of(&row("a", ["a", "a"]), &[]), Verdict::Same);
        assert_eq!(Verdict::of(&row("a", ["a", "b"]), &[]), Verdict::Undeclared);
    }

    #[test]
    fn what_could_not_be_asked_is_no_agreement() {
        let broken = Outcome::broken("no answer came").0;
        let row_of = |ours: &[&str]| Row {
            ours: ours.iter().map(|&text| Outcome(text.to_owned())).collect(),
            ..row(&broken, ["", ""])
        };
        assert_eq!(Verdict::of(&row_of(&[&broken, &broken]), &[]), Verdict::Undeclared);
        assert_eq!(
            Verdict::of(&Row { ours: vec![], ..row("a", ["", ""]) }, &[]),
            Verdict::Undeclared
        );
    }

    #[test]
    fn declaration_holds_for_what_it_says_and_nothing_else() {
        let every = declared(Ours::Every("b".to_owned()));
        let is_declared = |row: Row, declared: &[Difference]| {
            matches!(Verdict::of(&row, declared), Verdict::Declared { .. })
        };
        assert!(is_declared(row("a", ["b", "b"]), &every));
        assert!(!is_declared(row("a", ["b", "c"]), &every));
        assert!(!is_declared(row("x", ["b", "b"]), &every));
        let each = declared(Ours::Each(vec!["b".to_owned(), "c".to_owned()]));
        assert!(is_declared(row("a", ["b", "c"]), &each));
        assert!(!is_declared(row("a", ["c", "b"]), &each));
    }

    #[test]
    fn declaration_that_nothing_comes_of_is_found() {
        let every = declared(Ours::Every("b".to_owned()));
        assert!(stale(&[row("a", ["b", "b"])], &every).is_empty());
        assert_eq!(stale(&[row("a", ["a", "a"])], &every), ["case"]);
        assert_eq!(stale(&[], &every), ["case"]);
    }
}
