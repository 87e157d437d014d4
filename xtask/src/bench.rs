//! `cargo xtask bench`: the figures that `docs/BENCHMARKS.md` shows, each the median of several runs
//! of `tramline bench`, in turn.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

/// How often, how long, and where the lines go.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Runs of each line.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// The file that every run's object goes to, one a line.
    #[arg(long, default_value = "docs/reports/bench.jsonl")]
    out: PathBuf,
}

/// What is measured: the arguments, and the fields that are shown.
const LINES: &[(&str, &[&str])] = &[
    ("ring --payload 64 --wait low-latency", RING),
    ("ring --payload 4096 --wait low-latency", RING),
    ("ring --payload 65536 --wait low-latency", RING),
    ("ring --payload 1048576 --wait low-latency", RING),
    ("ring --payload 4194304 --wait low-latency", RING),
    ("invoke --payload 64 --wait low-latency", INVOKE),
    ("invoke --payload 4096 --wait low-latency", INVOKE),
    ("invoke --payload 1048576 --wait low-latency", INVOKE),
    ("invoke --payload 64", INVOKE),
    ("invoke --payload 64 --codec json --wait low-latency", INVOKE),
    ("invoke --payload 64 --transport pipe", &["p50_ns", "p99_ns", "floor_p50_ns", "ratio_p50"]),
    ("event --payload 64 --codec msgpack", EVENT),
    ("event --payload 65536 --codec msgpack", EVENT),
    ("idle", &["cpu_s_per_s", "wakeups_per_s"]),
    ("idle --connections 64", &["cpu_s_per_s", "wakeups_per_s"]),
    ("crowd --wait idle", CROWD),
    ("crowd --wait idle --shared 1", CROWD),
    ("wake", &["p50_ns", "p99_ns", "socket_p50_ns", "ratio_socket"]),
    ("invoke --payload 64 --cpus 0", &["p50_ns", "p99_ns", "pipe_p50_ns", "ratio_pipe"]),
    (
        "invoke --payload 64 --threads 4 --wait low-latency",
        &["per_s", "one_thread_per_s", "ratio_one_thread"],
    ),
    (
        "invoke --payload 64 --connections 64 --wait low-latency",
        &["p50_ns", "one_connection_p50_ns", "ratio_one_connection"],
    ),
];

const RING: &[&str] =
    &["p50_ns", "p99_ns", "floor_p50_ns", "ratio_p50", "one_way_per_s", "ratio_socket"];
const INVOKE: &[&str] = &[
    "p50_ns",
    "p99_ns",
    "p999_ns",
    "floor_p50_ns",
    "ratio_p50",
    "ratio_p99_floor_p50",
    "ratio_ring",
];
const CROWD: &[&str] = &[
    "p50_ns",
    "p99_ns",
    "alone_p99_ns",
    "elsewhere_p99_ns",
    "ratio_alone_p99",
    "ratio_elsewhere_p99",
    "ratio_alone_per_s",
    "flood_per_s",
    "dropped",
    "server_growth_bytes",
    "cap_bytes",
];
const EVENT: &[&str] = &["per_s", "ring_per_s", "ratio_ring", "lost", "floor_p50_ns"];

/// `cargo xtask bench`.
pub(crate) fn bench(root: &Path, target_dir: &Path, options: &Options) -> ExitCode {
    match run(root, target_dir, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("failed: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Path, target_dir: &Path, options: &Options) -> Result<(), String> {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--release", "--package", "tramline-cli"]).current_dir(root);
    if !build.status().map_err(|e| format!("cargo did not start: {e}"))?.success() {
        return Err("the program does not build".into());
    }
    let program = target_dir.join("release/tramline");
    let mut found: Vec<Vec<Value>> = vec![Vec::new(); LINES.len()];
    let mut report = String::new();
    // In turn, so that a change of the machine's mood meets every line.
    for round in 0..options.runs {
        for ((arguments, _), values) in LINES.iter().zip(&mut found) {
            eprintln!("{}/{}: tramline bench {arguments}", round + 1, options.runs);
            let mut command = Command::new(&program);
            command.arg("bench").args(arguments.split(' ')).arg("--json");
            let output = command.args(["--seconds", &options.seconds.to_string()]).output();
            let output = output.map_err(|e| format!("{arguments}: {e}"))?;
            let text = String::from_utf8_lossy(&output.stdout);
            if !output.status.success() {
                return Err(format!("{arguments}: {}", String::from_utf8_lossy(&output.stderr)));
            }
            for line in text.lines() {
                values.push(serde_json::from_str(line).map_err(|e| format!("{arguments}: {e}"))?);
                let _ = writeln!(report, "{line}");
            }
        }
    }
    let out = root.join(&options.out);
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    }
    fs::write(&out, report).map_err(|e| format!("{}: {e}", out.display()))?;
    println!("| `tramline bench ..` | median of {} runs |\n|---|---|", options.runs);
    for ((arguments, fields), values) in LINES.iter().zip(&found) {
        let shown: Vec<String> = fields
            .iter()
            .filter_map(|field| Some(format!("{field} {}", plain(median(values, field)?))))
            .collect();
        println!("| `{arguments}` | {} |", shown.join(", "));
    }
    Ok(())
}

/// The middle of what the runs have for a field; the lower one of two.
fn median(values: &[Value], field: &str) -> Option<f64> {
    let mut numbers: Vec<f64> = values.iter().filter_map(|v| v.get(field)?.as_f64()).collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len().checked_sub(1)? / 2).copied()
}

fn plain(number: f64) -> String {
    if number >= 100.0 {
        format!("{number:.0}")
    } else if number == 0.0 || number >= 0.01 {
        format!("{number:.2}")
    } else {
        format!("{number:.6}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_value_that_was_measured() {
        let values: Vec<Value> = [3.0, 1.0, 2.0, 9.0]
            .map(|p50| serde_json::json!({ "p50_ns": p50, "other": null }))
            .to_vec();
        assert_eq!(median(&values, "p50_ns"), Some(2.0));
        assert_eq!(median(&values[..1], "p50_ns"), Some(3.0));
        assert_eq!(median(&values, "other"), None);
        assert_eq!(median(&[], "p50_ns"), None);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [1234.5, 2.345, 0.0, 0.000_012].map(plain),
            ["1234", "2.35", "0.00", "0.000012"]
        );
    }
}
