//! The same rules for clients that speak JSON-RPC.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tramline_tests::acl::{Settings, There};
use tramline_tests::json_rpc::Client;
use tramline_tests::{bounded, eventually};

use crate::{PEER, fixture};

/// A JSON-RPC client asks for no label; this policy calls it `main`.
fn as_main(settings: Settings) -> Settings {
    Settings { admit: vec![(String::new(), "label main".into())], ..settings }
}

fn one(permissions: &Value) -> Settings {
    as_main(Settings::file(json!({
        "identifier": "one", "windows": ["main"], "permissions": permissions
    })))
}

fn serve(settings: &Settings) -> (There, Client) {
    let (there, name) = settings.serve_json_rpc(PEER);
    (there, Client::connect(&name))
}

/// The number, the fixed code and the words of an error.
fn error_of(answer: &Value) -> (i64, &str, &str) {
    let error = &answer["error"];
    let text = |value: &'_ Value| value.as_str().map(str::to_owned);
    assert!(text(&error["data"]["code"]).is_some(), "no error: {answer}");
    let words = error["data"]["text"].as_str().unwrap_or_default();
    (
        error["code"].as_i64().expect("a number"),
        error["data"]["code"].as_str().expect("a code"),
        words,
    )
}

fn greets(client: &mut Client) -> bool {
    let answer = client.call("greet", &json!({ "name": "you" }));
    if answer["result"] == "hello you" {
        return true;
    }
    assert_eq!(error_of(&answer).1, "capability-denied");
    false
}

fn refusals(there: &There) -> (u64, u64) {
    there.control("refusals", json!({ "label": "main" }))
}

#[test]
fn a_json_rpc_client_has_the_class_and_label_that_the_policy_gives_it() {
    bounded(|| {
        let file = json!([
            { "identifier": "m", "windows": ["main"], "permissions": ["allow-greet"] },
            { "identifier": "p", "windows": ["page"], "permissions": ["allow-greet"],
              "local": false, "remote": { "urls": ["https://*.example.com"] } }
        ]);
        for (verdict, expected) in [
            ("label main", true),
            ("local", false),
            ("label page", false),
            ("as page remote https://app.example.com/", true),
            ("as page remote https://app.example.org/", false),
            ("as main over json-rpc", true),
            ("as main same ids", true),
        ] {
            let admit = vec![(String::new(), verdict.to_owned())];
            let settings = Settings { admit, ..Settings::file(file.clone()) };
            let (_there, mut client) = serve(&settings);
            assert_eq!(greets(&mut client), expected, "{verdict}");
        }
    });
}

#[test]
fn a_json_rpc_client_that_is_refused_is_told_so_and_others_are_served() {
    bounded(|| {
        for (verdict, words) in [
            ("refuse we do not like you", "we do not like you"),
            ("panic", "the connect policy failed"),
            ("executable /bin/true", "it runs "),
        ] {
            let admit = vec![(String::new(), verdict.into()), ("main".into(), "local".into())];
            let file = json!({
                "identifier": "x", "windows": ["main"], "permissions": ["allow-greet"]
            });
            let (there, mut client) = serve(&Settings { admit, ..Settings::file(file) });
            let said = client.read();
            let (number, code, text) = error_of(&said);
            assert_eq!((number, code), (-32010, "peer-refused"));
            assert!(text.starts_with(words), "{text}");
            assert!(client.message().is_none(), "and hung up");
            let line = there.process.line().expect("told here, too");
            assert!(line.contains("(peer-refused)"), "{line}");
            assert!(crate::calls::greets(&there.client("main")));
        }
    });
}

#[test]
fn requests_and_notifications_are_denied_before_their_params_are_looked_at() {
    bounded(|| {
        let (there, mut client) = serve(&one(&json!(["allow-greet"])));
        for command in ["wipe", "wipe_inline", "wipe_async", "plugin:fs|read_file", "nothing", ""] {
            for params in [json!({ "value": 1 }), json!([1]), json!({})] {
                let answer = client.call(command, &params);
                let text = format!("Command {command} not allowed by ACL");
                assert_eq!(error_of(&answer), (-32010, "capability-denied", &*text));
            }
            client.notify(command, &json!({ "value": 1 }));
        }
        let batch = client.ask(
            r#"[{"jsonrpc":"2.0","id":1,"method":"wipe","params":[1]},
                {"jsonrpc":"2.0","id":2,"method":"greet","params":["you"]}]"#
                .replace('\n', ""),
        );
        let by_id = |id: u64| {
            let answers = batch.as_array().expect("an array");
            answers.iter().find(|answer| answer["id"] == id).expect("answered").clone()
        };
        assert_eq!(error_of(&by_id(1)).1, "capability-denied");
        assert_eq!(by_id(2)["result"], "hello you");
        assert!(greets(&mut client), "the link lives");
        let counts = there.counts();
        assert_eq!((counts.ran, counts.decoded), (0, 0));
        // The requests, the notifications, and one in the batch.
        assert_eq!(refusals(&there), (6 * 3 + 6 + 1, 0));
        assert!(there.next_denied().contains("may not invoke \"wipe\""));

        // The counters do move.
        let file =
            json!({ "identifier": "later", "windows": ["main"], "permissions": ["allow-wipe"] });
        there.control::<()>("add", json!({ "file": file }));
        assert_eq!(client.call("wipe", &json!([1])).get("result"), Some(&Value::Null));
        assert_eq!((there.counts().ran, there.counts().decoded), (1, 1));
        assert!(there.control::<bool>("revoke", json!({ "identifier": "later" })));
        assert_eq!(error_of(&client.call("wipe", &json!([1]))).1, "capability-denied");
        assert_eq!(there.counts().ran, 1);
    });
}

#[test]
fn a_name_as_long_as_a_message_is_cut_in_our_log() {
    bounded(|| {
        let (there, mut client) = serve(&one(&json!(["allow-greet"])));
        let name = "ä".repeat(10_000);
        let answer = client.call(&name, &json!([]));
        assert_eq!(error_of(&answer).1, "capability-denied");
        let log = there.next_denied();
        assert!(log.contains(&format!("\"{}\"", "ä".repeat(127))), "{log}");
    });
}

#[test]
fn scopes_reach_the_commands_of_json_rpc_clients() {
    bounded(|| {
        let entry = |id: &str| json!({ "identifier": id, "allow": [{ "path": "/x" }] });
        let permissions = json!([
            entry("allow-read"),
            entry("allow-scopes"),
            entry("fs:allow-read-file"),
            entry("fs:allow-scopes")
        ]);
        let (_there, mut client) = serve(&one(&permissions));
        for command in ["read", "plugin:fs|read_file"] {
            assert_eq!(client.call(command, &json!(["/x/y"]))["result"], "read /x/y");
            let refused = client.call(command, &json!(["/y"]));
            assert_eq!(refused["error"]["data"]["value"], "out of scope");
        }
        for command in ["scopes", "plugin:fs|scopes"] {
            let answer = client.call(command, &json!([]));
            let scope = json!({ "allows": [{ "path": "/x" }], "denies": [] });
            assert_eq!(answer["result"][0], scope, "{answer}");
        }
        let (_there, mut client) =
            serve(&as_main(Settings { folder: Some(fixture()), ..Settings::default() }));
        let answer = client.call("scopes", &json!([]));
        assert_eq!(answer["result"][1]["allows"][0]["root"], "/srv", "{answer}");
    });
}

fn emit(there: &There, event: &str) {
    there.control::<()>("emit", json!({ "event": event }));
}

#[test]
fn a_json_rpc_client_hears_and_says_only_what_it_may() {
    bounded(|| {
        let permissions = json!([
            "allow-greet",
            { "identifier": "core:event:allow-listen", "allow": [{ "event": "news" }] },
            { "identifier": "core:event:allow-emit", "allow": [{ "event": "up" }] }
        ]);
        let (there, mut client) = serve(&one(&permissions));
        assert!(greets(&mut client));
        emit(&there, "secret");
        emit(&there, "news");
        assert_eq!(client.read()["method"], "news", "and nothing before it");
        // To ask for an event is not to be allowed it.
        client.notify("$/listen", &json!({ "event": "secret" }));
        client.notify("$/listen", &json!({ "event": "news" }));
        assert!(greets(&mut client));
        emit(&there, "secret");
        emit(&there, "news");
        assert_eq!(client.read()["method"], "news");
        client.notify("up", &json!(["x"]));
        client.notify("admin/reset", &json!(["x"]));
        assert!(greets(&mut client));
        let counts = there.counts();
        assert_eq!((counts.up, counts.reset), (1, 0));
        assert_eq!(refusals(&there), (2, 0));
        assert!(there.next_denied().contains("may not listen to \"secret\""));
        assert!(there.next_denied().contains("may not emit \"admin/reset\""));
    });
}

#[test]
fn rights_to_events_that_change_hold_for_open_json_rpc_clients() {
    bounded(|| {
        let (there, mut client) = serve(&one(&json!(["allow-greet"])));
        assert!(greets(&mut client));
        emit(&there, "news");
        let file = json!({
            "identifier": "ears", "windows": ["main"], "permissions": ["core:default"]
        });
        there.control::<()>("add", json!({ "file": file }));
        emit(&there, "more");
        assert_eq!(client.read()["method"], "more", "and nothing before it");
        client.notify("$/listen", &json!({ "event": "more" }));
        client.notify("up", &json!(["x"]));
        assert!(greets(&mut client));
        assert_eq!(there.counts().up, 1);
        assert!(there.control::<bool>("revoke", json!({ "identifier": "ears" })));
        emit(&there, "more");
        client.notify("up", &json!(["x"]));
        assert!(greets(&mut client), "the next thing it hears");
        assert_eq!(there.counts().up, 1);
    });
}

#[test]
fn quotas_hold_for_json_rpc_clients() {
    bounded(|| {
        let permissions = json!(["allow-greet", "core:default"]);
        let (there, mut client) = serve(&Settings { messages: Some(4), ..one(&permissions) });
        for _ in 0..4 {
            assert!(greets(&mut client));
        }
        let over = (-32012, "over-quota", "over the quota of messages");
        assert_eq!(error_of(&client.call("greet", &json!(["you"]))), over);
        let batch = client.ask(
            r#"[{"jsonrpc":"2.0","id":1,"method":"greet","params":["you"]},{"jsonrpc":"2.0","id":2,"method":"wipe"}]"#,
        );
        for answer in batch.as_array().expect("an array") {
            assert_eq!(error_of(answer), over, "denied or not: it is not even looked at");
        }
        for name in ["up", "greet", "nothing"] {
            client.notify(name, &json!(["x"]));
        }
        client.notify("$/listen", &json!({ "event": "up" }));
        // What cannot be refused is counted nowhere: an answer follows.
        assert_eq!(client.ask("{}")["error"]["code"], -32600);
        eventually("all were refused", || refusals(&there) == (0, 7));
        assert_eq!(there.counts().up, 0);
    });
}

#[test]
fn a_quota_of_bytes_counts_every_message_of_a_json_rpc_client() {
    bounded(|| {
        let settings = Settings { bytes: Some(10_000), ..one(&json!(["allow-greet"])) };
        let (_there, mut client) = serve(&settings);
        // Two messages in one: each has its share.
        let half = "x".repeat(3_000);
        let call =
            |id: u8| json!({ "jsonrpc": "2.0", "id": id, "method": "greet", "params": [half] });
        let answers = client.ask(json!([call(1), call(2)]).to_string());
        assert!(answers.as_array().expect("an array").iter().all(|a| a["result"].is_string()));
        // Larger than what is left: passes, and is paid off for hours.
        let whole = client.call("greet", &json!(["x".repeat(10_000)]));
        assert!(whole["result"].is_string(), "{whole}");
        let refused = client.call("greet", &json!(["you"]));
        assert_eq!(error_of(&refused), (-32012, "over-quota", "over the quota of bytes"));

        // What is no message is charged, too, though it cannot be refused.
        let (_there, mut client) = serve(&settings);
        assert_eq!(client.ask(format!("{{{}", "x".repeat(20_000)))["error"]["code"], -32700);
        let refused = client.call("greet", &json!(["you"]));
        assert_eq!(error_of(&refused).1, "over-quota");
    });
}

#[test]
fn a_quota_of_calls_in_flight_holds_for_json_rpc_clients() {
    for command in ["hold", "hold_async"] {
        bounded(move || {
            let permissions =
                json!(["allow-greet", "allow-hold", "allow-hold-async", "allow-wipe-inline"]);
            let settings = Settings { calls_in_flight: Some(1), ..one(&permissions) };
            let (there, mut client) = serve(&settings);
            let hold = json!({
                "jsonrpc": "2.0", "id": "held", "method": command, "params": { "gate": "g" }
            });
            client.line(hold.to_string());
            there.control::<()>("entered", json!({ "gate": "g" }));
            let over = (-32012, "over-quota", "over the quota of calls in flight");
            for _ in 0..10 {
                assert_eq!(error_of(&client.call("greet", &json!(["you"]))), over);
            }
            let inline = client.call("wipe_inline", &json!([1]));
            assert_eq!(inline.get("result"), Some(&Value::Null), "it does not count");
            there.control::<()>("release", json!({ "gate": "g" }));
            assert_eq!(client.read()["id"], "held");
            // The count of a call goes down after its answer has gone.
            eventually("there is room again", || {
                client.call("greet", &json!(["you"]))["result"] == "hello you"
            });
            assert!(refusals(&there).1 >= 10);
        });
    }
}

#[test]
fn the_standard_streams_are_judged_and_gated_like_a_socket() {
    bounded(|| {
        let settings = Settings { messages: Some(3), quiet: true, ..one(&json!(["allow-greet"])) };
        let mut child = Command::new(PEER)
            .args(["json-rpc-acl", &settings.to_text()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut input = child.stdin.take().expect("piped");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut call = |method: &str| -> Value {
            let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": ["you"] });
            writeln!(input, "{call}").expect("it reads");
            let answer = lines.next().expect("an answer").expect("text");
            serde_json::from_str(&answer).expect("JSON")
        };
        assert_eq!(call("greet")["result"], "hello you");
        let denied = call("wipe");
        assert_eq!(error_of(&denied).2, "Command wipe not allowed by ACL");
        assert_eq!(call("greet")["result"], "hello you");
        assert_eq!(error_of(&call("greet")).1, "over-quota");
        drop(input);
        assert!(child.wait().expect("it is ours").success());

        let refused = Settings { admit: vec![(String::new(), "refuse no".into())], ..settings };
        let output = Command::new(PEER)
            .args(["json-rpc-acl", &refused.to_text()])
            .stdin(Stdio::null())
            .output()
            .expect("it starts");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains("peer-refused"), "{text}");
    });
}
