//! The ring under loom: the real `Producer` and `Consumer` over a memory of loom objects, in every
//! interleaving with at most [`PREEMPTIONS`] preemptions, with every value a load may return.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p tramline-transport-shm --release --lib loom_
//! ```
//!
//! Each model has counter-proofs: one thing is weakened, and the model must fail in the way named.
//!
//! Not shown here. loom runs each thread in program order, so a load never returns a store that
//! comes later in the run: the release and acquire of a bell and the acquire of a park word (P5),
//! which forbid just that, have no counter-proof. How a link ends is restated below, since `Link`
//! holds a socket.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
// loom runs all threads of a model on the thread of its test. Its own `Arc` cannot be dropped where
// a failed run is cleaned up.
use std::rc::Rc;
use std::sync::atomic::{AtomicU32 as PlainU32, Ordering::Relaxed};

use bytes::{BufMut, BytesMut};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::consumer::{Consumer, Polled};
use super::memory::{OwnRing, OwnWords, PeerMemory};
use super::producer::Producer;
use super::{PARKED_ON_FUTEX, Side, wants_doorbell};
use crate::counters::Counter;
use crate::layout::{STATE_CLOSED, STATE_OPEN};
use crate::sync::{LEFT_OUT, Site};

/// Most preemptions in one run, unless `LOOM_MAX_PREEMPTIONS` says otherwise.
const PREEMPTIONS: usize = 4;

/// Room for five records of 16 bytes and the next header.
const MEDIUM: usize = 128;
/// Room for three records of 8 bytes and the next header.
const SMALL: usize = 64;
/// Room for one record of 4 bytes and the next header.
const TINY: usize = 32;

/// What is weakened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutation {
    Nothing,
    /// A fence is left out.
    Without(Site),
    /// Headers are published with a relaxed store.
    RelaxedCommit,
    /// Only the first header is a release store, and it does not come last.
    FirstHeaderFirst,
    /// `head` is stored relaxed.
    RelaxedHead,
    /// The next header keeps the bytes of the last lap.
    NextHeaderNotZeroed,
    /// The next header is zeroed after the record was published.
    NextHeaderZeroedLate,
    /// The bell is read behind the park word.
    BellAfterParkWord,
    /// Every sleep is announced under the same epoch.
    SameEpoch,
    /// The sleepers are woken before the bell is bumped.
    WakeBeforeBump,
    /// The kick of a hang-up comes before its flag.
    KickBeforeFlag,
    /// The reader looks for a hang-up after it looked into the ring.
    FlagAfterRing,
}

thread_local! {
    /// A model runs all of its threads on the thread of its test.
    static MUTATION: Cell<Mutation> = const { Cell::new(Mutation::Nothing) };
}

fn mutated(mutation: Mutation) -> bool {
    MUTATION.get() == mutation
}

/// Runs `model` in all of its interleavings.
fn explore(mutation: Mutation, model: fn()) {
    MUTATION.set(mutation);
    LEFT_OUT.set(match mutation {
        Mutation::Without(site) => Some(site),
        _ => None,
    });
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.check(model);
}

fn holds(model: fn()) {
    explore(Mutation::Nothing, model);
}

/// What loom says of a data race, of threads that all sleep, and what the consumer says of bytes
/// that are no record.
const RACE: &str = "Causality violation";
const ALL_ASLEEP: &str = "deadlock";
const FAULT: &str = "PeerFault";

/// Expects some interleaving to fail with `symptom`.
fn fails(mutation: Mutation, model: fn(), symptom: &str) {
    let failure = catch_unwind(AssertUnwindSafe(|| explore(mutation, model)));
    let failure = failure.expect_err("no interleaving fails");
    let text = failure
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| failure.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without text");
    assert!(text.contains(symptom), "expected {symptom:?}: {text}");
}

/// Eight bytes of a ring. Header and payload accesses meet in the same bytes, so loom tracks both:
/// a payload access may race with nothing, a header access only with other header accesses.
struct Word {
    value: AtomicU64,
    payload_writes: UnsafeCell<()>,
    header_writes: UnsafeCell<()>,
}

impl Word {
    fn new() -> Self {
        let (payload_writes, header_writes) = (UnsafeCell::new(()), UnsafeCell::new(()));
        Self { value: AtomicU64::new(0), payload_writes, header_writes }
    }

    fn write_payload(&self, bytes: u64) {
        self.payload_writes.with_mut(drop);
        self.value.store(bytes, Ordering::Relaxed);
    }

    fn read_payload(&self) -> u64 {
        self.payload_writes.with(drop);
        self.header_writes.with(drop);
        self.value.load(Ordering::Relaxed)
    }

    fn write_header(&self, word: u64, order: Ordering) {
        self.header_writes.with_mut(drop);
        self.value.store(word, order);
    }

    fn read_header(&self) -> u64 {
        self.payload_writes.with(drop);
        self.value.load(Ordering::Relaxed)
    }
}

/// A segment, and the kernel's part of its bells. Two ends hold it; one of them writes.
struct Segment {
    ring: Vec<Word>,
    head: AtomicU64,
    park: [AtomicU32; 2],
    bell: [AtomicU32; 2],
    /// What the kernel locks when it compares a bell and when it wakes.
    queue: Mutex<()>,
    sleepers: Condvar,
    /// Whether bytes wait in the control socket, and who sleeps until they do.
    socket: Mutex<bool>,
    socket_sleepers: Condvar,
    /// For [`Mutation::BellAfterParkWord`]: the bells that are really slept on. No part of the
    /// model's memory.
    late_tickets: [PlainU32; 2],
}

impl Segment {
    fn new(capacity: usize) -> Rc<Self> {
        Rc::new(Self {
            ring: (0..capacity / 8).map(|_| Word::new()).collect(),
            head: AtomicU64::new(0),
            park: [AtomicU32::new(0), AtomicU32::new(0)],
            bell: [AtomicU32::new(0), AtomicU32::new(0)],
            queue: Mutex::new(()),
            sleepers: Condvar::new(),
            socket: Mutex::new(false),
            socket_sleepers: Condvar::new(),
            late_tickets: [PlainU32::new(0), PlainU32::new(0)],
        })
    }

    /// FUTEX_WAKE.
    fn wake(&self) {
        let _queue = self.queue.lock().expect("not poisoned");
        self.sleepers.notify_all();
    }

    /// One byte into the peer's control socket.
    fn ring_doorbell(&self) {
        *self.socket.lock().expect("not poisoned") = true;
        self.socket_sleepers.notify_all();
    }

    /// Sleeps until bytes wait in the control socket, and takes them out.
    fn sleep_on_socket(&self) {
        let mut bytes = self.socket.lock().expect("not poisoned");
        while !*bytes {
            bytes = self.socket_sleepers.wait(bytes).expect("not poisoned");
        }
        *bytes = false;
    }

    /// FUTEX_WAIT: sleeps on a bell while it has the value seen.
    fn sleep(&self, side: Side, ticket: u32) {
        self.sleep_while(side, ticket, || true);
    }

    /// The same with a second word to watch.
    fn sleep_while(&self, side: Side, ticket: u32, second: impl FnOnce() -> bool) {
        let ticket = if mutated(Mutation::BellAfterParkWord) {
            self.late_tickets[side as usize].load(Relaxed)
        } else {
            ticket
        };
        let queue = self.queue.lock().expect("not poisoned");
        if self.bell[side as usize].load(Ordering::Relaxed) == ticket && second() {
            drop(self.sleepers.wait(queue).expect("not poisoned"));
        }
    }
}

/// The ring of our own segment. A payload enters the memory when its record is written, for a slot
/// is a plain slice.
struct Ring {
    own: Rc<Segment>,
    slot: Option<(usize, Vec<u8>)>,
    /// For [`Mutation::NextHeaderZeroedLate`].
    late_zeros: Vec<usize>,
}

impl OwnRing for Ring {
    fn capacity(&self) -> usize {
        self.own.ring.len() * 8
    }

    fn store_header(&mut self, offset: usize, word: u64, order: Ordering) {
        if let Some((at, bytes)) = self.slot.take() {
            for (i, bytes) in bytes.chunks(8).enumerate() {
                let mut padded = [0xEE; 8];
                padded[..bytes.len()].copy_from_slice(bytes);
                self.own.ring[at / 8 + i].write_payload(u64::from_le_bytes(padded));
            }
        }
        if word == 0 && mutated(Mutation::NextHeaderNotZeroed) {
            return;
        }
        self.late_zeros.retain(|late| *late != offset);
        if word == 0 && mutated(Mutation::NextHeaderZeroedLate) {
            self.late_zeros.push(offset);
            return;
        }
        let relaxed = mutated(Mutation::RelaxedCommit)
            || (mutated(Mutation::FirstHeaderFirst) && offset != 0);
        let order = if relaxed { Ordering::Relaxed } else { order };
        self.own.ring[offset / 8].write_header(word, order);
        for late in self.late_zeros.drain(..) {
            self.own.ring[late / 8].write_header(0, Ordering::Relaxed);
        }
    }

    fn slot(&mut self, offset: usize, len: usize) -> &mut [u8] {
        &mut self.slot.insert((offset, vec![0xEE; len])).1
    }
}

/// The words of our own segment.
#[derive(Clone)]
struct Words {
    own: Rc<Segment>,
    peer: Rc<Segment>,
}

impl OwnWords for Words {
    fn put_head(&self, head: u64, order: Ordering) {
        let order = if mutated(Mutation::RelaxedHead) { Ordering::Relaxed } else { order };
        self.own.head.store(head, order);
    }

    fn put_park(&self, side: Side, word: u32, order: Ordering) {
        let word = if mutated(Mutation::SameEpoch) { (word & 3) | 4 } else { word };
        self.own.park[side as usize].store(word, order);
        if mutated(Mutation::BellAfterParkWord) && word & 1 == 1 {
            let bell = self.peer.bell[side as usize].load(Ordering::Acquire);
            self.peer.late_tickets[side as usize].store(bell, Relaxed);
        }
    }

    fn bump_bell(&self, side: Side, order: Ordering) {
        if mutated(Mutation::WakeBeforeBump) {
            self.own.wake();
        }
        self.own.bell[side as usize].fetch_add(1, order);
    }

    fn wake_sleepers(&self, _side: Side, park: u32) {
        if !mutated(Mutation::WakeBeforeBump) {
            self.own.wake();
        }
        if wants_doorbell(park) {
            self.own.ring_doorbell();
        }
    }

    fn count(&self, _counter: Counter, _by: u64) {}
}

/// The peer's segment.
struct Peer {
    segment: Rc<Segment>,
}

impl PeerMemory for Peer {
    fn capacity(&self) -> usize {
        self.segment.ring.len() * 8
    }

    fn copy_out(&self, offset: usize, len: usize, into: &mut BytesMut) {
        let words = self.segment.ring[offset / 8..].iter().take(len.div_ceil(8));
        let bytes: Vec<u8> = words.flat_map(|word| word.read_payload().to_le_bytes()).collect();
        into.put_slice(&bytes[..len]);
    }

    fn load_header(&self, offset: usize) -> u64 {
        self.segment.ring[offset / 8].read_header()
    }

    fn load_head(&self) -> u64 {
        self.segment.head.load(Ordering::Relaxed)
    }

    fn load_park(&self, side: Side) -> u32 {
        self.segment.park[side as usize].load(Ordering::Relaxed)
    }

    fn load_bell(&self, side: Side) -> u32 {
        self.segment.bell[side as usize].load(Ordering::Relaxed)
    }
}

/// The writing end.
struct Writer {
    producer: Producer<Ring, Words, Peer>,
    words: Words,
}

/// The reading end.
struct Reader {
    consumer: Consumer<Words, Peer>,
    words: Words,
}

/// Two ends of a ring, whose writer's side is `capacity` bytes long.
fn pair(capacity: usize) -> (Writer, Reader) {
    let (a, b) = (Segment::new(capacity), Segment::new(0));
    let words_a = Words { own: Rc::clone(&a), peer: Rc::clone(&b) };
    let words_b = Words { own: Rc::clone(&b), peer: Rc::clone(&a) };
    let ring = Ring { own: Rc::clone(&a), slot: None, late_zeros: Vec::new() };
    let producer = Producer::new(ring, words_a.clone(), Peer { segment: b });
    let consumer = Consumer::new(words_b.clone(), Peer { segment: a }, capacity);
    (Writer { producer, words: words_a }, Reader { consumer, words: words_b })
}

impl Writer {
    /// Sends a message of the largest frame's length, each byte of which is `number`.
    fn send(&mut self, number: u8) -> bool {
        self.send_len(number, self.producer.max_frame())
    }

    /// The same with a message of `len` bytes.
    fn send_len(&mut self, number: u8, len: usize) -> bool {
        self.producer.send_part(&vec![number; len], &mut 0).expect("honest peer")
    }

    /// Sends and flushes; sleeps until there is room.
    fn send_sleeping(&mut self, number: u8) {
        while !self.send(number) {
            if let Some(ticket) = self.producer.arm().expect("honest peer") {
                self.words.peer.sleep(Side::Space, ticket);
            }
            self.producer.disarm();
        }
        self.producer.flush();
    }
}

impl Reader {
    /// The next message's number, if one is there; 0 for an empty one.
    fn read(&mut self) -> Option<u8> {
        match self.consumer.poll().expect("honest peer") {
            Polled::Message => {}
            Polled::Nothing => return None,
            Polled::Closed | Polled::Blob => panic!("nobody closed or handed over"),
        }
        let message = self.consumer.message();
        let number = message.first().copied().unwrap_or(0);
        assert!(message.iter().all(|byte| *byte == number), "{message:?} is torn");
        Some(number)
    }

    /// The next message's number; sleeps until one is there.
    fn read_sleeping(&mut self) -> u8 {
        loop {
            if let Some(number) = self.read() {
                return number;
            }
            if let Some(ticket) = self.consumer.arm() {
                self.words.peer.sleep(Side::Data, ticket);
            }
            self.consumer.disarm();
        }
    }

    /// The same with the control socket to sleep on. No ticket: the bytes stay until they are read.
    fn read_sleeping_on_socket(&mut self) -> u8 {
        self.consumer.sleep_on_socket();
        loop {
            if let Some(number) = self.read() {
                return number;
            }
            if self.consumer.arm().is_some() {
                self.words.peer.sleep_on_socket();
            }
            self.consumer.disarm();
        }
    }

    /// Reads `expected`, which must be all that is there.
    fn read_rest(&mut self, expected: impl Iterator<Item = u8>) {
        for number in expected {
            assert_eq!(self.read(), Some(number));
        }
        assert_eq!(self.read(), None);
    }
}

/// Two records, each published alone; the reader looks a few times meanwhile.
fn commit() {
    let (mut writer, mut reader) = pair(SMALL);
    let writing = thread::spawn(move || {
        for number in 1..=2 {
            assert!(writer.send(number));
            writer.producer.flush();
        }
    });
    let mut next = 1;
    for _ in 0..3 {
        if let Some(number) = reader.read() {
            assert_eq!(number, next);
            next += 1;
        }
    }
    writing.join().expect("wrote");
    reader.read_rest(next..=2);
}

#[test]
fn loom_committed_header_shows_every_payload_byte() {
    holds(commit);
}

#[test]
fn loom_with_a_relaxed_commit_the_payload_is_a_race() {
    fails(Mutation::RelaxedCommit, commit, RACE);
}

#[test]
fn loom_without_the_acquire_behind_a_header_the_payload_is_a_race() {
    fails(Mutation::Without(Site::HeaderLoad), commit, RACE);
}

/// Three records in one batch.
fn batch() {
    let (mut writer, mut reader) = pair(SMALL);
    let writing = thread::spawn(move || {
        for number in 1..=3 {
            assert!(writer.send(number));
        }
        writer.producer.flush();
    });
    for _ in 0..2 {
        if let Some(number) = reader.read() {
            assert_eq!(number, 1);
            // The first header is the last to be stored, so the others must be there.
            reader.read_rest(2..=3);
            writing.join().expect("wrote");
            return;
        }
    }
    writing.join().expect("wrote");
    reader.read_rest(1..=3);
}

#[test]
fn loom_first_header_of_a_batch_shows_the_whole_batch() {
    holds(batch);
}

#[test]
fn loom_with_a_relaxed_first_header_the_batch_is_a_race() {
    fails(Mutation::RelaxedCommit, batch, RACE);
}

#[test]
fn loom_with_the_first_header_first_the_later_payloads_are_a_race() {
    // What a writer does that does not hold the first header back: the others are then published
    // one by one, although they are stored relaxed.
    fails(Mutation::FirstHeaderFirst, commit, RACE);
}

/// A batch that starts shortly before the ring's end: one record, padding, two records in the bytes
/// of the last lap.
fn batch_around_the_end() {
    let (mut writer, mut reader) = pair(SMALL);
    for _ in 0..5 {
        assert!(writer.send_len(0, 0));
        writer.producer.flush();
        assert_eq!(reader.read(), Some(0));
    }
    let writing = thread::spawn(move || {
        for number in 1..=3 {
            assert!(writer.send(number));
        }
        writer.producer.flush();
    });
    let mut next = 1;
    for _ in 0..3 {
        match reader.read() {
            Some(number) => {
                assert_eq!(number, next);
                next += 1;
            }
            None => assert_ne!(next, 3, "the second and the third are one batch"),
        }
    }
    writing.join().expect("wrote");
    reader.read_rest(next..=3);
}

#[test]
fn loom_batch_goes_around_the_end_behind_its_padding() {
    holds(batch_around_the_end);
}

#[test]
fn loom_without_zeroed_headers_old_bytes_are_taken_for_a_record() {
    fails(Mutation::NextHeaderNotZeroed, batch_around_the_end, FAULT);
}

#[test]
fn loom_with_the_next_header_zeroed_late_old_bytes_are_taken_for_a_record() {
    fails(Mutation::NextHeaderZeroedLate, batch_around_the_end, FAULT);
}

#[test]
fn loom_with_a_relaxed_commit_the_batch_around_the_end_is_a_race() {
    fails(Mutation::RelaxedCommit, batch_around_the_end, RACE);
}

/// A full ring, of which the reader frees the first record. Behind an empty record, which takes the
/// last 8 bytes, the writer then reuses the bytes of that record. It learns of them by one load of
/// `head`, and no fence of an earlier record stands between.
fn reuse() {
    let (mut writer, mut reader) = pair(MEDIUM);
    for number in 1..=5 {
        assert!(writer.send(number));
    }
    writer.producer.flush();
    let writing = thread::spawn(move || {
        let mut room = (0..2).any(|_| writer.send_len(6, 0));
        room = room && (0..2).any(|_| writer.send_len(7, 8));
        writer.producer.flush();
        room
    });
    assert_eq!(reader.read(), Some(1));
    assert_eq!(reader.read(), Some(2));
    let both = writing.join().expect("wrote");
    for number in 3..=5 {
        assert_eq!(reader.read(), Some(number));
    }
    if both {
        reader.read_rest([0, 7].into_iter());
    }
}

#[test]
fn loom_freed_bytes_are_reused_only_after_they_were_read() {
    holds(reuse);
}

#[test]
fn loom_with_a_relaxed_head_the_reuse_is_a_race() {
    fails(Mutation::RelaxedHead, reuse, RACE);
}

#[test]
fn loom_without_the_acquire_behind_head_the_reuse_is_a_race() {
    fails(Mutation::Without(Site::HeadLoad), reuse, RACE);
}

/// The reader sleeps for each of three records.
fn sleep_for_data() {
    let (mut writer, mut reader) = pair(SMALL);
    let writing = thread::spawn(move || {
        for number in 1..=3 {
            assert!(writer.send(number));
            writer.producer.flush();
        }
    });
    for number in 1..=3 {
        assert_eq!(reader.read_sleeping(), number);
    }
    writing.join().expect("wrote");
}

#[test]
fn loom_sleeping_reader_is_woken_for_each_record() {
    holds(sleep_for_data);
}

#[test]
fn loom_without_the_producers_fence_a_wake_is_lost() {
    fails(Mutation::Without(Site::Flush), sleep_for_data, ALL_ASLEEP);
}

#[test]
fn loom_without_the_consumers_fence_a_wake_is_lost() {
    fails(Mutation::Without(Site::ArmForData), sleep_for_data, ALL_ASLEEP);
}

#[test]
fn loom_with_the_bell_read_after_the_park_word_a_wake_is_lost() {
    fails(Mutation::BellAfterParkWord, sleep_for_data, ALL_ASLEEP);
}

#[test]
fn loom_with_one_epoch_for_all_sleeps_a_wake_is_lost() {
    fails(Mutation::SameEpoch, sleep_for_data, ALL_ASLEEP);
}

#[test]
fn loom_with_the_wake_before_the_bump_a_wake_is_lost() {
    fails(Mutation::WakeBeforeBump, sleep_for_data, ALL_ASLEEP);
}

/// The reader sleeps on the control socket for each of three records.
fn sleep_on_socket_for_data() {
    let (mut writer, mut reader) = pair(SMALL);
    let writing = thread::spawn(move || {
        for number in 1..=3 {
            assert!(writer.send(number));
            writer.producer.flush();
        }
    });
    for number in 1..=3 {
        assert_eq!(reader.read_sleeping_on_socket(), number);
    }
    writing.join().expect("wrote");
}

#[test]
fn loom_reader_asleep_on_the_socket_is_woken_for_each_record() {
    holds(sleep_on_socket_for_data);
}

#[test]
fn loom_without_the_producers_fence_a_doorbell_is_lost() {
    fails(Mutation::Without(Site::Flush), sleep_on_socket_for_data, ALL_ASLEEP);
}

#[test]
fn loom_without_the_consumers_fence_a_doorbell_is_lost() {
    fails(Mutation::Without(Site::ArmForData), sleep_on_socket_for_data, ALL_ASLEEP);
}

#[test]
fn loom_with_one_epoch_for_all_sleeps_a_doorbell_is_lost() {
    fails(Mutation::SameEpoch, sleep_on_socket_for_data, ALL_ASLEEP);
}

/// The ring is full; the writer sleeps for room for two more records.
fn sleep_for_room() {
    let (mut writer, mut reader) = pair(SMALL);
    for number in 1..=3 {
        assert!(writer.send(number));
    }
    writer.producer.flush();
    let writing = thread::spawn(move || {
        for number in 4..=5 {
            writer.send_sleeping(number);
        }
    });
    for number in 1..=3 {
        assert_eq!(reader.read(), Some(number));
    }
    writing.join().expect("wrote");
    reader.read_rest(4..=5);
}

#[test]
fn loom_sleeping_writer_is_woken_for_room() {
    holds(sleep_for_room);
}

#[test]
fn loom_without_the_fence_behind_head_a_wake_for_room_is_lost() {
    fails(Mutation::Without(Site::PublishHead), sleep_for_room, ALL_ASLEEP);
}

#[test]
fn loom_without_the_sleeping_writers_fence_a_wake_for_room_is_lost() {
    fails(Mutation::Without(Site::ArmForSpace), sleep_for_room, ALL_ASLEEP);
}

#[test]
fn loom_with_the_space_bell_read_after_the_park_word_a_wake_is_lost() {
    fails(Mutation::BellAfterParkWord, sleep_for_room, ALL_ASLEEP);
}

/// Both ends sleep; the ring holds one record of three.
fn sleep_for_both() {
    let (mut writer, mut reader) = pair(TINY);
    let writing = thread::spawn(move || {
        for number in 1..=3 {
            writer.send_sleeping(number);
        }
    });
    for number in 1..=3 {
        assert_eq!(reader.read_sleeping(), number);
    }
    writing.join().expect("wrote");
}

#[test]
fn loom_both_ends_sleep_and_everything_arrives() {
    holds(sleep_for_both);
}

/// The writer sends one record and closes while the reader sleeps. The ring is the real one; the
/// steps of `Link::end`, `Link::hung_up`, `ShmReceiver` and `ShmSignal::wait` are restated.
fn close_while_the_reader_sleeps() {
    struct End {
        state: AtomicU32,
        over: AtomicU32,
        kicks: AtomicU32,
    }
    const HUNG_UP: u32 = 4;

    let (mut writer, mut reader) = pair(SMALL);
    let end = Rc::new(End {
        state: AtomicU32::new(STATE_OPEN),
        over: AtomicU32::new(0),
        kicks: AtomicU32::new(0),
    });
    let ending = Rc::clone(&end);
    let writing = thread::spawn(move || {
        assert!(writer.send(1));
        writer.producer.flush();
        ending.state.store(STATE_CLOSED, Ordering::Release);
        writer.words.ring_bell(Side::Data, PARKED_ON_FUTEX);
        // The socket carries the hang-up to the reader's process, whose watcher does this.
        let flag = || ending.over.fetch_or(HUNG_UP, Ordering::AcqRel);
        if !mutated(Mutation::KickBeforeFlag) {
            flag();
        }
        ending.kicks.fetch_add(1, Ordering::Release);
        writer.words.own.wake();
        if mutated(Mutation::KickBeforeFlag) {
            flag();
        }
    });
    let mut got = 0;
    loop {
        let kicks = end.kicks.load(Ordering::Acquire);
        let mut flags = end.over.load(Ordering::Acquire);
        if let Some(number) = reader.read() {
            got = number;
            continue;
        }
        if mutated(Mutation::FlagAfterRing) {
            flags = end.over.load(Ordering::Acquire);
        }
        if flags != 0 && (mutated(Mutation::FlagAfterRing) || !reader.consumer.has_news()) {
            break;
        }
        if let Some(ticket) = reader.consumer.arm()
            && end.over.load(Ordering::Acquire) == 0
        {
            let kicked = || end.kicks.load(Ordering::Relaxed) == kicks;
            reader.words.peer.sleep_while(Side::Data, ticket, kicked);
        }
        reader.consumer.disarm();
    }
    assert_eq!(got, 1, "a record was lost");
    assert_eq!(end.state.load(Ordering::Acquire), STATE_CLOSED);
    writing.join().expect("closed");
}

#[test]
fn loom_close_reaches_a_sleeping_reader_behind_the_last_record() {
    holds(close_while_the_reader_sleeps);
}

#[test]
fn loom_with_the_kick_before_the_flag_a_close_is_missed() {
    fails(Mutation::KickBeforeFlag, close_while_the_reader_sleeps, ALL_ASLEEP);
}

#[test]
fn loom_with_the_flag_read_after_the_ring_the_last_record_is_lost() {
    fails(Mutation::FlagAfterRing, close_while_the_reader_sleeps, "a record was lost");
}
