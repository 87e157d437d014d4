//! Bytes of any kind.

use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tramline::compat_json::jsonrpc::{Deframer, Received};
use tramline::{JsonRpc, Server};
use tramline_tests::bounded;
use tramline_tests::commands;
use tramline_tests::fixture::limits;
use tramline_tests::random::Random;

/// How many streams are made up. A choice: some seconds.
const CASES: u64 = 1500;

/// What streams are made of: whole messages, and what comes close.
const PIECES: &[&[u8]] = &[
    br#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#,
    br#"{"jsonrpc":"2.0","id":"x","method":"echo","params":{"value":[{}]}}"#,
    br#"{"jsonrpc":"2.0","id":null,"method":"later","params":[1]}"#,
    br#"{"jsonrpc":"2.0","method":"up","params":[1]}"#,
    br#"{"jsonrpc":"2.0","id":2,"method":"emit_numbers","params":["down",0,3]}"#,
    br#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}"#,
    br#"{"jsonrpc":"2.0","method":"$/setTrace","params":{"value":"verbose"}}"#,
    br#"{"jsonrpc":"2.0","method":"$/listen","params":{"event":"down"}}"#,
    br#"{"jsonrpc":"2.0","id":3,"method":"panics_inline"}"#,
    b"[",
    b"]",
    b",",
    b"{",
    b"}",
    b":",
    b"\"",
    b"\"id\":",
    b"\\ud800",
    b"null",
    b"1e400",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"Content-Length: 54\r\n\r\n",
    b"Content-Length: ",
    b"7",
    b"\xff",
    b"\0",
];

fn made_up(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.below(40) {
        match random.below(12) {
            0 => bytes.extend(random.bytes(usize::try_from(random.clone().below(9)).unwrap_or(0))),
            1 | 2 => bytes.push(b'\n'),
            _ => {
                let piece = usize::try_from(random.below(PIECES.len() as u64)).unwrap_or(0);
                bytes.extend_from_slice(PIECES[piece]);
            }
        }
    }
    bytes
}

/// Gives its bytes in pieces of up to so many.
struct Pieces(Cursor<Vec<u8>>, usize);

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let len = buf.len().min(self.1);
        self.0.read(&mut buf[..len])
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that was written has to be messages, each answer to something that was asked.
fn assert_is_protocol(written: &[u8], case: u64) {
    let mut deframer = Deframer::new(usize::MAX);
    let mut input = written;
    while let Some(received) = deframer.feed(&mut input).expect("our own headers") {
        let Received::Message { text, .. } = received else { panic!("too large") };
        let message: Value = serde_json::from_slice(&text).expect("JSON");
        let messages = message.as_array().cloned().unwrap_or_else(|| vec![message]);
        assert!(!messages.is_empty(), "an empty batch in case {case}");
        for message in messages {
            assert_eq!(message["jsonrpc"], "2.0");
            let members = ["result", "error", "method"].map(|name| message.get(name).is_some());
            assert_eq!(members.iter().filter(|is_there| **is_there).count(), 1, "{message}");
            assert_eq!(message.get("id").is_some(), message.get("method").is_none(), "{message}");
        }
    }
    assert!(deframer.is_between(), "half a message in case {case}");
}

#[test]
fn arbitrary_bytes_never_panic_and_never_hang() {
    // Panics of commands are answers; those of the server would show as lines that are missing.
    for chunk in 0..4 {
        bounded(move || {
            let mut random = Random::new(chunk);
            for case in 0..CASES / 4 {
                let bytes = made_up(&mut random);
                let piece = usize::try_from(1 + random.below(100)).unwrap_or(1);
                let written = Shared::default();
                let clients = JsonRpc::streams(Pieces(Cursor::new(bytes), piece), written.clone());
                let server = commands::serve(Server::new(), limits());
                server.serve_json_rpc(clients).wait().expect("it runs");
                let written = written.0.lock().expect("nobody panics");
                assert_is_protocol(&written, case);
            }
        });
    }
}

#[test]
fn whole_messages_between_garbage_lines_are_all_answered() {
    bounded(|| {
        let mut random = Random::new(7);
        let mut bytes = Vec::new();
        let mut expected = 0;
        for id in 0..2000 {
            if random.below(2) == 0 {
                // A colon behind a letter would begin a header.
                let garbage = random.bytes(usize::try_from(random.clone().below(40)).unwrap_or(0));
                bytes.push(b'#');
                bytes.extend(garbage.into_iter().filter(|byte| *byte != b'\n'));
                bytes.push(b'\n');
            } else {
                expected += id;
                let text = format!(
                    "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"add\",\"params\":[1,2]}}\n"
                );
                bytes.extend(text.into_bytes());
            }
        }
        let written = Shared::default();
        let clients = JsonRpc::streams(Cursor::new(bytes), written.clone());
        let server = commands::serve(Server::new(), limits());
        server.serve_json_rpc(clients).wait().expect("it runs");
        let written = written.0.lock().expect("nobody panics");
        let answers = written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let answers = answers.map(|line| serde_json::from_slice::<Value>(line).expect("JSON"));
        let found: u64 = answers
            .filter(|answer| answer["result"] == 3)
            .map(|answer| answer["id"].as_u64().expect("ours"))
            .sum();
        assert_eq!(found, expected);
    });
}
