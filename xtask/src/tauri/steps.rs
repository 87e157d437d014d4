//! The steps of `cargo xtask check` for the workspace in `tauri/`.
//!
//! All use one profile, and the features of the whole workspace: its 400 dependencies are built once.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::system;
use crate::fuzz::Run;

/// Its sources are written as its own `rustfmt.toml` has it.
pub(crate) fn format(root: &Path) -> Run {
    let mut command = cargo_command(root);
    finish(command.args(["fmt", "--all", "--check"]), "cargo fmt").into()
}

/// Needs the system's webview, for build scripts look for it.
pub(crate) fn clippy(root: &Path) -> Run {
    match prepare(root) {
        Ok(()) => {
            cargo(root, &["clippy", "--workspace", "--all-targets"], &["-D", "warnings"]).into()
        }
        Err(why) => Run::Missing(why.into()),
    }
}

/// The tests that need no window.
pub(crate) fn tests(root: &Path) -> Run {
    match prepare(root) {
        Ok(()) => cargo(root, &["test", "--workspace"], &[]).into(),
        Err(why) => Run::Missing(why.into()),
    }
}

/// Sees to it that the workspace can be built and its window opened; asked once.
///
/// # Errors
///
/// Why not. That is no fault of the code.
pub(super) fn prepare(root: &Path) -> Result<(), String> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    PREPARED
        .get_or_init(|| {
            system::prepare()?;
            let mut fetch = cargo_command(root);
            // Those of other systems are many times as large.
            fetch.args(["fetch", "--locked", "--quiet", "--target", &host()?]);
            finish(&mut fetch, "the crates that Tauri needs cannot be fetched: cargo fetch")
        })
        .clone()
}

/// This system, as cargo calls it.
fn host() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "host-tuple"]).output();
    let output = output.map_err(|error| format!("rustc did not start: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where the workspace is built.
pub(super) fn target_dir(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("tauri/target"), PathBuf::from)
}

/// Runs cargo in the workspace, in its one profile.
pub(super) fn cargo(root: &Path, arguments: &[&str], behind: &[&str]) -> Result<(), String> {
    let what = arguments.first().copied().unwrap_or_default();
    let mut command = cargo_command(root);
    command.args(arguments).args(["--release", "--locked", "--target-dir"]).arg(target_dir(root));
    if !behind.is_empty() {
        command.arg("--").args(behind);
    }
    finish(&mut command, &format!("cargo {what}"))
}

/// Builds the web-process extension with a `cfg`.
pub(super) fn build_library(root: &Path, target: &Path, cfg: &str) -> Result<(), String> {
    let mut command = cargo_command(root);
    command.args(["rustc", "--locked", "--package", "tramline-web-extension", "--target-dir"]);
    command.arg(target).args(["--crate-type", "cdylib", "--", "--cfg", cfg]);
    finish(&mut command, "cargo rustc")
}

fn cargo_command(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(root.join("tauri"));
    command
}

fn finish(command: &mut Command, what: &str) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what}: {status}")),
        Err(error) => Err(format!("{what}: it did not start: {error}")),
    }
}
