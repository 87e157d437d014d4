//! The sending end, as programs hold it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use event_listener::{Listener as _, listener};
use serde::{Deserialize as _, Deserializer, Serialize};

use super::arg::ChannelArg;
use super::sending::Sending;
use super::table::{Channels, Waiting};
use super::{Last, Token};
use crate::codec::AnyCodec;
use crate::command::{ArgSource, Call, CommandArg, RawBody, Reply};
use crate::envelope::{BodyKind, Head, Kind};
use crate::error::{SendError, codes};
use crate::frame::{FrameWriter, Written};
use crate::peer::{Fill, Patience, Peer, send_body};

/// The sending end of a channel. Clones are the same end; the channel ends with the last one.
///
/// A command takes one as a parameter to stream messages to its caller, as in Tauri; a caller makes
/// one with `Client::channel_to` to stream to a command. `T` is what the messages are: anything that
/// is `Serialize`, or [`Raw`](crate::command::Raw).
///
/// Messages arrive in the order in which they were sent, and before the end. The reader grants room
/// as it reads (`Limits::channel_window` at first), so [`send`](Self::send) waits for a slow one.
/// The link does not belong to the channel: when it ends, so do its channels.
///
/// A command that panics ends its channels with that error, not as if all had been sent. One whose
/// caller cancels or drops the call is not stopped: its channel stays open as long as it holds it,
/// and [`is_closed`](Self::is_closed) says when nobody reads.
///
/// # Examples
///
/// A server's command, which counts for its caller:
///
/// ```
/// use tramline_core::SendError;
/// use tramline_core::channel::Channel;
///
/// fn count(up_to: u32, progress: Channel<u32>) -> Result<(), SendError> {
///     (0..up_to).try_for_each(|number| progress.send(&number))
/// }
/// ```
pub struct Channel<T: ?Sized> {
    end: End,
    messages: PhantomData<fn(&T)>,
}

#[derive(Clone)]
enum End {
    /// An argument that was read; the channel it names is still to be taken.
    Named(Token),
    Open(Arc<Writer>),
}

/// What all clones share. Dropping it ends the channel.
struct Writer {
    sending: Arc<Sending>,
    peer: Peer,
}

impl Writer {
    fn say(&self, last: Option<Last>) {
        if let (Some(last), Some(channels)) = (last, self.peer.port().channels()) {
            channels.writer_gone(self.peer.port(), self.sending.id, last);
        }
    }

    /// Waits for the turn to send.
    fn turn(self: &Arc<Self>) -> Result<Turn, SendError> {
        loop {
            if let Some(turn) = self.try_turn()? {
                return Ok(turn);
            }
            listener!(self.sending.changed => changed);
            // It may have changed before somebody listened.
            if let Some(turn) = self.try_turn()? {
                return Ok(turn);
            }
            let _waiting = Waiting::new(&self.peer);
            changed.wait();
        }
    }

    async fn turn_async(self: &Arc<Self>) -> Result<Turn, SendError> {
        loop {
            let changed = self.sending.changed.listen();
            if let Some(turn) = self.try_turn()? {
                return Ok(turn);
            }
            let _waiting = Waiting::new(&self.peer);
            changed.await;
        }
    }

    fn try_turn(self: &Arc<Self>) -> Result<Option<Turn>, SendError> {
        let begun = self.sending.begin()?;
        Ok(begun.then(|| Turn { writer: Arc::clone(self) }))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let last = if std::thread::panicking() {
            let text = "the sending end of this channel panicked";
            Last::with_text(codes::HANDLER_PANICKED, text, self.peer.codec())
        } else {
            Last::DONE
        };
        if let Ok(last) = self.sending.finish(last) {
            self.say(last);
        }
    }
}

/// The right to send one message.
struct Turn {
    writer: Arc<Writer>,
}

impl Turn {
    fn send<R: Reply + ?Sized>(&self, value: &R, patience: Patience) -> Result<(), SendError> {
        let Writer { sending, peer } = &*self.writer;
        let (port, codec) = (peer.port(), peer.codec());
        let head = head::<R>(sending);
        let mut len = 0;
        match value.pages() {
            Some(pages) => {
                len = pages.bytes().len();
                port.send_pages(&head, &*pages, patience)?;
            }
            None => {
                let fill: Fill<'_> = &mut |used, out| {
                    let before = out.written();
                    value.encode(used, out)?;
                    // Who watches the connection may ask for the message in another codec, too.
                    if used == codec {
                        len = out.written() - before;
                    }
                    Ok(())
                };
                port.send(&head, value.len_hint(), fill, patience)?;
            }
        }
        sending.spent(len);
        Ok(())
    }

    /// Sends what is encoded already, where it may wait for room.
    async fn send_elsewhere(
        self,
        head: Head<'static>,
        body: RawBody<'static>,
    ) -> Result<(), SendError> {
        let peer = self.writer.peer.clone();
        let work = move || {
            // The turn ends with the work: also if nobody waits for it, or it never begins.
            let turn = self;
            let Writer { sending, peer } = &*turn.writer;
            send_body(peer.port(), &head, &body, Patience::SendTimeout)?;
            sending.spent(body.bytes().len());
            Ok(())
        };
        peer.port().elsewhere(Box::new(work)).await
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let last = self.writer.sending.done();
        self.writer.say(last);
    }
}

fn head<R: Reply + ?Sized>(sending: &Sending) -> Head<'static> {
    Head::new(Kind::Channel, R::BODY, sending.id.into(), "")
}

impl<T: ?Sized> Channel<T> {
    /// Makes a channel over this connection: its sending end, and what a call passes to the command
    /// that is to read.
    pub fn open(peer: &Peer) -> (ChannelArg, Self) {
        let port = peer.port();
        let sending = match port.channels() {
            Some(channels) => channels.open_sending(),
            None => Channels::closed_sending(),
        };
        let arg = ChannelArg::new(sending.id, peer.clone());
        (arg, Self::over(sending, peer))
    }

    fn over(sending: Arc<Sending>, peer: &Peer) -> Self {
        let writer = Writer { sending, peer: peer.clone() };
        Self { end: End::Open(Arc::new(writer)), messages: PhantomData }
    }

    fn writer(&self) -> Result<&Arc<Writer>, SendError> {
        match &self.end {
            End::Open(writer) => Ok(writer),
            // Never seen by a command: it is taken before the command runs.
            End::Named(_) => Err(SendError::ChannelClosed),
        }
    }

    /// Sends a message; waits as long as the reader has no room for it. Of a channel that a command
    /// is to read, until the command has begun.
    ///
    /// # Errors
    ///
    /// - [`SendError::ChannelClosed`]: nobody reads any more.
    /// - [`SendError::Full`]: the peer's process has not read the link for as long as the send
    ///   timeout says.
    /// - Others as [`SendError`] says. In each case nothing of the message has gone, and the channel
    ///   is as it was.
    pub fn send(&self, value: &T) -> Result<(), SendError>
    where
        T: Reply,
    {
        self.writer()?.turn()?.send(value, Patience::SendTimeout)
    }

    /// Sends a message if that needs no waiting.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if the reader or the link has no room now, or another clone is sending;
    /// others as [`send`](Self::send).
    pub fn try_send(&self, value: &T) -> Result<(), SendError>
    where
        T: Reply,
    {
        match self.writer()?.try_turn()? {
            Some(turn) => turn.send(value, Patience::None),
            None => Err(SendError::Full),
        }
    }

    /// As [`send`](Self::send), without blocking the thread. Dropped before it is done, it may still
    /// have sent the message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_async(&self, value: &T) -> Result<(), SendError>
    where
        T: Reply,
    {
        let writer = self.writer()?;
        let turn = writer.turn_async().await?;
        match turn.send(value, Patience::None) {
            Err(SendError::Full) => {
                let body = match value.pages() {
                    Some(pages) => RawBody::Pages(pages),
                    None => encode(value, writer.peer.codec())?.into(),
                };
                turn.send_elsewhere(head::<T>(&writer.sending), body).await
            }
            sent => sent,
        }
    }

    /// Sends bytes as they are, in no codec, borrowed or owned, or a sealed blob.
    ///
    /// The reader reads them as [`Raw`](crate::command::Raw), or takes whole messages.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_raw<'b>(&self, body: impl Into<RawBody<'b>>) -> Result<(), SendError> {
        self.writer()?.turn()?.send(&body.into(), Patience::SendTimeout)
    }

    /// Ends the channel with an error, for all clones: behind what was sent, the reader gets `error`
    /// and then nothing more.
    ///
    /// # Errors
    ///
    /// [`SendError::ChannelClosed`] if it has ended already, [`SendError::Encode`] if the error
    /// cannot be encoded: it has not ended then. [`SendError::Link`] if the link is over.
    pub fn fail<E: Serialize + ?Sized>(&self, error: &E) -> Result<(), SendError> {
        let writer = self.writer()?;
        let body = writer.peer.codec().to_vec(error)?.into();
        let (code, body_kind) = (codes::CHANNEL_FAILED, BodyKind::Structured);
        let last = writer.sending.finish(Last { code, body_kind, body })?;
        writer.say(last);
        Ok(())
    }

    /// Whether nobody reads any more: the reader is gone, the channel was ended by
    /// [`fail`](Self::fail), or the link is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.writer().is_ok_and(|writer| writer.sending.is_over())
    }

    /// Waits until nobody reads any more.
    pub async fn closed(&self) {
        let Ok(writer) = self.writer() else { return };
        loop {
            let changed = writer.sending.changed.listen();
            if writer.sending.is_over() {
                return;
            }
            let _waiting = Waiting::new(&writer.peer);
            changed.await;
        }
    }
}

fn encode<R: Reply + ?Sized>(value: &R, codec: AnyCodec) -> Result<Vec<u8>, SendError> {
    let mut out = FrameWriter::new(&mut [], usize::MAX);
    value.encode(codec, &mut out)?;
    Ok(match out.finish() {
        Written::Spilled { bytes } => bytes,
        Written::InPlace { .. } => Vec::new(),
    })
}

impl<T: ?Sized> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self { end: self.end.clone(), messages: PhantomData }
    }
}

impl<T: ?Sized> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Channel");
        match &self.end {
            End::Named(token) => shown.field("token", token),
            End::Open(writer) => shown.field("id", &writer.sending.id),
        };
        shown.field("closed", &self.is_closed()).finish()
    }
}

impl<'a, T: ?Sized> CommandArg<'a> for Channel<T> {
    const SOURCE: ArgSource = ArgSource::Body;

    fn from_body<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { end: End::Named(Token::deserialize(deserializer)?), messages: PhantomData })
    }

    fn bind(self, call: &Call<'a>, name: &str) -> Result<Self, String> {
        match self.end {
            End::Named(token) => {
                let sending = Channels::take_sending(call, name, &token)?;
                Ok(Self::over(sending, call.peer()))
            }
            End::Open(_) => Ok(self),
        }
    }
}
