//! What the server says by itself.

use serde_json::{Value, json};
use tramline::compat_json::jsonrpc::Framing;
use tramline::{Capabilities, Clients, EventTarget, Peer, Server, State, command, commands};
use tramline_tests::bounded;
use tramline_tests::json_rpc::Served;

fn event(name: &str, params: Option<Value>) -> Value {
    let mut event = json!({ "jsonrpc": "2.0", "method": name });
    if let Some(params) = params {
        event["params"] = params;
    }
    event
}

#[test]
fn a_client_hears_every_event_it_may() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        client.line(r#"{"jsonrpc":"2.0","id":1,"method":"emit_numbers","params":["down",5,3]}"#);
        for number in 5..8 {
            assert_eq!(client.read(), event("down", Some(json!([number]))));
        }
        assert_eq!(client.read()["id"], 1);
        // An event that the capabilities do not name.
        let sent = client.call("emit_numbers", &json!(["secret", 0, 1]));
        assert_eq!(sent.get("result"), Some(&Value::Null));
    });
}

#[command(inline)]
fn emit(payload: Value, peer: Peer) -> Result<(), String> {
    peer.emit("tick", &payload).map_err(|e| e.to_string())
}

#[command(inline)]
fn emit_bytes(peer: Peer) -> Result<(), String> {
    peer.emit_raw("tick", &[0, 255]).map_err(|e| e.to_string())
}

#[command]
fn tell_all(text: String, clients: State<'_, Clients>) -> usize {
    let _ = clients.emit("tick", &text);
    clients.list().len()
}

#[command]
fn tell(target: EventTarget, text: String, clients: State<'_, Clients>) -> Result<(), String> {
    clients.emit_to(target, "tick", &text).map_err(|e| e.to_string())
}

fn ticking() -> Served {
    let set = commands![emit, emit_bytes, tell_all, tell];
    Served::new(Server::new().commands(set).allow(Capabilities::all()))
}

#[test]
fn a_payload_becomes_params_that_every_client_takes() {
    bounded(|| {
        let server = ticking();
        let mut client = server.client();
        for (payload, params) in [
            (json!({ "a": 1 }), Some(json!({ "a": 1 }))),
            (json!([1, 2]), Some(json!([[1, 2]]))),
            (json!("x"), Some(json!(["x"]))),
            (json!(1.5), Some(json!([1.5]))),
            (json!(null), None),
        ] {
            assert_eq!(client.call("emit", &json!([payload])), event("tick", params));
            assert_eq!(client.read()["id"], "call");
        }
        let raw = client.call("emit_bytes", &json!([]));
        assert_eq!(raw, event("tick", Some(json!([[0, 255]]))));
    });
}

/// As a page that says no target.
#[test]
fn a_client_hears_events_whomever_they_are_aimed_at() {
    bounded(|| {
        let server = ticking();
        let mut client = server.client();
        for target in [
            json!("main"),
            json!({ "kind": "App" }),
            json!({ "kind": "Window", "label": "main" }),
            json!({ "kind": "Any" }),
        ] {
            let heard = client.call("tell", &json!({ "target": target, "text": "x" }));
            assert_eq!(heard, event("tick", Some(json!(["x"]))), "{target}");
            assert_eq!(client.read()["id"], "call");
        }
        client.notify("$/listen", &json!({ "event": "other" }));
        let answer = client.call("tell", &json!({ "target": "main", "text": "x" }));
        assert_eq!(answer["id"], "call", "it does not listen");
    });
}

#[test]
fn the_first_listen_narrows_what_a_client_hears() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let hears = |client: &mut tramline_tests::json_rpc::Client, name: &str| {
            let first = client.call("emit_numbers", &json!([name, 0, 1]));
            let heard = first["method"] == name;
            if heard {
                assert_eq!(client.read()["id"], "call");
            }
            heard
        };
        assert!(hears(&mut client, "down") && hears(&mut client, "other"));
        client.notify("$/unlisten", &json!({ "event": "other" }));
        assert!(hears(&mut client, "other"), "nothing was chosen yet");
        client.notify("$/listen", &json!({ "event": "no name" }));
        assert!(hears(&mut client, "other"), "no event was chosen yet");
        client.notify("$/listen", &json!({ "event": "down" }));
        assert!(hears(&mut client, "down") && !hears(&mut client, "other"));
        client.notify("$/listen", &json!({ "event": "other" }));
        assert!(hears(&mut client, "down") && hears(&mut client, "other"));
        client.notify("$/unlisten", &json!({ "event": "down" }));
        assert!(!hears(&mut client, "down") && hears(&mut client, "other"));
        // What is asked for is not thereby allowed.
        client.notify("$/listen", &json!({ "event": "secret" }));
        assert!(!hears(&mut client, "secret"));
    });
}

#[test]
fn an_event_reaches_every_client_framed_like_its_last_message() {
    bounded(|| {
        let server = ticking();
        let (mut lines, mut headers, mut silent) =
            (server.client(), server.client(), server.client());
        lines.notify("hello", &json!([]));
        headers.say(Framing::Headers, r#"{"jsonrpc":"2.0","method":"hello"}"#);
        // The notifications have been read when the next request is answered.
        let counted = r#"{"jsonrpc":"2.0","id":1,"method":"emit","params":[0]}"#;
        lines.line(counted);
        headers.say(Framing::Headers, counted);
        for client in [&mut lines, &mut headers] {
            assert_eq!(
                (client.read()["method"].clone(), client.read()["id"].clone()),
                (json!("tick"), json!(1))
            );
        }
        let told = server.client().call("tell_all", &json!(["all"]));
        assert_eq!(told["method"], "tick");
        for (client, framing) in [(&mut lines, Framing::Lines), (&mut headers, Framing::Headers)] {
            let (found, text) = client.message().expect("the event");
            assert_eq!(found, framing);
            assert_eq!(text, r#"{"jsonrpc":"2.0","method":"tick","params":["all"]}"#);
        }
        // Nobody knew how to tell this one, so the first thing it hears is its answer.
        let first = silent.call("tell_all", &json!(["again"]));
        assert_eq!(first["params"], json!(["again"]));
    });
}

#[test]
fn a_trace_tells_of_each_message_until_it_is_switched_off() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let messages = |client: &mut tramline_tests::json_rpc::Client| {
            let mut traced = Vec::new();
            client.line(r#"{"jsonrpc":"2.0","id":"t","method":"add","params":[1,2]}"#);
            loop {
                let message = client.read();
                if message.get("id").is_some() {
                    return traced;
                }
                assert_eq!(message["method"], "$/logTrace");
                traced.push(message["params"].clone());
            }
        };
        for value in ["messages", "compact"] {
            client.notify("$/setTrace", &json!({ "value": value }));
            let traced = messages(&mut client);
            assert_eq!(traced.len(), 2, "{traced:?}");
            assert_eq!(traced[0], json!({ "message": "Received request add as \"t\"." }));
        }
        client.notify("$/setTrace", &json!({ "value": "verbose" }));
        let traced = messages(&mut client);
        let details = traced.iter().map(|params| params["verbose"].clone()).collect::<Vec<_>>();
        assert_eq!(details, [json!("[1,2]"), json!(r#"{"jsonrpc":"2.0","result":3,"id":"t"}"#)]);
        client.notify("$/setTrace", &json!({ "value": "off" }));
        assert_eq!(messages(&mut client), Vec::<Value>::new());
    });
}
