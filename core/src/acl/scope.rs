//! Scopes as handlers see them: what a command may be used on.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Asked, Denial, OnDenied, Scopes};
use crate::command::{ArgSource, Call, CommandArg};

/// A scope as it was declared, and as it was decoded: once for each type.
#[derive(Default)]
pub struct Scope {
    allow: Vec<Value>,
    deny: Vec<Value>,
    decoded: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
}

impl Scope {
    /// What is allowed, as it was declared.
    #[must_use]
    pub fn allow(&self) -> &[Value] {
        &self.allow
    }

    /// What is denied, as it was declared.
    #[must_use]
    pub fn deny(&self) -> &[Value] {
        &self.deny
    }

    pub(super) fn add(&mut self, scopes: &Scopes) {
        self.allow.extend(scopes.allow.iter().flatten().cloned());
        self.deny.extend(scopes.deny.iter().flatten().cloned());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    fn decoded<T: DeserializeOwned + Send + Sync + 'static>(
        &self,
    ) -> Result<Arc<Decoded<T>>, serde_json::Error> {
        let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = decoded.iter().find_map(|any| Arc::clone(any).downcast().ok()) {
            return Ok(known);
        }
        let read = |values: &[Value]| -> Result<Vec<T>, serde_json::Error> {
            values.iter().map(T::deserialize).collect()
        };
        let fresh = Arc::new(Decoded { allow: read(&self.allow)?, deny: read(&self.deny)? });
        decoded.push(Arc::clone(&fresh) as Arc<dyn Any + Send + Sync>);
        Ok(fresh)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("allow", &self.allow).field("deny", &self.deny).finish()
    }
}

/// The scopes of one command for one peer.
#[derive(Debug, Default)]
pub struct CallScopes {
    /// Of all entries that allow this peer the command.
    pub command: Arc<Scope>,
    /// Of the command's owner.
    pub global: Arc<Scope>,
}

#[derive(Debug)]
struct Decoded<T> {
    allow: Vec<T>,
    deny: Vec<T>,
}

/// A scope entry that can say whether it is about something.
///
/// # Examples
///
/// ```
/// use serde::Deserialize;
/// use tramline_core::acl::ScopeObjectMatch;
///
/// #[derive(Debug, Deserialize)]
/// struct Folder {
///     path: String,
/// }
///
/// impl ScopeObjectMatch for Folder {
///     type Input = str;
///
///     fn matches(&self, file: &str) -> bool {
///         file.strip_prefix(&self.path).is_some_and(|rest| rest.starts_with('/'))
///     }
/// }
/// ```
pub trait ScopeObjectMatch {
    /// What is asked about.
    type Input: ?Sized;

    /// Whether this entry is about `input`.
    fn matches(&self, input: &Self::Input) -> bool;
}

macro_rules! scope_extractor {
    ($(#[$doc:meta])* $name:ident, $field:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<T>(Option<Arc<Decoded<T>>>);

        impl<T> $name<T> {
            /// What is allowed. Empty is everything.
            #[must_use]
            pub fn allows(&self) -> &[T] {
                self.0.as_ref().map_or(&[], |scope| &scope.allow)
            }

            /// What is denied.
            #[must_use]
            pub fn denies(&self) -> &[T] {
                self.0.as_ref().map_or(&[], |scope| &scope.deny)
            }

            /// The check: `matches` says whether an entry is about what is asked for. Denied is
            /// denied; otherwise it must be allowed, or nothing is listed as allowed.
            ///
            /// A command that wants at least one entry to allow it looks at
            /// [`allows`](Self::allows), too.
            #[must_use]
            pub fn permits(&self, mut matches: impl FnMut(&T) -> bool) -> bool {
                !self.denies().iter().any(&mut matches)
                    && (self.allows().is_empty() || self.allows().iter().any(matches))
            }
        }

        impl<T: ScopeObjectMatch> $name<T> {
            /// The check of [`permits`](Self::permits), by the entries' own word.
            #[must_use]
            pub fn matches(&self, input: &T::Input) -> bool {
                self.permits(|entry| entry.matches(input))
            }
        }

        impl<'a, T: DeserializeOwned + Send + Sync + 'static> CommandArg<'a> for $name<T> {
            const SOURCE: ArgSource = ArgSource::Call;

            fn from_call(call: Call<'a>, name: &str) -> Result<Self, String> {
                match call.scopes().map(|scopes| &scopes.$field) {
                    Some(scope) if !scope.is_empty() => match scope.decoded() {
                        Ok(decoded) => Ok(Self(Some(decoded))),
                        Err(e) => Err(unreadable(&call, name, &e)),
                    },
                    _ => Ok(Self(None)),
                }
            }
        }
    };
}

scope_extractor! {
    /// What this peer may use this command on: a parameter of a command.
    ///
    /// The entries of all capabilities that allow this peer the command, together. The command
    /// itself has to check, with [`permits`](Self::permits) or [`matches`](Self::matches); `T` is
    /// decoded from the declared JSON once and then kept.
    ///
    /// # Examples
    ///
    /// ```
    /// use serde::Deserialize;
    /// use tramline_core::acl::CommandScope;
    ///
    /// #[derive(Deserialize)]
    /// struct Folder {
    ///     path: String,
    /// }
    ///
    /// // As a command, with `#[command]` above it.
    /// fn read(file: &str, scope: CommandScope<Folder>) -> Result<String, String> {
    ///     if scope.permits(|folder| file.starts_with(&folder.path)) {
    ///         std::fs::read_to_string(file).map_err(|e| e.to_string())
    ///     } else {
    ///         Err("this file is out of scope".into())
    ///     }
    /// }
    /// ```
    CommandScope, command
}

scope_extractor! {
    /// What the commands of this command's owner may be used on: a parameter of a command.
    ///
    /// The scopes of all permissions without commands, of the command's plugin or of the
    /// application. They are the same whoever calls, as with Tauri.
    GlobalScope, global
}

/// The details are ours: what stands in a capability is not the peer's business.
#[cold]
fn unreadable(call: &Call<'_>, name: &str, cause: &serde_json::Error) -> String {
    let command = call.command();
    let why = format!("the scope for its parameter `{name}` cannot be read: {cause}");
    OnDenied::tell(
        call.states(),
        &Denial { peer: call.peer(), asked: Asked::Invoke, name: command, why: &why },
    );
    format!("the scope of command `{command}` cannot be read")
}
