//! A safe face for a GLib event source on the default main loop.

use std::cell::Cell;
use std::fmt;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glib_sys as ffi;
use glib_sys::{GSource, GSourceFunc, GSourceFuncs, gboolean, gpointer};

/// How long a source may be ready without a break before it misses a turn, so that what is less
/// urgent, such as drawing, is done. Measured with the prototype.
const TURN_AFTER: Duration = Duration::from_millis(4);

/// How long a look at descriptors takes at least if the loop slept meanwhile. A choice: some times
/// what it takes without.
const ASLEEP_AFTER: Duration = Duration::from_micros(50);

/// What a source does. All of it runs on the main loop's thread.
pub trait Handler {
    /// Before the loop sleeps: whether to go on at once, or when to look again.
    fn prepare(&self) -> Turn;
    /// The source is ready. `readable`: its descriptor may be. May be called from within itself.
    fn dispatch(&self, readable: bool) -> Next;
}

/// What a source asks for before the loop sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There is work.
    Ready,
    /// Sleep until the descriptor is readable.
    Sleep,
    /// The same, but no longer than this.
    SleepAtMost(Duration),
}

/// What becomes of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It stays.
    Stay,
    /// It is taken off the loop.
    Remove,
}

struct State {
    handler: Rc<dyn Handler>,
    tag: Cell<gpointer>,
    /// Since when it has had every turn of the loop.
    ready_since: Cell<Option<Instant>>,
    /// When the loop began to sleep for it, if it did.
    asleep_since: Cell<Option<Instant>>,
    ready: Cell<bool>,
    /// This turn is for others, and the descriptor is not looked at.
    misses: Cell<bool>,
    /// When to look again.
    look_at: Cell<Option<Instant>>,
}

/// What GLib allocates: its own part, then ours.
#[repr(C)]
struct Raw {
    base: GSource,
    state: *mut State,
}

/// An event source on the default main loop, taken off it when dropped.
pub struct Source(NonNull<GSource>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").finish()
    }
}

static FUNCTIONS: Functions = Functions(GSourceFuncs {
    prepare: Some(prepare),
    check: Some(check),
    dispatch: Some(dispatch),
    finalize: Some(finalize),
    closure_callback: None,
    closure_marshal: None,
});

struct Functions(GSourceFuncs);
// SAFETY: function pointers, never written.
unsafe impl Sync for Functions {}

impl Source {
    /// Puts a source on the default main loop, whose thread this must be. It watches `fd`, which
    /// must stay open as long as the source lives.
    #[must_use]
    pub fn attach(handler: Rc<dyn Handler>, fd: RawFd) -> Option<Self> {
        let size = u32::try_from(size_of::<Raw>()).ok()?;
        let functions = (&raw const FUNCTIONS.0).cast_mut();
        // SAFETY: the functions live for ever and are only read; the size holds GLib's part.
        let raw = unsafe { ffi::g_source_new(functions, size) };
        let source = NonNull::new(raw)?;
        // SAFETY: just made, and watched by nobody else.
        let tag = unsafe { ffi::g_source_add_unix_fd(raw, fd, READABLE) };
        let state = Box::new(State {
            handler,
            tag: Cell::new(tag),
            ready_since: Cell::new(None),
            asleep_since: Cell::new(None),
            ready: Cell::new(false),
            misses: Cell::new(false),
            look_at: Cell::new(None),
        });
        // SAFETY: `g_source_new` allocated as many bytes as `Raw` has, aligned for pointers.
        unsafe { (*raw.cast::<Raw>()).state = Box::into_raw(state) };
        // SAFETY: ours, not yet attached.
        unsafe { ffi::g_source_set_can_recurse(raw, ffi::GTRUE) };
        // SAFETY: ours; no context means the default one.
        unsafe { ffi::g_source_attach(raw, std::ptr::null_mut()) };
        Some(Self(source))
    }

    /// Makes the default main loop look at its sources again. From any thread.
    pub fn wake_main_loop() {
        // SAFETY: thread-safe; no context means the default one.
        unsafe { ffi::g_main_context_wakeup(std::ptr::null_mut()) };
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // SAFETY: we hold a reference, given up below.
        unsafe { ffi::g_source_destroy(self.0.as_ptr()) };
        // SAFETY: ours since `attach`, given up once.
        unsafe { ffi::g_source_unref(self.0.as_ptr()) };
    }
}

const READABLE: ffi::GIOCondition = ffi::G_IO_IN | ffi::G_IO_HUP | ffi::G_IO_ERR;

/// The state of a source.
///
/// # Safety
///
/// `source` was made by [`Source::attach`], this is the main loop's thread, and `finalize` has not
/// run.
unsafe fn state<'a>(source: *mut GSource) -> Option<&'a State> {
    // SAFETY: by the caller's promise it is a `Raw`.
    let state = unsafe { (*source.cast::<Raw>()).state };
    // SAFETY: null or from `Box::into_raw`, freed by `finalize` only; never borrowed mutably.
    unsafe { state.as_ref() }
}

unsafe extern "C" fn prepare(source: *mut GSource, timeout: *mut i32) -> gboolean {
    // SAFETY: GLib calls it with our source, on the loop's thread.
    let Some(state) = (unsafe { state(source) }) else { return ffi::GFALSE };
    if state.misses.replace(false) {
        // Something more urgent had the turn that was missed.
        // SAFETY: as above, and the source is alive.
        unsafe { watch_fd(source, state, READABLE) };
    }
    if state.misses_a_turn() {
        // GLib takes a source for ready if its descriptor is, whatever `check` says.
        // SAFETY: as above.
        unsafe { watch_fd(source, state, 0) };
        state.misses.set(true);
        // SAFETY: GLib passes a place for the answer.
        unsafe { *timeout = 0 };
        return ffi::GFALSE;
    }
    let turn = guarded(|| state.handler.prepare()).unwrap_or(Turn::Sleep);
    if !matches!(turn, Turn::SleepAtMost(_)) {
        state.look_at.set(None);
    }
    let (ready, wait_ms) = match turn {
        Turn::Ready => (true, 0),
        Turn::Sleep => (false, -1),
        Turn::SleepAtMost(time) => {
            // Asked at every turn of the loop: a time that is set stays, or others that wake the loop
            // would put it off for ever.
            let now = Instant::now();
            let at = state.look_at.get().unwrap_or(now + time);
            state.look_at.set(Some(at));
            let left = at.saturating_duration_since(now).as_millis();
            (false, i32::try_from(left).unwrap_or(i32::MAX).saturating_add(1))
        }
    };
    state.ready.set(ready);
    state.asleep_since.set((!ready && state.ready_since.get().is_some()).then(Instant::now));
    // SAFETY: GLib passes a place for the answer.
    unsafe { *timeout = wait_ms };
    ffi::gboolean::from(ready)
}

impl State {
    /// Whether others have waited long enough.
    fn misses_a_turn(&self) -> bool {
        let misses = self.ready_since.get().is_some_and(|since| since.elapsed() >= TURN_AFTER);
        if misses {
            self.ready_since.set(None);
        }
        misses
    }
}

/// # Safety
///
/// As [`state`], which `state` is from.
unsafe fn watch_fd(source: *mut GSource, state: &State, events: ffi::GIOCondition) {
    // SAFETY: the tag is this source's, and stays so until it is finalized.
    unsafe { ffi::g_source_modify_unix_fd(source, state.tag.get(), events) };
}

unsafe extern "C" fn check(source: *mut GSource) -> gboolean {
    // SAFETY: GLib calls it with our source, on the loop's thread.
    let Some(state) = (unsafe { state(source) }) else { return ffi::GFALSE };
    if state.misses.replace(false) {
        // SAFETY: as above.
        unsafe { watch_fd(source, state, READABLE) };
        return ffi::GFALSE;
    }
    // SAFETY: as above.
    let readable = unsafe { is_readable(source, state) };
    let due = state.look_at.get().is_some_and(|at| Instant::now() >= at);
    let ready = readable || due || state.ready.get();
    // A loop that slept had nothing else to do.
    let slept = state.asleep_since.take().is_some_and(|since| since.elapsed() >= ASLEEP_AFTER);
    if !ready || slept {
        state.ready_since.set(None);
    }
    ffi::gboolean::from(ready)
}

/// # Safety
///
/// As [`state`], which `state` is from.
unsafe fn is_readable(source: *mut GSource, state: &State) -> bool {
    // SAFETY: the tag is this source's, and stays so until it is finalized.
    let found = unsafe { ffi::g_source_query_unix_fd(source, state.tag.get()) };
    found & READABLE != 0
}

unsafe extern "C" fn dispatch(source: *mut GSource, _: GSourceFunc, _: gpointer) -> gboolean {
    // SAFETY: GLib calls it with our source, on the loop's thread.
    let Some(state) = (unsafe { state(source) }) else { return ffi::GFALSE };
    // SAFETY: as above.
    let readable = unsafe { is_readable(source, state) };
    state.look_at.set(None);
    if state.ready_since.get().is_none() {
        state.ready_since.set(Some(Instant::now()));
    }
    // Its own: what runs here may take the source off the loop, and the state with it.
    let handler = Rc::clone(&state.handler);
    match guarded(|| handler.dispatch(readable)) {
        Some(Next::Stay) => ffi::GTRUE,
        Some(Next::Remove) | None => ffi::GFALSE,
    }
}

/// A panic must not cross into C. It has been reported by the panic hook.
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

unsafe extern "C" fn finalize(source: *mut GSource) {
    let raw = source.cast::<Raw>();
    // SAFETY: the last call for this source, so nobody else reads the field.
    let state = unsafe { std::mem::replace(&mut (*raw).state, std::ptr::null_mut()) };
    if !state.is_null() {
        // SAFETY: from `Box::into_raw` in `attach`, and taken out just now.
        drop(unsafe { Box::from_raw(state) });
    }
}
