//! The bytes of a stream as they are, for protocols that tell their messages apart by themselves.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use tramline_core::{ConnectError, PeerIdentity};

use crate::stream::Moved;
use crate::sys::Stream;
use crate::wake::Reasons;

/// Both directions of a stream, each for a thread that may block in it, and the means to get those
/// threads out.
pub struct ByteHalves {
    /// What comes in. Reads nothing once the stream has ended on either side.
    pub reader: Box<dyn Read + Send>,
    /// What goes out. Writes nothing any more once the stream has ended.
    pub writer: Box<dyn Write + Send>,
    /// Ends the stream from this side; whoever blocks in one of the halves returns. What was
    /// written before still arrives.
    pub hang_up: Box<dyn Fn() + Send + Sync>,
    /// For whoever has read to the end: blocks until the other side does not read any more either,
    /// or this one has hung up. `None` where the system does not tell.
    pub gone: Option<Box<dyn FnOnce() + Send>>,
    /// Who is at the other end, as the operating system says.
    pub peer: PeerIdentity,
}

impl fmt::Debug for ByteHalves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteHalves").field("peer", &self.peer).finish_non_exhaustive()
    }
}

struct Reader(Arc<Stream>);

struct Writer(Arc<Stream>);

impl Stream {
    /// The stream's bytes, without frames.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use tramline_transport_pipe::{Listener, Stream};
    ///
    /// let name = format!("bytes-doc-{}", std::process::id());
    /// let listener = Listener::bind(&name)?;
    /// let mut ours = Stream::connect(&name)?.into_bytes();
    /// let mut theirs = listener.accept()?.expect("not stopped").into_bytes();
    /// ours.writer.write_all(b"hello").expect("connected");
    /// (ours.hang_up)();
    /// let mut text = String::new();
    /// theirs.reader.read_to_string(&mut text).expect("connected");
    /// assert_eq!(text, "hello");
    /// # Ok::<(), tramline_core::ConnectError>(())
    /// ```
    #[must_use]
    pub fn into_bytes(self) -> ByteHalves {
        let peer = self.peer;
        let stream = Arc::new(self);
        let (reader, writer) = (Reader(Arc::clone(&stream)), Writer(Arc::clone(&stream)));
        let watched = Arc::clone(&stream);
        ByteHalves {
            reader: Box::new(reader),
            writer: Box::new(writer),
            hang_up: Box::new(move || stream.shut_down(Shutdown::Both)),
            gone: Some(Box::new(move || watched.wait_until_gone())),
            peer,
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match self.0.try_recv(buf)? {
                Moved::Some(len) => return Ok(len),
                Moved::Blocked => self.0.wait(None, Reasons::DATA, None)?,
                Moved::Ended => return Ok(0),
            }
        }
    }
}

impl Write for Writer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.try_send(buf)? {
                Moved::Some(len) => return Ok(len),
                Moved::Blocked => self.0.wait(None, Reasons::ROOM, None)?,
                Moved::Ended => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard input and output of this process. Nothing else may read the one or write to the other
/// meanwhile, and what was buffered by others is not seen.
///
/// # Errors
///
/// [`ConnectError::Os`] for want of descriptors.
pub fn stdio() -> Result<ByteHalves, ConnectError> {
    crate::sys::stdio().map_err(|error| ConnectError::os("preparing standard input", error))
}
