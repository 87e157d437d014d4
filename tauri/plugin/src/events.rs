//! Listeners of pages: an event goes to the page through the page's hop, not as a script.
//!
//! Tauri has no hook for events on their way to a page. So a page's listen is answered here: a
//! listener in the core stands for the page's and passes the payload on. Listeners with a target of
//! their own stay with Tauri.

use std::sync::Arc;

use serde::Deserialize;
use tauri::ipc::InvokeBody;
use tauri::{Event, EventId, EventTarget, Listener as _, Webview, Wry};

use crate::links::Outlet;

pub(crate) const LISTEN: &str = "plugin:event|listen";
pub(crate) const UNLISTEN: &str = "plugin:event|unlisten";

#[derive(Deserialize)]
struct Listen {
    event: String,
    target: EventTarget,
    handler: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unlisten {
    event_id: EventId,
}

/// Listens in the page's place: the listener's id and the page's function; None if Tauri must see to
/// it, be it only to say no.
pub(crate) fn listen(
    webview: &Webview<Wry>,
    outlet: &Arc<dyn Outlet>,
    body: &InvokeBody,
) -> Option<(EventId, u32)> {
    let InvokeBody::Json(value) = body else { return None };
    let Listen { event, target, handler } = Listen::deserialize(value).ok()?;
    if !is_event_name(&event) || !is_allowed(webview, "listen") {
        return None;
    }
    let outlet = Arc::clone(outlet);
    let name = event.clone();
    let forward = move |event: Event| {
        outlet.event(handler, event.id(), &name, event.payload());
        #[cfg(target_os = "linux")]
        crate::late::came();
    };
    // Not those with a target of their own: Tauri's `emit_filter` forgets its filter for listeners in the
    // core when two threads emit at once, and what is meant for one window would reach another.
    let id = match target {
        EventTarget::Any => webview.listen_any(event, forward),
        _ => return None,
    };
    #[cfg(target_os = "linux")]
    crate::late::listening();
    Some((id, handler))
}

/// The listener that a page no longer wants, if it may say so.
pub(crate) fn unlistened(webview: &Webview<Wry>, body: &InvokeBody) -> Option<EventId> {
    let InvokeBody::Json(value) = body else { return None };
    let Unlisten { event_id } = Unlisten::deserialize(value).ok()?;
    is_allowed(webview, "unlisten").then_some(event_id)
}

/// Tauri's rule, whose breach is Tauri's to report. The name also goes into JSON as it is.
fn is_event_name(name: &str) -> bool {
    name.len() <= usize::from(u16::MAX)
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '/' | ':' | '_'))
}

fn is_allowed(webview: &Webview<Wry>, command: &str) -> bool {
    let scope = webview.resolve_command_scope::<serde_json::Value>("event", command);
    matches!(scope, Ok(Some(_)))
}
