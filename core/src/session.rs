//! Hello and goodbye: what both sides agree on before the first call.
//!
//! `docs/WIRE-FORMAT.md` section 4. The hello's body is JSON whatever codec is being agreed on, so
//! that a peer of another version or codec can be refused in words it understands.

use serde::{Deserialize, Serialize};

use crate::codec::AnyCodec;
use crate::envelope::{BodyKind, Envelope, Head, Kind};
use crate::error::{ConnectError, PeerFault, codes};
use crate::events::EventTarget;
use crate::limits::{Limits, MAX_HELLO_LEN, MAX_NAME_LEN};

/// The version of the protocol above the transport.
pub const PROTOCOL_VERSION: u32 = 1;

/// The first message of either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub protocol: u32,
    /// The codec the client wants; the server repeats it.
    pub codec: String,
    /// Largest message the sender accepts, in bytes.
    pub max_message_len: u64,
    /// The name under which the client wants to be known; the server's own name in its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Events the sender listens to from the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listens: Vec<Listens>,
}

/// One event that the sender of a hello listens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Listens {
    /// As what it is: a server as the application, a client as the peer of its label.
    AsItself(String),
    /// As this.
    As {
        /// The event.
        event: String,
        /// As what.
        target: EventTarget,
    },
}

impl Listens {
    /// The event's name.
    #[must_use]
    pub fn event(&self) -> &str {
        match self {
            Self::AsItself(event) | Self::As { event, .. } => event,
        }
    }

    /// As what, if it says so.
    #[must_use]
    pub fn target(&self) -> Option<&EventTarget> {
        match self {
            Self::AsItself(_) => None,
            Self::As { target, .. } => Some(target),
        }
    }
}

impl From<&str> for Listens {
    fn from(event: &str) -> Self {
        Self::AsItself(event.into())
    }
}

impl Hello {
    /// A hello of this build.
    #[must_use]
    pub fn new(
        codec: AnyCodec,
        limits: &Limits,
        label: Option<String>,
        listens: Vec<Listens>,
    ) -> Self {
        Self {
            protocol: PROTOCOL_VERSION,
            codec: codec.name().to_owned(),
            max_message_len: limits.max_message_len as u64,
            label,
            listens,
        }
    }

    /// The message.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        frame(Kind::Hello, "", self)
    }

    /// Reads a frame that must be a hello.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Refused`] if it is a goodbye, a [`PeerFault`] if it is neither.
    pub fn read(bytes: &[u8]) -> Result<Self, ConnectError> {
        let fault =
            |at, what: &dyn std::fmt::Display| ConnectError::Link(PeerFault::new(at, what).into());
        if bytes.len() > MAX_HELLO_LEN {
            return Err(fault(
                "hello",
                &format_args!("{} bytes, the limit is {MAX_HELLO_LEN}", bytes.len()),
            ));
        }
        let message = Envelope::parse(bytes).map_err(|e| ConnectError::Link(e.into()))?;
        match message.head.kind {
            Kind::Hello => AnyCodec::JSON.decode(message.body).map_err(|e| fault("hello", &e)),
            Kind::Goodbye => {
                let goodbye = Goodbye::read(&message);
                match (goodbye.code.as_ref(), goodbye.protocol) {
                    (codes::VERSION_REFUSED, Some(found)) => {
                        Err(ConnectError::Version { found, supported: PROTOCOL_VERSION })
                    }
                    _ => Err(ConnectError::Refused { code: goodbye.code, text: goodbye.text }),
                }
            }
            other => Err(fault("hello", &format_args!("{other:?} came before hello"))),
        }
    }
}

/// The last message of either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goodbye {
    /// A fixed code, see [`codes`].
    pub code: Box<str>,
    /// Words for people.
    pub text: Box<str>,
    /// The sender's protocol version, when that is the reason.
    pub protocol: Option<u32>,
}

#[derive(Serialize, Deserialize, Default)]
struct GoodbyeBody {
    #[serde(default)]
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protocol: Option<u32>,
}

impl Goodbye {
    /// A goodbye with a code and words.
    #[must_use]
    pub fn new(code: &str, text: &str) -> Self {
        let protocol = (code == codes::VERSION_REFUSED).then_some(PROTOCOL_VERSION);
        Self { code: code.into(), text: text.into(), protocol }
    }

    /// The message.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        let body = GoodbyeBody { text: self.text.to_string(), protocol: self.protocol };
        frame(Kind::Goodbye, &self.code, &body)
    }

    /// Reads a goodbye; a body that cannot be read counts as no words.
    #[must_use]
    pub fn read(message: &Envelope<'_>) -> Self {
        let body: GoodbyeBody = AnyCodec::JSON.decode(message.body).unwrap_or_default();
        Self {
            code: message.head.name.into(),
            text: body.text.into_boxed_str(),
            protocol: body.protocol,
        }
    }
}

fn frame<T: Serialize>(kind: Kind, name: &str, body: &T) -> Vec<u8> {
    let head = Head::new(kind, BodyKind::Structured, 0, name);
    let mut bytes = head.to_bytes().to_vec();
    bytes.extend_from_slice(name.as_bytes());
    // Strings and numbers always have a JSON form.
    bytes.extend(AnyCodec::JSON.to_vec(body).unwrap_or_default());
    bytes
}

/// What was agreed on.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// The codec of every structured body from now on.
    pub codec: AnyCodec,
    /// Largest message we may send, in bytes.
    pub max_send_len: usize,
    /// The peer's label.
    pub label: Option<Box<str>>,
    /// Events the peer listens to from the start.
    pub listens: Vec<Listens>,
}

/// Judges the peer's hello: version, codec, limits and names.
///
/// # Errors
///
/// The [`Goodbye`] to answer with.
pub fn agree(hello: Hello, codecs: &[AnyCodec], limits: &Limits) -> Result<Agreement, Goodbye> {
    if hello.protocol != PROTOCOL_VERSION {
        return Err(Goodbye::new(
            codes::VERSION_REFUSED,
            &format!("protocol version {} is not supported, 1 is", hello.protocol),
        ));
    }
    let Some(codec) = codecs.iter().copied().find(|c| c.name() == hello.codec) else {
        let names: Vec<_> = codecs.iter().map(AnyCodec::name).collect();
        return Err(Goodbye::new(
            codes::CODEC_REFUSED,
            &format!("the codec asked for is not offered, these are: {}", names.join(", ")),
        ));
    };
    let bad = |text: &str| Goodbye::new(codes::BAD_HELLO, text);
    if hello.label.as_ref().is_some_and(|label| label.len() > MAX_NAME_LEN) {
        return Err(bad("the label is longer than 255 bytes"));
    }
    if hello.listens.iter().any(|one| crate::limits::check_event_name(one.event()).is_err()) {
        return Err(bad("the hello listens to a name that is no event name"));
    }
    if hello.listens.iter().filter_map(Listens::target).any(|target| target.check().is_err()) {
        return Err(bad("the hello listens as a label that is longer than 255 bytes"));
    }
    let peer_max = usize::try_from(hello.max_message_len).unwrap_or(usize::MAX);
    if peer_max < MAX_HELLO_LEN {
        return Err(bad("max_message_len is below 16384 bytes"));
    }
    Ok(Agreement {
        codec,
        max_send_len: peer_max.min(limits.max_message_len),
        label: hello.label.map(String::into_boxed_str),
        listens: hello.listens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: [AnyCodec; 2] = [AnyCodec::MSGPACK, AnyCodec::JSON];

    fn hello() -> Hello {
        Hello::new(AnyCodec::MSGPACK, &Limits::default(), None, vec!["tick".into()])
    }

    #[test]
    fn a_hello_survives_the_wire() {
        assert_eq!(Hello::read(&hello().to_frame()).expect("ours"), hello());
    }

    #[test]
    fn a_hello_says_as_what_it_listens() {
        let text = r#"{"protocol":1,"codec":"json","max_message_len":65536,"listens":
            ["a",{"event":"b","target":{"kind":"Any"}},{"event":"c","target":"main"}]}"#;
        let hello: Hello = serde_json::from_str(text).expect("a hello");
        let [a, b, c] = &hello.listens[..] else { panic!("{hello:?}") };
        assert_eq!((a.event(), a.target()), ("a", None));
        assert_eq!((b.event(), b.target()), ("b", Some(&EventTarget::Any)));
        assert_eq!((c.event(), c.target()), ("c", Some(&"main".into())));
        let text = serde_json::to_string(&[a, b]).expect("has JSON");
        assert_eq!(text, r#"["a",{"event":"b","target":{"kind":"Any"}}]"#);
        let (event, target) = ("b".to_owned(), EventTarget::window("x".repeat(256)));
        let long = Hello { listens: vec![Listens::As { event, target }], ..hello };
        let refusal = agree(long, &CODECS, &Limits::default()).expect_err("refused");
        assert_eq!(refusal.code.as_ref(), codes::BAD_HELLO);
    }

    #[test]
    fn another_version_is_refused_with_both_numbers() {
        let refusal = agree(Hello { protocol: 7, ..hello() }, &CODECS, &Limits::default())
            .expect_err("refused");
        assert!(matches!(
            Hello::read(&refusal.to_frame()),
            Err(ConnectError::Version { found: 1, supported: 1 })
        ));
        assert!(refusal.text.contains('7'));
    }

    #[test]
    fn an_unknown_codec_is_refused_with_the_offered_names() {
        let refusal = agree(Hello { codec: "cbor".into(), ..hello() }, &CODECS, &Limits::default())
            .expect_err("refused");
        assert_eq!(refusal.code.as_ref(), codes::CODEC_REFUSED);
        assert!(refusal.text.contains("msgpack, json"));
    }

    #[test]
    fn anything_else_before_hello_is_a_fault() {
        let head = Head::new(Kind::Request, BodyKind::Empty, 1, "");
        assert!(matches!(
            Hello::read(&head.to_bytes()),
            Err(ConnectError::Link(crate::LinkError::Fault(PeerFault { at: "hello", .. })))
        ));
        assert!(Hello::read(&vec![0; MAX_HELLO_LEN + 1]).is_err());
    }
}
