//! What comes in from the core, and how the page is told of it: in batches, as JSON, with bytes beside.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use tramline_web_link::frames::{self, PART_LEN, to_page};
use tramline_web_link::{MAX_MESSAGE_LEN, Polled};

use crate::js::{Protected, With};
use crate::page::{KEPT_LEN, Link, Page};

/// Items handed to the page at once, and bytes of their text. Choices: enough for the crossing to
/// cost little for each, and little enough for the first not to wait.
const BATCH_ITEMS: usize = 256;
const BATCH_LEN: usize = 256 << 10;

/// Text up to this long, in bytes, is handed over as a string. A choice: 64 KiB take half the time
/// through the incoming area, a few words do not.
const TEXT_LEN: usize = 1024;

/// Bodies that go beside the text of a batch, in bytes. A choice: they stay in a processor's cache,
/// and leave room for text behind them.
const STAGED_LEN: usize = 512 << 10;

/// How long messages are handed over before others of the main loop have their turn.
const STAY: Duration = Duration::from_millis(1);

/// How long to look out for an answer. A choice: a core that looks out for calls has answered a
/// small one by then, and to sleep and be woken takes as long again.
const LOOK: Duration = Duration::from_micros(20);
/// After so many looks in vain in a row, none until the calls since then have brought the count to
/// the second number. Choices: a core that never looks out costs a page one look in some fifty calls.
const VAIN_LOOKS: u32 = 8;
const TRY_AGAIN: u32 = 64;

#[derive(Default)]
pub(crate) struct Batch {
    text: Vec<u8>,
    /// Where each item begins, and what tells the page of it if it is no JSON.
    items: Vec<(usize, Option<u32>)>,
    staged: usize,
}

/// A body that comes in parts.
#[derive(Clone, Copy)]
pub(crate) struct LongBody {
    len: usize,
    /// How much of it has come.
    at: usize,
    /// The page had no room for it.
    lost: bool,
}

/// What became of a message that was read.
enum Read {
    /// It is in the batch.
    Batched,
    /// It is the last of the batch: the page puts bodies together one at a time.
    Ends,
    /// It is a part of a long body, and lies in the incoming area: offset and length.
    Part(usize, usize),
    Bad,
}

impl Page {
    fn note_answer(&self, item: &frames::Item<'_>) -> Option<u32> {
        let (callback, error) = item.answers?;
        self.pending.borrow_mut().remove(&callback);
        Some(error)
    }

    /// Reads what has come, a batch at a time. False once the link is over.
    pub(crate) fn read(&self, link: &Link) -> bool {
        let start = Instant::now();
        self.has_called.set(false);
        loop {
            let mut over = false;
            let mut more = true;
            while more && self.batch_has_room() {
                match link.inlet.poll(|frame| self.take(frame.bytes())) {
                    Polled::Message(Read::Batched) => {}
                    Polled::Message(Read::Ends) => self.hand_over(),
                    Polled::Message(Read::Part(offset, len)) => {
                        self.hand_over_part(offset, len);
                        // What is in the batch should not wait for all of the body.
                        self.hand_over();
                        more = start.elapsed() < STAY;
                    }
                    Polled::Message(Read::Bad) | Polled::Over(_) => (over, more) = (true, false),
                    // The rest of a long message may be there all the same.
                    Polled::Nothing => more = link.inlet.has_news() && start.elapsed() < STAY,
                }
            }
            self.hand_over();
            if over || self.over.get() {
                return false;
            }
            if !(more || self.look_out(link)) || start.elapsed() >= STAY {
                return true;
            }
        }
    }

    /// Looks out for the answer to a call that was made while the last messages were handed over, if
    /// no other call waits and looking has paid lately: true if it may be there. With more on its way
    /// messages would come singly, and each would cost more.
    fn look_out(&self, link: &Link) -> bool {
        if !self.has_called.take() || self.pending.borrow().len() != 1 {
            return false;
        }
        let vain = self.vain.get();
        if vain >= VAIN_LOOKS {
            self.vain.set(if vain >= TRY_AGAIN { VAIN_LOOKS - 1 } else { vain + 1 });
            return false;
        }
        let found = link.inlet.look_out(LOOK, || false);
        self.vain.set(if found { 0 } else { vain + 1 });
        found
    }

    fn batch_has_room(&self) -> bool {
        let batch = self.batch.borrow();
        batch.items.len() < BATCH_ITEMS
            && batch.text.len() < BATCH_LEN
            && batch.staged <= STAGED_LEN - PART_LEN
    }

    fn take(&self, frame: &[u8]) -> Read {
        let kind = frame.first().copied().unwrap_or_default();
        if kind == to_page::WELCOME && frame.get(1..) != Some(&self.probe) {
            return Read::Bad;
        }
        let text_len = self.batch.borrow().text.len();
        let read =
            if kind == to_page::PART { self.take_part(frame) } else { self.take_item(frame) };
        read.unwrap_or_else(|| {
            // What is in the batch is good.
            self.batch.borrow_mut().text.truncate(text_len);
            Read::Bad
        })
    }

    /// Puts a part of a long body where the page finds it, behind what is in the batch.
    fn take_part(&self, frame: &[u8]) -> Option<Read> {
        let (len, part) = frames::part_of(frame)?;
        let mut body = self.long_body.get().unwrap_or(LongBody { len, at: 0, lost: false });
        if len != body.len || len > MAX_MESSAGE_LEN || part.len() > len - body.at {
            return None;
        }
        let offset = self.batch.borrow().staged;
        if !self.incoming.get()?.put(offset, part) {
            return None;
        }
        body.at += part.len();
        self.long_body.set(Some(body));
        Some(Read::Part(offset, part.len()))
    }

    /// Puts a message into the batch.
    fn take_item(&self, frame: &[u8]) -> Option<Read> {
        let mut batch = self.batch.borrow_mut();
        let start = batch.begin();
        let item = frames::append_item(frame, &mut batch.text).ok()?;
        let error = self.note_answer(&item);
        let long_body = self.long_body.take();
        match (item.raw, long_body) {
            (None, Some(_)) => return None,
            (None, None) => {}
            (Some(raw), None) => batch.stage(self.incoming.get()?, raw, raw.len())?,
            (Some(_), Some(LongBody { lost: true, len, .. })) => {
                batch.text.truncate(start);
                let Some(error) = error else {
                    // A channel's: nobody to tell.
                    batch.text.truncate(start - 1);
                    return Some(Read::Batched);
                };
                let kind = to_page::ERR;
                let why = format!("{kind},{error},\"tramline: no room for {len} bytes\"");
                batch.text.extend_from_slice(why.as_bytes());
            }
            (Some(raw), Some(LongBody { len, at, lost: false })) => {
                if raw.len() != len - at {
                    return None;
                }
                batch.stage(self.incoming.get()?, raw, len)?;
            }
        }
        batch.items.push((start, error));
        Some(if long_body.is_some() { Read::Ends } else { Read::Batched })
    }

    fn hand_over_part(&self, offset: usize, len: usize) {
        let Some(mut body) = self.long_body.get() else { return };
        let taken = self
            .deliver
            .get()
            .is_some_and(|deliver| body.lost || deliver.call(With::Part(offset, len, body.len)));
        body.lost |= !taken;
        self.long_body.set(Some(body));
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

    /// Puts a body, or the last part of one of `len` bytes, into `area`, and says so in the text: its
    /// length and place, or -1 minus the place if it is a last part. None if there is no room.
    fn stage(&mut self, area: &Protected, bytes: &[u8], len: usize) -> Option<()> {
        if !area.put(self.staged, bytes) {
            return None;
        }
        let place = i64::try_from(self.staged).ok()?;
        let place = if bytes.len() == len { place } else { -1 - place };
        self.text.extend_from_slice(format!(",{len},{place}").as_bytes());
        self.staged += bytes.len();
        Some(())
    }

    fn clear(&mut self) {
        self.text.clear();
        self.items.clear();
        self.staged = 0;
    }
}
