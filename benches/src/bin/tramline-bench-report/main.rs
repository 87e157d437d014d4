//! Writes the benches' figures as Markdown, to standard output.
//!
//! `tramline-bench-report [FOLDER]` reads what criterion has left in FOLDER;
//! `tramline-bench-report --percentiles [CALLS]` measures single calls itself.

mod machine;
mod percentiles;
mod results;

use std::env;
use std::error::Error;
use std::path::PathBuf;

const USAGE: &str = "usage: tramline-bench-report [FOLDER]
       tramline-bench-report --percentiles [CALLS]

Without options: the figures of the last runs of `cargo bench -p tramline-benches`, from FOLDER or
from where criterion puts them (CRITERION_HOME, CARGO_TARGET_DIR/criterion, target/criterion).
--percentiles: measures CALLS calls (50000) for each transport, codec and payload.";

/// Calls per row of the percentiles: p99.9 then rests on 50 calls.
const CALLS: usize = 50_000;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        // Started by `percentiles` as the other process.
        [percentiles::PEER] => tramline_benches::peer::serve_parent()?,
        ["--help" | "-h"] => println!("{USAGE}"),
        ["--percentiles"] => percentiles::report(CALLS)?,
        ["--percentiles", calls] => percentiles::report(calls.parse()?)?,
        [] => results::report(&criterion_home())?,
        [folder] if !folder.starts_with('-') => results::report(folder.as_ref())?,
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn criterion_home() -> PathBuf {
    env::var_os("CRITERION_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("CARGO_TARGET_DIR").map(|dir| PathBuf::from(dir).join("criterion")))
        .unwrap_or_else(|| "target/criterion".into())
}

/// A time with a fitting unit.
fn human(ns: f64) -> String {
    match ns {
        ..1e3 => format!("{ns:.0} ns"),
        ..1e6 => format!("{:.2} us", ns / 1e3),
        _ => format!("{:.2} ms", ns / 1e6),
    }
}

/// A ratio: one digit after the point while that says something.
fn times_as_long(ratio: f64) -> String {
    match ratio {
        ..100.0 => format!("{ratio:.1}"),
        _ => format!("{ratio:.0}"),
    }
}

/// A count per second with a fitting unit.
fn rate(per_second: f64) -> String {
    match per_second {
        ..1e3 => format!("{per_second:.0}"),
        ..1e6 => format!("{:.1} k", per_second / 1e3),
        _ => format!("{:.2} M", per_second / 1e6),
    }
}

/// A payload length as one says it.
fn size(len: usize) -> String {
    match len {
        0..1024 => format!("{len} B"),
        1024..1_048_576 => format!("{} KiB", len >> 10),
        _ => format!("{} MiB", len >> 20),
    }
}
