//! Sleeping in `poll`, and waking who sleeps there.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Polls `fds` for at most `timeout`. Returns early when a signal handler ran.
pub(crate) fn poll_for(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    // A duration that does not fit is longer than any machine stays up: without limit.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// True if `fd` is ready for one of `events` (or over) now.
pub(crate) fn is_ready(fd: BorrowedFd<'_>, events: PollFlags) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, events)];
    // Not being able to look counts as ready: whoever asked looks for himself and sees the error.
    poll_for(&mut fds, Some(Duration::ZERO)).is_err() || !fds[0].revents().is_empty()
}

/// A descriptor that becomes readable when set and stays so until cleared.
#[derive(Debug)]
pub(crate) struct Waker {
    read: OwnedFd,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    write: OwnedFd,
}

impl Waker {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let read = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { read })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = std::os::unix::net::UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        Ok(Self { read: read.into(), write: write.into() })
    }

    pub(crate) fn set(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let to = &self.read;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let to = &self.write;
        // An eventfd takes eight bytes at a time. The only refusal is "full": readable anyway.
        let _ = rustix::io::write(to, &1_u64.to_le_bytes());
    }

    pub(crate) fn clear(&self) {
        // One read empties an eventfd; a socket pair holds what `set` wrote since, at most once
        // per wait.
        let _ = rustix::io::read(&self.read, &mut [0; 64]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
