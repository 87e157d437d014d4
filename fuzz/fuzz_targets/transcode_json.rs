//! Any bytes as JSON text: refused exactly where serde_json or the rules refuse, else turned into
//! what the model says. In pieces everything is the same.

#![no_main]

mod model;

use libfuzzer_sys::fuzz_target;
use tramline_compat_json::{JsonForm, Transcoder, from_json, to_json, to_json_pretty};
use tramline_core::AnyCodec;

use crate::model::{Tree, Trickle, values};

fuzz_target!(|bytes: &[u8]| {
    let form = JsonForm::default();
    let whole = values(Transcoder::json_to_json(bytes, form));
    assert_eq!(values(Transcoder::json_to_json(Trickle::new(bytes), form)), whole);
    let packed = values(Transcoder::json_to_msgpack(bytes));
    assert_eq!(values(Transcoder::json_to_msgpack(Trickle::new(bytes))), packed);
    assert_eq!((packed.0.len(), packed.1), (whole.0.len(), whole.1));

    let text = to_json(AnyCodec::JSON, bytes);
    let Some(tree) = Tree::from_json(bytes) else {
        assert!(text.is_err(), "{text:?}");
        return;
    };
    let text = text.expect("the model has it");
    assert_eq!(text, tree.to_json());
    assert_eq!(whole, (vec![text.clone().into_bytes()], None));
    let bytes = std::str::from_utf8(bytes).expect("the model has it");
    let packed = from_json(AnyCodec::MSGPACK, bytes).expect("the model has it");
    assert_eq!(packed, tree.to_msgpack());
    assert_eq!(to_json(AnyCodec::MSGPACK, &packed).expect("our own bytes"), text);
    let pretty = to_json_pretty(AnyCodec::MSGPACK, &packed).expect("our own bytes");
    assert_eq!(from_json(AnyCodec::MSGPACK, &pretty).expect("our own text"), packed);
});
