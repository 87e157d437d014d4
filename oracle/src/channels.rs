//! Channels: what commands send to their caller, and in which order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Map, Value, json};
use tauri::ipc::{InvokeBody, InvokeResponseBody};
use tauri::test::{MockRuntime, mock_builder, mock_context, noop_assets};
use tauri::{App, WebviewWindow};
use tramline::{Capabilities, Client, Running, Server};

use crate::cases::Body;
use crate::ours::{CODECS, Seen as Message};
use crate::outcome::Outcome;
use crate::theirs::{LOCAL, window};
use crate::{events, ours, theirs};

/// A call with channels.
struct Stream {
    about: &'static str,
    rows: &'static [u8],
    command: &'static str,
    arguments: Value,
    /// The arguments that are channels.
    channels: &'static [&'static str],
}

fn streams() -> Vec<Stream> {
    let stream = |about, rows, command, arguments, channels| Stream {
        about,
        rows,
        command,
        arguments,
        channels,
    };
    let none = || json!({});
    let up_to = |n: u32| json!({ "upTo": n });
    vec![
        stream("numbers", &[42, 43], "count", up_to(100), &["onNumber"]),
        stream("nothing", &[42], "count", up_to(0), &["onNumber"]),
        stream("numbers, async", &[42, 43], "count_async", up_to(100), &["onNumber"]),
        stream("values of every kind", &[43], "stream_values", none(), &["onValue"]),
        stream("structs", &[43], "stream_users", none(), &["onUser"]),
        stream("f32", &[43], "stream_floats", none(), &["onFloat"]),
        stream("units", &[43], "stream_units", none(), &["onTick"]),
        stream("bytes, short and long", &[43, 44], "stream_bytes", none(), &["onBytes"]),
        stream("texts, short and long", &[43, 44], "stream_long_texts", none(), &["onText"]),
        stream("two channels", &[42, 43], "stream_to_two", none(), &["first", "second"]),
        stream("clones", &[43], "stream_by_clones", none(), &["onNumber"]),
        stream("an error behind a message", &[31, 43], "stream_then_fail", none(), &["onNumber"]),
        stream("what cannot be written", &[43], "stream_unwritable", none(), &["onValue"]),
        stream("an argument is wrong", &[29, 42], "count", none(), &["onNumber"]),
        stream("a command that wants none", &[45], "no_arguments", none(), &["onNumber"]),
        stream("a command that is not there", &[12, 45], "missing", none(), &["onNumber"]),
    ]
}

/// All cases.
pub fn run() -> Vec<events::Seen> {
    let theirs = Theirs::start();
    let ours: Vec<_> = (0..CODECS.len()).map(Ours::start).collect();
    let seen = streams().into_iter().map(|stream| events::Seen {
        id: format!("channels: {}", stream.about),
        rows: stream.rows,
        theirs: theirs.call(&stream),
        ours: ours.iter().map(|side| side.call(&stream)).collect(),
    });
    seen.collect()
}

/// The answer, and what came through each channel before it.
fn outcome(answer: &Outcome, messages: &BTreeMap<&str, Vec<String>>) -> Outcome {
    let channels = messages.iter().map(|(name, all)| format!("; {name}: {}", all.join(" | ")));
    Outcome(format!("{}{}", answer.0, channels.collect::<String>()))
}

type Sent = Arc<Mutex<Vec<(u32, usize, Outcome)>>>;

struct Theirs {
    webview: WebviewWindow<MockRuntime>,
    sent: Sent,
    _app: App<MockRuntime>,
}

impl Theirs {
    fn start() -> Self {
        let sent = Sent::default();
        let log = Arc::clone(&sent);
        let app = mock_builder()
            .channel_interceptor(move |_, callback, index, body| {
                let body = match body {
                    InvokeResponseBody::Json(text) => Outcome::json(text),
                    InvokeResponseBody::Raw(bytes) => Outcome::raw(bytes),
                };
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.push((callback.0, index, body));
                true
            })
            .invoke_handler(crate::commands::for_tauri)
            .build(mock_context(noop_assets()))
            .expect("an application on the mock runtime");
        Self { webview: window(&app, "main"), sent, _app: app }
    }

    fn call(&self, stream: &Stream) -> Outcome {
        // A page would draw numbers at random.
        let ids = || stream.channels.iter().zip(100_u32..);
        let mut arguments = object(&stream.arguments);
        arguments
            .extend(ids().map(|(name, id)| {
                ((*name).to_owned(), Value::String(format!("__CHANNEL__:{id}")))
            }));
        let body = InvokeBody::Json(Value::Object(arguments));
        let answer = theirs::call(&self.webview, stream.command, body, LOCAL);
        let sent = std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner));
        let mut messages = BTreeMap::new();
        for (name, id) in ids() {
            let mut own: Vec<_> = sent.iter().filter(|(to, ..)| *to == id).collect();
            // A page hands them out by their index.
            own.sort_by_key(|(_, index, _)| *index);
            messages.insert(*name, own.into_iter().map(|(.., body)| body.0.clone()).collect());
        }
        outcome(&answer, &messages)
    }
}

struct Ours {
    client: Client,
    _server: Running,
}

impl Ours {
    fn start(at: usize) -> Self {
        let endpoint = format!("mem:oracle-channels-{at}");
        let server = Server::new()
            .commands(crate::commands::for_tramline())
            .allow(Capabilities::all())
            .start(&endpoint)
            .expect("a server within this process");
        let client = Client::connect(&endpoint).codec(CODECS[at].1).wait();
        Self { client: client.expect("a client of the server"), _server: server }
    }

    fn call(&self, stream: &Stream) -> Outcome {
        let mut arguments = object(&stream.arguments);
        let mut readers = Vec::new();
        let mut held = Vec::new();
        for name in stream.channels {
            let (argument, reader) = self.client.channel::<Message>();
            arguments.insert((*name).to_owned(), json!(argument));
            held.push(argument);
            let codec = self.client.server().codec();
            let read = move || {
                let message = |message| match message {
                    Ok(message) => Message::outcome(&message, codec).0,
                    Err(e) => format!("error {e}"),
                };
                reader.into_iter().map(message).collect::<Vec<_>>()
            };
            readers.push((*name, thread::spawn(read)));
        }
        let answer =
            ours::call(&self.client, stream.command, &Body::Json(Value::Object(arguments)));
        drop(held);
        let mut messages = BTreeMap::new();
        for (name, reader) in readers {
            match reader.join() {
                Ok(all) => messages.insert(name, all),
                Err(_) => return Outcome::broken("the thread that reads panicked"),
            };
        }
        outcome(&answer, &messages)
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
