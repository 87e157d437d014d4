//! The header word of a record, and the one judge of what a peer wrote into it.

use tramline_core::PeerFault;

use crate::layout::max_frame;

/// Bytes of a header.
pub(crate) const HEADER: usize = 8;

/// What a record is. Never 0, so that a committed header is never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A whole message.
    Data = 1,
    /// The first part of a message.
    First = 2,
    /// A part between first and last.
    Middle = 3,
    /// The last part.
    Last = 4,
    /// Nothing, up to the ring's end.
    Pad = 5,
    /// The last part, whose bytes are handed over: their length and the ticket of the descriptor
    /// that travels on the control socket.
    Blob = 7,
    /// The peer will send no more.
    #[cfg_attr(not(test), allow(dead_code, reason = "read by version 1, not yet written by it"))]
    Close = 8,
    /// The message that was begun will not be finished: forget it.
    Abandon = 9,
}

/// Bytes of payload of a BLOB record.
pub(crate) const BLOB_LEN: usize = 16;

/// Bytes a record with `len` bytes of payload takes in the ring.
pub(crate) const fn footprint(len: usize) -> usize {
    HEADER + len.next_multiple_of(8)
}

/// The header word of record number `number`, counted from 0.
pub(crate) fn header(kind: Kind, len: usize, number: u64) -> u64 {
    let seq = number.wrapping_add(1) & 0xFFFF;
    // A length is at most the ring's capacity, which layout.rs bounds below 2^32.
    (len as u64 & 0xFFFF_FFFF) | (u64::from(kind as u8) << 32) | (seq << 48)
}

/// What the consumer knows when it meets a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// Bytes of the ring.
    pub(crate) capacity: usize,
    /// Bytes consumed.
    pub(crate) head: u64,
    /// Number of the next record, counted from 0.
    pub(crate) number: u64,
    /// Bytes of the message being put together, if one is.
    pub(crate) assembled: Option<usize>,
    /// The last record was padding.
    pub(crate) after_pad: bool,
    /// The last record said that no more will come.
    pub(crate) closed: bool,
    /// Largest message, in bytes.
    pub(crate) max_message_len: usize,
}

impl State {
    /// Where the next record lies in the ring.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        // The capacity is a checked power of two and fits, so the rest does.
        usize::try_from(self.head & (self.capacity as u64 - 1)).unwrap_or(0)
    }
}

/// What to do with a valid record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Take `len` bytes; the message is whole afterwards if `whole`, and starts here if `first`.
    Take {
        /// Payload bytes.
        len: usize,
        /// This record starts a message.
        first: bool,
        /// This record ends a message.
        whole: bool,
    },
    /// Skip this many bytes.
    Skip(usize),
    /// Take the length and the ticket of the rest of the message, which is handed over.
    TakeBlob,
    /// Forget the message being put together.
    Forget,
    /// No more will come.
    Close,
}

/// The payload length of a whole message that breaks no rule, which is nearly every record: kind,
/// flags and sequence are one comparison. `None` leaves the word to [`validate`].
#[inline]
pub(crate) fn plain(word: u64, state: &State) -> Option<usize> {
    let len = usize::try_from(word & 0xFFFF_FFFF).ok()?;
    let is_plain = word >> 32 == header(Kind::Data, 0, state.number) >> 32
        && len <= max_frame(state.capacity).min(state.max_message_len)
        && footprint(len) <= state.capacity - state.offset()
        && state.assembled.is_none()
        && !state.closed;
    is_plain.then_some(len)
}

/// Judges a header that is not 0. Pure: one word in, one verdict out.
#[cold]
pub(crate) fn validate(word: u64, state: &State) -> Result<Action, PeerFault> {
    let fault = |at: &'static str, what: &str| {
        Err(PeerFault::new(at, format_args!("{what}, header {word:#018x}")))
    };
    let Ok(len) = usize::try_from(word & 0xFFFF_FFFF) else { return fault("len", "too large") };
    let (kind, flags, seq) = ((word >> 32) & 0xFF, (word >> 40) & 0xFF, word >> 48);
    if state.closed {
        return fault("kind", "record after CLOSE");
    }
    if flags != 0 {
        return fault("flags", "not 0");
    }
    if seq != (state.number.wrapping_add(1) & 0xFFFF) {
        return fault("seq16", "out of sequence");
    }
    let to_end = state.capacity - state.offset();
    let footprint = footprint(len);
    if footprint > state.capacity - HEADER || footprint > to_end {
        return fault("len", "beyond the ring's end");
    }
    if kind == Kind::Pad as u64 {
        return if state.after_pad {
            fault("kind", "two PADs in a row")
        } else if footprint != to_end || !len.is_multiple_of(8) {
            fault("len", "PAD not up to the ring's end")
        } else {
            Ok(Action::Skip(footprint))
        };
    }
    if len > max_frame(state.capacity) {
        return fault("len", "above the largest frame");
    }
    let (first, whole) = match kind {
        k if k == Kind::Data as u64 => (true, true),
        k if k == Kind::First as u64 => (true, false),
        k if k == Kind::Middle as u64 => (false, false),
        k if k == Kind::Last as u64 => (false, true),
        k if k == Kind::Close as u64 => {
            return if state.assembled.is_some() {
                fault("kind", "CLOSE inside a message")
            } else if len != 0 {
                fault("len", "CLOSE with payload")
            } else {
                Ok(Action::Close)
            };
        }
        k if k == Kind::Abandon as u64 => {
            return if state.assembled.is_none() {
                fault("kind", "ABANDON outside a message")
            } else if len != 0 {
                fault("len", "ABANDON with payload")
            } else {
                Ok(Action::Forget)
            };
        }
        k if k == Kind::Blob as u64 => {
            return if state.assembled.is_none() {
                fault("kind", "BLOB outside a message")
            } else if len != BLOB_LEN {
                fault("len", "BLOB of another length")
            } else {
                Ok(Action::TakeBlob)
            };
        }
        6 => return fault("kind", "not in this version"),
        _ => return fault("kind", "unknown"),
    };
    if first == state.assembled.is_some() {
        return fault("kind", "fragment out of order");
    }
    if len == 0 && !(first && whole) {
        return fault("len", "empty fragment");
    }
    match state.assembled.unwrap_or(0).checked_add(len) {
        Some(total) if total <= state.max_message_len => Ok(Action::Take { len, first, whole }),
        _ => fault("len", "message above the limit"),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state() -> State {
        State {
            capacity: 1 << 16,
            head: 0,
            number: 0,
            assembled: None,
            after_pad: false,
            closed: false,
            max_message_len: 10_000,
        }
    }

    fn at(word: u64, state: &State) -> &'static str {
        validate(word, state).expect_err("must be refused").at
    }

    #[test]
    fn unknown_kind_or_flag_is_refused() {
        for kind in (0..=255_u64).filter(|k| ![1, 2, 5, 8].contains(k)) {
            let word = (kind << 32) | (1 << 48) | 8;
            assert_eq!(at(word, &state()), "kind", "kind {kind}");
        }
        for bit in 40..48 {
            assert_eq!(at(header(Kind::Data, 8, 0) | (1 << bit), &state()), "flags");
        }
    }

    #[test]
    fn length_beyond_the_ring_is_refused() {
        let limit = max_frame(1 << 16);
        assert!(validate(header(Kind::Data, limit, 0), &state()).is_ok());
        for len in [limit + 1, (1 << 16) - 16, (1 << 16) - 8, 1 << 16, 0xFFFF_FFF8, 0xFFFF_FFFF] {
            assert_eq!(at(header(Kind::Data, len, 0), &state()), "len", "len {len}");
        }
        let near_end = State { head: (1 << 16) - 16, ..state() };
        assert!(validate(header(Kind::Data, 8, 0), &near_end).is_ok());
        assert_eq!(at(header(Kind::Data, 9, 0), &near_end), "len");
    }

    #[test]
    fn sequence_wraps_at_sixteen_bits() {
        let late = State { number: 0xFFFF, ..state() };
        assert!(validate(header(Kind::Data, 0, 0xFFFF), &late).is_ok());
        assert_eq!(at(header(Kind::Data, 0, 0xFFFE), &late), "seq16");
    }

    #[test]
    fn padding_runs_exactly_to_the_end_and_never_twice() {
        let near_end = State { head: (1 << 16) - 64, ..state() };
        assert_eq!(validate(header(Kind::Pad, 56, 0), &near_end), Ok(Action::Skip(64)));
        assert_eq!(at(header(Kind::Pad, 48, 0), &near_end), "len");
        assert_eq!(at(header(Kind::Pad, 55, 0), &near_end), "len");
        let again = State { after_pad: true, ..near_end };
        assert_eq!(at(header(Kind::Pad, 56, 0), &again), "kind");
    }

    #[test]
    fn reassembly_over_budget_is_refused() {
        let mut open = State { assembled: Some(9_999), ..state() };
        assert!(validate(header(Kind::Middle, 1, 0), &open).is_ok());
        assert_eq!(at(header(Kind::Middle, 2, 0), &open), "len");
        assert_eq!(at(header(Kind::Middle, 0, 0), &open), "len");
        open.assembled = Some(usize::MAX);
        assert_eq!(at(header(Kind::Last, 1, 0), &open), "len");
        let small = State { max_message_len: 10, ..state() };
        assert_eq!(at(header(Kind::Data, 11, 0), &small), "len");
    }

    #[test]
    fn only_a_message_that_was_begun_can_be_abandoned() {
        assert_eq!(at(header(Kind::Abandon, 0, 0), &state()), "kind");
        let open = State { assembled: Some(1), ..state() };
        assert_eq!(validate(header(Kind::Abandon, 0, 0), &open), Ok(Action::Forget));
        assert_eq!(at(header(Kind::Abandon, 8, 0), &open), "len");
    }

    #[test]
    fn only_a_message_that_was_begun_ends_with_a_blob() {
        assert_eq!(at(header(Kind::Blob, 16, 0), &state()), "kind");
        let open = State { assembled: Some(1), ..state() };
        assert_eq!(validate(header(Kind::Blob, 16, 0), &open), Ok(Action::TakeBlob));
        assert_eq!(at(header(Kind::Blob, 15, 0), &open), "len");
        assert_eq!(at(header(Kind::Blob, 24, 0), &open), "len");
    }

    #[test]
    fn record_after_close_is_refused() {
        assert_eq!(validate(header(Kind::Close, 0, 0), &state()), Ok(Action::Close));
        let closed = State { closed: true, ..state() };
        assert_eq!(at(header(Kind::Data, 0, 0), &closed), "kind");
        assert_eq!(at(header(Kind::Close, 8, 0), &state()), "len");
        let open = State { assembled: Some(1), ..state() };
        assert_eq!(at(header(Kind::Close, 0, 0), &open), "kind");
    }

    proptest! {
        #[test]
        fn the_short_judgement_says_nothing_else_than_the_long_one(
            len in 0_u64..10_100,
            kind in 0_u64..9,
            seq in 0_u64..3,
            eighths in 0_u64..1 << 14,
            assembled in proptest::option::of(0_usize..20_000),
            closed: bool,
        ) {
            let word = len | (kind << 32) | (seq << 48);
            let state = State { head: eighths * 8, assembled, closed, ..state() };
            let short = plain(word, &state).map(|len| Action::Take { len, first: true, whole: true });
            if let Some(short) = short {
                prop_assert_eq!(validate(word, &state).ok(), Some(short));
            } else {
                let whole = matches!(validate(word, &state), Ok(Action::Take { first: true, whole: true, .. }));
                prop_assert!(!whole);
            }
        }

        #[test]
        fn a_valid_record_stays_inside_the_ring_and_the_limits(
            word: u64,
            plausible: bool,
            eighths in 0_u64..1 << 14,
            assembled in proptest::option::of(0_usize..20_000),
            after_pad: bool,
        ) {
            // Half of the cases get flags and sequence right, so that the deeper checks are met.
            let word = if plausible { (word & 0xF_0000_FFFF) | (1 << 48) } else { word };
            let state = State { head: eighths * 8, assembled, after_pad, ..state() };
            let to_end = state.capacity - usize::try_from(state.head).expect("small") % state.capacity;
            match validate(word, &state) {
                Ok(Action::Take { len, .. }) => {
                    prop_assert!(footprint(len) <= to_end);
                    prop_assert!(len <= max_frame(state.capacity));
                    prop_assert!(assembled.unwrap_or(0) + len <= state.max_message_len);
                }
                Ok(Action::Skip(n)) => prop_assert_eq!(n, to_end),
                Ok(Action::TakeBlob) => prop_assert!(footprint(BLOB_LEN) <= to_end),
                Ok(Action::Close | Action::Forget) | Err(_) => {}
            }
        }
    }
}
