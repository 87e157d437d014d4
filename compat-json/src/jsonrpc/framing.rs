//! Where a message ends: at a line's end, or where its header says.

use tramline_core::PeerFault;

/// Bytes of all headers of one message. A choice: two headers are in use, of some 50 bytes each.
pub const MAX_HEADER_LEN: usize = 8 << 10;

/// How messages are told apart from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One message a line.
    Lines,
    /// `Content-Length: N` and a blank line before each message, as language servers do. N counts
    /// bytes.
    Headers,
}

impl Framing {
    /// The message as it goes out. `text` has no line break in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline_compat_json::jsonrpc::Framing;
    ///
    /// assert_eq!(Framing::Lines.frame(b"{}".to_vec()), b"{}\n");
    /// assert_eq!(Framing::Headers.frame(b"{}".to_vec()), b"Content-Length: 2\r\n\r\n{}");
    /// ```
    #[must_use]
    pub fn frame(self, mut text: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Lines => {
                text.push(b'\n');
                text
            }
            Self::Headers => {
                let mut framed = format!("Content-Length: {}\r\n\r\n", text.len()).into_bytes();
                framed.append(&mut text);
                framed
            }
        }
    }
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A whole message, which may still be anything.
    Message {
        /// How it was framed, and its answer is to be.
        framing: Framing,
        /// Its bytes, without what frames them.
        text: Vec<u8>,
    },
    /// A message beyond the limit. It is passed over, not stored.
    TooLarge {
        /// How it was framed, and its answer is to be.
        framing: Framing,
        /// Its length in bytes as the header states it; of a line, what has come so far.
        len: u64,
    },
}

/// Finds messages in a stream of bytes, however it is cut. Holds no more than one message.
///
/// The first byte of a message tells its framing: a letter begins a header, anything else a line. A
/// line that begins with a letter and is no header, such as `hello`, is a line. White space between
/// messages is skipped.
///
/// # Examples
///
/// ```
/// use tramline_compat_json::jsonrpc::{Deframer, Framing, Received};
///
/// let mut deframer = Deframer::new(1024);
/// let mut input: &[u8] = b"[1]\nContent-Length: 2\r\n\r\n{}";
/// let mut framings = Vec::new();
/// while let Some(Received::Message { framing, .. }) = deframer.feed(&mut input)? {
///     framings.push(framing);
/// }
/// assert_eq!(framings, [Framing::Lines, Framing::Headers]);
/// # Ok::<(), tramline_core::PeerFault>(())
/// ```
#[derive(Debug)]
pub struct Deframer {
    max_message_len: usize,
    state: State,
    /// The message, or the line of a header, as far as it has come.
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Between,
    /// A letter began it: a header's name so far, or a line.
    Undecided,
    Line,
    /// A line that was too long, to its end.
    PassingLine,
    Header {
        /// Of all lines so far.
        len: usize,
        content_length: Option<u64>,
    },
    Body {
        left: usize,
    },
    PassingBody {
        left: u64,
    },
}

impl Deframer {
    /// Accepts messages of up to `max_message_len` bytes, what frames them not counted.
    #[must_use]
    pub fn new(max_message_len: usize) -> Self {
        Self { max_message_len, state: State::Between, buffer: Vec::new() }
    }

    /// Takes bytes off `input` until something has come, or all of it is taken: then `None`.
    ///
    /// # Errors
    ///
    /// A header that cannot be understood. Nobody knows where the next message begins, so the
    /// connection is over.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Received>, PeerFault> {
        while !input.is_empty() {
            if let Some(received) = self.step(input)? {
                return Ok(Some(received));
            }
        }
        Ok(None)
    }

    /// Whether no part of a message has come.
    #[must_use]
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::Between)
    }

    /// The last message, at the end of the stream: a line may lack its end, and a body that is cut
    /// short is given out as far as it has come.
    ///
    /// # Errors
    ///
    /// The stream ends in a header.
    pub fn finish(&mut self) -> Result<Option<Received>, PeerFault> {
        let text = std::mem::take(&mut self.buffer);
        match std::mem::replace(&mut self.state, State::Between) {
            State::Undecided | State::Line => {
                Ok(Some(Received::Message { framing: Framing::Lines, text }))
            }
            State::Body { .. } => Ok(Some(Received::Message { framing: Framing::Headers, text })),
            State::Header { .. } => Err(broken("the stream ends in it")),
            State::Between | State::PassingLine | State::PassingBody { .. } => Ok(None),
        }
    }

    /// Takes at least one byte.
    fn step(&mut self, input: &mut &[u8]) -> Result<Option<Received>, PeerFault> {
        match self.state {
            State::Between => {
                let blanks = input.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                *input = &input[blanks..];
                if let Some(first) = input.first() {
                    let letter = first.is_ascii_alphabetic();
                    self.state = if letter { State::Undecided } else { State::Line };
                }
                Ok(None)
            }
            State::Undecided => {
                let name = input.iter().take_while(|byte| is_in_name(**byte)).count();
                self.buffer.extend_from_slice(take(input, name));
                if let Some(next) = input.first() {
                    let known = self.buffer.get(..8).is_some_and(|start| {
                        // Whatever else is wrong with it, it was meant to be a header.
                        start.eq_ignore_ascii_case(b"content-")
                    });
                    self.state = if *next == b':' || known {
                        State::Header { len: 0, content_length: None }
                    } else {
                        State::Line
                    };
                } else if self.buffer.len() > MAX_HEADER_LEN {
                    self.state = State::Line;
                }
                Ok(None)
            }
            State::Line => Ok(self.take_line(input)),
            State::PassingLine => {
                let end = input.iter().position(|byte| *byte == b'\n');
                if end.is_some() {
                    self.state = State::Between;
                }
                *input = end.map_or(&[], |end| &input[end + 1..]);
                Ok(None)
            }
            State::Header { len, content_length } => self.take_header(input, len, content_length),
            State::Body { left } => {
                let part = take(input, left);
                self.buffer.extend_from_slice(part);
                self.state = State::Body { left: left - part.len() };
                Ok((part.len() == left).then(|| self.message(Framing::Headers)))
            }
            State::PassingBody { left } => {
                let passed = take(input, usize::try_from(left).unwrap_or(usize::MAX)).len();
                let left = left - passed as u64;
                self.state = if left == 0 { State::Between } else { State::PassingBody { left } };
                Ok(None)
            }
        }
    }

    fn message(&mut self, framing: Framing) -> Received {
        self.state = State::Between;
        Received::Message { framing, text: std::mem::take(&mut self.buffer) }
    }

    fn take_line(&mut self, input: &mut &[u8]) -> Option<Received> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let part = take(input, end.unwrap_or(input.len()));
        let len = self.buffer.len() + part.len();
        if len > self.max_message_len {
            self.buffer = Vec::new();
            self.state = State::PassingLine;
            return Some(Received::TooLarge { framing: Framing::Lines, len: len as u64 });
        }
        self.buffer.extend_from_slice(part);
        end?;
        *input = &input[1..];
        Some(self.message(Framing::Lines))
    }

    fn take_header(
        &mut self,
        input: &mut &[u8],
        len: usize,
        content_length: Option<u64>,
    ) -> Result<Option<Received>, PeerFault> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let part = take(input, end.unwrap_or(input.len()));
        self.buffer.extend_from_slice(part);
        if len + self.buffer.len() > MAX_HEADER_LEN {
            return Err(broken(format_args!("more than {MAX_HEADER_LEN} bytes")));
        }
        if end.is_none() {
            return Ok(None);
        }
        *input = &input[1..];
        let line = std::mem::take(&mut self.buffer);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if !line.is_empty() {
            let len = len + line.len() + 2;
            let content_length = content_length_of(line, content_length)?;
            self.state = State::Header { len, content_length };
            return Ok(None);
        }
        let stated = content_length.ok_or_else(|| broken("no Content-Length"))?;
        match usize::try_from(stated) {
            Ok(0) => Ok(Some(self.message(Framing::Headers))),
            Ok(left) if left <= self.max_message_len => {
                self.state = State::Body { left };
                Ok(None)
            }
            _ => {
                self.state = State::PassingBody { left: stated };
                Ok(Some(Received::TooLarge { framing: Framing::Headers, len: stated }))
            }
        }
    }
}

/// What a line of a header says about the length; other headers say nothing that matters here.
fn content_length_of(line: &[u8], known: Option<u64>) -> Result<Option<u64>, PeerFault> {
    let colon = line.iter().take_while(|byte| is_in_name(**byte)).count();
    let (name, value) = line.split_at(colon);
    if name.is_empty() || value.first() != Some(&b':') {
        return Err(broken("a line that is no header"));
    }
    if !name.eq_ignore_ascii_case(b"content-length") {
        return Ok(known);
    }
    if known.is_some() {
        return Err(broken("two Content-Length"));
    }
    let digits = value[1..].trim_ascii();
    // `parse` would also take a sign.
    let stated = (digits.iter().all(u8::is_ascii_digit))
        .then_some(digits)
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    stated.map(Some).ok_or_else(|| broken("a Content-Length that is no number"))
}

/// What a header's name consists of. Source: RFC 9110, section 5.6.2.
fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Takes up to `len` bytes.
fn take<'a>(input: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(len.min(input.len()));
    *input = rest;
    taken
}

#[cold]
fn broken(what: impl std::fmt::Display) -> PeerFault {
    PeerFault::new("header", what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 64;

    /// Everything that comes out of `bytes`, given in pieces of `step` bytes.
    fn all(bytes: &[u8], step: usize) -> Result<Vec<Received>, PeerFault> {
        let mut deframer = Deframer::new(LIMIT);
        let mut found = Vec::new();
        for mut piece in bytes.chunks(step) {
            while let Some(received) = deframer.feed(&mut piece)? {
                found.push(received);
            }
            assert!(deframer.buffer.len() <= LIMIT.max(MAX_HEADER_LEN) + step);
        }
        found.extend(deframer.finish()?);
        Ok(found)
    }

    fn line(text: &str) -> Received {
        Received::Message { framing: Framing::Lines, text: text.into() }
    }

    fn body(text: &str) -> Received {
        Received::Message { framing: Framing::Headers, text: text.into() }
    }

    #[test]
    fn framings_may_be_mixed_and_cut_anywhere() {
        let bytes = b"\r\n {\"a\":1}\r\n[2]\n\nContent-Length: 4\r\nX: y\r\n\r\n{\r\n}\
            content-length:0\n\nnull\nhello: no\xc3\xa9\n\n";
        let expected = [line("{\"a\":1}\r"), line("[2]"), body("{\r\n}"), body(""), line("null")];
        for step in 1..bytes.len() {
            let mut deframer = Deframer::new(LIMIT);
            let mut found = Vec::new();
            let mut ended = Ok(None);
            for mut piece in bytes.chunks(step) {
                loop {
                    ended = deframer.feed(&mut piece);
                    match &ended {
                        Ok(Some(received)) => found.push(received.clone()),
                        _ => break,
                    }
                }
                if ended.is_err() {
                    break;
                }
            }
            assert_eq!(found, expected, "in steps of {step}");
            // A header without a length.
            assert_eq!(ended.expect_err("broken").at, "header");
        }
    }

    #[test]
    fn lengths_are_bytes_and_not_characters() {
        let found = all("Content-Length: 4\r\n\r\n\"é\"[]\n".as_bytes(), 5);
        assert_eq!(found, Ok(vec![body("\"é\""), line("[]")]));
    }

    #[test]
    fn a_message_beyond_the_limit_is_passed_over() {
        let long = "9".repeat(LIMIT + 1);
        for step in [1, 7, 1000] {
            let found = all(format!("{long}\n[]\n").as_bytes(), step).expect("no header");
            assert!(matches!(found[0], Received::TooLarge { framing: Framing::Lines, .. }));
            assert_eq!(found[1..], [line("[]")]);
            let framed = format!("Content-Length: 65\r\n\r\n{long}[]\n");
            let found = all(framed.as_bytes(), step).expect("good headers");
            let too_large = Received::TooLarge { framing: Framing::Headers, len: 65 };
            assert_eq!(found, [too_large, line("[]")]);
        }
        // Nobody can send that many: nothing is reserved for it.
        let found = all(b"Content-Length: 9999999999999999999\r\n\r\n{}", 3);
        let len = 9_999_999_999_999_999_999;
        assert_eq!(found, Ok(vec![Received::TooLarge { framing: Framing::Headers, len }]));
    }

    #[test]
    fn broken_headers_are_refused_by_name() {
        for (bytes, what) in [
            ("Content-Length: x\r\n\r\n", "a Content-Length that is no number"),
            ("Content-Length: +1\r\n\r\n", "a Content-Length that is no number"),
            ("Content-Length: \r\n\r\n", "a Content-Length that is no number"),
            ("Content-Length: 99999999999999999999\r\n\r\n", "a Content-Length that is no number"),
            ("Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "two Content-Length"),
            ("Content-Length 1\r\n\r\n", "a line that is no header"),
            ("Content-Length: 1\r\n{}\r\n", "a line that is no header"),
            ("Note: x\n{\"jsonrpc\":\"2.0\"}\n", "a line that is no header"),
            ("Content-Length: 1\r\n: x\r\n", "a line that is no header"),
            ("Content-Length : 1\r\n\r\n", "a line that is no header"),
            ("Content-Type: x\r\n\r\n", "no Content-Length"),
            ("Content-Length: 1\r\n", "the stream ends in it"),
        ] {
            for step in [1, 100] {
                let found = all(bytes.as_bytes(), step).expect_err("broken");
                assert_eq!((found.at, &*found.what), ("header", what), "{bytes:?}");
            }
        }
        let endless = format!("X: {}", "y".repeat(MAX_HEADER_LEN));
        assert_eq!(
            &*all(endless.as_bytes(), 100).expect_err("broken").what,
            "more than 8192 bytes"
        );
        let many = "X: y\r\n".repeat(MAX_HEADER_LEN);
        assert_eq!(&*all(many.as_bytes(), 100).expect_err("broken").what, "more than 8192 bytes");
    }

    #[test]
    fn the_last_line_needs_no_end_and_a_cut_body_is_given_out() {
        assert_eq!(all(b"[1]", 1), Ok(vec![line("[1]")]));
        assert_eq!(all(b"nul", 1), Ok(vec![line("nul")]));
        assert_eq!(all(b"Content-Length: 9\r\n\r\n{}", 4), Ok(vec![body("{}")]));
        assert_eq!(all(b" \n ", 1), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter_and_nothing_panics(
            bytes in proptest::collection::vec(
                prop_oneof![
                    any::<u8>(),
                    proptest::sample::select(b"{}[]\n\r :0123CcoOntentLlgh-".as_slice()),
                ],
                0..300,
            ),
            step in 1_usize..50,
        ) {
            let whole = all(&bytes, bytes.len().max(1));
            let pieces = all(&bytes, step);
            // Only how much of a line had come when it was too long depends on the pieces.
            let same = |found: Result<Vec<Received>, PeerFault>| found.map(|found| {
                found.into_iter().map(|received| match received {
                    Received::TooLarge { framing: Framing::Lines, .. } => {
                        Received::TooLarge { framing: Framing::Lines, len: 0 }
                    }
                    other => other,
                }).collect::<Vec<_>>()
            });
            prop_assert_eq!(same(whole), same(pieces));
        }

        #[test]
        fn what_is_framed_is_found_again(texts in proptest::collection::vec("[^\\r\\n]{1,20}", 0..5)) {
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (number, text) in texts.iter().enumerate() {
                let text = format!("[{text}]");
                let framing = if number % 2 == 0 { Framing::Lines } else { Framing::Headers };
                bytes.extend(framing.frame(text.clone().into_bytes()));
                if text.len() <= LIMIT {
                    expected.push(Received::Message { framing, text: text.into_bytes() });
                }
            }
            let mut found = all(&bytes, 11).expect("ours");
            found.retain(|received| matches!(received, Received::Message { .. }));
            prop_assert_eq!(found, expected);
        }
    }
}
