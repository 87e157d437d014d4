//! A link between two ends that keep the rules, in any order of their calls: every message arrives
//! once, whole and in order, and no wake is lost.

use std::collections::VecDeque;
use std::os::unix::net::UnixStream;

use arbitrary::Arbitrary;
use tramline_core::transport::{Ticket, WaitMode};
use tramline_core::{Halves, PeerIdentity, SendError, Transport};

use super::{Capacity, MaxLen};
use crate::link::ShmTransport;
use crate::ring::Side;
use crate::ring::memory::{PeerMap, PeerMemory, heap};

/// A script.
#[derive(Debug, Arbitrary)]
pub struct Script {
    capacities: [Capacity; 2],
    max_message_len: MaxLen,
    steps: Vec<(bool, Step)>,
}

/// What one end does.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Step {
    Send {
        len: u16,
    },
    /// In place, with more room asked for than used.
    Write {
        len: u16,
        more: u16,
    },
    /// A claim that is not used.
    Abort {
        min_len: u16,
    },
    /// A part of a message that is sent while it is written.
    Piece {
        len: u16,
        last: bool,
    },
    Abandon,
    Flush,
    /// Flushes only if a message of this length would not fit.
    FlushUnlessFits {
        len: u16,
    },
    ArmForRoom,
    DisarmForRoom,
    Poll {
        times: u8,
    },
    ArmForData,
    DisarmForData,
}

/// Plays the script, then reads everything that is left.
///
/// # Panics
///
/// If a message is lost, doubled, changed or out of order, if an end faults the other, or if one
/// would sleep on.
pub fn run(script: &Script) {
    let (x, y) = UnixStream::pair().expect("a socket pair");
    let MaxLen(max_message_len) = script.max_message_len;
    let (own_a, view_a) = heap::segment(script.capacities[0].0);
    let (own_b, view_b) = heap::segment(script.capacities[1].0);
    let open = |socket: UnixStream, own, peer: &PeerMap| {
        let identity = PeerIdentity::default();
        let link =
            ShmTransport::open(socket.into(), own, peer.clone(), identity, max_message_len, 1);
        let mut halves = Box::new(link.expect("a watched socket")).into_halves();
        // No spinning: `spin` is then a look.
        halves.receiver.set_wait_mode(WaitMode::Idle);
        halves
    };
    let a = open(x, own_a, &view_b);
    let b = open(y, own_b, &view_a);
    let mut ends = [End::new(a, view_b, max_message_len), End::new(b, view_a, max_message_len)];

    for (second, step) in &script.steps {
        let [a, b] = &mut ends;
        if *second { b.step(a, *step) } else { a.step(b, *step) }
    }
    let [a, b] = &mut ends;
    a.finish(b);
    b.finish(a);
}

/// What must be gone on with before anything else may be sent.
#[derive(Debug)]
enum Begun {
    Nothing,
    /// A message and its progress.
    Whole(Vec<u8>, usize),
    /// The pieces that have gone; the message has not ended.
    Pieces(Vec<u8>),
    /// The same, a piece, its progress, and whether it is the last.
    Piece(Vec<u8>, Vec<u8>, usize, bool),
    Abandoned,
}

/// One end, and the messages that are on their way from it.
struct End {
    halves: Halves,
    /// This end's view of the other one's segment, for its bells.
    peer: PeerMap,
    max_message_len: usize,
    sent: VecDeque<Vec<u8>>,
    count: u32,
    begun: Begun,
    /// Sleeps that are announced, and whether something came since that must end them.
    data: Option<(Ticket, bool)>,
    room: Option<(Ticket, bool)>,
}

impl End {
    fn new(halves: Halves, peer: PeerMap, max_message_len: usize) -> Self {
        let (sent, begun) = (VecDeque::new(), Begun::Nothing);
        Self { halves, peer, max_message_len, sent, count: 0, begun, data: None, room: None }
    }

    fn step(&mut self, other: &mut Self, step: Step) {
        match step {
            Step::Send { len } => {
                if self.is_free(other) {
                    self.begun = Begun::Whole(self.next_message(usize::from(len)), 0);
                    self.go_on(other);
                }
            }
            Step::Piece { len, last } => self.piece(other, usize::from(len), last),
            Step::Abandon => {
                if let Begun::Pieces(_) | Begun::Piece(..) = self.begun {
                    self.begun = Begun::Abandoned;
                }
                self.go_on(other);
            }
            Step::Write { len, more } => self.write(other, usize::from(len), usize::from(more)),
            Step::Abort { min_len } => {
                if let Ok(room) = self.halves.sender.claim(usize::from(min_len)) {
                    room.fill(0xAB);
                }
            }
            Step::Flush => self.flush(other),
            Step::FlushUnlessFits { len } => {
                let len = usize::from(len).min(self.max_message_len);
                if !self.is_free(other) || !self.halves.sender.fits(len) {
                    self.flush(other);
                } else {
                    let message = self.next_message(len);
                    let done = self.halves.sender.send_part(&message, &mut 0);
                    assert!(done.is_ok(), "`fits` said that it would go: {done:?}");
                    self.sent.push_back(message);
                }
            }
            Step::ArmForRoom => {
                self.room = self.halves.sender.arm().map(|ticket| (ticket, false));
                // Arming publishes.
                self.flushed(other);
            }
            Step::DisarmForRoom => {
                self.halves.sender.disarm();
                self.room = None;
            }
            Step::Poll { times } => {
                for _ in 0..times {
                    self.poll(other);
                }
            }
            Step::ArmForData => {
                self.data = self.halves.receiver.arm().map(|ticket| (ticket, false));
                // Arming tells what was read.
                if let Some((ticket, true)) = other.room {
                    assert_ne!(other.peer.bell(Side::Space), ticket.0, "the writer sleeps on");
                }
            }
            Step::DisarmForData => {
                self.halves.receiver.disarm();
                self.data = None;
            }
        }
    }

    /// A message that no other is equal to, up to its length.
    fn next_message(&mut self, len: usize) -> Vec<u8> {
        self.count += 1;
        let bytes = self.count.to_le_bytes().into_iter().cycle();
        let message = bytes.zip(0_u8..=250).map(|(byte, i)| byte.wrapping_mul(31) ^ i);
        let message: Vec<u8> = message.collect();
        message.into_iter().cycle().take(len.min(self.max_message_len)).collect()
    }

    fn piece(&mut self, other: &mut Self, len: usize, last: bool) {
        self.go_on(other);
        let begun = match std::mem::replace(&mut self.begun, Begun::Nothing) {
            Begun::Nothing => Vec::new(),
            Begun::Pieces(begun) => begun,
            busy => {
                self.begun = busy;
                return;
            }
        };
        let room = self.max_message_len - begun.len();
        self.begun = if room == 0 {
            Begun::Abandoned
        } else {
            let piece = self.next_message(len.clamp(1, room));
            Begun::Piece(begun, piece, 0, last)
        };
        self.go_on(other);
    }

    /// Goes on with what was begun: true if nothing of it is left.
    fn is_free(&mut self, other: &mut Self) -> bool {
        self.go_on(other);
        matches!(self.begun, Begun::Nothing)
    }

    /// Sends what is left of what was begun.
    fn go_on(&mut self, other: &mut Self) {
        let sender = &mut self.halves.sender;
        let (done, rest) = match std::mem::replace(&mut self.begun, Begun::Nothing) {
            Begun::Nothing => return,
            Begun::Pieces(begun) => {
                self.begun = Begun::Pieces(begun);
                return;
            }
            Begun::Whole(message, mut sent) => {
                let done = sender.send_part(&message, &mut sent);
                if done.is_ok() {
                    self.sent.push_back(message);
                    return;
                }
                (done, Begun::Whole(message, sent))
            }
            Begun::Piece(mut begun, piece, mut sent, last) => {
                let done = sender.send_piece(&piece, &mut sent, last);
                if done.is_ok() {
                    begun.extend_from_slice(&piece);
                    if last {
                        self.sent.push_back(begun);
                    } else {
                        self.begun = Begun::Pieces(begun);
                    }
                    return;
                }
                (done, Begun::Piece(begun, piece, sent, last))
            }
            Begun::Abandoned => (sender.abandon(), Begun::Abandoned),
        };
        match done {
            Ok(()) => {}
            Err(SendError::Full) => {
                self.begun = rest;
                // A refusal publishes.
                self.flushed(other);
            }
            Err(error) => panic!("an honest peer: {error}"),
        }
    }

    fn write(&mut self, other: &mut Self, len: usize, more: usize) {
        if !self.is_free(other) {
            return;
        }
        let message = self.next_message(len);
        match self.halves.sender.claim(message.len().saturating_add(more)) {
            Ok(room) if room.len() >= message.len() => {
                room.fill(0xFF);
                room[..message.len()].copy_from_slice(&message);
                self.halves.sender.commit(message.len());
                self.sent.push_back(message);
            }
            Ok(_) => {}
            Err(SendError::Full) => self.flushed(other),
            Err(error) => panic!("an honest peer: {error}"),
        }
    }

    fn flush(&mut self, other: &mut Self) {
        self.halves.sender.flush().expect("an honest peer");
        self.flushed(other);
    }

    /// Whatever was sent before can be seen now.
    fn flushed(&mut self, other: &mut Self) {
        let news = !self.sent.is_empty();
        if let Some((ticket, seen)) = &mut other.data
            && (news || *seen)
        {
            *seen = true;
            assert_ne!(other.peer.bell(Side::Data), ticket.0, "the reader sleeps on");
        }
    }

    /// Reads one message, if it is there.
    fn poll(&mut self, other: &mut Self) -> bool {
        // A writer that sleeps has left something to read, so this is progress.
        if let Some((_, seen)) = &mut other.room {
            *seen = true;
        }
        let Some(frame) = self.halves.receiver.poll().expect("an honest peer") else {
            // A look: nothing is left to read.
            if !self.halves.receiver.spin()
                && let Some((ticket, _)) = other.room
            {
                let bell = other.peer.bell(Side::Space);
                assert_ne!(bell, ticket.0, "the writer of an empty ring sleeps on");
            }
            return false;
        };
        let expected = other.sent.pop_front();
        assert_eq!(Some(frame.bytes()), expected.as_deref(), "once, whole and in order");
        true
    }

    /// Sends the rest, and lets the other end read everything.
    fn finish(&mut self, other: &mut Self) {
        let progress = |begun: &Begun| match begun {
            Begun::Whole(_, sent) => *sent,
            Begun::Piece(_, _, sent, _) => *sent,
            _ => 0,
        };
        let mut before = None;
        while !self.is_free(other) {
            if let Begun::Pieces(_) = self.begun {
                self.begun = Begun::Abandoned;
                before = None;
                continue;
            }
            let now = progress(&self.begun);
            assert_ne!(before, Some(now), "an empty ring has room");
            before = Some(now);
            self.flush(other);
            // A long message is read in several turns.
            while other.poll(self) || other.halves.receiver.spin() {}
        }
        self.flush(other);
        while other.poll(self) || other.halves.receiver.spin() {}
        assert_eq!(self.sent.len(), 0, "messages were lost");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzzing::{input, replay};

    #[test]
    fn kept_honest_scripts_hold() {
        replay("ring_honest", run);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn honest_ends_lose_double_and_reorder_nothing(
            bytes in proptest::collection::vec(any::<u8>(), 0..2048),
        ) {
            run(&input(&bytes));
        }
    }
}
