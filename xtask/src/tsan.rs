//! `cargo xtask tsan`: the ring between two threads, under ThreadSanitizer.
//!
//! The run must be clean; with an order weakened it must report a race. The second part shows that
//! the first one means something.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::fuzz::Run;
use crate::nightly;

/// Where the tests are.
const TESTS: &str = "ring::threads::";

/// The tests that are races on purpose. They are marked as ignored.
const RACES: &[&str] = &["relaxed_commit_is_a_race", "relaxed_head_is_a_race"];

/// ThreadSanitizer drops a report when it no longer knows where the other access was, and sees none
/// where the threads happened to wait for each other: a run in fifteen says nothing of a race that
/// is there, one in three with the history it keeps if not told. So it keeps the longest, and a race
/// must be reported in one of so many runs.
const TRIES: usize = 20;
const HISTORY: &str = "history_size=7";

/// What a report of a race says.
const RACE: &str = "WARNING: ThreadSanitizer: data race";

/// Machines on which both the compiler and this crate know ThreadSanitizer.
const HOSTS: &[&str] = &["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// `cargo xtask tsan`.
pub(crate) fn tsan(root: &Path, target_dir: &Path) -> ExitCode {
    run(root, target_dir).exit_code()
}

/// The run, and its counter-proofs.
pub(crate) fn run(root: &Path, target_dir: &Path) -> Run {
    let host = match nightly::host() {
        Ok(host) if HOSTS.contains(&&*host) => host,
        Ok(_) => return Run::Missing("needs Linux on x86-64 or 64-bit ARM".into()),
        Err(what) => return Run::Missing(what.into()),
    };
    let test = |options: &str| -> Result<Command, &'static str> {
        let mut command = nightly::cargo(root)?;
        command.args(["test", "--package", "tramline-transport-shm", "--lib", "--target", &host]);
        // A folder of its own, since the flags differ from every other build.
        command.arg("--target-dir").arg(target_dir.join("tsan"));
        let flags = "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg tramline_tsan";
        command.env("RUSTFLAGS", flags);
        let suppressions = root.join("xtask/tsan-suppressions.txt");
        let options = format!("suppressions={} {HISTORY} {options}", suppressions.display());
        command.env("TSAN_OPTIONS", options);
        command.arg("--");
        Ok(command)
    };
    let clean = test("").map(|mut command| command.arg(TESTS).status());
    match clean {
        Err(what) => return Run::Missing(what.into()),
        Ok(Ok(status)) if status.success() => println!("clean: no race between two threads"),
        Ok(Ok(_)) => return Run::Failed("a race or a failed test, see above".to_owned()),
        Ok(Err(error)) => return Run::Failed(format!("rustup did not start: {error}")),
    }
    for race in RACES {
        let name = format!("{TESTS}{race}");
        let mut said = String::new();
        let caught = (1..=TRIES).find(|_| {
            let output = test("halt_on_error=1")
                .map(|mut command| command.args(["--exact", &name, "--ignored"]).output());
            let Ok(Ok(output)) = output else { return false };
            said = String::from_utf8_lossy(&output.stderr).into_owned();
            said += &String::from_utf8_lossy(&output.stdout);
            !output.status.success() && said.contains(RACE)
        });
        let Some(runs) = caught else {
            println!("{said}");
            return Run::Failed(format!(
                "{race}: no report in {TRIES} runs, so a clean run shows nothing"
            ));
        };
        println!("mutation caught: {race}, in run {runs}");
    }
    Run::Clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_races_exist_under_these_names() {
        let file = "../transport-shm/src/ring/threads.rs";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = std::fs::read_to_string(path).expect("the tests");
        for race in RACES {
            assert!(source.contains(&format!("fn {race}()")), "{race}");
        }
        assert_eq!(source.matches("#[ignore").count(), RACES.len());
    }
}
