//! Bodies on their way from the other process to the page, and errors.

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tauri::async_runtime;
use tauri::ipc::{InvokeError, InvokeResponseBody};
use tramline::compat_json::to_json;
use tramline::{Answer, AnyCodec, BodyKind, ConnectError, DecodeError, FromAnswer};

/// Above this many bytes text is looked at on another thread than the main one. A choice: that takes
/// less than a tenth of a millisecond.
const LONG: usize = 64 << 10;

/// A body as it came.
pub(super) struct Body {
    kind: BodyKind,
    bytes: Bytes,
}

impl FromAnswer for Body {
    fn from_answer(answer: Answer<'_>) -> Result<Self, DecodeError> {
        Ok(Self { kind: answer.body_kind(), bytes: answer.into_body() })
    }
}

impl Body {
    pub(super) fn new(kind: BodyKind, bytes: Bytes) -> Self {
        Self { kind, bytes }
    }

    /// As Tauri takes it.
    pub(super) async fn into_response(
        self,
        codec: AnyCodec,
    ) -> Result<InvokeResponseBody, DecodeError> {
        if self.kind == BodyKind::Raw {
            return Ok(InvokeResponseBody::Raw(self.bytes.into()));
        }
        if self.bytes.len() <= LONG {
            return self.into_json_text(codec).map(InvokeResponseBody::Json);
        }
        async_runtime::spawn_blocking(move || self.into_json_text(codec))
            .await
            .unwrap_or_else(|error| Err(refused(&error)))
            .map(InvokeResponseBody::Json)
    }

    /// As JSON text, which is not written anew if it is that already. Raw bytes become an array of
    /// numbers.
    ///
    /// It is looked at all the same: Tauri may make it part of a script.
    pub(super) fn into_json_text(self, codec: AnyCodec) -> Result<String, DecodeError> {
        match self.kind {
            BodyKind::Empty => Ok("null".to_owned()),
            BodyKind::Raw => {
                serde_json::to_string(&self.bytes[..]).map_err(|error| refused(&error))
            }
            BodyKind::Structured if codec == AnyCodec::JSON => {
                serde_json::from_slice::<IgnoredAny>(&self.bytes)
                    .map_err(|error| refused(&error))?;
                String::from_utf8(self.bytes.into()).map_err(|error| refused(&error))
            }
            BodyKind::Structured => to_json(codec, &self.bytes),
        }
    }
}

fn refused(error: &dyn std::fmt::Display) -> DecodeError {
    DecodeError::new(AnyCodec::JSON.name(), error)
}

/// What a page is told of a call that its command did not end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    NotRun,
    Unknown,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::NotRun => "not-run",
            Self::Unknown => "unknown",
        }
    }
}

pub(super) fn no_connection(error: &ConnectError) -> InvokeError {
    InvokeError(told(error.code(), &error.to_string(), Outcome::NotRun))
}

pub(super) fn told(code: &str, message: &str, outcome: Outcome) -> Value {
    json!({ "code": code, "message": message, "outcome": outcome.name() })
}

/// A failed call, as the page sees it.
pub(super) fn rejection(error: &tramline::InvokeError) -> InvokeError {
    use tramline::InvokeError as E;

    let told_with = |outcome| told(error.code(), &error.to_string(), outcome);
    InvokeError(match error {
        // The same words as Tauri's.
        E::Rejected(rejection) => Value::String(rejection.to_string()),
        E::Failed(failure) => match failure.value::<Value>() {
            Ok(value) if failure.code() == "command-failed" => value,
            _ => told_with(Outcome::Unknown),
        },
        E::Send(_) => told_with(Outcome::NotRun),
        _ => told_with(Outcome::Unknown),
    })
}

/// What is said of a channel that did not end well.
pub(super) fn channel_error(id: u32, error: &tramline::RecvError) -> Value {
    let mut told = json!({ "channel": id, "code": error.code(), "message": error.to_string() });
    if let tramline::RecvError::Failed(failure) = error
        && let Ok(value) = failure.value::<Value>()
    {
        told["data"] = value;
    }
    told
}
