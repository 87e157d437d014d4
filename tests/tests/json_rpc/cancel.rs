//! `$/cancelRequest`.

use serde_json::json;
use tramline_tests::bounded;
use tramline_tests::json_rpc::Served;

use crate::error_of;

#[test]
fn cancelled_request_still_gets_one_answer() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for (method, gate) in [("hold", "sync"), ("hold_async", "async")] {
            client.line(format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":["{gate}"]}}"#
            ));
            server.wait_entered(gate, 1);
            client.notify("$/cancelRequest", &json!({ "id": 7 }));
            let answer = client.read();
            assert_eq!(error_of(&answer), (-32800, "request-cancelled"));
            assert_eq!(answer["id"], 7);
            // The command ends, and its own answer is dropped.
            server.open_gate(gate);
            client.assert_lives();
        }
    });
}

#[test]
fn a_cancel_that_comes_too_late_or_for_nobody_is_ignored() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        client.line(r#"{"jsonrpc":"2.0","id":7,"method":"add","params":[1,2]}"#);
        assert_eq!(client.read()["result"], 3);
        client.notify("$/cancelRequest", &json!({ "id": 7 }));
        client.notify("$/cancelRequest", &json!({ "id": "nobody" }));
        client.assert_lives();
    });
}

#[test]
fn a_cancel_tells_ids_apart_by_their_type() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        client.line(r#"{"jsonrpc":"2.0","id":"7","method":"hold","params":["typed"]}"#);
        server.wait_entered("typed", 1);
        client.notify("$/cancelRequest", &json!({ "id": 7 }));
        client.assert_lives();
        server.open_gate("typed");
        assert_eq!(client.read(), json!({ "jsonrpc": "2.0", "result": "typed", "id": "7" }));
    });
}

#[test]
fn a_cancel_reaches_no_other_clients_call() {
    bounded(|| {
        let server = Served::usual();
        let (mut client, mut other) = (server.client(), server.client());
        client.line(r#"{"jsonrpc":"2.0","id":7,"method":"hold","params":["mine"]}"#);
        server.wait_entered("mine", 1);
        other.notify("$/cancelRequest", &json!({ "id": 7 }));
        other.assert_lives();
        server.open_gate("mine");
        assert_eq!(client.read()["result"], "mine");
    });
}

#[test]
fn a_race_between_answer_and_cancel_has_one_winner() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for id in 0..500 {
            client
                .line(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"echo","params":[{id}]}}"#));
            client.notify("$/cancelRequest", &json!({ "id": id }));
            let answer = client.read();
            assert_eq!(answer["id"], id);
            assert!(answer["result"] == id || error_of(&answer).0 == -32800, "{answer}");
        }
        client.assert_lives();
    });
}
