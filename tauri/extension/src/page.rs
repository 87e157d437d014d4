//! One page: its functions, its link to the core, and what comes in from there.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tramline_core::Transport as _;
use tramline_transport_shm::ShmTransport;
use tramline_web_link::frames::{self, from_page};
use tramline_web_link::{
    Body, Handler, Inlet, MAX_MESSAGE_LEN, Next, Outbox, Source, Turn, VERSION,
};

use crate::incoming::{Batch, LOST, LongBody, reject};
use crate::js::{Bytes, Context, Protected, With};

/// How often to try again when there was no room, and how rarely at last.
const RETRY_FIRST: Duration = Duration::from_millis(1);
const RETRY_LAST: Duration = Duration::from_millis(50);

/// Scratch memory that is kept from one message to the next, in bytes.
pub(crate) const KEPT_LEN: usize = 32 << 20;

/// A page with our functions in it.
pub(crate) struct Page {
    context: Context,
    /// Told what has come; the page's, and set once.
    pub(crate) deliver: OnceCell<Protected>,
    /// Where bytes cross on their way in, and on their way out. Two, for a page may send while it is
    /// told what has come.
    pub(crate) incoming: OnceCell<Protected>,
    outgoing: OnceCell<Protected>,
    /// Random bytes that the core must send back: both ways have then been tried.
    pub(crate) probe: [u8; 8],
    /// Sent as soon as there is a link.
    hello: RefCell<Option<Vec<u8>>>,
    link: OnceCell<Link>,
    pub(crate) over: Cell<bool>,
    scratch: Cell<Vec<u8>>,
    /// Calls without an answer yet: by the page's function for the result, the one for the error.
    pub(crate) pending: RefCell<HashMap<u32, u32>>,
    pub(crate) batch: RefCell<Batch>,
    /// The body that is coming in parts.
    pub(crate) long_body: Cell<Option<LongBody>>,
    retry: Cell<Duration>,
    /// A call has been sent since the last look for an answer.
    pub(crate) has_called: Cell<bool>,
    /// How many looks for an answer were in vain, and then how many calls there have been since.
    pub(crate) vain: Cell<u32>,
    #[cfg(feature = "attacks")]
    deaf: Cell<bool>,
    /// Says no hello.
    #[cfg(feature = "attacks")]
    pub(crate) mute: Cell<bool>,
}

pub(crate) struct Link {
    outbox: Arc<Outbox>,
    pub(crate) inlet: Inlet,
    source: OnceCell<Source>,
}

impl Page {
    pub(crate) fn new(context: Context) -> Self {
        Self {
            context,
            deliver: OnceCell::new(),
            incoming: OnceCell::new(),
            outgoing: OnceCell::new(),
            probe: RandomState::new().build_hasher().finish().to_le_bytes(),
            hello: RefCell::default(),
            link: OnceCell::new(),
            over: Cell::new(false),
            scratch: Cell::default(),
            pending: RefCell::default(),
            batch: RefCell::default(),
            long_body: Cell::new(None),
            retry: Cell::new(RETRY_FIRST),
            has_called: Cell::new(false),
            vain: Cell::new(0),
            #[cfg(feature = "attacks")]
            deaf: Cell::new(false),
            #[cfg(feature = "attacks")]
            mute: Cell::new(false),
        }
    }

    #[cfg(feature = "attacks")]
    pub(crate) fn go_deaf(&self) {
        self.deaf.set(true);
    }

    #[cfg(feature = "attacks")]
    pub(crate) fn send_anything(&self, bytes: &[u8], last: bool) -> bool {
        self.link.get().is_some_and(|link| link.outbox.send_part(&[], bytes, last).is_ok())
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The page's script has taken the functions. False if it is too late.
    pub(crate) fn open(
        &self,
        deliver: Protected,
        [incoming, outgoing]: [Protected; 2],
        key: &[u8],
    ) -> bool {
        if self.over.get() || self.deliver.set(deliver).is_err() {
            return false;
        }
        // Set here only.
        let _ = self.incoming.set(incoming);
        let _ = self.outgoing.set(outgoing);
        let mut hello = VERSION.to_le_bytes().to_vec();
        hello.extend_from_slice(&self.probe);
        hello.extend_from_slice(key);
        hello.push(from_page::HELLO);
        *self.hello.borrow_mut() = Some(hello);
        self.say_hello();
        true
    }

    fn say_hello(&self) {
        #[cfg(feature = "attacks")]
        if self.mute.get() {
            return;
        }
        if let Some(link) = self.link.get()
            && let Some(hello) = self.hello.borrow_mut().take()
        {
            // A link that is over is told of by its source.
            let _ = link.outbox.send(&hello, Body::Borrowed(&[]));
        }
    }

    /// Takes the link that was made for this page.
    pub(crate) fn attach(self: &Rc<Self>, transport: ShmTransport) {
        if self.over.get() {
            // The page did not wait for it.
            return;
        }
        let Some(doorbell) = transport.doorbell() else { return self.give_up() };
        let halves = Box::new(transport).into_halves();
        let Ok(inlet) = Inlet::new(halves.receiver, doorbell) else { return self.give_up() };
        let outbox =
            Outbox::new(halves.sender, halves.signal, MAX_MESSAGE_LEN, Source::wake_main_loop);
        let fd = inlet.fd();
        let link = Link { outbox: Arc::new(outbox), inlet, source: OnceCell::new() };
        if self.link.set(link).is_err() {
            return;
        }
        let handler: Rc<dyn Handler> = Rc::new(Incoming(Rc::downgrade(self)));
        match (self.link.get(), Source::attach(handler, fd)) {
            (Some(link), Some(source)) => drop(link.source.set(source)),
            _ => return self.give_up(),
        }
        self.say_hello();
    }

    /// No link, or none any more: the page is told once.
    pub(crate) fn give_up(&self) {
        self.close();
        let Some(deliver) = self.deliver.get() else { return };
        let lost: Vec<u32> = self.pending.borrow_mut().drain().map(|(_, error)| error).collect();
        for error in lost {
            reject(deliver, error, LOST);
        }
        deliver.call(With::Null);
    }

    /// Ends the link without a word to the page.
    pub(crate) fn close(&self) {
        if !self.over.replace(true)
            && let Some(link) = self.link.get()
        {
            link.outbox.close();
        }
    }

    /// Sends a call with JSON, whose text `write` appends. False if it was not taken.
    pub(crate) fn send_text(&self, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let Some(link) = self.ready() else { return false };
        let mut text = self.scratch.take();
        text.clear();
        let kind = [from_page::INVOKE];
        let sent = write(&mut text) && link.outbox.send(&text, Body::Borrowed(&kind)).is_ok();
        if sent {
            self.expect_answer(&text);
        }
        self.keep_scratch(text);
        sent
    }

    /// Sends a part of a call with bytes: the first `len` bytes of the outgoing area. It is the last
    /// one if `write_text` appends something, which stands behind all bytes.
    pub(crate) fn send_raw(
        &self,
        write_text: impl FnOnce(&mut Vec<u8>) -> bool,
        len: usize,
    ) -> bool {
        let (Some(link), Some(area)) = (self.ready(), self.outgoing.get()) else { return false };
        let mut end = self.scratch.take();
        end.clear();
        let last = write_text(&mut end);
        let text_len = end.len();
        if last {
            end.extend_from_slice(&u32::try_from(text_len).unwrap_or(u32::MAX).to_le_bytes());
            end.push(from_page::INVOKE_RAW);
        }
        let send = |bytes: Bytes<'_>| {
            bytes.get(len).is_some_and(|part| link.outbox.send_part(part, &end, last).is_ok())
        };
        // SAFETY: it only sends; no JavaScript runs.
        let sent = unsafe { area.with_bytes(send) };
        if sent && last {
            self.expect_answer(&end[..text_len]);
        }
        self.keep_scratch(end);
        sent
    }

    fn expect_answer(&self, text: &[u8]) {
        if let Some((callback, error)) = frames::functions_of(text) {
            self.pending.borrow_mut().insert(callback, error);
            self.has_called.set(true);
        }
    }

    fn keep_scratch(&self, scratch: Vec<u8>) {
        if scratch.capacity() <= KEPT_LEN {
            self.scratch.set(scratch);
        }
    }

    fn ready(&self) -> Option<&Link> {
        if self.over.get() { None } else { self.link.get() }
    }
}

/// What the main loop calls. It does not keep the page alive.
struct Incoming(std::rc::Weak<Page>);

impl Handler for Incoming {
    fn prepare(&self) -> Turn {
        let Some(page) = self.0.upgrade() else { return Turn::Sleep };
        let Some(link) = page.link.get() else { return Turn::Sleep };
        if !link.inlet.sleep() {
            Turn::Ready
        } else if link.outbox.is_stuck() {
            Turn::SleepAtMost(page.retry.get())
        } else {
            Turn::Sleep
        }
    }

    fn dispatch(&self, readable: bool) -> Next {
        let Some(page) = self.0.upgrade() else { return Next::Remove };
        let Some(link) = page.link.get() else { return Next::Remove };
        #[cfg(feature = "attacks")]
        if page.deaf.get() {
            return Next::Remove;
        }
        link.inlet.wake();
        if link.outbox.is_stuck() {
            let moved = link.outbox.pump();
            let next = if moved { RETRY_FIRST } else { (page.retry.get() * 2).min(RETRY_LAST) };
            page.retry.set(next);
        }
        if page.read(link) {
            if readable {
                link.inlet.hear();
            }
            Next::Stay
        } else {
            page.give_up();
            Next::Remove
        }
    }
}
