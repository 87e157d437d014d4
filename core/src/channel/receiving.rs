//! What the table and the user of one reading end share.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use event_listener::Event;

use super::cost;
use crate::envelope::BodyKind;
use crate::error::{HandlerFailure, LinkError, PeerFault};
use crate::frame::Kept;

/// The state of one reading end.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) id: u32,
    window: i64,
    state: Mutex<State>,
    /// Told of every message and of the end.
    pub(super) arrived: Event,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Queued>,
    /// What the peer may still send, in bytes. The last message may take it below zero.
    left: i64,
    /// What was read and not granted anew.
    read: i64,
    end: Option<End>,
    /// The end was given out.
    ended: bool,
}

/// A message that waits to be read.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) message: Kept,
    pub(super) body_kind: BodyKind,
    pub(super) body_offset: usize,
    pub(super) cost: i64,
}

/// What stands behind the last message.
#[derive(Debug, Clone)]
pub(super) enum End {
    Done,
    Failed(HandlerFailure),
    Link(LinkError),
}

/// What there is to read.
#[derive(Debug)]
pub(super) enum Taken {
    /// A message, and what is to be granted for it and those before it.
    Message(Queued, Option<u64>),
    /// The end, once.
    End(End),
    Nothing,
}

impl Receiving {
    pub(super) fn new(id: u32, window: u64) -> Self {
        let window = i64::try_from(window).unwrap_or(i64::MAX);
        let queue = VecDeque::new();
        let state = State { queue, left: window, read: 0, end: None, ended: false };
        Self { id, window, state: Mutex::new(state), arrived: Event::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing inside can be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message of `len` bytes has come.
    ///
    /// # Errors
    ///
    /// The peer had no credit for it.
    pub(super) fn receive(
        &self,
        len: usize,
        body_kind: BodyKind,
        body_offset: usize,
        keep: impl FnOnce() -> Kept,
    ) -> Result<(), PeerFault> {
        let mut state = self.state();
        if state.left <= 0 {
            let what = format_args!("a message of {len} bytes at a credit of {}", state.left);
            return Err(PeerFault::new("channel credit", what));
        }
        let cost = cost(len);
        state.left = state.left.saturating_sub(cost);
        state.queue.push_back(Queued { message: keep(), body_kind, body_offset, cost });
        drop(state);
        self.arrived.notify(usize::MAX);
        Ok(())
    }

    /// Nothing comes any more. The first end stays.
    pub(super) fn end(&self, end: End) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        drop(state);
        self.arrived.notify(usize::MAX);
    }

    /// Takes the next message, or the end behind the last one.
    pub(super) fn take(&self) -> Taken {
        let mut state = self.state();
        if let Some(queued) = state.queue.pop_front() {
            state.read = state.read.saturating_add(queued.cost);
            // Half a window at once: few messages of ours, and the peer has the other half meanwhile.
            let due = state.end.is_none() && state.read >= self.window / 2;
            let due = due.then(|| {
                let read = std::mem::take(&mut state.read);
                state.left = state.left.saturating_add(read);
                read.cast_unsigned()
            });
            return Taken::Message(queued, due);
        }
        match &state.end {
            Some(_) if state.ended => Taken::End(End::Done),
            Some(end) => {
                let end = end.clone();
                state.ended = true;
                Taken::End(end)
            }
            None => Taken::Nothing,
        }
    }

    /// Whether there is nothing more to read, now or ever.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.queue.is_empty() && (state.ended || matches!(state.end, Some(End::Done)))
    }
}
