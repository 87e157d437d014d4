//! Writing from any thread, without ever waiting for room.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tramline_core::transport::{Sender, Signal};
use tramline_core::{LinkError, SendError};

use crate::frames::{Head, PART_LEN};

/// What may wait for room, in bytes of memory: what messages hold, and what each takes beside. A
/// choice: two of the largest messages; above it the other end has not read for a long time, and the
/// link is given up. Tauri's own way would keep all of it, and more, in the web engine's queue.
const MAX_WAITING: usize = 512 << 20;

/// How many messages may wait. A choice: some seconds of the most events that were ever measured
/// (a million each second), and a queue that is no longer than 160 MiB itself.
const MAX_WAITING_COUNT: usize = 4 << 20;

/// What a message takes in memory beside its bytes: its place in the queue, which has twice as many
/// as it needs at worst, and what an allocator adds.
const OVERHEAD: usize = 2 * size_of::<Waiting>() + 16;

/// Above this much that waits, in bytes as in `MAX_WAITING`, the other end is served no more calls
/// until it has read: else each call that it makes would add an answer. A choice: two rings.
const CLOGGED_ABOVE: usize = 32 << 20;

/// Places that the queue keeps when it has run empty. A choice: 40 KiB.
const KEPT_PLACES: usize = 1024;

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

/// Why a message was not taken: the other end will never have seen the whole of it.
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
    what: What,
}

/// What waiting bytes are.
enum What {
    /// A piece of a message, and whether it is the last.
    Piece(bool),
    /// A body to be sent in parts, and what stands before its last part.
    Body(Box<Head>),
}

struct Inner {
    /// None when the link is over.
    sender: Option<Box<dyn Sender>>,
    waiting: VecDeque<Waiting>,
    /// What they take, see `MAX_WAITING`.
    waiting_len: usize,
}

impl Waiting {
    fn len_in_memory(&self) -> usize {
        self.bytes.capacity().saturating_add(OVERHEAD)
    }
}

/// The outgoing half of a link. Messages leave in the order in which they were sent.
pub struct Outbox {
    inner: Mutex<Inner>,
    signal: Box<dyn Signal>,
    max_message_len: usize,
    stuck: AtomicBool,
    clogged: AtomicBool,
    overflowed: AtomicBool,
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
            clogged: AtomicBool::new(false),
            overflowed: AtomicBool::new(false),
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
    /// [`OutboxError`]; the message is then lost, and the other end never acts on it. If the link
    /// ends when the whole of it is in the ring or waits for room, nobody knows what becomes of it:
    /// that is no error here, for the message must not be sent again by another way.
    pub fn send(&self, head: &[u8], body: Body<'_>) -> Result<(), OutboxError> {
        let len = head.len().saturating_add(body.bytes().len());
        if len > self.max_message_len {
            return Err(OutboxError::TooLarge);
        }
        let mut inner = self.lock();
        if inner.waiting.is_empty() && len <= JOINED_UP_TO {
            match inner.join(head, body.bytes(), len) {
                Ok(()) => {
                    self.flush(&mut inner);
                    return Ok(());
                }
                Err(SendError::Full) => {}
                Err(_) => return Err(self.lose(&mut inner)),
            }
        }
        if body.bytes().is_empty() {
            self.piece(&mut inner, Body::Borrowed(head), true)?;
        } else {
            self.piece(&mut inner, Body::Borrowed(head), false)?;
            self.piece(&mut inner, body, true)?;
        }
        self.settle(&mut inner);
        Ok(())
    }

    /// Sends two parts of a message that ends with the second if that is the `last`; not both may be
    /// empty. Nothing else may be sent between the parts of a message: only where one thread sends.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Closed`], as with [`send`](Self::send).
    pub fn send_part(&self, head: &[u8], part: &[u8], last: bool) -> Result<(), OutboxError> {
        let mut inner = self.lock();
        if !head.is_empty() {
            self.piece(&mut inner, Body::Borrowed(head), last && part.is_empty())?;
        }
        if !part.is_empty() {
            self.piece(&mut inner, Body::Borrowed(part), last)?;
        }
        self.settle(&mut inner);
        Ok(())
    }

    /// Sends a message whose body the other end can take while it is being written: if it is long, in
    /// messages of their own. See [`frames`](crate::frames).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_long(&self, head: &Head, body: Body<'_>) -> Result<(), OutboxError> {
        let len = body.bytes().len();
        if len <= PART_LEN {
            return self.send(head.as_bytes(), body);
        }
        if len > self.max_message_len.saturating_sub(Head::MAX_LEN) {
            return Err(OutboxError::TooLarge);
        }
        let mut inner = self.lock();
        let mut sent = 0;
        let mut waits = true;
        if inner.waiting.is_empty() {
            match inner.try_body(head, body.bytes(), &mut sent) {
                Ok(()) => waits = false,
                Err(SendError::Full) => {}
                Err(_) => return Err(self.lose(&mut inner)),
            }
        }
        if waits {
            let what = What::Body(Box::new(*head));
            self.wait(&mut inner, Waiting { bytes: body.into_vec(), sent, what })?;
        }
        self.settle(&mut inner);
        Ok(())
    }

    fn piece(&self, inner: &mut Inner, bytes: Body<'_>, last: bool) -> Result<(), OutboxError> {
        let mut sent = 0;
        if inner.waiting.is_empty() {
            match inner.try_piece(bytes.bytes(), &mut sent, last) {
                Ok(()) => return Ok(()),
                Err(SendError::Full) => {}
                Err(_) => return Err(self.lose(inner)),
            }
        }
        self.wait(inner, Waiting { bytes: bytes.into_vec(), sent, what: What::Piece(last) })
    }

    fn wait(&self, inner: &mut Inner, waiting: Waiting) -> Result<(), OutboxError> {
        inner.waiting_len = inner.waiting_len.saturating_add(waiting.len_in_memory());
        if inner.waiting_len > MAX_WAITING || inner.waiting.len() >= MAX_WAITING_COUNT {
            self.overflowed.store(true, Ordering::Relaxed);
            return Err(self.give_up(inner));
        }
        inner.waiting.push_back(waiting);
        Ok(())
    }

    /// Shows the other end what was put into its ring.
    fn flush(&self, inner: &mut Inner) {
        match inner.sender.as_mut().map(|sender| sender.flush()) {
            Some(Ok(())) => {}
            _ => drop(self.lose(inner)),
        }
    }

    fn settle(&self, inner: &mut Inner) {
        self.flush(inner);
        self.clogged.store(inner.waiting_len > CLOGGED_ABOVE, Ordering::Relaxed);
        if !inner.waiting.is_empty() && !self.stuck.swap(true, Ordering::Relaxed) {
            (self.on_stuck)();
        }
    }

    /// Whether something waits for room.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Whether so much waits that the other end should be served no more until it has read.
    #[must_use]
    pub fn is_clogged(&self) -> bool {
        self.clogged.load(Ordering::Relaxed)
    }

    /// Whether the link was given up because the other end did not read.
    #[must_use]
    pub fn has_overflowed(&self) -> bool {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Sends what waits, as far as there is room: true if that was anything.
    pub fn pump(&self) -> bool {
        let mut inner = self.lock();
        let mut moved = false;
        while let Some(mut next) = inner.waiting.pop_front() {
            let before = next.sent;
            let result = match &next.what {
                What::Piece(last) => inner.try_piece(&next.bytes, &mut next.sent, *last),
                What::Body(head) => inner.try_body(head, &next.bytes, &mut next.sent),
            };
            moved |= next.sent != before;
            match result {
                Ok(()) => {
                    inner.waiting_len = inner.waiting_len.saturating_sub(next.len_in_memory());
                    moved = true;
                }
                Err(SendError::Full) => {
                    inner.waiting.push_front(next);
                    break;
                }
                Err(_) => {
                    self.lose(&mut inner);
                    return false;
                }
            }
        }
        if inner.waiting.is_empty() && inner.waiting.capacity() > KEPT_PLACES {
            inner.waiting = VecDeque::new();
        }
        self.stuck.store(!inner.waiting.is_empty(), Ordering::Relaxed);
        self.settle(&mut inner);
        moved && inner.sender.is_some()
    }

    /// Ends the link: what comes later is refused, and the other end is told.
    pub fn close(&self) {
        let mut inner = self.lock();
        self.give_up(&mut inner);
    }

    fn give_up(&self, inner: &mut Inner) -> OutboxError {
        self.signal.close();
        self.lose(inner)
    }

    /// The link is over, and known to be: nothing more goes out. It is not closed from here, for what
    /// the other end sent before it left has still to be read.
    fn lose(&self, inner: &mut Inner) -> OutboxError {
        inner.sender = None;
        inner.waiting = VecDeque::new();
        inner.waiting_len = 0;
        self.stuck.store(false, Ordering::Relaxed);
        self.clogged.store(false, Ordering::Relaxed);
        OutboxError::Closed
    }
}

impl Inner {
    fn join(&mut self, head: &[u8], body: &[u8], len: usize) -> Result<(), SendError> {
        let Some(sender) = &mut self.sender else { return Err(closed()) };
        if !put(sender.claim(len)?, head, body) {
            return Err(SendError::Full);
        }
        sender.commit(len);
        Ok(())
    }

    /// Sends the rest of a long body, and shows each part at once to the other end.
    fn try_body(&mut self, head: &Head, body: &[u8], sent: &mut usize) -> Result<(), SendError> {
        let Some(sender) = &mut self.sender else { return Err(closed()) };
        let part = Head::part(body.len()).ok_or_else(closed)?;
        loop {
            let rest = body.get(*sent..).unwrap_or_default();
            // A small ring has less room for one record.
            let room = sender.claim(Head::MAX_LEN + rest.len().min(PART_LEN))?;
            let most = room.len().saturating_sub(Head::MAX_LEN).min(PART_LEN);
            let is_last = rest.len() <= most;
            let bytes = rest.get(..most).unwrap_or(rest);
            let head = if is_last { head } else { &part }.as_bytes();
            if !put(room, head, bytes) {
                return Err(SendError::Full);
            }
            sender.commit(head.len() + bytes.len());
            *sent += bytes.len();
            if is_last {
                return Ok(());
            }
            sender.flush().map_err(SendError::Link)?;
        }
    }

    fn try_piece(&mut self, bytes: &[u8], sent: &mut usize, last: bool) -> Result<(), SendError> {
        let Some(sender) = &mut self.sender else { return Err(closed()) };
        sender.send_piece(bytes, sent, last)
    }
}

/// Puts both into a slot: false if they do not fit.
fn put(slot: &mut [u8], head: &[u8], body: &[u8]) -> bool {
    let Some((start, rest)) = slot.split_at_mut_checked(head.len()) else { return false };
    let Some(rest) = rest.get_mut(..body.len()) else { return false };
    start.copy_from_slice(head);
    rest.copy_from_slice(body);
    true
}

fn closed() -> SendError {
    SendError::Link(LinkError::Closed)
}
