//! Where everything lies in a segment. The law is `docs/WIRE-FORMAT.md`, segment layout v1.

/// First bytes of every segment.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"TRAMSHM1");
/// The layout this build reads and writes.
pub(crate) const LAYOUT_VERSION: u32 = 1;
/// Bytes before the ring.
pub(crate) const HEADER_LEN: usize = 0x1000;
/// Tells the byte order of the writer.
const BYTE_ORDER_TAG: u32 = 0x0102_0304;
/// No features are defined in layout v1.
const FEATURES: u32 = 0;

/// Smallest and largest ring, in bytes.
pub(crate) const MIN_RING_CAPACITY: u64 = 1 << 16;
pub(crate) const MAX_RING_CAPACITY: u64 = 1 << 26;
/// Largest page of any Linux target; bounds the slack at a segment's end.
const MAX_PAGE_LEN: u64 = 1 << 16;

/// Byte offsets of the words that change while the link lives. Lines that different processes
/// touch lie 128 bytes apart, because processors fetch lines in pairs.
pub(crate) const HEAD: usize = 0x080;
pub(crate) const RX_PARK: usize = 0x100;
pub(crate) const TX_PARK: usize = 0x104;
pub(crate) const DATA_BELL: usize = 0x180;
pub(crate) const SPACE_BELL: usize = 0x184;
pub(crate) const STATE: usize = 0x200;
pub(crate) const COUNTERS: usize = 0x280;
/// Number of 64-bit counters.
pub(crate) const COUNTER_COUNT: usize = 8;
/// For measuring only: what [`Probe`](crate::probe::Probe) writes. The protocol never reads it.
pub(crate) const PROBE: usize = 0x300;

/// Values of the `state` word. Hints: the socket decides.
pub(crate) const STATE_OPEN: u32 = 1;
pub(crate) const STATE_CLOSED: u32 = 3;
pub(crate) const STATE_FAULTED: u32 = 4;

/// Bytes of the part that is written once, before sealing.
pub(crate) const FIXED_LEN: usize = 0x58;

const _: () = {
    assert!(FIXED_LEN <= HEAD);
    assert!(HEAD.is_multiple_of(8) && COUNTERS.is_multiple_of(8) && HEADER_LEN.is_multiple_of(8));
    assert!(RX_PARK.is_multiple_of(4) && TX_PARK == RX_PARK + 4);
    assert!(DATA_BELL.is_multiple_of(4) && SPACE_BELL == DATA_BELL + 4);
    assert!(RX_PARK - HEAD >= 128 && DATA_BELL - RX_PARK >= 128 && STATE - DATA_BELL >= 128);
    assert!(COUNTERS - STATE >= 128 && COUNTERS + 8 * COUNTER_COUNT <= PROBE);
    assert!(PROBE - COUNTERS >= 128 && PROBE.is_multiple_of(128) && PROBE + 128 <= HEADER_LEN);
    assert!(MAX_RING_CAPACITY + (HEADER_LEN as u64) < u32::MAX as u64);
};

/// Largest payload of one record in a ring of `capacity` bytes.
pub(crate) const fn max_frame(capacity: usize) -> usize {
    capacity / 8
}

/// Bytes of a segment with a ring of `capacity` bytes, on pages of `page` bytes.
pub(crate) fn segment_len(capacity: u64, page: u64) -> u64 {
    (capacity + HEADER_LEN as u64).next_multiple_of(page)
}

/// True for a ring capacity that layout v1 allows.
pub(crate) fn capacity_is_legal(capacity: u64) -> bool {
    capacity.is_power_of_two() && (MIN_RING_CAPACITY..=MAX_RING_CAPACITY).contains(&capacity)
}

/// What the fixed part of a header says, apart from constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fixed {
    /// Bytes of the whole segment.
    pub(crate) segment_len: u64,
    /// Bytes of the ring.
    pub(crate) ring_capacity: u64,
    /// The connection this segment belongs to.
    pub(crate) nonce: [u8; 16],
}

impl Fixed {
    /// The fixed part as bytes. `pid` is for people reading a dump; nobody trusts it.
    pub(crate) fn encode(&self, pid: u64) -> [u8; FIXED_LEN] {
        let mut out = [0; FIXED_LEN];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x00, &MAGIC.to_le_bytes());
        put(0x08, &LAYOUT_VERSION.to_le_bytes());
        put(0x0C, &0x1000_u32.to_le_bytes());
        put(0x10, &self.segment_len.to_le_bytes());
        put(0x18, &(HEADER_LEN as u64).to_le_bytes());
        put(0x20, &self.ring_capacity.to_le_bytes());
        // 0x28 and 0x30, the arena, stay 0: this version has none.
        put(0x38, &BYTE_ORDER_TAG.to_le_bytes());
        put(0x3C, &FEATURES.to_le_bytes());
        put(0x40, &self.nonce);
        put(0x50, &pid.to_le_bytes());
        out
    }

    /// The ring capacity that a private copy of a header states, unchecked.
    #[cfg(feature = "named")]
    pub(crate) fn ring_capacity_in(bytes: &[u8; FIXED_LEN]) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[0x20..0x28]);
        u64::from_le_bytes(word)
    }

    /// Checks every field of a private copy of a peer's header against what was agreed.
    pub(crate) fn check(&self, bytes: &[u8; FIXED_LEN]) -> Result<(), &'static str> {
        let word32 = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let word64 = |at: usize| u64::from(word32(at)) | (u64::from(word32(at + 4)) << 32);
        let refuse_unless = |good: bool, why: &'static str| if good { Ok(()) } else { Err(why) };
        refuse_unless(word64(0x00) == MAGIC, "segment header: magic")?;
        refuse_unless(word32(0x08) == LAYOUT_VERSION, "segment header: layout_version")?;
        refuse_unless(word32(0x0C) == 0x1000, "segment header: header_len")?;
        refuse_unless(word64(0x10) == self.segment_len, "segment header: segment_len")?;
        refuse_unless(word64(0x18) == HEADER_LEN as u64, "segment header: ring_off")?;
        refuse_unless(
            word64(0x20) == self.ring_capacity && capacity_is_legal(self.ring_capacity),
            "segment header: ring_cap",
        )?;
        refuse_unless(word64(0x28) == 0, "segment header: arena_off")?;
        refuse_unless(word64(0x30) == 0, "segment header: arena_len")?;
        refuse_unless(word32(0x38) == BYTE_ORDER_TAG, "segment header: byte-order tag")?;
        refuse_unless(word32(0x3C) == FEATURES, "segment header: features")?;
        refuse_unless(bytes[0x40..0x50] == self.nonce, "segment header: nonce")
    }

    /// Checks an offer's numbers before anything is mapped.
    pub(crate) fn check_offer(&self, max_capacity: u64, page: u64) -> Result<(), &'static str> {
        if !capacity_is_legal(self.ring_capacity) {
            return Err("ring capacity is no power of two between 64 KiB and 64 MiB");
        }
        if self.ring_capacity > max_capacity {
            return Err("ring capacity is above the limit");
        }
        let least = self.ring_capacity + HEADER_LEN as u64;
        if self.segment_len < least || self.segment_len > least + MAX_PAGE_LEN {
            return Err("segment length does not fit the ring capacity");
        }
        if !self.segment_len.is_multiple_of(page) {
            return Err("segment length is no multiple of the page");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed() -> Fixed {
        Fixed { segment_len: 0x11000, ring_capacity: 0x10000, nonce: [7; 16] }
    }

    #[test]
    fn every_header_field_is_checked() {
        let good = fixed().encode(42);
        assert_eq!(fixed().check(&good), Ok(()));
        // Every byte before the pid counts; the pid is never trusted, so it is never checked.
        for at in 0..0x50 {
            let mut bad = good;
            bad[at] ^= 1;
            assert!(fixed().check(&bad).is_err(), "byte {at:#x}");
        }
        for at in 0x50..FIXED_LEN {
            let mut other = good;
            other[at] ^= 1;
            assert_eq!(fixed().check(&other), Ok(()), "byte {at:#x}");
        }
    }

    #[test]
    fn capacity_that_is_not_a_power_of_two_is_refused() {
        for capacity in [0, 1, 0x8000, 0x10001, 0x18000, 1 << 27, u64::MAX] {
            let bad = Fixed { ring_capacity: capacity, segment_len: 0x11000, ..fixed() };
            assert!(bad.check_offer(MAX_RING_CAPACITY, 4096).is_err(), "{capacity}");
            assert!(bad.check(&bad.encode(0)).is_err(), "{capacity}");
        }
    }

    #[test]
    fn sparse_segment_is_refused_by_size() {
        let sparse = Fixed { segment_len: 1 << 40, ..fixed() };
        assert!(sparse.check_offer(MAX_RING_CAPACITY, 4096).is_err());
        let odd = Fixed { segment_len: 0x11001, ..fixed() };
        assert!(odd.check_offer(MAX_RING_CAPACITY, 4096).is_err());
        let above = Fixed { segment_len: 0x21000, ring_capacity: 0x20000, ..fixed() };
        assert!(above.check_offer(0x10000, 4096).is_err());
        assert_eq!(fixed().check_offer(0x10000, 4096), Ok(()));
    }
}
