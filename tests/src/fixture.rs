//! One server and its clients, for each transport and codec.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tramline::guard::{Guard, Guarding, Verdict};
use tramline::{AnyCodec, Client, Connect, Limits, Running, Server};

use crate::PATIENCE;
use crate::child::Peer;
use crate::codec::Marked;
use crate::commands;

/// How the bytes travel, and where the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Shared memory to another process.
    Shm,
    /// The same with two threads there for all connections: one may be kept in a listener.
    ShmShared,
    /// The same with a guard between, in this process, that lets everything pass.
    ShmGuarded,
    /// A socket to another process.
    Pipe,
    /// Within this process.
    Mem,
}

impl Transport {
    /// The scheme of an endpoint.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Shm | Self::ShmShared | Self::ShmGuarded => "shm",
            Self::Pipe => "pipe",
            Self::Mem => "mem",
        }
    }

    /// An endpoint that nobody else uses.
    #[must_use]
    pub fn endpoint(self) -> String {
        format!("{}:{}", self.scheme(), unique_name())
    }
}

/// A name that no other test uses.
#[must_use]
pub fn unique_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("test-{}-{number}", std::process::id())
}

/// What a case runs over.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// How the bytes travel.
    pub transport: Transport,
    /// The clients' codec.
    pub codec: AnyCodec,
    /// The test peer's program.
    pub program: &'static str,
}

impl Setup {
    /// MessagePack.
    pub const MSGPACK: AnyCodec = AnyCodec::MSGPACK;
    /// JSON.
    pub const JSON: AnyCodec = AnyCodec::JSON;

    /// A codec of one's own.
    #[must_use]
    pub fn own_codec() -> AnyCodec {
        AnyCodec::custom::<Marked>()
    }

    /// A server with the usual limits, and one client.
    #[must_use]
    pub fn open(&self) -> Fixture {
        self.open_with(limits(), limits())
    }

    /// A server and a client with these limits.
    #[must_use]
    pub fn open_with(&self, server: Limits, client: Limits) -> Fixture {
        let endpoint = self.transport.endpoint();
        let (mut guarding, mut served_at) = (None, endpoint.clone());
        let side = match self.transport {
            Transport::ShmGuarded => {
                let core = self.transport.endpoint();
                let there = serve_there(self.program, &core, &server);
                served_at.clone_from(&core);
                let guard = Guard::new(|_| Verdict::Allow).limits(limits());
                guarding = Some(guard.between(&endpoint, &core).start().expect("a free name"));
                Side::There(there)
            }
            Transport::Mem => {
                let server = commands::serve(Server::new(), server);
                Side::Here(server.start(&endpoint).expect("the name is free"))
            }
            Transport::ShmShared => {
                Side::There(serve_there_on(self.program, &endpoint, &server, 2))
            }
            Transport::Shm | Transport::Pipe => {
                Side::There(serve_there(self.program, &endpoint, &server))
            }
        };
        let connect = Client::connect(&endpoint).codec(self.codec).limits(client);
        let client = connect.label("first").wait().expect("it serves");
        assert_eq!(client.server().transport(), self.transport.scheme());
        Fixture {
            client,
            side,
            _guarding: guarding,
            endpoint,
            served_at,
            codec: self.codec,
            keeper: OnceLock::new(),
        }
    }
}

/// Starts a test peer that serves.
#[must_use]
pub fn serve_there(program: &str, endpoint: &str, limits: &Limits) -> Peer {
    serve_there_on(program, endpoint, limits, 0)
}

/// Starts a test peer that serves on this many threads; 0 is one for each connection.
#[must_use]
pub fn serve_there_on(program: &str, endpoint: &str, limits: &Limits, threads: usize) -> Peer {
    let limits = [
        limits.max_message_len.to_string(),
        limits.send_timeout_ms.to_string(),
        limits.max_connections.to_string(),
        threads.to_string(),
    ];
    let [message, send, connections, threads] = &limits;
    Peer::ready(program, &["serve", endpoint, message, send, connections, threads])
}

/// The usual limits, but with a send timeout that fails a test instead of hiding a standstill.
#[must_use]
pub fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.send_timeout_ms = u64::try_from(2 * PATIENCE.as_millis()).expect("a minute");
    limits.handshake_timeout_ms = 30_000;
    limits
}

#[derive(Debug)]
enum Side {
    Here(Running),
    There(Peer),
}

/// A server and one client of it.
#[derive(Debug)]
pub struct Fixture {
    /// The first client, labelled `first`.
    pub client: Client,
    side: Side,
    /// Goes when the test does.
    _guarding: Option<Guarding>,
    endpoint: String,
    served_at: String,
    codec: AnyCodec,
    keeper: OnceLock<Client>,
}

impl Fixture {
    /// Another client's connection, not made yet.
    pub fn connect(&self) -> Connect {
        Client::connect(&self.endpoint).codec(self.codec).limits(limits())
    }

    /// Another client.
    #[must_use]
    pub fn second(&self) -> Client {
        self.connect().label("second").wait().expect("it serves")
    }

    /// Where clients connect.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where the server itself is: somewhere else if there is a guard.
    #[must_use]
    pub fn served_at(&self) -> &str {
        &self.served_at
    }

    /// The server's process, if it is another one.
    pub fn process(&mut self) -> Option<&mut Peer> {
        match &mut self.side {
            Side::Here(_) => None,
            Side::There(peer) => Some(peer),
        }
    }

    /// The server, if it is in this process.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        match &self.side {
            Side::Here(running) => Some(running),
            Side::There(_) => None,
        }
    }

    /// The client that minds the gates. It stays connected: on shared threads it then stays on
    /// another one than the first client, whose listener may hold its thread up.
    fn keeper(&self) -> &Client {
        self.keeper.get_or_init(|| self.connect().label("keeper").wait().expect("it serves"))
    }

    /// Opens a gate at the server through a client of its own.
    pub fn open_gate(&self, gate: &str) {
        let args = tramline::json!({ "gate": gate });
        self.keeper().invoke::<(), _>("open", args).timeout(PATIENCE).wait().expect("opened");
    }

    /// Waits until `count` have entered a gate, through a client of its own.
    pub fn wait_entered(&self, gate: &str, count: u64) {
        let args = tramline::json!({ "gate": gate, "count": count });
        self.keeper()
            .invoke::<(), _>("wait_entered", args)
            .timeout(PATIENCE)
            .wait()
            .expect("entered");
    }
}

/// Makes a test of each case for each transport and codec: `conformance! { first_case, .. }`. A
/// case is a `fn(&Setup)`.
#[macro_export]
macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        $crate::conformance!(@ shm_msgpack, Shm, $crate::Setup::MSGPACK; $($case)*);
        $crate::conformance!(@ shm_json, Shm, $crate::Setup::JSON; $($case)*);
        $crate::conformance!(@ pipe_msgpack, Pipe, $crate::Setup::MSGPACK; $($case)*);
        $crate::conformance!(@ pipe_json, Pipe, $crate::Setup::JSON; $($case)*);
        $crate::conformance!(@ mem_msgpack, Mem, $crate::Setup::MSGPACK; $($case)*);
        $crate::conformance!(@ mem_json, Mem, $crate::Setup::JSON; $($case)*);
        $crate::conformance!(@ shm_shared, ShmShared, $crate::Setup::MSGPACK; $($case)*);
        $crate::conformance!(@ shm_guarded, ShmGuarded, $crate::Setup::MSGPACK; $($case)*);
        $crate::conformance!(@ shm_own_codec, Shm, $crate::Setup::own_codec(); $($case)*);
    };
    (@ $module:ident, $transport:ident, $codec:expr; $($case:ident)*) => {
        mod $module {
            $(#[test]
            fn $case() {
                let setup = $crate::Setup {
                    transport: $crate::Transport::$transport,
                    codec: $codec,
                    program: env!("CARGO_BIN_EXE_tramline-test-peer"),
                };
                $crate::bounded(move || super::$case(&setup));
            })*
        }
    };
}
