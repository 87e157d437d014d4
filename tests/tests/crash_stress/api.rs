//! Rounds through the public surface: commands both answered and not, events both ways.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tramline::{Client, Event, InvokeError, LinkError};
use tramline_tests::api_flood::{
    self, Ends, LISTENER_SLOT, Listener, STREAMS, call_until_the_end, emit, is_death,
};
use tramline_tests::doomed::{Progress, Victim, spin};
use tramline_tests::eventually;
use tramline_tests::fixture::Transport;
use tramline_tests::random::Random;

use crate::bare::is_in_doubt;
use crate::{PEER, Tally};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reap(victim: &mut Victim) {
    let status = victim.reap();
    assert_eq!(status.signal(), Some(9), "the victim ended by itself: {status}");
}

/// Waits for a number of events, then a little longer, then kills.
fn kill(victim: &Victim, came: &Mutex<Listener>, events: u64, turns: u64) {
    eventually("events", || lock(came).history().seen() >= events);
    spin(turns);
    victim.shoot();
}

/// The events that came are the committed prefix, by the notes of whoever emitted them.
fn finish(came: &Mutex<Listener>, progress: &Progress) -> u64 {
    let came = lock(came);
    for stream in 0..STREAMS {
        let (done, intended) = progress.read(stream);
        came.history().finish_between(stream, done, intended).expect("the committed prefix");
    }
    came.history().seen()
}

/// What the victim has heard, which is no more than we emitted.
fn heard(victims: &Progress, own: &Progress) -> u64 {
    let (heard, _) = victims.read(LISTENER_SLOT);
    let intended: u64 = (0..STREAMS).map(|stream| own.read(stream).1).sum();
    assert!(heard <= intended, "{intended} events were emitted, {heard} heard");
    heard
}

/// The server is killed while its client calls, emits and listens.
pub(crate) fn server_killed(random: &mut Random, progress: &Progress) -> Tally {
    let (events, turns) = (random.below(600), random.below(1 << 14));
    let endpoint = Transport::Shm.endpoint();
    let notes = progress.for_victim();
    let mut victim = Victim::spawn(PEER, &["serve", &endpoint], notes, Stdio::piped());
    let mut line = String::new();
    let output = victim.stdout().expect("piped above");
    BufReader::new(output).read_line(&mut line).expect("a pipe");
    assert_eq!(line, "ready\n");

    let client = Client::connect(&endpoint).limits(api_flood::limits()).wait().expect("it serves");
    let own = Arc::new(Progress::new());
    let down = Arc::new(Mutex::new(Listener::new(Arc::clone(&own), LISTENER_SLOT)));
    let listener = Arc::clone(&down);
    let see = move |event: Event<'_>| lock(&listener).see(event.bytes());
    client.listen("down", see).wait().expect("allowed");
    client.invoke::<(), _>("flood_down", ()).wait().expect("started");
    let calls = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let callers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| call_until_the_end(&client, &calls))).collect();
        let emitters = (0..STREAMS).map(|stream| {
            let (client, own) = (&client, &own);
            scope.spawn(move || emit(stream, own, |bytes| client.emit_raw("up", bytes)))
        });
        let emitters: Vec<_> = emitters.collect();
        kill(&victim, &down, events, turns);
        for caller in callers {
            let end = caller.join().expect("its answers were right");
            assert!(is_death(&end), "{end:?}");
        }
        for emitter in emitters {
            let end = InvokeError::Send(emitter.join().expect("no panic"));
            assert!(is_death(&end), "{end:?}");
        }
    });
    reap(&mut victim);
    assert_eq!(client.ended(), Some(LinkError::PeerDied));
    let late = client.invoke::<(), _>("flood_down", ()).wait().expect_err("dead");
    assert!(is_death(&late), "{late:?}");
    drop(client);
    // The thread that calls the listener lets go of it when it has delivered everything.
    eventually("all events were delivered", || Arc::strong_count(&down) == 1);
    let messages = finish(&down, progress) + heard(progress, &own) + calls.into_inner();
    Tally { kills: 1, messages, in_doubt: u64::from(is_in_doubt(progress)) }
}

/// A client is killed while it calls, emits and listens.
pub(crate) fn client_killed(random: &mut Random, progress: &Progress) -> Tally {
    let (events, turns) = (random.below(600), random.below(1 << 14));
    let endpoint = Transport::Shm.endpoint();
    let own = Arc::new(Progress::new());
    let up = Arc::new(Mutex::new(Listener::new(Arc::clone(&own), LISTENER_SLOT)));
    let ends: Arc<Ends> = Arc::default();
    let server = api_flood::server_with(Arc::clone(&own), Arc::clone(&up), Arc::clone(&ends));
    let server = server.start(&endpoint).expect("the name is free");
    let notes = progress.for_victim();
    let mut victim = Victim::spawn(PEER, &["call", &endpoint], notes, Stdio::null());
    kill(&victim, &up, events, turns);
    reap(&mut victim);
    // A connection leaves the list when all of its messages were handled. One that was killed before
    // it was open has never been there.
    let clients = server.clients();
    eventually("the dead client is gone", || clients.list().is_empty());
    drop(clients);
    server.stop();
    drop(server);
    let messages = finish(&up, progress) + heard(progress, &own);
    eventually("its events have ended", || Arc::strong_count(&ends) == 1);
    for end in lock(&ends.0).drain(..) {
        let end = InvokeError::Send(end);
        assert!(is_death(&end), "{end:?}");
    }
    Tally { kills: 1, messages, in_doubt: u64::from(is_in_doubt(progress)) }
}
