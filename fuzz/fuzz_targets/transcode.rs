//! Any bytes as MessagePack: refused, or JSON text that goes back and forth without a change.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tramline_compat_json::{from_json, to_json};
use tramline_core::AnyCodec;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = to_json(AnyCodec::MSGPACK, bytes) else { return };
    let Ok(packed) = from_json(AnyCodec::MSGPACK, &text) else { return };
    assert_eq!(to_json(AnyCodec::MSGPACK, &packed).expect("our own bytes"), text);
});
