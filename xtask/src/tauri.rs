//! `cargo xtask tauri-test` and `cargo xtask tauri-bench`: one app and one page in a real window,
//! stock and accelerated. `cargo xtask tauri-soak`: the same for a long time.
//!
//! A workspace of its own, as the oracle is: what it is linked with, nothing else here needs.

mod hostile;
mod npm;
mod refusals;
mod report;
mod showcase;
mod soak;
mod steps;
mod system;
mod versions;
mod window;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use crate::fuzz::Run;

pub(crate) use self::soak::{Options as SoakOptions, soak};
pub(crate) use self::steps::{clippy, format, tests};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Runs of each way, in turn. The table shows medians.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// A tenth of the loads: to see that it works.
    #[arg(long)]
    quick: bool,
    /// The file that every run's rows go to, one a line.
    #[arg(long, default_value = "docs/reports/tauri-bench.jsonl")]
    out: PathBuf,
    /// The page whose table is made anew.
    #[arg(long, default_value = "docs/TAURI.md")]
    page: PathBuf,
}

/// The ways of the app that are compared with stock.
const WAYS: [&str; 3] = ["accelerated", "parked", "portable"];

/// How many parts the loads of the bench are measured in.
const PARTS_OF_BENCH: usize = 4;

/// How long one run may take, in seconds. The longest takes about a minute.
const LIMIT: u64 = 300;

/// Cases whose outcome may differ, and why.
const DECLARED: &[(&str, &str)] = &[
    (
        "a listener that throws",
        "Tauri's own way calls the listeners of an event in one loop, in any order, which the first \
         that throws ends",
    ),
    (
        "events of two threads",
        "Tauri puts an event for listeners in the core aside while another thread emits, and hands \
         it out behind later ones",
    ),
];

/// From here on for the portable hop: what a page says as it goes does not get into a batch.
const PANICKED: usize = 1;

/// What must come out of the life of a view.
const LIVES: &[(&str, &str)] = &[
    ("a command panicked", "true"),
    ("at first: on the ring", "true"),
    ("after a reload in mid-call: on the ring", "true"),
    ("after a reload in mid-call: an event", "0"),
    ("calls that were held", "64"),
    ("the process was killed", "true"),
    ("the process was gone", "true"),
    ("after a kill: on the ring", "true"),
    ("after a kill: an event", "0"),
    ("after a panic while the page went: on the ring", "true"),
    ("after a panic while the page went: an event", "0"),
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

/// From here on for the portable hop: its bodies come in one piece.
const NO_ROOM: usize = 1;

/// What must come out when a link is lost and its page lives.
const LOST: &[(&str, &str)] = &[
    ("a long body without room: the call", r#""tramline: no room for 1048576 bytes""#),
    ("a long body without room: a call beside it", r#""beside""#),
    ("a long body without room: the next one", "3145728"),
    ("at first: not by Tauri's own way", "true"),
    ("at first: events", "[0]"),
    ("at first: messages of a channel", "[1,2]"),
    ("after a panic: not by Tauri's own way", "true"),
    ("after a panic: events", "[0,1]"),
    ("after a panic: messages of a channel", "[3,4]"),
    ("after requests were stopped: not by Tauri's own way", "true"),
    ("after requests were stopped: events", "[0,1]"),
    ("after requests were stopped: messages of a channel", "[3,4]"),
    ("later: not by Tauri's own way", "true"),
    ("later: events", "[0,1]"),
    ("later: messages of a channel", "[3,4]"),
    ("an event once", "1"),
    ("an event that is no longer listened to", "[]"),
    ("strangers", "[403,410,400,405]"),
    ("a bad answer among others", r#"[1,"tramline: the answer is no JSON","x\n,y"]"#),
    ("a call that is nested too deeply, among others", r#"[1,"an error",2]"#),
];

/// A part of the test: how many things are wrong. The last argument is what the page found stock.
struct Part {
    name: &'static str,
    /// It is a part of `cargo xtask check` as well, which has no time for all.
    short: bool,
    run: fn(&Path, &App, &Value) -> Result<usize, String>,
}

const PARTS: &[Part] = &[
    Part { name: "accelerated", short: true, run: |_, app, stock| same(app, "accelerated", stock) },
    Part { name: "parked", short: false, run: |_, app, stock| same(app, "parked", stock) },
    Part { name: "portable", short: true, run: |_, app, stock| same(app, "portable", stock) },
    Part { name: "strict", short: false, run: |_, app, stock| same(app, "strict", stock) },
    Part { name: "@tauri-apps/api", short: true, run: |root, app, _| compare_api(root, app) },
    Part { name: "lives", short: true, run: |_, app, _| table(app, "accelerated", "lives", LIVES) },
    Part {
        name: "lives, portable",
        short: false,
        run: |_, app, _| table(app, "portable", "lives", &LIVES[PANICKED..]),
    },
    Part { name: "lost", short: true, run: |_, app, _| table(app, "accelerated", "lost", LOST) },
    Part {
        name: "lost, portable",
        short: false,
        run: |_, app, _| table(app, "portable", "lost", &LOST[NO_ROOM..]),
    },
    Part { name: "refusals", short: true, run: |_, app, _| refusals::compare(app) },
    Part { name: "forward", short: true, run: |_, app, _| forwarded_in(app, "accelerated") },
    Part { name: "forward, stock", short: false, run: |_, app, _| forwarded_in(app, "stock") },
    Part { name: "forward, parked", short: false, run: |_, app, _| forwarded_in(app, "parked") },
    Part { name: "other versions", short: false, run: versions::check },
    Part { name: "showcase", short: false, run: |_, app, _| showcase(app) },
    // The last one: the app is then built as another one.
    Part { name: "attacks", short: false, run: |root, _, _| hostile::run(root) },
];

/// How much to test.
#[derive(Debug, clap::Args)]
pub(crate) struct TestOptions {
    /// Only the parts that `cargo xtask check` runs.
    #[arg(long)]
    short: bool,
}

/// `cargo xtask tauri-test`.
pub(crate) fn test(root: &Path, options: &TestOptions) -> ExitCode {
    let run = if options.short { short_test(root) } else { run_test(root, |_| true) };
    run.exit_code()
}

/// The same as a step of `cargo xtask check`: what needs no second build of the app.
///
/// Where not even Tauri's own way gets through twice, it is the machine that has no windows.
pub(crate) fn short_test(root: &Path) -> Run {
    match run_test(root, |part| part.short) {
        Run::Failed(why) if why.starts_with(NO_STOCK) => Run::Missing(why.into()),
        run => run,
    }
}

/// How the failure begins of an app that does not work stock either.
const NO_STOCK: &str = "no window, with Tauri's own way either: ";

fn run_test(root: &Path, wanted: fn(&Part) -> bool) -> Run {
    with_app(root, |app| {
        let stock = || cases(&app.run("stock", "test")?, false);
        // A window is not the machine's most dependable part: once more, then, and it is said.
        let stock = stock()
            .or_else(|why| {
                eprintln!("stock: {why}\nonce more");
                stock()
            })
            .map_err(|why| format!("{NO_STOCK}{why}"))?;
        let mut failed = Vec::new();
        for part in PARTS.iter().filter(|part| wanted(part)) {
            let run = || (part.run)(root, app, &stock);
            let ended = match run() {
                Ok(0) => Ok(0),
                first => {
                    eprintln!("{}: {first:?}, see above; once more", part.name);
                    run()
                }
            };
            match ended {
                Ok(0) => {}
                Ok(wrong) => failed.push(format!("{}: {wrong} wrong", part.name)),
                Err(why) => failed.push(format!("{}: {why}", part.name)),
            }
        }
        println!("{} cases", cases_of(&stock).len());
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    })
}

/// The page's cases, compared with stock.
fn same(app: &App, mode: &str, stock: &Value) -> Result<usize, String> {
    // A page whose policy forbids the portable hop goes Tauri's own way.
    let on_hop = mode != "strict";
    Ok(compare(mode, stock, &cases(&app.run(mode, "test")?, on_hop)?))
}

/// What a task must find.
fn table(app: &App, mode: &str, task: &str, rows: &[(&str, &str)]) -> Result<usize, String> {
    let report = app.run(mode, task)?;
    let mut wrong = 0;
    for (what, expected) in rows {
        let found = report["results"].get(*what).unwrap_or(&Value::Null).to_string();
        if found != *expected {
            eprintln!("{task}, {mode}: {what}: {found}, expected was {expected}");
            wrong += 1;
        }
    }
    Ok(wrong)
}

fn forwarded_in(app: &App, mode: &str) -> Result<usize, String> {
    forwarded(mode, &app.run(mode, "forward")?)
}

fn showcase(app: &App) -> Result<usize, String> {
    for (way, arguments) in showcase::RUNS {
        showcase::smoke(&app.showcase, way, arguments)?;
    }
    Ok(0)
}

/// `cargo xtask tauri-bench`.
pub(crate) fn bench(root: &Path, options: &Options) -> ExitCode {
    with_app(root, |app| {
        let mut runs: [(&str, Vec<Value>); 4] =
            ["stock", "portable", "parked", "accelerated"].map(|mode| (mode, Vec::new()));
        for _ in 0..options.runs.max(1) {
            let mut whole = runs.each_ref().map(|_| Value::Null);
            // In parts, so that what is compared is measured within the same minute.
            for part in 0..PARTS_OF_BENCH {
                for ((mode, _), whole) in runs.iter().zip(&mut whole) {
                    let run = || app.bench(mode, part, options.quick);
                    let rows = run().or_else(|why| {
                        // Said, and not hidden by the figures of what came after it.
                        eprintln!("{why}\nonce more");
                        run()
                    })?;
                    add_rows(whole, rows);
                }
            }
            for ((_, reports), whole) in runs.iter_mut().zip(whole) {
                reports.push(whole);
            }
        }
        let lines = report::lines(&runs, options.quick, &report::facts(root));
        println!("\n{}", report::table(&lines));
        report::write(&lines, &root.join(&options.out), &root.join(&options.page))
    })
    .exit_code()
}

/// Adds the rows of a part to what the parts before it gave.
fn add_rows(whole: &mut Value, mut part: Value) {
    match (whole["rows"].as_object_mut(), part["rows"].as_object_mut()) {
        (Some(rows), Some(more)) => rows.append(more),
        // The first part.
        _ => *whole = part,
    }
}

/// A page that imports `@tauri-apps/api` as it is published: how many of its cases differ.
fn compare_api(root: &Path, app: &App) -> Result<usize, String> {
    let packages = match npm::packages(root, &app.folder) {
        Ok(packages) => packages,
        Err(why) => {
            println!("skipped: @tauri-apps/api from npm: {why}");
            return Ok(0);
        }
    };
    let packages = packages.to_str().ok_or("the target folder's path is no text")?;
    let packages = [("TRAMLINE_E2E_NPM", packages)];
    let stock = cases(&app.run_for(LIMIT, "stock", "api", &packages)?, false)?;
    let mut wrong = 0;
    for mode in WAYS {
        let other = cases(&app.run_for(LIMIT, mode, "api", &packages)?, true)?;
        wrong += compare(mode, &stock, &other);
    }
    println!("@tauri-apps/api: {} cases; {wrong} wrong", cases_of(&stock).len());
    Ok(wrong)
}

struct App {
    program: PathBuf,
    showcase: PathBuf,
    folder: PathBuf,
}

fn with_app(root: &Path, then: impl FnOnce(&App) -> Result<(), String>) -> Run {
    if let Err(why) = steps::prepare(root) {
        return Run::Missing(why.into());
    }
    match build(root, false).and_then(|app| then(&app)) {
        Ok(()) => Run::Clean,
        Err(why) => Run::Failed(why),
    }
}

/// Builds the app, which is another one if its web-process extension `attacks`.
fn build(root: &Path, attacks: bool) -> Result<App, String> {
    // All of the workspace: built alone, the app would have other features, and its dependencies would
    // be built once more for it.
    let mut arguments = vec!["build", "--workspace"];
    if attacks {
        arguments.extend(["--features", "tramline-tauri-e2e/attacks"]);
    }
    steps::cargo(root, &arguments, &[])?;
    let target = steps::target_dir(root);
    let program = target.join("release/tramline-tauri-e2e");
    let showcase = target.join("release/tramline-tauri-showcase");
    Ok(App { program, showcase, folder: target })
}

impl App {
    /// Runs the app in a window of an X server of its own: what it reports.
    fn run(&self, mode: &str, task: &str) -> Result<Value, String> {
        self.run_for(LIMIT, mode, task, &[])
    }

    /// A part of the bench.
    fn bench(&self, mode: &str, part: usize, quick: bool) -> Result<Value, String> {
        let part = format!("{part}/{PARTS_OF_BENCH}");
        let mut settings = vec![("TRAMLINE_E2E_PART", part.as_str())];
        settings.extend(quick.then_some(("TRAMLINE_E2E_QUICK", "1")));
        let report = self.run_for(LIMIT, mode, "bench", &settings)?;
        if report["rows"].is_object() {
            return Ok(report);
        }
        // The page's words, or whatever it said instead of figures.
        let why = report["failed"].as_str().map_or_else(|| report.to_string(), str::to_owned);
        Err(format!("bench {part}, {mode}: {why}"))
    }

    /// The same, with another limit in seconds, and further settings.
    fn run_for(
        &self,
        limit: u64,
        mode: &str,
        task: &str,
        settings: &[(&str, &str)],
    ) -> Result<Value, String> {
        println!("running: {task}, {mode}");
        let settings =
            [settings, &[("TRAMLINE_E2E_MODE", mode), ("TRAMLINE_E2E_TASK", task)]].concat();
        let ran = window::run(&self.program, &self.folder, limit, &settings);
        ran.map(|(report, _)| report).map_err(|why| format!("{task}, {mode}: {why}"))
    }
}

/// The cases of a report that came the way it should.
fn cases(report: &Value, on_ring: bool) -> Result<Value, String> {
    if report["up"] != Value::Bool(on_ring) {
        return Err(format!("the page was not where it should be: {report}"));
    }
    Ok(report["results"].clone())
}

/// Commands of a sidecar: the page itself knows what must come of each case.
fn forwarded(mode: &str, report: &Value) -> Result<usize, String> {
    if report["up"] != Value::Bool(mode != "stock") || report["cases"].as_u64().is_none() {
        return Err(format!("the page was not where it should be: {report}"));
    }
    let wrong = report["wrong"].as_object().into_iter().flatten();
    Ok(wrong
        .map(|(case, said)| {
            eprintln!("forwarded, {mode}: {case}: {said}");
        })
        .count())
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
            (false, Some((_, why))) => {
                println!("{mode}: {case}: differs, as it may: {why}: {}", other[*case]);
            }
            (false, None) => {
                wrong += 1;
                eprintln!("{mode}: {case}\n  stock: {}\n  {mode}: {}", stock[*case], other[*case]);
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_bench_become_one_report() {
        let mut whole = Value::Null;
        add_rows(&mut whole, serde_json::json!({ "up": true, "rows": { "a": 1 } }));
        add_rows(&mut whole, serde_json::json!({ "up": true, "rows": { "b": 2 } }));
        assert_eq!(whole, serde_json::json!({ "up": true, "rows": { "a": 1, "b": 2 } }));
    }

    #[test]
    fn a_forwarded_case_that_is_wrong_counts_and_a_page_elsewhere_is_an_error() {
        let report = serde_json::json!({ "up": true, "cases": 2, "wrong": { "a": {} } });
        assert_eq!(forwarded("accelerated", &report), Ok(1));
        assert!(forwarded("stock", &report).is_err());
        assert!(forwarded("accelerated", &serde_json::json!({ "failed": "x" })).is_err());
    }

    #[test]
    fn a_difference_counts_unless_it_is_declared() {
        let stock = serde_json::json!({ "a": 1, "a listener that throws": 1 });
        let other = serde_json::json!({ "a": 2, "a listener that throws": 2, "more": 3 });
        assert_eq!(compare("test", &stock, &other), 2);
        assert_eq!(compare("test", &stock, &stock), 0);
    }
}
