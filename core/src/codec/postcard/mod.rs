//! postcard: small and fast, for connections whose two ends know all types.
//!
//! Integers, floats, text and bytes are the crate's; what JSON asks for is added around them, the
//! same on both ends: human-readable types are text, NaN and integers beyond 64 bits are refused,
//! nesting is bounded, a map's keys are scalars and stand once.

mod items;
mod key;
mod parts;
mod read;
mod write;

#[cfg(test)]
mod tests;

use serde::de::DeserializeSeed;
use serde::ser::Serialize;

use self::read::Reader;
use self::write::Writer;
use super::Codec;
use super::canonical::MAX_DEPTH;
use crate::error::{DecodeError, EncodeError};
use crate::frame::FrameWriter;

/// postcard (version 1 of its wire format), human-readable types as text on both ends.
///
/// The bytes do not tell what they are: both ends must know the types, and a type that asks the
/// bytes (`untagged`, `tag`, `flatten`, `serde_json::Value`) or leaves fields out
/// (`skip_serializing_if`) cannot be carried. A server that offers this codec refuses to start with
/// such a command.
///
/// # Examples
///
/// ```
/// use tramline_core::AnyCodec;
///
/// let packed = AnyCodec::POSTCARD.to_vec(&(1_u8, "one", std::net::Ipv4Addr::LOCALHOST))?;
/// assert_eq!(packed, b"\x01\x03one\x09127.0.0.1");
/// assert!(AnyCodec::POSTCARD.to_vec(&f64::NAN).is_err());
/// # Ok::<(), tramline_core::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Postcard;

/// Options and newtypes around a value, of which JSON shows nothing. A choice: types that nest
/// nothing else must not nest for ever either.
const MAX_WRAPPERS: u16 = 512;

/// Levels of nesting in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Depth {
    containers: u16,
    wrappers: u16,
}

impl Depth {
    /// One container.
    const CONTAINER: Self = Self { containers: 1, wrappers: 0 };
    /// A variant and the container in it.
    const VARIANT: Self = Self { containers: 2, wrappers: 0 };
    /// An option or a newtype.
    const WRAPPER: Self = Self { containers: 0, wrappers: 1 };

    /// So much deeper, unless that is too deep.
    #[inline]
    fn deeper(self, by: Self) -> Option<Self> {
        let containers = self.containers + by.containers;
        let wrappers = self.wrappers + by.wrappers;
        let fits = containers <= u16::from(MAX_DEPTH) && wrappers <= MAX_WRAPPERS;
        fits.then_some(Self { containers, wrappers })
    }
}

/// Elements without a byte of their own, such as `()`, in one message. A choice: no input may cost
/// more time than its length justifies, and a sequence of nothing needs no more.
const MAX_EMPTY_ELEMENTS: u32 = 1 << 16;

impl Codec for Postcard {
    const NAME: &'static str = "postcard";
    const SELF_DESCRIBING: bool = false;

    #[inline]
    fn encode<T: Serialize + ?Sized>(
        value: &T,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        let mut writer = Writer::new(out);
        let written = value.serialize(&mut writer).and_then(|()| writer.finish());
        written.map_err(|refusal| refusal.into_error(Self::NAME, out))
    }

    #[inline]
    fn decode_seed<'de, S: DeserializeSeed<'de>>(
        seed: S,
        input: &'de [u8],
    ) -> Result<S::Value, DecodeError> {
        let mut reader = Reader::new(input);
        seed.deserialize(&mut reader)
            .and_then(|value| reader.finish().map(|()| value))
            .map_err(|fault| fault.into_error(Self::NAME))
    }
}
