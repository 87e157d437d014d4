//! Events, both ways.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;

use tramline::{BodyKind, Client, InvokeError, Rejection, json};
use tramline_tests::commands::Expensive;
use tramline_tests::tally::{Count, Tally};
use tramline_tests::{PATIENCE, Setup, conformance};

conformance! {
    events_reach_each_listener_once_and_in_order,
    events_reach_the_server_once_and_in_order,
    event_without_listener_sends_nothing,
    no_event_is_missed_after_listen_returns,
    event_payload_may_be_raw,
    event_names_follow_tauri,
    bad_event_name_is_an_error_everywhere,
    not_allowed_event_is_refused,
    server_emits_to_one_some_and_all_clients,
    events_of_several_names_keep_their_order,
    events_and_calls_of_one_thread_keep_their_order,
}

const MANY: u64 = 10_000;

/// Counts the numbers that come as `event`.
fn tally(client: &Client, event: &str) -> Arc<Tally> {
    let tally = Arc::new(Tally::default());
    let counts = Arc::clone(&tally);
    let listener = move |event: tramline::Event<'_>| {
        counts.add(event.payload().expect("a number"));
    };
    client.listen(event, listener).wait().expect("allowed");
    tally
}

fn emit_numbers(client: &Client, event: &str, first: u64, count: u64) {
    let args = json!({ "event": event, "first": first, "count": count });
    client.invoke::<(), _>("emit_numbers", args).timeout(PATIENCE).wait().expect("emitted");
}

fn events_reach_each_listener_once_and_in_order(setup: &Setup) {
    let f = setup.open();
    let tallies = [tally(&f.client, "down"), tally(&f.client, "down")];
    emit_numbers(&f.client, "down", 0, MANY);
    for tally in tallies {
        tally.expect(MANY);
    }
}

fn events_reach_the_server_once_and_in_order(setup: &Setup) {
    let f = setup.open();
    for number in 0..MANY {
        f.client.emit("up", &number).expect("room comes");
    }
    let count: Count = f
        .client
        .invoke("wait_up", json!({ "count": MANY }))
        .timeout(PATIENCE)
        .wait()
        .expect("counted");
    let expected = Count { count: MANY, out_of_order: 0, next: MANY };
    assert_eq!(count, expected);
}

fn event_without_listener_sends_nothing(setup: &Setup) {
    let f = setup.open();
    let encoded = |event: &str| -> u64 {
        f.client.invoke("emit_expensive", json!({ "event": event })).wait().expect("emitted")
    };
    assert_eq!(encoded("down"), 0);
    let (sent, came) = channel();
    let listener = move |event: tramline::Event<'_>| {
        sent.send(event.payload::<u64>()).expect("the test waits");
    };
    let id = f.client.listen("down", listener).wait().expect("allowed");
    assert_eq!(encoded("down"), 1);
    assert_eq!(came.recv_timeout(PATIENCE).expect("it came"), Ok(0));
    f.client.unlisten(id);
    assert_eq!(encoded("down"), 0);

    let payload = Expensive::default();
    f.client.emit("down", &payload).expect("nobody listens");
    f.client.emit("never_heard", &payload).expect("nobody listens");
    assert_eq!(payload.0.load(Ordering::SeqCst), 0);
    f.client.emit("up", &payload).expect("the server listens");
    assert_eq!(payload.0.load(Ordering::SeqCst), 1);
}

fn no_event_is_missed_after_listen_returns(setup: &Setup) {
    let f = setup.open();
    for round in 0..200 {
        let (sent, came) = channel();
        let listener = move |event: tramline::Event<'_>| {
            let _ = sent.send(event.payload::<u64>());
        };
        let id = f.client.listen("down", listener).wait().expect("allowed");
        emit_numbers(&f.client, "down", round, 1);
        assert_eq!(came.recv_timeout(PATIENCE).expect("not missed"), Ok(round));
        f.client.unlisten(id);
    }
}

fn event_payload_may_be_raw(setup: &Setup) {
    let f = setup.open();
    let (sent, came) = channel();
    let listener = move |event: tramline::Event<'_>| {
        let structured = event.payload::<String>().is_ok();
        sent.send((event.body_kind(), event.bytes().to_vec(), structured)).expect("the test waits");
    };
    f.client.listen("raw", listener).wait().expect("allowed");
    f.client.invoke::<(), _>("emit_raw", json!({ "event": "raw" })).wait().expect("emitted");
    let event = came.recv_timeout(PATIENCE).expect("it came");
    assert_eq!(event, (BodyKind::Raw, b"\x00raw\xff".to_vec(), false));
}

fn event_names_follow_tauri(setup: &Setup) {
    let f = setup.open();
    for name in ["größe/1:a_b-c", ""] {
        let tally = tally(&f.client, name);
        emit_numbers(&f.client, name, 0, 3);
        tally.expect(3);
    }
}

fn bad_event_name_is_an_error_everywhere(setup: &Setup) {
    let f = setup.open();
    for bad in ["a b", "a.b", "a\n", &"x".repeat(256)] {
        let error = f.client.emit(bad, &1).expect_err("a bad name");
        assert_eq!(error.code(), "bad-event-name");
        let error = f.client.try_emit(bad, &1).expect_err("a bad name");
        assert_eq!(error.code(), "bad-event-name");
        let error = f.client.emit_raw(bad, b"1").expect_err("a bad name");
        assert_eq!(error.code(), "bad-event-name");
        let error = f.client.listen(bad, |_| {}).wait().expect_err("a bad name");
        assert_eq!(error.code(), "bad-event-name");
        let error = f.client.once(bad, |_| {}).wait().expect_err("a bad name");
        assert_eq!(error.code(), "bad-event-name");
        let code: Option<String> =
            f.client.invoke("emit_code", json!({ "event": bad })).wait().expect("answered");
        assert_eq!(code.as_deref(), Some("bad-event-name"));
    }
    assert_eq!(f.client.ended(), None);
}

fn not_allowed_event_is_refused(setup: &Setup) {
    let f = setup.open();
    for _ in 0..2 {
        let refused = f.client.listen("secret", |_| {}).wait().expect_err("not allowed");
        assert!(matches!(refused, InvokeError::Rejected(Rejection::Denied { .. })), "{refused:?}");
        let refused = f.client.once("secret", |_| {}).wait().expect_err("not allowed");
        assert_eq!(refused.code(), "capability-denied");
    }
    f.client.emit("secret", &1).expect("the server does not listen");
    let sum: i64 = f.client.invoke("add", json!({ "a": 1, "b": 1 })).wait().expect("it lives");
    assert_eq!(sum, 2);
}

fn server_emits_to_one_some_and_all_clients(setup: &Setup) {
    let f = setup.open();
    let labels = ["first", "one", "two", "two"];
    let others = ["one", "two", "two"].map(|label| f.connect().label(label).wait().expect("room"));
    let clients: Vec<_> = [f.client.clone()].into_iter().chain(others).collect();
    let (sent, came) = channel();
    for (index, client) in clients.iter().enumerate() {
        let sent = sent.clone();
        let listener = move |event: tramline::Event<'_>| {
            let _ = sent.send((index, event.payload::<String>().expect("a text")));
        };
        client.listen("down", listener).wait().expect("allowed");
    }
    let emit = |command: &str, label: &str, expected: &[usize]| {
        let args = json!({ "label": label, "event": "down", "text": command });
        let done: bool = clients[0].invoke(command, args).wait().expect("emitted");
        assert!(done);
        let mut who: Vec<_> = expected
            .iter()
            .map(|_| came.recv_timeout(PATIENCE).expect("it came"))
            .inspect(|(_, text)| assert_eq!(text, command))
            .map(|(index, _)| index)
            .collect();
        who.sort_unstable();
        assert_eq!(who, expected);
    };
    assert_eq!(labels.len(), clients.len());
    emit("emit_all", "", &[0, 1, 2, 3]);
    emit("emit_to", "one", &[1]);
    emit("emit_to", "two", &[2, 3]);
    emit("emit_to", "nobody", &[]);
    emit("emit_except", "two", &[0, 1]);
    emit("emit_all", "", &[0, 1, 2, 3]);
}

fn events_of_several_names_keep_their_order(setup: &Setup) {
    let f = setup.open();
    let tally = Arc::new(Tally::default());
    for name in ["down", "other"] {
        let counts = Arc::clone(&tally);
        let listener = move |event: tramline::Event<'_>| {
            counts.add(event.payload().expect("a number"));
        };
        f.client.listen(name, listener).wait().expect("allowed");
    }
    for round in 0..200 {
        emit_numbers(&f.client, if round % 2 == 0 { "down" } else { "other" }, round * 5, 5);
    }
    tally.expect(1000);
}

fn events_and_calls_of_one_thread_keep_their_order(setup: &Setup) {
    let f = setup.open();
    for number in 0..300 {
        f.client.emit("up", &number).expect("room");
        // Counted before the call is looked at: it comes later on the same link.
        let count: Count =
            f.client.invoke("wait_up", json!({ "count": 0 })).wait().expect("counted");
        assert_eq!(count.count, number + 1);
    }
}
