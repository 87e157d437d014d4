//! Frames on a byte stream: a `u32` little-endian length, then the bytes. No I/O here.

use bytes::BytesMut;
use tramline_core::{Frame, PeerFault};

/// Bytes of the length in front of every frame.
pub(crate) const HEADER_LEN: usize = 4;

/// Bytes that one read may bring, and the step in which memory for a large frame grows. A choice:
/// a third of what Linux holds per Unix socket (212 992 bytes by default).
const STEP_LEN: usize = 64 << 10;

/// A frame buffer above this size is given back after use. A choice: frames that were written in
/// place are at most half of it.
const KEEP_LEN: usize = 256 << 10;

/// The length field of a frame of `len` bytes; `None` if it has no room for it.
pub(crate) fn header(len: usize) -> Option<[u8; HEADER_LEN]> {
    Some(u32::try_from(len).ok()?.to_le_bytes())
}

/// Cuts a stream into frames as the bytes arrive.
///
/// Memory follows the bytes that have come, not the length that was announced: a peer that claims
/// a large frame and sends little costs little.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// Bytes as they came; `stage[start..end]` is not looked at yet.
    stage: Vec<u8>,
    start: usize,
    end: usize,
    /// The frame under construction; `frame[..filled]` has come. Longer than `filled` by room that
    /// is already initialised.
    frame: BytesMut,
    filled: usize,
    /// The announced length, once known.
    wanted: Option<usize>,
    /// `frame` was given out; the next call starts a new one.
    given: bool,
    max_message_len: usize,
}

impl Decoder {
    pub(crate) fn new(max_message_len: usize) -> Self {
        Self {
            stage: vec![0; STEP_LEN],
            start: 0,
            end: 0,
            frame: BytesMut::new(),
            filled: 0,
            wanted: None,
            given: false,
            max_message_len,
        }
    }

    /// Where the next bytes of the stream go; never empty after [`advance`](Self::advance) said
    /// that no frame is complete. Call [`filled`](Self::filled) afterwards.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if let Some(wanted) = self.wanted
            && wanted - self.filled >= STEP_LEN
        {
            // Straight into the frame: `advance` has emptied the stage into it.
            self.grow_frame(wanted, STEP_LEN);
            return &mut self.frame[self.filled..];
        }
        if self.start > 0 {
            self.stage.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.stage[self.end..]
    }

    /// Says how many bytes were put into [`space`](Self::space).
    pub(crate) fn filled(&mut self, len: usize) {
        match self.wanted {
            Some(wanted) if wanted - self.filled >= STEP_LEN => self.filled += len,
            _ => self.end += len,
        }
    }

    /// Works through the bytes that have come; true if a frame is complete.
    ///
    /// # Errors
    ///
    /// A length above the limit.
    pub(crate) fn advance(&mut self) -> Result<bool, PeerFault> {
        if std::mem::take(&mut self.given) {
            self.wanted = None;
            self.filled = 0;
            if self.frame.capacity() > KEEP_LEN {
                self.frame = BytesMut::new();
            }
        }
        let wanted = match self.wanted {
            Some(wanted) => wanted,
            None => {
                let Some(header) = self.stage[self.start..self.end].first_chunk() else {
                    return Ok(false);
                };
                let found = u32::from_le_bytes(*header);
                let wanted = usize::try_from(found).unwrap_or(usize::MAX);
                if wanted > self.max_message_len {
                    let max = self.max_message_len;
                    let what = format!("frame is {found} bytes, the limit is {max}");
                    return Err(PeerFault::new("frame length", what));
                }
                self.start += HEADER_LEN;
                self.wanted = Some(wanted);
                wanted
            }
        };
        let len = (wanted - self.filled).min(self.end - self.start);
        if len > 0 {
            self.grow_frame(wanted, len);
            let bytes = &self.stage[self.start..self.start + len];
            self.frame[self.filled..self.filled + len].copy_from_slice(bytes);
            self.filled += len;
            self.start += len;
        }
        Ok(self.filled == wanted)
    }

    /// The frame that [`advance`](Self::advance) completed.
    pub(crate) fn frame(&mut self) -> Frame<'_> {
        self.given = true;
        self.frame.truncate(self.filled);
        Frame::new(&mut self.frame)
    }

    /// True if [`advance`](Self::advance) would have something to say without further bytes.
    pub(crate) fn has_frame(&self) -> bool {
        let (known, filled) = if self.given { (None, 0) } else { (self.wanted, self.filled) };
        let staged = &self.stage[self.start..self.end];
        match (known, staged.first_chunk()) {
            (Some(wanted), _) => wanted - filled <= staged.len(),
            (None, Some(header)) => {
                let wanted = usize::try_from(u32::from_le_bytes(*header)).unwrap_or(usize::MAX);
                wanted > self.max_message_len || wanted <= staged.len() - HEADER_LEN
            }
            (None, None) => false,
        }
    }

    /// Makes sure that at least `step` bytes of the frame, or all that is missing, have room.
    fn grow_frame(&mut self, wanted: usize, step: usize) {
        let least = self.filled + step.min(wanted - self.filled);
        if self.frame.len() < least {
            // Doubling what has come keeps the copies of a growing buffer proportional to it.
            let len = least.max(2 * self.filled).min(wanted);
            self.frame.resize(len, 0);
        }
        // The room may be left over from a longer frame; bytes of the next one must not land here.
        self.frame.truncate(wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `bytes` in pieces and collects the frames.
    fn decode(bytes: &[u8], pieces: &[usize], max: usize) -> Result<Vec<Vec<u8>>, PeerFault> {
        let (mut decoder, mut frames, mut rest) = (Decoder::new(max), Vec::new(), bytes);
        let mut pieces = pieces.iter().copied().cycle();
        loop {
            let announced = decoder.has_frame();
            let complete = decoder.advance();
            assert_eq!(announced, !matches!(complete, Ok(false)));
            if complete? {
                frames.push(decoder.frame().bytes().to_vec());
                continue;
            }
            if rest.is_empty() {
                return Ok(frames);
            }
            let space = decoder.space();
            assert!(!space.is_empty());
            let len = pieces.next().unwrap_or(1).clamp(1, space.len()).min(rest.len());
            space[..len].copy_from_slice(&rest[..len]);
            decoder.filled(len);
            rest = &rest[len..];
        }
    }

    fn encode(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend(header(frame.len()).expect("fits"));
            bytes.extend(frame);
        }
        bytes
    }

    #[test]
    fn length_over_the_limit_is_a_fault_with_both_numbers() {
        let fault = decode(&[1, 1, 0, 0], &[4], 256).expect_err("too long");
        assert_eq!(fault.at, "frame length");
        assert_eq!(&*fault.what, "frame is 257 bytes, the limit is 256");
    }

    #[test]
    fn announced_length_alone_takes_no_memory() {
        let mut decoder = Decoder::new(1 << 30);
        decoder.space()[..5].copy_from_slice(&[0, 0, 0, 0x40, 9]);
        decoder.filled(5);
        assert_eq!(decoder.advance(), Ok(false));
        assert!(decoder.space().len() <= STEP_LEN);
        assert!(decoder.frame.capacity() <= 2 * STEP_LEN);
    }

    #[test]
    fn frame_after_a_taken_large_one_is_whole() {
        let frames = [vec![1; 300_000], vec![2; 3], vec![], vec![3; 70_000]];
        let mut decoder = Decoder::new(1 << 20);
        let (bytes, mut at) = (encode(&frames), 0);
        for wanted in &frames {
            while !decoder.advance().expect("good bytes") {
                let space = decoder.space();
                let len = space.len().min(bytes.len() - at);
                space[..len].copy_from_slice(&bytes[at..at + len]);
                decoder.filled(len);
                at += len;
            }
            assert_eq!(&decoder.frame().take()[..], &wanted[..]);
        }
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(
            lens in prop::collection::vec(prop_oneof![0_usize..40, 0_usize..300_000], 0..6),
            pieces in prop::collection::vec(1_usize..100_000, 1..8),
        ) {
            let mut frames = Vec::new();
            for (i, len) in lens.iter().enumerate() {
                frames.push((0_u8..251).cycle().skip(i).take(*len).collect::<Vec<_>>());
            }
            prop_assert_eq!(decode(&encode(&frames), &pieces, 1 << 20).expect("good"), frames);
        }

        #[test]
        fn any_bytes_are_frames_or_one_fault(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
            pieces in prop::collection::vec(1_usize..100, 1..4),
        ) {
            match decode(&bytes, &pieces, 1 << 16) {
                Ok(frames) => prop_assert!(encode(&frames).len() <= bytes.len()),
                Err(fault) => prop_assert_eq!(fault.at, "frame length"),
            }
        }
    }
}
