//! The reading end of a ring.

use bytes::{Buf, BytesMut};
use tramline_core::PeerFault;

use super::memory::{OwnWords, PeerMemory};
use super::record::{Action, BLOB_LEN, HEADER, State, footprint, plain, validate};
use super::{ParkWord, Side, WakeOnce};
use crate::counters::Counter;
use crate::sync::{Ordering, Site, fence_at};

/// After this many records or bytes without a whole message, `poll` lets others have a turn. A
/// choice (RING limits: poll budget).
const POLL_RECORDS: u32 = 256;
const POLL_LEN: u64 = 256 << 10;

/// A receive buffer larger than this is let go when the last message did not need it. A choice:
/// two frames of a default ring.
const KEEP_LEN: usize = 256 << 10;

/// What a look at the ring found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Polled {
    /// A whole message lies in the buffer.
    Message,
    /// A message lies in the buffer up to its body, which is handed over:
    /// [`blob`](Consumer::blob) says with which ticket. Nothing may be polled until it was
    /// [taken](Consumer::blob_taken).
    Blob,
    /// No whole message yet.
    Nothing,
    /// The peer said that it will send no more.
    Closed,
}

/// Reads records, checks them, and puts messages together in private memory.
#[derive(Debug)]
pub(crate) struct Consumer<W, P> {
    words: W,
    peer: P,
    state: State,
    /// `head` as of the last look at whether the peer waits for room.
    published: u64,
    /// `head` as the peer knows it.
    told: u64,
    buffer: BytesMut,
    /// Length and ticket of the blob that was found last.
    blob: (usize, u64),
    /// The ticket that the next blob must have.
    ticket: u64,
    wakes: WakeOnce,
    park: ParkWord,
}

impl<W: OwnWords, P: PeerMemory> Consumer<W, P> {
    /// A consumer at the start of the peer's ring.
    pub(crate) fn new(words: W, peer: P, max_message_len: usize) -> Self {
        let state = State {
            capacity: peer.capacity(),
            head: 0,
            number: 0,
            assembled: None,
            after_pad: false,
            closed: false,
            max_message_len,
        };
        Self {
            words,
            peer,
            state,
            published: 0,
            told: 0,
            buffer: BytesMut::new(),
            blob: (0, 0),
            ticket: 0,
            wakes: WakeOnce::default(),
            park: ParkWord::default(),
        }
    }

    /// The message that the last [`poll`](Self::poll) found.
    pub(crate) fn message(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// True if a record is there, or none will ever be.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.state.closed || self.peer.header(self.offset()) != 0
    }

    /// Reads on to the end of the next message.
    #[inline(always)]
    pub(crate) fn poll(&mut self) -> Result<Polled, PeerFault> {
        let offset = self.offset();
        // The one read of this header; only the copy is judged and used.
        let word = self.peer.header(offset);
        if let Some(len) = plain(word, &self.state) {
            self.forget_last();
            self.peer.copy_out(offset + HEADER, len, &mut self.buffer);
            self.state.after_pad = false;
            self.advance(footprint(len));
            return Ok(Polled::Message);
        }
        if word == 0 && !self.state.closed {
            self.tell_head();
            return Ok(Polled::Nothing);
        }
        self.poll_on(word)
    }

    /// Makes the buffer ready for another message.
    #[inline]
    fn forget_last(&mut self) {
        if self.buffer.capacity() > KEEP_LEN && self.buffer.len() < self.buffer.capacity() / 4 {
            self.buffer = BytesMut::new();
        }
        self.buffer.clear();
    }

    /// As [`poll`](Self::poll), from a record on whose header was read as `word`.
    #[cold]
    fn poll_on(&mut self, mut word: u64) -> Result<Polled, PeerFault> {
        if self.state.assembled.is_none() {
            self.forget_last();
        }
        let start = self.state.head;
        for _ in 0..POLL_RECORDS {
            let offset = self.offset();
            if word == 0 {
                self.tell_head();
                return Ok(if self.state.closed { Polled::Closed } else { Polled::Nothing });
            }
            match validate(word, &self.state)? {
                Action::Take { len, first, whole } => {
                    if first {
                        self.buffer.clear();
                    }
                    self.peer.copy_out(offset + HEADER, len, &mut self.buffer);
                    self.state.assembled = (!whole).then_some(self.buffer.len());
                    self.state.after_pad = false;
                    self.advance(footprint(len));
                    if whole {
                        return Ok(Polled::Message);
                    }
                }
                Action::Skip(footprint) => {
                    self.state.after_pad = true;
                    self.advance(footprint);
                }
                Action::TakeBlob => return self.find_blob(offset + HEADER),
                Action::Forget => {
                    self.buffer.clear();
                    self.state.assembled = None;
                    self.state.after_pad = false;
                    self.advance(HEADER);
                }
                Action::Close => {
                    self.state.closed = true;
                    self.advance(HEADER);
                }
            }
            if self.state.head - start >= POLL_LEN {
                break;
            }
            // The one read of this header; only the copy is judged and used.
            word = self.peer.header(self.offset());
        }
        Ok(Polled::Nothing)
    }

    /// Reads a BLOB record, and does not go on: the peer may send the next descriptor when `head`
    /// has passed this record, so its own must be taken first.
    fn find_blob(&mut self, at: usize) -> Result<Polled, PeerFault> {
        let mut copy = BytesMut::with_capacity(BLOB_LEN);
        self.peer.copy_out(at, BLOB_LEN, &mut copy);
        let (len, ticket) = (copy.get_u64_le(), copy.get_u64_le());
        if ticket != self.ticket {
            let what = format_args!("{ticket} where {} was expected", self.ticket);
            return Err(PeerFault::new("blob ticket", what));
        }
        let most = self.state.max_message_len.saturating_sub(self.buffer.len());
        self.blob = match usize::try_from(len) {
            Ok(len) if (1..=most).contains(&len) => (len, ticket),
            _ => {
                let what = format_args!("{len} bytes, outside 1 to {most}");
                return Err(PeerFault::new("blob len", what));
            }
        };
        Ok(Polled::Blob)
    }

    /// Length and ticket of the blob that the last [`poll`](Self::poll) found.
    pub(crate) fn blob(&self) -> (usize, u64) {
        self.blob
    }

    /// Goes on behind a blob. The peer may be waiting for just that, so it is told at once.
    pub(crate) fn blob_taken(&mut self) {
        self.ticket += 1;
        self.state.assembled = None;
        self.state.after_pad = false;
        self.advance(footprint(BLOB_LEN));
        self.publish_head();
    }

    /// The header of the next record.
    #[cfg(feature = "trusted-in-place")]
    pub(super) fn next_header(&self) -> u64 {
        self.peer.header(self.offset())
    }

    #[cfg(feature = "trusted-in-place")]
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    #[cfg(feature = "trusted-in-place")]
    pub(super) fn peer(&self) -> &P {
        &self.peer
    }

    /// Goes on behind a whole message that was read in place.
    #[cfg(feature = "trusted-in-place")]
    pub(super) fn release(&mut self, footprint: usize) {
        self.state.after_pad = false;
        self.advance(footprint);
    }

    /// From now on sleeps are on the control socket.
    pub(crate) fn sleep_on_socket(&mut self) {
        self.park.sleep_on_socket();
    }

    /// Announces a sleep until data comes: the value to sleep on, or `None` if there is some now.
    pub(crate) fn arm(&mut self) -> Option<u32> {
        self.publish_head();
        // The bell comes first. Read behind the park word it could already hold the one wake that
        // the peer spends on this park, spent for something we had seen before: the sleep would
        // then have no wake left. PAIRS WITH the bump in `OwnWords::ring_bell` (P5).
        let bell = self.peer.bell(Side::Data);
        let word = self.park.park();
        self.words.store_park(Side::Data, word);
        // PAIRS WITH the fence in `Producer::flush` (P3): either the peer sees that we sleep, or we
        // see its record.
        fence_at(Site::ArmForData, Ordering::SeqCst);
        if self.has_news() {
            self.disarm();
            return None;
        }
        self.words.count(Counter::Parks, 1);
        Some(bell)
    }

    /// Takes the announcement back.
    pub(crate) fn disarm(&mut self) {
        if let Some(word) = self.park.unpark() {
            self.words.store_park(Side::Data, word);
        }
    }

    #[inline]
    fn offset(&self) -> usize {
        self.state.offset()
    }

    #[inline]
    fn advance(&mut self, footprint: usize) {
        self.state.head += footprint as u64;
        self.state.number += 1;
        if self.state.head - self.published >= self.state.capacity as u64 / 8 {
            self.publish_head();
        }
    }

    /// Says how far we have read, without a look at whether the peer waits for room. It cannot wait
    /// for what is told here: an eighth of the ring at most, since every eighth goes through
    /// `publish_head`, and no claim wants more than a frame and its padding, less than half.
    #[inline]
    fn tell_head(&mut self) {
        if self.told != self.state.head {
            self.told = self.state.head;
            self.words.store_head(self.state.head);
        }
    }

    /// Gives what was read back to the peer, and wakes it if it waits for room.
    #[cold]
    fn publish_head(&mut self) {
        if self.published == self.state.head {
            return;
        }
        self.published = self.state.head;
        self.told = self.state.head;
        self.words.store_head(self.state.head);
        // PAIRS WITH the fence in `Producer::arm` (P4): either we see that the peer sleeps, or it
        // sees the room.
        fence_at(Site::PublishHead, Ordering::SeqCst);
        let park = self.peer.park(Side::Space);
        if self.wakes.is_due(park) {
            self.words.ring_bell(Side::Space, park);
            self.words.count(Counter::Wakes, 1);
        }
    }
}
