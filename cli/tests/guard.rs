//! `tramline guard` as a script runs it: names, a filter program, and what becomes of one that fails.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tramline::{Capabilities, Client, InvokeError, Running, Server, command, commands};

/// Far longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[command]
fn greet(name: &str) -> String {
    format!("hello {name}")
}

#[command(rename = "admin/wipe")]
fn wipe() {
    unreachable!("the guard is in front of it");
}

fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("cli-guard-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A core in this process, and the guard as another one; it does not outlive its test.
struct Guarded {
    guard: Child,
    errors: BufReader<ChildStderr>,
    endpoint: String,
    _core: Running,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

impl Guarded {
    fn with(args: &[&str]) -> Self {
        let (core_endpoint, endpoint) = (unique_name(), unique_name());
        let core = Server::new().commands(commands![greet, wipe]).allow(Capabilities::all());
        let core = core.start(&core_endpoint).expect("a free name");
        let mut guard = Command::new(env!("CARGO_BIN_EXE_tramline"))
            .args(["guard", &endpoint, &core_endpoint])
            .args(args)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let errors = BufReader::new(guard.stderr.take().expect("piped"));
        let mut guarded = Self { guard, errors, endpoint, _core: core };
        assert!(guarded.line().starts_with("tramline: guarding "));
        guarded
    }

    /// With this shell program as its filter.
    fn filtered(script: &str) -> Self {
        Self::with(&["--timeout-ms", "60000", "--program", "sh", "-c", script])
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.errors.read_line(&mut line).expect("text");
        line
    }

    fn client(&self) -> Client {
        Client::connect(&self.endpoint).label("main").wait().expect("it serves")
    }
}

fn call(client: &Client, command: &str, args: Value) -> Result<Value, InvokeError> {
    client.invoke(command, args).timeout(PATIENCE).wait()
}

fn greets(client: &Client) -> Result<Value, InvokeError> {
    call(client, "greet", json!({ "name": "you" }))
}

/// The words of a guard's refusal.
fn refused(result: Result<Value, InvokeError>) -> String {
    match result {
        Err(e) if e.code() == "guard-refused" => e.to_string(),
        other => panic!("not refused by the guard: {other:?}"),
    }
}

#[test]
fn names_are_allowed_and_denied_by_glob() {
    for args in [
        &["--allow", "gre*", "--allow", "gr?et"][..],
        &["--deny", "admin/*"],
        &["--allow", "*", "--deny", "*wipe"],
    ] {
        let guarded = Guarded::with(args);
        let client = guarded.client();
        assert_eq!(greets(&client).expect("it passes"), "hello you");
        let text = refused(call(&client, "admin/wipe", json!({})));
        assert_eq!(text, "admin/wipe does not pass this guard");
    }
}

#[test]
fn a_filter_program_sees_json_lines_and_allows_rewrites_and_refuses() {
    let script = r#"while read -r line; do case "$line" in
        *'"kind":"invoke"'*'"name":"greet","label":"main","args":{"name":"old"}}') echo '{"verdict":"rewrite","args":{"name":"new"}}';;
        *'"kind":"invoke"'*'"name":"admin/wipe"'*) echo '{"verdict":"refuse","text":"not today"}';;
        *'"kind":"answer","toward":"client"'*'"args":"hello secret"}') echo '{"verdict":"rewrite","args":"hello nobody"}';;
        *) echo '{"verdict":"allow"}';;
    esac; done"#;
    let guarded = Guarded::filtered(script);
    let client = guarded.client();
    assert_eq!(greets(&client).expect("it passes"), "hello you");
    assert_eq!(call(&client, "greet", json!({ "name": "old" })).expect("it passes"), "hello new");
    let hidden = call(&client, "greet", json!({ "name": "secret" }));
    assert_eq!(hidden.expect("it passes"), "hello nobody");
    assert_eq!(refused(call(&client, "admin/wipe", json!({}))), "not today");
}

#[test]
fn a_filter_program_that_fails_refuses_everything_from_then_on() {
    let once =
        r#"read -r line; echo '{"verdict":"allow"}'; read -r line; echo '{"verdict":"allow"}';"#;
    for (then, why) in [
        ("exit 0", "the filter program has ended"),
        ("read -r line; echo nonsense; exec sleep 1000", "the filter program talks nonsense"),
        ("read -r line; echo '{}'; exec sleep 1000", "the filter program talks nonsense"),
        ("read -r line; kill -9 $$", "the filter program has ended"),
    ] {
        let mut guarded = Guarded::filtered(&format!("{once} {then}"));
        let client = guarded.client();
        assert_eq!(greets(&client).expect("the call and its answer pass"), "hello you");
        assert_eq!(refused(greets(&client)), why);
        assert_eq!(guarded.line(), format!("tramline: {why}; everything is refused from now on\n"));
        assert_eq!(refused(greets(&client)), "the filter program has ended");
        // For new clients, too.
        assert_eq!(refused(greets(&guarded.client())), "the filter program has ended");
    }
}

#[test]
fn a_filter_program_that_takes_too_long_is_killed_and_everything_refused() {
    let args = ["--ready-timeout-ms", "1", "--program", "sh", "-c", "exec sleep 1000"];
    let guarded = Guarded::with(&args);
    let client = guarded.client();
    assert_eq!(refused(greets(&client)), "the filter program takes too long");
    assert_eq!(refused(greets(&client)), "the filter program has ended");
}

#[test]
fn a_filter_program_that_cannot_be_started_is_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_tramline"))
        .args(["guard", &unique_name(), &unique_name(), "--program", "/nowhere/at-all"])
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.starts_with("tramline: cannot start the filter program: "), "{text}");
}
