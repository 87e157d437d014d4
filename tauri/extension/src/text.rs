//! JavaScript's strings as UTF-8.

/// How many units are looked at together. A choice: a few registers full.
const CHUNK: usize = 64;

/// Appends UTF-16 to `target` as UTF-8. Half a pair becomes U+FFFD, as with the page's own encoder,
/// which takes four times as long.
pub(crate) fn append_utf8(target: &mut Vec<u8>, mut units: &[u16]) {
    target.reserve(units.len());
    while !units.is_empty() {
        let (chunk, rest) = units.split_at(units.len().min(CHUNK));
        if chunk.iter().fold(0, |all, unit| all | unit) < 0x80 {
            #[allow(clippy::cast_possible_truncation, reason = "below 128")]
            target.extend(chunk.iter().map(|unit| *unit as u8));
            units = rest;
        } else {
            units = &units[append_decoded(target, units)..];
        }
    }
}

/// Appends about a chunk: how many units it was.
fn append_decoded(target: &mut Vec<u8>, units: &[u16]) -> usize {
    let mut used = 0;
    for decoded in char::decode_utf16(units.iter().copied()) {
        let decoded = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
        target.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
        used += decoded.len_utf16();
        if used >= CHUNK {
            break;
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(units: &[u16]) -> String {
        let mut target = b"before ".to_vec();
        append_utf8(&mut target, units);
        String::from_utf8(target).expect("it is UTF-8")
    }

    #[test]
    fn text_of_any_length_and_script_is_the_same_in_utf8() {
        for pattern in ["k", "é", "日本", "🚋", "a🚋", "plain, then é", "\0"] {
            for len in 0..300 {
                let text: String = pattern.chars().cycle().take(len).collect();
                let units: Vec<u16> = text.encode_utf16().collect();
                assert_eq!(converted(&units), format!("before {text}"));
            }
        }
    }

    #[test]
    fn half_a_pair_becomes_the_replacement_character_wherever_it_stands() {
        for before in 0..200 {
            for half in [0xd83d, 0xde8b] {
                let mut units = vec![u16::from(b'x'); before];
                units.push(half);
                units.extend("🚋y".encode_utf16());
                let expected = format!("before {}\u{fffd}🚋y", "x".repeat(before));
                assert_eq!(converted(&units), expected);
            }
        }
    }
}
