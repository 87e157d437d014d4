//! Events: names, payloads, and who is reached.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tauri::ipc::InvokeBody;
use tauri::test::{MockRuntime, mock_builder, mock_context, noop_assets};
use tauri::utils::acl::ExecutionContext;
use tauri::{App, Emitter, EventTarget, Listener, WebviewWindow};
use tramline::{Capabilities, Client, Clients, Running, SendError, Server};

use crate::commands::types::{File, Level, Unwritable, User};
use crate::ours::{CODECS, JsonText};
use crate::outcome::Outcome;
use crate::quiet::caught;
use crate::theirs::{LOCAL, call, window};

/// Turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// The event that the application, or the server, listens to as well.
const BOTH_ENDS: &str = "both-ends";

/// The labels of the windows here, and of the clients there.
pub const LABELS: [&str; 2] = ["main", "side"];

/// What the log calls the application, or the server.
const APPLICATION: &str = "application";

/// What came of a case.
pub struct Seen {
    /// Its name.
    pub id: String,
    /// Its rows of `docs/SEMANTICS.md`.
    pub rows: &'static [u8],
    /// Tauri's outcome.
    pub theirs: Outcome,
    /// tramline's in each codec.
    pub ours: Vec<Outcome>,
}

/// What happened.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// One more thing.
    pub fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
    }

    /// All of it, sorted: across listeners there is no order in Tauri.
    pub fn take(&self) -> Vec<String> {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.sort();
        all
    }

    /// The same as an outcome.
    fn outcome(&self) -> Outcome {
        let all = self.take();
        Outcome(if all.is_empty() { "nobody".to_owned() } else { all.join(", ") })
    }
}

/// Tauri's side: an application with two windows.
pub struct Theirs {
    /// The application.
    pub app: App<MockRuntime>,
    /// Its windows.
    pub windows: Vec<WebviewWindow<MockRuntime>>,
}

impl Theirs {
    /// Builds it.
    pub fn start() -> Self {
        let mut context = mock_context(noop_assets());
        context
            .runtime_authority_mut()
            .__allow_command("plugin:event|emit".to_owned(), ExecutionContext::Local);
        let app = mock_builder().build(context).expect("an application on the mock runtime");
        let windows = LABELS.iter().map(|label| window(&app, label)).collect();
        Self { app, windows }
    }
}

/// tramline's side: a server with two clients, in one codec.
struct Ours {
    server: Running,
    clients: Vec<Client>,
    /// What the server heard, and that the last of it has come.
    heard: Log,
    heard_all: Receiver<()>,
}

impl Ours {
    fn start(at: usize) -> Self {
        let heard = Log::default();
        let (log, own) = (heard.clone(), heard.clone());
        let (end, heard_all) = channel();
        let end = Mutex::new(end);
        let server = Server::new()
            .allow(Capabilities::all())
            .listen("to-server", move |event| match event.payload::<JsonText>() {
                Ok(JsonText(text)) => log.add(text),
                Err(e) => log.add(e.to_string()),
            })
            .listen(BOTH_ENDS, move |_| own.add(APPLICATION))
            .listen("to-server-end", move |_| {
                let _ = end.lock().unwrap_or_else(PoisonError::into_inner).send(());
            });
        let endpoint = format!("mem:oracle-events-{at}");
        let server = server.start(&endpoint).expect("a server within this process");
        let client = |label: &&str| {
            let connect = Client::connect(&endpoint).codec(CODECS[at].1).label(label);
            connect.wait().expect("a client of the server")
        };
        let clients = LABELS.iter().map(client).collect();
        Self { server, clients, heard, heard_all }
    }

    /// Has every client listen to `event`, runs `emit`, and waits until all of it has arrived.
    fn reached(&self, event: &str, emit: &dyn Fn(&Self) -> Result<(), SendError>) -> Outcome {
        let (done, all_done) = channel();
        let mut ids = Vec::new();
        for (client, label) in self.clients.iter().zip(LABELS) {
            let (log, done) = (self.heard.clone(), done.clone());
            let listened = client.listen(event, move |_| log.add(label)).wait();
            let ended = client
                .listen("end", move |_| {
                    let _ = done.send(());
                })
                .wait();
            for id in [listened, ended] {
                match id {
                    Ok(id) => ids.push((client, id)),
                    Err(e) => return Outcome::broken(e),
                }
            }
        }
        // Events of one connection keep their order: behind these, all have arrived, up and down.
        let up = || self.clients[0].emit("to-server-end", &());
        if let Err(e) = emit(self).and_then(|()| up()) {
            return Outcome::broken(e);
        }
        if self.heard_all.recv_timeout(PATIENCE).is_err() {
            return Outcome::broken("an event did not arrive");
        }
        if let Err(e) = self.server.clients().emit("end", &()) {
            return Outcome::broken(e);
        }
        for _ in LABELS {
            if all_done.recv_timeout(PATIENCE).is_err() {
                return Outcome::broken("an event did not arrive");
            }
        }
        for (client, id) in ids {
            client.unlisten(id);
        }
        self.heard.outcome()
    }
}

/// All cases.
pub fn run() -> Vec<Seen> {
    let theirs = Theirs::start();
    let ours: Vec<Ours> = (0..CODECS.len()).map(Ours::start).collect();
    let mut seen = names(&theirs, &ours);
    payloads(&theirs, &ours, &mut seen);
    reach(&theirs, &ours, &mut seen);
    both_ends(&theirs, &ours, &mut seen);
    to_server(&theirs, &ours, &mut seen);
    seen
}

fn names(theirs: &Theirs, ours: &[Ours]) -> Vec<Seen> {
    let longest = "x".repeat(255);
    let too_long = "x".repeat(256);
    let all = [
        "",
        "a",
        "tauri://created",
        "a-b/c:d_e",
        "größe",
        "日本",
        "٣",
        "²",
        "Ⅷ",
        "a b",
        "a.b",
        "a!",
        "a\n",
        "🦀",
        "a\"b",
        "a\\b",
        "e\u{301}",
        "a|b",
        "*",
        &longest,
        &too_long,
    ];
    let mut seen = Vec::new();
    for name in all {
        let shown =
            if name.len() > 40 { format!("{} letters", name.len()) } else { format!("{name:?}") };
        let emitted = |result: Result<(), String>| match result {
            Ok(()) => Outcome("is emitted".to_owned()),
            Err(text) => Outcome(format!("error {text}")),
        };
        seen.push(Seen {
            id: format!("events: emit {shown}"),
            rows: &[50, 51],
            theirs: emitted(theirs.app.emit(name, 1).map_err(|e| e.to_string())),
            ours: ours
                .iter()
                .map(|side| {
                    emitted(side.server.clients().emit(name, &1).map_err(|e| e.to_string()))
                })
                .collect(),
        });
        let listened = |result: Option<Result<(), String>>| match result {
            Some(Ok(())) => Outcome("is listened to".to_owned()),
            Some(Err(text)) => Outcome(format!("error {text}")),
            None => Outcome("panics".to_owned()),
        };
        seen.push(Seen {
            id: format!("events: listen to {shown}"),
            rows: &[50, 51],
            theirs: listened(caught(|| {
                let id = theirs.app.listen(name, |_| {});
                theirs.app.unlisten(id);
                Ok(())
            })),
            ours: ours
                .iter()
                .map(|side| {
                    let client = &side.clients[0];
                    let id = client.listen(name, |_| {}).wait().map_err(|e| e.to_string());
                    listened(Some(id.map(|id| client.unlisten(id))))
                })
                .collect(),
        });
    }
    seen
}

fn payloads(theirs: &Theirs, ours: &[Ours], seen: &mut Vec<Seen>) {
    let ada = User { name: "Ada".to_owned(), age: 36 };
    let bytes = File { name: "a".to_owned(), content: vec![0, 255] };
    seen.push(payload("unit", &(), theirs, ours));
    seen.push(payload("none", &None::<u8>, theirs, ours));
    seen.push(payload("number", &1, theirs, ours));
    seen.push(payload("u64", &u64::MAX, theirs, ours));
    seen.push(payload("f32", &0.1_f32, theirs, ours));
    seen.push(payload("f64", &[0.1, -0.0, 1.0], theirs, ours));
    seen.push(payload("text", &"größe \"🦀\" \u{2028}", theirs, ours));
    seen.push(payload("struct", &ada, theirs, ours));
    seen.push(payload("enum", &Level::VeryLow, theirs, ours));
    seen.push(payload("bytes in a struct", &bytes, theirs, ours));
    seen.push(payload("what cannot be written", &Unwritable, theirs, ours));
}

/// What a listener sees of a payload.
fn payload<T: Serialize>(about: &str, value: &T, theirs: &Theirs, ours: &[Ours]) -> Seen {
    let event = "payload";
    let log = Log::default();
    let heard = log.clone();
    let id = theirs.app.listen(event, move |event| heard.add(event.payload()));
    let outcome = match theirs.app.emit(event, Shared(value)) {
        Ok(()) => log.outcome(),
        Err(e) => Outcome(format!("error {e}")),
    };
    theirs.app.unlisten(id);
    let ours = ours.iter().map(|side| {
        let client = &side.clients[0];
        let (heard, all_heard) = channel();
        let listened = client.listen(event, move |event| {
            let text = event.payload::<JsonText>().map(|JsonText(text)| text);
            let _ = heard.send(text.unwrap_or_else(|e| e.to_string()));
        });
        let id = match listened.wait() {
            Ok(id) => id,
            Err(e) => return Outcome::broken(e),
        };
        let outcome = match side.server.clients().emit(event, value) {
            Ok(()) => all_heard.recv_timeout(PATIENCE).map_or_else(Outcome::broken, Outcome),
            Err(e) => Outcome(format!("error {e}")),
        };
        client.unlisten(id);
        outcome
    });
    Seen {
        id: format!("events: payload {about}"),
        rows: &[52, 53],
        theirs: outcome,
        ours: ours.collect(),
    }
}

/// Tauri wants payloads that can be cloned; a reference can.
struct Shared<'a, T>(&'a T);

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<T: Serialize> Serialize for Shared<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The application emits; windows, or clients, listen: what both have.
fn reach(theirs: &Theirs, ours: &[Ours], seen: &mut Vec<Seen>) {
    const E: &str = "reach";
    let mut case = |about: &str,
                    rows: &'static [u8],
                    emit_theirs: &dyn Fn(&App<MockRuntime>) -> tauri::Result<()>,
                    emit_ours: &dyn Fn(&Clients) -> Result<(), SendError>| {
        let log = Log::default();
        let listen = |(window, label): (&WebviewWindow<MockRuntime>, &'static str)| {
            let log = log.clone();
            window.listen(E, move |_| log.add(label))
        };
        let ids: Vec<_> = theirs.windows.iter().zip(LABELS).map(listen).collect();
        let emitted = emit_theirs(&theirs.app);
        for id in ids {
            theirs.app.unlisten(id);
        }
        seen.push(Seen {
            id: format!("events: {about} reaches"),
            rows,
            theirs: emitted.map_or_else(Outcome::broken, |()| log.outcome()),
            ours: ours
                .iter()
                .map(|side| side.reached(E, &|side| emit_ours(&side.server.clients())))
                .collect(),
        });
    };
    case("emit", &[55], &|app| app.emit(E, ()), &|all| all.emit(E, &()));
    case("emit twice", &[55], &|app| app.emit(E, ()).and_then(|()| app.emit(E, ())), &|all| {
        all.emit(E, &()).and_then(|()| all.emit(E, &()))
    });
    case("emit of another name", &[55], &|app| app.emit("x", ()), &|all| all.emit("x", &()));
    for label in ["main", "side", "nobody", "", "mai", "*"] {
        case(&format!("emit_to {label:?}"), &[55], &|app| app.emit_to(label, E, ()), &|all| {
            all.emit_to(label, E, &())
        });
    }
    let side = EventTarget::webview_window("side");
    case(
        "emit_filter by a label",
        &[56],
        &|app| app.emit_filter(E, (), |target| *target == side),
        &|all| all.emit_filter(E, &(), |target| *target == tramline::EventTarget::peer("side")),
    );
    for every in [false, true] {
        case(
            &format!("emit_filter that says {every}"),
            &[56],
            &|app| app.emit_filter(E, (), |_| every),
            &|all| all.emit_filter(E, &(), |_| every),
        );
    }
}

/// All listen, whoever emits: in Tauri all of them are within one process.
fn both_ends(theirs: &Theirs, ours: &[Ours], seen: &mut Vec<Seen>) {
    const E: &str = BOTH_ENDS;
    let mut case = |about: &str,
                    emitted: tauri::Result<()>,
                    log: &Log,
                    emit_ours: &dyn Fn(&Ours) -> Result<(), SendError>| {
        seen.push(Seen {
            id: format!("events: all listen, {about}"),
            rows: &[55],
            theirs: emitted.map_or_else(Outcome::broken, |()| log.outcome()),
            ours: ours.iter().map(|side| side.reached(E, emit_ours)).collect(),
        });
    };
    let log = Log::default();
    let heard = log.clone();
    theirs.app.listen(E, move |_| heard.add(APPLICATION));
    for (window, label) in theirs.windows.iter().zip(LABELS) {
        let heard = log.clone();
        window.listen(E, move |_| heard.add(label));
    }
    let page = &theirs.windows[0];
    case("the application emits", theirs.app.emit(E, ()), &log, &|side| {
        side.server.clients().emit(E, &())
    });
    case("a page emits", page.emit(E, ()), &log, &|side| side.clients[0].emit(E, &()));
    case("a page emits to another one", page.emit_to(LABELS[1], E, ()), &log, &|side| {
        side.clients[0].emit_to(LABELS[1], E, &())
    });
    case("a page emits to the application", page.emit_to(EventTarget::App, E, ()), &log, &|side| {
        side.clients[0].emit_to(tramline::EventTarget::App, E, &())
    });
}

/// A page, or a client, emits; the application, or the server, listens.
fn to_server(theirs: &Theirs, ours: &[Ours], seen: &mut Vec<Seen>) {
    let log = Log::default();
    let heard = log.clone();
    theirs.app.listen("to-server", move |event| heard.add(event.payload()));
    let payloads = [
        ("nothing", None),
        ("null", Some(serde_json::Value::Null)),
        ("a number", Some(serde_json::json!(1))),
        ("an object", Some(serde_json::json!({ "a": [1.5, "x"] }))),
    ];
    for (about, payload) in payloads {
        let mut arguments = serde_json::json!({ "event": "to-server" });
        if let Some(payload) = &payload {
            arguments["payload"] = payload.clone();
        }
        let sent =
            call(&theirs.windows[0], "plugin:event|emit", InvokeBody::Json(arguments), LOCAL);
        let theirs = if sent == Outcome::json("null") { log.outcome() } else { sent };
        let ours = ours.iter().map(|side| {
            let client = &side.clients[0];
            let emitted = match &payload {
                Some(payload) => client.emit("to-server", payload),
                None => client.emit("to-server", &()),
            };
            if let Err(e) = emitted.and_then(|()| client.emit("to-server-end", &())) {
                return Outcome::broken(e);
            }
            match side.heard_all.recv_timeout(PATIENCE) {
                Ok(()) => side.heard.outcome(),
                Err(e) => Outcome::broken(e),
            }
        });
        let ours = ours.collect();
        seen.push(Seen { id: format!("events: a page emits {about}"), rows: &[52], theirs, ours });
    }
}
