//! What criterion has measured.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tramline_benches::pair::{CODECS, TRANSPORTS, Transport};
use tramline_benches::shapes::PAYLOAD_LENS;

use crate::{human, machine, rate, size, times_as_long};

const FLOOR: &str = "invoke/floor";

/// One bench, times in nanoseconds per iteration.
#[derive(Debug, Clone, Copy)]
struct Figure {
    median: f64,
    lower: f64,
    upper: f64,
    samples: usize,
    throughput: Option<Throughput>,
}

type Figures = BTreeMap<String, Figure>;

#[derive(Debug, Deserialize)]
struct BenchmarkJson {
    full_id: String,
    throughput: Option<Throughput>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Throughput {
    Bytes(f64),
    Elements(f64),
}

#[derive(Debug, Deserialize)]
struct EstimatesJson {
    median: Estimate,
}

#[derive(Debug, Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Debug, Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

#[derive(Debug, Deserialize)]
struct SampleJson {
    iters: Vec<f64>,
}

/// Prints the report on everything below `folder`.
pub(crate) fn report(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut figures = Figures::new();
    read(folder, &mut figures).map_err(|e| format!("{}: {e}", folder.display()))?;
    if figures.is_empty() {
        let text = "no figures; run `cargo bench -p tramline-benches` first, or name the folder";
        return Err(format!("{}: {text}", folder.display()).into());
    }
    println!("# Figures by criterion\n");
    machine::print();
    println!("Made by `cargo bench -p tramline-benches` and `tramline-bench-report`.\n");
    println!(
        "Times are medians over the samples, per call or per event; a sample is the mean of many, \
         so they say nothing about single calls. Two samples mean a run with `--quick`. \
         The other side is a second process, except for `mem`."
    );
    let floor = figures.get(FLOOR).copied();
    if let Some(floor) = floor {
        let (lower, upper) = (human(floor.lower), human(floor.upper));
        println!(
            "\nThe floor is **{}** ({lower} to {upper}): one cache line that two threads write in \
             turn, there and back, no clock in between. `x floor` is the time over that.",
            human(floor.median)
        );
    }
    let floor = floor.map(|floor| floor.median);
    if figures.keys().any(|id| id.starts_with("invoke/")) {
        println!("\n## invoke\n");
        println!(
            "One call after the other, `echo({{ id, data }})` answered with the same by an inline \
             command. MB/s counts the payload there and back.\n"
        );
        connection_table(&figures, floor, "invoke", &PAYLOAD_LENS);
    }
    for (group, text) in [
        (
            "event",
            "Emitted by the other process, handled in order by a listener here; from the request \
             that starts the batch to the last event handled.",
        ),
        (
            "event-up",
            "Emitted here; from the first event to the answer of a call that asks how many have \
             come.",
        ),
    ] {
        if figures.keys().any(|id| id.starts_with(&format!("{group}/"))) {
            println!("\n## {group}\n\n{text}\n");
            connection_table(&figures, floor, group, &PAYLOAD_LENS);
        }
    }
    if figures.keys().any(|id| id.starts_with("codec/")) {
        println!("\n## codec\n");
        println!(
            "`msgpack` and `json` are the library's codecs writing into a claim; the others are \
             the crates beneath them, as they come, writing into a `Vec`.\n"
        );
        codec_table(&figures);
    }
    Ok(())
}

fn read(folder: &Path, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if path.ends_with("new") && path.join("estimates.json").exists() {
            let bench: BenchmarkJson = json(&path.join("benchmark.json"))?;
            let EstimatesJson { median } = json(&path.join("estimates.json"))?;
            let sample: SampleJson = json(&path.join("sample.json"))?;
            let figure = Figure {
                median: median.point_estimate,
                lower: median.confidence_interval.lower_bound,
                upper: median.confidence_interval.upper_bound,
                samples: sample.iters.len(),
                throughput: bench.throughput,
            };
            figures.insert(bench.full_id, figure);
        } else {
            read(&path, figures)?;
        }
    }
    Ok(())
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, Box<dyn Error>> {
    let text = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))?)
}

/// The time of one call or one event.
fn each(figure: &Figure) -> Figure {
    let elements = match figure.throughput {
        Some(Throughput::Elements(elements)) => elements,
        _ => 1.0,
    };
    Figure {
        median: figure.median / elements,
        lower: figure.lower / elements,
        upper: figure.upper / elements,
        ..*figure
    }
}

/// One row per codec, payload and transport, so that transports stand next to each other.
fn connection_table(figures: &Figures, floor: Option<f64>, group: &str, lens: &[usize]) {
    println!(
        "| codec | payload | transport | median | 95 % interval | samples | per second | MB/s \
         | x floor | pipe / shm |"
    );
    println!("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let find = |transport: Transport, codec: &str, len: usize| {
        let id = format!("{group}/{}/{codec}/{len}", transport.name());
        figures.get(&id).map(each)
    };
    for codec in CODECS.map(|codec| codec.name()) {
        for &len in lens {
            let gain = find(Transport::Shm, codec, len)
                .zip(find(Transport::Pipe, codec, len))
                .map_or_else(String::new, |(shm, pipe)| times_as_long(pipe.median / shm.median));
            for transport in TRANSPORTS {
                let Some(figure) = find(transport, codec, len) else {
                    continue;
                };
                let per_second = 1e9 / figure.median;
                let ways = if group == "invoke" { 2.0 } else { 1.0 };
                #[allow(clippy::cast_precision_loss, reason = "at most 1 MiB")]
                let megabytes = ways * len as f64 * per_second / 1e6;
                println!(
                    "| {codec} | {} | {} | {} | {} to {} | {} | {} | {} | {} | {} |",
                    size(len),
                    transport.name(),
                    human(figure.median),
                    human(figure.lower),
                    human(figure.upper),
                    figure.samples,
                    rate(per_second),
                    if len == 0 { String::new() } else { format!("{megabytes:.0}") },
                    floor.map_or_else(String::new, |floor| times_as_long(figure.median / floor)),
                    if transport == Transport::Shm { gain.as_str() } else { "" },
                );
            }
        }
    }
}

fn codec_table(figures: &Figures) {
    println!("| shape | codec | bytes | encode | decode |");
    println!("| --- | --- | ---: | ---: | ---: |");
    for shape in ["args", "bytes", "table"] {
        for codec in
            ["msgpack", "rmp-serde-named", "json", "serde_json", "postcard", "postcard-crate"]
        {
            let find = |what: &str| figures.get(&format!("codec/{shape}/{codec}/{what}"));
            let (encode, decode) = (find("encode"), find("decode"));
            let Some(any) = encode.or(decode) else {
                continue;
            };
            let bytes = match any.throughput {
                Some(Throughput::Bytes(bytes)) => bytes.to_string(),
                _ => String::new(),
            };
            let time = |figure: Option<&Figure>| {
                figure.map_or_else(String::new, |figure| match figure.median {
                    // Borrowing takes a few nanoseconds: whole ones would hide the difference.
                    ns @ ..100.0 => format!("{ns:.1} ns"),
                    ns => human(ns),
                })
            };
            println!("| {shape} | {codec} | {bytes} | {} | {} |", time(encode), time(decode));
        }
    }
}
