//! What comes in from the core, and how the page is told of it: in batches, as JSON, with bytes beside.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tramline_web_link::Polled;
use tramline_web_link::frames::{self, to_page};

use crate::js::{Protected, With};
use crate::page::{KEPT_LEN, Link, Page};

/// Items handed to the page at once, and bytes of their text. Choices: enough for the crossing to
/// cost little for each, and little enough for the first not to wait.
const BATCH_ITEMS: usize = 256;
const BATCH_LEN: usize = 256 << 10;

/// Text up to this long, in bytes, is handed over as a string. A choice: 64 KiB take half the time
/// through the incoming area, a few words do not.
const TEXT_LEN: usize = 1024;

/// Bodies that go beside the text of a batch, in bytes; what is longer is fetched in parts of this
/// length. Choices: they stay in a processor's cache, and leave room for text behind them.
const STAGED_LEN: usize = 512 << 10;
const PART_LEN: usize = 256 << 10;

/// How long messages are handed over before others of the main loop have their turn.
const STAY: Duration = Duration::from_millis(1);

#[derive(Default)]
pub(crate) struct Batch {
    text: Vec<u8>,
    /// Where each item begins, and what tells the page of it if it is no JSON.
    items: Vec<(usize, Option<u32>)>,
    staged: usize,
}

#[derive(Default)]
pub(crate) struct Fetched {
    message: BytesMut,
    at: usize,
}

/// What became of a message that was read.
enum Read {
    /// It is in the batch.
    Batched,
    /// The batch has no room left for its body.
    NeedsRoom,
    /// Its body is for the page to fetch, and its item is in the batch.
    ToFetch,
    Bad,
}

impl Page {
    fn note_answer(&self, item: &frames::Item<'_>) -> Option<u32> {
        let (callback, error) = item.answers?;
        self.pending.borrow_mut().remove(&callback);
        Some(error)
    }

    /// Puts the next part of the body that is being fetched into the incoming area: its length.
    pub(crate) fn fetch(&self) -> usize {
        let mut fetched = self.fetched.borrow_mut();
        let Fetched { message, at } = &mut *fetched;
        let rest = message.get(*at..).unwrap_or_default();
        let len = self.incoming.get().map_or(0, |area| {
            let len = rest.len().min(PART_LEN).min(area.byte_len());
            if area.put(0, &rest[..len]) { len } else { 0 }
        });
        *at += len;
        if *at >= message.len() && message.capacity() > KEPT_LEN {
            *fetched = Fetched::default();
        }
        len
    }

    /// Reads what has come, a batch at a time. False once the link is over.
    pub(crate) fn read(&self, link: &Link) -> bool {
        let start = Instant::now();
        loop {
            let mut over = false;
            let mut more = true;
            while more && self.batch_has_room() {
                match link.inlet.poll(|frame| self.take(frame)) {
                    Polled::Message(Read::Batched) => {}
                    Polled::Message(Read::NeedsRoom) => {
                        self.hand_over();
                        if !self.stage_kept() {
                            return false;
                        }
                    }
                    Polled::Message(Read::ToFetch) => self.hand_over(),
                    Polled::Message(Read::Bad) | Polled::Over(_) => (over, more) = (true, false),
                    // The rest of a long message may be there all the same.
                    Polled::Nothing => more = link.inlet.has_news() && start.elapsed() < STAY,
                }
            }
            self.hand_over();
            if over || self.over.get() {
                return false;
            }
            if !more || start.elapsed() >= STAY {
                return true;
            }
        }
    }

    fn batch_has_room(&self) -> bool {
        let batch = self.batch.borrow();
        batch.items.len() < BATCH_ITEMS && batch.text.len() < BATCH_LEN
    }

    fn take(&self, frame: tramline_core::Frame<'_>) -> Read {
        let kind = frame.bytes().first().copied().unwrap_or_default();
        if kind == to_page::WELCOME && frame.bytes().get(1..) != Some(&self.probe) {
            return Read::Bad;
        }
        if matches!(kind, to_page::OK_RAW | to_page::CHANNEL_RAW) {
            let staged = self.batch.borrow().staged;
            let area = self.incoming.get().map_or(0, Protected::byte_len);
            let area = area.min(STAGED_LEN);
            if frame.bytes().len() > area.saturating_sub(staged) {
                let mut fetched = self.fetched.borrow_mut();
                frame.swap(&mut fetched.message);
                fetched.at = 0;
                let needs_room = fetched.message.len() <= area;
                drop(fetched);
                // Its place is behind what is in the batch.
                return if needs_room { Read::NeedsRoom } else { self.batch_kept() };
            }
        }
        self.batch_frame(frame.bytes())
    }

    /// Batches the message that was kept, now that the incoming area is free.
    fn stage_kept(&self) -> bool {
        let message = std::mem::take(&mut self.fetched.borrow_mut().message);
        let read = self.batch_frame(&message);
        self.fetched.borrow_mut().message = message;
        matches!(read, Read::Batched)
    }

    /// Batches the item of the message that was kept, for the page to fetch its body.
    fn batch_kept(&self) -> Read {
        let mut fetched = self.fetched.borrow_mut();
        let Fetched { message, at } = &mut *fetched;
        let mut batch = self.batch.borrow_mut();
        let start = batch.begin();
        match frames::append_item(message, &mut batch.text) {
            Ok(item) => {
                *at = message.len() - item.raw.map_or(0, <[u8]>::len);
                batch.text.extend_from_slice(b",-1");
                batch.items.push((start, self.note_answer(&item)));
                Read::ToFetch
            }
            Err(_) => Read::Bad,
        }
    }

    fn batch_frame(&self, frame: &[u8]) -> Read {
        let mut batch = self.batch.borrow_mut();
        let start = batch.begin();
        match frames::append_item(frame, &mut batch.text) {
            Ok(item) => {
                if let Some(raw) = item.raw {
                    let staged = batch.staged;
                    let put = self.incoming.get().is_some_and(|area| area.put(staged, raw));
                    if !put {
                        return Read::Bad;
                    }
                    batch.staged += raw.len();
                    batch.text.push(b',');
                    batch.text.extend_from_slice(staged.to_string().as_bytes());
                }
                batch.items.push((start, self.note_answer(&item)));
                Read::Batched
            }
            Err(_) => Read::Bad,
        }
    }

    /// Shows the batch to the page. JavaScript runs in here, and may send.
    fn hand_over(&self) {
        let Some(deliver) = self.deliver.get() else { return };
        let mut batch = std::mem::take(&mut *self.batch.borrow_mut());
        if !batch.items.is_empty() {
            batch.text.push(b']');
            if !self.hand_over_text(deliver, &mut batch) {
                self.hand_over_singly(deliver, &batch.text, &batch.items);
            }
            batch.clear();
        }
        if batch.text.capacity() <= KEPT_LEN {
            *self.batch.borrow_mut() = batch;
        }
    }

    /// Longer text goes through the incoming area, behind what is staged there: the page's own
    /// decoder is faster than a string made here.
    fn hand_over_text(&self, deliver: &Protected, batch: &mut Batch) -> bool {
        let len = batch.text.len();
        if len > TEXT_LEN {
            let staged = batch.staged;
            let put = self.incoming.get().is_some_and(|area| area.put(staged, &batch.text));
            if put {
                return deliver.call(With::Range(staged, len));
            }
        }
        let handed = call_with_text(deliver, &mut batch.text);
        batch.text.truncate(len);
        handed
    }

    /// Some item is no JSON, which is the app's doing: the others must not suffer.
    #[cold]
    fn hand_over_singly(&self, deliver: &Protected, text: &[u8], items: &[(usize, Option<u32>)]) {
        let ends = items.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
        for ((start, error), end) in items.iter().copied().zip(ends) {
            // An item ends before the comma or bracket that follows it.
            let item = text.get(start..end - 1).unwrap_or_default();
            if !call_with_text(deliver, &mut [b"[", item, b"]"].concat())
                && let Some(error) = error
            {
                reject(deliver, error, NO_JSON);
            }
        }
    }
}

/// What the page's calls are rejected with when the link is lost.
pub(crate) const LOST: &str = "tramline: the link to the core was lost; the call may have run";
/// What a call is rejected with whose command gave text that is no JSON.
const NO_JSON: &str = "tramline: the answer is no JSON";

pub(crate) fn reject(deliver: &Protected, error: u32, why: &str) {
    let kind = to_page::ERR;
    call_with_text(deliver, &mut format!("[{kind},{error},\"{why}\"]").into_bytes());
}

/// Calls the page with text, which is lost. What has a zero byte inside is no JSON.
fn call_with_text(deliver: &Protected, text: &mut Vec<u8>) -> bool {
    text.push(0);
    CStr::from_bytes_with_nul(text).is_ok_and(|text| deliver.call(With::Text(text)))
}

impl Batch {
    /// Where the next item begins.
    fn begin(&mut self) -> usize {
        self.text.push(if self.items.is_empty() { b'[' } else { b',' });
        self.text.len()
    }

    fn clear(&mut self) {
        self.text.clear();
        self.items.clear();
        self.staged = 0;
    }
}
