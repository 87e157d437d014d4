//! What a running server shares among its connections.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::Event as Notice;
use tramline_core::acl::{Asked, Standing, Subject};
use tramline_core::error::codes;
use tramline_core::events::EventTarget;
use tramline_core::gate::Gate;
use tramline_core::limits::MAX_SUBSCRIPTIONS;
use tramline_core::peer::Peer;
use tramline_core::session::{Goodbye, Hello, Listens};
use tramline_core::transport::{Transport, WaitMode};
use tramline_core::{AnyCodec, ConnectError, Error, Halves, Limits, LinkError, PeerIdentity};
use tramline_transport_pipe::{Listener, Stream, mem};

use crate::admit::{Policy, Process, Visitor};
use crate::endpoint::Scheme;
use crate::guard::{self, Toward};
use crate::json_rpc::JsonRpcPeers;
use crate::link::{Link, Service};
use crate::meet::{self, Met};
use crate::processes::{OfProcess, Processes};
use crate::shadow::Shadow;
use crate::shared::{Connection, Drive};
use crate::time::Time;

/// How long a failing `accept` is left alone. A choice: far above the cost of a try, far below what
/// a person notices.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections too many that are told so at the same time. A choice: enough for a person who starts
/// one client too many, too few to hurt.
const MAX_REFUSING: usize = 8;

/// Told of connections that did not come about.
pub(crate) type Refused = dyn Fn(&ConnectError) + Send + Sync;

/// Told of connections that have ended.
pub(crate) type Ended = dyn Fn(&Peer, &LinkError) + Send + Sync;

/// Where connections come from.
pub(crate) enum Door {
    Socket(Listener),
    Mem(mem::MemListener),
    #[cfg_attr(not(unix), expect(dead_code, reason = "sidecars are Unix only"))]
    Parent(Stream),
}

enum Knocker {
    Socket(Arc<Listener>),
    Mem(Arc<mem::MemListener>),
}

pub(crate) struct Hub {
    service: Arc<Service>,
    scheme: Scheme,
    codecs: Vec<AnyCodec>,
    limits: Limits,
    wait_mode: WaitMode,
    shadow: Option<Arc<Shadow>>,
    label: Option<String>,
    policy: Policy,
    on_refused: Option<Box<Refused>>,
    on_ended: Option<Box<Ended>>,
    exit_with_parent: bool,
    drive: Drive,
    time: Time,
    next_peer_id: AtomicU64,
    /// Every open connection, in the order in which they came.
    links: Mutex<HashMap<u64, (Arc<Link>, Peer)>>,
    json_rpc: JsonRpcPeers,
    knocker: Mutex<Option<Knocker>>,
    door_is_open: AtomicBool,
    stopping: AtomicBool,
    processes: Arc<Processes>,
    /// Connections that are being told that there are too many.
    refusing: AtomicUsize,
    at_work: Mutex<AtWork>,
    thread_ended: Notice,
}

/// What runs for a server.
#[derive(Debug, Default, Clone, Copy)]
struct AtWork {
    /// Threads, and connections that share one.
    threads: usize,
    /// Connections that are tasks of somebody else's runtime: nobody blocks until they end, for
    /// they may need the very thread that would.
    tasks: usize,
}

/// One thread, or one connection, of a server for as long as it runs.
pub(crate) struct Seat {
    hub: Arc<Hub>,
    is_task: bool,
    /// Counts the peer's process in as long as the connection lasts.
    counted: Option<OfProcess>,
}

impl Seat {
    fn take(hub: &Arc<Hub>) -> Self {
        hub.at_work().threads += 1;
        Self { hub: Arc::clone(hub), is_task: false, counted: None }
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// What had a thread becomes a task.
    #[cfg(all(target_os = "linux", feature = "tokio"))]
    pub(crate) fn leave_thread(&mut self) {
        self.is_task = true;
        let mut at_work = self.hub.at_work();
        at_work.threads -= 1;
        at_work.tasks += 1;
        drop(at_work);
        self.hub.thread_ended.notify(usize::MAX);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut at_work = self.hub.at_work();
        if self.is_task {
            at_work.tasks -= 1;
        } else {
            at_work.threads -= 1;
        }
        drop(at_work);
        self.hub.thread_ended.notify(usize::MAX);
    }
}

impl Hub {
    pub(crate) fn new(
        service: Arc<Service>,
        scheme: Scheme,
        codecs: Vec<AnyCodec>,
        limits: Limits,
        label: Option<String>,
        on_refused: Option<Box<Refused>>,
    ) -> Self {
        Self {
            service,
            scheme,
            codecs,
            limits,
            wait_mode: WaitMode::default(),
            shadow: None,
            label,
            policy: Policy::default(),
            on_refused,
            on_ended: None,
            exit_with_parent: false,
            drive: Drive::default(),
            time: Time::default(),
            next_peer_id: AtomicU64::new(1),
            links: Mutex::default(),
            json_rpc: JsonRpcPeers::default(),
            knocker: Mutex::new(None),
            door_is_open: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            processes: Arc::default(),
            refusing: AtomicUsize::new(0),
            at_work: Mutex::default(),
            thread_ended: Notice::new(),
        }
    }

    pub(crate) fn exit_with_parent(mut self, exit: bool) -> Self {
        self.exit_with_parent = exit;
        self
    }

    pub(crate) fn on_ended(mut self, told: Option<Box<Ended>>) -> Self {
        self.on_ended = told;
        self
    }

    pub(crate) fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Who this visitor is here, or why it is nobody.
    pub(crate) fn judge(&self, visitor: Visitor) -> Result<Standing, Goodbye> {
        self.policy.admit(visitor)
    }

    pub(crate) fn drive(mut self, drive: Drive) -> Self {
        self.drive = drive;
        self
    }

    pub(crate) fn time(mut self, time: Time) -> Self {
        self.time = time;
        self
    }

    #[cfg(feature = "test-kit")]
    pub(crate) fn its_time(&self) -> &Time {
        &self.time
    }

    pub(crate) fn waits(&self) -> WaitMode {
        self.wait_mode
    }

    pub(crate) fn shadow(mut self, shadow: Option<Arc<Shadow>>) -> Self {
        self.shadow = shadow;
        self
    }

    pub(crate) fn wait_mode(mut self, mode: WaitMode) -> Self {
        self.wait_mode = mode;
        self
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.service
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn json_rpc(&self) -> &JsonRpcPeers {
        &self.json_rpc
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub(crate) fn next_peer_id(&self) -> u64 {
        self.next_peer_id.fetch_add(1, Ordering::Relaxed)
    }

    fn links(&self) -> MutexGuard<'_, HashMap<u64, (Arc<Link>, Peer)>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knocker(&self) -> MutexGuard<'_, Option<Knocker>> {
        self.knocker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoint's name is free again.
    fn door_closed(&self) {
        self.door_is_open.store(false, Ordering::SeqCst);
        self.thread_ended.notify(usize::MAX);
    }

    fn at_work(&self) -> MutexGuard<'_, AtWork> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread that counts as the server's own.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> std::io::Result<()> {
        self.spawn_seated(name, move |seat| work(&seat.hub))
    }

    /// The same with work that may outlive the thread.
    fn spawn_seated(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce(Seat) + Send + 'static,
    ) -> std::io::Result<()> {
        let seat = Seat::take(self);
        std::thread::Builder::new().name(name.into()).spawn(move || work(seat)).map(drop)
    }

    /// Starts to accept connections.
    pub(crate) fn open(self: &Arc<Self>, door: Door) -> Result<(), Error> {
        let started = match door {
            Door::Socket(listener) => {
                let sharing = self.drive.start(self);
                sharing.map_err(|e| ConnectError::os("starting the server's threads", e))?;
                let listener = Arc::new(listener);
                self.door_is_open.store(true, Ordering::SeqCst);
                *self.knocker() = Some(Knocker::Socket(Arc::clone(&listener)));
                self.spawn("tramline-accept", move |hub| {
                    hub.accept(&listener);
                    drop(listener);
                    hub.door_closed();
                })
            }
            Door::Mem(listener) => {
                let listener = Arc::new(listener);
                self.door_is_open.store(true, Ordering::SeqCst);
                *self.knocker() = Some(Knocker::Mem(Arc::clone(&listener)));
                self.spawn("tramline-accept", move |hub| {
                    while let Some(mem) = listener.accept() {
                        hub.receive_within(mem);
                    }
                    drop(listener);
                    hub.door_closed();
                })
            }
            Door::Parent(stream) => self.spawn("tramline-parent", move |hub| {
                let process = hub.process_of(&stream);
                // Alone, hence on this thread: it ends with its connection.
                let ended = meet::answer(stream, hub.scheme, &hub.limits)
                    .and_then(|(halves, _)| Ok(hub.welcome(halves, process, &mut None)?.run()));
                hub.report(&ended);
                let vanished = !matches!(ended, Ok(LinkError::Closed));
                if vanished && hub.exit_with_parent && !hub.stopping.load(Ordering::SeqCst) {
                    // The parent cannot end us any more, and nobody else knows us.
                    std::process::exit(1);
                }
            }),
        };
        started.map_err(|e| {
            self.drive.stop();
            ConnectError::os("starting the server's thread", e).into()
        })
    }

    fn accept(self: &Arc<Self>, listener: &Listener) {
        while !self.stopping.load(Ordering::SeqCst) {
            match listener.accept() {
                Ok(Some(stream)) => {
                    let process = self.process_of(&stream);
                    self.receive(stream.peer(), process, move |hub| {
                        meet::answer(stream, hub.scheme, &hub.limits)
                    });
                }
                Ok(None) => return,
                Err(e) => {
                    // One connection's failure, such as too many descriptors, is not the server's.
                    // Go on when a connection has ended; it may have been the last descriptor.
                    event_listener::listener!(self.thread_ended => ended);
                    self.report::<()>(&Err(e));
                    event_listener::Listener::wait_timeout(ended, ACCEPT_PAUSE);
                }
            }
        }
    }

    /// Serves a connection within this process.
    fn receive_within(self: &Arc<Self>, mem: mem::MemTransport) {
        // Whatever process this is, it is us.
        let (peer, process) = (PeerIdentity::default(), Process::unknown());
        self.receive(peer, process, move |_| Ok((Box::new(mem).into_halves(), None)));
    }

    /// A connection within this process that no endpoint leads to: the client's side.
    #[cfg(feature = "test-kit")]
    pub(crate) fn connect_within(self: &Arc<Self>, limits: &Limits) -> Halves {
        // Both sides say in their hello what they take; the way itself takes either.
        let max_message_len = limits.max_message_len.max(self.limits.max_message_len);
        let mut widest = *limits;
        widest.max_message_len = max_message_len;
        let (local, peer) = mem::pair(&widest);
        self.receive_within(peer);
        Box::new(local).into_halves()
    }

    /// The process at the other end, for a policy that may ask. Taken before anything is read: the
    /// system knows it as long as it lives.
    pub(crate) fn process_of(&self, stream: &Stream) -> Process {
        if self.policy.looks_at_processes() { Process::of(stream) } else { Process::unknown() }
    }

    /// Serves one connection: on a thread of its own, or on it until it is handed to a shared one.
    fn receive(
        self: &Arc<Self>,
        peer: PeerIdentity,
        process: Process,
        meet: impl FnOnce(&Hub) -> Result<Met, ConnectError> + Send + 'static,
    ) {
        let Limits { max_connections, max_connections_per_process, .. } = self.limits;
        // The acceptors are among them.
        let AtWork { threads, tasks } = *self.at_work();
        if threads + tasks > max_connections + self.drive.threads() + self.json_rpc.doors() {
            self.refuse(&format!("{max_connections} connections are the limit"), meet);
            return;
        }
        let Some(counted) = self.processes.count(peer, max_connections_per_process) else {
            let why = format!("{max_connections_per_process} connections of one process");
            self.refuse(&format!("{why} are the limit"), meet);
            return;
        };
        let spawned = self.spawn_seated("tramline-server", move |mut seat| {
            seat.counted = Some(counted);
            let hub = &Arc::clone(&seat.hub);
            // Counted until it is reported: whoever waits for the end has been told then.
            let seat = &mut Some(seat);
            let served = meet(hub).and_then(|(halves, doorbell)| {
                let connection = hub.welcome(halves, process, seat)?;
                let left = hub.drive.take_over(connection, doorbell);
                Ok(left.map(Connection::run))
            });
            hub.report(&served);
        });
        if let Err(e) = spawned {
            self.report::<()>(&Err(ConnectError::os("starting a connection's thread", e)));
        }
    }

    /// Tells one connection too many that it is that, on a thread of its own; if too many are being
    /// told already, hangs up.
    fn refuse(
        self: &Arc<Self>,
        text: &str,
        meet: impl FnOnce(&Hub) -> Result<Met, ConnectError> + Send + 'static,
    ) {
        let goodbye = Goodbye::new(codes::TOO_MANY_PEERS, text);
        let code = goodbye.code.clone();
        self.report::<()>(&Err(ConnectError::Refused { code, text: text.into() }));
        if self.refusing.fetch_add(1, Ordering::Relaxed) < MAX_REFUSING {
            let told = self.spawn("tramline-refuse", move |hub| {
                let _ = meet(hub).and_then(|(mut halves, _)| {
                    meet::hear_hello(&mut halves, &hub.codecs, &hub.limits)?;
                    meet::refuse(&mut halves, &goodbye, &hub.limits)
                });
                hub.refusing.fetch_sub(1, Ordering::Relaxed);
            });
            if told.is_ok() {
                return;
            }
        }
        self.refusing.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts one JSON-RPC connection more; if there are too many, why.
    pub(crate) fn count_client(&self, peer: PeerIdentity) -> Result<OfProcess, String> {
        let Limits { max_connections, max_connections_per_process, .. } = self.limits;
        let acceptors =
            self.json_rpc.doors() + usize::from(self.door_is_open.load(Ordering::SeqCst));
        let AtWork { threads, tasks } = *self.at_work();
        if threads + tasks >= max_connections + self.drive.threads() + acceptors {
            return Err(format!("{max_connections} connections are the limit"));
        }
        self.processes.count(peer, max_connections_per_process).ok_or_else(|| {
            format!("{max_connections_per_process} connections of one process are the limit")
        })
    }

    /// Tells of a connection that did not come about.
    pub(crate) fn refused(&self, error: &ConnectError) {
        if let Some(told) = &self.on_refused {
            told(error);
        }
    }

    fn report<T>(&self, served: &Result<T, ConnectError>) {
        if let Err(e) = served {
            self.refused(e);
        }
    }

    /// Hello: the connection is open then, and waits for whoever runs it.
    fn welcome(
        self: &Arc<Self>,
        mut halves: Halves,
        process: Process,
        seat: &mut Option<Seat>,
    ) -> Result<Connection, ConnectError> {
        let mut agreement = meet::hear_hello(&mut halves, &self.codecs, &self.limits)?;
        let (transport, identity) = (halves.transport, halves.peer);
        let visitor = Visitor::new(identity, agreement.label.take(), transport, process);
        let standing = match self.judge(visitor) {
            Ok(standing) => standing,
            Err(goodbye) => {
                // Whether it hears of it or not.
                let _ = meet::refuse(&mut halves, &goodbye, &self.limits);
                let (code, text) = (goodbye.code, goodbye.text);
                return Err(ConnectError::Refused { code, text });
            }
        };
        halves.set_wait_mode(self.wait_mode);
        agreement.listens.truncate(MAX_SUBSCRIPTIONS);
        if let Some(judge) = &self.service.guarded {
            let (codec, label) = (agreement.codec, standing.label.as_deref());
            let may = |one: &Listens| guard::may_listen(judge, codec, Toward::Core, one, label);
            agreement.listens.retain(may);
        }
        let id = self.next_peer_id.fetch_add(1, Ordering::Relaxed);
        let (link, peer) = {
            // One step: whoever listens from now on tells this peer, too, and whoever changes the
            // capabilities finds it.
            let mut links = self.links();
            if self.stopping.load(Ordering::SeqCst) {
                let goodbye = Goodbye::new(codes::CLOSED, "the server is stopping");
                drop(links);
                meet::refuse(&mut halves, &goodbye, &self.limits)?;
                return Err(LinkError::Closed.into());
            }
            let rules = self.gate().rules();
            let subject = Subject {
                label: standing.label.as_deref().unwrap_or_default(),
                class: &standing.class,
            };
            let may_listen = rules.events(subject, Asked::Listen);
            agreement.listens.retain(|one| may_listen.allow(one.event()));
            let may_emit = rules.events(subject, Asked::Emit);
            let mut listens = self.service.listeners.all();
            listens.retain(|(event, _)| may_emit.allow(event));
            let say = |(event, target)| match target {
                EventTarget::App => Listens::AsItself(event),
                target => Listens::As { event, target },
            };
            let listens = listens.into_iter().map(say).collect();
            let hello = Hello::new(agreement.codec, &self.limits, self.label.clone(), listens);
            let deadline = Instant::now() + Duration::from_millis(self.limits.handshake_timeout_ms);
            meet::send(&mut halves, &hello.to_frame(), deadline, &self.limits)?;
            let codec = agreement.codec;
            let theirs = EventTarget::peer(standing.label.as_deref().unwrap_or_default());
            let (own, shadow, time) = (EventTarget::App, self.shadow.as_ref(), self.time.clone());
            let link = Link::new(halves, agreement, self.limits, own, theirs, shadow, time);
            let port = Arc::clone(&link);
            let peer = Peer::admitted(id, standing, identity, transport, codec, port);
            link.leaving.begin(&self.service.layers, &peer);
            links.insert(id, (Arc::clone(&link), peer.clone()));
            self.service.links.store(links.len(), Ordering::Relaxed);
            (link, peer)
        };
        link.claim_runner();
        let seat = seat.take().unwrap_or_else(|| Seat::take(self));
        Ok(Connection::new(link, peer, seat))
    }

    /// Forgets a connection whose link is over.
    pub(crate) fn ended(&self, peer: &Peer, why: &LinkError) {
        let mut links = self.links();
        let gone = links.remove(&peer.id());
        self.service.links.store(links.len(), Ordering::Relaxed);
        drop(links);
        drop(gone);
        if let Some(told) = &self.on_ended {
            told(peer, why);
        }
    }

    pub(crate) fn gate(&self) -> &Gate {
        self.service.router.gate()
    }

    /// Changes what peers may do. Afterwards no peer is told of an event that it may not listen to
    /// any more.
    pub(crate) fn change_capabilities<R>(&self, change: impl FnOnce(&Gate) -> R) -> R {
        // One change after the other: what a later one has allowed is not taken back by this one.
        let links = self.links();
        let changed = change(self.gate());
        let rules = self.gate().rules();
        for (link, peer) in links.values() {
            let may_listen = rules.events(peer.into(), Asked::Listen);
            link.retain_listens(|name| may_listen.allow(name));
        }
        self.json_rpc.change_rules(&rules);
        changed
    }

    /// Every connected peer, in the order in which they came.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        let mut peers: Vec<_> = self.links().values().map(|(_, peer)| peer.clone()).collect();
        peers.extend(self.json_rpc.list());
        peers.sort_by_key(Peer::id);
        peers
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        match self.knocker().take() {
            Some(Knocker::Socket(listener)) => listener.stop(),
            Some(Knocker::Mem(listener)) => listener.stop(),
            None => {}
        }
        let links: Vec<_> = self.links().values().map(|(link, _)| Arc::clone(link)).collect();
        Link::close_all(&links, &LinkError::Closed);
        self.drive.stop();
        self.json_rpc.stop();
    }

    /// Blocks until no connection can come any more.
    pub(crate) fn wait_until_closed(&self) {
        loop {
            event_listener::listener!(self.thread_ended => closed);
            if !self.door_is_open.load(Ordering::SeqCst) && self.json_rpc.doors() == 0 {
                return;
            }
            event_listener::Listener::wait(closed);
        }
    }

    pub(crate) fn wait(&self) {
        loop {
            event_listener::listener!(self.thread_ended => ended);
            if self.at_work().threads == 0 {
                return;
            }
            event_listener::Listener::wait(ended);
        }
    }

    pub(crate) async fn stopped(&self) {
        loop {
            let ended = self.thread_ended.listen();
            let AtWork { threads, tasks } = *self.at_work();
            if threads + tasks == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("scheme", &self.scheme)
            .field("peers", &self.links().len())
            .finish_non_exhaustive()
    }
}
