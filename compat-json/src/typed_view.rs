//! The JSON view of messages whose bytes do not tell what they are.

use std::collections::HashMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tramline_core::command::Commands;
use tramline_core::envelope::{Envelope, Kind};
use tramline_core::error::codes;
use tramline_core::typed::{CommandTypes, ValueType};
use tramline_core::{AnyCodec, DecodeError};

use crate::message::{kind_name, show};
use crate::transcode::to_json;

/// Commands and events whose types are known, to show their messages as JSON in any codec.
///
/// # Examples
///
/// ```
/// use tramline_compat_json::TypedView;
/// use tramline_core::AnyCodec;
/// use tramline_core::command::Commands;
/// use tramline_core::envelope::{BodyKind, Head, Kind};
///
/// let view = TypedView::new(&Commands::new()).event::<(u32, String)>("progress");
/// let head = Head::new(Kind::Event, BodyKind::Structured, 0, "progress");
/// let mut frame = [&head.to_bytes()[..], b"progress"].concat();
/// frame.extend(AnyCodec::MSGPACK.to_vec(&(50, "half"))?);
/// assert_eq!(
///     view.message_to_json(AnyCodec::MSGPACK, &frame, None)?,
///     r#"{"kind":"event","name":"progress","body":[50,"half"]}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TypedView {
    commands: HashMap<&'static str, CommandTypes>,
    events: HashMap<Box<str>, ValueType>,
}

/// A message that cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// It is no message, or its body is not what its types say.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The codec's bytes do not tell what they are, and nobody else did.
    #[error("the types of {kind} `{name}` are not known, and {codec} does not tell them")]
    Unknown {
        /// What kind of message it is.
        kind: &'static str,
        /// The command or event.
        name: Box<str>,
        /// The codec's name.
        codec: &'static str,
    },
    /// The type can be written but not read, so its bytes cannot be shown.
    #[error("the {part} of command `{command}` is a `{type_name}`, which cannot be read")]
    WriteOnly {
        /// The command.
        command: Box<str>,
        /// Result or error.
        part: &'static str,
        /// The type's name in the program.
        type_name: &'static str,
    },
}

impl TypedView {
    /// A view that knows these commands. Those that do not tell their types are left out.
    #[must_use]
    pub fn new(commands: &Commands) -> Self {
        let commands = commands.types().filter_map(|(name, types)| Some((name, types?)));
        Self { commands: commands.collect(), events: HashMap::new() }
    }

    /// Adds an event by the type of its payload.
    #[must_use]
    pub fn event<T: Serialize + DeserializeOwned>(mut self, name: &str) -> Self {
        self.events.insert(name.into(), ValueType::of::<T>());
        self
    }

    /// One message as one line of JSON, as
    /// [`message_to_json`](crate::message_to_json()) shows it. An answer does not say which command
    /// it answers: `answers` does.
    ///
    /// # Errors
    ///
    /// [`ViewError`].
    pub fn message_to_json(
        &self,
        codec: AnyCodec,
        frame: &[u8],
        answers: Option<&str>,
    ) -> Result<String, ViewError> {
        show(frame, |message, text| {
            text.extend_from_slice(self.body_to_json(codec, message, answers)?.as_bytes());
            Ok(())
        })
    }

    /// The JSON text of a message's structured body.
    ///
    /// # Errors
    ///
    /// [`ViewError`].
    pub fn body_to_json(
        &self,
        codec: AnyCodec,
        message: &Envelope<'_>,
        answers: Option<&str>,
    ) -> Result<String, ViewError> {
        let (head, body) = (message.head, message.body);
        if codec.is_self_describing() {
            return Ok(to_json(codec, body)?);
        }
        let name = match head.kind {
            Kind::Response | Kind::Error => answers.unwrap_or_default(),
            _ => head.name,
        };
        let unknown = || {
            let (kind, name, codec) = (kind_name(head.kind), name.into(), codec.name());
            ViewError::Unknown { kind, name, codec }
        };
        // What the library itself refuses with is text, whatever the command.
        if head.kind == Kind::Error && head.name != codes::COMMAND_FAILED {
            return Ok(ValueType::of::<String>().to_json(codec, body)?);
        }
        if head.kind == Kind::Event {
            let event = self.events.get(name).ok_or_else(unknown)?;
            return Ok(event.to_json(codec, body)?);
        }
        let types = self.commands.get(name).ok_or_else(unknown)?;
        let (part, value) = match head.kind {
            Kind::Request => return Ok(types.args_to_json(codec, body)?),
            Kind::Response => ("result", types.result_type()),
            Kind::Error => ("error", types.error_type()),
            _ => return Err(unknown()),
        };
        value.to_json(codec, body).map_err(|e| {
            if value.is_readable() {
                return e.into();
            }
            let (command, type_name) = (name.into(), value.name());
            ViewError::WriteOnly { command, part, type_name }
        })
    }
}
