//! What a web process in foreign hands could do, for our own tests: every page's main frame gets
//! functions for it. Built with the feature `attacks` only, which no app has.
//!
//! | function | does |
//! |---|---|
//! | `frame(bytes, last)` | sends a message, or a part of one, of whatever bytes |
//! | `scribble(from, to)` | writes garbage into the memory that the core reads |
//! | `handOver(kind)` | hands over another socket: 0 a good one, 1 with a label, 2 none at all |
//! | `deaf()` | reads no more of what comes |

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::ptr::{null, null_mut};

use gio_sys::g_unix_fd_list_append;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tramline_core::PeerIdentity;
use tramline_transport_shm::establish;
use tramline_web_link::{HAND_OVER, VERSION, limits};

use crate::js::{self, Arguments, Context, Value, number_of};
use crate::sys::{self, *};

const NAME: &str = "__TRAMLINE_ATTACKS__";

thread_local! {
    static CLASS: JSClassRef = make_class();
    /// WebKit's pages by their number, to send messages from.
    static VIEWS: RefCell<HashMap<usize, *mut WebKitWebPage>> = RefCell::default();
    /// Sockets that nobody ever speaks on.
    static SILENT: RefCell<Vec<OwnedFd>> = const { RefCell::new(Vec::new()) };
}

/// Gives a page the functions.
///
/// # Safety
///
/// Live objects, and the main thread.
pub(crate) unsafe fn offer(page: *mut WebKitWebPage, frame: *mut WebKitFrame, view: u64) {
    // SAFETY: a live frame.
    let raw = unsafe { sys::webkit_frame_get_javascript_global_context(frame) };
    // SAFETY: a live context or null, on the main thread.
    let Some(context) = (unsafe { Context::retain(raw) }) else { return };
    let Ok(view) = usize::try_from(view) else { return };
    VIEWS.with_borrow_mut(|views| views.insert(view, page));
    let object = js::object_with(&context, CLASS.with(|class| *class), view);
    if !object.is_null() {
        context.set_global(NAME, object);
    }
}

/// Keeps a socket open without a word.
pub(crate) fn keep(socket: OwnedFd) {
    SILENT.with_borrow_mut(|silent| silent.push(socket));
}

fn make_class() -> JSClassRef {
    let function = |name: &'static std::ffi::CStr, call: JSObjectCallAsFunctionCallback| {
        JSStaticFunction { name: name.as_ptr(), call: Some(call), attributes: FIXED }
    };
    let functions = [
        function(c"frame", frame),
        function(c"scribble", scribble),
        function(c"handOver", hand_over),
        function(c"deaf", deaf),
        JSStaticFunction { name: null(), call: None, attributes: 0 },
    ];
    let definition = JSClassDefinition {
        version: 0,
        attributes: 0,
        class_name: c"TramlineAttacks".as_ptr(),
        parent_class: null_mut(),
        static_values: null(),
        static_functions: functions.as_ptr(),
        callbacks: [null(); 11],
    };
    // SAFETY: the definition is copied; its names live for ever, its list ends with an empty entry.
    unsafe { JSClassCreate(&raw const definition) }
}

macro_rules! attacks {
    ($($name:ident |$view:ident, $arguments:ident| $body:block)*) => {$(
        unsafe extern "C" fn $name(
            ctx: JSContextRef,
            _function: JSObjectRef,
            this: JSObjectRef,
            count: usize,
            values: *const JSValueRef,
            _exception: *mut JSValueRef,
        ) -> JSValueRef {
            // SAFETY: a live object.
            let $view = unsafe { number_of(this) };
            let values: &[JSValueRef] = if count == 0 {
                &[]
            } else {
                // SAFETY: JavaScriptCore passes as many values as it says; nobody writes them.
                unsafe { std::slice::from_raw_parts(values, count) }
            };
            // SAFETY: live values of this context.
            let $arguments = unsafe { Arguments::new(ctx, values) };
            let value = Value::Truth($body);
            // SAFETY: a live context, on its thread.
            unsafe { value.into_js(ctx) }
        }
    )*};
}

attacks! {
    frame |view, arguments| {
        let page = crate::page_of_view(view);
        page.zip(arguments.object(0)).is_some_and(|(page, object)| {
            // SAFETY: a live object of this page's context.
            let bytes = unsafe { page.context().protect(object) };
            // SAFETY: no JavaScript in there.
            unsafe {
                bytes.with_bytes(|bytes| {
                    let all = bytes.get(bytes.len()).unwrap_or_default();
                    page.send_anything(all, arguments.truth(1))
                })
            }
        })
    }
    scribble |_view, arguments| {
        let (from, to) = (arguments.count(0).unwrap_or(0), arguments.count(1).unwrap_or(0));
        write_garbage(from, to)
    }
    hand_over |view, arguments| {
        let page = VIEWS.with_borrow(|views| views.get(&view).copied());
        // SAFETY: the page that this script runs in is alive.
        page.is_some_and(|page| unsafe { send_socket(page, arguments.count(0).unwrap_or(0)) })
    }
    deaf |view, _arguments| {
        crate::page_of_view(view).is_some_and(|page| { page.go_deaf(); true })
    }
}

/// Overwrites what this process shares with the core, as far as it may write it.
fn write_garbage(from: usize, to: usize) -> bool {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut state = 0x2545_f491_u32;
    let mut found = false;
    for line in maps.lines().filter(|line| line.contains("memfd:tramline")) {
        let mut words = line.split_whitespace();
        let (Some(range), Some("rw-s")) = (words.next(), words.next()) else { continue };
        let mut ends = range.split('-').map(|end| usize::from_str_radix(end, 16));
        let (Some(Ok(start)), Some(Ok(end))) = (ends.next(), ends.next()) else { continue };
        found = true;
        for at in from..to.min(end - start) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let target = std::ptr::with_exposed_provenance_mut::<u8>(start + at);
            // SAFETY: inside a mapping that may be written; that it is in use is the point.
            unsafe { target.write_volatile(state.to_le_bytes()[0]) };
        }
    }
    found
}

/// # Safety
///
/// A live page, and the main thread.
unsafe fn send_socket(page: *mut WebKitWebPage, kind: usize) -> bool {
    let pair = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    );
    let (Ok((ours, theirs)), Ok(name)) = (pair, CString::new(HAND_OVER)) else { return false };
    // SAFETY: makes a list of our own.
    let files = unsafe { gio_sys::g_unix_fd_list_new() };
    if kind != 2 {
        // SAFETY: the list is ours; the descriptor is duplicated; no error is asked for.
        unsafe { g_unix_fd_list_append(files, theirs.as_raw_fd(), null_mut()) };
    }
    let parameters = if kind == 1 {
        // SAFETY: text that ends with a zero byte; makes a value of our own.
        unsafe { glib_sys::g_variant_new_string(c"second".as_ptr()) }
    } else {
        // SAFETY: makes a number of our own.
        unsafe { glib_sys::g_variant_new_uint32(VERSION) }
    };
    // SAFETY: a name that ends with a zero byte, and objects that are alive.
    let message =
        unsafe { sys::webkit_user_message_new_with_fd_list(name.as_ptr(), parameters, files) };
    // SAFETY: a live page; it takes the floating message; nobody waits for an answer.
    unsafe {
        sys::webkit_web_page_send_message_to_view(page, message, null_mut(), None, null_mut());
    };
    // SAFETY: ours, given up once; the message has its own reference.
    unsafe { gobject_sys::g_object_unref(files.cast()) };
    // As an honest page does; a link that came of it stays open.
    std::thread::spawn(move || {
        std::mem::forget(establish(ours, &limits(), PeerIdentity::default()));
    });
    true
}
