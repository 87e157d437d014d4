//! What is wrong with declared capabilities.

/// Capabilities that cannot be read, or that say what can never be meant. Fix the files or the code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AclError {
    /// The text is not what such a file holds.
    #[error("it cannot be read as {format}: {cause}")]
    Format {
        /// `JSON` or `TOML`.
        format: &'static str,
        /// The parser's words.
        cause: Box<str>,
    },
    /// A file cannot be read.
    #[error("`{file}` cannot be read: {cause}")]
    Read {
        /// Its path.
        file: Box<str>,
        /// The system's words.
        cause: Box<str>,
    },
    /// Something is wrong in a file.
    #[error("`{file}`: {error}")]
    InFile {
        /// Its path.
        file: Box<str>,
        /// What is wrong.
        #[source]
        error: Box<AclError>,
    },
    /// An identifier that no permission can have.
    #[error(
        "`{identifier}` is no identifier of a permission: letters, digits and inner hyphens, one \
         colon at most, or a beginning of `core:`"
    )]
    Identifier {
        /// What stands there.
        identifier: Box<str>,
    },
    /// Two capabilities under one identifier.
    #[error("capability `{identifier}` is declared twice")]
    DuplicateCapability {
        /// The identifier both have.
        identifier: Box<str>,
    },
    /// A capability or a set names a permission that its owner does not have.
    #[error("`{named_by}` names permission `{permission}`, which there is not")]
    UnknownPermission {
        /// The permission's identifier.
        permission: Box<str>,
        /// The capability or the set that names it.
        named_by: Box<str>,
    },
    /// A set of permissions that contains itself.
    #[error("the set of permissions `{set}` contains itself")]
    SetInItself {
        /// The set's identifier.
        set: Box<str>,
    },
    /// A pattern for labels or event names that cannot be read.
    #[error("`{pattern}` is no pattern: {cause}")]
    Pattern {
        /// The pattern.
        pattern: Box<str>,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// A URL pattern that cannot be read.
    #[error("`{pattern}` is no URL pattern: {cause}")]
    RemoteUrl {
        /// The pattern.
        pattern: Box<str>,
        /// What is wrong with it.
        cause: Box<str>,
    },
    /// A scope of an event permission that names no event.
    #[error("a scope of `{permission}` is {found}, expected is {{\"event\": \"<pattern>\"}}")]
    EventScope {
        /// The permission.
        permission: Box<str>,
        /// What stands there.
        found: Box<str>,
    },
}

impl AclError {
    /// The same, with the file it was found in.
    #[must_use]
    pub fn in_file(self, file: &str) -> Self {
        Self::InFile { file: file.into(), error: Box::new(self) }
    }
}

/// What is probably not meant, but does no harm: it allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// The permission belongs to a plugin that this server knows nothing of, such as one of
    /// Tauri's own. It is kept and means nothing.
    #[error("unknown permission `{permission}` in `{named_by}`: no such plugin here")]
    UnknownPermission {
        /// The permission's identifier.
        permission: Box<str>,
        /// The capability or the set that names it.
        named_by: Box<str>,
    },
    /// The capability names no window and no webview, so it is nobody's.
    #[error("capability `{capability}` has neither windows nor webviews: it matches no label")]
    NoLabels {
        /// The capability.
        capability: Box<str>,
    },
    /// The capability is for remote peers, and this build cannot match URL patterns: it allows
    /// remote peers nothing.
    #[error("capability `{capability}` has remote URLs: they need the feature `remote-urls`")]
    RemoteUrls {
        /// The capability.
        capability: Box<str>,
    },
}
