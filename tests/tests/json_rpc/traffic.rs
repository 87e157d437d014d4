//! Many clients and many calls.

use std::thread;

use serde_json::{Value, json};
use tramline::compat_json::jsonrpc::Framing;
use tramline_tests::bounded;
use tramline_tests::json_rpc::Served;
use tramline_tests::random::Random;

const CALLS: u64 = 2000;

#[test]
fn every_call_of_many_clients_is_answered_once() {
    bounded(|| {
        let server = Served::usual();
        thread::scope(|scope| {
            for seed in 0..4 {
                let mut client = server.client();
                let mut writer = client.split();
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    for id in 0..CALLS {
                        let method = ["add", "echo", "later"][usize::try_from(id % 3).unwrap_or(0)];
                        let params = if method == "add" { json!([id, 1]) } else { json!([id]) };
                        let call = json!({
                            "jsonrpc": "2.0", "id": id, "method": method, "params": params,
                        });
                        let framing =
                            if random.below(2) == 0 { Framing::Lines } else { Framing::Headers };
                        writer.say(framing, &call.to_string());
                    }
                });
                scope.spawn(move || {
                    let mut open: Vec<bool> = vec![true; usize::try_from(CALLS).unwrap_or(0)];
                    for _ in 0..CALLS {
                        let answer = client.read();
                        let id = answer["id"].as_u64().expect("ours");
                        let expected = if id % 3 == 1 { id } else { id + 1 };
                        assert_eq!(answer["result"], expected, "{answer}");
                        let open = &mut open[usize::try_from(id).expect("small")];
                        assert!(std::mem::take(open), "answered twice: {id}");
                    }
                });
            }
        });
    });
}

#[test]
fn stopping_in_the_middle_of_traffic_ends_every_connection() {
    bounded(|| {
        for round in 0..50 {
            let server = Served::usual();
            let mut clients: Vec<_> = (0..3).map(|_| server.client()).collect();
            for client in &mut clients {
                for id in 0..round {
                    let method = ["add", "echo", "later"][id % 3];
                    let call = json!({
                        "jsonrpc": "2.0", "id": id, "method": method, "params": [id, 1],
                    });
                    client.line(call.to_string());
                }
            }
            server.running.stop();
            for mut client in clients {
                while let Some((_, text)) = client.message() {
                    let answer: Value = serde_json::from_str(&text).expect("JSON");
                    assert!(answer.get("result").is_some(), "{answer}");
                }
            }
        }
    });
}
