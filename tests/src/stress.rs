//! Traffic in which every message says who it is.
//!
//! A message is the stream's number, its own number and a checksum over all, then ballast. Calls go
//! up and are answered; events go up and down at the same time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tramline::{
    BodyKind, Bytes, Capabilities, Client, Event, InvokeError, Peer, Raw, Server, State, command,
    commands,
};

use crate::fixture::limits;
use crate::random::Random;
use crate::{PATIENCE, eventually};

const HEAD_LEN: usize = 8 + 8 + 32;

/// A message with `len` bytes of ballast.
#[must_use]
pub fn message(stream: u64, number: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_LEN + len);
    bytes.extend_from_slice(&stream.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&[0; 32]);
    // One byte, chosen by the number: cheap to make, and a mix-up of two messages shows.
    bytes.resize(HEAD_LEN + len, number.to_le_bytes()[0]);
    let sum = blake3::hash(&bytes);
    bytes[16..HEAD_LEN].copy_from_slice(sum.as_bytes());
    bytes
}

/// Stream and number of a message that came whole.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<(u64, u64)> {
    let stream = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let number = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
    let whole = message(stream, number, bytes.len().checked_sub(HEAD_LEN)?);
    (whole == bytes).then_some((stream, number))
}

/// Mostly small, now and then up to 64 KiB, rarely up to 8 MiB.
pub fn size(random: &mut Random) -> usize {
    let max: u64 = match random.below(1000) {
        0 => 8 << 20,
        1..10 => 256 << 10,
        10..100 => 64 << 10,
        100..200 => 1,
        _ => 600,
    };
    usize::try_from(random.below(max)).expect("64 bits")
}

/// What the server knows of one client.
#[derive(Default)]
struct Stream {
    calls: u64,
    up: u64,
    bad: u64,
    down: Arc<Mutex<u64>>,
    stopped: Arc<AtomicBool>,
}

/// What the server knows of all clients.
#[derive(Default)]
pub(crate) struct Streams(Mutex<HashMap<u64, Stream>>);

impl Streams {
    fn with<R>(&self, peer: &Peer, look: impl FnOnce(&mut Stream) -> R) -> R {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(streams.entry(peer.id()).or_default())
    }
}

fn answer(body: &[u8], peer: &Peer, streams: &Streams) -> Result<Raw, String> {
    let read = read(body);
    streams.with(peer, |stream| {
        stream.calls += 1;
        stream.bad += u64::from(read.is_none());
    });
    let (stream, number) = read.ok_or("damaged on the way")?;
    Ok(message(!stream, number, body.len() - HEAD_LEN).into())
}

#[command]
fn stress_call(body: Raw, peer: Peer, streams: State<'_, Arc<Streams>>) -> Result<Raw, String> {
    answer(&body.0, &peer, &streams)
}

#[command(inline)]
fn stress_inline(body: Raw, peer: Peer, streams: State<'_, Arc<Streams>>) -> Result<Raw, String> {
    answer(&body.0, &peer, &streams)
}

/// Starts a thread that emits to the caller until it is stopped.
#[command]
fn stress_start(seed: u64, peer: Peer, streams: State<'_, Arc<Streams>>) {
    let (down, stopped) =
        streams.with(&peer, |stream| (Arc::clone(&stream.down), Arc::clone(&stream.stopped)));
    thread::spawn(move || {
        let mut random = Random::new(seed);
        let mut sent = down.lock().unwrap_or_else(PoisonError::into_inner);
        while !stopped.load(Ordering::SeqCst) {
            let bytes = message(seed, *sent, size(&mut random));
            if peer.emit_raw("stress-down", &bytes).is_err() {
                return;
            }
            *sent += 1;
        }
    });
}

/// Stops it: calls and events that came, damaged or misnumbered ones, and events that went down.
#[command]
fn stress_stop(peer: Peer, streams: State<'_, Arc<Streams>>) -> [u64; 4] {
    let (down, stopped) =
        streams.with(&peer, |stream| (Arc::clone(&stream.down), Arc::clone(&stream.stopped)));
    stopped.store(true, Ordering::SeqCst);
    // The emitting thread holds it until its last event is out.
    let down = *down.lock().unwrap_or_else(PoisonError::into_inner);
    streams.with(&peer, |stream| [stream.calls, stream.up, stream.bad, down])
}

/// Adds what [`run_client`] needs to a server.
pub(crate) fn serve(server: Server) -> Server {
    let streams = Arc::new(Streams::default());
    let listener = Arc::clone(&streams);
    server
        .commands(commands![stress_call, stress_inline, stress_start, stress_stop])
        .manage(streams)
        .listen("stress-up", move |event| {
            let read = read(event.bytes());
            listener.with(event.peer(), |stream| {
                let is_next = read.is_some_and(|(_, number)| number == stream.up);
                stream.up += 1;
                stream.bad += u64::from(!is_next);
            });
        })
}

pub(crate) fn capabilities(allowed: Capabilities) -> Capabilities {
    ["stress_call", "stress_inline", "stress_start", "stress_stop"]
        .into_iter()
        .fold(allowed, |allowed, name| allowed.command(name))
        .event("stress-up")
        .event("stress-down")
}

/// What one client did. Printed by the test peer, read by the suite.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Calls made and answered right.
    pub calls: u64,
    /// Events the server counted.
    pub up: u64,
    /// Events that came down.
    pub down: u64,
    /// Bytes of calls and events that this client sent.
    pub bytes: u64,
}

#[derive(Default)]
struct Down {
    came: u64,
    bad: u64,
}

/// Calls, emits and listens at the same time for this long, then settles accounts.
///
/// # Panics
///
/// If a message was lost, doubled, damaged or out of order.
#[must_use]
pub fn run_client(endpoint: &str, seed: u64, time: Duration) -> Summary {
    let client = Client::connect(endpoint).limits(limits()).wait().expect("it serves");
    let down = Arc::new(Mutex::new(Down::default()));
    let listener = Arc::clone(&down);
    let count = move |event: Event<'_>| {
        let mut down = listener.lock().unwrap_or_else(PoisonError::into_inner);
        let is_next =
            event.body_kind() == BodyKind::Raw && read(event.bytes()) == Some((seed, down.came));
        down.came += 1;
        down.bad += u64::from(!is_next);
    };
    client.listen("stress-down", count).wait().expect("allowed");
    let args = tramline::json!({ "seed": seed });
    client.invoke::<(), _>("stress_start", args).wait().expect("started");

    let until = Instant::now() + time;
    let callers = [("stress_inline", 1), ("stress_call", 2)].map(|(command, salt)| {
        let client = client.clone();
        thread::spawn(move || call_until(&client, command, seed.wrapping_mul(31) + salt, until))
    });
    let (mut up, mut bytes, mut random) = (0, 0, Random::new(seed ^ 0xe));
    while Instant::now() < until {
        let event = message(seed, up, size(&mut random));
        client.emit_raw("stress-up", &event).expect("the link lives");
        up += 1;
        bytes += event.len() as u64;
    }
    let mut calls = 0;
    for caller in callers {
        let (made, sent) = caller.join().expect("its calls were answered right");
        calls += made;
        bytes += sent;
    }
    let stop = client.invoke("stress_stop", ()).timeout(PATIENCE);
    let [server_calls, server_up, bad, sent_down]: [u64; 4] = stop.wait().expect("stopped");
    assert_eq!((server_calls, server_up, bad), (calls, up, 0), "calls, events up, damaged");
    let came = || down.lock().unwrap_or_else(PoisonError::into_inner).came;
    eventually("all events came down", || came() >= sent_down);
    let down = down.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!((down.came, down.bad), (sent_down, 0), "events down, damaged");
    Summary { calls, up, down: down.came, bytes }
}

fn call_until(client: &Client, command: &str, stream: u64, until: Instant) -> (u64, u64) {
    let (mut calls, mut bytes, mut random) = (0, 0, Random::new(stream));
    while Instant::now() < until {
        let request = Bytes::from(message(stream, calls, size(&mut random)));
        let len = request.len();
        let answer: Result<Raw, InvokeError> =
            client.invoke_raw(command, request).timeout(PATIENCE).wait();
        let Raw(answer) = answer.expect("answered");
        assert_eq!(read(&answer), Some((!stream, calls)), "the answer to another call");
        assert_eq!(answer.len(), len);
        calls += 1;
        bytes += len as u64;
    }
    (calls, bytes)
}
