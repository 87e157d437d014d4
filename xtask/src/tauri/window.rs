//! The app in a window of an X server of its own.
//!
//! Whatever a run starts, it ends: processes are found by a variable in their environment, which
//! those inherit that leave the process group, too. Files go into a folder of the run's own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a run may take.
#[derive(Clone, Copy)]
struct Limits {
    /// Until GTK has let the app in.
    begin: Duration,
    /// In all.
    run: Duration,
}

/// Some hundred milliseconds are usual; of 13 starts two never got there.
const BEGIN_LIMIT: Duration = Duration::from_secs(60);

/// How long what belongs to a run may take to go by itself, and after it was asked to.
const GRACE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// The variable by which the processes of a run are known.
const MARK: &str = "TRAMLINE_E2E_RUN";

/// Why there is no report.
enum Failed {
    /// The app was not let in.
    NotBegun(String),
    Ran(String),
}

/// Runs the app with these variables, for so many seconds at most: what it reports, and what it and
/// all that it needs have written.
///
/// A window that did not come up is tried once more, and that is said.
///
/// # Errors
///
/// There is no report; what the app said.
pub(super) fn run(
    program: &Path,
    target: &Path,
    limit: u64,
    settings: &[(&str, &str)],
) -> Result<(Value, String), String> {
    let start = ["dbus-run-session", "--", "xvfb-run", "--auto-servernum"].map(OsString::from);
    let start = [&start[..], &[program.into()]].concat();
    let limits = Limits { begin: BEGIN_LIMIT, run: Duration::from_secs(limit) };
    start_twice(&start, target, settings, limits)
}

fn start_twice(
    start: &[OsString],
    target: &Path,
    settings: &[(&str, &str)],
    limits: Limits,
) -> Result<(Value, String), String> {
    match once(start, target, settings, limits) {
        Ok(ran) => Ok(ran),
        Err(Failed::Ran(why)) => Err(why),
        Err(Failed::NotBegun(why)) => {
            println!("the window did not come up, it is tried once more: {why}");
            once(start, target, settings, limits).map_err(|failed| match failed {
                Failed::Ran(why) => why,
                Failed::NotBegun(why) => format!("the window did not come up, twice: {why}"),
            })
        }
    }
}

fn once(
    start: &[OsString],
    target: &Path,
    settings: &[(&str, &str)],
    limits: Limits,
) -> Result<(Value, String), Failed> {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    // One name for all runs of this process, so that paths that are reported are the same.
    let folder = Folder(target.join(format!("e2e-{}", std::process::id())));
    let failed = |what: &str, error| Failed::Ran(format!("{what}: {error}"));
    let _ = fs::remove_dir_all(&folder.0);
    for name in ["tmp", "home"] {
        fs::create_dir_all(folder.0.join(name)).map_err(|e| failed(name, e))?;
    }
    let said = folder.0.join("said");
    let file = File::create(&said).map_err(|e| failed("a file", e))?;
    let copy = file.try_clone().map_err(|e| failed("a file", e))?;
    let mark = format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
    let (program, arguments) = start.split_first().ok_or(Failed::Ran(String::new()))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(file).stderr(copy);
    command.env(MARK, &mark).env("NO_AT_BRIDGE", "1");
    for (name, part) in
        [("TMPDIR", "tmp"), ("HOME", "home"), ("XDG_DATA_HOME", "home"), ("XDG_CACHE_HOME", "home")]
    {
        command.env(name, folder.0.join(part));
    }
    command.env("XDG_CONFIG_HOME", folder.0.join("home"));
    for (name, file) in [("OUT", "report"), ("BEGUN", "begun")] {
        command.env(format!("TRAMLINE_E2E_{name}"), folder.0.join(file));
    }
    command.envs(settings.iter().copied());
    let child = command.spawn().map_err(|e| failed("it did not start", e))?;
    let begun = || folder.0.join("begun").exists();
    let ended = wait(child, begun, limits);
    let forced = sweep(&mark, ended.is_err());
    let text = fs::read(&said).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let report = fs::read(folder.0.join("report")).ok();
    let report = report.and_then(|text| serde_json::from_slice(&text).ok());
    if let (Some(report), Ok(status)) = (report, &ended) {
        if !status.success() {
            return Err(Failed::Ran(format!("it reported, and ended with {status}\n{text}")));
        }
        if !forced.is_empty() {
            println!("still there after the run, and ended: {}", forced.join(", "));
        }
        let kept = ours_in(&folder.0.join("tmp"));
        if kept.is_empty() {
            return Ok((report, text));
        }
        return Err(Failed::Ran(format!("files were left behind: {}", kept.join(", "))));
    }
    let how = ended.map_or_else(|why| why, |status| format!("no report, {status}"));
    let why = format!("{how}\n{text}");
    Err(if begun() { Failed::Ran(why) } else { Failed::NotBegun(why) })
}

/// Waits until the run is over, or has taken too long.
fn wait(mut child: Child, begun: impl Fn() -> bool, limits: Limits) -> Result<ExitStatus, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(error) => return Err(error.to_string()),
        }
        let (limit, what) = if begun() {
            (limits.run, "it took longer than")
        } else {
            (limits.begin, "no window in")
        };
        if start.elapsed() > limit {
            // Collected there, when it has been ended.
            thread::spawn(move || child.wait());
            return Err(format!("{what} {limit:?}"));
        }
        thread::sleep(PAUSE);
    }
}

/// Sees every process of the run out: the names of those that had to be ended.
fn sweep(mark: &str, at_once: bool) -> Vec<String> {
    let wanted = format!("{MARK}={mark}");
    let mut forced = Vec::new();
    for signal in [None, Some("-TERM"), Some("-KILL")] {
        if let Some(signal) = signal {
            let (ids, names): (Vec<_>, Vec<_>) = marked(&wanted).into_iter().unzip();
            if !ids.is_empty() {
                end(&ids, signal);
            }
            if signal == "-TERM" {
                forced = names;
            }
        } else if at_once {
            continue;
        }
        let start = Instant::now();
        while start.elapsed() < GRACE {
            if marked(&wanted).is_empty() {
                return forced;
            }
            thread::sleep(PAUSE);
        }
    }
    forced
}

fn end(ids: &[String], signal: &str) {
    // Those that have gone meanwhile are named on its standard error.
    let _ = Command::new("kill").arg(signal).args(ids).stderr(Stdio::null()).status();
}

/// Identifiers and names of the processes with this variable.
fn marked(wanted: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let id = entry.file_name().into_string().ok()?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        environment.split(|byte| *byte == 0).find(|variable| *variable == wanted.as_bytes())?;
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        Some((id, name.trim().to_owned()))
    });
    found.collect()
}

/// What the app itself has left in a folder for passing files.
fn ours_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with("tramline")).collect()
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it lies in the target folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// Long enough for a shell to begin, also when much else is going on.
    const SHORT: Limits = Limits { begin: Duration::from_secs(2), run: Duration::from_secs(4) };
    const LONG: Limits = Limits { begin: BEGIN_LIMIT, run: BEGIN_LIMIT };

    /// Runs a script instead of an app: what came out, and how often it was started.
    fn of_script(name: &str, script: &str, limits: Limits) -> (Result<Value, String>, usize) {
        let target =
            std::env::temp_dir().join(format!("xtask-window-{}-{name}", std::process::id()));
        fs::create_dir_all(&target).unwrap();
        let starts = target.join("starts");
        let script = format!("echo >> {}; {script}", starts.display());
        let start = ["sh", "-c", &script].map(OsString::from);
        let result = start_twice(&start, &target, &[], limits);
        let started = fs::read_to_string(&starts).unwrap().lines().count();
        let kept: Vec<_> =
            fs::read_dir(&target).unwrap().flatten().map(|e| e.file_name()).collect();
        fs::remove_dir_all(&target).unwrap();
        assert_eq!(kept, ["starts"]);
        (result.map(|(report, _)| report), started)
    }

    #[test]
    fn a_report_is_what_the_app_has_written() {
        let script = "touch $TRAMLINE_E2E_BEGUN; echo '{\"up\":true}' > $TRAMLINE_E2E_OUT";
        let (result, started) = of_script("report", script, LONG);
        assert_eq!(result, Ok(serde_json::json!({ "up": true })));
        assert_eq!(started, 1);
    }

    #[test]
    fn a_window_that_does_not_come_up_is_tried_once_more() {
        let (result, started) = of_script("absent", "exit 3", LONG);
        assert!(result.is_err_and(|why| why.contains("did not come up, twice")));
        assert_eq!(started, 2);
    }

    #[test]
    fn a_page_that_fails_is_not_tried_again() {
        let (result, started) = of_script("fails", "touch $TRAMLINE_E2E_BEGUN; exit 3", LONG);
        assert!(result.is_err_and(|why| why.contains("no report")));
        assert_eq!(started, 1);
    }

    #[test]
    fn what_takes_too_long_is_ended_with_all_that_it_has_started() {
        let script =
            "touch $TRAMLINE_E2E_BEGUN; setsid sleep 987 & sh -c \"trap '' TERM; sleep 987\"";
        let (result, started) = of_script("long", script, SHORT);
        assert!(result.is_err_and(|why| why.contains("it took longer than 4s")));
        assert_eq!(started, 1);
        let all = fs::read_dir("/proc").unwrap().flatten();
        let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        assert_eq!(lines.filter(|line| line == b"sleep\x00987\x00").count(), 0);
    }

    #[test]
    fn files_that_the_app_leaves_behind_are_a_failure() {
        let script = "touch $TRAMLINE_E2E_BEGUN $TMPDIR/tramline-x; echo 1 > $TRAMLINE_E2E_OUT";
        let (result, _) = of_script("files", script, LONG);
        assert_eq!(result, Err("files were left behind: tramline-x".to_owned()));
    }
}
