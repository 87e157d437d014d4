//! What a message is: a request, a notification, an answer, several of them, or nothing of that.

use std::borrow::Cow;

use super::error::{ErrorObject, codes};
use super::scan::{Malformed, Scanner, unescape};

/// Members of one batch. A choice: far more than clients gather, and little enough that the answers
/// to a batch of nonsense stay below 200 KiB.
pub const MAX_BATCH_MEMBERS: usize = 1024;

/// An id as it was written, to be echoed with its type: a string, any number, or `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id<'a>(&'a str);

impl<'a> Id<'a> {
    /// The id of answers to what has none that could be read.
    pub const NULL: Self = Id("null");

    pub(super) fn new(value: &'a str) -> Option<Self> {
        matches!(value.as_bytes(), [b'"' | b'-' | b'0'..=b'9' | b'n', ..]).then_some(Self(value))
    }

    /// The id's JSON.
    #[must_use]
    pub fn json(self) -> &'a str {
        self.0
    }
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// One.
    One(Message<'a>),
    /// Several, whose answers go back in one array.
    Batch(Vec<Message<'a>>),
    /// Nothing that can be handled. The answer's id is `null`.
    Refused(ErrorObject),
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// Wants exactly one answer.
    Request {
        /// The answer's id.
        id: Id<'a>,
        /// What is called.
        method: Cow<'a, str>,
        /// An array or an object, as it was written. `null` counts as none.
        params: Option<&'a str>,
    },
    /// Is never answered.
    Notification {
        /// What is called, or has happened.
        method: Cow<'a, str>,
        /// As in a request.
        params: Option<&'a str>,
    },
    /// An answer. It is never answered.
    Response,
    /// Wants an error as its answer.
    Invalid {
        /// The message's id if it has one that is legal, else [`Id::NULL`].
        id: Id<'a>,
        /// What is wrong.
        why: &'static str,
    },
}

impl Message<'_> {
    /// Whether there has to be an answer.
    #[must_use]
    pub fn wants_answer(&self) -> bool {
        matches!(self, Self::Request { .. } | Self::Invalid { .. })
    }
}

impl<'a> Incoming<'a> {
    /// Reads a whole message. Nothing of it counts unless all of it is JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline_compat_json::jsonrpc::{Incoming, Message};
    ///
    /// let text = br#"{"jsonrpc":"2.0","id":1.0,"method":"add","params":[2,3]}"#;
    /// let Incoming::One(Message::Request { id, method, params }) = Incoming::parse(text) else {
    ///     panic!("it is a request");
    /// };
    /// assert_eq!((id.json(), &*method, params), ("1.0", "add", Some("[2,3]")));
    /// ```
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Self {
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(e) => return Self::malformed(e.valid_up_to(), "not UTF-8"),
        };
        let parsed = Self::read(&mut Scanner::new(text));
        parsed.unwrap_or_else(|Malformed { offset, what }| Self::malformed(offset, what))
    }

    fn malformed(offset: usize, what: &str) -> Self {
        Self::Refused(ErrorObject::new(codes::PARSE_ERROR).text(what).offset(offset))
    }

    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        let incoming = match scanner.peek() {
            Some(b'{') => Self::One(message(scanner)?),
            Some(b'[') => return batch(scanner),
            _ => {
                scanner.value()?;
                let why = "neither an object nor an array";
                Self::Refused(ErrorObject::new(codes::INVALID_REQUEST).text(why))
            }
        };
        scanner.end()?;
        Ok(incoming)
    }
}

fn batch<'a>(scanner: &mut Scanner<'a>) -> Result<Incoming<'a>, Malformed> {
    let refused =
        |why: &str| Ok(Incoming::Refused(ErrorObject::new(codes::INVALID_REQUEST).text(why)));
    let mut messages = Vec::new();
    scanner.take(b'[');
    if scanner.take(b']') {
        scanner.end()?;
        return refused("the batch is empty");
    }
    loop {
        if messages.len() == MAX_BATCH_MEMBERS {
            return refused(&format!("a batch may have {MAX_BATCH_MEMBERS} members"));
        }
        messages.push(if scanner.peek() == Some(b'{') {
            message(scanner)?
        } else {
            scanner.value()?;
            Message::Invalid { id: Id::NULL, why: "not an object" }
        });
        if !scanner.take(b',') {
            break;
        }
    }
    scanner.close_array()?;
    scanner.end()?;
    Ok(Incoming::Batch(messages))
}

/// Reads an object and judges it.
fn message<'a>(scanner: &mut Scanner<'a>) -> Result<Message<'a>, Malformed> {
    let found = scanner.members(["jsonrpc", "id", "method", "params", "result", "error"])?;
    let [version, id, method, params, result, error] = found.values;
    let legal_id = id.and_then(Id::new).filter(|_| found.twice != Some("id"));
    let invalid = |why| Ok(Message::Invalid { id: legal_id.unwrap_or(Id::NULL), why });
    if found.twice.is_some() {
        return invalid("a member stands twice");
    }
    if method.is_none() && id.is_some() && (result.is_some() || error.is_some()) {
        return Ok(Message::Response);
    }
    if version.map(unescape).as_deref() != Some("2.0") {
        return invalid("`jsonrpc` is not \"2.0\"");
    }
    let Some(method) = method.filter(|method| method.starts_with('"')) else {
        return invalid("`method` is not a string");
    };
    let method = unescape(method);
    let params = params.filter(|params| *params != "null");
    if params.is_some_and(|params| !params.starts_with(['{', '['])) {
        return invalid("`params` is neither an object nor an array");
    }
    match (id, legal_id) {
        (None, _) => Ok(Message::Notification { method, params }),
        (Some(_), Some(id)) => Ok(Message::Request { id, method, params }),
        (Some(_), None) => invalid("`id` is neither a string nor a number nor null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Message<'_> {
        match Incoming::parse(text.as_bytes()) {
            Incoming::One(message) => message,
            other => panic!("{other:?}"),
        }
    }

    fn refused(text: impl AsRef<[u8]>) -> ErrorObject {
        match Incoming::parse(text.as_ref()) {
            Incoming::Refused(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_id_keeps_its_spelling() {
        for id in
            ["1", "-0", "1.50", "1e400", "18446744073709551616", "\"\"", r#""\u0031\/""#, "null"]
        {
            let text = format!(r#"{{"jsonrpc":"2.0","id": {id} ,"method":"m"}}"#);
            assert_eq!(
                one(&text),
                Message::Request { id: Id(id), method: "m".into(), params: None }
            );
        }
    }

    #[test]
    fn an_id_of_another_kind_is_invalid_and_not_echoed() {
        for id in ["true", "false", "[]", "{}"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
            assert!(matches!(one(&text), Message::Invalid { id: Id::NULL, .. }), "{text}");
        }
    }

    #[test]
    fn a_member_that_stands_twice_makes_the_message_invalid() {
        let text = r#"{"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"m"}"#;
        assert!(matches!(one(text), Message::Invalid { id: Id::NULL, .. }));
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"m","method":"n"}"#;
        assert!(matches!(one(text), Message::Invalid { id: Id("1"), .. }));
    }

    #[test]
    fn an_invalid_message_keeps_an_id_that_is_legal() {
        for text in [
            r#"{"id":7,"method":"m"}"#,
            r#"{"jsonrpc":"1.0","id":7,"method":"m"}"#,
            r#"{"jsonrpc":2.0,"id":7,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":7}"#,
            r#"{"jsonrpc":"2.0","id":7,"method":1}"#,
            r#"{"jsonrpc":"2.0","id":7,"method":"m","params":"x"}"#,
        ] {
            assert!(matches!(one(text), Message::Invalid { id: Id("7"), .. }), "{text}");
        }
    }

    #[test]
    fn absent_and_null_params_are_none() {
        for text in [
            r#"{"jsonrpc":"2.0","method":"m"}"#,
            r#"{"jsonrpc":"2.0","method":"m","params":null}"#,
            r#"{"jsonrpc":"2.0","method":"\u006d","extra":[{}]}"#,
        ] {
            assert_eq!(
                one(text),
                Message::Notification { method: "m".into(), params: None },
                "{text}"
            );
        }
    }

    #[test]
    fn an_answer_is_told_from_a_request() {
        assert_eq!(one(r#"{"jsonrpc":"2.0","id":1,"result":null}"#), Message::Response);
        assert_eq!(one(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#), Message::Response);
    }

    #[test]
    fn text_that_is_no_json_is_a_parse_error_with_its_offset() {
        for (text, offset) in [
            (&b""[..], 0),
            (b"{\"jsonrpc\":\"2.0\"", 16),
            (b"[{},", 4),
            (b"[1] x", 4),
            (b"{\"a\":\"\xff\"}", 6),
            (b"{\"a\":\"\\ud800\"}", 6),
        ] {
            let expected = ErrorObject::new(codes::PARSE_ERROR).offset(offset);
            let found = refused(text);
            assert_eq!((found.number(), found.at()), (-32700, expected.at()), "{text:?}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(refused(&deep).number(), -32700);
    }

    #[test]
    fn a_batch_is_bounded_and_may_not_be_empty() {
        assert_eq!(refused("[]").number(), -32600);
        assert_eq!(refused("3").number(), -32600);
        let members = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        let full = members(MAX_BATCH_MEMBERS);
        assert!(matches!(Incoming::parse(full.as_bytes()), Incoming::Batch(m) if m.len() == 1024));
        assert_eq!(refused(members(MAX_BATCH_MEMBERS + 1)).number(), -32600);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Incoming::parse(&bytes);
        }

        #[test]
        fn what_serde_json_reads_as_a_request_is_one(
            id: i64, method in "\\PC{0,12}", params in proptest::option::of(any::<Vec<u8>>())
        ) {
            let mut value = serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": method });
            if let Some(params) = &params {
                value["params"] = serde_json::json!(params);
            }
            let text = value.to_string();
            let params = params.map(|params| serde_json::json!(params).to_string());
            let id = id.to_string();
            prop_assert_eq!(
                one(&text),
                Message::Request { id: Id(&id), method: method.into(), params: params.as_deref() }
            );
        }
    }
}
