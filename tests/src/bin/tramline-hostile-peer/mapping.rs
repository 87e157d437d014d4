//! Raw access to a memory file: the one room of this program with `unsafe` in it.
//!
//! A hostile peer needs nothing else by force: everything it does to the other side it does by
//! writing words into memory of its own that the other side reads.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use rustix::thread::futex;

/// A shared mapping, unmapped when dropped. Within this process a byte is reached either by the
/// 32-bit or by the 64-bit functions while other threads use it, never by both.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: a mapping belongs to the process, not to a thread; all access is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of a file that this process has made.
    pub(crate) fn of_ours(file: BorrowedFd<'_>, len: usize) -> Result<Self, Errno> {
        Self::new(file, len, true)
    }

    /// Maps the first `len` bytes of a file that the other side has made.
    pub(crate) fn of_theirs(file: BorrowedFd<'_>, len: usize) -> Result<Self, Errno> {
        Self::new(file, len, false)
    }

    fn new(file: BorrowedFd<'_>, len: usize, writable: bool) -> Result<Self, Errno> {
        let mut access = ProtFlags::READ;
        access.set(ProtFlags::WRITE, writable);
        // SAFETY: no address is asked for, so no existing mapping is replaced; what lies behind the
        // new one is reached only through the functions below.
        let start = unsafe { rustix::mm::mmap(null_mut(), len, access, MapFlags::SHARED, file, 0) };
        let start = NonNull::new(start?.cast::<u8>()).ok_or(Errno::NOMEM)?;
        Ok(Self { start, len, writable })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn word64(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.len, "no such word: {at:#x}");
        let word = self.start.as_ptr().wrapping_add(at).cast::<u64>();
        // SAFETY:
        // - in bounds, aligned: asserted; a mapping is page aligned.
        // - alive: the reference borrows `self`, which holds the mapping. The file does not shrink:
        //   the other side seals its own, and nobody shrinks ours.
        // - shared: other processes change it, so it is atomic, always of this size.
        unsafe { AtomicU64::from_ptr(word) }
    }

    fn word32(&self, at: usize) -> &AtomicU32 {
        assert!(at.is_multiple_of(4) && at + 4 <= self.len, "no such word: {at:#x}");
        let word = self.start.as_ptr().wrapping_add(at).cast::<u32>();
        // SAFETY: as in `word64`.
        unsafe { AtomicU32::from_ptr(word) }
    }

    fn assert_writable(&self) {
        assert!(self.writable, "only our own memory can be written");
    }

    /// A 64-bit word, and what was written before it.
    pub(crate) fn load64(&self, at: usize) -> u64 {
        // Relaxed, then a fence: std allows no other load from memory that is mapped read-only.
        let word = self.word64(at).load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        word
    }

    /// Publishes a 64-bit word.
    pub(crate) fn store64(&self, at: usize, word: u64) {
        self.assert_writable();
        self.word64(at).store(word, Ordering::Release);
    }

    /// Publishes a 32-bit word.
    pub(crate) fn store32(&self, at: usize, word: u32) {
        self.assert_writable();
        self.word32(at).store(word, Ordering::Release);
    }

    /// Writes bytes from an offset that is a multiple of 8 on; up to seven zeros follow them.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        self.assert_writable();
        for (index, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word64(at + 8 * index).store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
    }

    /// Copies bytes from an offset that is a multiple of 8 on.
    pub(crate) fn read(&self, at: usize, len: usize) -> Vec<u8> {
        let words = (0..len.div_ceil(8))
            .flat_map(|index| self.word64(at + 8 * index).load(Ordering::Relaxed).to_le_bytes());
        words.take(len).collect()
    }

    /// Adds 1 to a 32-bit word of ours and wakes whoever sleeps on it.
    pub(crate) fn ring(&self, at: usize) {
        self.assert_writable();
        self.word32(at).fetch_add(1, Ordering::Release);
        let _ = futex::wake(self.word32(at), futex::Flags::empty(), i32::MAX.unsigned_abs());
    }

    /// Tries to free the first `len` bytes behind everyone's back.
    pub(crate) fn try_remove(&self, len: usize) -> Result<(), Errno> {
        // SAFETY: inside the mapping. If it works the bytes read as zero: all access is atomic and
        // every bit pattern is valid.
        unsafe { rustix::mm::madvise(self.address(), len, Advice::LinuxRemove) }
    }

    /// Tries to make the first `len` bytes writable.
    pub(crate) fn try_make_writable(&self, len: usize) -> Result<(), Errno> {
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: inside the mapping; nothing relies on it being read-only.
        unsafe { rustix::mm::mprotect(self.address(), len, access) }
    }

    fn address(&self) -> *mut c_void {
        self.start.as_ptr().cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped; references into it borrow `self`.
        let _ = unsafe { rustix::mm::munmap(self.address(), self.len) };
    }
}
