//! `@tauri-apps/api`, as it is published.

use std::path::{Path, PathBuf};

use crate::node;

/// What says which packages, in `tauri/e2e`.
const FILES: &[&str] = &["package.json", "package-lock.json"];

/// Fetches the packages: the folder that they are in.
///
/// # Errors
///
/// Why they are not there. That is no fault of ours.
pub(super) fn packages(root: &Path, target: &Path) -> Result<PathBuf, String> {
    if !node::is_there() {
        return Err("npm is not installed".to_owned());
    }
    let folder = target.join("e2e-npm");
    node::prepare(&root.join("tauri/e2e"), &folder, FILES)?;
    Ok(folder.join("node_modules"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_imports_what_belongs_to_the_crate() {
        let tauri = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tauri");
        let lock = std::fs::read_to_string(tauri.join("Cargo.lock")).expect("it is there");
        let lock: toml::Table = lock.parse().expect("TOML");
        let crates = lock["package"].as_array().expect("a list");
        let tauri_crate = crates.iter().find(|found| found["name"].as_str() == Some("tauri"));
        let text = std::fs::read_to_string(tauri.join("e2e/package.json")).expect("it is there");
        let package: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            package["dependencies"]["@tauri-apps/api"].as_str(),
            tauri_crate.and_then(|found| found["version"].as_str())
        );
        node::assert_pinned(&tauri.join("e2e"), FILES);
    }
}
