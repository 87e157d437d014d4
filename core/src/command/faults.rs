//! Arguments that are missing or mistyped: what the caller is told.

use std::fmt;

use serde::de::value::Error as PlainError;
use serde::de::{self, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::Call;
use super::args::{ArgSource, CommandArg};
use crate::envelope::BodyKind;
use crate::error::{DecodeError, Rejection};

#[cold]
pub(super) fn bad(text: impl fmt::Display) -> Rejection {
    Rejection::BadArguments { text: text.to_string().into() }
}

/// The command's name in texts: a plugin's command goes by its own name, as in Tauri.
pub(super) fn shown_name<'a>(call: &Call<'a>) -> &'a str {
    let name = call.command();
    name.strip_prefix("plugin:").and_then(|rest| rest.split('|').nth(1)).unwrap_or(name)
}

/// Tauri's words, so that programs which show or match them see what they know.
#[cold]
pub(crate) fn invalid(call: &Call<'_>, name: &str, cause: impl fmt::Display) -> Rejection {
    bad(format_args!("invalid args `{name}` for command `{}`: {cause}", shown_name(call)))
}

/// An argument that the body does not have, or that does not come from it.
#[inline]
pub(super) fn without_value<'a, T: CommandArg<'a>>(
    call: &Call<'a>,
    name: &'static str,
) -> Result<T, Rejection> {
    match T::SOURCE {
        ArgSource::Call => T::from_call(*call, name).map_err(bad),
        ArgSource::Body if call.body_kind() == BodyKind::Raw => Err(invalid(
            call,
            name,
            format_args!(
                "command {} expected a value for key {name} but the IPC call used a bytes payload",
                shown_name(call)
            ),
        )),
        ArgSource::Body => T::from_body(Missing).map_err(|_| {
            invalid(
                call,
                name,
                format_args!("command {} missing required key {name}", shown_name(call)),
            )
        }),
    }
}

/// Why the codec refused a body, and in which argument.
pub(super) struct Refused {
    pub(super) name: Option<&'static str>,
    pub(super) error: DecodeError,
}

impl Refused {
    /// Where in the argument, if that is not all of it: Tauri does not say that.
    fn place(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            let DecodeError { at, path, .. } = &self.error;
            if !path.get(1..).is_some_and(|rest| rest.contains(['.', '['])) {
                return Ok(());
            }
            match at {
                Some(at) => write!(f, ", at `{path}`, byte {at}"),
                None => write!(f, ", at `{path}`"),
            }
        })
    }

    fn into_rejection(self, call: &Call<'_>) -> Rejection {
        let cause = format_args!("{}{}", self.error.cause, self.place());
        match self.name {
            Some(name) => invalid(call, name, cause),
            None => {
                let name = shown_name(call);
                bad(format_args!("invalid args for command `{name}`: {}", self.error.detail()))
            }
        }
    }
}

/// The arguments of a refused call, read once more to say what Tauri would: the first fault in the
/// order of the parameters, not of the body, and type errors in the words of `serde_json::Value`,
/// whatever the codec.
pub(super) struct Again<'c, 'a> {
    call: &'c Call<'a>,
    refused: Refused,
    body: Option<Value>,
    /// How many arguments of a positional call have been taken.
    taken: usize,
    fault: Option<Rejection>,
}

/// Longest body that is read again, in bytes: a tree of values may take a hundred times the memory.
const MAX_READ_AGAIN_LEN: usize = 64 << 10;

impl<'c, 'a> Again<'c, 'a> {
    #[cold]
    pub(super) fn read(call: &'c Call<'a>, refused: Refused) -> Self {
        let small = call.body().len() <= MAX_READ_AGAIN_LEN;
        // What has no tree, such as bytes, keeps the codec's own words.
        let body = small.then(|| call.codec().decode(call.body()).ok()).flatten();
        Self { call, refused, body, taken: 0, fault: None }
    }

    pub(super) fn check<T: CommandArg<'a>>(&mut self, name: &'static str) {
        let Some(body) = self.body.as_mut().filter(|_| self.fault.is_none()) else {
            return;
        };
        let value = match body {
            _ if T::SOURCE == ArgSource::Call => None,
            Value::Array(list) => {
                self.taken += 1;
                list.get_mut(self.taken - 1)
            }
            body => body.get_mut(name),
        };
        let checked = match value.map(Value::take) {
            // Erased, as for codecs of one's own: the arguments' types need no code of their own for
            // this.
            Some(value) => {
                let mut value = <dyn erased_serde::Deserializer<'_>>::erase(value);
                let value: &mut dyn erased_serde::Deserializer<'_> = &mut value;
                T::from_body(value).map(drop).map_err(|e| {
                    let same = self.refused.name == Some(name);
                    let place = if same { self.refused.place().to_string() } else { String::new() };
                    invalid(self.call, name, format_args!("{e}{place}"))
                })
            }
            None => without_value::<T>(self.call, name).map(drop),
        };
        self.fault = checked.err();
    }

    /// The first fault, or what the codec said.
    pub(super) fn found(self) -> Rejection {
        let Self { call, refused, fault, .. } = self;
        fault.unwrap_or_else(|| refused.into_rejection(call))
    }
}

/// A value that is not there: `None` for an `Option`, an error for everything else.
struct Missing;

impl<'de> Deserializer<'de> for Missing {
    type Error = PlainError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, PlainError> {
        Err(de::Error::custom("missing"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PlainError> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
