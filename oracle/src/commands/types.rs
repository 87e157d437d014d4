//! The types that the commands take and give.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

/// A struct as most are.
#[derive(Debug, Serialize, Deserialize)]
pub struct User {
    /// A text.
    pub name: String,
    /// A small number.
    pub age: u8,
}

/// Structs in a struct.
#[derive(Debug, Serialize, Deserialize)]
pub struct Team {
    /// One of them.
    pub lead: User,
    /// Some of them.
    pub members: Vec<User>,
    /// By number.
    #[serde(default)]
    pub by_number: BTreeMap<u32, User>,
}

/// A struct that knows its fields.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Strict {
    /// Renamed.
    pub first_name: String,
    /// May be left out.
    #[serde(default)]
    pub last_name: String,
}

/// A struct with another one's fields among its own.
#[derive(Debug, Serialize, Deserialize)]
pub struct Flat {
    /// Its own.
    pub id: u32,
    /// The other's.
    #[serde(flatten)]
    pub user: User,
}

/// What is not said is not written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Skip {
    /// Always there.
    pub always: u8,
    /// Only if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sometimes: Option<u8>,
    /// Never.
    #[serde(skip)]
    #[allow(dead_code, reason = "that nobody reads it is what is compared")]
    pub never: u8,
}

/// A struct of one unnamed field.
#[derive(Debug, Serialize, Deserialize)]
pub struct Meters(pub f64);

/// A struct of two unnamed fields.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pair(pub u8, pub String);

/// A struct of nothing.
#[derive(Debug, Serialize, Deserialize)]
pub struct Nothing;

/// An enum without fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// One.
    VeryLow,
    /// Another.
    High,
}

/// Variants of every kind, in serde's own form.
#[derive(Debug, Serialize, Deserialize)]
pub enum External {
    /// Nothing.
    Unit,
    /// One.
    One(u8),
    /// Two.
    Two(u8, String),
    /// Named.
    Named {
        /// Two words.
        user_id: u32,
    },
}

/// The tag among the fields.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Internal {
    /// Nothing.
    NotThere,
    /// Named.
    Named {
        /// A number.
        id: u32,
    },
    /// Another struct's fields.
    Of(User),
}

/// The tag beside the content.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data")]
pub enum Adjacent {
    /// Nothing.
    Unit,
    /// One.
    One(u8),
    /// Two.
    Two(u8, String),
    /// Named.
    Named {
        /// A number.
        id: u32,
    },
}

/// No tag.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Untagged {
    /// A number.
    Number(u32),
    /// A text.
    Text(String),
    /// Named.
    Named {
        /// A number.
        id: u32,
    },
}

/// Bytes in a struct.
#[derive(Debug, Serialize, Deserialize)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its content.
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

/// A value that cannot be written.
#[derive(Debug)]
pub struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("this cannot be written"))
    }
}

/// Managed by both sides.
#[derive(Debug)]
pub struct Managed(pub u32);

/// Managed by neither.
#[derive(Debug)]
pub struct Unmanaged;

/// An error as the guide of Tauri writes it: thiserror, serialised as its text.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A file that is not there.
    #[error("no file {path}")]
    NoFile {
        /// Which.
        path: String,
    },
}

impl Serialize for AppError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An error with its kind and message, as the same guide writes it for TypeScript.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", content = "message", rename_all = "camelCase")]
pub enum KindError {
    /// From the system.
    NotFound(String),
    /// Nothing to say.
    Busy,
}
