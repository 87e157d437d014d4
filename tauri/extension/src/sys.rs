//! The C functions that we use of JavaScriptCore and of WebKit's web-process side. Types and
//! signatures as in the headers of WebKitGTK 2.50, API 4.1.

#![allow(non_camel_case_types, reason = "C's names")]

use std::ffi::{c_char, c_int, c_uint, c_void};

use gio_sys::GUnixFDList;
use glib_sys::{GVariant, gboolean};

/// Opaque: behind all of JavaScriptCore's and WebKit's pointers.
#[repr(C)]
pub(crate) struct Opaque(c_void);

pub(crate) type JSContextRef = *const Opaque;
pub(crate) type JSGlobalContextRef = *mut Opaque;
pub(crate) type JSValueRef = *const Opaque;
pub(crate) type JSObjectRef = *mut Opaque;
pub(crate) type JSStringRef = *mut Opaque;
pub(crate) type JSClassRef = *mut Opaque;

pub(crate) type JSObjectCallAsFunctionCallback = unsafe extern "C" fn(
    ctx: JSContextRef,
    function: JSObjectRef,
    this: JSObjectRef,
    argument_count: usize,
    arguments: *const JSValueRef,
    exception: *mut JSValueRef,
) -> JSValueRef;

#[repr(C)]
pub(crate) struct JSStaticFunction {
    pub(crate) name: *const c_char,
    pub(crate) call: Option<JSObjectCallAsFunctionCallback>,
    pub(crate) attributes: c_uint,
}

/// Read-only, not enumerable, not deletable.
pub(crate) const FIXED: c_uint = 2 | 4 | 8;
/// Not enumerable.
pub(crate) const HIDDEN: c_uint = 4;

#[repr(C)]
pub(crate) struct JSClassDefinition {
    pub(crate) version: c_int,
    pub(crate) attributes: c_uint,
    pub(crate) class_name: *const c_char,
    pub(crate) parent_class: JSClassRef,
    pub(crate) static_values: *const c_void,
    pub(crate) static_functions: *const JSStaticFunction,
    pub(crate) callbacks: [*const c_void; 11],
}

pub(crate) enum WebKitScriptWorld {}
pub(crate) enum WebKitWebPage {}
pub(crate) enum WebKitFrame {}
pub(crate) enum WebKitUserMessage {}

unsafe extern "C" {
    pub(crate) fn JSClassCreate(definition: *const JSClassDefinition) -> JSClassRef;
    pub(crate) fn JSContextGetGlobalObject(ctx: JSContextRef) -> JSObjectRef;
    pub(crate) fn JSGlobalContextRetain(ctx: JSGlobalContextRef) -> JSGlobalContextRef;
    pub(crate) fn JSGlobalContextRelease(ctx: JSGlobalContextRef);
    pub(crate) fn JSObjectMake(
        ctx: JSContextRef,
        class: JSClassRef,
        data: *mut c_void,
    ) -> JSObjectRef;
    pub(crate) fn JSObjectGetPrivate(object: JSObjectRef) -> *mut c_void;
    pub(crate) fn JSObjectSetProperty(
        ctx: JSContextRef,
        object: JSObjectRef,
        name: JSStringRef,
        value: JSValueRef,
        attributes: c_uint,
        exception: *mut JSValueRef,
    );
    pub(crate) fn JSObjectIsFunction(ctx: JSContextRef, object: JSObjectRef) -> bool;
    pub(crate) fn JSObjectCallAsFunction(
        ctx: JSContextRef,
        object: JSObjectRef,
        this: JSObjectRef,
        argument_count: usize,
        arguments: *const JSValueRef,
        exception: *mut JSValueRef,
    ) -> JSValueRef;
    pub(crate) fn JSObjectGetTypedArrayBytesPtr(
        ctx: JSContextRef,
        object: JSObjectRef,
        exception: *mut JSValueRef,
    ) -> *mut c_void;
    pub(crate) fn JSObjectGetTypedArrayByteLength(
        ctx: JSContextRef,
        object: JSObjectRef,
        exception: *mut JSValueRef,
    ) -> usize;
    pub(crate) fn JSStringCreateWithUTF8CString(string: *const c_char) -> JSStringRef;
    pub(crate) fn JSStringRelease(string: JSStringRef);
    pub(crate) fn JSStringGetLength(string: JSStringRef) -> usize;
    pub(crate) fn JSStringGetCharactersPtr(string: JSStringRef) -> *const u16;
    pub(crate) fn JSValueIsObject(ctx: JSContextRef, value: JSValueRef) -> bool;
    pub(crate) fn JSValueIsString(ctx: JSContextRef, value: JSValueRef) -> bool;
    pub(crate) fn JSValueIsNumber(ctx: JSContextRef, value: JSValueRef) -> bool;
    pub(crate) fn JSValueMakeBoolean(ctx: JSContextRef, value: bool) -> JSValueRef;
    pub(crate) fn JSValueMakeNull(ctx: JSContextRef) -> JSValueRef;
    pub(crate) fn JSValueMakeNumber(ctx: JSContextRef, value: f64) -> JSValueRef;
    pub(crate) fn JSValueMakeString(ctx: JSContextRef, string: JSStringRef) -> JSValueRef;
    pub(crate) fn JSValueToBoolean(ctx: JSContextRef, value: JSValueRef) -> bool;
    pub(crate) fn JSValueToNumber(
        ctx: JSContextRef,
        value: JSValueRef,
        exception: *mut JSValueRef,
    ) -> f64;
    pub(crate) fn JSValueToStringCopy(
        ctx: JSContextRef,
        value: JSValueRef,
        exception: *mut JSValueRef,
    ) -> JSStringRef;
    pub(crate) fn JSValueProtect(ctx: JSContextRef, value: JSValueRef);
    pub(crate) fn JSValueUnprotect(ctx: JSContextRef, value: JSValueRef);

    pub(crate) fn webkit_script_world_get_default() -> *mut WebKitScriptWorld;
    pub(crate) fn webkit_frame_is_main_frame(frame: *mut WebKitFrame) -> gboolean;
    pub(crate) fn webkit_frame_get_uri(frame: *mut WebKitFrame) -> *const c_char;
    pub(crate) fn webkit_frame_get_javascript_global_context(
        frame: *mut WebKitFrame,
    ) -> JSGlobalContextRef;
    pub(crate) fn webkit_web_page_get_id(page: *mut WebKitWebPage) -> u64;
    pub(crate) fn webkit_web_page_send_message_to_view(
        page: *mut WebKitWebPage,
        message: *mut WebKitUserMessage,
        cancellable: *mut gio_sys::GCancellable,
        callback: gio_sys::GAsyncReadyCallback,
        data: *mut c_void,
    );
    pub(crate) fn webkit_user_message_new_with_fd_list(
        name: *const c_char,
        parameters: *mut GVariant,
        files: *mut GUnixFDList,
    ) -> *mut WebKitUserMessage;
}
