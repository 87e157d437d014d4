//! What the connect policy makes of a peer, and the URL patterns that remote peers are judged by.

use std::fmt;

use super::{AclError, Quota};

/// Where a peer stands. The connect policy says so, never the peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerClass {
    /// Part of the application: a process of this machine that the connect policy let in as such.
    #[default]
    Local,
    /// Everything else: a page from the network, a process behind a broker.
    Remote {
        /// Where it comes from, as a URL that `remote.urls` of capabilities are matched against.
        origin: Box<str>,
    },
}

impl fmt::Display for PeerClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Remote { origin } => write!(f, "remote: {origin:?}"),
        }
    }
}

/// The name, the class and the quota under which a peer was admitted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The label that capabilities are matched with.
    pub label: Option<Box<str>>,
    /// Local or remote.
    pub class: PeerClass,
    /// What it may ask for at a time, and per second.
    pub quota: Quota,
}

impl Standing {
    /// A local peer of this label, without a quota.
    #[must_use]
    pub fn local(label: Option<Box<str>>) -> Self {
        Self { label, ..Self::default() }
    }
}

/// A pattern of `remote.urls`.
#[derive(Debug)]
pub(super) struct RemoteUrl {
    text: Box<str>,
    #[cfg(feature = "remote-urls")]
    pattern: urlpattern::UrlPattern,
}

/// Whether a pattern covers an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Covers {
    Yes,
    No,
    /// The origin is no URL, or this build reads no patterns. An allow entry takes it as no, a deny
    /// entry as yes.
    Unknown,
}

impl RemoteUrl {
    /// Reads a pattern as Tauri does: what it does not say of path, query and fragment is any.
    #[cfg(feature = "remote-urls")]
    pub(super) fn parse(text: &str) -> Result<Self, AclError> {
        use urlpattern::{UrlPattern, UrlPatternInit};
        let bad = |cause: urlpattern::Error| AclError::RemoteUrl {
            pattern: text.into(),
            cause: cause.to_string().into(),
        };
        let mut init = UrlPatternInit::parse_constructor_string::<regex::Regex>(text, None);
        if let Ok(init) = &mut init {
            let any = |part: &mut Option<String>, nothing: &[&str]| {
                if part.as_deref().is_none_or(|part| nothing.contains(&part)) {
                    *part = Some("*".to_owned());
                }
            };
            any(&mut init.search, &[""]);
            any(&mut init.hash, &[""]);
            any(&mut init.pathname, &["", "/"]);
        }
        let pattern = init.and_then(|init| UrlPattern::parse(init, Default::default()));
        Ok(Self { text: text.into(), pattern: pattern.map_err(bad)? })
    }

    /// Keeps the pattern, which this build cannot match.
    #[cfg(not(feature = "remote-urls"))]
    pub(super) fn parse(text: &str) -> Result<Self, AclError> {
        Ok(Self { text: text.into() })
    }

    #[cfg(feature = "remote-urls")]
    pub(super) fn covers(&self, origin: &str) -> Covers {
        let Ok(url) = url::Url::parse(origin) else { return Covers::Unknown };
        match self.pattern.test(urlpattern::UrlPatternMatchInput::Url(url)) {
            Ok(true) => Covers::Yes,
            Ok(false) => Covers::No,
            Err(_) => Covers::Unknown,
        }
    }

    #[cfg(not(feature = "remote-urls"))]
    pub(super) fn covers(&self, _: &str) -> Covers {
        Covers::Unknown
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
