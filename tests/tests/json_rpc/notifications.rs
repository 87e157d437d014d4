//! What has no id.

use serde_json::{Value, json};
use tramline_tests::bounded;
use tramline_tests::json_rpc::Served;

#[test]
fn notification_is_never_answered() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for text in [
            // A command, with good, bad and no arguments.
            r#"{"jsonrpc":"2.0","method":"add","params":[1,2]}"#,
            r#"{"jsonrpc":"2.0","method":"add","params":["x"]}"#,
            r#"{"jsonrpc":"2.0","method":"add"}"#,
            // One that fails, panics, or has a result that is nothing.
            r#"{"jsonrpc":"2.0","method":"fail"}"#,
            r#"{"jsonrpc":"2.0","method":"panics"}"#,
            r#"{"jsonrpc":"2.0","method":"panics_inline"}"#,
            r#"{"jsonrpc":"2.0","method":"panics_async"}"#,
            r#"{"jsonrpc":"2.0","method":"unserialisable"}"#,
            r#"{"jsonrpc":"2.0","method":"raw_result","params":[100000000]}"#,
            // One that is denied, and names that nobody knows.
            r#"{"jsonrpc":"2.0","method":"forbidden"}"#,
            r#"{"jsonrpc":"2.0","method":"no_such_command"}"#,
            r#"{"jsonrpc":"2.0","method":"no such name"}"#,
            r#"{"jsonrpc":"2.0","method":""}"#,
            // The connection's own.
            r#"{"jsonrpc":"2.0","method":"$/unknown","params":{"a":1}}"#,
            r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}"#,
            r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":[]}"#,
            r#"{"jsonrpc":"2.0","method":"$/progress","params":{"token":1,"value":{}}}"#,
            r#"{"jsonrpc":"2.0","method":"$/logTrace","params":{"message":"x"}}"#,
            r#"{"jsonrpc":"2.0","method":"$/setTrace","params":{"value":"loud"}}"#,
            // Answers to questions that nobody asked.
            r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}"#,
        ] {
            client.line(text);
            client.assert_lives();
        }
    });
}

#[test]
fn a_notification_runs_the_command_of_its_name() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        client.notify("hold", &json!({ "gate": "notified" }));
        server.wait_entered("notified", 1);
        client.notify("open", &json!(["notified"]));
        // The command's result would be the next message.
        assert_eq!(client.call("hold", &json!(["notified"]))["result"], "notified");
        client.assert_lives();
    });
}

#[test]
fn any_other_notification_is_an_event_for_the_listeners() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for number in 0..3 {
            client.notify("up", &json!([number]));
        }
        let count = client.call("wait_up", &json!([3]));
        assert_eq!(count["result"], json!({ "count": 3, "out_of_order": 0, "next": 3 }));
    });
}

#[test]
fn an_event_that_is_not_allowed_reaches_no_listener() {
    bounded(|| {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicU32, Ordering};
        use tramline::{Capabilities, Server, command, commands};

        #[command(inline)]
        fn done() {}

        let heard = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&heard);
        let server = Server::new()
            .commands(commands![done])
            .allow(Capabilities::none().command("done"))
            .listen("secret", move |_| {
                count.fetch_add(1, Ordering::SeqCst);
            });
        let server = Served::new(server);
        let mut client = server.client();
        client.notify("secret", &json!([1]));
        assert_eq!(client.call("done", &json!([])).get("result"), Some(&Value::Null));
        assert_eq!(heard.load(Ordering::SeqCst), 0);
    });
}
