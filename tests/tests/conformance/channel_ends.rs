//! Every channel ends, on both sides, and says how.

use std::fmt::Debug;
use std::future::IntoFuture;
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use serde_json::{Value, json};
use tramline::{
    CancelToken, ChannelReader, Client, FromAnswer, Invoke, InvokeError, LinkError, RecvError,
    SendError,
};
use tramline_tests::commands::Failure;
use tramline_tests::fixture::limits;
use tramline_tests::{PATIENCE, Setup, conformance};

use crate::channels::numbers;

conformance! {
    channel_end_follows_the_last_message,
    an_error_end_follows_the_last_message,
    send_to_a_gone_reader_is_an_error,
    a_caller_whose_command_stops_reading_is_told,
    a_channel_that_no_command_takes_ends,
    a_channel_whose_call_is_not_sent_ends,
    an_end_from_before_the_call_reaches_the_command,
    an_end_right_behind_the_call_does_not_overtake_it,
    a_channel_may_outlive_its_call,
    channel_commands_learn_that_their_caller_gave_up,
    the_end_of_the_client_ends_its_channels_on_both_sides,
    a_stopped_server_ends_channels_with_closed,
    channels_of_a_link_that_is_over_have_ended,
}

fn ended<T: Debug + FromAnswer>(reader: &mut ChannelReader<T>) -> String {
    let last = reader.recv().expect("not the ordinary end").expect_err("no message");
    assert!(reader.recv().is_none() && reader.is_over());
    last.code().to_owned()
}

fn channel_end_follows_the_last_message(setup: &Setup) {
    let f = setup.open();
    for command in ["count_to", "count_to_async", "count_to_inline"] {
        for count in [0, 1, 100] {
            let (call, mut reader) = numbers(&f.client, command, count, 10);
            assert_eq!(call.wait().expect("answered"), "ok");
            // All of it came before the answer: nothing has to be waited for.
            for number in 0..count {
                assert_eq!(reader.try_recv().expect("there").expect("a number").0, number);
            }
            assert!(reader.try_recv().is_none() && reader.is_over(), "{command}");
        }
    }
}

fn an_error_end_follows_the_last_message(setup: &Setup) {
    let f = setup.open();
    let (to, mut reader) = f.client.channel::<u64>();
    f.client.invoke::<(), _>("fail_channel", json!({ "to": to })).wait().expect("answered");
    assert_eq!(reader.recv().expect("there").expect("a number"), 1);
    let Some(Err(RecvError::Failed(failure))) = reader.recv() else { panic!("no error") };
    assert_eq!(failure.code(), "channel-failed");
    let expected = Failure { kind: "not-found".into(), path: None, tried: vec![1, 2] };
    assert_eq!(failure.value::<Failure>().expect("its shape is kept"), expected);
    assert!(reader.recv().is_none());
    for command in ["panic_channel", "panic_channel_async"] {
        let (to, mut reader) = f.client.channel::<u64>();
        let answer = f.client.invoke::<(), _>(command, json!({ "to": to })).wait();
        assert_eq!(answer.expect_err("it panics").code(), "handler-panicked");
        assert_eq!(reader.recv().expect("there").expect("a number"), 1);
        assert_eq!(ended(&mut reader), "handler-panicked", "{command}");
    }
    // The other way round.
    let (arg, sender) = f.client.channel_to::<(u64, String)>();
    let call = f.client.invoke::<(u64, Option<String>), _>("count_up", json!({ "numbers": arg }));
    thread::scope(|scope| {
        let call = scope.spawn(|| call.timeout(PATIENCE).wait());
        sender.send(&(0, String::new())).expect("it reads");
        sender.fail("enough").expect("open");
        assert!(sender.is_closed());
        let counted = call.join().expect("no panic").expect("answered");
        assert_eq!(counted, (1, Some("channel-failed".into())));
    });
}

fn send_to_a_gone_reader_is_an_error(setup: &Setup) {
    let f = setup.open();
    for command in ["send_until_closed", "send_until_closed_async"] {
        for read in [0, 5] {
            // A reader that is gone before the first message, and one that leaves a sender waiting.
            let gate = format!("{command} {read}");
            let (to, mut reader) = f.client.channel::<u64>();
            let call = f.client.invoke::<String, _>(command, json!({ "gate": gate, "to": to }));
            thread::scope(|scope| {
                let call = scope.spawn(|| call.timeout(PATIENCE).wait());
                f.wait_entered(&gate, 1);
                assert_eq!(reader.messages().take(read).count(), read);
                drop(reader);
                f.wait_entered(&format!("{gate} channel-closed"), 1);
                assert_eq!(call.join().expect("no panic").expect("answered"), "channel-closed");
            });
        }
    }
    let (to, reader) = f.client.channel::<u64>();
    let args = json!({ "gate": "quiet", "to": to });
    let call = f.client.invoke::<(), _>("wait_until_closed", args);
    thread::scope(|scope| {
        let call = scope.spawn(|| call.timeout(PATIENCE).wait());
        f.wait_entered("quiet", 1);
        drop(reader);
        f.wait_entered("quiet channel-closed", 1);
        call.join().expect("no panic").expect("answered");
    });
    assert_eq!(f.client.ended(), None);
}

fn a_caller_whose_command_stops_reading_is_told(setup: &Setup) {
    let f = setup.open();
    let (arg, sender) = f.client.channel_to::<Value>();
    let call = f.client.invoke::<usize, _>("read_some", json!({ "count": 3, "from": arg }));
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            (0..).find_map(|number| sender.send(&json!([number, "x".repeat(1000)])).err())
        });
        assert_eq!(call.timeout(PATIENCE).wait().expect("answered"), 3);
        let error = sending.join().expect("no panic").expect("it ends");
        assert!(matches!(error, SendError::ChannelClosed), "{error:?}");
    });
    let (arg, sender) = f.client.channel_to::<Value>();
    let call = f.client.invoke::<(), _>("panic_reader", json!({ "from": arg }));
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            block_on(async {
                loop {
                    if let Err(e) = sender.send_async(&json!(1)).await {
                        return e;
                    }
                }
            })
        });
        call.timeout(PATIENCE).wait().expect_err("it panics");
        assert_eq!(sending.join().expect("no panic").code(), "channel-closed");
    });
}

/// Calls that do not come to take the channel `to`, with the code of what they end with.
const NOT_TAKEN: [(&str, &str); 5] = [
    ("no_such_command", "unknown-command"),
    ("denied_channel", "capability-denied"),
    // Another argument is missing.
    ("send_sizes", "bad-arguments"),
    // It wants one for the other direction.
    ("read_until_over", "bad-arguments"),
    ("clients", "ok"),
];

fn a_channel_that_no_command_takes_ends(setup: &Setup) {
    let f = setup.open();
    for (command, expected) in NOT_TAKEN {
        for awaited in [false, true] {
            let (to, mut reader) = f.client.channel::<u64>();
            // Somebody waits for it already.
            let reading = thread::spawn(move || ended(&mut reader));
            let args = json!({ "gate": "never", "from": to, "to": to });
            let call = f.client.invoke::<usize, _>(command, args).timeout(PATIENCE);
            let answer = if awaited { block_on(call.into_future()) } else { call.wait() };
            let code = answer.map_or_else(|e| e.code().to_owned(), |_| "ok".into());
            assert_eq!(code, expected, "{command}");
            assert_eq!(reading.join().expect("it ends"), "channel-not-taken", "{command}");
        }
    }
    let (from, sender) = f.client.channel_to::<u64>();
    let sending = thread::spawn(move || sender.send(&1).expect_err("nobody reads").code());
    let call = f.client.invoke::<usize, _>("clients", json!({ "from": from }));
    call.wait().expect("answered");
    assert_eq!(sending.join().expect("it ends"), "channel-closed");
    assert_eq!(f.client.ended(), None);
}

fn a_channel_whose_call_is_not_sent_ends(setup: &Setup) {
    let f = setup.open();
    let large = "x".repeat(limits().max_message_len);
    let cancelled = CancelToken::new();
    cancelled.cancel();
    for awaited in [false, true] {
        let wait = |call: Invoke<'_, Value, Value>| {
            if awaited { block_on(call.into_future()) } else { call.wait() }
        };
        let (to, mut reader) = f.client.channel::<u64>();
        let sent = wait(f.client.invoke("echo", json!({ "value": large, "to": to })));
        assert!(matches!(sent, Err(InvokeError::Send(SendError::TooLarge { .. }))), "{sent:?}");
        assert_eq!(ended(&mut reader), "channel-not-taken");

        let (to, mut reader) = f.client.channel::<u64>();
        let call = f.client.invoke("echo", json!({ "value": 1, "to": to }));
        let sent = wait(call.cancel_with(&cancelled));
        assert!(matches!(sent, Err(InvokeError::Cancelled(_))), "{sent:?}");
        assert_eq!(ended(&mut reader), "channel-not-taken");

        let args: Vec<_> = (0..17).map(|_| f.client.channel::<u64>()).collect();
        let (args, readers): (Vec<_>, Vec<_>) = args.into_iter().unzip();
        let sent = wait(f.client.invoke("echo", json!(args)));
        assert!(matches!(sent, Err(InvokeError::Send(SendError::Config(_)))), "{sent:?}");
        for mut reader in readers {
            assert_eq!(ended(&mut reader), "channel-not-taken");
        }
    }
    let (unused, mut reader) = f.client.channel::<u64>();
    drop(unused);
    assert_eq!(ended(&mut reader), "channel-not-taken");
}

fn an_end_from_before_the_call_reaches_the_command(setup: &Setup) {
    let f = setup.open();
    for (command, expected) in [
        ("read_until_over", "ok"),
        ("read_until_over_async", "ok"),
        ("send_until_closed", "channel-closed"),
        ("send_until_closed_async", "channel-closed"),
    ] {
        let (from, sender) = f.client.channel_to::<u64>();
        let (to, reader) = f.client.channel::<u64>();
        let args = json!({ "gate": command, "from": from, "to": to });
        drop((sender, reader));
        let call = f.client.invoke::<Value, _>(command, args);
        call.timeout(PATIENCE).wait().expect("answered");
        f.wait_entered(&format!("{command} {expected}"), 1);
    }
}

fn an_end_right_behind_the_call_does_not_overtake_it(setup: &Setup) {
    let f = setup.open();
    let other = f.second();
    let tell = |command: &str, args: Value| {
        other.invoke::<(), _>(command, args).timeout(PATIENCE).wait().expect("answered");
    };
    // The call waits for its command behind a slow listener, and the link is read all the same.
    f.client.emit("blocking", "gate").expect("room");
    tell("wait_entered", json!({ "gate": "gate", "count": 1 }));
    let (from, sender) = f.client.channel_to::<u64>();
    let args = json!({ "gate": "behind", "from": from });
    let mut call = f.client.invoke::<(), _>("read_until_over", args).into_future();
    assert!(block_on(poll_once(&mut call)).is_none());
    drop(sender);
    tell("open", json!({ "gate": "gate" }));
    block_on(call).expect("answered");
    tell("wait_entered", json!({ "gate": "behind ok", "count": 1 }));
}

fn a_channel_may_outlive_its_call(setup: &Setup) {
    let f = setup.open();
    let (to, mut reader) = f.client.channel::<u64>();
    let args = json!({ "gate": "later", "to": to });
    f.client.invoke::<(), _>("send_after_answer", args).wait().expect("answered");
    assert!(reader.try_recv().is_none() && !reader.is_over());
    f.open_gate("later");
    let came: Vec<_> = reader.messages().map(|number| number.expect("a number")).collect();
    assert_eq!(came, (0..10).collect::<Vec<_>>());
}

const TELL_CANCELLED: [&str; 2] = ["tell_cancelled", "tell_cancelled_async"];

/// What a caller may do to a call that is under way.
#[derive(Debug, Clone, Copy)]
enum GiveUp {
    Cancel,
    Drop,
    Deadline,
}

fn channel_commands_learn_that_their_caller_gave_up(setup: &Setup) {
    let f = setup.open();
    for command in TELL_CANCELLED {
        for how in [GiveUp::Cancel, GiveUp::Drop, GiveUp::Deadline] {
            let gate = format!("{command} {how:?}");
            let (to, mut reader) = f.client.channel::<bool>();
            let token = CancelToken::new();
            let args = json!({ "gate": gate, "to": to });
            let call = f.client.invoke::<(), _>(command, args).cancel_with(&token);
            let call = match how {
                GiveUp::Deadline => call.timeout(Duration::from_millis(20)),
                GiveUp::Cancel | GiveUp::Drop => call,
            };
            let mut pending = call.into_future();
            let ended = block_on(poll_once(&mut pending));
            assert!(ended.is_none() || matches!(how, GiveUp::Deadline), "{ended:?}");
            f.wait_entered(&gate, 1);
            match (how, ended) {
                (GiveUp::Drop, _) => drop(pending),
                (GiveUp::Cancel, _) => {
                    token.cancel();
                    let ended = block_on(pending);
                    assert!(matches!(ended, Err(InvokeError::Cancelled(_))), "{ended:?}");
                }
                (GiveUp::Deadline, ended) => {
                    let ended = ended.unwrap_or_else(|| block_on(pending));
                    assert!(matches!(ended, Err(InvokeError::Deadline(_))), "{ended:?}");
                }
            }
            // The channel is as open as before, until the command drops it.
            assert!(reader.recv().expect("there").expect("said"), "{gate}");
            assert!(reader.recv().is_none());
        }
    }
}

fn start<'a>(client: &'a Client, command: &'a str, gate: &str, args: &Value) -> impl FnOnce() + 'a {
    let mut args = args.clone();
    args["gate"] = json!(gate);
    let mut pending = client.invoke::<Value, _>(command, args).into_future();
    assert!(block_on(poll_once(&mut pending)).is_none());
    || {
        let ended = block_on(pending);
        assert!(matches!(ended, Err(InvokeError::OutcomeUnknown(_))), "{ended:?}");
    }
}

fn the_end_of_the_client_ends_its_channels_on_both_sides(setup: &Setup) {
    let f = setup.open();
    for (sends, reads) in [
        ("send_until_closed", "read_until_over"),
        ("send_until_closed_async", "read_until_over_async"),
    ] {
        let second = f.second();
        let (to, mut reader) = second.channel::<u64>();
        let (from, sender) = second.channel_to::<u64>();
        let (down, up) = (format!("{sends} down"), format!("{reads} up"));
        let calls = [
            start(&second, sends, &down, &json!({ "to": to })),
            start(&second, reads, &up, &json!({ "from": from })),
        ];
        f.wait_entered(&down, 1);
        f.wait_entered(&up, 1);
        // Both have something under way.
        assert_eq!(reader.recv().expect("there").expect("a number"), 0);
        sender.send(&1).expect("it reads");
        second.close();
        calls.into_iter().for_each(|ended| ended());
        f.wait_entered(&format!("{down} link-closed"), 1);
        f.wait_entered(&format!("{up} link-closed"), 1);
        let last = reader.messages().last().expect("an error").expect_err("the last word");
        assert!(matches!(last, RecvError::Link(LinkError::Closed)), "{last:?}");
        let sent = sender.send(&2);
        assert!(matches!(sent, Err(SendError::Link(LinkError::Closed))), "{sent:?}");
    }
}

fn a_stopped_server_ends_channels_with_closed(setup: &Setup) {
    let f = setup.open();
    let (to, mut reader) = f.client.channel::<bool>();
    let (from, sender) = f.client.channel_to::<u64>();
    let calls = [
        start(&f.client, "tell_cancelled", "down", &json!({ "to": to })),
        start(&f.client, "read_until_over", "up", &json!({ "from": from })),
    ];
    f.wait_entered("down", 1);
    f.wait_entered("up", 1);
    thread::scope(|scope| {
        let reading = scope.spawn(|| reader.recv().expect("an error").expect_err("closed"));
        let sending = scope.spawn(|| (0..).find_map(|number| sender.send(&number).err()));
        let stopped = f.second().invoke::<(), _>("stop", ()).wait();
        assert!(matches!(stopped, Ok(()) | Err(InvokeError::OutcomeUnknown(_))), "{stopped:?}");
        assert_eq!(reading.join().expect("no panic").code(), "link-closed");
        let sent = sending.join().expect("no panic").expect("an error");
        assert_eq!(sent.code(), "link-closed");
    });
    calls.into_iter().for_each(|ended| ended());
}

fn channels_of_a_link_that_is_over_have_ended(setup: &Setup) {
    let f = setup.open();
    f.client.close();
    let (_to, mut reader) = f.client.channel::<u64>();
    assert_eq!(ended(&mut reader), "link-closed");
    let (_from, sender) = f.client.channel_to::<u64>();
    assert!(sender.is_closed());
    assert_eq!(sender.send(&1).expect_err("closed").code(), "link-closed");
    assert_eq!(block_on(sender.send_async(&1)).expect_err("closed").code(), "link-closed");
}
