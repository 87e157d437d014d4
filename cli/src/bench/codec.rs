//! Values to bytes and back, in this process and without a connection.

use std::borrow::Cow;
use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tramline::{AnyCodec, FrameWriter};

use super::args::Args;
use super::pair::Pair;
use super::peer::{BlockRef, bytes};
use super::report::Line;
use super::window::{self, Measure, median, time_each};
use crate::failure::Failure;

/// Bytes of the claim that is written into: everything here fits.
const SLOT_LEN: usize = 32 << 20;
/// Encodings, or decodings, of one batch.
const BATCH: u32 = 100;
/// From here on, in bytes, a value takes so long that it needs no batch.
const LARGE: usize = 16 << 10;
/// Three shapes in two codecs share the time.
const LINES: u32 = 6;
/// Rows of the table.
const ROWS: u64 = 1000;

/// Arguments as a command has them: five fields, a nested pair and three strings among them.
#[derive(Debug, Serialize, Deserialize)]
struct Arguments<'a> {
    id: u64,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow)]
    query: Cow<'a, str>,
    #[serde(borrow)]
    mode: Cow<'a, str>,
    range: Range,
}

#[derive(Debug, Serialize, Deserialize)]
struct Range {
    first: u32,
    last: u32,
}

/// One row of the table.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    id: u64,
    name: String,
    score: f64,
    active: bool,
    tags: Vec<String>,
}

/// A type that can be encoded and decoded; what it is decoded to may borrow from the input.
trait Shape: Serialize {
    type Decoded<'de>: Deserialize<'de>;
}

impl Shape for BlockRef<'_> {
    type Decoded<'de> = BlockRef<'de>;
}

impl Shape for Arguments<'_> {
    type Decoded<'de> = Arguments<'de>;
}

impl Shape for Vec<Row> {
    type Decoded<'de> = Self;
}

pub(crate) fn measure(args: &Args, pair: &mut Pair) -> Result<Vec<Line>, Failure> {
    let data = bytes(args.payload_len());
    let call = BlockRef::new(1, &data);
    let arguments = arguments();
    let table = table();
    let mut lines = Vec::new();
    for codec in [AnyCodec::MSGPACK, AnyCodec::JSON] {
        lines.push(shape(args, pair, codec, "call", &call)?);
        lines.push(shape(args, pair, codec, "args", &arguments)?);
        lines.push(shape(args, pair, codec, "table", &table)?);
    }
    Ok(lines)
}

fn shape<S: Shape>(
    args: &Args,
    pair: &mut Pair,
    codec: AnyCodec,
    name: &str,
    value: &S,
) -> Result<Line, Failure> {
    let encoded = codec.to_vec(value)?;
    let mut slot = vec![0; SLOT_LEN.min(2 * encoded.len() + 1024)];
    let mut encode = || -> Result<(), Failure> {
        let mut out = FrameWriter::new(black_box(&mut slot), usize::MAX);
        codec.encode(black_box(value), &mut out)?;
        black_box(out.written());
        Ok(())
    };
    let decode = || -> Result<(), Failure> {
        let value: S::Decoded<'_> = codec.decode(black_box(&encoded))?;
        black_box(&value);
        Ok(())
    };
    let batch = if encoded.len() > LARGE { 1 } else { BATCH };
    let (mut encode_ns, mut decode_ns) = (Vec::new(), Vec::new());
    let mut measures: [Measure<'_>; 1] = [Box::new(|pair, slice| {
        let both = time_each(&mut pair.samples, slice / 3, |_| {
            encode()?;
            decode()
        })?;
        batches(&mut encode_ns, slice / 3, batch, &mut encode)?;
        batches(&mut decode_ns, slice / 3, batch, decode)?;
        Ok(both)
    })];
    let figures = window::run(args.time() / LINES, pair, u32::MAX, &mut measures)?;
    drop(measures);
    let both = &figures.series[0];
    let mut line = Line::new(args);
    line.text("transport", "none");
    line.text("codec", codec.name());
    line.count("payload", encoded.len() as u64);
    line.burst(both, encoded.len(), &figures.floor);
    line.text("shape", name);
    line.count("bytes", encoded.len() as u64);
    line.number("encode_ns", Some(median(&mut encode_ns)));
    line.number("decode_ns", Some(median(&mut decode_ns)));
    line.windows(&figures);
    Ok(line)
}

/// Nanoseconds of one, as means of batches: the clock costs as much as a small value.
fn batches(
    means: &mut Vec<f64>,
    slice: Duration,
    batch: u32,
    mut once: impl FnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        let before = Instant::now();
        for _ in 0..batch {
            once()?;
        }
        means.push(before.elapsed().as_secs_f64() * 1e9 / f64::from(batch));
        if start.elapsed() >= slice {
            return Ok(());
        }
    }
}

fn arguments() -> Arguments<'static> {
    Arguments {
        id: 918_273_645,
        path: "src/link/runner.rs".into(),
        query: "fn handle_request".into(),
        mode: "regex".into(),
        range: Range { first: 128, last: 4096 },
    }
}

fn table() -> Vec<Row> {
    let words = ["new", "paid", "urgent", "archived"];
    (0..ROWS)
        .map(|i| Row {
            id: 1_000_000 + i * 37,
            name: format!("customer {:05} of the north-west", i * 7919 % 100_000),
            score: f64::from(u32::try_from(i).unwrap_or_default()) * 0.137 + 0.5,
            active: i % 3 != 0,
            tags: (0..i % 4).zip(words).map(|(_, word)| word.to_owned()).collect(),
        })
        .collect()
}
