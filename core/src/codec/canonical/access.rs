//! Arrays, maps, structs and enums, part by part.

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer as _, Visitor};

use super::de::Deserializer;
use super::map_key::MapKey;
use super::path::Segment;
use super::seen::Seen;
use super::{Fault, Key, PRIVATE, Reader, Text};

/// Where the key begins whose value is due; this if none is.
const NONE: usize = usize::MAX;

/// The elements of an array.
pub(super) struct Elements<'a, 'de, R: Reader<'de>> {
    pub(super) de: &'a mut Deserializer<R>,
    pub(super) open: &'a mut R::Open,
    pub(super) index: usize,
}

impl<'de, R: Reader<'de>> de::SeqAccess<'de> for Elements<'_, 'de, R> {
    type Error = Fault;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        if !self.de.reader.element(self.open)? {
            return Ok(None);
        }
        let at = self.de.reader.offset();
        match seed.deserialize(&mut *self.de) {
            Ok(value) => {
                self.index += 1;
                Ok(Some(value))
            }
            Err(fault) => Err(self.de.failed(fault, at, Segment::Index(self.index))),
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        R::left(self.open)
    }
}

/// The entries of a map. No key may stand twice, whatever the map is read into.
pub(super) struct Entries<'a, 'de, R: Reader<'de>> {
    pub(super) de: &'a mut Deserializer<R>,
    pub(super) open: &'a mut R::Open,
    seen: Option<Seen<'de>>,
    due: usize,
}

impl<'a, 'de, R: Reader<'de>> Entries<'a, 'de, R> {
    #[inline]
    pub(super) fn new(de: &'a mut Deserializer<R>, open: &'a mut R::Open) -> Self {
        Self { de, open, seen: None, due: NONE }
    }

    #[inline]
    pub(super) fn finish(self) -> Result<(), Fault> {
        finish(self.de, self.open, self.due)
    }
}

impl<'de, R: Reader<'de>> de::MapAccess<'de> for Entries<'_, 'de, R> {
    type Error = Fault;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        if self.due != NONE {
            return Err(passed_over(self.due));
        }
        if !self.de.reader.entry(self.open)? {
            return Ok(None);
        }
        let at = self.de.reader.offset();
        let key = self.de.reader.key()?;
        check(self.seen.get_or_insert_with(Seen::new), at, &key)?;
        self.due = at;
        match seed.deserialize(MapKey(key)) {
            Ok(key) => Ok(Some(key)),
            Err(fault) => Err(self.de.failed_key(fault, at)),
        }
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        value(self.de, &mut self.due, seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        R::left(self.open)
    }
}

/// The fields of a struct, whose names are known: those are told apart by their places.
pub(super) struct Fields<'a, 'de, R: Reader<'de>> {
    pub(super) de: &'a mut Deserializer<R>,
    pub(super) open: &'a mut R::Open,
    names: &'static [&'static str],
    /// Place of the name that comes next if all come in their order.
    next: usize,
    /// A bit for each place that was met.
    met: u64,
    /// Names that are not known, or too far behind.
    others: Option<Seen<'de>>,
    due: usize,
}

impl<'a, 'de, R: Reader<'de>> Fields<'a, 'de, R> {
    #[inline]
    pub(super) fn new(
        de: &'a mut Deserializer<R>,
        open: &'a mut R::Open,
        names: &'static [&'static str],
    ) -> Self {
        Self { de, open, names, next: 0, met: 0, others: None, due: NONE }
    }

    #[inline]
    pub(super) fn finish(self) -> Result<(), Fault> {
        finish(self.de, self.open, self.due)
    }
}

impl<'de, R: Reader<'de>> Fields<'_, 'de, R> {
    /// A key that is not the next one of those that are known.
    fn other_key<K: DeserializeSeed<'de>>(
        &mut self,
        at: usize,
        seed: K,
    ) -> Result<K::Value, Fault> {
        let key = self.de.reader.key()?;
        let place = {
            let name = key.as_text();
            self.names.iter().position(|known| *known == name)
        };
        match place.and_then(bit) {
            Some(bit) if self.met & bit == 0 => self.met |= bit,
            Some(_) => return Err(twice(at, &key)),
            None => check(self.others.get_or_insert_with(Seen::new), at, &key)?,
        }
        if let Some(place) = place {
            self.next = place + 1;
        }
        seed.deserialize(MapKey(key)).map_err(|fault| self.de.failed_key(fault, at))
    }
}

/// The bit of a place, if there is one for it.
#[inline]
fn bit(place: usize) -> Option<u64> {
    1_u64.checked_shl(u32::try_from(place).ok()?)
}

impl<'de, R: Reader<'de>> de::MapAccess<'de> for Fields<'_, 'de, R> {
    type Error = Fault;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        if self.due != NONE {
            return Err(passed_over(self.due));
        }
        if !self.de.reader.entry(self.open)? {
            return Ok(None);
        }
        let at = self.de.reader.offset();
        self.due = at;
        if let Some(bit) = bit(self.next)
            && self.met & bit == 0
            && let Some(name) = self.names.get(self.next)
            && self.de.reader.likely_key(name)
        {
            self.met |= bit;
            self.next += 1;
            return match seed.deserialize(MapKey(Key::Text(Text::Borrowed(name)))) {
                Ok(key) => Ok(Some(key)),
                Err(fault) => Err(self.de.failed_key(fault, at)),
            };
        }
        self.other_key(at, seed).map(Some)
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        value(self.de, &mut self.due, seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        R::left(self.open)
    }
}

#[inline]
fn check<'de>(seen: &mut Seen<'de>, at: usize, key: &Key<'de, '_>) -> Result<(), Fault> {
    let new = match key {
        Key::Text(text) => {
            if text.as_str().starts_with(PRIVATE) {
                return Err(private(at));
            }
            match text {
                Text::Borrowed(text) => seen.add(text),
                Text::Copied(text) => seen.add_copied((*text).to_owned()),
            }
        }
        other => seen.add_copied(other.as_text().into_owned()),
    };
    if new { Ok(()) } else { Err(twice(at, key)) }
}

#[cold]
fn twice(at: usize, key: &Key<'_, '_>) -> Fault {
    Fault::new(at, format_args!("the key `{}` stands twice", key.as_text()))
}

#[cold]
fn private(at: usize) -> Fault {
    Fault::new(at, "a key that is private to serde_json")
}

#[cold]
fn passed_over(at: usize) -> Fault {
    Fault::new(at, "the type read a key and not its value")
}

#[inline]
fn value<'de, R: Reader<'de>, T: DeserializeSeed<'de>>(
    de: &mut Deserializer<R>,
    due: &mut usize,
    seed: T,
) -> Result<T::Value, Fault> {
    let key = std::mem::replace(due, NONE);
    if key == NONE {
        return Err(de::Error::custom("the type read a value and not its key"));
    }
    de.reader.colon()?;
    let at = de.reader.begin();
    match seed.deserialize(&mut *de) {
        Ok(value) => Ok(value),
        Err(fault) => {
            let key = Segment::Key(de.reader.key_again(key));
            Err(de.failed(fault, at, key))
        }
    }
}

#[inline]
fn finish<'de, R: Reader<'de>>(
    de: &mut Deserializer<R>,
    open: &mut R::Open,
    due: usize,
) -> Result<(), Fault> {
    if due != NONE {
        return Err(passed_over(due));
    }
    if de.reader.entry(open)? {
        return Err(Fault::new(de.reader.begin(), "the map has more entries than expected"));
    }
    Ok(())
}

/// A variant with its content: a map of one entry.
pub(super) struct Variant<'a, 'de, R: Reader<'de>> {
    pub(super) de: &'a mut Deserializer<R>,
    pub(super) open: &'a mut R::Open,
    /// Where the variant's name begins, once it is read; the content is due then.
    pub(super) due: &'a mut usize,
}

impl<'a, 'de, R: Reader<'de>> Variant<'a, 'de, R> {
    /// What `due` is before a name is read.
    pub(super) const NONE: usize = NONE;

    #[inline]
    fn content<T>(
        self,
        read: impl FnOnce(&mut Deserializer<R>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let name = std::mem::replace(self.due, NONE);
        let at = self.de.reader.begin();
        match read(self.de) {
            Ok(value) => Ok(value),
            Err(fault) => {
                let name = Segment::Key(self.de.reader.key_again(name));
                Err(self.de.failed(fault, at, name))
            }
        }
    }
}

impl<'de, R: Reader<'de>> de::EnumAccess<'de> for Variant<'_, 'de, R> {
    type Error = Fault;
    type Variant = Self;

    #[inline]
    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Fault> {
        if !self.de.reader.entry(self.open)? {
            let at = self.de.reader.begin();
            return Err(Fault::new(at, "an enum is a text or a map of one entry"));
        }
        let at = self.de.reader.offset();
        let variant = match self.de.reader.key()? {
            key @ Key::Text(_) => seed.deserialize(MapKey(key)),
            _ => Err(Fault::new(at, "a variant is known by its name")),
        };
        match variant {
            Ok(variant) => {
                *self.due = at;
                self.de.reader.colon()?;
                Ok((variant, self))
            }
            Err(fault) => Err(self.de.failed_key(fault, at)),
        }
    }
}

impl<'de, R: Reader<'de>> de::VariantAccess<'de> for Variant<'_, 'de, R> {
    type Error = Fault;

    #[inline]
    fn unit_variant(self) -> Result<(), Fault> {
        self.content(|de| <()>::deserialize(de))
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        self.content(|de| seed.deserialize(de))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.content(|de| de.deserialize_tuple(len, visitor))
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.content(|de| de.deserialize_struct("", fields, visitor))
    }
}
