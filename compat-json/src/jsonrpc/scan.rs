//! One pass over a JSON text: is it JSON, and where do its parts stand?
//!
//! Parts are given out as they were written, so an id keeps its spelling and params reach the
//! command's own decoder without a tree in between.

use std::borrow::Cow;

/// Levels of arrays and objects in one value. serde_json's own limit, which decides for params
/// afterwards. One bit of a `u128` remembers each level.
const MAX_DEPTH: u32 = 128;

/// Not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed {
    /// Where, in bytes from the beginning of the text.
    pub(super) offset: usize,
    pub(super) what: &'static str,
}

/// The wanted members of an object, as they were written.
#[derive(Debug)]
pub(super) struct Members<'a, const N: usize> {
    pub(super) values: [Option<&'a str>; N],
    /// The first wanted member that stands twice.
    pub(super) twice: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space. Stays where it is found.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Takes this byte if it is the next one after white space.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn malformed<T>(&self, what: &'static str) -> Result<T, Malformed> {
        let what = if self.at >= self.text.len() { "the text ends early" } else { what };
        Err(Malformed { offset: self.at, what })
    }

    /// Nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.malformed("something follows the value"),
        }
    }

    /// Takes an object and looks for these members in it. Others are only checked.
    pub(super) fn members<const N: usize>(
        &mut self,
        names: [&'static str; N],
    ) -> Result<Members<'a, N>, Malformed> {
        let mut found = Members { values: [None; N], twice: None };
        if !self.take(b'{') {
            return self.malformed("an object is expected");
        }
        if self.take(b'}') {
            return Ok(found);
        }
        loop {
            let key = unescape(self.key()?);
            let value = self.value()?;
            if let Some(wanted) = names.iter().position(|name| **name == *key)
                && found.values[wanted].replace(value).is_some()
            {
                found.twice = found.twice.or(Some(names[wanted]));
            }
            if !self.take(b',') {
                break;
            }
        }
        if self.take(b'}') { Ok(found) } else { self.malformed("`,` or `}` is expected") }
    }

    /// A member's name and the colon behind it.
    fn key(&mut self) -> Result<&'a str, Malformed> {
        if self.peek() != Some(b'"') {
            return self.malformed("a member's name is expected");
        }
        let key = self.string()?;
        if self.take(b':') { Ok(key) } else { self.malformed("`:` is expected") }
    }

    /// The end of an array whose elements were taken one by one.
    pub(super) fn close_array(&mut self) -> Result<(), Malformed> {
        if self.take(b']') { Ok(()) } else { self.malformed("`,` or `]` is expected") }
    }

    /// Takes one value, whatever it is.
    pub(super) fn value(&mut self) -> Result<&'a str, Malformed> {
        self.peek();
        let start = self.at;
        // A bit for each level, the innermost lowest: 1 is an object.
        let (mut levels, mut depth) = (0_u128, 0_u32);
        loop {
            let open = match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return self.malformed("nested too deeply");
                    }
                    self.at += 1;
                    levels = levels << 1 | u128::from(open == b'{');
                    depth += 1;
                    true
                }
                _ => {
                    self.scalar()?;
                    false
                }
            };
            if !self.next_in_container(&mut levels, &mut depth, open)? {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    /// After a value, or the beginning of a container if it is just `open`: goes to where the next
    /// value stands; false if there is none.
    fn next_in_container(
        &mut self,
        levels: &mut u128,
        depth: &mut u32,
        mut open: bool,
    ) -> Result<bool, Malformed> {
        while *depth > 0 {
            let in_object = *levels & 1 == 1;
            if self.take(if in_object { b'}' } else { b']' }) {
                *levels >>= 1;
                *depth -= 1;
                open = false;
                continue;
            }
            if !open && !self.take(b',') {
                return self.malformed(if in_object {
                    "`,` or `}` is expected"
                } else {
                    "`,` or `]` is expected"
                });
            }
            if in_object {
                self.key()?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn scalar(&mut self) -> Result<(), Malformed> {
        match self.byte() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.malformed("a value is expected"),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Malformed> {
        if !self.text[self.at..].starts_with(word) {
            return self.malformed("a value is expected");
        }
        self.at += word.len();
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == start { self.malformed("a digit is expected") } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Malformed> {
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    /// Takes a string, which begins here; with its quotes.
    fn string(&mut self) -> Result<&'a str, Malformed> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at]);
                }
                Some(b'\\') => self.escape()?,
                Some(0x20..) => self.at += 1,
                _ => return self.malformed("a control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => match self.code_unit()? {
                0xd800..=0xdbff if self.text[self.at..].starts_with("\\u") => {
                    self.at += 1;
                    if !(0xdc00..=0xdfff).contains(&self.code_unit()?) {
                        self.at = start;
                        return self.malformed("half of a surrogate pair");
                    }
                }
                0xd800..=0xdfff => {
                    self.at = start;
                    return self.malformed("half of a surrogate pair");
                }
                _ => {}
            },
            _ => return self.malformed("no such escape"),
        }
        Ok(())
    }

    /// `u` and four hexadecimal digits.
    fn code_unit(&mut self) -> Result<u16, Malformed> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let unit = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u16::from_str_radix(digits, 16).ok());
        match unit {
            Some(unit) => {
                self.at += 5;
                Ok(unit)
            }
            None => self.malformed("four hexadecimal digits are expected"),
        }
    }
}

/// The text of a string that was taken by a [`Scanner`].
pub(super) fn unescape(string: &str) -> Cow<'_, str> {
    let inner = string.get(1..string.len().saturating_sub(1)).unwrap_or_default();
    if inner.contains('\\') {
        // It was checked when it was taken.
        Cow::Owned(serde_json::from_str(string).unwrap_or_default())
    } else {
        Cow::Borrowed(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn judged(text: &str) -> Result<(), Malformed> {
        let mut scanner = Scanner::new(text);
        scanner.value()?;
        scanner.end()
    }

    #[test]
    fn values_are_taken_as_they_were_written() {
        for text in [
            "null",
            "-0",
            "1.50e+400",
            "123456789012345678901234567890",
            r#""a\u00e9\ud83d\ude00\n""#,
            "[ ]",
            "{ }",
            r#"{"a":[1,{"b":[]}],"c":{}}"#,
            "[[],[[]],{}]",
        ] {
            assert_eq!(Scanner::new(&format!("  {text} ,")).value(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_offset() {
        for (text, offset) in [
            ("", 0),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("{,}", 1),
            (r#"{"a"}"#, 4),
            (r#"{"a":1,}"#, 7),
            (r#"{"a":1]"#, 6),
            ("01", 1),
            ("1.", 2),
            ("-", 1),
            ("1e", 2),
            ("+1", 0),
            (".5", 0),
            ("NaN", 0),
            ("nul", 0),
            ("\"a\nb\"", 2),
            (r#""\x""#, 2),
            (r#""\u12g4""#, 2),
            (r#""\ud800""#, 1),
            (r#""\ud800\u0041""#, 1),
            (r#""\udc00""#, 1),
            ("\"open", 5),
            ("1 1", 2),
        ] {
            assert_eq!(judged(text).map_err(|e| e.offset), Err(offset), "{text}");
        }
    }

    #[test]
    fn nesting_ends_at_its_limit_without_using_the_stack() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(judged(&nested(128)), Ok(()));
        assert_eq!(judged(&nested(129)).map_err(|e| e.offset), Err(128));
        assert!(judged(&"{\"a\":".repeat(1_000_000)).is_err());
    }

    #[test]
    fn a_member_is_found_however_its_name_is_spelled() {
        let text = r#"{"x":0,"\u0069d":1,"id":2}"#;
        let found = Scanner::new(text).members(["id", "method"]).expect("an object");
        assert_eq!((found.values, found.twice), ([Some("2"), None], Some("id")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// serde_json lets halves of surrogate pairs pass where it skips, and has no limit there.
        #[test]
        fn serde_json_agrees_on_what_json_is(text in "[\\[\\]{},:\"0-9eE+. \\-a\\\\untrfalse]{0,24}") {
            let known = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            let ours = judged(&text);
            let only_ours = ours.is_err_and(|e| e.what == "half of a surrogate pair");
            prop_assert!(known == ours.is_ok() || only_ours, "{:?} {:?}", text, ours);
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = judged(&text);
            let _ = Scanner::new(&text).members(["id"]);
        }
    }
}
