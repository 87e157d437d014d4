//! An app on Tauri's mock runtime, and pages of it.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use serde_json::Value;
use tauri::http::HeaderMap;
use tauri::ipc::{CallbackFn, InvokeBody, InvokeError, InvokeResponse, InvokeResponseBody};
use tauri::test::{INVOKE_KEY, MockRuntime};
use tauri::webview::InvokeRequest;
use tauri::{App, WebviewWindow, WebviewWindowBuilder};

/// Turns a hang into a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where a local page comes from.
pub const LOCAL: &str = if cfg!(any(windows, target_os = "android")) {
    "http://tauri.localhost"
} else {
    "tauri://localhost"
};

/// How a call ended, as the page sees it.
pub type Outcome = Result<InvokeResponseBody, Value>;

/// A window with its page.
///
/// # Panics
///
/// If the mock runtime refuses, which it does not.
#[must_use]
pub fn page(app: &App<MockRuntime>, label: &str) -> WebviewWindow<MockRuntime> {
    #[allow(clippy::unwrap_used, reason = "the mock runtime makes every window")]
    WebviewWindowBuilder::new(app, label, tauri::WebviewUrl::default()).build().unwrap()
}

/// Begins a call of a page.
///
/// # Panics
///
/// If [`LOCAL`] were no URL.
pub fn begin(
    page: &WebviewWindow<MockRuntime>,
    command: &str,
    body: impl Into<InvokeBody>,
    headers: HeaderMap,
) -> Receiver<Outcome> {
    #[allow(clippy::unwrap_used, reason = "a constant")]
    let url = LOCAL.parse().unwrap();
    let request = InvokeRequest {
        cmd: command.to_owned(),
        callback: CallbackFn(0),
        error: CallbackFn(1),
        url,
        body: body.into(),
        headers,
        invoke_key: INVOKE_KEY.to_owned(),
    };
    let (answer, answered) = sync_channel(1);
    let webview: &tauri::Webview<MockRuntime> = page.as_ref();
    webview.clone().on_message(
        request,
        Box::new(move |_, _, response, _, _| {
            // Whoever asked may have gone.
            let _ = answer.send(match response {
                InvokeResponse::Ok(body) => Ok(body),
                InvokeResponse::Err(InvokeError(value)) => Err(value),
            });
        }),
    );
    answered
}
