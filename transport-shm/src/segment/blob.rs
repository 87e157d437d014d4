//! Sealed memory files as bytes: made and filled by one process, read by any, changed by none.
//!
//! The only place where a slice over pages of another process is formed. What makes that sound is
//! the kernel: behind `F_SEAL_WRITE`, which it grants only while no writable mapping and no pinned
//! page exists, nobody can change a byte, and behind `F_SEAL_SHRINK` no page can go away.

use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::SealFlags;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use tramline_core::Pages;

use super::Refused;
use super::unix::{Mapping, check_file, memory_file};

/// What makes a memory file immutable, for good.
const NEEDED_SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE).union(SealFlags::SEAL);

/// Pages of a file that nobody can change. `map` alone makes one.
#[derive(Debug)]
struct SealedPages(Mapping);

impl SealedPages {
    /// Maps a file whose seals, type and length were checked, in this order, by the caller.
    ///
    /// Privately: before Linux 6.7 the kernel refuses a shared mapping behind `F_SEAL_WRITE`, even
    /// one for reading, and pages that nobody writes are the same pages either way. Not populated:
    /// whoever reads a part of a body pays for that part.
    fn map(file: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Mapping::with_flags(file, len, ProtFlags::READ, MapFlags::PRIVATE).map(Self)
    }
}

impl AsRef<[u8]> for SealedPages {
    fn as_ref(&self) -> &[u8] {
        let (start, len) = (self.0.at(0).as_ptr(), self.0.len());
        // SAFETY:
        // - in bounds: all of the mapping, whose length the file has and, by `SHRINK`, keeps, so no
        //   access can fault; a length comes from a `usize` and was mapped, so it is below
        //   `isize::MAX`.
        // - alive: the slice borrows `self`, which holds the mapping.
        // - shared: nobody writes. `WRITE` was seen on the file before it was mapped. The kernel
        //   grants that seal only when no writable mapping and no pinned page is left, refuses
        //   `write`, new writable mappings and holes from then on, and never takes a seal back.
        //   This mapping is read-only, and private besides.
        // - valid: files are zero where nothing was written, and every bit pattern is a `u8`.
        unsafe { std::slice::from_raw_parts(start, len) }
    }
}

/// The body of a message that goes from process to process as the pages it lies in, without a copy.
///
/// Its bytes can be read like any slice, for as long as anyone likes; nobody can change them any
/// more, in any process: the kernel sees to it. Clones are the same pages.
///
/// Making one costs more than copying: fresh pages from the system, and a descriptor. It pays where
/// the bytes are made in place, are kept, or go to several peers. See `docs/DECISIONS.md`.
///
/// # Examples
///
/// ```
/// use tramline_transport_shm::SealedBlob;
///
/// let blob = SealedBlob::write_with(1 << 20, |bytes| bytes[..5].copy_from_slice(b"hello"))?;
/// assert_eq!(blob.len(), 1 << 20);
/// assert_eq!(&blob[..6], b"hello\0");
///
/// // No copy: the same pages.
/// let bytes = bytes::Bytes::from(blob.clone());
/// assert_eq!(bytes.as_ptr(), blob.as_ptr());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SealedBlob(Arc<Sealed>);

/// A sealed file of ours, and our view of it; no view if it is empty.
#[derive(Debug)]
pub(crate) struct Sealed {
    file: OwnedFd,
    pages: Option<SealedPages>,
}

impl Sealed {
    /// The file, to hand over.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn seal(file: OwnedFd, len: usize) -> io::Result<Self> {
        rustix::fs::fcntl_add_seals(&file, NEEDED_SEALS)?;
        let pages = if len == 0 { None } else { Some(SealedPages::map(file.as_fd(), len)?) };
        Ok(Self { file, pages })
    }
}

impl AsRef<[u8]> for Sealed {
    fn as_ref(&self) -> &[u8] {
        self.pages.as_ref().map_or(&[], |pages| pages.as_ref())
    }
}

impl Pages for Sealed {
    fn bytes(&self) -> &[u8] {
        self.as_ref()
    }
}

impl SealedBlob {
    /// A copy of these bytes.
    ///
    /// # Errors
    ///
    /// The system has no memory, no descriptor, or no sealed memory files.
    pub fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        let file = memory_file()?;
        rustix::fs::ftruncate(&file, bytes.len() as u64)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = (bytes.len() - rest.len()) as u64;
            let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(&file, rest, at))?;
            rest = rest.get(written..).filter(|_| written > 0).ok_or(io::ErrorKind::WriteZero)?;
        }
        Ok(Self(Arc::new(Sealed::seal(file, bytes.len())?)))
    }

    /// `len` bytes, zero at first, that `fill` writes in place.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes).
    pub fn write_with(len: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        let mut builder = Self::builder(len)?;
        fill(&mut builder);
        builder.seal()
    }

    /// `len` bytes, zero at first, to be written in place and sealed.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes).
    pub fn builder(len: usize) -> io::Result<BlobBuilder> {
        let file = memory_file()?;
        rustix::fs::ftruncate(&file, len as u64)?;
        let mapping = if len == 0 {
            None
        } else {
            let access = ProtFlags::READ.union(ProtFlags::WRITE);
            let flags = MapFlags::SHARED.union(MapFlags::POPULATE);
            let mapping = Mapping::with_flags(file.as_fd(), len, access, flags)?;
            let start = mapping.at(0).cast().as_ptr();
            // SAFETY: exactly the mapping just made. It changes what `fork` does and nothing here:
            // a child would keep the file writable, and so unsealable, until it has called `exec`.
            unsafe { rustix::mm::madvise(start, len, Advice::LinuxDontFork) }?;
            Some(mapping)
        };
        Ok(BlobBuilder { mapping, file })
    }

    /// What a transport hands over.
    pub(crate) fn pages(&self) -> Arc<dyn Pages> {
        Arc::clone(&self.0) as Arc<dyn Pages>
    }
}

impl Deref for SealedBlob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// A blob that is being written: derefs to its bytes.
///
/// # Examples
///
/// ```
/// let mut builder = tramline_transport_shm::SealedBlob::builder(3)?;
/// builder.copy_from_slice(b"abc");
/// assert_eq!(&*builder.seal()?, b"abc");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct BlobBuilder {
    /// Goes before the file is sealed. `None` if it is empty.
    mapping: Option<Mapping>,
    file: OwnedFd,
}

impl BlobBuilder {
    /// Makes the bytes immutable, for good.
    ///
    /// # Errors
    ///
    /// The system refuses: another process, which may look into this one, has mapped the file.
    pub fn seal(self) -> io::Result<SealedBlob> {
        let len = self.len();
        drop(self.mapping);
        Ok(SealedBlob(Arc::new(Sealed::seal(self.file, len)?)))
    }
}

impl Deref for BlobBuilder {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let Some(mapping) = &self.mapping else { return &[] };
        // SAFETY: as in `deref_mut`; shared with other readers of `self` only.
        unsafe { std::slice::from_raw_parts(mapping.at(0).as_ptr(), mapping.len()) }
    }
}

impl DerefMut for BlobBuilder {
    fn deref_mut(&mut self) -> &mut [u8] {
        let Some(mapping) = &self.mapping else { return &mut [] };
        // SAFETY:
        // - in bounds: all of the mapping; the file has this length, and nobody else has the file.
        // - alive: the slice borrows `self`, which holds the mapping.
        // - unshared: the file was handed to nobody; this is its only mapping, reached only through
        //   `self`, and a forked child does not get it. A process that opens it through procfs could
        //   as well debug this one, about which nothing is claimed.
        // - valid: fresh pages are zero, and every bit pattern is a valid `u8`.
        unsafe { std::slice::from_raw_parts_mut(mapping.at(0).as_ptr(), mapping.len()) }
    }
}

/// Checks and maps a body that a peer handed over. As with segments, nothing is mapped before its
/// seals, its type and its size are known. The descriptor is closed: whoever keeps bodies keeps
/// pages, not descriptors.
pub(crate) fn accept(file: &OwnedFd, len: usize) -> Result<Bytes, Refused> {
    check_file(file, NEEDED_SEALS, len as u64)?;
    let pages = SealedPages::map(file.as_fd(), len).map_err(|e| Refused::Os("mmap", e))?;
    Ok(Bytes::from_owner(pages))
}
