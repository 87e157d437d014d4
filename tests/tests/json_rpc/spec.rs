//! The examples of the JSON-RPC 2.0 specification, section 7, as they are written there.

use serde_json::Value;
use tramline::compat_json::jsonrpc::Framing;
use tramline::{Capabilities, Server, command, commands};
use tramline_tests::bounded;
use tramline_tests::json_rpc::Served;

#[command]
fn subtract(minuend: i64, subtrahend: i64) -> i64 {
    minuend - subtrahend
}

#[command(inline)]
fn sum(a: i64, b: i64, c: i64) -> i64 {
    a + b + c
}

#[command]
async fn get_data() -> (&'static str, i64) {
    ("hello", 5)
}

#[command]
fn update(_a: i64, _b: i64, _c: i64, _d: i64, _e: i64) {}

#[command(inline)]
fn notify_hello(_number: i64) {}

#[command]
async fn notify_sum(_a: i64, _b: i64, _c: i64) {}

/// What is sent, and what comes back; nothing if it is empty.
const EXAMPLES: &[(&str, &str)] = &[
    // rpc call with positional parameters
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 1}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}"#,
        r#"{"jsonrpc": "2.0", "result": -19, "id": 2}"#,
    ),
    // rpc call with named parameters
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 3}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 4}"#,
    ),
    // a Notification
    (r#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#, ""),
    (r#"{"jsonrpc": "2.0", "method": "foobar"}"#, ""),
    // rpc call of non-existent method
    (
        r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}"#,
    ),
    // rpc call with invalid JSON
    (
        r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}"#,
    ),
    // rpc call with invalid Request object
    (
        r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}"#,
    ),
    // rpc call Batch, invalid JSON
    (
        r#"[
  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
  {"jsonrpc": "2.0", "method"
]"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}"#,
    ),
    // rpc call with an empty Array
    (
        r#"[]"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}"#,
    ),
    // rpc call with an invalid Batch (but not empty)
    (
        r#"[1]"#,
        r#"[
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
]"#,
    ),
    // rpc call with invalid Batch
    (
        r#"[1,2,3]"#,
        r#"[
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
]"#,
    ),
    // rpc call Batch
    (
        r#"[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
    ]"#,
        r#"[
        {"jsonrpc": "2.0", "result": 7, "id": "1"},
        {"jsonrpc": "2.0", "result": 19, "id": "2"},
        {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
        {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
        {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}
    ]"#,
    ),
    // rpc call Batch (all notifications)
    (
        r#"[
        {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
    ]"#,
        "",
    ),
];

/// The specification lets an error have `data`; ours always has its fixed code there. A batch's
/// answers come in any order.
fn as_in_the_specification(mut answer: Value) -> Value {
    match &mut answer {
        Value::Array(answers) => {
            *answers = answers.drain(..).map(as_in_the_specification).collect();
            answers.sort_by_key(|answer| answer["id"].to_string());
        }
        answer => {
            if let Some(error) = answer.get_mut("error").and_then(Value::as_object_mut)
                && let Some(data) = error.remove("data")
            {
                assert!(data["code"].is_string(), "{data}");
            }
        }
    }
    answer
}

fn value(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).expect("an example");
    if let Value::Array(answers) = &mut value {
        answers.sort_by_key(|answer| answer["id"].to_string());
    }
    value
}

#[test]
fn jsonrpc_spec_examples_are_answered_literally() {
    bounded(|| {
        let set = commands![subtract, sum, get_data, update, notify_hello, notify_sum];
        let server = Served::new(Server::new().commands(set).allow(Capabilities::all()));
        let mut client = server.client();
        for framing in [Framing::Headers, Framing::Lines] {
            for (question, answer) in EXAMPLES {
                let one_line = question.replace('\n', " ");
                let question = if framing == Framing::Lines { &one_line } else { *question };
                client.say(framing, question);
                // The next answer is this one's: whatever is not to be answered was not.
                let last = r#"{"jsonrpc":"2.0","method":"sum","params":[0,0,0],"id":"last"}"#;
                let expected = if answer.is_empty() {
                    client.say(framing, last);
                    r#"{"jsonrpc":"2.0","result":0,"id":"last"}"#
                } else {
                    answer
                };
                let found = client.read();
                assert_eq!(as_in_the_specification(found), value(expected), "{question}");
            }
        }
    });
}
