//! The origins whose pages belong to the app.

use std::sync::OnceLock;

use tauri::{AppHandle, Url, Wry};

/// Known once the app is set up; before that no page belongs to it.
#[derive(Debug, Default)]
pub(crate) struct Origins(OnceLock<Vec<String>>);

impl Origins {
    /// Reads the app's configuration.
    pub(crate) fn set_up(&self, app: &AppHandle<Wry>) -> &[String] {
        self.0.get_or_init(|| {
            let mut origins: Vec<String> = if cfg!(any(windows, target_os = "android")) {
                ["http://tauri.localhost", "https://tauri.localhost"].map(str::to_owned).into()
            } else {
                vec!["tauri://localhost".to_owned()]
            };
            if tauri::is_dev()
                && let Some(url) = &app.config().build.dev_url
                && let Some(origin) = origin_of(url)
            {
                origins.push(origin);
            }
            origins
        })
    }

    pub(crate) fn has(&self, origin: &str) -> bool {
        self.0.get().is_some_and(|origins| origins.iter().any(|ours| ours == origin))
    }
}

/// As the web engine writes an origin into a request.
pub(crate) fn origin_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{host}{port}", url.scheme()))
}
