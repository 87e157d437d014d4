//! Text that needs no escapes.

/// How many bytes come before the first quote, backslash or control character.
#[inline]
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    let (eights, rest) = bytes.as_chunks::<8>();
    for (number, eight) in eights.iter().enumerate() {
        let eight = u64::from_le_bytes(*eight);
        // A byte that is zero after the exclusive or, or less than what is taken away from it,
        // borrows into its top bit; a byte above it may then, too, but never one below.
        let quote = eight ^ (ONES * u64::from(b'"'));
        let backslash = eight ^ (ONES * u64::from(b'\\'));
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (eight.wrapping_sub(ONES * 0x20) & !eight);
        if found & TOPS != 0 {
            let byte = (found & TOPS).trailing_zeros() / 8;
            return number * 8 + usize::try_from(byte).unwrap_or(0);
        }
    }
    let plain = rest.iter().take_while(|byte| **byte >= 0x20 && !matches!(byte, b'"' | b'\\'));
    bytes.len() - rest.len() + plain.count()
}

#[cfg(test)]
mod tests {
    use super::plain_len;

    #[test]
    fn every_byte_that_needs_an_escape_is_found_wherever_it_stands() {
        for len in 0..40 {
            for fill in [b'a', 0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
                let mut bytes = vec![fill; len];
                assert_eq!(plain_len(&bytes), len);
                for at in 0..len {
                    for byte in 0..=u8::MAX {
                        bytes[at] = byte;
                        let plain = byte >= 0x20 && byte != b'"' && byte != b'\\';
                        assert_eq!(plain_len(&bytes), if plain { len } else { at }, "{byte} {at}");
                    }
                    bytes[at] = fill;
                }
            }
        }
    }
}
