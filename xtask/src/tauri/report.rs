//! What `cargo xtask tauri-bench` measured: each run's rows as lines of a file, and the table of a page.
//!
//! Ways (stock, parked, ..) and rows come from the reports. Only what the figures have to be is known
//! here.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

/// The way that all others are compared with.
const STOCK: &str = "stock";

/// What a figure has to be.
#[derive(Clone, Copy)]
enum Bound {
    /// So many times better than stock.
    Times(f64),
    /// Not above so many microseconds.
    AtMostUs(f64),
}

/// Row, way, bound. The first that fits counts; a row that is empty means every other.
const BOUNDS: &[(&str, &str, Bound)] = &[
    ("no arguments", "accelerated", Bound::Times(18.0)),
    ("no arguments", "parked", Bound::Times(4.5)),
    ("64 in flight, no arguments", "accelerated", Bound::Times(18.0)),
    ("64 in flight, no arguments", "parked", Bound::Times(18.0)),
    ("64 in flight, no arguments", "portable", Bound::Times(4.0)),
    ("events, 45 B", "accelerated", Bound::Times(18.0)),
    ("events, 45 B", "parked", Bound::Times(18.0)),
    ("events, 45 B", "portable", Bound::Times(9.0)),
    ("echo 1 KiB text", "accelerated", Bound::Times(8.0)),
    ("echo 64 KiB text", "accelerated", Bound::Times(4.0)),
    ("echo 64 KiB text", "parked", Bound::Times(4.0)),
    ("raw get 10 MiB", "accelerated", Bound::Times(20.0)),
    ("raw get 10 MiB", "parked", Bound::Times(20.0)),
    ("raw put 10 MiB", "accelerated", Bound::Times(10.0)),
    ("raw put 10 MiB", "parked", Bound::Times(10.0)),
    (TIMER, "accelerated", Bound::AtMostUs(10_000.0)),
    (TIMER, "parked", Bound::AtMostUs(10_000.0)),
    (TIMER, "portable", Bound::AtMostUs(f64::INFINITY)),
    (ADDED, "accelerated", Bound::AtMostUs(15.0)),
    (ADDED, "portable", Bound::AtMostUs(f64::INFINITY)),
    ("", "portable", Bound::Times(0.9)),
];

/// The row with the lateness of a timer.
const TIMER: &str = "16 ms timer meanwhile, late at most";

/// The row with what a forwarded call takes more than a local one.
const ADDED: &str = "forwarding adds";

/// Rows that say nothing as a ratio.
const NO_RATIO: [&str; 2] = [TIMER, ADDED];

/// Between these the page's table stands.
const MARKERS: [&str; 2] = ["<!-- tauri-bench: begin -->", "<!-- tauri-bench: end -->"];

/// One way, with the reports of its runs.
pub(super) type Runs<'a> = [(&'a str, Vec<Value>)];

/// The reports as lines, each a row of a run with the machine that it ran on.
pub(super) fn lines(runs: &Runs<'_>, quick: bool, facts: &Map<String, Value>) -> Vec<Value> {
    let mut lines = Vec::new();
    let most = runs.iter().map(|(_, reports)| reports.len()).max().unwrap_or(0);
    // In the order in which they were measured.
    for run in 0..most {
        for (mode, reports) in runs {
            let Some(report) = reports.get(run) else { continue };
            for (row, figures) in report["rows"].as_object().into_iter().flatten() {
                let mut line = Map::new();
                line.insert("bench".into(), json!("tauri"));
                line.insert("mode".into(), json!(mode));
                line.insert("run".into(), json!(run));
                line.insert("row".into(), json!(row));
                line.insert("quick".into(), json!(quick));
                line.extend(figures.as_object().into_iter().flatten().map(own));
                line.extend(facts.iter().map(own));
                lines.push(Value::Object(line));
            }
        }
    }
    lines
}

fn own((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// The machine, and the versions of what was measured.
pub(super) fn facts(root: &Path) -> Map<String, Value> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let cpu = info.lines().find(|line| line.starts_with("model name"));
    let cpu = cpu.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, value)| value);
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let webkit = std::process::Command::new("pkg-config")
        .args(["--modversion", "webkit2gtk-4.1"])
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let lock = fs::read_to_string(root.join("tauri/Cargo.lock")).unwrap_or_default();
    let lock: toml::Table = lock.parse().unwrap_or_default();
    let crates = lock.get("package").and_then(toml::Value::as_array);
    let tauri = crates.into_iter().flatten().find(|found| is_named(found, "tauri"));
    let tauri = tauri.and_then(|found| found.get("version")?.as_str()).unwrap_or("unknown");
    let facts = json!({
        "tauri": tauri,
        "webkitgtk": webkit.unwrap_or_default(),
        "cpu_model": cpu.trim(),
        "cores": cores,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    });
    facts.as_object().cloned().unwrap_or_default()
}

fn is_named(package: &toml::Value, name: &str) -> bool {
    package.get("name").and_then(toml::Value::as_str) == Some(name)
}

/// The figures as a Markdown table: a row for each load, a column for each way.
pub(super) fn table(lines: &[Value]) -> String {
    let mut rows = in_order(lines, "row");
    // What has to be something comes first.
    rows.sort_by_key(|row| BOUNDS.iter().position(|bound| bound.0 == *row).unwrap_or(BOUNDS.len()));
    let mut modes = in_order(lines, "mode");
    modes.retain(|mode| *mode != STOCK);
    let mut text = format!("| | {STOCK} | {} | has to be |\n", modes.join(" | "));
    let _ = writeln!(text, "|---|---|{}---|", "---|".repeat(modes.len()));
    for row in rows {
        let stock = Figure::of(lines, STOCK, row);
        let mut cells = vec![stock.map_or_else(|| "-".into(), |figure| figure.text())];
        let mut verdicts = Vec::new();
        for mode in &modes {
            let Some(figure) = Figure::of(lines, mode, row) else {
                cells.push("-".into());
                continue;
            };
            let times = times(lines, mode, row);
            let shown =
                times.filter(|_| !NO_RATIO.contains(&row)).map(|times| format!(", {times:.1}x"));
            cells.push(figure.text() + &shown.unwrap_or_default());
            verdicts.extend(verdict(row, mode, &figure, times));
        }
        let _ = writeln!(text, "| {row} | {} | {} |", cells.join(" | "), verdicts.join("; "));
    }
    text
}

/// What a row has to be for a way, and whether it is.
fn verdict(row: &str, mode: &str, figure: &Figure, times: Option<f64>) -> Option<String> {
    let fits = |(for_row, for_mode, _): &&(&str, &str, Bound)| {
        *for_mode == mode && (*for_row == row || for_row.is_empty())
    };
    let (text, met) = match BOUNDS.iter().find(fits)?.2 {
        Bound::Times(bound) => (format!("{mode} >= {bound}x"), times.is_some_and(|x| x >= bound)),
        Bound::AtMostUs(bound) if bound.is_infinite() => return None,
        Bound::AtMostUs(bound) => {
            let bound_text = if bound < 1000.0 {
                format!("{bound:.0} us")
            } else {
                format!("{:.0} ms", bound / 1000.0)
            };
            (format!("{mode} <= {bound_text}"), figure.middle <= bound)
        }
    };
    Some(if met { text } else { format!("**{text}: missed**") })
}

/// The values of a field, in the order in which they come first.
fn in_order<'a>(lines: &'a [Value], field: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in lines.iter().filter_map(|line| line[field].as_str()) {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// The medians of a row's runs.
struct Figure {
    is_time: bool,
    middle: f64,
    p99_us: Option<f64>,
}

impl Figure {
    fn of(lines: &[Value], mode: &str, row: &str) -> Option<Self> {
        let median_of = |field| median(values(lines, mode, row, field).map(|(_, x)| x).collect());
        let p50_us = median_of("p50_us");
        Some(Self {
            is_time: p50_us.is_some(),
            middle: p50_us.or_else(|| median_of("per_second"))?,
            p99_us: median_of("p99_us"),
        })
    }

    fn text(&self) -> String {
        match (self.is_time, self.p99_us) {
            (true, Some(p99)) if p99 > self.middle => {
                format!("{} us (p99 {})", plain(self.middle), plain(p99))
            }
            (true, _) => format!("{} us", plain(self.middle)),
            (false, _) => format!("{:.0}/s", self.middle),
        }
    }
}

/// How many times better than stock: the median of the runs, each against stock's run beside it.
fn times(lines: &[Value], mode: &str, row: &str) -> Option<f64> {
    let ratio = |field, base_over_value: bool| {
        let of_stock: Vec<_> = values(lines, STOCK, row, field).collect();
        let beside = |run| of_stock.iter().find(|(other, _)| *other == run).map(|(_, x)| *x);
        let found = values(lines, mode, row, field).filter_map(|(run, value)| {
            let base = beside(run)?;
            Some(if base_over_value { base / value } else { value / base })
        });
        median(found.filter(|ratio| ratio.is_finite()).collect())
    };
    ratio("p50_us", true).or_else(|| ratio("per_second", false))
}

/// A field of a row, with the number of the run.
fn values<'a>(
    lines: &'a [Value],
    mode: &'a str,
    row: &'a str,
    field: &'a str,
) -> impl Iterator<Item = (u64, f64)> + 'a {
    let fits = move |line: &&Value| line["mode"] == mode && line["row"] == row;
    lines
        .iter()
        .filter(fits)
        .filter_map(move |line| Some((line["run"].as_u64()?, line[field].as_f64()?)))
}

/// The middle one; the lower of two.
fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len().checked_sub(1)? / 2).copied()
}

fn plain(us: f64) -> String {
    if us >= 100.0 { format!("{us:.0}") } else { format!("{us:.1}") }
}

/// Writes the lines to a file, and their table into a page.
///
/// # Errors
///
/// A file cannot be read or written, or the page has no place for a table.
pub(super) fn write(lines: &[Value], out: &Path, page: &Path) -> Result<(), String> {
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(out, text).map_err(|e| format!("{}: {e}", out.display()))?;
    let before = fs::read_to_string(page).map_err(|e| format!("{}: {e}", page.display()))?;
    let after = with_table(&before, &shown(lines)).ok_or_else(|| {
        format!("{}: the lines `{}` are not there", page.display(), MARKERS.join("` and `"))
    })?;
    fs::write(page, after).map_err(|e| format!("{}: {e}", page.display()))
}

/// What stands between the markers.
fn shown(lines: &[Value]) -> String {
    let runs = in_order(lines, "mode").first().map_or(0, |mode| {
        lines
            .iter()
            .filter(|line| line["mode"] == *mode)
            .filter_map(|line| line["run"].as_u64())
            .max()
            .map_or(0, |last| last + 1)
    });
    let first = lines.first().unwrap_or(&Value::Null);
    let text = |field: &str| first[field].as_str().unwrap_or("unknown").to_owned();
    let quick = if first["quick"] == true { " --quick" } else { "" };
    format!(
        "`cargo xtask tauri-bench --runs {runs}{quick}`: medians of {runs} runs of each way, in turn. \
         {}, {} cores, kernel {}, WebKitGTK {}, tauri {}.\n\n{}",
        text("cpu_model"),
        first["cores"],
        text("kernel"),
        text("webkitgtk"),
        text("tauri"),
        table(lines)
    )
}

/// The page with other text between its markers.
fn with_table(page: &str, text: &str) -> Option<String> {
    let [begin, end] = MARKERS;
    let (head, rest) = page.split_once(begin)?;
    let (_, tail) = rest.split_once(end)?;
    Some(format!("{head}{begin}\n{}\n{end}{tail}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Vec<Value> {
        let report = |p50: f64, rate: f64| {
            json!({ "rows": {
                "no arguments": { "p50_us": p50, "p99_us": p50 * 2.0, "count": 5 },
                "events, 45 B": { "per_second": rate },
            } })
        };
        let runs = [
            ("stock", vec![report(300.0, 100.0), report(200.0, 100.0), report(900.0, 100.0)]),
            ("accelerated", vec![report(10.0, 900.0), report(10.0, 800.0), report(9.0, 1900.0)]),
        ];
        lines(&runs, false, &Map::new())
    }

    #[test]
    fn table_has_medians_of_runs_side_by_side_and_says_what_is_missed() {
        assert_eq!(
            table(&measured()),
            "| | stock | accelerated | has to be |\n\
             |---|---|---|---|\n\
             | no arguments | 300 us (p99 600) | 10.0 us (p99 20.0), 30.0x | accelerated >= 18x |\n\
             | events, 45 B | 100/s | 900/s, 9.0x | **accelerated >= 18x: missed** |\n"
        );
    }

    #[test]
    fn a_row_without_a_line_of_its_own_has_the_one_of_its_way() {
        let figure = Figure { is_time: true, middle: 10.0, p99_us: None };
        let found = |row, mode| verdict(row, mode, &figure, Some(2.0));
        assert_eq!(found("another", "portable").as_deref(), Some("portable >= 0.9x"));
        assert_eq!(found("another", "accelerated"), None);
        assert_eq!(found(TIMER, "portable"), None);
        assert_eq!(found(TIMER, "parked").as_deref(), Some("parked <= 10 ms"));
        assert_eq!(found(ADDED, "portable"), None);
        assert_eq!(found(ADDED, "accelerated").as_deref(), Some("accelerated <= 15 us"));
        let slow = Figure { middle: 15.1, ..figure };
        let missed = verdict(ADDED, "accelerated", &slow, None);
        assert_eq!(missed.as_deref(), Some("**accelerated <= 15 us: missed**"));
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let [begin, end] = MARKERS;
        let page = format!("# A\n\n{begin}\nold\n{end}\n\nmore\n");
        let after = with_table(&page, "new\n\n");
        assert_eq!(after.as_deref(), Some(&*format!("# A\n\n{begin}\nnew\n{end}\n\nmore\n")));
        assert_eq!(with_table("no markers", "new"), None);
    }
}
