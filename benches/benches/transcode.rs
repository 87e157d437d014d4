//! MessagePack to JSON text and back, beside serde_json on the same data.
//!
//! `cargo bench -p tramline-benches --bench transcode`

use std::hint::black_box;
use std::io;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use serde::Serialize;
use tramline::AnyCodec;
use tramline::compat_json::{JsonForm, Transcoder, from_json, to_json};
use tramline_benches::shapes::{self, Row};

/// MessagePack of the large table, at least.
const LARGE_LEN: usize = 1 << 20;
/// Payload of the shape `bytes`.
const BYTES_LEN: usize = 64 << 10;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURE: Duration = Duration::from_secs(3);

fn group<'a>(
    criterion: &'a mut Criterion,
    name: String,
    packed: &[u8],
) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    // Both ways count the same bytes, so that the rates can be compared.
    group
        .warm_up_time(WARM_UP)
        .measurement_time(MEASURE)
        .throughput(Throughput::Bytes(packed.len() as u64));
    group
}

fn shape<S: Serialize>(criterion: &mut Criterion, name: &str, value: &S) {
    let packed = AnyCodec::MSGPACK.to_vec(value).expect("encodes");
    let text = serde_json::to_string(value).expect("encodes");
    println!("transcode/{name}: {} bytes of MessagePack, {} of JSON", packed.len(), text.len());
    assert_eq!(to_json(AnyCodec::MSGPACK, &packed).expect("good"), text);

    let mut to = group(criterion, format!("transcode/{name}/to-json"), &packed);
    let mut out = Vec::with_capacity(2 * text.len());
    // serde_json's own writer, from the value in memory: the measure.
    to.bench_function("serde_json", |b| {
        b.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(value)).expect("encodes");
            out.len()
        });
    });
    to.bench_function("transcoder", |b| {
        b.iter(|| {
            out.clear();
            let mut input =
                Transcoder::msgpack_to_json(black_box(&packed[..]), JsonForm::default());
            input.next_value(&mut out).expect("good");
            out.len()
        });
    });
    to.bench_function("to_json", |b| {
        b.iter(|| to_json(AnyCodec::MSGPACK, black_box(&packed)).expect("good").len());
    });
    to.finish();

    let mut from = group(criterion, format!("transcode/{name}/from-json"), &packed);
    from.bench_function("from_json", |b| {
        b.iter(|| from_json(AnyCodec::MSGPACK, black_box(&text)).expect("good").len());
    });
    from.bench_function("transcoder", |b| {
        b.iter(|| {
            let mut input = Transcoder::json_to_msgpack(black_box(text.as_bytes()));
            input.next_value(&mut io::sink()).expect("good")
        });
    });
    // The same text looked at and forgotten.
    from.bench_function("serde_json-ignored", |b| {
        b.iter(|| serde_json::from_str::<serde::de::IgnoredAny>(black_box(&text)).expect("good"));
    });
    from.finish();
}

fn transcode(criterion: &mut Criterion) {
    shape(criterion, "args", &shapes::args());
    let table = shapes::table();
    let len = AnyCodec::MSGPACK.to_vec(&table).expect("encodes").len();
    let times = LARGE_LEN.div_ceil(len);
    let large: Vec<Row> = (0..times).flat_map(|_| table.iter().cloned()).collect();
    shape(criterion, "table", &table);
    shape(criterion, "table-1MiB", &large);
    let bytes = shapes::bytes(BYTES_LEN);
    shape(criterion, "bytes", &shapes::RawBytes(bytes.into()));
}

criterion_group!(benches, transcode);
criterion_main!(benches);
