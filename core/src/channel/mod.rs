//! Streams beside calls: messages in one direction, in order, with back-pressure.
//!
//! Whoever calls makes a channel and names it among the arguments; the command has one end of it as
//! a parameter, [`Channel`] to send to the caller or [`ChannelReader`] to read what the caller
//! sends. On the wire the argument is Tauri's text, `__CHANNEL__:<number>`, and the request's
//! extension says which channels it brings: `docs/WIRE-FORMAT.md` section 3.2.
//!
//! The reading end grants credit in bytes as it reads, so a reader that does not read costs a window
//! of memory and no more. The end comes behind the last message, and every end is told: also of a
//! channel that no command took.
//!
//! [`Channels`] is the table of one connection. Nothing here does I/O: what is to be sent goes
//! through the connection's [`Port`], what has come is handed in.

mod arg;
mod mention;
mod reader;
mod receiving;
mod sender;
mod sending;
mod table;
mod token;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use self::arg::ChannelArg;
pub(crate) use self::mention::mentioned;
pub use self::reader::{ChannelMessage, ChannelReader, IntoMessages, Messages};
pub use self::sender::Channel;
pub use self::table::{Channels, Incoming};
pub use self::token::Token;
use crate::codec::AnyCodec;
use crate::command::RawBody;
use crate::envelope::{BodyKind, Head, Kind};
use crate::error::{SendError, codes};
use crate::peer::{Later, Patience, Port, send_body};

/// What a message takes from the credit beside its body, in bytes. A choice: about what a short one
/// costs while it waits to be read.
pub const MESSAGE_COST: u64 = 128;

/// The most credit that one end may have. A choice: more than anybody can have in memory, and far
/// from any overflow.
pub const MAX_CREDIT: u64 = 1 << 40;

/// What the text of a channel's argument begins with.
const PREFIX: &str = "__CHANNEL__:";

fn text_of(id: u32) -> Box<str> {
    format!("{PREFIX}{id}").into()
}

fn id_in(text: &str) -> Option<u32> {
    let number = text.strip_prefix(PREFIX)?;
    // `parse` takes a sign, too.
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten()
}

/// What a message takes from the credit.
fn cost(len: usize) -> i64 {
    i64::try_from(len as u64 + MESSAGE_COST).unwrap_or(i64::MAX)
}

/// The last word of this side about a channel.
#[derive(Debug, Clone)]
struct Last {
    code: &'static str,
    body_kind: BodyKind,
    body: Bytes,
}

impl Last {
    /// The ordinary end, or that of a reader.
    const DONE: Self = Self { code: "", body_kind: BodyKind::Empty, body: Bytes::new() };

    fn with_text(code: &'static str, text: &str, codec: AnyCodec) -> Self {
        let body = codec.to_vec(text).unwrap_or_default().into();
        Self { code, body_kind: BodyKind::Structured, body }
    }

    fn not_taken(codec: AnyCodec) -> Self {
        Self::with_text(codes::CHANNEL_NOT_TAKEN, NOT_TAKEN, codec)
    }

    /// Tells the peer.
    fn tell(self, port: &dyn Port, id: u32, patience: Patience) {
        let Self { code, body_kind, body } = self;
        tell(port, Kind::ChannelEnd, id, code, body_kind, body, patience);
    }
}

/// The words for a channel that was given to a call and not wanted.
const NOT_TAKEN: &str = "no command took this channel";

/// Lets the peer send `bytes` more.
fn grant(port: &dyn Port, id: u32, bytes: u64) {
    let body = Bytes::copy_from_slice(&bytes.to_le_bytes());
    tell(port, Kind::ChannelCredit, id, "", BodyKind::Raw, body, Patience::None);
}

/// Sends what the peer must know. Without patience this thread does not wait, but somebody does.
fn tell(
    port: &dyn Port,
    kind: Kind,
    id: u32,
    code: &'static str,
    body_kind: BodyKind,
    body: Bytes,
    patience: Patience,
) {
    let id = u64::from(id);
    let head = Head::new(kind, body_kind, id, code);
    let body = RawBody::Bytes(body);
    match send_body(port, &head, &body, patience) {
        Err(SendError::Full) if patience == Patience::None => {
            port.send_later(Later { kind, body_kind, id, name: code, body });
        }
        // Without it the other side would wait for ever.
        Err(SendError::Full) => port.close_stalled(),
        // An error value that is too large: the code alone has to do.
        Err(SendError::TooLarge { .. }) if body_kind == BodyKind::Structured => {
            let (none, nothing) = (BodyKind::Empty, RawBody::Borrowed(&[]));
            port.send_later(Later { kind, body_kind: none, id, name: code, body: nothing });
        }
        // A link that is over has ended its channels.
        _ => {}
    }
}
