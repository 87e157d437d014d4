//! Error objects: the number, the word, and our fixed code in `data`.

use std::io::Write as _;

use serde::Serialize;
use tramline_core::error::codes as core_codes;

/// Fixed codes that only a JSON-RPC peer meets.
pub mod codes {
    /// The text is no JSON; `offset` says where it stops being some, in bytes.
    pub const PARSE_ERROR: &str = "parse-error";
    /// JSON, but no JSON-RPC 2.0 message.
    pub const INVALID_REQUEST: &str = "invalid-request";
    /// The message is longer than the server accepts. It was passed over.
    pub const TOO_LARGE: &str = "message-too-large";
    /// The client cancelled the call before it had an answer.
    pub const CANCELLED: &str = "request-cancelled";
    /// As many calls of the client as may be are at work, and one of them waits for the client.
    pub const TOO_MANY_CALLS: &str = "too-many-calls";
}

/// Why a request has no result.
///
/// The number and the message are those of the JSON-RPC 2.0 specification, where it has one; what
/// tells errors apart stands in `data`: `code`, one of `docs/ERRORS.md`, and where they apply `text`,
/// `offset` (bytes), `path` (the argument) and `value` (the command's own error).
///
/// # Examples
///
/// ```
/// use tramline_compat_json::jsonrpc::{ErrorObject, Id};
///
/// let error = ErrorObject::new("capability-denied").text("Command x not allowed by ACL");
/// assert_eq!(error.number(), -32010);
/// assert_eq!(
///     String::from_utf8_lossy(&error.response(Id::NULL.json())),
///     r#"{"jsonrpc":"2.0","error":{"code":-32010,"message":"Denied","data":{"code":"capability-denied","text":"Command x not allowed by ACL"}},"id":null}"#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorObject {
    code: Box<str>,
    text: Option<Box<str>>,
    offset: Option<usize>,
    value: Option<Box<[u8]>>,
}

#[derive(Serialize)]
struct Data<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
}

impl ErrorObject {
    /// An error of this fixed code.
    #[must_use]
    pub fn new(code: &str) -> Self {
        Self { code: code.into(), text: None, offset: None, value: None }
    }

    /// With words for people.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text = Some(text.into());
        self
    }

    /// With the place in the message, in bytes from its beginning.
    #[must_use]
    pub fn offset(mut self, offset: usize) -> Self {
        self.offset = Some(offset);
        self
    }

    /// With the command's own error value, which must be JSON.
    #[must_use]
    pub fn value(mut self, json: &[u8]) -> Self {
        self.value = Some(json.into());
        self
    }

    /// The place, if it has one.
    #[cfg(test)]
    pub(super) fn at(&self) -> Option<usize> {
        self.offset
    }

    /// JSON-RPC's number for it.
    ///
    /// -32700 to -32600 are the specification's, -32800 is language servers'. Ours lie from -32010
    /// to -32089, for `vscode-jsonrpc` has uses of its own for the ones around.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.kind().0
    }

    fn kind(&self) -> (i32, &'static str) {
        match &*self.code {
            codes::PARSE_ERROR => (-32700, "Parse error"),
            codes::INVALID_REQUEST | codes::TOO_LARGE | "peer-fault" => (-32600, "Invalid Request"),
            core_codes::UNKNOWN_COMMAND => (-32601, "Method not found"),
            core_codes::BAD_ARGUMENTS => (-32602, "Invalid params"),
            core_codes::COMMAND_FAILED => (-32000, "Command failed"),
            core_codes::CHANNEL_FAILED => (-32000, "Channel failed"),
            core_codes::DENIED
            | core_codes::GUARD_REFUSED
            | core_codes::TOO_MANY_PEERS
            | core_codes::PEER_REFUSED
            | codes::TOO_MANY_CALLS => (-32010, "Denied"),
            core_codes::OVER_QUOTA => (-32012, "Over quota"),
            "deadline-passed" => (-32011, "Deadline passed"),
            codes::CANCELLED => (-32800, "Request cancelled"),
            // A panic, a result without JSON, or one that is too large.
            _ => (-32603, "Internal error"),
        }
    }

    /// The answer to the request with this id, which must be JSON.
    #[must_use]
    pub fn response(&self, id: &str) -> Vec<u8> {
        let mut out = br#"{"jsonrpc":"2.0","error":"#.to_vec();
        self.write(&mut out);
        out.extend_from_slice(b",\"id\":");
        out.extend_from_slice(id.as_bytes());
        out.push(b'}');
        out
    }

    /// The object alone.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        let (number, message) = self.kind();
        // Our own words for it: "invalid args `NAME` for command ..".
        let path = self.text.as_deref().filter(|_| &*self.code == core_codes::BAD_ARGUMENTS);
        let path =
            path.and_then(|text| Some(text.strip_prefix("invalid args `")?.split_once('`')?.0));
        let data = Data { code: &self.code, text: self.text.as_deref(), offset: self.offset, path };
        out.reserve(192);
        // Writing to memory does not fail, nor have texts and numbers no JSON form.
        let _ = write!(out, r#"{{"code":{number},"message":"{message}","data":"#);
        let _ = serde_json::to_writer(&mut *out, &data);
        if let Some(value) = &self.value {
            out.pop();
            out.extend_from_slice(b",\"value\":");
            out.extend_from_slice(value);
            out.push(b'}');
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(error: &ErrorObject) -> serde_json::Value {
        let answer: serde_json::Value =
            serde_json::from_slice(&error.response("\"x\"")).expect("JSON");
        assert_eq!(answer["id"], "x");
        answer["error"]["data"].clone()
    }

    #[test]
    fn every_code_has_its_number() {
        for (code, number) in [
            (codes::PARSE_ERROR, -32700),
            (codes::INVALID_REQUEST, -32600),
            (codes::TOO_LARGE, -32600),
            ("peer-fault", -32600),
            (core_codes::UNKNOWN_COMMAND, -32601),
            (core_codes::BAD_ARGUMENTS, -32602),
            (core_codes::HANDLER_PANICKED, -32603),
            (core_codes::HANDLER_DROPPED, -32603),
            (core_codes::RESULT_NOT_ENCODABLE, -32603),
            (core_codes::RESULT_TOO_LARGE, -32603),
            (core_codes::COMMAND_FAILED, -32000),
            (core_codes::CHANNEL_FAILED, -32000),
            (core_codes::DENIED, -32010),
            (core_codes::PEER_REFUSED, -32010),
            (core_codes::OVER_QUOTA, -32012),
            (codes::TOO_MANY_CALLS, -32010),
            ("deadline-passed", -32011),
            (codes::CANCELLED, -32800),
        ] {
            let error = ErrorObject::new(code);
            assert_eq!(error.number(), number, "{code}");
            assert_eq!(data(&error), serde_json::json!({ "code": code }));
        }
    }

    #[test]
    fn details_stand_in_data() {
        let error = ErrorObject::new(codes::PARSE_ERROR).text("a \"quote\"").offset(7);
        let expected = serde_json::json!({
            "code": "parse-error", "text": "a \"quote\"", "offset": 7,
        });
        assert_eq!(data(&error), expected);
        let error = ErrorObject::new(core_codes::COMMAND_FAILED).value(br#"{"a":[1]}"#);
        let expected = serde_json::json!({ "code": "command-failed", "value": { "a": [1] } });
        assert_eq!(data(&error), expected);
    }

    #[test]
    fn a_bad_argument_is_named() {
        let text = "invalid args `b` for command `add`: missing";
        let error = ErrorObject::new(core_codes::BAD_ARGUMENTS).text(text);
        assert_eq!(data(&error)["path"], "b");
        let error = ErrorObject::new(core_codes::BAD_ARGUMENTS).text("invalid args for command");
        assert_eq!(data(&error).get("path"), None);
    }
}
