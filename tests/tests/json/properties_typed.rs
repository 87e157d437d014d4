//! The laws for codecs whose bytes need not tell what they are: a type reads them, and what it reads
//! is shown as JSON. Ten thousand values of serde's whole data model.

use std::cell::RefCell;

use proptest::prelude::*;
use serde::de::{Deserialize, DeserializeSeed, Deserializer};
use serde::ser::{Serialize, Serializer};
use tramline::AnyCodec;
use tramline_core::typed::ValueType;

use crate::cases::cases;
use crate::exact::exact;
use crate::model::{Like, Node, admitted, same};

const CODECS: [AnyCodec; 3] = [AnyCodec::POSTCARD, AnyCodec::MSGPACK, AnyCodec::JSON];

thread_local! {
    /// What a [`Modelled`] is like, for a type knows itself and has no seed.
    static LIKE: RefCell<Node> = const { RefCell::new(Node::Unit) };
}

/// A value whose type is that of the node in [`LIKE`].
#[derive(Debug)]
struct Modelled(Node);

impl PartialEq for Modelled {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl Serialize for Modelled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Modelled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        LIKE.with_borrow(|like| Like(like).deserialize(deserializer).map(Self))
    }
}

/// A value, which from now on is what `Modelled` is like.
fn modelled(node: Node) -> Modelled {
    let node = node.typed();
    LIKE.set(node.clone());
    Modelled(node)
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn the_laws_hold_for_every_value_of_the_data_model_where_the_type_is_known(node in admitted()) {
        let value = modelled(node);
        let json = serde_json::to_string(&value).expect("an admitted value has JSON text");
        for codec in CODECS {
            let encoded = codec.to_vec(&value).expect("an admitted value can be written");
            let shown = ValueType::of::<Modelled>().to_json(codec, &encoded).expect("shown");
            prop_assert_eq!(exact(&shown), exact(&json), "L1, {:?}: {} {}", codec, shown, json);
            let decoded: Modelled = codec.decode(&encoded).expect("there and back");
            prop_assert_eq!(&decoded, &value);
            let parsed: Modelled = AnyCodec::JSON.decode(json.as_bytes()).expect("L3");
            let again = codec.to_vec(&parsed).expect("L2");
            prop_assert_eq!(&again, &encoded, "L2, {:?}", codec);
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_refused_or_shown_as_what_is_read(
        node in admitted(),
        at: prop::sample::Index,
        to: Option<u8>,
    ) {
        let value = modelled(node);
        let mut bytes = AnyCodec::POSTCARD.to_vec(&value).expect("an admitted value");
        if bytes.is_empty() {
            return Ok(());
        }
        let at = at.index(bytes.len());
        match to {
            Some(byte) => bytes[at] = byte,
            None => bytes.truncate(at),
        }
        let shown = ValueType::of::<Modelled>().to_json(AnyCodec::POSTCARD, &bytes);
        match AnyCodec::POSTCARD.decode::<Modelled>(&bytes) {
            Err(_) => prop_assert!(shown.is_err(), "{:?}", shown),
            Ok(read) => {
                let json = AnyCodec::JSON.to_vec(&read).expect("what is read has JSON text");
                let json = String::from_utf8(json).expect("text");
                prop_assert_eq!(exact(&shown.expect("it is read")), exact(&json));
            }
        }
    }
}
