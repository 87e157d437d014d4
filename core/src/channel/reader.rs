//! The reading end, as programs hold it.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use event_listener::{EventListener, Listener as _, listener};
use futures_core::Stream;
use serde::{Deserialize, Deserializer};

use super::arg::ChannelArg;
use super::receiving::{End as Ended, Queued, Receiving, Taken};
use super::table::{Channels, Waiting};
use super::{Token, grant};
use crate::answer::{Answer, FromAnswer};
use crate::command::{ArgSource, Call, CommandArg};
use crate::envelope::BodyKind;
use crate::error::{DecodeError, RecvError};
use crate::peer::Peer;

/// The reading end of a channel: an iterator (`for message in reader`) and a stream.
///
/// A caller makes one with `Client::channel` to read what a command sends; a command takes one as a
/// parameter to read what its caller sends. `T` is what the messages are read as: anything that is
/// `DeserializeOwned`, or [`Raw`](crate::command::Raw).
///
/// The messages come in the order in which they were sent. Behind the last one stands the end, or the
/// error that ended the channel, so a loop over a reader always ends: also if no command took the
/// channel, or the link is over. The reader does not keep the connection open: when the last
/// `Client` is dropped, or the server stopped, it ends with that error behind what has come.
///
/// What was sent and not read yet waits here, at most `Limits::channel_window` bytes and one message;
/// the sender waits meanwhile. Dropping the reader tells the sender that nobody reads any more.
pub struct ChannelReader<T> {
    end: End,
    messages: PhantomData<fn() -> T>,
}

enum End {
    /// An argument that was read; the channel it names is still to be taken.
    Named(Token),
    Open(Open),
}

struct Open {
    receiving: Arc<Receiving>,
    peer: Peer,
    /// The wait for a message, of a reader that is polled.
    waits: Option<(EventListener, Waiting)>,
}

impl Open {
    /// The next message, or the end; `Pending` if nothing is there.
    fn take(&self) -> Poll<Option<Result<ChannelMessage, RecvError>>> {
        match self.receiving.take() {
            Taken::Message(queued, due) => {
                if let Some(bytes) = due {
                    grant(self.peer.port(), self.receiving.id, bytes);
                }
                Poll::Ready(Some(Ok(ChannelMessage::new(queued, &self.peer))))
            }
            Taken::End(Ended::Done) => Poll::Ready(None),
            Taken::End(Ended::Failed(failure)) => Poll::Ready(Some(Err(failure.into()))),
            Taken::End(Ended::Link(error)) => Poll::Ready(Some(Err(error.into()))),
            Taken::Nothing => Poll::Pending,
        }
    }

    fn wait(&self) -> Option<Result<ChannelMessage, RecvError>> {
        loop {
            if let Poll::Ready(taken) = self.take() {
                return taken;
            }
            listener!(self.receiving.arrived => arrived);
            // It may have come before somebody listened.
            if let Poll::Ready(taken) = self.take() {
                return taken;
            }
            let _waiting = Waiting::new(&self.peer);
            arrived.wait();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ChannelMessage, RecvError>>> {
        loop {
            if let Poll::Ready(taken) = self.take() {
                self.waits = None;
                return Poll::Ready(taken);
            }
            let Some((arrived, _)) = &mut self.waits else {
                // It may have come before somebody listened: look once more.
                self.waits = Some((self.receiving.arrived.listen(), Waiting::new(&self.peer)));
                continue;
            };
            ready!(Pin::new(arrived).poll(cx));
            self.waits = None;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(channels) = self.peer.port().channels() {
            channels.reader_gone(self.peer.port(), self.receiving.id);
        }
    }
}

impl<T> ChannelReader<T> {
    /// Makes a channel over this connection: its reading end, and what a call passes to the command
    /// that is to send.
    pub fn open(peer: &Peer) -> (ChannelArg, Self) {
        let receiving = match peer.port().channels() {
            Some(channels) => channels.open_receiving(),
            None => Channels::closed_receiving(peer.codec()),
        };
        let arg = ChannelArg::new(receiving.id, peer.clone());
        (arg, Self::over(receiving, peer))
    }

    fn over(receiving: Arc<Receiving>, peer: &Peer) -> Self {
        let open = Open { receiving, peer: peer.clone(), waits: None };
        Self { end: End::Open(open), messages: PhantomData }
    }

    /// The next message; waits for it. `None` is the end.
    ///
    /// # Errors
    ///
    /// [`RecvError::Decode`] for a message that is no `T`; the next one may be. All others come once,
    /// behind the last message.
    pub fn recv(&mut self) -> Option<Result<T, RecvError>>
    where
        T: FromAnswer,
    {
        Some(self.recv_message()?.and_then(ChannelMessage::read))
    }

    /// The next message or the end, if one is there; `None` is neither, or the end once more: see
    /// [`is_over`](Self::is_over).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Option<Result<T, RecvError>>
    where
        T: FromAnswer,
    {
        match &self.end {
            End::Open(open) => match open.take() {
                Poll::Ready(taken) => Some(taken?.and_then(ChannelMessage::read)),
                Poll::Pending => None,
            },
            End::Named(_) => None,
        }
    }

    /// The next message; `None` is the end.
    ///
    /// Dropping this before it is done loses no message.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_async(&mut self) -> Option<Result<T, RecvError>>
    where
        T: FromAnswer,
    {
        let wait = Wait(self);
        std::future::poll_fn(|cx| Pin::new(&mut *wait.0).poll_next(cx)).await
    }

    /// As [`recv`](Self::recv), with the message as it came: for channels that carry bytes as well as
    /// values, and to read without a copy.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_message(&mut self) -> Option<Result<ChannelMessage, RecvError>> {
        match &self.end {
            End::Open(open) => open.wait(),
            End::Named(_) => None,
        }
    }

    /// Whether everything was read and the end was seen: [`recv`](Self::recv) gives `None` from now
    /// on. It does not say that nothing more comes while something is still to be read.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match &self.end {
            End::Open(open) => open.receiving.is_over(),
            End::Named(_) => true,
        }
    }

    /// An iterator over the messages that leaves the reader behind.
    pub fn messages(&mut self) -> Messages<'_, T> {
        Messages(self)
    }
}

/// A wait for one message, which ends with the future that waits.
struct Wait<'r, T>(&'r mut ChannelReader<T>);

impl<T> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        if let End::Open(open) = &mut self.0.end {
            open.waits = None;
        }
    }
}

/// A message of a channel, as it came.
#[derive(Debug)]
pub struct ChannelMessage(Answer<'static>);

impl ChannelMessage {
    fn new(queued: Queued, peer: &Peer) -> Self {
        let Queued { message, body_kind, body_offset, .. } = queued;
        Self(Answer::from_channel(message, peer.codec(), body_kind, body_offset))
    }

    fn read<T: FromAnswer>(self) -> Result<T, RecvError> {
        Ok(T::from_answer(self.0)?)
    }

    /// How [`bytes`](Self::bytes) are to be read.
    #[must_use]
    pub fn body_kind(&self) -> BodyKind {
        self.0.body_kind()
    }

    /// The value, which may borrow from the message.
    ///
    /// # Errors
    ///
    /// It is something else, or raw bytes.
    pub fn decode<'de, T: Deserialize<'de>>(&'de self) -> Result<T, DecodeError> {
        self.0.decode()
    }

    /// The bytes as they came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.body()
    }

    /// The bytes, to keep, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0.into_body()
    }
}

/// The messages of a reader, which it leaves behind: from [`ChannelReader::messages`].
#[derive(Debug)]
pub struct Messages<'r, T>(&'r mut ChannelReader<T>);

impl<T: FromAnswer> Iterator for Messages<'_, T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.recv()
    }
}

/// The messages of a reader, with it: what a `for` loop over a reader makes.
#[derive(Debug)]
pub struct IntoMessages<T>(ChannelReader<T>);

impl<T: FromAnswer> Iterator for IntoMessages<T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.recv()
    }
}

// Not an iterator itself: beside `Stream`, `next` would have two meanings.
impl<T: FromAnswer> IntoIterator for ChannelReader<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = IntoMessages<T>;

    fn into_iter(self) -> IntoMessages<T> {
        IntoMessages(self)
    }
}

impl<'r, T: FromAnswer> IntoIterator for &'r mut ChannelReader<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = Messages<'r, T>;

    fn into_iter(self) -> Messages<'r, T> {
        self.messages()
    }
}

impl<T: FromAnswer> Stream for ChannelReader<T> {
    type Item = Result<T, RecvError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.get_mut().end {
            End::Open(open) => {
                let taken = ready!(open.poll(cx));
                Poll::Ready(taken.map(|taken| taken.and_then(ChannelMessage::read)))
            }
            End::Named(_) => Poll::Ready(None),
        }
    }
}

impl<T> fmt::Debug for ChannelReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ChannelReader");
        match &self.end {
            End::Named(token) => shown.field("token", token),
            End::Open(open) => shown.field("id", &open.receiving.id),
        };
        shown.field("over", &self.is_over()).finish()
    }
}

impl<'a, T> CommandArg<'a> for ChannelReader<T> {
    const SOURCE: ArgSource = ArgSource::Body;

    fn from_body<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { end: End::Named(Token::deserialize(deserializer)?), messages: PhantomData })
    }

    fn bind(self, call: &Call<'a>, name: &str) -> Result<Self, String> {
        match self.end {
            End::Named(token) => {
                let receiving = Channels::take_receiving(call, name, &token)?;
                Ok(Self::over(receiving, call.peer()))
            }
            End::Open(_) => Ok(self),
        }
    }
}
