//! Drives one command set through Tauri and through tramline and compares what comes out.
//!
//! `cargo xtask oracle` names what it needs and runs it; `docs/ORACLE.md` says how to read and how to
//! extend it.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test program reports what goes wrong by panicking"
)]

mod acl;
mod cases;
mod channels;
mod commands;
mod declared;
mod events;
mod ours;
mod ours_acl;
mod outcome;
mod quiet;
mod reached;
mod report;
mod served;
mod targets;
mod theirs;

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;

use crate::report::Row;

fn main() -> ExitCode {
    if cfg!(debug_assertions) {
        eprintln!(
            "build this with --release: Tauri words its refusals differently in debug builds"
        );
        return ExitCode::FAILURE;
    }
    // Tauri's decisions are then written into `expected`.
    let mut write = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--write" => write = true,
            other => {
                eprintln!("unknown argument {other}: known is --write");
                return ExitCode::FAILURE;
            }
        }
    }
    match run(write) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("the oracle is broken: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(write: bool) -> Result<bool, String> {
    let declared = declared::all()?;
    quiet::install();
    let mut rows = calls();
    rows.extend(channels::run().into_iter().chain(events::run()).map(|seen| Row {
        id: seen.id,
        rows: seen.rows.to_vec(),
        theirs: seen.theirs,
        ours: seen.ours,
        outdated: false,
    }));
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected");
    rows.extend(targets::reach(&expected.join("targets.json"), write)?.into_iter().map(
        |reached| Row {
            rows: vec![reached.case.row],
            theirs: outcome::Outcome(reached.case.reached.join(", ")),
            id: reached.case.id,
            ours: reached.ours,
            outdated: !reached.as_written && !write,
        },
    ));
    rows.extend(acl::decide(&expected.join("acl.json"), write)?.into_iter().map(|decided| Row {
        id: format!("capabilities: {}", decided.id),
        rows: decided.rows,
        theirs: decided.theirs,
        ours: decided.ours,
        outdated: !decided.as_written && !write,
    }));
    let mut ids = HashSet::new();
    if let Some(twice) = rows.iter().find(|row| !ids.insert(&row.id)) {
        return Err(format!("two cases are called `{}`", twice.id));
    }
    println!("tauri {}, mock runtime", tauri::VERSION);
    Ok(report::print(&rows, &declared))
}

/// Every call, on both sides.
fn calls() -> Vec<Row> {
    let (theirs, ours) = (theirs::Theirs::start(), ours::Ours::start());
    let rows = cases::all().into_iter().map(|case| Row {
        theirs: theirs.call(&case),
        ours: match case.not_compiled {
            Some(why) => vec![outcome::Outcome::not_compiled(why)],
            None => ours.call(&case),
        },
        rows: case.rows.to_vec(),
        id: case.id,
        outdated: false,
    });
    rows.collect()
}
