//! Text, eight or sixteen bytes at a time: which bytes can stand in a JSON string as they are.

const EACH: u64 = u64::MAX / 0xff;
const EACH_WIDE: u128 = u128::MAX / 0xff;

/// How many bytes come before the first quote, backslash or control character.
#[inline]
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk() {
        let word = u64::from_le_bytes(*eight);
        // Marks the bytes that are below a limit. A mark may be wrong, but only above a right one;
        // bytes are counted from below.
        let below = |word: u64, limit: u8| word.wrapping_sub(EACH * u64::from(limit)) & !word;
        let quote = below(word ^ (EACH * u64::from(b'"')), 1);
        let backslash = below(word ^ (EACH * u64::from(b'\\')), 1);
        let marks = (below(word, b' ') | quote | backslash) & (EACH * 0x80);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|&byte| !is_plain(byte)).unwrap_or(rest.len())
}

fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

/// A text of at most 14 bytes, all of them ASCII and none to be escaped: most keys and many values
/// are. It is written, compared and kept as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Short {
    /// Zeros behind the text.
    word: u128,
    len: usize,
}

impl Short {
    pub(super) const MAX_LEN: usize = 14;

    /// The first `len` bytes of `bytes`, if they are such a text and sixteen bytes can be looked at.
    #[inline]
    pub(super) fn of(bytes: &[u8], len: usize) -> Option<Self> {
        let word = u128::from_le_bytes(*bytes.first_chunk()?);
        let text = Self { word: word & TEXT.get(len)?, len };
        // Behind the text it must look plain.
        (marks(text.word | (EACH_WIDE * 0x20) & !TEXT[len]) == 0).then_some(text)
    }

    /// The text before the first quote, if it is such a text and sixteen bytes can be looked at.
    #[inline]
    pub(super) fn quoted(bytes: &[u8]) -> Option<Self> {
        let word = u128::from_le_bytes(*bytes.first_chunk()?);
        let len = marks(word).trailing_zeros() as usize / 8;
        let text = Self { word: word & TEXT.get(len)?, len };
        (bytes[len] == b'"').then_some(text)
    }

    #[inline]
    pub(super) fn len(self) -> usize {
        self.len
    }

    /// The text and zeros.
    #[inline]
    pub(super) fn bytes(self) -> [u8; 16] {
        self.word.to_le_bytes()
    }

    /// The text, a quote, a colon, and zeros.
    #[inline]
    pub(super) fn bytes_quote_colon(self) -> [u8; 16] {
        (self.word | QUOTE_COLON[self.len]).to_le_bytes()
    }

    /// The text and its length in one word.
    #[inline]
    pub(super) fn key(self) -> u128 {
        self.word | (self.len as u128) << 120
    }
}

/// By a text's length: ones where the text is. To look it up is quicker than to shift sixteen bytes.
const TEXT: [u128; Short::MAX_LEN + 1] = shifted(u128::MAX, !0);
/// By a text's length: a quote and a colon behind it.
const QUOTE_COLON: [u128; Short::MAX_LEN + 1] = shifted(u16::from_le_bytes(*b"\":") as u128, 0);

/// `word` shifted to the place behind a text, then turned over where `flip` is set.
const fn shifted(word: u128, flip: u128) -> [u128; Short::MAX_LEN + 1] {
    let mut table = [0; Short::MAX_LEN + 1];
    let mut len = 0;
    while len < table.len() {
        table[len] = word << (8 * len) ^ flip;
        len += 1;
    }
    table
}

/// Marks the bytes that are no plain ASCII. As in [`plain_len`] a mark may be wrong above a right one.
#[inline]
fn marks(word: u128) -> u128 {
    // What is beyond ASCII marks itself, so no mark need be taken from it.
    let below = |word: u128, limit: u8| word.wrapping_sub(EACH_WIDE * u128::from(limit));
    let quote = below(word ^ (EACH_WIDE * u128::from(b'"')), 1);
    let backslash = below(word ^ (EACH_WIDE * u128::from(b'\\')), 1);
    (below(word, b' ') | quote | backslash | word) & (EACH_WIDE * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_short_text_is_what_the_slow_way_calls_plain_ascii(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), 0x1e..0x7f_u8], 16..20,
            ),
            len in 0..17_usize,
        ) {
            let short = len <= Short::MAX_LEN
                && bytes[..len].iter().all(|&byte| is_plain(byte) && byte.is_ascii());
            let of = Short::of(&bytes, len);
            prop_assert_eq!(of.is_some(), short);
            if let Some(text) = of {
                prop_assert_eq!((text.len(), &text.bytes()[..len]), (len, &bytes[..len]));
                prop_assert!(text.bytes()[len..].iter().all(|&byte| byte == 0));
            }
            let end = bytes.iter().position(|&byte| !is_plain(byte) || !byte.is_ascii());
            let end = end.filter(|&end| bytes[end] == b'"' && end <= Short::MAX_LEN);
            prop_assert_eq!(Short::quoted(&bytes).map(Short::len), end);
        }

        #[test]
        fn eight_bytes_at_a_time_find_what_one_at_a_time_finds(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), 0x1e..0x24_u8, 0x5a..0x5e_u8], 0..40,
            ),
        ) {
            let slow = bytes.iter().position(|&byte| !is_plain(byte)).unwrap_or(bytes.len());
            prop_assert_eq!(plain_len(&bytes), slow);
        }
    }
}
