//! Channels under tokens of the client's: `$/progress` and what belongs to it.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use serde_json::{Value, json};
use tramline::{Capabilities, Channel, LinkError, Server, State, command, commands};
use tramline_tests::fixture::limits;
use tramline_tests::json_rpc::{Client, Served};
use tramline_tests::{PATIENCE, bounded};

use crate::error_of;

fn progress(token: &Value, value: &Value) -> Value {
    let params = json!({ "token": token, "value": value });
    json!({ "jsonrpc": "2.0", "method": "$/progress", "params": params })
}

fn end(token: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": "$/progressEnd", "params": { "token": token } })
}

/// Calls a command without looking for its answer.
fn start(client: &mut Client, method: &str, params: &Value) {
    let call = json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": params });
    client.line(call.to_string());
}

/// Reads what the client may send on a channel.
fn read_credit(client: &mut Client, token: &Value) -> i64 {
    let message = client.read();
    assert_eq!(message["method"], "$/progressCredit", "{message}");
    assert_eq!(message["params"]["token"], *token);
    message["params"]["bytes"].as_i64().expect("a number")
}

fn send(client: &mut Client, token: &Value, value: &Value) {
    client.notify("$/progress", &json!({ "token": token, "value": value }));
}

#[test]
fn a_channels_messages_are_progress_under_the_clients_token() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for command in ["count_to", "count_to_async", "count_to_inline"] {
            for token in [json!(7), json!(-7), json!("x"), json!(""), json!("__CHANNEL__:3")] {
                // The second time it is free again.
                for _ in 0..2 {
                    let args = json!({ "count": 3, "ballast": 1, "numbers": token });
                    start(&mut client, command, &args);
                    for number in 0..3 {
                        assert_eq!(client.read(), progress(&token, &json!([number, "x"])));
                    }
                    assert_eq!(client.read(), end(&token));
                    assert_eq!(client.read()["result"], "ok", "{command}");
                }
            }
        }
        // By position, too, and bytes as JSON-RPC has them.
        start(&mut client, "send_sizes", &json!([[2], 7]));
        assert_eq!(client.read(), progress(&json!(7), &json!("xx")));
        assert_eq!(client.read(), progress(&json!(7), &json!([7, 7])));
        assert_eq!(client.read(), end(&json!(7)));
        assert_eq!(client.read()["id"], "send_sizes");
        client.assert_lives();
    });
}

#[test]
fn a_channel_that_failed_says_so_in_its_end() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let token = json!("t");
        for (command, number, code) in [
            ("fail_channel", -32000, "channel-failed"),
            ("panic_channel", -32603, "handler-panicked"),
            ("panic_channel_async", -32603, "handler-panicked"),
        ] {
            start(&mut client, command, &json!([token]));
            assert_eq!(client.read(), progress(&token, &json!(1)));
            let ended = client.read();
            assert_eq!(
                (&ended["method"], &ended["params"]["token"]),
                (&json!("$/progressEnd"), &token)
            );
            assert_eq!(error_of(&ended["params"]), (number, code));
            if command == "fail_channel" {
                let value = &ended["params"]["error"]["data"]["value"];
                assert_eq!(value["kind"], "not-found", "{ended}");
            }
            assert_eq!(client.read()["id"], command);
        }
    });
}

#[test]
fn a_client_that_reads_no_more_closes_the_channel() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for command in ["send_until_closed", "send_until_closed_async"] {
            start(&mut client, command, &json!({ "gate": command, "to": 1 }));
            assert_eq!(client.read(), progress(&json!(1), &json!(0)));
            client.notify("$/progressEnd", &json!({ "token": 1 }));
            let answer = loop {
                let message = client.read();
                if message.get("method").is_none() {
                    break message;
                }
                assert_eq!(message["method"], "$/progress", "no end of what it ended itself");
            };
            assert_eq!(answer["result"], "channel-closed");
        }
        start(&mut client, "wait_until_closed", &json!({ "gate": "quiet", "to": 1 }));
        server.wait_entered("quiet", 1);
        client.notify("$/progressEnd", &json!({ "token": 1 }));
        assert_eq!(client.read()["id"], "wait_until_closed");
        client.assert_lives();
    });
}

#[test]
fn a_command_reads_what_its_client_sends_within_its_credit() {
    const COUNT: u64 = 3000;
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for command in ["count_up", "count_up_async"] {
            let token = json!(command);
            start(&mut client, command, &json!({ "numbers": token }));
            let (mut credit, mut granted) = (0, 0);
            for number in 0..COUNT {
                while credit <= 0 {
                    credit += read_credit(&mut client, &token);
                    granted += 1;
                }
                let value = json!([number, "x".repeat(500)]);
                send(&mut client, &token, &value);
                credit -= i64::try_from(value.to_string().len() + 128).expect("small");
            }
            assert!(granted > 1, "more than a window was sent");
            client.notify("$/progressEnd", &json!({ "token": token }));
            let answer = loop {
                let message = client.read();
                if message.get("method").is_none() {
                    break message;
                }
                assert_eq!(message["method"], "$/progressCredit");
            };
            assert_eq!(answer["result"], json!([COUNT, null]));
        }
    });
}

#[test]
fn one_call_may_stream_both_ways() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for command in ["pass_on", "pass_on_async"] {
            start(&mut client, command, &json!({ "from": "up", "to": "down" }));
            read_credit(&mut client, &json!("up"));
            for value in [json!(null), json!({ "a": [1.5] }), json!("ö")] {
                send(&mut client, &json!("up"), &value);
                assert_eq!(client.read(), progress(&json!("down"), &value));
            }
            client.notify("$/progressEnd", &json!({ "token": "up" }));
            assert_eq!(client.read(), end(&json!("down")));
            assert_eq!(client.read()["result"], 3);
        }
    });
}

#[test]
fn a_command_learns_how_its_clients_channel_ended() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        start(&mut client, "count_up", &json!([1]));
        read_credit(&mut client, &json!(1));
        send(&mut client, &json!(1), &json!([0, ""]));
        client.notify("$/progressEnd", &json!({ "token": 1, "error": { "why": "disk" } }));
        assert_eq!(client.read()["result"], json!([1, "channel-failed"]));
        // And the client, that its command reads no more.
        start(&mut client, "read_some", &json!({ "count": 1, "from": 1 }));
        read_credit(&mut client, &json!(1));
        send(&mut client, &json!(1), &json!("x"));
        assert_eq!(client.read(), end(&json!(1)));
        assert_eq!(client.read()["result"], 1);
        // What was under way then is ignored.
        send(&mut client, &json!(1), &json!("x"));
        client.assert_lives();
        // Nothing comes any more from a client that has ended its input.
        start(&mut client, "count_up", &json!([1]));
        read_credit(&mut client, &json!(1));
        send(&mut client, &json!(1), &json!([0, ""]));
        start(&mut client, "count_up_late", &json!(["gate", 2]));
        client.end_input();
        server.open_gate("gate");
        let mut answers = [Value::Null, Value::Null];
        while answers.contains(&Value::Null) {
            let message = client.read();
            match message["id"].as_str() {
                Some("count_up") => answers[0] = message["result"].clone(),
                Some(_) => answers[1] = message["result"].clone(),
                None => assert_ne!(message["method"], "$/progress"),
            }
        }
        assert_eq!(answers, [json!([1, "link-closed"]), json!([0, "link-closed"])]);
    });
}

#[test]
fn channels_of_a_client_that_is_gone_have_ended() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        start(&mut client, "wait_until_closed", &json!({ "gate": "down", "to": 1 }));
        start(&mut client, "read_until_over", &json!({ "gate": "up", "from": 2 }));
        server.wait_entered("down", 1);
        server.wait_entered("up", 1);
        // What it leaves unread would be an end of its own kind.
        read_credit(&mut client, &json!(2));
        drop(client);
        // What ends first is its input.
        server.wait_entered("up link-closed", 1);
        server.wait_entered("down peer-died", 1);
    });
}

#[test]
fn a_cancelled_command_may_have_a_last_word_for_its_client() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for command in ["tell_cancelled", "tell_cancelled_async"] {
            start(&mut client, command, &json!({ "gate": command, "to": "last" }));
            server.wait_entered(command, 1);
            client.notify("$/cancelRequest", &json!({ "id": command }));
            let mut said = [client.read(), client.read(), client.read()];
            // The answer is the reader's thread, the word is the command's.
            let at = said.iter().position(|message| message.get("id").is_some());
            said[..=at.expect("an answer")].rotate_right(1);
            let [answer, word, ended] = said;
            assert_eq!(error_of(&answer), (-32800, "request-cancelled"));
            assert_eq!(word, progress(&json!("last"), &json!(true)));
            assert_eq!(ended, end(&json!("last")));
        }
    });
}

#[test]
fn an_argument_that_cannot_be_a_token_is_refused() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        start(&mut client, "wait_until_closed", &json!({ "gate": "held", "to": "in use" }));
        server.wait_entered("held", 1);
        for (token, words) in [
            (json!(null), "invalid type: null, expected a string"),
            (json!(1.5), "invalid type: floating point `1.5`, expected a string"),
            (json!(true), "invalid type: boolean `true`, expected a string"),
            (json!([1]), "invalid type: sequence, expected a string"),
            (json!({}), "invalid type: map, expected a string"),
            (json!(u64::MAX), "expected a string"),
            (json!("in use"), "the token \"in use\" is in use"),
            (json!("x".repeat(5000)), "the token is 5002 bytes, the limit is"),
        ] {
            let args = json!({ "gate": "never", "to": token });
            let answer = client.call("wait_until_closed", &args);
            assert_eq!(error_of(&answer), (-32602, "bad-arguments"));
            let text = answer["error"]["data"]["text"].as_str().expect("words");
            assert!(text.contains(words), "{text}");
        }
        // Two arguments of one call.
        start(&mut client, "pass_on", &json!({ "from": "one", "to": "one" }));
        let messages = [client.read(), client.read(), client.read()];
        let answer = messages.iter().find(|message| message.get("id").is_some());
        assert_eq!(error_of(answer.expect("an answer")), (-32602, "bad-arguments"));
        client.assert_lives();
    });
}

#[test]
fn an_inline_command_does_not_wait_for_the_thread_it_holds_up() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let answer = client.call("count_up_inline", &json!([1]));
        assert_eq!(error_of(&answer), (-32602, "bad-arguments"));
        client.assert_lives();
    });
}

#[test]
fn messages_of_no_channel_are_ignored() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        start(&mut client, "wait_until_closed", &json!({ "gate": "held", "to": 7 }));
        server.wait_entered("held", 1);
        let mut other = server.client();
        for token in [json!(1), json!("7"), json!(7.0), json!(null), json!(u64::MAX), json!([7])] {
            send(&mut client, &token, &json!("x"));
            client.notify("$/progressEnd", &json!({ "token": token }));
            client.notify("$/progressCredit", &json!({ "token": token, "bytes": -1 }));
            client.assert_lives();
        }
        // Tokens are each client's own.
        other.notify("$/progressEnd", &json!({ "token": 7 }));
        send(&mut other, &json!(7), &json!("x"));
        other.assert_lives();
        client.notify("$/progressCredit", &json!({ "token": 7, "bytes": u64::MAX }));
        client.assert_lives();
    });
}

/// What ends the connection with a fault, after `start` has begun a command with channel 7.
fn assert_fault(start: (&str, &Value), say: impl Fn(&mut Client) + Send + 'static) {
    let (command, args) = (start.0.to_owned(), start.1.clone());
    bounded(move || {
        let server = Served::usual();
        let mut client = server.client();
        self::start(&mut client, &command, &args);
        server.wait_entered("held", 1);
        say(&mut client);
        let mut last = Value::Null;
        while let Some((_, text)) = client.message() {
            last = serde_json::from_str(&text).expect("JSON");
        }
        assert_eq!(error_of(&last), (-32600, "peer-fault"));
        // The clients that waited for the gate have ended, too.
        let faulted = (0..2).any(|_| matches!(server.ended(), LinkError::Fault(_)));
        assert!(faulted);
        server.open_gate("held");
    });
}

#[test]
fn more_than_was_granted_is_a_fault() {
    let args = json!({ "gate": "held", "numbers": 7 });
    for len in [0, 10_000] {
        assert_fault(("count_up_late", &args), move |client| {
            let text = progress(&json!(7), &json!("x".repeat(len))).to_string() + "\n";
            while client.try_send(&text) {}
        });
    }
}

#[test]
fn a_message_that_goes_the_wrong_way_is_a_fault() {
    let args = json!({ "gate": "held", "to": 7 });
    assert_fault(("wait_until_closed", &args), |client| send(client, &json!(7), &json!(1)));
}

#[test]
fn channels_of_one_client_are_bounded() {
    bounded(|| {
        let mut few = limits();
        few.max_channels = 2;
        let server = Served::with_limits(few);
        let mut client = server.client();
        for token in 0..2 {
            start(&mut client, "wait_until_closed", &json!({ "gate": "held", "to": token }));
        }
        server.wait_entered("held", 2);
        let answer = client.call("count_to", &json!([1, 1, 2]));
        assert_eq!(error_of(&answer), (-32602, "bad-arguments"));
        assert_eq!(answer["error"]["data"]["text"], "2 channels are the limit");
        client.notify("$/progressEnd", &json!({ "token": 0 }));
        assert_eq!(client.read()["id"], "wait_until_closed");
        assert_eq!(client.call("count_to", &json!([0, 1, 2])), end(&json!(2)));
        assert_eq!(client.read()["result"], "ok");
    });
}

#[test]
fn at_the_limit_of_calls_channels_are_served_and_more_calls_refused() {
    bounded(|| {
        let mut one = limits();
        one.max_calls_in_flight = 1;
        let server = Served::with_limits(one);
        let mut client = server.client();
        start(&mut client, "count_up", &json!([1]));
        read_credit(&mut client, &json!(1));
        // What the command waits for stands behind it.
        client.notify("count_up", &json!([2]));
        let refused = client.call("echo", &json!([1]));
        assert_eq!(error_of(&refused), (-32010, "too-many-calls"));
        send(&mut client, &json!(1), &json!([0, ""]));
        client.notify("$/progressEnd", &json!({ "token": 1 }));
        assert_eq!(client.read()["result"], json!([1, null]));
        client.assert_lives();
    });
}

/// Sends until there is no room, and tells the test how much has gone.
#[command]
fn fill(to: Channel<(u64, String)>, told: State<'_, Mutex<Sender<u64>>>) -> String {
    let message = |number| (number, "x".repeat(1000));
    let mut sent = 0;
    let code = loop {
        match to.try_send(&message(sent)) {
            Ok(()) => sent += 1,
            Err(e) => break e.code().to_owned(),
        }
    };
    let _ = told.lock().expect("no panic").send(sent);
    code
}

#[test]
fn progress_for_a_client_that_does_not_read_is_bounded_and_none_is_lost() {
    bounded(|| {
        let (tell, told) = channel::<u64>();
        let mut patient = limits();
        patient.send_timeout_ms = 60_000;
        let server = Server::new().commands(commands![fill]).manage(Mutex::new(tell));
        let server = Served::new(server.allow(Capabilities::all()).limits(patient));
        let mut client = server.client();
        start(&mut client, "fill", &json!([1]));
        let sent = told.recv_timeout(PATIENCE).expect("it is refused");
        for number in 0..sent {
            assert_eq!(client.read()["params"]["value"][0], number);
        }
        assert_eq!(client.read(), end(&json!(1)));
        assert_eq!(client.read()["result"], "link-full");
    });
}
