//! Extensions that were installed beside the app: the one that belongs to it is taken, an older and a
//! newer one are refused, said once, and calls take the portable hop.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{App, LIMIT, cases, compare, steps, window};

/// The extension's library, as cargo calls it.
const LIBRARY: &str = "libtramline_web_extension.so";
/// The app's program, and its name in `tauri.conf.json`.
const PROGRAM: &str = "tramline-tauri-e2e";
const NAME: &str = "tramline-e2e";

/// What is installed, and what the log has to say of it.
const INSTALLED: &[(&str, &str)] = &[
    ("own", "tramline: the web-process extension is the one in "),
    ("newer", "the web-process extension speaks version "),
    ("older", "the web-process extension speaks version "),
];

/// What the log says of a page whose calls go through the ring.
const ON_RING: &str = "calls go through shared memory";

/// How many cases of the page differ from stock, with each of them.
pub(super) fn check(root: &Path, app: &App, stock: &Value) -> Result<usize, String> {
    // As a package lays it out: Tauri looks for an app's resources in `../lib/NAME`.
    let place = app.folder.join("e2e-installed");
    let folder = place.join(format!("lib/{NAME}/tramline"));
    let program = place.join("bin").join(PROGRAM);
    put(&app.program, &program)?;
    let mut wrong = 0;
    for (which, said) in INSTALLED {
        put(&library(root, app, which)?, &folder.join(LIBRARY))?;
        println!("running: test, accelerated, with the {which} extension installed beside the app");
        let settings = [("TRAMLINE_E2E_MODE", "accelerated"), ("TRAMLINE_E2E_TASK", "test")];
        let (report, log) = window::run(&program, &app.folder, LIMIT, &settings)?;
        // The others leave the page to the portable hop.
        wrong += compare(which, stock, &cases(&report, true)?);
        if log.contains(ON_RING) != (*which == "own") {
            eprintln!("{which}: the log says otherwise of the ring:\n{log}");
            wrong += 1;
        }
        if log.matches(said).count() != 1 {
            eprintln!("{which}: the log says not once `{said}`:\n{log}");
            wrong += 1;
        }
    }
    Ok(wrong)
}

/// The library that the workspace has built; or one that says it is of another version.
fn library(root: &Path, app: &App, which: &str) -> Result<PathBuf, String> {
    if which == "own" {
        return Ok(app.folder.join("release").join(LIBRARY));
    }
    // Elsewhere, and not optimised: it is only to be refused.
    let target = app.folder.join("e2e-versions");
    steps::build_library(root, &target, &format!("tramline_speaks=\"{which}\""))?;
    Ok(target.join("debug").join(LIBRARY))
}

fn put(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", to.display());
    to.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    // A file that is in use cannot be written to, but another one can take its place.
    let _ = fs::remove_file(to);
    fs::copy(from, to).map(|_| ()).map_err(failed)
}
