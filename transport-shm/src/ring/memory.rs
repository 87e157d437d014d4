//! What the ring needs of memory, and the two mappings that provide it.
//!
//! Our own segment is written by us alone: the kernel refuses every other writer. The peer's
//! segment changes at any time: it is reached only through [`PeerMap`], one word or one copy at a
//! time, and no reference to its bytes is ever formed.
//!
//! In a link of the feature `named` the kernel refuses nobody: "other processes can only read" is
//! there what the caller of its unsafe functions promised.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::Side;
use crate::counters::Counter;
use crate::layout;
use crate::segment::Mapping;
use crate::sync::{AtomicU32, AtomicU64, Ordering, Site, fence_at};
use crate::wake::futex;

#[cfg(any(fuzzing, all(test, not(loom))))]
pub(crate) mod heap;

/// The ring of our own segment. One owner: the producer.
pub(crate) trait OwnRing {
    /// Bytes of the ring.
    fn capacity(&self) -> usize;
    /// Stores a header at `offset`.
    fn store_header(&mut self, offset: usize, word: u64, order: Ordering);
    /// The bytes from `offset` on, to write a payload into.
    fn slot(&mut self, offset: usize, len: usize) -> &mut [u8];
    /// Says that the line at `offset` will be written soon.
    fn will_write(&self, offset: usize) {
        let _ = offset;
    }
}

/// The words of our own segment. A memory provides the bare accesses; the orders are stated once,
/// in the provided methods, for mappings and models alike.
pub(crate) trait OwnWords {
    /// Stores `head`.
    fn put_head(&self, head: u64, order: Ordering);
    /// Stores a park word.
    fn put_park(&self, side: Side, word: u32, order: Ordering);
    /// Adds 1 to a bell.
    fn bump_bell(&self, side: Side, order: Ordering);
    /// Wakes whoever sleeps on a bell, in the way that the sleeper's park word names.
    fn wake_sleepers(&self, side: Side, park: u32);
    /// Counts. Advisory.
    fn count(&self, counter: Counter, by: u64);

    /// Publishes how far we have read.
    #[inline]
    fn store_head(&self, head: u64) {
        // PAIRS WITH the acquire in `PeerMemory::head` of the producer at the other end (P2): it
        // reuses bytes only after we have read them.
        self.put_head(head, Ordering::Release);
    }

    /// Announces or takes back a sleep. A fence follows where order matters.
    #[inline]
    fn store_park(&self, side: Side, word: u32) {
        self.put_park(side, word, Ordering::Relaxed);
    }

    /// Bumps the bell, then wakes the peer's sleepers, who announced themselves with `park`.
    fn ring_bell(&self, side: Side, park: u32) {
        // PAIRS WITH the acquire in `PeerMemory::bell`, which a sleeper does before it announces its
        // sleep, and with the kernel's comparison (P5): a wake for one announcement is always
        // younger than the ticket taken with it.
        self.bump_bell(side, Ordering::Release);
        self.wake_sleepers(side, park);
    }
}

/// The peer's segment, as far as we read it. A memory provides bare relaxed loads, for std allows
/// no others from read-only memory; the provided methods put an acquire fence behind them.
pub(crate) trait PeerMemory {
    /// Bytes of the ring.
    fn capacity(&self) -> usize;
    /// Appends `len` payload bytes from `offset` on to `into`.
    fn copy_out(&self, offset: usize, len: usize, into: &mut BytesMut);
    /// Loads the header at `offset`, relaxed.
    fn load_header(&self, offset: usize) -> u64;
    /// Loads `head`, relaxed.
    fn load_head(&self) -> u64;
    /// Loads the park word for `side`, relaxed.
    fn load_park(&self, side: Side) -> u32;
    /// Loads the bell for `side`, relaxed.
    fn load_bell(&self, side: Side) -> u32;

    /// The header at `offset`, acquired.
    #[inline]
    fn header(&self, offset: usize) -> u64 {
        let word = self.load_header(offset);
        // PAIRS WITH the release in `Producer::publish` (P1).
        fence_at(Site::HeaderLoad, Ordering::Acquire);
        word
    }

    /// How far the peer says it has read, acquired.
    #[inline]
    fn head(&self) -> u64 {
        let head = self.load_head();
        // PAIRS WITH the release in `OwnWords::store_head` (P2).
        fence_at(Site::HeadLoad, Ordering::Acquire);
        head
    }

    /// The peer's park word for `side`, acquired: a bell that answers it is bumped after it.
    #[inline]
    fn park(&self, side: Side) -> u32 {
        let word = self.load_park(side);
        fence_at(Site::ParkLoad, Ordering::Acquire);
        word
    }

    /// The peer's bell for `side`, acquired.
    #[inline]
    fn bell(&self, side: Side) -> u32 {
        let bell = self.load_bell(side);
        // PAIRS WITH the release in `OwnWords::ring_bell` (P5).
        fence_at(Site::BellLoad, Ordering::Acquire);
        bell
    }
}

/// How the peer's words are loaded; the fences above do the rest. ThreadSanitizer knows no fences, so
/// under it, where no memory is read-only, the loads themselves acquire.
const LOAD: Ordering = if cfg!(tramline_tsan) { Ordering::Acquire } else { Ordering::Relaxed };

/// Our own segment's words. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct OwnMap {
    mapping: Arc<Mapping>,
}

/// Our own segment's ring. Not clonable: its slots are `&mut`.
#[derive(Debug)]
pub(crate) struct OwnRingMap {
    mapping: Arc<Mapping>,
    capacity: usize,
}

/// Splits a fresh segment of ours into its words and its ring.
pub(crate) fn own(mapping: Mapping, capacity: usize) -> (OwnMap, OwnRingMap) {
    assert!(layout::HEADER_LEN + capacity <= mapping.len(), "our own segment is too small");
    let mapping = Arc::new(mapping);
    (OwnMap { mapping: Arc::clone(&mapping) }, OwnRingMap { mapping, capacity })
}

impl OwnMap {
    /// A 32-bit word of the header at `offset`.
    pub(crate) fn word32(&self, offset: usize) -> &AtomicU32 {
        assert!(offset < layout::HEADER_LEN && offset.is_multiple_of(4), "no such word");
        let at = self.mapping.at(offset).cast::<u32>().as_ptr();
        // SAFETY:
        // - in bounds, aligned: asserted above; a mapping is page aligned and holds a header.
        // - alive: `self` holds the mapping.
        // - shared: within this process the word is reached only through this function, always as
        //   the same atomic type; other processes can only read it (F_SEAL_FUTURE_WRITE). The
        //   words of a `named` meeting are written by two processes, all through this function.
        unsafe { AtomicU32::from_ptr(at) }
    }

    /// How far we have said that we read. A hint.
    pub(crate) fn told_head(&self) -> u64 {
        self.word64(layout::HEAD).load(Ordering::Relaxed)
    }

    /// How often we have said that we sleep until data comes. A hint.
    pub(crate) fn told_epoch(&self) -> u32 {
        super::epoch(self.word32(layout::RX_PARK).load(Ordering::Relaxed))
    }

    /// A 64-bit word of the header at `offset`.
    pub(crate) fn word64(&self, offset: usize) -> &AtomicU64 {
        assert!(offset < layout::HEADER_LEN && offset.is_multiple_of(8), "no such word");
        let at = self.mapping.at(offset).cast::<u64>().as_ptr();
        // SAFETY: as in `word32`; the 64-bit words (head, counters, probe) lie apart from the 32-bit
        // ones.
        unsafe { AtomicU64::from_ptr(at) }
    }

    /// Stores the probe word, for [`Probe`](crate::probe::Probe).
    #[inline]
    pub(crate) fn store_probe(&self, value: u64) {
        // PAIRS WITH the acquire in `PeerMap::probe`; nothing else hangs on it.
        self.word64(layout::PROBE).store(value, Ordering::Release);
    }
}

impl OwnWords for OwnMap {
    #[inline]
    fn put_head(&self, head: u64, order: Ordering) {
        self.word64(layout::HEAD).store(head, order);
    }

    #[inline]
    fn put_park(&self, side: Side, word: u32, order: Ordering) {
        self.word32(park_offset(side)).store(word, order);
    }

    #[inline]
    fn bump_bell(&self, side: Side, order: Ordering) {
        self.word32(bell_offset(side)).fetch_add(1, order);
    }

    fn wake_sleepers(&self, side: Side, _park: u32) {
        futex::wake_shared(self.word32(bell_offset(side)));
    }

    #[inline]
    fn count(&self, counter: Counter, by: u64) {
        // Load and store, since a locked add would cost more than the count is worth: the two
        // counters that both halves touch may lose a count.
        let word = self.word64(layout::COUNTERS + 8 * counter as usize);
        word.store(word.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }
}

impl OwnRing for OwnRingMap {
    #[inline]
    fn capacity(&self) -> usize {
        self.capacity
    }

    #[inline]
    fn store_header(&mut self, offset: usize, word: u64, order: Ordering) {
        assert!(offset < self.capacity && offset.is_multiple_of(8), "header outside the ring");
        let at = self.mapping.at(layout::HEADER_LEN + offset).cast::<u64>().as_ptr();
        // SAFETY:
        // - in bounds, aligned: asserted above; `own` made sure that the mapping holds the ring,
        //   and capacities are multiples of 8.
        // - alive: `self` holds the mapping.
        // - unshared here: `&mut self` is the only way to the ring in this process, so no slot is
        //   borrowed now. Other processes can only read.
        let header = unsafe { AtomicU64::from_ptr(at) };
        header.store(word, order);
    }

    #[inline]
    fn will_write(&self, offset: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            let at = self.mapping.at(layout::HEADER_LEN).as_ptr().wrapping_add(offset);
            // SAFETY: a hint: it reads and writes nothing and faults on no address.
            unsafe {
                core::arch::asm!(
                    "prefetchw [{at}]",
                    at = in(reg) at,
                    options(nostack, preserves_flags, readonly)
                );
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = offset;
    }

    #[inline]
    fn slot(&mut self, offset: usize, len: usize) -> &mut [u8] {
        let end = offset.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.capacity), "slot outside the ring");
        let at = self.mapping.at(layout::HEADER_LEN + offset).as_ptr();
        // SAFETY:
        // - in bounds: asserted above; `own` made sure that the mapping holds the ring.
        // - alive: the slice borrows `self`, which holds the mapping.
        // - unshared: `&mut self` is the only way to the ring in this process. Other processes can
        //   only read; a peer that reads an uncommitted record harms only itself.
        // - valid: fresh memory is zero, and every bit pattern is a valid `u8`.
        unsafe { std::slice::from_raw_parts_mut(at, len) }
    }
}

/// The peer's segment, mapped read-only. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PeerMap {
    mapping: Arc<Mapping>,
    capacity: usize,
}

impl PeerMap {
    /// Wraps a mapping whose header was checked and says `capacity`.
    pub(crate) fn new(mapping: Mapping, capacity: usize) -> Self {
        assert!(layout::HEADER_LEN + capacity <= mapping.len(), "the offer was checked");
        Self { mapping: Arc::new(mapping), capacity }
    }

    /// The address of a bell, to sleep on.
    pub(crate) fn bell_ptr(&self, side: Side) -> *const u32 {
        self.mapping.at(bell_offset(side)).cast::<u32>().as_ptr()
    }

    /// The peer's state word. A hint.
    pub(crate) fn state(&self) -> u32 {
        let state = self.load_u32(layout::STATE);
        // PAIRS WITH the peer's release stores of its state.
        core::sync::atomic::fence(Ordering::Acquire);
        state
    }

    /// The peer's probe word. Whatever it says, nothing but a measurement depends on it.
    #[inline]
    pub(crate) fn probe(&self) -> u64 {
        let value = self.load_u64(layout::PROBE);
        // PAIRS WITH the release in `OwnMap::store_probe`.
        core::sync::atomic::fence(Ordering::Acquire);
        value
    }

    /// The address of `len` payload bytes at `offset`.
    #[cfg(feature = "trusted-in-place")]
    pub(crate) fn payload(&self, offset: usize, len: usize) -> core::ptr::NonNull<u8> {
        let end = offset.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.capacity), "payload outside the ring");
        self.mapping.at(layout::HEADER_LEN + offset)
    }

    /// One 32-bit word, relaxed.
    fn load_u32(&self, offset: usize) -> u32 {
        assert!(offset < layout::HEADER_LEN && offset.is_multiple_of(4), "no such word");
        let at = self.mapping.at(offset).cast::<u32>().as_ptr();
        // SAFETY:
        // - in bounds, aligned: asserted above; a mapping is page aligned and holds a header.
        // - alive: `self` holds the mapping; seals keep the file from shrinking under it.
        // - shared: the foreign writer makes this an atomic access, always of this size at this
        //   address. The reference to this one atomic ends within this function.
        // - read-only: std allows relaxed loads from read-only memory, hence the callers' fences
        //   instead of an acquire load.
        unsafe { AtomicU32::from_ptr(at) }.load(LOAD)
    }

    /// One 64-bit word, relaxed. `offset` counts from the segment's start.
    #[inline]
    pub(crate) fn load_u64(&self, offset: usize) -> u64 {
        assert!(
            offset < layout::HEADER_LEN + self.capacity && offset.is_multiple_of(8),
            "no such word"
        );
        let at = self.mapping.at(offset).cast::<u64>().as_ptr();
        // SAFETY: as in `load_u32`; headers and `head` are always read as 64-bit words. A header
        // may lie where payload lay before; that was copied by volatile reads or by the processor,
        // never through a reference.
        unsafe { AtomicU64::from_ptr(at) }.load(LOAD)
    }
}

impl PeerMemory for PeerMap {
    #[inline]
    fn capacity(&self) -> usize {
        self.capacity
    }

    #[inline]
    fn load_header(&self, offset: usize) -> u64 {
        self.load_u64(layout::HEADER_LEN + offset)
    }

    #[inline(always)]
    fn copy_out(&self, offset: usize, len: usize, into: &mut BytesMut) {
        let end = offset.checked_add(len.next_multiple_of(8));
        assert!(
            offset.is_multiple_of(8) && end.is_some_and(|end| end <= self.capacity),
            "payload outside the ring"
        );
        into.reserve(len);
        let target = into.chunk_mut().as_mut_ptr();
        let source = self.mapping.at(layout::HEADER_LEN + offset).as_ptr().cast_const();
        // SAFETY:
        // - source: `len` rounded up to 8 lies inside the ring, asserted above, and is 8-aligned,
        //   since mapping, header and `offset` are. `self` keeps it mapped.
        // - target: `reserve` made room for `len` bytes; `chunk_mut` of a `BytesMut` is all of it.
        // - distinct: the target is private heap memory, never part of a mapping.
        unsafe { copy_from_peer(source, target, len) };
        // SAFETY: the copy wrote `len` bytes right behind the old length, inside the capacity.
        unsafe { into.advance_mut(len) };
    }

    #[inline]
    fn load_head(&self) -> u64 {
        self.load_u64(layout::HEAD)
    }

    #[inline]
    fn load_park(&self, side: Side) -> u32 {
        self.load_u32(park_offset(side))
    }

    fn load_bell(&self, side: Side) -> u32 {
        self.load_u32(bell_offset(side))
    }
}

fn park_offset(side: Side) -> usize {
    match side {
        Side::Data => layout::RX_PARK,
        Side::Space => layout::TX_PARK,
    }
}

fn bell_offset(side: Side) -> usize {
    match side {
        Side::Data => layout::DATA_BELL,
        Side::Space => layout::SPACE_BELL,
    }
}

/// Up to here a loop over words beats the processor's block copy. Measured: 5 against 10 ns at 256
/// bytes, 18 against 16 ns at 1 KiB.
#[cfg(target_arch = "x86_64")]
const WORDS_UP_TO: usize = 256;

/// No sanitizer sees the block copy, so under one the loop does everything.
#[cfg(target_arch = "x86_64")]
const BLOCK_COPY: bool = !cfg!(any(tramline_tsan, fuzzing));

/// The one way payload leaves the peer's segment. The source may change during the copy: the
/// result is then some mixture, which is judged like any other bytes from a peer.
///
/// # Safety
///
/// - `source` is 8-aligned and readable for `len` bytes rounded up to 8.
/// - `target` is writable for `len` bytes and apart from the source.
#[inline(always)]
unsafe fn copy_from_peer(source: *const u8, target: *mut u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if BLOCK_COPY && len > WORDS_UP_TO {
        // SAFETY:
        // - bounds: the caller's promise. The direction flag is clear in Rust code.
        // - shared: the copy happens outside the language, so a foreign write during it is no data
        //   race of ours; every bit pattern it can produce is a valid `u8`.
        unsafe {
            core::arch::asm!(
                "rep movsb",
                inout("rcx") len => _,
                inout("rdi") target => _,
                inout("rsi") source => _,
                options(nostack, preserves_flags)
            );
        }
        return;
    }
    let whole = len & !7;
    let mut at = 0;
    while at < whole {
        let from = source.wrapping_add(at).cast::<u64>();
        // SAFETY: in bounds and aligned by the caller's promise. Volatile, because a foreign
        // process may write meanwhile: one read, never repeated, nothing assumed.
        let word = unsafe { from.read_volatile() };
        // SAFETY: in bounds by the caller's promise; alignment is not needed.
        unsafe { target.wrapping_add(at).cast::<u64>().write_unaligned(word) };
        at += 8;
    }
    if at < len {
        let from = source.wrapping_add(at).cast::<u64>();
        // SAFETY: as above; the last word is readable as a whole, since records are rounded up to 8.
        let word = unsafe { from.read_volatile() }.to_le_bytes();
        for (i, byte) in word.iter().enumerate().take(len - at) {
            // SAFETY: `at + i < len`, in bounds by the caller's promise.
            unsafe { target.wrapping_add(at + i).write(*byte) };
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_every_byte_and_no_more() {
        let source: Vec<u64> =
            (0..200_u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let bytes: Vec<u8> = source.iter().flat_map(|w| w.to_le_bytes()).collect();
        for len in (0..300).chain([1000, 1599, 1600]) {
            let mut target = vec![0xEE_u8; len + 3];
            // SAFETY: the source holds 1600 bytes and is 8-aligned; the target has room for `len`.
            unsafe {
                copy_from_peer(source.as_ptr().cast(), target.as_mut_ptr().wrapping_add(1), len)
            };
            assert_eq!(target[0], 0xEE);
            assert_eq!(&target[1..=len], &bytes[..len], "len {len}");
            assert_eq!(&target[len + 1..], [0xEE; 2]);
        }
    }
}
