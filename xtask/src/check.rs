//! `cargo xtask check`: the steps, their order, and the table at the end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use cargo_metadata::Metadata;

use crate::leftovers::Snapshot;
use crate::{arrows, fuzz, leftovers, links, loom, node, semantics, tauri, tsan};

/// What to run and what to leave out.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Leave out what takes long: build, tests and docs.
    #[arg(long)]
    quick: bool,
    /// Compare the dependencies with the published advisories; needs the network.
    #[arg(long)]
    advisories: bool,
    /// Run all steps, even after one has failed.
    #[arg(long)]
    keep_going: bool,
}

/// How a step ended. The text of the last two says why.
#[derive(Debug)]
enum Outcome {
    Ok,
    Failed(String),
    Skipped(String),
}

impl From<fuzz::Run> for Outcome {
    /// What needs tools that not everyone has is left out without them.
    fn from(run: fuzz::Run) -> Self {
        match run {
            fuzz::Run::Clean => Self::Ok,
            fuzz::Run::Failed(why) => Self::Failed(why),
            fuzz::Run::Missing(what) => Self::Skipped(what.into_owned()),
        }
    }
}

/// One line of the table.
#[derive(Debug)]
struct Row {
    step: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// What every step may look at.
#[derive(Debug)]
struct Run {
    options: Options,
    metadata: Metadata,
    root: PathBuf,
    before: Option<Snapshot>,
}

/// A named step: what its header says, and what it does.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Run) -> Outcome,
}

/// All steps, in the order in which they run.
const STEPS: &[Step] = &[
    Step { name: "format", about: "cargo fmt --all --check", run: format },
    Step {
        name: "arrows",
        about: "who may depend on whom, who forbids unsafe, one compiler version",
        run: arrows,
    },
    Step {
        name: "clippy",
        about: "cargo clippy --workspace --all-targets -- -D warnings",
        run: clippy,
    },
    Step {
        name: "clippy, all features",
        about: "cargo clippy --workspace --all-targets --all-features -- -D warnings",
        run: clippy_all_features,
    },
    Step {
        name: "build",
        about: "cargo build --workspace --all-targets, all features of ours",
        run: build,
    },
    Step { name: "tests", about: "cargo test --workspace, all features of ours", run: tests },
    Step {
        name: "semantics",
        about: "every row of docs/SEMANTICS.md has a test that passed",
        run: semantics,
    },
    Step {
        name: "tests, serde_json's features",
        about: "core and the suite `json` with features that any crate of a build may turn on",
        run: tests_with_features_of_others,
    },
    Step { name: "node", about: "cargo xtask node", run: node_client },
    Step { name: "loom", about: "cargo xtask loom", run: models },
    Step { name: "fuzz", about: "cargo xtask fuzz --smoke", run: fuzz_smoke },
    Step { name: "tsan", about: "cargo xtask tsan", run: thread_sanitizer },
    Step {
        name: "tauri: format",
        about: "cargo fmt --all --check, in tauri/",
        run: |run| tauri::format(&run.root).into(),
    },
    Step {
        name: "tauri: clippy",
        about: "cargo clippy --workspace --all-targets --release -- -D warnings, in tauri/",
        run: |run| unless_quick(run, tauri::clippy),
    },
    Step {
        name: "tauri: tests",
        about: "cargo test --workspace --release, in tauri/",
        run: |run| unless_quick(run, tauri::tests),
    },
    Step {
        name: "tauri: window",
        about: "the parts of cargo xtask tauri-test that need no other build of the app",
        run: |run| unless_quick(run, tauri::short_test),
    },
    Step { name: "docs", about: "cargo doc --workspace --no-deps, warnings are errors", run: docs },
    Step { name: "links", about: "every file that a page names exists", run: links },
    Step { name: "deny", about: "cargo deny check bans licenses sources", run: deny },
    Step { name: "advisories", about: "cargo deny check advisories", run: advisories },
    Step { name: "minimum compiler", about: "rustc against rust-version", run: minimum_compiler },
    Step { name: "leftovers", about: "processes and files the tests left behind", run: leftovers },
];

/// Runs the steps and prints the table. The exit code is non-zero if a step failed.
pub(crate) fn check(options: Options, metadata: Metadata) -> ExitCode {
    let root = metadata.workspace_root.clone().into_std_path_buf();
    let run = Run { options, metadata, root, before: Snapshot::take() };

    let mut rows: Vec<Row> = Vec::new();
    let mut failed: Option<&str> = None;
    for step in STEPS {
        if let Some(first) = failed
            && !run.options.keep_going
        {
            let outcome = Outcome::Skipped(format!("`{first}` failed"));
            rows.push(Row { step: step.name, outcome, took: Duration::ZERO });
            continue;
        }
        println!("\n== {}: {}", step.name, step.about);
        let start = Instant::now();
        let outcome = (step.run)(&run);
        match &outcome {
            Outcome::Ok => {}
            Outcome::Failed(why) => {
                println!("failed: {why}");
                failed = failed.or(Some(step.name));
            }
            Outcome::Skipped(why) => println!("skipped: {why}"),
        }
        rows.push(Row { step: step.name, outcome, took: start.elapsed() });
    }

    println!("\n{}", table(&rows));
    if failed.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Step, seconds and result; the result stands last because it may be long.
fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.step.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}  seconds  result", "step");
    for Row { step, outcome, took } in rows {
        let seconds = took.as_secs_f64();
        let result = match outcome {
            Outcome::Ok => "ok".to_owned(),
            Outcome::Failed(why) => format!("failed: {why}"),
            Outcome::Skipped(why) => format!("skipped: {why}"),
        };
        text.push_str(&format!("\n{step:width$}  {seconds:7.1}  {result}"));
    }
    text
}

fn format(run: &Run) -> Outcome {
    cargo(run, &["fmt", "--all", "--check"])
}

fn arrows(run: &Run) -> Outcome {
    match arrows::findings(&run.metadata) {
        Ok(findings) => report(&findings),
        Err(why) => Outcome::Failed(why),
    }
}

fn clippy(run: &Run) -> Outcome {
    cargo(run, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn clippy_all_features(run: &Run) -> Outcome {
    if run.options.quick {
        return skipped("--quick");
    }
    cargo(
        run,
        &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"],
    )
}

fn build(run: &Run) -> Outcome {
    if run.options.quick {
        return skipped("--quick");
    }
    // As the tests are built, so that nothing is built twice.
    let features = our_features(&run.metadata);
    cargo(run, &["build", "--workspace", "--all-targets", "--features", &features])
}

fn tests(run: &Run) -> Outcome {
    if run.options.quick {
        return skipped("--quick");
    }
    let features = our_features(&run.metadata);
    let mut command = cargo_command(run);
    command.args(["test", "--workspace", "--features", &features]);
    match semantics::run_tests(&mut command, run.metadata.target_directory.as_std_path()) {
        Ok(()) => Outcome::Ok,
        Err(why) => Outcome::Failed(why),
    }
}

fn semantics(run: &Run) -> Outcome {
    if run.options.quick {
        return skipped("no test has run");
    }
    match semantics::findings(&run.root, run.metadata.target_directory.as_std_path()) {
        Ok(findings) => report(&findings),
        Err(why) => Outcome::Failed(why),
    }
}

/// The package with features that are not ours: they turn on what other crates of a build may turn on.
const TESTS: &str = "tramline-tests";
const FEATURES_OF_OTHERS: [&str; 2] = ["arbitrary-precision", "raw-value"];

/// Every feature of the workspace but those, as cargo wants them. Most builds have those off, so most
/// tests run without.
fn our_features(metadata: &Metadata) -> String {
    let ours = metadata.workspace_packages().into_iter().flat_map(|package| {
        let names = package.features.keys();
        let ours = names.filter(|name| !FEATURES_OF_OTHERS.contains(&name.as_str()));
        ours.map(|feature| format!("{}/{feature}", package.name))
    });
    ours.collect::<Vec<_>>().join(",")
}

fn tests_with_features_of_others(run: &Run) -> Outcome {
    if run.options.quick {
        return skipped("--quick");
    }
    let packages = ["--package", "tramline-core", "--package", TESTS];
    cargo(run, &[&["test", "--all-features", "--lib", "--test", "json"], &packages[..]].concat())
}

fn node_client(run: &Run) -> Outcome {
    if run.options.quick {
        return skipped("--quick");
    }
    node::run(&run.root, run.metadata.target_directory.as_std_path()).into()
}

fn fuzz_smoke(run: &Run) -> Outcome {
    if run.options.quick {
        return skipped("--quick");
    }
    fuzz::smoke(&run.root).into()
}

fn models(run: &Run) -> Outcome {
    if run.options.quick {
        return skipped("--quick");
    }
    loom::run(&run.root, run.metadata.target_directory.as_std_path()).into()
}

fn thread_sanitizer(run: &Run) -> Outcome {
    if run.options.quick {
        return skipped("--quick");
    }
    tsan::run(&run.root, run.metadata.target_directory.as_std_path()).into()
}

fn unless_quick(run: &Run, step: fn(&Path) -> fuzz::Run) -> Outcome {
    if run.options.quick {
        return skipped("--quick");
    }
    step(&run.root).into()
}

fn docs(run: &Run) -> Outcome {
    if run.options.quick {
        return skipped("--quick");
    }
    let mut command = cargo_command(run);
    command.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    finish(&mut command)
}

fn links(run: &Run) -> Outcome {
    match links::findings(&run.root) {
        Ok(Some(findings)) => report(&findings),
        Ok(None) => skipped("this is not a git checkout, so the tracked pages are unknown"),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn deny(run: &Run) -> Outcome {
    cargo_deny(run, &["bans", "licenses", "sources"])
}

fn advisories(run: &Run) -> Outcome {
    if !run.options.advisories {
        return skipped("runs with --advisories (needs the network)");
    }
    cargo_deny(run, &["advisories"])
}

fn minimum_compiler(run: &Run) -> Outcome {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = match Command::new(&rustc).arg("--version").current_dir(&run.root).output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => return Outcome::Failed(output.status.to_string()),
        Err(error) => return Outcome::Failed(format!("rustc did not start: {error}")),
    };
    let line = String::from_utf8_lossy(&output.stdout);
    println!("{}", line.trim());
    match arrows::compare_compiler(&run.metadata, line.trim()) {
        Ok(verdict) => {
            println!("{verdict}");
            Outcome::Ok
        }
        Err(why) => Outcome::Failed(why),
    }
}

fn leftovers(run: &Run) -> Outcome {
    if run.options.quick {
        return skipped("no test has run");
    }
    let Some(before) = &run.before else {
        return skipped("looks at Linux only");
    };
    report(&leftovers::since(before))
}

/// Runs `cargo deny check`, if it is installed.
fn cargo_deny(run: &Run, what: &[&str]) -> Outcome {
    let version = cargo_command(run).args(["deny", "--version"]).output();
    if !version.is_ok_and(|output| output.status.success()) {
        return skipped("cargo-deny is not installed (cargo install cargo-deny --locked)");
    }
    let mut command = cargo_command(run);
    command.args(["deny", "--workspace", "check"]).args(what);
    finish(&mut command)
}

/// The cargo that started this program, at the root of the workspace.
fn cargo_command(run: &Run) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    // Nothing is built twice here, and what is kept for that takes twice the room.
    command.current_dir(&run.root).env("CARGO_INCREMENTAL", "0");
    command
}

fn cargo(run: &Run, arguments: &[&str]) -> Outcome {
    finish(cargo_command(run).args(arguments))
}

/// Runs a command to its end; what it prints is seen at once.
fn finish(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Outcome::Ok,
        Ok(status) => Outcome::Failed(status.to_string()),
        Err(error) => Outcome::Failed(format!("the command did not start: {error}")),
    }
}

/// Prints each finding on a line of its own; one is enough to fail.
fn report(findings: &[String]) -> Outcome {
    for finding in findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Outcome::Ok,
        1 => Outcome::Failed("1 finding".to_owned()),
        more => Outcome::Failed(format!("{more} findings")),
    }
}

fn skipped(why: &str) -> Outcome {
    Outcome::Skipped(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_says_why_a_step_failed_or_was_skipped() {
        let took = Duration::from_millis(1_200);
        let rows = [
            Row { step: "format", outcome: Outcome::Ok, took },
            Row { step: "clippy", outcome: Outcome::Failed("2 findings".to_owned()), took },
            Row { step: "deny", outcome: skipped("not installed"), took: Duration::ZERO },
        ];
        assert_eq!(
            table(&rows),
            "step    seconds  result\n\
             format      1.2  ok\n\
             clippy      1.2  failed: 2 findings\n\
             deny        0.0  skipped: not installed"
        );
    }

    #[test]
    fn one_finding_is_enough_to_fail() {
        assert!(matches!(report(&[]), Outcome::Ok));
        assert!(matches!(report(&["x".to_owned()]), Outcome::Failed(why) if why == "1 finding"));
    }

    #[test]
    fn leftovers_are_looked_for_after_the_tests() {
        let at = |name: &str| STEPS.iter().position(|step| step.name == name);
        assert!(at("tests").is_some());
        assert!(at("tests") < at("leftovers"));
        assert!(at("tauri: window") < at("leftovers"));
    }
}
