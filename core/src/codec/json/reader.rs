//! The parts of JSON text (RFC 8259).

use super::scan::plain_len;
use crate::codec::canonical::{Fault, Key, Kind, Number, Reader, Text};

/// Reads JSON text. It is looked at as bytes; whatever it is cut at is ASCII.
pub(in crate::codec) struct JsonReader<'de> {
    text: &'de str,
    at: usize,
    /// A text with escapes, put together.
    scratch: String,
}

/// How far an array or an object has been read.
pub(in crate::codec) enum Open {
    First,
    Further,
    Over,
}

impl<'de> JsonReader<'de> {
    /// A reader of text that is UTF-8 throughout, also where nobody looks.
    #[inline]
    pub(in crate::codec) fn new(input: &'de [u8]) -> Result<Self, Fault> {
        match str::from_utf8(input) {
            Ok(text) => Ok(Self { text, at: 0, scratch: String::new() }),
            Err(e) => Err(Fault::new(e.valid_up_to(), "the text is not UTF-8")),
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What comes next behind white space.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    #[inline]
    fn since(&self, at: usize) -> &'de str {
        self.text.get(at..self.at).unwrap_or_default()
    }

    /// What stands here cannot stand here.
    #[cold]
    fn unexpected(&self, expected: &str) -> Fault {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => Fault::new(self.at, format_args!("{found:?} instead of {expected}")),
            None => Fault::new(self.at, format_args!("the text ends instead of {expected}")),
        }
    }

    #[inline]
    fn word(&mut self, word: &str) -> Result<(), Fault> {
        let end = self.at + word.len();
        if self.text.as_bytes().get(self.at..end) != Some(word.as_bytes()) {
            return Err(self.unexpected("null, true or false"));
        }
        self.at = end;
        Ok(())
    }

    /// Skips digits. How many there were.
    #[inline]
    fn digits(&mut self) -> usize {
        let from = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - from
    }

    /// A number behind its sign, which may have been a minus.
    fn unsigned_number(&mut self, from: usize, minus: bool) -> Result<Number<'de>, Fault> {
        let first = self.at;
        let mut value = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            self.at += 1;
            value = value.wrapping_mul(10).wrapping_add((digit - b'0').into());
        }
        match self.at - first {
            0 => return Err(self.unexpected("a digit")),
            1 => {}
            _ if self.text.as_bytes().get(first) == Some(&b'0') => {
                self.at = first + 1;
                return Err(self.unexpected("a number without zeros in front"));
            }
            _ => {}
        }
        if let Some(b'.' | b'e' | b'E') = self.peek() {
            return self.fraction(from);
        }
        // Nineteen digits always fit.
        let value =
            if self.at - first <= 19 { Some(value) } else { self.since(first).parse().ok() };
        Ok(match value {
            Some(value) if !minus => Number::Unsigned(value),
            // JSON has no integer of that kind.
            Some(0) => Number::Double(-0.0),
            Some(value) => match 0_i64.checked_sub_unsigned(value) {
                Some(value) => Number::Signed(value),
                None => Number::Wide(self.since(from)),
            },
            None => Number::Wide(self.since(from)),
        })
    }

    fn fraction(&mut self, from: usize) -> Result<Number<'de>, Fault> {
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.unexpected("a digit"));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.unexpected("a digit"));
            }
        }
        match self.since(from).parse() {
            Ok(value) if f64::is_finite(value) => Ok(Number::Double(value)),
            _ => Err(Fault::new(from, "the number does not fit into an f64")),
        }
    }

    /// Goes to the next quote, backslash or control character.
    #[inline]
    fn plain_text(&mut self) {
        self.at += plain_len(self.text.as_bytes().get(self.at..).unwrap_or_default());
    }

    /// A text behind its quote.
    #[inline]
    fn text_behind_quote(&mut self) -> Result<Text<'de, '_>, Fault> {
        let from = self.at;
        self.plain_text();
        if self.peek() == Some(b'"') {
            let text = self.since(from);
            self.at += 1;
            return Ok(Text::Borrowed(text));
        }
        self.text_with_escapes(from)
    }

    fn text_with_escapes(&mut self, mut from: usize) -> Result<Text<'de, '_>, Fault> {
        self.scratch.clear();
        loop {
            let plain = self.since(from);
            self.scratch.push_str(plain);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text::Copied(&self.scratch));
                }
                Some(b'\\') => {
                    let character = self.escape()?;
                    self.scratch.push(character);
                }
                _ => return Err(self.unexpected("the end of a text")),
            }
            from = self.at;
            self.plain_text();
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let at = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(character @ (b'"' | b'\\' | b'/')) => char::from(character),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode(at);
            }
            _ => return Err(self.unexpected("an escape")),
        };
        self.at += 1;
        Ok(character)
    }

    /// A character by its number, in two halves if it is a large one.
    fn unicode(&mut self, at: usize) -> Result<char, Fault> {
        let first = self.four_digits()?;
        let number = match first {
            0xd800..=0xdbff if self.text.as_bytes().get(self.at..self.at + 2) == Some(b"\\u") => {
                self.at += 2;
                match self.four_digits()? {
                    second @ 0xdc00..=0xdfff => {
                        0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    _ => first,
                }
            }
            _ => first,
        };
        char::from_u32(number).ok_or_else(|| Fault::new(at, "half a character of UTF-16"))
    }

    fn four_digits(&mut self) -> Result<u32, Fault> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            number = number * 16 + digit.ok_or_else(|| self.unexpected("a hexadecimal digit"))?;
            self.at += 1;
        }
        Ok(number)
    }

    /// Goes to the next part of an array or an object; false at its end.
    #[inline]
    fn part(&mut self, open: &mut Open, end: u8, what: &str) -> Result<bool, Fault> {
        if let Open::Over = open {
            return Ok(false);
        }
        let next = self.next();
        if next == Some(end) {
            self.at += 1;
            *open = Open::Over;
            return Ok(false);
        }
        match open {
            Open::First => *open = Open::Further,
            Open::Further if next == Some(b',') => {
                self.at += 1;
                if self.next() == Some(end) {
                    return Err(self.unexpected(what));
                }
            }
            Open::Further | Open::Over => return Err(self.unexpected("a comma or the end")),
        }
        Ok(true)
    }
}

impl<'de> Reader<'de> for JsonReader<'de> {
    type Open = Open;

    #[inline]
    fn offset(&self) -> usize {
        self.at
    }

    #[inline]
    fn begin(&mut self) -> usize {
        self.next();
        self.at
    }

    #[inline]
    fn kind(&mut self) -> Result<Kind, Fault> {
        Ok(match self.peek() {
            Some(b'"') => Kind::Text,
            Some(b'{') => Kind::Map,
            Some(b'[') => Kind::Array,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => return Err(self.unexpected("a value")),
        })
    }

    #[inline]
    fn null(&mut self) -> Result<bool, Fault> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.word("null").map(|()| true)
    }

    #[inline]
    fn boolean(&mut self) -> Result<Option<bool>, Fault> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| Some(true)),
            Some(b'f') => self.word("false").map(|()| Some(false)),
            _ => Ok(None),
        }
    }

    #[inline]
    fn number(&mut self) -> Result<Option<Number<'de>>, Fault> {
        let from = self.at;
        match self.peek() {
            Some(b'0'..=b'9') => self.unsigned_number(from, false).map(Some),
            Some(b'-') => {
                self.at += 1;
                self.unsigned_number(from, true).map(Some)
            }
            _ => Ok(None),
        }
    }

    #[inline]
    fn text(&mut self) -> Result<Option<Text<'de, '_>>, Fault> {
        if self.peek() != Some(b'"') {
            return Ok(None);
        }
        self.at += 1;
        self.text_behind_quote().map(Some)
    }

    #[inline]
    fn bytes(&mut self) -> Result<Option<&'de [u8]>, Fault> {
        Ok(None)
    }

    #[inline]
    fn array(&mut self) -> Result<Option<Open>, Fault> {
        if self.peek() != Some(b'[') {
            return Ok(None);
        }
        self.at += 1;
        Ok(Some(Open::First))
    }

    #[inline]
    fn map(&mut self) -> Result<Option<Open>, Fault> {
        if self.peek() != Some(b'{') {
            return Ok(None);
        }
        self.at += 1;
        Ok(Some(Open::First))
    }

    #[inline]
    fn element(&mut self, open: &mut Open) -> Result<bool, Fault> {
        self.part(open, b']', "an element")
    }

    #[inline]
    fn entry(&mut self, open: &mut Open) -> Result<bool, Fault> {
        self.part(open, b'}', "a key")
    }

    /// The name may stand there in another form: with escapes.
    #[inline]
    fn likely_key(&mut self, name: &str) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let Some(rest) =
            rest.strip_prefix(b"\"").and_then(|rest| rest.strip_prefix(name.as_bytes()))
        else {
            return false;
        };
        // A name that itself needs escapes looks like another one's.
        if rest.first() != Some(&b'"') || plain_len(name.as_bytes()) < name.len() {
            return false;
        }
        self.at += name.len() + 2;
        true
    }

    #[inline]
    fn key(&mut self) -> Result<Key<'de, '_>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key"));
        }
        self.at += 1;
        self.text_behind_quote().map(Key::Text)
    }

    #[inline]
    fn colon(&mut self) -> Result<(), Fault> {
        if self.next() != Some(b':') {
            return Err(self.unexpected("a colon"));
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn left(_: &Open) -> Option<usize> {
        None
    }

    fn key_again(&self, at: usize) -> Box<str> {
        match (Self { text: self.text, at, scratch: String::new() }.key()) {
            Ok(Key::Text(Text::Borrowed(text))) => text.into(),
            Ok(Key::Text(Text::Copied(text))) => text.into(),
            _ => Box::default(),
        }
    }

    #[inline]
    fn json_since(&self, at: usize) -> Option<&'de str> {
        Some(self.since(at))
    }

    #[inline]
    fn end(&mut self) -> Result<(), Fault> {
        match self.next() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end")),
        }
    }
}
