//! Cancel and disconnect over sync, async and channel commands, as `conformance/matrix.rs` has them for
//! links. There is no row for deadlines: JSON-RPC has none, so a client whose time is up cancels.

use serde_json::{Value, json};
use tramline_tests::bounded;
use tramline_tests::json_rpc::{Client, Served};
use tramline_tests::matrix::{ASYNC, CHANNELS, SYNC};

use crate::error_of;

/// The client's token of the channel that the command reads.
const UP: &str = "up";
/// And of the one that it writes.
const DOWN: &str = "down";

/// Calls a column's command and returns when it has begun; `json` has the token under which a message
/// comes.
fn begin(server: &Served, client: &mut Client, column: &str) {
    let params = json!({ "gate": column, "from": UP, "to": DOWN });
    let call = json!({ "jsonrpc": "2.0", "id": column, "method": column, "params": params });
    client.line(call.to_string());
    server.wait_entered(column, 1);
    if column == CHANNELS {
        // Which of the two comes first is the command's affair.
        let mut came = [client.read(), client.read()].map(|message| message["method"].clone());
        came.sort_unstable_by_key(Value::to_string);
        assert_eq!(came, [json!("$/progress"), json!("$/progressCredit")]);
    }
}

/// The command was told, began once, and others are served.
fn assert_told(server: &Served, column: &str) {
    server.wait_entered(&format!("{column} told"), 1);
    let mut other = server.client();
    assert_eq!(other.call("entered", &json!({ "gate": column }))["result"], 1);
    other.assert_lives();
}

fn cancel(server: &Served, client: &mut Client, column: &str) {
    begin(server, client, column);
    client.notify("$/cancelRequest", &json!({ "id": column }));
    let answer = client.read();
    assert_eq!(error_of(&answer), (-32800, "request-cancelled"));
    assert_eq!(answer["id"], column);
    assert_told(server, column);
}

#[test]
fn cancel_request_answers_the_client_and_tells_a_sync_command() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        cancel(&server, &mut client, SYNC);
        client.assert_lives();
    });
}

#[test]
fn cancel_request_answers_the_client_and_drops_what_an_async_command_awaits() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        cancel(&server, &mut client, ASYNC);
        client.assert_lives();
    });
}

#[test]
fn cancel_request_tells_a_channel_command_and_leaves_its_channels_open() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        cancel(&server, &mut client, CHANNELS);
        for number in 0..5 {
            client.notify("$/progress", &json!({ "token": UP, "value": number }));
        }
        client.notify("$/progressEnd", &json!({ "token": UP }));
        let count = client.read();
        assert_eq!(count["params"], json!({ "token": DOWN, "value": 5 }), "{count}");
        let end = client.read();
        assert_eq!(
            (&end["method"], &end["params"]["token"]),
            (&"$/progressEnd".into(), &DOWN.into())
        );
        // No second answer.
        client.assert_lives();
        server.wait_entered(&format!("{CHANNELS} reads ok"), 1);
        server.wait_entered(&format!("{CHANNELS} sends ok"), 1);
    });
}

#[test]
fn a_json_rpc_client_that_is_gone_cancels_its_commands_of_every_kind() {
    bounded(|| {
        let server = Served::usual();
        for column in [SYNC, ASYNC, CHANNELS] {
            let mut client = server.client();
            begin(&server, &mut client, column);
            drop(client);
            assert_told(&server, column);
        }
        // What ends first is its input.
        server.wait_entered(&format!("{CHANNELS} reads link-closed"), 1);
        server.wait_entered(&format!("{CHANNELS} sends peer-died"), 1);
    });
}

#[test]
fn the_end_of_the_server_ends_json_rpc_clients_without_an_answer() {
    bounded(|| {
        for column in [SYNC, ASYNC, CHANNELS] {
            let server = Served::usual();
            let mut client = server.client();
            begin(&server, &mut client, column);
            server.running.stop();
            while let Some((_, text)) = client.message() {
                // Channels may say that they are over; the call has no outcome.
                let message: Value = serde_json::from_str(&text).expect("JSON");
                assert!(message.get("id").is_none(), "{message}");
            }
        }
    });
}
