//! What a command knows of its own types, so that its messages become JSON in any codec and its
//! types can be looked at before the first message.
//!
//! `#[command]` writes it, as [`Command::types`](crate::command::Command::types).

mod probe;
mod tee;
mod value;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::codec::AnyCodec;
use crate::command::ArgSource;
use crate::error::DecodeError;

pub use self::probe::{Explored, Note, ProbeError, Prober, Style, Trait};
#[doc(hidden)]
pub use self::value::never;
pub use self::value::{
    Parameter, ReadableType, Returned, See, Seen, Source, SourceError, SplitResult, SplitValue,
    ValueType, ViaArg, ViaNoArg, ViaNothing, ViaSerialize, WrittenType,
};

/// The types of one command's arguments, result and error value.
///
/// # Examples
///
/// ```
/// use tramline_core::AnyCodec;
/// use tramline_core::typed::{CommandTypes, ValueType};
///
/// let types = CommandTypes::new()
///     .arg("a", ValueType::of::<i64>())
///     .arg("b", ValueType::of::<Option<String>>())
///     .result(ValueType::of::<f64>());
///
/// let result = AnyCodec::MSGPACK.to_vec(&1.0)?;
/// assert_eq!(types.result_type().to_json(AnyCodec::MSGPACK, &result)?, "1.0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CommandTypes {
    args: Vec<(&'static str, ValueType)>,
    result: ValueType,
    error: ValueType,
}

impl Default for CommandTypes {
    fn default() -> Self {
        Self::new()
    }
}

impl CommandTypes {
    /// No arguments, and `()` as the result.
    #[must_use]
    pub fn new() -> Self {
        let nothing = ValueType::of::<()>();
        Self { args: Vec::new(), result: nothing, error: nothing }
    }

    /// Adds an argument by its name on the wire.
    #[must_use]
    pub fn arg(mut self, name: &'static str, value: ValueType) -> Self {
        self.args.push((name, value));
        self
    }

    /// Adds a parameter if it is an argument: what is injected is none.
    #[doc(hidden)]
    #[must_use]
    pub fn parameter(self, name: &'static str, source: ArgSource, value: ValueType) -> Self {
        match source {
            ArgSource::Body => self.arg(name, value),
            ArgSource::Call => self,
        }
    }

    /// The result's type.
    #[must_use]
    pub fn result(mut self, value: ValueType) -> Self {
        self.result = value;
        self
    }

    /// The type of the value a call fails with.
    #[must_use]
    pub fn error(mut self, value: ValueType) -> Self {
        self.error = value;
        self
    }

    /// Name and type of each argument, in declared order.
    #[must_use]
    pub fn args(&self) -> &[(&'static str, ValueType)] {
        &self.args
    }

    /// The result's type.
    #[must_use]
    pub fn result_type(&self) -> ValueType {
        self.result
    }

    /// The type of the value a call fails with.
    #[must_use]
    pub fn error_type(&self) -> ValueType {
        self.error
    }

    /// The arguments of a call as a JSON object. Arguments that no parameter asks for are left out,
    /// where the codec can pass over them.
    ///
    /// # Errors
    ///
    /// The body holds something else than these arguments.
    pub fn args_to_json(&self, codec: AnyCodec, body: &[u8]) -> Result<String, DecodeError> {
        let mut out = Vec::with_capacity(2 * body.len());
        let is_map = !codec.is_self_describing();
        codec.decode_seed(ArgsSeed { args: &self.args, out: &mut out, is_map }, body)?;
        String::from_utf8(out).map_err(|e| DecodeError::new(codec.name(), e))
    }
}

/// Reads arguments by name and writes them.
struct ArgsSeed<'s> {
    args: &'s [(&'static str, ValueType)],
    out: &'s mut Vec<u8>,
    /// The bytes do not tell that they are a map.
    is_map: bool,
}

impl<'de> DeserializeSeed<'de> for ArgsSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.is_map {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for ArgsSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("named arguments")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.extend_from_slice(b"{}");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.out.push(b'{');
        while let Some(name) = map.next_key::<String>()? {
            let Some((_, value)) = self.args.iter().find(|(known, _)| *known == name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if self.out.len() > 1 {
                self.out.push(b',');
            }
            serde_json::to_writer(&mut *self.out, &name).map_err(A::Error::custom)?;
            self.out.push(b':');
            map.next_value_seed(value.seed(self.out))?;
        }
        self.out.push(b'}');
        Ok(())
    }
}
