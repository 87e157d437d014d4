//! Events in batches: from the other process to this one, and back up.

use std::process::Command;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group,
    criterion_main,
};
use tramline::AnyCodec;
use tramline_benches::events::{Down, Up};
use tramline_benches::pair::{CODECS, Pair, TRANSPORTS, Transport};
use tramline_benches::peer::Emission;
use tramline_benches::shapes::{self, PAYLOAD_LENS};

/// Payload of the events from client to server, in bytes.
const UP_LEN: usize = 64;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURE: Duration = Duration::from_secs(3);

/// Events in one batch: enough that the request that starts it does not count, few enough that a
/// batch takes tens of milliseconds.
fn batch(len: usize, codec: AnyCodec) -> u64 {
    match (len, codec == AnyCodec::JSON) {
        (..=1024, _) => 1000,
        (..=65_536, false) => 200,
        (..=65_536, true) => 20,
        (_, false) => 20,
        (_, true) => 4,
    }
}

/// A group for each bench: settings of one would stay for the next.
fn group<'a>(criterion: &'a mut Criterion, name: &str, count: u64) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .warm_up_time(WARM_UP)
        .measurement_time(MEASURE)
        .sample_size(20)
        .sampling_mode(SamplingMode::Flat)
        .throughput(Throughput::Elements(count));
    group
}

fn open(transport: Transport, codec: AnyCodec) -> Pair {
    let peer = Command::new(env!("CARGO_BIN_EXE_tramline-bench-peer"));
    Pair::open(transport, codec, peer).expect("the peer starts")
}

fn event(criterion: &mut Criterion) {
    for transport in TRANSPORTS {
        for codec in CODECS {
            let pair = open(transport, codec);
            let down = Down::listen(pair.client()).expect("the peer is told");
            let function = format!("{}/{}", transport.name(), codec.name());
            for len in PAYLOAD_LENS {
                let count = batch(len, codec);
                let id = BenchmarkId::new(&function, len);
                group(criterion, "event", count).bench_function(id, |b| {
                    b.iter_custom(|batches| {
                        (0..batches)
                            .map(|_| down.receive(Emission { count, len }).expect("all came"))
                            .sum()
                    });
                });
            }
        }
    }
}

fn event_up(criterion: &mut Criterion) {
    let data = shapes::bytes(UP_LEN);
    for transport in TRANSPORTS {
        for codec in CODECS {
            let pair = open(transport, codec);
            let mut up = Up::new(pair.client());
            let count = batch(UP_LEN, codec);
            let id = BenchmarkId::new(format!("{}/{}", transport.name(), codec.name()), UP_LEN);
            group(criterion, "event-up", count).bench_function(id, |b| {
                b.iter_custom(|batches| {
                    (0..batches).map(|_| up.emit(count, &data).expect("all went")).sum()
                });
            });
        }
    }
}

criterion_group!(benches, event, event_up);
criterion_main!(benches);
