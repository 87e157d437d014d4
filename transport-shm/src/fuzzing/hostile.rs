//! An open link whose peer writes what it likes into its own segment, between any two calls of ours.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::BytesMut;
use tramline_core::transport::{Ticket, WaitFor};
use tramline_core::{Halves, LinkError, PeerFault, PeerIdentity, SendError, Transport};

use super::{Capacity, Forged, Forger, MaxLen, Record, bound};
use crate::counters::Counter;
use crate::layout::{self, Fixed};
use crate::link::ShmTransport;
use crate::ring::Side;
use crate::ring::consumer::{Consumer, Polled};
use crate::ring::memory::{self, OwnMap, OwnRing, OwnRingMap, OwnWords, PeerMap, heap};
use crate::ring::record::HEADER;
use crate::segment;
use crate::sync::Ordering;

/// A script.
#[derive(Debug, Arbitrary)]
pub struct Script {
    memory: Memory,
    max_message_len: MaxLen,
    steps: Vec<Step>,
}

/// What the link lies in.
#[derive(Debug, Arbitrary)]
enum Memory {
    Heap(Capacity),
    HeapToo(Capacity),
    HeapAgain(Capacity),
    /// Sealed files, mapped as in real life. Slower, so less often.
    Sealed,
}

#[derive(Debug, Arbitrary)]
enum Step {
    Claim {
        min_len: u16,
        commit: Option<u16>,
    },
    Send {
        len: u16,
    },
    /// A part of a message that is sent while it is written.
    Piece {
        len: u16,
        last: bool,
    },
    Abandon,
    Flush,
    Fits(u16),
    SpinForRoom,
    ArmForRoom,
    DisarmForRoom,
    Poll {
        times: u8,
        keep: bool,
    },
    SpinForData,
    ArmForData,
    DisarmForData,
    Wait,
    PeerRecord(Record),
    /// A message in many parts, each read at once.
    PeerMessage {
        parts: u8,
        len: u16,
    },
    PeerHeader {
        slot: u16,
        word: u64,
    },
    PeerBytes {
        at: u16,
        bytes: [u8; 12],
    },
    PeerHead(u64),
    /// So many units of 8 bytes short of what we published.
    PeerHeadShortOf(u8),
    PeerPark {
        space: bool,
        word: u32,
    },
    PeerBell {
        space: bool,
        value: u32,
    },
    PeerState(u32),
}

/// Plays the script.
///
/// # Panics
///
/// If the link goes on after it was ended, or ends in another way than by a fault; if it keeps more
/// than the limits allow, writes over what was not read, writes what an honest peer would refuse, or
/// wakes the peer without being asked.
pub fn run(script: &Script) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let (capacity, (words, ring), view, (peer_words, peer_ring), peer_view) = segments(script);
    let MaxLen(max_message_len) = script.max_message_len;
    let (socket, identity) = (ours.into(), PeerIdentity::default());
    let link =
        ShmTransport::open(socket, (words.clone(), ring), peer_view, identity, max_message_len, 2);
    let mut play = Play {
        halves: Box::new(link.expect("a watched socket")).into_halves(),
        words,
        witness: Consumer::new(heap::segment(64).0.0, view, usize::MAX),
        begun: Begun::Nothing,
        liar: Liar { words: peer_words, ring: peer_ring, forger: Forger::default() },
        capacity,
        max_message_len,
        largest_head: 0,
        parks: 0,
        tickets: [None; 2],
        spare: BytesMut::new(),
        fault: None,
    };
    for step in &script.steps {
        play.step(step);
        play.check();
    }
    drop(play);
    // Up to here: a hang-up would end the link, too.
    drop(theirs);
}

type Own = (OwnMap, OwnRingMap);
/// Makes a segment with a ring of this capacity: its owner's side, and its peer's view.
type Make = fn(usize) -> (Own, PeerMap);

/// Our segment, the peer's view of it; the peer's segment, our view of it.
fn segments(script: &Script) -> (usize, Own, PeerMap, Own, PeerMap) {
    let (capacity, make): (usize, Make) = match script.memory {
        Memory::Heap(c) | Memory::HeapToo(c) | Memory::HeapAgain(c) => (c.0, heap::segment),
        Memory::Sealed => (1 << 16, sealed),
    };
    let ((own, view), (peer_own, peer_view)) = (make(capacity), make(capacity));
    (capacity, own, view, peer_own, peer_view)
}

fn sealed(capacity: usize) -> (Own, PeerMap) {
    let (mapping, file, fixed): (_, _, Fixed) =
        segment::create(capacity as u64, [7; 16]).expect("a segment");
    let view = segment::accept(&file, &fixed, layout::MAX_RING_CAPACITY).expect("accepted");
    (memory::own(mapping, capacity), PeerMap::new(view, capacity))
}

/// The peer's end, without rules.
struct Liar {
    words: OwnMap,
    ring: OwnRingMap,
    forger: Forger,
}

/// What our side must go on with before it may send anything else.
#[derive(Debug, Clone, Copy)]
enum Begun {
    Nothing,
    /// Length and progress of a message.
    Whole(usize, usize),
    /// Pieces have gone, and the message has not ended.
    Pieces,
    /// The same in the middle of a piece: its length, progress, and whether it is the last.
    Piece(usize, usize, bool),
    Abandoned,
}

struct Play {
    halves: Halves,
    /// Our words, to look at the counters.
    words: OwnMap,
    /// Reads all that we publish, at once, and tells nobody.
    witness: Consumer<OwnMap, PeerMap>,
    begun: Begun,
    liar: Liar,
    capacity: usize,
    max_message_len: usize,
    /// The largest `head` that the liar ever claimed.
    largest_head: u64,
    /// How often it wrote a park word.
    parks: u64,
    /// What our sleeps would watch: data, room.
    tickets: [Option<Ticket>; 2],
    spare: BytesMut,
    fault: Option<PeerFault>,
}

impl Play {
    fn step(&mut self, step: &Step) {
        let side = |space: bool| if space { Side::Space } else { Side::Data };
        match *step {
            Step::Claim { min_len, commit } => self.claim(usize::from(min_len), commit),
            Step::Send { len } => self.send(usize::from(len)),
            Step::Piece { len, last } => {
                self.go_on();
                if let Begun::Nothing | Begun::Pieces = self.begun {
                    self.begun = Begun::Piece(usize::from(len) % 4096 + 1, 0, last);
                    self.go_on();
                }
            }
            Step::Abandon => {
                if let Begun::Pieces | Begun::Piece(..) = self.begun {
                    self.begun = Begun::Abandoned;
                }
                self.go_on();
            }
            Step::Flush => {
                let done = self.halves.sender.flush();
                self.note(done);
            }
            Step::Fits(len) => drop(self.halves.sender.fits(usize::from(len))),
            Step::SpinForRoom => drop(self.halves.sender.spin()),
            Step::ArmForRoom => self.tickets[1] = self.halves.sender.arm(),
            Step::DisarmForRoom => self.halves.sender.disarm(),
            Step::Poll { times, keep } => self.poll(times, keep),
            Step::SpinForData => drop(self.halves.receiver.spin()),
            Step::ArmForData => self.tickets[0] = self.halves.receiver.arm(),
            Step::DisarmForData => self.halves.receiver.disarm(),
            Step::Wait => {
                let wait = WaitFor {
                    kicks: self.halves.signal.kicks(),
                    data: self.tickets[0],
                    room: self.tickets[1],
                    timeout: Some(Duration::ZERO),
                };
                self.halves.signal.wait(wait);
            }
            Step::PeerRecord(ref record) => self.liar.forger.write(&mut self.liar.ring, record),
            Step::PeerMessage { parts, len } => {
                for part in 0..parts {
                    let kind = match part {
                        0 => Forged::First,
                        _ if part == parts - 1 => Forged::Last,
                        _ => Forged::Middle,
                    };
                    let record = Record { kind, len, fill: part, wrong_bit: u8::MAX };
                    self.liar.forger.write(&mut self.liar.ring, &record);
                    self.poll(1, false);
                }
            }
            Step::PeerHeader { slot, word } => {
                let at = usize::from(slot) * HEADER % self.capacity;
                self.liar.ring.store_header(at, word, Ordering::Release);
            }
            Step::PeerBytes { at, bytes } => {
                let at = usize::from(at) % (self.capacity - bytes.len());
                self.liar.ring.slot(at, bytes.len()).copy_from_slice(&bytes);
            }
            Step::PeerHead(head) => self.peer_head(head),
            Step::PeerHeadShortOf(units) => {
                let published = self.words.counted(Counter::Bytes);
                self.peer_head(published.saturating_sub(u64::from(units) * 8));
            }
            Step::PeerPark { space, word } => {
                self.parks += 1;
                self.liar.words.put_park(side(space), word, Ordering::Relaxed);
            }
            Step::PeerBell { space, value } => {
                let at = if space { layout::SPACE_BELL } else { layout::DATA_BELL };
                self.liar.words.word32(at).store(value, Ordering::Release);
            }
            Step::PeerState(state) => {
                self.liar.words.word32(layout::STATE).store(state, Ordering::Release);
            }
        }
    }

    fn claim(&mut self, min_len: usize, commit: Option<u16>) {
        self.go_on();
        if !matches!(self.begun, Begun::Nothing) {
            return;
        }
        let room = self.halves.sender.claim(min_len).map(|room| {
            room.fill(0xC1);
            room.len()
        });
        if let (Ok(room), Some(len)) = (&room, commit) {
            self.halves.sender.commit(usize::from(len).min(*room));
        }
        self.note_sent(room.map(drop));
    }

    fn send(&mut self, len: usize) {
        self.go_on();
        if let Begun::Nothing = self.begun {
            self.begun = Begun::Whole(len, 0);
            self.go_on();
        }
    }

    /// Goes on with what was begun.
    fn go_on(&mut self) {
        let sender = &mut self.halves.sender;
        let (done, rest, next) = match self.begun {
            Begun::Nothing | Begun::Pieces => return,
            Begun::Whole(len, mut sent) => {
                let done = sender.send_part(&vec![0x5E; len], &mut sent);
                if let Err(SendError::TooLarge { len, max }) = done {
                    assert!(len > max && max == self.max_message_len);
                    self.begun = Begun::Nothing;
                    return;
                }
                (done, Begun::Whole(len, sent), Begun::Nothing)
            }
            Begun::Piece(len, mut sent, last) => {
                let done = sender.send_piece(&vec![0x9E; len], &mut sent, last);
                let next = if last { Begun::Nothing } else { Begun::Pieces };
                (done, Begun::Piece(len, sent, last), next)
            }
            Begun::Abandoned => (sender.abandon(), Begun::Abandoned, Begun::Nothing),
        };
        self.begun = if done.is_ok() { next } else { rest };
        self.note_sent(done);
    }

    fn poll(&mut self, times: u8, keep: bool) {
        for _ in 0..times {
            let mut got = 0;
            let polled = match self.halves.receiver.poll() {
                Ok(None) => Ok(()),
                Ok(Some(frame)) => {
                    got = frame.bytes().len();
                    if keep {
                        frame.swap(&mut self.spare);
                    }
                    Ok(())
                }
                Err(error) => Err(error),
            };
            assert!(got <= self.max_message_len, "a message above the limit");
            self.note(polled);
        }
        assert!(self.spare.capacity() <= bound(self.max_message_len), "memory is bounded");
    }

    fn peer_head(&mut self, head: u64) {
        self.largest_head = self.largest_head.max(head);
        self.liar.words.put_head(head, Ordering::Release);
    }

    fn note_sent(&mut self, done: Result<(), SendError>) {
        match done {
            Err(SendError::Link(error)) => self.note(Err(error)),
            Ok(()) => self.note(Ok(())),
            Err(_) => assert_eq!(self.fault, None, "a link that has ended has no room either"),
        }
    }

    /// The first fault ends the link, and every later call says so.
    fn note(&mut self, done: Result<(), LinkError>) {
        match done {
            Err(LinkError::Fault(fault)) => {
                let first = self.fault.get_or_insert_with(|| fault.clone());
                assert_eq!(*first, fault, "the first fault is the one that is reported");
            }
            Ok(()) => assert_eq!(self.fault, None, "the link has ended"),
            // What a CLOSE record says. It ends reading only.
            Err(LinkError::Closed) => assert_eq!(self.fault, None, "the fault comes first"),
            Err(other) => panic!("nobody has died: {other}"),
        }
    }

    fn check(&mut self) {
        if self.fault.is_some() {
            assert_eq!(self.halves.receiver.arm(), None, "nobody sleeps on a link that has ended");
            assert_eq!(self.halves.sender.arm(), None, "nobody sleeps on a link that has ended");
            let state = self.words.word32(layout::STATE).load(Ordering::Relaxed);
            assert_eq!(state, layout::STATE_FAULTED, "the peer can see why");
        }
        let room = (self.capacity - HEADER) as u64;
        let published = self.words.counted(Counter::Bytes);
        assert!(published <= self.largest_head.saturating_add(room), "wrote over unread records");
        assert!(self.words.counted(Counter::Wakes) <= self.parks, "a wake for nothing");
        while let Polled::Message = self.witness.poll().expect("we keep the rules") {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzzing::{input, replay};

    #[test]
    fn kept_hostile_scripts_hold() {
        replay("ring_ops", run);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn link_survives_a_peer_that_writes_between_our_calls(
            bytes in proptest::collection::vec(any::<u8>(), 0..2048),
        ) {
            run(&input(&bytes));
        }
    }
}
