//! Waiting for connections.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

use interprocess::ConnectWaitMode;
use interprocess::os::windows::ToWtf16;
use interprocess::os::windows::named_pipe::pipe_mode::Bytes;
use interprocess::os::windows::named_pipe::{DuplexPipeStream, PipeListener, PipeListenerOptions};
use interprocess::os::windows::security_descriptor::SecurityDescriptor;
use tramline_core::ConnectError;

use super::overlapped::{Event, OPERATION_LEN};
use super::{Stream, full_name, place};
use crate::wake::lock;

/// Full access for the owner of the pipe, nothing for anybody else, nothing inherited.
const OWNER_ONLY: &str = "D:P(A;;GA;;;OW)";

/// A name under which this process can be reached by processes of the same user.
///
/// On Windows it is a named pipe of this machine that only its owner may open. The owner of what a
/// process makes is its user; where the system is set up to give what administrators make to their
/// group, it is that group. Nothing is left behind when the process dies, but the name stays taken
/// until the listener and the connections that came through it have ended.
pub struct Listener {
    pipe: PipeListener<Bytes, Bytes>,
    /// Whoever has made it serves the name. The pipe alone does not settle that everywhere: wine 8
    /// lets a second process listen under the same name.
    _claim: Event,
    place: OsString,
    stopped: AtomicBool,
    /// Held while waiting for a connection.
    accepting: Mutex<()>,
    /// The connection that woke whoever waited when the listener was stopped. Kept open: one that
    /// has gone already would not count.
    last: Mutex<Option<DuplexPipeStream<Bytes>>>,
}

impl Listener {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// - [`ConnectError::InUse`]: somebody listens under it.
    /// - [`ConnectError::Config`]: the name is empty, too long, or has a slash or a control
    ///   character.
    /// - [`ConnectError::Os`]: the system refused.
    pub fn bind(name: &str) -> Result<Listener, ConnectError> {
        let full_name = full_name(name)?;
        let in_use = || ConnectError::InUse { endpoint: name.into() };
        // Names of pipes do not differ by case, those of events do.
        let claim_name = format!(r"Global\{}", full_name.to_lowercase());
        let claim = match Event::named(&claim_name) {
            Ok((claim, false)) => claim,
            Ok((_, true)) => return Err(in_use()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(in_use()),
            Err(error) => return Err(ConnectError::os("claiming the name", error)),
        };
        let place = place(&full_name);
        let owner_only = owner_only()
            .map_err(|error| ConnectError::os("making a security descriptor", error))?;
        let pipe = PipeListenerOptions::new()
            .path(place.as_os_str())
            .security_descriptor(Some(owner_only))
            .input_buffer_size_hint(OPERATION_LEN)
            .output_buffer_size_hint(OPERATION_LEN)
            .create_duplex::<Bytes>()
            .map_err(|error| match error.kind() {
                // So the system says that this would not be the first pipe of that name.
                io::ErrorKind::PermissionDenied => in_use(),
                _ => ConnectError::os("binding the name", error),
            })?;
        Ok(Self {
            pipe,
            _claim: claim,
            place,
            stopped: AtomicBool::new(false),
            accepting: Mutex::default(),
            last: Mutex::default(),
        })
    }

    /// Waits for the next connection of the same user; `None` once [`stop`](Self::stop) was
    /// called. The system refuses other users.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Os`] when the system refuses, for example for want of memory. The listener
    /// stays usable; wait for something to be closed before the next try.
    pub fn accept(&self) -> Result<Option<Stream>, ConnectError> {
        let _accepting = lock(&self.accepting);
        if self.stopped.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let pipe = self.pipe.accept();
        if self.stopped.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let pipe = pipe.map_err(|error| ConnectError::os("accepting", error))?;
        Stream::from_pipe(pipe).map(Some)
    }

    /// Ends [`accept`](Self::accept), now and for ever, in every thread. Idempotent. The name stays
    /// taken until the listener is dropped.
    pub fn stop(&self) {
        if self.stopped.swap(true, Ordering::SeqCst) {
            return;
        }
        if let Err(TryLockError::WouldBlock) = self.accepting.try_lock() {
            // Somebody waits, or is about to. A connection wakes him; whoever comes after him sees
            // the flag. Refused only if another connection does the same.
            let mode = ConnectWaitMode::Timeout(Duration::ZERO);
            let place = self.place.as_os_str();
            *lock(&self.last) = DuplexPipeStream::connect_by_path_with_wait_mode(place, mode).ok();
        }
    }
}

fn owner_only() -> io::Result<SecurityDescriptor> {
    let text = OsStr::new(OWNER_ONLY)
        .to_wtf_16()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    SecurityDescriptor::deserialize(&text)
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}
