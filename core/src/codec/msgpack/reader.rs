//! The parts of MessagePack.

use crate::codec::canonical::{Fault, Key, Kind, Number, Reader, Text};

/// Reads MessagePack. Everything that has a length is checked against what is left.
pub(super) struct MsgPackReader<'de> {
    input: &'de [u8],
    rest: &'de [u8],
}

impl<'de> MsgPackReader<'de> {
    #[inline]
    pub(super) fn new(input: &'de [u8]) -> Self {
        Self { input, rest: input }
    }

    #[inline]
    fn marker(&self) -> Result<u8, Fault> {
        match self.rest.first() {
            Some(marker) => Ok(*marker),
            None => Err(self.cut_off()),
        }
    }

    #[cold]
    fn cut_off(&self) -> Fault {
        Fault::new(self.input.len(), "the input ends in the middle of a value")
    }

    /// The bytes behind a marker, most significant first.
    #[inline]
    fn behind<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.rest.get(1..).and_then(<[u8]>::split_first_chunk) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.cut_off()),
        }
    }

    #[inline]
    fn len8(&mut self) -> Result<usize, Fault> {
        Ok(u8::from_be_bytes(self.behind()?).into())
    }

    #[inline]
    fn len16(&mut self) -> Result<usize, Fault> {
        Ok(u16::from_be_bytes(self.behind()?).into())
    }

    #[inline]
    fn len32(&mut self) -> Result<usize, Fault> {
        let len = u32::from_be_bytes(self.behind()?);
        // Longer than memory can be: whatever is done with it finds too little left.
        Ok(usize::try_from(len).unwrap_or(usize::MAX))
    }

    #[inline]
    fn skip_marker(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Whether this marker comes next, which is then read.
    #[inline]
    pub(super) fn skip_exactly(&mut self, marker: u8) -> bool {
        let found = self.rest.first() == Some(&marker);
        if found {
            self.skip_marker();
        }
        found
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'de [u8], Fault> {
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.too_long(len, "bytes")),
        }
    }

    #[cold]
    fn too_long(&self, len: usize, what: &str) -> Fault {
        let left = self.rest.len();
        Fault::new(self.offset(), format_args!("{len} {what} are stated, {left} bytes are left"))
    }

    /// An array or a map of so many parts, of `min_len` bytes or more each.
    #[inline]
    fn open(&mut self, len: usize, min_len: usize) -> Result<Option<usize>, Fault> {
        if len.checked_mul(min_len).is_none_or(|min_len| min_len > self.rest.len()) {
            return Err(self.too_long(len, if min_len == 1 { "elements" } else { "entries" }));
        }
        Ok(Some(len))
    }

    #[inline]
    fn text_of(&mut self, len: usize) -> Result<&'de str, Fault> {
        let at = self.offset();
        let bytes = self.take(len)?;
        match str::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(e) => Err(Fault::new(at + e.valid_up_to(), "a text that is not UTF-8")),
        }
    }

    #[inline]
    fn borrowed_text(&mut self) -> Result<Option<&'de str>, Fault> {
        let len = match self.marker()? {
            marker @ 0xa0..=0xbf => {
                self.skip_marker();
                usize::from(marker & 0x1f)
            }
            0xd9 => self.len8()?,
            0xda => self.len16()?,
            0xdb => self.len32()?,
            _ => return Ok(None),
        };
        self.text_of(len).map(Some)
    }

    /// A number that is not unsigned, by its marker.
    fn other_number(&mut self, marker: u8) -> Result<Option<Number<'de>>, Fault> {
        Ok(match marker {
            0xe0..=0xff => {
                self.skip_marker();
                Some(Number::Signed(i8::from_be_bytes([marker]).into()))
            }
            0xd0 => signed(i8::from_be_bytes(self.behind()?).into()),
            0xd1 => signed(i16::from_be_bytes(self.behind()?).into()),
            0xd2 => signed(i32::from_be_bytes(self.behind()?).into()),
            0xd3 => signed(i64::from_be_bytes(self.behind()?)),
            0xca => {
                let at = self.offset();
                let value = f32::from_be_bytes(self.behind()?);
                if !value.is_finite() {
                    return Err(self.not_finite(at, value.into()));
                }
                Some(Number::Single(value))
            }
            0xcb => {
                let at = self.offset();
                let value = f64::from_be_bytes(self.behind()?);
                if !value.is_finite() {
                    return Err(self.not_finite(at, value));
                }
                Some(Number::Double(value))
            }
            _ => None,
        })
    }

    #[cold]
    fn not_finite(&self, at: usize, value: f64) -> Fault {
        Fault::new(at, format_args!("{value} has no JSON form"))
    }
}

/// What is not below zero is unsigned, however it is written.
#[inline]
fn signed<'de>(value: i64) -> Option<Number<'de>> {
    Some(u64::try_from(value).map_or(Number::Signed(value), Number::Unsigned))
}

impl<'de> Reader<'de> for MsgPackReader<'de> {
    /// Parts that are left.
    type Open = usize;

    #[inline]
    fn offset(&self) -> usize {
        self.input.len() - self.rest.len()
    }

    #[inline]
    fn begin(&mut self) -> usize {
        self.offset()
    }

    #[inline]
    fn kind(&mut self) -> Result<Kind, Fault> {
        Ok(match self.marker()? {
            0x00..=0x7f | 0xe0..=0xff | 0xca..=0xd3 => Kind::Number,
            0x80..=0x8f | 0xde | 0xdf => Kind::Map,
            0x90..=0x9f | 0xdc | 0xdd => Kind::Array,
            0xa0..=0xbf | 0xd9..=0xdb => Kind::Text,
            0xc0 => Kind::Null,
            0xc2 | 0xc3 => Kind::Bool,
            0xc4..=0xc6 => Kind::Bytes,
            0xc7..=0xc9 | 0xd4..=0xd8 => {
                return Err(Fault::new(self.offset(), "an extension type has no JSON form"));
            }
            0xc1 => return Err(Fault::new(self.offset(), "the byte c1 begins no value")),
        })
    }

    #[inline]
    fn null(&mut self) -> Result<bool, Fault> {
        let null = self.marker()? == 0xc0;
        if null {
            self.skip_marker();
        }
        Ok(null)
    }

    #[inline]
    fn boolean(&mut self) -> Result<Option<bool>, Fault> {
        let value = match self.marker()? {
            0xc2 => false,
            0xc3 => true,
            _ => return Ok(None),
        };
        self.skip_marker();
        Ok(Some(value))
    }

    #[inline(always)]
    fn number(&mut self) -> Result<Option<Number<'de>>, Fault> {
        Ok(match self.marker()? {
            marker @ 0x00..=0x7f => {
                self.skip_marker();
                Some(Number::Unsigned(marker.into()))
            }
            0xcc => Some(Number::Unsigned(u8::from_be_bytes(self.behind()?).into())),
            0xcd => Some(Number::Unsigned(u16::from_be_bytes(self.behind()?).into())),
            0xce => Some(Number::Unsigned(u32::from_be_bytes(self.behind()?).into())),
            0xcf => Some(Number::Unsigned(u64::from_be_bytes(self.behind()?))),
            marker => return self.other_number(marker),
        })
    }

    #[inline]
    fn text(&mut self) -> Result<Option<Text<'de, '_>>, Fault> {
        Ok(self.borrowed_text()?.map(Text::Borrowed))
    }

    #[inline(always)]
    fn bytes(&mut self) -> Result<Option<&'de [u8]>, Fault> {
        let len = match self.marker()? {
            0xc4 => self.len8()?,
            0xc5 => self.len16()?,
            0xc6 => self.len32()?,
            _ => return Ok(None),
        };
        self.take(len).map(Some)
    }

    #[inline]
    fn array(&mut self) -> Result<Option<usize>, Fault> {
        let len = match self.marker()? {
            marker @ 0x90..=0x9f => {
                self.skip_marker();
                usize::from(marker & 0x0f)
            }
            0xdc => self.len16()?,
            0xdd => self.len32()?,
            _ => return Ok(None),
        };
        self.open(len, 1)
    }

    #[inline]
    fn map(&mut self) -> Result<Option<usize>, Fault> {
        let len = match self.marker()? {
            marker @ 0x80..=0x8f => {
                self.skip_marker();
                usize::from(marker & 0x0f)
            }
            0xde => self.len16()?,
            0xdf => self.len32()?,
            _ => return Ok(None),
        };
        self.open(len, 2)
    }

    #[inline]
    fn element(&mut self, left: &mut usize) -> Result<bool, Fault> {
        match left.checked_sub(1) {
            Some(fewer) => {
                *left = fewer;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    #[inline]
    fn entry(&mut self, left: &mut usize) -> Result<bool, Fault> {
        self.element(left)
    }

    #[inline]
    fn likely_key(&mut self, name: &str) -> bool {
        // Names of 32 bytes and more have another marker. A name that stands there is UTF-8.
        if let Some((marker, rest)) = self.rest.split_first()
            && usize::from(marker ^ 0xa0) == name.len()
            && name.len() < 0x20
            && let Some(rest) = rest.strip_prefix(name.as_bytes())
        {
            self.rest = rest;
            return true;
        }
        false
    }

    fn key(&mut self) -> Result<Key<'de, '_>, Fault> {
        if let Some(text) = self.borrowed_text()? {
            return Ok(Key::Text(Text::Borrowed(text)));
        }
        let at = self.offset();
        match self.number()? {
            Some(Number::Unsigned(value)) => return Ok(Key::Unsigned(value)),
            Some(Number::Signed(value)) => return Ok(Key::Signed(value)),
            _ => {}
        }
        match self.boolean()? {
            Some(value) => Ok(Key::Bool(value)),
            None => Err(Fault::new(at, "a key must be a text")),
        }
    }

    #[inline]
    fn colon(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    #[inline]
    fn left(left: &usize) -> Option<usize> {
        Some(*left)
    }

    fn key_again(&self, at: usize) -> Box<str> {
        let rest = self.input.get(at..).unwrap_or_default();
        match (Self { input: self.input, rest }.key()) {
            Ok(Key::Text(Text::Borrowed(text) | Text::Copied(text))) => text.into(),
            Ok(Key::Unsigned(value)) => value.to_string().into(),
            Ok(Key::Signed(value)) => value.to_string().into(),
            Ok(Key::Bool(value)) => value.to_string().into(),
            Err(_) => Box::default(),
        }
    }

    fn json_since(&self, _: usize) -> Option<&'de str> {
        None
    }

    #[inline]
    fn end(&mut self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Fault::new(self.offset(), "bytes follow the value"))
        }
    }
}
