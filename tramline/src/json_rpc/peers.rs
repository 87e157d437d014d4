//! The JSON-RPC clients of one server, and where they come from.

use std::collections::HashMap;
use std::io::{Read, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use tramline_compat_json::Integers;
use tramline_compat_json::jsonrpc::{ErrorObject, Framing, Id};
use tramline_core::acl::{Asked, Rules, Standing};
use tramline_core::codec::AnyCodec;
use tramline_core::error::codes;
use tramline_core::events::LastEvent;
use tramline_core::gate::Guard;
use tramline_core::peer::Peer;
use tramline_core::session::Goodbye;
use tramline_core::{ConnectError, Error, LinkError};
use tramline_transport_pipe::{ByteHalves, Listener};

use super::Opened;
use super::connection::Connection;
use super::read::{Gone, Reader};
use crate::admit::{Process, Visitor};
use crate::hub::{ACCEPT_PAUSE, Hub};
use crate::processes::OfProcess;

/// What clients of JSON-RPC see as the transport's name.
const TRANSPORT: &str = "json-rpc";

#[derive(Default)]
pub(crate) struct JsonRpcPeers {
    connections: Mutex<HashMap<u64, (Arc<Connection>, Peer)>>,
    listeners: Mutex<Vec<Weak<Listener>>>,
    /// Listeners whose names are still taken; each has a thread.
    doors: AtomicUsize,
}

impl JsonRpcPeers {
    fn connections(&self) -> MutexGuard<'_, HashMap<u64, (Arc<Connection>, Peer)>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn list(&self) -> Vec<Peer> {
        self.connections().values().map(|(_, peer)| peer.clone()).collect()
    }

    /// Applies changed capabilities.
    pub(crate) fn change_rules(&self, rules: &Rules) {
        for (connection, peer) in self.connections().values() {
            connection.may_listen(rules.events(peer.into(), Asked::Listen));
        }
    }

    /// Threads that accept connections.
    pub(crate) fn doors(&self) -> usize {
        self.doors.load(Ordering::SeqCst)
    }

    /// Ends all connections. The server takes no more by now.
    pub(crate) fn stop(&self) {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().filter_map(Weak::upgrade).for_each(|listener| listener.stop());
        drop(listeners);
        let open: Vec<_> = self.connections().values().map(|(open, _)| Arc::clone(open)).collect();
        Connection::close_all(open.iter(), &LinkError::Closed);
    }
}

impl Hub {
    /// Serves the clients that come from there.
    pub(crate) fn open_json_rpc(
        self: &Arc<Self>,
        opened: Opened,
        integers: Integers,
    ) -> Result<(), Error> {
        let started = match opened {
            Opened::Client(halves, reader_ends) => {
                self.start_client(halves, Process::unknown(), reader_ends, integers, None)
            }
            Opened::Clients(listener) => self.accept_json_rpc(Arc::new(listener), integers),
        };
        started.map_err(|e| ConnectError::os("starting the server's thread", e).into())
    }

    fn accept_json_rpc(
        self: &Arc<Self>,
        listener: Arc<Listener>,
        integers: Integers,
    ) -> std::io::Result<()> {
        let known = &self.json_rpc().listeners;
        known.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&listener));
        self.json_rpc().doors.fetch_add(1, Ordering::SeqCst);
        let accepting = self.spawn("tramline-accept", move |hub| {
            while !hub.is_stopping() {
                match listener.accept() {
                    Ok(Some(stream)) => {
                        let process = hub.process_of(&stream);
                        hub.receive_json_rpc(stream.into_bytes(), process, integers);
                    }
                    Ok(None) => break,
                    Err(e) => {
                        // One connection's failure is not the server's.
                        hub.refused(&e);
                        thread::sleep(ACCEPT_PAUSE);
                    }
                }
            }
            drop(listener);
            // Whoever waits for this looks again when the thread has ended.
            hub.json_rpc().doors.fetch_sub(1, Ordering::SeqCst);
        });
        accepting.inspect_err(|_| {
            self.json_rpc().doors.fetch_sub(1, Ordering::SeqCst);
        })
    }

    fn receive_json_rpc(
        self: &Arc<Self>,
        halves: ByteHalves,
        process: Process,
        integers: Integers,
    ) {
        match self.count_client(halves.peer) {
            Ok(counted) => {
                if let Err(e) = self.start_client(halves, process, true, integers, Some(counted)) {
                    self.refused(&ConnectError::os("starting a connection's thread", e));
                }
            }
            Err(words) => self.turn_away(halves, codes::TOO_MANY_PEERS.into(), words.into()),
        }
    }

    /// Tells a client that it is not served.
    fn turn_away(&self, mut halves: ByteHalves, code: Box<str>, text: Box<str>) {
        let error = ErrorObject::new(&code).text(&text);
        let words = Framing::Lines.frame(error.response(Id::NULL.json()));
        // A socket that was just opened takes so much at once.
        let _ = halves.writer.write_all(&words);
        (halves.hang_up)();
        self.refused(&ConnectError::Refused { code, text });
    }

    /// Judges one client, on a thread of the server's own, and serves it.
    fn start_client(
        self: &Arc<Self>,
        halves: ByteHalves,
        process: Process,
        reader_ends: bool,
        integers: Integers,
        counted: Option<OfProcess>,
    ) -> std::io::Result<()> {
        self.spawn("tramline-json", move |hub| {
            let visitor = Visitor::new(halves.peer, None, TRANSPORT, process);
            match hub.judge(visitor) {
                Ok(standing) => hub.serve_client(halves, standing, reader_ends, integers),
                Err(Goodbye { code, text, .. }) => hub.turn_away(halves, code, text),
            }
            drop(counted);
        })
    }

    /// Serves one client until it is gone: writes on this thread, which always ends, and reads on
    /// another.
    fn serve_client(
        &self,
        halves: ByteHalves,
        standing: Standing,
        reader_ends: bool,
        integers: Integers,
    ) {
        let ByteHalves { reader, writer, hang_up, gone, peer: identity } = halves;
        let connection =
            Connection::new(Arc::clone(self.service()), *self.limits(), integers, hang_up);
        let port = Arc::clone(&connection);
        let id = self.next_peer_id();
        let peer = Peer::admitted(id, standing, identity, TRANSPORT, AnyCodec::JSON, port);
        connection.leaving.begin(&self.service().layers, &peer);
        {
            // One step: whoever stops the server finds this connection, or is found stopping; and
            // whoever changes the capabilities finds it, or is found to have changed them.
            let mut connections = self.json_rpc().connections();
            if self.is_stopping() {
                drop(connections);
                connection.end(LinkError::Closed);
                return;
            }
            let rules = self.gate().rules();
            connection.may_listen(rules.events((&peer).into(), Asked::Listen));
            connections.insert(id, (Arc::clone(&connection), peer.clone()));
        }
        match spawn_reader(&connection, &peer, reader, gone) {
            Ok(reading) => {
                connection.write_to(writer);
                if reader_ends {
                    // It tells of its own panic.
                    let _ = reading.join();
                }
            }
            Err(e) => connection.end(LinkError::os("starting a connection's thread", &e)),
        }
        self.json_rpc().connections().remove(&id);
        self.ended(&peer, &connection.over().unwrap_or(LinkError::Closed));
    }
}

fn spawn_reader(
    connection: &Arc<Connection>,
    peer: &Peer,
    reader: Box<dyn Read + Send>,
    gone: Option<Gone>,
) -> std::io::Result<JoinHandle<()>> {
    /// Also if somebody's executor panics.
    struct EndsWithReader(Arc<Connection>);
    impl Drop for EndsWithReader {
        fn drop(&mut self) {
            self.0.end(LinkError::Closed);
        }
    }
    let (ends, peer) = (EndsWithReader(Arc::clone(connection)), peer.clone());
    thread::Builder::new().name("tramline-read".into()).spawn(move || {
        let (last_event, guard) = (LastEvent::default(), Guard::default());
        Reader { connection: &ends.0, peer: &peer, last_event, guard }.run(reader, gone);
    })
}
