//! What has to be there before a window can be opened, and getting it.

use std::process::Command;

/// As pkg-config names them.
const LIBRARIES: &[&str] = &["webkit2gtk-4.1", "webkit2gtk-web-extension-4.1"];
/// As programs.
const PROGRAMS: &[&str] = &["pkg-config", "xvfb-run", "xauth", "dbus-run-session", "cc"];

/// What brings all of it, on systems with apt.
const PACKAGES: &[&str] = &[
    "build-essential",
    "pkg-config",
    "libwebkit2gtk-4.1-dev",
    "librsvg2-dev",
    "libssl-dev",
    "xvfb",
    "xauth",
    "dbus",
];

/// Seconds that apt may take for its lists, and then for the packages. A choice: 120 MB take a minute
/// or two, and a network that is not there has to be noticed.
const UPDATE_LIMIT: &str = "120";
const INSTALL_LIMIT: &str = "600";

/// Sees to it that a window can be opened: installs what is missing, if it may.
///
/// # Errors
///
/// Why it cannot be opened, and what to install.
pub(crate) fn prepare() -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err("a window without a screen is opened on Linux only".to_owned());
    }
    let Some(gone) = missing() else { return Ok(()) };
    let wanted = format!("{gone} is missing (apt-get install {})", PACKAGES.join(" "));
    if !is_there("apt-get") {
        return Err(wanted);
    }
    if !is_root() {
        return Err(format!("{wanted}, and only root may install it"));
    }
    println!("{wanted}: installing");
    if let Err(why) = apt(&["update"], UPDATE_LIMIT) {
        // One source of several may be gone, and the lists of last time may do.
        println!("{why}");
    }
    let install = [&["install", "-y", "--no-install-recommends"], PACKAGES].concat();
    apt(&install, INSTALL_LIMIT).map_err(|why| format!("{wanted}: {why}"))?;
    missing().map_or(Ok(()), |gone| Err(format!("{gone} is still missing after apt-get")))
}

fn apt(arguments: &[&str], seconds: &str) -> Result<(), String> {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", seconds, "apt-get", "-q"]);
    // An address that does not answer is not waited for in each of some hundred packages.
    command.args(["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]);
    // Asks nothing, for nobody is there.
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let what = format!("apt-get {}", arguments.first().unwrap_or(&""));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what}: {status}")),
        Err(error) => Err(format!("{what} did not start: {error}")),
    }
}

/// The first thing that is not there.
fn missing() -> Option<&'static str> {
    let program = PROGRAMS.iter().find(|name| !is_there(name));
    program.or_else(|| LIBRARIES.iter().find(|name| !library_is_there(name))).copied()
}

fn library_is_there(name: &str) -> bool {
    let found = Command::new("pkg-config").args(["--exists", name]).status();
    found.is_ok_and(|status| status.success())
}

fn is_there(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|output| output.status.success())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
