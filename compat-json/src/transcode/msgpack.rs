//! MessagePack, read strictly and turned into JSON text on the way.

use super::MAX_DEPTH;
use super::emit::Emit;
use super::error::{Stop, TranscodeFault};
use super::input::{Input, Pieces, Source, whole_text};
use super::keys::Keys;
use super::scan::Short;
use super::text::{JsonWriter, Target};

type Result<T = ()> = std::result::Result<T, Stop>;

/// Reads values; keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(super) struct MsgPackReader {
    open: Vec<Open>,
    keys: Keys,
}

/// An array or a map whose members are being read.
#[derive(Debug)]
struct Open {
    is_map: bool,
    /// Members, or pairs, still to come.
    left: u64,
}

/// What a value begins with.
#[derive(Debug, Clone, Copy)]
struct Head {
    kind: Kind,
    /// Its own length in bytes.
    len: u8,
    /// The number or its bits, or how many bytes, members or pairs follow.
    value: u64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Null,
    Bool,
    Unsigned,
    Signed,
    F32,
    F64,
    Text,
    Bytes,
    Array,
    Map,
    Reserved,
    Extension,
}

impl MsgPackReader {
    /// Reads one value and writes it.
    pub(super) fn value<S: Source, T: Target>(
        &mut self,
        input: &mut Input<S>,
        out: &mut JsonWriter<'_, T>,
    ) -> Result {
        loop {
            let at = input.at();
            let head = head(input)?;
            let value = head.value;
            match head.kind {
                Kind::Null => out.null(),
                Kind::Bool => out.bool(value != 0),
                Kind::Unsigned => out.unsigned(value).map_err(|stop| stop.at(at))?,
                Kind::Signed => {
                    let value = head.signed();
                    let written = match u64::try_from(value) {
                        Ok(value) => out.unsigned(value),
                        Err(_) => out.negative(value),
                    };
                    written.map_err(|stop| stop.at(at))?;
                }
                Kind::F32 => {
                    let value = f32::from_bits(low_half(value));
                    check_finite(value.into(), at)?;
                    out.f32(value);
                }
                Kind::F64 => {
                    let value = f64::from_bits(value);
                    check_finite(value, at)?;
                    out.f64(value);
                }
                Kind::Text => text(input, length(value), out)?,
                Kind::Bytes => bytes(input, length(value), out)?,
                Kind::Array => {
                    self.open(Open { is_map: false, left: value }, at)?;
                    out.array_begin();
                }
                Kind::Map => {
                    self.open(Open { is_map: true, left: value }, at)?;
                    self.keys.begin();
                    out.map_begin();
                }
                Kind::Reserved => return Err(TranscodeFault::Reserved.at(at)),
                Kind::Extension => return Err(TranscodeFault::Extension.at(at)),
            }
            // The value is complete, or has begun: on to the next member of the innermost container.
            loop {
                let Some(open) = self.open.last_mut() else { return Ok(()) };
                let is_map = open.is_map;
                if let Some(left) = open.left.checked_sub(1) {
                    open.left = left;
                    if is_map {
                        self.key(input, out)?;
                    } else {
                        out.item().map_err(|stop| stop.at(input.at()))?;
                    }
                    break;
                }
                self.open.pop();
                if is_map {
                    self.keys.end();
                    out.map_end();
                } else {
                    out.array_end();
                }
            }
        }
    }

    #[inline]
    fn open(&mut self, open: Open, at: u64) -> Result {
        if self.open.len() == MAX_DEPTH {
            return Err(TranscodeFault::TooDeep { max: MAX_DEPTH }.at(at));
        }
        self.open.push(open);
        Ok(())
    }

    /// A key: text, or what serde_json makes text of.
    #[inline]
    fn key<S: Source, T: Target>(
        &mut self,
        input: &mut Input<S>,
        out: &mut JsonWriter<'_, T>,
    ) -> Result {
        let at = input.at();
        // As most keys are.
        if let [marker @ 0xa0..=0xaf, text @ ..] = input.at_hand()
            && let Some(key) = Short::of(text, (marker & 0xf).into())
        {
            out.short_key(key).map_err(|stop| stop.at(at))?;
            input.advance(1 + key.len());
            if self.keys.insert_word(key.key()) {
                return Ok(());
            }
            return Err(TranscodeFault::DuplicateKey.at(at));
        }
        out.key().map_err(|stop| stop.at(at))?;
        let head = head(input)?;
        let Head { kind, value, .. } = head;
        if matches!(kind, Kind::Text) {
            let new = self.text_key(input, length(value), out)?;
            out.value();
            return if new { Ok(()) } else { Err(TranscodeFault::DuplicateKey.at(at)) };
        }
        let mut digits = itoa::Buffer::new();
        let key = match kind {
            Kind::Bool if value == 0 => "false",
            Kind::Bool => "true",
            Kind::Unsigned => digits.format(value),
            Kind::Signed => digits.format(head.signed()),
            kind => return Err(TranscodeFault::Key { found: kind.name() }.at(at)),
        };
        if !self.keys.insert(key.as_bytes()) {
            return Err(TranscodeFault::DuplicateKey.at(at));
        }
        out.text(key.as_bytes()).map_err(|stop| stop.at(at))?;
        out.value();
        Ok(())
    }

    /// False if the map has this key already.
    #[inline]
    fn text_key<S: Source, T: Target>(
        &mut self,
        input: &mut Input<S>,
        len: usize,
        out: &mut JsonWriter<'_, T>,
    ) -> Result<bool> {
        let at = input.at();
        if let Some(key) = at_hand(input, len)? {
            out.text(key).map_err(|stop| stop.at(at))?;
            let new = self.keys.insert(key);
            input.advance(len);
            return Ok(new);
        }
        let mut hasher = self.keys.hasher();
        text_in_pieces(input, len, out, |part| hasher.update(part))?;
        Ok(self.keys.insert_word(hasher.finish()))
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Null => "nil",
            Self::F32 | Self::F64 => "a float",
            Self::Bytes => "bytes",
            Self::Array => "an array",
            Self::Map => "a map",
            Self::Extension => "an extension type",
            _ => "no text",
        }
    }
}

#[inline]
fn check_finite(value: f64, at: u64) -> Result {
    if value.is_finite() { Ok(()) } else { Err(TranscodeFault::NotFinite { value }.at(at)) }
}

/// Reads what a value begins with.
#[inline(always)]
fn head<S: Source>(input: &mut Input<S>) -> Result<Head> {
    if let Some(bytes) = input.at_hand().first_chunk() {
        let head = head_in(bytes);
        input.advance(head.len.into());
        return Ok(head);
    }
    head_in_pieces(input)
}

/// The same where it may come in pieces: no byte more than needed is waited for.
#[cold]
fn head_in_pieces<S: Source>(input: &mut Input<S>) -> Result<Head> {
    let mut bytes = [0; HEAD_LEN];
    bytes[0] = input.byte()?;
    let len = head_in(&bytes).len;
    for byte in &mut bytes[1..len.into()] {
        *byte = input.byte()?;
    }
    Ok(head_in(&bytes))
}

/// Longest head, in bytes.
const HEAD_LEN: usize = 9;

/// The head at the beginning of `bytes`; the first byte decides how long it is.
#[inline]
fn head_in(bytes: &[u8; HEAD_LEN]) -> Head {
    let [marker, rest @ ..] = *bytes;
    let Marker { kind, len, value } = MARKERS[usize::from(marker)];
    // What follows the marker, if anything does: the number comes to lie at the end of the word.
    let rest = u64::from_be_bytes(rest);
    let unused = u64::BITS - 8 * (u32::from(len) - 1);
    let rest = rest.checked_shr(unused).unwrap_or_default();
    Head { kind, len, value: rest | u64::from(value) }
}

/// What a first byte says.
#[derive(Debug, Clone, Copy)]
struct Marker {
    kind: Kind,
    /// Length of the head in bytes.
    len: u8,
    /// What it says itself, where nothing of the head follows.
    value: u8,
}

/// By the first byte. To look it up is quicker than to tell it by comparing.
const MARKERS: [Marker; 256] = {
    let mut table = [Marker { kind: Kind::Reserved, len: 1, value: 0 }; 256];
    let mut marker = 0_u8;
    loop {
        let (kind, len, value) = match marker {
            0x00..=0x7f => (Kind::Unsigned, 1, marker),
            0x80..=0x8f => (Kind::Map, 1, marker & 0xf),
            0x90..=0x9f => (Kind::Array, 1, marker & 0xf),
            0xa0..=0xbf => (Kind::Text, 1, marker & 0x1f),
            0xc0 => (Kind::Null, 1, 0),
            0xc1 => (Kind::Reserved, 1, 0),
            0xc2 | 0xc3 => (Kind::Bool, 1, marker & 1),
            0xc4 => (Kind::Bytes, 2, 0),
            0xc5 => (Kind::Bytes, 3, 0),
            0xc6 => (Kind::Bytes, 5, 0),
            0xc7..=0xc9 | 0xd4..=0xd8 => (Kind::Extension, 1, 0),
            0xca => (Kind::F32, 5, 0),
            0xcb => (Kind::F64, 9, 0),
            0xcc => (Kind::Unsigned, 2, 0),
            0xcd => (Kind::Unsigned, 3, 0),
            0xce => (Kind::Unsigned, 5, 0),
            0xcf => (Kind::Unsigned, 9, 0),
            0xd0 => (Kind::Signed, 2, 0),
            0xd1 => (Kind::Signed, 3, 0),
            0xd2 => (Kind::Signed, 5, 0),
            0xd3 => (Kind::Signed, 9, 0),
            0xd9 => (Kind::Text, 2, 0),
            0xda => (Kind::Text, 3, 0),
            0xdb => (Kind::Text, 5, 0),
            0xdc => (Kind::Array, 3, 0),
            0xdd => (Kind::Array, 5, 0),
            0xde => (Kind::Map, 3, 0),
            0xdf => (Kind::Map, 5, 0),
            0xe0..=0xff => (Kind::Signed, 1, marker),
        };
        table[marker as usize] = Marker { kind, len, value };
        if marker == u8::MAX {
            break table;
        }
        marker += 1;
    }
};

impl Head {
    /// The number of a [`Kind::Signed`]: its highest bit is its sign.
    fn signed(self) -> i64 {
        let unused = match self.len {
            1 | 2 => 56,
            3 => 48,
            5 => 32,
            _ => 0,
        };
        (self.value << unused).cast_signed() >> unused
    }
}

#[inline]
fn low_half(value: u64) -> u32 {
    let [.., a, b, c, d] = value.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// As a length in memory. MessagePack's are 32 bits at most.
#[inline]
fn length(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[inline]
fn text<S: Source, T: Target>(
    input: &mut Input<S>,
    len: usize,
    out: &mut JsonWriter<'_, T>,
) -> Result {
    let at = input.at();
    if let Some(text) = Short::of(input.at_hand(), len) {
        out.short(text);
        input.advance(text.len());
        return Ok(());
    }
    if let Some(text) = at_hand(input, len)? {
        out.text(text).map_err(|stop| stop.at(at))?;
        input.advance(len);
        return Ok(());
    }
    text_in_pieces(input, len, out, |_| ())
}

/// A text, if all of it is at hand. It is not consumed.
#[inline]
fn at_hand<S: Source>(input: &Input<S>, len: usize) -> Result<Option<&[u8]>> {
    let at = input.at();
    let Some(text) = input.at_hand().get(..len) else { return Ok(None) };
    whole_text(text, at)?;
    Ok(Some(text))
}

/// A text that comes in pieces, however long it says it is. `also` sees each piece, too.
#[cold]
fn text_in_pieces<S: Source, T: Target>(
    input: &mut Input<S>,
    len: usize,
    out: &mut JsonWriter<'_, T>,
    mut also: impl FnMut(&[u8]),
) -> Result {
    let mut pieces = Pieces::default();
    out.text_begin();
    in_pieces(input, len, |piece, at| {
        pieces.feed(piece, at, &mut |part| {
            also(part);
            out.text_part(part).map_err(|stop| stop.at(at))
        })
    })?;
    let at = input.at();
    pieces.end(at)?;
    out.text_end().map_err(|stop| stop.at(at))
}

fn bytes<S: Source, T: Target>(
    input: &mut Input<S>,
    len: usize,
    out: &mut JsonWriter<'_, T>,
) -> Result {
    out.bytes_begin();
    in_pieces(input, len, |piece, at| out.bytes_part(piece).map_err(|stop| stop.at(at)))?;
    out.bytes_end();
    Ok(())
}

/// Hands on `len` bytes as they come, each piece with its offset.
fn in_pieces<S: Source>(
    input: &mut Input<S>,
    len: usize,
    mut each: impl FnMut(&[u8], u64) -> Result,
) -> Result {
    let mut left = len;
    while left > 0 {
        let at = input.at();
        let chunk = input.more()?;
        let piece = &chunk[..left.min(chunk.len())];
        each(piece, at)?;
        let len = piece.len();
        input.advance(len);
        left -= len;
    }
    Ok(())
}
