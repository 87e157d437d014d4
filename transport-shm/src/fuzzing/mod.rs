//! What the fuzz targets in `fuzz/` run. No part of the interface: it exists under `cfg(fuzzing)`
//! and in this crate's own tests, which run the same properties on fewer cases.
//!
//! Each submodule has an input type, which a fuzzer fills, and a `run` that holds the properties and
//! panics if one fails.

pub mod handshake;
pub mod header;
pub mod honest;
pub mod hostile;
pub mod segment;

use arbitrary::{Arbitrary, Unstructured};

use crate::layout::{self, max_frame};
use crate::ring::memory::{OwnRing, OwnRingMap};
use crate::ring::record::{BLOB_LEN, HEADER, footprint};
use crate::sync::Ordering;

/// A ring from 64 bytes, far below what the layout allows, to its minimum.
#[derive(Debug, Clone, Copy)]
pub struct Capacity(usize);

impl Arbitrary<'_> for Capacity {
    fn arbitrary(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let most = layout::MIN_RING_CAPACITY.ilog2();
        Ok(Self(1 << bytes.int_in_range(6..=most)?))
    }
}

/// The largest message, from 16 bytes to 64 KiB.
#[derive(Debug, Clone, Copy)]
pub struct MaxLen(usize);

impl Arbitrary<'_> for MaxLen {
    fn arbitrary(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        Ok(Self(1 << bytes.int_in_range(4..=16)?))
    }
}

/// What a receive buffer may take: it doubles, and never starts below 64 bytes.
fn bound(max_message_len: usize) -> usize {
    2 * (max_message_len + 64)
}

/// A record as a liar writes it: mostly right, for what is wrong at once is refused at once.
#[derive(Debug, Clone, Arbitrary)]
pub struct Record {
    kind: Forged,
    len: u16,
    fill: u8,
    /// Below 64, the bit of the header that is turned over.
    wrong_bit: u8,
}

/// Kinds that exist, and all others.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Forged {
    Data,
    First,
    Middle,
    Last,
    Pad,
    Close,
    Abandon,
    Other(u8),
}

/// Writes records as a producer would, and does not care whether anyone has read the last ones.
#[derive(Debug, Default)]
struct Forger {
    tail: u64,
    number: u64,
}

impl Forger {
    fn write(&mut self, ring: &mut OwnRingMap, record: &Record) {
        let capacity = ring.capacity();
        let to_end = capacity - self.offset(capacity);
        let (kind, len) = match record.kind {
            Forged::Pad => (5, to_end - HEADER),
            Forged::Close => (8, 0),
            Forged::Abandon => (9, 0),
            Forged::Data => (1, usize::from(record.len) % (max_frame(capacity) + 1)),
            Forged::First => (2, usize::from(record.len) % (max_frame(capacity) + 1)),
            Forged::Middle => (3, usize::from(record.len) % (max_frame(capacity) + 1)),
            Forged::Last => (4, usize::from(record.len) % (max_frame(capacity) + 1)),
            Forged::Other(7) => (7, BLOB_LEN),
            Forged::Other(kind) => (kind, usize::from(record.len) % capacity),
        };
        if footprint(len) > to_end {
            self.put(ring, 5, to_end - HEADER, 0, 0);
        }
        let flip = 1_u64.checked_shl(u32::from(record.wrong_bit)).unwrap_or(0);
        self.put(ring, kind, len, record.fill, flip);
    }

    fn put(&mut self, ring: &mut OwnRingMap, kind: u8, len: usize, fill: u8, flip: u64) {
        let capacity = ring.capacity();
        let at = self.offset(capacity);
        let seq = (self.number.wrapping_add(1) & 0xFFFF) << 48;
        let word = (len as u64 | (u64::from(kind) << 32) | seq) ^ flip;
        let end = (at + HEADER + len).min(capacity);
        ring.slot(at + HEADER, end - at - HEADER).fill(fill);
        self.tail += footprint(len) as u64;
        self.number += 1;
        ring.store_header(self.offset(capacity), 0, Ordering::Relaxed);
        ring.store_header(at, word, Ordering::Release);
    }

    fn offset(&self, capacity: usize) -> usize {
        usize::try_from(self.tail % capacity as u64).expect("below the capacity")
    }
}

/// The input that these bytes stand for, as a fuzzer would make it.
#[cfg(test)]
fn input<'a, T: Arbitrary<'a>>(bytes: &'a [u8]) -> T {
    T::arbitrary_take_rest(Unstructured::new(bytes)).expect("these types accept all bytes")
}

/// Runs what is kept in `fuzz/seeds/` for one target: what a fuzzer once found, and where it starts.
#[cfg(test)]
fn replay<T: for<'a> Arbitrary<'a>>(target: &str, run: fn(&T)) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds");
    let seeds = std::fs::read_dir(std::path::Path::new(folder).join(target)).expect("seeds");
    for seed in seeds {
        let bytes = std::fs::read(seed.expect("listed").path()).expect("a readable seed");
        if let Ok(input) = T::arbitrary_take_rest(Unstructured::new(&bytes)) {
            run(&input);
        }
    }
}
