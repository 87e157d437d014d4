//! Puts the hops into the app's builder.

use std::sync::Arc;

use tauri::plugin::{Builder as PluginBuilder, TauriPlugin};
use tauri::utils::config::PatternKind;
use tauri::webview::PageLoadEvent;
use tauri::{AppHandle, Builder, RunEvent, WindowEvent, Wry};

use crate::links::Links;
use crate::origins::Origins;
use crate::portable::{SCHEME, Views};
use crate::{Hop, Options, page};

#[cfg(target_os = "linux")]
use crate::accelerated;

pub(crate) fn install(builder: Builder<Wry>, options: Options) -> Builder<Wry> {
    let no_ring = no_ring(options);
    let links = Arc::new(Links::default());
    let origins = Arc::new(Origins::default());
    let views = Arc::new(Views::new(Arc::clone(&links), Arc::clone(&origins)));
    let for_channels = Arc::clone(&links);
    let for_requests = Arc::clone(&views);
    builder
        .invoke_system(page::script(no_ring))
        .channel_interceptor(move |webview, callback, index, body| {
            for_channels.send_on_channel(webview.label(), callback, index, body)
        })
        .register_asynchronous_uri_scheme_protocol(SCHEME, move |context, request, responder| {
            for_requests.serve(context.app_handle(), context.webview_label(), request, responder);
        })
        .plugin(plugin(Parts { links, origins, views, options, ring: no_ring.is_none() }))
}

/// Why there is no ring for any page.
fn no_ring(options: Options) -> Option<&'static str> {
    if options.hop == Hop::Portable {
        return Some("the app's choice");
    }
    #[cfg(target_os = "linux")]
    {
        accelerated::unavailable()
    }
    #[cfg(not(target_os = "linux"))]
    {
        Some("not on this system")
    }
}

struct Parts {
    links: Arc<Links>,
    origins: Arc<Origins>,
    views: Arc<Views>,
    options: Options,
    ring: bool,
}

fn plugin(parts: Parts) -> TauriPlugin<Wry> {
    let Parts { links, origins, views, options, ring } = parts;
    let (views_of_app, origins_of_app) = (Arc::clone(&views), Arc::clone(&origins));
    let (views_of_loads, views_of_events) = (Arc::clone(&views), Arc::clone(&views));
    PluginBuilder::new("tramline")
        .setup(move |app, _| {
            let origins = origins_of_app.set_up(app);
            let isolated = !matches!(app.config().app.security.pattern, PatternKind::Brownfield);
            if isolated {
                log::warn!(
                    "tramline: calls go by Tauri's own way: the app has the isolation pattern"
                );
                views_of_app.withhold();
            }
            if !isolated {
                warn_of_policy(app, ring);
            }
            #[cfg(target_os = "linux")]
            {
                crate::handles::keep(app);
                crate::late::begin(app);
            }
            #[cfg(target_os = "linux")]
            if ring && !isolated {
                accelerated::install(app, origins);
            }
            #[cfg(not(target_os = "linux"))]
            let _ = origins;
            Ok(())
        })
        .on_webview_ready(move |webview| {
            #[cfg(target_os = "linux")]
            {
                watch_process(&webview, &views);
                if ring {
                    accelerated::watch(webview, &links, &origins, options);
                }
            }
            #[cfg(not(target_os = "linux"))]
            let _ = (webview, &views, &links, &origins, options, ring);
        })
        .on_page_load(move |webview, load| {
            if load.event() == PageLoadEvent::Started {
                views_of_loads.shows(webview, load.url());
            }
        })
        .on_event(move |_, event| match event {
            RunEvent::WindowEvent { label, event: WindowEvent::Destroyed, .. } => {
                views_of_events.closed(label);
            }
            #[cfg(target_os = "linux")]
            RunEvent::Exit => accelerated::remove(),
            _ => {}
        })
        .build()
}

/// A page whose process has died does not go on listening until it is loaded again.
#[cfg(target_os = "linux")]
fn watch_process(webview: &tauri::Webview<Wry>, views: &Arc<Views>) {
    use webkit2gtk::WebViewExt as _;
    let views = Arc::clone(views);
    let label = webview.label().to_owned();
    let watched = webview.with_webview(move |platform| {
        platform.inner().connect_web_process_terminated(move |_, _| views.lost(&label));
    });
    if watched.is_err() {
        log::debug!("tramline: the view is gone already");
    }
}

/// A page whose policy does not name the scheme goes by Tauri's own way, and cannot tell.
fn warn_of_policy(app: &AppHandle<Wry>, ring: bool) {
    let security = &app.config().app.security;
    let dev = if tauri::is_dev() { security.dev_csp.as_ref() } else { None };
    let Some(policy) = dev.or(security.csp.as_ref()).map(ToString::to_string) else { return };
    if allows(&policy) {
        return;
    }
    let lacks = format!(
        "the content security policy lacks `connect-src {SCHEME}: http://{SCHEME}.localhost`"
    );
    if ring {
        log::info!("tramline: without shared memory calls go by Tauri's own way: {lacks}");
    } else {
        log::warn!("tramline: calls go by Tauri's own way: {lacks}");
    }
}

/// Whether a policy lets a page ask the scheme.
fn allows(policy: &str) -> bool {
    let sources = |name: &str| {
        policy.split(';').find_map(|directive| {
            let mut words = directive.split_whitespace();
            words.next().filter(|found| found.eq_ignore_ascii_case(name)).map(|_| words)
        })
    };
    let wanted = if cfg!(any(windows, target_os = "android")) {
        format!("://{SCHEME}.localhost")
    } else {
        format!("{SCHEME}:")
    };
    match sources("connect-src").or_else(|| sources("default-src")) {
        Some(mut sources) => sources.any(|source| source.contains(&wanted)),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_must_name_the_scheme_if_it_speaks_of_requests() {
        let named =
            format!("default-src 'self'; connect-src ipc: {SCHEME}: http://{SCHEME}.localhost");
        assert!(allows(&named));
        assert!(allows("script-src 'self'"));
        assert!(!allows("default-src 'self'"));
        assert!(!allows("default-src tramline: http://tramline.localhost; Connect-Src 'self'"));
    }
}
