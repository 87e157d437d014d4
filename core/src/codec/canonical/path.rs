//! Where in a value something was refused, and why.

use std::fmt::{self, Display, Write};

/// One step from a value to a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// A field or a variant.
    Field(&'static str),
    /// An entry of a map.
    Key(Box<str>),
    /// An element of an array.
    Index(usize),
}

/// Steps from the outermost value to a part of it: `.rows[3].price`.
///
/// Kept from the inside out, for that is the way on which a refusal meets them.
#[derive(Debug, Default)]
pub(super) struct Path(Vec<Segment>);

impl Path {
    pub(super) fn push(&mut self, segment: Segment) {
        self.0.push(segment);
    }
}

/// Characters of one key that are shown. A choice: names are shorter.
const KEY_CHARS: usize = 40;

fn name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let end = name.char_indices().nth(KEY_CHARS).map(|(at, _)| at);
    let (shown, rest) = name.split_at(end.unwrap_or(name.len()));
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    if rest.is_empty() && !shown.is_empty() && shown.chars().all(plain) {
        write!(f, ".{shown}")
    } else {
        write!(f, "[{shown:?}{}]", if rest.is_empty() { "" } else { "…" })
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in self.0.iter().rev() {
            match segment {
                Segment::Field(field) => name(f, field)?,
                Segment::Key(key) => name(f, key)?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Words that may quote a value or a peer, but not at any length.
#[derive(Debug, Default)]
pub(super) struct Words(String);

/// Bytes of [`Words`]. A choice: a sentence with a name or two in it.
const MAX_LEN: usize = 256;

impl Words {
    pub(super) fn new(words: impl Display) -> Self {
        let mut text = Self::default();
        if write!(text, "{words}").is_err() {
            text.0.push('…');
        }
        text
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Write for Words {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        let left = MAX_LEN.saturating_sub(self.0.len());
        let end = words.floor_char_boundary(left);
        self.0.push_str(&words[..end]);
        if end < words.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_shows_fields_indices_and_odd_keys() {
        let mut path = Path::default();
        for segment in [
            Segment::Key("a b".into()),
            Segment::Field("price"),
            Segment::Index(3),
            Segment::Key("rows".into()),
        ] {
            path.push(segment);
        }
        assert_eq!(path.to_string(), r#".rows[3].price["a b"]"#);
        assert_eq!(Path::default().to_string(), "");
    }

    #[test]
    fn a_key_of_any_length_is_shown_in_part() {
        let mut path = Path::default();
        path.push(Segment::Key("é".repeat(1 << 20).into()));
        assert_eq!(path.to_string(), format!(r#"["{}"…]"#, "é".repeat(KEY_CHARS)));
    }

    #[test]
    fn words_of_any_length_are_kept_in_part() {
        assert_eq!(Words::new("few").as_str(), "few");
        let many = Words::new("é".repeat(1 << 20));
        assert_eq!(many.as_str(), format!("{}…", "é".repeat(MAX_LEN / 2)));
        assert_eq!(Words::new("x".repeat(MAX_LEN)).as_str().len(), MAX_LEN);
    }
}
