//! Channels of one client: it names them by tokens of its own, as language servers' progress is
//! named.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tramline_compat_json::jsonrpc::{Framing, Id, progress, progress_credit, progress_end};
use tramline_core::channel::{Incoming, Token};
use tramline_core::envelope::{BodyKind, Head, Kind};
use tramline_core::error::codes;
use tramline_core::frame::Kept;
use tramline_core::limits::MAX_NAME_LEN;
use tramline_core::{LinkError, PeerFault};

use super::connection::{Connection, error_object};

/// The tokens of the channels that are open, and the numbers that they have here.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    numbers: HashMap<Token, u32>,
    /// Each token with its JSON.
    tokens: HashMap<u32, (Token, Box<str>)>,
}

impl Tokens {
    fn open(&self) -> MutexGuard<'_, Open> {
        // Both maps change without a panic in between.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a token the number that `declare` finds for it.
    fn add(
        &self,
        token: &Token,
        declare: impl FnOnce() -> Result<u32, String>,
    ) -> Result<u32, String> {
        let text = serde_json::to_string(token).map_err(|e| e.to_string())?;
        if text.len() > MAX_NAME_LEN {
            return Err(format!("the token is {} bytes, the limit is {MAX_NAME_LEN}", text.len()));
        }
        let mut open = self.open();
        if open.numbers.contains_key(token) {
            return Err(format!("the token {text} is in use"));
        }
        let number = declare()?;
        open.numbers.insert(token.clone(), number);
        open.tokens.insert(number, (token.clone(), text.into()));
        Ok(number)
    }

    fn number(&self, token: Id<'_>) -> Option<u32> {
        let token = serde_json::from_str::<Token>(token.json()).ok()?;
        self.open().numbers.get(&token).copied()
    }

    fn text(&self, number: u32) -> Option<Box<str>> {
        self.open().tokens.get(&number).map(|(_, text)| text.clone())
    }

    /// The channel has ended: its token may be used again.
    fn remove(&self, number: u32) -> Option<Box<str>> {
        let mut open = self.open();
        let (token, text) = open.tokens.remove(&number)?;
        open.numbers.remove(&token);
        Some(text)
    }
}

/// What the client says of its channels.
impl Connection {
    /// A value on the channel of this token. False: there is none.
    pub(super) fn receive_progress(&self, token: Id<'_>, value: &str) -> Result<bool, PeerFault> {
        let Some(number) = self.tokens.number(token) else { return Ok(false) };
        self.receive_for_channel(Kind::Channel, number, "", value)
    }

    /// The client sends nothing more on this channel, or reads it no more.
    pub(super) fn receive_progress_end(
        &self,
        token: Id<'_>,
        error: Option<&str>,
    ) -> Result<bool, PeerFault> {
        let Some(number) = self.tokens.number(token) else { return Ok(false) };
        self.tokens.remove(number);
        let code = error.map_or("", |_| codes::CHANNEL_FAILED);
        self.receive_for_channel(Kind::ChannelEnd, number, code, error.unwrap_or_default())
    }

    fn receive_for_channel(
        &self,
        kind: Kind,
        number: u32,
        code: &str,
        json: &str,
    ) -> Result<bool, PeerFault> {
        let body = if json.is_empty() { BodyKind::Empty } else { BodyKind::Structured };
        let head = Head::new(kind, body, number.into(), code);
        // As other peers send it.
        let frame = [&head.to_bytes()[..], code.as_bytes(), json.as_bytes()].concat();
        let message = Kept::from(frame);
        self.channels.receive(Incoming::read(&message.envelope()?)?, || message.clone())
    }

    /// Nothing more comes from the client.
    pub(super) fn end_of_input(&self) {
        self.channels.end_incoming(&LinkError::Closed);
    }
}

/// What the client is told of its channels.
impl Connection {
    /// Gives the channel of this token a number.
    pub(super) fn add_channel(
        &self,
        call: u64,
        token: &Token,
        client_reads: bool,
    ) -> Result<u32, String> {
        if !client_reads && self.is_inline(call) {
            // It would wait for the thread that it holds up.
            return Err("an inline command cannot read what a JSON-RPC client sends".into());
        }
        self.tokens.add(token, || self.channels.declare_next(call, client_reads))
    }

    /// The notification for a message on this channel; `None` if it has ended.
    pub(super) fn progress_of(&self, channel: u64, json: &[u8]) -> Option<Vec<u8>> {
        let token = self.tokens.text(u32::try_from(channel).ok()?)?;
        Some(progress(&token, json))
    }

    /// Goes beyond the room there is, as answers do, for it must not be lost.
    pub(super) fn tell_channel_end(&self, head: &Head<'_>, framing: Framing, json: &[u8]) {
        let number = u32::try_from(head.id).ok();
        if let Some(token) = number.and_then(|number| self.tokens.remove(number)) {
            let error = (!head.name.is_empty()).then(|| error_object(head.name, json).json());
            self.push_always(framing.frame(progress_end(&token, error.as_deref())));
        }
    }

    /// Goes beyond the room there is, too.
    pub(super) fn tell_credit(&self, channel: u64, framing: Framing, body: &[u8]) {
        let token = u32::try_from(channel).ok().and_then(|number| self.tokens.text(number));
        if let (Some(token), Ok(bytes)) = (token, body.try_into()) {
            let text = progress_credit(&token, u64::from_le_bytes(bytes));
            self.push_always(framing.frame(text));
        }
    }
}
