//! The parts of made-up values.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::Trait;
use super::error::{ProbeError, count};
use super::prober::{Given, Names, Prober, Result};

/// Parts, one after the other.
pub(super) struct Sequence<F>(pub(super) F);

impl<'de, 'p, F: FnMut() -> Option<Prober<'p>>> SeqAccess<'de> for Sequence<F> {
    type Error = ProbeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        (self.0)().map(|part| seed.deserialize(part)).transpose()
    }
}

/// Reads a field's value; where it fails is remembered.
fn field<'de, S: DeserializeSeed<'de>>(
    around: &Prober<'_>,
    name: &str,
    adjacent: Adjacent,
    seed: S,
) -> Result<S::Value> {
    let content = adjacent == Adjacent::Content;
    let part = match adjacent {
        Adjacent::No => around.within(format_args!(".{name}")),
        // Like the name of any other enum's variant, ...
        Adjacent::Tag => around.within(""),
        // ... and what follows it.
        Adjacent::Content => {
            let variant = around.state.borrow().variant;
            around.within(format_args!("::{variant}.{name}"))
        }
    };
    {
        let mut state = around.state.borrow_mut();
        state.fields.push(part.path.clone());
        state.adjacent += usize::from(content);
    }
    let value = seed.deserialize(part)?;
    let mut state = around.state.borrow_mut();
    state.fields.pop();
    state.adjacent -= usize::from(content);
    Ok(value)
}

/// What a field is in an adjacently tagged enum.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Adjacent {
    /// It is in none.
    No,
    Tag,
    Content,
}

impl Adjacent {
    fn field(adjacent: bool, index: usize) -> Self {
        match (adjacent, index) {
            (false, _) => Self::No,
            (true, 0) => Self::Tag,
            (true, _) => Self::Content,
        }
    }
}

/// The fields of a struct, in a codec that has no names.
pub(super) struct Members<'a, 'p> {
    pub(super) around: &'a Prober<'p>,
    pub(super) names: Names,
    pub(super) index: usize,
    pub(super) adjacent: bool,
}

impl<'de> SeqAccess<'de> for &mut Members<'_, '_> {
    type Error = ProbeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(name) = self.names.get(self.index) else { return Ok(None) };
        let adjacent = Adjacent::field(self.adjacent, self.index);
        self.index += 1;
        field(self.around, name, adjacent, seed).map(Some)
    }
}

/// The fields of a struct, by name.
pub(super) struct Fields<'a, 'p> {
    pub(super) around: &'a Prober<'p>,
    pub(super) names: Vec<&'static str>,
    pub(super) index: usize,
    pub(super) adjacent: bool,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = ProbeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(name) = self.names.get(self.index).copied() else { return Ok(None) };
        let full = format!("{}.{name}", self.around.path);
        self.around.state.borrow_mut().unanswered = Some(full);
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.around.state.borrow_mut().unanswered = None;
        let name = self.names.get(self.index).copied().unwrap_or_default();
        let adjacent = Adjacent::field(self.adjacent, self.index);
        self.index += 1;
        field(self.around, name, adjacent, seed)
    }
}

/// The entries of a guess.
pub(super) struct Entries<'a, 'p> {
    pub(super) around: &'a Prober<'p>,
    /// The next one last.
    pub(super) left: Vec<(&'static str, Given)>,
    pub(super) value: Option<(&'static str, Given)>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = ProbeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(entry) = self.left.pop() else { return Ok(None) };
        let key = seed.deserialize(BorrowedStrDeserializer::new(entry.0))?;
        self.value = Some(entry);
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let Some((name, given)) = self.value.take() else {
            return Err(ProbeError::silent("a value before its key"));
        };
        let part = self.around.within(format_args!(".{name}"));
        seed.deserialize(Prober { given: Some(given), ..part })
    }
}

/// One variant.
pub(super) struct Variant<'a, 'p> {
    pub(super) around: &'a Prober<'p>,
    pub(super) names: Names,
    pub(super) index: usize,
    /// It is a map's key, so nothing may follow it.
    pub(super) is_key: bool,
}

impl<'de, 'p> EnumAccess<'de> for Variant<'_, 'p> {
    type Error = ProbeError;
    type Variant = Content<'p>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant)> {
        let Self { around, names, index, is_key } = self;
        let name = names.get(index).copied().unwrap_or_default();
        around.state.borrow_mut().variant = name;
        let variant = if around.is_positional() {
            let before = count();
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            let variant =
                seed.deserialize(IntoDeserializer::<ProbeError>::into_deserializer(number));
            if variant.is_err() && count() > before {
                around.note(Trait::Aliases);
            }
            variant?
        } else {
            seed.deserialize(BorrowedStrDeserializer::<ProbeError>::new(name))?
        };
        Ok((variant, Content { own: around.within(format_args!("::{name}")), is_key }))
    }
}

/// What follows a variant's name.
pub(super) struct Content<'p> {
    own: Prober<'p>,
    is_key: bool,
}

impl Content<'_> {
    fn check(&self) -> Result<()> {
        if self.is_key {
            return self.own.refuse(Trait::KeyNoScalar("a variant with content"));
        }
        Ok(())
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = ProbeError;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        self.check()?;
        seed.deserialize(self.own)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.check()?;
        self.own.members(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, names: Names, visitor: V) -> Result<V::Value> {
        self.check()?;
        self.own.fields(names, visitor)
    }
}
