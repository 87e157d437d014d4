//! The same figures for people and for programs.

use std::io::Write;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::HumanCount;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::args::{Args, What};
use super::machine::{Machine, Pinning};
use super::window::{Burst, Figures};
use crate::failure::Failure;
use crate::report::one_line;

/// One figure or fact.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Text(String),
    Count(u64),
    Number(f64),
    Flag(bool),
    /// Has no meaning here, or nothing was measured.
    None,
}

/// Named figures, in order. The last part of a name is its unit.
#[derive(Debug, Clone)]
pub(crate) struct Line(Vec<(&'static str, Value)>);

impl Line {
    /// What was asked for.
    pub(crate) fn new(args: &Args) -> Self {
        let mut line = Self(Vec::new());
        let bare = matches!(args.what, What::Floor | What::Ring);
        line.text("bench", args.what.name());
        line.text("transport", args.transport.scheme().name());
        let codec = if bare { "none" } else { args.codec.codec().name() };
        line.text("codec", codec);
        line.count("payload", args.payload_len() as u64);
        line.count("inflight", args.inflight() as u64);
        line.count("threads", args.threads() as u64);
        line.count("connections", args.connections() as u64);
        line.text("wait", args.wait.name());
        line
    }

    pub(crate) fn text(&mut self, name: &'static str, text: &str) {
        self.put(name, Value::Text(text.into()));
    }

    pub(crate) fn count(&mut self, name: &'static str, count: u64) {
        self.put(name, Value::Count(count));
    }

    pub(crate) fn number(&mut self, name: &'static str, number: Option<f64>) {
        let number = number.filter(|number| number.is_finite());
        self.put(name, number.map_or(Value::None, Value::Number));
    }

    /// Adds a figure, or replaces the one that has this name.
    fn put(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(there, _)| *there == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Times and rates of what was measured, beside the floor.
    pub(crate) fn burst(&mut self, burst: &Burst, payload_len: usize, floor: &Burst) {
        let per_s = burst.per_second();
        self.count("n", burst.count);
        self.number("p50_ns", burst.p50_ns());
        self.number("p90_ns", burst.quantile_ns(0.9));
        self.number("p99_ns", burst.quantile_ns(0.99));
        self.number("p999_ns", burst.quantile_ns(0.999));
        self.number("per_s", per_s);
        self.number("bytes_per_s", per_s.map(|rate| rate * payload_len as f64));
        self.number("floor_p50_ns", floor.p50_ns());
        self.number("ratio_p50", ratio(burst.p50_ns(), floor.p50_ns()));
        self.number("floor_p99_ns", floor.quantile_ns(0.99));
        self.number("ratio_p99", ratio(burst.quantile_ns(0.99), floor.quantile_ns(0.99)));
        self.number("ratio_p99_floor_p50", ratio(burst.quantile_ns(0.99), floor.p50_ns()));
    }

    /// How the run went.
    pub(crate) fn windows(&mut self, figures: &Figures) {
        self.number("floor_batch_ns", Some(figures.floor_batch_ns));
        self.count("windows", figures.windows);
        self.count("windows_apart", figures.apart);
        self.put("steady", Value::Flag(figures.steady));
    }
}

/// `a / b`, if there are both.
pub(crate) fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? / b.filter(|b| *b > 0.0)?)
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

pub(crate) fn print(
    args: &Args,
    pinning: &Pinning,
    lines: &[Line],
    out: &mut impl Write,
) -> Result<(), Failure> {
    let machine = Machine::look();
    if !args.json {
        let Machine { cpu, cores, kernel } = &machine;
        writeln!(out, "machine  {}, {cores} cores, Linux {}", one_line(cpu), one_line(kernel))?;
        writeln!(out, "pinning  {pinning}")?;
        for line in lines {
            writeln!(out, "{}", table(line))?;
        }
        return Ok(out.flush()?);
    }
    for line in lines {
        let mut line = line.clone();
        line.number("seconds", Some(args.time().as_secs_f64()));
        line.text("cpus", &pinning.to_string());
        line.text("cpu_model", &machine.cpu);
        line.count("cores", machine.cores);
        line.text("kernel", &machine.kernel);
        let json = tramline::AnyCodec::JSON.to_vec(&line)?;
        out.write_all(&json)?;
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

fn table(line: &Line) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in &line.0 {
        let shown = shown(name, value);
        if !shown.is_empty() {
            table.add_row([(*name).to_owned(), shown]);
        }
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn shown(name: &str, value: &Value) -> String {
    match value {
        Value::None => String::new(),
        Value::Text(text) => text.clone(),
        Value::Flag(flag) => if *flag { "yes" } else { "no" }.into(),
        Value::Count(count) => HumanCount(*count).to_string(),
        Value::Number(number) if name.ends_with("_ns") => time(*number),
        Value::Number(number) if name.ends_with("bytes_per_s") => {
            format!("{:.1} MB/s", number / 1e6)
        }
        Value::Number(number) if number.abs() >= 1000.0 => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "`as` saturates, and the fraction of a rate is of no interest"
            )]
            let whole = *number as u64;
            HumanCount(whole).to_string()
        }
        Value::Number(number) => format!("{number:.4}"),
    }
}

fn time(ns: f64) -> String {
    if ns < 1e3 {
        format!("{ns:.0} ns")
    } else if ns < 1e6 {
        format!("{:.2} us", ns / 1e3)
    } else {
        format!("{:.2} ms", ns / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_order_and_what_is_missing_is_null() {
        let mut line = Line(Vec::new());
        line.text("z", "a\"b");
        line.count("n", 3);
        line.number("p50_ns", Some(1.5));
        line.number("p99_ns", None);
        line.number("ratio", Some(f64::NAN));
        line.count("n", 4);
        let json = tramline::AnyCodec::JSON.to_vec(&line).expect("encodes");
        let text = String::from_utf8(json).expect("text");
        assert_eq!(text, r#"{"z":"a\"b","n":4,"p50_ns":1.5,"p99_ns":null,"ratio":null}"#);
    }

    #[test]
    fn people_get_units() {
        assert_eq!(shown("p50_ns", &Value::Number(511.0)), "511 ns");
        assert_eq!(shown("p50_ns", &Value::Number(51_100.0)), "51.10 us");
        assert_eq!(shown("per_s", &Value::Number(1_234_567.8)), "1,234,567");
        assert_eq!(shown("ratio_p50", &Value::Number(3.65)), "3.6500");
        assert_eq!(shown("p50_ns", &Value::None), "");
    }
}
