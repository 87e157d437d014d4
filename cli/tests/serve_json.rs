//! `tramline serve-json` as a shell, an editor or a script runs it.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tramline::compat_json::jsonrpc::{Deframer, Framing, Received};

/// Far longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of this test's own with one file, removed at its end.
struct TestFolder(PathBuf);

impl TestFolder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("serve-json-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a folder for the test");
        std::fs::write(path.join("README.md"), "hello\n").expect("a file for the test");
        Self(path)
    }

    /// The program in this folder.
    fn serve(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tramline"));
        command.current_dir(&self.0).arg("serve-json").args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What comes out when all of this goes in.
    fn pipe(&self, input: impl AsRef<[u8]>) -> Output {
        let mut child = self.serve(&["--stdio"]).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.as_ref().to_vec();
        // What is in the way of one direction must not be in the way of the other.
        let writing = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().expect("it ends");
        let _ = writing.join();
        output
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that does not outlive its test.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// Every message of an output that consists of nothing else.
fn messages(output: &Output) -> Vec<(Framing, Value)> {
    let mut deframer = Deframer::new(usize::MAX);
    let mut bytes = &output.stdout[..];
    let mut found = Vec::new();
    while let Some(received) = deframer.feed(&mut bytes).expect("good headers") {
        let Received::Message { framing, text } = received else { panic!("without a limit") };
        let message: Value = serde_json::from_slice(&text).expect("nothing but JSON");
        assert!(message.is_array() || message["jsonrpc"] == "2.0", "{message}");
        found.push((framing, message));
    }
    assert!(deframer.is_between());
    found
}

/// BLAKE3 of the file that every folder has.
fn digest() -> Value {
    let hash = blake3::hash(b"hello\n").to_hex().to_string();
    json!({ "len": 6, "blake3": hash })
}

#[test]
fn a_request_that_is_piped_in_gives_its_answer_out() {
    let folder = TestFolder::new();
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"digest","params":{"path":"README.md"}}"#;
    for input in [request.to_owned(), format!("{request}\n")] {
        let output = folder.pipe(input);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(text(&output.stderr), "");
        let answer = json!({ "jsonrpc": "2.0", "result": digest(), "id": 1 });
        assert_eq!(messages(&output), [(Framing::Lines, answer)]);
    }
}

#[test]
fn batches_and_notifications_are_served_too() {
    let folder = TestFolder::new();
    let output = folder.pipe(
        r#"[{"jsonrpc":"2.0","id":"a","method":"digest","params":["README.md"]},{"jsonrpc":"2.0","method":"digest"},1]
{"jsonrpc":"2.0","method":"emit_ticks","params":{"count":2,"maxMs":60000}}
[{"jsonrpc":"2.0","method":"nobody"}]
"#,
    );
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    let mut found: Vec<_> = messages(&output).into_iter().map(|(_, message)| message).collect();
    let batch = found.iter().position(Value::is_array).expect("an answer");
    assert_eq!(found.remove(batch).as_array().map(Vec::len), Some(2));
    let tick =
        |number| json!({ "jsonrpc": "2.0", "method": "tick", "params": { "number": number } });
    let done = json!({ "jsonrpc": "2.0", "method": "ticks-done", "params": [2] });
    assert_eq!(found, [tick(0), tick(1), done]);
}

#[test]
fn stdout_carries_only_protocol() {
    let folder = TestFolder::new();
    let request = |id: u32, method: &str, params: Value| {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        request.to_string().into_bytes()
    };
    let mut input = Vec::new();
    for framing in [Framing::Headers, Framing::Lines] {
        for (id, method, params) in [
            (1, "digest", json!({ "path": "README.md" })),
            (2, "scan", json!({ "path": ".", "fittingLen": 100 })),
            (3, "read_file", json!({ "path": "README.md" })),
            (4, "read_file", json!({ "path": "../.." })),
            (5, "digest", json!({ "path": "no-such-file" })),
            (6, "digest", json!([1])),
            (7, "no-such-command", json!([])),
            (8, "emit_ticks", json!([1000, 60_000])),
        ] {
            input.extend(framing.frame(request(id, method, params)));
        }
        input.extend(framing.frame(b"{\"garbage\"".to_vec()));
        input.extend(framing.frame(b"[]".to_vec()));
    }
    let output = folder.pipe(input);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    let found = messages(&output);
    for framing in [Framing::Headers, Framing::Lines] {
        let answers = found.iter().filter(|(found, message)| {
            *found == framing && message.get("id").is_some_and(Value::is_u64)
        });
        assert_eq!(answers.count(), 8);
    }
    let events = found.iter().filter(|(_, message)| message.get("method").is_some()).count();
    // Each scan tells of its progress once.
    assert_eq!(events, 2 * (1000 + 1 + 1));
    assert_eq!(found.len(), events + 2 * (8 + 2));
}

#[test]
fn a_broken_header_is_one_line_on_stderr_and_exit_code_1() {
    let folder = TestFolder::new();
    let output = folder.pipe("Content-Length: none\r\n\r\n{}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "tramline: the client was cut off: the peer broke the protocol at header: a Content-Length \
         that is no number\n"
    );
    assert_eq!(messages(&output)[0].1["error"]["code"], -32600);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = TestFolder::new();
    let mut child = folder.serve(&["--stdio"]).spawn().map(Reaped).expect("it starts");
    let mut stdin = child.0.stdin.take().expect("piped");
    let mut stdout = BufReader::new(child.0.stdout.take().expect("piped"));
    let endless = r#"{"jsonrpc":"2.0","id":1,"method":"emit_ticks","params":[1000000000,600000]}"#;
    writeln!(stdin, "{endless}").expect("it reads");
    stdout.read_line(&mut String::new()).expect("a line");
    drop(stdout);
    // Its input stays open.
    assert_eq!(child.0.wait().expect("it ends").code(), Some(0));
    let mut stderr = String::new();
    child.0.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    assert_eq!(stderr, "");
}

#[test]
fn a_socket_serves_several_clients_one_after_the_other_and_at_once() {
    let folder = TestFolder::new();
    let mut child =
        folder.serve(&["--socket", "json.sock"]).spawn().map(Reaped).expect("it starts");
    let mut stderr = BufReader::new(child.0.stderr.take().expect("piped"));
    let mut told = String::new();
    stderr.read_line(&mut told).expect("a line");
    assert_eq!(told, "tramline: serving JSON-RPC at json.sock\n");
    let connect = || {
        let stream = UnixStream::connect(folder.0.join("json.sock")).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        (BufReader::new(stream.try_clone().expect("descriptors")), stream)
    };
    let mut clients = [connect(), connect()];
    for (reader, writer) in clients.iter_mut().rev() {
        let request = r#"{"jsonrpc":"2.0","id":1,"method":"digest","params":["README.md"]}"#;
        writeln!(writer, "{request}").expect("it reads");
        let mut answer = String::new();
        reader.read_line(&mut answer).expect("an answer");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["result"], digest());
    }
    let second = folder.serve(&["--socket", "json.sock"]).output().expect("it starts");
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(
        text(&second.stderr),
        "tramline: cannot serve: `json.sock` is served by another process\n"
    );
}

#[test]
fn without_a_place_the_usage_is_one_line_and_exit_code_2() {
    let folder = TestFolder::new();
    for args in [&[][..], &["--stdio", "--socket", "x"]] {
        let output = folder.serve(args).output().expect("it starts");
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""));
        let told = text(&output.stderr);
        assert!(told.contains("--stdio") && told.lines().count() == 1, "{told}");
    }
    let output = folder.serve(&["--stdio", "no-such-folder"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "tramline: cannot read `no-such-folder`: no such file or directory\n"
    );
}
