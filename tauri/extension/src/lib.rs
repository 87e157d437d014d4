//! The part of tauri-plugin-tramline that WebKit loads into its web process.
//!
//! Each time a page of the app begins, it gets one object with a few functions, under a name that
//! the plugin's script takes away before any script of the page runs. Behind it lies a link of
//! tramline's shared memory, whose other end goes to the core in a user message, which WebKit ties
//! to the view: a page cannot pretend to be another one.
//!
//! Frames inside a page get nothing, nor do pages of other origins.

#[cfg(feature = "attacks")]
mod attacks;
mod functions;
mod incoming;
mod js;
mod page;
mod sys;
mod text;

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString, c_char, c_void};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use glib_sys::{GVariant, gpointer};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tramline_core::PeerIdentity;
use tramline_transport_shm::{Established, ShmTransport, establish};
use tramline_web_link::{HAND_OVER, NATIVE_NAME, VERSION, limits};

use crate::js::Context;
use crate::page::Page;
use crate::sys::{WebKitFrame, WebKitScriptWorld, WebKitWebPage};

thread_local! {
    /// Origins whose pages get the functions.
    static ORIGINS: OnceCell<Vec<String>> = const { OnceCell::new() };
    /// By the number that their functions know them by.
    static PAGES: RefCell<HashMap<usize, Rc<Page>>> = RefCell::default();
    /// The number of the page that each of WebKit's pages shows.
    static SHOWN: RefCell<HashMap<u64, usize>> = RefCell::default();
    /// Pages of WebKit's that will tell when they are gone.
    static WATCHED: RefCell<HashSet<u64>> = RefCell::default();
    static LAST_NUMBER: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// What this library speaks. Others are built to see them refused.
const SPEAKS: u32 = if cfg!(tramline_speaks = "newer") {
    VERSION + 1
} else if cfg!(tramline_speaks = "older") {
    VERSION - 1
} else {
    VERSION
};

/// Links that are ready, with the numbers of their pages.
static READY: Mutex<Vec<(usize, Option<ShmTransport>)>> = Mutex::new(Vec::new());

/// WebKit's entry. `data` is what the plugin gave: a version and the app's origins.
///
/// # Safety
///
/// Called by WebKit, on the main thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn webkit_web_extension_initialize_with_user_data(
    _extension: *mut c_void,
    data: *const GVariant,
) {
    // SAFETY: WebKit passes what the plugin gave it, or null.
    let Some(origins) = (unsafe { read_data(data) }) else { return };
    // Without origins there is a core of another version, which is told so by every page.
    ORIGINS.with(|cell| cell.set(origins)).unwrap_or_default();
    // SAFETY: made once by WebKit, and never freed.
    let world = unsafe { sys::webkit_script_world_get_default() };
    // SAFETY: the signal's own signature; GLib casts it back before the call.
    let handler =
        unsafe { std::mem::transmute::<Cleared, unsafe extern "C" fn()>(window_object_cleared) };
    // SAFETY: a live object, a signal that it has, and a function that lives for ever.
    unsafe {
        gobject_sys::g_signal_connect_data(
            world.cast(),
            c"window-object-cleared".as_ptr(),
            Some(handler),
            null_mut(),
            None,
            0,
        );
    }
}

/// The app's origins; none if the core speaks another version.
///
/// # Safety
///
/// `data` is null or a live variant.
unsafe fn read_data(data: *const GVariant) -> Option<Vec<String>> {
    if data.is_null() {
        return None;
    }
    let data = data.cast_mut();
    // SAFETY: a live variant and a valid type string.
    let fits = unsafe {
        glib_sys::g_variant_is_of_type(data, c"(u*)".as_ptr().cast::<glib_sys::GVariantType>())
    };
    if fits == 0 {
        return None;
    }
    // SAFETY: a tuple of two, by its type.
    let version = unsafe { glib_sys::g_variant_get_child_value(data, 0) };
    // SAFETY: a number, by its type.
    let found = unsafe { glib_sys::g_variant_get_uint32(version) };
    // SAFETY: ours, given up once.
    unsafe { glib_sys::g_variant_unref(version) };
    // SAFETY: a live variant and a valid type string.
    let fits = unsafe {
        glib_sys::g_variant_is_of_type(data, c"(us)".as_ptr().cast::<glib_sys::GVariantType>())
    };
    if found != SPEAKS || fits == 0 {
        return Some(Vec::new());
    }
    // SAFETY: a tuple of two, by its type.
    let origins = unsafe { glib_sys::g_variant_get_child_value(data, 1) };
    // SAFETY: text, by its type; it lives as long as `origins`.
    let text = unsafe { glib_sys::g_variant_get_string(origins, null_mut()) };
    // SAFETY: ends with a zero byte.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    // SAFETY: ours, given up once.
    unsafe { glib_sys::g_variant_unref(origins) };
    Some(text.split('\n').map(str::to_owned).collect())
}

type Cleared =
    unsafe extern "C" fn(*mut WebKitScriptWorld, *mut WebKitWebPage, *mut WebKitFrame, gpointer);

unsafe extern "C" fn window_object_cleared(
    _world: *mut WebKitScriptWorld,
    page: *mut WebKitWebPage,
    frame: *mut WebKitFrame,
    _data: gpointer,
) {
    // SAFETY: WebKit passes live objects, on the main thread.
    let run = AssertUnwindSafe(|| unsafe { page_begins(page, frame) });
    // A panic must not cross into C; without functions the page goes Tauri's own way.
    let _ = catch_unwind(run);
}

/// # Safety
///
/// Live objects, and the main thread.
unsafe fn page_begins(page: *mut WebKitWebPage, frame: *mut WebKitFrame) {
    // SAFETY: a live frame.
    if unsafe { sys::webkit_frame_is_main_frame(frame) } == 0 {
        return;
    }
    if ORIGINS.with(|origins| origins.get().is_none_or(Vec::is_empty)) {
        // SAFETY: a live page.
        return unsafe { hand_over(page, None) };
    }
    // SAFETY: a live page.
    let view = unsafe { sys::webkit_web_page_get_id(page) };
    retire(view);
    // SAFETY: a live frame.
    let uri = unsafe { sys::webkit_frame_get_uri(frame) };
    if uri.is_null() {
        return;
    }
    // SAFETY: text that ends with a zero byte, alive until the frame goes elsewhere.
    let uri = unsafe { CStr::from_ptr(uri) }.to_string_lossy();
    #[cfg(feature = "attacks")]
    // SAFETY: live objects, and the main thread.
    unsafe {
        attacks::offer(page, frame, view);
    };
    if !is_ours(&uri) {
        return;
    }
    // SAFETY: a live frame.
    let raw = unsafe { sys::webkit_frame_get_javascript_global_context(frame) };
    // SAFETY: a live context or null, on the main thread.
    let Some(context) = (unsafe { Context::retain(raw) }) else { return };
    let Ok((ours, theirs)) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    ) else {
        return;
    };
    let number = LAST_NUMBER.get() + 1;
    LAST_NUMBER.set(number);
    // SAFETY: a live page.
    unsafe { hand_over(page, Some(theirs)) };
    #[cfg(feature = "attacks")]
    if uri.contains("silent") {
        return attacks::keep(ours);
    }
    let spawned =
        std::thread::Builder::new().name("tramline-meet".into()).spawn(move || meet(number, ours));
    if spawned.is_err() {
        return;
    }
    let native = js::object_with(&context, functions::class(), number);
    if native.is_null() {
        return;
    }
    context.set_global(NATIVE_NAME, native);
    let shown = Page::new(context);
    #[cfg(feature = "attacks")]
    shown.mute.set(uri.contains("mute"));
    PAGES.with_borrow_mut(|pages| pages.insert(number, Rc::new(shown)));
    SHOWN.with_borrow_mut(|shown| shown.insert(view, number));
    // SAFETY: a live page, which has this number.
    unsafe { watch(page, view) };
}

/// Has what a view shows retired when the view is closed, and its process goes on.
///
/// # Safety
///
/// A live page with the number `view`, and the main thread.
unsafe fn watch(page: *mut WebKitWebPage, view: u64) {
    let Ok(number) = usize::try_from(view) else { return };
    if WATCHED.with_borrow_mut(|watched| watched.insert(view)) {
        let data = std::ptr::without_provenance_mut::<c_void>(number);
        // SAFETY: a live object; the function lives for ever, and the data is only a number.
        unsafe { gobject_sys::g_object_weak_ref(page.cast(), Some(view_closed), data) };
    }
}

unsafe extern "C" fn view_closed(data: gpointer, _page: *mut gobject_sys::GObject) {
    let view = data.addr() as u64;
    let run = AssertUnwindSafe(|| {
        WATCHED.with_borrow_mut(|watched| watched.remove(&view));
        retire(view);
    });
    // A panic must not cross into C.
    let _ = catch_unwind(run);
}

fn is_ours(uri: &str) -> bool {
    ORIGINS.with(|origins| {
        origins.get().is_some_and(|origins| {
            origins.iter().any(|origin| {
                uri.strip_prefix(origin.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
            })
        })
    })
}

/// The page that this view has shown is gone.
fn retire(view: u64) {
    let number = SHOWN.with_borrow_mut(|shown| shown.remove(&view));
    let page = number.and_then(|number| PAGES.with_borrow_mut(|pages| pages.remove(&number)));
    if let Some(page) = page {
        page.close();
    }
}

/// The page with this number.
fn page(number: usize) -> Option<Rc<Page>> {
    PAGES.with_borrow(|pages| pages.get(&number).cloned())
}

/// The page that this view shows.
#[cfg(feature = "attacks")]
fn page_of_view(view: usize) -> Option<Rc<Page>> {
    let number = SHOWN.with_borrow(|shown| shown.get(&(view as u64)).copied());
    number.and_then(page)
}

/// Sends the core its end of the socket, and the version; only that if the core's is another one.
///
/// # Safety
///
/// A live page, and the main thread.
unsafe fn hand_over(page: *mut WebKitWebPage, end: Option<OwnedFd>) {
    let Ok(name) = CString::new(HAND_OVER) else { return };
    // SAFETY: makes a list of our own.
    let files = unsafe { gio_sys::g_unix_fd_list_new() };
    if let Some(end) = end {
        // SAFETY: the list is ours; the descriptor is duplicated; no error is asked for.
        unsafe { gio_sys::g_unix_fd_list_append(files, end.as_raw_fd(), null_mut()) };
    }
    // SAFETY: makes a number of our own, which the message takes.
    let version = unsafe { glib_sys::g_variant_new_uint32(SPEAKS) };
    // SAFETY: a name that ends with a zero byte, and objects that are alive.
    let message = unsafe {
        sys::webkit_user_message_new_with_fd_list(name.as_ptr().cast::<c_char>(), version, files)
    };
    // SAFETY: a live page; it takes the floating message; nobody waits for an answer.
    unsafe {
        sys::webkit_web_page_send_message_to_view(page, message, null_mut(), None, null_mut())
    };
    // SAFETY: ours, given up once; the message has its own reference.
    unsafe { gobject_sys::g_object_unref(files.cast()) };
}

/// Meets the core: on a thread of its own, for it may take its time.
fn meet(number: usize, socket: OwnedFd) {
    let met = match establish(socket, &limits(), PeerIdentity::default()) {
        Ok(Established::Open(transport)) => Some(transport),
        Ok(Established::Rejected { .. }) | Err(_) => None,
    };
    READY.lock().unwrap_or_else(PoisonError::into_inner).push((number, met));
    // SAFETY: thread-safe; the function lives for ever.
    unsafe { glib_sys::g_idle_add_full(0, Some(attach_ready), null_mut(), None) };
}

unsafe extern "C" fn attach_ready(_: gpointer) -> glib_sys::gboolean {
    let run = || {
        let ready = std::mem::take(&mut *READY.lock().unwrap_or_else(PoisonError::into_inner));
        for (number, transport) in ready {
            let Some(page) = page(number) else { continue };
            match transport {
                Some(transport) => page.attach(transport),
                None => page.give_up(),
            }
        }
    };
    let _ = catch_unwind(AssertUnwindSafe(run));
    glib_sys::GFALSE
}
