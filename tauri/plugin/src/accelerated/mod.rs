//! The accelerated way: a ring in memory shared with WebKit's web process.
//!
//! | file | does |
//! |---|---|
//! | `extension` | brings the web-process extension into the web process |
//! | `sweep` | takes away what apps left behind that were killed |
//! | `hop` | one view: takes the link of each page it shows, drops it when the page goes |
//! | `link` | one link: reads calls on the main loop, and dispatches them |
//! | `call` | a call as the page sent it, and as Tauri takes it; its answer |
//! | `events` | listeners of pages |
//! | `late` | events that Tauri has put aside |
//! | `handles` | keeps Tauri's handles safe on other threads |
//! | `fault` | what a page did that it must not |
//! | `links` | which links are open, for channels |
//! | `transport.js` | the page's end |

mod call;
mod events;
mod extension;
mod fault;
mod handles;
mod hop;
mod late;
mod link;
mod links;
mod sweep;

use std::sync::Arc;

use tauri::plugin::{Builder as PluginBuilder, TauriPlugin};
use tauri::{Builder, RunEvent, Wry};

use self::fault::Fault;
use self::links::Links;
use crate::Options;

/// The script that takes the place of Tauri's.
const TRANSPORT: &str = include_str!("transport.js");

pub(crate) fn install(builder: Builder<Wry>, options: Options) -> Builder<Wry> {
    if let Some(why) = tramline_transport_shm::unavailable() {
        stays_stock(why);
        return builder;
    }
    let links = Arc::new(Links::default());
    let for_channels = Arc::clone(&links);
    builder
        .invoke_system(TRANSPORT)
        .channel_interceptor(move |webview, callback, index, body| {
            for_channels.send_on_channel(webview.label(), callback, index, body)
        })
        .plugin(plugin(links, options))
}

fn plugin(links: Arc<Links>, options: Options) -> TauriPlugin<Wry> {
    let origins = Arc::new(std::sync::OnceLock::<Vec<String>>::new());
    let origins_of_app = Arc::clone(&origins);
    PluginBuilder::new("tramline")
        .setup(move |app, _| {
            handles::keep(app);
            late::begin(app);
            let origins = origins_of_app.get_or_init(|| hop::origins_of(app));
            if let Err(error) = extension::install(app, origins) {
                stays_stock(&format!("the web-process extension was not installed: {error}"));
            }
            Ok(())
        })
        .on_webview_ready(move |webview| {
            hop::watch(webview, Arc::clone(&links), Arc::clone(&origins), options);
        })
        .on_event(|_, event| {
            if matches!(event, RunEvent::Exit) {
                extension::remove();
            }
        })
        .build()
}

/// Says what a page did.
fn report(label: &str, fault: &Fault) {
    log::warn!("tramline[{}]: page '{label}': {fault}", fault.code());
}

/// Says why calls go by Tauri's own way.
fn stays_stock(why: &str) {
    log::warn!("tramline: calls go by Tauri's own way: {why}");
}
