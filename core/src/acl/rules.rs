//! Resolved capabilities: deciding, and saying why.

use std::fmt::Write as _;
use std::sync::Arc;

use glob::Pattern;

use super::class::{Covers, RemoteUrl};
use super::{AclError, Asked, CallScopes, Capability, PeerClass, Scope, Scopes, plugin_command};
use crate::limits::{NameMap, NameSet};
use crate::peer::Peer;

/// Who asks, as far as rules look.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The label under which the peer was admitted; a peer without one is matched as the empty
    /// text.
    pub label: &'a str,
    /// Local or remote.
    pub class: &'a PeerClass,
}

impl<'a> From<&'a Peer> for Subject<'a> {
    fn from(peer: &'a Peer) -> Self {
        Self { label: peer.label().unwrap_or_default(), class: peer.class() }
    }
}

/// The peers one capability is for.
#[derive(Debug)]
pub(super) struct Who {
    capability: Box<str>,
    local: bool,
    remote: Vec<RemoteUrl>,
    /// `None` is any.
    labels: Option<Vec<Pattern>>,
}

impl Who {
    pub(super) fn of(capability: &Capability) -> Result<Self, AclError> {
        let remote = capability.remote.iter().flat_map(|remote| &remote.urls);
        let labels = capability.windows.iter().chain(&capability.webviews);
        Ok(Self {
            capability: capability.identifier.as_str().into(),
            local: capability.local,
            remote: remote.map(|url| RemoteUrl::parse(url)).collect::<Result<_, _>>()?,
            labels: if capability.any_label {
                None
            } else {
                Some(labels.map(|label| pattern(label)).collect::<Result<_, _>>()?)
            },
        })
    }

    fn covers_class(&self, class: &PeerClass) -> Covers {
        match class {
            PeerClass::Local if self.local => Covers::Yes,
            PeerClass::Local => Covers::No,
            PeerClass::Remote { origin } => {
                let of = |url: &RemoteUrl| url.covers(origin);
                let all: Vec<_> = self.remote.iter().map(of).collect();
                let has = |covers| all.contains(&covers);
                [Covers::Yes, Covers::Unknown].into_iter().find(|c| has(*c)).unwrap_or(Covers::No)
            }
        }
    }

    fn has_label(&self, label: &str) -> bool {
        self.labels
            .as_ref()
            .is_none_or(|labels| labels.iter().any(|pattern| pattern.matches(label)))
    }

    /// Whether an allow entry is for this peer.
    fn is_allowed(&self, subject: Subject<'_>) -> bool {
        self.covers_class(subject.class) == Covers::Yes && self.has_label(subject.label)
    }

    /// Whether a deny entry is for this peer: labels are not looked at, and what cannot be judged
    /// is.
    fn is_denied(&self, subject: Subject<'_>) -> bool {
        self.covers_class(subject.class) != Covers::No
    }
}

/// Compiles a pattern for labels or event names.
pub(super) fn pattern(text: &str) -> Result<Pattern, AclError> {
    Pattern::new(text).map_err(|e| AclError::Pattern { pattern: text.into(), cause: e.msg })
}

/// One line of an allow or deny list.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) who: Arc<Who>,
    pub(super) permission: Box<str>,
    pub(super) scope: Option<Arc<Scopes>>,
}

/// One line about events: names, as patterns.
#[derive(Debug)]
pub(super) struct EventRule {
    pub(super) rule: Rule,
    /// `None` is every event.
    pub(super) names: Option<Vec<Pattern>>,
    /// Of an allow rule: what it takes out again, for whomever it is.
    pub(super) except: Vec<Pattern>,
}

#[derive(Debug, Default)]
pub(super) struct EventRules {
    pub(super) allow: Vec<EventRule>,
    pub(super) deny: Vec<EventRule>,
}

/// What the declared capabilities mean for one server.
#[derive(Debug, Default)]
pub struct Rules {
    pub(super) allow: NameMap<Box<str>, Vec<Rule>>,
    pub(super) allow_every: Vec<Rule>,
    pub(super) deny: NameMap<Box<str>, Vec<Rule>>,
    pub(super) listen: EventRules,
    pub(super) emit: EventRules,
    /// By plugin; the application's under the empty name.
    pub(super) global: NameMap<Box<str>, Arc<Scope>>,
    /// Tauri's rule for the application's own commands.
    pub(super) open_to_local: bool,
}

/// Whether one peer may invoke one command.
#[derive(Debug, Clone, Default)]
pub enum Access {
    /// No.
    #[default]
    Denied,
    /// Yes, with these scopes, if there are any.
    Allowed(Option<Arc<CallScopes>>),
}

impl Access {
    /// Whether it is yes.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// What one peer may listen to, or emit.
#[derive(Debug, Default)]
pub struct EventRights {
    every: bool,
    names: NameSet,
    patterns: Vec<Pattern>,
    except: Vec<Pattern>,
}

impl EventRights {
    /// Whether this event is among them.
    #[must_use]
    #[inline]
    pub fn allow(&self, event: &str) -> bool {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(event));
        (self.every || self.names.contains(event) || matches(&self.patterns))
            && !matches(&self.except)
    }
}

impl Rules {
    /// Decides about a command.
    #[must_use]
    pub fn access(&self, subject: Subject<'_>, command: &str) -> Access {
        if self.denying(subject, command).next().is_some() {
            return Access::Denied;
        }
        let mut allowing = self.allowing(command).filter(|r| r.who.is_allowed(subject)).peekable();
        if allowing.peek().is_none() && !self.is_open(subject, command) {
            return Access::Denied;
        }
        let mut of_command = Scope::default();
        for scopes in allowing.filter_map(|rule| rule.scope.as_ref()) {
            of_command.add(scopes);
        }
        let owner = plugin_command(command).map_or("", |(plugin, _)| plugin);
        let global = self.global.get(owner);
        if of_command.is_empty() && global.is_none() {
            return Access::Allowed(None);
        }
        let global = global.cloned().unwrap_or_default();
        Access::Allowed(Some(Arc::new(CallScopes { command: Arc::new(of_command), global })))
    }

    /// Decides about all events at once.
    #[must_use]
    pub fn events(&self, subject: Subject<'_>, asked: Asked) -> EventRights {
        let Some(rules) = self.of_events(asked) else { return EventRights::default() };
        let mut rights = EventRights::default();
        for EventRule { names, except, .. } in
            rules.allow.iter().filter(|event| event.rule.who.is_allowed(subject))
        {
            rights.except.extend(except.iter().cloned());
            match names {
                None => rights.every = true,
                Some(names) => {
                    for name in names {
                        // A name without signs of a pattern is looked up instead of tried.
                        if Pattern::escape(name.as_str()) == name.as_str() {
                            rights.names.insert(name.as_str().into());
                        } else {
                            rights.patterns.push(name.clone());
                        }
                    }
                }
            }
        }
        for EventRule { names, .. } in
            rules.deny.iter().filter(|event| event.rule.who.is_denied(subject))
        {
            match names {
                None => return EventRights::default(),
                Some(names) => rights.except.extend(names.iter().cloned()),
            }
        }
        rights
    }

    fn of_events(&self, asked: Asked) -> Option<&EventRules> {
        match asked {
            Asked::Listen => Some(&self.listen),
            Asked::Emit => Some(&self.emit),
            Asked::Invoke => None,
        }
    }

    fn allowing(&self, command: &str) -> impl Iterator<Item = &Rule> {
        self.allow.get(command).into_iter().flatten().chain(&self.allow_every)
    }

    fn denying(&self, subject: Subject<'_>, command: &str) -> impl Iterator<Item = &Rule> {
        let rules = self.deny.get(command).into_iter().flatten();
        rules.filter(move |rule| rule.who.is_denied(subject))
    }

    fn is_open(&self, subject: Subject<'_>, command: &str) -> bool {
        self.open_to_local
            && *subject.class == PeerClass::Local
            && plugin_command(command).is_none()
    }

    /// Says why a peer may not, in words for whoever wrote the capabilities.
    #[must_use]
    pub fn explain(&self, subject: Subject<'_>, asked: Asked, name: &str) -> String {
        let (allow, deny): (Vec<&Rule>, Vec<&Rule>) = match self.of_events(asked) {
            None => {
                (self.allowing(name).collect(), self.deny.get(name).into_iter().flatten().collect())
            }
            Some(EventRules { allow, deny }) => {
                let named = |event: &&EventRule| {
                    let names = event.names.as_ref();
                    names.is_none_or(|names| names.iter().any(|p| p.matches(name)))
                };
                (
                    allow.iter().filter(named).map(|event| &event.rule).collect(),
                    deny.iter().filter(named).map(|event| &event.rule).collect(),
                )
            }
        };
        if let Some(rule) = deny.iter().find(|rule| rule.who.is_denied(subject)) {
            return format!("denied by {}", rule.reference());
        }
        if allow.is_empty() {
            return "no capability allows it".into();
        }
        let mut why = format!("its label is {:?}, its class {}", subject.label, subject.class);
        for rule in allow {
            if rule.who.is_allowed(subject) {
                let _ = write!(why, "; {} takes the name out again", rule.reference());
            } else {
                let _ = write!(why, "; {} allows it to {}", rule.reference(), rule.who.describe());
            }
        }
        why
    }
}

impl Rule {
    fn reference(&self) -> String {
        format!("permission `{}` of capability `{}`", self.permission, self.who.capability)
    }
}

impl Who {
    fn describe(&self) -> String {
        let labels = match &self.labels {
            None => "any label".to_owned(),
            Some(labels) if labels.is_empty() => "no label".to_owned(),
            Some(labels) => {
                let texts: Vec<_> = labels.iter().map(Pattern::as_str).collect();
                format!("labels {}", texts.join(", "))
            }
        };
        let local = self.local.then(|| "local".to_owned());
        let remote = self.remote.iter().map(|url| format!("remote: {url}"));
        let classes: Vec<_> = local.into_iter().chain(remote).collect();
        format!("{labels} ({})", classes.join(", "))
    }
}
