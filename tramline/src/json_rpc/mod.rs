//! JSON-RPC 2.0: the same server for clients that speak no tramline.
//!
//! A client is one more [`Peer`] whose port ([`connection`]) writes JSON-RPC: router, capabilities,
//! values and listeners are the server's own. Two threads serve it: one reads ([`read`]) and starts
//! commands, one writes ([`outgoing`]). What a message is, is `tramline_compat_json::jsonrpc`'s part.

mod at_work;
mod calls;
mod channels;
mod connection;
mod outgoing;
mod peers;
mod read;

use std::fmt;
use std::io::{Read, Write};
#[cfg(unix)]
use std::path::{Path, PathBuf};

use tramline_compat_json::Integers;
use tramline_core::{Error, PeerIdentity};
use tramline_transport_pipe::{ByteHalves, Listener, stdio};

pub(crate) use self::peers::JsonRpcPeers;
use crate::server::{Running, Serve, Server};

/// Where JSON-RPC 2.0 clients come from: `vscode-jsonrpc`, an LSP-style client, or a shell.
///
/// They meet the server that other clients meet: a request is a call, with the same connect policy,
/// capabilities, quotas, limits and [`on_ended`](Server::on_ended). What surprises people:
///
/// - **A label** is nothing such a client can ask for. It has the one that the connect policy
///   ([`Server::admit`]) gives it, else none.
///
/// - **Framing** is told apart by the first byte of each message: `Content-Length` headers as
///   language servers use them, or one message a line. The answer is framed like its question,
///   events like the client's last message; before its first one a client hears nothing.
/// - **Params** go by name, or by position in declared order, injected parameters left out. A
///   command of raw bytes takes and gives arrays of numbers.
/// - **A notification** runs the command of that name and drops its result; if there is none that
///   this client may run, it is an event for the server's listeners.
/// - **Events** come as notifications of their name. A client hears all that it may, until it says
///   `$/listen {"event": ..}`: from then on only those it asked for. An event's payload is the
///   params if it is an object, nothing if it is null, else their only element. Such a client
///   listens as [`EventTarget::Any`](crate::EventTarget): it hears an event whomever it is aimed at.
/// - **`$/cancelRequest`** answers the call with -32800, unless it has its answer already. The
///   command runs on.
/// - **Errors** have their fixed code in `data.code`, and a failed command's own value in
///   `data.value`.
/// - **A channel** is named by a token of the client's, a text or a whole number that no other open
///   channel of the client's has: as the argument of a [`Channel`](crate::Channel) or a
///   [`ChannelReader`](crate::ChannelReader). Its messages are `$/progress {"token": .., "value": ..}`,
///   its end is `$/progressEnd {"token": .., "error"?: ..}`, from either side; whoever reads says the
///   same when it reads no more. A client that sends must have room: the command grants it with
///   `$/progressCredit {"token": .., "bytes": ..}` when it begins, and more as it reads. A value takes
///   the bytes of its JSON and 128 more, and the last one may take more than is left; without any it
///   is a fault. A client that reads grants nothing.
/// - **A client that does not read** is not read either, none of its calls is started, and it is cut
///   off when it has read nothing for as long as [`Limits::send_timeout_ms`](crate::Limits) says.
///   What waits for it is bounded by `ring_capacity`, apart from the answers of calls that ran by
///   then.
///
/// # Examples
///
/// ```
/// use tramline::{Capabilities, JsonRpc, Server, command, commands};
///
/// #[command(inline)]
/// fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// let input: &[u8] = br#"{"jsonrpc":"2.0","id":"x","method":"add","params":[2,3]}"#;
/// let (mut output, answers) = std::io::pipe()?;
/// let server = Server::new().commands(commands![add]).allow(Capabilities::all());
/// server.serve_json_rpc(JsonRpc::streams(input, answers)).wait()?;
///
/// let mut text = String::new();
/// std::io::Read::read_to_string(&mut output, &mut text)?;
/// assert_eq!(text, "{\"jsonrpc\":\"2.0\",\"result\":5,\"id\":\"x\"}\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JsonRpc {
    place: Place,
    integers: Integers,
}

enum Place {
    Stdio,
    Streams(Streams),
    Pipe(Box<str>),
    #[cfg(unix)]
    Socket(PathBuf),
}

/// Two directions of bytes to one client.
struct Streams {
    halves: ByteHalves,
    /// `hang_up` ends a read that blocks.
    reader_ends: bool,
}

impl JsonRpc {
    /// One client, on standard input and output. It has gone when standard input ends; the calls
    /// that run by then are answered first.
    ///
    /// Nothing else may read the one or print to the other.
    #[must_use]
    pub fn stdio() -> Self {
        Self::at(Place::Stdio)
    }

    /// One client, on streams of your own, such as a child's. It has gone when `reader` ends.
    ///
    /// A read that blocks cannot be ended from here: when the server stops, a thread stays in it
    /// until it returns. The server waits for a write that blocks.
    #[must_use]
    pub fn streams(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
    ) -> Self {
        let halves = ByteHalves {
            reader: Box::new(reader),
            writer: Box::new(writer),
            hang_up: Box::new(|| {}),
            gone: None,
            peer: PeerIdentity::default(),
        };
        Self::at(Place::Streams(Streams { halves, reader_ends: false }))
    }

    /// Any number of clients of the same user, on a Unix socket at this path. The file is made now,
    /// replaces one that a dead process left, and goes with the server.
    #[cfg(unix)]
    #[must_use]
    pub fn socket(path: impl AsRef<Path>) -> Self {
        Self::at(Place::Socket(path.as_ref().to_owned()))
    }

    /// Any number of clients of the same user, under a name as `pipe:` endpoints have it: a named
    /// pipe `\\.\pipe\tramline-<user>-<name>` on Windows, a socket in the abstract namespace,
    /// `tramline-<uid>-<name>`, on Linux.
    #[must_use]
    pub fn pipe(name: &str) -> Self {
        Self::at(Place::Pipe(name.into()))
    }

    fn at(place: Place) -> Self {
        Self { place, integers: Integers::Exact }
    }

    /// What these clients are sent for an integer beyond 2^53 - 1, above or below zero, in results,
    /// errors and events: without this it stays a number, which `JSON.parse` rounds. What is refused
    /// answers its call with an error, and is no event.
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline::compat_json::Integers;
    /// use tramline::{Capabilities, JsonRpc, Server, command, commands};
    ///
    /// #[command(inline)]
    /// fn largest() -> u64 {
    ///     u64::MAX
    /// }
    ///
    /// let input: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"largest"}"#;
    /// let (mut output, answers) = std::io::pipe()?;
    /// let server = Server::new().commands(commands![largest]).allow(Capabilities::all());
    /// let clients = JsonRpc::streams(input, answers).integers(Integers::String);
    /// server.serve_json_rpc(clients).wait()?;
    ///
    /// let mut text = String::new();
    /// std::io::Read::read_to_string(&mut output, &mut text)?;
    /// assert!(text.contains(r#""result":"18446744073709551615""#), "{text}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn integers(mut self, integers: Integers) -> Self {
        self.integers = integers;
        self
    }
}

/// What [`JsonRpc`] becomes when it is opened.
pub(crate) enum Opened {
    Client(ByteHalves, bool),
    Clients(Listener),
}

impl JsonRpc {
    pub(crate) fn open(self) -> Result<(Opened, Integers), Error> {
        let opened = match self.place {
            // On Windows nothing gets a thread out of standard input.
            Place::Stdio => Opened::Client(stdio()?, cfg!(unix)),
            Place::Streams(Streams { halves, reader_ends }) => Opened::Client(halves, reader_ends),
            Place::Pipe(name) => Opened::Clients(Listener::bind(&name)?),
            #[cfg(unix)]
            Place::Socket(path) => Opened::Clients(Listener::bind_path(&path)?),
        };
        Ok((opened, self.integers))
    }
}

impl fmt::Debug for JsonRpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.place {
            Place::Stdio => "JsonRpc(stdio)",
            Place::Streams(_) => "JsonRpc(streams)",
            Place::Pipe(_) => "JsonRpc(pipe)",
            #[cfg(unix)]
            Place::Socket(_) => "JsonRpc(socket)",
        })
    }
}

impl Server {
    /// Starts serving JSON-RPC clients only, in the background. With an endpoint for tramline's
    /// clients as well, use [`start`](Self::start) and [`Running::add_json_rpc`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`](crate::ConfigError) for what can never work,
    /// [`ConnectError::InUse`](crate::ConnectError) if another process serves this place.
    pub fn start_json_rpc(self, clients: JsonRpc) -> Result<Running, Error> {
        let running = self.without_endpoint()?;
        running.add_json_rpc(clients)?;
        Ok(running)
    }

    /// Serves JSON-RPC clients only, until [`Clients::stop`](crate::Clients::stop) is called or the
    /// only client has gone: `.await` it or `.wait()` for it.
    ///
    /// # Errors
    ///
    /// As [`start_json_rpc`](Self::start_json_rpc), but told when awaited or waited for.
    pub fn serve_json_rpc(self, clients: JsonRpc) -> Serve {
        Serve::new(self.start_json_rpc(clients))
    }
}

impl Running {
    /// Serves JSON-RPC clients, too, from now on.
    ///
    /// # Errors
    ///
    /// As [`Server::start_json_rpc`].
    ///
    /// # Examples
    ///
    /// ```
    /// use tramline::{JsonRpc, Server};
    ///
    /// let server = Server::new().start("mem:both-doc")?;
    /// server.add_json_rpc(JsonRpc::pipe(&format!("both-doc-{}", std::process::id())))?;
    /// # server.stop();
    /// # Ok::<(), tramline::Error>(())
    /// ```
    pub fn add_json_rpc(&self, clients: JsonRpc) -> Result<(), Error> {
        let (opened, integers) = clients.open()?;
        self.hub().open_json_rpc(opened, integers)
    }
}
