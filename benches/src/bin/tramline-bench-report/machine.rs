//! What the figures were taken on.

use std::fs;
use std::process::Command;
use std::thread;

/// Prints the machine as a table.
pub(crate) fn print() {
    println!("| | |\n| --- | --- |");
    println!("| CPU | {} |", cpu());
    let cores = thread::available_parallelism().map_or_else(|e| e.to_string(), |n| n.to_string());
    println!("| cores for this process | {cores} |");
    println!("| system | {} |", said_by("uname", &["-srm"]));
    println!("| load (1, 5, 15 min), running/all | {} |", load());
    println!("| compiler | {} |", said_by("rustc", &["--version"]));
    println!("| source | {} |", said_by("git", &["describe", "--always", "--dirty"]));
    println!("| date | {} |", said_by("date", &["-u", "+%Y-%m-%d %H:%M UTC"]));
    println!();
    println!(
        "A run itself makes a load of up to 2. With more than there are cores, both sides share a \
         core at times: look at the floor, which is then far above 1 us, before any other figure.\n"
    );
}

fn cpu() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = cpus.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    let virtual_machine = if cpus.contains("hypervisor") { " (virtual machine)" } else { "" };
    named.unwrap_or_else(|| "unknown".into()) + virtual_machine
}

fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let without_last_pid: Vec<&str> = load.split_whitespace().take(4).collect();
    match without_last_pid[..] {
        [] => "unknown".into(),
        _ => without_last_pid.join(" "),
    }
}

fn said_by(program: &str, args: &[&str]) -> String {
    Command::new(program)
        .args(args)
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| "unknown".into(), |text| text.trim().to_owned())
}
