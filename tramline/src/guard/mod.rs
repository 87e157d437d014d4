//! Isolation: a guard sees every message between clients and a core before the other side does, and
//! may let it pass, rewrite it or refuse it.
//!
//! There are two shapes with the same [`GuardMessage`] and [`Verdict`]:
//!
//! - [`Guard`]: a process of its own that alone holds connections to the core. Clients connect to
//!   the guard and need no change; the core admits nobody but the guard
//!   ([`Server::admit`](crate::Server::admit)). The program `tramline guard` is this.
//! - [`Server::guarded_by`](crate::Server::guarded_by): a layer within the core's process, which
//!   sees what comes in.
//!
//! Whatever goes wrong refuses: a guard that panics, a body that has no JSON view, a rewrite that is
//! no JSON. When the guard's process ends, so do the links of its clients.
//!
//! `docs/ISOLATION.md` says when to use which, and what it does not protect from.

mod message;
mod relay;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tramline_core::envelope::{BodyKind, Envelope, ExtensionBuf, Head, Kind};
use tramline_core::error::codes;
use tramline_core::session::{Goodbye, Hello, Listens};
use tramline_core::transport::{Transport as _, WaitMode};
use tramline_core::{AnyCodec, ConnectError, Error, Halves, Limits, PeerIdentity};
use tramline_transport_pipe::{Listener, mem};

pub use self::message::{GuardKind, GuardMessage, Toward, Verdict};
pub(crate) use self::message::{Judge, Judged, Seen, with_body};
use self::relay::{Receivers, Relay};
use crate::endpoint::{Endpoint, Scheme};
use crate::hub::ACCEPT_PAUSE;
use crate::meet;
use crate::processes::Processes;

/// What a guard can show as JSON.
const CODECS: [AnyCodec; 2] = [AnyCodec::MSGPACK, AnyCodec::JSON];

/// A guard about to be put between clients and a core.
///
/// It is asked on the threads that carry the messages, two for each client: what comes behind a
/// message waits in the link until the verdict is there, and once the link is full its sender is
/// told so, as by a core that is busy.
///
/// Clients speak MessagePack or JSON; others are refused, for the guard could not read them.
///
/// # Examples
///
/// ```
/// use tramline::guard::{Guard, GuardKind, Verdict};
/// use tramline::{Capabilities, Client, Server, command, commands, json};
///
/// #[command]
/// fn greet(name: &str) -> String {
///     format!("hello {name}")
/// }
///
/// # fn main() -> Result<(), tramline::Error> {
/// let core = Server::new().commands(commands![greet]).allow(Capabilities::all());
/// let core = core.start("mem:guard-doc-core")?;
///
/// let guard = Guard::new(|message| match (message.kind(), message.json()) {
///     (GuardKind::Invoke, Some(args)) if args.contains("mallory") => {
///         Verdict::refuse("we do not greet this one")
///     }
///     _ => Verdict::Allow,
/// });
/// let guard = guard.between("mem:guard-doc", "mem:guard-doc-core").start()?;
///
/// let client = Client::connect("mem:guard-doc").wait()?;
/// let text: String = client.invoke("greet", json!({ "name": "you" })).wait()?;
/// assert_eq!(text, "hello you");
/// let refused = client.invoke::<String, _>("greet", json!({ "name": "mallory" })).wait();
/// assert_eq!(refused.unwrap_err().code(), "guard-refused");
/// # guard.stop();
/// # core.stop();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Guard {
    judge: Judge,
    limits: Limits,
    wait_mode: WaitMode,
    on_refused: Option<OnRefused>,
}

struct OnRefused(Box<dyn Fn(&ConnectError) + Send + Sync>);

impl fmt::Debug for OnRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRefused")
    }
}

impl Guard {
    /// A guard that asks `judge` about every message. A judge that panics refuses.
    #[must_use]
    pub fn new(judge: impl Fn(&GuardMessage<'_>) -> Verdict + Send + Sync + 'static) -> Self {
        Self {
            judge: Judge::new(judge),
            limits: Limits::default(),
            wait_mode: WaitMode::default(),
            on_refused: None,
        }
    }

    /// Limits of the guard, on both sides.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How the guard waits on each of its connections; [`WaitMode::Balanced`] by default.
    #[must_use]
    pub fn wait_mode(mut self, mode: WaitMode) -> Self {
        self.wait_mode = mode;
        self
    }

    /// Is told of every connection that did not come about, for logs.
    #[must_use]
    pub fn on_refused(mut self, told: impl Fn(&ConnectError) + Send + Sync + 'static) -> Self {
        self.on_refused = Some(OnRefused(Box::new(told)));
        self
    }

    /// Where clients find the guard, and where the guard finds the core.
    pub fn between(self, listen: &str, core: &str) -> Between {
        Between { guard: self, listen: listen.into(), core: core.into() }
    }
}

/// A guard that knows its place. Nothing happens until it is started.
#[derive(Debug)]
#[must_use = "nothing happens until this is started"]
pub struct Between {
    guard: Guard,
    listen: Box<str>,
    core: Box<str>,
}

impl Between {
    /// Starts to guard in the background. The core is connected to once for each client, when it
    /// comes; a client that comes while there is no core is refused.
    ///
    /// # Errors
    ///
    /// [`ConfigError`](crate::ConfigError) for what can never work, [`ConnectError::InUse`] if
    /// another process serves `listen`.
    pub fn start(self) -> Result<Guarding, Error> {
        let Guard { judge, limits, wait_mode, on_refused } = self.guard;
        limits.check()?;
        let listen: Endpoint = self.listen.parse()?;
        let shop = Arc::new(Shop {
            judge: Arc::new(judge),
            limits,
            wait_mode,
            on_refused,
            scheme: listen.scheme(),
            core: self.core.parse()?,
            processes: Arc::default(),
            state: Mutex::default(),
            thread_ended: Condvar::new(),
        });
        let door = match listen.scheme() {
            Scheme::Mem => Door::Mem(mem::MemListener::bind(listen.name(), &limits)?),
            _ => Door::Socket(Listener::bind(listen.name())?),
        };
        let door = Arc::new(door);
        let held = Arc::clone(&door);
        shop.spawn("tramline-guard-accept", move |shop| shop.accept(&held))
            .map_err(|e| ConnectError::os("starting the guard's thread", e))?;
        Ok(Guarding { shop, door: Mutex::new(Some(door)) })
    }
}

enum Door {
    Socket(Listener),
    Mem(mem::MemListener),
}

/// A guard at work. Dropping it stops it.
pub struct Guarding {
    shop: Arc<Shop>,
    /// Until it is stopped: the endpoint's name is free then.
    door: Mutex<Option<Arc<Door>>>,
}

impl Guarding {
    /// Ends every connection on both sides. Returns when all threads have ended.
    pub fn stop(&self) {
        let open: Vec<_> = {
            let mut state = self.shop.state();
            state.stopping = true;
            state.open.drain().map(|(_, relay)| relay).collect()
        };
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner).take();
        match door.as_deref() {
            Some(Door::Socket(listener)) => listener.stop(),
            Some(Door::Mem(listener)) => listener.stop(),
            None => {}
        }
        drop(door);
        for relay in open {
            relay.close();
        }
        self.wait();
    }

    /// Blocks until somebody stops the guard.
    pub fn wait(&self) {
        let state = self.shop.state();
        let ended = self.shop.thread_ended.wait_while(state, |state| state.threads > 0);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Guarding {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Guarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarding").field("open", &self.shop.state().open.len()).finish()
    }
}

/// What the connections of a guard share.
struct Shop {
    judge: Arc<Judge>,
    limits: Limits,
    wait_mode: WaitMode,
    on_refused: Option<OnRefused>,
    scheme: Scheme,
    core: Endpoint,
    processes: Arc<Processes>,
    state: Mutex<State>,
    thread_ended: Condvar,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Arc<Relay>>,
    next: u64,
    /// The acceptor, and one for each client.
    threads: usize,
    stopping: bool,
}

/// A thread of the guard's, as long as it runs.
struct Counted(Arc<Shop>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.state().threads -= 1;
        self.0.thread_ended.notify_all();
    }
}

impl Shop {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> std::io::Result<()> {
        self.state().threads += 1;
        let counted = Counted(Arc::clone(self));
        let thread = std::thread::Builder::new().name(name.into());
        thread.spawn(move || work(&counted.0)).map(drop)
    }

    fn refused(&self, error: &ConnectError) {
        if let Some(OnRefused(told)) = &self.on_refused {
            told(error);
        }
    }

    fn accept(self: &Arc<Self>, door: &Door) {
        match door {
            Door::Mem(listener) => {
                while let Some(mem) = listener.accept() {
                    // Whatever process this is, it is us.
                    self.receive(PeerIdentity::default(), || Ok(Box::new(mem).into_halves()));
                }
            }
            Door::Socket(listener) => {
                while !self.state().stopping {
                    match listener.accept() {
                        Ok(Some(stream)) => {
                            let (limits, scheme) = (self.limits, self.scheme);
                            self.receive(stream.peer(), move || {
                                meet::answer(stream, scheme, &limits).map(|(halves, _)| halves)
                            });
                        }
                        Ok(None) => return,
                        Err(e) => {
                            // One connection's failure is not the guard's.
                            self.refused(&e);
                            std::thread::park_timeout(ACCEPT_PAUSE);
                        }
                    }
                }
            }
        }
    }

    fn receive(
        self: &Arc<Self>,
        peer: PeerIdentity,
        meet: impl FnOnce() -> Result<Halves, ConnectError> + Send + 'static,
    ) {
        let Limits { max_connections, max_connections_per_process, .. } = self.limits;
        let too_many = |max: usize, of: &str| ConnectError::Refused {
            code: codes::TOO_MANY_PEERS.into(),
            text: format!("{max} connections{of} are the limit").into(),
        };
        // The acceptor is among them. One too many is hung up on.
        if self.state().threads > max_connections {
            return self.refused(&too_many(max_connections, ""));
        }
        let Some(counted) = self.processes.count(peer, max_connections_per_process) else {
            return self.refused(&too_many(max_connections_per_process, " of one process"));
        };
        let spawned = self.spawn("tramline-guard", move |shop| {
            let served = meet().and_then(|client| shop.introduce(client));
            match served {
                Ok((relay, receivers)) => shop.guard(relay, receivers),
                Err(e) => shop.refused(&e),
            }
            drop(counted);
        });
        if let Err(e) = spawned {
            self.refused(&ConnectError::os("starting a connection's thread", e));
        }
    }

    /// Hello on both sides: what the client says of itself is said to the core, and back.
    fn introduce(&self, mut client: Halves) -> Result<(Relay, Receivers), ConnectError> {
        let limits = &self.limits;
        let asked = meet::hear_hello(&mut client, &CODECS, limits)?;
        let (codec, label) = (asked.codec, asked.label);
        let hello = |max_message_len, known_as: Option<Box<str>>, toward, listens: Vec<Listens>| {
            let mut limits = *limits;
            limits.max_message_len = max_message_len;
            let may = |one: &Listens| may_listen(&self.judge, codec, toward, one, label.as_deref());
            let listens = listens.into_iter().filter(may).collect();
            Hello::new(codec, &limits, known_as.map(String::from), listens)
        };
        let introduced = meet::dial(&self.core, limits).and_then(|mut core| {
            let hello = hello(asked.max_send_len, label.clone(), Toward::Core, asked.listens);
            let agreed = meet::hello_as_client(&mut core, &hello, codec, limits)?;
            Ok((core, agreed))
        });
        let (mut core, agreed) = match introduced {
            Ok(introduced) => introduced,
            Err(e) => {
                let goodbye = match &e {
                    ConnectError::Refused { code, text } => Goodbye::new(code, text),
                    other => {
                        Goodbye::new(other.code(), &format!("no core behind this guard: {other}"))
                    }
                };
                // Whether it hears of it or not.
                let _ = meet::refuse(&mut client, &goodbye, limits);
                return Err(e);
            }
        };
        let answer = hello(agreed.max_send_len, agreed.label, Toward::Client, agreed.listens);
        let deadline = Instant::now() + Duration::from_millis(limits.handshake_timeout_ms);
        meet::send(&mut client, &answer.to_frame(), deadline, limits)?;
        client.set_wait_mode(self.wait_mode);
        core.set_wait_mode(self.wait_mode);
        let max_send_len = (asked.max_send_len, agreed.max_send_len);
        Ok(Relay::new((client, core), max_send_len, codec, label, Arc::clone(&self.judge)))
    }

    /// Carries messages until either side is gone.
    fn guard(&self, relay: Relay, receivers: Receivers) {
        let relay = Arc::new(relay);
        let Receivers { mut client, mut core } = receivers;
        let number = {
            let mut state = self.state();
            if state.stopping {
                drop(state);
                relay.close();
                return;
            }
            state.next += 1;
            let number = state.next;
            state.open.insert(number, Arc::clone(&relay));
            number
        };
        std::thread::scope(|scope| {
            let back = std::thread::Builder::new().name("tramline-guard-back".into());
            let spawned = back.spawn_scoped(scope, || relay.carry(&mut *core, Toward::Client));
            match spawned {
                Ok(_) => relay.carry(&mut *client, Toward::Core),
                Err(e) => {
                    relay.close();
                    self.refused(&ConnectError::os("starting a connection's thread", e));
                }
            }
        });
        self.state().open.remove(&number);
    }
}

/// Whether a guard lets a peer listen to an event from the start.
pub(crate) fn may_listen(
    judge: &Judge,
    codec: AnyCodec,
    toward: Toward,
    listens: &Listens,
    label: Option<&str>,
) -> bool {
    let (name, mut extension) = (listens.event(), ExtensionBuf::default());
    if let Some(target) = listens.target()
        && extension.target(target).is_err()
    {
        return false;
    }
    let head = Head::new(Kind::Subscribe, BodyKind::Empty, 0, name);
    let head = head.extended(extension.as_extension());
    let message = Envelope { head, body: &[], attachments: &[] };
    matches!(judge.judge(&message, codec, Seen { toward, name, label }), Judged::Passes)
}
