//! Values to bytes and back, without a connection: the codecs as the library uses them, beside
//! serde_json, rmp-serde and postcard as they come.
//!
//! At the end stands a table of ours against theirs. Its lines are measured turn by turn, and the
//! fastest turn counts, so that a busy machine disturbs both alike. `-- --ratios` makes only that.

use std::borrow::Cow;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group};
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

fn plain_postcard<S: Shape>(criterion: &mut Criterion, name: &str, value: &S) {
    let encoded = postcard::to_stdvec(value).expect("encodes");
    println!("codec/{name}/postcard: {} bytes", encoded.len());
    let mut group = group(criterion, &format!("codec/{name}/postcard"), encoded.len());
    let mut out = vec![0; SLOT_LEN];
    group.bench_function("encode", |b| {
        b.iter(|| postcard::to_slice(black_box(value), &mut out).expect("encodes").len());
    });
    group.bench_function("decode", |b| {
        b.iter(|| {
            let value: S::Decoded<'_> = postcard::from_bytes(black_box(&encoded)).expect("decodes");
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
    plain_postcard(criterion, name, value);
}

fn codec(criterion: &mut Criterion) {
    shape(criterion, "args", &shapes::args());
    let bytes = shapes::bytes(BYTES_LEN);
    shape(criterion, "bytes", &RawBytes(Cow::Borrowed(&bytes)));
    shape(criterion, "table", &shapes::table());
}

/// Turns of each line of the table.
const TURNS: u32 = 60;
/// About how long one takes.
const TURN: Duration = Duration::from_millis(2);

/// One way of encoding or decoding a value.
type Work<'w> = Box<dyn FnMut() + 'w>;

/// The fastest of many turns of each work, in nanoseconds for one.
fn fastest<const N: usize>(mut works: [Work<'_>; N]) -> [f64; N] {
    let counts = works.each_mut().map(|work| {
        let start = Instant::now();
        let mut count = 0_u32;
        while start.elapsed() < TURN {
            work();
            count += 1;
        }
        count
    });
    let mut best = [f64::INFINITY; N];
    for _ in 0..TURNS {
        for ((work, count), best) in works.iter_mut().zip(counts).zip(&mut best) {
            let start = Instant::now();
            (0..count).for_each(|_| work());
            *best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(count));
        }
    }
    best
}

fn encode_ours<S: Shape>(codec: AnyCodec, value: &S) -> Work<'_> {
    let mut slot = vec![0; SLOT_LEN];
    Box::new(move || {
        let mut out = FrameWriter::new(black_box(&mut slot), usize::MAX);
        codec.encode(black_box(value), &mut out).expect("encodes");
        black_box(out.written());
    })
}

fn encode_theirs<'w>(mut encode: impl FnMut(&mut Vec<u8>) + 'w) -> Work<'w> {
    let mut out = Vec::with_capacity(SLOT_LEN);
    Box::new(move || {
        out.clear();
        encode(&mut out);
        black_box(out.len());
    })
}

fn ratios<S: Shape>(name: &str, value: &S) {
    let packed = rmp_serde::to_vec_named(value).expect("encodes");
    let json = serde_json::to_vec(value).expect("encodes");
    let terse = postcard::to_stdvec(value).expect("encodes");
    let decode_ours = |codec: AnyCodec, encoded: &[u8]| {
        black_box(codec.decode::<S::Decoded<'_>>(black_box(encoded)).expect("decodes"));
    };
    let mut slot = vec![0; SLOT_LEN];
    let [ours, rmp, ours_json, theirs_json, post] = fastest([
        encode_ours(AnyCodec::MSGPACK, value),
        encode_theirs(|out| {
            rmp_serde::encode::write_named(out, black_box(value)).expect("encodes")
        }),
        encode_ours(AnyCodec::JSON, value),
        encode_theirs(|out| serde_json::to_writer(out, black_box(value)).expect("encodes")),
        Box::new(|| {
            black_box(postcard::to_slice(black_box(value), &mut slot).expect("encodes").len());
        }),
    ]);
    let decoded = fastest([
        Box::new(|| decode_ours(AnyCodec::MSGPACK, &packed)) as Work<'_>,
        Box::new(|| {
            let value: S::Decoded<'_> = rmp_serde::from_slice(black_box(&packed)).expect("decodes");
            black_box(&value);
        }),
        Box::new(|| decode_ours(AnyCodec::JSON, &json)),
        Box::new(|| {
            let value: S::Decoded<'_> = serde_json::from_slice(black_box(&json)).expect("decodes");
            black_box(&value);
        }),
        Box::new(|| {
            let value: S::Decoded<'_> = postcard::from_bytes(black_box(&terse)).expect("decodes");
            black_box(&value);
        }),
    ]);
    let encoded = [ours, rmp, ours_json, theirs_json, post];
    let lens = [packed.len(), packed.len(), json.len(), json.len(), terse.len()];
    let names = ["msgpack", "rmp-serde named", "json", "serde_json", "postcard"];
    for (line, codec) in names.into_iter().enumerate() {
        let (encode, decode) = (encoded[line], decoded[line]);
        let (len, both) = (lens[line], encode + decode);
        print!("{name:6}  {codec:16}{len:8} bytes {encode:12.1} {decode:12.1} {both:12.1}");
        match line {
            // Ours stand before theirs.
            0 | 2 => println!("  {:.2}", both / (encoded[line + 1] + decoded[line + 1])),
            _ => println!(),
        }
    }
}

fn all_ratios() {
    println!(
        "shape   codec               length    encode ns    decode ns      both ns  ours/theirs"
    );
    ratios("args", &shapes::args());
    let bytes = shapes::bytes(BYTES_LEN);
    ratios("bytes", &RawBytes(Cow::Borrowed(&bytes)));
    ratios("table", &shapes::table());
}

criterion_group!(benches, codec);

fn main() {
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    if !asked("--ratios") {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
    // Not where everything is only tried once.
    if asked("--bench") {
        all_ratios();
    }
}
