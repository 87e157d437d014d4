//! What a [`Stream`] does the same way on every platform.

use std::time::Instant;

use tramline_core::{ConfigError, ConnectError, LinkError, PeerIdentity};

use crate::sys::Stream;
use crate::wake::Reasons;

/// Longest name, in bytes, on every platform. A rule of Linux: it gives an abstract name 107 bytes,
/// and prefix and user id take up to 20 of them.
const MAX_NAME_LEN: usize = 87;

/// Refuses a name that cannot be one, or would leave its place.
pub(crate) fn check_name(name: &str) -> Result<(), ConfigError> {
    let why = if name.is_empty() {
        "the name is empty"
    } else if name.len() > MAX_NAME_LEN {
        "the name is longer than 87 bytes"
    } else if name.chars().any(|c| c.is_control() || c == '/' || c == '\\') {
        "the name has a slash or a control character"
    } else {
        return Ok(());
    };
    Err(ConfigError::Endpoint { endpoint: name.into(), why })
}

/// What a call that does not block has done.
pub(crate) enum Moved {
    /// This many bytes.
    Some(usize),
    /// Nothing: nothing has come, or there is no room.
    Blocked,
    /// Nothing, and nothing will.
    Ended,
}

impl Stream {
    /// Who is at the other end, as the operating system says.
    #[must_use]
    pub fn peer(&self) -> PeerIdentity {
        self.peer
    }

    /// Fills `buf`; never takes more than that off the socket.
    ///
    /// # Errors
    ///
    /// [`ConnectError::TimedOut`] at the deadline, with what was left of it when the call began;
    /// [`LinkError::PeerDied`] when the stream ends; [`ConnectError::Os`] otherwise.
    pub fn read_exact(&self, buf: &mut [u8], deadline: Instant) -> Result<(), ConnectError> {
        let (started, mut filled) = (Instant::now(), 0);
        while filled < buf.len() {
            match self.try_recv(&mut buf[filled..]) {
                Ok(Moved::Some(len)) => filled += len,
                Ok(Moved::Blocked) => self.wait_until(Reasons::DATA, started, deadline)?,
                Ok(Moved::Ended) => return Err(LinkError::PeerDied.into()),
                Err(error) => return Err(ConnectError::os("reading", error)),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`read_exact`](Self::read_exact).
    pub fn write_all(&self, bytes: &[u8], deadline: Instant) -> Result<(), ConnectError> {
        let (started, mut written) = (Instant::now(), 0);
        while written < bytes.len() {
            match self.try_send(&bytes[written..]) {
                Ok(Moved::Some(len)) => written += len,
                Ok(Moved::Blocked) => self.wait_until(Reasons::ROOM, started, deadline)?,
                Ok(Moved::Ended) => return Err(LinkError::PeerDied.into()),
                Err(error) => return Err(ConnectError::os("writing", error)),
            }
        }
        Ok(())
    }

    /// Sleeps until the socket is ready or the deadline has passed.
    fn wait_until(
        &self,
        wanted: Reasons,
        started: Instant,
        deadline: Instant,
    ) -> Result<(), ConnectError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let limit = deadline.saturating_duration_since(started).as_millis();
            let timeout_ms = u64::try_from(limit).unwrap_or(u64::MAX);
            return Err(ConnectError::TimedOut { timeout_ms });
        }
        self.wait(None, wanted, Some(left)).map_err(|error| ConnectError::os("waiting", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_their_place_are_refused() {
        for bad in ["", "a/b", "..\\x", "a\0", &"x".repeat(MAX_NAME_LEN + 1)] {
            assert!(matches!(check_name(bad), Err(ConfigError::Endpoint { .. })), "{bad:?}");
        }
        assert!(check_name(&"x".repeat(MAX_NAME_LEN)).is_ok());
    }
}
