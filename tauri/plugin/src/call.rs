//! A call as the page sent it, and as Tauri takes it; how it is dispatched.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(target_os = "linux")]
use tauri::Manager as _;
use tauri::http::HeaderMap;
use tauri::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN};
use tauri::ipc::{CallbackFn, InvokeBody, InvokeError, InvokeResponse, InvokeResponseBody};
use tauri::webview::InvokeRequest;
use tauri::{EventId, Listener as _, Url, Webview, Wry};

use crate::events;
#[cfg(target_os = "linux")]
use crate::handles;
use crate::links::Outlet;

/// A call, as a hop found it in what the page sent.
pub(crate) struct Call<'a> {
    pub(crate) callback: u32,
    pub(crate) error: u32,
    pub(crate) command: &'a str,
    /// Empty, or a JSON array of pairs of strings.
    pub(crate) headers: &'a str,
    pub(crate) arguments: Arguments<'a>,
}

/// What a command is called with.
pub(crate) enum Arguments<'a> {
    /// JSON, or empty for none.
    Json(&'a [u8]),
    /// Bytes.
    Raw(&'a [u8]),
}

/// A call, taken out of its message.
pub(crate) struct Request {
    pub(crate) callback: u32,
    pub(crate) error: u32,
    pub(crate) command: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: InvokeBody,
}

/// A call that cannot be made; the page is told.
pub(crate) struct BadCall {
    pub(crate) callback: u32,
    pub(crate) error: u32,
    pub(crate) why: String,
}

impl Request {
    /// Reads a call as Tauri reads a request; `origin` is added as the web engine would. `own` makes
    /// a body of bytes the request's.
    pub(crate) fn read(
        call: &Call<'_>,
        origin: &HeaderValue,
        own: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Self, BadCall> {
        let bad = |why: String| BadCall { callback: call.callback, error: call.error, why };
        let mut headers = read_headers(call.headers).map_err(bad)?;
        let (kind, body) = match call.arguments {
            Arguments::Json([]) => (
                "application/json",
                InvokeBody::Json(serde_json::Value::Object(Default::default())),
            ),
            Arguments::Json(text) => {
                let value = serde_json::from_slice(text).map_err(|error| bad(error.to_string()))?;
                ("application/json", InvokeBody::Json(value))
            }
            Arguments::Raw(bytes) => ("application/octet-stream", InvokeBody::Raw(own(bytes))),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(ORIGIN, origin.clone());
        let command = call.command.to_owned();
        Ok(Self { callback: call.callback, error: call.error, command, headers, body })
    }
}

/// A choice: far more than any page sends, far less than a map of them may hold.
const MAX_HEADERS: usize = 256;

fn read_headers(text: &str) -> Result<HeaderMap, String> {
    if text.is_empty() {
        return Ok(HeaderMap::with_capacity(2));
    }
    let pairs: Vec<(String, String)> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    if pairs.len() > MAX_HEADERS {
        return Err(format!("{} headers, the limit is {MAX_HEADERS}", pairs.len()));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Listeners of one page in the core; further ones are Tauri's. Tauri looks through the names of all
/// events for each that goes. A choice: far more than a page has at once.
const MAX_LISTENERS: usize = 1000;

/// Who calls: one page, on the main thread.
pub(crate) struct Caller {
    pub(crate) webview: Webview<Wry>,
    key: String,
    /// The page's, as this process sees it.
    url: Url,
    pub(crate) origin: HeaderValue,
    outlet: Arc<dyn Outlet>,
    listeners: Mutex<HashSet<EventId>>,
}

impl Caller {
    /// A page of this origin. What it is told goes through `outlet`.
    pub(crate) fn new(
        webview: Webview<Wry>,
        key: String,
        url: Url,
        outlet: Arc<dyn Outlet>,
    ) -> Result<Self, &'static str> {
        let origin =
            HeaderValue::from_str(url.as_str()).map_err(|_| "an origin that is no text")?;
        Ok(Self { webview, key, url, origin, outlet, listeners: Mutex::default() })
    }

    /// Whether that is Tauri's invoke key.
    #[cfg(target_os = "linux")]
    pub(crate) fn has_key(&self, key: &[u8]) -> bool {
        key == self.key.as_bytes()
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn outlet(&self) -> &Arc<dyn Outlet> {
        &self.outlet
    }

    fn listeners(&self) -> MutexGuard<'_, HashSet<EventId>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rejects a call that did not get as far as its command.
    pub(crate) fn refuse(&self, bad: &BadCall) {
        refuse(&*self.outlet, bad.callback, bad.error, &bad.why);
    }

    /// Has Tauri make the call, unless it is one that is answered here.
    pub(crate) fn dispatch(&self, request: Request) {
        let Request { callback, error, command, headers, body } = request;
        if command == events::LISTEN
            && self.listeners().len() < MAX_LISTENERS
            && let Some((id, handler)) = events::listen(&self.webview, &self.outlet, &body)
        {
            self.listeners().insert(id);
            self.outlet.listened(callback, error, id, handler);
            return;
        }
        if command == events::UNLISTEN
            && let Some(id) = events::unlistened(&self.webview, &body)
            && self.listeners().remove(&id)
        {
            self.webview.unlisten(id);
            let nothing = InvokeResponse::Ok(InvokeResponseBody::Json("null".to_owned()));
            self.outlet.answer(callback, error, nothing);
            return;
        }
        #[cfg(target_os = "linux")]
        handles::count_call(self.webview.app_handle());
        let outlet = Arc::clone(&self.outlet);
        let behind_scripts = command == events::LISTEN;
        let request = InvokeRequest {
            cmd: command,
            callback: CallbackFn(callback),
            error: CallbackFn(error),
            url: self.url.clone(),
            body,
            headers,
            invoke_key: self.key.clone(),
        };
        // Cloned on the main thread, as Tauri's handles must be on Linux.
        self.webview.clone().on_message(
            request,
            Box::new(move |webview, _, response, callback, error| {
                if behind_scripts {
                    // Tauri's own listen has put a script into the main thread's queue. An event that
                    // the page asks for when it has this answer must find it run.
                    let late = move || outlet.answer(callback.0, error.0, response);
                    // The event loop is over: so is the page.
                    let _ = webview.run_on_main_thread(late);
                } else {
                    outlet.answer(callback.0, error.0, response);
                }
            }),
        );
    }

    /// The page is gone, and its listeners with it.
    pub(crate) fn unlisten_all(&self) {
        let listeners = std::mem::take(&mut *self.listeners());
        for id in listeners {
            self.webview.unlisten(id);
        }
    }
}

/// Rejects a call that did not get as far as its command.
pub(crate) fn refuse(outlet: &dyn Outlet, callback: u32, error: u32, why: &str) {
    outlet.answer(callback, error, InvokeResponse::Err(InvokeError::from(why)));
}

/// The text of a value that is JSON already.
pub(crate) fn json_of(value: &serde_json::Value) -> Vec<u8> {
    // It always becomes text.
    serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec())
}
