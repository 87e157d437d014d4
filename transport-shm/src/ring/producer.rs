//! The writing end of a ring.

use tramline_core::PeerFault;

use super::memory::{OwnRing, OwnWords, PeerMemory};
use super::record::{BLOB_LEN, HEADER, Kind, footprint, header};
use super::{ParkWord, Side, WakeOnce};
use crate::counters::Counter;
use crate::layout::max_frame;
use crate::sync::{Ordering, Site, fence_at};

/// A batch goes out when it has this many records. Measured one way, 64 bytes, 32 against 256: 88 and
/// 105 million a second where the floor was 120 ns, 21 and 24 where it was 530.
const BATCH_RECORDS: u64 = 256;
/// A batch goes out when it has this many bytes. A choice.
const BATCH_LEN: u64 = 16 << 10;

/// Behind what is up to this long the next lines are fetched for writing at once, while there is
/// time: the peer has read them since we wrote them last, and the header could not go out before the
/// payload's lines have come back. Measured, round trips of 64 bytes: 200 to 160 ns where the floor
/// is 120; of 4 KiB, where the processor sees the run of writes by itself: 510 to 600 ns, hence the
/// limit.
const LOOKAHEAD_UP_TO: usize = 512;
/// How far ahead lines are fetched within a batch, in bytes. Measured one way, 64 bytes: 17 without and
/// 31 million a second where the floor was 590 ns, no difference where it was 150.
const BATCH_AHEAD: usize = 640;
/// Lines fetched: a record of 64 bytes touches two.
const LOOKAHEAD_LINES: usize = 2;
/// Bytes of a cache line. More would only mean that some hint is of no use.
const LINE_LEN: usize = 64;

/// Writes records. One message at a time, one thread at a time.
#[derive(Debug)]
pub(crate) struct Producer<R, W, P> {
    ring: R,
    words: W,
    peer: P,
    /// Bytes written, padding included.
    tail: u64,
    /// Bytes the peer may have seen; behind `tail` while a batch is held back.
    published: u64,
    /// The peer's `head`, as last read and checked.
    head: u64,
    /// Number of the next record.
    number: u64,
    /// `number` as of the last publication.
    published_number: u64,
    /// Offset and header of the first record of the batch.
    held: Option<(usize, u64)>,
    /// A message was begun and not ended.
    begun: bool,
    /// Where the last BLOB record ended: the peer has taken its descriptor when `head` is there.
    blob_end: u64,
    /// The ticket of the next BLOB record.
    ticket: u64,
    /// Payload bytes of the claim in progress, if there is one.
    claimed: Option<usize>,
    /// Free bytes that the last refused claim needed.
    wanted: usize,
    /// Something was published since the peer's park word was last looked at.
    must_ring: bool,
    wakes: WakeOnce,
    park: ParkWord,
}

impl<R: OwnRing, W: OwnWords, P: PeerMemory> Producer<R, W, P> {
    /// A producer over a ring that is all zero.
    pub(crate) fn new(ring: R, words: W, peer: P) -> Self {
        Self {
            ring,
            words,
            peer,
            tail: 0,
            published: 0,
            head: 0,
            number: 0,
            published_number: 0,
            held: None,
            begun: false,
            blob_end: 0,
            ticket: 0,
            claimed: None,
            wanted: 0,
            must_ring: false,
            wakes: WakeOnce::default(),
            park: ParkWord::default(),
        }
    }

    /// Largest payload of one record.
    pub(crate) fn max_frame(&self) -> usize {
        max_frame(self.ring.capacity())
    }

    /// Makes room for a record of `min_len` bytes (at most the largest frame): true if there is.
    /// [`slot`](Self::slot) then gives it. A refusal publishes what was written, for the peer can
    /// only make room by reading.
    #[inline]
    pub(crate) fn claim(&mut self, min_len: usize) -> Result<bool, PeerFault> {
        self.claim_leaving(min_len, 0)
    }

    /// As [`claim`](Self::claim), with `spare` bytes left over: a message that was begun can then
    /// always be abandoned.
    #[inline]
    fn claim_leaving(&mut self, min_len: usize, spare: usize) -> Result<bool, PeerFault> {
        self.claimed = None;
        let largest = self.max_frame();
        let need = footprint(min_len.min(largest)) + spare;
        let to_end = self.ring.capacity() - self.offset();
        let pad = if need - spare > to_end { to_end } else { 0 };
        if self.free() < pad + footprint(largest) + spare {
            self.reload_head()?;
        }
        if self.free() < pad + need {
            self.wanted = pad + need;
            self.words.count(Counter::FullWaits, 1);
            self.flush();
            return Ok(false);
        }
        self.wanted = 0;
        if pad != 0 {
            // Publishing around the padding keeps every batch in one run of the ring.
            self.publish();
            self.write(Kind::Pad, pad - HEADER);
            self.publish();
        }
        let contiguous = (self.free() - spare).min(self.ring.capacity() - self.offset());
        self.claimed = Some((contiguous - HEADER).min(largest));
        Ok(true)
    }

    /// The room of the last claim; empty if it was refused or used up.
    #[inline(always)]
    pub(crate) fn slot(&mut self) -> &mut [u8] {
        let at = self.offset() + HEADER;
        self.ring.slot(at, self.claimed.unwrap_or(0))
    }

    /// Ends the claim with a record of its first `len` bytes.
    #[inline(always)]
    pub(crate) fn commit(&mut self, kind: Kind, len: usize) {
        let claimed = self.claimed.take();
        assert!(claimed >= Some(len), "commit of {len} bytes, claimed were {claimed:?}");
        self.write(kind, len);
        if self.number - self.published_number >= BATCH_RECORDS
            || self.tail - self.published >= BATCH_LEN
        {
            self.flush();
        }
    }

    /// Sends `message` from `sent` on as far as there is room: true if all of it has gone.
    pub(crate) fn send_part(
        &mut self,
        message: &[u8],
        sent: &mut usize,
    ) -> Result<bool, PeerFault> {
        let largest = self.max_frame();
        if message.len() <= largest && *sent == 0 {
            let room = self.claim(message.len())?;
            if room {
                self.slot()[..message.len()].copy_from_slice(message);
                self.commit(Kind::Data, message.len());
                *sent = message.len();
            }
            return Ok(room);
        }
        self.send_piece(message, sent, true)
    }

    /// Sends `piece`, a part of one message, from `sent` on as far as there is room: true if all of
    /// it has gone. The message ends with it if `last`.
    pub(crate) fn send_piece(
        &mut self,
        piece: &[u8],
        sent: &mut usize,
        last: bool,
    ) -> Result<bool, PeerFault> {
        let largest = self.max_frame();
        while let Some(rest) = piece.get(*sent..).filter(|rest| !rest.is_empty()) {
            // A quarter of a frame keeps wakes rare; asking for a whole one would pad too much.
            if !self.claim_leaving(rest.len().min(largest / 4), footprint(0))? {
                return Ok(false);
            }
            let part = rest.len().min(self.claimed.unwrap_or(0));
            self.slot()[..part].copy_from_slice(&rest[..part]);
            let ends = last && part == rest.len();
            let kind = match (self.begun, ends) {
                (false, true) => Kind::Data,
                (false, false) => Kind::First,
                (true, true) => Kind::Last,
                (true, false) => Kind::Middle,
            };
            self.commit(kind, part);
            self.begun = !ends;
            *sent += part;
        }
        Ok(true)
    }

    /// Makes room for a message of `head_len` bytes and a blob: the ticket to send its descriptor
    /// with, or `None` if there is no room, or the last blob has not been taken. The head must not
    /// be longer than [`max_blob_head`](Self::max_blob_head).
    pub(crate) fn claim_blob(&mut self, head_len: usize) -> Result<Option<u64>, PeerFault> {
        if self.head < self.blob_end {
            self.reload_head()?;
        }
        if self.head < self.blob_end {
            self.claimed = None;
            // The free bytes there are when `head` is at `blob_end`.
            let since = usize::try_from(self.tail - self.blob_end).unwrap_or(usize::MAX);
            self.wanted = (self.ring.capacity() - HEADER).saturating_sub(since);
            self.words.count(Counter::FullWaits, 1);
            self.flush();
            return Ok(None);
        }
        // Both records at once, so that nothing stands between descriptor and record.
        let room = self.claim(footprint(head_len) + BLOB_LEN)?;
        Ok(room.then_some(self.ticket))
    }

    /// Longest head of a message with a blob.
    pub(crate) fn max_blob_head(&self) -> usize {
        self.max_frame().saturating_sub(2 * HEADER + BLOB_LEN)
    }

    /// Ends the claim with both records. The descriptor must have been sent.
    pub(crate) fn commit_blob(&mut self, head: &[u8], len: usize) {
        self.slot()[..head.len()].copy_from_slice(head);
        self.commit(Kind::First, head.len());
        // What is left of the claim.
        self.claimed = Some(BLOB_LEN);
        let ticket = self.ticket;
        let slot = self.slot();
        slot[..8].copy_from_slice(&(len as u64).to_le_bytes());
        slot[8..].copy_from_slice(&ticket.to_le_bytes());
        self.commit(Kind::Blob, BLOB_LEN);
        self.blob_end = self.tail;
        self.ticket += 1;
    }

    /// Gives up the message that was begun, if there is one: true if the peer is told.
    pub(crate) fn abandon(&mut self) -> Result<bool, PeerFault> {
        if self.begun {
            if !self.claim(0)? {
                return Ok(false);
            }
            self.commit(Kind::Abandon, 0);
            self.count_drop();
            self.flush();
            self.begun = false;
        }
        Ok(true)
    }

    /// Whether `send_part` would send all of a message of `len` bytes now. Errs on the side of no.
    pub(crate) fn fits(&mut self, len: usize) -> bool {
        // A broken `head` is found by the send that follows.
        let _ = self.reload_head();
        let largest = self.max_frame();
        if len <= largest {
            return self.free() >= 2 * footprint(len);
        }
        // One padding of less than a fragment at the ring's end, one header and slack a fragment.
        let least_fragment = largest / 4;
        let overhead = 2 * HEADER * (len / least_fragment + 2);
        self.free() >= len + overhead + footprint(least_fragment)
    }

    /// Whether the last refused claim would succeed now, or the peer's `head` is no good: then the
    /// next claim says so.
    pub(crate) fn has_room(&mut self) -> bool {
        self.reload_head().is_err() || self.free() >= self.wanted
    }

    /// Publishes the batch and wakes the peer if it sleeps.
    #[inline(always)]
    pub(crate) fn flush(&mut self) {
        self.publish();
        if std::mem::take(&mut self.must_ring) {
            // PAIRS WITH the fence in `Consumer::arm` (P3): either we see that the peer sleeps, or
            // it sees the record.
            fence_at(Site::Flush, Ordering::SeqCst);
            let park = self.peer.park(Side::Data);
            if self.wakes.is_due(park) {
                self.words.ring_bell(Side::Data, park);
                self.words.count(Counter::Wakes, 1);
            }
        }
    }

    /// Counts a message that was given up.
    pub(crate) fn count_drop(&self) {
        self.words.count(Counter::Drops, 1);
    }

    /// Announces a sleep until the last refused claim would succeed: the value to sleep on, or
    /// `None` if it would succeed now.
    pub(crate) fn arm(&mut self) -> Result<Option<u32>, PeerFault> {
        self.flush();
        // The bell comes first. Read behind the park word it could already hold the one wake that
        // the peer spends on this park, spent for something we had seen before: the sleep would
        // then have no wake left. PAIRS WITH the bump in `OwnWords::ring_bell` (P5).
        let bell = self.peer.bell(Side::Space);
        let word = self.park.park();
        self.words.store_park(Side::Space, word);
        // PAIRS WITH the fence in `Consumer::publish_head` (P4): either the peer sees that we
        // sleep, or we see the room it made.
        fence_at(Site::ArmForSpace, Ordering::SeqCst);
        self.reload_head()?;
        if self.free() >= self.wanted {
            self.disarm();
            return Ok(None);
        }
        self.words.count(Counter::Parks, 1);
        Ok(Some(bell))
    }

    /// Takes the announcement back.
    pub(crate) fn disarm(&mut self) {
        if let Some(word) = self.park.unpark() {
            self.words.store_park(Side::Space, word);
        }
    }

    /// Publishes the batch without looking whether the peer sleeps.
    #[inline(always)]
    fn publish(&mut self) {
        let Some((offset, word)) = self.held.take() else { return };
        // PAIRS WITH the acquire in `PeerMemory::header` (P1): a reader that sees this header also
        // sees the payload, the zeroed header behind it and all later headers of the batch.
        self.ring.store_header(offset, word, Ordering::Release);
        let len = self.tail - self.published;
        self.words.count(Counter::Records, self.number - self.published_number);
        self.words.count(Counter::Bytes, len);
        self.published = self.tail;
        self.published_number = self.number;
        self.must_ring = true;
        if len <= LOOKAHEAD_UP_TO as u64 {
            // Not the next record's first line: the peer is looking at it.
            for line in 1..=LOOKAHEAD_LINES {
                let offset = self.offset() + line * LINE_LEN;
                self.ring.will_write(offset & (self.ring.capacity() - 1));
            }
        }
    }

    /// Writes a record whose payload is in place and whose room was checked.
    #[inline(always)]
    fn write(&mut self, kind: Kind, len: usize) {
        let offset = self.offset();
        let footprint = footprint(len);
        // The free space is always counted 8 bytes short, so the next header is ours to clear. It
        // must be clear before the reader can get there.
        let next = (offset + footprint) & (self.ring.capacity() - 1);
        self.ring.store_header(next, 0, Ordering::Relaxed);
        let word = header(kind, len, self.number);
        if self.held.is_none() {
            self.held = Some((offset, word));
        } else {
            self.ring.store_header(offset, word, Ordering::Relaxed);
            // A lone message does not come here: its lines were fetched behind the last one.
            if footprint <= LOOKAHEAD_UP_TO {
                self.ring.will_write((offset + BATCH_AHEAD) & (self.ring.capacity() - 1));
            }
        }
        self.tail += footprint as u64;
        self.number += 1;
    }

    /// Where the next record goes.
    #[inline(always)]
    fn offset(&self) -> usize {
        // Below the capacity, which is a `usize`.
        usize::try_from(self.tail & (self.ring.capacity() as u64 - 1)).unwrap_or(0)
    }

    /// Bytes free for records, by the last known head.
    #[inline(always)]
    fn free(&self) -> usize {
        // `head <= tail <= head + capacity - 8` holds: `reload_head` and `claim` see to it.
        let used = usize::try_from(self.tail - self.head).unwrap_or(usize::MAX);
        (self.ring.capacity() - HEADER).saturating_sub(used)
    }

    fn reload_head(&mut self) -> Result<(), PeerFault> {
        let head = self.peer.head();
        if head < self.head || head > self.published || !head.is_multiple_of(8) {
            let (least, most) = (self.head, self.published);
            let what = format_args!("{head} is outside {least} to {most} or no multiple of 8");
            return Err(PeerFault::new("head", what));
        }
        self.head = head;
        Ok(())
    }
}
