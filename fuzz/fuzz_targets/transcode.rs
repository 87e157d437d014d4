//! Any bytes as MessagePack: refused, or JSON text that goes back and forth without a change of any
//! value. The text itself may change once: an `f32` is written in fewer digits than the `f64` it is
//! read back as, `7.681285e-6` against `0.000007681285`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tramline_compat_json::{from_json, to_json};
use tramline_core::AnyCodec;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = to_json(AnyCodec::MSGPACK, bytes) else { return };
    let Ok(packed) = from_json(AnyCodec::MSGPACK, &text) else { return };
    let again = to_json(AnyCodec::MSGPACK, &packed).expect("our own bytes");
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("our own text");
    assert_eq!(value(&again), value(&text));
});
