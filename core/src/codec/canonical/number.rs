//! Numbers as JSON has them: integers of 64 bits, and doubles.

use serde::de::{Error, Visitor};

use super::Fault;

/// A number in the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number<'de> {
    Unsigned(u64),
    /// Below zero.
    Signed(i64),
    /// Finite.
    Single(f32),
    /// Finite.
    Double(f64),
    /// Digits of an integer beyond 64 bits.
    Wide(&'de str),
}

impl<'de> Number<'de> {
    /// Gives the number to a visitor as it is.
    #[inline]
    pub(super) fn visit<'v, V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Unsigned(value) => visitor.visit_u64(value),
            Self::Signed(value) => visitor.visit_i64(value),
            Self::Single(value) => visitor.visit_f32(value),
            Self::Double(value) => visitor.visit_f64(value),
            Self::Wide(_) => Err(beyond("64 bits")),
        }
    }

    /// Gives the number to a visitor that wants a double, to which integers are rounded.
    #[inline]
    pub(super) fn visit_double<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Wide(_) => visitor.visit_f64(self.double()?),
            other => other.visit(visitor),
        }
    }

    /// Gives the number to a visitor that wants a single, to which everything is rounded.
    #[inline]
    pub(super) fn visit_single<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Double(_) | Self::Wide(_) => {
                let value = self.double()?;
                visitor.visit_f32(single(value).ok_or_else(|| beyond("an f32"))?)
            }
            other => other.visit(visitor),
        }
    }

    /// Gives the number to a visitor that wants an integer of 128 bits.
    pub(super) fn visit_wide<'v, V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Self::Wide(digits) = self else {
            return self.visit(visitor);
        };
        if let Ok(value) = digits.parse() {
            visitor.visit_i128(value)
        } else if let Ok(value) = digits.parse() {
            visitor.visit_u128(value)
        } else {
            Err(beyond("128 bits"))
        }
    }

    fn double(self) -> Result<f64, Fault> {
        match self {
            Self::Double(value) => Ok(value),
            Self::Wide(digits) => digits
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite())
                .ok_or_else(|| beyond("an f64")),
            // Not asked.
            Self::Unsigned(_) | Self::Signed(_) | Self::Single(_) => Err(beyond("an f64")),
        }
    }
}

impl<'t> Number<'t> {
    /// An integer as JSON writes it into a key: no sign but a minus, no zero in front, and not `-0`,
    /// which is a double.
    pub(super) fn integer(text: &'t str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = match digits.as_bytes() {
            [b'0'] => digits.len() == text.len(),
            [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        if !plain {
            return None;
        }
        let unsigned = text.parse().map(Self::Unsigned);
        let number = unsigned.or_else(|_| text.parse().map(Self::Signed));
        Some(number.unwrap_or(Self::Wide(text)))
    }
}

#[cold]
fn beyond(what: &str) -> Fault {
    Fault::custom(format_args!("the number does not fit into {what}"))
}

/// The single nearest to the shortest text of a double: `None` beyond its range.
///
/// That is the nearest single to the double itself, except where this lies half-way between two:
/// there the text, of which the double is a rounding already, may lie on either side. Among the
/// shortest texts of all singles one does, 7.038531e-26.
#[inline]
pub(super) fn single(value: f64) -> Option<f32> {
    // Half-way is one bit below a single's last of 23, of 52: at least 28 bits are zero then.
    let half_way = value.to_bits() & ((1 << 28) - 1) == 0;
    #[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
    let nearest = value as f32;
    let nearest = if half_way && f64::from(nearest) != value {
        value.to_string().parse().unwrap_or(nearest)
    } else {
        nearest
    };
    nearest.is_finite().then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::{Number, single};

    #[test]
    fn every_single_is_nearest_to_the_double_that_its_shortest_text_means() {
        // All of them take minutes; these, and the one that fails without a second look.
        let some = (0..0x7f80_0000_u32).step_by(40_009);
        for bits in some.chain([0x15ae_43fd, 1, 0x7f_ffff, 0x80_0000, 0x7f7f_ffff]) {
            for sign in [0, 1 << 31] {
                let value = f32::from_bits(bits | sign);
                let double: f64 = value.to_string().parse().expect("a number");
                assert_eq!(single(double).map(f32::to_bits), Some(value.to_bits()), "{value}");
                assert_eq!(single(value.into()).map(f32::to_bits), Some(value.to_bits()));
            }
        }
        assert_eq!(single(1e39), None);
        assert_eq!(single(f64::from(f32::MAX) * 1.000_000_1), None);
    }

    #[test]
    fn an_integer_key_has_one_form_only() {
        for (text, number) in [
            ("0", Number::Unsigned(0)),
            ("18446744073709551615", Number::Unsigned(u64::MAX)),
            ("-1", Number::Signed(-1)),
            ("-9223372036854775808", Number::Signed(i64::MIN)),
            ("18446744073709551616", Number::Wide("18446744073709551616")),
            ("-9223372036854775809", Number::Wide("-9223372036854775809")),
        ] {
            assert_eq!(Number::integer(text), Some(number), "{text}");
        }
        for text in ["", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1.0", "1e1", "0x1", "1_0"]
        {
            assert_eq!(Number::integer(text), None, "{text}");
        }
    }
}
