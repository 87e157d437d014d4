//! Values to bytes and back, without a connection: the codecs as the library uses them, beside
//! serde_json, rmp-serde and postcard as they come. With `--features postcard` also the library's own
//! codec of that name.
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
use tramline_benches::shapes::{self, Args, RawBytes, Row};

/// The library's codecs.
const OURS: &[AnyCodec] = &[
    AnyCodec::MSGPACK,
    AnyCodec::JSON,
    #[cfg(feature = "postcard")]
    AnyCodec::POSTCARD,
];

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
    println!("codec/{name}/postcard-crate: {} bytes", encoded.len());
    let mut group = group(criterion, &format!("codec/{name}/postcard-crate"), encoded.len());
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
    for codec in OURS {
        any_codec(criterion, name, value, *codec);
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
fn fastest(mut works: Vec<Work<'_>>) -> Vec<f64> {
    let count = |work: &mut Work<'_>| {
        let start = Instant::now();
        let mut count = 0_u32;
        while start.elapsed() < TURN {
            work();
            count += 1;
        }
        count
    };
    let counts: Vec<_> = works.iter_mut().map(count).collect();
    let mut best = vec![f64::INFINITY; works.len()];
    for _ in 0..TURNS {
        for ((work, count), best) in works.iter_mut().zip(&counts).zip(&mut best) {
            let start = Instant::now();
            (0..*count).for_each(|_| work());
            *best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(*count));
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

fn decode_ours<'w, S: Shape>(codec: AnyCodec, encoded: &'w [u8]) -> Work<'w> {
    Box::new(move || {
        black_box(codec.decode::<S::Decoded<'_>>(black_box(encoded)).expect("decodes"));
    })
}

fn decode_theirs<'w, S: Shape>(decode: impl Fn() -> S::Decoded<'w> + 'w) -> Work<'w> {
    Box::new(move || {
        black_box(decode());
    })
}

fn ratios<S: Shape>(shape: &str, value: &S) {
    let packed = rmp_serde::to_vec_named(value).expect("encodes");
    let json = serde_json::to_vec(value).expect("encodes");
    let terse = postcard::to_stdvec(value).expect("encodes");
    let mut slot = vec![0; SLOT_LEN];
    let theirs: [(_, &[u8], Work<'_>, Work<'_>); 3] = [
        (
            "rmp-serde named",
            &packed,
            encode_theirs(|out| {
                rmp_serde::encode::write_named(out, black_box(value)).expect("encodes");
            }),
            decode_theirs::<S>(|| rmp_serde::from_slice(black_box(&packed)).expect("decodes")),
        ),
        (
            "serde_json",
            &json,
            encode_theirs(|out| serde_json::to_writer(out, black_box(value)).expect("encodes")),
            decode_theirs::<S>(|| serde_json::from_slice(black_box(&json)).expect("decodes")),
        ),
        (
            "postcard crate",
            &terse,
            Box::new(|| {
                black_box(postcard::to_slice(black_box(value), &mut slot).expect("encodes").len());
            }),
            decode_theirs::<S>(|| postcard::from_bytes(black_box(&terse)).expect("decodes")),
        ),
    ];
    // Ours stand before theirs.
    let (mut lines, mut encodes, mut decodes) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (name, encoded, encode, decode)) in theirs.into_iter().enumerate() {
        if let Some(codec) = OURS.get(index) {
            lines.push((codec.name(), encoded.len(), true));
            encodes.push(encode_ours(*codec, value));
            decodes.push(decode_ours::<S>(*codec, encoded));
        }
        lines.push((name, encoded.len(), false));
        encodes.push(encode);
        decodes.push(decode);
    }
    let (encoded, decoded) = (fastest(encodes), fastest(decodes));
    for (index, (codec, len, is_ours)) in lines.into_iter().enumerate() {
        let (encode, decode) = (encoded[index], decoded[index]);
        let both = encode + decode;
        print!("{shape:6}  {codec:16}{len:8} bytes {encode:12.1} {decode:12.1} {both:12.1}");
        if is_ours {
            print!("  {:.2}", both / (encoded[index + 1] + decoded[index + 1]));
        }
        println!();
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
