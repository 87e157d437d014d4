//! Drives one command set through Tauri and through tramline and compares what comes out.
//!
//! `cargo xtask oracle` names what it needs and runs it; `docs/oracle.md` says how to read and how to
//! extend it.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test program reports what goes wrong by panicking"
)]

mod acl;
mod cases;
mod commands;
mod declared;
mod events;
mod ours;
mod ours_acl;
mod outcome;
mod quiet;
mod reached;
mod report;
mod targets;
mod theirs;

use std::path::Path;
use std::process::ExitCode;

use crate::report::Row;

/// What to do.
struct Arguments {
    /// Write Tauri's decisions into `expected`.
    write: bool,
    /// Show also what cannot be asked yet.
    all: bool,
}

fn main() -> ExitCode {
    if cfg!(debug_assertions) {
        eprintln!(
            "build this with --release: Tauri words its refusals differently in debug builds"
        );
        return ExitCode::FAILURE;
    }
    let mut arguments = Arguments { write: false, all: false };
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--write" => arguments.write = true,
            "--all" => arguments.all = true,
            other => {
                eprintln!("unknown argument {other}: known are --write and --all");
                return ExitCode::FAILURE;
            }
        }
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("the oracle is broken: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, String> {
    let declared = declared::all()?;
    quiet::install();
    let mut rows = calls();
    rows.extend(events::run().into_iter().map(|seen| Row {
        id: seen.id,
        rows: seen.rows.to_vec(),
        theirs: seen.theirs,
        ours: Ok(seen.ours),
        outdated: false,
    }));
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected");
    let reached = targets::reach(&expected.join("targets.json"), arguments.write)?;
    rows.extend(reached.into_iter().map(|reached| Row {
        rows: vec![reached.case.row],
        theirs: outcome::Outcome(reached.case.reached.join(", ")),
        id: reached.case.id,
        ours: reached.ours,
        outdated: !reached.as_written && !arguments.write,
    }));
    rows.extend(acl::decide(&expected.join("acl.json"), arguments.write)?.into_iter().map(
        |decided| Row {
            id: format!("capabilities: {}", decided.id),
            rows: decided.rows,
            theirs: decided.theirs,
            ours: Ok(vec![decided.ours]),
            outdated: !decided.as_written && !arguments.write,
        },
    ));
    println!("tauri {}, mock runtime", tauri::VERSION);
    Ok(report::print(&rows, &declared, arguments.all))
}

/// Every call, on both sides.
fn calls() -> Vec<Row> {
    let (theirs, ours) = (theirs::Theirs::start(), ours::Ours::start());
    let rows = cases::all().into_iter().map(|case| Row {
        theirs: theirs.call(&case),
        ours: Ok(match case.not_compiled {
            Some(why) => vec![outcome::Outcome::not_compiled(why)],
            None => ours.call(&case),
        }),
        rows: case.rows.to_vec(),
        id: case.id,
        outdated: false,
    });
    rows.collect()
}
