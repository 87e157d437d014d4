//! One type, without its name: how to read it, and what to do with what was read.

use std::any::type_name;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error as _};
use serde::ser::Serialize;

use super::probe::{Explored, ProbeError, Prober, Style, Trait, explore};
use super::tee::{Copied, Lent, Tee};
use crate::codec::AnyCodec;
use crate::command::{ArgSource, CommandArg};
use crate::error::DecodeError;

/// Looks at a value that can be written.
pub type See<'s> = &'s mut dyn FnMut(&dyn erased_serde::Serialize);

/// Where a value is read from, whatever its type.
pub struct Source<'s, 'de>(&'s mut dyn erased_serde::Deserializer<'de>);

impl fmt::Debug for Source<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// A source held something else.
#[derive(Debug)]
pub struct SourceError(erased_serde::Error);

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SourceError {}

/// A type: how to read it.
#[derive(Clone, Copy)]
pub struct ValueType {
    name: fn() -> &'static str,
    reads: Reads,
    probe: Option<Probe>,
}

type Probe = fn(Prober<'_>, See<'_>) -> Result<(), ProbeError>;

#[derive(Clone, Copy)]
enum Reads {
    /// It may borrow from the source.
    Lent(for<'de> fn(Source<'_, 'de>, See<'_>) -> Result<(), SourceError>),
    /// It outlives the source.
    Owned(fn(Source<'_, 'static>, See<'_>) -> Result<(), SourceError>),
    /// It cannot be read, only written.
    Not,
}

impl ValueType {
    /// A type that can be written and read.
    #[must_use]
    pub fn of<T: Serialize + DeserializeOwned>() -> Self {
        Self::owned::<T>()
    }

    /// A type that can be read, and perhaps not written.
    #[must_use]
    pub fn read_only<T: DeserializeOwned>() -> Self {
        Self::lent(
            type_name::<T>,
            |from, _| T::deserialize(from.0).map(drop).map_err(SourceError),
            |prober, _| T::deserialize(prober).map(drop),
        )
    }

    /// A type of which nothing is wanted but to be shown.
    pub(crate) fn shown<T: DeserializeOwned>() -> Self {
        let read: for<'de> fn(Source<'_, 'de>, See<'_>) -> Result<(), SourceError> =
            |from, _| T::deserialize(from.0).map(drop).map_err(SourceError);
        Self { name: type_name::<T>, reads: Reads::Lent(read), probe: None }
    }

    /// A type that can only be written: of such a value nothing can be shown in a codec whose bytes
    /// do not tell what they are.
    #[must_use]
    pub fn write_only<T: ?Sized>() -> Self {
        Self { name: type_name::<T>, reads: Reads::Not, probe: None }
    }

    /// A type that may borrow from what it is read from.
    #[doc(hidden)]
    #[must_use]
    pub fn lent(
        name: fn() -> &'static str,
        read: for<'de> fn(Source<'_, 'de>, See<'_>) -> Result<(), SourceError>,
        probe: Probe,
    ) -> Self {
        Self { name, reads: Reads::Lent(read), probe: Some(probe) }
    }

    /// A type that is read without borrowing. The bound is the weakest that a method can be chosen
    /// by: `DeserializeOwned` would refuse to compile for `&'static str` instead of being left out.
    fn owned<T: Serialize + Deserialize<'static>>() -> Self {
        let read = |from: Source<'_, 'static>, see: See<'_>| {
            see(&T::deserialize(from.0).map_err(SourceError)?);
            Ok(())
        };
        let probe = |prober: Prober<'_>, see: See<'_>| {
            see(&T::deserialize(prober)?);
            Ok(())
        };
        Self { name: type_name::<T>, reads: Reads::Owned(read), probe: Some(probe) }
    }

    /// Finds out what the type is made of by giving it made-up values, as a codec of this style
    /// would; shows those that it has taken to `see` if the type can be written. A type that cannot
    /// be read tells nothing.
    #[must_use]
    pub fn explore(&self, style: Style, see: See<'_>) -> Explored {
        let lent = matches!(self.reads, Reads::Lent(_));
        self.probe.map_or_else(Explored::default, |probe| explore(probe, style, lent, see))
    }

    /// The type's name in the program. For people: it may change with the compiler.
    #[must_use]
    pub fn name(&self) -> &'static str {
        (self.name)()
    }

    /// Whether a value can be read, and so be shown. Not so a type that can only be written, or that
    /// borrows from what it is read from, such as a result of `&'static str`; that takes a look at
    /// it, as [`explore`](Self::explore) does.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        match self.reads {
            Reads::Not => false,
            Reads::Lent(_) => true,
            Reads::Owned(_) => {
                let Explored { notes, .. } = self.explore(Style::SelfDescribing, &mut |_| {});
                !notes.iter().any(|note| note.what == Trait::Borrows)
            }
        }
    }

    /// The JSON text of an encoded value of this type, in any codec.
    ///
    /// # Errors
    ///
    /// `input` is not one value of this type, or the type cannot be read.
    pub fn to_json(&self, codec: AnyCodec, input: &[u8]) -> Result<String, DecodeError> {
        self.read(codec, input, &mut |_| {})
    }

    /// As [`to_json`](Self::to_json); shows the value to `see` if the type can be written.
    ///
    /// # Errors
    ///
    /// As [`to_json`](Self::to_json).
    pub fn read(&self, codec: AnyCodec, input: &[u8], see: See<'_>) -> Result<String, DecodeError> {
        let mut out = Vec::with_capacity(2 * input.len());
        codec
            .decode_seed(Show { reads: self.reads, name: self.name, out: &mut out, see }, input)?;
        String::from_utf8(out).map_err(|e| DecodeError::new(codec.name(), e))
    }

    /// Reads a value of this type and appends it to `out` as JSON.
    pub(super) fn seed<'de>(&self, out: &mut Vec<u8>) -> impl DeserializeSeed<'de, Value = ()> {
        struct Blind<'o>(ValueType, &'o mut Vec<u8>);
        impl<'de> DeserializeSeed<'de> for Blind<'_> {
            type Value = ();
            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
                let ValueType { name, reads, .. } = self.0;
                Show { reads, name, out: self.1, see: &mut |_| {} }.deserialize(from)
            }
        }
        Blind(*self, out)
    }
}

impl fmt::Debug for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValueType").field(&self.name()).finish()
    }
}

struct Show<'s> {
    reads: Reads,
    name: fn() -> &'static str,
    out: &'s mut Vec<u8>,
    see: See<'s>,
}

impl<'de> DeserializeSeed<'de> for Show<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<(), D::Error> {
        let Self { reads, name, out, see } = self;
        let read = match reads {
            Reads::Lent(read) => {
                let tee = Tee::<_, Lent>::new(inner, out);
                let mut deserializer = <dyn erased_serde::Deserializer<'de>>::erase(tee);
                read(Source(&mut deserializer), see)
            }
            Reads::Owned(read) => {
                let tee = Tee::<_, Copied>::new(inner, out);
                let mut deserializer = <dyn erased_serde::Deserializer<'static>>::erase(tee);
                read(Source(&mut deserializer), see)
            }
            Reads::Not => {
                return Err(D::Error::custom(format_args!(
                    "`{}` cannot be read, so nothing can be shown of it",
                    name()
                )));
            }
        };
        read.map_err(D::Error::custom)
    }
}

/// A parameter's type. `(&Parameter::<T>::NEW)` gives what a command's parameter can do
/// ([`ViaArg`]). What cannot be a parameter can do nothing ([`ViaNoArg`]): that it is none is said
/// elsewhere, once.
#[derive(Debug)]
pub struct Parameter<T>(PhantomData<fn() -> T>);

impl<T> Parameter<T> {
    /// The one there is.
    pub const NEW: Self = Self(PhantomData);
}

/// See [`Parameter`].
pub trait ViaArg<'de> {
    /// The type.
    type Value;

    /// Where the value comes from.
    fn source(&self) -> ArgSource;

    /// Reads the value.
    ///
    /// # Errors
    ///
    /// It is none of this type.
    fn read(&self, from: Source<'_, 'de>) -> Result<Self::Value, SourceError>;

    /// Makes a value up.
    ///
    /// # Errors
    ///
    /// It was not taken.
    fn probe(&self, prober: Prober<'_>) -> Result<Self::Value, ProbeError>;
}

impl<'de, T: CommandArg<'de>> ViaArg<'de> for Parameter<T> {
    type Value = T;

    fn source(&self) -> ArgSource {
        T::SOURCE
    }

    fn read(&self, from: Source<'_, 'de>) -> Result<T, SourceError> {
        T::from_body(from.0).map_err(SourceError)
    }

    fn probe(&self, prober: Prober<'_>) -> Result<T, ProbeError> {
        T::from_body(prober)
    }
}

/// See [`Parameter`].
pub trait ViaNoArg {
    /// Not from the body.
    fn source(&self) -> ArgSource;

    /// Reads nothing.
    ///
    /// # Errors
    ///
    /// Always.
    fn read(&self, from: Source<'_, '_>) -> Result<(), SourceError>;

    /// Makes nothing up.
    ///
    /// # Errors
    ///
    /// Always.
    fn probe(&self, prober: Prober<'_>) -> Result<(), ProbeError>;
}

impl<T> ViaNoArg for &Parameter<T> {
    fn source(&self) -> ArgSource {
        ArgSource::Call
    }

    fn read(&self, _: Source<'_, '_>) -> Result<(), SourceError> {
        Err(SourceError(erased_serde::Error::custom("no parameter")))
    }

    fn probe(&self, _: Prober<'_>) -> Result<(), ProbeError> {
        Err(ProbeError::custom("no parameter"))
    }
}

/// A value that was read. `(&Seen(&value)).hand_over(see)` shows it if it can be written
/// ([`ViaSerialize`]) and does nothing otherwise ([`ViaNothing`]).
#[derive(Debug)]
pub struct Seen<'v, T>(pub &'v T);

/// Shows a value.
pub trait ViaSerialize {
    /// Shows the value.
    fn hand_over(&self, see: See<'_>);
}

impl<T: Serialize> ViaSerialize for Seen<'_, T> {
    fn hand_over(&self, see: See<'_>) {
        see(&self.0);
    }
}

/// Shows nothing.
pub trait ViaNothing {
    /// Does nothing.
    fn hand_over(&self, see: See<'_>);
}

impl<T> ViaNothing for &Seen<'_, T> {
    fn hand_over(&self, _: See<'_>) {}
}

/// Stands for a parameter where only the function's type is asked for.
///
/// # Panics
///
/// Always: it is not meant to be called.
#[doc(hidden)]
#[must_use]
pub fn never<T>() -> T {
    unreachable!("only the type of the function is asked for")
}

/// The type that a function returns, found by the compiler.
#[derive(Debug)]
pub struct Returned<T>(PhantomData<fn() -> T>);

impl<T> Returned<T> {
    /// Of a function.
    #[must_use]
    pub fn by(_: impl FnOnce() -> T) -> Self {
        Self(PhantomData)
    }
}

impl<F: Future> Returned<F> {
    /// Of the future that a function returns.
    #[must_use]
    pub fn awaited(self) -> Returned<F::Output> {
        Returned(PhantomData)
    }
}

/// The types within a returned one. `(&returned).split()` takes a `Result` apart ([`SplitResult`]);
/// everything else is the value itself ([`SplitValue`]).
pub trait SplitResult {
    /// The result.
    type Value;
    /// The error value.
    type Error;

    /// The result's type and the error value's.
    fn split(&self) -> (Returned<Self::Value>, Returned<Self::Error>);
}

impl<T, E> SplitResult for Returned<Result<T, E>> {
    type Value = T;
    type Error = E;

    fn split(&self) -> (Returned<T>, Returned<E>) {
        (Returned(PhantomData), Returned(PhantomData))
    }
}

/// See [`SplitResult`].
pub trait SplitValue {
    /// The result.
    type Value;

    /// The result's type, and that there is no error value.
    fn split(&self) -> (Returned<Self::Value>, Returned<Infallible>);
}

impl<T> SplitValue for &Returned<T> {
    type Value = T;

    fn split(&self) -> (Returned<T>, Returned<Infallible>) {
        (Returned(PhantomData), Returned(PhantomData))
    }
}

/// `(&returned).value_type()` can be read if the type can ([`ReadableType`]), and only be named
/// otherwise ([`WrittenType`]).
pub trait ReadableType {
    /// How to read it.
    fn value_type(&self) -> ValueType;
}

impl<T: Serialize + Deserialize<'static>> ReadableType for Returned<T> {
    fn value_type(&self) -> ValueType {
        ValueType::owned::<T>()
    }
}

/// See [`ReadableType`].
pub trait WrittenType {
    /// That it cannot be read.
    fn value_type(&self) -> ValueType;
}

impl<T> WrittenType for &Returned<T> {
    fn value_type(&self) -> ValueType {
        ValueType::write_only::<T>()
    }
}
