//! MessagePack, written while nobody knows yet how much will come.
//!
//! A container's length stands in front of it. It begins with the shortest header, one byte; when the
//! sixteenth member comes, what has been written since is moved by two bytes, and once more at
//! 65,536. The bytes lie in segments, so that growing never copies what is there and such a move
//! never moves more than one segment: together with its lists the value takes little more than its
//! own size.

use std::io::{self, Write};

use super::MAX_DEPTH;
use super::emit::Emit;
use super::error::{Stop, TranscodeFault};
use super::scan::Short;

type Result<T = ()> = std::result::Result<T, Stop>;

/// A segment, in bytes. A choice: what a pipe of Linux holds at once.
const SEGMENT_LEN: usize = 64 << 10;
/// Left free at the end of each, so that the headers in it can grow when it is full: no more than
/// those of the open containers can, by four bytes each.
const GROWTH_LEN: usize = 4 * MAX_DEPTH;
/// A string up to this length waits until it is whole. A longer one has a header of five bytes,
/// whatever comes, so it can be written at once and its length later.
const MAX_WAITING: usize = 0xffff;

/// One value on its way out.
#[derive(Debug, Default)]
pub(super) struct Packer {
    full: Vec<Vec<u8>>,
    last: Vec<u8>,
    open: Vec<Open>,
    /// A string that came in parts, as far as it is.
    waiting: Vec<u8>,
    /// The same when it is too long to wait: where its header is, and its length in bytes.
    long: Option<(Place, u64)>,
}

/// A header's place.
#[derive(Debug, Clone, Copy)]
struct Place {
    segment: usize,
    offset: usize,
}

#[derive(Debug)]
struct Open {
    header: Place,
    members: u32,
}

impl Packer {
    /// Forgets the value, and keeps the memory of a small one.
    pub(super) fn clear(&mut self) {
        self.full.clear();
        self.last.clear();
        self.open.clear();
        self.waiting.clear();
        self.long = None;
    }

    pub(super) fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        self.full.iter().chain([&self.last]).try_for_each(|segment| out.write_all(segment))
    }

    /// The value in one piece.
    pub(super) fn into_vec(self) -> Vec<u8> {
        if self.full.is_empty() {
            return self.last;
        }
        let mut whole = Vec::with_capacity(self.len());
        for segment in self.full {
            whole.extend_from_slice(&segment);
        }
        whole.extend_from_slice(&self.last);
        whole
    }

    fn len(&self) -> usize {
        self.full.iter().map(Vec::len).sum::<usize>() + self.last.len()
    }

    /// Room in the last segment.
    #[inline]
    fn room(&self) -> usize {
        (SEGMENT_LEN - GROWTH_LEN).saturating_sub(self.last.len())
    }

    #[cold]
    fn next_segment(&mut self) {
        let next = Vec::with_capacity(SEGMENT_LEN);
        self.full.push(std::mem::replace(&mut self.last, next));
    }

    /// Writes a few bytes that must stay together.
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.room() < bytes.len() {
            self.next_segment();
        }
        self.last.extend_from_slice(bytes);
    }

    #[inline]
    fn put_with<const N: usize>(&mut self, marker: u8, value: [u8; N]) {
        // At most a marker and eight bytes.
        let mut bytes = [marker; 9];
        bytes[1..=N].copy_from_slice(&value);
        self.put(&bytes[..=N]);
    }

    /// Writes any number of bytes.
    #[inline]
    fn put_all(&mut self, mut bytes: &[u8]) {
        loop {
            let (now, rest) = bytes.split_at(bytes.len().min(self.room()));
            self.last.extend_from_slice(now);
            if rest.is_empty() {
                return;
            }
            bytes = rest;
            self.next_segment();
        }
    }

    fn here(&self) -> Place {
        Place { segment: self.full.len(), offset: self.last.len() }
    }

    fn segment(&mut self, place: Place) -> &mut Vec<u8> {
        self.full.get_mut(place.segment).unwrap_or(&mut self.last)
    }

    #[inline]
    fn begin(&mut self) {
        // The header must not be moved to the next segment after its place was noted.
        if self.room() == 0 {
            self.next_segment();
        }
        self.open.push(Open { header: self.here(), members: 0 });
        self.last.push(0);
    }

    #[inline]
    fn member(&mut self) -> Result {
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        let Some(members) = open.members.checked_add(1) else {
            return Err(TranscodeFault::TooLong { max: u32::MAX }.into());
        };
        open.members = members;
        if members == 1 << 4 || members == 1 << 16 {
            let header = open.header;
            let segment = self.segment(header);
            let end = segment.len();
            segment.extend_from_slice(&[0; 2]);
            segment.copy_within(header.offset + 1..end, header.offset + 3);
        }
        Ok(())
    }

    #[inline]
    fn end(&mut self, short: u8, long: u8) {
        let Some(Open { header, members }) = self.open.pop() else { return };
        let segment = self.segment(header);
        let header = &mut segment[header.offset..];
        let [a, b, c, d] = members.to_be_bytes();
        match members {
            0..=15 => header[0] = short | d,
            16..=0xffff => header[..3].copy_from_slice(&[long, c, d]),
            _ => header[..5].copy_from_slice(&[long + 1, a, b, c, d]),
        }
    }
}

impl Emit for Packer {
    #[inline]
    fn null(&mut self) {
        self.put(&[0xc0]);
    }

    #[inline]
    fn bool(&mut self, value: bool) {
        self.put(&[0xc2 | u8::from(value)]);
    }

    #[inline]
    fn unsigned(&mut self, value: u64) -> Result {
        let [.., a, b, c, d] = value.to_be_bytes();
        match value {
            0..=0x7f => self.put(&[d]),
            0x80..=0xff => self.put(&[0xcc, d]),
            0x100..=0xffff => self.put(&[0xcd, c, d]),
            0x1_0000..=0xffff_ffff => self.put(&[0xce, a, b, c, d]),
            _ => self.put_with(0xcf, value.to_be_bytes()),
        }
        Ok(())
    }

    #[inline]
    fn negative(&mut self, value: i64) -> Result {
        let [.., a, b, c, d] = value.to_be_bytes();
        match value {
            -0x20.. => self.put(&[d]),
            -0x80.. => self.put(&[0xd0, d]),
            -0x8000.. => self.put(&[0xd1, c, d]),
            -0x8000_0000.. => self.put(&[0xd2, a, b, c, d]),
            _ => self.put_with(0xd3, value.to_be_bytes()),
        }
        Ok(())
    }

    #[inline]
    fn f64(&mut self, value: f64) {
        self.put_with(0xcb, value.to_be_bytes());
    }

    #[inline]
    fn short(&mut self, text: Short) {
        // A store of fixed length, of which the end is taken back, costs less than a copy.
        let mut bytes = [0xa0; 17];
        bytes[0] |= u8::try_from(text.len()).unwrap_or_default();
        bytes[1..].copy_from_slice(&text.bytes());
        self.put(&bytes);
        self.last.truncate(self.last.len() - bytes.len() + 1 + text.len());
    }

    #[inline]
    fn text(&mut self, text: &[u8]) -> Result {
        let Ok(len) = u32::try_from(text.len()) else {
            return Err(TranscodeFault::TooLong { max: u32::MAX }.into());
        };
        let [a, b, c, d] = len.to_be_bytes();
        match len {
            0..=31 => self.put(&[0xa0 | d]),
            32..=0xff => self.put(&[0xd9, d]),
            0x100..=0xffff => self.put(&[0xda, c, d]),
            _ => self.put(&[0xdb, a, b, c, d]),
        }
        self.put_all(text);
        Ok(())
    }

    fn text_begin(&mut self) {
        self.waiting.clear();
    }

    fn text_part(&mut self, text: &[u8]) -> Result {
        if let Some((_, len)) = &mut self.long {
            *len += text.len() as u64;
            self.put_all(text);
        } else if self.waiting.len() + text.len() <= MAX_WAITING {
            self.waiting.extend_from_slice(text);
        } else {
            // Its header first: it must lie in one segment, with its length to be written there.
            self.put(&[0xdb, 0, 0, 0, 0]);
            let Place { segment, offset } = self.here();
            let header = Place { segment, offset: offset - 5 };
            self.long = Some((header, (self.waiting.len() + text.len()) as u64));
            let waiting = std::mem::take(&mut self.waiting);
            self.put_all(&waiting);
            self.waiting = waiting;
            self.put_all(text);
        }
        Ok(())
    }

    fn text_end(&mut self) -> Result {
        if let Some((header, len)) = self.long.take() {
            let Ok(len) = u32::try_from(len) else {
                return Err(TranscodeFault::TooLong { max: u32::MAX }.into());
            };
            let header = &mut self.segment(header)[header.offset..];
            header[1..5].copy_from_slice(&len.to_be_bytes());
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let written = self.text(&waiting);
        self.waiting = waiting;
        written
    }

    #[inline]
    fn array_begin(&mut self) {
        self.begin();
    }

    #[inline]
    fn item(&mut self) -> Result {
        self.member()
    }

    #[inline]
    fn array_end(&mut self) {
        self.end(0x90, 0xdc);
    }

    #[inline]
    fn map_begin(&mut self) {
        self.begin();
    }

    #[inline]
    fn key(&mut self) -> Result {
        self.member()
    }

    #[inline]
    fn short_key(&mut self, key: Short) -> Result {
        self.member()?;
        self.short(key);
        Ok(())
    }

    #[inline]
    fn value(&mut self) {}

    #[inline]
    fn map_end(&mut self) {
        self.end(0x80, 0xde);
    }
}
