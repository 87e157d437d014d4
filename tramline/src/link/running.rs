//! Calls of the peer's that are at work here: how many, and how to tell them that nobody waits.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tramline_core::CancelToken;

use super::Link;

/// The tokens of the calls that another thread or the executor works on, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<u64, CancelToken>>);

impl Tokens {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, CancelToken>> {
        // Nothing inside can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins: the token to give it.
    pub(crate) fn begin(&self, id: u64) -> CancelToken {
        let token = CancelToken::new();
        self.lock().insert(id, token.clone());
        token
    }

    /// A call has ended.
    pub(crate) fn end(&self, id: u64, token: &CancelToken) {
        let mut tokens = self.lock();
        // A peer that uses an id twice has the younger call's token there.
        if tokens.get(&id).is_some_and(|known| known.is(token)) {
            tokens.remove(&id);
        }
    }

    /// The caller no longer waits for this call. Unknown or ended: nothing happens.
    pub(crate) fn cancel(&self, id: u64) {
        let token = self.lock().get(&id).cloned();
        // Without the lock: hooks are code of others.
        if let Some(token) = token {
            token.cancel();
        }
    }

    /// Nobody waits any more.
    pub(crate) fn cancel_all(&self) {
        let tokens: Vec<_> = self.lock().values().cloned().collect();
        tokens.iter().for_each(CancelToken::cancel);
    }
}

/// Counts one running call; wakes the runner when it had stopped for too many.
pub(super) struct Running {
    link: Arc<Link>,
    calls: usize,
    len: usize,
    token: Option<(u64, CancelToken)>,
}

impl Running {
    /// A call whose body has `len` bytes.
    pub(super) fn new(link: &Arc<Link>, id: u64, len: usize) -> Self {
        let token = link.tokens.begin(id);
        // `Link::end` says that it is over before it looks at the tokens.
        if link.over().is_some() {
            token.cancel();
        }
        Self::count(link, 1, len, Some((id, token)))
    }

    /// No call is started while this lives: an answer waits for room, and whoever does not read
    /// its answers need not ask for more.
    pub(super) fn hold_calls(link: &Arc<Link>) -> Self {
        Self::count(link, link.limits.max_calls_in_flight, 0, None)
    }

    fn count(
        link: &Arc<Link>,
        calls: usize,
        len: usize,
        token: Option<(u64, CancelToken)>,
    ) -> Self {
        link.calls_in_flight.fetch_add(calls, Ordering::SeqCst);
        link.bytes_in_flight.fetch_add(len, Ordering::SeqCst);
        Self { link: Arc::clone(link), calls, len, token }
    }

    /// The call's token.
    pub(super) fn token(&self) -> CancelToken {
        self.token.as_ref().map(|(_, token)| token.clone()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let link = &self.link;
        if let Some((id, token)) = &self.token {
            link.tokens.end(*id, token);
        }
        let calls = link.calls_in_flight.fetch_sub(self.calls, Ordering::SeqCst);
        let bytes = link.bytes_in_flight.fetch_sub(self.len, Ordering::SeqCst);
        // By what the subtractions found: a look of its own before them could miss a call that the
        // runner starts in between, and the runner would then wait for a kick that never comes.
        let limits = &link.limits;
        if calls >= limits.max_calls_in_flight || bytes >= limits.max_queued_len {
            link.signal.kick();
        }
    }
}
