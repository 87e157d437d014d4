//! JSON text, byte for byte as serde_json writes it.

use std::io::{self, Write};

use super::emit::Emit;
use super::error::{Stop, TranscodeFault};
use super::scan::{Short, plain_len};
use super::{Integers, JsonForm};

type Result<T = ()> = std::result::Result<T, Stop>;

/// Text gathers up to here before it is written out. A choice: what a pipe of Linux holds at once.
const FULL_LEN: usize = 64 << 10;
/// The largest integer below which JavaScript knows each one.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// Where text goes.
pub(super) trait Target {
    /// Takes what has gathered, if it wants to.
    fn offer(&mut self, text: &mut Vec<u8>) -> io::Result<()>;
}

/// It stays where it is.
#[derive(Debug)]
pub(super) struct Keep;

impl Target for Keep {
    #[inline]
    fn offer(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

/// It is written out, a good deal at a time.
#[derive(Debug)]
pub(super) struct WriteOut<W>(pub(super) W);

impl<W: Write> Target for WriteOut<W> {
    #[inline]
    fn offer(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        if text.len() < FULL_LEN {
            return Ok(());
        }
        self.write_out(text)
    }
}

impl<W: Write> WriteOut<W> {
    #[cold]
    fn write_out(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        self.0.write_all(text)?;
        text.clear();
        Ok(())
    }
}

/// Writes one value after the other's parts.
#[derive(Debug)]
pub(super) struct JsonWriter<'a, T> {
    text: &'a mut Vec<u8>,
    target: T,
    form: JsonForm,
    /// Arrays and maps that are open.
    depth: usize,
    /// Whether the innermost of them has no member yet.
    empty: bool,
}

impl<'a, T: Target> JsonWriter<'a, T> {
    pub(super) fn new(text: &'a mut Vec<u8>, target: T, form: JsonForm) -> Self {
        Self { text, target, form, depth: 0, empty: true }
    }

    /// What goes between the members of an array or a map, and before the first one.
    #[inline]
    fn separate(&mut self) -> Result {
        if !self.empty {
            self.text.push(b',');
        }
        self.empty = false;
        if self.form.pretty {
            self.new_line();
        }
        self.target.offer(self.text)?;
        Ok(())
    }

    #[cold]
    fn new_line(&mut self) {
        self.text.push(b'\n');
        self.text.extend(std::iter::repeat_n(b' ', 2 * self.depth));
    }

    #[inline]
    fn begin(&mut self, bracket: u8) {
        self.text.push(bracket);
        self.depth += 1;
        self.empty = true;
    }

    #[inline]
    fn end(&mut self, bracket: u8) {
        self.depth -= 1;
        if self.form.pretty && !self.empty {
            self.new_line();
        }
        self.text.push(bracket);
        self.empty = false;
    }

    /// The first `len` bytes of a text in quotes with a colon behind them.
    #[inline(always)]
    fn quoted(&mut self, text: Short, len: usize) {
        // A store of fixed length, of which the end is taken back, costs less than a copy.
        let mut quoted = [b'"'; 17];
        quoted[1..].copy_from_slice(&text.bytes_quote_colon());
        let end = self.text.len() + len;
        self.text.extend_from_slice(&quoted);
        self.text.truncate(end);
    }

    #[inline]
    fn escaped(&mut self, mut text: &[u8]) {
        loop {
            let (plain, rest) = text.split_at(plain_len(text));
            append(self.text, plain);
            let [special, rest @ ..] = rest else { return };
            self.escape(*special);
            text = rest;
        }
    }

    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]);
                return self.text.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        };
        self.text.extend_from_slice(&[b'\\', short]);
    }

    /// An integer beyond 2^53 - 1, as wished.
    #[cold]
    fn unsafe_integer(&mut self, digits: &str) -> Result {
        match self.form.integers {
            Integers::Exact => self.text.extend_from_slice(digits.as_bytes()),
            Integers::String => {
                self.text.push(b'"');
                self.text.extend_from_slice(digits.as_bytes());
                self.text.push(b'"');
            }
            Integers::Refuse => return Err(TranscodeFault::UnsafeInteger.into()),
        }
        Ok(())
    }

    #[inline]
    pub(super) fn f32(&mut self, value: f32) {
        append(self.text, zmij::Buffer::new().format_finite(value).as_bytes());
    }

    /// An array of numbers begins, whose members come by [`bytes_part`](Self::bytes_part).
    pub(super) fn bytes_begin(&mut self) {
        self.begin(b'[');
    }

    pub(super) fn bytes_part(&mut self, bytes: &[u8]) -> Result {
        for byte in bytes {
            self.separate()?;
            let ([hundreds, tens, ones], len) = DECIMAL[usize::from(*byte)];
            match len {
                1 => self.text.push(ones),
                2 => self.text.extend_from_slice(&[tens, ones]),
                _ => self.text.extend_from_slice(&[hundreds, tens, ones]),
            }
        }
        Ok(())
    }

    pub(super) fn bytes_end(&mut self) {
        self.end(b']');
    }
}

impl<T: Target> Emit for JsonWriter<'_, T> {
    #[inline]
    fn null(&mut self) {
        self.text.extend_from_slice(b"null");
    }

    #[inline]
    fn bool(&mut self, value: bool) {
        // Two copies of a length that is known, rather than one of a length that is not.
        if value {
            self.text.extend_from_slice(b"true");
        } else {
            self.text.extend_from_slice(b"false");
        }
    }

    #[inline]
    fn unsigned(&mut self, value: u64) -> Result {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(value);
        if value > MAX_SAFE {
            return self.unsafe_integer(digits);
        }
        append(self.text, digits.as_bytes());
        Ok(())
    }

    #[inline]
    fn negative(&mut self, value: i64) -> Result {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(value);
        if value.unsigned_abs() > MAX_SAFE {
            return self.unsafe_integer(digits);
        }
        append(self.text, digits.as_bytes());
        Ok(())
    }

    #[inline]
    fn f64(&mut self, value: f64) {
        append(self.text, zmij::Buffer::new().format_finite(value).as_bytes());
    }

    #[inline]
    fn short(&mut self, text: Short) {
        self.quoted(text, 1 + text.len() + 1);
    }

    #[inline]
    fn text(&mut self, text: &[u8]) -> Result {
        self.text_begin();
        self.escaped(text);
        self.text_end()
    }

    #[inline]
    fn text_begin(&mut self) {
        self.text.push(b'"');
    }

    #[inline]
    fn text_part(&mut self, text: &[u8]) -> Result {
        self.escaped(text);
        self.target.offer(self.text)?;
        Ok(())
    }

    #[inline]
    fn text_end(&mut self) -> Result {
        self.text.push(b'"');
        Ok(())
    }

    #[inline]
    fn array_begin(&mut self) {
        self.begin(b'[');
    }

    #[inline]
    fn item(&mut self) -> Result {
        self.separate()
    }

    #[inline]
    fn array_end(&mut self) {
        self.end(b']');
    }

    #[inline]
    fn map_begin(&mut self) {
        self.begin(b'{');
    }

    #[inline]
    fn key(&mut self) -> Result {
        self.separate()
    }

    #[inline(always)]
    fn short_key(&mut self, key: Short) -> Result {
        if self.form.pretty || self.empty {
            self.separate()?;
            self.quoted(key, 1 + key.len() + 2);
            if self.form.pretty {
                self.text.push(b' ');
            }
            return Ok(());
        }
        // The same in one go.
        let mut pair = *b",\"................";
        pair[2..].copy_from_slice(&key.bytes_quote_colon());
        let end = self.text.len() + 2 + key.len() + 2;
        self.text.extend_from_slice(&pair);
        self.text.truncate(end);
        self.target.offer(self.text)?;
        Ok(())
    }

    #[inline]
    fn value(&mut self) {
        self.text.push(b':');
        if self.form.pretty {
            self.text.push(b' ');
        }
    }

    #[inline]
    fn map_end(&mut self) {
        self.end(b'}');
    }
}

/// As `extend_from_slice`, and quicker for up to 32 bytes: two stores of fixed length that overlap.
#[inline(always)]
fn append(text: &mut Vec<u8>, bytes: &[u8]) {
    #[inline]
    fn twice<const N: usize>(text: &mut Vec<u8>, bytes: &[u8]) {
        if let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
            let end = text.len() + bytes.len();
            text.extend_from_slice(first);
            text.truncate(end - N);
            text.extend_from_slice(last);
        }
    }
    match bytes.len() {
        4..8 => twice::<4>(text, bytes),
        8..16 => twice::<8>(text, bytes),
        16..=32 => twice::<16>(text, bytes),
        _ => text.extend_from_slice(bytes),
    }
}

/// The digits of each byte, and how many they are.
const DECIMAL: [([u8; 3], u8); 256] = {
    let mut table = [([0; 3], 0); 256];
    let mut byte = 0_u8;
    loop {
        let digits = [b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10];
        let len = 1 + (byte >= 10) as u8 + (byte >= 100) as u8;
        table[byte as usize] = (digits, len);
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};
