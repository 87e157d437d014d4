//! Payloads of every size.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::ser::{Serialize, SerializeMap, Serializer};
use tramline::{Bytes, InvokeError, Limits, Raw, SendError, json};
use tramline_tests::random::Random;
use tramline_tests::{Fixture, PATIENCE, Setup, conformance};

conformance! {
    payloads_of_every_size_round_trip,
    texts_of_every_size_round_trip,
    a_large_payload_does_not_disturb_small_ones_around_it,
    a_large_value_that_fails_while_it_is_written_disturbs_nothing,
    a_large_value_that_panics_while_it_is_written_disturbs_nothing,
    a_value_that_swallows_errors_arrives_whole_or_not_at_all,
    a_value_above_the_message_limit_is_refused_with_its_length_and_disturbs_nothing,
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

/// Much text, of which a part may be on its way already, and then no more.
struct Breaks {
    panics: bool,
}

impl Serialize for Breaks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("text", &"x".repeat(3 * KIB * KIB))?;
        assert!(!self.panics, "on purpose");
        Err(serde::ser::Error::custom("on purpose"))
    }
}

fn assert_adds(f: &Fixture) {
    let sum = f.client.invoke("add", json!({ "a": 2, "b": 3 })).timeout(PATIENCE);
    let sum: i64 = sum.wait().expect("an answer");
    assert_eq!(sum, 5);
}

fn a_large_value_that_fails_while_it_is_written_disturbs_nothing(setup: &Setup) {
    let f = setup.open();
    for _ in 0..3 {
        let call = f.client.invoke::<String, _>("echo_text", Breaks { panics: false });
        let failed = call.timeout(PATIENCE).wait();
        assert!(matches!(failed, Err(InvokeError::Send(SendError::Encode(_)))), "{failed:?}");
        assert_adds(&f);
    }
}

fn a_large_value_that_panics_while_it_is_written_disturbs_nothing(setup: &Setup) {
    let f = setup.open();
    let call = f.client.invoke::<String, _>("echo_text", Breaks { panics: true });
    let ended = catch_unwind(AssertUnwindSafe(|| call.timeout(PATIENCE).wait()));
    assert!(ended.is_err());
    assert_adds(&f);
}

fn a_value_above_the_message_limit_is_refused_with_its_length_and_disturbs_nothing(setup: &Setup) {
    let f = setup.open();
    let max = Limits::default().max_message_len;
    let text = "x".repeat(max);
    let call = f.client.invoke::<String, _>("echo_text", json!({ "text": text }));
    match call.timeout(PATIENCE).wait() {
        Err(InvokeError::Send(SendError::TooLarge { len, max: found })) => {
            assert!(len > max && found == max, "{len} {found}");
        }
        other => panic!("{other:?}"),
    }
    assert_adds(&f);
}

/// A text, written without a look at whether that went well.
struct Careless(String);

impl Serialize for Careless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        let _ = map.serialize_entry("text", &self.0);
        map.end()
    }
}

fn a_value_that_swallows_errors_arrives_whole_or_not_at_all(setup: &Setup) {
    let f = setup.open();
    for len in [100, 10_000, 3 * KIB * KIB] {
        let echo = f.client.invoke("echo_text", Careless("x".repeat(len))).timeout(PATIENCE);
        let echoed: String = echo.wait().expect("a text");
        assert_eq!(echoed.len(), len);
    }
    let text = "x".repeat(Limits::default().max_message_len);
    let refused = f.client.invoke::<String, _>("echo_text", Careless(text)).timeout(PATIENCE);
    let refused = refused.wait();
    assert!(matches!(refused, Err(InvokeError::Send(SendError::TooLarge { .. }))), "{refused:?}");
    assert_adds(&f);
}
