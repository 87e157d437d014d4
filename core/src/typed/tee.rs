//! Writes a value as JSON while a type reads it.
//!
//! The type's questions (`deserialize_struct` with its names, `deserialize_enum` with its variants)
//! say what a value is called, the codec says what it is. So bytes that tell nothing of themselves
//! become JSON, and the type need not be able to write anything.

mod parts;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::Serialize;

use self::parts::Parts;

/// Whether a value may borrow from the input (`'de`); it lives for `'x`.
pub(super) trait Lend<'de, 'x> {
    /// Gives text to the type.
    fn text<V: Visitor<'x>, E: Error>(visitor: V, text: &'de str) -> Result<V::Value, E>;
    /// Gives bytes to the type.
    fn bytes<V: Visitor<'x>, E: Error>(visitor: V, bytes: &'de [u8]) -> Result<V::Value, E>;
}

/// It may.
pub(super) struct Lent;

impl<'de> Lend<'de, 'de> for Lent {
    fn text<V: Visitor<'de>, E: Error>(visitor: V, text: &'de str) -> Result<V::Value, E> {
        visitor.visit_borrowed_str(text)
    }

    fn bytes<V: Visitor<'de>, E: Error>(visitor: V, bytes: &'de [u8]) -> Result<V::Value, E> {
        visitor.visit_borrowed_bytes(bytes)
    }
}

/// It may not: it outlives the input.
pub(super) struct Copied;

impl<'x> Lend<'_, 'x> for Copied {
    fn text<V: Visitor<'x>, E: Error>(visitor: V, text: &str) -> Result<V::Value, E> {
        visitor.visit_str(text)
    }

    fn bytes<V: Visitor<'x>, E: Error>(visitor: V, bytes: &[u8]) -> Result<V::Value, E> {
        visitor.visit_bytes(bytes)
    }
}

type Names = &'static [&'static str];

/// What is known of the value that comes.
#[derive(Clone, Copy)]
enum Form {
    /// The codec says it all.
    Plain,
    /// A float of this width, whatever number the codec has found.
    F32,
    F64,
    /// Its parts are called so.
    Fields(Names),
    /// Its variants are called so.
    Variants(Names),
    /// A map's key, which is text in JSON; if it is a variant, they are called so.
    Key(Names),
    /// Which variant it is, by number or by name.
    Variant(Names),
}

impl Form {
    /// What becomes of it when the type says more.
    fn or(self, said: Self) -> Self {
        match (self, said) {
            (Self::Key(_), Self::Variants(names)) => Self::Key(names),
            (Self::Key(_) | Self::Variant(_), _) => self,
            _ => said,
        }
    }
}

/// Stands between a codec and a type, on whichever side: around the codec's deserializer, around the
/// type's visitor, and around everything these two give each other.
pub(super) struct Tee<'o, 'de, 'x, T, L> {
    inner: T,
    out: &'o mut Vec<u8>,
    form: Form,
    lend: PhantomData<(&'de (), &'x (), L)>,
}

impl<'o, 'de, 'x, T, L: Lend<'de, 'x>> Tee<'o, 'de, 'x, T, L> {
    /// Around a deserializer, to be given to a type.
    pub(super) fn new(inner: T, out: &'o mut Vec<u8>) -> Self {
        Self { inner, out, form: Form::Plain, lend: PhantomData }
    }

    /// The same around something else.
    fn around<U>(self, inner: U, form: Form) -> (T, Tee<'o, 'de, 'x, U, L>) {
        let Self { inner: own, out, lend, .. } = self;
        (own, Tee { inner, out, form, lend })
    }

    fn write<V: Serialize + ?Sized, E: Error>(&mut self, value: &V) -> Result<(), E> {
        serde_json::to_writer(&mut *self.out, value).map_err(E::custom)
    }

    /// Something that JSON has as text where it is a key.
    fn scalar<V: Serialize + ToString + ?Sized, E: Error>(&mut self, value: &V) -> Result<(), E> {
        match self.form {
            Form::Key(_) | Form::Variant(_) => self.write(&value.to_string()),
            _ => self.write(value),
        }
    }

    fn integer<V, E>(&mut self, value: V) -> Result<(), E>
    where
        V: Serialize + ToString + Copy + TryInto<usize> + IntoF64,
        E: Error,
    {
        match self.form {
            Form::Variant(names) => {
                let name = value.try_into().ok().and_then(|index| names.get(index));
                self.write(name.copied().unwrap_or_default())
            }
            // A codec may have a whole number for a float; JSON would not.
            Form::F32 | Form::F64 => self.float(value.into_f64()),
            _ => self.scalar(&value),
        }
    }

    fn float<E: Error>(&mut self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(E::custom("NaN and infinities have no JSON form"));
        }
        match self.form {
            Form::Key(_) => Err(E::custom(NO_KEY)),
            #[expect(clippy::cast_possible_truncation, reason = "what a type of f32 makes of it")]
            Form::F32 => self.write(&(value as f32)),
            _ => self.write(&value),
        }
    }

    /// Refuses what has parts where JSON has text.
    fn may_have_parts<E: Error>(&self) -> Result<(), E> {
        match self.form {
            Form::Key(_) | Form::Variant(_) => Err(E::custom(NO_KEY)),
            _ => Ok(()),
        }
    }

    fn null<E: Error>(&mut self) -> Result<(), E> {
        self.may_have_parts()?;
        self.out.extend_from_slice(b"null");
        Ok(())
    }
}

const NO_KEY: &str = "a map's key that is no scalar has no JSON form";

/// The float that a type makes of an integer.
trait IntoF64 {
    fn into_f64(self) -> f64;
}

macro_rules! into_f64 {
    ($($type:ty)*) => {
        $(impl IntoF64 for $type {
            #[allow(clippy::cast_precision_loss, clippy::cast_lossless, reason = "as serde does")]
            fn into_f64(self) -> f64 {
                self as f64
            }
        })*
    };
}

into_f64! { i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 }

macro_rules! ask {
    ($($method:ident($($name:ident: $type:ty),*) => $form:expr)*) => {
        $(fn $method<V: Visitor<'x>>(
            self,
            $($name: $type,)*
            visitor: V,
        ) -> Result<V::Value, D::Error> {
            let form = self.form.or($form);
            let (inner, visitor) = self.around(visitor, form);
            inner.$method($($name,)* visitor)
        })*
    };
}

impl<'de, 'x, D, L> Deserializer<'x> for Tee<'_, 'de, 'x, D, L>
where
    D: Deserializer<'de>,
    L: Lend<'de, 'x>,
{
    type Error = D::Error;

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    ask! {
        deserialize_any() => Form::Plain
        deserialize_bool() => Form::Plain
        deserialize_i8() => Form::Plain
        deserialize_i16() => Form::Plain
        deserialize_i32() => Form::Plain
        deserialize_i64() => Form::Plain
        deserialize_i128() => Form::Plain
        deserialize_u8() => Form::Plain
        deserialize_u16() => Form::Plain
        deserialize_u32() => Form::Plain
        deserialize_u64() => Form::Plain
        deserialize_u128() => Form::Plain
        deserialize_f32() => Form::F32
        deserialize_f64() => Form::F64
        deserialize_char() => Form::Plain
        deserialize_str() => Form::Plain
        deserialize_string() => Form::Plain
        deserialize_bytes() => Form::Plain
        deserialize_byte_buf() => Form::Plain
        deserialize_option() => Form::Plain
        deserialize_unit() => Form::Plain
        deserialize_unit_struct(name: &'static str) => Form::Plain
        deserialize_newtype_struct(name: &'static str) => Form::Plain
        deserialize_seq() => Form::Plain
        deserialize_tuple(len: usize) => Form::Plain
        deserialize_tuple_struct(name: &'static str, len: usize) => Form::Plain
        deserialize_map() => Form::Plain
        deserialize_struct(name: &'static str, fields: Names) => Form::Fields(fields)
        deserialize_enum(name: &'static str, variants: Names) => Form::Variants(variants)
        deserialize_identifier() => Form::Plain
        deserialize_ignored_any() => Form::Plain
    }
}

impl<'de, 'x, S, L> DeserializeSeed<'de> for Tee<'_, 'de, 'x, S, L>
where
    S: DeserializeSeed<'x>,
    L: Lend<'de, 'x>,
{
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        let form = self.form;
        let (seed, deserializer) = self.around(inner, form);
        seed.deserialize(deserializer)
    }
}

macro_rules! visit {
    ($($method:ident($type:ty) $write:ident)*) => {
        $(fn $method<E: Error>(mut self, value: $type) -> Result<V::Value, E> {
            self.$write(value)?;
            self.inner.$method(value)
        })*
    };
}

impl<'de, 'x, V: Visitor<'x>, L: Lend<'de, 'x>> Visitor<'de> for Tee<'_, 'de, 'x, V, L> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_i8(i8) integer
        visit_i16(i16) integer
        visit_i32(i32) integer
        visit_i64(i64) integer
        visit_i128(i128) integer
        visit_u8(u8) integer
        visit_u16(u16) integer
        visit_u32(u32) integer
        visit_u64(u64) integer
        visit_u128(u128) integer
        visit_f64(f64) float
        visit_str(&str) scalar
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<V::Value, E> {
        self.scalar(&value)?;
        self.inner.visit_bool(value)
    }

    fn visit_f32<E: Error>(mut self, value: f32) -> Result<V::Value, E> {
        if let Form::Plain = self.form {
            self.form = Form::F32;
        }
        self.float(value.into())?;
        self.inner.visit_f32(value)
    }

    fn visit_char<E: Error>(mut self, value: char) -> Result<V::Value, E> {
        self.scalar(&value)?;
        self.inner.visit_char(value)
    }

    fn visit_borrowed_str<E: Error>(mut self, text: &'de str) -> Result<V::Value, E> {
        self.scalar(text)?;
        L::text(self.inner, text)
    }

    fn visit_string<E: Error>(mut self, text: String) -> Result<V::Value, E> {
        self.scalar(&text)?;
        self.inner.visit_string(text)
    }

    fn visit_bytes<E: Error>(mut self, bytes: &[u8]) -> Result<V::Value, E> {
        self.may_have_parts()?;
        self.write(bytes)?;
        self.inner.visit_bytes(bytes)
    }

    fn visit_borrowed_bytes<E: Error>(mut self, bytes: &'de [u8]) -> Result<V::Value, E> {
        self.may_have_parts()?;
        self.write(bytes)?;
        L::bytes(self.inner, bytes)
    }

    fn visit_byte_buf<E: Error>(mut self, bytes: Vec<u8>) -> Result<V::Value, E> {
        self.may_have_parts()?;
        self.write(&bytes)?;
        self.inner.visit_byte_buf(bytes)
    }

    fn visit_none<E: Error>(mut self) -> Result<V::Value, E> {
        self.null()?;
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(mut self) -> Result<V::Value, E> {
        self.null()?;
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        // As a key an option is its content.
        let form = if let Form::Key(_) = self.form { self.form } else { Form::Plain };
        let (visitor, deserializer) = self.around(inner, form);
        visitor.visit_some(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let form = self.form;
        let (visitor, deserializer) = self.around(inner, form);
        visitor.visit_newtype_struct(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.may_have_parts()?;
        let form = self.form;
        let (visitor, tee) = self.around(inner, form);
        let mut parts = Parts { tee, count: 0 };
        let Form::Fields(names) = form else {
            parts.tee.out.push(b'[');
            let value = visitor.visit_seq(&mut parts)?;
            parts.tee.out.push(b']');
            return Ok(value);
        };
        parts.tee.out.push(b'{');
        let value = visitor.visit_seq(&mut parts)?;
        if parts.count != names.len() {
            // With an alias among the names, which is not said, they do not match the values.
            return Err(A::Error::custom(format_args!(
                "the type names {} fields and reads {}: an alias hides what is called what",
                names.len(),
                parts.count
            )));
        }
        parts.tee.out.push(b'}');
        Ok(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.may_have_parts()?;
        let (visitor, tee) = self.around(inner, Form::Plain);
        let mut parts = Parts { tee, count: 0 };
        parts.tee.out.push(b'{');
        let value = visitor.visit_map(&mut parts)?;
        parts.tee.out.push(b'}');
        Ok(value)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let form = self.form;
        let (visitor, access) = self.around(inner, form);
        visitor.visit_enum(access)
    }
}
