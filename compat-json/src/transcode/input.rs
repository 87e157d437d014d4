//! The bytes of an input one after the other, with their offsets.

use std::io::{self, Read};
use std::sync::Arc;

use super::error::{Stop, TranscodeFault};

type Result<T = ()> = std::result::Result<T, Stop>;

/// What is read at once, in bytes. A choice: what a pipe of Linux holds at once.
const BUFFER_LEN: usize = 64 << 10;

/// Where bytes come from.
pub(super) trait Source {
    /// What can be had without waiting.
    fn at_hand(&self) -> &[u8];
    /// Gets more to hand, if there is more; all that is at hand has been consumed.
    fn fill(&mut self) -> io::Result<()>;
    /// Consumes `len` bytes of what is at hand.
    fn consume(&mut self, len: usize);
}

impl Source for &[u8] {
    #[inline]
    fn at_hand(&self) -> &[u8] {
        self
    }

    #[inline]
    fn fill(&mut self) -> io::Result<()> {
        Ok(())
    }

    #[inline]
    fn consume(&mut self, len: usize) {
        *self = &self[len..];
    }
}

/// A reader with a buffer.
#[derive(Debug)]
pub(super) struct Buffered<R> {
    reader: R,
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
}

impl<R: Read> Buffered<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; BUFFER_LEN].into(), begin: 0, end: 0 }
    }
}

impl<R: Read> Source for Buffered<R> {
    #[inline]
    fn at_hand(&self) -> &[u8] {
        &self.buffer[self.begin..self.end]
    }

    #[cold]
    fn fill(&mut self) -> io::Result<()> {
        (self.begin, self.end) = (0, 0);
        loop {
            match self.reader.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    // A reader that claims more than there is room for is wrong, not believed.
                    self.end = read?.min(self.buffer.len());
                    return Ok(());
                }
            }
        }
    }

    #[inline]
    fn consume(&mut self, len: usize) {
        self.begin += len;
    }
}

/// An input and how far it has been read.
#[derive(Debug)]
pub(super) struct Input<S> {
    source: S,
    at: u64,
}

impl<S: Source> Input<S> {
    pub(super) fn new(source: S) -> Self {
        Self { source, at: 0 }
    }

    /// Bytes consumed so far.
    #[inline]
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// What can be had without waiting.
    #[inline]
    pub(super) fn at_hand(&self) -> &[u8] {
        self.source.at_hand()
    }

    /// What is at hand; reads only if that is nothing. Empty means the end of the input.
    #[inline]
    pub(super) fn chunk(&mut self) -> Result<&[u8]> {
        if self.source.at_hand().is_empty() {
            let filled = self.source.fill();
            filled.map_err(|error| TranscodeFault::Read(Arc::new(error)).at(self.at))?;
        }
        Ok(self.source.at_hand())
    }

    /// As [`chunk`](Self::chunk), where the end of the input is an error.
    #[inline]
    pub(super) fn more(&mut self) -> Result<&[u8]> {
        let at = self.at;
        match self.chunk() {
            Ok([]) => Err(TranscodeFault::Truncated.at(at)),
            other => other,
        }
    }

    /// Consumes `len` bytes of what is at hand.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) {
        self.source.consume(len);
        self.at += len as u64;
    }

    #[inline]
    pub(super) fn peek(&mut self) -> Result<Option<u8>> {
        Ok(self.chunk()?.first().copied())
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8> {
        let byte = self.more()?[0];
        self.advance(1);
        Ok(byte)
    }
}

/// Says whether `bytes` are text, and where they are not: `at` is the offset of the first of them.
#[inline]
pub(super) fn whole_text(bytes: &[u8], at: u64) -> Result<()> {
    if bytes.is_ascii() {
        return Ok(());
    }
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(TranscodeFault::InvalidUtf8.at(at + error.valid_up_to() as u64)),
    }
}

/// Text that comes in pieces, which may end inside a character.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// The beginning of a character whose end is in the next piece.
    begun: [u8; 4],
    begun_len: usize,
}

impl Pieces {
    /// Gives the whole characters of `piece` to `part`; `at` is the piece's offset.
    pub(super) fn feed(
        &mut self,
        mut piece: &[u8],
        mut at: u64,
        part: &mut impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        while self.begun_len > 0 {
            let [first, rest @ ..] = piece else { return Ok(()) };
            let begun_at = at - self.begun_len as u64;
            self.begun[self.begun_len] = *first;
            self.begun_len += 1;
            (piece, at) = (rest, at + 1);
            let character = &self.begun[..self.begun_len];
            match std::str::from_utf8(character) {
                Ok(_) => {
                    part(character)?;
                    self.begun_len = 0;
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(TranscodeFault::InvalidUtf8.at(begun_at)),
            }
        }
        if piece.is_ascii() {
            return if piece.is_empty() { Ok(()) } else { part(piece) };
        }
        let whole = match std::str::from_utf8(piece) {
            Ok(_) => piece.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(error) => {
                return Err(TranscodeFault::InvalidUtf8.at(at + error.valid_up_to() as u64));
            }
        };
        let (whole, begun) = piece.split_at(whole);
        self.begun[..begun.len()].copy_from_slice(begun);
        self.begun_len = begun.len();
        if whole.is_empty() { Ok(()) } else { part(whole) }
    }

    /// The text ends, or an escape begins: no character may be half there. `at` is where.
    pub(super) fn end(&self, at: u64) -> Result<()> {
        match self.begun_len {
            0 => Ok(()),
            len => Err(TranscodeFault::InvalidUtf8.at(at - len as u64)),
        }
    }
}
