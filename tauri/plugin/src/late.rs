//! Events that Tauri has put aside.
//!
//! When two threads emit at once, Tauri puts the second one's event aside for the listeners in the
//! core, and hands it out after some later event that somebody listens to. Should none come, a page
//! would wait for ever for what it gets at once by Tauri's own way. So an event of our own follows.
//! What this cannot mend: an event that was put aside comes behind the next one of its own thread.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tauri::{AppHandle, Emitter as _, EventTarget, Listener as _, Wry};

const NAME: &str = "tramline://late-events";

/// How long after an event those are handed out that came at the same time. A choice: a frame.
const SOON: Duration = Duration::from_millis(16);

/// How often to look when nothing has come: the thread that was in the way may have emitted what no
/// page listens to. A choice: GLib gathers wakes by the second.
const LOOK_EVERY_S: u32 = 1;

thread_local! {
    static APP: RefCell<Option<AppHandle<Wry>>> = const { RefCell::new(None) };
}

static SOON_DUE: AtomicBool = AtomicBool::new(false);
static LOOKS: AtomicBool = AtomicBool::new(false);

/// On the main thread, once.
pub(crate) fn begin(app: &AppHandle<Wry>) {
    // Tauri looks for what was put aside after it has called a listener.
    app.listen(NAME, |_| {});
    APP.set(Some(app.clone()));
}

/// A page listens from now on. On the main thread.
pub(crate) fn listening() {
    if !LOOKS.swap(true, Ordering::Relaxed) {
        glib::timeout_add_seconds_local(LOOK_EVERY_S, || {
            hand_out();
            glib::ControlFlow::Continue
        });
    }
}

/// An event has come, on whatever thread.
pub(crate) fn came() {
    // Relaxed: it guards nothing; a look too many or one that is taken for the next does no harm.
    if !SOON_DUE.load(Ordering::Relaxed) && !SOON_DUE.swap(true, Ordering::Relaxed) {
        glib::timeout_add_once(SOON, || {
            SOON_DUE.store(false, Ordering::Relaxed);
            hand_out();
        });
    }
}

fn hand_out() {
    let app = APP.with_borrow(Clone::clone);
    if let Some(app) = app {
        // Fails with an app that is ending, whose pages want no more events.
        let _ = app.emit_to(EventTarget::App, NAME, ());
    }
}
