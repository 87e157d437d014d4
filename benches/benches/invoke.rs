//! One call at a time, answered with what it carried.

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use tramline::AnyCodec;
use tramline_benches::floor;
use tramline_benches::pair::{CODECS, Pair, TRANSPORTS};
use tramline_benches::shapes::{self, PAYLOAD_LENS};

/// From here on a JSON call takes tens of milliseconds: few samples of few calls each.
const SLOW_JSON_LEN: usize = 1 << 20;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURE: Duration = Duration::from_secs(3);

fn invoke(criterion: &mut Criterion) {
    criterion
        .benchmark_group("invoke")
        .bench_function("floor", |b| b.iter_custom(floor::round_trips));
    for transport in TRANSPORTS {
        for codec in CODECS {
            let peer = Command::new(env!("CARGO_BIN_EXE_tramline-bench-peer"));
            let pair = Pair::open(transport, codec, peer).expect("the peer starts");
            let function = format!("{}/{}", transport.name(), codec.name());
            for len in PAYLOAD_LENS {
                // A group for each: settings of one would stay for the next.
                let mut group = criterion.benchmark_group("invoke");
                group.warm_up_time(WARM_UP).measurement_time(MEASURE);
                if len > 0 {
                    group.throughput(Throughput::Bytes(2 * len as u64));
                }
                if codec == AnyCodec::JSON && len >= SLOW_JSON_LEN {
                    group.sample_size(10).sampling_mode(SamplingMode::Flat);
                }
                let data = shapes::bytes(len);
                let mut id = 0;
                group.bench_function(BenchmarkId::new(&function, len), |b| {
                    b.iter(|| {
                        id += 1;
                        pair.echo(id, black_box(&data)).expect("the peer answers")
                    });
                });
            }
        }
    }
}

criterion_group!(benches, invoke);
criterion_main!(benches);
