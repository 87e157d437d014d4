//! Links through a named file: two real processes, every refusal, and nothing left behind.
#![cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]

#[path = "../kit/mod.rs"]
mod kit;
mod refusals;
mod sweep;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kit::{limits, receive, send};
use tramline_core::transport::WaitFor;
use tramline_core::{ConnectError, Halves, Limits, LinkError, SendError, Transport};
use tramline_transport_shm::ShmTransport;
use tramline_transport_shm::named::{self, NamedOffer};

/// Turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(60);

fn path(name: &str) -> PathBuf {
    Path::new("/dev/shm").join(name)
}

fn small() -> Limits {
    let mut limits = limits(1 << 16);
    limits.handshake_timeout_ms = 30_000;
    limits
}

fn offer() -> NamedOffer {
    NamedOffer::create(&small()).expect("an offer")
}

fn accept(offer: NamedOffer) -> Result<ShmTransport, ConnectError> {
    // SAFETY: the other end is this test, on another thread or in a child.
    unsafe { offer.accept(PATIENCE) }
}

fn join(name: &str) -> Result<ShmTransport, ConnectError> {
    // SAFETY: names come from this test, and what it writes into files is refused unread.
    unsafe { named::join(name, &small()) }
}

fn halves(link: Result<ShmTransport, ConnectError>) -> Halves {
    Box::new(link.expect("a link")).into_halves()
}

/// Two ends of one link, in one process.
fn pair() -> (Halves, Halves) {
    let offer = offer();
    let name = offer.name().to_owned();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| halves(join(&name)));
        let ends = (halves(accept(offer)), other.join().expect("the other end"));
        assert!(!path(&name).exists());
        ends
    })
}

/// Takes a file away that a test put or left in the folder, also when the test fails.
struct Litter(PathBuf);

impl Drop for Litter {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The same name with another part: 1 user, 3 start, 4 namespaces, 5 and 6 nonce.
fn edited(name: &str, part: usize) -> String {
    let mut parts: Vec<String> = name.split('-').map(str::to_owned).collect();
    if part < 4 {
        let number: u64 = parts[part].parse().expect("a number");
        parts[part] = (number + 1).to_string();
    } else {
        let (part, digit) = if part == 6 { (5, 31) } else { (part, 0) };
        let other = if parts[part].as_bytes()[digit] == b'0' { "1" } else { "0" };
        parts[part].replace_range(digit..=digit, other);
    }
    parts.join("-")
}

fn refused_for(name: &str, words: &str) {
    match join(name) {
        Err(ConnectError::Handshake { at: "named segment", what }) => {
            assert!(what.contains(words), "{what}");
        }
        other => panic!("not refused for {words}: {other:?}"),
    }
}

/// A child process, killed when the test is over.
struct Worker(Child);

impl Worker {
    /// Runs the test `child` in the part that `role` names.
    fn start(role: &str, name: &str) -> Self {
        let child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "child", "--quiet"])
            .env("TRAMLINE_TEST_CHILD", role)
            .env("TRAMLINE_TEST_NAME", name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("child process");
        Self(child)
    }

    /// The name that a creator printed.
    fn name(&mut self) -> String {
        BufReader::new(self.0.stdout.as_mut().expect("piped"))
            .lines()
            .map(|line| line.expect("a line"))
            .find(|line| line.starts_with("tramline-"))
            .expect("a name")
    }

    fn kill(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test: what child processes run.
#[test]
fn child() {
    let Ok(role) = std::env::var("TRAMLINE_TEST_CHILD") else { return };
    let name = std::env::var("TRAMLINE_TEST_NAME").expect("a name");
    let offers = |offer: NamedOffer| {
        // Past the test harness, which keeps what tests print.
        writeln!(std::io::stdout().lock(), "\n{}", offer.name()).expect("printed");
        offer
    };
    match role.as_str() {
        "join and echo" => echo(halves(join(&name))),
        "create and echo" => echo(halves(accept(offers(offer())))),
        "create and wait" => drop(accept(offers(offer()))),
        role => panic!("no such part: {role}"),
    }
}

/// Sends back what comes, until the peer leaves.
fn echo(mut halves: Halves) {
    loop {
        match receive(&mut *halves.receiver, &*halves.signal) {
            Ok(message) => {
                send(&mut *halves.sender, &*halves.signal, &message).expect("sent");
                halves.sender.flush().expect("open");
            }
            Err(end) => break assert_eq!(end, LinkError::Closed),
        }
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8) ^ len).to_le_bytes()[0]).collect()
}

/// Lengths around every bound of a ring of 64 KiB, and far beyond it.
const LENGTHS: [usize; 16] =
    [0, 1, 7, 8, 9, 63, 4096, 8183, 8184, 8192, 8193, 65_527, 65_536, 70_001, 1 << 20, 3_000_003];

/// Messages of all sizes there and back, several on their way at a time.
fn exchange(halves: &mut Halves) {
    let Halves { sender, receiver, signal, .. } = halves;
    let signal = &**signal;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for len in LENGTHS.into_iter().chain((0..2000).map(|i| i % 700)) {
                send(&mut **sender, signal, &bytes(len)).expect("sent");
                sender.flush().expect("open");
            }
        });
        for len in LENGTHS.into_iter().chain((0..2000).map(|i| i % 700)) {
            let got = receive(&mut **receiver, signal).expect("received");
            assert!(got == bytes(len), "{len} bytes");
        }
    });
}

fn say_goodbye(halves: Halves, mut worker: Worker) {
    halves.signal.close();
    // The child asserts that it saw a goodbye.
    assert!(worker.0.wait().expect("gone").success());
}

#[test]
fn a_child_that_joins_exchanges_messages_of_all_sizes() {
    let offer = offer();
    let file = path(offer.name());
    assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o600);
    let worker = Worker::start("join and echo", offer.name());
    let pid = worker.0.id();
    let mut halves = halves(accept(offer));
    assert!(!file.exists(), "the name goes as soon as both have it");
    assert_eq!((halves.transport, halves.peer.pid), ("shm", Some(pid)));
    exchange(&mut halves);
    say_goodbye(halves, worker);
}

#[test]
fn a_child_that_offers_exchanges_messages_of_all_sizes() {
    let mut worker = Worker::start("create and echo", "");
    let name = worker.name();
    let _litter = Litter(path(&name));
    let mut halves = halves(join(&name));
    assert!(!path(&name).exists(), "the name goes as soon as both have it");
    assert_eq!(halves.peer.pid, Some(worker.0.id()));
    exchange(&mut halves);
    say_goodbye(halves, worker);
}

#[test]
fn two_ends_in_one_process_exchange_messages_of_all_sizes() {
    let (mut a, b) = pair();
    std::thread::scope(|scope| {
        scope.spawn(|| echo(b));
        exchange(&mut a);
        a.signal.close();
    });
}

/// Sleeps without limit, so that nothing but the end of the link can end it.
fn sleeps_until(halves: &mut Halves, end: impl FnOnce()) {
    let kicks = halves.signal.kicks();
    assert!(matches!(halves.receiver.poll(), Ok(None)));
    let ticket = halves.receiver.arm().expect("nothing to read");
    std::thread::scope(|scope| {
        let signal = &halves.signal;
        let sleeping = scope.spawn(move || {
            signal.wait(WaitFor { kicks, data: Some(ticket), ..WaitFor::default() });
        });
        end();
        sleeping.join().expect("awake");
    });
    halves.receiver.disarm();
}

#[test]
fn a_sleeping_creator_learns_that_the_joiner_was_killed() {
    let offer = offer();
    let mut worker = Worker::start("join and echo", offer.name());
    let mut halves = halves(accept(offer));
    sleeps_until(&mut halves, || worker.kill());
    assert_eq!(receive(&mut *halves.receiver, &*halves.signal), Err(LinkError::PeerDied));
    assert!(matches!(halves.sender.claim(1), Err(SendError::Link(LinkError::PeerDied))));
}

#[test]
fn a_sleeping_joiner_learns_that_the_creator_was_killed() {
    let mut worker = Worker::start("create and echo", "");
    let name = worker.name();
    let _litter = Litter(path(&name));
    let mut halves = halves(join(&name));
    sleeps_until(&mut halves, || worker.kill());
    assert_eq!(receive(&mut *halves.receiver, &*halves.signal), Err(LinkError::PeerDied));
}

#[test]
fn what_a_killed_peer_had_sent_is_still_delivered() {
    let offer = offer();
    let mut worker = Worker::start("join and echo", offer.name());
    let mut halves = halves(accept(offer));
    send(&mut *halves.sender, &*halves.signal, b"echo").expect("sent");
    halves.sender.flush().expect("open");
    while !halves.receiver.spin() {
        let kicks = halves.signal.kicks();
        if let Some(ticket) = halves.receiver.arm() {
            halves.signal.wait(WaitFor { kicks, data: Some(ticket), ..WaitFor::default() });
        }
        halves.receiver.disarm();
    }
    worker.kill();
    assert_eq!(receive(&mut *halves.receiver, &*halves.signal), Ok(b"echo".to_vec()));
    assert_eq!(receive(&mut *halves.receiver, &*halves.signal), Err(LinkError::PeerDied));
}

#[test]
fn a_goodbye_wakes_a_sleeping_reader_and_comes_after_what_was_sent() {
    for creator_leaves in [true, false] {
        let (one, two) = pair();
        let (mut leaves, mut stays) = if creator_leaves { (one, two) } else { (two, one) };
        sleeps_until(&mut stays, || {
            send(&mut *leaves.sender, &*leaves.signal, b"last words").expect("sent");
            leaves.sender.flush().expect("open");
            leaves.signal.close();
        });
        assert_eq!(receive(&mut *leaves.receiver, &*leaves.signal), Err(LinkError::Closed));
        assert_eq!(receive(&mut *stays.receiver, &*stays.signal), Ok(b"last words".to_vec()));
        assert_eq!(receive(&mut *stays.receiver, &*stays.signal), Err(LinkError::Closed));
        assert_eq!(stays.sender.flush(), Err(LinkError::Closed));
    }
}

#[test]
fn dropping_all_halves_is_a_goodbye_and_wakes_a_sender_that_waits_for_room() {
    let (mut a, b) = pair();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| send(&mut *a.sender, &*a.signal, &bytes(1 << 20)));
        drop(b);
        let result = waits.join().expect("no panic");
        assert!(matches!(result, Err(SendError::Link(LinkError::Closed))), "{result:?}");
    });
    assert_eq!(receive(&mut *a.receiver, &*a.signal), Err(LinkError::Closed));
}

#[test]
fn a_peer_that_faults_is_gone() {
    let (mut a, mut b) = pair();
    let too_long = bytes(small().max_message_len);
    let fault = std::thread::scope(|scope| {
        let reader = scope.spawn(|| receive(&mut *b.receiver, &*b.signal));
        // The reader's limit is the same: only by hand can it be passed.
        let mut sent = 0;
        while sent <= too_long.len() {
            let piece = &too_long[..1 << 15];
            let mut done = 0;
            match a.sender.send_piece(piece, &mut done, false) {
                Ok(()) => sent += piece.len(),
                Err(SendError::Full) => std::thread::yield_now(),
                Err(_) => break,
            }
            let _ = a.sender.flush();
        }
        reader.join().expect("no panic")
    });
    assert!(matches!(fault, Err(LinkError::Fault(_))), "{fault:?}");
    assert_eq!(receive(&mut *a.receiver, &*a.signal), Err(LinkError::PeerDied));
}

#[test]
fn an_offer_nobody_takes_times_out_and_leaves_nothing_behind() {
    let offer = offer();
    let name = offer.name().to_owned();
    assert!(path(&name).exists());
    // SAFETY: nobody joins.
    let result = unsafe { offer.accept(Duration::from_millis(20)) };
    assert!(matches!(result, Err(ConnectError::TimedOut { timeout_ms: 20 })), "{result:?}");
    assert!(!path(&name).exists());
    assert!(matches!(join(&name), Err(ConnectError::NotFound { .. })));
}

#[test]
fn a_dropped_offer_leaves_nothing_behind() {
    let offer = offer();
    let file = path(offer.name());
    drop(offer);
    assert!(!file.exists());
}

#[test]
fn a_joiner_learns_that_the_offer_is_withdrawn() {
    let offer = offer();
    let name = offer.name().to_owned();
    std::thread::scope(|scope| {
        let joins = scope.spawn(|| join(&name));
        while path(&name).exists() {
            std::thread::yield_now();
        }
        // It has joined and waits for an answer.
        drop(offer);
        let result = joins.join().expect("no panic");
        assert!(matches!(result, Err(ConnectError::Link(LinkError::Closed))), "{result:?}");
    });
}

#[test]
fn a_joiner_that_is_not_answered_leaves_and_the_creator_learns_it() {
    let offer = offer();
    let mut hasty = small();
    hasty.handshake_timeout_ms = 1;
    // SAFETY: the offer is this test's.
    let result = unsafe { named::join(offer.name(), &hasty) };
    assert!(matches!(result, Err(ConnectError::TimedOut { timeout_ms: 1 })), "{result:?}");
    let result = accept(offer);
    assert!(matches!(result, Err(ConnectError::Link(LinkError::Closed))), "{result:?}");
}

#[test]
fn nobody_else_can_join() {
    let offer = offer();
    let name = offer.name().to_owned();
    // A second way to the file, for its name goes with the first joiner.
    let kept = Litter(path(&format!("{name}-kept")));
    let again = Litter(path(&name));
    fs::hard_link(&again.0, &kept.0).expect("linked");
    std::thread::scope(|scope| {
        let joins = scope.spawn(|| join(&name));
        let first = accept(offer).expect("a link");
        let second = joins.join().expect("no panic").expect("a link");
        let result = join(&name);
        assert!(matches!(result, Err(ConnectError::NotFound { .. })), "{result:?}");
        fs::rename(&kept.0, &again.0).expect("renamed");
        refused_for(&name, "another process has joined");
        drop((first, second));
    });
}

#[test]
fn of_many_joiners_one_succeeds() {
    for _ in 0..20 {
        let offer = offer();
        let name = offer.name().to_owned();
        std::thread::scope(|scope| {
            let joiners: Vec<_> = (0..4).map(|_| scope.spawn(|| join(&name))).collect();
            let link = accept(offer).expect("a link");
            let results: Vec<_> =
                joiners.into_iter().map(|joiner| joiner.join().expect("no panic")).collect();
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
            for result in results {
                use ConnectError::{Handshake, NotFound};
                assert!(matches!(result, Ok(_) | Err(Handshake { .. } | NotFound { .. })));
            }
            drop(link);
        });
    }
}
