//! Segments as sealed memory files.

use core::ffi::c_void;
use core::ptr::NonNull;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use super::limit::Charge;
use crate::layout::{self, FIXED_LEN, Fixed};

#[cfg(any(fuzzing, all(test, not(loom))))]
#[path = "heap.rs"]
mod heap;
#[cfg(feature = "named")]
#[path = "named.rs"]
mod named;
#[cfg(feature = "named")]
pub(crate) use named::NamedFile;

/// What keeps a file from changing size under a reader, and anyone but its owner from writing.
const NEEDED_SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE).union(SealFlags::SEAL);

/// File system type of plain memory files, from linux/magic.h. Hugetlb files take the same seals
/// and still kill their reader, so their type (0x958458f6) must not pass.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// A segment was not made, or a peer's was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// This process has mapped as much as it may.
    Limit,
    /// It is not what the wire format asks for.
    Unfit(&'static str),
    /// The system refused a step on our side.
    Os(&'static str, io::Error),
}

/// Mapped memory, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    behind: Behind,
    /// Given back when the memory is, for fields are dropped after the value itself.
    #[allow(dead_code, reason = "held for its drop")]
    charge: Charge,
}

/// What an address range belongs to, and so what `drop` does.
#[derive(Debug)]
enum Behind {
    /// A mapping of its own.
    Map,
    /// Not mapped but allocated, see `heap.rs`.
    #[cfg(any(fuzzing, all(test, not(loom))))]
    Heap,
    /// A part of a larger mapping, kept by whoever has a part of it.
    #[cfg(feature = "named")]
    Part(#[allow(dead_code, reason = "held for its drop")] std::sync::Arc<NamedFile>),
}

// SAFETY: a mapping belongs to the process, not to a thread. The type hands out addresses only;
// whoever reads or writes through them argues about sharing there.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`; `at` and `len` change nothing.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The address of the byte at `offset`, or of the end: an empty payload may lie there.
    #[inline]
    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len, "offset outside the mapping");
        // SAFETY: in bounds or one past, just asserted; mappings are far below `isize::MAX` bytes.
        unsafe { self.start.add(offset) }
    }

    /// Bytes mapped.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn new(file: BorrowedFd<'_>, len: usize, access: ProtFlags) -> Result<Self, Refused> {
        let charge = Charge::take(len).ok_or(Refused::Limit)?;
        // Populated at once: page faults belong to the handshake, not to the first messages.
        let flags = MapFlags::SHARED.union(MapFlags::POPULATE);
        let mut mapping = Self::with_flags(file, len, access, flags)
            .map_err(|error| Refused::Os("mmap", error))?;
        mapping.charge = charge;
        Ok(mapping)
    }

    /// Maps the first `len` bytes of `file`.
    pub(super) fn with_flags(
        file: BorrowedFd<'_>,
        len: usize,
        access: ProtFlags,
        flags: MapFlags,
    ) -> io::Result<Self> {
        // SAFETY:
        // - no address is asked for, so no existing mapping is replaced.
        // - what lies behind the new one is reached only through `at`, under the rules there.
        let start =
            unsafe { rustix::mm::mmap(core::ptr::null_mut(), len, access, flags, file, 0) }?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(Errno::NOMEM)?;
        Ok(Self { start, len, charge: Charge::nothing(), behind: Behind::Map })
    }

    /// Fills the part of our own segment that never changes. Before anyone else looks at it.
    pub(crate) fn write_fixed(&mut self, fixed: &[u8; FIXED_LEN]) {
        assert!(FIXED_LEN <= self.len, "a segment holds its header");
        let target = self.start.as_ptr();
        // SAFETY:
        // - in bounds: asserted; alive: `self` is mapped, and writable, for it is our own segment:
        //   `create` calls, and `named` for its own part.
        // - unshared: the file was not handed out yet; in `named` the peer has not been told yet.
        // - distinct: `fixed` is a Rust array.
        unsafe { core::ptr::copy_nonoverlapping(fixed.as_ptr(), target, FIXED_LEN) };
    }

    /// One private copy of the part of a peer's segment that must not change.
    pub(crate) fn read_fixed(&self) -> [u8; FIXED_LEN] {
        let mut copy = [0; FIXED_LEN];
        for (i, byte) in copy.iter_mut().enumerate() {
            let at = self.at(i).as_ptr();
            // SAFETY: in bounds, since a segment holds its header, and alive by `self`; volatile, because the peer may write meanwhile;
            // every bit pattern is a valid `u8`.
            *byte = unsafe { at.read_volatile() };
        }
        copy
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        match self.behind {
            Behind::Map => {}
            #[cfg(any(fuzzing, all(test, not(loom))))]
            Behind::Heap => return self.drop_heap(),
            #[cfg(feature = "named")]
            Behind::Part(_) => return,
        }
        let start = self.start.as_ptr().cast::<c_void>();
        // SAFETY: exactly what `new` mapped; addresses inside it are used only while `self` lives.
        let unmapped = unsafe { rustix::mm::munmap(start, self.len) };
        debug_assert!(unmapped.is_ok(), "a whole mapping can always be unmapped");
    }
}

/// Makes a segment of ours. The descriptor is for the peer.
pub(crate) fn create(capacity: u64, nonce: [u8; 16]) -> Result<(Mapping, OwnedFd, Fixed), Refused> {
    use Refused::Os;
    let page = rustix::param::page_size() as u64;
    let segment_len = layout::segment_len(capacity, page);
    let fixed = Fixed { segment_len, ring_capacity: capacity, nonce };
    let len = usize::try_from(segment_len).map_err(|_| Os("mmap", Errno::NOMEM.into()))?;
    let file = memory_file().map_err(|e| Os("memfd_create", e))?;
    rustix::fs::ftruncate(&file, segment_len).map_err(|e| Os("ftruncate", e.into()))?;
    let mut mapping = Mapping::new(file.as_fd(), len, ProtFlags::READ.union(ProtFlags::WRITE))?;
    mapping.write_fixed(&fixed.encode(u64::from(std::process::id())));
    // After the mapping: the seal stops later writers and leaves this one.
    rustix::fs::fcntl_add_seals(&file, NEEDED_SEALS).map_err(|e| Os("sealing", e.into()))?;
    Ok((mapping, file, fixed))
}

/// Checks and maps a peer's segment. The order matters: nothing is mapped before its type, its
/// seals and its size are known to be harmless.
pub(crate) fn accept(file: &OwnedFd, offer: &Fixed, max_capacity: u64) -> Result<Mapping, Refused> {
    use Refused::Unfit;
    check_file(file, NEEDED_SEALS, offer.segment_len)?;
    offer.check_offer(max_capacity, rustix::param::page_size() as u64).map_err(Unfit)?;
    let len = usize::try_from(offer.segment_len).map_err(|_| Unfit("too large for this host"))?;
    let mapping = Mapping::new(file.as_fd(), len, ProtFlags::READ)?;
    offer.check(&mapping.read_fixed()).map_err(Unfit)?;
    Ok(mapping)
}

/// Checks that a peer's file is a memory file with these seals and this length.
pub(super) fn check_file(file: &OwnedFd, seals: SealFlags, len: u64) -> Result<(), Refused> {
    use Refused::{Os, Unfit};
    // Fails on everything that is no memory file.
    let found = rustix::fs::fcntl_get_seals(file).map_err(|_| Unfit("not a memory file"))?;
    if !found.contains(seals) {
        return Err(Unfit("a needed seal is missing"));
    }
    let system = rustix::fs::fstatfs(file).map_err(|e| Os("fstatfs", e.into()))?;
    if u64::try_from(system.f_type) != Ok(TMPFS_MAGIC) {
        return Err(Unfit("not on tmpfs"));
    }
    let stat = rustix::fs::fstat(file).map_err(|e| Os("fstat", e.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Unfit("not a regular file"));
    }
    if u64::try_from(stat.st_size) != Ok(len) {
        return Err(Unfit("size differs from what was stated"));
    }
    Ok(())
}

/// Whether two descriptors are the same file. Only for segments: asking another file system can
/// take for ever.
pub(crate) fn is_same(one: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Whether this system has what segments need.
pub(crate) fn probe() -> io::Result<()> {
    let file = memory_file()?;
    rustix::fs::ftruncate(&file, rustix::param::page_size() as u64)?;
    rustix::fs::fcntl_add_seals(&file, NEEDED_SEALS)?;
    Ok(())
}

pub(super) fn memory_file() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC.union(MemfdFlags::ALLOW_SEALING);
    match rustix::fs::memfd_create("tramline", flags.union(MemfdFlags::NOEXEC_SEAL)) {
        // Before Linux 6.3 there is no such flag.
        Err(Errno::INVAL) => Ok(rustix::fs::memfd_create("tramline", flags)?),
        made => Ok(made?),
    }
}
