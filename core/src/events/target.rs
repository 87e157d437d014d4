//! At whom an event is aimed, and as what somebody listens: Tauri's targets.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{ConfigError, PeerFault};
use crate::limits::MAX_LABEL_LEN;

/// At whom an event is aimed, or as what somebody listens. The names are Tauri's, and [`Peer`](Self::Peer)
/// is what a plain client is.
///
/// `emit` reaches every listener of the event. What is aimed reaches the listeners that
/// [`reaches`](Self::reaches) names. No target keeps anything secret: a peer says itself as what it
/// listens. What a peer may hear is for capabilities to say.
///
/// # JSON
///
/// `{"kind":"App"}`, `{"kind":"AnyLabel","label":"main"}`; a plain text is read as a label of any
/// kind, as Tauri's JavaScript does.
///
/// # Source
///
/// `docs/SEMANTICS.md` rows 54 to 57.
///
/// # Examples
///
/// ```
/// use tramline_core::events::EventTarget;
///
/// let main = EventTarget::from("main");
/// assert_eq!(main, EventTarget::any_label("main"));
/// assert!(main.reaches(&EventTarget::peer("main")));
/// assert!(main.reaches(&EventTarget::Any));
/// assert!(!main.reaches(&EventTarget::App));
/// let read: EventTarget = serde_json::from_str(r#"{"kind":"Window","label":"main"}"#)?;
/// assert_eq!(read, EventTarget::window("main"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind")]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's label is the label of what it names")]
pub enum EventTarget {
    /// Everybody. Whoever listens as this hears every event of the name, whomever it is aimed at.
    Any,
    /// Whatever bears this label, apart from the application.
    AnyLabel { label: String },
    /// The application: the server.
    App,
    /// A client of this label.
    Peer { label: String },
    /// A window of this label.
    Window { label: String },
    /// A webview of this label.
    Webview { label: String },
    /// A window with one webview, of this label.
    WebviewWindow { label: String },
}

impl EventTarget {
    /// Everybody.
    #[must_use]
    pub fn any() -> Self {
        Self::Any
    }

    /// Whatever bears this label.
    #[must_use]
    pub fn any_label(label: impl Into<String>) -> Self {
        Self::AnyLabel { label: label.into() }
    }

    /// The application: the server.
    #[must_use]
    pub fn app() -> Self {
        Self::App
    }

    /// A client. One that connected without a label has the empty one.
    #[must_use]
    pub fn peer(label: impl Into<String>) -> Self {
        Self::Peer { label: label.into() }
    }

    /// A window.
    #[must_use]
    pub fn window(label: impl Into<String>) -> Self {
        Self::Window { label: label.into() }
    }

    /// A webview.
    #[must_use]
    pub fn webview(label: impl Into<String>) -> Self {
        Self::Webview { label: label.into() }
    }

    /// A window with one webview.
    #[must_use]
    pub fn webview_window(label: impl Into<String>) -> Self {
        Self::WebviewWindow { label: label.into() }
    }

    /// The label, if there is one.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Any | Self::App => None,
            Self::AnyLabel { label }
            | Self::Peer { label }
            | Self::Window { label }
            | Self::Webview { label }
            | Self::WebviewWindow { label } => Some(label),
        }
    }

    /// Whether an event that is aimed at this reaches whoever listens as `listener`.
    ///
    /// Whoever listens as [`Any`](Self::Any) is always reached, and [`Any`](Self::Any) reaches all.
    /// [`AnyLabel`](Self::AnyLabel), on either side, stands for every kind with that label.
    /// Otherwise both have to be the same.
    #[must_use]
    pub fn reaches(&self, listener: &Self) -> bool {
        match (self, listener) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::AnyLabel { .. }, _) | (_, Self::AnyLabel { .. }) => {
                self.label().is_some() && self.label() == listener.label()
            }
            _ => self == listener,
        }
    }

    /// Checks what a listener says that it is.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Label`]: a label of more than [`MAX_LABEL_LEN`] bytes.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.label().map(str::len) {
            Some(len) if len > MAX_LABEL_LEN => Err(ConfigError::Label { len, max: MAX_LABEL_LEN }),
            _ => Ok(()),
        }
    }

    fn as_ref(&self) -> TargetRef<'_> {
        let kind = match self {
            Self::Any => ANY,
            Self::AnyLabel { .. } => ANY_LABEL,
            Self::App => APP,
            Self::Peer { .. } => PEER,
            Self::Window { .. } => WINDOW,
            Self::Webview { .. } => WEBVIEW,
            Self::WebviewWindow { .. } => WEBVIEW_WINDOW,
        };
        TargetRef { kind, label: self.label().unwrap_or_default() }
    }

    /// Its kind's number and its label, as they are on the wire.
    pub(crate) fn parts(&self) -> (u8, &str) {
        let TargetRef { kind, label } = self.as_ref();
        (kind, label)
    }
}

const ANY: u8 = 0;
const ANY_LABEL: u8 = 1;
const APP: u8 = 2;
const PEER: u8 = 3;
const WINDOW: u8 = 4;
const WEBVIEW: u8 = 5;
const WEBVIEW_WINDOW: u8 = 6;

/// A target as it stands in a message, `docs/WIRE-FORMAT.md` section 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetRef<'a> {
    kind: u8,
    label: &'a str,
}

impl<'a> TargetRef<'a> {
    /// Reads a field's content.
    pub(crate) fn parse(content: &'a [u8]) -> Result<Self, PeerFault> {
        let wrong = |what: fmt::Arguments<'_>| PeerFault::new("extension", what);
        let Some((&kind, label)) = content.split_first() else {
            return Err(wrong(format_args!("a target without a kind")));
        };
        let label = str::from_utf8(label).map_err(|e| wrong(format_args!("not UTF-8: {e}")))?;
        match kind {
            ANY | APP if label.is_empty() => {}
            ANY_LABEL | PEER..=WEBVIEW_WINDOW if label.len() <= MAX_LABEL_LEN => {}
            ANY..=WEBVIEW_WINDOW => {
                let len = label.len();
                return Err(wrong(format_args!("a target {kind} with a label of {len} bytes")));
            }
            _ => return Err(wrong(format_args!("{kind} is no kind of target"))),
        }
        Ok(Self { kind, label })
    }

    /// Whether this is that target.
    #[must_use]
    pub fn is(self, target: &EventTarget) -> bool {
        self == target.as_ref()
    }

    /// The target, to keep.
    #[must_use]
    pub fn to_target(self) -> EventTarget {
        let label = self.label.to_owned();
        match self.kind {
            ANY_LABEL => EventTarget::AnyLabel { label },
            APP => EventTarget::App,
            PEER => EventTarget::Peer { label },
            WINDOW => EventTarget::Window { label },
            WEBVIEW => EventTarget::Webview { label },
            WEBVIEW_WINDOW => EventTarget::WebviewWindow { label },
            // Checked when it was read.
            _ => EventTarget::Any,
        }
    }
}

impl<T: AsRef<str>> From<T> for EventTarget {
    /// A label of any kind.
    fn from(label: T) -> Self {
        Self::any_label(label.as_ref())
    }
}

impl<'de> Deserialize<'de> for EventTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrObject)
    }
}

/// Reads the object; the target itself may be a plain text, too.
#[derive(Deserialize)]
#[serde(remote = "EventTarget", tag = "kind")]
enum Tagged {
    Any,
    AnyLabel { label: String },
    App,
    Peer { label: String },
    Window { label: String },
    Webview { label: String },
    WebviewWindow { label: String },
}

struct TextOrObject;

impl<'de> Visitor<'de> for TextOrObject {
    type Value = EventTarget;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label, or an object with `kind`")
    }

    fn visit_str<E>(self, label: &str) -> Result<EventTarget, E> {
        Ok(label.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EventTarget, A::Error> {
        Tagged::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kinds(label: &str) -> [EventTarget; 4] {
        [
            EventTarget::peer(label),
            EventTarget::window(label),
            EventTarget::webview(label),
            EventTarget::webview_window(label),
        ]
    }

    #[test]
    fn target_kinds_match_tauri() {
        let all = [
            (json!({ "kind": "Any" }), EventTarget::any()),
            (json!({ "kind": "AnyLabel", "label": "a" }), EventTarget::any_label("a")),
            (json!({ "kind": "App" }), EventTarget::app()),
            (json!({ "kind": "Peer", "label": "a" }), EventTarget::peer("a")),
            (json!({ "kind": "Window", "label": "a" }), EventTarget::window("a")),
            (json!({ "kind": "Webview", "label": "a" }), EventTarget::webview("a")),
            (json!({ "kind": "WebviewWindow", "label": "a" }), EventTarget::webview_window("a")),
        ];
        for (json, target) in all {
            assert_eq!(serde_json::to_value(&target).expect("has JSON"), json);
            assert_eq!(serde_json::from_value::<EventTarget>(json).expect("is one"), target);
        }
        let read = |json| serde_json::from_value::<EventTarget>(json);
        assert_eq!(read(json!("main")).expect("a label"), EventTarget::any_label("main"));
        for bad in [json!({ "kind": "Nobody" }), json!({ "kind": "Window" }), json!({}), json!(1)] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    /// Who hears what the file `oracle/expected/targets.json` says Tauri reaches.
    #[test]
    fn what_an_aim_reaches_equals_tauri() {
        #[derive(Deserialize)]
        struct Table {
            listeners: Vec<(String, EventTarget)>,
            cases: Vec<Case>,
        }
        #[derive(Deserialize)]
        struct Case {
            id: String,
            call: String,
            target: Option<EventTarget>,
            reached: Vec<String>,
        }
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../oracle/expected/targets.json");
        let text = std::fs::read_to_string(file).expect("the oracle's file");
        let table: Table = serde_json::from_str(&text).expect("as it was written");
        for case in &table.cases {
            let hears = |listener: &EventTarget| match (case.call.as_str(), &case.target) {
                ("emit", _) => true,
                ("emit_to", Some(target)) => target.reaches(listener),
                (_, target) => *listener == EventTarget::Any || target.as_ref() == Some(listener),
            };
            let mut reached: Vec<_> = table.listeners.iter().filter(|(_, t)| hears(t)).collect();
            reached.sort_by_key(|(name, _)| name);
            let reached: Vec<_> = reached.into_iter().map(|(name, _)| name).collect();
            assert_eq!(reached, case.reached.iter().collect::<Vec<_>>(), "{}", case.id);
        }
        assert!(table.cases.len() > 30);
    }

    /// What the file cannot have: listeners that name a label, and plain clients.
    #[test]
    fn a_label_of_any_kind_stands_for_every_kind_but_the_application() {
        for one in kinds("a") {
            for other in kinds("a") {
                assert_eq!(one.reaches(&other), one == other, "{one:?} {other:?}");
            }
            let labelled = EventTarget::any_label("a");
            assert!(one.reaches(&labelled) && labelled.reaches(&one));
            let elsewhere = EventTarget::any_label("b");
            assert!(!one.reaches(&elsewhere) && !elsewhere.reaches(&one));
            assert!(!one.reaches(&EventTarget::App) && !EventTarget::App.reaches(&one));
            assert!(one.reaches(&EventTarget::Any) && EventTarget::Any.reaches(&one));
        }
        let empty = EventTarget::any_label("");
        assert!(empty.reaches(&EventTarget::peer("")));
        assert!(!empty.reaches(&EventTarget::App) && !EventTarget::App.reaches(&empty));
    }

    #[test]
    fn a_label_beyond_its_limit_is_refused() {
        let long = EventTarget::window("x".repeat(MAX_LABEL_LEN + 1));
        let refused = ConfigError::Label { len: MAX_LABEL_LEN + 1, max: MAX_LABEL_LEN };
        assert_eq!(long.check(), Err(refused));
        assert_eq!(EventTarget::window("x".repeat(MAX_LABEL_LEN)).check(), Ok(()));
    }
}
