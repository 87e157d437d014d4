//! A codec of somebody else's, behind a pointer.

use std::marker::PhantomData;

use serde::de::DeserializeSeed;

use super::Codec;
use crate::error::{DecodeError, EncodeError};
use crate::frame::FrameWriter;

/// What a [`Codec`] looks like behind a pointer.
pub(super) trait Erased: Send + Sync {
    fn name(&self) -> &'static str;

    fn is_self_describing(&self) -> bool;

    fn encode(
        &self,
        value: &dyn erased_serde::Serialize,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError>;

    fn decode<'de>(&self, input: &'de [u8], visit: Visit<'_, 'de>) -> Result<(), DecodeError>;
}

pub(super) type Visit<'v, 'de> =
    &'v mut dyn FnMut(&mut dyn erased_serde::Deserializer<'de>) -> Result<(), erased_serde::Error>;

/// A function pointer's phantom, so that the wrapper is `Send + Sync` whatever `C` is.
pub(super) struct ErasedCodec<C>(pub(super) PhantomData<fn() -> C>);

impl<C: Codec> Erased for ErasedCodec<C> {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn is_self_describing(&self) -> bool {
        C::SELF_DESCRIBING
    }

    fn encode(
        &self,
        value: &dyn erased_serde::Serialize,
        out: &mut FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        C::encode(value, out)
    }

    fn decode<'de>(&self, input: &'de [u8], visit: Visit<'_, 'de>) -> Result<(), DecodeError> {
        C::decode_seed(VisitSeed(visit), input)
    }
}

/// Hands a codec's deserializer to a closure.
struct VisitSeed<'v, 'de>(Visit<'v, 'de>);

impl<'de> DeserializeSeed<'de> for VisitSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let mut erased = <dyn erased_serde::Deserializer<'de>>::erase(deserializer);
        (self.0)(&mut erased).map_err(serde::de::Error::custom)
    }
}
