//! The app's main thread as the one executor: many wakes, one turn.
//!
//! Tauri's handles belong on the main thread, so whatever holds one is polled, and dropped, there. A
//! waker puts its task into a queue; the first one of a batch posts to the event loop, which then
//! polls all that have come.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use async_task::{Runnable, Task};
use tauri::{AppHandle, Emitter as _, Runtime, async_runtime};
use tramline::{Client, LookOut};

use super::events;
use crate::turn;

/// How many are served before the event loop has its turn. A choice: some hundred microseconds.
const TURN: usize = 256;

/// Bytes of events that may wait for the main thread; the peer waits beyond. A choice.
const EVENTS_WAITING: usize = 16 << 20;

/// How long a call's answer is looked out for before the main loop goes on, how often in vain before
/// that is given up, and for how many calls. A choice: a short command of a process that is awake
/// answers within a few microseconds, and a wake of the main loop costs more than that.
const POLL: Duration = Duration::from_micros(20);
const VAIN_POLLS: u32 = 3;
const WITHOUT: u32 = 128;
/// Looks between two looks at the clock, which costs as much as some of them.
const LOOKS_PER_CLOCK: u32 = 32;

thread_local! {
    /// This thread is posting: what runs now runs inside of that.
    static POSTING: Cell<bool> = const { Cell::new(false) };
}

/// What waits for the main thread.
enum Item {
    Task(Runnable),
    Emit { name: Arc<str>, payload: String },
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    event_bytes: usize,
    /// The event loop has been told.
    posted: bool,
    /// Who is serving. Only Tauri's mock runtime has more than one thread for that.
    serving: Option<ThreadId>,
}

/// Tasks and events for the main thread.
pub(super) struct MainLoop<R: Runtime> {
    queue: Mutex<Queue>,
    /// Event bytes have become fewer.
    room: Condvar,
    /// Something has been pushed since this was reset: a hint for whoever looks out.
    pushed: AtomicBool,
    /// Polls in vain since the last one that was not, and the calls without one since.
    vain: AtomicU32,
    app: OnceLock<AppHandle<R>>,
    /// Itself, for wakers.
    own: Weak<Self>,
}

impl<R: Runtime> MainLoop<R> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            queue: Mutex::default(),
            room: Condvar::new(),
            pushed: AtomicBool::new(false),
            vain: AtomicU32::new(0),
            app: OnceLock::new(),
            own: Weak::clone(own),
        })
    }

    /// Says which app it is; only the first one counts. To be called on the main thread.
    pub(super) fn set_app(&self, app: &AppHandle<R>) {
        self.app.get_or_init(|| app.clone());
    }

    pub(super) fn app(&self) -> Option<&AppHandle<R>> {
        self.app.get()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task of the main thread, and what [`begin`](Self::begin) takes.
    pub(super) fn task(
        &self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> (Runnable, Task<()>) {
        let own = Weak::clone(&self.own);
        async_task::spawn(future, move |runnable| {
            if let Some(main_loop) = own.upgrade() {
                main_loop.push(Item::Task(runnable), 0);
            }
        })
    }

    /// Begins a task, at once if none waits: they begin in order. To be called on the main thread.
    pub(super) fn begin(&self, runnable: Runnable) {
        if self.lock().items.is_empty() {
            runnable.run();
        } else {
            runnable.schedule();
        }
    }

    /// Emits an event to the app. Waits while too many do.
    pub(super) fn emit(&self, name: &Arc<str>, payload: String) {
        let mut queue = self.lock();
        while queue.event_bytes > EVENTS_WAITING {
            queue = self.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        drop(queue);
        let len = payload.len();
        self.push(Item::Emit { name: Arc::clone(name), payload }, len);
    }

    fn push(&self, item: Item, event_bytes: usize) {
        let mut queue = self.lock();
        queue.items.push_back(item);
        queue.event_bytes += event_bytes;
        let posted = std::mem::replace(&mut queue.posted, true);
        drop(queue);
        // Relaxed: a hint. Whoever sees it takes the lock.
        self.pushed.store(true, Ordering::Relaxed);
        if !posted {
            self.post();
        }
    }

    /// Does `begin`, and looks out for its answer as long as that pays: it then comes without a wake of
    /// the main loop, and without another thread if `client` lets this one read.
    pub(super) fn look_out(&self, client: Option<&Client>, begin: impl FnOnce()) {
        // Behind others there is no waiting for one: their answers come as they come.
        if turn::has_more() || !self.pays() {
            return begin();
        }
        let look_out = client.map(Client::look_out);
        begin();
        self.look(look_out.as_ref());
    }

    /// Whether to look out, this time.
    fn pays(&self) -> bool {
        // Relaxed: only the main thread counts.
        let vain = self.vain.load(Ordering::Relaxed);
        if vain >= VAIN_POLLS {
            let next = if vain < VAIN_POLLS + WITHOUT { vain + 1 } else { 0 };
            self.vain.store(next, Ordering::Relaxed);
        }
        vain < VAIN_POLLS
    }

    fn look(&self, look_out: Option<&LookOut<'_>>) {
        {
            let mut queue = self.lock();
            if queue.posted || queue.serving.is_some() {
                return;
            }
            // It is as good as posted: this thread looks.
            queue.posted = true;
            self.pushed.store(!queue.items.is_empty(), Ordering::Relaxed);
        }
        if self.poll(look_out) {
            self.vain.store(0, Ordering::Relaxed);
            return self.serve();
        }
        self.vain.fetch_add(1, Ordering::Relaxed);
        let mut queue = self.lock();
        queue.posted = !queue.items.is_empty();
        let late = queue.posted;
        drop(queue);
        if late {
            self.post();
        }
    }

    fn poll(&self, look_out: Option<&LookOut<'_>>) -> bool {
        let start = Instant::now();
        let mut left = POLL;
        while !left.is_zero() {
            let came = look_out.is_some_and(|look_out| look_out.at_most(left));
            for _ in 0..LOOKS_PER_CLOCK {
                if self.pushed.load(Ordering::Relaxed) {
                    return true;
                }
                std::hint::spin_loop();
            }
            if !came {
                // Whoever answers may be waiting for this very CPU.
                std::thread::yield_now();
            }
            left = POLL.saturating_sub(start.elapsed());
        }
        false
    }

    /// Asks for a turn on the main thread: always a later one, whichever thread this is.
    fn post(&self) {
        let (Some(app), own) = (self.app.get(), Weak::clone(&self.own)) else { return };
        turn::want();
        let outer = POSTING.replace(true);
        let posted = app.run_on_main_thread(move || {
            let Some(main_loop) = own.upgrade() else { return };
            if POSTING.get() {
                // This is the main thread already, perhaps in the middle of a task.
                main_loop.post_from_elsewhere();
            } else {
                main_loop.serve();
            }
        });
        POSTING.set(outer);
        if posted.is_err() {
            // The event loop is over, and the pages with it.
            let mut queue = self.lock();
            let gone = std::mem::take(&mut queue.items);
            queue.event_bytes = 0;
            drop(queue);
            self.room.notify_all();
            drop(gone);
        }
    }

    fn post_from_elsewhere(&self) {
        let own = Weak::clone(&self.own);
        async_runtime::spawn(async move {
            let Some(main_loop) = own.upgrade() else { return };
            let again = Weak::clone(&own);
            if let Some(app) = main_loop.app.get() {
                let _ = app.run_on_main_thread(move || {
                    if let Some(main_loop) = again.upgrade() {
                        main_loop.serve();
                    }
                });
            }
        });
    }

    fn serve(&self) {
        turn::come();
        let this = std::thread::current().id();
        let before = {
            let mut queue = self.lock();
            queue.posted = false;
            if queue.serving.is_some_and(|serving| serving != this) {
                return;
            }
            // Its own: an event loop inside of a listener of the app's.
            queue.serving.replace(this)
        };
        let _serving = Serving { main_loop: self, before };
        for _ in 0..TURN {
            let Some(item) = self.pop() else { return };
            match item {
                Item::Task(runnable) => {
                    runnable.run();
                }
                Item::Emit { name, payload } => {
                    if let Some(app) = self.app.get() {
                        let emitted =
                            events::without_echo(self.id(), || app.emit_str(&name, payload));
                        if let Err(error) = emitted {
                            log::warn!("tramline: event `{name}` did not reach the app: {error}");
                        }
                    }
                }
            }
        }
    }

    fn pop(&self) -> Option<Item> {
        let mut queue = self.lock();
        let item = queue.items.pop_front()?;
        if let Item::Emit { payload, .. } = &item {
            queue.event_bytes = queue.event_bytes.saturating_sub(payload.len());
            self.room.notify_all();
        }
        Some(item)
    }

    /// Tells this one from others.
    pub(super) fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Ends a turn, also if a listener of the app's panics.
struct Serving<'m, R: Runtime> {
    main_loop: &'m MainLoop<R>,
    before: Option<ThreadId>,
}

impl<R: Runtime> Drop for Serving<'_, R> {
    fn drop(&mut self) {
        let mut queue = self.main_loop.lock();
        queue.serving = self.before;
        let more = !queue.items.is_empty() && !queue.posted;
        queue.posted |= more;
        drop(queue);
        if more {
            self.main_loop.post();
        }
    }
}
