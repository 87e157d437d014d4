//! The ring over real segments, both ends in one process, with a peer that may lie.

use proptest::prelude::*;

use super::consumer::{Consumer, Polled};
use super::memory::{OwnMap, OwnRing, OwnRingMap, OwnWords, PeerMap, PeerMemory};
use super::producer::Producer;
use super::record::{HEADER, Kind, header};
use crate::layout::{self, Fixed, max_frame};
use crate::segment;
use crate::sync::Ordering;

const CAPACITY: usize = 1 << 16;
const FRAME: usize = max_frame(CAPACITY);
const MAX_MESSAGE: usize = 1 << 20;

/// One end: its own words and ring, and its view of the other end.
struct End {
    words: OwnMap,
    ring: OwnRingMap,
    peer: PeerMap,
}

fn ends() -> (End, End) {
    let make = || {
        let (mapping, file, fixed): (_, _, Fixed) =
            segment::create(CAPACITY as u64, [7; 16]).expect("segment");
        let view = segment::accept(&file, &fixed, layout::MAX_RING_CAPACITY).expect("accepted");
        (crate::ring::memory::own(mapping, CAPACITY), PeerMap::new(view, CAPACITY))
    };
    let (((words_a, ring_a), view_a), ((words_b, ring_b), view_b)) = (make(), make());
    (
        End { words: words_a, ring: ring_a, peer: view_b },
        End { words: words_b, ring: ring_b, peer: view_a },
    )
}

type TestProducer = Producer<OwnRingMap, OwnMap, PeerMap>;
type TestConsumer = Consumer<OwnMap, PeerMap>;

fn producer(end: End) -> TestProducer {
    Producer::new(end.ring, end.words, end.peer)
}

fn consumer(end: End) -> TestConsumer {
    Consumer::new(end.words, end.peer, MAX_MESSAGE)
}

fn pair() -> (TestProducer, TestConsumer) {
    let (a, b) = ends();
    (producer(a), consumer(b))
}

fn send(producer: &mut TestProducer, bytes: &[u8]) -> bool {
    send_any(producer, bytes)
}

fn send_any<W: OwnWords>(producer: &mut Producer<OwnRingMap, W, PeerMap>, bytes: &[u8]) -> bool {
    producer.send_part(bytes, &mut 0).expect("honest peer")
}

fn next(consumer: &mut TestConsumer) -> Option<Vec<u8>> {
    match consumer.poll().expect("honest peer") {
        Polled::Message => Some(consumer.message().to_vec()),
        _ => None,
    }
}

/// A peer that writes what it likes: headers one after the other, then a poll.
fn fault_of(headers: &[(usize, u64)]) -> &'static str {
    let (mut liar, honest) = ends();
    let mut consumer = consumer(honest);
    for (offset, word) in headers {
        liar.ring.store_header(*offset, *word, Ordering::Release);
    }
    loop {
        match consumer.poll() {
            Ok(Polled::Nothing) => panic!("not refused"),
            Ok(_) => {}
            Err(fault) => return fault.at,
        }
    }
}

#[test]
fn messages_arrive_once_and_in_order() {
    let (mut producer, mut consumer) = pair();
    let mut expected = 0_u32;
    for i in 0..20_000_u32 {
        let len = 4 + (i as usize * 7919) % 300;
        let mut message = vec![0; len];
        message[..4].copy_from_slice(&i.to_le_bytes());
        while !send(&mut producer, &message) {
            while let Some(got) = next(&mut consumer) {
                assert_eq!(got[..4], expected.to_le_bytes());
                expected += 1;
            }
        }
    }
    producer.flush();
    while let Some(got) = next(&mut consumer) {
        assert_eq!(got[..4], expected.to_le_bytes());
        assert_eq!(got.len(), 4 + (expected as usize * 7919) % 300);
        expected += 1;
    }
    assert_eq!(expected, 20_000);
}

#[test]
fn write_refuses_when_full() {
    let (mut producer, mut consumer) = pair();
    let mut count = 0;
    while send(&mut producer, &[1; 1000]) {
        count += 1;
    }
    assert!(count >= 63, "{count}");
    assert!(producer.arm().expect("honest").is_some(), "nothing was read yet");
    producer.disarm();
    assert!(next(&mut consumer).is_some(), "a refusal publishes what was written");
    for _ in 1..count {
        assert!(next(&mut consumer).is_some());
    }
    assert_eq!(next(&mut consumer), None);
    assert_eq!(producer.arm().expect("honest"), None, "an empty ring has room");
    assert!(send(&mut producer, &[2; 1000]));
}

#[test]
fn write_pads_to_the_end_when_a_record_would_wrap() {
    let (mut producer, mut consumer) = pair();
    // Seven frames and a bit leave less than a frame before the end.
    for _ in 0..7 {
        assert!(send(&mut producer, &[3; FRAME]));
        producer.flush();
        assert_eq!(next(&mut consumer).map(|m| m.len()), Some(FRAME));
    }
    assert_eq!(next(&mut consumer), None);
    assert!(send(&mut producer, &[4; FRAME]));
    producer.flush();
    assert_eq!(next(&mut consumer), Some(vec![4; FRAME]));
    assert!(producer.claim(FRAME).expect("honest"), "goes on right behind");
}

#[test]
fn an_empty_message_may_fill_the_last_eight_bytes() {
    let (mut producer, mut consumer) = pair();
    for _ in 0..CAPACITY / HEADER + 3 {
        assert!(send(&mut producer, &[]));
        producer.flush();
        assert_eq!(next(&mut consumer), Some(Vec::new()));
    }
}

#[test]
fn a_claim_gives_at_least_what_was_asked_and_is_given_back_by_the_next() {
    let (mut producer, mut consumer) = pair();
    for asked in [0, 1, 100, FRAME, FRAME + 1, usize::MAX] {
        assert!(producer.claim(asked).expect("honest"));
        let given = producer.slot().len();
        assert!(given >= asked.min(FRAME) && given <= FRAME, "asked {asked}, given {given}");
    }
    assert!(producer.claim(10).expect("honest"));
    producer.slot()[..3].copy_from_slice(b"abc");
    producer.commit(Kind::Data, 3);
    producer.flush();
    assert_eq!(next(&mut consumer), Some(b"abc".to_vec()));
    assert_eq!(next(&mut consumer), None);
}

#[test]
#[should_panic(expected = "commit of 1 bytes")]
fn commit_without_a_claim_is_a_bug_of_the_caller() {
    pair().0.commit(Kind::Data, 1);
}

#[test]
fn large_messages_travel_in_fragments_and_resume_when_there_is_room() {
    let (mut producer, mut consumer) = pair();
    let message: Vec<u8> = (0..=250).cycle().take(MAX_MESSAGE).collect();
    let (mut sent, mut stalls) = (0, 0);
    let mut got = None;
    while !producer.send_part(&message, &mut sent).expect("honest") {
        stalls += 1;
        got = got.or(next(&mut consumer));
    }
    producer.flush();
    while got.is_none() {
        got = next(&mut consumer);
    }
    assert!(stalls > 0);
    assert_eq!(got, Some(message));
}

#[test]
fn a_batch_is_invisible_until_it_is_flushed() {
    let (mut producer, mut consumer) = pair();
    assert!(send(&mut producer, b"one"));
    assert!(send(&mut producer, b"two"));
    assert_eq!(next(&mut consumer), None);
    producer.flush();
    assert_eq!(next(&mut consumer), Some(b"one".to_vec()));
    assert_eq!(next(&mut consumer), Some(b"two".to_vec()));
}

#[test]
fn poll_stops_before_an_uncommitted_record() {
    let (mut liar, honest) = ends();
    let mut consumer = consumer(honest);
    // The second record is there, the first is not: nothing may come.
    liar.ring.store_header(16, header(Kind::Data, 8, 1), Ordering::Release);
    assert_eq!(next(&mut consumer), None);
    liar.ring.store_header(0, header(Kind::Data, 8, 0), Ordering::Release);
    assert!(next(&mut consumer).is_some());
    assert!(next(&mut consumer).is_some());
}

#[test]
fn half_written_record_is_invisible_to_the_reader() {
    let (mut producer, mut consumer) = pair();
    assert!(send(&mut producer, b"whole"));
    producer.flush();
    assert!(producer.claim(100).expect("honest"));
    producer.slot().fill(0xFF);
    // The writer dies here.
    assert_eq!(next(&mut consumer), Some(b"whole".to_vec()));
    assert_eq!(next(&mut consumer), None);
}

#[test]
fn old_bytes_never_look_like_records() {
    let (mut producer, mut consumer) = pair();
    // Payload that looks like valid headers, round and round.
    for round in 0..3000_usize {
        let word = header(Kind::Data, 8, round as u64 + 1);
        let message: Vec<u8> = word.to_le_bytes().repeat(1 + round % 40);
        assert!(send(&mut producer, &message));
        producer.flush();
        assert_eq!(next(&mut consumer), Some(message));
        assert_eq!(next(&mut consumer), None);
    }
}

#[test]
fn unknown_kind_or_flag_closes_the_link() {
    for kind in [0_u64, 6, 7, 9, 255] {
        assert_eq!(fault_of(&[(0, 8 | (kind << 32) | (1 << 48))]), "kind");
    }
    assert_eq!(fault_of(&[(0, header(Kind::Data, 8, 0) | (1 << 40))]), "flags");
}

#[test]
fn length_beyond_the_ring_closes_the_link() {
    for len in [FRAME + 1, CAPACITY - 8, CAPACITY, u32::MAX as usize] {
        assert_eq!(fault_of(&[(0, header(Kind::Data, len, 0))]), "len");
    }
}

#[test]
fn record_out_of_sequence_closes_the_link() {
    assert_eq!(fault_of(&[(0, header(Kind::Data, 8, 1))]), "seq16");
    let replayed = header(Kind::Data, 8, 0);
    assert_eq!(fault_of(&[(0, replayed), (16, replayed)]), "seq16");
}

#[test]
fn misplaced_padding_closes_the_link() {
    assert_eq!(fault_of(&[(0, header(Kind::Pad, 56, 0))]), "len");
    assert_eq!(fault_of(&[(0, header(Kind::Pad, CAPACITY - 8, 0))]), "len");
}

#[test]
fn fragment_out_of_order_closes_the_link() {
    assert_eq!(fault_of(&[(0, header(Kind::Middle, 8, 0))]), "kind");
    assert_eq!(fault_of(&[(0, header(Kind::Last, 8, 0))]), "kind");
    for second in [Kind::First, Kind::Data, Kind::Close] {
        let headers = [(0, header(Kind::First, 8, 0)), (16, header(second, 0, 1))];
        assert_eq!(fault_of(&headers), "kind", "{second:?}");
    }
}

#[test]
fn record_after_close_closes_the_link() {
    let headers = [(0, header(Kind::Close, 0, 0)), (8, header(Kind::Data, 0, 1))];
    assert_eq!(fault_of(&headers), "kind");
    let (mut liar, honest) = ends();
    let mut consumer = consumer(honest);
    liar.ring.store_header(0, header(Kind::Close, 0, 0), Ordering::Release);
    assert_eq!(consumer.poll(), Ok(Polled::Closed));
}

#[test]
fn header_changed_between_reads_is_seen_once() {
    let (mut liar, honest) = ends();
    let mut consumer = consumer(honest);
    liar.ring.store_header(0, header(Kind::Data, 8, 0), Ordering::Release);
    assert_eq!(consumer.poll(), Ok(Polled::Message));
    // What was judged stays judged: a later change of the same header moves nothing.
    liar.ring.store_header(0, header(Kind::Data, 4096, 0), Ordering::Release);
    assert_eq!(consumer.message().len(), 8);
    assert_eq!(consumer.poll(), Ok(Polled::Nothing));
}

#[test]
fn head_going_back_closes_the_link() {
    let (a, liar) = ends();
    let mut producer = producer(a);
    while send(&mut producer, &[0; 1000]) {}
    liar.words.store_head(16 * 8);
    assert!(producer.claim(1).is_ok());
    for bad in [8, 0, 16 * 8 + 1] {
        liar.words.store_head(bad);
        assert_eq!(producer.claim(FRAME).expect_err("refused").at, "head");
    }
}

#[test]
fn head_beyond_tail_closes_the_link() {
    let (a, liar) = ends();
    let mut producer = producer(a);
    assert!(send(&mut producer, b"published"));
    producer.flush();
    assert!(send(&mut producer, b"held back"));
    liar.words.store_head(!7);
    assert_eq!(producer.arm().expect_err("refused").at, "head");
}

#[test]
fn park_toggler_costs_bounded_work() {
    let (a, liar) = ends();
    let bells = a.words.clone();
    let mut producer = producer(a);
    let before = bells.word32(layout::DATA_BELL).load(Ordering::Relaxed);
    for word in [5, 5, 4, 5, 9, 9, 11] {
        liar.words.store_park(super::Side::Data, word);
        assert!(send(&mut producer, b"x"));
        producer.flush();
    }
    let after = bells.word32(layout::DATA_BELL).load(Ordering::Relaxed);
    assert_eq!(after - before, 3, "one wake for each word that was not answered yet");
}

#[test]
fn a_record_wakes_an_armed_reader_and_an_armed_reader_sees_a_record() {
    let (mut producer, mut consumer) = pair();
    let ticket = consumer.arm().expect("empty");
    assert!(send(&mut producer, b"x"));
    producer.flush();
    assert_eq!(consumer.arm(), None);
    assert!(next(&mut consumer).is_some());
    assert_ne!(consumer.arm(), Some(ticket), "the bell was rung");
}

#[test]
fn each_announced_sleep_is_answered_once() {
    let (mut word, mut wakes) = (super::ParkWord::default(), super::WakeOnce::default());
    let first = word.park();
    assert!(wakes.is_due(first));
    assert!(!wakes.is_due(first));
    assert_eq!(word.unpark(), Some(first & !3));
    assert_eq!(word.unpark(), None);
    assert!(!wakes.is_due(first & !3));
    assert!(wakes.is_due(word.park()));
}

/// Words of an end whose peer rings late: right after a sleep is announced, for something that was
/// seen before.
struct LateBell {
    words: OwnMap,
    peer: OwnMap,
}

impl OwnWords for LateBell {
    fn put_head(&self, head: u64, order: Ordering) {
        self.words.put_head(head, order);
    }
    fn put_park(&self, side: super::Side, word: u32, order: Ordering) {
        self.words.put_park(side, word, order);
        if word & 1 == 1 {
            self.peer.ring_bell(side, word);
        }
    }
    fn bump_bell(&self, side: super::Side, order: Ordering) {
        self.words.bump_bell(side, order);
    }
    fn wake_sleepers(&self, side: super::Side, park: u32) {
        self.words.wake_sleepers(side, park);
    }
    fn count(&self, counter: crate::counters::Counter, by: u64) {
        self.words.count(counter, by);
    }
}

#[test]
fn a_late_bell_for_old_news_does_not_use_up_the_wake_of_a_sleep() {
    let (a, b) = ends();
    let (peer, other) = (a.peer.clone(), b.words.clone());
    let late = || LateBell { words: a.words.clone(), peer: other.clone() };
    let mut consumer = Consumer::new(late(), a.peer.clone(), MAX_MESSAGE);
    let ticket = consumer.arm().expect("empty");
    assert_ne!(ticket, peer.bell(super::Side::Data), "the sleep must not begin");

    let mut producer = Producer::new(a.ring, late(), a.peer.clone());
    while send_any(&mut producer, &[0; 1000]) {}
    let ticket = producer.arm().expect("honest").expect("full");
    assert_ne!(ticket, peer.bell(super::Side::Space), "the sleep must not begin");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn ring_survives_arbitrary_peer_memory(
        words in proptest::collection::vec((0_usize..64, any::<u64>(), 0_u8..4), 0..64),
        head: u64,
        park: u32,
    ) {
        let (mut liar, honest) = ends();
        let End { words: own_words, ring, peer } = honest;
        let mut consumer = Consumer::new(own_words.clone(), peer.clone(), MAX_MESSAGE);
        let mut producer = Producer::new(ring, own_words, peer);
        liar.words.store_head(head);
        liar.words.store_park(super::Side::Data, park);
        liar.words.store_park(super::Side::Space, park);
        for (number, (slot, word, shape)) in (0_u64..).zip(words) {
            // Random words rarely get past the first check, so most are made plausible.
            let kind = [Kind::Data, Kind::First, Kind::Middle, Kind::Last, Kind::Pad][slot % 5];
            let len = usize::from(word.to_le_bytes()[0]);
            let word = if shape == 0 { word } else { header(kind, len, number) };
            let offset = if shape == 3 { slot * 8 } else { usize::try_from(number).expect("small") * 16 };
            liar.ring.store_header(offset, word, Ordering::Release);
            // Every record moves the reader by at least a header, so this ends.
            let mut polls = 0;
            while let Ok(Polled::Message) = consumer.poll() {
                polls += 1;
                prop_assert!(polls <= CAPACITY / HEADER);
            }
            consumer.arm();
            consumer.disarm();
            let _ = producer.claim(slot * 100);
            let _ = producer.send_part(&[1; 5000], &mut 0);
            producer.flush();
        }
    }
}
