//! Ids, params and results.

use serde_json::{Value, json};
use tramline_tests::bounded;
use tramline_tests::json_rpc::{Client, Served};

use crate::error_of;

/// The id of the answer to a request with this one, as it is written.
fn echoed(client: &mut Client, id: &str) -> String {
    client.line(format!(r#"{{"id": {id} ,"method":"add","params":[1,2],"jsonrpc":"2.0"}}"#));
    let (_, text) = client.message().expect("an answer");
    let id = text.strip_prefix(r#"{"jsonrpc":"2.0","result":3,"id":"#);
    let id = id.and_then(|id| id.strip_suffix('}'));
    id.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn an_id_is_echoed_as_it_was_written() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for id in [
            "1",
            "0",
            "-1",
            "1.5",
            "1.0",
            "-0.0",
            "1e3",
            "1e400",
            "9007199254740993",
            "18446744073709551616",
            "123456789012345678901234567890.10",
            "\"\"",
            "\"1\"",
            r#""a\"b\\c\u00e9\ud83d\ude00""#,
            "null",
        ] {
            assert_eq!(echoed(&mut client, id), id);
        }
        let long = format!("\"{}\"", "x".repeat(100_000));
        assert_eq!(echoed(&mut client, &long), long);
    });
}

#[test]
fn params_go_by_name_or_by_position() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let expected = json!("7 Ann x");
        let named = json!({ "userId": 7, "firstName": "Ann", "type": "x" });
        assert_eq!(client.call("user_name", &named)["result"], expected);
        assert_eq!(client.call("user_name", &json!([7, "Ann", "x"]))["result"], expected);
        // What may be missing may be missing at the end, and null in the middle.
        assert_eq!(client.call("user_name", &json!([7, "Ann"]))["result"], "7 Ann ");
        assert_eq!(client.call("options", &json!([null, "x"]))["result"], "None Some(\"x\")");
        assert_eq!(client.call("options", &json!([]))["result"], "None None");
        assert_eq!(client.call("options", &json!({}))["result"], "None None");
        assert_eq!(client.call("options", &Value::Null)["result"], "None None");
        // What nobody asked for is passed over.
        assert_eq!(client.call("add", &json!({ "a": 1, "b": 2, "c": [] }))["result"], 3);
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"options"}"#;
        assert_eq!(client.ask(text)["result"], "None None");
    });
}

#[test]
fn injected_parameters_take_no_position() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        // The gate is the only parameter that is not injected.
        assert_eq!(client.call("open", &json!(["door"])).get("result"), Some(&Value::Null));
        assert_eq!(client.call("hold", &json!(["door"]))["result"], "door");
        assert_eq!(client.call("token", &json!([]))["result"], "managed");
        let pid = std::process::id();
        assert_eq!(client.call("my_pid", &json!([]))["result"], pid);
        assert_eq!(client.call("my_label", &json!([])).get("result"), Some(&Value::Null));
    });
}

#[test]
fn every_kind_of_command_answers() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        assert_eq!(client.call("add", &json!([1, 2]))["result"], 3);
        assert_eq!(client.call("later", &json!([41]))["result"], 42);
        let value = json!({ "a": [1, { "b": null }], "c": 1.5, "d": u64::MAX });
        assert_eq!(client.call("echo", &json!({ "value": value }))["result"], value);
        let unit = client.call("open", &json!(["x"]));
        assert_eq!(unit.as_object().map(|answer| answer.len()), Some(3));
        assert_eq!(unit.get("result"), Some(&json!(null)));
    });
}

#[test]
fn raw_bytes_are_arrays_of_numbers() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let bytes = json!([0, 10, 255]);
        assert_eq!(client.call("echo_raw", &bytes)["result"], bytes);
        assert_eq!(client.call("echo_raw", &json!([]))["result"], json!([]));
        assert_eq!(client.call("raw_length", &json!([1, 2, 3]))["result"], 3);
        assert_eq!(client.call("raw_result", &json!([3]))["result"], json!([7, 7, 7]));
        assert_eq!(client.call("sealed", &json!([2, 9]))["result"], json!([9, 9]));
        assert_eq!(client.call("sum_bytes", &json!({ "bytes": bytes }))["result"], 265);
        for bad in [json!([256]), json!([-1]), json!(["a"]), json!({ "body": [1] })] {
            let refused = client.call("echo_raw", &bad);
            assert_eq!(error_of(&refused), (-32602, "bad-arguments"), "{bad}");
        }
    });
}

#[test]
fn answers_come_as_they_are_ready() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        client.line(r#"{"jsonrpc":"2.0","id":"slow","method":"hold","params":["answers"]}"#);
        assert_eq!(client.call("add", &json!([1, 2]))["result"], 3);
        server.wait_entered("answers", 1);
        server.open_gate("answers");
        assert_eq!(client.read()["id"], "slow");
    });
}

#[test]
fn one_id_may_be_in_use_twice() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for gate in ["one", "two"] {
            client
                .line(format!(r#"{{"jsonrpc":"2.0","id":5,"method":"hold","params":["{gate}"]}}"#));
            server.wait_entered(gate, 1);
        }
        for gate in ["two", "one"] {
            server.open_gate(gate);
            assert_eq!(client.read(), json!({ "jsonrpc": "2.0", "result": gate, "id": 5 }));
        }
    });
}
