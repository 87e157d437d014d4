//! tramline's side of `targets.rs`: a server and a client for each label. At both ends lie the same
//! listeners, with the targets that Tauri's have, for who emits reaches the other end.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tramline::{Capabilities, Client, EventTarget, ListenOptions, Running, Server};

use crate::events::{LABELS, Log};
use crate::ours::CODECS;
use crate::outcome::Outcome;

const EVENT: &str = "matrix";

/// Turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server and its clients, in one codec.
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
        let (heard, (end, ended)) = (Log::default(), channel());
        let mut server = Server::new().allow(Capabilities::all());
        for (name, target) in listeners {
            let (name, heard) = (name.clone(), heard.clone());
            let options = ListenOptions::new().target(read(target));
            server = server.listen_with(EVENT, options, move |_| heard.add(name.clone()));
        }
        let at_server = Mutex::new(end.clone());
        let server = server.listen_any("end", move |_| {
            let _ = at_server.lock().unwrap_or_else(PoisonError::into_inner).send(());
        });
        let server = server.start(&endpoint).expect("a server within this process");
        let mut clients = Vec::new();
        for label in LABELS {
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

    /// Who hears an event that `by` emits, by name: the server is `App`, a client has its label.
    pub fn reached(&self, call: &str, by: &str, target: Option<&Value>) -> Outcome {
        let target = target.map(read);
        let picks = |found: &EventTarget| Some(found) == target.as_ref();
        let all = self.server.clients();
        let client = LABELS.iter().position(|label| *label == by).map(|at| &self.clients[at]);
        let emitted = match (call, &target, client) {
            ("emit", _, None) => all.emit(EVENT, &()),
            ("emit", _, Some(client)) => client.emit(EVENT, &()),
            ("emit_to", Some(target), None) => all.emit_to(target.clone(), EVENT, &()),
            ("emit_to", Some(target), Some(client)) => client.emit_to(target.clone(), EVENT, &()),
            (_, _, None) => all.emit_filter(EVENT, &(), picks),
            (_, _, Some(client)) => client.emit_filter(EVENT, &(), picks),
        };
        // Events of one connection keep their order: behind this one, all have arrived.
        let (ended, ends) = match client {
            None => (emitted.and_then(|()| all.emit("end", &())), self.clients.len()),
            Some(client) => (emitted.and_then(|()| client.emit("end", &())), 1),
        };
        if let Err(e) = ended {
            return Outcome::broken(e);
        }
        for _ in 0..ends {
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
