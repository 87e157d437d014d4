//! A faster way under the IPC of a Tauri app: one line in `main.rs`, the page untouched.
//!
//! ```no_run
//! # fn context() -> tauri::Context { unimplemented!() }
//! let builder = tauri::Builder::default();
//! let builder = tauri_plugin_tramline::accelerate(builder);
//! builder.run(context()).expect("the app runs");
//! ```
//!
//! On Linux, calls, channels and events then go through memory that the core shares with WebKit's
//! web process, instead of a request of the web engine's for each call and a script for each
//! message. Everything else stays as it was: commands, plugins, capabilities, the page and what it
//! imports. Where the faster way cannot be had, Tauri's own is taken, and the log says why, once.
//!
//! # What surprises
//!
//! - It uses [`tauri::Builder::invoke_system`] and [`tauri::Builder::channel_interceptor`], of which
//!   an app has only one each, and WebKit's one folder of web-process extensions.
//! - Pages of other origins, frames inside a page, and apps with the isolation pattern stay with
//!   Tauri's own way.
//! - Commands that are not `async` run on the main thread, as ever.

#[cfg(target_os = "linux")]
mod accelerated;
mod forward;
mod turn;

use tauri::{Builder, Wry};

pub use crate::forward::{CHANNEL_ERROR, Forward, forward};

/// What may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Whether the core looks out for the next call for some tens of microseconds before its main
    /// loop sleeps, as long as calls keep coming and there are two processors. Default true.
    ///
    /// A call that is found so takes about half the time. It costs processor time only while the
    /// page is calling.
    pub core_polls: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { core_polls: true }
    }
}

/// Gives the app's pages the fastest way to the core that this system has.
///
/// Does nothing but log on systems other than Linux.
#[must_use]
pub fn accelerate(builder: Builder<Wry>) -> Builder<Wry> {
    accelerate_with(builder, Options::default())
}

/// The same, with options.
#[must_use]
pub fn accelerate_with(builder: Builder<Wry>, options: Options) -> Builder<Wry> {
    #[cfg(target_os = "linux")]
    {
        accelerated::install(builder, options)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = options;
        log::info!("tramline: calls of pages go by Tauri's own way on this system");
        builder
    }
}
