//! Scopes, as commands are given them.

use serde_json::{Value, json};
use tramline::Client;
use tramline_tests::acl::{Settings, There};
use tramline_tests::{Transport, bounded};

use crate::calls::call;
use crate::{PEER, fixture};

fn serve(file: Value) -> There {
    Settings::file(file).serve(PEER, Transport::Shm)
}

fn reads(client: &Client, command: &str, path: &str) -> bool {
    match call(client, command, json!({ "path": path })) {
        Ok(text) => text == format!("read {path}"),
        Err(e) => {
            assert_eq!(e.to_string(), "out of scope", "the command itself has said no");
            false
        }
    }
}

fn scoped(allow: Value, deny: Value) -> Value {
    json!({ "identifier": "x", "windows": ["main"], "permissions": [
        { "identifier": "allow-read", "allow": allow, "deny": deny }
    ] })
}

#[test]
fn scope_deny_wins() {
    let srv = json!([{ "path": "/srv/" }]);
    let secret = json!([{ "path": "/srv/secret" }, { "path": "/etc" }]);
    bounded(move || {
        let there = serve(scoped(srv, secret));
        let main = there.client("main");
        for (path, expected) in
            [("/srv/a", true), ("/srv/secret/a", false), ("/etc/passwd", false), ("/home", false)]
        {
            assert_eq!(reads(&main, "read", path), expected, "{path}");
        }
    });
}

#[test]
fn nothing_listed_as_allowed_is_everything_that_is_not_denied() {
    bounded(|| {
        let there = serve(scoped(json!([]), json!([{ "path": "/etc" }])));
        let main = there.client("main");
        assert!(reads(&main, "read", "/home"));
        assert!(!reads(&main, "read", "/etc/passwd"));
    });
}

#[test]
fn scopes_of_matching_entries_unite() {
    let read = |path: &str| json!({ "identifier": "allow-read", "allow": [{ "path": path }] });
    let file = json!([
        { "identifier": "a", "windows": ["main"], "permissions": [read("/a")] },
        { "identifier": "b", "windows": ["m*"], "permissions": [read("/b")] },
        { "identifier": "c", "windows": ["other"], "permissions": [read("/c")] },
    ]);
    bounded(move || {
        let there = serve(file);
        let expected = [("main", [true, true, false]), ("more", [false, true, false])];
        for (label, expected) in expected {
            let client = there.client(label);
            let found = ["/a", "/b", "/c"].map(|path| reads(&client, "read", path));
            assert_eq!(found, expected, "{label}");
        }
    });
}

#[test]
fn scopes_reach_plain_inline_and_async_commands_the_same() {
    let entry = |id: &str| json!({ "identifier": id, "allow": [{ "path": "/x" }] });
    let file = json!({ "identifier": "x", "windows": ["main"], "permissions": [
        entry("allow-read"), entry("allow-scopes"), entry("fs:allow-read-file"),
        entry("fs:allow-scopes")
    ] });
    bounded(move || {
        let there = serve(file);
        let main = there.client("main");
        for command in ["read", "plugin:fs|read_file"] {
            assert!(reads(&main, command, "/x/y"));
            assert!(!reads(&main, command, "/y"));
        }
        for command in ["scopes", "plugin:fs|scopes"] {
            let (command_scope, global): (Value, Value) =
                serde_json::from_value(call(&main, command, json!({})).expect("allowed"))
                    .expect("a pair");
            assert_eq!(command_scope, json!({ "allows": [{ "path": "/x" }], "denies": [] }));
            assert_eq!(global, json!({ "allows": [], "denies": [] }));
        }
    });
}

#[test]
fn global_scope_reaches_the_handler() {
    bounded(|| {
        let settings = Settings { folder: Some(fixture()), ..Settings::default() };
        let there = settings.serve(PEER, Transport::Shm);
        // By the project's files: `global-limits` is in the application's default, `scope-shared`
        // in that of `fs`.
        let main = there.client("main");
        let global = |command: &str| {
            let pair: (Value, Value) =
                serde_json::from_value(call(&main, command, json!({})).expect("allowed"))
                    .expect("a pair");
            pair.1
        };
        let app = global("scopes");
        assert_eq!(app["allows"][0]["root"], "/srv");
        assert_eq!(app["allows"].as_array().map(Vec::len), Some(1));
        assert_eq!(app["denies"], json!([]));
        let shared = json!({
            "allows": [{ "path": "/srv/shared/" }], "denies": [{ "path": "/srv/shared/.git/" }]
        });
        assert_eq!(global("plugin:fs|scopes"), shared);
    });
}

#[test]
fn a_scope_that_its_command_cannot_read_refuses_and_tells_only_us() {
    let file = json!({ "identifier": "x", "windows": ["main"], "permissions": [
        { "identifier": "allow-bad-scope", "allow": [{ "pfad": "/secret/place" }] }
    ] });
    bounded(move || {
        let there = serve(file);
        let main = there.client("main");
        let error = call(&main, "bad_scope", json!({})).expect_err("it cannot be read");
        assert_eq!(error.code(), "bad-arguments");
        assert_eq!(error.to_string(), "the scope of command `bad_scope` cannot be read");
        let log = there.next_denied();
        assert!(log.contains("missing field `path`"), "{log}");
    });
}
