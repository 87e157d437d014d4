//! A call as the page sent it, and as Tauri takes it; its answer.

use tauri::http::HeaderMap;
use tauri::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN};
use tauri::ipc::{CallbackFn, InvokeBody, InvokeResponse, InvokeResponseBody};
use tramline_web_link::frames::{Arguments, Call, Head, to_page};
use tramline_web_link::{Body, Outbox, OutboxError};

/// A call, taken out of its message.
pub(super) struct Request {
    pub(super) callback: u32,
    pub(super) error: u32,
    pub(super) command: String,
    pub(super) headers: HeaderMap,
    pub(super) body: InvokeBody,
}

/// A call that cannot be made; the page is told.
pub(super) struct BadCall {
    pub(super) callback: u32,
    pub(super) error: u32,
    pub(super) why: String,
}

impl Request {
    /// Reads a call as Tauri reads a request; `origin` is added as the web engine would. `own` makes
    /// a body of bytes the request's.
    pub(super) fn read(
        call: &Call<'_>,
        origin: &HeaderValue,
        own: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Self, BadCall> {
        let bad = |why: String| BadCall { callback: call.callback, error: call.error, why };
        let mut headers = read_headers(call.headers).map_err(bad)?;
        let (kind, body) = match call.arguments {
            Arguments::Json([]) => (
                "application/json",
                InvokeBody::Json(serde_json::Value::Object(Default::default())),
            ),
            Arguments::Json(text) => {
                let value = serde_json::from_slice(text).map_err(|error| bad(error.to_string()))?;
                ("application/json", InvokeBody::Json(value))
            }
            Arguments::Raw(bytes) => ("application/octet-stream", InvokeBody::Raw(own(bytes))),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(ORIGIN, origin.clone());
        let command = call.command.to_owned();
        Ok(Self { callback: call.callback, error: call.error, command, headers, body })
    }
}

/// A choice: far more than any page sends, far less than a map of them may hold.
const MAX_HEADERS: usize = 256;

fn read_headers(text: &str) -> Result<HeaderMap, String> {
    if text.is_empty() {
        return Ok(HeaderMap::with_capacity(2));
    }
    let pairs: Vec<(String, String)> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    if pairs.len() > MAX_HEADERS {
        return Err(format!("{} headers, the limit is {MAX_HEADERS}", pairs.len()));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Sends a command's answer. A page that is gone does not get it, as with Tauri's own way.
pub(super) fn answer(
    outbox: &Outbox,
    response: InvokeResponse,
    callback: CallbackFn,
    error: CallbackFn,
) {
    let (kind, body) = match response {
        InvokeResponse::Ok(InvokeResponseBody::Json(text)) => (to_page::OK, text.into_bytes()),
        InvokeResponse::Ok(InvokeResponseBody::Raw(bytes)) => (to_page::OK_RAW, bytes),
        InvokeResponse::Err(value) => (to_page::ERR, json_of(&value.0)),
    };
    let head = Head::answer(kind, callback.0, error.0);
    if let Err(OutboxError::TooLarge) = outbox.send(head.as_bytes(), Body::Owned(body)) {
        refuse(outbox, callback.0, error.0, "the answer is too large to be sent");
    }
}

/// Rejects a call that did not get as far as its command.
pub(super) fn refuse(outbox: &Outbox, callback: u32, error: u32, why: &str) {
    let head = Head::answer(to_page::ERR, callback, error);
    // As above: a page that is gone.
    let _ = outbox.send(head.as_bytes(), Body::Owned(json_of(&why.into())));
}

fn json_of(value: &serde_json::Value) -> Vec<u8> {
    // A value that is JSON already always becomes text.
    serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec())
}
