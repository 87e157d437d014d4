//! Values to bytes and back, without a connection: the codecs as the library uses them, beside
//! serde_json and rmp-serde as they come.

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use tramline::{AnyCodec, FrameWriter};
use tramline_benches::pair::CODECS;
use tramline_benches::shapes::{self, Args, RawBytes, Row};

/// What a transport's claim is like when all fits into it.
const SLOT_LEN: usize = 1 << 20;
/// Payload of the shape `bytes`.
const BYTES_LEN: usize = 64 << 10;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURE: Duration = Duration::from_secs(3);

/// A type that can be encoded and decoded; what it is decoded to may borrow from the input.
trait Shape: Serialize {
    type Decoded<'de>: Deserialize<'de>;
}

impl Shape for Args<'_> {
    type Decoded<'de> = Args<'de>;
}

impl Shape for RawBytes<'_> {
    type Decoded<'de> = RawBytes<'de>;
}

impl Shape for Vec<Row> {
    type Decoded<'de> = Self;
}

fn group<'a>(criterion: &'a mut Criterion, name: &str, encoded_len: usize) -> Group<'a> {
    let mut group = criterion.benchmark_group(name);
    group
        .warm_up_time(WARM_UP)
        .measurement_time(MEASURE)
        .throughput(Throughput::Bytes(encoded_len as u64));
    group
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn any_codec<S: Shape>(criterion: &mut Criterion, name: &str, value: &S, codec: AnyCodec) {
    let encoded = codec.to_vec(value).expect("encodes");
    println!("codec/{name}/{}: {} bytes", codec.name(), encoded.len());
    let name = format!("codec/{name}/{}", codec.name());
    let mut group = group(criterion, &name, encoded.len());
    let mut slot = vec![0; SLOT_LEN];
    group.bench_function("encode", |b| {
        b.iter(|| {
            let mut out = FrameWriter::new(black_box(&mut slot), usize::MAX);
            codec.encode(black_box(value), &mut out).expect("encodes");
            out.written()
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| {
            let value: S::Decoded<'_> = codec.decode(black_box(&encoded)).expect("decodes");
            black_box(&value);
        });
    });
}

fn plain_json<S: Shape>(criterion: &mut Criterion, name: &str, value: &S) {
    let encoded = serde_json::to_vec(value).expect("encodes");
    let mut group = group(criterion, &format!("codec/{name}/serde_json"), encoded.len());
    let mut out = Vec::with_capacity(SLOT_LEN);
    group.bench_function("encode", |b| {
        b.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(value)).expect("encodes");
            out.len()
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| {
            let value: S::Decoded<'_> =
                serde_json::from_slice(black_box(&encoded)).expect("decodes");
            black_box(&value);
        });
    });
}

fn plain_msgpack<S: Shape>(criterion: &mut Criterion, name: &str, value: &S) {
    let encoded = rmp_serde::to_vec_named(value).expect("encodes");
    let name = format!("codec/{name}/rmp-serde-named");
    let mut group = group(criterion, &name, encoded.len());
    let mut out = Vec::with_capacity(SLOT_LEN);
    group.bench_function("encode", |b| {
        b.iter(|| {
            out.clear();
            rmp_serde::encode::write_named(&mut out, black_box(value)).expect("encodes");
            out.len()
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| {
            let value: S::Decoded<'_> =
                rmp_serde::from_slice(black_box(&encoded)).expect("decodes");
            black_box(&value);
        });
    });
}

fn shape<S: Shape>(criterion: &mut Criterion, name: &str, value: &S) {
    for codec in CODECS {
        any_codec(criterion, name, value, codec);
    }
    plain_msgpack(criterion, name, value);
    plain_json(criterion, name, value);
}

fn codec(criterion: &mut Criterion) {
    shape(criterion, "args", &shapes::args());
    let bytes = shapes::bytes(BYTES_LEN);
    shape(criterion, "bytes", &RawBytes(Cow::Borrowed(&bytes)));
    shape(criterion, "table", &shapes::table());
}

criterion_group!(benches, codec);
criterion_main!(benches);
