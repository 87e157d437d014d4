//! Identifiers of permissions: `allow-greet`, `fs:default`, `core:event:allow-listen`.

use std::fmt;

use serde::Deserialize;

use super::AclError;

/// Tauri's own limit: a crate's name without `tauri-plugin-`, a colon, 64 bytes.
const MAX_IDENTIFIER_LEN: usize = 64 - "tauri-plugin-".len() + 1 + 64;

/// The identifier of a permission or a set of permissions, as a capability names it.
///
/// # Examples
///
/// ```
/// use tramline_core::acl::Identifier;
///
/// let id: Identifier = "core:event:allow-listen".parse()?;
/// assert_eq!((id.key(), id.base()), ("core:event", "allow-listen"));
/// let id: Identifier = "allow-greet".parse()?;
/// assert_eq!((id.key(), id.base()), ("", "allow-greet"));
/// # Ok::<(), tramline_core::acl::AclError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Identifier(String);

impl Identifier {
    /// Whose permission it is: a plugin's name, or empty for the application itself.
    #[must_use]
    pub fn key(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(key, _)| key)
    }

    /// The permission's name there.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.rsplit_once(':').map_or(&self.0, |(_, base)| base)
    }

    /// All of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tauri's rule: ASCII letters, digits and hyphens, no hyphen at either end of a part; one
    /// colon at most, unless it begins with `core:`.
    fn is_well_formed(text: &str) -> bool {
        let part = |part: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !part.is_empty()
                && part.bytes().all(known)
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        text.len() <= MAX_IDENTIFIER_LEN
            && !text.starts_with("tauri-plugin-")
            && text.split(':').all(part)
            && (text.starts_with("core:") || text.split(':').count() <= 2)
    }
}

impl TryFrom<String> for Identifier {
    type Error = AclError;

    fn try_from(text: String) -> Result<Self, AclError> {
        if Self::is_well_formed(&text) {
            Ok(Self(text))
        } else {
            Err(AclError::Identifier { identifier: text.into() })
        }
    }
}

impl std::str::FromStr for Identifier {
    type Err = AclError;

    fn from_str(text: &str) -> Result<Self, AclError> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_follow_tauri() {
        for good in [
            "default",
            "allow-greet",
            "prefix:base",
            "prefix3:base",
            "preFix:base",
            "pre--fix:base--sep",
            "core:default",
            "core:event:allow-emit-to",
        ] {
            assert!(good.parse::<Identifier>().is_ok(), "{good}");
        }
        let (longest, longer) = ("a".repeat(116), "a".repeat(117));
        assert!(longest.parse::<Identifier>().is_ok());
        for bad in [
            "",
            ":",
            ":base",
            "base:",
            "a::b",
            "a:b:c",
            "-prefix:base",
            "prefix-:base",
            "prefix:-base",
            "prefix:base-",
            "under_score",
            "ä",
            "a b",
            "*",
            "tauri-plugin-prefix:base",
            &longer,
        ] {
            assert!(bad.parse::<Identifier>().is_err(), "{bad}");
        }
    }
}
