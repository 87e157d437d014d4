//! `cargo xtask tauri-test` and `cargo xtask tauri-bench`: one app and one page in a real window,
//! stock and accelerated.
//!
//! A workspace of its own, as the oracle is: what it is linked with, nothing else here needs.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::fuzz::Run;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Runs of each way, in turn. The table shows medians.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// A tenth of the loads: to see that it works.
    #[arg(long)]
    quick: bool,
}

/// What must be there, as pkg-config names it.
const LIBRARIES: &[&str] = &["webkit2gtk-4.1", "webkit2gtk-web-extension-4.1"];
/// The same, as programs.
const PROGRAMS: &[&str] = &["xvfb-run", "dbus-run-session"];

/// How long one run may take, in seconds.
const LIMIT: &str = "300";

/// Cases whose outcome may differ, and why.
const DECLARED: &[(&str, &str)] = &[(
    "a listener that throws",
    "Tauri's own way calls the listeners of an event in one loop, in any order, which the first \
     that throws ends",
)];

/// What must come out of the life of a view.
const LIVES: &[(&str, &str)] = &[
    ("the process was killed", "true"),
    ("the page was loaded again", "true"),
    ("at first: on the ring", "true"),
    ("after a kill: on the ring", "true"),
    ("calls that ran twice", "[]"),
    (
        "a foreign page",
        r#"{"call":{"error":"Command nothing not allowed by ACL"},"functions":false}"#,
    ),
    ("back from a foreign page: on the ring", "true"),
    ("a second window: on the ring", "true"),
    ("after the second window: on the ring", "true"),
    ("after the second window: an event", "0"),
];

/// `cargo xtask tauri-test`.
pub(crate) fn test(root: &Path) -> ExitCode {
    with_app(root, |app| {
        let stock = cases(&app.run("stock", "test", false)?, false)?;
        let mut wrong = 0;
        for mode in ["accelerated", "parked"] {
            let other = cases(&app.run(mode, "test", false)?, true)?;
            wrong += compare(mode, &stock, &other);
        }
        for (what, expected) in LIVES {
            let lives = app.lives()?;
            let found = lives.get(*what).unwrap_or(&Value::Null).to_string();
            if found != *expected {
                eprintln!("{what}: {found}, expected was {expected}");
                wrong += 1;
            }
        }
        println!("{} cases stock, accelerated and parked; {wrong} wrong", cases_of(&stock).len());
        if wrong == 0 { Ok(()) } else { Err("differences, see above".to_owned()) }
    })
}

/// `cargo xtask tauri-bench`.
pub(crate) fn bench(root: &Path, options: &Options) -> ExitCode {
    with_app(root, |app| {
        let mut runs: Vec<(&str, Vec<Value>)> =
            ["stock", "parked", "accelerated"].map(|mode| (mode, Vec::new())).into();
        for _ in 0..options.runs.max(1) {
            for (mode, reports) in &mut runs {
                reports.push(app.run(mode, "bench", options.quick)?);
            }
        }
        print_table(&runs);
        Ok(())
    })
}

struct App {
    program: PathBuf,
    folder: PathBuf,
    lives: std::cell::OnceCell<Value>,
}

fn with_app(root: &Path, then: impl FnOnce(&App) -> Result<(), String>) -> ExitCode {
    let run = if missing() {
        Run::Missing(
            "no WebKitGTK, X server or D-Bus to open a window with (apt-get install pkg-config \
             libwebkit2gtk-4.1-dev xvfb xauth dbus)",
        )
    } else {
        match build(root).and_then(|app| then(&app)) {
            Ok(()) => Run::Clean,
            Err(why) => Run::Failed(why),
        }
    };
    run.exit_code()
}

fn missing() -> bool {
    let libraries = Command::new("pkg-config").arg("--exists").args(LIBRARIES).status();
    let program = |name: &&str| {
        let found = Command::new("sh").arg("-c").arg(format!("command -v {name}")).output();
        found.is_ok_and(|output| output.status.success())
    };
    !libraries.is_ok_and(|status| status.success()) || !PROGRAMS.iter().all(program)
}

fn build(root: &Path) -> Result<App, String> {
    let folder = root.join("tauri");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(folder.join("target"), PathBuf::from);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(&folder).args(["build", "--release", "--locked"]);
    command.args(["--package", "tramline-tauri-e2e", "--target-dir"]).arg(&target);
    let status = command.status().map_err(|error| format!("cargo did not start: {error}"))?;
    if !status.success() {
        return Err(format!("cargo build: {status}"));
    }
    let program = target.join("release/tramline-tauri-e2e");
    Ok(App { program, folder: target, lives: std::cell::OnceCell::new() })
}

impl App {
    /// Runs the app in a window of an X server of its own: what it reports.
    fn run(&self, mode: &str, task: &str, quick: bool) -> Result<Value, String> {
        println!("running: {task}, {mode}");
        let out = self.folder.join(format!("e2e-{}-{mode}-{task}.json", std::process::id()));
        let mut command = Command::new("timeout");
        command.args([LIMIT, "dbus-run-session", "--", "xvfb-run", "--auto-servernum"]);
        command.arg(&self.program).env("NO_AT_BRIDGE", "1");
        command.env("TRAMLINE_E2E_MODE", mode).env("TRAMLINE_E2E_TASK", task);
        command.env("TRAMLINE_E2E_OUT", &out);
        if quick {
            command.env("TRAMLINE_E2E_QUICK", "1");
        }
        let output = command.output().map_err(|error| format!("timeout did not start: {error}"))?;
        let report = std::fs::read(&out);
        // It is there only if the run got that far.
        let _ = std::fs::remove_file(&out);
        let report = report.ok().and_then(|text| serde_json::from_slice(&text).ok());
        report.ok_or_else(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("{task}, {mode}: no report, {}\n{said}", output.status)
        })
    }

    fn lives(&self) -> Result<&Value, String> {
        if self.lives.get().is_none() {
            let mut report = self.run("accelerated", "lives", false)?;
            // Set once, here.
            let _ = self.lives.set(report["results"].take());
        }
        self.lives.get().ok_or_else(|| "no report".to_owned())
    }
}

/// The cases of a report that came the way it should.
fn cases(report: &Value, on_ring: bool) -> Result<Value, String> {
    if report["up"] != Value::Bool(on_ring) {
        return Err(format!("the page was not where it should be: {report}"));
    }
    Ok(report["results"].clone())
}

fn cases_of(results: &Value) -> BTreeSet<&String> {
    results.as_object().into_iter().flatten().map(|(name, _)| name).collect()
}

fn compare(mode: &str, stock: &Value, other: &Value) -> usize {
    let mut wrong = 0;
    for case in cases_of(stock).union(&cases_of(other)) {
        let declared = DECLARED.iter().find(|(name, _)| name == case);
        let same = stock.get(*case) == other.get(*case);
        match (same, declared) {
            (true, _) => {}
            (false, Some((_, why))) => println!("{mode}: {case}: differs, as it may: {why}"),
            (false, None) => {
                wrong += 1;
                eprintln!("{mode}: {case}\n  stock: {}\n  {mode}: {}", stock[*case], other[*case]);
            }
        }
    }
    wrong
}

fn print_table(runs: &[(&str, Vec<Value>)]) {
    let Some(first) = runs.first().and_then(|(_, reports)| reports.first()) else { return };
    println!("\n| | {} |", runs.iter().map(|(mode, _)| *mode).collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "---|".repeat(runs.len()));
    for row in cases_of(&first["rows"]) {
        let is_time = first["rows"][row].get("p50_us").is_some();
        let figure = |reports: &[Value]| {
            let key = if is_time { "p50_us" } else { "per_second" };
            let mut found: Vec<f64> =
                reports.iter().filter_map(|report| report["rows"][row][key].as_f64()).collect();
            found.sort_by(f64::total_cmp);
            found.get(found.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let base = figure(&runs[0].1);
        let cells: Vec<String> = runs
            .iter()
            .map(|(mode, reports)| {
                let value = figure(reports);
                let times = if is_time { base / value } else { value / base };
                let text = if is_time { format!("{value:.1} us") } else { format!("{value:.0}/s") };
                if *mode == "stock" { text } else { format!("{text} ({times:.1}x)") }
            })
            .collect();
        println!("| {row} | {} |", cells.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_counts_unless_it_is_declared() {
        let stock = serde_json::json!({ "a": 1, "a listener that throws": 1 });
        let other = serde_json::json!({ "a": 2, "a listener that throws": 2, "more": 3 });
        assert_eq!(compare("test", &stock, &other), 2);
        assert_eq!(compare("test", &stock, &stock), 0);
    }
}
