//! The calling side.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tramline_core::acl::Capabilities;
use tramline_core::answer::FromAnswer;
use tramline_core::codec::AnyCodec;
use tramline_core::command::{Commands, RawBody, Reply};
use tramline_core::envelope::{BodyKind, ExtensionBuf, Head, Kind};
use tramline_core::events::{Event, EventTarget, ListenOptions, ListenerId, Listeners};
use tramline_core::peer::{Patience, Peer, Port as _};
use tramline_core::router::Router;
use tramline_core::session::Hello;
use tramline_core::state::States;
use tramline_core::transport::WaitMode;
use tramline_core::{
    ConfigError, ConnectError, EncodeError, Halves, InvokeError, Limits, LinkError, SendError,
};
#[cfg(unix)]
use tramline_transport_pipe::Stream;

#[cfg(unix)]
use crate::endpoint::Scheme;
use crate::executor::{self, Executor};
use crate::invoke::{Borrowed, Invoke};
use crate::layer::Layers;
use crate::link::{Link, Outgoing, Service};
use crate::look_out::LookOut;
use crate::meet;
use crate::server::check_types;
use crate::shadow::{Difference, Report, Shadow};
use crate::time::Time;

/// A connection to a server. Clones share it; it closes with the last one.
///
/// Every operation that waits can be awaited, under any runtime or none, or waited for with
/// `.wait()`, which blocks.
///
/// # Examples
///
/// ```
/// use tramline::{Capabilities, Client, Server, command, commands};
///
/// #[command(inline)]
/// fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// let server = Server::new().commands(commands![add]).allow(Capabilities::all());
/// let server = server.start("mem:client-doc")?;
///
/// let client = Client::connect("mem:client-doc").wait()?;
/// let sum: i64 = client.invoke("add", tramline::json!({ "a": 2, "b": 3 })).wait()?;
/// assert_eq!(sum, 5);
/// # server.stop();
/// # Ok::<(), tramline::Error>(())
/// ```
#[derive(Clone)]
pub struct Client(Arc<Shared>);

/// Closes the link when the last client is gone. The runner holds the parts, never this.
struct Shared {
    link: Arc<Link>,
    service: Arc<Service>,
    peer: Peer,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.link.close(LinkError::Closed);
    }
}

impl Client {
    /// Connects to a server. See [`Endpoint`](crate::Endpoint) for the forms.
    ///
    /// # Errors
    ///
    /// When awaited or waited for: [`ConnectError`].
    pub fn connect(endpoint: &str) -> Connect {
        Connect { target: Target::Endpoint(endpoint.into()), options: Options::default() }
    }

    pub(crate) fn open(mut halves: Halves, options: Options) -> Result<Self, ConnectError> {
        let Options { codec, label, limits, wait_mode, commands, shadow, time, layers, .. } =
            options;
        halves.set_wait_mode(wait_mode);
        let own = EventTarget::peer(label.as_deref().unwrap_or_default());
        let hello = Hello::new(codec, &limits, label, Vec::new());
        let agreement = meet::hello_as_client(&mut halves, &hello, codec, &limits)?;
        let (transport, identity) = (halves.transport, halves.peer);
        let server_label = agreement.label.clone();
        let shadow = shadow.map(|report| Shadow::new(&commands, report));
        let (theirs, shadow) = (EventTarget::App, shadow.as_ref());
        let link = Link::new(halves, agreement, limits, own, theirs, shadow, time);
        let port = Arc::clone(&link);
        let peer = Peer::new(0, server_label.clone(), identity, transport, codec, port);
        link.leaving.begin(&layers, &peer);
        let service = Arc::new(Service {
            router: Router::new(Commands::new(), States::default(), Capabilities::none())?,
            listeners: Listeners::default(),
            executor: Executor::default(),
            layers,
            subscriptions: Mutex::default(),
            gate_events: false,
            guarded: None,
            links: AtomicUsize::new(0),
        });
        #[cfg(feature = "test-kit")]
        let peer = if options.mocks_events {
            let port = Arc::new(crate::test::EventsStay::new(&link, &service, peer));
            Peer::new(0, server_label, identity, transport, codec, port)
        } else {
            peer
        };
        Ok(Self(Arc::new(Shared { link, service, peer })))
    }

    /// Calls a command. `args` is a struct, a map or `json!({..})` with the arguments by name; `()`
    /// for none.
    ///
    /// The result's type decides how the answer is read: anything deserialisable, or [`Raw`](crate::Raw) for a
    /// command that returns raw bytes.
    ///
    /// # Errors
    ///
    /// When awaited or waited for: [`InvokeError`].
    pub fn invoke<'a, T: FromAnswer, A: Serialize>(
        &'a self,
        command: &'a str,
        args: A,
    ) -> Invoke<'a, T, A> {
        Invoke::new(self, command, args)
    }

    /// Calls a command and reads the answer where it was received, without a copy of the text and
    /// bytes in it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tramline::{Capabilities, Client, Server, command, commands};
    /// #[command(inline)]
    /// fn greet(name: &str) -> String {
    ///     format!("hello {name}")
    /// }
    /// # let server = Server::new().commands(commands![greet]).allow(Capabilities::all());
    /// # let server = server.start("mem:borrowed-doc")?;
    /// # let client = Client::connect("mem:borrowed-doc").wait()?;
    ///
    /// let call = client.invoke_borrowed("greet", tramline::json!({ "name": "you" }));
    /// let len = call.wait_with(|answer| answer.decode::<&str>().map(str::len))?;
    /// assert_eq!(len, 9);
    /// # server.stop();
    /// # Ok::<(), tramline::Error>(())
    /// ```
    pub fn invoke_borrowed<'a, A: Serialize>(
        &'a self,
        command: &'a str,
        args: A,
    ) -> Invoke<'a, Borrowed, A> {
        Invoke::new(self, command, args)
    }

    /// Calls a command whose argument is raw bytes, borrowed or owned, or a
    /// [`SealedBlob`](crate::SealedBlob): that crosses shared memory without a copy, and other
    /// transports like any bytes.
    ///
    /// # Errors
    ///
    /// As [`invoke`](Self::invoke).
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline::{Capabilities, Client, Raw, SealedBlob, Server, command, commands};
    ///
    /// #[command]
    /// fn longest_run(image: Raw) -> usize {
    ///     // Over shared memory these are the caller's own pages.
    ///     image.0.chunk_by(|a, b| a == b).map(<[u8]>::len).max().unwrap_or(0)
    /// }
    ///
    /// #[command]
    /// fn white(len: usize) -> Result<SealedBlob, String> {
    ///     SealedBlob::write_with(len, |pixels| pixels.fill(255)).map_err(|e| e.to_string())
    /// }
    ///
    /// let server = Server::new().commands(commands![longest_run, white]);
    /// let server = server.allow(Capabilities::all()).start("mem:blob-doc")?;
    /// let client = Client::connect("mem:blob-doc").wait()?;
    /// let image: Raw = client.invoke("white", tramline::json!({ "len": 10_000 })).wait()?;
    /// assert_eq!(image.0.len(), 10_000);
    /// let blob = SealedBlob::from_bytes(&image.0)?;
    /// let run: usize = client.invoke_raw("longest_run", &blob).wait()?;
    /// assert_eq!(run, 10_000);
    /// # server.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn invoke_raw<'a, T: FromAnswer>(
        &'a self,
        command: &'a str,
        body: impl Into<RawBody<'a>>,
    ) -> Invoke<'a, T, RawBody<'a>> {
        Invoke::new(self, command, body.into())
    }

    /// Emits an event to the server. Nothing crosses if it does not listen.
    ///
    /// Waits while the link is full, as long as [`Limits::send_timeout_ms`] says. In async code use
    /// [`try_emit`](Self::try_emit) or [`emit_async`](Self::emit_async).
    ///
    /// Allocates nothing once the connection is warm, apart from what the payload's own code
    /// allocates; nor does the other side before it calls its listeners.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the connection lives unless it is [`SendError::Link`].
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, payload: &T) -> Result<(), SendError> {
        self.0.peer.emit(event, payload)
    }

    /// Emits an event if there is room for it now.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if there is none.
    pub fn try_emit<T: Serialize + ?Sized>(
        &self,
        event: &str,
        payload: &T,
    ) -> Result<(), SendError> {
        self.0.peer.try_emit(event, payload)
    }

    /// Emits an event without blocking the thread: waits for room on another one if it must.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn emit_async<T: Serialize + ?Sized>(
        &self,
        event: &str,
        payload: &T,
    ) -> Result<(), SendError> {
        match self.0.peer.try_emit(event, payload) {
            Err(SendError::Full) => {
                let codec = self.0.peer.codec();
                let body = codec.to_vec(payload)?;
                let (link, name) = (Arc::clone(&self.0.link), Box::<str>::from(event));
                blocking::unblock(move || {
                    let head = Head::new(Kind::Event, BodyKind::Structured, 0, &name);
                    link.send_bytes(&head, &body, Patience::SendTimeout)
                })
                .await
            }
            other => other,
        }
    }

    /// Emits an event whose payload is bytes as they are, in no codec, or a
    /// [`SealedBlob`](crate::SealedBlob).
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_raw<'b>(
        &self,
        event: &str,
        payload: impl Into<RawBody<'b>>,
    ) -> Result<(), SendError> {
        self.0.peer.emit_raw(event, payload)
    }

    /// Emits an event to the server's listeners that `target` reaches: [`EventTarget::App`] is what
    /// [`Server::listen`](crate::Server::listen) listens as. Nothing crosses if it reaches none.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_to<T: Serialize + ?Sized>(
        &self,
        target: impl Into<EventTarget>,
        event: &str,
        payload: &T,
    ) -> Result<(), SendError> {
        self.0.peer.emit_to(target, event, payload)
    }

    /// Emits an event to the server's listeners whose target `filter` picks, and to those that
    /// listen as [`EventTarget::Any`]. Nothing crosses if it picks none.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_filter<T: Serialize + ?Sized>(
        &self,
        event: &str,
        payload: &T,
        filter: impl Fn(&EventTarget) -> bool,
    ) -> Result<(), SendError> {
        self.0.peer.emit_filter(event, payload, filter)
    }

    /// Calls `listener` for every event of this name the server emits, in order, if it is aimed at
    /// nobody or at this client's label. When the returned operation is done, no later event is
    /// missed.
    ///
    /// Listeners run one after the other on a thread of the connection: they may call anything
    /// here, but a slow one holds up the next event, unless it was given a queue with
    /// [`Listen::with`]. A listener that keeps a clone of its client keeps the connection open until
    /// somebody closes it. Listeners go when their connection has ended.
    ///
    /// # Errors
    ///
    /// When awaited or waited for: a name that is no event name, a server that does not allow it,
    /// or a link that is over.
    pub fn listen<F>(&self, event: &str, listener: F) -> Listen<'_, F>
    where
        F: Fn(Event<'_>) + Send + Sync + 'static,
    {
        let options = ListenOptions::new();
        Listen { client: self, event: event.into(), options, listener }
    }

    /// As [`listen`](Self::listen), whomever the event is aimed at.
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    pub fn listen_any<F>(&self, event: &str, listener: F) -> Listen<'_, F>
    where
        F: Fn(Event<'_>) + Send + Sync + 'static,
    {
        self.listen(event, listener).with(ListenOptions::new().target(EventTarget::Any))
    }

    /// As [`listen`](Self::listen), for one event only.
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    pub fn once<F>(&self, event: &str, listener: F) -> Listen<'_, F>
    where
        F: Fn(Event<'_>) + Send + Sync + 'static,
    {
        self.listen(event, listener).with(ListenOptions::new().once())
    }

    /// Removes a listener. An unknown id is ignored.
    pub fn unlisten(&self, id: ListenerId) {
        if let Some((name, target)) = self.0.service.listeners.remove(id) {
            self.0.link.unsubscribe_if_deaf(&self.0.service, &name, &target);
        }
    }

    /// The server, as listeners see it: transport, codec, identity.
    #[must_use]
    pub fn server(&self) -> &Peer {
        &self.0.peer
    }

    /// Begins to look out on this thread for what awaited calls and channels wait for, before the
    /// calls are sent: see [`LookOut`].
    pub fn look_out(&self) -> LookOut<'_> {
        LookOut::new(self.link())
    }

    /// Why the connection is over, if it is.
    #[must_use]
    pub fn ended(&self) -> Option<LinkError> {
        self.0.link.over().cloned()
    }

    /// Ends the connection for all clones.
    pub fn close(&self) {
        self.0.link.close(LinkError::Closed);
    }

    pub(crate) fn layers(&self) -> &Layers {
        &self.0.service.layers
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.0.link
    }

    /// Sees to it that a thread reads the link even while nobody waits in a call.
    pub(crate) fn ensure_runner(&self) -> Result<(), LinkError> {
        let shared = &self.0;
        if !shared.link.claim_runner() {
            return Ok(());
        }
        let (link, peer, service) =
            (Arc::clone(&shared.link), shared.peer.clone(), Arc::clone(&shared.service));
        std::thread::Builder::new()
            .name("tramline-client".into())
            .spawn(move || {
                link.run(&peer, &service);
                // Nothing more comes, and what they hold may be waited for.
                service.listeners.clear();
            })
            .map(drop)
            .map_err(|e| shared.link.end(LinkError::os("starting the connection's thread", &e)))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.peer).finish()
    }
}

/// Where [`Connect`] goes.
pub(crate) enum Target {
    Endpoint(Box<str>),
    #[cfg(unix)]
    Stream(Stream, Scheme),
    #[cfg(feature = "test-kit")]
    Hub(Arc<crate::hub::Hub>),
}

/// A connection about to be made: `.await` it or `.wait()` for it.
#[must_use = "nothing happens until this is awaited or waited for"]
pub struct Connect {
    pub(crate) target: Target,
    pub(crate) options: Options,
}

/// What a connecting side chooses.
pub(crate) struct Options {
    pub(crate) codec: AnyCodec,
    pub(crate) label: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) wait_mode: WaitMode,
    pub(crate) layers: Layers,
    /// Commands of the server's whose types are known here.
    pub(crate) commands: Commands,
    pub(crate) shadow: Option<Box<Report>>,
    pub(crate) time: Time,
    /// Events come back instead of being sent.
    #[cfg(feature = "test-kit")]
    pub(crate) mocks_events: bool,
}

impl Options {
    /// Refuses what can never work, before anything is sent.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.limits.check()?;
        check_types(&[self.codec], &self.commands)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            codec: AnyCodec::MSGPACK,
            label: None,
            limits: Limits::default(),
            wait_mode: WaitMode::default(),
            layers: Layers::default(),
            commands: Commands::new(),
            shadow: None,
            time: Time::default(),
            #[cfg(feature = "test-kit")]
            mocks_events: false,
        }
    }
}

impl Connect {
    /// To a server of this process, by its time.
    #[cfg(feature = "test-kit")]
    pub(crate) fn within(hub: &Arc<crate::hub::Hub>) -> Self {
        let options = Options { time: hub.its_time().clone(), ..Options::default() };
        Self { target: Target::Hub(Arc::clone(hub)), options }
    }

    /// Whether events come back instead of being sent.
    #[cfg(feature = "test-kit")]
    pub(crate) fn mocking_events(mut self, mocks_events: bool) -> Self {
        self.options.mocks_events = mocks_events;
        self
    }

    /// The codec of this connection; MessagePack by default.
    pub fn codec(mut self, codec: AnyCodec) -> Self {
        self.options.codec = codec;
        self
    }

    /// The label by which the server knows this client.
    pub fn label(mut self, label: &str) -> Self {
        self.options.label = Some(label.to_owned());
        self
    }

    /// Limits of this side.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = limits;
        self
    }

    /// Puts a layer around every call that this client makes, every event that it emits or delivers,
    /// and every channel message that it sends. The first one added is the outermost.
    #[cfg(feature = "layers")]
    pub fn layer(mut self, layer: impl crate::layer::Layer) -> Self {
        self.options.layers.add(layer);
        self
    }

    /// How this side waits; [`WaitMode::Balanced`] by default.
    pub fn wait_mode(mut self, mode: WaitMode) -> Self {
        self.options.wait_mode = mode;
        self
    }

    /// Commands of the server's whose types this program knows, because it is built from the same
    /// code. A codec that is not [self-describing](crate::Codec::SELF_DESCRIBING) is then refused
    /// before the first message if it cannot carry them, and [`shadow`](Self::shadow) can look at
    /// its messages. Nothing is served.
    pub fn commands(mut self, commands: Commands) -> Self {
        self.options.commands.extend(commands);
        self
    }

    /// Shadow mode: each message that this side sends is encoded as JSON, too, and both are compared;
    /// so is what the result types read of the answers. `report` is told of every difference. For
    /// people who move an app to another codec.
    ///
    /// What is sent does not change, and nothing fails that would not have failed. It costs three
    /// encodings of each message; without it there is no cost.
    ///
    /// In a codec that is not self-describing only the commands of [`commands`](Self::commands) can
    /// be looked at. Of received events, raw bytes and answers read in place nothing is compared.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tramline::{Capabilities, Client, Server, command, commands};
    /// # #[command(inline)]
    /// # fn add(a: i64, b: i64) -> i64 { a + b }
    /// # let server = Server::new().commands(commands![add]).allow(Capabilities::all());
    /// # let server = server.start("mem:shadow-doc")?;
    /// let client = Client::connect("mem:shadow-doc").shadow(|found| eprintln!("{found}"));
    /// let sum: i64 = client.wait()?.invoke("add", tramline::json!({ "a": 2, "b": 3 })).wait()?;
    /// # assert_eq!(sum, 5);
    /// # server.stop();
    /// # Ok::<(), tramline::Error>(())
    /// ```
    pub fn shadow(mut self, report: impl Fn(&Difference) + Send + Sync + 'static) -> Self {
        self.options.shadow = Some(Box::new(report));
        self
    }

    /// Connects, blocking this thread.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says what to do next.
    pub fn wait(self) -> Result<Client, ConnectError> {
        self.options.check()?;
        let limits = &self.options.limits;
        let halves = match self.target {
            Target::Endpoint(text) => meet::dial(&text.parse()?, limits)?,
            #[cfg(unix)]
            Target::Stream(stream, scheme) => meet::call(stream, scheme, limits)?,
            #[cfg(feature = "test-kit")]
            Target::Hub(hub) => hub.connect_within(limits),
        };
        Client::open(halves, self.options)
    }
}

impl IntoFuture for Connect {
    type Output = Result<Client, ConnectError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(blocking::unblock(move || self.wait()))
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("codec", &self.options.codec).finish_non_exhaustive()
    }
}

/// A listener about to be added: `.await` it or `.wait()` for it.
#[must_use = "nothing happens until this is awaited or waited for"]
pub struct Listen<'a, F> {
    client: &'a Client,
    event: Box<str>,
    options: ListenOptions,
    listener: F,
}

impl<'a, F: Fn(Event<'_>) + Send + Sync + 'static> Listen<'a, F> {
    /// How to listen: as what, once or always, and with which queue. Replaces what was said before,
    /// also by [`Client::once`] and [`Client::listen_any`].
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline::{Client, EventTarget, ListenOptions, Overflow};
    /// # use tramline::{Capabilities, Server};
    /// # let server = Server::new().allow(Capabilities::all()).start("mem:listen-with-doc")?;
    ///
    /// let client = Client::connect("mem:listen-with-doc").wait()?;
    /// let options = ListenOptions::new()
    ///     .target(EventTarget::window("main"))
    ///     .overflow(Overflow::DropOldest)
    ///     .queue(100, 64 << 10);
    /// client.listen("tick", |event| println!("{:?}", event.bytes())).with(options).wait()?;
    /// # server.stop();
    /// # Ok::<(), tramline::Error>(())
    /// ```
    pub fn with(mut self, options: ListenOptions) -> Self {
        self.options = options;
        self
    }

    /// Adds the listener here; the server has yet to be told.
    fn add(self) -> Result<Subscription<'a>, InvokeError> {
        let Self { client, event, options, listener } = self;
        client.ensure_runner().map_err(SendError::Link)?;
        let (service, link) = (&client.0.service, &client.0.link);
        let target = options.target_or(link.own());
        let extension = link.extension_of(&target).map_err(SendError::Config)?;
        let _order = service.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        let id = service
            .listeners
            .add(&event, options, &target, executor::on_a_thread, listener)
            .map_err(SendError::Config)?;
        Ok(Subscription { client, event, extension, id })
    }

    /// Adds the listener, blocking until the server knows.
    ///
    /// # Errors
    ///
    /// See [`Client::listen`].
    pub fn wait(self) -> Result<ListenerId, InvokeError> {
        let subscription = self.add()?;
        let told = subscription.client.link().call(
            Outgoing {
                kind: Kind::Subscribe,
                name: &subscription.event,
                extension: subscription.extension.as_extension(),
                body: BodyKind::Empty,
                body_len: 0,
                fill: &mut |_, _| Ok(()),
                pages: None,
                brings: None,
            },
            None,
            None,
            |_| Ok(()),
        );
        subscription.finish(told)
    }
}

/// A listener the server has to be told of.
struct Subscription<'a> {
    client: &'a Client,
    event: Box<str>,
    /// As what, if it must be said.
    extension: ExtensionBuf,
    id: ListenerId,
}

impl Subscription<'_> {
    fn finish(self, told: Result<(), InvokeError>) -> Result<ListenerId, InvokeError> {
        if told.is_err() {
            self.client.0.service.listeners.remove(self.id);
        }
        told.map(|()| self.id)
    }
}

impl<'a, F: Fn(Event<'_>) + Send + Sync + 'static> IntoFuture for Listen<'a, F> {
    type Output = Result<ListenerId, InvokeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let added = self.add();
        Box::pin(async move {
            let subscription = added?;
            let told =
                Invoke::<'_, (), Nothing>::new(subscription.client, &subscription.event, Nothing)
                    .subscribing(subscription.extension.clone())
                    .await;
            subscription.finish(told)
        })
    }
}

impl<F> fmt::Debug for Listen<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listen").field("event", &self.event).finish_non_exhaustive()
    }
}

/// A body that is not there.
pub(crate) struct Nothing;

impl Reply for Nothing {
    const BODY: BodyKind = BodyKind::Empty;

    fn len_hint(&self) -> usize {
        0
    }

    fn encode(
        &self,
        _: AnyCodec,
        _: &mut tramline_core::FrameWriter<'_>,
    ) -> Result<(), EncodeError> {
        Ok(())
    }
}
