//! A named file of the `shared_memory` crate, mapped writable by both sides, and cut into parts.

use core::ptr::NonNull;
use std::fmt;
use std::io;
use std::sync::Arc;

use rustix::mm::MprotectFlags;
use shared_memory::{Shmem, ShmemConf, ShmemError};

use super::{Behind, Mapping};
use crate::segment::limit::Charge;

/// The whole of a named file, mapped. Unmapped with the last of its parts.
pub(crate) struct NamedFile(Shmem);

// SAFETY: a mapping and a descriptor belong to the process, not to a thread, and so does their end.
unsafe impl Send for NamedFile {}
// SAFETY: as for `Send`; nothing here changes it through a shared reference.
unsafe impl Sync for NamedFile {}

impl NamedFile {
    /// Makes a file of `len` zero bytes. Whoever calls takes the name away again.
    pub(crate) fn create(os_id: &str, len: usize) -> io::Result<Arc<Self>> {
        let mut whole = ShmemConf::new().os_id(os_id).size(len).create().map_err(io_error)?;
        // Else the name would go only together with the mapping.
        whole.set_owner(false);
        Ok(Arc::new(Self(whole)))
    }

    /// Maps a file, however large it is.
    pub(crate) fn open(os_id: &str) -> io::Result<Arc<Self>> {
        let whole = ShmemConf::new().os_id(os_id).open().map_err(io_error)?;
        Ok(Arc::new(Self(whole)))
    }

    /// Bytes mapped.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for NamedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedFile").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The numbers inside are those of `errno`.
fn io_error(error: ShmemError) -> io::Error {
    match error {
        ShmemError::MapCreateFailed(errno)
        | ShmemError::MapOpenFailed(errno)
        | ShmemError::UnknownOsError(errno) => {
            io::Error::from_raw_os_error(errno.try_into().unwrap_or(0))
        }
        ShmemError::MappingIdExists => io::ErrorKind::AlreadyExists.into(),
        other => io::Error::other(other),
    }
}

impl Mapping {
    /// The bytes `offset..offset + len` of `file`.
    pub(crate) fn part(file: &Arc<NamedFile>, offset: usize, len: usize) -> Self {
        let end = offset.checked_add(len);
        assert!(end.is_some_and(|end| end <= file.len()), "part outside the file");
        let Some(start) = NonNull::new(file.0.as_ptr()) else { panic!("mapped at address 0") };
        // SAFETY: in bounds, just asserted; mappings are far below `isize::MAX` bytes.
        let start = unsafe { start.add(offset) };
        Self { start, len, behind: Behind::Part(Arc::clone(file)), charge: Charge::nothing() }
    }

    /// As [`part`](Self::part), of whole pages that this process does not write: from here on not
    /// even by mistake.
    pub(crate) fn read_only_part(
        file: &Arc<NamedFile>,
        offset: usize,
        len: usize,
    ) -> io::Result<Self> {
        let part = Self::part(file, offset, len);
        // SAFETY:
        // - in bounds: `part` checked; alive: it holds the mapping.
        // - nobody writes there: the whole mapping is reached only through parts, and the others
        //   lie elsewhere.
        unsafe { rustix::mm::mprotect(part.start.as_ptr().cast(), len, MprotectFlags::READ) }?;
        Ok(part)
    }
}
