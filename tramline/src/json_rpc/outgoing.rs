//! What waits to be written to one client.
//!
//! Whoever emits an event waits for room. Answers go over the limit, so that no command's thread is
//! ever held up by a client that does not read; but from then on that client is not read either, and
//! none of its calls is started, until there is room again.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tramline_core::peer::Patience;
use tramline_core::{Limits, LinkError, SendError};

/// Bytes that go out in one write, at most; what is shorter is put together. A choice: as much as a
/// pipe of Linux holds.
const WRITE_LEN: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Outgoing {
    state: Mutex<State>,
    changed: Condvar,
    /// Bytes that may wait, apart from a single message that is longer.
    room_len: usize,
    send_timeout: Duration,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Vec<u8>>,
    /// Bytes in the queue, and those that are being written.
    len: usize,
    /// Bytes written since the beginning.
    written: u64,
    /// Somebody waits for the client to read what is too much.
    watched: bool,
    /// Nothing more is taken.
    closing: bool,
    over: Option<LinkError>,
}

impl State {
    fn check(&self) -> Result<(), LinkError> {
        match &self.over {
            Some(error) => Err(error.clone()),
            None if self.closing => Err(LinkError::Closed),
            None => Ok(()),
        }
    }
}

/// How long somebody waits.
struct Deadline {
    until: Option<Instant>,
    timeout: Duration,
    /// The clock starts anew whenever the client has read something: what `written` was then.
    written: Option<u64>,
}

impl Deadline {
    fn next(&mut self, state: &State) -> Instant {
        if self.written.is_some_and(|written| written != state.written) {
            (self.written, self.until) = (Some(state.written), None);
        }
        *self.until.get_or_insert_with(|| Instant::now() + self.timeout)
    }
}

impl Outgoing {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            room_len: limits.ring_capacity,
            send_timeout: Duration::from_millis(limits.send_timeout_ms),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As long as the send timeout says.
    fn strict(&self) -> Deadline {
        Deadline { until: None, timeout: self.send_timeout, written: None }
    }

    /// As long as the client reads something now and then: one that reads, however slowly, is not
    /// stalled.
    fn lenient(&self, state: &State) -> Deadline {
        Deadline { written: Some(state.written), ..self.strict() }
    }

    /// Sleeps until something has changed; `None` when the time is up.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        deadline: &mut Deadline,
    ) -> Option<MutexGuard<'a, State>> {
        let until = deadline.next(&state);
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        let waited = self.changed.wait_timeout(state, left);
        Some(waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Why the connection is over, if it is.
    pub(super) fn over(&self) -> Option<LinkError> {
        self.lock().over.clone()
    }

    fn add(&self, mut state: MutexGuard<'_, State>, text: Vec<u8>) {
        state.len += text.len();
        state.queue.push_back(text);
        drop(state);
        self.changed.notify_all();
    }

    fn has_room(&self, state: &State, len: usize) -> bool {
        state.len == 0 || state.len + len <= self.room_len
    }

    /// Adds a message when there is room for it.
    pub(super) fn push(&self, text: Vec<u8>, patience: Patience) -> Result<(), SendError> {
        let mut deadline = self.strict();
        let mut state = self.lock();
        loop {
            state.check()?;
            if self.has_room(&state, text.len()) {
                self.add(state, text);
                return Ok(());
            }
            if patience == Patience::None {
                return Err(SendError::Full);
            }
            state = self.wait(state, &mut deadline).ok_or(SendError::Full)?;
        }
    }

    /// Adds an answer, without room over the limit. Then `watch` is called, unless somebody does
    /// [`watch`](Self::watch) already.
    pub(super) fn push_answer(&self, text: Vec<u8>, watch: impl FnOnce()) -> Result<(), LinkError> {
        let mut state = self.lock();
        state.check()?;
        let unwatched =
            !self.has_room(&state, text.len()) && !std::mem::replace(&mut state.watched, true);
        self.add(state, text);
        if unwatched {
            watch();
        }
        Ok(())
    }

    /// Whether the client has no more to read than there is room for, or nobody cares any more.
    pub(super) fn is_within_limit(&self) -> bool {
        let state = self.lock();
        state.len <= self.room_len || state.over.is_some()
    }

    /// Blocks while the client has more to read than there is room for. [`SendError::Full`] says
    /// that it reads nothing any more.
    pub(super) fn wait_for_reader(&self) -> Result<(), SendError> {
        self.wait_until_read().map(drop)
    }

    /// The same for whoever was asked to watch by [`push_answer`](Self::push_answer).
    pub(super) fn watch(&self) -> Result<(), SendError> {
        self.wait_until_read().map(|mut state| state.watched = false)
    }

    fn wait_until_read(&self) -> Result<MutexGuard<'_, State>, SendError> {
        let mut state = self.lock();
        let mut deadline = self.lenient(&state);
        loop {
            if let Some(error) = &state.over {
                return Err(error.clone().into());
            }
            if state.len <= self.room_len {
                return Ok(state);
            }
            state = self.wait(state, &mut deadline).ok_or(SendError::Full)?;
        }
    }

    /// Puts what is to be written next into `text`; false when the connection is over.
    pub(super) fn next(&self, text: &mut Vec<u8>) -> bool {
        text.clear();
        let mut state = self.lock();
        loop {
            if state.over.is_some() {
                return false;
            }
            if let Some(mut first) = state.queue.pop_front() {
                std::mem::swap(text, &mut first);
                break;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        while let Some(more) = state.queue.front()
            && text.len() + more.len() <= WRITE_LEN
        {
            text.extend_from_slice(more);
            state.queue.pop_front();
        }
        true
    }

    /// Parts of what [`next`](Self::next) gave, each to be followed by [`wrote`](Self::wrote).
    pub(super) fn parts(text: &[u8]) -> impl Iterator<Item = &[u8]> {
        text.chunks(WRITE_LEN)
    }

    pub(super) fn wrote(&self, len: usize) {
        let mut state = self.lock();
        state.len = state.len.saturating_sub(len);
        state.written += len as u64;
        drop(state);
        self.changed.notify_all();
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// Blocks until everything has been written or the connection is over; false if the client
    /// reads nothing any more.
    pub(super) fn wait_until_drained(&self) -> bool {
        let state = self.lock();
        let deadline = self.lenient(&state);
        self.drain(state, deadline)
    }

    /// The same, but at most until `until`, whatever the client does.
    pub(super) fn wait_until_drained_by(&self, until: Instant) {
        self.drain(self.lock(), Deadline { until: Some(until), ..self.strict() });
    }

    fn drain(&self, mut state: MutexGuard<'_, State>, mut deadline: Deadline) -> bool {
        while state.over.is_none() && state.len > 0 {
            match self.wait(state, &mut deadline) {
                Some(woken) => state = woken,
                None => return false,
            }
        }
        true
    }

    /// Ends it all. The first reason stays; true if this is it.
    pub(super) fn end(&self, error: LinkError) -> bool {
        let mut state = self.lock();
        let first = state.over.is_none();
        if first {
            state.over = Some(error);
            state.queue = VecDeque::new();
        }
        drop(state);
        self.changed.notify_all();
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Outgoing {
        let mut limits = Limits::default();
        (limits.ring_capacity, limits.send_timeout_ms) = (10, 0);
        Outgoing::new(&limits)
    }

    fn push(queue: &Outgoing, text: &str) -> Result<(), SendError> {
        queue.push(text.into(), Patience::None)
    }

    #[test]
    fn a_full_queue_refuses_whoever_does_not_wait_or_has_waited() {
        let queue = queue();
        assert!(push(&queue, "123456").is_ok());
        let more = || b"78901".to_vec();
        assert!(matches!(queue.push(more(), Patience::None), Err(SendError::Full)));
        assert!(matches!(queue.push(more(), Patience::SendTimeout), Err(SendError::Full)));
        assert!(push(&queue, "7890").is_ok());
    }

    #[test]
    fn a_message_longer_than_the_queue_goes_alone() {
        let queue = queue();
        assert!(push(&queue, "123456789012").is_ok());
        assert!(matches!(push(&queue, "1"), Err(SendError::Full)));
        assert!(matches!(queue.wait_for_reader(), Err(SendError::Full)));
        let mut text = Vec::new();
        assert!(queue.next(&mut text));
        // It counts until it is written.
        assert!(matches!(push(&queue, "1"), Err(SendError::Full)));
        queue.wrote(text.len());
        assert!(push(&queue, "1").is_ok() && queue.wait_for_reader().is_ok());
    }

    #[test]
    fn an_answer_without_room_goes_over_the_limit_and_is_watched_once() {
        let queue = queue();
        let watched = std::cell::Cell::new(0);
        let answer = |text: &str| {
            queue.push_answer(text.into(), || watched.set(watched.get() + 1)).expect("open");
        };
        answer("123456");
        assert!(watched.get() == 0 && queue.is_within_limit());
        answer("789012");
        answer("345678");
        assert!(watched.get() == 1 && !queue.is_within_limit());
        assert!(matches!(queue.wait_for_reader(), Err(SendError::Full)));
        assert!(matches!(queue.watch(), Err(SendError::Full)));
        queue.wrote(8);
        assert!(queue.wait_for_reader().is_ok() && queue.is_within_limit());
        answer("1");
        assert_eq!(watched.get(), 1);
        // Whoever watched leaves, so the next one is asked for.
        queue.wrote(1);
        assert!(queue.watch().is_ok());
        answer("1");
        assert_eq!(watched.get(), 2);
    }

    #[test]
    fn short_messages_are_written_together_in_order() {
        let queue = queue();
        for text in ["a", "b", "c"] {
            push(&queue, text).expect("there is room");
        }
        let mut text = Vec::new();
        assert!(queue.next(&mut text));
        assert_eq!(text, b"abc");
        queue.close();
        assert!(matches!(push(&queue, "d"), Err(SendError::Link(LinkError::Closed))));
        assert!(!queue.wait_until_drained());
        queue.wrote(3);
        assert!(queue.wait_until_drained());
    }

    #[test]
    fn whoever_waits_leniently_starts_anew_when_something_was_read() {
        let queue = queue();
        let state = State { written: 5, ..State::default() };
        let (mut strict, mut lenient) = (queue.strict(), queue.lenient(&state));
        let first = (strict.next(&state), lenient.next(&state));
        while Instant::now() <= first.1 {
            std::hint::spin_loop();
        }
        assert_eq!((strict.next(&state), lenient.next(&state)), first);
        let state = State { written: 6, ..State::default() };
        assert_eq!(strict.next(&state), first.0);
        assert!(lenient.next(&state) > first.1);
    }

    #[test]
    fn the_first_reason_for_the_end_stays() {
        let queue = queue();
        assert!(queue.end(LinkError::PeerDied));
        assert!(!queue.end(LinkError::Closed));
        assert!(matches!(queue.over(), Some(LinkError::PeerDied)));
        assert!(!queue.next(&mut Vec::new()));
        assert!(matches!(queue.push_answer(Vec::new(), || {}), Err(LinkError::PeerDied)));
        assert!(queue.is_within_limit());
    }
}
