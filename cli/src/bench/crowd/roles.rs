//! The other processes of a crowd, in the role their arguments say.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use clap::ValueEnum;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use tramline::{Client, Event, Limits, Peer, SendError, Server, State, command, commands};

use super::super::args::{Codec, Wait};
use super::super::calls::echo;
use super::super::machine;
use super::super::peer::{BlockRef, DOWN, bytes, with_commands};
use super::super::raw::gone;
use crate::failure::Failure;

/// The event of the flood.
const UP: &str = "up";

/// Received bytes that may wait at the server, of each connection. A choice: as much as a ring, so that
/// what is kept beyond it would show.
const QUEUED: usize = 1 << 20;

/// The servers' limits.
pub(super) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_queued_len = QUEUED;
    limits
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Server,
    Flooder,
    Stalled,
}

impl Role {
    /// As on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Flooder => "flooder",
            Self::Stalled => "stalled",
        }
    }
}

/// One of the other processes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_enum)]
    role: Role,
    /// Where a server is found, or the servers that a client has.
    endpoints: Vec<String>,
    #[arg(long, value_enum)]
    wait: Wait,
    #[arg(long, value_enum)]
    codec: Codec,
    /// The measuring process.
    #[arg(long)]
    parent: i32,
    #[arg(long)]
    payload: usize,
    #[arg(long)]
    shared: usize,
    /// Where it may run.
    #[arg(long = "cpu")]
    cpus: Vec<usize>,
}

/// What a server of a crowd has counted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Events of the flood.
    pub(super) received: u64,
    /// Those that there was room for towards the client that reads nothing.
    pub(super) passed_on: u64,
    /// Those that there was none for.
    pub(super) dropped: u64,
}

/// Relaxed throughout: the answer that carries the numbers comes after the events.
#[derive(Debug, Default)]
struct Counts {
    stalled: OnceLock<Peer>,
    received: AtomicU64,
    passed_on: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    /// Takes an event of the flood, and passes it on without waiting for room.
    fn take(&self, event: &Event<'_>) {
        let Ok(block) = event.payload::<BlockRef<'_>>() else { return };
        self.received.fetch_add(1, Ordering::Relaxed);
        let Some(peer) = self.stalled.get() else { return };
        match peer.try_emit(DOWN, &block) {
            Ok(()) => self.passed_on.fetch_add(1, Ordering::Relaxed),
            Err(SendError::Full) => self.dropped.fetch_add(1, Ordering::Relaxed),
            // Its end is the run's end, too.
            Err(_) => 0,
        };
    }
}

/// From now on the caller gets what the flood brings.
#[command(inline)]
fn pass_on_to_me(peer: Peer, counts: State<'_, Arc<Counts>>) {
    let _ = counts.stalled.set(peer);
}

#[command(inline)]
fn tally(counts: State<'_, Arc<Counts>>) -> Tally {
    Tally {
        received: counts.received.load(Ordering::Relaxed),
        passed_on: counts.passed_on.load(Ordering::Relaxed),
        dropped: counts.dropped.load(Ordering::Relaxed),
    }
}

/// Takes part until the measuring process is gone.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    // One of them will be stopped, and then notices nothing else.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| gone(e.into()))?;
    // It may have ended before that.
    if getppid().map(|parent| parent.as_raw_pid()) != Some(args.parent) {
        return Err(Failure::OtherGone);
    }
    // Not where the measuring process keeps itself.
    machine::keep_on(&args.cpus)?;
    match args.role {
        Role::Server => serve(args),
        Role::Flooder => flood(args),
        Role::Stalled => stall(args),
    }
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(gone)
}

fn wait_for_input_to_end() {
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
}

fn serve(args: &Args) -> Result<(), Failure> {
    let counts = Arc::new(Counts::default());
    let taken = Arc::clone(&counts);
    let mut server = with_commands(Server::new())
        .commands(commands![pass_on_to_me, tally])
        .manage(counts)
        .limits(limits())
        .wait_mode(args.wait.mode())
        .listen(UP, move |event| taken.take(&event));
    if args.shared > 0 {
        server = server.shared_threads(args.shared);
    }
    let endpoint = args.endpoints.first().ok_or(Failure::OtherGone)?;
    let _running = server.start(endpoint).map_err(Failure::Serve)?;
    say("ready")?;
    wait_for_input_to_end();
    Ok(())
}

fn connect(args: &Args, endpoint: &str) -> Result<Client, Failure> {
    let connect = Client::connect(endpoint).codec(args.codec.codec()).wait_mode(args.wait.mode());
    connect.wait().map_err(Failure::Worker)
}

fn stall(args: &Args) -> Result<(), Failure> {
    let clients: Result<Vec<_>, _> = args.endpoints.iter().map(|at| connect(args, at)).collect();
    let clients = clients?;
    for client in &clients {
        client.listen(DOWN, |_| {}).wait()?;
        client.invoke::<(), _>("pass_on_to_me", ()).wait()?;
    }
    say("ready")?;
    wait_for_input_to_end();
    Ok(())
}

/// Emits as fast as it goes, from an order until the next one.
fn flood(args: &Args) -> Result<(), Failure> {
    let clients: Result<Vec<_>, _> = args.endpoints.iter().map(|at| connect(args, at)).collect();
    let (clients, data) = (clients?, bytes(args.payload));
    say("ready")?;
    let mut orders = std::io::stdin().lines();
    while let Some(order) = orders.next() {
        let order = order.map_err(gone)?;
        let client = order.parse::<usize>().ok().and_then(|place| clients.get(place));
        let client = client.ok_or(Failure::OtherGone)?;
        // Whatever comes next ends it, also the end of the input.
        let over = AtomicBool::new(false);
        let (count, took) = thread::scope(|scope| {
            let flooding = scope.spawn(|| {
                let started = Instant::now();
                let mut count = 0;
                while !over.load(Ordering::Relaxed) {
                    client.emit(UP, &BlockRef::new(count, &data))?;
                    count += 1;
                    if count == 1 {
                        say("flooding")?;
                    }
                }
                // Answered when every event has been handled.
                echo(client, 0, &data)?;
                Ok::<_, Failure>((count, started.elapsed()))
            });
            let _ = orders.next();
            over.store(true, Ordering::Relaxed);
            flooding.join().map_err(|_| Failure::OtherGone)?
        })?;
        say(&format!("{count} {}", took.as_nanos()))?;
    }
    Ok(())
}
