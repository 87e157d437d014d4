//! JavaScript values of one page, held and used safely on the web process's main thread.

use std::ffi::{CStr, CString, c_void};
use std::marker::PhantomData;
use std::ptr::{NonNull, null, null_mut};

use crate::sys::*;
use crate::text::append_utf8;

/// A page's context, kept alive.
pub(crate) struct Context {
    raw: NonNull<Opaque>,
    /// One thread's: JavaScript is not used from another.
    here: PhantomData<*mut ()>,
}

impl Context {
    /// # Safety
    ///
    /// `raw` is a live context, and this is the web process's main thread.
    pub(crate) unsafe fn retain(raw: JSGlobalContextRef) -> Option<Self> {
        let raw = NonNull::new(raw)?;
        // SAFETY: alive by the caller's promise.
        unsafe { JSGlobalContextRetain(raw.as_ptr()) };
        Some(Self { raw, here: PhantomData })
    }

    pub(crate) fn as_ptr(&self) -> JSContextRef {
        self.raw.as_ptr()
    }

    /// Keeps a value from being collected.
    ///
    /// # Safety
    ///
    /// `value` is a live object of this context.
    pub(crate) unsafe fn protect(&self, value: JSObjectRef) -> Protected {
        // SAFETY: alive and of this context, by the caller's promise.
        unsafe { JSValueProtect(self.as_ptr(), value) };
        // SAFETY: this context is alive, and this is its thread.
        let context = unsafe { Self::retain(self.raw.as_ptr()) };
        Protected { context, value }
    }

    /// Gives the page's global object a property.
    pub(crate) fn set_global(&self, name: &str, object: JSObjectRef) {
        let Some(name) = CString::new(name).ok().and_then(|name| JsString::new(&name)) else {
            return;
        };
        // SAFETY: the context is alive as long as `self`.
        let global = unsafe { JSContextGetGlobalObject(self.as_ptr()) };
        // SAFETY: all of this context and alive; a null exception is allowed.
        unsafe { JSObjectSetProperty(self.as_ptr(), global, name.0, object, HIDDEN, null_mut()) };
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained in `retain`, released once.
        unsafe { JSGlobalContextRelease(self.raw.as_ptr()) };
    }
}

/// An object that is not collected, with its context.
pub(crate) struct Protected {
    context: Option<Context>,
    value: JSObjectRef,
}

impl Protected {
    /// Calls it as a function: what it returns as a boolean; false if it throws.
    pub(crate) fn call(&self, with: With<'_>) -> bool {
        let Some(context) = &self.context else { return false };
        let ctx = context.as_ptr();
        let text = if let With::Text(text) = with { JsString::new(text) } else { None };
        let argument = match (with, &text) {
            // SAFETY: the context is alive, and the string.
            (With::Text(_), Some(text)) => unsafe { JSValueMakeString(ctx, text.0) },
            // SAFETY: the context is alive, on its thread.
            (With::Range(offset, _) | With::Part(offset, ..), _) => unsafe {
                Value::Count(offset).into_js(ctx)
            },
            // SAFETY: the context is alive.
            _ => unsafe { JSValueMakeNull(ctx) },
        };
        let mut exception: JSValueRef = null();
        let (len, whole) = match with {
            With::Range(_, len) => (len, 0),
            With::Part(_, len, whole) => (len, whole),
            With::Null | With::Text(_) => (0, 0),
        };
        // SAFETY: the context is alive, on its thread.
        let number = |count| unsafe { Value::Count(count).into_js(ctx) };
        let arguments = [argument, number(len), number(whole)];
        // SAFETY: a protected function of this context; the arguments live on the stack, which is
        // searched by the collector.
        let result = unsafe {
            JSObjectCallAsFunction(
                ctx,
                self.value,
                null_mut(),
                arguments.len(),
                arguments.as_ptr(),
                &raw mut exception,
            )
        };
        if result.is_null() || !exception.is_null() {
            return false;
        }
        // SAFETY: a value that was just returned.
        unsafe { JSValueToBoolean(ctx, result) }
    }

    /// Copies `bytes` to `offset` of its own: false, and nothing, if they do not fit.
    pub(crate) fn put(&self, offset: usize, bytes: &[u8]) -> bool {
        // SAFETY: no JavaScript in there.
        unsafe { self.with_bytes(|area| area.put(offset, bytes)) }
    }

    /// Shows its bytes to `with`. If it is no typed array, or has lost its bytes, there are none.
    ///
    /// # Safety
    ///
    /// `with` runs no JavaScript: that could take the bytes away, or change them.
    pub(crate) unsafe fn with_bytes<T>(&self, with: impl FnOnce(Bytes<'_>) -> T) -> T {
        let nothing = Bytes { start: NonNull::dangling(), len: 0, life: PhantomData };
        let Some(context) = &self.context else { return with(nothing) };
        // SAFETY: a protected object of a live context; other objects than typed arrays give 0.
        let len =
            unsafe { JSObjectGetTypedArrayByteLength(context.as_ptr(), self.value, null_mut()) };
        // SAFETY: as above; gives null then.
        let start =
            unsafe { JSObjectGetTypedArrayBytesPtr(context.as_ptr(), self.value, null_mut()) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if len > 0 => with(Bytes { start, len, life: PhantomData }),
            _ => with(nothing),
        }
    }
}

impl Drop for Protected {
    fn drop(&mut self) {
        if let Some(context) = &self.context {
            // SAFETY: protected once in `protect`, with the same context, which is still retained.
            unsafe { JSValueUnprotect(context.as_ptr(), self.value) };
        }
    }
}

/// What a function is called with.
#[derive(Clone, Copy)]
pub(crate) enum With<'a> {
    Null,
    Text(&'a CStr),
    /// An offset and a length.
    Range(usize, usize),
    /// An offset and a length, and the length of the whole that this is a part of.
    Part(usize, usize, usize),
}

/// The bytes of a typed array, for as long as no JavaScript runs.
pub(crate) struct Bytes<'a> {
    start: NonNull<u8>,
    len: usize,
    life: PhantomData<&'a ()>,
}

impl Bytes<'_> {
    /// Copies `bytes` to `offset`: false, and nothing, if they do not fit.
    fn put(&self, offset: usize, bytes: &[u8]) -> bool {
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.len) {
            return false;
        }
        // SAFETY: in bounds, just checked.
        let target = unsafe { self.start.add(offset) };
        // SAFETY: both ends are in bounds; the array is JavaScript's, so no slice of ours overlaps
        // it; no JavaScript runs, so nobody else writes it.
        unsafe { target.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        true
    }

    #[cfg(feature = "attacks")]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Its first `len` bytes, if there are as many.
    pub(crate) fn get(&self, len: usize) -> Option<&[u8]> {
        // SAFETY:
        // - in bounds: checked; alive: the array is protected, and only JavaScript could detach it.
        // - unchanged: only JavaScript writes it, none runs as long as `self` lives, and another
        //   thread cannot have it, for it is no shared array.
        (len <= self.len).then(|| unsafe { std::slice::from_raw_parts(self.start.as_ptr(), len) })
    }
}

/// A string of JavaScriptCore's.
struct JsString(JSStringRef);

impl JsString {
    fn new(text: &CStr) -> Option<Self> {
        // SAFETY: ends with a zero byte; the bytes are copied.
        let string = unsafe { JSStringCreateWithUTF8CString(text.as_ptr()) };
        (!string.is_null()).then_some(Self(string))
    }
}

impl Drop for JsString {
    fn drop(&mut self) {
        // SAFETY: ours, released once.
        unsafe { JSStringRelease(self.0) };
    }
}

/// The arguments of a call from JavaScript.
pub(crate) struct Arguments<'a> {
    ctx: JSContextRef,
    values: &'a [JSValueRef],
}

impl<'a> Arguments<'a> {
    /// # Safety
    ///
    /// `values` are live values of `ctx`, and this is its thread.
    pub(crate) unsafe fn new(ctx: JSContextRef, values: &'a [JSValueRef]) -> Self {
        Self { ctx, values }
    }

    fn get(&self, index: usize) -> Option<JSValueRef> {
        self.values.get(index).copied()
    }

    /// An object.
    pub(crate) fn object(&self, index: usize) -> Option<JSObjectRef> {
        let value = self.get(index)?;
        // SAFETY: a live value of this context.
        let is_object = unsafe { JSValueIsObject(self.ctx, value) };
        is_object.then_some(value.cast_mut())
    }

    /// A function.
    pub(crate) fn function(&self, index: usize) -> Option<JSObjectRef> {
        let object = self.object(index)?;
        // SAFETY: a live object of this context.
        let is_function = unsafe { JSObjectIsFunction(self.ctx, object) };
        is_function.then_some(object)
    }

    /// A number that is a count.
    pub(crate) fn count(&self, index: usize) -> Option<usize> {
        let value = self.get(index)?;
        // SAFETY: a live value of this context.
        if !unsafe { JSValueIsNumber(self.ctx, value) } {
            return None;
        }
        // SAFETY: as above; numbers do not throw.
        let number = unsafe { JSValueToNumber(self.ctx, value, null_mut()) };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        (0.0..=f64::from(u32::MAX)).contains(&number).then_some(number as usize)
    }

    /// A boolean.
    #[cfg(feature = "attacks")]
    pub(crate) fn truth(&self, index: usize) -> bool {
        // SAFETY: a live value of this context.
        self.get(index).is_some_and(|value| unsafe { JSValueToBoolean(self.ctx, value) })
    }

    /// Appends a string to `target` as UTF-8: false, and nothing, if it is none.
    pub(crate) fn append_text(&self, index: usize, target: &mut Vec<u8>) -> bool {
        let Some(value) = self.get(index) else { return false };
        // SAFETY: a live value of this context.
        if !unsafe { JSValueIsString(self.ctx, value) } {
            return false;
        }
        // SAFETY: as above; a string does not throw, and null is checked for.
        let string = unsafe { JSValueToStringCopy(self.ctx, value, null_mut()) };
        if string.is_null() {
            return false;
        }
        let string = JsString(string);
        // SAFETY: a live string.
        let len = unsafe { JSStringGetLength(string.0) };
        // SAFETY: as above.
        let units = unsafe { JSStringGetCharactersPtr(string.0) };
        if !units.is_null() {
            // SAFETY: as many units as the string has, which belong to it and are not written as
            // long as it lives.
            append_utf8(target, unsafe { std::slice::from_raw_parts(units, len) });
        }
        !units.is_null() || len == 0
    }
}

/// A value for JavaScript.
pub(crate) enum Value {
    Truth(bool),
    Count(usize),
}

impl Value {
    /// # Safety
    ///
    /// `ctx` is a live context, and this is its thread.
    pub(crate) unsafe fn into_js(self, ctx: JSContextRef) -> JSValueRef {
        match self {
            // SAFETY: by the caller's promise.
            Value::Truth(truth) => unsafe { JSValueMakeBoolean(ctx, truth) },
            #[allow(clippy::cast_precision_loss, reason = "below 2^32")]
            // SAFETY: by the caller's promise.
            Value::Count(count) => unsafe { JSValueMakeNumber(ctx, count as f64) },
        }
    }
}

/// The number that an object of ours was made with.
///
/// # Safety
///
/// `object` is a live object, and this is its thread.
pub(crate) unsafe fn number_of(object: JSObjectRef) -> usize {
    // SAFETY: by the caller's promise; objects of other classes give null or what they were made
    // with, which is then no number of ours, or one that was given away.
    unsafe { JSObjectGetPrivate(object) }.addr()
}

/// Makes an object of `class` with a number, none of which is 0.
pub(crate) fn object_with(context: &Context, class: JSClassRef, number: usize) -> JSObjectRef {
    // SAFETY: a live context and class; the number is stored as an address and never followed.
    unsafe {
        JSObjectMake(context.as_ptr(), class, std::ptr::without_provenance_mut::<c_void>(number))
    }
}
