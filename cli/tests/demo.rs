//! The program as a user runs it: a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of this test's own, removed at its end.
struct TestFolder(PathBuf);

impl TestFolder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("demo-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    fn with_files() -> Self {
        let folder = Self::new();
        for (name, len) in [("a", 10), ("b", 100_000), ("größe", 3_000_000)] {
            let bytes: Vec<u8> = (0_u32..len).map(|i| i.to_le_bytes()[0] ^ 0x5a).collect();
            std::fs::write(folder.0.join(name), bytes).expect("a file for the test");
        }
        folder
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn tramline() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tramline"))
}

fn demo(path: &Path) -> Output {
    tramline().arg("demo").arg(path).output().expect("it starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// The table's rows as their cells.
fn rows(output: &Output) -> Vec<Vec<String>> {
    text(&output.stdout)
        .lines()
        .filter(|line| line.starts_with('│'))
        .map(|line| {
            let cells = line.split(['│', '┆']).map(|cell| cell.trim().to_owned());
            cells.filter(|cell| !cell.is_empty()).collect()
        })
        .skip(1)
        .collect()
}

#[test]
fn demo_on_a_small_folder_prints_four_identical_rows() {
    let folder = TestFolder::with_files();
    let output = demo(&folder.0);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let rows = rows(&output);
    let links: Vec<_> = rows.iter().map(|row| (&*row[0], &*row[1])).collect();
    assert_eq!(links, [("shm", "msgpack"), ("shm", "json"), ("pipe", "msgpack"), ("pipe", "json")]);
    for row in &rows {
        assert_eq!(row.last().map(String::as_str), Some("yes"), "{row:?}");
    }
    let told = text(&output.stdout);
    assert!(told.contains("3 files, 2.96 MiB"), "{told}");
    assert!(told.contains("Brought back raw: größe"), "{told}");
    let request = r#"{"kind":"request","id":1,"name":"scan","body":{"#;
    assert!(told.contains(request), "{told}");
}

#[test]
fn demo_on_an_empty_folder_skips_the_file_and_succeeds() {
    let folder = TestFolder::new();
    let output = demo(&folder.0);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("No file of at most"));
    assert_eq!(rows(&output).len(), 4);
}

#[test]
fn demo_on_a_missing_path_prints_one_line_and_exits_1() {
    let output = demo(Path::new("/nonexistent"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(
        text(&output.stderr),
        "tramline: cannot read `/nonexistent`: no such file or directory\n"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let folder = TestFolder::with_files();
    let mut child = tramline()
        .arg("demo")
        .arg(&folder.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    output.read_line(&mut String::new()).expect("a line");
    drop(output);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_worker_that_nobody_started_says_so_in_one_line() {
    let output = tramline().args(["worker", "."]).output();
    let output = output.expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.starts_with("tramline: cannot serve: "), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::fs;
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    /// Far longer than anything here takes, also on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Looks until there is something.
    fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "no {what} within {PATIENCE:?}");
            std::thread::yield_now();
        }
    }

    fn tasks(pid: u32) -> impl Iterator<Item = PathBuf> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        tasks.into_iter().flatten().flatten().map(|task| task.path())
    }

    fn child_of(pid: u32) -> Option<u32> {
        tasks(pid).find_map(|task| {
            let children = fs::read_to_string(task.join("children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })
    }

    /// Whether a thread of the pool that runs blocking commands is there: the scan has begun.
    fn runs_a_command(pid: u32) -> Option<()> {
        tasks(pid)
            .any(|task| {
                fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("blocking"))
            })
            .then_some(())
    }

    #[test]
    fn killed_demo_leaves_no_worker() {
        let mut demo = tramline()
            .args(["demo", "/"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let worker = wait_for("worker", || child_of(demo.id()));
        wait_for("scan", || runs_a_command(worker));
        let pid = Pid::from_raw(i32::try_from(worker).expect("a pid")).expect("a pid");
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("the worker is alive");

        demo.kill().expect("it is ours");
        demo.wait().expect("it is ours");

        let timeout = Timespec::try_from(PATIENCE).expect("fits");
        let ready = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout));
        assert_eq!(ready, Ok(1), "the worker {worker} outlives the demo");
    }

    fn entries(folder: &Path) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    #[test]
    fn demo_leaves_nothing_in_shared_memory_or_temp_folders() {
        let tramlines = || {
            let names = entries(Path::new("/dev/shm")).into_iter();
            let ours = |path: &PathBuf| path.to_string_lossy().contains("tramline");
            names.filter(ours).collect::<BTreeSet<_>>()
        };
        let before = tramlines();
        let (folder, temp, runtime) =
            (TestFolder::with_files(), TestFolder::new(), TestFolder::new());
        let status = tramline()
            .arg("demo")
            .arg(&folder.0)
            .env("TMPDIR", &temp.0)
            .env("XDG_RUNTIME_DIR", &runtime.0)
            .stdout(Stdio::null())
            .status()
            .expect("it starts");
        assert!(status.success());
        assert_eq!(entries(&temp.0), BTreeSet::new());
        assert_eq!(entries(&runtime.0), BTreeSet::new());
        assert_eq!(entries(&folder.0).len(), 3);
        let left: Vec<_> = tramlines().difference(&before).cloned().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
