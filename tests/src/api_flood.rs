//! Commands and events as fast as they go through the public surface, for processes that are killed
//! in the middle of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tramline::{
    Bytes, Capabilities, Client, InvokeError, Limits, LinkError, Peer, Raw, SendError, Server,
    State, command, commands,
};

use crate::doomed::Progress;
use crate::history::{History, message};
use crate::random::Random;

/// The slot in which a victim notes how many events it has heard; below are those of the streams
/// that it emits.
pub const LISTENER_SLOT: u32 = 8;

/// Streams of events in one direction, each from a thread of its own.
pub const STREAMS: u32 = 2;

/// The usual limits of the kit.
#[must_use]
pub fn limits() -> Limits {
    let mut limits = crate::fixture::limits();
    limits.handshake_timeout_ms = limits.send_timeout_ms;
    limits
}

/// Checks the events that come, and notes how many came.
#[derive(Debug)]
pub struct Listener {
    history: History,
    progress: Arc<Progress>,
    slot: u32,
}

impl Listener {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(progress: Arc<Progress>, slot: u32) -> Self {
        Self { history: History::new(), progress, slot }
    }

    /// One has come. Whatever is wrong ends this process: the library survives a listener's panic.
    pub fn see(&mut self, bytes: &[u8]) {
        if let Err(violation) = self.history.see(bytes) {
            eprintln!("an event came wrong: {violation}");
            std::process::exit(101);
        }
        self.progress.done(self.slot, self.history.seen());
    }

    /// What has come.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }
}

/// Emits one stream until the link ends: why it did.
pub fn emit(
    stream: u32,
    progress: &Progress,
    mut emit: impl FnMut(&[u8]) -> Result<(), SendError>,
) -> SendError {
    let mut random = Random::new(u64::from(stream));
    for number in 0.. {
        let bytes = message(stream, number, payload_len(&mut random));
        progress.intend(stream, number + 1);
        if let Err(error) = emit(&bytes) {
            return error;
        }
        progress.done(stream, number + 1);
    }
    unreachable!("nobody counts so far")
}

/// Mostly small, now and then of many records.
fn payload_len(random: &mut Random) -> usize {
    let max = match random.below(256) {
        0 => 400_000,
        1..8 => 20_000,
        _ => 500,
    };
    usize::try_from(random.below(max)).expect("64 bits")
}

/// Calls one after the other until the link ends: why it did.
///
/// # Panics
///
/// If an answer is not the one to its call.
pub fn call_until_the_end(client: &Client, calls: &AtomicU64) -> InvokeError {
    let mut random = Random::new(99);
    for number in 0.. {
        let request = Bytes::from(message(99, number, payload_len(&mut random)));
        let answer: Result<Raw, _> = client.invoke_raw("crash_echo", request.clone()).wait();
        match answer {
            Ok(Raw(answer)) => assert!(answer == request, "the answer to another call"),
            Err(error) => return error,
        }
        calls.fetch_add(1, Ordering::SeqCst);
    }
    unreachable!("nobody counts so far")
}

/// The ends of what `Down` emitted, for whoever killed the client.
#[derive(Debug, Default)]
pub struct Ends(pub Mutex<Vec<SendError>>);

struct Down(Arc<Progress>);

#[command(inline)]
fn crash_echo(body: Raw) -> Raw {
    body
}

/// Starts the streams of events to the caller.
#[command]
fn flood_down(peer: Peer, down: State<'_, Down>, ends: State<'_, Arc<Ends>>) {
    for stream in 0..STREAMS {
        let (peer, progress) = (peer.clone(), Arc::clone(&down.0));
        let ends = Arc::clone(&ends);
        std::thread::spawn(move || {
            let end = emit(stream, &progress, |bytes| peer.emit_raw("down", bytes));
            ends.0.lock().unwrap_or_else(PoisonError::into_inner).push(end);
        });
    }
}

/// A server that floods whoever asks, and checks the events that come up. `progress` is for the
/// events that go down; those that come up are counted in `slot`.
#[must_use]
pub fn server(progress: Arc<Progress>, slot: u32) -> Server {
    let up = Arc::new(Mutex::new(Listener::new(Arc::clone(&progress), slot)));
    server_with(progress, up, Arc::default())
}

/// As [`server`], with a listener and ends that the caller can look at.
#[must_use]
pub fn server_with(progress: Arc<Progress>, up: Arc<Mutex<Listener>>, ends: Arc<Ends>) -> Server {
    let allowed = Capabilities::none().command("crash_echo").command("flood_down");
    Server::new()
        .commands(commands![crash_echo, flood_down])
        .manage(Down(progress))
        .manage(ends)
        .allow(allowed.event("up").event("down"))
        .limits(limits())
        .listen("up", move |event| {
            up.lock().unwrap_or_else(PoisonError::into_inner).see(event.bytes());
        })
}

/// Whether a call or an emit ended as it must when its peer is killed.
#[must_use]
pub fn is_death(error: &InvokeError) -> bool {
    matches!(
        error,
        InvokeError::OutcomeUnknown(LinkError::PeerDied)
            | InvokeError::Send(SendError::Link(LinkError::PeerDied))
    )
}
