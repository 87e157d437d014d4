//! What a client would be answered, as JSON.

use std::fmt::Debug;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tramline_core::answer::{Answer, FromAnswer};
use tramline_core::codec::AnyCodec;
use tramline_core::envelope::BodyKind;
use tramline_core::{DecodeError, InvokeError};

use super::connect;
use crate::server::Running;

/// A command's result as it arrives: JSON, or raw bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum IpcResponse {
    /// A structured result in its JSON view.
    Json(Value),
    /// Bytes as they are.
    Raw(Bytes),
}

impl IpcResponse {
    /// The result as a type of yours.
    ///
    /// # Errors
    ///
    /// serde_json's; also of a raw result, which has no JSON.
    pub fn deserialize<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        match self {
            Self::Json(value) => serde_json::from_value(value),
            Self::Raw(_) => Err(serde::de::Error::custom("the result is raw bytes")),
        }
    }
}

impl FromAnswer for IpcResponse {
    fn from_answer(answer: Answer<'_>) -> Result<Self, DecodeError> {
        match answer.body_kind() {
            BodyKind::Raw => Ok(Self::Raw(answer.into_body())),
            _ => answer.decode().map(Self::Json),
        }
    }
}

/// Calls a command as a JSON client without a label would, and gives its result, or what the call is
/// rejected with: the command's own error value, or the words of a refusal. Like Tauri's
/// `get_ipc_response`.
///
/// Capabilities, quotas and [`Server::admit`](crate::Server::admit) decide as ever. For a client with
/// a label, headers or a raw body use [`connect`].
///
/// # Errors
///
/// What a promise of Tauri's would be rejected with. What is no answer of the server's, such as a
/// connection that did not come about, has its words, too.
///
/// # Examples
///
/// ```
/// use tramline::test::{get_ipc_response, pair};
/// use tramline::{Capabilities, Server, command, commands, json};
///
/// #[command]
/// fn half(n: u32) -> Result<u32, String> {
///     if n % 2 == 0 { Ok(n / 2) } else { Err(format!("{n} is odd")) }
/// }
///
/// let server = Server::new().commands(commands![half]).allow(Capabilities::all());
/// let pair = pair(server)?;
/// let half = |n: u32| get_ipc_response(pair.server(), "half", json!({ "n": n }));
/// assert_eq!(half(8).map(|r| r.deserialize::<u32>().ok()), Ok(Some(4)));
/// assert_eq!(half(7), Err(json!("7 is odd")));
/// # Ok::<(), tramline::Error>(())
/// ```
pub fn get_ipc_response(
    server: &Running,
    command: &str,
    args: impl Serialize,
) -> Result<IpcResponse, Value> {
    let words = |error: &dyn ToString| Value::String(error.to_string());
    let client = connect(server).codec(AnyCodec::JSON).wait().map_err(|e| words(&e))?;
    client.invoke(command, args).wait().map_err(|error| match error {
        InvokeError::Failed(failure) => failure.value().unwrap_or_else(|_| words(&failure)),
        other => words(&other),
    })
}

/// Calls a command as [`get_ipc_response`] does and compares, like Tauri's `assert_ipc_response`.
///
/// # Panics
///
/// If the result or the error is another one than `expected`, or `expected` cannot be JSON.
///
/// # Examples
///
/// ```
/// use tramline::test::{assert_ipc_response, pair};
/// use tramline::{Capabilities, Server, command, commands, json};
///
/// #[command]
/// fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// let server = Server::new().commands(commands![add]).allow(Capabilities::all());
/// let pair = pair(server)?;
/// assert_ipc_response(pair.server(), "add", json!({ "a": 1, "b": 2 }), Ok::<_, ()>(3));
/// let missing = "invalid args `b` for command `add`: command add missing required key b";
/// assert_ipc_response(pair.server(), "add", json!({ "a": 1 }), Err::<(), _>(missing));
/// # Ok::<(), tramline::Error>(())
/// ```
#[track_caller]
pub fn assert_ipc_response<T, E>(
    server: &Running,
    command: &str,
    args: impl Serialize,
    expected: Result<T, E>,
) where
    T: Serialize + Debug,
    E: Serialize + Debug,
{
    let seen = get_ipc_response(server, command, args);
    let as_json = match &expected {
        Ok(result) => serde_json::to_value(result).map(|json| Ok(IpcResponse::Json(json))),
        Err(error) => serde_json::to_value(error).map(Err),
    };
    match as_json {
        Ok(as_json) => assert_eq!(seen, as_json, "command `{command}`"),
        Err(e) => panic!("expected of command `{command}`: {expected:?} cannot be JSON: {e}"),
    }
}
