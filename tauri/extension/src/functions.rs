//! The functions that a page gets.
//!
//! | function | does | gives |
//! |---|---|---|
//! | `open(deliver, incoming, outgoing, key)` | begins; `deliver` is called with what comes in: text, or place and length of text in `incoming`, or place and length of a part of a body there and the length of the whole; with null at the end | whether there may be a link |
//! | `send(text)` | sends a call with JSON | whether it was taken |
//! | `raw(length, text or null)` | sends a part of a call with bytes from `outgoing`, the last one with the call's text | whether it was taken |
//! | `close()` | ends the link | |

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null;
use std::rc::Rc;

use crate::js::{Arguments, Value, number_of};
use crate::page::Page;
use crate::sys::*;

thread_local! {
    static CLASS: JSClassRef = make_class();
}

/// The class of the objects with these functions.
pub(crate) fn class() -> JSClassRef {
    CLASS.with(|class| *class)
}

fn make_class() -> JSClassRef {
    let function = |name: &'static std::ffi::CStr, call: JSObjectCallAsFunctionCallback| {
        JSStaticFunction { name: name.as_ptr(), call: Some(call), attributes: FIXED }
    };
    let functions = [
        function(c"open", open),
        function(c"send", send),
        function(c"raw", raw),
        function(c"close", close),
        JSStaticFunction { name: null(), call: None, attributes: 0 },
    ];
    let definition = JSClassDefinition {
        version: 0,
        attributes: 0,
        class_name: c"Tramline".as_ptr(),
        parent_class: std::ptr::null_mut(),
        static_values: null(),
        static_functions: functions.as_ptr(),
        callbacks: [null(); 11],
    };
    // SAFETY: the definition is copied; its names live for ever, its list ends with an empty entry.
    unsafe { JSClassCreate(&raw const definition) }
}

/// What all functions have in common: which page, which arguments, no panic.
///
/// # Safety
///
/// As JavaScriptCore calls a function: all values alive and of `ctx`, on the main thread.
unsafe fn answer(
    ctx: JSContextRef,
    this: JSObjectRef,
    count: usize,
    values: *const JSValueRef,
    run: impl FnOnce(&Rc<Page>, &Arguments<'_>) -> Value,
) -> JSValueRef {
    // SAFETY: a live object.
    let number = unsafe { number_of(this) };
    let values: &[JSValueRef] = if count == 0 {
        &[]
    } else {
        // SAFETY: JavaScriptCore passes as many values as it says; nobody writes them.
        unsafe { std::slice::from_raw_parts(values, count) }
    };
    // SAFETY: live values of this context.
    let arguments = unsafe { Arguments::new(ctx, values) };
    let run = AssertUnwindSafe(|| {
        crate::page(number).map_or(Value::Truth(false), |page| run(&page, &arguments))
    });
    let value = catch_unwind(run).unwrap_or(Value::Truth(false));
    // SAFETY: a live context, on its thread.
    unsafe { value.into_js(ctx) }
}

macro_rules! functions {
    ($($name:ident |$page:ident, $arguments:ident| $body:block)*) => {$(
        unsafe extern "C" fn $name(
            ctx: JSContextRef,
            _function: JSObjectRef,
            this: JSObjectRef,
            count: usize,
            values: *const JSValueRef,
            _exception: *mut JSValueRef,
        ) -> JSValueRef {
            let run = |$page: &Rc<Page>, $arguments: &Arguments<'_>| -> Value { $body };
            // SAFETY: called by JavaScriptCore.
            unsafe { answer(ctx, this, count, values, run) }
        }
    )*};
}

functions! {
    open |page, arguments| {
        let objects = (arguments.function(0), arguments.object(1), arguments.object(2));
        let (Some(deliver), Some(incoming), Some(outgoing)) = objects else {
            return Value::Truth(false);
        };
        let mut key = Vec::new();
        if !arguments.append_text(3, &mut key) {
            return Value::Truth(false);
        }
        // SAFETY: a live object of this page's context.
        let deliver = unsafe { page.context().protect(deliver) };
        // SAFETY: as above.
        let incoming = unsafe { page.context().protect(incoming) };
        // SAFETY: as above.
        let outgoing = unsafe { page.context().protect(outgoing) };
        Value::Truth(page.open(deliver, [incoming, outgoing], &key))
    }
    send |page, arguments| {
        Value::Truth(page.send_text(|target| arguments.append_text(0, target)))
    }
    raw |page, arguments| {
        let Some(len) = arguments.count(0) else { return Value::Truth(false) };
        Value::Truth(page.send_raw(|target| arguments.append_text(1, target), len))
    }
    close |page, _arguments| {
        page.close();
        Value::Truth(true)
    }
}
