//! The showcase's smoke run: each panel once, and nothing left behind, also if the app is killed.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Which way the window says that it has, and with which arguments it is started.
pub(super) const RUNS: &[(&str, &[&str])] = &[
    ("accelerated", &["--smoke"]),
    ("stock", &["--smoke", "--stock"]),
    ("accelerated", &["--smoke", "--sigkill"]),
];

/// How long one run may take, in seconds.
const LIMIT: &str = "300";

/// How long the sidecars may take to be gone. A choice, far above what it takes.
const GRACE: Duration = Duration::from_secs(10);

/// What a shell says of a program that SIGKILL has ended.
const KILLED: i32 = 128 + 9;

/// Runs the showcase in a window of an X server of its own.
///
/// # Errors
///
/// What went wrong in which panel, or what was left behind.
pub(super) fn smoke(program: &Path, way: &str, arguments: &[&str]) -> Result<(), String> {
    println!("running: showcase {}", arguments.join(" "));
    let mut command = Command::new("timeout");
    command.args([LIMIT, "dbus-run-session", "--", "xvfb-run", "--auto-servernum"]);
    command.arg(program).args(arguments).env("NO_AT_BRIDGE", "1");
    let output = command.output().map_err(|error| format!("timeout did not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = if arguments.contains(&"--sigkill") { KILLED } else { 0 };
    let line = said.lines().find(|line| line.starts_with(&format!("showcase: {way};")));
    let (Some(line), true) = (line, output.status.code() == Some(expected)) else {
        let complaints = String::from_utf8_lossy(&output.stderr);
        return Err(format!("showcase: {}\n{said}{complaints}", output.status));
    };
    println!("{line}");
    let start = Instant::now();
    loop {
        let alive: Vec<u32> = children(line).into_iter().filter(|pid| is_alive(*pid)).collect();
        if alive.is_empty() {
            return Ok(());
        }
        if start.elapsed() > GRACE {
            return Err(format!("showcase {}: left behind: {alive:?}", arguments.join(" ")));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The process ids at the end of the line.
fn children(line: &str) -> Vec<u32> {
    let (_, ids) = line.rsplit_once("children ").unwrap_or_default();
    ids.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// Whether it runs; one that has ended and waits to be collected does not.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_named_at_the_end_of_the_line() {
        assert_eq!(children("showcase: stock; 4 files; children 12 345"), [12, 345]);
        assert!(children("showcase: stock").is_empty());
    }

    #[test]
    fn this_process_is_alive() {
        assert!(is_alive(std::process::id()));
    }
}
