//! What a transport must offer: a sender, a receiver and a signal. No OS here.
//!
//! A transport moves frames: runs of bytes with a length. It never looks inside. A frame is
//! written in place: [`Sender::claim`] gives room, the codec writes into it through a
//! [`FrameWriter`](crate::frame::FrameWriter), [`Sender::commit`] makes it visible to the peer. A message larger than one
//! claim goes through [`Sender::send_part`].
//!
//! Waiting is split from reading, so that a thread can sleep without holding the receiver: take a
//! [`Ticket`] with `arm`, let go of the half, then [`Signal::wait`].

use std::any::Any;
use std::fmt;
use std::time::Duration;

use crate::error::{LinkError, SendError};
use crate::frame::Frame;

/// One open connection on which nothing has been said yet.
pub struct Halves {
    /// Short name of the transport: `shm`, `pipe`, `mem`.
    pub transport: &'static str,
    /// Who is at the other end, as the operating system says.
    pub peer: PeerIdentity,
    /// The outgoing direction.
    pub sender: Box<dyn Sender>,
    /// The incoming direction.
    pub receiver: Box<dyn Receiver>,
    /// Sleeping, waking and closing, usable from any thread.
    pub signal: Box<dyn Signal>,
}

impl fmt::Debug for Halves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Halves")
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Halves {
    /// How both halves wait from now on.
    pub fn set_wait_mode(&mut self, mode: WaitMode) {
        self.sender.set_wait_mode(mode);
        self.receiver.set_wait_mode(mode);
    }
}

/// How a side of a connection waits for the other one: what it pays for short answers.
///
/// Each side chooses for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WaitMode {
    /// Looks for long before it sleeps: the shortest waits, at the price of a busy CPU while
    /// messages keep coming. An idle connection still sleeps.
    LowLatency,
    /// Looks as long as that has paid of late, then sleeps.
    #[default]
    Balanced,
    /// Sleeps at once: the least CPU, and a wake by the system for every message that is waited
    /// for.
    Idle,
}

/// A connection that a transport has opened.
pub trait Transport: Send {
    /// Splits the connection into the parts that different threads use.
    fn into_halves(self: Box<Self>) -> Halves;
}

/// Who is at the other end, as the operating system says; never what the peer says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PeerIdentity {
    /// User id, where the system tells.
    pub uid: Option<u32>,
    /// Group id, where the system tells.
    pub gid: Option<u32>,
    /// Process id at connect time, where the system tells. For messages to people only: process
    /// ids are reused.
    pub pid: Option<u32>,
}

impl PeerIdentity {
    /// An identity from what the system told.
    #[must_use]
    pub fn new(uid: Option<u32>, pid: Option<u32>) -> Self {
        Self { uid, gid: None, pid }
    }

    /// The same with a group id.
    #[must_use]
    pub fn with_gid(mut self, gid: Option<u32>) -> Self {
        self.gid = gid;
        self
    }
}

/// A promise about a moment: "nothing had come when I looked". [`Signal::wait`] returns at once if
/// something has come since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub u32);

/// What a thread waits for in [`Signal::wait`]. A field that is `None` is not waited for.
#[derive(Debug, Clone, Copy, Default)]
pub struct WaitFor {
    /// The number of kicks seen, from [`Signal::kicks`]: always waited for.
    pub kicks: u32,
    /// Data to read, with the ticket from [`Receiver::arm`].
    pub data: Option<Ticket>,
    /// Room to write, with the ticket from [`Sender::arm`].
    pub room: Option<Ticket>,
    /// At most this long; `None` is without limit.
    pub timeout: Option<Duration>,
}

/// A body that a transport may hand over as the pages it lies in, instead of copying it: something
/// that both the transport and the user know, and nobody between them.
pub trait Pages: Any + fmt::Debug + Send + Sync {
    /// The body's bytes, for a transport that must copy them.
    fn bytes(&self) -> &[u8];
}

/// The outgoing half. One message at a time.
pub trait Sender: Send {
    /// Room for one frame, at least `min_len` bytes unless `min_len` is more than the largest
    /// frame, often more. The bytes in it are left over from earlier frames and are never published
    /// unless written. A claim that is not committed is given back by the next call.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when there is no room now, [`SendError::Link`] when the link is over.
    fn claim(&mut self, min_len: usize) -> Result<&mut [u8], SendError>;

    /// Publishes the first `len` bytes of the last claim as one frame. The peer may see it only
    /// after [`flush`](Self::flush).
    ///
    /// # Panics
    ///
    /// If `len` is more than was claimed; that is a bug in the caller.
    fn commit(&mut self, len: usize);

    /// Sends what is left of `message`, which may be larger than a frame, as far as there is room
    /// now. `sent` counts the bytes that have gone and must be 0 on the first call for a message.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when room ran out: wait, then call again with the same arguments. No
    /// other message may be sent in between, unless `sent` is still 0.
    fn send_part(&mut self, message: &[u8], sent: &mut usize) -> Result<(), SendError>;

    /// Is told of a message that was refused for want of room and will not be tried again. For
    /// counters; a transport without any ignores it.
    fn count_drop(&mut self) {}

    /// Whether a message may go out piece by piece while it is still being written, its length not
    /// known. A transport that says no is never given a piece.
    fn streams(&self) -> bool {
        false
    }

    /// Sends what is left of `piece`, not empty, the next part of one message, as far as there is
    /// room now; the message ends with it if `last`. `sent` counts the bytes of the piece that have
    /// gone and must be 0 on the first call for it.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when room ran out: wait, then call again with the same arguments.
    fn send_piece(&mut self, piece: &[u8], sent: &mut usize, last: bool) -> Result<(), SendError> {
        let _ = (piece, sent, last);
        Err(SendError::Full)
    }

    /// Gives up the message whose pieces are being sent: the peer forgets what it has of it.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when there is no room for saying so: wait, then call again.
    fn abandon(&mut self) -> Result<(), SendError> {
        Ok(())
    }

    /// Sends one message whose body is handed over: `head`, what stands before the body, not empty,
    /// and the body's pages. False if that cannot be: the transport does not know such pages, or the
    /// system has no means left. Then nothing has gone, and the bytes must be sent like any others.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when there is no room, or the peer has not yet taken what was handed over
    /// last: wait, then call again. [`SendError::TooLarge`], [`SendError::Link`].
    fn hand_over(&mut self, head: &[u8], body: &dyn Pages) -> Result<bool, SendError> {
        let _ = (head, body);
        Ok(false)
    }

    /// Whether a message of `len` bytes would go out whole now. A transport that does not know says
    /// no.
    fn fits(&mut self, len: usize) -> bool;

    /// Makes committed frames visible and wakes the peer if it sleeps. Never blocks.
    ///
    /// # Errors
    ///
    /// The link is over.
    fn flush(&mut self) -> Result<(), LinkError>;

    /// Looks out for the room that was last refused, without sleeping, as long as that pays. True if
    /// it may be there.
    fn spin(&mut self) -> bool {
        false
    }

    /// How [`spin`](Self::spin) looks from now on. A transport without a choice ignores it.
    fn set_wait_mode(&mut self, mode: WaitMode) {
        let _ = mode;
    }

    /// Announces that this side is about to sleep until there is room for what was last refused
    /// with [`SendError::Full`]. `None` if there is room now.
    fn arm(&mut self) -> Option<Ticket>;

    /// Takes the announcement back.
    fn disarm(&mut self);
}

/// The incoming half.
pub trait Receiver: Send {
    /// The next whole message, if there is one. Never blocks.
    ///
    /// # Errors
    ///
    /// The link is over. Messages that were complete before it ended have been given out first.
    fn poll(&mut self) -> Result<Option<Frame<'_>>, LinkError>;

    /// Looks out for a message without sleeping, as long as that pays on this machine and with
    /// this peer. True if [`poll`](Self::poll) has something to say.
    fn spin(&mut self) -> bool;

    /// How [`spin`](Self::spin) looks from now on. A transport without a choice ignores it.
    fn set_wait_mode(&mut self, mode: WaitMode) {
        let _ = mode;
    }

    /// Announces that this side is about to sleep until there is data. `None` if there is some now.
    fn arm(&mut self) -> Option<Ticket>;

    /// Takes the announcement back: whoever polls needs no wake.
    fn disarm(&mut self);
}

/// Sleeping, waking and closing.
pub trait Signal: Send + Sync {
    /// How often [`kick`](Self::kick) was called. Read it before looking whether there is work.
    fn kicks(&self) -> u32;

    /// Wakes every thread of this process that sleeps in [`wait`](Self::wait) on this link.
    fn kick(&self);

    /// Sleeps until something named in `wait` has happened or the time is up; a thread that waits
    /// for data or room also wakes when the peer is gone. May return for no reason.
    fn wait(&self, wait: WaitFor);

    /// Ends the link from this side and wakes everyone on both sides. Idempotent. What was flushed
    /// before still reaches a peer that reads, as long as this process lives.
    fn close(&self);
}
