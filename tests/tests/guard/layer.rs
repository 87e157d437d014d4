//! The guard as a layer of the server.

use serde_json::json;
use tramline::Client;
use tramline_tests::acl::Settings;
use tramline_tests::{Transport, bounded};

use crate::{PEER, call, greet, refused, rights};

fn layered() -> Settings {
    Settings { guarded: true, ..rights() }
}

#[test]
fn a_layer_sees_what_comes_in_before_the_server_does() {
    for transport in [Transport::Shm, Transport::ShmShared, Transport::Pipe] {
        let there = layered().serve(PEER, transport);
        bounded(move || {
            let client = there.client("main");
            assert_eq!(greet(&client, "old").expect("rewritten"), "hello new");
            assert_eq!(
                refused(call(&client, "wipe", json!({ "value": 1 }))),
                "nothing is wiped here"
            );
            let panicked = refused(call(&client, "wipe_async", json!({ "value": 1 })));
            assert_eq!(panicked, "the guard failed");
            // Before the capabilities, which would say that there is no such command.
            let evil = client.invoke("unheard_of", ()).header("evil", "yes").wait();
            assert_eq!(refused(evil), "no such headers");
            assert_eq!(refused(greet(&there.client("nobody"), "you")), "nobody may call");
            client.emit("up", &"stop").expect("sent");
            client.emit("up", &"go").expect("sent");
            assert_eq!(greet(&client, "you").expect("it passes"), "hello you");
            let counts = there.counts();
            assert_eq!((counts.ran, counts.decoded, counts.up), (0, 0, 1));
            let ear = client.listen("secrets", |_| {}).wait().expect_err("refused");
            assert_eq!(ear.code(), "guard-refused");
        });
    }
}

#[test]
fn a_layer_ends_the_channels_of_a_call_that_it_refuses() {
    bounded(|| {
        let there = layered().serve(PEER, Transport::Shm);
        let client: Client = there.client("main");
        let (to, reader) = client.channel::<u64>();
        refused(call(&client, "wipe", json!({ "value": to })));
        let came: Vec<_> =
            reader.into_iter().map(|came| came.map_err(|e| e.code().to_owned())).collect();
        assert_eq!(came, [Err("channel-not-taken".to_owned())]);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_layer_judges_json_rpc_clients_too() {
    bounded(|| {
        let admit = vec![(String::new(), "label main".to_owned())];
        let (there, name) = Settings { admit, ..layered() }.serve_json_rpc(PEER);
        let mut client = tramline_tests::json_rpc::Client::connect(&name);
        assert_eq!(client.call("greet", &json!({ "name": "old" }))["result"], "hello new");
        let answer = client.call("wipe", &json!({ "value": 1 }));
        assert_eq!(answer["error"]["code"], -32010, "{answer}");
        assert_eq!(answer["error"]["data"]["code"], "guard-refused");
        assert_eq!(answer["error"]["data"]["text"], "nothing is wiped here");
        client.notify("wipe", &json!({ "value": 1 }));
        client.notify("up", &json!(["stop"]));
        client.notify("up", &json!(["go"]));
        assert_eq!(client.call("greet", &json!({ "name": "you" }))["result"], "hello you");
        let counts = there.counts();
        assert_eq!((counts.ran, counts.up), (0, 1));
    });
}
