//! Documents that speak of files.

use std::path::Path;

#[test]
fn architecture_names_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let is_path =
        |word: &&str| word.contains('/') && (word.ends_with(".rs") || word.ends_with(".md"));
    let paths: Vec<_> = text.split('`').skip(1).step_by(2).filter(is_path).collect();
    assert!(!paths.is_empty(), "it names no file at all");
    let missing: Vec<_> = paths.into_iter().filter(|path| !root.join(path).is_file()).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names files that do not exist: {missing:?}");
}
