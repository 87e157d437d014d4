//! The serving side: what is served, and to whom.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use tramline_compat_json::verify_codec;
use tramline_core::acl::{Capabilities, Denial, OnDenied, Quota};
use tramline_core::codec::{AnyCodec, Codec};
use tramline_core::command::{Command, CommandFuture, Commands, Handler};
use tramline_core::events::{Event, EventTarget, ListenOptions, Listeners};
use tramline_core::peer::Peer;
use tramline_core::router::Router;
use tramline_core::state::States;
use tramline_core::transport::WaitMode;
use tramline_core::{ConfigError, ConnectError, Error, Limits, LinkError};
use tramline_transport_pipe::{Listener, mem};

use crate::admit::{Admission, Policy, Visitor};
use crate::clients::Clients;
use crate::endpoint::{Endpoint, Scheme};
use crate::executor::{self, Executor};
use crate::guard::{GuardMessage, Judge, Verdict};
use crate::hub::{Door, Ended, Hub, Refused};
use crate::layer::Layers;
use crate::link::Service;
use crate::live::LiveCapabilities;
use crate::shadow::{Difference, Report, Shadow};
use crate::shared::Drive;
use crate::time::Time;

/// A server about to be started: commands, values, listeners and what peers may do.
///
/// Nothing is allowed until [`allow`](Self::allow) says so.
///
/// # Examples
///
/// ```
/// use tramline::{Capabilities, Client, Server, State, command, commands};
///
/// struct Greeting(&'static str);
///
/// #[command(inline)]
/// fn greet(name: &str, greeting: State<'_, Greeting>) -> String {
///     format!("{} {name}", greeting.0)
/// }
///
/// let server = Server::new()
///     .commands(commands![greet])
///     .manage(Greeting("hello"))
///     .allow(Capabilities::none().command("greet"))
///     .start("mem:server-doc")?;
///
/// let client = Client::connect("mem:server-doc").wait()?;
/// let text: String = client.invoke("greet", tramline::json!({ "name": "you" })).wait()?;
/// assert_eq!(text, "hello you");
/// # server.stop();
/// # Ok::<(), tramline::Error>(())
/// ```
#[derive(Default)]
pub struct Server {
    commands: Commands,
    states: States,
    capabilities: Capabilities,
    listeners: Listeners,
    executor: Executor,
    layers: Layers,
    shared_threads: Option<usize>,
    /// Set by `on_tokio`; `shared_threads` comes first.
    drive: Drive,
    codecs: Vec<AnyCodec>,
    limits: Limits,
    wait_mode: WaitMode,
    shadow: Option<Box<Report>>,
    label: Option<String>,
    policy: Policy,
    on_denied: Option<OnDenied>,
    guarded: Option<Judge>,
    on_refused: Option<Box<Refused>>,
    on_ended: Option<Box<Ended>>,
    parent: bool,
    outlives_parent: bool,
    time: Time,
    /// Takes the calls of commands that there are none of.
    fallback: Option<Handler>,
    mistake: Option<ConfigError>,
}

impl Server {
    /// A server without commands that allows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A server for the process that started this one with [`Sidecar`](crate::Sidecar). Start it
    /// with [`run`](Self::run).
    ///
    /// When the parent vanishes, this process exits with code 1, unless
    /// [`outlive_parent`](Self::outlive_parent) is said.
    #[must_use]
    pub fn from_parent() -> Self {
        Self { parent: true, ..Self::default() }
    }

    /// Adds commands.
    #[must_use]
    pub fn commands(mut self, commands: Commands) -> Self {
        self.commands.extend(commands);
        self
    }

    /// Adds one command by its type: `.command::<add>()`.
    #[must_use]
    pub fn command<C: Command>(self) -> Self {
        self.commands(Commands::new().with::<C>())
    }

    /// Adds a value that commands can ask for as [`State`](crate::State). The first of a type
    /// stays.
    #[must_use]
    pub fn manage<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.manage(value);
        self
    }

    /// What peers may do. Replaces what was said before.
    ///
    /// Written in code, or read from Tauri's files with
    /// [`read_capabilities`](crate::read_capabilities). It can be changed while the server runs:
    /// [`Running::capabilities`].
    #[must_use]
    pub fn allow(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Who may connect, and as what. Without it every process of the same user may, as a local peer
    /// under the label that it asks for.
    ///
    /// `judge` is asked once for each connection, on the connection's own thread, after its hello
    /// and before anything else it sends is looked at; of a JSON-RPC client, which says no hello,
    /// before anything is. Processes of other users never come that far. A judge that panics
    /// refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    /// use tramline::{Admission, Server};
    ///
    /// let server = Server::new().admit(|visitor| match visitor.executable() {
    ///     Ok(path) if path == Path::new("/usr/lib/app/worker") => Admission::local().label("worker"),
    ///     _ => Admission::refuse("this server is for its workers"),
    /// });
    /// # let _ = server;
    /// ```
    #[must_use]
    pub fn admit(mut self, judge: impl Fn(&Visitor) -> Admission + Send + Sync + 'static) -> Self {
        self.policy.judge = Some(Box::new(judge));
        self
    }

    /// What one peer may ask for at a time, and per second, unless
    /// [`Admission::quota`] says something else for it.
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.policy.quota = quota;
        self
    }

    /// Is told of every call, subscription and event that a peer was refused, and why, for logs. The
    /// peer itself learns no more than that it may not.
    ///
    /// Called on the thread that serves the peer, once for each refusal: a peer that asks without
    /// end makes it run without end.
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline::Server;
    ///
    /// let server = Server::new().on_denied(|denial| eprintln!("{denial}"));
    /// # let _ = server;
    /// ```
    #[must_use]
    pub fn on_denied(mut self, told: impl Fn(&Denial<'_>) + Send + Sync + 'static) -> Self {
        self.on_denied = Some(OnDenied::new(told));
        self
    }

    /// Asks `judge` about every message that comes in, before the server looks at it: before
    /// capabilities, and before anything is decoded. It may let the message pass, rewrite it or
    /// refuse it.
    ///
    /// The layer sees calls, events, cancels, and who begins or stops to listen; not what goes out,
    /// and not the messages of channels. A [`Guard`](crate::guard::Guard), in a process of its own,
    /// sees these, too, and what goes wrong in it does not go wrong here. What surprises people:
    ///
    /// - It is asked on the thread that reads the connection: one that takes its time keeps the
    ///   connection waiting.
    /// - Each message is turned into JSON for it, which costs more than the call itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline::Server;
    /// use tramline::guard::Verdict;
    ///
    /// let server = Server::new().guarded_by(|message| match message.json() {
    ///     Some(json) if json.contains("../") => Verdict::refuse("no way up"),
    ///     _ => Verdict::Allow,
    /// });
    /// # let _ = server;
    /// ```
    #[must_use]
    pub fn guarded_by(
        mut self,
        judge: impl Fn(&GuardMessage<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.guarded = Some(Judge::new(judge));
        self
    }

    /// Calls `listener` for every event of this name that a peer emits and may emit, if it is aimed
    /// at nobody or at the application. Events of one peer come in order, on the thread that serves
    /// that peer.
    #[must_use]
    pub fn listen(self, event: &str, listener: impl Fn(Event<'_>) + Send + Sync + 'static) -> Self {
        self.listen_with(event, ListenOptions::new(), listener)
    }

    /// As [`listen`](Self::listen), whomever the event is aimed at.
    #[must_use]
    pub fn listen_any(
        self,
        event: &str,
        listener: impl Fn(Event<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.listen_with(event, ListenOptions::new().target(EventTarget::Any), listener)
    }

    /// As [`listen`](Self::listen), in another way.
    ///
    /// # Examples
    ///
    /// A listener that may be slow, and cares for the latest event only:
    ///
    /// ```
    /// use tramline::{ListenOptions, ListenerCounts, Overflow, Server};
    ///
    /// let counts = ListenerCounts::new();
    /// let latest = ListenOptions::new().overflow(Overflow::LatestOnly).counts(&counts);
    /// let server = Server::new().listen_with("position", latest, |event| {
    ///     println!("now at {:?}", event.payload::<(f64, f64)>());
    /// });
    /// # let _ = server;
    /// println!("{} positions were skipped", counts.dropped());
    /// ```
    #[must_use]
    pub fn listen_with(
        mut self,
        event: &str,
        options: ListenOptions,
        listener: impl Fn(Event<'_>) + Send + Sync + 'static,
    ) -> Self {
        let (own, spawn) = (&EventTarget::App, executor::on_a_thread);
        if let Err(mistake) = self.listeners.add(event, options, own, spawn, listener) {
            self.mistake.get_or_insert(mistake);
        }
        self
    }

    /// Puts a layer around every call that this server runs, every event that it delivers or emits,
    /// and every channel message that it sends. The first one added is the outermost.
    #[cfg(feature = "layers")]
    #[must_use]
    pub fn layer(mut self, layer: impl crate::layer::Layer) -> Self {
        self.layers.add(layer);
        self
    }

    /// Offers a further codec, beside MessagePack and JSON.
    ///
    /// One that is not [self-describing](Codec::SELF_DESCRIBING) is checked against the types of
    /// all commands when the server starts: they are given made-up values to read.
    #[must_use]
    pub fn codec<C: Codec>(mut self) -> Self {
        self.codecs.push(AnyCodec::custom::<C>());
        self
    }

    /// Limits of this side.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How this side waits on each of its connections; [`WaitMode::Balanced`] by default.
    #[must_use]
    pub fn wait_mode(mut self, mode: WaitMode) -> Self {
        self.wait_mode = mode;
        self
    }

    /// Shadow mode on all connections: each answer and event that this side sends is encoded as JSON,
    /// too, and both are compared; so is what the arguments' types read of each request. See
    /// [`Connect::shadow`](crate::Connect::shadow).
    #[must_use]
    pub fn shadow(mut self, report: impl Fn(&Difference) + Send + Sync + 'static) -> Self {
        self.shadow = Some(Box::new(report));
        self
    }

    /// The name the server gives in its hello.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }

    /// Where async commands run: `spawn` is given each command's future. Without it they share one
    /// thread of the library's own.
    #[must_use]
    pub fn executor(mut self, spawn: impl Fn(CommandFuture) + Send + Sync + 'static) -> Self {
        self.executor = Executor::new(spawn);
        self
    }

    /// Serves all connections on `count` threads, at least one, instead of a thread for each: for
    /// servers with many clients that are quiet most of the time.
    ///
    /// Such a thread gives each connection that has news a turn of a few dozen messages; with no
    /// news at all it sleeps on all of them at once. What surprises people:
    ///
    /// - An inline command or a listener that takes its time keeps all connections of its thread
    ///   waiting, and so does an `emit` in one of them to a peer that does not read; use `try_emit`
    ///   there, or a plain command. Plain and async commands run elsewhere as ever.
    /// - Waking up costs a few microseconds more than with a thread for each, and the threads
    ///   share their CPU.
    /// - It holds for shared memory on Linux. Connections through a pipe, within one process, or
    ///   to a parent process have a thread each.
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline::Server;
    ///
    /// let server = Server::new().shared_threads(1);
    /// # let _ = server;
    /// ```
    #[must_use]
    pub fn shared_threads(mut self, count: usize) -> Self {
        self.shared_threads = Some(count);
        self
    }

    /// Runs on the tokio runtime this is called in: async commands, and the connections themselves,
    /// as one task each instead of one thread.
    ///
    /// What [`shared_threads`](Self::shared_threads) says about inline commands, listeners and
    /// transports holds here, too; if both are asked for, connections go to the shared threads. A
    /// task does not look out for messages before it sleeps, so a lone call takes longer than with a
    /// thread. [`Running::stop`] does not wait for the tasks.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or in one that was built without `enable_io`.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn on_tokio(mut self) -> Self {
        let runtime = tokio::runtime::Handle::current();
        self.drive = Drive::tokio();
        self.executor(move |future| {
            runtime.spawn(future);
        })
    }

    /// Is told of every connection that did not come about, for logs.
    #[must_use]
    pub fn on_refused(mut self, told: impl Fn(&ConnectError) + Send + Sync + 'static) -> Self {
        self.on_refused = Some(Box::new(told));
        self
    }

    /// Is told of every connection that came about and has ended, and why, for logs:
    /// [`LinkError::Fault`] says what a peer did against the rules, and where.
    ///
    /// Called once for each, on the thread that served the connection and after its last message;
    /// commands that still run are not waited for. By then the peer is no longer among the
    /// [`Clients`].
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline::{LinkError, Server};
    ///
    /// let server = Server::new().on_ended(|peer, why| {
    ///     if let LinkError::Fault(fault) = why {
    ///         eprintln!("client {} was cut off: {fault}", peer.id());
    ///     }
    /// });
    /// # let _ = server;
    /// ```
    #[must_use]
    pub fn on_ended(mut self, told: impl Fn(&Peer, &LinkError) + Send + Sync + 'static) -> Self {
        self.on_ended = Some(Box::new(told));
        self
    }

    /// Lets this process live on when its parent vanishes; [`run`](Self::run) then ends like any
    /// other end of the connection.
    #[must_use]
    pub fn outlive_parent(mut self) -> Self {
        self.outlives_parent = true;
        self
    }

    /// Starts serving in the background.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for what can never work, among it a codec that cannot carry the types of a
    /// command; [`ConnectError::InUse`] if another process serves
    /// this endpoint.
    pub fn start(self, endpoint: &str) -> Result<Running, Error> {
        let endpoint: Endpoint = endpoint.parse()?;
        if let Scheme::Shm = endpoint.scheme()
            && let Some(why) = tramline_transport_shm::unavailable()
        {
            return Err(ConnectError::Transport { transport: "shm", why: why.into() }.into());
        }
        let limits = self.limits;
        let hub = self.into_hub(endpoint.scheme())?;
        let door = match endpoint.scheme() {
            Scheme::Mem => Door::Mem(mem::MemListener::bind(endpoint.name(), &limits)?),
            _ => Door::Socket(Listener::bind(endpoint.name())?),
        };
        hub.open(door)?;
        Ok(Running { hub })
    }

    /// Serves until [`Clients::stop`] is called: `.await` it or `.wait()` for it.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), but told when awaited or waited for.
    pub fn serve(self, endpoint: &str) -> Serve {
        Serve { running: self.start(endpoint) }
    }

    /// Serves the parent process until the connection ends: `.await` it or `.wait()` for it. Only
    /// for a server made with [`from_parent`](Self::from_parent).
    pub fn run(self) -> Serve {
        Serve { running: self.start_on_parent() }
    }

    #[cfg(unix)]
    fn start_on_parent(self) -> Result<Running, Error> {
        if !self.parent {
            let why = "Server::new() has none; use Server::from_parent() or serve(endpoint)";
            return Err(ConfigError::NoParent { why }.into());
        }
        let stream = crate::sidecar::parent_stream()?;
        let hub = self.into_hub(Scheme::Auto)?;
        hub.open(Door::Parent(stream))?;
        Ok(Running { hub })
    }

    #[cfg(not(unix))]
    fn start_on_parent(self) -> Result<Running, Error> {
        let why = "sidecars are offered on Unix only in this version";
        Err(ConfigError::NoParent { why }.into())
    }

    /// Goes by a clock that a test moves.
    #[cfg(feature = "test-kit")]
    pub(crate) fn time(mut self, time: Time) -> Self {
        self.time = time;
        self
    }

    /// Takes the calls of commands that there are none of.
    #[cfg(feature = "test-kit")]
    pub(crate) fn fallback(mut self, handler: Handler) -> Self {
        self.fallback = Some(handler);
        self
    }

    /// A server at work that nobody can reach yet.
    pub(crate) fn without_endpoint(self) -> Result<Running, Error> {
        Ok(Running { hub: self.into_hub(Scheme::Auto)? })
    }

    fn into_hub(self, scheme: Scheme) -> Result<Arc<Hub>, Error> {
        self.limits.check()?;
        if let Some(mistake) = self.mistake {
            return Err(mistake.into());
        }
        let mut codecs = vec![AnyCodec::MSGPACK, AnyCodec::JSON];
        for codec in self.codecs {
            if codecs.contains(&codec) {
                return Err(ConfigError::DuplicateCodec { name: codec.name() }.into());
            }
            codecs.push(codec);
        }
        check_types(&codecs, &self.commands)?;
        let shadow = self.shadow.map(|report| Shadow::new(&self.commands, report));
        let drive = match self.shared_threads {
            Some(count) => Drive::shared(count)
                .map_err(|e| ConnectError::os("preparing the server's threads", e))?,
            None => self.drive,
        };
        let Self { commands, mut states, capabilities, listeners, executor, layers, .. } = self;
        if let Some(told) = self.on_denied {
            states.manage(told);
        }
        let mut mistake = None;
        let hub = Arc::new_cyclic(|hub| {
            states.manage(Clients::new(hub.clone()));
            states.manage(LiveCapabilities::new(hub.clone()));
            let router = Router::new(commands, states, capabilities).unwrap_or_else(|e| {
                mistake = Some(e);
                Router::default()
            });
            let router = router.fallback(self.fallback);
            let service = Arc::new(Service {
                router,
                listeners,
                executor,
                layers,
                subscriptions: Mutex::default(),
                gate_events: true,
                guarded: self.guarded,
                links: AtomicUsize::new(0),
            });
            Hub::new(service, scheme, codecs, self.limits, self.label, self.on_refused)
                .policy(self.policy)
                .on_ended(self.on_ended)
                .exit_with_parent(self.parent && !self.outlives_parent)
                .wait_mode(self.wait_mode)
                .drive(drive)
                .shadow(shadow)
                .time(self.time)
        });
        match mistake {
            Some(mistake) => Err(mistake.into()),
            None => Ok(hub),
        }
    }
}

/// Refuses commands with types that one of the codecs cannot carry.
pub(crate) fn check_types(codecs: &[AnyCodec], commands: &Commands) -> Result<(), ConfigError> {
    for codec in codecs {
        let Err(findings) = verify_codec(*codec, commands) else { continue };
        if let Some(first) = findings.iter().next() {
            let at = if first.path.is_empty() { "" } else { ", at " };
            return Err(ConfigError::NotCarried {
                codec: codec.name(),
                command: first.command.into(),
                place: format!("{}{at}{}", first.part, first.path).into(),
                why: first.what.as_str().into(),
            });
        }
    }
    Ok(())
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("commands", &self.commands)
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

/// A server at work. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    hub: Arc<Hub>,
}

impl Running {
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The connected clients: emit to one, some or all of them.
    #[must_use]
    pub fn clients(&self) -> Clients {
        Clients::new(Arc::downgrade(&self.hub))
    }

    /// What peers may do: add to it, revoke it.
    #[must_use]
    pub fn capabilities(&self) -> LiveCapabilities {
        LiveCapabilities::new(Arc::downgrade(&self.hub))
    }

    /// Stops serving and ends every connection. Returns when all of its threads have ended, but not
    /// for the tasks of `on_tokio`, which may need this very thread.
    pub fn stop(&self) {
        self.hub.stop();
        self.hub.wait();
    }

    /// Blocks until somebody stops the server, or its parent is gone.
    pub fn wait(&self) {
        self.hub.wait();
    }
}

impl Drop for Running {
    /// Ends every connection and gives the endpoint's name back; commands that still run are not
    /// waited for.
    fn drop(&mut self) {
        self.hub.stop();
        self.hub.wait_until_closed();
    }
}

/// A server that serves: `.await` it or `.wait()` for it.
#[must_use = "the server stops when this is dropped"]
#[derive(Debug)]
pub struct Serve {
    running: Result<Running, Error>,
}

impl Serve {
    pub(crate) fn new(running: Result<Running, Error>) -> Self {
        Self { running }
    }

    /// Serves, blocking this thread until the server is stopped.
    ///
    /// # Errors
    ///
    /// The server could not be started.
    pub fn wait(self) -> Result<(), Error> {
        self.running?.wait();
        Ok(())
    }
}

impl IntoFuture for Serve {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let running = self.running?;
            running.hub.stopped().await;
            Ok(())
        })
    }
}
