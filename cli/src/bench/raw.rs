//! The link beside the library: orders over a Unix socket, a bare ring, and the floor.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tramline::{ConnectError, Limits, LinkError, PeerIdentity, SendError, WaitMode};
use tramline_core::Transport as _;
use tramline_core::transport::{Halves, Receiver, Sender, Signal, WaitFor};
use tramline_transport_shm::{Established, Probe, establish};

use crate::failure::Failure;

/// How long both sides of the bare ring may take to meet, in milliseconds: a busy machine's time.
const HANDSHAKE_TIMEOUT_MS: u64 = 10_000;
/// How often a side that shares its CPU with the other looks before it lets that one run.
const LOOKS_ON_ONE_CPU: u32 = 16;
/// A process is quiet when it uses less CPU than this in one [`LOOK_EVERY`].
const QUIET: Duration = Duration::from_micros(100);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// A process that is not quiet by then never will be; the floor then shows it.
const SETTLE_LOOKS: u32 = 200;

/// What the other process's thread is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Answer `count` pings with the values from `first` on.
    Floor { first: u64, count: u64 },
    /// Echo ring messages of `len` bytes until one of another length comes.
    RingEcho { len: u64 },
    /// Take ring messages of `len` bytes until one of another length comes.
    RingSink { len: u64 },
    /// Echo socket messages of `len` bytes until the stop.
    SocketEcho { len: u64 },
    /// Take socket messages until the stop.
    SocketSink { len: u64 },
    /// Say when this process has stopped spinning.
    Settle,
}

const TASK_LEN: usize = 24;

impl Task {
    fn to_bytes(self) -> [u8; TASK_LEN] {
        let numbers = match self {
            Self::Floor { first, count } => [0, first, count],
            Self::RingEcho { len } => [1, len, 0],
            Self::RingSink { len } => [2, len, 0],
            Self::SocketEcho { len } => [3, len, 0],
            Self::SocketSink { len } => [4, len, 0],
            Self::Settle => [5, 0, 0],
        };
        let mut bytes = [0; TASK_LEN];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; TASK_LEN]) -> Option<Self> {
        let mut numbers = bytes.chunks_exact(8).map(|chunk| {
            chunk.iter().rev().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte))
        });
        let (task, a, b) = (numbers.next()?, numbers.next()?, numbers.next()?);
        Some(match task {
            0 => Self::Floor { first: a, count: b },
            1 => Self::RingEcho { len: a },
            2 => Self::RingSink { len: a },
            3 => Self::SocketEcho { len: a },
            4 => Self::SocketSink { len: a },
            5 => Self::Settle,
            _ => return None,
        })
    }

    pub(crate) fn order(self, control: &mut UnixStream) -> Result<(), Failure> {
        control.write_all(&self.to_bytes()).map_err(gone)
    }

    /// The next order; `None` when the other side has hung up.
    pub(crate) fn take(control: &mut UnixStream) -> Result<Option<Self>, Failure> {
        let mut bytes = [0; TASK_LEN];
        match control.read_exact(&mut bytes) {
            Ok(()) => Self::from_bytes(&bytes).map(Some).ok_or(Failure::OtherGone),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(gone(e)),
        }
    }
}

/// A socket between the two that does not work: the other side is gone.
pub(crate) fn gone(_: io::Error) -> Failure {
    Failure::OtherGone
}

/// One end of the bare ring and of the floor.
pub(crate) struct Bare {
    pub(crate) ring: Ring,
    pub(crate) probe: Probe,
}

impl Bare {
    /// Both sides call this on their end of one socket pair.
    pub(crate) fn open(
        socket: OwnedFd,
        mode: WaitMode,
        shares_cpu: bool,
    ) -> Result<Self, ConnectError> {
        let mut limits = Limits::default();
        limits.handshake_timeout_ms = HANDSHAKE_TIMEOUT_MS;
        match establish(socket, &limits, PeerIdentity::default())? {
            Established::Open(shm) => {
                let probe = shm.probe();
                let probe = if shares_cpu { probe.yielding_after(LOOKS_ON_ONE_CPU) } else { probe };
                let mut halves = Box::new(shm).into_halves();
                halves.set_wait_mode(mode);
                Ok(Self { ring: Ring { halves }, probe })
            }
            Established::Rejected { why, .. } => Err(why),
        }
    }
}

/// The ring without anything above it: copy in, copy out.
pub(crate) struct Ring {
    halves: Halves,
}

impl Ring {
    /// Writes one message. The ring decides when a batch goes out; see [`flush`](Self::flush).
    pub(crate) fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        send(&mut *self.halves.sender, &*self.halves.signal, message)
    }

    /// Lets the other side see everything.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.halves.sender.flush()?)
    }

    /// The length of the next message, which was copied out.
    pub(crate) fn receive(&mut self) -> Result<usize, Failure> {
        receive(&mut *self.halves.receiver, &*self.halves.signal, |bytes| Ok(bytes.len()))
    }

    /// Sends the next message back; its length.
    pub(crate) fn echo(&mut self) -> Result<usize, Failure> {
        let Halves { sender, receiver, signal, .. } = &mut self.halves;
        receive(&mut **receiver, &**signal, |bytes| {
            send(&mut **sender, &**signal, bytes)?;
            sender.flush()?;
            Ok(bytes.len())
        })
    }
}

fn send(sender: &mut dyn Sender, signal: &dyn Signal, message: &[u8]) -> Result<(), Failure> {
    match sender.claim(message.len()) {
        Ok(slot) => {
            if let Some(slot) = slot.get_mut(..message.len()) {
                slot.copy_from_slice(message);
                sender.commit(message.len());
                return Ok(());
            }
        }
        Err(SendError::Full) => {}
        Err(e) => return Err(e.into()),
    }
    // No room now, or longer than a frame.
    let mut sent = 0;
    loop {
        let kicks = signal.kicks();
        match sender.send_part(message, &mut sent) {
            Ok(()) => return Ok(()),
            Err(SendError::Full) => {}
            Err(e) => return Err(e.into()),
        }
        if sender.spin() {
            continue;
        }
        if let Some(ticket) = sender.arm() {
            signal.wait(WaitFor { kicks, room: Some(ticket), ..WaitFor::default() });
        }
        sender.disarm();
    }
}

fn receive<R>(
    receiver: &mut dyn Receiver,
    signal: &dyn Signal,
    read: impl FnOnce(&[u8]) -> Result<R, Failure>,
) -> Result<R, Failure> {
    loop {
        if let Some(frame) = receiver.poll()? {
            return read(frame.bytes());
        }
        if receiver.spin() {
            continue;
        }
        let kicks = signal.kicks();
        if let Some(ticket) = receiver.arm() {
            signal.wait(WaitFor { kicks, data: Some(ticket), ..WaitFor::default() });
        }
        receiver.disarm();
    }
}

/// Waits until no thread of this process spins any more: what sleeps cannot disturb the floor.
pub(crate) fn settle() {
    let used = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    let mut before = used();
    for _ in 0..SETTLE_LOOKS {
        std::thread::sleep(LOOK_EVERY);
        let now = used();
        if now.saturating_sub(before) < QUIET {
            return;
        }
        before = now;
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        Self::Send(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_arrive_as_they_were_given() {
        for task in [
            Task::Floor { first: u64::MAX - 3, count: 7 },
            Task::RingEcho { len: 0 },
            Task::RingSink { len: 1 << 20 },
            Task::SocketEcho { len: 64 },
            Task::SocketSink { len: 65 },
            Task::Settle,
        ] {
            assert_eq!(Task::from_bytes(&task.to_bytes()), Some(task));
        }
        assert_eq!(Task::from_bytes(&[9; TASK_LEN]), None);
    }
}
