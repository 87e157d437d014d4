//! Full links.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use tramline::{Client, Event, InvokeError, SendError, json};
use tramline_tests::fixture::limits;
use tramline_tests::tally::{Count, Tally};
use tramline_tests::{PATIENCE, Setup, Transport, conformance};

conformance! {
    full_link_reports_backpressure_and_recovers,
    full_link_to_a_client_reports_backpressure_and_recovers,
    try_emit_of_a_large_message_does_not_block,
    a_waiting_emit_goes_on_when_there_is_room,
    both_sides_may_flood_each_other,
    calls_and_echoed_events_from_many_threads_do_not_lock_up,
    a_call_waits_for_its_answer_behind_many_events,
    a_deadline_in_the_middle_of_a_large_message_ends_the_call_and_not_the_link,
}

fn wait_up(client: &Client, count: u64) -> Count {
    let args = json!({ "count": count });
    client.invoke("wait_up", args).timeout(2 * PATIENCE).wait().expect("counted")
}

fn in_order(count: u64) -> Count {
    Count { count, out_of_order: 0, next: count }
}

/// Emits until there is no room, from number `first`; how many went out with those before.
fn emit_until_full(client: &Client, first: u64, ballast: usize) -> u64 {
    let ballast = "x".repeat(ballast);
    // More than any link holds.
    let tries = (64 << 20) / (ballast.len() as u64 + 64);
    for number in first..tries {
        match client.try_emit("up", &(number, &ballast)) {
            Ok(()) => {}
            Err(SendError::Full) => return number,
            Err(e) => panic!("after {number}: {e:?}"),
        }
    }
    panic!("it never gets full");
}

fn full_link_reports_backpressure_and_recovers(setup: &Setup) {
    for ballast in [0, 1000, 60_000] {
        let f = setup.open();
        f.client.emit("blocking", "gate").expect("room");
        f.wait_entered("gate", 1);
        let mut accepted = emit_until_full(&f.client, 0, ballast);
        let is_full = |number| match f.client.try_emit("up", &(number, "x".repeat(60_000))) {
            Ok(()) => false,
            Err(SendError::Full) => true,
            Err(e) => panic!("after {number}: {e:?}"),
        };
        if setup.transport == Transport::ShmGuarded {
            // A guard makes room until what is behind it is full, too.
            while !is_full(accepted) {
                accepted = emit_until_full(&f.client, accepted + 1, ballast);
            }
        } else {
            assert!(is_full(accepted));
        }
        f.open_gate("gate");
        assert_eq!(wait_up(&f.client, accepted), in_order(accepted));
        f.client.emit("up", &accepted).expect("room again");
        assert_eq!(wait_up(&f.client, accepted + 1), in_order(accepted + 1));
    }
}

/// A listener that waits at its first event until told, then counts.
fn blocked_tally(client: &Client, event: &str) -> (Arc<Tally>, Receiver<()>, Sender<()>) {
    let tally = Arc::new(Tally::default());
    let (entered, inside) = channel();
    let (release, released) = channel::<()>();
    let (counts, released) = (Arc::clone(&tally), Mutex::new(Some(released)));
    let listener = move |event: Event<'_>| {
        if let Some(released) = released.lock().expect("not poisoned").take() {
            let _ = entered.send(());
            let _ = released.recv_timeout(PATIENCE);
        }
        counts.add(event.payload::<(u64, &str)>().map_or(u64::MAX, |(number, _)| number));
    };
    client.listen(event, listener).wait().expect("allowed");
    (tally, inside, release)
}

fn full_link_to_a_client_reports_backpressure_and_recovers(setup: &Setup) {
    let f = setup.open();
    let second = f.second();
    let (tally, inside, release) = blocked_tally(&f.client, "ballast");
    let args = json!({ "label": "first", "event": "ballast", "ballast": 1000 });
    let fill = || second.invoke::<u64, _>("fill", args.clone()).timeout(PATIENCE).wait();
    let accepted = fill().expect("it gets full");
    assert!(accepted > 0, "an empty link was called full");
    inside.recv_timeout(PATIENCE).expect("the listener runs");
    release.send(()).expect("the listener waits");
    tally.expect(accepted);
    let sum: i64 = f.client.invoke("add", json!({ "a": 1, "b": 1 })).wait().expect("it lives");
    assert_eq!(sum, 2);
}

fn try_emit_of_a_large_message_does_not_block(setup: &Setup) {
    let f = setup.open();
    f.client.emit("blocking", "gate").expect("room");
    f.wait_entered("gate", 1);
    let client = f.client.clone();
    let (sent, done) = channel();
    let emits = thread::spawn(move || {
        let _ = sent.send(emit_until_full(&client, 0, 300_000));
    });
    // Opened in either case, so that nothing is left hanging.
    let accepted = done.recv_timeout(PATIENCE / 6);
    f.open_gate("gate");
    let accepted = accepted.expect("try_emit does not wait for the peer");
    emits.join().expect("no error but Full");
    assert_eq!(wait_up(&f.client, accepted), in_order(accepted));
}

fn a_waiting_emit_goes_on_when_there_is_room(setup: &Setup) {
    let f = setup.open();
    f.client.emit("blocking", "gate").expect("room");
    f.wait_entered("gate", 1);
    let accepted = emit_until_full(&f.client, 0, 1000);
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            for number in accepted..accepted + 10 {
                f.client.emit("up", &(number, "x".repeat(200_000))).expect("room comes");
            }
        });
        f.open_gate("gate");
        waits.join().expect("room comes");
    });
    assert_eq!(wait_up(&f.client, accepted + 10), in_order(accepted + 10));
}

fn both_sides_may_flood_each_other(setup: &Setup) {
    const MANY: u64 = 3000;
    let f = setup.open();
    let tally = Arc::new(Tally::default());
    let counts = Arc::clone(&tally);
    let listener = move |event: Event<'_>| counts.add(event.payload().expect("a number"));
    f.client.listen("down", listener).wait().expect("allowed");
    let ballast = "x".repeat(3000);
    thread::scope(|scope| {
        scope.spawn(|| {
            let args = json!({ "event": "down", "first": 0, "count": 10 * MANY });
            let flood = f.client.invoke::<(), _>("emit_numbers", args).timeout(PATIENCE);
            flood.wait().expect("emitted");
        });
        for number in 0..MANY {
            f.client.emit("up", &(number, &ballast)).expect("room comes");
        }
    });
    tally.expect(10 * MANY);
    assert_eq!(wait_up(&f.client, MANY), in_order(MANY));
}

fn calls_and_echoed_events_from_many_threads_do_not_lock_up(setup: &Setup) {
    // A small ring, so that both directions are full most of the time.
    let mut small = limits();
    small.ring_capacity = 64 << 10;
    let f = setup.open_with(small, small);
    let tally = Arc::new(Tally::default());
    let (counts, client) = (Arc::clone(&tally), f.client.clone());
    let listener = move |event: Event<'_>| {
        let number = event.payload().expect("a number");
        counts.add(number);
        // The listener's thread sends, too.
        client.emit("up", &number).expect("room comes");
    };
    f.client.listen("down", listener).wait().expect("allowed");
    let text = "x".repeat(20_000);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..150 {
                    let echo = f.client.invoke("echo_text", json!({ "text": &text }));
                    let echoed: String = echo.timeout(PATIENCE).wait().expect("a text");
                    assert!(echoed == text);
                }
            });
        }
        for number in 0..5000_u64 {
            f.client.emit("echo", &number).expect("room comes");
        }
    });
    tally.expect(5000);
    assert_eq!(wait_up(&f.client, 5000), in_order(5000));
}

fn a_call_waits_for_its_answer_behind_many_events(setup: &Setup) {
    let f = setup.open();
    let tally = Arc::new(Tally::default());
    let counts = Arc::clone(&tally);
    let listener = move |event: Event<'_>| counts.add(event.payload().expect("a number"));
    f.client.listen("down", listener).wait().expect("allowed");
    for round in 0..20 {
        let args = json!({ "event": "down", "first": round * 500, "count": 500 });
        f.client.invoke::<(), _>("emit_numbers", args).timeout(PATIENCE).wait().expect("emitted");
        let sum: u64 = f
            .client
            .invoke("add", json!({ "a": round, "b": 1 }))
            .timeout(PATIENCE)
            .wait()
            .expect("a sum");
        assert_eq!(sum, round + 1);
    }
    tally.expect(10_000);
}

fn a_deadline_in_the_middle_of_a_large_message_ends_the_call_and_not_the_link(setup: &Setup) {
    let f = setup.open();
    f.client.emit("blocking", "gate").expect("room");
    f.wait_entered("gate", 1);
    // Far more than there is room for while nobody reads.
    let large = json!({ "text": "x".repeat(7 << 20) });
    let call = f.client.invoke::<String, _>("echo_text", large).timeout(Duration::from_millis(50));
    thread::scope(|scope| {
        let ended = scope.spawn(|| call.wait());
        if setup.transport == Transport::Shm {
            // What was begun is taken back, so the caller has its time for itself.
            let ended = ended.join().expect("no panic");
            assert!(matches!(ended, Err(InvokeError::Send(SendError::Full))), "{ended:?}");
            f.open_gate("gate");
        } else {
            f.open_gate("gate");
            let _ = ended.join().expect("no panic");
        }
    });
    assert_eq!(f.client.ended(), None);
    let sum = f.client.invoke("add", json!({ "a": 2, "b": 3 })).timeout(PATIENCE);
    let sum: i64 = sum.wait().expect("the link lives");
    assert_eq!(sum, 5);
}
