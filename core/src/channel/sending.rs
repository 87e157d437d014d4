//! What the table and the users of one sending end share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use event_listener::Event;

use super::{Last, MAX_CREDIT, cost};
use crate::error::{LinkError, PeerFault, SendError};

/// The state of one sending end.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) id: u32,
    state: Mutex<State>,
    /// Told of every change that somebody may wait for.
    pub(super) changed: Event,
}

#[derive(Debug)]
struct State {
    /// What may still be sent, in bytes. The last message may take it below zero.
    credit: i64,
    /// Somebody is sending; what its message takes is known only when it has gone.
    busy: bool,
    over: Option<Over>,
    /// To be said by whoever is sending, behind that message.
    last: Option<Last>,
}

/// Why nothing can be sent any more.
#[derive(Debug, Clone)]
enum Over {
    /// This side has ended it, or the reader is gone.
    Closed,
    Link(LinkError),
}

impl Over {
    fn into_error(self) -> SendError {
        match self {
            Self::Closed => SendError::ChannelClosed,
            Self::Link(error) => error.into(),
        }
    }
}

impl Sending {
    pub(super) fn new(id: u32, credit: u64) -> Self {
        let credit = i64::try_from(credit).unwrap_or(i64::MAX);
        let state = State { credit, busy: false, over: None, last: None };
        Self { id, state: Mutex::new(state), changed: Event::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing inside can be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the turn to send, if there is credit and nobody else has it: false if not.
    ///
    /// # Errors
    ///
    /// Nothing can be sent any more.
    pub(super) fn begin(&self) -> Result<bool, SendError> {
        let mut state = self.state();
        if let Some(over) = &state.over {
            return Err(over.clone().into_error());
        }
        let may = !state.busy && state.credit > 0;
        state.busy |= may;
        Ok(may)
    }

    /// A message with a body of `len` bytes has gone.
    pub(super) fn spent(&self, len: usize) {
        let mut state = self.state();
        state.credit = state.credit.saturating_sub(cost(len));
    }

    /// Gives the turn back: the last word, if it is to be said now.
    pub(super) fn done(&self) -> Option<Last> {
        let mut state = self.state();
        state.busy = false;
        let last = state.last.take();
        drop(state);
        self.changed.notify(usize::MAX);
        last
    }

    /// The reader grants more.
    pub(super) fn grant(&self, bytes: u64) -> Result<(), PeerFault> {
        let mut state = self.state();
        let sum = i64::try_from(bytes).ok().and_then(|bytes| state.credit.checked_add(bytes));
        match sum {
            Some(sum) if sum <= MAX_CREDIT.cast_signed() => state.credit = sum,
            _ => {
                let what = format_args!("{bytes} bytes more than {}", state.credit);
                return Err(PeerFault::new("channel credit", what));
            }
        }
        drop(state);
        self.changed.notify(usize::MAX);
        Ok(())
    }

    /// This side ends it: the last word, unless that is left to whoever is sending.
    ///
    /// # Errors
    ///
    /// It was over already.
    pub(super) fn finish(&self, last: Last) -> Result<Option<Last>, SendError> {
        let mut state = self.state();
        if let Some(over) = &state.over {
            return Err(over.clone().into_error());
        }
        state.over = Some(Over::Closed);
        let now = if state.busy {
            state.last = Some(last);
            None
        } else {
            Some(last)
        };
        drop(state);
        self.changed.notify(usize::MAX);
        Ok(now)
    }

    /// Nobody reads any more.
    pub(super) fn reader_gone(&self) {
        self.end(Over::Closed);
    }

    pub(super) fn link_ended(&self, error: LinkError) {
        self.end(Over::Link(error));
    }

    fn end(&self, why: Over) {
        let mut state = self.state();
        state.over.get_or_insert(why);
        // Nobody hears it.
        state.last = None;
        drop(state);
        self.changed.notify(usize::MAX);
    }

    pub(super) fn is_over(&self) -> bool {
        self.state().over.is_some()
    }
}
