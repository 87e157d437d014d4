//! What stands in for the transport where there is none.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tramline_core::{Halves, Pages, Transport};

/// A connection that cannot exist on this system.
#[derive(Debug)]
pub enum ShmTransport {}

impl Transport for ShmTransport {
    fn into_halves(self: Box<Self>) -> Halves {
        match *self {}
    }
}

/// The body of a message that elsewhere goes from process to process without a copy. On this system
/// it is bytes in memory, and is copied like any others.
#[derive(Debug, Clone)]
pub struct SealedBlob(Arc<Plain>);

#[derive(Debug)]
struct Plain(Box<[u8]>);

impl Pages for Plain {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl SealedBlob {
    /// A copy of these bytes.
    ///
    /// # Errors
    ///
    /// None on this system.
    pub fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        Ok(Self(Arc::new(Plain(bytes.into()))))
    }

    /// `len` bytes, zero at first, that `fill` writes in place.
    ///
    /// # Errors
    ///
    /// None on this system.
    pub fn write_with(len: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        let mut builder = Self::builder(len)?;
        fill(&mut builder);
        builder.seal()
    }

    /// `len` bytes, zero at first, to be written in place and sealed.
    ///
    /// # Errors
    ///
    /// None on this system.
    pub fn builder(len: usize) -> io::Result<BlobBuilder> {
        Ok(BlobBuilder(vec![0; len].into()))
    }

    /// What a transport is given.
    pub(crate) fn pages(&self) -> Arc<dyn Pages> {
        Arc::clone(&self.0) as Arc<dyn Pages>
    }
}

impl Deref for SealedBlob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.0
    }
}

/// A blob that is being written: derefs to its bytes.
#[derive(Debug)]
pub struct BlobBuilder(Box<[u8]>);

impl BlobBuilder {
    /// Makes the bytes immutable.
    ///
    /// # Errors
    ///
    /// None on this system.
    pub fn seal(self) -> io::Result<SealedBlob> {
        Ok(SealedBlob(Arc::new(Plain(self.0))))
    }
}

impl Deref for BlobBuilder {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for BlobBuilder {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl ShmTransport {
    /// What cannot be had of a connection that cannot exist.
    #[must_use]
    pub fn doorbell(&self) -> Option<Doorbell> {
        match *self {}
    }
}

/// What belongs to a connection that cannot exist on this system.
#[derive(Debug)]
pub enum Doorbell {}
