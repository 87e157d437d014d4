//! The app's main thread: something is done there, at the loop's next turn.

#[cfg(target_os = "linux")]
mod system {
    use std::time::Duration;

    use tauri::{AppHandle, Wry};

    /// The main loop is GLib's, which can be told from any thread without a handle of Tauri's: those
    /// must stay on the main thread.
    #[derive(Clone)]
    pub(in crate::portable) struct MainLoop;

    impl MainLoop {
        pub(in crate::portable) fn of(_app: &AppHandle<Wry>) -> Self {
            Self
        }

        pub(in crate::portable) fn soon(&self, run: impl FnOnce() + Send + 'static) {
            glib::timeout_add_once(Duration::ZERO, run);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use tauri::{AppHandle, Wry, async_runtime};

    #[derive(Clone)]
    pub(in crate::portable) struct MainLoop(AppHandle<Wry>);

    impl MainLoop {
        pub(in crate::portable) fn of(app: &AppHandle<Wry>) -> Self {
            Self(app.clone())
        }

        pub(in crate::portable) fn soon(&self, run: impl FnOnce() + Send + 'static) {
            let app = self.0.clone();
            // From another thread, for on the main thread it would run at once.
            async_runtime::spawn(async move {
                // The event loop is over: so are the pages.
                let _ = app.run_on_main_thread(run);
            });
        }
    }
}

pub(in crate::portable) use system::MainLoop;
