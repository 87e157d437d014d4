//! What an argument says of its channel.

use std::fmt;

use serde::de::value::Error as PlainError;
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id_in;
use crate::command::{Call, invalid};

/// The value of an argument that stands for a channel: Tauri's text, or whatever a client calls it
/// whose connection has tokens (see [`Port::channel_of_token`](crate::peer::Port::channel_of_token)).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Token {
    /// A text.
    Text(Box<str>),
    /// A whole number.
    Number(i64),
}

impl Token {
    /// The number in Tauri's text for a channel.
    ///
    /// # Errors
    ///
    /// It is something else: Tauri's words for that.
    pub(super) fn tauri_number(&self, call: &Call<'_>, arg: &str) -> Result<u32, String> {
        match self {
            Self::Text(text) => id_in(text).ok_or_else(|| {
                format!(
                    "invalid channel value `{text}`, expected a string in the `__CHANNEL__:ID` \
                     format"
                )
            }),
            Self::Number(number) => {
                let found = Unexpected::Signed(*number);
                let cause: PlainError = de::Error::invalid_type(found, &"a string");
                Err(invalid(call, arg, cause).to_string())
            }
        }
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl Visitor<'_> for Read {
            type Value = Token;

            // A number is taken too, but only JSON-RPC clients have a use for one.
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Token, E> {
                Ok(Token::Text(text.into()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Token, E> {
                Ok(Token::Text(text.into()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Token, E> {
                Ok(Token::Number(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Token, E> {
                let found = Unexpected::Unsigned(number);
                let number = i64::try_from(number).map_err(|_| E::invalid_type(found, &self))?;
                Ok(Token::Number(number))
            }
        }

        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_a_text_or_a_whole_number() {
        for value in [json!("x"), json!(""), json!(7), json!(-7), json!(i64::MAX)] {
            let token: Token = serde_json::from_value(value.clone()).expect("a token");
            assert_eq!(serde_json::to_value(&token).expect("JSON"), value);
        }
        for value in [json!(null), json!(1.0), json!(u64::MAX), json!([1]), json!({}), json!(true)]
        {
            assert!(serde_json::from_value::<Token>(value.clone()).is_err(), "{value}");
        }
    }
}
