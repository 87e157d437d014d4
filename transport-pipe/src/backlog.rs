//! Bytes that were committed and that the socket did not take yet. No I/O here.

use tramline_core::LinkError;

/// Above this many bytes a sender has to wait. A choice: more than Linux holds per Unix socket, so
/// that one round of draining fills the socket.
pub(crate) const BACKLOG_LIMIT: usize = 256 << 10;

/// What a write did.
pub(crate) enum Wrote {
    /// This many bytes, more than none.
    Some(usize),
    /// The socket is full.
    Full,
}

/// Bytes in order, drained from the front.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// `bytes[start..end]` is unsent; the rest is initialised room.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Why nothing can be written any more.
    pub(crate) error: Option<LinkError>,
    /// The thread that drains has been started.
    pub(crate) has_flusher: bool,
}

impl Backlog {
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Appends `bytes`.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.bytes.len() - self.end < bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            self.bytes.resize(self.bytes.len().max(self.end + bytes.len()), 0);
        }
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Appends `buffer[start..end]`, by exchange of the buffers where nothing waits already.
    pub(crate) fn push_buffer(&mut self, buffer: &mut Vec<u8>, start: usize, end: usize) {
        if self.len() == 0 {
            std::mem::swap(&mut self.bytes, buffer);
            (self.start, self.end) = (start, end);
        } else {
            self.push(&buffer[start..end]);
        }
    }

    /// Writes until nothing is left (true) or the socket is full (false). An error is kept and
    /// ends everything that waits.
    pub(crate) fn drain(
        &mut self,
        mut write: impl FnMut(&[u8]) -> Result<Wrote, LinkError>,
    ) -> Result<bool, LinkError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        while self.start < self.end {
            match write(&self.bytes[self.start..self.end]) {
                Ok(Wrote::Some(len)) => self.start += len,
                Ok(Wrote::Full) => return Ok(false),
                Err(error) => return Err(self.fail(error)),
            }
        }
        (self.start, self.end) = (0, 0);
        Ok(true)
    }

    /// Ends the direction.
    pub(crate) fn fail(&mut self, error: LinkError) -> LinkError {
        (self.start, self.end) = (0, 0);
        self.error.get_or_insert(error).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_the_order_they_came_whatever_each_write_takes() {
        let (mut backlog, mut out, mut all) = (Backlog::default(), Vec::new(), Vec::new());
        let mut buffer: Vec<u8> = (0..100).collect();
        backlog.push_buffer(&mut buffer, 10, 90);
        all.extend(10..90);
        for round in 0..50_u8 {
            let piece = vec![round; usize::from(round)];
            backlog.push(&piece);
            all.extend(&piece);
            let mut room = 20;
            let done = backlog.drain(|bytes| {
                let len = bytes.len().min(room).min(7);
                if len == 0 {
                    return Ok(Wrote::Full);
                }
                room -= len;
                out.extend(&bytes[..len]);
                Ok(Wrote::Some(len))
            });
            assert_eq!(done, Ok(backlog.len() == 0));
        }
        let done = backlog.drain(|bytes| {
            out.extend(bytes);
            Ok(Wrote::Some(bytes.len()))
        });
        assert_eq!((done, out), (Ok(true), all));
    }

    #[test]
    fn an_error_is_kept() {
        let mut backlog = Backlog::default();
        backlog.push(b"abc");
        assert_eq!(backlog.drain(|_| Err(LinkError::PeerDied)), Err(LinkError::PeerDied));
        assert_eq!(backlog.drain(|_| Ok(Wrote::Full)), Err(LinkError::PeerDied));
        assert_eq!(backlog.len(), 0);
    }
}
