//! JSON's numbers, byte by byte and in constant memory however long their text is.

use super::error::TranscodeFault;

/// Digits that are kept of a number's text. Where two `f64` meet, the point between them has at most
/// 767 significant digits, so behind more than that it only matters whether there is anything else.
const MAX_DIGITS: usize = 800;

/// What a number's text says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Unsigned(u64),
    /// Below zero.
    Negative(i64),
    /// Written with a fraction or an exponent; or `-0`, as serde_json has it.
    Float(f64),
}

/// How far some bytes belong to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// All of them.
    All,
    /// So many; the number ends before the next one.
    Ended(usize),
    /// So many; the next one cannot stand there.
    Wrong(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Sign,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

/// A number on its way in.
#[derive(Debug)]
pub(super) struct NumberText {
    place: Place,
    negative: bool,
    /// The digits before point and exponent; nothing once they are beyond 64 bits.
    integer: Option<u64>,
    /// Significant digits, from the first that is not zero; `MAX_DIGITS` at most.
    digits: Vec<u8>,
    /// Whether a digit that is not zero came after those.
    more: bool,
    /// The power of ten that the last of `digits` counts.
    scale: i64,
    /// The exponent as written.
    exponent: i64,
    exponent_negative: bool,
}

impl NumberText {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Start,
            negative: false,
            integer: Some(0),
            digits: Vec::new(),
            more: false,
            scale: 0,
            exponent: 0,
            exponent_negative: false,
        }
    }

    /// Forgets the last number.
    pub(super) fn begin(&mut self) {
        let mut digits = std::mem::take(&mut self.digits);
        digits.clear();
        *self = Self { digits, ..Self::new() };
    }

    /// Takes what belongs to the number.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            self.place = match (self.place, byte) {
                (Place::Start, b'-') => {
                    self.negative = true;
                    Place::Sign
                }
                (Place::Start | Place::Sign, b'0') => Place::Zero,
                (Place::Start | Place::Sign, b'1'..=b'9') | (Place::Integer, b'0'..=b'9') => {
                    at += self.integer_digits(&bytes[at..]);
                    self.place = Place::Integer;
                    continue;
                }
                (Place::Zero | Place::Integer, b'.') => Place::Point,
                (Place::Point | Place::Fraction, b'0'..=b'9') => {
                    at += self.fraction_digits(&bytes[at..]);
                    self.place = Place::Fraction;
                    continue;
                }
                (Place::Zero | Place::Integer | Place::Fraction, b'e' | b'E') => Place::Exponent,
                (Place::Exponent, b'+' | b'-') => {
                    self.exponent_negative = byte == b'-';
                    Place::ExponentSign
                }
                (Place::Exponent | Place::ExponentSign | Place::ExponentDigits, b'0'..=b'9') => {
                    let digit = i64::from(byte - b'0');
                    self.exponent = self.exponent.saturating_mul(10).saturating_add(digit);
                    Place::ExponentDigits
                }
                // serde_json, too, calls `01` a bad number and not two values.
                (Place::Zero, b'0'..=b'9') => return Step::Wrong(at),
                _ if self.is_complete() => return Step::Ended(at),
                _ => return Step::Wrong(at),
            };
            at += 1;
        }
        Step::All
    }

    /// Whether the number may end here.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.place, Place::Zero | Place::Integer | Place::Fraction | Place::ExponentDigits)
    }

    /// Takes the digits that `bytes` begins with, and says how many.
    #[inline]
    fn integer_digits(&mut self, bytes: &[u8]) -> usize {
        let digits = &bytes[..digits_len(bytes)];
        for digit in digits {
            let digit = u64::from(digit - b'0');
            self.integer = self.integer.and_then(|n| n.checked_mul(10)?.checked_add(digit));
        }
        let left_out = digits.len() - self.keep(digits);
        self.scale = self.scale.saturating_add_unsigned(left_out as u64);
        digits.len()
    }

    /// The same behind the point.
    #[inline]
    fn fraction_digits(&mut self, bytes: &[u8]) -> usize {
        let digits = &bytes[..digits_len(bytes)];
        let mut significant = digits;
        if self.digits.is_empty() {
            while let [b'0', rest @ ..] = significant {
                significant = rest;
            }
        }
        let counted = digits.len() - significant.len() + self.keep(significant);
        self.scale = self.scale.saturating_sub_unsigned(counted as u64);
        digits.len()
    }

    /// Keeps the digits there is room for, and says how many.
    #[inline]
    fn keep(&mut self, digits: &[u8]) -> usize {
        let (kept, left_out) = digits.split_at(digits.len().min(MAX_DIGITS - self.digits.len()));
        self.digits.extend_from_slice(kept);
        self.more |= left_out.iter().any(|&digit| digit != b'0');
        kept.len()
    }

    /// The number, exact or to the nearest `f64`.
    #[inline]
    pub(super) fn finish(&mut self) -> Result<Number, TranscodeFault> {
        if matches!(self.place, Place::Zero | Place::Integer) {
            return match (self.negative, self.integer) {
                (false, Some(integer)) => Ok(Number::Unsigned(integer)),
                (true, Some(0)) => Ok(Number::Float(-0.0)),
                (true, Some(integer)) => 0_i64
                    .checked_sub_unsigned(integer)
                    .map(Number::Negative)
                    .ok_or(TranscodeFault::IntegerRange),
                (_, None) => Err(TranscodeFault::IntegerRange),
            };
        }
        let number = self.float().ok_or(TranscodeFault::FloatRange)?;
        Ok(Number::Float(if self.negative { -number } else { number }))
    }

    /// The number's size; nothing if that is no finite `f64`.
    fn float(&mut self) -> Option<f64> {
        if self.digits.is_empty() {
            return Some(0.0);
        }
        if self.more {
            self.digits.push(b'1');
            self.scale = self.scale.saturating_sub(1);
        }
        let exponent =
            if self.exponent_negative { self.exponent.saturating_neg() } else { self.exponent };
        let exponent = self.scale.saturating_add(exponent);
        // The standard library rounds to the nearest, however many digits there are.
        self.digits.push(b'e');
        self.digits.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
        let number: f64 = str::from_utf8(&self.digits).ok()?.parse().ok()?;
        number.is_finite().then_some(number)
    }
}

#[inline]
fn digits_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len())
}

/// A number of a few digits and how many they are, if its end is among `bytes`; most numbers are.
#[inline]
pub(super) fn small(bytes: &[u8]) -> Option<(u64, usize)> {
    /// Any number of so many digits fits.
    const MAX_LEN: usize = 19;
    let mut value = 0;
    for (len, byte) in bytes.iter().enumerate().take(MAX_LEN + 1) {
        match byte {
            b'0'..=b'9' if len < MAX_LEN => value = value * 10 + u64::from(byte - b'0'),
            b',' | b']' | b'}' | b' ' | b'\n' if len == 1 || (len > 0 && bytes[0] != b'0') => {
                return Some((value, len));
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::error::TranscodeError;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<Result<Number, &'static str>> {
        let mut number = NumberText::new();
        number.begin();
        // In two pieces, to be cut anywhere.
        let (first, second) = text.as_bytes().split_at(text.len() / 2);
        if number.push(first) != Step::All || number.push(second) != Step::All {
            return None;
        }
        let code = |fault: TranscodeFault| TranscodeError::from(fault.at(0)).code();
        number.is_complete().then(|| number.finish().map_err(code))
    }

    #[test]
    fn integers_are_exact_up_to_64_bits_and_never_become_floats() {
        assert_eq!(read("18446744073709551615"), Some(Ok(Number::Unsigned(u64::MAX))));
        assert_eq!(read("-9223372036854775808"), Some(Ok(Number::Negative(i64::MIN))));
        for beyond in ["18446744073709551616", "-9223372036854775809", &"9".repeat(5000)] {
            assert_eq!(read(beyond), Some(Err("integer-range")));
        }
    }

    #[test]
    fn numbers_too_large_are_refused_and_numbers_too_small_are_zero() {
        for beyond in
            ["1e400", "-1e400", "1e99999999999999999999", &format!("{}.0", "9".repeat(400))]
        {
            assert_eq!(read(beyond), Some(Err("float-range")), "{beyond}");
        }
        for zero in
            ["1e-400", "0e400", "0.000", "0e99999999999999999999", "1e-99999999999999999999"]
        {
            assert_eq!(read(zero), Some(Ok(Number::Float(0.0))), "{zero}");
        }
    }

    #[test]
    fn minus_zero_is_a_float() {
        for text in ["-0", "-0.0", "-0e5"] {
            let Some(Ok(Number::Float(zero))) = read(text) else { panic!("{text}") };
            assert!(zero == 0.0 && zero.is_sign_negative(), "{text}");
        }
    }

    #[test]
    fn what_json_does_not_call_a_number_is_refused() {
        for text in ["-", "01", "-01", "1.", ".5", "1e", "1e+", "+1", "1.e3", "0x1", "1e5.0", "--1"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn digits_behind_the_last_one_kept_still_decide_between_two_floats() {
        // Half-way between 1 and the next f64: to even, which is 1, unless anything follows.
        let half = "1.00000000000000011102230246251565404236316680908203125";
        let zeros = "0".repeat(2000);
        assert_eq!(read(&format!("{half}{zeros}")), Some(Ok(Number::Float(1.0))));
        let above = Some(Ok(Number::Float(1.0 + f64::EPSILON)));
        assert_eq!(read(&format!("{half}{zeros}1")), above);
        // The same, scaled: digits before the point, leading zeros behind it.
        let digits = half.replace('.', "");
        assert_eq!(read(&format!("{digits}{zeros}1e-{}", 2001 + 53)), above.clone());
        assert_eq!(read(&format!("0.{zeros}{digits}{zeros}1e2001")), above);
    }

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_long_way_reads(text in "-?[0-9]{0,21}[,\\] .e]?") {
            let Some((value, len)) = small(text.as_bytes()) else { return Ok(()) };
            prop_assert_eq!(read(&text[..len]), Some(Ok(Number::Unsigned(value))));
            prop_assert!(text.len() > len);
        }

        #[test]
        fn every_finite_double_is_read_back_bit_for_bit(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            for text in [format!("{number:e}"), format!("{number:?}"), format!("{number:.1100}")] {
                let Some(Ok(Number::Float(read))) = read(&text) else { panic!("{text}") };
                prop_assert_eq!(read.to_bits(), bits, "{}", text);
            }
        }
    }
}
