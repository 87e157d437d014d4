//! A JSON-RPC client's calls and events pass through the same layers.

use serde_json::json;
use tramline_tests::json_rpc::Served;
use tramline_tests::layers::server;
use tramline_tests::{bounded, eventually};

#[test]
fn a_json_rpc_clients_calls_and_events_pass_through_layers() {
    bounded(|| {
        let served = Served::new(server("log", None, 0));
        let mut client = served.client();
        for command in ["plain", "later"] {
            assert_eq!(client.call(command, &json!({ "text": "x" }))["result"], "x");
        }
        assert_eq!(client.call("add", &json!({ "a": 1, "b": 2 }))["result"], 3);
        let refused = client.call("tricky", &json!({}));
        assert_eq!(refused["error"]["data"]["text"], "a layer panicked", "{refused}");
        client.notify("up", &json!(["payload"]));
        client.notify("refused", &json!(["payload"]));
        let mut seen = Vec::new();
        eventually("all of it was seen", || {
            let lines = client.call("log", &json!({}))["result"].take();
            let lines: Vec<String> = serde_json::from_value(lines).expect("texts");
            seen.extend(lines);
            seen.len() >= 3 * 6 + 1 + 6 + 3
        });
        let of = |line: &str| seen.iter().filter(|found| found.starts_with(line)).count();
        let handled = ["outer Handle", "inner Handle", "outer Deliver", "inner Deliver"].map(of);
        assert_eq!(handled, [3 * 3 + 1, 3 * 3, 3 + 2, 3 + 1], "{seen:?}");
        assert_eq!(of("outer Deliver refused: capability-denied"), 1);
    });
}
