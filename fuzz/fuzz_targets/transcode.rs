//! Any bytes as MessagePack: refused exactly where the model refuses, else the model's text; and that
//! text is read back as what the model says it stands for. In pieces everything is the same.

#![no_main]

mod model;

use libfuzzer_sys::fuzz_target;
use tramline_compat_json::{JsonForm, Transcoder, from_json, to_json};
use tramline_core::AnyCodec;

use crate::model::{Tree, Trickle, values};

fuzz_target!(|bytes: &[u8]| {
    let form = JsonForm::default();
    let whole = values(Transcoder::msgpack_to_json(bytes, form));
    assert_eq!(values(Transcoder::msgpack_to_json(Trickle::new(bytes), form)), whole);

    let text = to_json(AnyCodec::MSGPACK, bytes);
    if let (_, Some(("reserved-byte", at))) = whole {
        // rmpv reads 0xc1 as nil.
        assert_eq!(bytes[usize::try_from(at).expect("an offset")], 0xc1);
        assert!(text.is_err());
        return;
    }
    let Some(tree) = Tree::from_msgpack(bytes) else {
        assert!(text.is_err(), "{text:?}");
        return;
    };
    let text = text.expect("the model has it");
    assert_eq!(text, tree.to_json());
    assert_eq!(whole, (vec![text.clone().into_bytes()], None));
    assert_eq!(from_json(AnyCodec::MSGPACK, &text).expect("our own text"), tree.to_msgpack());
});
