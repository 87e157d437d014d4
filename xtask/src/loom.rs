//! `cargo xtask loom`: every interleaving of the ring's small cases, and what breaks without each of
//! its orders.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::fuzz::Run;

/// Tests whose names begin so leave something out, and fail unless a model then breaks.
const MUTATIONS: &[&str] = &["loom_with_", "loom_without_"];

/// `cargo xtask loom`.
pub(crate) fn loom(root: &Path, target_dir: &Path) -> ExitCode {
    run(root, target_dir).exit_code()
}

/// The models, and their counter-proofs.
pub(crate) fn run(root: &Path, target_dir: &Path) -> Run {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--package", "tramline-transport-shm", "--release", "--lib"]);
    // A folder of its own, since the flags differ from every other build.
    command.arg("--target-dir").arg(target_dir.join("loom"));
    command.args(["loom_", "--", "--test-threads=2"]);
    command.env("RUSTFLAGS", "--cfg loom").current_dir(root).stderr(Stdio::inherit());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return Run::Failed(format!("cargo did not start: {error}")),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<String> = text.lines().filter_map(verdict).collect();
    lines.iter().for_each(|line| println!("{line}"));
    if !output.status.success() {
        println!("{text}");
        return Run::Failed("a model broke, or a mutation went unnoticed, see above".to_owned());
    }
    let mutations = lines.iter().filter(|line| line.starts_with("mutation")).count();
    println!("{} models hold, {mutations} mutations are caught", lines.len() - mutations);
    if mutations == 0 { Run::Failed("no models were run".to_owned()) } else { Run::Clean }
}

/// What a line of the test's output says, if it is about a test that passed.
fn verdict(line: &str) -> Option<String> {
    let path = line.strip_prefix("test ")?.strip_suffix(" ... ok")?.trim_end();
    let path = path.strip_suffix(" - should panic").unwrap_or(path);
    let name = path.rsplit("::").next()?;
    let is_mutation = MUTATIONS.iter().any(|start| name.starts_with(start));
    let what = name.trim_start_matches("loom_").replace('_', " ");
    Some(format!("{}: {what}", if is_mutation { "mutation caught" } else { "model holds" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutation_is_told_from_a_model() {
        assert_eq!(
            verdict("test ring::model::loom_without_the_fence_a_wake_is_lost ... ok").as_deref(),
            Some("mutation caught: without the fence a wake is lost")
        );
        assert_eq!(
            verdict("test ring::model::loom_both_ends_sleep ... ok").as_deref(),
            Some("model holds: both ends sleep")
        );
        assert_eq!(verdict("test ring::model::loom_both_ends_sleep ... FAILED"), None);
    }
}
