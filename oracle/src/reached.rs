//! tramline's side of `targets.rs`: a client for each label, listening as Tauri's windows do.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tramline::{Capabilities, Client, EventTarget, ListenOptions, Running, Server};

use crate::events::Log;
use crate::ours::CODECS;
use crate::outcome::Outcome;

const EVENT: &str = "matrix";

/// Turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server whose clients listen, in one codec.
pub struct Ours {
    server: Running,
    clients: Vec<Client>,
    heard: Log,
    ended: Receiver<()>,
}

impl Ours {
    /// `listeners` are names, each with a target in JSON.
    pub fn start(at: usize, listeners: &[(String, Value)]) -> Self {
        let endpoint = format!("mem:oracle-targets-{at}");
        let server = Server::new().allow(Capabilities::all()).start(&endpoint);
        let server = server.expect("a server within this process");
        let (heard, (end, ended)) = (Log::default(), channel());
        let mut clients = Vec::new();
        for label in ["main", "side"] {
            let connect = Client::connect(&endpoint).codec(CODECS[at].1).label(label);
            let client = connect.wait().expect("a client of the server");
            for (name, target) in listeners {
                let target = read(target);
                // Those that name no label are the first client's.
                if target.label().unwrap_or("main") != label {
                    continue;
                }
                let (name, heard) = (name.clone(), heard.clone());
                let options = ListenOptions::new().target(target);
                let listener = move |_: tramline::Event<'_>| heard.add(name.clone());
                client.listen(EVENT, listener).with(options).wait().expect("it may listen");
            }
            let end = end.clone();
            let listener = move |_: tramline::Event<'_>| {
                let _ = end.send(());
            };
            client.listen("end", listener).wait().expect("it may listen");
            clients.push(client);
        }
        Self { server, clients, heard, ended }
    }

    /// Who hears an event of the server's, by name.
    pub fn reached(&self, call: &str, target: Option<&Value>) -> Outcome {
        let (all, target) = (self.server.clients(), target.map(read));
        let emitted = match (call, &target) {
            ("emit", _) => all.emit(EVENT, &()),
            ("emit_to", Some(target)) => all.emit_to(target.clone(), EVENT, &()),
            _ => all.emit_filter(EVENT, &(), |found| Some(found) == target.as_ref()),
        };
        // Events of one connection keep their order: behind this one, all have arrived.
        if let Err(e) = emitted.and_then(|()| all.emit("end", &())) {
            return Outcome::broken(e);
        }
        for _ in &self.clients {
            if let Err(e) = self.ended.recv_timeout(PATIENCE) {
                return Outcome::broken(e);
            }
        }
        Outcome(self.heard.take().join(", "))
    }
}

fn read(target: &Value) -> EventTarget {
    serde_json::from_value(target.clone()).expect("Tauri's targets are ours, too")
}
