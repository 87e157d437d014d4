//! What blobs can do, wherever they come from.

use std::sync::Arc;

use bytes::Bytes;
use tramline_core::codec::AnyCodec;
use tramline_core::command::{Raw, RawBody, Reply};
use tramline_core::envelope::BodyKind;
use tramline_core::{EncodeError, FrameWriter, Pages};

use crate::SealedBlob;

impl AsRef<[u8]> for SealedBlob {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<SealedBlob> for Bytes {
    fn from(blob: SealedBlob) -> Self {
        Self::from_owner(blob)
    }
}

impl From<SealedBlob> for Raw {
    fn from(blob: SealedBlob) -> Self {
        Self(blob.into())
    }
}

impl From<&SealedBlob> for RawBody<'_> {
    fn from(blob: &SealedBlob) -> Self {
        Self::Pages(blob.pages())
    }
}

impl From<SealedBlob> for RawBody<'_> {
    fn from(blob: SealedBlob) -> Self {
        Self::Pages(blob.pages())
    }
}

/// As the result of a command: a raw body.
impl Reply for SealedBlob {
    const BODY: BodyKind = BodyKind::Raw;

    fn len_hint(&self) -> usize {
        self.len()
    }

    fn encode(&self, _: AnyCodec, out: &mut FrameWriter<'_>) -> Result<(), EncodeError> {
        out.put(self).map_err(|e| EncodeError::new("raw", e))
    }

    fn pages(&self) -> Option<Arc<dyn Pages>> {
        Some(Self::pages(self))
    }
}
