//! Standard input and output, such that a thread that blocks in them can be got out.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use tramline_core::PeerIdentity;

use super::poll::{Waker, is_ready, poll_for};
use crate::bytes::ByteHalves;

/// What a pipe that reports room takes without blocking. Source: `pipe(7)`, PIPE_BUF; POSIX
/// promises 512.
const PIPE_TAKES_LEN: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

struct Reader {
    stdin: io::Stdin,
    hung_up: Arc<Waker>,
}

struct Writer {
    stdout: io::Stdout,
    hung_up: Arc<Waker>,
}

pub(crate) fn stdio() -> io::Result<ByteHalves> {
    let hung_up = Arc::new(Waker::new()?);
    let watched = Arc::clone(&hung_up);
    let reader = Reader { stdin: io::stdin(), hung_up: Arc::clone(&hung_up) };
    let writer = Writer { stdout: io::stdout(), hung_up: Arc::clone(&hung_up) };
    Ok(ByteHalves {
        reader: Box::new(reader),
        writer: Box::new(writer),
        // Never cleared: each thread that looks finds it.
        hang_up: Box::new(move || hung_up.set()),
        gone: Some(Box::new(move || {
            let stdout = io::stdout();
            // Who wants nothing is only told of the end.
            let is_over = || is_ready(stdout.as_fd(), PollFlags::empty());
            while !is_over()
                && matches!(wait(stdout.as_fd(), PollFlags::empty(), &watched), Ok(true))
            {
            }
        })),
        peer: PeerIdentity::default(),
    })
}

/// Sleeps until `fd` is ready; false if it is to be left alone from now on.
fn wait(fd: BorrowedFd<'_>, wanted: PollFlags, hung_up: &Waker) -> io::Result<bool> {
    let mut fds = [
        PollFd::from_borrowed_fd(fd, wanted),
        PollFd::from_borrowed_fd(hung_up.as_fd(), PollFlags::IN),
    ];
    poll_for(&mut fds, None)?;
    Ok(!is_ready(hung_up.as_fd(), PollFlags::IN))
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while wait(self.stdin.as_fd(), PollFlags::IN, &self.hung_up)? {
            // A signal may have ended the sleep; somebody else's flag may make the read not block.
            if !is_ready(self.stdin.as_fd(), PollFlags::IN) {
                continue;
            }
            match rustix::io::read(&self.stdin, &mut *buf) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                read => return Ok(read?),
            }
        }
        Ok(0)
    }
}

impl Write for Writer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let part = &buf[..buf.len().min(PIPE_TAKES_LEN)];
        while wait(self.stdout.as_fd(), PollFlags::OUT, &self.hung_up)? {
            if !is_ready(self.stdout.as_fd(), PollFlags::OUT) {
                continue;
            }
            match rustix::io::write(&self.stdout, part) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                wrote => return Ok(wrote?),
            }
        }
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
