//! Tauri's permission and capability files, as they stand on disk.
//!
//! Fields that Tauri does not know are passed over, as Tauri does; `$schema` is one.

use std::num::NonZeroU64;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{AclError, Capability, Identifier};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// JSON.
    Json,
    /// TOML, with the feature `toml`.
    Toml,
}

impl Format {
    /// The format of files with this extension, without its dot; `None` for others, which Tauri
    /// passes over.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension {
            "json" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }

    fn parse<T: DeserializeOwned>(self, text: &str) -> Result<T, AclError> {
        match self {
            Self::Json => serde_json::from_str(text).map_err(|e| format_error("JSON", e)),
            #[cfg(feature = "toml")]
            Self::Toml => toml::from_str(text).map_err(|e| format_error("TOML", e)),
            #[cfg(not(feature = "toml"))]
            Self::Toml => Err(format_error("TOML", "this build was made without feature `toml`")),
        }
    }
}

fn format_error(format: &'static str, cause: impl std::fmt::Display) -> AclError {
    AclError::Format { format, cause: cause.to_string().trim_end().into() }
}

/// A target system, in Tauri's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub enum Platform {
    /// macOS.
    #[serde(rename = "macOS")]
    MacOs,
    /// Windows.
    #[serde(rename = "windows")]
    Windows,
    /// Linux.
    #[serde(rename = "linux")]
    Linux,
    /// Android.
    #[serde(rename = "android")]
    Android,
    /// iOS.
    #[serde(rename = "iOS")]
    Ios,
}

impl Platform {
    /// The system this was built for; Linux for any other Unix, as with Tauri.
    #[must_use]
    pub fn current() -> Self {
        match std::env::consts::OS {
            "macos" => Self::MacOs,
            "windows" => Self::Windows,
            "android" => Self::Android,
            "ios" => Self::Ios,
            _ => Self::Linux,
        }
    }

    pub(super) fn is_among(self, platforms: Option<&[Self]>) -> bool {
        platforms.is_none_or(|platforms| platforms.contains(&self))
    }
}

/// Commands that a permission allows and denies, by the names its owner gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CommandNames {
    /// Allowed.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Denied, which counts for more.
    #[serde(default)]
    pub deny: Vec<String>,
}

/// What a command may be used on: any JSON, which the command itself understands.
///
/// # Examples
///
/// ```
/// use serde_json::json;
/// use tramline_core::acl::Scopes;
///
/// let scopes = Scopes::new().allow(json!({ "path": "/srv/**" })).deny(json!({ "path": "/srv/key" }));
/// assert_eq!(scopes.allow.as_ref().map(Vec::len), Some(1));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Scopes {
    /// What is allowed.
    pub allow: Option<Vec<Value>>,
    /// What is denied, which counts for more.
    pub deny: Option<Vec<Value>>,
}

impl Scopes {
    /// No scope.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also allows this.
    #[must_use]
    pub fn allow(mut self, entry: Value) -> Self {
        self.allow.get_or_insert_default().push(entry);
        self
    }

    /// Also denies this.
    #[must_use]
    pub fn deny(mut self, entry: Value) -> Self {
        self.deny.get_or_insert_default().push(entry);
        self
    }

    /// Whether it says nothing, not even that nothing is listed.
    pub(super) fn is_none(&self) -> bool {
        self.allow.is_none() && self.deny.is_none()
    }

    /// Both together.
    pub(super) fn and(&self, other: &Self) -> Self {
        let both = |one: &Option<Vec<Value>>, two: &Option<Vec<Value>>| match (one, two) {
            (Some(one), Some(two)) => Some([&one[..], &two[..]].concat()),
            (one, two) => one.clone().or_else(|| two.clone()),
        };
        Self { allow: both(&self.allow, &other.allow), deny: both(&self.deny, &other.deny) }
    }
}

/// A permission: commands that it allows and denies, and a scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Permission {
    /// The file format's version; not looked at, as in Tauri.
    pub version: Option<NonZeroU64>,
    /// Its name, without its owner's.
    pub identifier: String,
    /// For people.
    pub description: Option<String>,
    /// Commands of its owner.
    #[serde(default)]
    pub commands: CommandNames,
    /// What they may be used on; without commands, the owner's global scope.
    #[serde(default)]
    pub scope: Scopes,
    /// The systems it is for; all of them if this is missing.
    pub platforms: Option<Vec<Platform>>,
}

/// Permissions under one name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PermissionSet {
    /// Its name, without its owner's.
    pub identifier: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Permissions and sets of the same owner, or with another owner's name in front.
    pub permissions: Vec<Identifier>,
}

/// What the name `default` stands for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DefaultPermission {
    /// The file format's version; not looked at, as in Tauri.
    pub version: Option<NonZeroU64>,
    /// For people.
    pub description: Option<String>,
    /// As in a [`PermissionSet`].
    pub permissions: Vec<Identifier>,
}

/// A permission file.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "toml")] {
/// use tramline_core::acl::{Format, PermissionFile};
///
/// let text = r#"
///     [[permission]]
///     identifier = "allow-greet"
///     commands.allow = ["greet"]
/// "#;
/// let file = PermissionFile::parse(text, Format::Toml)?;
/// assert_eq!(file.permission[0].commands.allow, ["greet"]);
/// # }
/// # Ok::<(), tramline_core::acl::AclError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct PermissionFile {
    /// `[default]`.
    pub default: Option<DefaultPermission>,
    /// `[[set]]`.
    #[serde(default)]
    pub set: Vec<PermissionSet>,
    /// `[[permission]]`.
    #[serde(default)]
    pub permission: Vec<Permission>,
}

impl PermissionFile {
    /// Reads the text of a permission file.
    ///
    /// # Errors
    ///
    /// [`AclError::Format`].
    pub fn parse(text: &str, format: Format) -> Result<Self, AclError> {
        format.parse(text)
    }
}

/// A permission as a capability names it, perhaps with more scope.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct PermissionEntry {
    /// The permission or set.
    pub identifier: Identifier,
    /// Is added to the scope of each of them.
    pub scope: Scopes,
}

impl From<Identifier> for PermissionEntry {
    fn from(identifier: Identifier) -> Self {
        Self { identifier, scope: Scopes::default() }
    }
}

impl TryFrom<Value> for PermissionEntry {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Scoped {
            identifier: Identifier,
            #[serde(flatten)]
            scope: Scopes,
        }
        match value {
            Value::String(text) => {
                Identifier::try_from(text).map(Self::from).map_err(|e| e.to_string())
            }
            other => serde_json::from_value(other)
                .map(|Scoped { identifier, scope }| Self { identifier, scope })
                .map_err(|e| format!("a permission is an identifier, or an object with one: {e}")),
        }
    }
}

/// The URLs of the remote peers that a capability is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RemoteUrls {
    /// URL patterns, such as `https://*.example.com`.
    pub urls: Vec<String>,
}

/// A capability file: one capability, a list of them, or `{"capabilities": [..]}`.
///
/// # Examples
///
/// ```
/// use tramline_core::acl::{CapabilityFile, Format};
///
/// let text = r#"{ "identifier": "main", "windows": ["main"], "permissions": ["core:default"] }"#;
/// let file = CapabilityFile::parse(text, Format::Json)?;
/// assert_eq!(file.0[0].identifier(), "main");
/// # Ok::<(), tramline_core::acl::AclError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapabilityFile(pub Vec<Capability>);

impl CapabilityFile {
    /// Reads the text of a capability file.
    ///
    /// # Errors
    ///
    /// [`AclError::Format`].
    pub fn parse(text: &str, format: Format) -> Result<Self, AclError> {
        // By way of a value in both formats: so that which of the three forms it is does not
        // decide how well a mistake in it is explained.
        let value: Value = format.parse(text)?;
        let read = match value {
            Value::Array(_) => serde_json::from_value(value),
            Value::Object(mut object) => match object.remove("capabilities") {
                Some(list) => serde_json::from_value(list),
                None => serde_json::from_value(Value::Object(object)).map(|one| vec![one]),
            },
            other => serde_json::from_value(other).map(|one| vec![one]),
        };
        let name = if format == Format::Json { "JSON" } else { "TOML" };
        read.map(Self).map_err(|e| format_error(name, e))
    }
}
