//! What listeners may do.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use tramline::{Client, Event, json};
use tramline_tests::tally::{Count, Tally};
use tramline_tests::{Fixture, PATIENCE, Setup, conformance};

conformance! {
    once_fires_once,
    unlisten_stops_and_is_idempotent,
    listener_may_emit_listen_unlisten_and_invoke,
    a_once_listener_may_listen_to_its_event_again,
    listener_may_await_a_call,
    an_awaited_call_is_answered_while_a_listener_waits_for_it,
    a_panicking_listener_hurts_nobody,
    whoever_listens_last_is_told_even_if_others_unlisten_at_the_same_time,
}

fn emit_numbers(client: &Client, first: u64, count: u64) {
    let args = json!({ "event": "down", "first": first, "count": count });
    client.invoke::<(), _>("emit_numbers", args).timeout(PATIENCE).wait().expect("emitted");
}

/// Has the server emit one event without any thread of `f.client` reading its link.
fn emit_from_afar(f: &Fixture) {
    let args = json!({ "event": "down", "text": "now" });
    let second = f.second();
    let done = second.invoke::<bool, _>("emit_all", args).timeout(PATIENCE);
    assert!(done.wait().expect("emitted"));
}

fn once_fires_once(setup: &Setup) {
    let f = setup.open();
    let (once, always) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
    let counts = Arc::clone(&always);
    let listener = move |event: Event<'_>| counts.add(event.payload().expect("a number"));
    f.client.listen("down", listener).wait().expect("allowed");
    let counts = Arc::clone(&once);
    let listener = move |event: Event<'_>| counts.add(event.payload().expect("a number"));
    let id = f.client.once("down", listener).wait().expect("allowed");
    emit_numbers(&f.client, 0, 5);
    always.expect(5);
    once.expect(1);
    f.client.unlisten(id);
}

fn unlisten_stops_and_is_idempotent(setup: &Setup) {
    let f = setup.open();
    let tallies = [(); 2].map(|()| Arc::new(Tally::default()));
    let ids = [0, 1].map(|index: usize| {
        let counts = Arc::clone(&tallies[index]);
        let listener = move |event: Event<'_>| counts.add(event.payload().expect("a number"));
        f.client.listen("down", listener).wait().expect("allowed")
    });
    emit_numbers(&f.client, 0, 10);
    tallies[0].expect(10);
    f.client.unlisten(ids[0]);
    f.client.unlisten(ids[0]);
    emit_numbers(&f.client, 10, 10);
    tallies[1].expect(20);
    tallies[0].expect(10);
    f.client.unlisten(ids[1]);
    f.client.unlisten(ids[1]);
    let encoded: u64 =
        f.client.invoke("emit_expensive", json!({ "event": "down" })).wait().expect("emitted");
    assert_eq!(encoded, 0);
}

fn listener_may_emit_listen_unlisten_and_invoke(setup: &Setup) {
    let f = setup.open();
    let (sent, came) = channel();
    let me = Mutex::new(None);
    let me = Arc::new(me);
    let (client, own) = (f.client.clone(), Arc::clone(&me));
    let listener = move |event: Event<'_>| {
        let number: u64 = event.payload().expect("a number");
        client.emit("up", &number).expect("room");
        let id = client.listen("other", |_| {}).wait().expect("allowed");
        client.unlisten(id);
        let args = json!({ "a": number, "b": 1 });
        let sum: u64 = client.invoke("add", args).timeout(PATIENCE).wait().expect("a sum");
        if number == 4
            && let Some(id) = own.lock().expect("not poisoned").take()
        {
            client.unlisten(id);
        }
        sent.send(sum).expect("the test waits");
    };
    let id = f.client.listen("down", listener).wait().expect("allowed");
    *me.lock().expect("not poisoned") = Some(id);
    emit_numbers(&f.client, 0, 5);
    for number in 1..=5 {
        assert_eq!(came.recv_timeout(PATIENCE).expect("called"), number);
    }
    let count: Count = f.client.invoke("wait_up", json!({ "count": 5 })).wait().expect("counted");
    assert_eq!(count, Count { count: 5, out_of_order: 0, next: 5 });
    emit_numbers(&f.client, 5, 5);
    assert!(came.try_recv().is_err(), "it has unlistened");
}

fn a_once_listener_may_listen_to_its_event_again(setup: &Setup) {
    let f = setup.open();
    let (sent, came) = channel();
    let client = f.client.clone();
    let listener = move |_: Event<'_>| {
        let sent = sent.clone();
        let again = client.once("down", move |event| {
            let _ = sent.send(event.payload::<u64>());
        });
        again.wait().expect("allowed");
    };
    f.client.once("down", listener).wait().expect("allowed");
    emit_numbers(&f.client, 0, 1);
    // The first listener has run when a later event of another name has.
    let (passed, done) = channel();
    let listener = move |_: Event<'_>| passed.send(()).expect("the test waits");
    f.client.once("other", listener).wait().expect("allowed");
    let args = json!({ "event": "other", "first": 0, "count": 1 });
    f.client.invoke::<(), _>("emit_numbers", args).wait().expect("emitted");
    done.recv_timeout(PATIENCE).expect("it came");
    emit_numbers(&f.client, 1, 1);
    assert_eq!(came.recv_timeout(PATIENCE / 6).expect("the second listener"), Ok(1));
}

fn listener_may_await_a_call(setup: &Setup) {
    let f = setup.open();
    let (sent, came) = channel();
    let client = f.client.clone();
    let listener = move |_: Event<'_>| {
        let call = client.invoke::<u64, _>("add", json!({ "a": 1, "b": 1 }));
        let sum = futures_lite::future::block_on(async { call.await });
        let _ = sent.send(sum.expect("a sum"));
    };
    f.client.listen("down", listener).wait().expect("allowed");
    emit_from_afar(&f);
    assert_eq!(came.recv_timeout(PATIENCE / 6), Ok(2), "it was not answered");
}

fn an_awaited_call_is_answered_while_a_listener_waits_for_it(setup: &Setup) {
    let f = setup.open();
    let (entered, inside) = channel();
    let (release, released) = channel::<()>();
    let (left, outside) = channel();
    let released = Mutex::new(released);
    let listener = move |_: Event<'_>| {
        let _ = entered.send(());
        let released = released.lock().expect("not poisoned");
        let _ = left.send(released.recv_timeout(PATIENCE / 6));
    };
    f.client.listen("down", listener).wait().expect("allowed");
    emit_from_afar(&f);
    inside.recv_timeout(PATIENCE).expect("the listener runs");
    let call = f.client.invoke::<u64, _>("add", json!({ "a": 1, "b": 1 }));
    let sum = futures_lite::future::block_on(async { call.await });
    assert_eq!(sum.expect("it was answered"), 2);
    let _ = release.send(());
    let released = outside.recv_timeout(PATIENCE).expect("the listener ends");
    assert_eq!(released, Ok(()), "the answer came only after the listener had ended");
}

fn a_panicking_listener_hurts_nobody(setup: &Setup) {
    let f = setup.open();
    let panics = |_: Event<'_>| panic!("on purpose");
    f.client.listen("other", panics).wait().expect("allowed");
    let tally = Arc::new(Tally::default());
    let counts = Arc::clone(&tally);
    let listener = move |event: Event<'_>| counts.add(event.payload().expect("a number"));
    f.client.listen("down", listener).wait().expect("allowed");
    let args = json!({ "event": "other", "first": 0, "count": 3 });
    f.client.invoke::<(), _>("emit_numbers", args).wait().expect("emitted");
    emit_numbers(&f.client, 0, 3);
    tally.expect(3);
    assert_eq!(f.client.ended(), None);
}

fn whoever_listens_last_is_told_even_if_others_unlisten_at_the_same_time(setup: &Setup) {
    let f = setup.open();
    thread::scope(|scope| {
        for _ in 0..3 {
            let client = f.client.clone();
            scope.spawn(move || {
                for _ in 0..300 {
                    let id = client.listen("down", |_| {}).wait().expect("allowed");
                    client.unlisten(id);
                }
            });
        }
        for round in 0..300 {
            let (sent, came) = channel();
            let listener = move |event: Event<'_>| {
                let _ = sent.send(event.payload::<u64>());
            };
            let id = f.client.listen("down", listener).wait().expect("allowed");
            emit_numbers(&f.client, round, 1);
            let event = came.recv_timeout(PATIENCE / 6);
            assert_eq!(event, Ok(Ok(round)), "the server was not told");
            f.client.unlisten(id);
        }
    });
}
