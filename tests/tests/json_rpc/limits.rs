//! What one client may cost.

use serde_json::json;
use tramline::compat_json::jsonrpc::Framing;
use tramline::{Limits, LinkError, SendError};
use tramline_tests::json_rpc::{Client, Served};
use tramline_tests::{bounded, eventually};

use crate::error_of;

/// Little room and little patience.
fn narrow() -> Limits {
    let mut limits = Limits::default();
    (limits.ring_capacity, limits.send_timeout_ms) = (64 << 10, 50);
    limits
}

#[test]
fn a_message_beyond_the_limit_is_passed_over_and_the_link_lives() {
    bounded(|| {
        let mut limits = Limits::default();
        limits.max_message_len = 4096;
        let server = Served::with_limits(limits);
        let mut client = server.client();
        for framing in [Framing::Lines, Framing::Headers] {
            let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "x".repeat(100_000));
            client.say(framing, &long);
            let (found, text) = client.message().expect("an answer");
            let answer = serde_json::from_str(&text).expect("JSON");
            assert_eq!((found, error_of(&answer)), (framing, (-32600, "message-too-large")));
            client.assert_lives();
        }
        let exact = r#"{"jsonrpc":"2.0","id":1,"method":"echo_text","params":[""]}"#;
        let exact = exact.replace("\"\"", &format!("\"{}\"", "x".repeat(4096 - exact.len())));
        assert_eq!(exact.len(), 4096);
        assert!(client.ask(&exact)["result"].is_string());
        // Announced, not sent: nothing is reserved for it.
        client.send("Content-Length: 9999999999999999999\r\n\r\n");
        assert_eq!(error_of(&client.read()), (-32600, "message-too-large"));
    });
}

#[test]
fn a_method_longer_than_any_name_is_refused_in_few_words() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let answer = client.call(&"x".repeat(100_000), &json!([]));
        assert_eq!(error_of(&answer), (-32010, "capability-denied"));
        assert!(answer.to_string().len() < 500);
        client.notify(&"x".repeat(100_000), &json!([]));
        client.assert_lives();
    });
}

#[test]
fn events_for_a_client_that_does_not_read_are_refused_and_none_is_lost() {
    bounded(|| {
        let server = Served::with_limits(narrow());
        let mut client = server.client();
        client.assert_lives();
        let peer = server.running.clients().list().remove(0);
        let ballast = "x".repeat(1000);
        let mut sent = 0_u64;
        let refused = loop {
            match peer.emit("down", &(sent, &ballast)) {
                Ok(()) => sent += 1,
                Err(e) => break e,
            }
            assert!(sent < 10_000, "nothing bounds it");
        };
        assert!(matches!(refused, SendError::Full), "{refused}");
        assert!(matches!(peer.try_emit("down", &ballast), Err(SendError::Full)));
        for number in 0..sent {
            assert_eq!(client.read()["params"][0][0], number);
        }
        client.assert_lives();
    });
}

#[test]
fn a_client_that_reads_no_answers_is_cut_off() {
    bounded(|| {
        for method in ["raw_result", "echo_raw"] {
            let server = Served::with_limits(narrow());
            let mut client = server.client();
            let params =
                if method == "echo_raw" { json!(vec![200; 20_000]) } else { json!([20_000]) };
            let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
            let text = Framing::Lines.frame(call.to_string().into_bytes());
            // The server stops reading, so the client may fail to send.
            while client.try_send(&text) {}
            let ended = server.ended();
            assert!(matches!(ended, LinkError::Stalled { stalled_ms: 50 }), "{ended}");
            server.client().assert_lives();
        }
    });
}

#[test]
fn answers_of_async_commands_to_a_client_that_does_not_read_end_with_it() {
    bounded(|| {
        let server = Served::with_limits(narrow());
        let mut client = server.client();
        let id = "x".repeat(20_000);
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "later", "params": [1] });
        let text = Framing::Lines.frame(call.to_string().into_bytes());
        while client.try_send(&text) {}
        let ended = server.ended();
        assert!(matches!(ended, LinkError::Stalled { .. }), "{ended}");
        server.client().assert_lives();
    });
}

#[test]
fn clients_that_do_not_read_hold_up_nobody_else_and_lose_nothing() {
    bounded(|| {
        // With the usual patience whoever waited for them would wait longer than this test.
        let mut limits = tramline_tests::fixture::limits();
        limits.ring_capacity = 64 << 10;
        let server = Served::with_limits(limits);
        let mut deaf: Vec<_> = (0..4).map(|_| server.client()).collect();
        let calls: String = (0..600)
            .map(|id| {
                let method = if id % 2 == 0 { "raw_result" } else { "hold" };
                let params = if id % 2 == 0 { json!([2000]) } else { json!(["deaf"]) };
                let call =
                    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
                format!("{call}\n")
            })
            .collect();
        server.open_gate("deaf");
        deaf.iter_mut().for_each(|client| client.send(&calls));
        for number in 0..100 {
            assert_eq!(server.client().call("echo", &json!([number]))["result"], number);
        }
        for mut client in deaf {
            let mut ids: Vec<_> = (0..600).map(|_| client.read()["id"].as_u64()).collect();
            ids.sort_unstable();
            assert_eq!(ids, (0..600).map(Some).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_large_answer_goes_to_a_client_that_reads_slowly() {
    bounded(|| {
        let mut limits = Limits::default();
        limits.ring_capacity = 64 << 10;
        let server = Served::with_limits(limits);
        let mut client = server.client();
        for _ in 0..3 {
            client.line(r#"{"jsonrpc":"2.0","id":1,"method":"raw_result","params":[1000000]}"#);
        }
        for _ in 0..3 {
            assert_eq!(client.read()["result"].as_array().map(Vec::len), Some(1_000_000));
        }
    });
}

#[test]
fn calls_in_flight_are_bounded_by_not_reading_on() {
    bounded(|| {
        let mut limits = Limits::default();
        limits.max_calls_in_flight = 2;
        let server = Served::with_limits(limits);
        let mut client = server.client();
        for id in 1..=2 {
            client.line(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"hold","params":["flight"]}}"#
            ));
        }
        client.line(r#"{"jsonrpc":"2.0","id":3,"method":"add","params":[1,2]}"#);
        server.wait_entered("flight", 2);
        server.open_gate("flight");
        // Not the quick one, although it needs no thread.
        assert_eq!(client.read()["result"], "flight");
        let mut left = [client.read()["id"].as_u64(), client.read()["id"].as_u64()];
        left.sort_unstable();
        assert_eq!(left[1], Some(3));
    });
}

#[test]
fn ids_count_among_the_bytes_in_flight() {
    bounded(|| {
        let mut limits = Limits::default();
        limits.max_queued_len = 4096;
        let server = Served::with_limits(limits);
        let mut client = server.client();
        let id = "x".repeat(5000);
        for method in ["hold", "hold_async"] {
            client.line(format!(
                r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":["{method}"]}}"#
            ));
            client.line(r#"{"jsonrpc":"2.0","id":3,"method":"add","params":[1,2]}"#);
            server.wait_entered(method, 1);
            server.open_gate(method);
            assert_eq!(client.read()["id"], id);
            assert_eq!(client.read()["id"], 3);
        }
    });
}

#[test]
fn half_a_message_holds_up_nobody_else() {
    bounded(|| {
        let server = Served::usual();
        let mut slow: Vec<Client> = (0..8).map(|_| server.client()).collect();
        let text = "Content-Length: 54\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\",\"params\":[1,2]}";
        for (number, client) in slow.iter_mut().enumerate() {
            client.send(&text[..text.len() * number / 8]);
        }
        server.client().assert_lives();
        for (number, client) in slow.iter_mut().enumerate() {
            client.send(&text[text.len() * number / 8..]);
            assert_eq!(client.read()["result"], 3);
        }
    });
}

#[test]
fn one_connection_too_many_is_told_so() {
    bounded(|| {
        let mut limits = Limits::default();
        limits.max_connections = 2;
        let server = Served::with_limits(limits);
        let (mut first, mut second) = (server.client(), server.client());
        first.assert_lives();
        second.assert_lives();
        let mut third = server.client();
        assert_eq!(error_of(&third.read()), (-32010, "too-many-peers"));
        assert!(third.message().is_none());
        drop(second);
        eventually("a place is free", || {
            let mut next = server.client();
            // One that is refused may be gone before it has spoken.
            next.try_send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\",\"params\":[1,2]}\n")
                && next.read().get("result").is_some()
        });
        first.assert_lives();
    });
}

#[test]
fn connections_of_one_process_are_bounded() {
    bounded(|| {
        let mut limits = Limits::default();
        limits.max_connections_per_process = 1;
        let server = Served::with_limits(limits);
        let mut first = server.client();
        first.assert_lives();
        assert_eq!(error_of(&server.client().read()), (-32010, "too-many-peers"));
        first.assert_lives();
    });
}
