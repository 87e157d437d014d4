//! Reading in place from a peer that is trusted. Only with the feature `trusted-in-place`.

use std::fmt;

use tramline_core::transport::{Receiver, Sender, Signal};
use tramline_core::{LinkError, PeerIdentity};

use crate::link::{InPlace, ShmReceiver, ShmTransport};

/// An open connection whose messages can be read where they lie.
pub struct TrustedParts {
    /// Who is at the other end, as the operating system says.
    pub peer: PeerIdentity,
    /// The outgoing direction.
    pub sender: Box<dyn Sender>,
    /// The incoming direction.
    pub reader: TrustedReader,
    /// Sleeping, waking and closing, usable from any thread.
    pub signal: Box<dyn Signal>,
}

impl fmt::Debug for TrustedParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedParts").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl ShmTransport {
    /// Splits the connection as [`into_halves`](tramline_core::Transport::into_halves) does, with a
    /// receiver that can also read in place.
    #[must_use]
    pub fn into_trusted_parts(self) -> TrustedParts {
        let (peer, sender, receiver, signal) = self.into_parts();
        let reader = TrustedReader { receiver };
        TrustedParts { peer, sender: Box::new(sender), reader, signal: Box::new(signal) }
    }
}

/// A receiver that can read messages where they lie.
pub struct TrustedReader {
    receiver: ShmReceiver,
}

impl fmt::Debug for TrustedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedReader").finish_non_exhaustive()
    }
}

impl TrustedReader {
    /// The ordinary receiver: to copy a message out after all, and to wait.
    pub fn receiver(&mut self) -> &mut (dyn Receiver + 'static) {
        &mut self.receiver
    }

    /// Shows the next whole message to `read` where it lies, if there is one. Never blocks.
    ///
    /// A message of one record, up to an eighth of the ring, is not copied; of a longer one `read`
    /// sees the private copy that it was put together in, of one whose body was handed over what
    /// stands before the body. The record is given back to the peer when `read` returns, or panics:
    /// until then the peer cannot use its room.
    ///
    /// Headers are judged as always, so a peer that breaks their rules is a fault. What is missing is
    /// only the copy, and with it the certainty that the bytes stay as they are while they are read.
    ///
    /// # Errors
    ///
    /// As [`Receiver::poll`].
    ///
    /// # Safety
    ///
    /// The peer does not modify a committed record until it is released. This is true of this
    /// library at both ends, and false of a malicious peer, which can do so at any time: then `read`
    /// sees a slice change under it, which is undefined behaviour. So call this only if the peer is
    /// a program that you would let run inside this process.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn open(shm: tramline_transport_shm::ShmTransport) -> Result<(), tramline_core::LinkError> {
    /// let mut parts = shm.into_trusted_parts();
    /// // SAFETY: the peer is our own program, started by us.
    /// let sum = unsafe {
    ///     parts.reader.poll_in_place(|bytes| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>())
    /// }?;
    /// # let _ = sum;
    /// # Ok(())
    /// # }
    /// ```
    pub unsafe fn poll_in_place<R>(
        &mut self,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>, LinkError> {
        let mut read = Some(read);
        // SAFETY: the caller's promise is the one that is asked for.
        match unsafe { self.receiver.poll_in_place(&mut read) }? {
            InPlace::Read(result) => Ok(Some(result)),
            InPlace::Copied(frame) => Ok(read.take().map(|read| read(frame.bytes()))),
            InPlace::Nothing => Ok(None),
        }
    }
}
