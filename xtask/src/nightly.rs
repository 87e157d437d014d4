//! What needs a nightly compiler: whether it is there, and how to call it.

use std::path::Path;
use std::process::Command;

/// What to say when the compiler is missing.
const MISSING: &str = "no nightly compiler (rustup toolchain install nightly --profile minimal)";

/// The nightly cargo at `root`, or what to install.
pub(crate) fn cargo(root: &Path) -> Result<Command, &'static str> {
    version()?;
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).current_dir(root);
    Ok(command)
}

/// The machine that the compiler runs on and builds for, as rustc calls it.
pub(crate) fn host() -> Result<String, &'static str> {
    let version = version()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or(MISSING)?.to_owned())
}

fn version() -> Result<String, &'static str> {
    let output = Command::new("rustup").args(["run", "nightly", "rustc", "-vV"]).output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        _ => Err(MISSING),
    }
}
