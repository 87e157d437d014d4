//! Reading a record where it lies, in memory that the peer can write: for peers that are trusted not
//! to. Only with the feature `trusted-in-place`.

use tramline_core::PeerFault;

use super::consumer::{Consumer, Polled};
use super::memory::{OwnWords, PeerMap, PeerMemory};
use super::record::{HEADER, footprint, plain};

/// What a look at the ring found.
#[derive(Debug)]
pub(crate) enum InPlace<R> {
    /// A whole record, and what the closure made of it.
    Read(R),
    /// Anything else, as [`Consumer::poll`] says.
    Other(Polled),
}

/// Gives a record back to the peer, whatever happened while it was read.
struct Release<'c, W: OwnWords, P: PeerMemory> {
    consumer: &'c mut Consumer<W, P>,
    footprint: usize,
}

impl<W: OwnWords, P: PeerMemory> Drop for Release<'_, W, P> {
    fn drop(&mut self) {
        self.consumer.release(self.footprint);
    }
}

impl<W: OwnWords> Consumer<W, PeerMap> {
    /// As [`poll`](Self::poll), but a message of one record is shown to `read` where it lies. `read`
    /// is left in its place if nothing was shown to it.
    ///
    /// # Safety
    ///
    /// The peer changes no byte of a committed record before `head` has passed it.
    pub(crate) unsafe fn poll_in_place<R>(
        &mut self,
        read: &mut Option<impl FnOnce(&[u8]) -> R>,
    ) -> Result<InPlace<R>, PeerFault> {
        // The one read of this header; only the copy is judged and used.
        let Some(len) = plain(self.next_header(), self.state()) else {
            return self.poll().map(InPlace::Other);
        };
        let Some(read) = read.take() else { return Ok(InPlace::Other(Polled::Nothing)) };
        let start = self.peer().payload(self.state().offset() + HEADER, len);
        let release = Release { consumer: self, footprint: footprint(len) };
        // SAFETY:
        // - in bounds: `payload` asserted that the `len` bytes lie inside the ring; seals keep the
        //   file from shrinking under it.
        // - alive: `release` borrows the consumer, which holds the mapping, for longer than the
        //   slice, which `read` cannot keep: it takes one of any lifetime.
        // - unshared: the caller's promise. The header was acquired, so everything the peer wrote
        //   into the record before it was published is seen, and `head` passes the record only when
        //   `release` is dropped, behind this call.
        // - valid: every bit pattern is a valid `u8`.
        let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), len) };
        let result = read(bytes);
        drop(release);
        Ok(InPlace::Read(result))
    }
}
