//! What becomes of views and their processes, told when it happens: no test sleeps until it may have.

use std::fs;
use std::process::Command;

use tauri::WebviewWindow;
use webkit2gtk::{WebView, WebViewExt as _};

/// Where the app's pages are.
pub(crate) const HOME: &str = "tauri://localhost";

/// Calls `told` each time the view's process is gone, then loads the first page again.
pub(crate) fn revive(
    window: &WebviewWindow,
    told: impl Fn() + Send + 'static,
) -> tauri::Result<()> {
    window.with_webview(move |platform| {
        let view: WebView = platform.inner();
        view.connect_web_process_terminated(move |view, _| {
            told();
            let view = view.clone();
            // Behind whatever else hears of it.
            glib::idle_add_local_once(move || view.load_uri(HOME));
        });
    })
}

/// Our children that are WebKit's web processes.
pub(crate) fn web_processes() -> Vec<String> {
    let me = std::process::id().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (head, tail) = stat.rsplit_once(')')?;
            let mut fields = tail.split_whitespace();
            let lives = fields.next()? != "Z";
            (lives && fields.next()? == me && head.contains("WebKitWeb"))
                .then(|| entry.file_name().into_string().ok())?
        })
        .collect()
}

/// Kills them all with a signal that cannot be caught: how many there were, if all were killed.
pub(crate) fn kill_web_processes() -> Option<usize> {
    let all = web_processes();
    if all.is_empty() {
        return None;
    }
    let killed = Command::new("kill").arg("-9").args(&all).status();
    killed.is_ok_and(|status| status.success()).then_some(all.len())
}

/// A line of a process's status that counts KiB.
pub(crate) fn memory_kib(pid: &str, what: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
