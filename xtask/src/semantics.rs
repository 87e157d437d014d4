//! `docs/SEMANTICS.md`: every row names the test that guards it, and that test has run and passed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The page whose tables are checked, from the root.
const PAGE: &str = "docs/SEMANTICS.md";

/// Where the names of the tests that passed are kept between two steps.
fn passed_file(target: &Path) -> PathBuf {
    target.join("passed-tests.txt")
}

/// Runs tests to their end; what they print is seen at once, and who passed is kept.
///
/// # Errors
///
/// Why they failed, or did not run.
pub(crate) fn run_tests(command: &mut Command, target: &Path) -> Result<(), String> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("the command did not start: {error}"))?;
    let mut passed = BTreeSet::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            passed.extend(passed_test(&line).map(str::to_owned));
            println!("{line}");
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let names: Vec<_> = passed.into_iter().collect();
    std::fs::write(passed_file(target), names.join("\n")).map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}

/// The last part of the name in a line such as `test calls::shm::add ... ok`.
fn passed_test(line: &str) -> Option<&str> {
    let (path, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    // A test that must panic has a remark behind its name.
    let path = path.split(' ').next()?;
    (result == "ok").then(|| path.rsplit("::").next().unwrap_or(path))
}

/// What is wrong with the page: rows without a test, and tests that have not passed.
///
/// # Errors
///
/// The page, or the list of tests, cannot be read.
pub(crate) fn findings(root: &Path, target: &Path) -> Result<Vec<String>, String> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let page = read(&root.join(PAGE))?;
    let passed = read(&passed_file(target))?;
    Ok(judge(&page, &passed.lines().collect()))
}

fn judge(page: &str, passed: &BTreeSet<&str>) -> Vec<String> {
    let mut findings = Vec::new();
    for line in page.lines().filter(|line| is_row(line)) {
        let number = line.split('|').nth(1).unwrap_or_default().trim();
        let last = line.trim_end().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let tests: Vec<_> = last.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() && !is_excused(last) {
            findings.push(format!("{PAGE}: row {number} names no test"));
        }
        for test in tests.into_iter().filter(|test| !passed.contains(test)) {
            findings.push(format!("{PAGE}: row {number}: `{test}` did not run and pass"));
        }
    }
    findings
}

/// A row of a table begins with its number.
fn is_row(line: &str) -> bool {
    let first = line.strip_prefix('|').and_then(|rest| rest.split('|').next());
    first.is_some_and(|cell| cell.trim().parse::<u32>().is_ok())
}

/// A row that has no meaning here, or says plainly that it is not built.
fn is_excused(last: &str) -> bool {
    matches!(last.trim(), "–" | "not yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_known_by_the_last_part_of_their_name() {
        assert_eq!(passed_test("test calls::shm::adds ... ok"), Some("adds"));
        assert_eq!(passed_test("test adds ... ok"), Some("adds"));
        assert_eq!(passed_test("test adds - should panic ... ok"), Some("adds"));
        assert_eq!(passed_test("test adds ... FAILED"), None);
        assert_eq!(passed_test("test adds ... ignored"), None);
        assert_eq!(passed_test("test result: ok. 1 passed"), None);
    }

    #[test]
    fn rows_without_a_test_that_passed_are_found() {
        let page = "| # | Tauri | tramline | test |\n|---|---|---|---|\n\
                    | 1 | a | b | `runs` |\n| 2 | a | b | `runs`, `fails` |\n| 3 | a | b | |\n\
                    | 4 | a | b | – |\n| 5 | a | b | not yet |\n| x | y | z | |\n";
        assert_eq!(
            judge(page, &BTreeSet::from(["runs"])),
            [
                "docs/SEMANTICS.md: row 2: `fails` did not run and pass",
                "docs/SEMANTICS.md: row 3 names no test"
            ]
        );
    }
}
