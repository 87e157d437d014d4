//! A JSON-RPC client made by hand, and servers for it in this process.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;
use tramline::compat_json::Integers;
use tramline::compat_json::jsonrpc::Framing;
use tramline::{JsonRpc, Limits, LinkError, Running, Server};

use crate::fixture::{limits, unique_name};
use crate::{PATIENCE, commands};

/// A server for JSON-RPC clients.
#[derive(Debug)]
pub struct Served {
    name: String,
    /// The server.
    pub running: Running,
    ended: Receiver<LinkError>,
}

impl Served {
    /// The usual commands and limits.
    #[must_use]
    pub fn usual() -> Self {
        Self::with_limits(limits())
    }

    /// The usual commands.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self::new(commands::serve(Server::new(), limits))
    }

    /// Whatever this server has.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self::with_integers(server, Integers::Exact)
    }

    /// Whatever this server has, for clients that are sent large integers like this.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn with_integers(server: Server, integers: Integers) -> Self {
        let name = unique_name();
        let (tell, ended) = channel();
        let server = server.on_ended(move |_, why| {
            let _ = tell.send(why.clone());
        });
        let running = server
            .start_json_rpc(JsonRpc::pipe(&name).integers(integers))
            .expect("the name is free");
        Self { name, running, ended }
    }

    /// One more client.
    ///
    /// # Panics
    ///
    /// If the server does not listen.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::connect(&self.name)
    }

    /// Why the next connection has ended.
    ///
    /// # Panics
    ///
    /// If none does within [`PATIENCE`].
    #[must_use]
    pub fn ended(&self) -> LinkError {
        self.ended.recv_timeout(PATIENCE).expect("a connection ends")
    }

    /// Opens a gate through a client of its own.
    pub fn open_gate(&self, gate: &str) {
        let opened = self.client().call("open", &serde_json::json!({ "gate": gate }));
        assert_eq!(opened.get("result"), Some(&Value::Null), "{opened}");
    }

    /// Waits through a client of its own until `count` have entered a gate.
    pub fn wait_entered(&self, gate: &str, count: u64) {
        let params = serde_json::json!({ "gate": gate, "count": count });
        let entered = self.client().call("wait_entered", &params);
        assert_eq!(entered.get("result"), Some(&Value::Null), "{entered}");
    }
}

/// A client that sends what it likes. What does not come within [`PATIENCE`] is a failure.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Client {
    /// A client of the pipe of this name.
    ///
    /// # Panics
    ///
    /// If no server listens there.
    #[must_use]
    pub fn connect(name: &str) -> Self {
        let user = rustix::process::geteuid().as_raw();
        let address = SocketAddr::from_abstract_name(format!("tramline-{user}-{name}"));
        let stream = UnixStream::connect_addr(&address.expect("a short name"));
        Self::new(stream.expect("it listens"))
    }

    /// A client on a socket that is connected.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    #[must_use]
    pub fn new(writer: UnixStream) -> Self {
        writer.set_read_timeout(Some(PATIENCE)).expect("a socket");
        writer.set_write_timeout(Some(PATIENCE)).expect("a socket");
        let reader = BufReader::new(writer.try_clone().expect("descriptors"));
        Self { reader, writer }
    }

    /// The same client, for another thread that only sends.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    #[must_use]
    pub fn split(&self) -> Self {
        Self::new(self.writer.try_clone().expect("descriptors"))
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    ///
    /// If the server does not take them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.writer.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Sends bytes as they are; false if the connection is over.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.writer.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends a message in this framing.
    pub fn say(&mut self, framing: Framing, text: &str) {
        self.send(framing.frame(text.into()));
    }

    /// Sends a line.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.say(Framing::Lines, text.as_ref());
    }

    /// Says that nothing more will be sent.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    pub fn end_input(&self) {
        self.writer.shutdown(Shutdown::Write).expect("connected");
    }

    /// The next message and its framing; `None` at the end.
    ///
    /// # Panics
    ///
    /// If nothing comes, or something that is no message.
    pub fn message(&mut self) -> Option<(Framing, String)> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => return None,
            // The server has gone with something of ours unread.
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return None,
            read => _ = read.expect("a message comes"),
        }
        if line.starts_with(['{', '[']) {
            assert_eq!(line.pop(), Some('\n'), "a line without an end: {line}");
            return Some((Framing::Lines, line));
        }
        let len = line.strip_prefix("Content-Length: ").and_then(|len| len.strip_suffix("\r\n"));
        let len = len.unwrap_or_else(|| panic!("no message: {line}"));
        let mut text = vec![0; 2 + len.parse::<usize>().expect("a length")];
        self.reader.read_exact(&mut text).expect("a body comes");
        let text = String::from_utf8(text).expect("text");
        let text = text.strip_prefix("\r\n").expect("a blank line");
        Some((Framing::Headers, text.to_owned()))
    }

    /// The next message.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub fn read(&mut self) -> Value {
        let (_, text) = self.message().expect("the connection is open");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Sends a line and gives the next message.
    pub fn ask(&mut self, text: impl AsRef<str>) -> Value {
        self.line(text);
        self.read()
    }

    /// Calls a command and gives the next message.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        let call = serde_json::json!({
            "jsonrpc": "2.0", "id": "call", "method": method, "params": params,
        });
        self.ask(call.to_string())
    }

    /// Sends a notification.
    pub fn notify(&mut self, method: &str, params: &Value) {
        let message = serde_json::json!({ "jsonrpc": "2.0", "method": method, "params": params });
        self.line(message.to_string());
    }

    /// Asserts that the server answers, and that this answer is the next message: nothing else was
    /// said before.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub fn assert_lives(&mut self) {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1_000_000);
        let id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"add","params":[{id},1]}}"#);
        let expected = serde_json::json!({ "jsonrpc": "2.0", "result": id + 1, "id": id });
        assert_eq!(self.ask(text), expected);
    }
}
