//! `cargo xtask tauri-soak`: mixed load for a long time, and a drawing of the memory that it takes.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::with_app;

/// How long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Minutes of load.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
}

/// Where the report goes.
const REPORTS: &str = "docs/reports";
/// The report's list of moments, core memory and web processes' memory.
const MEMORY: &str = "seconds, core KiB, web processes KiB";
/// Beyond the load, in seconds: opening the window, and a page's last calls.
const BESIDE: u64 = 120;
/// How much more the core may have in the last quarter than in the second, in KiB. A choice: an
/// allocator's moods.
const GROWTH_KIB: f64 = 16.0 * 1024.0;

/// `cargo xtask tauri-soak`.
pub(crate) fn soak(root: &Path, options: &Options) -> ExitCode {
    let seconds = options.minutes * 60;
    with_app(root, |app| {
        let settings = [("TRAMLINE_E2E_SECONDS", &*seconds.to_string())];
        let mut report = app.run_for(seconds + BESIDE, "accelerated", "soak", &settings)?;
        let (second, last) = (quarter(&report, 1), quarter(&report, 3));
        report["core KiB, second and last quarter"] = json!([second.round(), last.round()]);
        let folder = root.join(REPORTS);
        let text = format!("{report:#}\n");
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("tauri-soak.json"), text))
            .and_then(|()| fs::write(folder.join("tauri-soak.svg"), drawing(&report)))
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut shown = report.clone();
        shown[MEMORY] = Value::Null;
        println!("{shown:#}");
        let sound = ["doubled", "lost", "crashes of web processes", "pages off the ring"];
        let sound = sound.iter().all(|name| report[*name] == 0) && report["faults"] == json!([]);
        if !sound {
            return Err("something went wrong, see above".to_owned());
        }
        if last > second + GROWTH_KIB {
            return Err(format!("the core grew from {second:.0} to {last:.0} KiB"));
        }
        Ok(())
    })
    .exit_code()
}

/// Moments with the memory of the core and of the web processes, in seconds and KiB.
fn moments(report: &Value) -> Vec<[f64; 3]> {
    let list = report[MEMORY].as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(|row| [0, 1, 2].map(|at| row[at].as_f64().unwrap_or_default())).collect()
}

/// The core's mean memory in a quarter of the time, in KiB.
fn quarter(report: &Value, which: usize) -> f64 {
    let all = moments(report);
    let part = &all[all.len() * which / 4..all.len() * (which + 1) / 4];
    #[allow(clippy::cast_precision_loss, reason = "some hundred")]
    let count = part.len().max(1) as f64;
    part.iter().map(|row| row[1]).sum::<f64>() / count
}

/// Both lines over time, as SVG.
fn drawing(report: &Value) -> String {
    const WIDTH: f64 = 800.0;
    const HEIGHT: f64 = 300.0;
    const MARGIN: f64 = 50.0;
    let all = moments(report);
    let end = all.last().map_or(1.0, |row| row[0].max(1.0));
    let most = all.iter().map(|row| row[1].max(row[2])).fold(1024.0, f64::max) / 1024.0;
    let top = (most / 100.0).ceil() * 100.0;
    let across = |seconds: f64| MARGIN + seconds / end * WIDTH;
    let down = |mib: f64| MARGIN + HEIGHT - mib / top * HEIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\">Resident memory in MiB over {:.0} minutes, with a reload every \
         10 s and a kill every 60 s</text>\n",
        WIDTH + 2.0 * MARGIN,
        HEIGHT + 2.0 * MARGIN,
        end / 60.0,
    );
    for step in 0..=4 {
        let mib = top * f64::from(step) / 4.0;
        let (left, right, y) = (across(0.0), across(end), down(mib));
        // Writing into a text does not fail.
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {y}H{right}\" stroke=\"#ccc\"/><text x=\"10\" y=\"{y}\">{mib:.0}</text>"
        );
    }
    for (column, name, colour) in [(1, "core", "#06c"), (2, "web processes", "#c60")] {
        let points: Vec<String> = all
            .iter()
            .map(|row| format!("{:.1},{:.1}", across(row[0]), down(row[column] / 1024.0)))
            .collect();
        let x = across(0.0) + if column == 1 { 0.0 } else { 80.0 };
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>\n\
             <text x=\"{x}\" y=\"{}\" fill=\"{colour}\">{name}</text>",
            points.join(" "),
            HEIGHT + MARGIN + 30.0,
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_means_of_the_core_and_the_drawing_has_a_point_for_each_moment() {
        let rows: Vec<Value> = (0..8).map(|at| json!([at, at * 100, 1])).collect();
        let report = json!({ MEMORY: rows });
        assert!((quarter(&report, 1) - 250.0).abs() < 1e-9);
        assert!((quarter(&report, 3) - 650.0).abs() < 1e-9);
        assert_eq!(drawing(&report).matches(',').count() - 1, 16);
        assert!(drawing(&json!({})).ends_with("</svg>\n"), "no moments, no panic");
    }
}
