//! Values to bytes and back.
//!
//! [`Json`] and [`MsgPack`] are built in and dispatched statically; so is `Postcard`, with the feature
//! of that name, for two ends that know all types. A codec of your own implements
//! [`Codec`] and is passed on as [`AnyCodec::custom`].
//!
//! # What a value is
//!
//! The built-in codecs carry what JSON has, by one set of rules, so a program that works with one
//! works with the other, and whatever is on the wire can be shown and sent as JSON:
//!
//! - Structs are maps by name, never arrays. Keys are text; integers, `bool`, `char` and variants
//!   without content become text, other keys are refused. No key may stand twice.
//! - NaN, the infinities and integers beyond 64 bits are refused; write those as text. Integers are
//!   never rounded, except into a float that asks for one.
//! - Bytes are bytes in MessagePack and an array of numbers in JSON. Either is read where a type
//!   wants bytes or numbers; where no type is known (`Value`, untagged or internally tagged enums,
//!   `flatten`) they are numbers, which costs 32 bytes of memory for each: large bytes belong into
//!   other types, or into a raw body.
//! - Text is UTF-8 and not bytes; an enum's variant is known by its name; types with a form for
//!   people (addresses, for example) take that one.
//! - `Some(None)` and `Some(())` are `null`, and read as `None`.
//! - At most 128 arrays and maps lie within each other.
//!
//! In `Postcard` neither names nor kinds are in the bytes. What it refuses is the same, and what a type
//! reads from them is the same JSON text (`docs/JSON.md`).
//!
//! What is refused names the part (`.rows[3].price`), and when it is read the byte, too. A part that
//! was refused refuses the whole value, also if a type's own code goes on.
//!
//! What serde keeps in memory before it knows the type (untagged and internally tagged enums,
//! `flatten`) follows serde's own rules from there on, the same for both codecs: it takes the array
//! form of a struct there, and text for bytes; and keys that are not text are not found again, so a
//! map with integer keys does not work there.

mod by_name;
mod canonical;
mod erased;
mod guarded;
mod json;
mod msgpack;
#[cfg(feature = "postcard")]
mod postcard;

#[cfg(feature = "postcard")]
use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed};
use serde::ser::Serialize;

use self::by_name::ByName;
pub use self::canonical::MAX_DEPTH;
use self::erased::{Erased, ErasedCodec};
use self::guarded::Guarded;
pub use self::json::Json;
pub(crate) use self::msgpack::Listed;
pub use self::msgpack::MsgPack;
#[cfg(feature = "postcard")]
pub use self::postcard::Postcard;
use crate::error::{DecodeError, EncodeError};
use crate::frame::FrameWriter;

/// A data format both ends agree on by name.
///
/// # Examples
///
/// A codec of one's own: JSON with a leading byte.
///
/// ```
/// use serde::{Serialize, de::DeserializeSeed};
/// use tramline_core::codec::{AnyCodec, Codec, Json};
/// use tramline_core::{DecodeError, EncodeError, FrameWriter};
///
/// struct Marked;
///
/// impl Codec for Marked {
///     const NAME: &'static str = "marked-json";
///
///     fn encode<T: Serialize + ?Sized>(
///         value: &T,
///         out: &mut FrameWriter<'_>,
///     ) -> Result<(), EncodeError> {
///         out.put(b"!").map_err(|e| EncodeError::new(Self::NAME, e))?;
///         Json::encode(value, out)
///     }
///
///     fn decode_seed<'de, S: DeserializeSeed<'de>>(
///         seed: S,
///         input: &'de [u8],
///     ) -> Result<S::Value, DecodeError> {
///         let Some(json) = input.strip_prefix(b"!") else {
///             return Err(DecodeError::new(Self::NAME, "the mark is missing"));
///         };
///         Json::decode_seed(seed, json)
///     }
/// }
///
/// let codec = AnyCodec::custom::<Marked>();
/// assert_eq!(codec.to_vec(&[1, 2])?, b"![1,2]");
/// assert_eq!(codec.decode::<Vec<u8>>(b"![1,2]").ok(), Some(vec![1, 2]));
/// # Ok::<(), EncodeError>(())
/// ```
pub trait Codec: 'static {
    /// The name both ends agree on in the hello, at most 32 bytes.
    const NAME: &'static str;

    /// Whether the bytes alone tell what they are, so that they become JSON without a type.
    ///
    /// A codec of which that is not true is for connections whose two ends know all types. Such a
    /// server refuses to start with a command whose types the codec cannot carry, and a call's
    /// arguments travel as a map from name to value.
    const SELF_DESCRIBING: bool = true;

    /// Writes `value`.
    ///
    /// # Errors
    ///
    /// The value has no form in this format, or `out` has no room left.
    fn encode<T: Serialize + ?Sized>(
        value: &T,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError>;

    /// Reads one value that fills all of `input`; what `seed` makes of it may borrow from `input`.
    ///
    /// # Errors
    ///
    /// The input is not one value of the wanted type. No input may cause a panic.
    fn decode_seed<'de, S: DeserializeSeed<'de>>(
        seed: S,
        input: &'de [u8],
    ) -> Result<S::Value, DecodeError>;
}

/// The codec of one connection, chosen at run time among statically known ones.
#[derive(Clone, Copy)]
pub struct AnyCodec(Inner);

#[derive(Clone, Copy)]
enum Inner {
    Json,
    MsgPack,
    #[cfg(feature = "postcard")]
    Postcard,
    Custom(&'static dyn Erased),
}

impl AnyCodec {
    /// JSON text, written by serde_json.
    pub const JSON: Self = Self(Inner::Json);
    /// MessagePack, named fields, human-readable types as text. The default.
    pub const MSGPACK: Self = Self(Inner::MsgPack);
    /// postcard, for two ends that know all types.
    #[cfg(feature = "postcard")]
    pub const POSTCARD: Self = Self(Inner::Postcard);

    /// A codec by its type, as a rule one of your own.
    #[must_use]
    pub fn custom<C: Codec>() -> Self {
        #[cfg(feature = "postcard")]
        if TypeId::of::<C>() == TypeId::of::<Postcard>() {
            return Self::POSTCARD;
        }
        Self(Inner::Custom(&ErasedCodec::<C>(PhantomData)))
    }

    /// The name that goes into the hello.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.0 {
            Inner::Json => Json::NAME,
            Inner::MsgPack => MsgPack::NAME,
            #[cfg(feature = "postcard")]
            Inner::Postcard => Postcard::NAME,
            Inner::Custom(codec) => codec.name(),
        }
    }

    /// Whether what begins like this is read as a map of names: a map in a codec of ours, whose
    /// reader expects the names in their order, or anything where the bytes do not tell.
    #[inline]
    pub(crate) fn begins_with_map(&self, input: &[u8]) -> bool {
        match self.0 {
            Inner::Json => input.first() == Some(&b'{'),
            Inner::MsgPack => matches!(input.first(), Some(0x80..=0x8f | 0xde | 0xdf)),
            #[cfg(feature = "postcard")]
            Inner::Postcard => false,
            Inner::Custom(_) => false,
        }
    }

    /// A map of `count` entries that can be read in an order that is known.
    #[inline]
    pub(crate) fn listed<'de>(&self, input: &'de [u8], count: usize) -> Option<Listed<'de>> {
        match self.0 {
            Inner::MsgPack => Listed::open(input, count),
            _ => None,
        }
    }

    /// See [`Codec::SELF_DESCRIBING`].
    #[inline]
    #[must_use]
    pub fn is_self_describing(&self) -> bool {
        match self.0 {
            Inner::Json | Inner::MsgPack => true,
            #[cfg(feature = "postcard")]
            Inner::Postcard => Postcard::SELF_DESCRIBING,
            Inner::Custom(codec) => codec.is_self_describing(),
        }
    }

    /// Writes `value`. See [`Codec::encode`].
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`].
    #[inline]
    pub fn encode<T: Serialize + ?Sized>(
        &self,
        value: &T,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        match self.0 {
            Inner::Json => Json::encode(value, out),
            Inner::MsgPack => MsgPack::encode(value, out),
            #[cfg(feature = "postcard")]
            Inner::Postcard => Postcard::encode(value, out),
            Inner::Custom(codec) => codec.encode(&Guarded(value), out),
        }
    }

    /// Writes a call's arguments. As [`encode`](Self::encode), but a codec that is
    /// [not self-describing](Codec::SELF_DESCRIBING) writes a map from name to value, so that the
    /// other end knows which type stands where.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`]; and such a codec takes nothing but a struct, or `()` for no arguments:
    /// a map or `json!(..)` does not tell the types.
    #[inline]
    pub fn encode_args<T: Serialize + ?Sized>(
        &self,
        args: &T,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        match self.0 {
            Inner::Json => Json::encode(args, out),
            Inner::MsgPack => MsgPack::encode(args, out),
            #[cfg(feature = "postcard")]
            Inner::Postcard => Postcard::encode(&ByName(args), out),
            Inner::Custom(codec) if codec.is_self_describing() => codec.encode(&Guarded(args), out),
            Inner::Custom(codec) => codec.encode(&Guarded(&ByName(args)), out),
        }
    }

    /// The encoded value in memory of its own.
    ///
    /// # Errors
    ///
    /// As [`Codec::encode`].
    pub fn to_vec<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>, EncodeError> {
        let mut slot = [0; 256];
        let mut out = FrameWriter::new(&mut slot, usize::MAX);
        self.encode(value, &mut out)?;
        Ok(match out.finish() {
            crate::frame::Written::InPlace { len } => slot[..len].to_vec(),
            crate::frame::Written::Spilled { bytes } => bytes,
        })
    }

    /// Reads one value that fills all of `input`; it may borrow from `input`.
    ///
    /// # Errors
    ///
    /// As [`Codec::decode_seed`].
    #[inline]
    pub fn decode<'de, T: Deserialize<'de>>(&self, input: &'de [u8]) -> Result<T, DecodeError> {
        self.decode_seed(PhantomData::<T>, input)
    }

    /// Reads one value with a seed. See [`Codec::decode_seed`].
    ///
    /// # Errors
    ///
    /// As [`Codec::decode_seed`].
    #[inline]
    pub fn decode_seed<'de, S: DeserializeSeed<'de>>(
        &self,
        seed: S,
        input: &'de [u8],
    ) -> Result<S::Value, DecodeError> {
        match self.0 {
            Inner::Json => Json::decode_seed(seed, input),
            Inner::MsgPack => MsgPack::decode_seed(seed, input),
            #[cfg(feature = "postcard")]
            Inner::Postcard => Postcard::decode_seed(seed, input),
            Inner::Custom(codec) => {
                let mut seed = Some(seed);
                let mut value = None;
                codec.decode(input, &mut |deserializer| {
                    if let Some(seed) = seed.take() {
                        value = Some(seed.deserialize(deserializer)?);
                    }
                    Ok(())
                })?;
                value.ok_or_else(|| DecodeError::new(codec.name(), "the codec read nothing"))
            }
        }
    }
}

impl fmt::Debug for AnyCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyCodec({})", self.name())
    }
}

impl PartialEq for AnyCodec {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for AnyCodec {}
