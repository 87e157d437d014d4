//! What the demo prints.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{HumanBytes, HumanCount};

use crate::failure::Failure;
use crate::folder::{FileEntry, Scan};
use crate::measure::{ECHO_LEN, Speed};

/// One link in the table; an error says why there is none.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) transport: &'static str,
    pub(crate) codec: &'static str,
    pub(crate) outcome: Result<(Speed, Same), String>,
}

/// Whether a link gave what the first one gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Same {
    Yes,
    No,
    /// The folder never stood still long enough to tell.
    FolderChanges,
}

pub(crate) fn scan(
    out: &mut impl Write,
    folder: &Path,
    scan: &Scan,
    elapsed: Duration,
) -> io::Result<()> {
    writeln!(
        out,
        "{}: {}, {}, scanned in {elapsed:.1?}.",
        one_line(&folder.to_string_lossy()),
        counted(scan.files, "file", "files"),
        HumanBytes(scan.bytes),
    )?;
    if scan.unreadable > 0 {
        let entries = counted(scan.unreadable, "entry", "entries");
        writeln!(out, "{entries} could not be read.")?;
    }
    for FileEntry { path, len } in &scan.largest {
        writeln!(out, "{:>12}  {}", HumanBytes(*len).to_string(), one_line(path))?;
    }
    Ok(())
}

pub(crate) fn brought_back(
    out: &mut impl Write,
    entry: &FileEntry,
    elapsed: Duration,
    same: bool,
) -> io::Result<()> {
    let path = one_line(&entry.path);
    let verdict = if same {
        "length and BLAKE3 are the same on both sides"
    } else {
        "length or BLAKE3 differ between the two sides"
    };
    writeln!(
        out,
        "Brought back raw: {path}, {} in {elapsed:.1?}; {verdict}.",
        HumanBytes(entry.len)
    )
}

pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["transport", "codec", "p50", "p99", "calls/s", "events/s", "identical"]);
    for row in rows {
        let cells = match &row.outcome {
            Ok((speed, same)) => [
                micros(speed.p50),
                micros(speed.p99),
                rate(speed.calls_per_second),
                rate(speed.events_per_second),
                same.word().into(),
            ],
            Err(why) => {
                let none = || "-".to_owned();
                [none(), none(), none(), none(), one_line(why).into_owned()]
            }
        };
        let names = [row.transport.to_owned(), row.codec.to_owned()];
        table.add_row(names.into_iter().chain(cells));
    }
    for index in 2..=5 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

pub(crate) fn about_the_numbers() -> String {
    format!(
        "Sequential calls of {ECHO_LEN} bytes; over shared memory both sides spin briefly before \
         they sleep, and a wake from sleep costs about a socket's. Numbers of this machine, this run."
    )
}

/// Whether the demo succeeded. A link that cannot be had here is no failure.
pub(crate) fn verdict(rows: &[Row]) -> Result<(), Failure> {
    let any =
        |wanted| rows.iter().any(|row| matches!(&row.outcome, Ok((_, same)) if *same == wanted));
    if any(Same::No) {
        Err(Failure::NotIdentical)
    } else if any(Same::FolderChanges) {
        Err(Failure::FolderChanges)
    } else {
        Ok(())
    }
}

impl Same {
    fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::FolderChanges => "folder changes",
        }
    }
}

/// Text from elsewhere, such as a file name, without anything a terminal would obey.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let shown = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    text.chars().map(shown).collect()
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", HumanCount(count), if count == 1 { one } else { many })
}

fn micros(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}

fn rate(per_second: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`as` saturates, and the fraction of a rate is of no interest"
    )]
    let whole = per_second as u64;
    HumanCount(whole).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speed() -> Speed {
        Speed {
            p50: Duration::from_nanos(1_250),
            p99: Duration::from_micros(40),
            calls_per_second: 654_321.9,
            events_per_second: 2_000_000.0,
        }
    }

    #[test]
    fn a_link_that_cannot_be_had_is_a_row_with_its_reason_and_no_failure() {
        let rows = [
            Row {
                transport: "shm",
                codec: "json",
                outcome: Err("the system refuses sealed memory files".into()),
            },
            Row { transport: "pipe", codec: "json", outcome: Ok((speed(), Same::Yes)) },
        ];
        let text = table(&rows).to_string();
        assert!(text.contains("the system refuses sealed memory files"), "{text}");
        assert!(text.contains("654,321"), "{text}");
        assert!(verdict(&rows).is_ok());
    }

    #[test]
    fn one_differing_link_is_a_failure() {
        let row = |same| Row { transport: "pipe", codec: "json", outcome: Ok((speed(), same)) };
        let found = verdict(&[row(Same::Yes), row(Same::No)]);
        assert!(matches!(found, Err(Failure::NotIdentical)));
        let found = verdict(&[row(Same::FolderChanges)]);
        assert!(matches!(found, Err(Failure::FolderChanges)));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\n\x1b[31mb"), "a\u{fffd}\u{fffd}[31mb");
        assert_eq!(one_line("größe"), "größe");
    }
}
