//! A deserializer that makes its values up.

use std::cell::RefCell;
use std::fmt;

use serde::de::{Deserializer, Expected, Visitor};

use super::error::ProbeError;
use super::guess::{self, Guess, marked_key, marked_text};
use super::key::OneEntry;
use super::parts::{Entries, Fields, Members, Sequence, Variant};
use super::state::{State, TypeKey};
use super::values::{BYTES, CHARS, FLOATS, INTEGERS, TEXTS};
use super::{Style, Trait};

/// Parts of one value. A choice: types that contain each other have more parts than there is time
/// for.
const MAX_PARTS: usize = 5_000;
/// Named types within each other: far more than types that are written by people have.
const MAX_DEPTH: usize = 64;

pub(super) type Names = &'static [&'static str];
pub(super) type Result<T> = std::result::Result<T, ProbeError>;

/// Gives a type made-up values, one after the other, and looks at what it does with them.
pub struct Prober<'p> {
    pub(super) state: &'p RefCell<State>,
    pub(super) path: String,
    /// Right inside an option.
    pub(super) optional: bool,
    /// What a place that asks is given.
    pub(super) given: Option<Given>,
}

/// A part of a guess.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) guess: Guess,
    /// Its number within the whole guess.
    pub(super) part: usize,
}

impl fmt::Debug for Prober<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prober").field(&self.path).finish()
    }
}

impl<'p> Prober<'p> {
    pub(super) fn root(state: &'p RefCell<State>) -> Self {
        Self { state, path: String::new(), optional: false, given: None }
    }

    pub(super) fn within(&self, step: impl fmt::Display) -> Self {
        let path = format!("{}{step}", self.path);
        Self { state: self.state, path, optional: false, given: None }
    }

    pub(super) fn note(&self, what: Trait) {
        self.state.borrow_mut().note(&self.path, what);
    }

    /// Notes something that ends the value.
    pub(super) fn refuse<T>(&self, what: Trait) -> Result<T> {
        self.note(what);
        // So that it is known where.
        self.choose(1, false);
        Err(ProbeError::silent("the codec cannot carry it"))
    }

    pub(super) fn choose(&self, count: usize, all: bool) -> usize {
        self.state.borrow_mut().choose(&self.path, count, all)
    }

    pub(super) fn is_positional(&self) -> bool {
        self.state.borrow().style == Style::Positional
    }

    /// Whether the value is large enough: options, sequences and maps end here.
    fn is_enough(&self) -> bool {
        let state = self.state.borrow();
        let within_itself = state.around.last().is_some_and(|last| {
            let around = &state.around[..state.around.len() - 1];
            around.contains(last)
        });
        within_itself || state.parts > MAX_PARTS || state.around.len() > MAX_DEPTH / 2
    }

    /// Counts a part; false if the value nests too deep to ever end.
    fn count_part(&self) -> Result<()> {
        let mut state = self.state.borrow_mut();
        state.parts += 1;
        if state.around.len() > MAX_DEPTH || state.parts > 4 * MAX_PARTS {
            return Err(ProbeError::silent("it does not end"));
        }
        Ok(())
    }

    /// Reads something within a type of this name.
    fn named<T>(
        &self,
        name: &'static str,
        names: Names,
        read: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.count_part()?;
        let key = (name, names.as_ptr().addr(), names.len());
        self.state.borrow_mut().around.push(key);
        let value = read()?;
        self.state.borrow_mut().around.pop();
        Ok(value)
    }

    fn text<'de, V: Visitor<'de>>(&self, text: &'static str, visitor: V) -> Result<V::Value> {
        if self.state.borrow().lent {
            visitor.visit_borrowed_str(text)
        } else {
            visitor.visit_str(text)
        }
    }

    fn bytes<'de, V: Visitor<'de>>(&self, bytes: &'static [u8], visitor: V) -> Result<V::Value> {
        if self.state.borrow().lent {
            visitor.visit_borrowed_bytes(bytes)
        } else {
            visitor.visit_bytes(bytes)
        }
    }

    /// Gives the parts of a struct.
    pub(super) fn fields<'de, V: Visitor<'de>>(self, names: Names, visitor: V) -> Result<V::Value> {
        let adjacent = visitor_says(&visitor).starts_with("adjacently tagged");
        let state = self.state.borrow();
        let full = |name: &&str| format!("{}.{name}", self.path);
        let known = names.iter().copied().filter(|name| !state.aliases.contains(&full(name)));
        let (late, first): (Vec<_>, Vec<_>) =
            known.partition(|name| state.late.contains(&full(name)));
        let in_order = late.is_empty() || adjacent;
        drop(state);
        if self.is_positional() && in_order {
            let mut parts = Members { around: &self, names, index: 0, adjacent };
            let value = visitor.visit_seq(&mut parts)?;
            if parts.index < names.len() {
                self.note(Trait::Aliases);
            }
            return Ok(value);
        }
        // Tag before content: the other way round its types could not be followed.
        let names = if adjacent { names.to_vec() } else { [first, late].concat() };
        visitor.visit_map(Fields { around: &self, names, index: 0, adjacent })
    }

    /// Gives the parts of a tuple.
    pub(super) fn members<'de, V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.count_part()?;
        let mut index = 0;
        visitor.visit_seq(Sequence(|| {
            let part = (index < len).then(|| self.within(format_args!(".{index}")));
            index += 1;
            part
        }))
    }

    /// Gives what a type that asks is to get.
    fn give<'de, V: Visitor<'de>>(self, given: Given, visitor: V) -> Result<V::Value> {
        self.count_part()?;
        let Given { guess, part } = given;
        match guess {
            Guess::Marked => self.text(marked_text(part), visitor),
            Guess::Unit => visitor.visit_unit(),
            Guess::Bool => visitor.visit_bool(true),
            Guess::Unsigned => visitor.visit_u64(1),
            Guess::Signed => visitor.visit_i64(-1),
            Guess::Float => visitor.visit_f64(1.5),
            Guess::Text(text) => self.text(text, visitor),
            Guess::Bytes(bytes) => self.bytes(bytes, visitor),
            Guess::Seq(parts) => {
                let mut number = part + 1;
                let mut parts = parts.into_iter();
                visitor.visit_seq(Sequence(|| {
                    let guess = parts.next()?;
                    let given = Given { part: number, guess };
                    number += given.guess.parts();
                    Some(Self { given: Some(given), ..self.within("[]") })
                }))
            }
            Guess::Map(entries) => {
                let own = marked_key(part);
                let entries = entries.into_iter().map(|(key, part)| (key.unwrap_or(own), part));
                self.give_entries(entries, part, visitor)
            }
            Guess::Object(fields) => self.give_entries(fields.into_iter(), part, visitor),
        }
    }

    fn give_entries<'de, V: Visitor<'de>>(
        self,
        entries: impl Iterator<Item = (&'static str, Guess)>,
        part: usize,
        visitor: V,
    ) -> Result<V::Value> {
        let mut number = part + 1;
        let mut left: Vec<_> = entries
            .map(|(key, guess)| {
                let given = Given { part: number, guess };
                number += given.guess.parts();
                (key, given)
            })
            .collect();
        left.reverse();
        visitor.visit_map(Entries { around: &self, left, value: None })
    }

    /// A type asks what comes.
    fn asks<'de, V: Visitor<'de>>(self, visitor: V, only_maps: bool) -> Result<V::Value> {
        if let Some(given) = self.given.clone() {
            return self.give(given, visitor);
        }
        let says = visitor_says(&visitor);
        if self.is_positional() {
            return self.refuse(Trait::Asks(says.into()));
        }
        let first = || {
            let (map, object) = (Guess::Map(vec![(None, Guess::Marked)]), Guess::Object(vec![]));
            if only_maps {
                // A flattened map takes the keys that no field takes.
                vec![object, map]
            } else if says.starts_with("internally tagged") {
                vec![object]
            } else {
                guess::first_guesses()
            }
        };
        let guess = self.state.borrow_mut().guess(&self.path, first);
        self.give(Given { guess, part: 0 }, visitor)
    }

    /// Whether serde_json means something private by a name.
    fn check_name(&self, name: &'static str) -> Result<()> {
        if name.starts_with("$serde_json::private") {
            return self.refuse(Trait::Private(name));
        }
        Ok(())
    }
}

/// What a visitor says that it expects.
fn visitor_says<'de, V: Visitor<'de>>(visitor: &V) -> String {
    (visitor as &dyn Expected).to_string()
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            let value = INTEGERS[self.choose(INTEGERS.len(), false)];
            visitor.$visit(<$type>::try_from(value).unwrap_or(3))
        })*
    };
}

impl<'de> Deserializer<'de> for Prober<'_> {
    type Error = ProbeError;

    integers! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.note(Trait::Wide);
        visitor.visit_i128(INTEGERS[self.choose(INTEGERS.len(), false)].into())
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.note(Trait::Wide);
        let value = INTEGERS[self.choose(INTEGERS.len(), false)];
        visitor.visit_u128(value.unsigned_abs().into())
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.asks(visitor, false)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.is_positional() {
            let says = visitor_says(&visitor);
            return self.refuse(Trait::Asks(says.into()));
        }
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_bool(self.choose(2, false) == 0)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f32(FLOATS[self.choose(FLOATS.len(), false)])
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f64(FLOATS[self.choose(FLOATS.len(), false)].into())
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_char(CHARS[self.choose(CHARS.len(), false)])
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let text = TEXTS[self.choose(TEXTS.len(), false)];
        self.text(text, visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let bytes = BYTES[self.choose(BYTES.len(), false)];
        self.bytes(bytes, visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.count_part()?;
        if self.optional {
            self.note(Trait::NestedOption);
        }
        if self.is_enough() || self.choose(2, true) == 1 {
            return visitor.visit_none();
        }
        visitor.visit_some(Self { optional: true, ..self.within("?") })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.optional {
            self.note(Trait::OptionalUnit);
        }
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.check_name(name)?;
        self.count_part()?;
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.count_part()?;
        // One element, or none if no element can be made up.
        let mut left = if self.is_enough() { 0 } else { 1 - self.choose(2, false) };
        visitor.visit_seq(Sequence(|| {
            let element = (left > 0).then(|| self.within("[]"));
            left = 0;
            element
        }))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.members(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.members(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.count_part()?;
        if self.state.borrow().flat.contains(&self.path) {
            return self.asks(visitor, true);
        }
        let left = !self.is_enough() && self.choose(2, false) == 0;
        visitor.visit_map(OneEntry { around: &self, left })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: Names,
        visitor: V,
    ) -> Result<V::Value> {
        self.check_name(name)?;
        let same = self.within("");
        same.named(name, names, || self.fields(names, visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: Names,
        visitor: V,
    ) -> Result<V::Value> {
        let same = self.within("");
        same.named(name, names, || {
            let key: TypeKey = (name, names.as_ptr().addr(), names.len());
            let index = if self.is_enough() {
                self.state.borrow_mut().ending(key)
            } else {
                Some(self.choose(names.len(), true))
            };
            let Some(index) = index else {
                return Err(ProbeError::silent("the variant leads back to its own type"));
            };
            visitor.visit_enum(Variant { around: &self, names, index, is_key: false })
        })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.given.clone() {
            // The tag of an internally tagged enum.
            Some(given) => self.give(given, visitor),
            None if self.is_positional() => self.refuse(Trait::Names),
            None => self.deserialize_str(visitor),
        }
    }
}
