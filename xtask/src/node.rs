//! `cargo xtask node`: a real client from npm against the program.
//!
//! Packages are installed under `target/`, as `tests/node/package-lock.json` names them.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::fuzz::Run;

/// The files that go with the packages, so that the client finds them.
const FILES: &[&str] = &["package.json", "package-lock.json", "client.test.mjs"];

/// npm is a script on Windows.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// `cargo xtask node`.
pub(crate) fn node(root: &Path, target_dir: &Path) -> ExitCode {
    run(root, target_dir).exit_code()
}

/// Installs the packages if they are not there, builds the program, and runs the client.
pub(crate) fn run(root: &Path, target_dir: &Path) -> Run {
    if !is_there() {
        return Run::Missing("node and npm are not installed (version 20 or newer)".into());
    }
    let folder = target_dir.join("node");
    if let Err(why) = prepare(&root.join("tests/node"), &folder, FILES) {
        return Run::Failed(why);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--package", "tramline-cli"]).current_dir(root);
    build.arg("--target-dir").arg(target_dir);
    if let Err(why) = finish(&mut build) {
        return Run::Failed(format!("cargo build: {why}"));
    }
    let program =
        target_dir.join("debug").join(format!("tramline{}", std::env::consts::EXE_SUFFIX));
    let mut client = Command::new("node");
    client.args(["--test", "client.test.mjs"]).current_dir(&folder);
    match finish(client.env("TRAMLINE", program).env("FOLDER", root)) {
        Ok(()) => Run::Clean,
        Err(why) => Run::Failed(format!("node --test: {why}")),
    }
}

/// Whether packages can be fetched and used.
pub(crate) fn is_there() -> bool {
    ["node", NPM].iter().all(|program| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    })
}

/// Puts the files where their packages are; installs those if others are wanted than last time.
pub(crate) fn prepare(from: &Path, folder: &Path, files: &[&str]) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let lock = |folder: &Path| std::fs::read(folder.join("package-lock.json")).ok();
    let is_there = folder.join("node_modules").is_dir() && lock(from) == lock(folder);
    for file in files {
        let copied = std::fs::copy(from.join(file), folder.join(file));
        copied.map_err(|e| format!("{file}: {e}"))?;
    }
    if is_there {
        return Ok(());
    }
    let mut install = Command::new(NPM);
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    finish(&mut install).map_err(|why| {
        // Next time it is tried again.
        let _ = std::fs::remove_dir_all(folder.join("node_modules"));
        format!("npm ci: {why}")
    })
}

fn finish(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(format!("it did not start: {error}")),
    }
}

/// The files are there, and each package is named by its content. Addresses of one machine's registry
/// would not be everyone's.
#[cfg(test)]
pub(crate) fn assert_pinned(folder: &Path, files: &[&str]) {
    for file in files {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let lock = std::fs::read_to_string(folder.join("package-lock.json")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        assert!(package["integrity"].is_string(), "{name}");
        let public = "https://registry.npmjs.org/";
        let address = package.get("resolved").and_then(serde_json::Value::as_str);
        assert!(address.is_none_or(|address| address.starts_with(public)), "{name}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_pinned_by_their_content_and_not_by_an_address() {
        assert_pinned(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/node"), FILES);
    }
}
