//! Bytes to the parts of containers.

use std::collections::HashSet;

use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::super::canonical::{Fault, Segment};
use super::key::KeyReader;
use super::read::Reader;
use super::{Depth, MAX_EMPTY_ELEMENTS};

/// Parts whose number the type knows.
pub(super) struct Members<'r, 'de> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) names: &'static [&'static str],
    pub(super) left: usize,
    pub(super) index: usize,
}

impl<'de> SeqAccess<'de> for Members<'_, 'de> {
    type Error = Fault;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let (offset, index) = (self.reader.offset(), self.index);
        self.index += 1;
        let value = seed.deserialize(&mut *self.reader).map_err(|e| {
            let e = e.at(offset);
            match self.names.get(index) {
                Some(name) => e.inside(Segment::Field(name)),
                None => e.inside(Segment::Index(index)),
            }
        })?;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// Elements whose number the bytes say.
pub(super) struct Elements<'r, 'de> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) left: usize,
    pub(super) index: usize,
}

impl<'de> Elements<'_, 'de> {
    /// What a type leaves unread would be read as what follows it.
    pub(super) fn all_read(&self) -> Result<(), Fault> {
        match self.left {
            0 => Ok(()),
            left => {
                Err(self.reader.refuse(format_args!("{left} elements more than the type takes")))
            }
        }
    }

    #[inline]
    fn read<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let (offset, index) = (self.reader.offset(), self.index);
        let value = seed.deserialize(&mut *self.reader);
        value.map_err(|e| e.at(offset).inside(Segment::Index(index)))
    }

    /// An element may be some bytes of memory each, so a length is believed as far as the input
    /// could hold it.
    fn size_hint(&self) -> usize {
        self.left.min(self.reader.rest.len())
    }
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = Fault;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let before = self.reader.rest.len();
        let value = self.read(seed)?;
        self.index += 1;
        if self.reader.rest.len() == before {
            self.reader.empty_elements += 1;
            if self.reader.empty_elements > MAX_EMPTY_ELEMENTS {
                return Err(self.reader.refuse("more than 65536 elements without content"));
            }
        }
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(Elements::size_hint(self))
    }
}

/// The keys of one map, as their bytes: each integer has one form only, so equal keys are equal
/// bytes.
#[derive(Default)]
pub(super) struct Keys<'de> {
    few: Vec<&'de [u8]>,
    many: HashSet<&'de [u8], foldhash::fast::RandomState>,
}

/// Up to here a look at all of them costs less than a hash. A choice.
const FEW_KEYS: usize = 16;

impl<'de> Keys<'de> {
    /// False if it was there.
    fn add(&mut self, key: &'de [u8]) -> bool {
        if self.few.len() < FEW_KEYS {
            let new = !self.few.contains(&key);
            self.few.push(key);
            return new;
        }
        !self.few.contains(&key) && self.many.insert(key)
    }
}

pub(super) struct Entries<'r, 'de> {
    pub(super) elements: Elements<'r, 'de>,
    pub(super) keys: Keys<'de>,
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = Fault;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let Entries { elements, keys } = &mut **self;
        if elements.left == 0 {
            return Ok(None);
        }
        elements.left -= 1;
        let (before, index) = (elements.reader.rest, elements.index);
        let offset = elements.reader.offset();
        let key = seed.deserialize(KeyReader(&mut *elements.reader));
        let key = key.map_err(|e| e.at(offset).inside(Segment::Index(index)))?;
        if !keys.add(&before[..before.len() - elements.reader.rest.len()]) {
            return Err(Fault::new(offset, "the key stands twice").inside(Segment::Index(index)));
        }
        Ok(Some(key))
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let value = self.elements.read(seed)?;
        self.elements.index += 1;
        Ok(value)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.elements.size_hint())
    }
}

/// Reads which variant it is.
pub(super) fn variant<'de, S: DeserializeSeed<'de>>(
    reader: &mut Reader<'de>,
    seed: S,
) -> Result<(u32, S::Value), Fault> {
    let offset = reader.offset();
    let index: u32 = reader.integer()?;
    let variant: Result<_, Fault> = seed.deserialize(index.into_deserializer());
    Ok((index, variant.map_err(|e| e.at(offset))?))
}

pub(super) struct Variant<'r, 'de> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) names: &'static [&'static str],
}

impl<'r, 'de> EnumAccess<'de> for Variant<'r, 'de> {
    type Error = Fault;
    type Variant = Content<'r, 'de>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Content<'r, 'de>), Fault> {
        let (index, variant) = variant(self.reader, seed)?;
        let name = self.names.get(index as usize).copied().unwrap_or_default();
        Ok((variant, Content { reader: self.reader, name }))
    }
}

/// What follows a variant's number.
pub(super) struct Content<'r, 'de> {
    reader: &'r mut Reader<'de>,
    name: &'static str,
}

impl<'de> VariantAccess<'de> for Content<'_, 'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        let value = self.reader.nested(Depth::CONTAINER, |reader| seed.deserialize(reader));
        value.map_err(|e| e.inside(Segment::Field(self.name)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        let value =
            self.reader.nested(Depth::CONTAINER, |reader| reader.members(&[], len, visitor));
        value.map_err(|e| e.inside(Segment::Field(self.name)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let len = names.len();
        let value =
            self.reader.nested(Depth::CONTAINER, |reader| reader.members(names, len, visitor));
        value.map_err(|e| e.inside(Segment::Field(self.name)))
    }
}
