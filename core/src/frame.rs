//! One message on its way out or in.

use std::fmt;
use std::io;

use bytes::{Bytes, BytesMut};

use crate::envelope::Envelope;
use crate::error::PeerFault;

/// A received message.
///
/// Borrow it to decode in place, or [`keep`](Self::keep) it: keeping copies small messages and hands
/// over the buffer of large ones.
#[derive(Debug)]
pub struct Frame<'a> {
    buffer: &'a mut BytesMut,
    /// The body, if it came as pages of its own.
    tail: Option<&'a mut Bytes>,
}

/// Up to here a copy is cheaper than a fresh receive buffer. A choice: one page.
const TAKE_COPIES_UP_TO: usize = 4096;

impl<'a> Frame<'a> {
    /// A frame whose bytes are the whole of `buffer`.
    pub fn new(buffer: &'a mut BytesMut) -> Self {
        Self { buffer, tail: None }
    }

    /// A frame whose body was handed over: `buffer` is what stands before it.
    pub fn with_tail(buffer: &'a mut BytesMut, tail: &'a mut Bytes) -> Self {
        Self { buffer, tail: Some(tail) }
    }

    /// The message; without its body if that was handed over.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer
    }

    /// The body, if it was handed over.
    #[inline]
    #[must_use]
    pub fn tail(&self) -> Option<&Bytes> {
        self.tail.as_deref()
    }

    /// The message, read.
    ///
    /// # Errors
    ///
    /// As [`Envelope::parse`] and [`Envelope::with_body`].
    #[inline]
    pub fn envelope(&self) -> Result<Envelope<'_>, PeerFault> {
        match self.tail() {
            None => Envelope::parse(self.buffer),
            Some(tail) => with_tail(self.buffer, tail),
        }
    }

    /// Exchanges the message's buffer for `spare`, without a copy: the message is then in `spare`
    /// and the receiver may go on. A body that was handed over is given back to the peer.
    pub fn swap(self, spare: &mut BytesMut) {
        std::mem::swap(self.buffer, spare);
    }

    /// The message, to keep, with a body that was handed over as the pages it came in.
    #[must_use]
    pub fn keep(mut self) -> Kept {
        let tail = self.tail.take().map(|tail| Box::new(std::mem::take(tail)));
        Kept { head: self.take(), tail }
    }

    /// The message in one run of bytes, to keep. A body that was handed over is copied; see
    /// [`keep`](Self::keep).
    #[must_use]
    pub fn take(self) -> Bytes {
        if let Some(tail) = self.tail {
            return [&self.buffer[..], &std::mem::take(tail)[..]].concat().into();
        }
        // A buffer that once held something larger would keep that much memory alive, and whoever
        // keeps messages counts their lengths.
        let mostly_empty = self.buffer.capacity() / 2 > self.buffer.len();
        if self.buffer.len() <= TAKE_COPIES_UP_TO || mostly_empty {
            Bytes::copy_from_slice(self.buffer)
        } else {
            // The receiver's next message finds this memory again if it has come free by then.
            self.buffer.split().freeze()
        }
    }
}

/// A received message that is kept.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    head: Bytes,
    /// Boxed, for few messages have one and all are moved about.
    tail: Option<Box<Bytes>>,
}

impl Kept {
    /// The message; without its body if that was handed over.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.head
    }

    /// The body, if it was handed over.
    #[inline]
    #[must_use]
    pub fn tail(&self) -> Option<&Bytes> {
        self.tail.as_deref()
    }

    /// The message, read.
    ///
    /// # Errors
    ///
    /// As [`Envelope::parse`] and [`Envelope::with_body`].
    #[inline]
    pub fn envelope(&self) -> Result<Envelope<'_>, PeerFault> {
        match self.tail() {
            None => Envelope::parse(&self.head),
            Some(tail) => with_tail(&self.head, tail),
        }
    }

    /// Bytes of the message, with a body that was handed over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.tail().map_or(0, Bytes::len)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The body, which begins at `offset` of the message.
    ///
    /// # Panics
    ///
    /// If the message is shorter than `offset`; that is a bug in the caller.
    #[must_use]
    pub fn into_body(mut self, offset: usize) -> Bytes {
        match self.tail {
            Some(tail) => *tail,
            None => self.head.split_off(offset),
        }
    }

    /// The body, which begins at `offset` of the message.
    pub(crate) fn body(&self, offset: usize) -> &[u8] {
        match self.tail() {
            None => &self.head[offset..],
            Some(tail) => tail,
        }
    }

    /// What the body lies in.
    pub(crate) fn owner(&self) -> &Bytes {
        self.tail().unwrap_or(&self.head)
    }
}

/// Apart, so that the usual message takes the short way.
#[cold]
fn with_tail<'a>(head: &'a [u8], tail: &'a [u8]) -> Result<Envelope<'a>, PeerFault> {
    Envelope::parse(head)?.with_body(tail)
}

impl From<Bytes> for Kept {
    fn from(head: Bytes) -> Self {
        Self { head, tail: None }
    }
}

impl From<Vec<u8>> for Kept {
    fn from(head: Vec<u8>) -> Self {
        Bytes::from(head).into()
    }
}

/// Where a frame that is larger than its room goes, piece by piece.
pub trait Pieces {
    /// Sends the next piece of the message; blocks until it has gone. The message ends with it if
    /// `last`.
    ///
    /// # Errors
    ///
    /// It cannot go; the reason is for whoever made the sink to tell.
    fn send(&mut self, piece: &[u8], last: bool) -> io::Result<()>;
}

/// Writes one frame: into its room while it fits, then as the room's kind says.
///
/// Implements [`io::Write`], so any serde format can write through it.
pub struct FrameWriter<'a> {
    room: &'a mut [u8],
    /// Takes over from `room` when that is full; empty until then. All of it is room.
    spill: Vec<u8>,
    beyond: Beyond<'a>,
    /// Bytes in the room, or in `spill` if there are any there.
    len: usize,
    /// Bytes that have gone as pieces.
    gone: usize,
    max_len: usize,
    overflow: usize,
    outgrown: bool,
}

/// What happens when the room is full.
enum Beyond<'a> {
    /// The frame moves to memory of its own: this, if it is large enough.
    Spill(Option<&'a mut Vec<u8>>),
    /// The frame cannot be written here.
    Nothing,
    /// The room is sent and used again.
    Pieces(&'a mut dyn Pieces),
}

/// Bytes kept for the last piece, at most. A choice: small, for they are copied once more.
const KEEP_FOR_LAST: usize = 64;

/// The first memory of its own that a frame gets, in bytes, if its claim was small.
const FIRST_SPILL_LEN: usize = 1024;

impl<'a> FrameWriter<'a> {
    /// A writer over a claim that accepts up to `max_len` bytes in all; what does not fit into the
    /// claim moves to memory of its own.
    pub fn new(claim: &'a mut [u8], max_len: usize) -> Self {
        Self::over(claim, max_len, Beyond::Spill(None))
    }

    /// Takes the memory of an earlier frame if this one does not fit into its claim.
    #[must_use]
    pub fn reusing(mut self, spare: &'a mut Vec<u8>) -> Self {
        if let Beyond::Spill(memory) = &mut self.beyond {
            *memory = Some(spare);
        }
        self
    }

    /// A writer over a claim and nothing else: a frame that does not fit is
    /// [`outgrown`](Self::outgrown).
    pub fn in_place(claim: &'a mut [u8], max_len: usize) -> Self {
        Self::over(claim, max_len, Beyond::Nothing)
    }

    /// A writer that sends `room`, not empty, and uses it again, whenever it is full.
    pub fn in_pieces(room: &'a mut [u8], max_len: usize, pieces: &'a mut dyn Pieces) -> Self {
        Self::over(room, max_len, Beyond::Pieces(pieces))
    }

    fn over(room: &'a mut [u8], max_len: usize, beyond: Beyond<'a>) -> Self {
        let room_len = room.len().min(max_len);
        let room = &mut room[..room_len];
        let (spill, len, gone, overflow) = (Vec::new(), 0, 0, 0);
        Self { room, spill, beyond, len, gone, max_len, overflow, outgrown: false }
    }

    /// A writer in memory of its own, with the same limit, for what must wait until its length is
    /// known.
    pub(crate) fn aside(&self) -> FrameWriter<'static> {
        FrameWriter::new(&mut [], self.max_len.saturating_sub(self.written()))
    }

    /// What was written aside has outgrown the limit of this frame.
    #[cold]
    pub(crate) fn overflowed_by(&mut self, aside: &FrameWriter<'_>) {
        if let Some(len) = aside.overflow() {
            self.overflow = self.written().saturating_add(len);
        }
    }

    /// The bytes of a frame that had no claim.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self.finish() {
            Written::Spilled { bytes } => bytes,
            Written::InPlace { .. } => Vec::new(),
        }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.gone + self.len
    }

    /// How many bytes were wanted, if that was more than the limit.
    #[must_use]
    pub fn overflow(&self) -> Option<usize> {
        (self.overflow != 0).then_some(self.overflow)
    }

    /// Whether the frame was larger than its claim, and there was nothing else.
    #[must_use]
    pub fn outgrown(&self) -> bool {
        self.outgrown
    }

    /// Ends the frame: how many bytes of the claim it fills, or the bytes themselves if they did
    /// not fit.
    #[must_use]
    pub fn finish(mut self) -> Written {
        if self.spill.is_empty() {
            Written::InPlace { len: self.len }
        } else {
            self.spill.truncate(self.len);
            Written::Spilled { bytes: self.spill }
        }
    }

    /// Ends a frame that is sent in pieces: the last one goes.
    ///
    /// # Errors
    ///
    /// It cannot go.
    pub fn finish_pieces(self) -> io::Result<()> {
        match self.beyond {
            Beyond::Pieces(pieces) => pieces.send(&self.room[..self.len], true),
            _ => Ok(()),
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::FileTooLarge`] when the frame would grow beyond its limit.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.len.wrapping_add(bytes.len());
        if let Some(room) = self.room.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
            return Ok(());
        }
        self.put_beyond(bytes)
    }

    /// Appends two runs of bytes, such as a length and what it is the length of.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put); the first run may then be there without the second.
    #[inline]
    pub(crate) fn put_both(&mut self, first: &[u8], second: &[u8]) -> io::Result<()> {
        let end = self.len.wrapping_add(first.len()).wrapping_add(second.len());
        if let Some(room) = self.room.get_mut(self.len..end)
            && let Some((before, behind)) = room.split_at_mut_checked(first.len())
        {
            before.copy_from_slice(first);
            behind.copy_from_slice(second);
            self.len = end;
            return Ok(());
        }
        self.put_beyond(first)?;
        self.put(second)
    }

    #[inline(never)]
    fn put_beyond(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = self.written().saturating_add(bytes.len());
        if let Some(room) = self.spill.get_mut(self.len..len) {
            room.copy_from_slice(bytes);
            self.len = len;
            return Ok(());
        }
        if len > self.max_len {
            self.overflow = len;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        match &mut self.beyond {
            Beyond::Spill(spare) => {
                let room = len.max(2 * self.len).max(FIRST_SPILL_LEN).min(self.max_len);
                if self.spill.is_empty() {
                    self.spill = spare.take().map(std::mem::take).unwrap_or_default();
                    if self.spill.capacity() < room {
                        self.spill = vec![0; room];
                    } else {
                        self.spill.resize(self.spill.capacity().min(self.max_len), 0);
                    }
                    // From here on there is no room but this.
                    let room = std::mem::take(&mut self.room);
                    self.spill[..self.len].copy_from_slice(&room[..self.len]);
                } else {
                    self.spill.resize(room, 0);
                }
                self.put(bytes)
            }
            Beyond::Nothing => {
                self.outgrown = true;
                Err(io::ErrorKind::FileTooLarge.into())
            }
            Beyond::Pieces(pieces) => {
                if self.len != 0 {
                    pieces.send(&self.room[..self.len], false)?;
                    self.gone += std::mem::take(&mut self.len);
                }
                // What is larger than the room need not go through it. Something stays for the last
                // piece, which must not be empty.
                let straight = if bytes.len() > self.room.len() {
                    bytes.len() - self.room.len().min(KEEP_FOR_LAST)
                } else {
                    0
                };
                let (straight, rest) = bytes.split_at(straight);
                if !straight.is_empty() {
                    pieces.send(straight, false)?;
                    self.gone += straight.len();
                }
                self.room[..rest.len()].copy_from_slice(rest);
                self.len = rest.len();
                Ok(())
            }
        }
    }
}

impl fmt::Debug for FrameWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameWriter")
            .field("written", &self.written())
            .field("max_len", &self.max_len)
            .finish_non_exhaustive()
    }
}

impl io::Write for FrameWriter<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a finished frame is.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// In the claim: commit this many bytes.
    InPlace {
        /// Bytes to commit.
        len: usize,
    },
    /// It did not fit into the claim: send these bytes.
    Spilled {
        /// The whole message.
        bytes: Vec<u8>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_fits_is_written_in_place() {
        let mut slot = [0; 8];
        let mut writer = FrameWriter::new(&mut slot, 100);
        writer.put(b"abc").expect("fits");
        writer.put(b"defgh").expect("fits");
        assert_eq!(writer.finish(), Written::InPlace { len: 8 });
        assert_eq!(&slot, b"abcdefgh");
    }

    #[test]
    fn a_frame_that_outgrows_its_claim_moves_to_memory() {
        let mut slot = [0; 4];
        let mut writer = FrameWriter::new(&mut slot, 100);
        writer.put(b"abc").expect("fits");
        writer.put(b"def").expect("fits");
        writer.put(b"g").expect("fits");
        assert_eq!(writer.written(), 7);
        assert_eq!(writer.finish(), Written::Spilled { bytes: b"abcdefg".to_vec() });
    }

    #[test]
    fn a_claim_larger_than_the_limit_does_not_lift_the_limit() {
        let mut slot = [0; 100];
        let mut writer = FrameWriter::new(&mut slot, 6);
        assert!(writer.put(b"abcdefg").is_err());
        assert_eq!(writer.overflow(), Some(7));
    }

    #[test]
    fn a_frame_beyond_its_limit_is_refused_with_the_length() {
        let mut slot = [0; 4];
        let mut writer = FrameWriter::new(&mut slot, 6);
        writer.put(b"abcd").expect("fits");
        assert!(writer.put(b"efg").is_err());
        assert_eq!(writer.overflow(), Some(7));
    }

    #[test]
    fn a_taken_frame_leaves_the_buffer_usable() {
        let mut small = BytesMut::from(&b"abc"[..]);
        assert_eq!(&Frame::new(&mut small).take()[..], b"abc");
        let mut large = BytesMut::from(&vec![7; TAKE_COPIES_UP_TO + 1][..]);
        assert_eq!(Frame::new(&mut large).take().len(), TAKE_COPIES_UP_TO + 1);
        assert!(large.is_empty());
    }

    #[test]
    fn a_body_that_was_handed_over_is_kept_without_a_copy() {
        let pages = Bytes::from(vec![7; 100]);
        let (mut head, mut tail) = (BytesMut::from(&b"abc"[..]), pages.clone());
        let frame = Frame::with_tail(&mut head, &mut tail);
        assert_eq!((frame.bytes(), frame.tail()), (&b"abc"[..], Some(&pages)));
        let kept = frame.keep();
        assert_eq!((kept.bytes(), kept.len()), (&b"abc"[..], 103));
        assert_eq!(kept.into_body(3).as_ptr(), pages.as_ptr());
        let mut tail = pages.clone();
        assert_eq!(Frame::with_tail(&mut head, &mut tail).take()[..4], b"abc\x07"[..]);
    }

    #[test]
    fn memory_of_a_taken_frame_that_is_dropped_serves_the_next_one() {
        let mut buffer = BytesMut::with_capacity(1 << 16);
        buffer.extend_from_slice(&[7; 60_000]);
        let address = buffer.as_ptr();
        drop(Frame::new(&mut buffer).take());
        buffer.reserve(60_000);
        assert_eq!(buffer.as_ptr(), address);
    }

    #[derive(Default)]
    struct Sent(Vec<(Vec<u8>, bool)>);

    impl Pieces for Sent {
        fn send(&mut self, piece: &[u8], last: bool) -> io::Result<()> {
            assert!(!piece.is_empty());
            self.0.push((piece.to_vec(), last));
            Ok(())
        }
    }

    #[test]
    fn a_frame_in_pieces_arrives_whole_and_ends_with_its_last_piece() {
        for parts in [&[3][..], &[0], &[8], &[8, 1], &[5, 5, 5], &[3, 40, 2], &[3, 40], &[16, 16]] {
            let (mut room, mut sent, mut wanted) = ([0; 8], Sent::default(), Vec::new());
            let mut writer = FrameWriter::in_pieces(&mut room, 100, &mut sent);
            writer.put(b"h").expect("fits");
            wanted.push(b'h');
            for (i, len) in parts.iter().enumerate() {
                let part = vec![u8::try_from(i).expect("few"); *len];
                writer.put(&part).expect("fits");
                wanted.extend(part);
            }
            assert_eq!(writer.written(), wanted.len());
            writer.finish_pieces().expect("goes");
            let (last, before) = sent.0.split_last().expect("at least one");
            assert!(last.1 && before.iter().all(|(_, last)| !last), "{parts:?}");
            assert_eq!(
                sent.0.iter().flat_map(|(piece, _)| piece).copied().collect::<Vec<_>>(),
                wanted
            );
        }
        let (mut room, mut sent) = ([0; 8], Sent::default());
        let mut writer = FrameWriter::in_pieces(&mut room, 20, &mut sent);
        writer.put(&[1; 15]).expect("fits");
        assert!(writer.put(&[1; 6]).is_err());
        assert_eq!(writer.overflow(), Some(21));
    }

    #[test]
    fn a_frame_that_may_only_be_in_place_says_that_it_does_not_fit() {
        let mut slot = [0; 4];
        let mut writer = FrameWriter::in_place(&mut slot, 100);
        writer.put(b"abcd").expect("fits");
        assert!(!writer.outgrown());
        assert!(writer.put(b"e").is_err());
        assert!(writer.outgrown() && writer.overflow().is_none());
    }

    #[test]
    fn a_kept_message_does_not_keep_a_much_larger_buffer() {
        let mut buffer = BytesMut::with_capacity(1 << 20);
        buffer.extend_from_slice(&[7; TAKE_COPIES_UP_TO + 1]);
        assert_eq!(Frame::new(&mut buffer).take().len(), TAKE_COPIES_UP_TO + 1);
        assert!(buffer.capacity() >= 1 << 20, "the receiver keeps its buffer");
    }
}
