//! The parts of what is read and written.

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::{Form, Lend, Names, Tee};

/// The parts of a sequence, a struct or a map.
pub(super) struct Parts<'o, 'de, 'x, A, L> {
    pub(super) tee: Tee<'o, 'de, 'x, A, L>,
    pub(super) count: usize,
}

impl<'de, 'x, A, L: Lend<'de, 'x>> Parts<'_, 'de, 'x, A, L> {
    /// What stands before a part; if none comes, the mark to go back to.
    fn begin(&mut self) -> usize {
        let mark = self.tee.out.len();
        if self.count > 0 {
            self.tee.out.push(b',');
        }
        mark
    }

    /// Notes whether the part came.
    fn came<T>(&mut self, part: Option<T>, mark: usize) -> Option<T> {
        match part {
            Some(_) => self.count += 1,
            None => self.tee.out.truncate(mark),
        }
        part
    }
}

impl<'de, 'x, A, L> SeqAccess<'x> for &mut Parts<'_, 'de, 'x, A, L>
where
    A: SeqAccess<'de>,
    L: Lend<'de, 'x>,
{
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'x>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let mark = self.begin();
        if let Form::Fields(names) = self.tee.form
            && let Some(name) = names.get(self.count)
        {
            self.tee.write(name)?;
            self.tee.out.push(b':');
        }
        let Tee { inner, out, lend, .. } = &mut self.tee;
        let seed = Tee { inner: seed, out, form: Form::Plain, lend: *lend };
        let part = inner.next_element_seed(seed)?;
        Ok(self.came(part, mark))
    }

    fn size_hint(&self) -> Option<usize> {
        self.tee.inner.size_hint()
    }
}

impl<'de, 'x, A, L> MapAccess<'x> for &mut Parts<'_, 'de, 'x, A, L>
where
    A: MapAccess<'de>,
    L: Lend<'de, 'x>,
{
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'x>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let mark = self.begin();
        let Tee { inner, out, lend, .. } = &mut self.tee;
        let seed = Tee { inner: seed, out, form: Form::Key(&[]), lend: *lend };
        let key = inner.next_key_seed(seed)?;
        self.tee.out.push(b':');
        Ok(self.came(key, mark))
    }

    fn next_value_seed<S: DeserializeSeed<'x>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let Tee { inner, out, lend, .. } = &mut self.tee;
        inner.next_value_seed(Tee { inner: seed, out, form: Form::Plain, lend: *lend })
    }

    fn size_hint(&self) -> Option<usize> {
        self.tee.inner.size_hint()
    }
}

impl<'o, 'de, 'x, A, L> EnumAccess<'x> for Tee<'o, 'de, 'x, A, L>
where
    A: EnumAccess<'de>,
    L: Lend<'de, 'x>,
{
    type Error = A::Error;
    type Variant = Content<'o, 'de, 'x, A::Variant, L>;

    fn variant_seed<S: DeserializeSeed<'x>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let form = self.form;
        let names = match form {
            Form::Variants(names) | Form::Key(names) => names,
            _ => &[],
        };
        let mut name = Vec::new();
        let seed = Tee { inner: seed, out: &mut name, form: Form::Variant(names), lend: self.lend };
        let (variant, inner) = self.inner.variant_seed(seed)?;
        let Self { out, lend, .. } = self;
        Ok((variant, Content { tee: Tee { inner, out, form, lend }, name }))
    }
}

/// What follows a variant's name.
pub(in crate::typed) struct Content<'o, 'de, 'x, A, L> {
    tee: Tee<'o, 'de, 'x, A, L>,
    /// The name, as JSON.
    name: Vec<u8>,
}

impl<'o, 'de, 'x, A, L> Content<'o, 'de, 'x, A, L>
where
    A: VariantAccess<'de>,
    L: Lend<'de, 'x>,
{
    /// Reads content with something that it is given in a tee.
    fn read<U, R>(
        self,
        with: U,
        form: Form,
        read: impl FnOnce(A, Tee<'_, 'de, 'x, U, L>) -> Result<R, A::Error>,
    ) -> Result<R, A::Error> {
        let Self { tee, name } = self;
        tee.may_have_parts()?;
        let Tee { inner, out, lend, .. } = tee;
        out.push(b'{');
        out.extend_from_slice(&name);
        out.push(b':');
        let value = read(inner, Tee { inner: with, out: &mut *out, form, lend })?;
        out.push(b'}');
        Ok(value)
    }
}

impl<'de, 'x, A, L> VariantAccess<'x> for Content<'_, 'de, 'x, A, L>
where
    A: VariantAccess<'de>,
    L: Lend<'de, 'x>,
{
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.tee.out.extend_from_slice(&self.name);
        self.tee.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'x>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.read(seed, Form::Plain, |inner, seed| inner.newtype_variant_seed(seed))
    }

    fn tuple_variant<V: Visitor<'x>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.read(visitor, Form::Plain, |inner, visitor| inner.tuple_variant(len, visitor))
    }

    fn struct_variant<V: Visitor<'x>>(
        self,
        fields: Names,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let form = Form::Fields(fields);
        self.read(visitor, form, |inner, visitor| inner.struct_variant(fields, visitor))
    }
}
