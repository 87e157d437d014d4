//! Tauri's side: an application on the mock runtime, which needs no display.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use tauri::ipc::{CallbackFn, InvokeBody, InvokeError, InvokeResponse, InvokeResponseBody};
use tauri::test::{INVOKE_KEY, MockRuntime, mock_builder, mock_context, noop_assets};
use tauri::utils::acl::ExecutionContext;
use tauri::utils::acl::resolved::Resolved;
use tauri::webview::InvokeRequest;
use tauri::{App, Context, Url, WebviewWindow, WebviewWindowBuilder};

use crate::cases::{Body, Case, Gate};
use crate::commands::types::Managed;
use crate::outcome::Outcome;
use crate::quiet::caught;

/// Where a local page comes from.
pub const LOCAL: &str = if cfg!(any(windows, target_os = "android")) {
    "http://tauri.localhost"
} else {
    "tauri://localhost"
};

/// Plugins' commands are closed in Tauri without a capability: what is said of those that are not
/// there is seen only behind one.
const OPEN_PLUGIN_COMMANDS: &[&str] = &[
    "plugin:files|scan",
    "plugin:files|forget",
    "plugin:files|missing",
    "plugin:missing|scan",
    "plugin:missing",
    "plugin:files|scan|deep",
];

/// Turns a hang into a failure; nothing here takes a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// An application with every command of the set for each gate.
pub struct Theirs {
    open: Side,
    greet: Side,
}

struct Side {
    webview: WebviewWindow<MockRuntime>,
    _app: App<MockRuntime>,
}

impl Theirs {
    /// Builds them.
    pub fn start() -> Self {
        Self { open: Side::start(Gate::Open), greet: Side::start(Gate::Greet) }
    }

    /// The outcome of a case.
    pub fn call(&self, case: &Case) -> Outcome {
        let side = match case.gate {
            Gate::Open => &self.open,
            Gate::Greet => &self.greet,
        };
        let body = match &case.body {
            Body::Json(value) => InvokeBody::Json(value.clone()),
            Body::Raw(bytes) => InvokeBody::Raw(bytes.clone()),
        };
        call(&side.webview, &case.command, body, LOCAL)
    }
}

impl Side {
    fn start(gate: Gate) -> Self {
        let mut context: Context<MockRuntime> = mock_context(noop_assets());
        let (has_app_acl, allowed) = match gate {
            Gate::Open => (false, OPEN_PLUGIN_COMMANDS),
            Gate::Greet => (true, ["greet"].as_slice()),
        };
        let resolved = Resolved { has_app_acl, ..Resolved::default() };
        let mut authority = tauri::runtime_authority!(Default::default(), resolved);
        for command in allowed {
            authority.__allow_command((*command).to_owned(), ExecutionContext::Local);
        }
        *context.runtime_authority_mut() = authority;
        let app = mock_builder()
            .plugin(crate::commands::names::plugin_for_tauri())
            .invoke_handler(crate::commands::for_tauri)
            .manage(Managed(41))
            .build(context)
            .expect("an application on the mock runtime");
        let webview = window(&app, "main");
        Self { webview, _app: app }
    }
}

/// A window with its webview.
pub fn window(app: &App<MockRuntime>, label: &str) -> WebviewWindow<MockRuntime> {
    WebviewWindowBuilder::new(app, label, tauri::WebviewUrl::default())
        .build()
        .expect("a window on the mock runtime")
}

/// One call by the page at `origin`. As `tauri::test::get_ipc_response`, which panics where a
/// promise would wait for ever.
pub fn call(
    webview: &WebviewWindow<MockRuntime>,
    command: &str,
    body: InvokeBody,
    origin: &str,
) -> Outcome {
    let request = InvokeRequest {
        cmd: command.to_owned(),
        callback: CallbackFn(0),
        error: CallbackFn(1),
        url: origin.parse::<Url>().expect("an origin is a URL"),
        body,
        headers: Default::default(),
        invoke_key: INVOKE_KEY.to_owned(),
    };
    let (answer, answered) = sync_channel(1);
    let webview: &tauri::Webview<MockRuntime> = webview.as_ref();
    let webview = webview.clone();
    let dispatched = caught(|| {
        webview.on_message(
            request,
            Box::new(move |_, _, response, _, _| {
                let _ = answer.send(response);
            }),
        );
    });
    if dispatched.is_none() {
        return Outcome::unwinds();
    }
    match answered.recv_timeout(PATIENCE) {
        Ok(InvokeResponse::Ok(InvokeResponseBody::Json(text))) => Outcome::json(&text),
        Ok(InvokeResponse::Ok(InvokeResponseBody::Raw(bytes))) => Outcome::raw(&bytes),
        Ok(InvokeResponse::Err(InvokeError(value))) => Outcome::error(&value),
        // Whoever could have answered is gone.
        Err(RecvTimeoutError::Disconnected) => Outcome::no_answer(),
        Err(RecvTimeoutError::Timeout) => Outcome::broken("Tauri neither answered nor gave up"),
    }
}
