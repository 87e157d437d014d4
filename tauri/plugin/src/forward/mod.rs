//! Commands that another process serves.

mod body;
mod call;
mod events;
mod headers;
mod main_loop;
mod source;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use async_task::Task;
use tauri::ipc::Invoke;
use tauri::plugin::TauriPlugin;
use tauri::webview::PageLoadEvent;
use tauri::{AppHandle, Manager as _, RunEvent, Runtime, WindowEvent};
#[cfg(unix)]
use tramline::Spawn;
use tramline::{Client, Connect, ConnectError};

use self::main_loop::MainLoop;
use self::source::{Connection, Greet};

/// The event that tells a page of a channel of its own that did not end well:
/// `{ "channel": number, "code": text, "message": text, "data": what it failed with }`.
///
/// Tauri's channels know the ordinary end only, which the page's channel sees as well.
pub const CHANNEL_ERROR: &str = "tramline://channel-error";

/// Commands of a tramline server, for the pages of an app, which stay as they are.
///
/// There are two ways for a page to reach them:
///
/// - **as the app's own**, `invoke("resize", ..)`: [`commands`](Self::commands) names them, and
///   [`or`](Self::or) goes before the app's `generate_handler![..]`. As with every command of an
///   app's, Tauri asks its capabilities only if the app has a manifest of its own commands, so
///   nothing is forwarded but what is named.
/// - **as a plugin's**, `invoke("plugin:worker|resize", ..)`: [`plugin`](Self::plugin) goes into the
///   builder. Tauri refuses every command that no capability of the window allows, before anything
///   is sent. Where permissions come from: `tauri_build::InlinedPlugin`, in the app's build script.
///
/// What crosses: arguments, results and errors as JSON, raw bodies both ways, the page's own headers,
/// channels among the top-level arguments, and [events](Self::events_to_app) by name. The server's own
/// capabilities apply as well: for it, the app is one client.
///
/// # What surprises
///
/// - **Order of names.** What [`commands`](Self::commands) names goes to the other process, also if
///   the app has a command of that name. Everything else is the app's.
/// - **No call is sent twice.** When the other process dies, calls that it had are rejected with
///   `{ "code": "peer-died", "message": .., "outcome": "unknown" }`; the next call starts it anew.
///   `outcome` is `not-run` if the command cannot have run.
/// - **A page that goes** (a reload, another address, a closed window) cancels its calls and its
///   channels; a command sees that with tramline's `CancelToken`.
/// - **Threads.** Nothing waits on the main thread, and Tauri's handles stay on it: all calls are
///   tasks of that thread, and what came meanwhile is answered in one turn.
/// - A result of a page's call has no limit of time.
///
/// # Examples
///
/// ```no_run
/// use std::process::Command;
/// use tauri_plugin_tramline::Forward;
/// use tramline::Sidecar;
///
/// #[tauri::command]
/// fn version() -> &'static str {
///     "1.0"
/// }
///
/// # fn context() -> tauri::Context { unimplemented!() }
/// let worker = Forward::spawning(|| Sidecar::spawn(Command::new("./worker")))
///     .commands(["resize", "scan"])
///     .events_to_app(["progress"])
///     .events_from_app(["brightness"]);
///
/// tauri::Builder::default()
///     .plugin(worker.plugin("worker"))
///     .invoke_handler(worker.or(tauri::generate_handler![version]))
///     .run(context())
///     .expect("the app runs");
/// ```
pub struct Forward<R: Runtime = tauri::Wry> {
    inner: Arc<Inner<R>>,
}

/// Forwards to the server that this client is connected to, of which everything can be chosen. Once
/// that connection has ended, every call is rejected; see [`Forward::connecting`].
///
/// # Examples
///
/// ```no_run
/// use tauri_plugin_tramline::forward;
/// use tramline::{AnyCodec, Client};
///
/// # fn context() -> tauri::Context { unimplemented!() }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // JSON text then goes through as it is; other codecs cost its writing anew.
/// let client = Client::connect("auto:calc").codec(AnyCodec::JSON).wait()?;
/// let calc = forward(client).commands(["add"]);
/// tauri::Builder::default()
///     .invoke_handler(calc.or(tauri::generate_handler![]))
///     .run(context())?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn forward<R: Runtime>(client: Client) -> Forward<R> {
    Forward::over(Connection::given(client))
}

/// What all parts of a forward share.
struct Inner<R: Runtime> {
    connection: Arc<Connection>,
    main_loop: Arc<MainLoop<R>>,
    commands: Vec<Box<str>>,
    to_app: Vec<Arc<str>>,
    from_app: Vec<Arc<str>>,
    polls: bool,
    started: Once,
    tasks: Mutex<HashMap<u64, OfPage>>,
    next_task: AtomicU64,
}

/// A task that goes with its page.
struct OfPage {
    label: String,
    task: Task<()>,
}

impl<R: Runtime> Forward<R> {
    /// Forwards to a child process, which is started with the app or with the first call, and again
    /// with the next call or event when it has ended. The connection speaks JSON.
    ///
    /// After a start that failed, calls are rejected for half a second before the next one is tried.
    #[cfg(unix)]
    #[must_use]
    pub fn spawning(spawn: impl Fn() -> Spawn + Send + Sync + 'static) -> Self {
        Self::over(Connection::spawning(spawn))
    }

    /// Forwards to a server, to which a connection is made when it is wanted and there is none. The
    /// connection speaks JSON.
    ///
    /// After a failure, calls are rejected for half a second before the next one is tried.
    #[must_use]
    pub fn connecting(connect: impl Fn() -> Connect + Send + Sync + 'static) -> Self {
        Self::over(Connection::connecting(connect))
    }

    fn over(connection: Connection) -> Self {
        let inner = Inner {
            connection: Arc::new(connection),
            main_loop: MainLoop::new(),
            commands: Vec::new(),
            to_app: Vec::new(),
            from_app: Vec::new(),
            polls: false,
            started: Once::new(),
            tasks: Mutex::default(),
            next_task: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What is chosen is chosen before it is used.
    fn choose(mut self, choice: impl FnOnce(&mut Inner<R>)) -> Self {
        match Arc::get_mut(&mut self.inner) {
            Some(inner) => choice(inner),
            None => {
                log::error!("tramline: a choice came after `or` or `plugin`, and does not count")
            }
        }
        self
    }

    /// Names commands that [`or`](Self::or) forwards.
    #[must_use]
    pub fn commands(self, names: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        self.choose(|inner| inner.commands.extend(names.into_iter().map(Into::into)))
    }

    /// Names events of the other process that are emitted to the app and all its pages, as text that
    /// is not written anew. Those that it aims at labels stay there; raw payloads become arrays of
    /// numbers.
    ///
    /// They are not sent back, also if [`events_from_app`](Self::events_from_app) names them.
    #[must_use]
    pub fn events_to_app(self, names: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        self.choose(|inner| inner.to_app.extend(names.into_iter().map(Into::into)))
    }

    /// Names events that go to the other process when the app or a page emits them, to everybody or
    /// to the app. Each goes before the calls that come after it, as long as the connection has room.
    ///
    /// # Panics
    ///
    /// When the app starts, if a name is no event name: Tauri's own rule.
    #[must_use]
    pub fn events_from_app(self, names: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        self.choose(|inner| inner.from_app.extend(names.into_iter().map(Into::into)))
    }

    /// Whether the main thread looks out for an answer, for up to 20 microseconds, before it goes on,
    /// unless more calls wait; it gives that up for a while when it was in vain. Default false.
    ///
    /// For pages that make one short call after the other: its answer then costs no wake of the event
    /// loop, and no other thread: a connection that is made for this waits with
    /// [`WaitMode::Idle`](tramline::WaitMode::Idle), whatever `spawning` or `connecting` says.
    #[must_use]
    pub fn polls(self, polls: bool) -> Self {
        self.choose(|inner| {
            inner.polls = polls;
            // Nobody else has it before it is used.
            if let Some(connection) = Arc::get_mut(&mut inner.connection) {
                connection.is_looked_after(polls);
            }
        })
    }

    /// What goes into [`tauri::Builder::invoke_handler`]: the [named](Self::commands) commands go to
    /// the other process, all others to `app`, which is what `generate_handler![..]` made.
    ///
    /// Without [`plugin`](Self::plugin) events of the app are passed on from the first forwarded call
    /// on, not before.
    pub fn or<H>(&self, app: H) -> impl Fn(Invoke<R>) -> bool + Send + Sync + 'static
    where
        H: Fn(Invoke<R>) -> bool + Send + Sync + 'static,
    {
        let inner = Arc::clone(&self.inner);
        move |invoke| {
            let command = invoke.message.command();
            if !inner.commands.iter().any(|name| **name == *command) {
                return app(invoke);
            }
            inner.start_without_plugin(invoke.message.webview_ref().app_handle());
            inner.forward(invoke);
            true
        }
    }

    /// A plugin, whose commands are all those of the other process: a page calls
    /// `plugin:<name>|<command>`, and the capabilities of its window decide.
    ///
    /// It also starts the connection and the events with the app.
    #[must_use]
    pub fn plugin(&self, name: &'static str) -> TauriPlugin<R> {
        let serving = Arc::clone(&self.inner);
        self.inner.lifecycle(name, move |invoke| {
            serving.forward(invoke);
            true
        })
    }

    /// Gives up the calls and the channels of the page in this webview: their commands are told, and
    /// nobody is answered. Happens by itself when a page is loaded or its window is closed.
    pub fn page_gone(&self, label: &str) {
        self.inner.page_gone(label);
    }

    /// The other process's id, if [`spawning`](Self::spawning) has started it.
    #[must_use]
    pub fn child(&self) -> Option<u32> {
        self.inner.connection.child()
    }
}

impl<R: Runtime> Clone for Forward<R> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<R: Runtime> fmt::Debug for Forward<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("commands", &self.inner.commands).finish_non_exhaustive()
    }
}

impl<R: Runtime> Inner<R> {
    fn lifecycle(
        self: &Arc<Self>,
        name: &'static str,
        serve: impl Fn(Invoke<R>) -> bool + Send + Sync + 'static,
    ) -> TauriPlugin<R> {
        let (starting, loading, closing) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        tauri::plugin::Builder::new(name)
            .invoke_handler(serve)
            .setup(move |app, _| {
                starting.start(app);
                Ok(())
            })
            .on_page_load(move |webview, page| {
                if page.event() == PageLoadEvent::Started {
                    loading.page_gone(webview.label());
                }
            })
            .on_event(move |_, event| {
                if let RunEvent::WindowEvent { label, event: WindowEvent::Destroyed, .. } = event {
                    closing.page_gone(label);
                }
            })
            .build()
    }

    fn start(self: &Arc<Self>, app: &AppHandle<R>) {
        self.started.call_once(|| {
            self.main_loop.set_app(app);
            events::pass_on(self, app);
            let inner = Arc::clone(self);
            // Said where it fails.
            tauri::async_runtime::spawn(async move {
                let _ = inner.client().await;
            });
        });
    }

    /// For apps that have only [`Forward::or`].
    fn start_without_plugin(self: &Arc<Self>, app: &AppHandle<R>) {
        if self.started.is_completed() {
            return;
        }
        // A name of its own, kept as long as the app: plugins of the same name replace each other.
        let name = format!("tramline-forward-{}", self.main_loop.id()).leak();
        // Fails only by its setup, which does not.
        let _ = app.plugin(self.lifecycle(name, |_| false));
    }

    /// The connection, made if need be.
    async fn client(self: &Arc<Self>) -> Result<Client, ConnectError> {
        let greet = || -> Arc<Greet> {
            let inner = Arc::clone(self);
            Arc::new(move |client| Box::pin(events::hear(Arc::clone(&inner), client)))
        };
        self.connection.client(greet).await
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<u64, OfPage>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task of a page's on the main thread.
    fn run_for(self: &Arc<Self>, label: String, future: impl Future<Output = ()> + Send + 'static) {
        let id = self.next_task.fetch_add(1, Ordering::Relaxed);
        let inner = Arc::clone(self);
        let (runnable, task) = self.main_loop.task(async move {
            future.await;
            if let Some(OfPage { task, .. }) = inner.tasks().remove(&id) {
                task.detach();
            }
        });
        self.tasks().insert(id, OfPage { label, task });
        self.main_loop.begin(runnable);
    }

    /// Nobody waits for the calls of this page any more.
    fn page_gone(&self, label: &str) {
        let gone: Vec<OfPage> = self
            .tasks()
            .extract_if(|_, of_page| of_page.label == label)
            .map(|(_, of)| of)
            .collect();
        // Dropped without the table: what a task drops may be anything.
        drop(gone);
    }
}
