//! One header word against any state of the reader.

use arbitrary::Arbitrary;

use crate::layout::{MAX_RING_CAPACITY, max_frame};
use crate::ring::record::{
    Action, BLOB_LEN, HEADER, Kind, State, footprint, header, plain, validate,
};

/// A word and a state.
#[derive(Debug, Arbitrary)]
pub struct Case {
    word: u64,
    right: Right,
    capacity: u8,
    head: u64,
    /// Moves the head to so many units of 8 bytes before the ring's end.
    before_end: Option<u8>,
    number: u64,
    assembled: Option<u32>,
    after_pad: bool,
    closed: bool,
    max_message_len: u32,
}

/// What is put right, for random words would all be refused at once.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Right {
    Nothing,
    Sequence,
    /// The kind and the length are near what is legal, too.
    AllButFlags,
    All,
}

/// Judges the word, and the verdict.
///
/// # Panics
///
/// If a record is accepted that leaves the ring or the limits, that breaks the order of records, or
/// that its own writer would have written otherwise.
pub fn run(case: &Case) {
    let smallest = 6;
    let exponents = u64::from(MAX_RING_CAPACITY.ilog2() + 1 - smallest);
    let capacity = 1 << (u64::from(smallest) + u64::from(case.capacity) % exponents);
    // Whoever advanced to here advanced by whole records.
    let head = match case.before_end {
        Some(units) => {
            (case.head | (capacity as u64 - 1)) - (u64::from(units) * 8) % capacity as u64
        }
        None => case.head,
    };
    let state = State {
        capacity,
        head: head & !7,
        number: case.number,
        assembled: case.assembled.map(|len| len as usize),
        after_pad: case.after_pad,
        closed: case.closed,
        max_message_len: case.max_message_len as usize,
    };
    let seq = header(Kind::Data, 0, case.number) & (0xFFFF << 48);
    let word = match case.right {
        Right::Nothing => case.word,
        Right::Sequence => (case.word & !(0xFFFF << 48)) | seq,
        Right::AllButFlags | Right::All => {
            let len = (case.word & 0xFFFF_FFFF) % (2 * max_frame(capacity) as u64);
            let flags = if matches!(case.right, Right::All) { 0 } else { 0xFF << 40 };
            len | (case.word & (flags | (0xF << 32))) | seq
        }
    };
    let verdict = validate(word, &state);
    let whole = match verdict {
        Ok(Action::Take { len, first: true, whole: true }) => Some(len),
        _ => None,
    };
    assert_eq!(plain(word, &state), whole, "the short judgement and the long one");
    let Ok(action) = verdict else { return };

    assert!(!state.closed, "nothing follows CLOSE");
    let offset = usize::try_from(state.head % capacity as u64).expect("below the capacity");
    let to_end = capacity - offset;
    let (kind, len) = match action {
        Action::Take { len, first, whole } => {
            assert!(len <= max_frame(capacity));
            assert!(state.assembled.unwrap_or(0) + len <= state.max_message_len);
            assert_eq!(first, state.assembled.is_none(), "one message at a time");
            assert!(len > 0 || (first && whole), "a fragment brings something");
            let kind = match (first, whole) {
                (true, true) => Kind::Data,
                (true, false) => Kind::First,
                (false, false) => Kind::Middle,
                (false, true) => Kind::Last,
            };
            (kind, len)
        }
        Action::Skip(bytes) => {
            assert!(!state.after_pad);
            assert_eq!(bytes, to_end);
            (Kind::Pad, bytes - HEADER)
        }
        Action::TakeBlob => {
            assert!(state.assembled.is_some(), "there is a message to end");
            (Kind::Blob, BLOB_LEN)
        }
        Action::Forget => {
            assert!(state.assembled.is_some(), "there is a message to forget");
            (Kind::Abandon, 0)
        }
        Action::Close => {
            assert_eq!(state.assembled, None, "no message is cut off");
            (Kind::Close, 0)
        }
    };
    assert!(footprint(len) <= to_end, "inside the ring");
    assert!(footprint(len) <= capacity - HEADER, "never the whole ring");
    assert_eq!(header(kind, len, state.number), word, "one way to write it");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzzing::{input, replay};

    #[test]
    fn kept_headers_hold() {
        replay("ring_header", run);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn accepted_header_stays_inside_and_is_what_its_writer_would_write(bytes in proptest::array::uniform8(any::<u64>())) {
            let bytes: Vec<u8> = bytes.into_iter().flat_map(u64::to_le_bytes).collect();
            run(&input(&bytes));
        }
    }
}
