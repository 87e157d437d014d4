//! Notifications about the connection itself. Their methods begin with `$/`.

use super::message::Id;
use super::scan::{Scanner, unescape};

/// How much a client wants to be told of what happens on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Trace {
    /// Nothing.
    #[default]
    Off = 0,
    /// A line for each message.
    Messages = 1,
    /// The same.
    Compact = 2,
    /// A line for each message, and the message's params or result.
    Verbose = 3,
}

impl Trace {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "off" => Self::Off,
            "messages" => Self::Messages,
            "compact" => Self::Compact,
            "verbose" => Self::Verbose,
            _ => return None,
        })
    }
}

/// A notification whose method begins with `$/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control<'a> {
    /// `$/cancelRequest {id}`: nobody needs the result of this call any more.
    Cancel(Id<'a>),
    /// `$/progress {token, value}`: one message of the channel that bears this token.
    Progress {
        /// The token's JSON, as it was written.
        token: Id<'a>,
        /// The value's JSON.
        value: &'a str,
    },
    /// `$/progressEnd {token, error?}`: the client sends nothing more on this channel, or reads it no
    /// more.
    ProgressEnd {
        /// The token's JSON, as it was written.
        token: Id<'a>,
        /// The JSON of what went wrong, if something did.
        error: Option<&'a str>,
    },
    /// `$/setTrace {value}`.
    SetTrace(Trace),
    /// `$/listen {event}`: only events that were asked for, from now on, and this one among them.
    Listen(Box<str>),
    /// `$/unlisten {event}`: not this one any more.
    Unlisten(Box<str>),
    /// Another method, or params that do not go with it: ignored.
    Unknown,
}

impl<'a> Control<'a> {
    /// Whether `method` is one of a connection's own.
    #[must_use]
    pub fn is_method(method: &str) -> bool {
        method.starts_with("$/")
    }

    /// Reads such a notification.
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline_compat_json::jsonrpc::{Control, Trace};
    ///
    /// let read = Control::read("$/setTrace", Some(r#"{"value":"verbose"}"#));
    /// assert_eq!(read, Control::SetTrace(Trace::Verbose));
    /// assert_eq!(Control::read("$/somethingNew", None), Control::Unknown);
    /// ```
    #[must_use]
    pub fn read(method: &str, params: Option<&'a str>) -> Self {
        let params = params.unwrap_or("{}");
        Self::understand(method, params).unwrap_or(Self::Unknown)
    }

    fn understand(method: &str, params: &'a str) -> Option<Self> {
        let names = ["id", "token", "value", "event", "error"];
        let found =
            Scanner::new(params).members(names).ok().filter(|found| found.twice.is_none())?;
        let [id, token, value, event, error] = found.values;
        let text = |json: Option<&'a str>| json.filter(|json| json.starts_with('"')).map(unescape);
        Some(match method {
            "$/cancelRequest" => Self::Cancel(Id::new(id?)?),
            "$/progress" => Self::Progress { token: Id::new(token?)?, value: value? },
            "$/progressEnd" => Self::ProgressEnd { token: Id::new(token?)?, error },
            "$/setTrace" => Self::SetTrace(Trace::from_name(&text(value)?)?),
            "$/listen" => Self::Listen(text(event)?.into()),
            "$/unlisten" => Self::Unlisten(text(event)?.into()),
            _ => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(method: &str, params: &'a str) -> Control<'a> {
        Control::read(method, Some(params))
    }

    #[test]
    fn ids_and_tokens_keep_their_type() {
        for id in ["7", "\"7\"", "7.0"] {
            let params = format!(r#"{{"id":{id},"token":{id},"value":[1]}}"#);
            let Control::Cancel(found) = read("$/cancelRequest", &params) else {
                panic!("a cancel: {params}");
            };
            assert_eq!(found.json(), id);
            let Control::Progress { token, value } = read("$/progress", &params) else {
                panic!("progress: {params}");
            };
            assert_eq!((token.json(), value), (id, "[1]"));
            let Control::ProgressEnd { token, error } = read("$/progressEnd", &params) else {
                panic!("an end: {params}");
            };
            assert_eq!((token.json(), error), (id, None));
        }
    }

    #[test]
    fn what_does_not_go_with_its_method_is_unknown() {
        for (method, params) in [
            ("$/cancelRequest", "{}"),
            ("$/cancelRequest", "[1]"),
            ("$/cancelRequest", r#"{"id":[1]}"#),
            ("$/cancelRequest", r#"{"id":1,"id":2}"#),
            ("$/progress", r#"{"token":1}"#),
            ("$/progressEnd", r#"{"error":1}"#),
            ("$/setTrace", r#"{"value":"loud"}"#),
            ("$/setTrace", r#"{"value":1}"#),
            ("$/listen", r#"{"event":1}"#),
            ("$/logTrace", r#"{"message":"x"}"#),
        ] {
            assert_eq!(read(method, params), Control::Unknown, "{method} {params}");
        }
        assert_eq!(Control::read("$/cancelRequest", None), Control::Unknown);
    }

    #[test]
    fn every_word_of_set_trace_is_understood() {
        for (word, trace) in [
            ("off", Trace::Off),
            ("messages", Trace::Messages),
            ("compact", Trace::Compact),
            ("verbose", Trace::Verbose),
        ] {
            let params = format!(r#"{{"value":"{word}"}}"#);
            assert_eq!(read("$/setTrace", &params), Control::SetTrace(trace));
        }
    }
}
