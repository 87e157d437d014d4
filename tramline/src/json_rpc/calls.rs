//! The requests of one client that have no answer yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tramline_compat_json::jsonrpc::{ErrorObject, Framing};
use tramline_core::Limits;
use tramline_core::error::codes;

/// Where an answer goes.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// Out, framed like its question.
    Alone(Framing),
    /// Into the array of its batch.
    Batch(Arc<Batch>),
}

/// A call that runs.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Somebody waits for the answer.
    Request { id: Box<str>, way: Way },
    /// A notification: its answer is dropped.
    Notification,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    state: Mutex<State>,
    settled: Condvar,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, Waiting>,
    /// Calls that were taken, and whose answer is not on its way yet.
    taken: usize,
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call; its number on our side.
    pub(super) fn add(&self, waiting: Waiting) -> u64 {
        // Relaxed: only uniqueness matters.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().waiting.insert(number, waiting);
        number
    }

    /// Whether somebody waits for this call's answer; `None` if it has had one.
    pub(super) fn is_wanted(&self, number: u64) -> Option<bool> {
        let state = self.lock();
        state.waiting.get(&number).map(|waiting| matches!(waiting, Waiting::Request { .. }))
    }

    /// Whoever takes a call answers it.
    pub(super) fn take(&self, number: u64) -> Option<Taken<'_>> {
        let mut state = self.lock();
        let waiting = state.waiting.remove(&number)?;
        state.taken += 1;
        Some(Taken { calls: self, number, waiting })
    }

    /// Takes every request with this id: clients may use one twice.
    pub(super) fn take_by_id(&self, id: &str) -> Vec<Taken<'_>> {
        let mut state = self.lock();
        let has_id = |_: &u64, call: &mut Waiting| matches!(call, Waiting::Request { id: found, .. } if **found == *id);
        let found = state.waiting.extract_if(has_id);
        let taken: Vec<_> =
            found.map(|(number, waiting)| Taken { calls: self, number, waiting }).collect();
        state.taken += taken.len();
        taken
    }

    /// Whether a call runs whose answer is not even being sent.
    pub(super) fn any_runs(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Blocks until all answers are on their way, or `over` and [`forget_all`](Self::forget_all)
    /// was called.
    pub(super) fn wait_until_none(&self, over: impl Fn() -> bool) {
        let open = |state: &mut State| !state.waiting.is_empty() || state.taken > 0;
        let waited = self.settled.wait_while(self.lock(), |state| open(state) && !over());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Nobody waits for anything any more.
    pub(super) fn forget_all(&self) {
        self.lock().waiting.clear();
        self.settled.notify_all();
    }
}

/// A call that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    calls: &'a Calls,
    pub(super) number: u64,
    pub(super) waiting: Waiting,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.calls.lock().taken -= 1;
        self.calls.settled.notify_all();
    }
}

/// The answers of one batch.
#[derive(Debug)]
pub(super) struct Batch {
    framing: Framing,
    max_len: usize,
    answers: Mutex<Answers>,
    /// Of all batches of this connection, and how many there may be.
    batched_len: Arc<AtomicUsize>,
    max_batched_len: usize,
}

#[derive(Debug)]
struct Answers {
    /// The array so far, without its end.
    text: Vec<u8>,
    open: usize,
    /// Bytes that count in `batched_len`.
    counted: usize,
}

impl Batch {
    /// A batch with so many answers to come, at least one. Results that make it longer than a
    /// message may be, or all open batches longer than what may be queued, are refused.
    pub(super) fn new(
        framing: Framing,
        open: usize,
        limits: &Limits,
        batched_len: &Arc<AtomicUsize>,
    ) -> Arc<Self> {
        Arc::new(Self {
            framing,
            max_len: limits.max_message_len,
            answers: Mutex::new(Answers { text: Vec::new(), open, counted: 0 }),
            batched_len: Arc::clone(batched_len),
            max_batched_len: limits.max_queued_len,
        })
    }

    pub(super) fn framing(&self) -> Framing {
        self.framing
    }

    /// Counts `len` bytes more, if there may be so many.
    fn count(&self, answers: &mut Answers, len: usize) -> bool {
        // Relaxed: a count, which orders nothing.
        let before = self.batched_len.fetch_add(len, Ordering::Relaxed);
        let fits = answers.text.len() + len < self.max_len && before + len <= self.max_batched_len;
        if fits {
            answers.counted += len;
        } else {
            self.batched_len.fetch_sub(len, Ordering::Relaxed);
        }
        fits
    }

    /// Adds an answer; the whole array if it was the last.
    pub(super) fn add(&self, id: &str, answer: &[u8]) -> Option<Vec<u8>> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let separator = if answers.text.is_empty() { b'[' } else { b',' };
        answers.text.push(separator);
        if self.count(&mut answers, answer.len()) {
            answers.text.extend_from_slice(answer);
        } else {
            let words = "the batch has no room for this result";
            let error = ErrorObject::new(codes::RESULT_TOO_LARGE).text(words);
            answers.text.extend(error.response(id));
        }
        answers.open = answers.open.saturating_sub(1);
        (answers.open == 0).then(|| {
            answers.text.push(b']');
            std::mem::take(&mut answers.text)
        })
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let answers = self.answers.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.batched_len.fetch_sub(answers.counted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str) -> Waiting {
        Waiting::Request { id: id.into(), way: Way::Alone(Framing::Lines) }
    }

    fn batch(max_message_len: usize, max_queued_len: usize) -> Arc<Batch> {
        let mut limits = Limits::default();
        (limits.max_message_len, limits.max_queued_len) = (max_message_len, max_queued_len);
        Batch::new(Framing::Lines, 2, &limits, &Arc::default())
    }

    #[test]
    fn a_call_is_taken_once() {
        let calls = Calls::default();
        let number = calls.add(request("1"));
        assert_eq!(calls.is_wanted(number), Some(true));
        assert_eq!(calls.take_by_id("\"1\"").len(), 0);
        assert_eq!(calls.take_by_id("1").len(), 1);
        assert!(calls.take(number).is_none() && calls.is_wanted(number).is_none());
        let number = calls.add(Waiting::Notification);
        assert_eq!(calls.is_wanted(number), Some(false));
        calls.forget_all();
        calls.wait_until_none(|| false);
    }

    #[test]
    fn a_call_counts_until_its_answer_is_on_its_way() {
        let calls = Calls::default();
        let number = calls.add(request("1"));
        let taken = calls.take(number).expect("just added");
        let waits = std::cell::Cell::new(false);
        // Asked only while something is open.
        calls.wait_until_none(|| {
            waits.set(true);
            true
        });
        assert!(waits.take());
        drop(taken);
        calls.wait_until_none(|| {
            waits.set(true);
            true
        });
        assert!(!waits.take());
    }

    #[test]
    fn a_batch_is_complete_with_its_last_answer() {
        let batch = batch(100, 100);
        assert_eq!(batch.add("1", b"{}"), None);
        assert_eq!(batch.add("2", b"{}").as_deref(), Some(&b"[{},{}]"[..]));
    }

    #[test]
    fn a_result_that_is_too_large_for_its_batch_becomes_an_error() {
        for (max_len, max_batched_len) in [(10, 100), (100, 10)] {
            let batch = batch(max_len, max_batched_len);
            batch.add("1", b"{}");
            let text = batch.add("2", b"{\"a\":12345}").expect("complete");
            let text = String::from_utf8(text).expect("text");
            assert!(text.contains("result-too-large") && text.contains(r#""id":2"#), "{text}");
            let counted = Arc::clone(&batch.batched_len);
            assert_eq!(counted.load(Ordering::Relaxed), 2);
            drop(batch);
            assert_eq!(counted.load(Ordering::Relaxed), 0);
        }
    }
}
