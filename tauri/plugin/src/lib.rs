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
//! message. Elsewhere, or where that cannot be had, they go through the web engine's requests still,
//! but in batches: the [portable hop](Hop::Portable). Everything else stays as it was: commands,
//! plugins, capabilities, the page and what it imports. Where neither can be had, Tauri's own way is
//! taken. The log says which, and why not a faster one, once for each view.
//!
//! # What surprises
//!
//! - It uses [`tauri::Builder::invoke_system`] and [`tauri::Builder::channel_interceptor`], of which
//!   an app has only one each, WebKit's one folder of web-process extensions, and the URI scheme
//!   `tramline`.
//! - A page with a content security policy takes the portable hop only if its `connect-src` has
//!   `tramline: http://tramline.localhost`. Shared memory needs no such word.
//! - Pages of other origins, frames inside a page, and apps with the isolation pattern stay with
//!   Tauri's own way.
//! - Commands that are not `async` run on the main thread, as ever.

#[cfg(target_os = "linux")]
mod accelerated;
mod call;
mod events;
mod forward;
#[cfg(target_os = "linux")]
mod handles;
mod install;
#[cfg(target_os = "linux")]
mod late;
mod links;
mod origins;
mod page;
mod portable;
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
    /// The fastest way that pages may take. Default [`Hop::Ring`].
    pub hop: Hop,
}

/// A way from a page to the core. Where one cannot be had the next is taken, Tauri's own at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Hop {
    /// Memory shared with the page's process. Linux only.
    #[default]
    Ring,
    /// Requests of the web engine's, as Tauri's own, but in batches: the calls of one microtask in one
    /// request, and answers, events and messages of channels as they have gathered.
    ///
    /// Many calls at once, events and channels gain by it; calls one after the other do not.
    Portable,
}

impl Default for Options {
    fn default() -> Self {
        Self { core_polls: true, hop: Hop::default() }
    }
}

/// Gives the app's pages the fastest way to the core that this system has.
#[must_use]
pub fn accelerate(builder: Builder<Wry>) -> Builder<Wry> {
    accelerate_with(builder, Options::default())
}

/// The same, with options.
#[must_use]
pub fn accelerate_with(builder: Builder<Wry>, options: Options) -> Builder<Wry> {
    install::install(builder, options)
}
