//! Lines and headers.

use serde_json::json;
use tramline::compat_json::jsonrpc::Framing;
use tramline_tests::bounded;
use tramline_tests::json_rpc::Served;

use crate::error_of;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#;

#[test]
fn framing_is_told_apart_by_the_first_byte() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for framing in [Framing::Lines, Framing::Headers, Framing::Headers, Framing::Lines] {
            client.say(framing, CALL);
            let (found, text) = client.message().expect("an answer");
            assert_eq!((found, &*text), (framing, r#"{"jsonrpc":"2.0","result":3,"id":1}"#));
        }
        client.send(format!(" \r\n\t {CALL}\r\n"));
        assert_eq!(client.message().expect("an answer").0, Framing::Lines);
        client.send("\n \ncontent-type: application/json\ncontent-length: 7\n\n[\r\n\r\n] ");
        assert_eq!(client.message().expect("an answer").0, Framing::Headers);
    });
}

#[test]
fn lengths_are_bytes_and_not_characters() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        let call = r#"{"jsonrpc":"2.0","id":"größe","method":"echo_text","params":["日本 😀"]}"#;
        client.say(Framing::Headers, call);
        let (_, text) = client.message().expect("an answer");
        assert_eq!(text, r#"{"jsonrpc":"2.0","result":"日本 😀","id":"größe"}"#);
        client.assert_lives();
    });
}

#[test]
fn a_message_may_come_byte_by_byte() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for framing in [Framing::Headers, Framing::Lines] {
            for byte in framing.frame(CALL.into()) {
                client.send([byte]);
            }
            assert_eq!(client.read()["result"], 3);
        }
    });
}

#[test]
fn a_line_that_is_no_json_is_answered_and_the_link_lives() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for garbage in ["hello", "help me", "}", "\"", "1 2", "{\"a\":}", "nul", "GET / HTTP/1.1"] {
            let answer = client.ask(garbage);
            assert_eq!(error_of(&answer), (-32700, "parse-error"), "{garbage}");
            assert_eq!(answer["id"], json!(null));
            client.assert_lives();
        }
        client.send(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}\n");
        let answer = client.read();
        assert_eq!(error_of(&answer), (-32700, "parse-error"));
        assert_eq!(answer["error"]["data"]["offset"], 34);
        client.assert_lives();
    });
}

#[test]
fn a_body_that_is_no_json_is_answered_and_the_next_header_is_found() {
    bounded(|| {
        let server = Served::usual();
        let mut client = server.client();
        for garbage in ["", "{", "hello\n\n", "[1,2", "Content-Length: 3\r\n\r\n"] {
            client.say(Framing::Headers, garbage);
            client.say(Framing::Headers, CALL);
            assert_eq!(error_of(&client.read()), (-32700, "parse-error"), "{garbage}");
            assert_eq!(client.read()["result"], 3);
        }
    });
}

#[test]
fn a_broken_header_ends_the_link_with_a_last_word() {
    bounded(|| {
        let server = Served::usual();
        for header in [
            "Content-Length: x\r\n\r\n",
            "Content-Length: -1\r\n\r\n",
            "Content-Length 5\r\n\r\n",
            "Content-Type: text/plain\r\n\r\n",
            "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
            "Content-Length: 2\r\n\x00\r\n\r\n{}",
            &format!("X: {}\r\n", "y".repeat(1 << 20)),
            &"X: y\r\n".repeat(1 << 16),
        ] {
            let mut client = server.client();
            client.assert_lives();
            // A megabyte of header need not be taken.
            let _ = client.try_send(header);
            if let Some((framing, text)) = client.message() {
                let answer = serde_json::from_str(&text).expect("JSON");
                assert_eq!(error_of(&answer), (-32600, "peer-fault"), "{text}");
                assert_eq!((framing, &answer["id"]), (Framing::Headers, &json!(null)));
                assert!(client.message().is_none());
            }
            let ended = server.ended();
            assert_eq!(ended.code(), "peer-fault", "{ended}");
        }
    });
}
