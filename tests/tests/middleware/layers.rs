//! What a layer sees, where, and what follows from what it says.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_lite::future::{block_on, poll_once};
use tramline::layer::{Passing, Way};
use tramline::{Client, InvokeError, Rejection, SendError, Server, command, commands, json};
use tramline_tests::fixture::unique_name;
use tramline_tests::layers::{Log, Writes, seen};
use tramline_tests::{bounded, eventually};

use crate::{BETWEEN_PROCESSES, There};

/// Runs against a server in another process that writes down what its two layers see.
fn with_server(test: fn(&There)) {
    for transport in BETWEEN_PROCESSES {
        bounded(move || test(&There::new(transport, "log")));
    }
}

/// Waits for so many lines. The last ones are written behind the answer.
fn lines(client: &Client, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    eventually("the layers have seen it all", || {
        all.extend(seen(client));
        all.len() >= count
    });
    assert_eq!(all.len(), count, "{all:?}");
    all
}

fn around(way: &str, name: &str, code: &str) -> [String; 6] {
    [
        format!("outer {way} {name}"),
        format!("inner {way} {name}"),
        format!("outer {way} {name} begins"),
        format!("inner {way} {name} begins"),
        format!("inner {way} {name}: {code}"),
        format!("outer {way} {name}: {code}"),
    ]
}

fn denied(result: Result<(), InvokeError>) -> String {
    match result {
        Err(InvokeError::Rejected(Rejection::Denied { text })) => text.into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn layers_stand_around_every_command_and_learn_how_it_ended() {
    with_server(|there| {
        let client = there.client();
        let text = json!({ "text": "x", "a": 1, "b": 2 });
        for (command, code) in [
            ("add", "ok"),
            ("plain", "ok"),
            ("later", "ok"),
            ("fails", "command-failed"),
            ("fails_later", "command-failed"),
            ("panics", "handler-panicked"),
            ("panics_later", "handler-panicked"),
        ] {
            let result = client.invoke::<serde_json::Value, _>(command, &text).wait();
            assert_eq!(result.as_ref().map_or_else(InvokeError::code, |_| "ok"), code);
            assert_eq!(lines(&client, 6), around("Handle", command, code));
        }
        // What a layer does not run within itself is run behind it.
        assert_eq!(client.invoke::<u32, _>("lazy", ()).wait().expect("answered"), 7);
        let expected = around("Handle", "lazy", "ok").into_iter();
        let expected = expected.filter(|line| line != "inner Handle lazy begins");
        assert_eq!(lines(&client, 5), expected.collect::<Vec<_>>());
        let bad = client.invoke::<String, _>("plain", json!({ "text": 7 })).wait();
        assert_eq!(bad.expect_err("a number").code(), "bad-arguments");
        assert_eq!(lines(&client, 6), around("Handle", "plain", "bad-arguments"));
    });
}

#[test]
fn a_refused_call_never_reaches_its_command() {
    with_server(|there| {
        let client = there.client();
        for command in ["add", "plain", "later"] {
            // Its arguments are wrong: nobody looks at them.
            let call = client.invoke::<(), _>(command, json!({})).header("refused-by", "inner");
            assert_eq!(denied(call.wait()), "refused by a layer");
            let expected = [
                format!("outer Handle {command}"),
                format!("inner Handle {command}"),
                format!("outer Handle {command}: capability-denied"),
            ];
            assert_eq!(lines(&client, 3), expected);
            let call = client.invoke::<(), _>(command, json!({})).header("refused-by", "outer");
            assert_eq!(denied(block_on(call.into_future())), "refused by a layer");
            assert_eq!(lines(&client, 1), [format!("outer Handle {command}")]);
        }
    });
}

#[test]
fn a_layer_that_panics_refuses_and_the_link_lives() {
    with_server(|there| {
        let client = there.client();
        let refused = client.invoke::<(), _>("tricky", json!({})).wait();
        assert_eq!(denied(refused), "a layer panicked");
        assert_eq!(lines(&client, 1), ["outer Handle tricky"]);
    });
}

#[test]
fn what_the_gate_refuses_never_reaches_a_layer() {
    with_server(|there| {
        let client = there.client();
        let unknown = client.invoke::<(), _>("no_such_command", json!({})).wait();
        assert_eq!(unknown.expect_err("unknown").code(), "unknown-command");
        assert_eq!(seen(&client), [""; 0]);
    });
}

#[test]
fn a_cancelled_call_ends_for_its_layers_on_both_sides() {
    with_server(|there| {
        let log = Log::default();
        let layer = Writes { place: "client", log: log.clone() };
        let client = there.connect().layer(layer).wait().expect("it serves");
        let mut call = client.invoke::<(), _>("waits", json!({})).into_future();
        assert!(block_on(poll_once(&mut call)).is_none());
        drop(call);
        assert_eq!(lines(&client, 6), around("Handle", "waits", "ok"));
        let seen = log.take();
        assert_eq!(seen, ["client Invoke waits", "client Invoke waits: cancelled"]);
    });
}

#[test]
fn a_clients_layers_see_its_calls_and_add_headers() {
    with_server(|there| {
        let log = Log::default();
        let layer = |place| Writes { place, log: log.clone() };
        let client = there.connect().layer(layer("first")).layer(layer("second"));
        let client = client.wait().expect("it serves");
        for awaited in [false, true] {
            let call = client.invoke::<Vec<(String, String)>, _>("headers", json!({}));
            let call = call.header("own", "x");
            let headers = if awaited { block_on(call.into_future()) } else { call.wait() };
            let headers = headers.expect("answered");
            let headers: Vec<_> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
            assert_eq!(headers, [("own", "x"), ("layer", "first"), ("layer", "second")]);
            let expected = [
                "first Invoke headers",
                "second Invoke headers",
                "second Invoke headers: ok",
                "first Invoke headers: ok",
            ];
            assert_eq!(log.take(), expected);
        }
        let refused = client.invoke::<(), _>("plain", json!({})).header("refused-by", "second");
        assert_eq!(denied(refused.wait()), "refused by a layer");
        let expected =
            ["first Invoke plain", "second Invoke plain", "first Invoke plain: capability-denied"];
        assert_eq!(log.take(), expected);
        assert!(seen(&client).iter().all(|line| !line.contains("plain")));
    });
}

#[test]
fn events_pass_through_layers_where_they_leave_and_where_they_arrive() {
    with_server(|there| {
        let log = Log::default();
        let layer = Writes { place: "client", log: log.clone() };
        let client = there.connect().layer(layer).wait().expect("it serves");
        let heard = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&heard);
        let listener = move |_: tramline::Event<'_>| {
            count.fetch_add(1, Ordering::SeqCst);
        };
        client.listen("down", listener).wait().expect("allowed");
        client.listen("refused", |_| {}).wait().expect("allowed");
        client.emit("up", "payload").expect("room");
        assert_eq!(log.take(), ["client Emit up", "client Emit up: ok"]);
        // Dropped at the other side, where nobody waits for an answer.
        client.emit("refused", "payload").expect("room");
        let mut expected = around("Deliver", "up", "ok").to_vec();
        expected
            .extend(["outer Deliver refused", "inner Deliver refused"].map(str::to_owned).to_vec());
        expected.push("outer Deliver refused: capability-denied".into());
        assert_eq!(lines(&client, 9), expected);
        let _ = log.take();

        let down =
            |event: &str| client.invoke::<(), _>("emit_down", json!({ "event": event })).wait();
        down("down").expect("sent");
        eventually("it was heard", || heard.load(Ordering::SeqCst) == 1);
        let refused = down("refused").expect_err("refused where it leaves");
        assert_eq!(refused.to_string(), "capability-denied");
        let seen = lines(&client, 19);
        let of = |way: &str| seen.iter().filter(|line| line.contains(way)).count();
        assert_eq!((of("Emit down"), of("Emit refused"), of("Handle")), (4, 3, 12));
        eventually("delivered", || log.take().iter().any(|line| line == "client Deliver down: ok"));
    });
}

#[test]
fn channel_passes_through_layers() {
    with_server(|there| {
        let client = there.client();
        let (to, reader) = client.channel::<u32>();
        client.invoke::<(), _>("stream", json!({ "to": to, "count": 3 })).wait().expect("sent");
        assert_eq!(reader.into_iter().map(Result::ok).collect::<Vec<_>>(), [0, 1, 2].map(Some));
        let seen = lines(&client, 6 + 3 * 4);
        let of = |line: &str| seen.iter().filter(|found| *found == line).count();
        assert_eq!((of("outer Send"), of("inner Send"), of("inner Send: ok")), (3, 3, 3));
    });
    bounded(|| {
        // A layer that refuses every other message: the sender is told, and the channel lives.
        let endpoint = format!("mem:{}", unique_name());
        let server = Server::new().commands(commands![sum]);
        let server = server.allow(tramline::Capabilities::all()).start(&endpoint).expect("free");
        let count = AtomicU64::new(0);
        let layer = move |message: &mut Passing<'_>| {
            let odd = message.way() == Way::Send && count.fetch_add(1, Ordering::SeqCst) % 2 == 1;
            if odd { Err(Rejection::Denied { text: "odd".into() }) } else { Ok(None) }
        };
        let client = Client::connect(&endpoint).layer(layer).wait().expect("it serves");
        let (from, sender) = client.channel_to::<u32>();
        std::thread::scope(|scope| {
            let args = json!({ "from": from });
            let call = scope.spawn(|| client.invoke::<u32, _>("sum", args).wait());
            for number in 0..10 {
                match sender.send(&number) {
                    Ok(()) => assert_eq!(number % 2, 0),
                    Err(SendError::Refused(why)) => {
                        assert_eq!((number % 2, &*why.to_string()), (1, "odd"));
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            drop(sender);
            assert_eq!(call.join().expect("no panic").expect("answered"), 20);
        });
        server.stop();
    });
}

#[command]
fn sum(from: tramline::ChannelReader<u32>) -> u32 {
    from.into_iter().filter_map(Result::ok).sum()
}
