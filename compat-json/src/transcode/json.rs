//! JSON text, read strictly: what serde_json accepts, less duplicate keys and integers beyond 64
//! bits.

use super::MAX_DEPTH;
use super::emit::Emit;
use super::error::{Stop, TranscodeFault};
use super::input::{Input, Pieces, Source, whole_text};
use super::keys::Keys;
use super::number::{Number, NumberText, Step, small};
use super::scan::{Short, plain_len};

type Result<T = ()> = std::result::Result<T, Stop>;

/// Reads values; keeps its memory from one to the next.
#[derive(Debug)]
pub(super) struct JsonReader {
    /// The arrays and maps whose members are being read: whether each is a map.
    open: Vec<bool>,
    keys: Keys,
    number: NumberText,
}

impl JsonReader {
    pub(super) fn new() -> Self {
        Self { open: Vec::new(), keys: Keys::default(), number: NumberText::new() }
    }

    /// Reads one value and writes it. White space may come before it.
    pub(super) fn value<S: Source, E: Emit>(
        &mut self,
        input: &mut Input<S>,
        out: &mut E,
    ) -> Result {
        loop {
            let first = past_space(input)?;
            let at = input.at();
            match first {
                b'"' => string(input, out)?,
                b'-' | b'0'..=b'9' => self.number(input, out)?,
                b'n' => {
                    word(input, "null")?;
                    out.null();
                }
                b't' => {
                    word(input, "true")?;
                    out.bool(true);
                }
                b'f' => {
                    word(input, "false")?;
                    out.bool(false);
                }
                b'[' | b'{' => {
                    if self.open.len() == MAX_DEPTH {
                        return Err(TranscodeFault::TooDeep { max: MAX_DEPTH }.at(at));
                    }
                    input.advance(1);
                    let is_map = first == b'{';
                    self.open.push(is_map);
                    if is_map {
                        self.keys.begin();
                        out.map_begin();
                    } else {
                        out.array_begin();
                    }
                    let next = past_space(input)?;
                    if next != if is_map { b'}' } else { b']' } {
                        self.member(is_map, next, input, out)?;
                        continue;
                    }
                }
                found => return Err(syntax("a value", found, at)),
            }
            // The value is complete: on to the next member of the innermost container.
            loop {
                let Some(&is_map) = self.open.last() else { return Ok(()) };
                let next = past_space(input)?;
                match (next, is_map) {
                    (b',', _) => {
                        input.advance(1);
                        let first = past_space(input)?;
                        self.member(is_map, first, input, out)?;
                        break;
                    }
                    (b'}', true) => {
                        self.keys.end();
                        out.map_end();
                    }
                    (b']', false) => out.array_end(),
                    (found, true) => return Err(syntax("`,` or `}`", found, input.at())),
                    (found, false) => return Err(syntax("`,` or `]`", found, input.at())),
                }
                input.advance(1);
                self.open.pop();
            }
        }
    }

    /// What comes before a member's value; `first` is the member's first byte.
    #[inline]
    fn member<S: Source, E: Emit>(
        &mut self,
        is_map: bool,
        first: u8,
        input: &mut Input<S>,
        out: &mut E,
    ) -> Result {
        let at = input.at();
        if !is_map {
            return out.item().map_err(|stop| stop.at(at));
        }
        if first != b'"' {
            return Err(syntax("a key", first, at));
        }
        if !self.key(input, out)? {
            return Err(TranscodeFault::DuplicateKey.at(at));
        }
        let next = past_space(input)?;
        if next != b':' {
            return Err(syntax("`:`", next, input.at()));
        }
        input.advance(1);
        Ok(())
    }

    /// A key. False if the map has this key already.
    #[inline]
    fn key<S: Source, E: Emit>(&mut self, input: &mut Input<S>, out: &mut E) -> Result<bool> {
        let at = input.at();
        if let Some(key) = short(input) {
            out.short_key(key).map_err(|stop| stop.at(at))?;
            input.advance(key.len() + 2);
            return Ok(self.keys.insert_word(key.key()));
        }
        out.key().map_err(|stop| stop.at(at))?;
        if let Some(key) = at_hand(input)? {
            out.text(key).map_err(|stop| stop.at(at))?;
            out.value();
            let new = self.keys.insert(key);
            let len = key.len();
            input.advance(len + 2);
            return Ok(new);
        }
        let mut hasher = self.keys.hasher();
        string_in_pieces(input, out, |part| hasher.update(part))?;
        out.value();
        Ok(self.keys.insert_word(hasher.finish()))
    }

    fn number<S: Source, E: Emit>(&mut self, input: &mut Input<S>, out: &mut E) -> Result {
        let at = input.at();
        if let Some((value, len)) = small(input.at_hand()) {
            input.advance(len);
            return out.unsigned(value).map_err(|stop| stop.at(at));
        }
        self.number.begin();
        loop {
            let chunk_at = input.at();
            let chunk = input.chunk()?;
            if chunk.is_empty() {
                if self.number.is_complete() {
                    break;
                }
                return Err(TranscodeFault::Truncated.at(chunk_at));
            }
            let step = self.number.push(chunk);
            let len = match step {
                Step::All => chunk.len(),
                Step::Ended(len) => len,
                Step::Wrong(len) => {
                    let at = chunk_at + len as u64;
                    return Err(syntax("a number's next character", chunk[len], at));
                }
            };
            input.advance(len);
            if step != Step::All {
                break;
            }
        }
        let number = self.number.finish().map_err(|what| what.at(at))?;
        match number {
            Number::Unsigned(value) => out.unsigned(value),
            Number::Negative(value) => out.negative(value),
            Number::Float(value) => {
                out.f64(value);
                Ok(())
            }
        }
        .map_err(|stop| stop.at(at))
    }
}

#[cold]
fn syntax(expected: &'static str, found: u8, at: u64) -> Stop {
    TranscodeFault::Syntax { expected, found: found.into() }.at(at)
}

/// Consumes white space. The byte behind it stays; nothing if the input ends.
#[inline]
pub(super) fn skip_space<S: Source>(input: &mut Input<S>) -> Result<Option<u8>> {
    if let Some(&byte) = input.at_hand().first()
        && byte > b' '
    {
        return Ok(Some(byte));
    }
    skip_real_space(input)
}

fn skip_real_space<S: Source>(input: &mut Input<S>) -> Result<Option<u8>> {
    loop {
        let chunk = input.chunk()?;
        let space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
        let Some(len) = chunk.iter().position(|byte| !space(byte)) else {
            let len = chunk.len();
            if len == 0 {
                return Ok(None);
            }
            input.advance(len);
            continue;
        };
        let found = chunk[len];
        input.advance(len);
        return Ok(Some(found));
    }
}

/// As [`skip_space`], where the end of the input is an error.
#[inline]
fn past_space<S: Source>(input: &mut Input<S>) -> Result<u8> {
    match skip_space(input)? {
        Some(byte) => Ok(byte),
        None => Err(TranscodeFault::Truncated.at(input.at())),
    }
}

fn word<S: Source>(input: &mut Input<S>, word: &'static str) -> Result {
    for expected in word.bytes() {
        let at = input.at();
        match input.byte()? {
            found if found == expected => {}
            found => return Err(syntax(word, found, at)),
        }
    }
    Ok(())
}

/// A string, from its first quote to its last.
#[inline]
fn string<S: Source, E: Emit>(input: &mut Input<S>, out: &mut E) -> Result {
    let at = input.at();
    if let Some(text) = short(input) {
        out.short(text);
        input.advance(text.len() + 2);
        return Ok(());
    }
    if let Some(text) = at_hand(input)? {
        out.text(text).map_err(|stop| stop.at(at))?;
        let len = text.len();
        input.advance(len + 2);
        return Ok(());
    }
    string_in_pieces(input, out, |_| ())
}

/// The text of a string, if it is short and plain. It is not consumed.
#[inline]
fn short<S: Source>(input: &Input<S>) -> Option<Short> {
    Short::quoted(input.at_hand().get(1..)?)
}

/// The text of a string, if all of it is at hand and nothing in it is escaped. It is not consumed.
#[inline]
fn at_hand<S: Source>(input: &Input<S>) -> Result<Option<&[u8]>> {
    let at = input.at();
    let Some(text) = input.at_hand().get(1..) else { return Ok(None) };
    let (text, rest) = text.split_at(plain_len(text));
    if rest.first() != Some(&b'"') {
        return Ok(None);
    }
    whole_text(text, at + 1)?;
    Ok(Some(text))
}

/// A string that is cut or has escapes in it. `also` sees each part of its text, too.
#[cold]
fn string_in_pieces<S: Source, E: Emit>(
    input: &mut Input<S>,
    out: &mut E,
    mut also: impl FnMut(&[u8]),
) -> Result {
    input.advance(1);
    out.text_begin();
    let mut pieces = Pieces::default();
    loop {
        let at = input.at();
        let mut part = |part: &[u8]| {
            also(part);
            out.text_part(part).map_err(|stop| stop.at(at))
        };
        let chunk = input.more()?;
        let len = plain_len(chunk);
        pieces.feed(&chunk[..len], at, &mut part)?;
        let special = chunk.get(len).copied();
        input.advance(len);
        let Some(special) = special else { continue };
        let at = input.at();
        pieces.end(at)?;
        match special {
            b'"' => break,
            b'\\' => {
                let mut utf8 = [0; 4];
                part(escape(input)?.encode_utf8(&mut utf8).as_bytes())?;
            }
            found => return Err(TranscodeFault::Control { found: found.into() }.at(at)),
        }
    }
    input.advance(1);
    let at = input.at();
    out.text_end().map_err(|stop| stop.at(at))
}

/// An escape, from its backslash on.
fn escape<S: Source>(input: &mut Input<S>) -> Result<char> {
    let at = input.at();
    input.advance(1);
    let letter_at = input.at();
    Ok(match input.byte()? {
        letter @ (b'"' | b'\\' | b'/') => letter.into(),
        b'b' => '\x08',
        b'f' => '\x0c',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = hex(input)?;
            let mut units = [first, 0];
            let units = if (0xd800..0xdc00).contains(&first) {
                for expected in [b'\\', b'u'] {
                    if input.more()?[0] != expected {
                        return Err(TranscodeFault::LoneSurrogate.at(at));
                    }
                    input.advance(1);
                }
                units[1] = hex(input)?;
                &units[..]
            } else {
                &units[..1]
            };
            match char::decode_utf16(units.iter().copied()).next() {
                Some(Ok(character)) => character,
                _ => return Err(TranscodeFault::LoneSurrogate.at(at)),
            }
        }
        found => return Err(syntax("an escape's letter", found, letter_at)),
    })
}

fn hex<S: Source>(input: &mut Input<S>) -> Result<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        let at = input.at();
        let found = input.byte()?;
        let digit = match found {
            b'0'..=b'9' => found - b'0',
            b'a'..=b'f' => found - b'a' + 10,
            b'A'..=b'F' => found - b'A' + 10,
            _ => return Err(syntax("a hexadecimal digit", found, at)),
        };
        unit = unit << 4 | u16::from(digit);
    }
    Ok(unit)
}

/// In a row of values: a number or a word must not run into the next one. `first` is the first byte
/// of the value that has been read. (The rule is that of serde_json's stream.)
pub(super) fn end_of_value<S: Source>(input: &mut Input<S>, first: u8) -> Result {
    // Their end is clear, and to look further might be to wait.
    if matches!(first, b'"' | b'[' | b'{') {
        return Ok(());
    }
    match input.peek()? {
        None | Some(b' ' | b'\n' | b'\t' | b'\r') => Ok(()),
        Some(b'"' | b'[' | b']' | b'{' | b'}' | b',' | b':') => Ok(()),
        Some(_) => Err(TranscodeFault::Trailing.at(input.at())),
    }
}

/// Only white space may follow.
pub(super) fn end_of_input<S: Source>(input: &mut Input<S>) -> Result {
    match skip_space(input)? {
        None => Ok(()),
        Some(_) => Err(TranscodeFault::Trailing.at(input.at())),
    }
}
