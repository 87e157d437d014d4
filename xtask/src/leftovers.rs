//! Processes and files that a test run left behind.
//!
//! A [`Snapshot`] is taken before the first step. After the tests, whatever is new and bears our
//! name is a finding; and whatever was started for a window, which has other names but a variable of
//! ours. What another run on the same machine starts meanwhile is seen as well.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// What our processes and files are called, at the start of their name.
const PREFIX: &str = "tramline";

/// How the variables of the app in a window begin. X server, D-Bus and WebKit's processes inherit them.
const VARIABLE: &[u8] = b"TRAMLINE_E2E_";

/// How long a process may take to be gone after the tests have ended. A child that dies with its
/// parent is told by the kernel and needs a moment; a choice, far above what that takes.
const GRACE: Duration = Duration::from_secs(3);

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(100);

/// The processes and files with our name at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    found: BTreeSet<String>,
}

impl Snapshot {
    /// Looks around; `None` where there is no `/proc` to look at.
    pub(crate) fn take() -> Option<Self> {
        cfg!(target_os = "linux").then(|| Self { found: processes().chain(files()).collect() })
    }

    /// What is here now and was not there before.
    fn new_since(&self, before: &Self) -> Vec<String> {
        self.found.difference(&before.found).cloned().collect()
    }
}

/// What appeared since `before` and does not go away by itself.
pub(crate) fn since(before: &Snapshot) -> Vec<String> {
    let start = Instant::now();
    loop {
        let new = Snapshot::take().map(|now| now.new_since(before)).unwrap_or_default();
        if new.is_empty() || start.elapsed() > GRACE {
            return new;
        }
        thread::sleep(PAUSE);
    }
}

fn processes() -> impl Iterator<Item = String> {
    entries(Path::new("/proc"))
        .filter_map(|path| Some((std::fs::read_to_string(path.join("stat")).ok()?, path)))
        .filter_map(|(stat, path)| process(&stat, || has_variable(&path)))
}

/// Whether a process was started for a window. One of another user's cannot be asked.
fn has_variable(process: &Path) -> bool {
    let environment = std::fs::read(process.join("environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(VARIABLE))
}

/// Names the process of a `/proc/<id>/stat` line, if it is ours by its name, or by what is asked then.
///
/// The start time is part of the name, because process ids are used again. A process that has ended
/// and only waits to be collected is not counted: it holds nothing.
///
/// # Source
///
/// Fields 1 (id), 2 (name), 3 (state) and 22 (start time) as in the manual page `proc_pid_stat(5)`.
/// The name may hold blanks and brackets, so the last bracket ends it.
fn process(stat: &str, is_ours: impl FnOnce() -> bool) -> Option<String> {
    let (id, rest) = stat.split_once(" (")?;
    let (name, fields) = rest.rsplit_once(") ")?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?;
    (state != "Z" && state != "X" && (name.starts_with(PREFIX) || is_ours()))
        .then(|| format!("process {id} ({name}), started at tick {started}"))
}

fn files() -> impl Iterator<Item = String> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let folders = [Some(PathBuf::from("/dev/shm")), Some(std::env::temp_dir()), runtime];
    folders.into_iter().flatten().flat_map(|folder| ours_in(&folder))
}

/// The files with our name in a folder. A folder with our name may stay, but what is in it counts.
fn ours_in(folder: &Path) -> Vec<String> {
    let ours = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
    };
    let inside = |path: PathBuf| {
        if path.is_dir() { entries(&path).collect() } else { vec![path] }
    };
    let found = entries(folder).filter(ours).flat_map(inside);
    found.map(|path| format!("file {}", path.display())).collect()
}

/// What is in a folder; nothing if it cannot be read, for it may be gone already.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &str = "1 7 7 0 -1 4194560 93 0 0 0 0 0 0 0 20 0 1 0 4242 8000000 200";

    #[test]
    fn process_with_our_name_is_found_by_id_and_start_time() {
        let stat = format!("31 (tramline-cli) S {FIELDS}");
        assert_eq!(
            process(&stat, || false).as_deref(),
            Some("process 31 (tramline-cli), started at tick 4242")
        );
    }

    #[test]
    fn name_may_hold_blanks_and_brackets() {
        let stat = format!("31 (tramline) (x) S {FIELDS}");
        assert_eq!(
            process(&stat, || false).as_deref(),
            Some("process 31 (tramline) (x), started at tick 4242")
        );
    }

    #[test]
    fn processes_of_others_and_ended_ones_do_not_count() {
        assert_eq!(process(&format!("31 (bash) S {FIELDS}"), || false), None);
        assert_eq!(process(&format!("31 (tramline) Z {FIELDS}"), || true), None);
        assert_eq!(process("not a stat line", || true), None);
    }

    #[test]
    fn what_a_window_was_opened_with_is_ours_whatever_its_name() {
        let stat = format!("31 (Xvfb) S {FIELDS}");
        let found = process(&stat, || true);
        assert_eq!(found.as_deref(), Some("process 31 (Xvfb), started at tick 4242"));
        let child =
            std::process::Command::new("sleep").arg("600").env("TRAMLINE_E2E_RUN", "x").spawn();
        let mut child = child.unwrap();
        let path = PathBuf::from(format!("/proc/{}", child.id()));
        let start = Instant::now();
        // Until it has become that program.
        while cfg!(target_os = "linux") && !has_variable(&path) && start.elapsed() < 10 * GRACE {
            thread::sleep(PAUSE);
        }
        let found = has_variable(&path);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, cfg!(target_os = "linux"));
    }

    #[test]
    fn only_what_is_new_is_left_over() {
        let snapshot =
            |names: &[&str]| Snapshot { found: names.iter().map(|n| (*n).to_owned()).collect() };
        let before = snapshot(&["process 1", "file a"]);
        let after = snapshot(&["file a", "file b"]);
        assert_eq!(after.new_since(&before), ["file b"]);
    }

    #[test]
    fn our_files_are_found_in_a_folder_and_one_below() {
        let folder = std::env::temp_dir().join(format!("xtask-leftovers-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("tramline-empty")).unwrap();
        std::fs::create_dir_all(folder.join("tramline")).unwrap();
        for file in ["tramline.sock", "other.sock", "tramline/calc.sock"] {
            std::fs::write(folder.join(file), "").unwrap();
        }
        let mut found = ours_in(&folder);
        std::fs::remove_dir_all(&folder).unwrap();

        found.sort();
        let shown = |name: &str| format!("file {}", folder.join(name).display());
        assert_eq!(found, [shown("tramline.sock"), shown("tramline/calc.sock")]);
    }
}
