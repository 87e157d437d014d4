//! The process that the crash stress kills, in the role its arguments say.
//!
//! For a bare link its standard input is the socket, and its standard output where it notes its
//! progress. For a client or a server its standard input is for progress.

#![allow(clippy::expect_used, reason = "a role that fails ends with a panic and its words")]

use std::os::fd::{AsFd, OwnedFd};
use std::process::exit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tramline::{Client, Event, LinkError, SendError};
use tramline_tests::api_flood::{self, LISTENER_SLOT};
use tramline_tests::doomed::{Progress, die_with_parent};
use tramline_tests::flood::{Reader, flood, open, receive};

fn main() {
    die_with_parent();
    // A thread that found something wrong ends all of it, so that the parent sees it.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        exit(101);
    }));
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["bare", ring, write_seed, count, read_seed] => {
            let number = |text: &str| text.parse::<u64>().ok();
            let ring = ring.parse().expect("bytes");
            bare(ring, number(write_seed), number(count), number(read_seed));
        }
        ["serve", endpoint] => {
            let progress = Arc::new(Progress::inherited(own(std::io::stdin())));
            let server = api_flood::server(Arc::clone(&progress), LISTENER_SLOT);
            let running = server.start(endpoint).expect("the name is free");
            println!("ready");
            running.wait();
        }
        ["call", endpoint] => call(endpoint),
        _ => {
            eprintln!("no such role: {args:?}");
            exit(2);
        }
    }
}

fn own(stream: impl AsFd) -> OwnedFd {
    stream.as_fd().try_clone_to_owned().expect("a descriptor")
}

/// A bare link: writes the plan of one seed, up to a count, and reads that of another.
fn bare(ring: usize, write: Option<u64>, count: Option<u64>, read: Option<u64>) {
    let progress = Progress::inherited(own(std::io::stdout()));
    let Ok((halves, _)) = open(own(std::io::stdin()), ring) else {
        // The other side is gone: there is nobody to tell.
        exit(1);
    };
    let (mut sender, mut receiver, signal) = (halves.sender, halves.receiver, halves.signal);
    std::thread::scope(|scope| {
        let (signal, progress) = (&*signal, &progress);
        if let Some(seed) = read {
            scope.spawn(move || {
                let mut reader = Reader::new(seed);
                let end = loop {
                    match receive(&mut *receiver, signal, |bytes| reader.see(bytes)) {
                        Ok(()) => progress.done(LISTENER_SLOT, reader.history().seen()),
                        Err(end) => break end,
                    }
                };
                assert!(matches!(end, LinkError::Closed | LinkError::PeerDied), "{end:?}");
            });
        } else {
            // Held until the other side ends the link: all that was sent is to be read first.
            scope.spawn(move || drop(receive(&mut *receiver, signal, |_| ())));
        }
        if let Some(seed) = write {
            let end = flood(&mut *sender, signal, seed, count, progress);
            let over = |e: &SendError| matches!(e, SendError::Link(_));
            assert!(end.as_ref().err().is_none_or(over), "{end:?}");
        }
    });
}

/// A client that emits, calls and listens at the same time.
fn call(endpoint: &str) {
    let progress = Arc::new(Progress::inherited(own(std::io::stdin())));
    let client = Client::connect(endpoint).limits(api_flood::limits()).wait().expect("it serves");
    let listener = api_flood::Listener::new(Arc::clone(&progress), LISTENER_SLOT);
    let down = Mutex::new(listener);
    let see = move |event: Event<'_>| {
        down.lock().unwrap_or_else(PoisonError::into_inner).see(event.bytes());
    };
    client.listen("down", see).wait().expect("allowed");
    client.invoke::<(), _>("flood_down", ()).wait().expect("started");
    let calls = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for stream in 0..2 {
            let (client, progress) = (&client, &progress);
            scope.spawn(move || {
                api_flood::emit(stream, progress, |bytes| client.emit_raw("up", bytes))
            });
        }
        scope.spawn(|| api_flood::call_until_the_end(&client, &calls));
    });
    // Only a link that ended brings us here, and it is to end by our death.
    eprintln!("the link ended: {:?} after {} calls", client.ended(), calls.load(Ordering::Relaxed));
    exit(1);
}
