//! Builds the web-process extension, which the plugin carries inside.
//!
//! Cargo cannot yet hand the library of one crate to another as a file, so it is called once more,
//! with a target folder of its own: the one of the build under way is locked.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let target = PathBuf::from(variable("OUT_DIR")).join("extension");
    let manifest = here.join("../extension/Cargo.toml");
    for folder in ["../extension", "../link", "../../transport-shm", "../../core"] {
        watch(&here.join(folder));
    }
    let status = Command::new(variable("CARGO"))
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        // Set by `cargo clippy`: a file is wanted, not advice.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the web-process extension was not built; it needs libwebkit2gtk-4.1-dev"
    );
    let built = target.join("release/libtramline_web_extension.so");
    println!("cargo::rustc-env=TRAMLINE_EXTENSION={}", built.display());
}

fn watch(folder: &Path) {
    for part in ["src", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", folder.join(part).display());
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
