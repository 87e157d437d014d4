//! `cargo xtask fuzz`: the fuzz targets, one after the other.

use std::borrow::Cow;
use std::path::Path;
use std::process::ExitCode;

use crate::nightly;

/// Which targets, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds for each target.
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// Ten seconds for each target.
    #[arg(long, conflicts_with = "seconds")]
    smoke: bool,
    /// The targets; all of them if none is named.
    targets: Vec<String>,
}

/// Seconds for each target of a smoke run.
const SMOKE_SECONDS: u32 = 10;
/// No input may take longer, in seconds: a hang is a finding. The slowest need some milliseconds; a
/// busy machine may stop for a while.
const TIMEOUT_SECONDS: u32 = 60;
/// Largest input, in bytes. A choice: scripts of some hundred steps.
const MAX_LEN: u32 = 4096;

/// How a run ended.
pub(crate) enum Run {
    /// Nothing was found.
    Clean,
    /// Something was found, or does not build.
    Failed(String),
    /// The tools are not there; the text says what to install.
    Missing(Cow<'static, str>),
}

impl From<Result<(), String>> for Run {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Clean)
    }
}

impl Run {
    /// For a run that was asked for by name: missing tools are a failure, too.
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::Clean => return ExitCode::SUCCESS,
            Self::Failed(why) => eprintln!("failed: {why}"),
            Self::Missing(what) => eprintln!("cannot run: {what}"),
        }
        ExitCode::FAILURE
    }
}

/// `cargo xtask fuzz`.
pub(crate) fn fuzz(root: &Path, options: &Options) -> ExitCode {
    let seconds = if options.smoke { SMOKE_SECONDS } else { options.seconds };
    run(root, seconds, &options.targets).exit_code()
}

/// All targets for a short time: a step of `cargo xtask check`.
pub(crate) fn smoke(root: &Path) -> Run {
    run(root, SMOKE_SECONDS, &[])
}

fn run(root: &Path, seconds: u32, wanted: &[String]) -> Run {
    let known = match targets(root) {
        Ok(known) => known,
        Err(why) => return Run::Failed(why),
    };
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        return Run::Failed(format!("no target {unknown}; there are: {}", known.join(" ")));
    }
    match nightly::cargo(root).map(|mut cargo| cargo.args(["fuzz", "--version"]).output()) {
        Err(what) => return Run::Missing(what.into()),
        Ok(Ok(output)) if output.status.success() => {}
        Ok(_) => return Run::Missing("no cargo-fuzz (cargo install cargo-fuzz --locked)".into()),
    }
    for target in if wanted.is_empty() { &known } else { wanted } {
        println!("\n== {target}: {seconds} s");
        let mut command = match nightly::cargo(root) {
            Ok(command) => command,
            Err(what) => return Run::Missing(what.into()),
        };
        command.args(["fuzz", "run", target]);
        // The first folder takes what is found and is not tracked.
        let corpus = root.join("fuzz/corpus").join(target);
        if let Err(error) = std::fs::create_dir_all(&corpus) {
            return Run::Failed(format!("no folder for the corpus: {error}"));
        }
        command.arg(corpus);
        let seeds = root.join("fuzz/seeds").join(target);
        command.args(Some(seeds).filter(|seeds| seeds.is_dir()));
        command.arg("--");
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-timeout={TIMEOUT_SECONDS}"));
        command.arg(format!("-max_len={MAX_LEN}"));
        command.arg("-print_final_stats=1");
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(_) => {
                return Run::Failed(format!("{target}: see above, and fuzz/artifacts/{target}"));
            }
            Err(error) => return Run::Failed(format!("rustup did not start: {error}")),
        }
    }
    Run::Clean
}

/// The names of all targets, as the manifest has them.
fn targets(root: &Path) -> Result<Vec<String>, String> {
    let path = root.join("fuzz/Cargo.toml");
    let manifest = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let manifest: toml::Table = manifest.parse().map_err(|error| format!("{error}"))?;
    let bins = manifest.get("bin").and_then(toml::Value::as_array);
    let names = bins.into_iter().flatten().filter_map(|bin| bin.get("name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_of_the_manifest_has_its_file() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let targets = targets(&root).expect("a manifest");
        assert!(targets.len() >= 7, "{targets:?}");
        for target in targets {
            assert!(root.join(format!("fuzz/fuzz_targets/{target}.rs")).is_file(), "{target}");
        }
    }
}
