//! Traffic over a bare link, for processes that are killed in the middle of it.
//!
//! Which message comes when follows from a seed, so the reader knows the order across all streams.

use std::os::fd::OwnedFd;

use tramline::{Limits, LinkError, PeerIdentity, SendError};
use tramline_core::transport::{Receiver, Sender, Signal, WaitFor};
use tramline_core::{ConnectError, Halves, Transport};
use tramline_transport_shm::{Established, LinkCounters, establish};

use crate::PATIENCE;
use crate::doomed::Progress;
use crate::history::{History, message};
use crate::random::Random;

/// Streams that share the one writer of a link.
pub const STREAMS: u32 = 4;

/// Batches between two notes in [`Progress`], if notes are to be rare.
const RARELY: u64 = 50;

/// Limits with a ring of this size, and a handshake that only a fault makes time out.
#[must_use]
pub fn limits(ring_capacity: usize) -> Limits {
    let mut limits = Limits::default();
    limits.ring_capacity = ring_capacity;
    limits.handshake_timeout_ms = u64::try_from(PATIENCE.as_millis()).expect("seconds");
    limits
}

/// Opens a link over a socket: its halves and its counters.
///
/// # Errors
///
/// As [`establish`].
///
/// # Panics
///
/// If the peer does not want shared memory.
pub fn open(socket: OwnedFd, ring: usize) -> Result<(Halves, LinkCounters), ConnectError> {
    match establish(socket, &limits(ring), PeerIdentity::default())? {
        Established::Open(shm) => {
            let counters = shm.counters();
            Ok((Box::new(shm).into_halves(), counters))
        }
        Established::Rejected { why, .. } => panic!("shared memory was rejected: {why}"),
    }
}

/// What is sent, in order: the same for the same seed.
#[derive(Debug, Clone)]
pub struct Plan {
    random: Random,
    numbers: [u64; STREAMS as usize],
}

impl Plan {
    /// The plan of this seed, from its first message on.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), numbers: [0; STREAMS as usize] }
    }

    /// Messages of each stream so far.
    #[must_use]
    pub fn numbers(&self) -> &[u64; STREAMS as usize] {
        &self.numbers
    }

    /// The next message's stream, number and payload length: mostly small, some of many records, a
    /// few larger than the smallest ring.
    pub fn step(&mut self) -> (u32, u64, usize) {
        let stream = u32::try_from(self.random.below(u64::from(STREAMS))).expect("small");
        let max = match self.random.below(256) {
            0 => 150_000,
            1..4 => 30_000,
            4..20 => 6_000,
            20..40 => 1,
            _ => 300,
        };
        let len = usize::try_from(self.random.below(max)).expect("64 bits");
        let number = &mut self.numbers[stream as usize];
        *number += 1;
        (stream, *number - 1, len)
    }
}

/// Sends as a thread of a real program does: as much as fits, then look out, then sleep.
///
/// # Errors
///
/// The link is over.
pub fn send(sender: &mut dyn Sender, signal: &dyn Signal, message: &[u8]) -> Result<(), SendError> {
    let mut sent = 0;
    loop {
        let kicks = signal.kicks();
        match sender.send_part(message, &mut sent) {
            Err(SendError::Full) => {}
            done => return done,
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

/// Receives as a thread of a real program does: look, look out, sleep.
///
/// # Errors
///
/// The link is over and everything before its end was given out.
pub fn receive<R>(
    receiver: &mut dyn Receiver,
    signal: &dyn Signal,
    look: impl FnOnce(&[u8]) -> R,
) -> Result<R, LinkError> {
    loop {
        let kicks = signal.kicks();
        if let Some(frame) = receiver.poll()? {
            return Ok(look(frame.bytes()));
        }
        if receiver.spin() {
            continue;
        }
        if let Some(ticket) = receiver.arm() {
            signal.wait(WaitFor { kicks, data: Some(ticket), ..WaitFor::default() });
        }
        receiver.disarm();
    }
}

/// Sends the plan of `seed` in batches of random length until the link ends or `count` messages
/// are out. Says before each commit how far it may get, and after each flush how far it got: for
/// each stream in the slot of its number. At times it claims room, writes into it and gives up.
///
/// # Errors
///
/// The link is over.
pub fn flood(
    sender: &mut dyn Sender,
    signal: &dyn Signal,
    seed: u64,
    count: Option<u64>,
    progress: &Progress,
) -> Result<(), SendError> {
    let mut plan = Plan::new(seed);
    // Not from the plan's numbers: the reader does not know these.
    let mut habits = Random::new(seed ^ 0xabcd);
    // Notes are system calls, and a process is more often killed in them than between them.
    let span = if habits.below(2) == 0 { 1 } else { RARELY };
    let mut left = count.unwrap_or(u64::MAX);
    while left != 0 {
        let batches: Vec<u64> = (0..span)
            .map(|_| {
                let len = if habits.below(3) == 0 { 1 + habits.below(60) } else { 1 };
                let len = len.min(left);
                left -= len;
                len
            })
            .collect();
        let mut ahead = plan.clone();
        for _ in 0..batches.iter().sum() {
            ahead.step();
        }
        note(ahead.numbers(), plan.numbers(), |slot, number| progress.intend(slot, number));
        let before = plan.clone();
        for batch in batches {
            for _ in 0..batch {
                if habits.below(8) == 0
                    && let Ok(room) = sender.claim(1 + usize::from(seed.to_le_bytes()[0]))
                {
                    // Never committed: nobody may see this.
                    room[..1 + usize::from(seed.to_le_bytes()[0])].fill(0xEE);
                }
                let (stream, number, len) = plan.step();
                send(sender, signal, &message(stream, number, len))?;
            }
            sender.flush()?;
        }
        note(plan.numbers(), before.numbers(), |slot, number| progress.done(slot, number));
    }
    Ok(())
}

/// Notes the numbers that have changed.
fn note(now: &[u64], before: &[u64], write: impl Fn(u32, u64)) {
    for ((slot, now), before) in (0..).zip(now).zip(before) {
        if now != before {
            write(slot, *now);
        }
    }
}

/// Reads the plan of a seed and checks every message against it.
#[derive(Debug)]
pub struct Reader {
    plan: Plan,
    history: History,
}

impl Reader {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { plan: Plan::new(seed), history: History::new() }
    }

    /// What has come.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// One message has come.
    ///
    /// # Panics
    ///
    /// If it is not the next one.
    pub fn see(&mut self, bytes: &[u8]) {
        let stream = self.history.see(bytes).expect("once, in order, whole");
        let (planned, number, len) = self.plan.step();
        assert_eq!(stream, planned, "message {number} of another stream came first");
        assert_eq!(bytes.len(), crate::history::HEAD_LEN + len);
    }

    /// The writer is dead and everything was read: for each stream at least what is noted as done
    /// came, and no more than what was intended.
    ///
    /// # Panics
    ///
    /// If not.
    pub fn finish(&self, progress: &Progress) {
        for stream in 0..STREAMS {
            let (done, intended) = progress.read(stream);
            self.history.finish_between(stream, done, intended).expect("the committed prefix");
        }
    }
}
