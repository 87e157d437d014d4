//! The history checker: what came is what was sent, once, in order, whole, up to a known end.
//!
//! A message is its stream (4 bytes), its number in that stream (8), a checksum over both and the
//! payload (8), then the payload: pseudo-random bytes of any length, none included. So a message
//! says by itself who it is and whether it came whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::random::Random;

/// Bytes before the payload.
pub const HEAD_LEN: usize = 4 + 8 + 8;

/// A message with `len` bytes of payload.
#[must_use]
pub fn message(stream: u32, number: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_LEN + len);
    bytes.extend_from_slice(&stream.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    // Different in each message, so that a piece of another one shows.
    let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(stream);
    bytes.extend_from_slice(&Random::new(seed).bytes(len));
    let sum = checksum(&bytes);
    bytes[12..HEAD_LEN].copy_from_slice(&sum);
    bytes
}

/// Stream and number of a message that came whole.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<(u32, u64)> {
    let head: &[u8; HEAD_LEN] = bytes.first_chunk()?;
    if head[12..] != checksum(bytes) {
        return None;
    }
    let stream = u32::from_le_bytes(head[..4].try_into().ok()?);
    let number = u64::from_le_bytes(head[4..12].try_into().ok()?);
    Some((stream, number))
}

/// Over everything but the checksum itself.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..12]).update(&bytes[HEAD_LEN..]);
    let mut sum = [0; 8];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    sum
}

/// What must not happen to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Its bytes are not those that were sent.
    Torn {
        /// How many bytes came.
        len: usize,
    },
    /// Some before it have not come: lost, or about to come too late.
    Gap {
        /// The stream.
        stream: u32,
        /// The number that was to come next.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// It comes after one with a higher number.
    Late {
        /// The stream.
        stream: u32,
        /// Its number.
        number: u64,
    },
    /// It has come before.
    Doubled {
        /// The stream.
        stream: u32,
        /// Its number.
        number: u64,
    },
    /// More came than was ever committed.
    Beyond {
        /// The stream.
        stream: u32,
        /// Messages that came.
        received: u64,
        /// Messages that were committed, at most.
        committed: u64,
    },
    /// The end of what was committed did not come.
    Missing {
        /// The stream.
        stream: u32,
        /// Messages that came.
        received: u64,
        /// Messages that were committed, at least.
        committed: u64,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Violation {}

#[derive(Debug, Default)]
struct Stream {
    next: u64,
    /// Numbers below `next` that have not come.
    skipped: BTreeSet<u64>,
}

/// What has come so far, of any number of streams.
#[derive(Debug, Default)]
pub struct History {
    streams: BTreeMap<u32, Stream>,
    seen: u64,
}

impl History {
    /// Nothing has come yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One message has come: its stream.
    ///
    /// # Errors
    ///
    /// It is not the next one of its stream, or not what was sent.
    pub fn see(&mut self, bytes: &[u8]) -> Result<u32, Violation> {
        let (stream, number) = read(bytes).ok_or(Violation::Torn { len: bytes.len() })?;
        let Stream { next, skipped } = self.streams.entry(stream).or_default();
        self.seen += 1;
        if number < *next {
            return Err(if skipped.remove(&number) {
                Violation::Late { stream, number }
            } else {
                Violation::Doubled { stream, number }
            });
        }
        let expected = *next;
        *next = number + 1;
        if number == expected {
            return Ok(stream);
        }
        // A few suffice to tell a late message from a doubled one.
        skipped.extend((expected..number).take(1000));
        Err(Violation::Gap { stream, expected, found: number })
    }

    /// Messages of all streams that have come.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The number that comes next in a stream: so many have come, if nothing was amiss.
    #[must_use]
    pub fn next(&self, stream: u32) -> u64 {
        self.streams.get(&stream).map_or(0, |stream| stream.next)
    }

    /// Nothing more will come, and exactly `committed` messages of this stream were committed.
    ///
    /// # Errors
    ///
    /// Fewer or more came.
    pub fn finish(&self, stream: u32, committed: u64) -> Result<(), Violation> {
        self.finish_between(stream, committed, committed)
    }

    /// As [`finish`](Self::finish), for a writer whose death left a doubt about its last messages:
    /// `done` had been committed for certain, and more than `intended` cannot have been.
    ///
    /// # Errors
    ///
    /// Fewer than `done` or more than `intended` came.
    pub fn finish_between(&self, stream: u32, done: u64, intended: u64) -> Result<(), Violation> {
        let received = self.next(stream);
        if received < done {
            Err(Violation::Missing { stream, received, committed: done })
        } else if received > intended {
            Err(Violation::Beyond { stream, received, committed: intended })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(numbers: &[u64]) -> (History, Result<u32, Violation>) {
        let mut history = History::new();
        let last = numbers.iter().map(|number| history.see(&message(7, *number, 50))).last();
        (history, last.expect("a message"))
    }

    #[test]
    fn messages_in_order_pass_whatever_their_length() {
        let mut history = History::new();
        for (number, len) in [0, 1, 7, 8, 9, 4096, 100_000].into_iter().enumerate() {
            assert_eq!(history.see(&message(1, number as u64, len)), Ok(1));
            assert_eq!(history.see(&message(2, number as u64, len)), Ok(2));
        }
        assert_eq!(history.seen(), 14);
        assert_eq!((history.finish(1, 7), history.finish(2, 7)), (Ok(()), Ok(())));
        assert_eq!(history.finish(3, 0), Ok(()), "a stream of which nothing was sent");
    }

    #[test]
    fn lost_message_is_found() {
        assert_eq!(seen(&[0, 2]).1, Err(Violation::Gap { stream: 7, expected: 1, found: 2 }));
        assert_eq!(seen(&[1]).1, Err(Violation::Gap { stream: 7, expected: 0, found: 1 }));
    }

    #[test]
    fn doubled_message_is_found() {
        assert_eq!(seen(&[0, 1, 1]).1, Err(Violation::Doubled { stream: 7, number: 1 }));
        assert_eq!(seen(&[0, 1, 0]).1, Err(Violation::Doubled { stream: 7, number: 0 }));
    }

    #[test]
    fn reordered_message_is_found_and_not_taken_for_a_doubled_one() {
        assert_eq!(seen(&[0, 2, 1]).1, Err(Violation::Late { stream: 7, number: 1 }));
        assert_eq!(seen(&[0, 2, 1, 1]).1, Err(Violation::Doubled { stream: 7, number: 1 }));
    }

    #[test]
    fn torn_message_is_found_wherever_it_is_torn() {
        let good = message(7, 3, 40);
        assert_eq!(read(&good), Some((7, 3)));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert_eq!(read(&bad), None, "byte {at}");
            assert_eq!(History::new().see(&good[..at]), Err(Violation::Torn { len: at }));
        }
        let longer = [&good[..], &[0]].concat();
        assert_eq!(History::new().see(&longer), Err(Violation::Torn { len: 61 }));
        // The start of one message with the end of another.
        let other = message(7, 4, 40);
        let mixed = [&good[..40], &other[40..]].concat();
        assert_eq!(History::new().see(&mixed), Err(Violation::Torn { len: 60 }));
    }

    #[test]
    fn message_beyond_the_committed_prefix_is_found() {
        let (history, _) = seen(&[0, 1, 2]);
        let beyond = Violation::Beyond { stream: 7, received: 3, committed: 2 };
        assert_eq!(history.finish(7, 2), Err(beyond));
        assert_eq!(history.finish_between(7, 1, 2), Err(beyond));
    }

    #[test]
    fn missing_end_of_the_committed_prefix_is_found() {
        let (history, _) = seen(&[0, 1, 2]);
        let missing = Violation::Missing { stream: 7, received: 3, committed: 4 };
        assert_eq!(history.finish(7, 4), Err(missing));
        assert_eq!(history.finish_between(7, 4, 9), Err(missing));
        assert_eq!(history.finish_between(7, 2, 9), Ok(()));
        let nothing = Violation::Missing { stream: 8, received: 0, committed: 1 };
        assert_eq!(history.finish(8, 1), Err(nothing));
    }
}
