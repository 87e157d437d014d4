//! Writing from any thread, without ever waiting for room.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tramline_core::transport::{Sender, Signal};
use tramline_core::{LinkError, SendError};

/// What may wait for room, in bytes. A choice: above it the page has not read for a long time, and
/// the link is given up; Tauri's own way would keep all of it in memory, too.
const MAX_WAITING: usize = 512 << 20;

/// Up to here head and body are put together in the ring.
const JOINED_UP_TO: usize = 64 << 10;

/// The rest of a message.
#[derive(Debug)]
pub enum Body<'a> {
    /// Copied if it has to wait.
    Borrowed(&'a [u8]),
    /// Kept if it has to wait.
    Owned(Vec<u8>),
}

impl Body<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Body::Borrowed(bytes) => bytes,
            Body::Owned(bytes) => bytes,
        }
    }

    fn into_vec(self) -> Vec<u8> {
        match self {
            Body::Borrowed(bytes) => bytes.to_vec(),
            Body::Owned(bytes) => bytes,
        }
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxError {
    /// The link is over.
    Closed,
    /// It is larger than a message may be; nothing of it has gone.
    TooLarge,
}

struct Waiting {
    bytes: Vec<u8>,
    sent: usize,
    /// The message ends with these bytes.
    last: bool,
}

struct Inner {
    /// None when the link is over.
    sender: Option<Box<dyn Sender>>,
    waiting: VecDeque<Waiting>,
    waiting_len: usize,
}

/// The outgoing half of a link. Messages leave in the order in which they were sent.
pub struct Outbox {
    inner: Mutex<Inner>,
    signal: Box<dyn Signal>,
    max_message_len: usize,
    stuck: AtomicBool,
    /// Called when something begins to wait, from whatever thread.
    on_stuck: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("stuck", &self.is_stuck()).finish_non_exhaustive()
    }
}

impl Outbox {
    /// An outbox. `on_stuck` is called when something begins to wait for room: somebody must then
    /// [`pump`](Self::pump) until it no longer [`is_stuck`](Self::is_stuck).
    pub fn new(
        sender: Box<dyn Sender>,
        signal: Box<dyn Signal>,
        max_message_len: usize,
        on_stuck: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let inner = Inner { sender: Some(sender), waiting: VecDeque::new(), waiting_len: 0 };
        Self {
            inner: Mutex::new(inner),
            signal,
            max_message_len,
            stuck: AtomicBool::new(false),
            on_stuck: Box::new(on_stuck),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here is left half done by a panic that could matter more than the link.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]; the message is then lost.
    pub fn send(&self, head: &[u8], body: Body<'_>) -> Result<(), OutboxError> {
        let len = head.len().saturating_add(body.bytes().len());
        if len > self.max_message_len {
            return Err(OutboxError::TooLarge);
        }
        let mut inner = self.lock();
        if inner.waiting.is_empty() && len <= JOINED_UP_TO {
            match inner.join(head, body.bytes(), len) {
                Ok(()) => return Ok(()),
                Err(SendError::Full) => {}
                Err(_) => return Err(self.give_up(&mut inner)),
            }
        }
        if body.bytes().is_empty() {
            self.piece(&mut inner, Body::Borrowed(head), true)?;
        } else {
            self.piece(&mut inner, Body::Borrowed(head), false)?;
            self.piece(&mut inner, body, true)?;
        }
        self.settle(&mut inner)
    }

    /// Sends two parts of a message that ends with the second if that is the `last`; not both may be
    /// empty. Nothing else may be sent between the parts of a message: only where one thread sends.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Closed`]; the message is then lost.
    pub fn send_part(&self, head: &[u8], part: &[u8], last: bool) -> Result<(), OutboxError> {
        let mut inner = self.lock();
        if !head.is_empty() {
            self.piece(&mut inner, Body::Borrowed(head), last && part.is_empty())?;
        }
        if !part.is_empty() {
            self.piece(&mut inner, Body::Borrowed(part), last)?;
        }
        self.settle(&mut inner)
    }

    fn piece(&self, inner: &mut Inner, bytes: Body<'_>, last: bool) -> Result<(), OutboxError> {
        let mut sent = 0;
        if inner.waiting.is_empty() {
            match inner.try_piece(bytes.bytes(), &mut sent, last) {
                Ok(()) => return Ok(()),
                Err(SendError::Full) => {}
                Err(_) => return Err(self.give_up(inner)),
            }
        }
        inner.waiting_len = inner.waiting_len.saturating_add(bytes.bytes().len());
        if inner.waiting_len > MAX_WAITING {
            return Err(self.give_up(inner));
        }
        inner.waiting.push_back(Waiting { bytes: bytes.into_vec(), sent, last });
        Ok(())
    }

    fn settle(&self, inner: &mut Inner) -> Result<(), OutboxError> {
        match inner.sender.as_mut().map(|sender| sender.flush()) {
            Some(Ok(())) => {}
            _ => return Err(self.give_up(inner)),
        }
        if !inner.waiting.is_empty() && !self.stuck.swap(true, Ordering::Relaxed) {
            (self.on_stuck)();
        }
        Ok(())
    }

    /// Whether something waits for room.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Sends what waits, as far as there is room: true if that was anything.
    pub fn pump(&self) -> bool {
        let mut inner = self.lock();
        let mut moved = false;
        while let Some(mut next) = inner.waiting.pop_front() {
            let before = next.sent;
            let result = inner.try_piece(&next.bytes, &mut next.sent, next.last);
            moved |= next.sent != before;
            match result {
                Ok(()) => {
                    inner.waiting_len = inner.waiting_len.saturating_sub(next.bytes.len());
                    moved = true;
                }
                Err(SendError::Full) => {
                    inner.waiting.push_front(next);
                    break;
                }
                Err(_) => {
                    self.give_up(&mut inner);
                    return false;
                }
            }
        }
        self.stuck.store(!inner.waiting.is_empty(), Ordering::Relaxed);
        if self.settle(&mut inner).is_err() {
            return false;
        }
        moved
    }

    /// Ends the link: what comes later is refused, and the other end is told.
    pub fn close(&self) {
        let mut inner = self.lock();
        self.give_up(&mut inner);
    }

    fn give_up(&self, inner: &mut Inner) -> OutboxError {
        self.signal.close();
        inner.sender = None;
        inner.waiting.clear();
        inner.waiting_len = 0;
        self.stuck.store(false, Ordering::Relaxed);
        OutboxError::Closed
    }
}

impl Inner {
    fn join(&mut self, head: &[u8], body: &[u8], len: usize) -> Result<(), SendError> {
        let Some(sender) = &mut self.sender else { return Err(closed()) };
        let room = sender.claim(len)?;
        let Some((slot, rest)) = room.split_at_mut_checked(head.len()) else {
            return Err(SendError::Full);
        };
        let Some(rest) = rest.get_mut(..body.len()) else { return Err(SendError::Full) };
        slot.copy_from_slice(head);
        rest.copy_from_slice(body);
        sender.commit(len);
        sender.flush()?;
        Ok(())
    }

    fn try_piece(&mut self, bytes: &[u8], sent: &mut usize, last: bool) -> Result<(), SendError> {
        let Some(sender) = &mut self.sender else { return Err(closed()) };
        sender.send_piece(bytes, sent, last)
    }
}

fn closed() -> SendError {
    SendError::Link(LinkError::Closed)
}
