//! What a transport must offer: a sender, a receiver and a signal. No OS here.
//!
//! A transport moves frames: runs of bytes with a length. It never looks inside. A frame is
//! written in place: [`Sender::claim`] gives room, the codec writes into it through a
//! [`FrameWriter`], [`Sender::commit`] makes it visible to the peer. A message larger than one
//! claim goes through [`Sender::send_part`].
//!
//! Waiting is split from reading, so that a thread can sleep without holding the receiver: take a
//! [`Ticket`] with `arm`, let go of the half, then [`Signal::wait`].

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::error::{LinkError, SendError};

/// One open connection on which nothing has been said yet.
pub struct Halves {
    /// Short name of the transport: `shm`, `pipe`, `mem`.
    pub transport: &'static str,
    /// Who is at the other end, as the operating system says.
    pub peer: PeerIdentity,
    /// The outgoing direction.
    pub sender: Box<dyn Sender>,
    /// The incoming direction.
    pub receiver: Box<dyn Receiver>,
    /// Sleeping, waking and closing, usable from any thread.
    pub signal: Box<dyn Signal>,
}

impl fmt::Debug for Halves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Halves")
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Halves {
    /// How both halves wait from now on.
    pub fn set_wait_mode(&mut self, mode: WaitMode) {
        self.sender.set_wait_mode(mode);
        self.receiver.set_wait_mode(mode);
    }
}

/// How a side of a connection waits for the other one: what it pays for short answers.
///
/// Each side chooses for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WaitMode {
    /// Looks for long before it sleeps: the shortest waits, at the price of a busy CPU while
    /// messages keep coming. An idle connection still sleeps.
    LowLatency,
    /// Looks as long as that has paid of late, then sleeps.
    #[default]
    Balanced,
    /// Sleeps at once: the least CPU, and a wake by the system for every message that is waited
    /// for.
    Idle,
}

/// A connection that a transport has opened.
pub trait Transport: Send {
    /// Splits the connection into the parts that different threads use.
    fn into_halves(self: Box<Self>) -> Halves;
}

/// Who is at the other end, as the operating system says; never what the peer says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PeerIdentity {
    /// User id, where the system tells.
    pub uid: Option<u32>,
    /// Process id at connect time, where the system tells. For messages to people only: process
    /// ids are reused.
    pub pid: Option<u32>,
}

impl PeerIdentity {
    /// An identity from what the system told.
    #[must_use]
    pub fn new(uid: Option<u32>, pid: Option<u32>) -> Self {
        Self { uid, pid }
    }
}

/// A promise about a moment: "nothing had come when I looked". [`Signal::wait`] returns at once if
/// something has come since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub u32);

/// What a thread waits for in [`Signal::wait`]. A field that is `None` is not waited for.
#[derive(Debug, Clone, Copy, Default)]
pub struct WaitFor {
    /// The number of kicks seen, from [`Signal::kicks`]: always waited for.
    pub kicks: u32,
    /// Data to read, with the ticket from [`Receiver::arm`].
    pub data: Option<Ticket>,
    /// Room to write, with the ticket from [`Sender::arm`].
    pub room: Option<Ticket>,
    /// At most this long; `None` is without limit.
    pub timeout: Option<Duration>,
}

/// The outgoing half. One message at a time.
pub trait Sender: Send {
    /// Room for one frame, at least `min_len` bytes unless `min_len` is more than the largest
    /// frame, often more. The bytes in it are left over from earlier frames and are never published
    /// unless written. A claim that is not committed is given back by the next call.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when there is no room now, [`SendError::Link`] when the link is over.
    fn claim(&mut self, min_len: usize) -> Result<&mut [u8], SendError>;

    /// Publishes the first `len` bytes of the last claim as one frame. The peer may see it only
    /// after [`flush`](Self::flush).
    ///
    /// # Panics
    ///
    /// If `len` is more than was claimed; that is a bug in the caller.
    fn commit(&mut self, len: usize);

    /// Sends what is left of `message`, which may be larger than a frame, as far as there is room
    /// now. `sent` counts the bytes that have gone and must be 0 on the first call for a message.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when room ran out: wait, then call again with the same arguments. No
    /// other message may be sent in between, unless `sent` is still 0.
    fn send_part(&mut self, message: &[u8], sent: &mut usize) -> Result<(), SendError>;

    /// Whether a message of `len` bytes would go out whole now. A transport that does not know says
    /// no.
    fn fits(&mut self, len: usize) -> bool;

    /// Makes committed frames visible and wakes the peer if it sleeps. Never blocks.
    ///
    /// # Errors
    ///
    /// The link is over.
    fn flush(&mut self) -> Result<(), LinkError>;

    /// Looks out for the room that was last refused, without sleeping, as long as that pays. True if
    /// it may be there.
    fn spin(&mut self) -> bool {
        false
    }

    /// How [`spin`](Self::spin) looks from now on. A transport without a choice ignores it.
    fn set_wait_mode(&mut self, mode: WaitMode) {
        let _ = mode;
    }

    /// Announces that this side is about to sleep until there is room for what was last refused
    /// with [`SendError::Full`]. `None` if there is room now.
    fn arm(&mut self) -> Option<Ticket>;

    /// Takes the announcement back.
    fn disarm(&mut self);
}

/// The incoming half.
pub trait Receiver: Send {
    /// The next whole message, if there is one. Never blocks.
    ///
    /// # Errors
    ///
    /// The link is over. Messages that were complete before it ended have been given out first.
    fn poll(&mut self) -> Result<Option<Frame<'_>>, LinkError>;

    /// Looks out for a message without sleeping, as long as that pays on this machine and with
    /// this peer. True if [`poll`](Self::poll) has something to say.
    fn spin(&mut self) -> bool;

    /// How [`spin`](Self::spin) looks from now on. A transport without a choice ignores it.
    fn set_wait_mode(&mut self, mode: WaitMode) {
        let _ = mode;
    }

    /// Announces that this side is about to sleep until there is data. `None` if there is some now.
    fn arm(&mut self) -> Option<Ticket>;

    /// Takes the announcement back: whoever polls needs no wake.
    fn disarm(&mut self);
}

/// Sleeping, waking and closing.
pub trait Signal: Send + Sync {
    /// How often [`kick`](Self::kick) was called. Read it before looking whether there is work.
    fn kicks(&self) -> u32;

    /// Wakes every thread of this process that sleeps in [`wait`](Self::wait) on this link.
    fn kick(&self);

    /// Sleeps until something named in `wait` has happened or the time is up; a thread that waits
    /// for data or room also wakes when the peer is gone. May return for no reason.
    fn wait(&self, wait: WaitFor);

    /// Ends the link from this side and wakes everyone on both sides. Idempotent. What was flushed
    /// before still reaches a peer that reads, as long as this process lives.
    fn close(&self);
}

/// A received message.
///
/// Borrow it to decode in place, or [`take`](Self::take) it to keep it: taking copies small
/// messages and hands over the buffer of large ones.
#[derive(Debug)]
pub struct Frame<'a> {
    buffer: &'a mut BytesMut,
}

/// Up to here a copy is cheaper than a fresh receive buffer. A choice: one page.
const TAKE_COPIES_UP_TO: usize = 4096;

impl<'a> Frame<'a> {
    /// A frame whose bytes are the whole of `buffer`.
    pub fn new(buffer: &'a mut BytesMut) -> Self {
        Self { buffer }
    }

    /// The message.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer
    }

    /// Exchanges the message's buffer for `spare`, without a copy: the message is then in `spare`
    /// and the receiver may go on.
    pub fn swap(self, spare: &mut BytesMut) {
        std::mem::swap(self.buffer, spare);
    }

    /// The message, to keep.
    #[must_use]
    pub fn take(self) -> Bytes {
        // A buffer that once held something larger would keep that much memory alive, and whoever
        // keeps messages counts their lengths.
        let mostly_empty = self.buffer.capacity() / 2 > self.buffer.len();
        if self.buffer.len() <= TAKE_COPIES_UP_TO || mostly_empty {
            Bytes::copy_from_slice(self.buffer)
        } else {
            std::mem::take(self.buffer).freeze()
        }
    }
}

/// Writes one frame: into the claim while it fits, else into memory of its own.
///
/// Implements [`io::Write`], so any serde format can write through it.
#[derive(Debug)]
pub struct FrameWriter<'a> {
    slot: &'a mut [u8],
    /// Takes over from `slot` when that is full; empty until then. All of it is room.
    spill: Vec<u8>,
    /// Memory to spill into, if it is large enough.
    spare: Option<&'a mut Vec<u8>>,
    len: usize,
    max_len: usize,
    overflow: usize,
}

/// The first memory of its own that a frame gets, in bytes, if its claim was small.
const FIRST_SPILL_LEN: usize = 1024;

impl<'a> FrameWriter<'a> {
    /// A writer over a claim that accepts up to `max_len` bytes in all.
    pub fn new(slot: &'a mut [u8], max_len: usize) -> Self {
        let slot_len = slot.len().min(max_len);
        let slot = &mut slot[..slot_len];
        Self { slot, spill: Vec::new(), spare: None, len: 0, max_len, overflow: 0 }
    }

    /// Takes the memory of an earlier frame if this one does not fit into its claim.
    #[must_use]
    pub fn reusing(mut self, spare: &'a mut Vec<u8>) -> Self {
        self.spare = Some(spare);
        self
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.len
    }

    /// How many bytes were wanted, if that was more than the limit.
    #[must_use]
    pub fn overflow(&self) -> Option<usize> {
        (self.overflow != 0).then_some(self.overflow)
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

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::FileTooLarge`] when the frame would grow beyond its limit.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = if self.spill.is_empty() { &mut *self.slot } else { &mut self.spill[..] };
        let room = room.get_mut(self.len..).and_then(|room| room.get_mut(..bytes.len()));
        if let Some(room) = room {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
            return Ok(());
        }
        self.grow(bytes.len())?;
        self.put(bytes)
    }

    /// Makes room for `more` bytes in memory of its own.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) -> io::Result<()> {
        let len = self.len.saturating_add(more);
        if len > self.max_len {
            self.overflow = len;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let room = len.max(2 * self.len).max(FIRST_SPILL_LEN).min(self.max_len);
        if self.spill.is_empty() {
            self.spill = self.spare.take().map(std::mem::take).unwrap_or_default();
            if self.spill.capacity() < room {
                self.spill = vec![0; room];
            } else {
                self.spill.resize(self.spill.capacity().min(self.max_len), 0);
            }
            self.spill[..self.len].copy_from_slice(&self.slot[..self.len]);
        } else {
            self.spill.resize(room, 0);
        }
        Ok(())
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
    fn a_kept_message_does_not_keep_a_much_larger_buffer() {
        let mut buffer = BytesMut::with_capacity(1 << 20);
        buffer.extend_from_slice(&[7; TAKE_COPIES_UP_TO + 1]);
        assert_eq!(Frame::new(&mut buffer).take().len(), TAKE_COPIES_UP_TO + 1);
        assert!(buffer.capacity() >= 1 << 20, "the receiver keeps its buffer");
    }
}
