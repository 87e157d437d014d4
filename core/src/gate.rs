//! Allowed or refused: decided by name, before arguments are decoded.

use crate::limits::NameSet;

/// What a peer may do. Nothing, unless it is named here.
///
/// # Examples
///
/// ```
/// use tramline_core::gate::Capabilities;
///
/// let allowed = Capabilities::none().command("add").event("progress");
/// assert!(allowed.may_invoke("add"));
/// assert!(!allowed.may_invoke("format_disk"));
/// assert!(allowed.may_use_event("progress"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    commands: Names,
    events: Names,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    Every,
    Only(NameSet),
}

impl Default for Names {
    fn default() -> Self {
        Self::Only(NameSet::default())
    }
}

impl Names {
    fn add(&mut self, name: &str) {
        if let Self::Only(names) = self {
            names.insert(name.into());
        }
    }

    fn contains(&self, name: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

impl Capabilities {
    /// Nothing is allowed: the default.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every command and every event is allowed.
    #[must_use]
    pub fn all() -> Self {
        Self { commands: Names::Every, events: Names::Every }
    }

    /// Also allows to invoke this command.
    #[must_use]
    pub fn command(mut self, name: &str) -> Self {
        self.commands.add(name);
        self
    }

    /// Also allows to invoke these commands.
    #[must_use]
    pub fn commands<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().fold(self, Self::command)
    }

    /// Also allows to emit and to listen to this event.
    #[must_use]
    pub fn event(mut self, name: &str) -> Self {
        self.events.add(name);
        self
    }

    /// Also allows to emit and to listen to these events.
    #[must_use]
    pub fn events<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().fold(self, Self::event)
    }

    /// Whether the command may be invoked.
    #[must_use]
    pub fn may_invoke(&self, command: &str) -> bool {
        self.commands.contains(command)
    }

    /// Whether the event may be emitted and listened to.
    #[must_use]
    pub fn may_use_event(&self, event: &str) -> bool {
        self.events.contains(event)
    }
}
