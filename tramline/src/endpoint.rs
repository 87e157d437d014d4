//! Where a server is found: one string.

use std::fmt;
use std::str::FromStr;

use tramline_core::ConfigError;

/// Longest endpoint name, in bytes: what fits into the shortest system limit on socket names (104
/// bytes, macOS) with room for the prefix.
const MAX_NAME_LEN: usize = 64;

/// How the bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// Shared memory where both sides can, else the pipe; decided before the first message.
    Auto,
    /// Shared memory, or no connection.
    Shm,
    /// A Unix socket or a named pipe.
    Pipe,
    /// Both sides in this process.
    Mem,
}

impl Scheme {
    /// What stands before the colon.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Shm => "shm",
            Self::Pipe => "pipe",
            Self::Mem => "mem",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A scheme and a name: `shm:calc`, `pipe:calc`, `mem:calc`, `auto:calc`, or just `calc`, which is
/// `auto:calc`.
///
/// The name is 1 to 64 characters out of `a-z A-Z 0-9 . _ -`. A server on `auto:calc` is reached as
/// `auto:calc`, `shm:calc` and `pipe:calc`; names belong to one user.
///
/// # Examples
///
/// ```
/// use tramline::{Endpoint, Scheme};
///
/// let endpoint: Endpoint = "shm:calc".parse()?;
/// assert_eq!(endpoint.scheme(), Scheme::Shm);
/// assert_eq!("calc".parse::<Endpoint>()?.to_string(), "auto:calc");
/// assert!("tcp:calc".parse::<Endpoint>().is_err());
/// # Ok::<(), tramline::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: Scheme,
    name: Box<str>,
}

impl Endpoint {
    /// How the bytes travel.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The name after the colon.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for Endpoint {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let bad = |why| ConfigError::Endpoint { endpoint: text.into(), why };
        let (scheme, name) = match text.split_once(':') {
            None => (Scheme::Auto, text),
            Some(("auto", name)) => (Scheme::Auto, name),
            Some(("shm", name)) => (Scheme::Shm, name),
            Some(("pipe", name)) => (Scheme::Pipe, name),
            Some(("mem", name)) => (Scheme::Mem, name),
            Some(_) => return Err(bad("the scheme is none of auto, shm, pipe, mem")),
        };
        if name.is_empty() {
            return Err(bad("the name is empty"));
        }
        if name.len() > MAX_NAME_LEN {
            return Err(bad("the name is longer than 64 characters"));
        }
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
            return Err(bad("the name has a character outside a-z A-Z 0-9 . _ -"));
        }
        Ok(Self { scheme, name: name.into() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme.name(), self.name)
    }
}
