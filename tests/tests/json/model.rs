//! Any value of serde's data model, written and read as its own type would be.

use std::collections::BTreeSet;
use std::fmt;

use proptest::prelude::*;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Names of fields and variants, some of which need escapes.
const NAMES: [&str; 8] = [
    "a",
    "name",
    "with space",
    "quote\"d",
    "back\\slash\n",
    "ünï",
    "a_name_of_more_than_thirty_one_bytes",
    "$serde",
];

/// A value of any of the 29 kinds, of which an option is one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    F32(f32),
    F64(f64),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    None,
    Some(Box<Node>),
    Unit,
    UnitStruct,
    UnitVariant(u8),
    NewtypeStruct(Box<Node>),
    NewtypeVariant(u8, Box<Node>),
    /// With a length that is known, or not.
    Seq(bool, Vec<Node>),
    Tuple(Vec<Node>),
    TupleStruct(Vec<Node>),
    TupleVariant(u8, Vec<Node>),
    /// With a length that is known, or not.
    Map(bool, Vec<(KeyNode, Node)>),
    Struct(Vec<Node>),
    StructVariant(u8, Vec<Node>),
}

/// What may be a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyNode {
    Text(String),
    Signed(i64),
    Unsigned(u64),
    Wide(i128),
    Bool(bool),
    Char(char),
    Variant(u8),
    Newtype(Box<KeyNode>),
}

impl KeyNode {
    #[cfg(feature = "postcard")]
    fn is_of_the_type_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Newtype(own), Self::Newtype(other)) => own.is_of_the_type_of(other),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Signed(key) => key.to_string(),
            Self::Unsigned(key) => key.to_string(),
            Self::Wide(key) => key.to_string(),
            Self::Bool(key) => key.to_string(),
            Self::Char(key) => key.to_string(),
            Self::Variant(key) => name(*key).to_owned(),
            Self::Newtype(key) => key.text(),
        }
    }
}

fn name(number: u8) -> &'static str {
    NAMES[usize::from(number) % NAMES.len()]
}

/// A variant's place among the names.
fn index(number: u8) -> u32 {
    u32::try_from(usize::from(number) % NAMES.len()).expect("few names")
}

/// Bits of doubles are what counts, and no NaN is admitted: `==` is right but for zeros.
pub(crate) fn same(left: &Node, right: &Node) -> bool {
    format!("{left:?}") == format!("{right:?}")
}

/// Admitted values: what JSON has.
pub(crate) fn admitted() -> impl Strategy<Value = Node> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Node::Bool),
        any::<i8>().prop_map(Node::I8),
        any::<i16>().prop_map(Node::I16),
        any::<i32>().prop_map(Node::I32),
        any::<i64>().prop_map(Node::I64),
        any::<i64>().prop_map(|value| Node::I128(value.into())),
        any::<u8>().prop_map(Node::U8),
        any::<u16>().prop_map(Node::U16),
        any::<u32>().prop_map(Node::U32),
        any::<u64>().prop_map(Node::U64),
        any::<u64>().prop_map(|value| Node::U128(value.into())),
        any::<u32>()
            .prop_map(f32::from_bits)
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(Node::F32),
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(Node::F64),
        prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(0.1)].prop_map(Node::F64),
        any::<char>().prop_map(Node::Char),
        any::<String>().prop_map(Node::Text),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Node::Bytes),
        Just(Node::None),
        Just(Node::Unit),
        Just(Node::UnitStruct),
        any::<u8>().prop_map(Node::UnitVariant),
    ];
    scalar.prop_recursive(4, 40, 8, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..18);
        let some = prop::collection::vec(inner.clone(), 0..NAMES.len());
        let entries = prop::collection::vec((key(), inner.clone()), 0..20).prop_map(distinct);
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            // What is null within is null without: such options are not told apart.
            inner
                .prop_filter("null", |inner| !inner.is_null())
                .prop_map(|inner| Node::Some(inner.into())),
            boxed.clone().prop_map(Node::NewtypeStruct),
            (any::<u8>(), boxed).prop_map(|(variant, inner)| Node::NewtypeVariant(variant, inner)),
            (any::<bool>(), many).prop_map(|(known, elements)| Node::Seq(known, elements)),
            some.clone().prop_map(Node::Tuple),
            some.clone().prop_map(Node::TupleStruct),
            (any::<u8>(), some.clone())
                .prop_map(|(variant, parts)| Node::TupleVariant(variant, parts)),
            (any::<bool>(), entries).prop_map(|(known, entries)| Node::Map(known, entries)),
            some.clone().prop_map(Node::Struct),
            (any::<u8>(), some).prop_map(|(variant, fields)| Node::StructVariant(variant, fields)),
        ]
    })
}

fn key() -> impl Strategy<Value = KeyNode> {
    let key = prop_oneof![
        any::<String>().prop_map(KeyNode::Text),
        any::<i64>().prop_map(KeyNode::Signed),
        any::<u64>().prop_map(KeyNode::Unsigned),
        any::<i128>().prop_map(KeyNode::Wide),
        any::<bool>().prop_map(KeyNode::Bool),
        any::<char>().prop_map(KeyNode::Char),
        any::<u8>().prop_map(KeyNode::Variant),
    ];
    (any::<bool>(), key).prop_map(
        |(within, key)| {
            if within { KeyNode::Newtype(Box::new(key)) } else { key }
        },
    )
}

/// No text stands twice.
fn distinct(mut entries: Vec<(KeyNode, Node)>) -> Vec<(KeyNode, Node)> {
    let mut texts = BTreeSet::new();
    entries.retain(|(key, _)| texts.insert(key.text()));
    entries
}

impl Node {
    /// The same as types have it: every length is known, and all keys of a map are of one type.
    #[cfg(feature = "postcard")]
    pub(crate) fn typed(self) -> Self {
        let boxed = |inner: Box<Self>| Box::new(inner.typed());
        let all = |parts: Vec<Self>| parts.into_iter().map(Self::typed).collect();
        match self {
            Self::Some(inner) => Self::Some(boxed(inner)),
            Self::NewtypeStruct(inner) => Self::NewtypeStruct(boxed(inner)),
            Self::NewtypeVariant(number, inner) => Self::NewtypeVariant(number, boxed(inner)),
            Self::Seq(_, parts) => Self::Seq(true, all(parts)),
            Self::Tuple(parts) => Self::Tuple(all(parts)),
            Self::TupleStruct(parts) => Self::TupleStruct(all(parts)),
            Self::TupleVariant(number, parts) => Self::TupleVariant(number, all(parts)),
            Self::Struct(parts) => Self::Struct(all(parts)),
            Self::StructVariant(number, parts) => Self::StructVariant(number, all(parts)),
            Self::Map(_, mut entries) => {
                if let Some((first, _)) = entries.first().cloned() {
                    entries.retain(|(key, _)| key.is_of_the_type_of(&first));
                }
                let typed = |(key, value): (_, Self)| (key, value.typed());
                Self::Map(true, entries.into_iter().map(typed).collect())
            }
            scalar => scalar,
        }
    }

    fn is_null(&self) -> bool {
        match self {
            Self::None | Self::Unit | Self::UnitStruct => true,
            Self::NewtypeStruct(inner) | Self::Some(inner) => inner.is_null(),
            _ => false,
        }
    }
}

impl Serialize for KeyNode {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(key) => s.serialize_str(key),
            Self::Signed(key) => s.serialize_i64(*key),
            Self::Unsigned(key) => s.serialize_u64(*key),
            Self::Wide(key) => s.serialize_i128(*key),
            Self::Bool(key) => s.serialize_bool(*key),
            Self::Char(key) => s.serialize_char(*key),
            Self::Variant(key) => s.serialize_unit_variant("Enum", index(*key), name(*key)),
            Self::Newtype(key) => s.serialize_newtype_struct("Newtype", key),
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => s.serialize_bool(*value),
            Self::I8(value) => s.serialize_i8(*value),
            Self::I16(value) => s.serialize_i16(*value),
            Self::I32(value) => s.serialize_i32(*value),
            Self::I64(value) => s.serialize_i64(*value),
            Self::I128(value) => s.serialize_i128(*value),
            Self::U8(value) => s.serialize_u8(*value),
            Self::U16(value) => s.serialize_u16(*value),
            Self::U32(value) => s.serialize_u32(*value),
            Self::U64(value) => s.serialize_u64(*value),
            Self::U128(value) => s.serialize_u128(*value),
            Self::F32(value) => s.serialize_f32(*value),
            Self::F64(value) => s.serialize_f64(*value),
            Self::Char(value) => s.serialize_char(*value),
            Self::Text(value) => s.serialize_str(value),
            Self::Bytes(value) => s.serialize_bytes(value),
            Self::None => s.serialize_none(),
            Self::Some(inner) => s.serialize_some(inner),
            Self::Unit => s.serialize_unit(),
            Self::UnitStruct => s.serialize_unit_struct("UnitStruct"),
            Self::UnitVariant(number) => {
                s.serialize_unit_variant("Enum", index(*number), name(*number))
            }
            Self::NewtypeStruct(inner) => s.serialize_newtype_struct("Newtype", inner),
            Self::NewtypeVariant(number, inner) => {
                s.serialize_newtype_variant("Enum", index(*number), name(*number), inner)
            }
            Self::Seq(known, elements) => {
                let mut seq = s.serialize_seq(known.then_some(elements.len()))?;
                elements.iter().try_for_each(|element| seq.serialize_element(element))?;
                seq.end()
            }
            Self::Tuple(elements) => {
                let mut tuple = s.serialize_tuple(elements.len())?;
                elements.iter().try_for_each(|element| tuple.serialize_element(element))?;
                tuple.end()
            }
            Self::TupleStruct(elements) => {
                let mut tuple = s.serialize_tuple_struct("TupleStruct", elements.len())?;
                elements.iter().try_for_each(|element| tuple.serialize_field(element))?;
                tuple.end()
            }
            Self::TupleVariant(number, elements) => {
                let (index, name) = (index(*number), name(*number));
                let mut tuple = s.serialize_tuple_variant("Enum", index, name, elements.len())?;
                elements.iter().try_for_each(|element| tuple.serialize_field(element))?;
                tuple.end()
            }
            Self::Map(known, entries) => {
                let mut map = s.serialize_map(known.then_some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::Struct(fields) => {
                let mut members = s.serialize_struct("Struct", fields.len())?;
                for (name, field) in NAMES.iter().zip(fields) {
                    members.serialize_field(name, field)?;
                }
                members.end()
            }
            Self::StructVariant(number, fields) => {
                let (index, name) = (index(*number), name(*number));
                let mut members = s.serialize_struct_variant("Enum", index, name, fields.len())?;
                for (name, field) in NAMES.iter().zip(fields) {
                    members.serialize_field(name, field)?;
                }
                members.end()
            }
        }
    }
}

/// Reads a value of the same type as this one.
#[derive(Clone, Copy)]
pub(crate) struct Like<'n>(pub(crate) &'n Node);

impl<'de> DeserializeSeed<'de> for Like<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Node, D::Error> {
        match self.0 {
            Node::Bool(_) => d.deserialize_bool(self),
            Node::I8(_) => d.deserialize_i8(self),
            Node::I16(_) => d.deserialize_i16(self),
            Node::I32(_) => d.deserialize_i32(self),
            Node::I64(_) => d.deserialize_i64(self),
            Node::I128(_) => d.deserialize_i128(self),
            Node::U8(_) => d.deserialize_u8(self),
            Node::U16(_) => d.deserialize_u16(self),
            Node::U32(_) => d.deserialize_u32(self),
            Node::U64(_) => d.deserialize_u64(self),
            Node::U128(_) => d.deserialize_u128(self),
            Node::F32(_) => d.deserialize_f32(self),
            Node::F64(_) => d.deserialize_f64(self),
            Node::Char(_) => d.deserialize_char(self),
            Node::Text(text) if text.len() % 2 == 0 => d.deserialize_str(self),
            Node::Text(_) => d.deserialize_string(self),
            Node::Bytes(bytes) if bytes.len() % 2 == 0 => d.deserialize_bytes(self),
            Node::Bytes(_) => d.deserialize_byte_buf(self),
            Node::None | Node::Some(_) => d.deserialize_option(self),
            Node::Unit => d.deserialize_unit(self),
            Node::UnitStruct => d.deserialize_unit_struct("UnitStruct", self),
            Node::NewtypeStruct(_) => d.deserialize_newtype_struct("Newtype", self),
            Node::UnitVariant(_)
            | Node::NewtypeVariant(..)
            | Node::TupleVariant(..)
            | Node::StructVariant(..) => d.deserialize_enum("Enum", &NAMES, self),
            Node::Seq(..) => d.deserialize_seq(self),
            Node::Tuple(elements) => d.deserialize_tuple(elements.len(), self),
            Node::TupleStruct(elements) => {
                d.deserialize_tuple_struct("TupleStruct", elements.len(), self)
            }
            Node::Map(..) => d.deserialize_map(self),
            Node::Struct(fields) => d.deserialize_struct("Struct", &NAMES[..fields.len()], self),
        }
    }
}

/// An integer, as the type of the value that was written.
macro_rules! integers {
    ($($visit:ident $type:ty),+) => {
        $(fn $visit<E: de::Error>(self, value: $type) -> Result<Node, E> {
            let narrow = || E::invalid_value(de::Unexpected::Other("integer"), &self);
            Ok(match self.0 {
                Node::I8(_) => Node::I8(value.try_into().map_err(|_| narrow())?),
                Node::I16(_) => Node::I16(value.try_into().map_err(|_| narrow())?),
                Node::I32(_) => Node::I32(value.try_into().map_err(|_| narrow())?),
                Node::I64(_) => Node::I64(value.try_into().map_err(|_| narrow())?),
                Node::I128(_) => Node::I128(value.try_into().map_err(|_| narrow())?),
                Node::U8(_) => Node::U8(value.try_into().map_err(|_| narrow())?),
                Node::U16(_) => Node::U16(value.try_into().map_err(|_| narrow())?),
                Node::U32(_) => Node::U32(value.try_into().map_err(|_| narrow())?),
                Node::U64(_) => Node::U64(value.try_into().map_err(|_| narrow())?),
                Node::U128(_) => Node::U128(value.try_into().map_err(|_| narrow())?),
                _ => return Err(E::invalid_type(de::Unexpected::Other("integer"), &self)),
            })
        })+
    };
}

impl<'de> Visitor<'de> for Like<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value like {:?}", self.0)
    }

    integers! { visit_u64 u64, visit_i64 i64, visit_u128 u128, visit_i128 i128 }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_f32<E: de::Error>(self, value: f32) -> Result<Node, E> {
        match self.0 {
            Node::F32(_) => Ok(Node::F32(value)),
            _ => self.visit_f64(value.into()),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        match self.0 {
            Node::F64(_) => Ok(Node::F64(value)),
            _ => Err(E::invalid_type(de::Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        let mut chars = text.chars();
        match (self.0, chars.next(), chars.next()) {
            (Node::Char(_), Some(only), None) => Ok(Node::Char(only)),
            (Node::Text(_), ..) => Ok(Node::Text(text.to_owned())),
            _ => Err(E::invalid_type(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Node, E> {
        Ok(Node::Bytes(bytes.to_vec()))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Node, D::Error> {
        match self.0 {
            Node::Some(inner) => Ok(Node::Some(Box::new(Like(inner).deserialize(d)?))),
            _ => Err(de::Error::invalid_type(de::Unexpected::Option, &self)),
        }
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(match self.0 {
            Node::UnitStruct => Node::UnitStruct,
            _ => Node::Unit,
        })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<Node, D::Error> {
        match self.0 {
            Node::NewtypeStruct(inner) => {
                Ok(Node::NewtypeStruct(Box::new(Like(inner).deserialize(d)?)))
            }
            _ => Err(de::Error::invalid_type(de::Unexpected::NewtypeStruct, &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut read = |like: &[Node]| {
            let mut elements = Vec::new();
            for like in like {
                elements.extend(seq.next_element_seed(Like(like))?);
            }
            Ok(elements)
        };
        Ok(match self.0 {
            Node::Seq(known, like) => Node::Seq(*known, read(like)?),
            Node::Tuple(like) => Node::Tuple(read(like)?),
            Node::TupleStruct(like) => Node::TupleStruct(read(like)?),
            Node::TupleVariant(number, like) => Node::TupleVariant(*number, read(like)?),
            // Where the bytes have no names.
            Node::Struct(like) => Node::Struct(read(like)?),
            Node::StructVariant(number, like) => Node::StructVariant(*number, read(like)?),
            Node::Bytes(_) => {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Node::Bytes(bytes)
            }
            _ => return Err(de::Error::invalid_type(de::Unexpected::Seq, &self)),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut read = |like: &[Node]| {
            let mut fields = Vec::new();
            for (name, like) in NAMES.iter().zip(like) {
                if map.next_key::<String>()?.as_deref() != Some(*name) {
                    return Err(de::Error::missing_field(name));
                }
                fields.push(map.next_value_seed(Like(like))?);
            }
            Ok(fields)
        };
        match self.0 {
            Node::Struct(like) => Ok(Node::Struct(read(like)?)),
            Node::StructVariant(number, like) => Ok(Node::StructVariant(*number, read(like)?)),
            Node::Map(known, like) => {
                let mut entries = Vec::new();
                for (key, value) in like {
                    let Some(key) = map.next_key_seed(LikeKey(key))? else { break };
                    entries.push((key, map.next_value_seed(Like(value))?));
                }
                Ok(Node::Map(*known, entries))
            }
            _ => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Node, A::Error> {
        let (VariantName(found), variant) = data.variant()?;
        let number = match self.0 {
            Node::UnitVariant(number)
            | Node::NewtypeVariant(number, _)
            | Node::TupleVariant(number, _)
            | Node::StructVariant(number, _) => *number,
            _ => return Err(de::Error::invalid_type(de::Unexpected::Enum, &self)),
        };
        if found != name(number) {
            return Err(de::Error::unknown_variant(found, &NAMES));
        }
        match self.0 {
            Node::NewtypeVariant(_, inner) => {
                let inner = variant.newtype_variant_seed(Like(inner))?;
                Ok(Node::NewtypeVariant(number, Box::new(inner)))
            }
            Node::TupleVariant(_, elements) => variant.tuple_variant(elements.len(), self),
            Node::StructVariant(_, fields) => variant.struct_variant(&NAMES[..fields.len()], self),
            _ => variant.unit_variant().map(|()| Node::UnitVariant(number)),
        }
    }
}

/// Which variant it is: by its name or, where the bytes have none, by its number.
struct VariantName(&'static str);

impl<'de> de::Deserialize<'de> for VariantName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Which;
        impl Visitor<'_> for Which {
            type Value = VariantName;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("variant identifier")
            }
            fn visit_str<E: de::Error>(self, found: &str) -> Result<VariantName, E> {
                let known = NAMES.iter().find(|name| **name == found);
                known.map(|name| VariantName(name)).ok_or_else(|| E::unknown_variant(found, &NAMES))
            }
            fn visit_u64<E: de::Error>(self, found: u64) -> Result<VariantName, E> {
                let known = usize::try_from(found).ok().and_then(|index| NAMES.get(index));
                let unexpected = de::Unexpected::Unsigned(found);
                known.map(|name| VariantName(name)).ok_or(E::invalid_value(unexpected, &self))
            }
        }
        d.deserialize_identifier(Which)
    }
}

/// Reads a key of the same type as this one.
struct LikeKey<'n>(&'n KeyNode);

impl<'de> DeserializeSeed<'de> for LikeKey<'_> {
    type Value = KeyNode;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<KeyNode, D::Error> {
        use serde::Deserialize;

        Ok(match self.0 {
            KeyNode::Text(_) => KeyNode::Text(String::deserialize(d)?),
            KeyNode::Signed(_) => KeyNode::Signed(i64::deserialize(d)?),
            KeyNode::Unsigned(_) => KeyNode::Unsigned(u64::deserialize(d)?),
            KeyNode::Wide(_) => KeyNode::Wide(i128::deserialize(d)?),
            KeyNode::Bool(_) => KeyNode::Bool(bool::deserialize(d)?),
            KeyNode::Char(_) => KeyNode::Char(char::deserialize(d)?),
            KeyNode::Variant(number) => {
                struct Unit;
                impl<'de> Visitor<'de> for Unit {
                    type Value = &'static str;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a variant without content")
                    }
                    fn visit_enum<A: EnumAccess<'de>>(
                        self,
                        data: A,
                    ) -> Result<&'static str, A::Error> {
                        let (VariantName(name), variant) = data.variant()?;
                        variant.unit_variant()?;
                        Ok(name)
                    }
                }
                let found = d.deserialize_enum("Enum", &NAMES, Unit)?;
                if found != name(*number) {
                    return Err(de::Error::unknown_variant(found, &NAMES));
                }
                KeyNode::Variant(*number)
            }
            KeyNode::Newtype(inner) => {
                struct Newtype<'n>(&'n KeyNode);
                impl<'de> Visitor<'de> for Newtype<'_> {
                    type Value = KeyNode;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a key")
                    }
                    fn visit_newtype_struct<D: Deserializer<'de>>(
                        self,
                        d: D,
                    ) -> Result<KeyNode, D::Error> {
                        LikeKey(self.0).deserialize(d)
                    }
                }
                let key = d.deserialize_newtype_struct("Newtype", Newtype(inner))?;
                KeyNode::Newtype(Box::new(key))
            }
        })
    }
}
