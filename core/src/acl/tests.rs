//! What code declares means what files declare; and what is said about a refusal. The rules
//! themselves are compared with Tauri's, case by case, in `tests/tests/acl/table.rs`.

use serde_json::json;

use super::*;

const COMMANDS: [&str; 4] = ["greet", "wipe", "read", "plugin:fs|read"];

fn rules(declared: &Capabilities) -> Rules {
    resolve(declared, &COMMANDS, Platform::Linux).expect("no mistake").0
}

fn local(label: &str) -> Subject<'_> {
    Subject { label, class: &PeerClass::Local }
}

/// Every decision about a few peers.
fn decisions(rules: &Rules) -> Vec<String> {
    let remote = PeerClass::Remote { origin: "https://example.com/".into() };
    let mut all = Vec::new();
    for class in [&PeerClass::Local, &remote] {
        for label in ["main", "side-1", "other", ""] {
            let subject = Subject { label, class };
            for command in COMMANDS {
                all.push(format!("{label} {command} {:?}", rules.access(subject, command)));
            }
            for event in ["tick", "progress/a", "admin/reset"] {
                let right = |asked| rules.events(subject, asked).allow(event);
                all.push(format!("{label} {event} {:?}", [Asked::Listen, Asked::Emit].map(right)));
            }
        }
    }
    all
}

#[test]
fn code_and_files_declare_the_same() {
    let text = json!([
        {
            "identifier": "a",
            "webviews": ["main", "side-*"],
            "remote": { "urls": ["https://example.com"] },
            "permissions": [
                "allow-greet",
                { "identifier": "allow-read", "allow": [{ "path": "/a" }], "deny": ["b"] },
                { "identifier": "core:event:allow-listen", "allow": [{ "event": "progress/*" }] },
                { "identifier": "core:event:allow-emit", "allow": [{ "event": "tick" }] },
            ]
        },
        {
            "identifier": "b", "windows": ["*"],
            "permissions": [
                "allow-wipe",
                { "identifier": "core:event:allow-listen", "allow": [{ "event": "tick" }] },
                { "identifier": "core:event:allow-emit", "allow": [{ "event": "*" }] },
                { "identifier": "core:event:deny-emit", "deny": [{ "event": "admin/*" }] },
            ]
        },
        { "identifier": "c", "local": false, "windows": ["*"], "permissions": ["fs:allow-read"],
          "remote": { "urls": ["https://*"] } },
        { "identifier": "d", "permissions": ["deny-wipe"] },
    ]);
    let file = CapabilityFile::parse(&text.to_string(), Format::Json).expect("a good file");
    let by_file = Capabilities::none().with_file(file);
    let a = Capability::new("a")
        .label("main")
        .label("side-*")
        .remote_url("https://example.com")
        .command("greet")
        .command_scoped("read", Scopes::new().allow(json!({ "path": "/a" })).deny(json!("b")))
        .listen("progress/*")
        .emit("tick");
    let b = Capability::new("b").command("wipe").listen("tick").emit("*").deny_emit("admin/*");
    let c = Capability::new("c").not_local().remote_url("https://*").command("plugin:fs|read");
    let d = Capability::new("d").deny_command("wipe");
    let by_code = Capabilities::none().with(a).with(b).with(c).with(d);
    assert_eq!(decisions(&rules(&by_code)), decisions(&rules(&by_file)));
}

#[test]
fn the_short_forms_are_one_capability_of_local_peers() {
    let declared = Capabilities::none().command("greet").event("tick");
    let declared = declared.and(Capabilities::none().commands(["read"]).events(["tock"]));
    assert_eq!(declared.identifiers().count(), 1);
    let rules = rules(&declared);
    for label in ["", "any"] {
        for (command, expected) in [("greet", true), ("read", true), ("wipe", false)] {
            assert_eq!(rules.access(local(label), command).is_allowed(), expected);
        }
        for asked in [Asked::Listen, Asked::Emit] {
            let rights = rules.events(local(label), asked);
            assert!(rights.allow("tick") && rights.allow("tock") && !rights.allow("tack"));
        }
    }
    let remote = PeerClass::Remote { origin: "https://example.com".into() };
    assert!(!rules.access(Subject { label: "", class: &remote }, "greet").is_allowed());
}

#[test]
fn all_is_everything_for_local_peers_and_nothing_for_others() {
    let rules = rules(&Capabilities::all());
    for command in ["greet", "no such command", "plugin:fs|read", "*"] {
        assert!(rules.access(local("x"), command).is_allowed());
    }
    assert!(rules.events(local("x"), Asked::Listen).allow("anything"));
    assert!(!rules.events(local("x"), Asked::Invoke).allow("anything"), "that is no event right");
    let remote = PeerClass::Remote { origin: "https://example.com".into() };
    let subject = Subject { label: "x", class: &remote };
    assert!(!rules.access(subject, "greet").is_allowed());
    assert!(!rules.events(subject, Asked::Emit).allow("anything"));
}

#[test]
fn a_star_in_a_file_is_a_name_like_any_other() {
    let text = "[[permission]]\nidentifier = \"x\"\ncommands.allow = [\"*\"]";
    let Ok(file) = PermissionFile::parse(text, Format::Toml) else {
        return; // Built without TOML.
    };
    let name: Identifier = "x".parse().expect("well formed");
    let by_name = Capability::new("c").permission(name);
    let rules = rules(&Capabilities::none().with(by_name).with_permissions(file));
    assert!(!rules.access(local("main"), "greet").is_allowed());
}

#[test]
fn everything_but_some_commands() {
    let declared = Capabilities::all().with(Capability::new("no").deny_command("wipe"));
    let rules = rules(&declared);
    assert!(rules.access(local("main"), "greet").is_allowed());
    assert!(!rules.access(local("main"), "wipe").is_allowed());
}

#[test]
fn a_refusal_is_explained_by_what_would_have_allowed_it() {
    let declared = Capabilities::none()
        .with(Capability::new("main").label("main").label("side-*").command("greet"))
        .with(Capability::new("never").deny_command("wipe"))
        .with(Capability::new("ears").label("ear").listen("tick"));
    let rules = rules(&declared);
    let why = |asked, name| rules.explain(local("other"), asked, name);
    assert_eq!(
        why(Asked::Invoke, "greet"),
        "its label is \"other\", its class local; permission `(code)` of capability `main` \
         allows it to labels main, side-* (local)"
    );
    assert_eq!(why(Asked::Invoke, "wipe"), "denied by permission `(code)` of capability `never`");
    assert_eq!(why(Asked::Invoke, "read"), "no capability allows it");
    assert_eq!(why(Asked::Emit, "tick"), "no capability allows it");
    assert!(why(Asked::Listen, "tick").contains("allows it to labels ear (local)"));
}

#[test]
fn only_scopes_that_are_said_are_carried_along() {
    let declared = Capabilities::none()
        .command("greet")
        .with(Capability::new("g").global_scope(Scopes::new().allow(json!(1))));
    let rules = rules(&declared);
    let Access::Allowed(Some(scopes)) = rules.access(local(""), "greet") else {
        panic!("the application has a global scope");
    };
    assert_eq!((scopes.command.allow(), scopes.global.allow()), (&[][..], &[json!(1)][..]));
    let declared = Capabilities::none().command("greet").command("plugin:fs|read");
    let rules = self::rules(&declared);
    assert!(matches!(rules.access(local(""), "greet"), Access::Allowed(None)));
}

/// Only to be seen when this crate is tested by itself.
#[cfg(not(feature = "remote-urls"))]
#[test]
fn without_url_patterns_remote_peers_are_allowed_nothing_and_denied_what_anybody_is() {
    let declared = Capabilities::none()
        .with(Capability::new("yes").remote_url("https://*").command("greet"))
        .with(Capability::new("no").not_local().remote_url("https://other").deny_command("wipe"));
    let (rules, warnings) = resolve(&declared, &COMMANDS, Platform::Linux).expect("no mistake");
    let remote = PeerClass::Remote { origin: "https://example.com".into() };
    let subject = Subject { label: "x", class: &remote };
    assert!(!rules.access(subject, "greet").is_allowed());
    assert!(rules.access(local("x"), "greet").is_allowed());
    assert!(rules.explain(subject, Asked::Invoke, "wipe").contains("denied by"));
    assert_eq!(warnings.len(), 2);
}
