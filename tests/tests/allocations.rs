//! Memory taken for each message once a connection is warm: none, on either side.
//!
//! Server and client are in this process, with shared memory between them as between any two, so
//! that one count covers both. One test, so that nothing else runs in this process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tramline::{
    AnyCodec, Capabilities, Channel, Client, InvokeError, Peer, Running, Server, State, WaitMode,
    command, commands, json,
};
use tramline_tests::fixture::{Transport, limits};
use tramline_tests::gate::Gates;
use tramline_tests::{bounded, eventually};

/// Enough to make whatever is made once: buffers of the largest size, tables, threads.
const WARM_UP: u64 = 1000;
const MESSAGES: u64 = 10_000;
/// Allocations that are shown where they were made, when there should be none.
const SHOWN: u64 = 3;

/// The system's allocator, which counts while it is told to.
struct Counting {
    allocations: AtomicU64,
    /// How many of the next allocations are shown.
    shown: AtomicU64,
}

#[global_allocator]
static ALLOCATOR: Counting = Counting { allocations: AtomicU64::new(0), shown: AtomicU64::new(0) };

thread_local! {
    /// This thread shows an allocation, which allocates.
    static SHOWS: Cell<bool> = const { Cell::new(false) };
    /// What this thread has allocated.
    static HERE: Cell<u64> = const { Cell::new(0) };
}

impl Counting {
    fn count(&self) {
        self.allocations.fetch_add(1, Ordering::SeqCst);
        HERE.set(HERE.get() + 1);
        let show = |shown: u64| shown.checked_sub(1);
        if self.shown.fetch_update(Ordering::SeqCst, Ordering::SeqCst, show).is_ok() {
            SHOWS.set(true);
            eprintln!("allocated here:\n{}", Backtrace::force_capture());
            SHOWS.set(false);
        }
    }

    /// How often anything in this process allocates meanwhile; the first `shown` are shown.
    fn during(&self, shown: u64, work: impl FnOnce()) -> u64 {
        let before = self.allocations.load(Ordering::SeqCst);
        self.shown.store(shown, Ordering::SeqCst);
        work();
        self.shown.store(0, Ordering::SeqCst);
        self.allocations.load(Ordering::SeqCst) - before
    }
}

// `realloc` and `alloc_zeroed` come by way of `alloc`.
//
// SAFETY: every call goes to the system's allocator as it came; counting in between neither unwinds
// nor touches the memory. What it allocates itself comes here once more and is not counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !SHOWS.get() {
            self.count();
        }
        // SAFETY: the caller keeps the rules of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from `System.alloc` above with this layout; the caller vouches.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Arguments and events, borrowed on both sides.
#[derive(Serialize, Deserialize)]
struct Block<'a> {
    id: u64,
    #[serde(with = "serde_bytes")]
    data: &'a [u8],
}

#[command(inline)]
fn take(id: u64, data: &[u8]) -> u64 {
    id + data.len() as u64
}

/// Leaves its end of a channel to the test.
#[command]
fn leave(to: Channel<Block<'static>>, left: State<'_, Left>) {
    left.lock().expect("no panic").push(to);
}

#[command]
fn hold(gate: String, gates: State<'_, Arc<Gates>>) {
    gates.enter(&gate);
}

/// The ends of channels that commands have left to the test.
type Left = Arc<Mutex<Vec<Channel<Block<'static>>>>>;

/// Listens to `block`: counts what comes, and holds the first one up until it may go.
#[derive(Default)]
struct Listening {
    came: AtomicU64,
    gates: Gates,
}

impl Listening {
    fn hear(&self, event: &tramline::Event<'_>) {
        let block: Block<'_> = event.payload().expect("a block");
        if block.id == 0 {
            self.gates.enter("first");
        }
        assert!(!block.data.is_empty());
        self.came.fetch_add(1, Ordering::SeqCst);
    }

    /// Emits so many events and waits until they were handled.
    fn emit(&self, peer: &Peer, ids: std::ops::Range<u64>, data: &[u8]) {
        let until = self.came.load(Ordering::SeqCst) + (ids.end - ids.start);
        let held_up = ids.start == 0;
        for id in ids {
            peer.emit("block", &Block { id, data }).expect("emitted");
        }
        if held_up {
            // As many as ever wait together: a connection reads them in one go.
            self.gates.open("first");
        }
        eventually("all events were handled", || self.came.load(Ordering::SeqCst) == until);
    }
}

struct Pair {
    server: Running,
    client: Client,
    at_server: Arc<Listening>,
    at_client: Arc<Listening>,
    gates: Arc<Gates>,
    left: Left,
}

impl Pair {
    fn open(mode: WaitMode) -> Self {
        let (gates, left) = (Arc::new(Gates::default()), Left::default());
        let (at_server, at_client) =
            (Arc::new(Listening::default()), Arc::new(Listening::default()));
        let endpoint = Transport::Shm.endpoint();
        let heard = Arc::clone(&at_server);
        let server = Server::new()
            .commands(commands![take, hold, leave])
            .manage(Arc::clone(&gates))
            .manage(Arc::clone(&left))
            .listen("block", move |event| heard.hear(&event))
            .limits(limits())
            .wait_mode(mode)
            .allow(Capabilities::all());
        let server = server.start(&endpoint).expect("the name is free");
        let client = Client::connect(&endpoint).codec(AnyCodec::MSGPACK).limits(limits());
        let client = client.wait_mode(mode).wait().expect("it serves");
        assert_eq!(client.server().transport(), "shm");
        Self { server, client, at_server, at_client, gates, left }
    }

    /// From here on the client has a thread that reads, too.
    fn listen_at_client(&self) {
        let heard = Arc::clone(&self.at_client);
        self.client.listen("block", move |event| heard.hear(&event)).wait().expect("allowed");
    }

    fn call(&self, count: u64, data: &[u8]) {
        for id in 0..count {
            let sum: u64 = self.client.invoke("take", Block { id, data }).wait().expect("a sum");
            assert_eq!(sum, id + data.len() as u64);
        }
    }

    /// A call that is not answered while anybody looks out for the answer: its thread must sleep.
    fn wait_in_vain(&self, gate: &str) {
        let call = self.client.invoke::<(), _>("hold", json!({ "gate": gate }));
        let passed = call.timeout(Duration::from_millis(50)).wait().expect_err("held");
        assert!(matches!(passed, InvokeError::Deadline(_)), "{passed:?}");
        self.gates.open(gate);
    }

    fn assert_calls_are_free(&self, what: &str) {
        self.wait_in_vain(what);
        for len in [64, 4 << 10] {
            let data = vec![7; len];
            self.call(WARM_UP, &data);
            let allocated = ALLOCATOR.during(SHOWN, || self.call(MESSAGES, &data));
            assert_eq!(allocated, 0, "by {MESSAGES} calls of {len} bytes, {what}");
        }
    }

    fn assert_events_are_free(&self, what: &str) {
        let client = self.server.clients().list().pop().expect("the client is connected");
        let ways = [(self.client.server(), &self.at_server), (&client, &self.at_client)];
        let data = [7; 64];
        // Both before either is counted: the thread that reads at the client may yet be starting.
        for (peer, heard) in ways {
            heard.emit(peer, 0..WARM_UP, &data);
        }
        for (peer, heard) in ways {
            let allocated = ALLOCATOR.during(SHOWN, || heard.emit(peer, 1..MESSAGES + 1, &data));
            assert_eq!(allocated, 0, "by {MESSAGES} events to {peer:?}, {what}");
        }
    }

    /// Whoever sends allocates nothing, as with an event; a message that waits to be read is kept.
    fn assert_channels_are_cheap(&self, what: &str) {
        let (to, mut reader) = self.client.channel::<Value>();
        self.client.invoke::<(), _>("leave", json!({ "to": to })).wait().expect("answered");
        let sender = self.left.lock().expect("no panic").pop().expect("it was left");
        let mut pass = |ids: std::ops::Range<u64>| {
            let mut sent = 0;
            for id in ids {
                let before = HERE.get();
                sender.send(&Block { id, data: &[7; 64] }).expect("the reader reads");
                sent += HERE.get() - before;
                let message = reader.recv_message().expect("no end").expect("a message");
                assert_eq!(message.decode::<Block<'_>>().expect("a block").id, id);
            }
            sent
        };
        pass(0..WARM_UP);
        let mut sent = 0;
        let all = ALLOCATOR.during(0, || sent = pass(0..MESSAGES));
        assert_eq!(sent, 0, "by sending {MESSAGES} messages of a channel, {what}");
        // Each is kept once; now and then the reader grants room.
        let kept = MESSAGES + MESSAGES / 100;
        assert!(all <= kept, "{all} by {MESSAGES} messages of a channel, {what}");
    }
}

#[test]
fn warm_calls_and_events_allocate_nothing_on_either_side() {
    let elsewhere = || drop(std::hint::black_box(Box::new(7)));
    let seen = ALLOCATOR.during(0, || std::thread::spawn(elsewhere).join().expect("no panic"));
    assert!(seen > 0, "the count misses what other threads allocate");
    let modes = [WaitMode::Balanced, WaitMode::LowLatency, WaitMode::Idle];
    for mode in modes {
        bounded(move || {
            let pair = Pair::open(mode);
            pair.assert_calls_are_free(&format!("{mode:?}, the caller reads"));
            pair.listen_at_client();
            pair.assert_events_are_free(&format!("{mode:?}"));
            pair.assert_channels_are_cheap(&format!("{mode:?}"));
            pair.server.stop();
        });
    }
}
