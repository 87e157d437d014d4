//! Frames over a [`Stream`]: what the halves share, and the thread that writes what is left.
//!
//! The socket never blocks. What it does not take at a `flush` goes into the backlog, and a thread
//! of the link writes it out as soon as there is room, so that committed frames arrive even if
//! nobody uses the sender again. That thread is started the first time a flush leaves something
//! behind, sleeps while there is nothing to write, and ends with the link. Sleeping readers could
//! do the same without a thread, but a link whose threads are all busy would then be stuck.

use std::io;
use std::net::Shutdown;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tramline_core::{ConnectError, Halves, Limits, LinkError, Transport};

use crate::backlog::{BACKLOG_LIMIT, Backlog, Wrote};
use crate::halves::{PipeReceiver, PipeSender, PipeSignal};
use crate::stream::Moved;
use crate::sys::Stream;
use crate::wake::{Reasons, Waiters, lock, thread_waker};

/// How long bytes that were flushed may still go out after this side has closed. A choice: the
/// default handshake limit, the other time that a peer may take without a call waiting for it.
const LINGER: Duration = Duration::from_secs(2);

/// Frames over a [`Stream`]: a little-endian `u32` length, then the bytes.
#[derive(Debug)]
pub struct PipeTransport {
    stream: Stream,
    max_message_len: usize,
}

impl PipeTransport {
    /// Frames over `stream`. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Config`] when a limit is out of its range.
    pub fn new(stream: Stream, limits: &Limits) -> Result<PipeTransport, ConnectError> {
        limits.check()?;
        Ok(Self { stream, max_message_len: limits.max_message_len })
    }
}

impl PipeTransport {
    /// The link as its halves hold it.
    pub(crate) fn share(self) -> Arc<Owner> {
        Arc::new(Owner(Arc::new(Link {
            stream: self.stream,
            backlog: Mutex::default(),
            to_flush: Condvar::new(),
            drained: AtomicU32::new(0),
            received: AtomicU32::new(0),
            kicks: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            waiters: Waiters::default(),
        })))
    }
}

impl Transport for PipeTransport {
    fn into_halves(self: Box<Self>) -> Halves {
        let (peer, max_message_len) = (self.stream.peer(), self.max_message_len);
        let link = self.share();
        Halves {
            transport: "pipe",
            peer,
            sender: Box::new(PipeSender::new(Arc::clone(&link), max_message_len)),
            receiver: Box::new(PipeReceiver::new(Arc::clone(&link), max_message_len)),
            signal: Box::new(PipeSignal::new(link)),
        }
    }
}

/// What the halves share.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) stream: Stream,
    /// Whoever writes to the socket holds this, so that the bytes keep their order.
    pub(crate) backlog: Mutex<Backlog>,
    /// The backlog is no longer empty, or the link is over.
    pub(crate) to_flush: Condvar,
    /// How often the flusher has made room in the backlog: the sender's tickets.
    pub(crate) drained: AtomicU32,
    /// How often bytes were read: the receiver's tickets.
    pub(crate) received: AtomicU32,
    pub(crate) kicks: AtomicU32,
    /// This side has closed the link.
    pub(crate) closed: AtomicBool,
    /// The receiver has seen the end of the stream.
    pub(crate) ended: AtomicBool,
    pub(crate) waiters: Waiters,
}

/// Closes the link with the last half. The flusher holds the link without it.
#[derive(Debug)]
pub(crate) struct Owner(Arc<Link>);

impl Deref for Owner {
    type Target = Arc<Link>;

    fn deref(&self) -> &Arc<Link> {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Link {
    /// Ends the link. What was flushed and still waits in the backlog goes out first, for a
    /// limited time: the peer can read it as it could if the socket had had room.
    pub(crate) fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        {
            // Under the lock: between its look at `closed` and its sleep the flusher holds it.
            let backlog = lock(&self.backlog);
            let how = if backlog.len() == 0 { Shutdown::Both } else { Shutdown::Read };
            // Wakes the peer.
            self.stream.shut_down(how);
        }
        self.to_flush.notify_all();
        self.waiters.wake(|_| true);
    }

    /// Why the link is over, if it is.
    pub(crate) fn over(&self) -> Result<(), LinkError> {
        if self.closed.load(Ordering::SeqCst) {
            Err(LinkError::Closed)
        } else if self.ended.load(Ordering::SeqCst) {
            // A peer that only stopped sending is gone as well: nothing here is one-way.
            Err(LinkError::PeerDied)
        } else {
            Ok(())
        }
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<Wrote, LinkError> {
        self.wrote(self.stream.try_send(bytes))
    }

    /// What an attempt to write means for the link.
    pub(crate) fn wrote(&self, moved: io::Result<Moved>) -> Result<Wrote, LinkError> {
        match moved {
            Ok(Moved::Some(len)) => Ok(Wrote::Some(len)),
            Ok(Moved::Blocked) => Ok(Wrote::Full),
            _ if self.closed.load(Ordering::SeqCst) => Err(LinkError::Closed),
            Ok(Moved::Ended) => Err(LinkError::PeerDied),
            Err(error) => Err(LinkError::os("writing", &error)),
        }
    }

    /// Hands a backlog that is not empty to the flusher.
    pub(crate) fn flush_later(self: &Arc<Self>, backlog: &mut Backlog) -> Result<(), LinkError> {
        if !backlog.has_flusher {
            let link = Arc::clone(self);
            thread::Builder::new()
                .name("tramline-flush".into())
                .spawn(move || link.run_flusher())
                .map_err(|error| backlog.fail(LinkError::os("starting a thread", &error)))?;
            backlog.has_flusher = true;
        }
        self.to_flush.notify_one();
        Ok(())
    }

    fn run_flusher(&self) {
        let mut give_up = None;
        let mut backlog = lock(&self.backlog);
        loop {
            let closed = self.closed.load(Ordering::SeqCst);
            if backlog.error.is_some() || (closed && backlog.len() == 0) {
                break;
            }
            if backlog.len() == 0 {
                backlog = self.to_flush.wait(backlog).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let was_above = backlog.len() > BACKLOG_LIMIT;
            let full = backlog.drain(|bytes| self.write(bytes)) == Ok(false);
            if !full || was_above && backlog.len() <= BACKLOG_LIMIT {
                self.drained.fetch_add(1, Ordering::SeqCst);
                self.waiters.wake(|reasons| reasons.room);
            }
            if full {
                drop(backlog);
                let waited = self.wait_for_room(&mut give_up);
                backlog = lock(&self.backlog);
                if let Err(error) = waited {
                    backlog.fail(error);
                    self.waiters.wake(|reasons| reasons.room);
                }
            }
        }
        if self.closed.load(Ordering::SeqCst) {
            self.stream.shut_down(Shutdown::Both);
        }
    }

    /// Sleeps until the socket takes bytes or the link is closed; then at most for the linger time.
    fn wait_for_room(&self, give_up: &mut Option<Instant>) -> Result<(), LinkError> {
        let waker = thread_waker().map_err(|error| LinkError::os("making a wake", &error))?;
        self.waiters.enter(&waker, Reasons::NONE);
        // Looked at after entering the list: a close from now on wakes this thread.
        let timeout = self.closed.load(Ordering::SeqCst).then(|| {
            let now = Instant::now();
            give_up.get_or_insert(now + LINGER).saturating_duration_since(now)
        });
        let polled = if timeout == Some(Duration::ZERO) {
            Err(LinkError::Closed)
        } else {
            self.stream
                .wait(Some(&waker), Reasons::ROOM, timeout)
                .map_err(|error| LinkError::os("waiting", &error))
        };
        self.waiters.leave(&waker);
        polled
    }
}
