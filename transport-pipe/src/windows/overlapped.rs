//! Reads and writes that go on while their thread does something else, and can be cancelled.
#![allow(unsafe_code)] // the system writes into memory that we promise to keep

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, ERROR_IO_INCOMPLETE, ERROR_IO_PENDING, WAIT_FAILED,
};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, SetEvent, WaitForMultipleObjects,
};

/// Bytes that one operation moves at most. A choice: the step in which frames are read.
pub(super) const OPERATION_LEN: u32 = 64 << 10;

/// A flag of the system that threads can wait for.
#[derive(Debug)]
pub(super) struct Event(OwnedHandle);

impl Event {
    /// `manual`: stays set when a wait has seen it.
    pub(super) fn new(manual: bool) -> io::Result<Self> {
        // SAFETY: no pointer is passed except two nulls, which the call allows.
        let handle = unsafe { CreateEventW(ptr::null(), i32::from(manual), 0, ptr::null()) };
        Self::made(handle)
    }

    /// A flag that other processes find under `name`, and whether it was there already.
    pub(super) fn named(name: &str) -> io::Result<(Self, bool)> {
        let name: Vec<u16> = name.encode_utf16().chain([0]).collect();
        // SAFETY: in bounds: `name` ends with a zero; the other pointer may be null.
        let handle = unsafe { CreateEventW(ptr::null(), 1, 0, name.as_ptr()) };
        let existed = is_code(&io::Error::last_os_error(), ERROR_ALREADY_EXISTS);
        Ok((Self::made(handle)?, existed))
    }

    fn made(handle: RawHandle) -> io::Result<Self> {
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY:
        // - valid: not null, so the system has made it.
        // - unshared: made just now, and given to nobody else.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    pub(super) fn set(&self) {
        // SAFETY: alive: `self` owns the handle. It has the right to be set, having made it.
        let _ = unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    fn raw(&self) -> RawHandle {
        self.0.as_raw_handle()
    }
}

/// What the system works on while an operation is under way.
#[repr(C)]
struct Slot {
    overlapped: OVERLAPPED,
    bytes: [u8; OPERATION_LEN as usize],
}

/// At most one read or write at a time, with the memory for it.
///
/// While one is pending the slot belongs to the system: nothing here looks into it, and it is not
/// freed before the system has said that it is done.
#[derive(Debug)]
pub(super) struct Operation {
    pipe: Arc<OwnedHandle>,
    done: Event,
    /// From a `Box`; unshared unless `pending`.
    slot: NonNull<Slot>,
    pending: bool,
}

// SAFETY: unshared: the slot is reached through this value only, and by the system, which does not
// mind from which thread it is asked.
unsafe impl Send for Operation {}

impl Operation {
    /// `pipe` must have been opened for overlapped operations.
    pub(super) fn new(pipe: Arc<OwnedHandle>) -> io::Result<Self> {
        let done = Event::new(true)?;
        let slot = Box::new(Slot {
            overlapped: OVERLAPPED::default(),
            bytes: [0; OPERATION_LEN as usize],
        });
        Ok(Self { pipe, done, slot: NonNull::from(Box::leak(slot)), pending: false })
    }

    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// Starts to read. The bytes are in [`bytes`](Self::bytes) once it is finished.
    pub(super) fn read(&mut self) -> io::Result<()> {
        let (overlapped, bytes) = self.prepare();
        // SAFETY:
        // - in bounds: `bytes` is `OPERATION_LEN` long.
        // - alive: the pipe is owned by `self`; the slot is kept until the operation is finished,
        //   by `drop` at the latest.
        // - unshared: nothing looks into the slot while `pending`, which `started` sets.
        let ok = unsafe {
            ReadFile(self.pipe.as_raw_handle(), bytes, OPERATION_LEN, ptr::null_mut(), overlapped)
        };
        self.started(ok)
    }

    /// Starts to write the beginning of `from`; how much of it.
    pub(super) fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let len = u32::try_from(from.len()).unwrap_or(u32::MAX).min(OPERATION_LEN);
        let (overlapped, bytes) = self.prepare();
        // SAFETY:
        // - in bounds: `len` is at most the length of `from`, and at most `OPERATION_LEN`.
        // - unshared: `prepare` has made sure that nothing is pending.
        // - distinct: `from` is a Rust slice, and none points into the slot.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), bytes, len as usize) };
        // SAFETY: as in `read`; `len` bytes of the slot are initialised, as all of it is.
        let ok = unsafe {
            WriteFile(self.pipe.as_raw_handle(), bytes, len, ptr::null_mut(), overlapped)
        };
        self.started(ok).map(|()| len as usize)
    }

    /// How many bytes the operation has moved, if it is finished.
    pub(super) fn finish(&mut self) -> Option<io::Result<usize>> {
        if !self.pending {
            return None;
        }
        match self.result(false) {
            Err(error) if is_code(&error, ERROR_IO_INCOMPLETE) => None,
            result => {
                self.pending = false;
                Some(result)
            }
        }
    }

    /// The first `len` bytes of the last read.
    ///
    /// # Panics
    ///
    /// If an operation is pending, or `len` is more than one can move.
    pub(super) fn bytes(&self, len: usize) -> &[u8] {
        assert!(!self.pending, "the slot belongs to the system");
        // SAFETY:
        // - alive and valid: the slot is a live box of bytes, initialised when it was made.
        // - unshared: nothing is pending, and no operation can start while `self` is borrowed.
        let slot = unsafe { self.slot.as_ref() };
        &slot.bytes[..len]
    }

    /// The addresses for the next operation.
    fn prepare(&mut self) -> (*mut OVERLAPPED, *mut u8) {
        assert!(!self.pending, "one operation at a time");
        // SAFETY:
        // - alive: the slot lives as long as `self`.
        // - unshared: nothing is pending, and `self` is borrowed for writing.
        let slot = unsafe { self.slot.as_mut() };
        slot.overlapped = OVERLAPPED { hEvent: self.done.raw(), ..OVERLAPPED::default() };
        let slot = self.slot.as_ptr();
        // SAFETY: in bounds: a field of a live slot; no reference to it is made.
        let overlapped = unsafe { &raw mut (*slot).overlapped };
        // SAFETY: as above.
        let bytes = unsafe { &raw mut (*slot).bytes };
        (overlapped, bytes.cast())
    }

    fn started(&mut self, ok: i32) -> io::Result<()> {
        if ok == 0 {
            let error = io::Error::last_os_error();
            if !is_code(&error, ERROR_IO_PENDING) {
                return Err(error);
            }
        }
        // Also when it is done already: `finish` fetches the result.
        self.pending = true;
        Ok(())
    }

    fn result(&mut self, wait: bool) -> io::Result<usize> {
        let slot = self.slot.as_ptr();
        // SAFETY: in bounds: a field of a live slot; no reference to it is made.
        let overlapped = unsafe { &raw mut (*slot).overlapped };
        let mut len = 0_u32;
        // SAFETY: alive: pipe and slot are owned by `self`, and `overlapped` is the one that the
        // operation was started with.
        let ok = unsafe {
            GetOverlappedResult(
                self.pipe.as_raw_handle(),
                overlapped,
                &raw mut len,
                i32::from(wait),
            )
        };
        if ok == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(len as usize)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if self.pending {
            let slot = self.slot.as_ptr();
            // SAFETY: in bounds: a field of a live slot; no reference to it is made.
            let overlapped = unsafe { &raw mut (*slot).overlapped };
            // SAFETY: alive, as in `result`. It fails only if the operation has just finished.
            let _ = unsafe { CancelIoEx(self.pipe.as_raw_handle(), overlapped) };
            // The system lets go of the slot before this returns, whatever the result is.
            let _ = self.result(true);
        }
        // SAFETY:
        // - valid: made from a `Box` in `new`, and freed only here.
        // - unshared: nothing is pending any more.
        drop(unsafe { Box::from_raw(self.slot.as_ptr()) });
    }
}

fn is_code(error: &io::Error, code: u32) -> bool {
    error.raw_os_error().map(i32::cast_unsigned) == Some(code)
}

/// Sleeps until `bell` is set (which clears it), an operation is finished, or the time is up.
pub(super) fn wait(
    bell: &Event,
    operations: [&Operation; 2],
    timeout: Option<Duration>,
) -> io::Result<()> {
    let (mut handles, mut count) = ([bell.raw(); 3], 1);
    for operation in operations {
        if operation.pending {
            handles[count as usize] = operation.done.raw();
            count += 1;
        }
    }
    // Rounded up, so that a deadline has passed afterwards.
    let timeout = timeout
        .map_or(INFINITE, |timeout| u32::try_from(timeout.as_millis() + 1).unwrap_or(INFINITE));
    // SAFETY:
    // - in bounds: `count` is at most 3, the length of `handles`.
    // - alive: the borrowed values own the handles.
    let found = unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, timeout) };
    if found == WAIT_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
