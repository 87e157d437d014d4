//! A whole segment of the peer's, with any bytes in it, met by both of our halves.

use arbitrary::Arbitrary;

use super::{Capacity, Forger, MaxLen, Record, bound};
use crate::counters::Counter;
use crate::layout::{self, max_frame};
use crate::ring::Side;
use crate::ring::consumer::{Consumer, Polled};
use crate::ring::memory::{OwnMap, OwnRing, OwnRingMap, OwnWords, PeerMap, heap};
use crate::ring::producer::Producer;
use crate::ring::record::HEADER;
use crate::sync::Ordering;

/// Everything the peer can write that is ever read after the handshake.
#[derive(Debug, Arbitrary)]
pub struct Image {
    capacity: Capacity,
    max_message_len: MaxLen,
    /// What we try to send.
    lens: [u16; 4],
    head: Head,
    park: [u32; 2],
    bell: [u32; 2],
    state: u32,
    /// Written over the bytes.
    records: Vec<Record>,
    ring: Vec<u8>,
}

/// How far the peer says it has read.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Head {
    Any(u64),
    /// So many units of 8 bytes.
    Near(u16),
}

/// Reads all of it and writes against it.
///
/// # Panics
///
/// If reading does not end, keeps more than the limits allow, or gives more than the ring holds; if
/// writing goes beyond the room that the peer's `head` can have given, or wakes it too often.
pub fn run(image: &Image) {
    let Capacity(capacity) = image.capacity;
    let ((own, ring), _) = heap::segment(capacity);
    let ((peer_words, mut peer_ring), view) = heap::segment(capacity);

    let head = match image.head {
        Head::Any(head) => head,
        Head::Near(units) => u64::from(units) * 8,
    };
    peer_words.put_head(head, Ordering::Release);
    for (side, at) in [(Side::Data, layout::DATA_BELL), (Side::Space, layout::SPACE_BELL)] {
        peer_words.put_park(side, image.park[side as usize], Ordering::Relaxed);
        peer_words.word32(at).store(image.bell[side as usize], Ordering::Release);
    }
    peer_words.word32(layout::STATE).store(image.state, Ordering::Release);
    let len = image.ring.len().min(capacity);
    peer_ring.slot(0, len).copy_from_slice(&image.ring[..len]);

    let mut forger = Forger::default();
    for record in &image.records {
        forger.write(&mut peer_ring, record);
    }

    read(image, own.clone(), view.clone(), capacity);
    write(image, &own, ring, view, head);
}

fn read(image: &Image, own: OwnMap, view: PeerMap, capacity: usize) {
    let MaxLen(max_message_len) = image.max_message_len;
    let mut consumer = Consumer::new(own.clone(), view, max_message_len);
    let mut total = 0;
    // Every record takes a header, no ring holds more, and a second lap would need other sequence
    // numbers. One look more finds nothing.
    for polls in 0.. {
        assert!(polls <= capacity / HEADER + 1, "reading a still image ends");
        match consumer.poll() {
            Ok(Polled::Message) => {
                total += consumer.message().len();
                assert!(consumer.message().len() <= max_message_len);
            }
            Ok(Polled::Blob) => {
                total += consumer.message().len();
                assert!(consumer.message().len() + consumer.blob().0 <= max_message_len);
                consumer.blob_taken();
            }
            // A long message is read in several turns.
            Ok(Polled::Nothing) if consumer.has_news() => {}
            Ok(Polled::Nothing | Polled::Closed) | Err(_) => break,
        }
        assert!(consumer.message().capacity() <= bound(max_message_len));
    }
    assert!(total < capacity, "more came out than went in");
    let _ = consumer.arm();
    consumer.disarm();
    assert!(own.counted(Counter::Wakes) <= 1, "one announced sleep, one wake");
}

fn write(image: &Image, own: &OwnMap, ring: OwnRingMap, view: PeerMap, head: u64) {
    let woken = own.counted(Counter::Wakes);
    let capacity = ring.capacity();
    let mut producer = Producer::new(ring, own.clone(), view);
    let most = head.saturating_add((capacity - HEADER) as u64);
    for len in image.lens {
        let message = vec![0xA5; usize::from(len)];
        let _ = producer.fits(message.len());
        let _ = producer.send_part(&message, &mut 0);
        if producer.claim(message.len()) == Ok(true) {
            assert!(producer.slot().len() >= message.len().min(max_frame(capacity)));
            producer.slot().fill(0x5A);
        }
        let _ = producer.has_room();
        producer.flush();
        assert!(own.counted(Counter::Bytes) <= most, "written over what was not read");
        let _ = producer.arm();
        producer.disarm();
    }
    assert!(own.counted(Counter::Wakes) <= woken + 1, "one announced sleep, one wake");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzzing::{input, replay};

    #[test]
    fn kept_images_hold() {
        replay("ring_segment", run);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn any_segment_is_read_to_an_end_and_written_against_within_bounds(
            bytes in proptest::collection::vec(any::<u8>(), 0..2048),
        ) {
            run(&input(&bytes));
        }
    }
}
