//! Payloads of every size.

use tramline::{Bytes, Raw, json};
use tramline_tests::random::Random;
use tramline_tests::{PATIENCE, Setup, conformance};

conformance! {
    payloads_of_every_size_round_trip,
    texts_of_every_size_round_trip,
    a_large_payload_does_not_disturb_small_ones_around_it,
}

const KIB: usize = 1 << 10;

const SIZES: [usize; 20] = [
    0,
    1,
    7,
    8,
    9,
    63,
    64,
    65,
    KIB,
    4 * KIB - 1,
    4 * KIB,
    4 * KIB + 1,
    64 * KIB - 1,
    64 * KIB,
    64 * KIB + 1,
    128 * KIB - 1,
    128 * KIB,
    128 * KIB + 1,
    KIB * KIB,
    8 * KIB * KIB,
];

fn payloads_of_every_size_round_trip(setup: &Setup) {
    let f = setup.open();
    let mut random = Random::new(1);
    for len in SIZES {
        let body = Bytes::from(random.bytes(len));
        let echo = f.client.invoke_raw("echo_raw", body.clone()).timeout(PATIENCE);
        let Raw(echoed) = echo.wait().expect("bytes");
        assert!(echoed == body, "{len} bytes came back as {} others", echoed.len());
    }
}

fn texts_of_every_size_round_trip(setup: &Setup) {
    let f = setup.open();
    for len in SIZES.into_iter().filter(|len| *len <= KIB * KIB) {
        let text: String = ('a'..='z').cycle().take(len).collect();
        let echo = f.client.invoke("echo_text", json!({ "text": text })).timeout(PATIENCE);
        let echoed: String = echo.wait().expect("a text");
        assert!(echoed == text, "{len} bytes came back as {} others", echoed.len());
    }
}

fn a_large_payload_does_not_disturb_small_ones_around_it(setup: &Setup) {
    let f = setup.open();
    std::thread::scope(|scope| {
        let client = &f.client;
        scope.spawn(move || {
            for number in 0..10_u8 {
                let body = Bytes::from(vec![number; KIB * KIB + usize::from(number)]);
                let echo = client.invoke_raw("echo_raw", body.clone()).timeout(PATIENCE);
                let Raw(echoed) = echo.wait().expect("bytes");
                assert!(echoed == body);
            }
        });
        for number in 0..300_i64 {
            let args = json!({ "a": number, "b": 1 });
            let sum: i64 = f.client.invoke("add", args).timeout(PATIENCE).wait().expect("a sum");
            assert_eq!(sum, number + 1);
        }
    });
}
