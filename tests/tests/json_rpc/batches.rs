//! Several messages at once.

use serde_json::{Value, json};
use tramline::Limits;
use tramline::compat_json::jsonrpc::{Framing, MAX_BATCH_MEMBERS};
use tramline_tests::bounded;
use tramline_tests::json_rpc::{Client, Served};

use crate::error_of;

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// The answers to a batch, by id.
fn ask(client: &mut Client, members: &[Value]) -> Vec<Value> {
    client.line(json!(members).to_string());
    answers(client)
}

fn answers(client: &mut Client) -> Vec<Value> {
    let Value::Array(mut answers) = client.read() else { panic!("no array") };
    answers.sort_by_key(|answer| answer["id"].as_u64());
    answers
}

#[test]
fn a_batch_has_one_answer_for_each_request_in_one_array() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let members: Vec<_> = (0..100)
            .flat_map(|n| {
                let method = ["add", "later", "echo"][usize::try_from(n % 3).unwrap_or(0)];
                let params = if method == "add" { json!([n, 1]) } else { json!([n]) };
                let event = json!({ "jsonrpc": "2.0", "method": "up", "params": [n] });
                [request(n, method, &params), event]
            })
            .collect();
        let answers = ask(&mut client, &members);
        let found: Vec<_> = answers.iter().map(|answer| answer["result"].as_u64()).collect();
        let expected: Vec<_> = (0..100).map(|n| Some(if n % 3 == 2 { n } else { n + 1 })).collect();
        assert_eq!(found, expected);
        client.assert_lives();
    });
}

#[test]
fn a_batch_is_answered_when_its_last_call_is() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let members = [request(1, "add", &json!([1, 2])), request(2, "hold", &json!(["batch"]))];
        client.say(Framing::Headers, &json!(members).to_string());
        server.wait_entered("batch", 1);
        // Others are not held up.
        client.assert_lives();
        server.open_gate("batch");
        let (framing, text) = client.message().expect("an answer");
        let answers: Value = serde_json::from_str(&text).expect("JSON");
        // The framing of its question, whatever came since.
        assert_eq!((framing, answers.as_array().map(Vec::len)), (Framing::Headers, Some(2)));
    });
}

#[test]
fn bad_members_have_errors_of_their_own() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let members = json!([
            1, [], [[]], {}, null, "x",
            { "jsonrpc": "2.0", "result": 1, "id": 1 },
            { "jsonrpc": "2.0", "method": "$/unknown" },
            request(2, "fail", &json!([])),
            request(3, "$/unknown", &json!([])),
            request(4, "add", &json!([1, 2])),
        ]);
        client.line(members.to_string());
        let answers = answers(&mut client);
        assert_eq!(answers.len(), 9);
        for bad in &answers[..6] {
            assert_eq!(error_of(bad), (-32600, "invalid-request"));
            assert_eq!(bad["id"], json!(null));
        }
        assert_eq!(error_of(&answers[6]), (-32000, "command-failed"));
        assert_eq!(error_of(&answers[7]), (-32601, "unknown-command"));
        assert_eq!(answers[8]["result"], 3);
        client.assert_lives();
    });
}

#[test]
fn a_batch_without_requests_is_never_answered() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        client.line(r#"[{"jsonrpc":"2.0","method":"add","params":[1,2]}]"#);
        client.line(r#"[{"jsonrpc":"2.0","result":1,"id":1},{"jsonrpc":"2.0","method":"nobody"}]"#);
        client.assert_lives();
    });
}

#[test]
fn a_call_of_a_batch_can_be_cancelled_from_inside_and_outside() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let cancel = |id: u64| json!({ "jsonrpc": "2.0", "method": "$/cancelRequest", "params": { "id": id } });
        let hold = json!(["cancelled"]);
        client.line(
            json!([request(1, "hold", &hold), request(2, "hold", &hold), cancel(1)]).to_string(),
        );
        server.wait_entered("cancelled", 2);
        client.line(cancel(2).to_string());
        let answers = answers(&mut client);
        assert_eq!(answers.len(), 2);
        for answer in &answers {
            assert_eq!(error_of(answer), (-32800, "request-cancelled"));
        }
        server.open_gate("cancelled");
        client.assert_lives();
    });
}

#[test]
fn a_batch_with_too_many_members_is_refused_whole() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let batch = |len: usize| vec!["7"; len].join(",");
        let answer = client.ask(format!("[{}]", batch(MAX_BATCH_MEMBERS + 1)));
        assert_eq!(error_of(&answer), (-32600, "invalid-request"));
        let answer = client.ask(format!("[{}]", batch(MAX_BATCH_MEMBERS)));
        assert_eq!(answer.as_array().map(Vec::len), Some(MAX_BATCH_MEMBERS));
        client.assert_lives();
    });
}

#[test]
fn a_batch_has_more_members_than_calls_may_be_in_flight() {
    bounded(|| {
        let mut limits = Limits::default();
        limits.max_calls_in_flight = 2;
        let server = Served::with_limits(limits);
        let mut client = server.client();
        let members: Vec<_> = (0..50).map(|n| request(n, "echo", &json!([n]))).collect();
        let answers = ask(&mut client, &members);
        assert!(answers.iter().enumerate().all(|(n, answer)| answer["result"] == n));
    });
}

#[test]
fn results_that_are_too_large_together_become_errors() {
    bounded(|| {
        let mut limits = Limits::default();
        limits.max_message_len = 4096;
        let server = Served::with_limits(limits);
        let mut client = server.client();
        let members: Vec<_> = (0..8).map(|n| request(n, "raw_result", &json!([500]))).collect();
        let answers = ask(&mut client, &members);
        let (whole, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.get("result").is_some());
        assert_eq!((whole.len(), refused.len()), (3, 5));
        assert!(refused.iter().all(|answer| error_of(answer) == (-32603, "result-too-large")));
        client.assert_lives();
    });
}
