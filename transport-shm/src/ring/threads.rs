//! Two threads on one segment at one address: all that ThreadSanitizer can see. `cargo xtask tsan`
//! runs these tests under it, and the ignored ones, of which it must report each.
//!
//! Not shown by it: fences. ThreadSanitizer knows none, so the peer's words are acquired by their
//! loads there (`LOAD` in `memory.rs`), and what fences alone order (P3, P4) is for the models.

use std::thread;
use std::time::{Duration, Instant};

use super::Side;
use super::consumer::{Consumer, Polled};
use super::memory::{OwnMap, OwnRing, OwnRingMap, OwnWords, PeerMap, heap};
use super::producer::Producer;
use crate::counters::Counter;
use crate::sync::Ordering;
use crate::wake::futex::{self, Watch};

const MESSAGES: u32 = 20_000;
const MAX_MESSAGE: usize = 1024;
/// Nothing takes this long: the other thread has failed, or a wake was lost.
const STUCK: Duration = Duration::from_secs(120);

/// A ring whose headers are published with another order.
struct Ring {
    ring: OwnRingMap,
    relaxed: bool,
}

impl OwnRing for Ring {
    fn capacity(&self) -> usize {
        self.ring.capacity()
    }
    fn store_header(&mut self, offset: usize, word: u64, order: Ordering) {
        let order = if self.relaxed { Ordering::Relaxed } else { order };
        self.ring.store_header(offset, word, order);
    }
    fn slot(&mut self, offset: usize, len: usize) -> &mut [u8] {
        self.ring.slot(offset, len)
    }
}

/// Words whose `head` is stored with another order.
struct Words {
    words: OwnMap,
    relaxed: bool,
}

impl OwnWords for Words {
    fn put_head(&self, head: u64, order: Ordering) {
        let order = if self.relaxed { Ordering::Relaxed } else { order };
        self.words.put_head(head, order);
    }
    fn put_park(&self, side: Side, word: u32, order: Ordering) {
        self.words.put_park(side, word, order);
    }
    fn bump_bell(&self, side: Side, order: Ordering) {
        self.words.bump_bell(side, order);
    }
    fn wake_sleepers(&self, side: Side, park: u32) {
        self.words.wake_sleepers(side, park);
    }
    fn count(&self, counter: Counter, by: u64) {
        self.words.count(counter, by);
    }
}

/// How a run differs from the real thing, and how it waits.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    capacity: usize,
    /// Flushes after so many messages.
    batch: u32,
    sleeps: bool,
    relaxed_commit: bool,
    relaxed_head: bool,
}

/// Length and contents of message `number`.
fn message(number: u32) -> Vec<u8> {
    let len = (number as usize * 7919) % if number.is_multiple_of(16) { MAX_MESSAGE } else { 40 };
    number.to_le_bytes().into_iter().cycle().take(len).collect()
}

/// One thread sends, the other receives, everything once and in order.
fn pass(run: Run) {
    let ((words_a, ring_a), view_a) = heap::segment(run.capacity);
    let ((words_b, _), view_b) = heap::segment(64);
    let ring = Ring { ring: ring_a, relaxed: run.relaxed_commit };
    let mut producer = Producer::new(ring, words_a, view_b.clone());
    let words = Words { words: words_b, relaxed: run.relaxed_head };
    let mut consumer = Consumer::new(words, view_a.clone(), MAX_MESSAGE);
    let until = Instant::now() + STUCK;
    // The threads borrow, and are joined one by one: who drops the segments is then known without
    // the fence in `Arc`, which ThreadSanitizer does not know either.
    let (producer, consumer) = (&mut producer, &mut consumer);
    let (view_a, view_b) = (&view_a, &view_b);
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            for number in 0..MESSAGES {
                let (message, mut sent) = (message(number), 0);
                while !producer.send_part(&message, &mut sent).expect("honest") {
                    let ticket = producer.arm().expect("honest");
                    sleep(view_b, Side::Space, ticket.filter(|_| run.sleeps), until);
                    producer.disarm();
                }
                if number.is_multiple_of(run.batch) {
                    producer.flush();
                }
            }
            producer.flush();
        });
        let receiving = scope.spawn(move || {
            for number in 0..MESSAGES {
                while consumer.poll().expect("honest") != Polled::Message {
                    let ticket = consumer.arm();
                    sleep(view_a, Side::Data, ticket.filter(|_| run.sleeps), until);
                    consumer.disarm();
                }
                assert_eq!(**consumer.message(), message(number));
            }
        });
        sending.join().expect("sent");
        receiving.join().expect("received");
    });
}

/// Sleeps on a bell, or gives the CPU away.
fn sleep(peer: &PeerMap, side: Side, ticket: Option<u32>, until: Instant) {
    match ticket {
        Some(value) => {
            let bell = Watch { word: peer.bell_ptr(side), value, private: false };
            futex::wait_any(&[bell], Some(STUCK));
        }
        None => thread::yield_now(),
    }
    assert!(Instant::now() < until, "stuck");
}

#[test]
fn messages_pass_between_two_threads() {
    pass(Run { capacity: 1 << 12, batch: 1, ..Run::default() });
}

#[test]
fn batches_pass_between_two_threads_around_a_tiny_ring() {
    pass(Run { capacity: 256, batch: 7, ..Run::default() });
}

#[test]
fn messages_pass_between_two_threads_that_sleep() {
    pass(Run { capacity: 512, batch: 3, sleeps: true, ..Run::default() });
}

#[test]
#[ignore = "a race on purpose: cargo xtask tsan"]
fn relaxed_commit_is_a_race() {
    pass(Run { capacity: 1 << 12, batch: 1, relaxed_commit: true, ..Run::default() });
}

#[test]
#[ignore = "a race on purpose: cargo xtask tsan"]
fn relaxed_head_is_a_race() {
    pass(Run { capacity: 256, batch: 1, relaxed_head: true, ..Run::default() });
}
