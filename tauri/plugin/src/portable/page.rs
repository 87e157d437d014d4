//! One page: its calls, served in turns of the main loop.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tauri::http::header::HeaderValue;
use tauri::{UriSchemeResponder, Url, Webview, Wry};

use super::main_loop::MainLoop;
use super::post::Read;
use super::queue::Queue;
use crate::call::{Caller, refuse};
use crate::links::{Links, Outlet};
use crate::turn;

/// How long calls are served before others of the main loop have their turn. The ring's as well.
const STAY: Duration = Duration::from_millis(1);

/// Calls that may wait for the next turn; with more of them there is none. A choice: a page that posts
/// faster than it is served waits for the main loop then, as with Tauri's own way.
const MAX_WAITING: usize = 1 << 16;

/// A page with a link. It lives on the main thread.
pub(super) struct Page {
    token: String,
    label: String,
    /// Why the page takes no faster hop.
    why: String,
    open: AtomicBool,
    /// Requests with calls so far.
    posts: AtomicU64,
    caller: Caller,
    queue: Arc<Queue>,
    links: Arc<Links>,
    main_loop: MainLoop,
    calls: Mutex<Calls>,
    /// Itself, for the main loop.
    own: Weak<Self>,
}

#[derive(Default)]
struct Calls {
    waiting: VecDeque<Read>,
    /// The main loop has been told to go on with them.
    told: bool,
}

impl Page {
    pub(super) fn new(
        token: String,
        why: String,
        webview: Webview<Wry>,
        url: Url,
        origin: HeaderValue,
        links: Arc<Links>,
    ) -> Result<Arc<Self>, &'static str> {
        use tauri::Manager as _;
        let app = webview.app_handle();
        let main_loop = MainLoop::of(app);
        let key = app.invoke_key().to_owned();
        let queue = Queue::new(main_loop.clone(), origin);
        let label = webview.label().to_owned();
        let caller = Caller::new(webview, key, url, queue.clone())?;
        Ok(Arc::new_cyclic(|own| Self {
            token,
            label,
            why,
            open: AtomicBool::new(false),
            posts: AtomicU64::new(0),
            caller,
            queue,
            links,
            main_loop,
            calls: Mutex::default(),
            own: Weak::clone(own),
        }))
    }

    /// The page has its token: messages go this way from now on.
    fn open(&self) {
        // Relaxed: on the main thread only.
        if self.open.swap(true, Ordering::Relaxed) {
            return;
        }
        let outlet: Arc<dyn Outlet> = self.queue.clone();
        let mut way = "in batches by requests of the web engine's".to_owned();
        if !self.why.is_empty() {
            way = format!("{way}, not through shared memory: {}", self.why);
        }
        self.links.insert(&self.label, outlet, &way);
    }

    pub(super) fn has_token(&self, token: &str) -> bool {
        self.token == token
    }

    pub(super) fn is_over(&self) -> bool {
        self.queue.is_over()
    }

    pub(super) fn origin(&self) -> &HeaderValue {
        &self.caller.origin
    }

    /// Serves the calls of a post, and those that wait before them. The post is answered with what
    /// there is then, or with what comes next.
    pub(super) fn take(&self, calls: Vec<Read>, responder: UriSchemeResponder) {
        self.open();
        self.queue.park(responder);
        if !calls.is_empty() {
            self.posts.fetch_add(1, Ordering::Relaxed);
        }
        self.lock().waiting.extend(calls);
        self.serve();
    }

    /// Tells a page that has lost requests how many with calls have come, and how many responses have
    /// gone.
    pub(super) fn state(&self) -> String {
        let responses = self.queue.settle();
        format!("[{},{responses}]", self.posts.load(Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let start = Instant::now();
        loop {
            // Nothing is locked while a command runs: it may run a main loop of its own.
            let mut calls = self.lock();
            let Some(call) = calls.waiting.pop_front() else { break };
            let too_many = calls.waiting.len() > MAX_WAITING;
            turn::set_more(!calls.waiting.is_empty());
            drop(calls);
            self.make(call);
            if start.elapsed() >= STAY && !too_many {
                self.serve_later();
                break;
            }
        }
        self.queue.flush();
    }

    fn make(&self, call: Read) {
        match call {
            Ok(request) => {
                let (callback, error) = (request.callback, request.error);
                let dispatch = AssertUnwindSafe(|| self.caller.dispatch(request));
                if catch_unwind(dispatch).is_err() {
                    // Whoever waits for an answer must not wait for ever.
                    refuse(&*self.queue, callback, error, "the command panicked");
                }
            }
            Err(bad) => self.caller.refuse(&bad),
        }
    }

    fn serve_later(&self) {
        let mut calls = self.lock();
        if calls.waiting.is_empty() || std::mem::replace(&mut calls.told, true) {
            return;
        }
        drop(calls);
        let own = Weak::clone(&self.own);
        self.main_loop.soon(move || {
            if let Some(page) = own.upgrade() {
                page.lock().told = false;
                page.serve();
            }
        });
    }

    /// The page is gone: what it wanted is not done any more, and what it listened to is not heard.
    pub(super) fn retire(&self) {
        self.lock().waiting.clear();
        let outlet: Arc<dyn Outlet> = self.queue.clone();
        self.links.remove(&self.label, &outlet);
        self.caller.unlisten_all();
        self.queue.close();
    }
}
