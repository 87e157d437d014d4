//! The accelerated way: a ring in memory shared with WebKit's web process.
//!
//! | file | does |
//! |---|---|
//! | `extension` | brings the web-process extension into the web process |
//! | `sweep` | takes away what apps left behind that were killed |
//! | `hop` | one view: takes the link of each page it shows, drops it when the page goes |
//! | `link` | one link: reads calls on the main loop, and dispatches them |
//! | `outlet` | messages to a page, as the ring carries them |
//! | `fault` | what a page did that it must not |

mod extension;
mod fault;
mod hop;
mod link;
mod outlet;
mod sweep;

use std::sync::Arc;

use tauri::{AppHandle, Webview, Wry};

use self::fault::Fault;
use crate::Options;
use crate::links::Links;
use crate::origins::Origins;

/// Why there can be no ring on this machine.
pub(crate) fn unavailable() -> Option<&'static str> {
    tramline_transport_shm::unavailable()
}

/// Has web processes that start from now on load the extension.
pub(crate) fn install(app: &AppHandle<Wry>, origins: &[String]) {
    if let Err(error) = extension::install(app, origins) {
        without_ring(&format!("the web-process extension was not installed: {error}"));
    }
}

/// Watches a view from now on.
pub(crate) fn watch(
    webview: Webview<Wry>,
    links: &Arc<Links>,
    origins: &Arc<Origins>,
    options: Options,
) {
    hop::watch(webview, Arc::clone(links), Arc::clone(origins), options);
}

/// The app ends.
pub(crate) fn remove() {
    extension::remove();
}

/// Says what a page did.
fn report(label: &str, fault: &Fault) {
    log::warn!("tramline[{}]: page '{label}': {fault}", fault.code());
}

/// Says why calls do not go through the ring.
pub(crate) fn without_ring(why: &str) {
    log::warn!("tramline: calls go without shared memory: {why}");
}
