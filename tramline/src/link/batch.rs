//! What the runner reads before it handles the first of it.

use std::ops::RangeInclusive;

use bytes::BytesMut;
use tramline_core::Frame;
use tramline_core::envelope::Kind;
use tramline_core::frame::Kept;

/// Messages read before the first of them is handled. A choice: far more than saves anything.
const BATCH_MESSAGES: usize = 64;
/// Messages up to this long are read together, larger ones alone. A choice: a copy of this length
/// costs less than giving up the receiver and taking it back.
const BATCH_MESSAGE_LEN: usize = 1024;

/// Up to this long the first message stays where it was received; longer ones are shared, for a
/// command on another thread takes them along without a copy. A choice: sharing costs some 50 ns, a
/// copy of this length about 1 us, and so does the way to the other thread at least.
const FIRST_MESSAGE_LEN: usize = 32 << 10;

/// Messages that were read and wait to be handled: the first where it was received, further small
/// ones copied into one buffer, then perhaps a large one. Reading several at once gives the receiver
/// up once for all of them.
#[derive(Default)]
pub(super) struct Batch {
    first: BytesMut,
    has_first: bool,
    bytes: Vec<u8>,
    /// Where each small message ends in `bytes`.
    ends: Vec<usize>,
    /// Small messages that have been taken, and where the next one begins.
    taken: usize,
    start: usize,
    large: Option<Kept>,
    /// How often in a row there was something to read at once.
    pub(super) ready_in_a_row: u32,
}

pub(super) enum Next<'a> {
    Small(&'a [u8]),
    Large(Kept),
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        !self.has_first && self.ends.is_empty() && self.large.is_none()
    }

    pub(super) fn is_full(&self) -> bool {
        self.ends.len() >= BATCH_MESSAGES || self.large.is_some()
    }

    pub(super) fn add(&mut self, frame: Frame<'_>) {
        let len = frame.bytes().len();
        if frame.tail().is_some() {
            self.large = Some(frame.keep());
        } else if self.is_empty() && len <= FIRST_MESSAGE_LEN {
            frame.swap(&mut self.first);
            self.has_first = true;
        } else if len > BATCH_MESSAGE_LEN {
            self.large = Some(frame.keep());
        } else {
            self.bytes.extend_from_slice(frame.bytes());
            self.ends.push(self.bytes.len());
        }
    }

    pub(super) fn next(&mut self) -> Option<Next<'_>> {
        if std::mem::take(&mut self.has_first) {
            return Some(Next::Small(&self.first));
        }
        if let Some(end) = self.ends.get(self.taken).copied() {
            self.taken += 1;
            let start = std::mem::replace(&mut self.start, end);
            return Some(Next::Small(&self.bytes[start..end]));
        }
        if self.first.capacity() > FIRST_MESSAGE_LEN {
            // It once held something larger, and the next message may be long in coming.
            self.first = BytesMut::new();
        }
        self.bytes.clear();
        self.ends.clear();
        (self.taken, self.start) = (0, 0);
        self.large.take().map(Next::Large)
    }
}

/// Replies, the goodbye and messages of channels: no code of the user's runs for them.
#[inline]
pub(super) fn is_for_callers(frame: &[u8], knows_channel: impl FnOnce(u64) -> bool) -> bool {
    const FOR_CALLERS: [u8; 3] = [Kind::Goodbye as u8, Kind::Response as u8, Kind::Error as u8];
    const OF_CHANNELS: RangeInclusive<u8> = Kind::Channel as u8..=Kind::ChannelCredit as u8;
    let Some(kind) = frame.first() else { return false };
    if OF_CHANNELS.contains(kind) {
        let id = frame.get(8..16).and_then(|id| id.try_into().ok()).map(u64::from_le_bytes);
        // One that nobody knows may come with a request that waits to be handled.
        return id.is_some_and(knows_channel);
    }
    FOR_CALLERS.contains(kind)
}
