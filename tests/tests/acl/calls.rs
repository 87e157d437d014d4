//! Commands, over real connections to a server in another process.

use serde_json::{Value, json};
use tramline::{Client, InvokeError, Rejection};
use tramline_tests::acl::{Settings, There};
use tramline_tests::{PATIENCE, Transport, bounded};

use crate::PEER;

const WIPES: [&str; 3] = ["wipe", "wipe_inline", "wipe_async"];

pub(crate) fn call(client: &Client, command: &str, args: Value) -> Result<Value, InvokeError> {
    client.invoke(command, args).timeout(PATIENCE).wait()
}

pub(crate) fn greets(client: &Client) -> bool {
    match call(client, "greet", json!({ "name": "you" })) {
        Ok(text) => text == "hello you",
        Err(InvokeError::Rejected(Rejection::Denied { .. })) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// The words of a denial.
pub(crate) fn denied(client: &Client, command: &str, args: Value) -> String {
    match call(client, command, args) {
        Err(InvokeError::Rejected(Rejection::Denied { text })) => text.into(),
        other => panic!("not denied: {other:?}"),
    }
}

fn one(windows: &[&str], permissions: &[&str]) -> Value {
    json!({ "identifier": "one", "windows": windows, "permissions": permissions })
}

fn on_each(settings: &Settings, check: impl Fn(&There) + Send + Clone + 'static) {
    for transport in [Transport::Shm, Transport::ShmShared, Transport::Pipe] {
        let (there, check) = (settings.serve(PEER, transport), check.clone());
        bounded(move || check(&there));
    }
}

#[test]
fn nothing_is_allowed_by_default() {
    on_each(&Settings::default(), |there| {
        let client = there.client("main");
        for command in ["greet", "wipe", "scopes", "plugin:fs|read_file", "counts", ""] {
            assert_eq!(
                denied(&client, command, json!({})),
                format!("Command {command} not allowed by ACL")
            );
        }
        let refused = client.listen("up", |_| {}).wait().expect_err("not allowed");
        assert_eq!(refused.code(), "capability-denied");
    });
}

#[test]
fn gate_decides_before_router_and_decoding() {
    on_each(&Settings::file(one(&["main"], &["allow-greet"])), |there| {
        let client = there.client("main");
        // The gate before the arguments: whatever they are, the answer is the same.
        for args in [json!({ "value": 1 }), json!({}), json!([1]), json!({ "value": { "a": [] } })]
        {
            for command in WIPES {
                denied(&client, command, args.clone());
            }
        }
        let raw = client.invoke_raw::<Value>("wipe", &[0xC1; 64]).wait().expect_err("denied");
        assert_eq!(raw.code(), "capability-denied");
        // The gate before the router: what is not there is not looked for.
        denied(&client, "no_such_command", json!({}));
        let before = there.counts();
        assert_eq!((before.ran, before.decoded), (0, 0));

        // The counters do move.
        let file = json!({ "identifier": "later", "windows": ["main"],
                           "permissions": ["allow-wipe", "allow-wipe-inline", "allow-wipe-async"] });
        there.control::<()>("add", json!({ "file": file }));
        for command in WIPES {
            call(&client, command, json!({ "value": 1 })).expect("allowed now");
        }
        let after = there.counts();
        assert_eq!((after.ran, after.decoded), (3, 3));
    });
}

#[test]
fn command_outside_the_set_is_denied_before_its_arguments_are_decoded() {
    on_each(&Settings::file(one(&["*"], &["deny-wipe", "allow-wipe", "allow-greet"])), |there| {
        let client = there.client("main");
        for _ in 0..100 {
            denied(&client, "wipe", json!({ "value": "x".repeat(1000) }));
        }
        assert!(greets(&client));
        let counts = there.counts();
        assert_eq!((counts.ran, counts.decoded), (0, 0));
    });
}

#[test]
fn denied_and_unknown_names_look_the_same_to_a_peer_without_rights() {
    on_each(&Settings::file(one(&["main"], &["allow-greet"])), |there| {
        for label in ["main", "other"] {
            let client = there.client(label);
            let answer = |command: &str| {
                let error = call(&client, command, json!({ "value": 1 })).expect_err("no");
                (error.code().to_owned(), error.to_string().replace(command, "<command>"))
            };
            let there_is = answer("wipe");
            for there_is_not in ["nothing", "plugin:fs|nothing", "plugin:nothing|at_all", "wip"] {
                assert_eq!(answer(there_is_not), there_is);
            }
        }
    });
}

#[test]
fn unknown_command_text_equals_tauri() {
    let permissions = r#"
        [[permission]]
        identifier = "ghosts"
        commands.allow = ["ghost", "plugin:fs|ghost", "plugin:ghosts|boo", "plugin:ghosts"]
    "#;
    let settings = Settings {
        permissions: Some(permissions.into()),
        ..Settings::file(one(&["main"], &["ghosts"]))
    };
    on_each(&settings, |there| {
        let client = there.client("main");
        for (command, text) in [
            ("ghost", "Command ghost not found"),
            ("plugin:fs|ghost", "Command ghost not found"),
            ("plugin:ghosts|boo", "plugin ghosts not found"),
            ("plugin:ghosts", "plugin ghosts not found"),
        ] {
            match call(&client, command, json!({})) {
                Err(InvokeError::Rejected(Rejection::UnknownCommand { text: found })) => {
                    assert_eq!(*found, *text);
                }
                other => panic!("{command}: {other:?}"),
            }
        }
    });
}

#[test]
fn tauri_default_opens_app_commands_to_local_peers() {
    let settings = Settings {
        tauri_default: true,
        admit: vec![
            ("main".into(), "local".into()),
            ("page".into(), "remote https://example.com".into()),
        ],
        capabilities: Some(json!({ "identifier": "no", "permissions": ["deny-wipe"] })),
        ..Settings::default()
    };
    on_each(&settings, |there| {
        let main = there.client("main");
        assert!(greets(&main));
        assert_eq!(call(&main, "read", json!({ "path": "x" })).expect("no scope"), "read x");
        // Still guarded: denied commands, plugins, events, remote peers.
        denied(&main, "wipe", json!({ "value": 1 }));
        denied(&main, "plugin:fs|read_file", json!({ "path": "x" }));
        assert_eq!(main.listen("up", |_| {}).wait().expect_err("no").code(), "capability-denied");
        assert!(!greets(&there.client("page")));
        let unknown = call(&main, "nothing", json!({})).expect_err("there is none");
        assert_eq!(unknown.to_string(), "Command nothing not found");
    });
    // An application with permission files has said what is open.
    let settings = Settings { permissions: Some(String::new()), ..settings };
    on_each(&settings, |there| assert!(!greets(&there.client("main"))));
}

#[test]
fn remote_peer_needs_a_remote_capability() {
    let file = json!([
        { "identifier": "local", "windows": ["*"], "permissions": ["allow-greet", "allow-scopes"] },
        { "identifier": "remote", "windows": ["page"], "permissions": ["allow-greet"],
          "local": false, "remote": { "urls": ["https://*.example.com"] } }
    ]);
    let admit = [("page", "https://app.example.com/x"), ("elsewhere", "https://app.example.org/")];
    let mut settings = Settings::file(file);
    for (label, url) in admit {
        settings.admit.push((label.into(), format!("remote {url}")));
    }
    settings.admit.push(("main".into(), "local".into()));
    on_each(&settings, |there| {
        let page = there.client("page");
        assert!(greets(&page));
        denied(&page, "scopes", json!({}));
        assert!(!greets(&there.client("elsewhere")));
        let main = there.client("main");
        assert!(greets(&main));
        call(&main, "scopes", json!({})).expect("allowed to local peers");
    });
}

#[test]
fn deny_ignores_labels() {
    let file = json!([
        { "identifier": "yes", "windows": ["main"], "permissions": ["allow-greet", "allow-scopes"] },
        { "identifier": "no", "windows": ["other"], "permissions": ["deny-greet"] }
    ]);
    on_each(&Settings::file(file), |there| {
        let main = there.client("main");
        assert!(!greets(&main));
        call(&main, "scopes", json!({})).expect("this one nobody denies");
    });
}

#[test]
fn allow_needs_context_and_one_glob() {
    let file = json!({
        "identifier": "some", "windows": ["main"], "webviews": ["side-*"],
        "permissions": ["allow-greet"]
    });
    on_each(&Settings::file(file), |there| {
        for (label, expected) in [("main", true), ("side-7", true), ("side", false), ("", false)] {
            assert_eq!(greets(&there.client(label)), expected, "{label:?}");
        }
        let unlabelled = there.connect_unlabelled().wait().expect("admitted");
        assert!(!greets(&unlabelled));
    });
}

#[test]
fn refusal_text_equals_tauri_release() {
    on_each(&Settings::file(one(&["main"], &["allow-greet"])), |there| {
        let other = there.client("other");
        for command in ["greet", "wipe", "plugin:fs|read_file", "größe", "a b\"c"] {
            let text = denied(&other, command, json!({}));
            assert_eq!(text, format!("Command {command} not allowed by ACL"));
        }
    });
}

#[test]
fn refusal_details_stay_in_our_log() {
    let settings = Settings::file(json!([
        { "identifier": "windows-of-ours", "windows": ["main"], "permissions": ["allow-greet"] },
        { "identifier": "never", "permissions": ["deny-wipe"] }
    ]));
    on_each(&settings, |there| {
        let other = there.client("other\n\"label");
        let text = denied(&other, "greet", json!({}));
        for secret in ["main", "windows-of-ours", "allow-greet", "label"] {
            assert!(!text.contains(secret), "{text}");
        }
        let log = there.next_denied();
        assert!(log.contains("may not invoke \"greet\""), "{log}");
        assert!(log.contains("permission `allow-greet` of capability `windows-of-ours`"), "{log}");
        assert!(log.contains("labels main (local)"), "{log}");
        // What the peer chose is quoted: no line of its own in our log.
        assert!(log.contains(r#"its label is "other\n\"label", its class local"#), "{log}");
        denied(&other, "wipe", json!({}));
        let log = there.next_denied();
        assert!(log.contains("denied by permission `deny-wipe` of capability `never`"), "{log}");
        denied(&other, "nothing", json!({}));
        let log = there.next_denied();
        assert!(log.contains("no capability allows it"), "{log}");
    });
}

#[test]
fn refused_call_leaves_the_link_open() {
    on_each(&Settings::file(one(&["main"], &["allow-greet"])), |there| {
        let client = there.client("main");
        for _ in 0..200 {
            denied(&client, "wipe", json!({ "value": 1 }));
            assert!(greets(&client));
        }
        assert!(client.ended().is_none());
        let (denied, over): (u64, u64) = there.control("refusals", json!({ "label": "main" }));
        assert_eq!((denied, over), (200, 0));
    });
}
