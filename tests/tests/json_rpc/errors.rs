//! Every number, and what stands in `data`.

use serde_json::{Value, json};
use tramline::{Capabilities, Server, command, commands};
use tramline_tests::bounded;
use tramline_tests::fixture::limits;
use tramline_tests::json_rpc::Served;

use crate::error_of;

#[command]
fn forbidden() {}

/// Answers with an error that is only text.
#[command]
fn fails_with_text() -> Result<(), String> {
    Err("no such thing".into())
}

#[test]
fn every_error_has_its_number_and_its_fixed_code() {
    bounded(|| {
        let mut limits = limits();
        limits.max_message_len = 1 << 20;
        let server = Served::with_limits(limits);
        let mut client = server.client();
        for (method, params, number, code) in [
            ("no_such_command", json!([]), -32601, "unknown-command"),
            ("$/somethingNew", json!([]), -32601, "unknown-command"),
            ("$/cancelRequest", json!({ "id": 1 }), -32601, "unknown-command"),
            ("forbidden", json!([]), -32010, "capability-denied"),
            ("never_heard", json!([]), -32010, "capability-denied"),
            ("", json!([]), -32010, "capability-denied"),
            ("add", json!([1]), -32602, "bad-arguments"),
            ("panics", json!([]), -32603, "handler-panicked"),
            ("panics_inline", json!([]), -32603, "handler-panicked"),
            ("panics_async", json!([]), -32603, "handler-panicked"),
            ("unserialisable", json!([]), -32603, "result-not-encodable"),
            ("raw_result", json!([2_000_000]), -32603, "result-too-large"),
            // As bytes it would just fit.
            ("raw_result", json!([1_000_000]), -32603, "result-too-large"),
            ("fail", json!([]), -32000, "command-failed"),
        ] {
            let answer = client.call(method, &params);
            assert_eq!(error_of(&answer), (number, code), "{method}");
            assert_eq!((answer.get("result"), &answer["id"]), (None, &json!("call")));
            client.assert_lives();
        }
    });
}

#[test]
fn denied_and_unknown_names_look_the_same_to_a_client_without_rights() {
    bounded(|| {
        let server = Served::new(Server::new().commands(commands![forbidden]));
        let mut client = server.client();
        let [denied, unknown] = ["forbidden", "never_hear"].map(|name| {
            let text = client.call(name, &json!([])).to_string();
            text.replace(name, "NAME")
        });
        assert_eq!(denied, unknown);
    });
}

#[test]
fn a_failed_commands_own_value_is_in_data() {
    bounded(|| {
        let set = commands![fails_with_text];
        let server = Served::new(
            tramline_tests::commands::serve(Server::new(), limits())
                .commands(set)
                .allow(Capabilities::all()),
        );
        let mut client = server.client();
        let answer = client.call("fail", &json!({ "path": "/x" }));
        let expected = json!({ "kind": "not-found", "path": "/x", "tried": [1, 2] });
        assert_eq!(answer["error"]["data"]["value"], expected);
        assert_eq!(answer["error"]["message"], "Command failed");
        let answer = client.call("fails_with_text", &json!([]));
        assert_eq!(answer["error"]["data"]["value"], "no such thing");
    });
}

#[test]
fn a_bad_argument_is_named() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for (params, path) in [
            (json!({ "a": 1 }), json!("b")),
            (json!({ "a": "x", "b": 1 }), json!("a")),
            (json!({ "a": 1, "b": 1.5 }), json!("b")),
            (json!([1, null]), json!("b")),
            (json!([]), json!("a")),
            (Value::Null, json!("a")),
        ] {
            let answer = client.call("add", &params);
            assert_eq!(error_of(&answer), (-32602, "bad-arguments"), "{params}");
            assert_eq!(answer["error"]["data"]["path"], path, "{answer}");
        }
        let huge = r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,1e400]}"#;
        assert_eq!(error_of(&client.ask(huge)).0, -32602);
        let twice = r#"{"jsonrpc":"2.0","id":1,"method":"add","params":{"a":1,"a":2,"b":3}}"#;
        assert_eq!(error_of(&client.ask(twice)).0, -32602);
        client.assert_lives();
    });
}

#[test]
fn an_invalid_request_is_answered_with_its_id_if_it_has_one() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for (text, id) in [
            (r#"{}"#, json!(null)),
            (r#"{"jsonrpc":"2.0","id":true,"method":"add"}"#, json!(null)),
            (r#"{"jsonrpc":"2.0","id":[1],"method":"add"}"#, json!(null)),
            (r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"add"}"#, json!(null)),
            (r#"{"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"add"}"#, json!(null)),
            (r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":7,"method":"add"}"#, json!(7)),
            (r#"{"id":7,"method":"add","params":[1,2]}"#, json!(7)),
            (r#"{"jsonrpc":"1.0","id":"a","method":"add"}"#, json!("a")),
            (r#"{"jsonrpc":"2.0","id":7}"#, json!(7)),
            (r#"{"jsonrpc":"2.0","id":7,"method":null}"#, json!(7)),
            (r#"{"jsonrpc":"2.0","id":7,"method":"add","params":1}"#, json!(7)),
            (r#"{"jsonrpc":"2.0","method":"add","params":"x"}"#, json!(null)),
            ("1", json!(null)),
            ("null", json!(null)),
            ("\"text\"", json!(null)),
        ] {
            let answer = client.ask(text);
            assert_eq!(error_of(&answer), (-32600, "invalid-request"), "{text}");
            assert_eq!(answer["id"], id, "{text}");
            client.assert_lives();
        }
    });
}

#[test]
fn texts_that_break_parsers_are_parse_errors() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let call = |value: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":[{value}]}}"#)
        };
        for value in [
            "\"\\ud800\"",
            "\"\\udc00\\ud800\"",
            "\"\\u12\"",
            "\"\t\"",
            "NaN",
            "-Infinity",
            "01",
            "1.",
            "'a'",
            "[1,]",
            "{\"a\":1,}",
            "/**/1",
            &"[".repeat(100_000),
            &"{\"a\":".repeat(100_000),
            &format!("{}{}", "[".repeat(129), "]".repeat(129)),
        ] {
            let answer = client.ask(call(value));
            assert_eq!(
                error_of(&answer),
                (-32700, "parse-error"),
                "{}",
                &value[..8.min(value.len())]
            );
            assert!(answer["error"]["data"]["offset"].is_u64());
        }
        // A number that nobody asked for: JSON, but no argument that every codec could carry.
        let digits = "9".repeat(1 << 20);
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"add","params":{{"a":1,"b":2,"c":{digits}}}}}"#
        );
        assert_eq!(error_of(&client.ask(text)), (-32602, "bad-arguments"));
        client.assert_lives();
    });
}
