//! One link: reads calls on the main loop, and dispatches them there.

use std::cell::{Cell, OnceCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tauri::ipc::InvokeBody;
use tauri::{Url, Webview, Wry};
use tramline_core::{LinkError, Transport as _};
use tramline_transport_shm::ShmTransport;
use tramline_web_link::frames::{FromPage, Head, from_page, parse_from_page};
use tramline_web_link::{
    Body, Handler, Inlet, MAX_MESSAGE_LEN, Next, Outbox, Polled, Source, Turn, VERSION,
};

use super::fault::Fault;
use crate::call::{BadCall, Caller, Request};
use crate::links::Links;
use crate::{Options, turn};

/// How long calls are served before others of the main loop have their turn, looking out for the
/// next one included. Measured with the prototype: timers of 16 ms are then 4 ms late at most.
const STAY: Duration = Duration::from_millis(1);

/// How often to try again when there was no room, and how rarely at last.
const RETRY_FIRST: Duration = Duration::from_millis(1);
const RETRY_LAST: Duration = Duration::from_millis(50);

/// How long to look out for the next call, and how often in vain before that is given up. Measured
/// with the prototype: a page that calls in turn comes back within that time.
const POLL: Duration = Duration::from_micros(50);
const VAIN_POLLS: u32 = 3;
/// Calls that come so soon after each other are worth looking out for again. A choice: some wakes.
const CALLS_KEEP_COMING: Duration = Duration::from_micros(300);

/// Calls still served of a page that is going, and for how long others wait for them. A choice.
const LAST_CALLS: usize = 256;
const LAST_STAY: Duration = Duration::from_millis(5);

/// Messages with bytes, as long as this or longer, are not copied once more. A choice: shorter ones
/// are copied faster than memory for the next one is got.
const OWNED_FROM: usize = 64 << 10;

/// A link to a page. It lives on the main thread.
pub(super) struct Link {
    caller: Caller,
    links: Arc<Links>,
    outbox: Arc<Outbox>,
    inlet: Inlet,
    source: OnceCell<Source>,
    /// The page has shown its key.
    welcome: Cell<bool>,
    over: Cell<bool>,
    retry: Cell<Duration>,
    polls: bool,
    /// Polls in vain since a call was found by one, or since calls began to keep coming.
    vain: Cell<u32>,
    idle_since: Cell<Option<Instant>>,
    on_fault: Box<dyn Fn(&Fault)>,
}

/// A message, taken out of the ring.
enum Job {
    Hello { probe: [u8; 8] },
    Call(Request),
    Bad(BadCall),
    Fault(Fault),
}

impl Link {
    /// Puts a link on the main loop. `on_fault` hears what the page does that it must not.
    pub(super) fn attach(
        webview: Webview<Wry>,
        key: String,
        url: Url,
        links: Arc<Links>,
        transport: ShmTransport,
        options: Options,
        on_fault: impl Fn(&Fault) + 'static,
    ) -> Result<Rc<Self>, &'static str> {
        let doorbell = transport.doorbell().ok_or("a link without a socket")?;
        let halves = Box::new(transport).into_halves();
        let inlet = Inlet::new(halves.receiver, doorbell)
            .map_err(|_| "the system refused to watch the link")?;
        let outbox =
            Outbox::new(halves.sender, halves.signal, MAX_MESSAGE_LEN, Source::wake_main_loop);
        let fd = inlet.fd();
        let outbox = Arc::new(outbox);
        let caller = Caller::new(webview, key, url, outbox.clone())?;
        let link = Rc::new(Self {
            caller,
            links,
            outbox,
            inlet,
            source: OnceCell::new(),
            welcome: Cell::new(false),
            over: Cell::new(false),
            retry: Cell::new(RETRY_FIRST),
            polls: options.core_polls && more_than_one_cpu(),
            vain: Cell::new(0),
            idle_since: Cell::new(None),
            on_fault: Box::new(on_fault),
        });
        let handler: Rc<dyn Handler> = Rc::new(Incoming(Rc::downgrade(&link)));
        let source = Source::attach(handler, fd).ok_or("no source on the main loop")?;
        // Set once, here.
        let _ = link.source.set(source);
        Ok(link)
    }

    /// Whether calls come through it.
    pub(super) fn is_up(&self) -> bool {
        self.welcome.get() && !self.over.get()
    }

    /// The page is going: what it has sent is served, and the link dropped.
    pub(super) fn retire(&self) {
        let start = Instant::now();
        let last_calls = || {
            for _ in 0..LAST_CALLS {
                if self.over.get() || start.elapsed() >= LAST_STAY || !self.serve_one() {
                    break;
                }
            }
        };
        // A signal of WebKit's has called us: a command's panic, which the panic hook has reported,
        // must not cross into C, where it would end the app.
        if catch_unwind(AssertUnwindSafe(last_calls)).is_err() {
            self.end_because(&Fault::Panic);
        }
        self.end();
    }

    fn end(&self) {
        if self.over.replace(true) {
            return;
        }
        self.links.remove(self.caller.webview.label(), self.caller.outlet());
        self.outbox.close();
        self.caller.unlisten_all();
    }

    fn end_because(&self, fault: &Fault) {
        if !self.over.get() {
            self.end();
            (self.on_fault)(fault);
        }
    }

    /// Serves one message: false if there was none.
    fn serve_one(&self) -> bool {
        // Nothing of the link is borrowed while a command runs: it may run a main loop of its own.
        match self.inlet.poll(|frame| self.read(frame)) {
            Polled::Message(Job::Call(request)) if self.welcome.get() => {
                turn::set_more(self.inlet.has_news());
                self.caller.dispatch(request);
            }
            Polled::Message(Job::Bad(bad)) if self.welcome.get() => {
                self.caller.refuse(&bad);
                (self.on_fault)(&Fault::Call(bad.why));
            }
            Polled::Message(Job::Hello { probe }) => {
                self.welcome.set(true);
                let outlet = Arc::clone(self.caller.outlet());
                self.links.insert(self.caller.webview.label(), outlet, "through shared memory");
                // A link that is over is seen at the next look.
                let _ = self.outbox.send(Head::welcome().as_bytes(), Body::Borrowed(&probe));
            }
            Polled::Message(Job::Fault(fault)) => self.end_because(&fault),
            Polled::Message(Job::Call(_) | Job::Bad(_)) => self.end_because(&Fault::NoKey),
            Polled::Nothing => return false,
            Polled::Over(_) if self.outbox.has_overflowed() => self.end_because(&Fault::Unread),
            // The page or its process is gone, and its calls with it.
            Polled::Over(LinkError::Closed | LinkError::PeerDied) => self.end(),
            Polled::Over(error) => self.end_because(&Fault::Ring(error)),
        }
        !self.over.get()
    }

    fn read(&self, frame: tramline_core::Frame<'_>) -> Job {
        // The bytes are a private copy; a body that was handed over apart is nothing we ask for.
        if frame.tail().is_some() {
            return Job::Fault(Fault::Message("a message with a handed-over body"));
        }
        let len = frame.bytes().len();
        if len < OWNED_FROM || frame.bytes().last() != Some(&from_page::INVOKE_RAW) {
            return self.judge(frame.bytes(), <[u8]>::to_vec);
        }
        // The message becomes the body, which begins it. The next one of its kind finds as much room.
        let mut message = BytesMut::with_capacity(len);
        frame.swap(&mut message);
        let mut body_len = 0;
        let mut job = self.judge(&message, |body| {
            body_len = body.len();
            Vec::new()
        });
        if let Job::Call(Request { body: InvokeBody::Raw(body), .. }) = &mut job {
            message.truncate(body_len);
            *body = message.into();
        }
        job
    }

    /// What a message is. `own` makes a body of bytes the request's.
    fn judge(&self, message: &[u8], own: impl FnOnce(&[u8]) -> Vec<u8>) -> Job {
        match parse_from_page(message) {
            Ok(FromPage::Hello { version, .. }) if version != VERSION => {
                Job::Fault(Fault::Version(version))
            }
            Ok(FromPage::Hello { key, .. }) if !self.caller.has_key(key) => Job::Fault(Fault::Key),
            Ok(FromPage::Hello { probe, .. }) => Job::Hello { probe },
            Ok(FromPage::Invoke(call)) => {
                match Request::read(&call.into(), &self.caller.origin, own) {
                    Ok(request) => Job::Call(request),
                    Err(bad) => Job::Bad(bad),
                }
            }
            Err(what) => Job::Fault(Fault::Message(what)),
        }
    }

    /// Serves what has come: false once the link is over.
    fn serve(&self) -> bool {
        let start = Instant::now();
        if self.idle_since.take().is_some_and(|since| start - since < CALLS_KEEP_COMING) {
            self.vain.set(0);
        }
        // A page that does not read is not served on: each answer would only wait with the others.
        while !self.over.get() && !self.outbox.is_clogged() {
            let served = self.serve_one();
            if !served && !self.look_out() {
                break;
            }
            if start.elapsed() >= STAY {
                break;
            }
        }
        self.idle_since.set(Some(Instant::now()));
        !self.over.get()
    }

    /// Looks out for the next call as long as that pays: true if it may be there.
    fn look_out(&self) -> bool {
        if self.inlet.has_news() {
            return true;
        }
        if !self.polls || self.vain.get() >= VAIN_POLLS {
            return false;
        }
        // An answer from another process waits for the loop's next turn.
        let found = self.inlet.look_out(POLL, turn::is_wanted);
        if found {
            self.vain.set(0);
        } else if !turn::is_wanted() {
            self.vain.set(self.vain.get() + 1);
        }
        found
    }
}

/// Looking out keeps a CPU from whoever is looked out for, if there is only one.
fn more_than_one_cpu() -> bool {
    std::thread::available_parallelism().is_ok_and(|count| count.get() > 1)
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the main loop calls. It does not keep the link alive.
struct Incoming(Weak<Link>);

impl Handler for Incoming {
    fn prepare(&self) -> Turn {
        let Some(link) = self.0.upgrade() else { return Turn::Sleep };
        if link.over.get() {
            Turn::Sleep
        } else if link.outbox.is_clogged() {
            Turn::SleepAtMost(link.retry.get())
        } else if !link.inlet.sleep() {
            Turn::Ready
        } else if link.outbox.is_stuck() {
            Turn::SleepAtMost(link.retry.get())
        } else {
            Turn::Sleep
        }
    }

    fn dispatch(&self, readable: bool) -> Next {
        let Some(link) = self.0.upgrade() else { return Next::Remove };
        link.inlet.wake();
        if link.outbox.is_stuck() {
            let moved = link.outbox.pump();
            let next = if moved { RETRY_FIRST } else { (link.retry.get() * 2).min(RETRY_LAST) };
            link.retry.set(next);
        }
        match catch_unwind(AssertUnwindSafe(|| link.serve())) {
            Ok(true) => {}
            Ok(false) => return Next::Remove,
            // Whoever waits for an answer must not wait for ever.
            Err(_) => {
                link.end_because(&Fault::Panic);
                return Next::Remove;
            }
        }
        if readable {
            link.inlet.hear();
        }
        Next::Stay
    }
}
