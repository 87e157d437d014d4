//! What stands for a channel among a call's arguments.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Serialize, Serializer};

use super::text_of;
use crate::peer::Peer;

/// One end of a channel, to be passed as an argument of one call. In every codec it is Tauri's text
/// for a channel, `__CHANNEL__:<number>`.
///
/// A channel goes with the first call of its connection that has this among its arguments, at the
/// top level: by name or, in an array, by position.
pub struct ChannelArg {
    id: u32,
    text: Box<str>,
    peer: Peer,
    /// It has been written at least once, so a call may come that brings it.
    written: AtomicBool,
}

impl ChannelArg {
    pub(super) fn new(id: u32, peer: Peer) -> Self {
        Self { id, text: text_of(id), peer, written: AtomicBool::new(false) }
    }

    /// The channel's number on its connection.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl Serialize for ChannelArg {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Relaxed: read by the drop, which comes after every use.
        self.written.store(true, Ordering::Relaxed);
        serializer.serialize_str(&self.text)
    }
}

impl Drop for ChannelArg {
    /// No call can bring a channel that was never written.
    fn drop(&mut self) {
        if !*self.written.get_mut()
            && let Some(channels) = self.peer.port().channels()
        {
            channels.unsent(&[self.id]);
        }
    }
}

impl fmt::Debug for ChannelArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChannelArg").field(&self.id).finish()
    }
}
