//! Messages on their way out, and how payloads and params become each other.

use std::borrow::Cow;
use std::io::Write as _;

use tramline_core::envelope::BodyKind;

use super::scan::Scanner;

/// The JSON of a body that a command or an emitter has written with the JSON codec: without line
/// breaks, and raw bytes as an array of numbers.
#[must_use]
pub fn body_to_json(kind: BodyKind, body: &[u8]) -> Cow<'_, [u8]> {
    match kind {
        BodyKind::Empty => Cow::Borrowed(b"null"),
        // serde_json writes none, but passes on those of a value that was text already. Between
        // tokens, the only place where JSON may have one, a blank does as well.
        BodyKind::Structured if body.contains(&b'\n') || body.contains(&b'\r') => {
            let blank = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
            Cow::Owned(body.iter().map(blank).collect())
        }
        BodyKind::Structured => Cow::Borrowed(body),
        BodyKind::Raw => {
            let mut numbers = Vec::with_capacity(2 + 3 * body.len());
            // Writing numbers to memory does not fail.
            let _ = serde_json::to_writer(&mut numbers, body);
            Cow::Owned(numbers)
        }
    }
}

/// The answer with a result. Both parts are JSON.
#[must_use]
pub fn result_response(id: &str, result: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(40 + id.len() + result.len());
    out.extend_from_slice(br#"{"jsonrpc":"2.0","result":"#);
    out.extend_from_slice(result);
    // Writing to memory does not fail, here and below.
    let _ = write!(out, r#","id":{id}}}"#);
    out
}

/// A notification. `payload` is JSON.
///
/// Params have to be an object or an array, an event's payload may be anything: an object is the
/// params themselves, `null` is none, and whatever else is the one element of an array.
/// `vscode-jsonrpc` does the same in both directions. [`params_to_payload`] is the way back.
#[must_use]
pub fn notification(method: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(50 + method.len() + payload.len());
    out.extend_from_slice(br#"{"jsonrpc":"2.0","method":"#);
    let _ = serde_json::to_writer(&mut out, method);
    match payload.trim_ascii_start().first() {
        None | Some(b'n') => {}
        Some(b'{') => {
            out.extend_from_slice(b",\"params\":");
            out.extend_from_slice(payload);
        }
        Some(_) => {
            out.extend_from_slice(b",\"params\":[");
            out.extend_from_slice(payload);
            out.push(b']');
        }
    }
    out.push(b'}');
    out
}

/// The payload of an event that came with these params: an object is itself, the one element of an
/// array is taken out, and an array of more or fewer is itself.
///
/// # Examples
///
/// ```
/// use tramline_compat_json::jsonrpc::params_to_payload;
///
/// assert_eq!(params_to_payload(r#"{"a":1}"#), r#"{"a":1}"#);
/// assert_eq!(params_to_payload(r#"["text"]"#), r#""text""#);
/// assert_eq!(params_to_payload("[[1,2]]"), "[1,2]");
/// assert_eq!(params_to_payload("[1,2]"), "[1,2]");
/// ```
#[must_use]
pub fn params_to_payload(params: &str) -> &str {
    let mut scanner = Scanner::new(params);
    if !scanner.take(b'[') {
        return params;
    }
    match scanner.value() {
        Ok(value) if scanner.take(b']') => value,
        _ => params,
    }
}

/// `$/progress`: one message of the channel that bears this token. Both parts are JSON.
#[must_use]
pub fn progress(token: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(80 + value.len());
    let _ = write!(
        out,
        r#"{{"jsonrpc":"2.0","method":"$/progress","params":{{"token":{token},"value":"#
    );
    out.extend_from_slice(value);
    out.extend_from_slice(b"}}");
    out
}

/// `$/progressEnd`: nothing more comes on the channel that bears this token, or nobody reads it any
/// more. `error` is the JSON of an error object. All parts are JSON.
#[must_use]
pub fn progress_end(token: &str, error: Option<&[u8]>) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","method":"$/progressEnd","params":{"token":"#.to_vec();
    out.extend_from_slice(token.as_bytes());
    if let Some(error) = error {
        out.extend_from_slice(b",\"error\":");
        out.extend_from_slice(error);
    }
    out.extend_from_slice(b"}}");
    out
}

/// `$/progressCredit`: the client may send so many bytes more on the channel that bears this token.
#[must_use]
pub fn progress_credit(token: &str, bytes: u64) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","method":"$/progressCredit","params":{{"token":{token},"bytes":{bytes}}}}}"#
    )
    .into_bytes()
}

/// `$/logTrace`: what happened, for people; with the message's params or result if that is wanted.
#[must_use]
pub fn log_trace(message: &str, verbose: Option<&str>) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","method":"$/logTrace","params":{"message":"#.to_vec();
    let _ = serde_json::to_writer(&mut out, message);
    if let Some(verbose) = verbose {
        out.extend_from_slice(b",\"verbose\":");
        let _ = serde_json::to_writer(&mut out, verbose);
    }
    out.extend_from_slice(b"}}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn bodies_become_one_line_of_json() {
        assert_eq!(*body_to_json(BodyKind::Empty, b""), *b"null");
        assert_eq!(*body_to_json(BodyKind::Structured, b"[1,\r\n2]"), *b"[1,  2]");
        assert_eq!(*body_to_json(BodyKind::Raw, &[0, 255, 10]), *b"[0,255,10]");
        assert_eq!(*body_to_json(BodyKind::Raw, &[]), *b"[]");
    }

    #[test]
    fn messages_have_their_members_and_nothing_else() {
        assert_eq!(
            text(result_response("\"a\"", b"[1]")),
            r#"{"jsonrpc":"2.0","result":[1],"id":"a"}"#
        );
        assert_eq!(
            text(progress("7", b"{}")),
            r#"{"jsonrpc":"2.0","method":"$/progress","params":{"token":7,"value":{}}}"#
        );
        assert_eq!(
            text(progress_end("7", None)),
            r#"{"jsonrpc":"2.0","method":"$/progressEnd","params":{"token":7}}"#
        );
        assert_eq!(
            text(progress_end("\"x\"", Some(b"{}"))),
            r#"{"jsonrpc":"2.0","method":"$/progressEnd","params":{"token":"x","error":{}}}"#
        );
        assert_eq!(
            text(progress_credit("7", 5)),
            r#"{"jsonrpc":"2.0","method":"$/progressCredit","params":{"token":7,"bytes":5}}"#
        );
        assert_eq!(
            text(log_trace("a \"b\"", Some("{}"))),
            r#"{"jsonrpc":"2.0","method":"$/logTrace","params":{"message":"a \"b\"","verbose":"{}"}}"#
        );
    }

    #[test]
    fn params_are_structured_whatever_the_payload_is() {
        for (payload, params) in [
            ("{\"a\":1}", r#","params":{"a":1}"#),
            ("null", ""),
            ("5", r#","params":[5]"#),
            ("\"x\"", r#","params":["x"]"#),
            ("[1,2]", r#","params":[[1,2]]"#),
            ("[]", r#","params":[[]]"#),
        ] {
            let expected = format!(r#"{{"jsonrpc":"2.0","method":"tick"{params}}}"#);
            assert_eq!(text(notification("tick", payload.as_bytes())), expected);
        }
    }

    proptest! {
        #[test]
        fn a_payload_survives_the_way_through_params(
            numbers: Vec<i32>, word in "\\PC{0,8}", nested: bool
        ) {
            for payload in [
                serde_json::json!(numbers),
                serde_json::json!(word),
                serde_json::json!({ "a": numbers }),
                serde_json::json!([numbers]),
                serde_json::json!(nested),
            ] {
                let payload = payload.to_string();
                let sent: serde_json::Value =
                    serde_json::from_slice(&notification("e", payload.as_bytes())).expect("JSON");
                let params = sent["params"].to_string();
                prop_assert_eq!(params_to_payload(&params), payload);
            }
        }
    }
}
