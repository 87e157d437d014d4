//! Integers that JavaScript would round.

use serde_json::json;
use tramline::compat_json::Integers;
use tramline::{Server, command, commands};
use tramline_tests::bounded;
use tramline_tests::fixture::limits;
use tramline_tests::json_rpc::{Client, Served};

use crate::error_of;

/// One more than JavaScript knows each of.
const BEYOND: &str = "9007199254740992";

#[command(inline)]
fn refuse_number(number: u64) -> Result<(), u64> {
    Err(number)
}

fn served(integers: Integers) -> Served {
    let server = tramline_tests::commands::serve(Server::new(), limits());
    let server = server.commands(commands![refuse_number]);
    Served::with_integers(server.allow(tramline::Capabilities::all()), integers)
}

/// The text of the answer to a call with one parameter, which is JSON.
fn answer(client: &mut Client, method: &str, param: &str) -> String {
    client.line(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[{param}]}}"#));
    client.message().expect("an answer").1
}

#[test]
fn integers_beyond_2_pow_53_are_exact_where_nothing_else_was_chosen() {
    bounded(|| {
        let server = served(Integers::Exact);
        let mut client = server.client();
        for number in [BEYOND, "18446744073709551615", "-9223372036854775808", "[{\"a\":-1}]"] {
            let text = answer(&mut client, "echo", number);
            assert!(text.contains(&format!("\"result\":{number},")), "{text}");
        }
    });
}

#[test]
fn integers_beyond_2_pow_53_are_text_where_that_was_chosen() {
    bounded(|| {
        let server = served(Integers::String);
        let mut client = server.client();
        let text =
            answer(&mut client, "echo", &format!("[9007199254740991,{BEYOND},-{BEYOND},1.5]"));
        let expected = format!("[9007199254740991,\"{BEYOND}\",\"-{BEYOND}\",1.5]");
        assert!(text.contains(&format!("\"result\":{expected},")), "{text}");
        let text = answer(&mut client, "refuse_number", BEYOND);
        assert!(text.contains(&format!("\"value\":\"{BEYOND}\"")), "{text}");
        client.line(format!(
            r#"{{"jsonrpc":"2.0","id":2,"method":"emit_numbers","params":["down",{BEYOND},1]}}"#
        ));
        assert_eq!(client.read()["params"], json!([BEYOND]));
        assert_eq!(client.read()["id"], 2);
    });
}

#[test]
fn integers_beyond_2_pow_53_are_an_error_where_that_was_chosen_and_the_link_lives() {
    bounded(|| {
        let server = served(Integers::Refuse);
        let mut client = server.client();
        assert_eq!(
            client.call("echo", &json!([9_007_199_254_740_991_u64]))["result"],
            9_007_199_254_740_991_u64
        );
        for method in ["echo", "refuse_number"] {
            let refused = client.call(method, &json!([9_007_199_254_740_992_u64]));
            assert_eq!(error_of(&refused), (-32603, "result-not-encodable"), "{refused}");
        }
        // An event that is refused is not sent, and whoever emits it is told.
        let emitted = client.call("emit_numbers", &json!(["down", 9_007_199_254_740_992_u64, 1]));
        assert_eq!(error_of(&emitted), (-32000, "command-failed"), "{emitted}");
        client.assert_lives();
    });
}
