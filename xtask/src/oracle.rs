//! `cargo xtask oracle`: the same commands through Tauri and through tramline, side by side.
//!
//! A workspace of its own: Tauri is linked with the system's webview even where it opens no window,
//! and nothing else here should need that.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::fuzz::Run;

/// What to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Install what is missing, with `apt-get` (Debian, Ubuntu).
    #[arg(long)]
    install: bool,
    /// Write Tauri's decisions into `oracle/expected`.
    #[arg(long)]
    write: bool,
}

/// Debian's packages. The webview's brings GTK's along.
const PACKAGES: &[&str] = &["pkg-config", "libwebkit2gtk-4.1-dev"];
/// The same, as pkg-config names what is in them.
const LIBRARIES: &[&str] = &["gtk+-3.0", "webkit2gtk-4.1"];

/// `cargo xtask oracle`.
pub(crate) fn oracle(root: &Path, options: &Options) -> ExitCode {
    run(root, options).exit_code()
}

fn run(root: &Path, options: &Options) -> Run {
    if !libraries_are_there() {
        if !options.install {
            return Run::Missing(
                "no WebKitGTK to link Tauri with (cargo xtask oracle --install, or \
                 apt-get install pkg-config libwebkit2gtk-4.1-dev)"
                    .into(),
            );
        }
        let mut apt = Command::new("apt-get");
        apt.args(["install", "--yes", "--no-install-recommends"]).args(PACKAGES);
        match apt.status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Run::Failed(format!("apt-get: {status}")),
            Err(error) => return Run::Failed(format!("apt-get did not start: {error}")),
        }
    }
    let folder = root.join("oracle");
    match cargo(&folder, "test").status() {
        Ok(status) if status.success() => {}
        Ok(_) => {
            return Run::Failed("it does not build, or fails its own tests, see above".to_owned());
        }
        Err(error) => return Run::Failed(format!("cargo did not start: {error}")),
    }
    match cargo(&folder, "run").arg("--").args(options.write.then_some("--write")).status() {
        Ok(status) if status.success() => Run::Clean,
        Ok(_) => Run::Failed("a difference that nobody means, see above".to_owned()),
        Err(error) => Run::Failed(format!("cargo did not start: {error}")),
    }
}

fn cargo(folder: &Path, what: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Debug builds of Tauri word their refusals differently, and other versions of what it is built
    // on may do so, too: the lock file says which.
    command.current_dir(folder).args([what, "--release", "--locked", "--quiet"]);
    command
}

/// Only Linux needs packages; elsewhere the webview is part of the system.
fn libraries_are_there() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let found = Command::new("pkg-config").arg("--exists").args(LIBRARIES).status();
    found.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oracle_is_a_workspace_of_its_own() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifest = |path: &str| -> toml::Table {
            let text = std::fs::read_to_string(root.join(path)).expect(path);
            text.parse().expect(path)
        };
        assert!(manifest("oracle/Cargo.toml").contains_key("workspace"));
        let excluded = &manifest("Cargo.toml")["workspace"]["exclude"];
        assert!(
            excluded.as_array().expect("a list").iter().any(|name| name.as_str() == Some("oracle"))
        );
    }

    #[test]
    fn what_is_missing_is_named_as_it_is_installed() {
        let source = include_str!("oracle.rs");
        assert!(source.contains(&format!("apt-get install {}", PACKAGES.join(" "))));
    }
}
