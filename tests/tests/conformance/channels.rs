//! Channels: what is sent arrives, in order, whatever its size and however slow its reader.

use std::future::IntoFuture;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::thread;

use futures_lite::StreamExt as _;
use futures_lite::future::{block_on, zip};
use serde_json::{Value, json, to_value};
use tramline::{
    BodyKind, Channel, ChannelReader, Client, InvokeError, Limits, Raw, SealedBlob, SendError,
    Server,
};
use tramline_tests::channels::Counted;
use tramline_tests::commands;
use tramline_tests::fixture::limits;
use tramline_tests::{PATIENCE, Setup, Transport, conformance};

conformance! {
    channel_argument_reads_as_tauri_text,
    channel_messages_arrive_in_order,
    a_stream_reads_what_a_command_sends,
    a_command_reads_what_its_caller_sends,
    one_call_may_stream_both_ways,
    message_size_changes_nothing_but_time,
    sealed_bodies_go_over_channels,
    slow_channel_reader_bounds_memory,
    a_slow_command_bounds_what_its_caller_sends,
    failing_reader_keeps_the_order,
    many_channels_share_a_connection,
    an_argument_may_stand_in_an_array,
    a_listener_may_wait_for_a_channel,
    inline_commands_may_wait_for_channels,
    commands_at_the_limit_of_calls_are_granted_more,
}

type Number = (u64, String);

pub(crate) fn numbers<'a>(
    client: &'a Client,
    command: &'a str,
    count: u64,
    ballast: usize,
) -> (tramline::Invoke<'a, String, Value>, ChannelReader<Number>) {
    let (arg, reader) = client.channel();
    let args = json!({ "count": count, "ballast": ballast, "numbers": arg });
    (client.invoke(command, args).timeout(PATIENCE), reader)
}

fn assert_in_order(reader: &mut ChannelReader<Number>, count: u64, ballast: usize) {
    let mut next = 0;
    for number in reader {
        let (number, text) = number.expect("a number");
        assert_eq!((number, text.len()), (next, ballast));
        next += 1;
    }
    assert_eq!(next, count);
}

fn channel_argument_reads_as_tauri_text(setup: &Setup) {
    let f = setup.open();
    let (arg, mut reader) = f.client.channel::<u64>();
    let text = format!("__CHANNEL__:{}", arg.id());
    assert_eq!(to_value(&arg).expect("text"), json!(text));
    // A command that asks for a value sees just that, in every codec.
    let echoed: Value = f.client.invoke("echo", json!({ "value": &arg })).wait().expect("a value");
    assert_eq!(echoed, json!(text));
    let ended = reader.recv().expect("an error").expect_err("nobody took it");
    assert_eq!(ended.code(), "channel-not-taken");
    // Numbers are never used again, so the text names nothing any more.
    let again = f
        .client
        .invoke::<String, _>("count_to", json!({ "count": 1, "ballast": 0, "numbers": text }));
    assert!(matches!(again.wait(), Err(InvokeError::Rejected(_))));
    let (next, _reader) = f.client.channel::<u64>();
    assert_ne!(next.id(), arg.id());
}

fn channel_messages_arrive_in_order(setup: &Setup) {
    let f = setup.open();
    for command in ["count_to", "count_to_async"] {
        // Far more than a window.
        let (count, ballast) = (3000, 500);
        let (call, mut reader) = numbers(&f.client, command, count, ballast);
        thread::scope(|scope| {
            let reading = scope.spawn(|| assert_in_order(&mut reader, count, ballast));
            assert_eq!(call.wait().expect("answered"), "ok");
            reading.join().expect("in order");
        });
        assert!(reader.is_over());
    }
}

fn a_stream_reads_what_a_command_sends(setup: &Setup) {
    let f = setup.open();
    for command in ["count_to", "count_to_async"] {
        let (count, ballast) = (3000, 500);
        let (call, mut reader) = numbers(&f.client, command, count, ballast);
        let read = async {
            let mut next = 0;
            while let Some(number) = reader.next().await {
                assert_eq!(number.expect("a number").0, next);
                next += 1;
            }
            next
        };
        let (answer, read) = block_on(zip(call.into_future(), read));
        assert_eq!((answer.expect("answered").as_str(), read), ("ok", count));
    }
}

fn send_numbers(sender: &Channel<Number>, count: u64, ballast: usize) -> Result<(), SendError> {
    (0..count).try_for_each(|number| sender.send(&(number, "x".repeat(ballast))))
}

fn a_command_reads_what_its_caller_sends(setup: &Setup) {
    let f = setup.open();
    for command in ["count_up", "count_up_async"] {
        let (count, ballast) = (3000, 500);
        let (arg, sender) = f.client.channel_to::<Number>();
        let call = f.client.invoke::<Counted, _>(command, json!({ "numbers": arg }));
        let counted = thread::scope(|scope| {
            scope.spawn(|| send_numbers(&{ sender }, count, ballast).expect("sent"));
            call.timeout(PATIENCE).wait().expect("answered")
        });
        assert_eq!(counted, (count, None), "{command}");

        let (arg, sender) = f.client.channel_to::<Number>();
        let call = f.client.invoke::<Counted, _>(command, json!({ "numbers": arg }));
        let send = async move {
            for number in 0..count {
                sender.send_async(&(number, "x".repeat(ballast))).await.expect("sent");
            }
        };
        let (counted, ()) = block_on(zip(call.timeout(PATIENCE).into_future(), send));
        assert_eq!(counted.expect("answered"), (count, None), "{command}, awaited");
    }
}

fn one_call_may_stream_both_ways(setup: &Setup) {
    const COUNT: u64 = 2000;
    let f = setup.open();
    for command in ["pass_on", "pass_on_async"] {
        let (from, sender) = f.client.channel_to::<Value>();
        let (to, mut reader) = f.client.channel::<Value>();
        let value = |number: u64| json!({ "number": number, "text": "x".repeat(300) });
        let call = f.client.invoke::<u64, _>(command, json!({ "from": from, "to": to }));
        thread::scope(|scope| {
            let sender = sender;
            scope.spawn(move || {
                (0..COUNT).for_each(|number| sender.send(&value(number)).expect("sent"));
            });
            scope.spawn(|| {
                for (number, came) in (0..).zip(reader.messages()) {
                    assert_eq!(came.expect("a value"), value(number));
                }
            });
            assert_eq!(call.timeout(PATIENCE).wait().expect("answered"), COUNT);
        });
        assert!(reader.is_over());
    }
}

fn message_size_changes_nothing_but_time(setup: &Setup) {
    let f = setup.open();
    // Around Tauri's classes, and far beyond a window and a ring.
    let large = [3 << 20, 1 << 20, 300_000];
    let sizes = [&[0, 1, 1023, 1024, 8191, 8192, 70_000, 5][..], &large, &[2]].concat();
    let (to, mut reader) = f.client.channel::<String>();
    let call = f.client.invoke::<(), _>("send_sizes", json!({ "sizes": sizes, "to": to }));
    thread::scope(|scope| {
        scope.spawn(|| {
            for size in &sizes {
                assert_eq!(reader.recv().expect("there").expect("text"), "x".repeat(*size));
                let message = reader.recv_message().expect("there").expect("bytes");
                assert_eq!(message.body_kind(), BodyKind::Raw);
                assert!(message.into_bytes() == vec![7; *size]);
            }
            assert!(reader.recv().is_none());
        });
        call.timeout(PATIENCE).wait().expect("answered");
    });

    let (from, sender) = f.client.channel_to::<Raw>();
    let (to, mut reader) = f.client.channel::<Raw>();
    let call = f.client.invoke::<(), _>("pass_on_raw", json!({ "from": from, "to": to }));
    thread::scope(|scope| {
        let sender = sender;
        let sent = &sizes;
        scope.spawn(move || {
            for (size, seed) in sent.iter().zip(0..) {
                sender.send(&vec![seed; *size].into()).expect("sent");
            }
        });
        scope.spawn(|| {
            for ((size, seed), came) in sizes.iter().zip(0..).zip(reader.messages()) {
                assert!(came.expect("bytes").0 == vec![seed; *size]);
            }
            assert!(reader.recv().is_none());
        });
        call.timeout(PATIENCE).wait().expect("answered");
    });
}

fn sealed_bodies_go_over_channels(setup: &Setup) {
    let f = setup.open();
    let (to, mut reader) = f.client.channel::<Raw>();
    let args = json!({ "len": 300_000, "count": 8, "to": to });
    let call = f.client.invoke::<(), _>("send_sealed", args);
    thread::scope(|scope| {
        scope.spawn(|| {
            for (number, body) in (0..8).zip(reader.messages()) {
                assert!(body.expect("bytes").0 == vec![number; 300_000]);
            }
        });
        call.timeout(PATIENCE).wait().expect("answered");
    });
    let (from, sender) = f.client.channel_to::<SealedBlob>();
    let (to, mut reader) = f.client.channel::<Raw>();
    let call = f.client.invoke::<(), _>("pass_on_raw", json!({ "from": from, "to": to }));
    thread::scope(|scope| {
        let sender = sender;
        scope.spawn(move || {
            let blob = SealedBlob::from_bytes(&[9; 200_000]).expect("a blob");
            (0..5).for_each(|_| sender.send(&blob).expect("sent"));
        });
        scope.spawn(|| {
            let came =
                reader.messages().map(|body| assert!(body.expect("bytes").0 == vec![9; 200_000]));
            assert_eq!(came.count(), 5);
        });
        call.timeout(PATIENCE).wait().expect("answered");
    });
}

/// What messages with so much ballast may count before the sender has to wait.
fn most(ballast: usize) -> u64 {
    u64::try_from(Limits::default().channel_window / ballast + 1).expect("small")
}

fn slow_channel_reader_bounds_memory(setup: &Setup) {
    let f = setup.open();
    for ballast in [10, 1000, 50_000] {
        let (to, mut reader) = f.client.channel::<Number>();
        let args = json!({ "ballast": ballast, "to": to });
        let call = f.client.invoke::<u64, _>("fill_channel", args).timeout(PATIENCE);
        // Nobody reads yet, and the call is answered all the same.
        let sent = call.wait().expect("answered");
        assert!((1..=most(ballast)).contains(&sent), "{sent} messages of {ballast} bytes");
        assert_in_order(&mut reader, sent, ballast);
    }
    // Nor does one that waits hold up calls and other channels.
    let (slow, waits) = numbers(&f.client, "count_to", 5000, 1000);
    thread::scope(|scope| {
        let slow = scope.spawn(|| slow.wait());
        for command in ["count_to", "count_to_async"] {
            let (call, mut reader) = numbers(&f.client, command, 3000, 200);
            let reading = scope.spawn(move || assert_in_order(&mut reader, 3000, 200));
            assert_eq!(call.wait().expect("answered"), "ok");
            reading.join().expect("in order");
        }
        assert!(!slow.is_finished());
        assert_in_order(&mut { waits }, 5000, 1000);
        assert_eq!(slow.join().expect("no panic").expect("answered"), "ok");
    });
}

fn a_slow_command_bounds_what_its_caller_sends(setup: &Setup) {
    const BALLAST: usize = 2000;
    let f = setup.open();
    let (arg, sender) = f.client.channel_to::<Number>();
    let message = |number| (number, "x".repeat(BALLAST));
    assert!(matches!(sender.try_send(&message(0)), Err(SendError::Full)), "nobody reads yet");
    let call =
        f.client.invoke::<Counted, _>("count_up_late", json!({ "gate": "g", "numbers": arg }));
    thread::scope(|scope| {
        let call = scope.spawn(|| call.timeout(PATIENCE).wait());
        f.wait_entered("g", 1);
        // It has taken the channel by now, though it does not read.
        sender.send(&message(0)).expect("a window");
        let mut sent = 1;
        while sender.try_send(&message(sent)).is_ok() {
            sent += 1;
        }
        assert!((2..=most(BALLAST)).contains(&sent), "{sent} messages");
        f.open_gate("g");
        for number in sent..3 * sent {
            sender.send(&(number, String::new())).expect("it reads");
        }
        drop(sender.clone());
        drop(sender);
        assert_eq!(call.join().expect("no panic").expect("answered"), (3 * sent, None));
    });
}

fn failing_reader_keeps_the_order(setup: &Setup) {
    let f = setup.open();
    let (call, mut reader) = numbers(&f.client, "count_to", 300, 10);
    assert_eq!(call.wait().expect("answered"), "ok");
    let mut seen = Vec::new();
    while !reader.is_over() {
        // Whoever reads panics now and then; the next message is the next message.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            for number in reader.messages() {
                let (number, _) = number.expect("a number");
                seen.push(number);
                assert!(number % 7 != 3, "on purpose");
            }
        }));
    }
    assert_eq!(seen, (0..300).collect::<Vec<_>>());
    // A message that is not what the reader wants is passed over.
    let (to, mut reader) = f.client.channel::<u64>();
    let args = json!({ "sizes": [1, 2], "to": to });
    f.client.invoke::<(), _>("send_sizes", args).wait().expect("answered");
    let codes: Vec<_> =
        reader.messages().map(|number| number.expect_err("text").code().to_owned()).collect();
    assert_eq!(codes, ["decode-failed"; 4]);
}

fn many_channels_share_a_connection(setup: &Setup) {
    let f = setup.open();
    thread::scope(|scope| {
        for round in 0..4 {
            for command in ["count_to", "count_to_async"] {
                let (call, mut reader) = numbers(&f.client, command, 500, 100 * round);
                scope.spawn(move || assert_in_order(&mut reader, 500, 100 * round));
                scope.spawn(move || assert_eq!(call.wait().expect("answered"), "ok"));
            }
            let (arg, sender) = f.client.channel_to::<Number>();
            let client = &f.client;
            scope.spawn(move || send_numbers(&{ sender }, 500, 300).expect("sent"));
            scope.spawn(move || {
                let call = client.invoke::<Counted, _>("count_up", json!({ "numbers": arg }));
                assert_eq!(call.timeout(PATIENCE).wait().expect("answered"), (500, None));
            });
            scope.spawn(|| {
                for number in 0..200_i64 {
                    let sum = f.client.invoke::<i64, _>("add", json!({ "a": number, "b": 1 }));
                    assert_eq!(sum.timeout(PATIENCE).wait().expect("a sum"), number + 1);
                }
            });
        }
    });
    assert_eq!(f.client.ended(), None);
}

fn an_argument_may_stand_in_an_array(setup: &Setup) {
    let f = setup.open();
    let (arg, mut reader) = f.client.channel::<Number>();
    let call = f.client.invoke::<String, _>("count_to", (3, 4, &arg));
    assert_eq!(call.wait().expect("answered"), "ok");
    assert_in_order(&mut reader, 3, 4);
}

fn a_listener_may_wait_for_a_channel(setup: &Setup) {
    let f = setup.open();
    let (done, ended) = sync_channel(1);
    let client = f.client.clone();
    let listener = move |_: tramline::Event<'_>| {
        // The thread that reads the link is in here.
        let (to, reader) = client.channel::<u64>();
        let args = json!({ "gate": "open", "to": to });
        client.invoke::<(), _>("send_after_answer", args).wait().expect("answered");
        client.invoke::<(), _>("open", json!({ "gate": "open" })).wait().expect("opened");
        let came: Vec<_> = reader.into_iter().map(|number| number.expect("a number")).collect();
        done.send(came).expect("the test waits");
    };
    f.client.once("down", listener).wait().expect("allowed");
    f.client.emit("echo", &1).expect("room");
    let came = ended.recv_timeout(PATIENCE).expect("the listener goes on");
    assert_eq!(came, (0..10).collect::<Vec<_>>());
}

fn inline_commands_may_wait_for_channels(setup: &Setup) {
    let f = setup.open();
    let (call, mut reader) = numbers(&f.client, "count_to_inline", 2000, 500);
    thread::scope(|scope| {
        let reading = scope.spawn(|| assert_in_order(&mut reader, 2000, 500));
        assert_eq!(call.wait().expect("answered"), "ok");
        reading.join().expect("in order");
    });
    let (arg, sender) = f.client.channel_to::<Number>();
    let call = f.client.invoke::<Counted, _>("count_up_inline", json!({ "numbers": arg }));
    thread::scope(|scope| {
        scope.spawn(|| send_numbers(&{ sender }, 2000, 500).expect("sent"));
        assert_eq!(call.timeout(PATIENCE).wait().expect("answered"), (2000, None));
    });
}

fn commands_at_the_limit_of_calls_are_granted_more(setup: &Setup) {
    const CALLS: usize = 3;
    let mut few = limits();
    few.max_calls_in_flight = CALLS;
    let endpoint = setup.transport.endpoint();
    let mut server = commands::serve(Server::new(), few);
    if setup.transport == Transport::ShmShared {
        server = server.shared_threads(2);
    }
    let _server = server.start(&endpoint).expect("the name is free");
    let client = Client::connect(&endpoint).codec(setup.codec).wait().expect("it serves");
    thread::scope(|scope| {
        // More than may be at work, and each needs more than a window.
        for command in ["count_to", "count_to_async"].into_iter().cycle().take(3 * CALLS) {
            let (call, mut reader) = numbers(&client, command, 2000, 500);
            scope.spawn(move || assert_in_order(&mut reader, 2000, 500));
            scope.spawn(move || assert_eq!(call.wait().expect("answered"), "ok"));
        }
    });
}
