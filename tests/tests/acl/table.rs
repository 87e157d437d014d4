//! The rules of SEMANTICS rows 66 to 78, case by case: what is declared, who asks for what, and what
//! the answer is. Where Tauri has a word on it, it decides the same: `tauri-utils` 2.10.2 was asked.

use serde_json::Value;
use tramline::PeerClass;
use tramline::acl::{
    Access, Asked, Capabilities, CapabilityFile, Format, PermissionFile, Platform, Subject, resolve,
};

use crate::COMMANDS;

/// Permissions that some of the cases name.
const PERMISSIONS: &str = r#"
    [default]
    permissions = ["allow-greet"]

    [[set]]
    identifier = "outer"
    permissions = ["inner", "allow-read"]

    [[set]]
    identifier = "inner"
    permissions = ["allow-wipe", "fs:default"]

    [[permission]]
    identifier = "both"
    commands.allow = ["greet"]
    commands.deny = ["greet"]

    [[permission]]
    identifier = "mixed"
    commands.allow = ["greet", "read"]
    commands.deny = ["wipe"]

    [[permission]]
    identifier = "on-windows"
    platforms = ["windows"]
    commands.allow = ["greet"]

    [[permission]]
    identifier = "not-on-windows"
    platforms = ["linux", "macOS"]
    commands.allow = ["greet"]

    [[permission]]
    identifier = "scoped"
    commands.allow = ["read"]
    [permission.scope]
    allow = ["a"]
    deny = ["b"]

    [[permission]]
    identifier = "empty-scope"
    commands.allow = ["read"]
    scope.allow = []
"#;

const FS_PERMISSIONS: &str = r#"
    [default]
    permissions = ["allow-read-file"]
"#;

/// Who asks.
#[derive(Clone, Copy)]
enum Who {
    Local(&'static str),
    Remote(&'static str, &'static str),
}
use Who::{Local, Remote};

/// What for, and the answer.
#[derive(Clone, Copy)]
enum Ask {
    Yes(&'static str),
    No(&'static str),
    /// The scope's two lists, as JSON.
    Scope(&'static str, &'static str, &'static str),
    Hears(&'static str),
    Deaf(&'static str),
    Emits(&'static str),
    Mute(&'static str),
}
use Ask::{Deaf, Emits, Hears, Mute, No, Scope, Yes};

struct Case {
    name: &'static str,
    /// Entries of a capability file's list, without braces and identifiers.
    declared: &'static [&'static str],
    asked: &'static [(Who, Ask)],
}

const CASES: &[Case] = &[
    Case {
        name: "nothing declared, nothing allowed",
        declared: &[],
        asked: &[
            (Local("main"), No("greet")),
            (Local("main"), No("plugin:fs|read_file")),
            (Local("main"), Deaf("tick")),
            (Local("main"), Mute("tick")),
            (Remote("main", "https://example.com"), No("greet")),
        ],
    },
    Case {
        name: "a generated permission allows its command and no other",
        declared: &[r#""windows": ["main"], "permissions": ["allow-greet"]"#],
        asked: &[
            (Local("main"), Yes("greet")),
            (Local("main"), No("wipe")),
            (Local("main"), No("Greet")),
            (Local("main"), No("greet ")),
        ],
    },
    Case {
        name: "underscores are hyphens in identifiers only",
        declared: &[r#""windows": ["main"], "permissions": ["allow-wipe-inline"]"#],
        asked: &[(Local("main"), Yes("wipe_inline")), (Local("main"), No("wipe-inline"))],
    },
    Case {
        name: "a window's label is matched whole",
        declared: &[r#""windows": ["main"], "permissions": ["allow-greet"]"#],
        asked: &[
            (Local("main2"), No("greet")),
            (Local("amain"), No("greet")),
            (Local(""), No("greet")),
            (Local("Main"), No("greet")),
        ],
    },
    Case {
        name: "one glob is enough, of windows or of webviews",
        declared: &[
            r#""windows": ["main"], "webviews": ["side-*"], "permissions": ["allow-greet"]"#,
        ],
        asked: &[
            (Local("main"), Yes("greet")),
            (Local("side-1"), Yes("greet")),
            (Local("side-"), Yes("greet")),
            (Local("side"), No("greet")),
        ],
    },
    Case {
        name: "a star is any label, also none",
        declared: &[r#""windows": ["*"], "permissions": ["allow-greet"]"#],
        asked: &[
            (Local("main"), Yes("greet")),
            (Local(""), Yes("greet")),
            (Local("a/b"), Yes("greet")),
        ],
    },
    Case {
        name: "a question mark is one character, also a letter of two bytes",
        declared: &[r#""webviews": ["v-?"], "permissions": ["allow-greet"]"#],
        asked: &[
            (Local("v-1"), Yes("greet")),
            (Local("v-ß"), Yes("greet")),
            (Local("v-"), No("greet")),
            (Local("v-12"), No("greet")),
        ],
    },
    Case {
        name: "brackets are one of several characters",
        declared: &[r#""webviews": ["v[0-3]", "w[!x]"], "permissions": ["allow-greet"]"#],
        asked: &[
            (Local("v3"), Yes("greet")),
            (Local("v4"), No("greet")),
            (Local("wy"), Yes("greet")),
            (Local("wx"), No("greet")),
        ],
    },
    Case {
        name: "neither windows nor webviews is nobody",
        declared: &[r#""permissions": ["allow-greet"]"#],
        asked: &[(Local("main"), No("greet")), (Local(""), No("greet"))],
    },
    Case {
        name: "capabilities add up",
        declared: &[
            r#""windows": ["main"], "permissions": ["allow-greet"]"#,
            r#""windows": ["m*"], "permissions": ["allow-read"]"#,
        ],
        asked: &[
            (Local("main"), Yes("greet")),
            (Local("main"), Yes("read")),
            (Local("more"), Yes("read")),
            (Local("more"), No("greet")),
        ],
    },
    Case {
        name: "deny wins over allow in another capability",
        declared: &[
            r#""windows": ["main"], "permissions": ["allow-greet"]"#,
            r#""windows": ["main"], "permissions": ["deny-greet"]"#,
        ],
        asked: &[(Local("main"), No("greet"))],
    },
    Case {
        name: "deny ignores labels",
        declared: &[
            r#""windows": ["main"], "permissions": ["allow-greet", "allow-read"]"#,
            r#""windows": ["other"], "permissions": ["deny-greet"]"#,
        ],
        asked: &[
            (Local("main"), No("greet")),
            (Local("other"), No("greet")),
            (Local("main"), Yes("read")),
        ],
    },
    Case {
        name: "deny without any label denies everyone all the same",
        declared: &[
            r#""windows": ["main"], "permissions": ["allow-greet"]"#,
            r#""permissions": ["deny-greet"]"#,
        ],
        asked: &[(Local("main"), No("greet"))],
    },
    Case {
        name: "deny of another class does not count",
        declared: &[
            r#""windows": ["main"], "permissions": ["allow-greet"],
               "remote": { "urls": ["https://example.com"] }"#,
            r#""local": false, "remote": { "urls": ["https://example.com"] },
               "windows": ["main"], "permissions": ["deny-greet"]"#,
        ],
        asked: &[
            (Local("main"), Yes("greet")),
            (Remote("main", "https://example.com"), No("greet")),
        ],
    },
    Case {
        name: "a permission that allows and denies a command denies it",
        declared: &[r#""windows": ["main"], "permissions": ["both"]"#],
        asked: &[(Local("main"), No("greet"))],
    },
    Case {
        name: "a permission may allow some commands and deny others",
        declared: &[r#""windows": ["main"], "permissions": ["mixed", "allow-wipe"]"#],
        asked: &[
            (Local("main"), Yes("greet")),
            (Local("main"), Yes("read")),
            (Local("main"), No("wipe")),
        ],
    },
    Case {
        name: "sets contain sets, also of plugins",
        declared: &[r#""windows": ["main"], "permissions": ["outer"]"#],
        asked: &[
            (Local("main"), Yes("wipe")),
            (Local("main"), Yes("read")),
            (Local("main"), Yes("plugin:fs|read_file")),
            (Local("main"), No("plugin:fs|scopes")),
            (Local("main"), No("greet")),
        ],
    },
    Case {
        name: "the default of the application",
        declared: &[r#""windows": ["main"], "permissions": ["default"]"#],
        asked: &[(Local("main"), Yes("greet")), (Local("main"), No("read"))],
    },
    Case {
        name: "the default of a plugin",
        declared: &[r#""windows": ["main"], "permissions": ["fs:default"]"#],
        asked: &[
            (Local("main"), Yes("plugin:fs|read_file")),
            (Local("main"), No("plugin:fs|scopes")),
            (Local("main"), No("read_file")),
        ],
    },
    Case {
        name: "a plugin's command is not the application's of the same name",
        declared: &[r#""windows": ["main"], "permissions": ["fs:allow-scopes"]"#],
        asked: &[(Local("main"), Yes("plugin:fs|scopes")), (Local("main"), No("scopes"))],
    },
    Case {
        name: "a plugin's denial is its own",
        declared: &[r#""windows": ["main"], "permissions": ["fs:deny-scopes", "allow-scopes"]"#],
        asked: &[(Local("main"), Yes("scopes")), (Local("main"), No("plugin:fs|scopes"))],
    },
    Case {
        name: "remote needs a remote capability",
        declared: &[r#""windows": ["*"], "permissions": ["allow-greet"]"#],
        asked: &[
            (Local("main"), Yes("greet")),
            (Remote("main", "https://example.com"), No("greet")),
        ],
    },
    Case {
        name: "remote with a capability, local beside it",
        declared: &[r#""windows": ["main"], "permissions": ["allow-greet"],
               "remote": { "urls": ["https://example.com"] }"#],
        asked: &[
            (Local("main"), Yes("greet")),
            (Remote("main", "https://example.com/any/path?query#part"), Yes("greet")),
            (Remote("other", "https://example.com"), No("greet")),
            (Remote("main", "https://example.org"), No("greet")),
            (Remote("main", "http://example.com"), No("greet")),
            (Remote("main", "https://example.com:8443"), No("greet")),
            (Remote("main", "https://www.example.com"), No("greet")),
            (Remote("main", "https://example.com.evil.org"), No("greet")),
            (Remote("main", "https://example.com@evil.org"), No("greet")),
        ],
    },
    Case {
        name: "remote only",
        declared: &[r#""local": false, "windows": ["main"], "permissions": ["allow-greet"],
               "remote": { "urls": ["https://example.com"] }"#],
        asked: &[
            (Local("main"), No("greet")),
            (Remote("main", "https://example.com"), Yes("greet")),
        ],
    },
    Case {
        name: "local only, said twice",
        declared: &[r#""local": true, "windows": ["main"], "permissions": ["allow-greet"]"#],
        asked: &[(Local("main"), Yes("greet")), (Remote("main", "tauri://localhost"), No("greet"))],
    },
    Case {
        name: "for nobody: neither local nor remote",
        declared: &[r#""local": false, "windows": ["*"], "permissions": ["allow-greet"]"#],
        asked: &[
            (Local("main"), No("greet")),
            (Remote("main", "https://example.com"), No("greet")),
        ],
    },
    Case {
        name: "subdomains by a star",
        declared: &[r#""windows": ["main"], "permissions": ["allow-greet"],
               "remote": { "urls": ["https://*.example.com"] }"#],
        asked: &[
            (Remote("main", "https://a.example.com/"), Yes("greet")),
            (Remote("main", "https://a.b.example.com/"), Yes("greet")),
            (Remote("main", "https://example.com/"), No("greet")),
            (Remote("main", "https://aexample.com/"), No("greet")),
        ],
    },
    Case {
        name: "paths and ports",
        declared: &[r#""windows": ["main"], "permissions": ["allow-greet"],
               "remote": { "urls": ["http://localhost:1420/app/*"] }"#],
        asked: &[
            (Remote("main", "http://localhost:1420/app/x"), Yes("greet")),
            (Remote("main", "http://localhost:1420/other"), No("greet")),
            (Remote("main", "http://localhost:1420/app/../other"), No("greet")),
            (Remote("main", "http://localhost:1421/app/x"), No("greet")),
        ],
    },
    Case {
        name: "one of several URLs",
        declared: &[r#""windows": ["main"], "permissions": ["allow-greet"],
               "remote": { "urls": ["https://a.example", "https://b.example"] }"#],
        asked: &[
            (Remote("main", "https://b.example"), Yes("greet")),
            (Remote("main", "https://c.example"), No("greet")),
        ],
    },
    Case {
        name: "what is no URL is nobody's, and denied wherever a remote peer is",
        declared: &[
            r#""windows": ["*"], "permissions": ["allow-greet", "allow-read"],
               "remote": { "urls": ["https://*"] }"#,
            r#""local": false, "windows": ["*"], "permissions": ["deny-read"],
               "remote": { "urls": ["https://example.com"] }"#,
        ],
        asked: &[
            (Remote("main", "no url"), No("greet")),
            (Remote("main", "no url"), No("read")),
            (Remote("main", ""), No("greet")),
            (Local("main"), Yes("read")),
        ],
    },
    Case {
        name: "capabilities of other systems do not count",
        declared: &[
            r#""windows": ["*"], "permissions": ["allow-greet"], "platforms": ["windows"]"#,
            r#""windows": ["*"], "permissions": ["allow-read"],
               "platforms": ["iOS", "linux", "macOS", "android"]"#,
            r#""windows": ["*"], "permissions": ["deny-read"], "platforms": ["iOS"]"#,
        ],
        asked: &[(Local("main"), No("greet")), (Local("main"), Yes("read"))],
    },
    Case {
        name: "permissions of other systems do not count",
        declared: &[r#""windows": ["*"], "permissions": ["on-windows"]"#],
        asked: &[(Local("main"), No("greet"))],
    },
    Case {
        name: "permissions of this system among others do",
        declared: &[r#""windows": ["*"], "permissions": ["not-on-windows"]"#],
        asked: &[(Local("main"), Yes("greet"))],
    },
    Case {
        name: "no platform at all is none",
        declared: &[r#""windows": ["*"], "permissions": ["allow-greet"], "platforms": []"#],
        asked: &[(Local("main"), No("greet"))],
    },
    Case {
        name: "a scope stands with its permission",
        declared: &[r#""windows": ["*"], "permissions": ["scoped"]"#],
        asked: &[(Local("main"), Scope("read", r#"["a"]"#, r#"["b"]"#))],
    },
    Case {
        name: "a capability adds to the scope of its permissions",
        declared: &[r#""windows": ["*"], "permissions": [
                 { "identifier": "scoped", "allow": ["c"], "deny": [{ "d": 1 }] },
                 { "identifier": "allow-greet" }
               ]"#],
        asked: &[
            (Local("main"), Scope("read", r#"["c", "a"]"#, r#"[{ "d": 1 }, "b"]"#)),
            (Local("main"), Scope("greet", "[]", "[]")),
        ],
    },
    Case {
        name: "a scope goes to every permission of a set",
        declared: &[
            r#""windows": ["*"], "permissions": [{ "identifier": "inner", "allow": [1, 2.5] }]"#,
        ],
        asked: &[
            (Local("main"), Scope("wipe", "[1, 2.5]", "[]")),
            (Local("main"), Scope("plugin:fs|read_file", "[1, 2.5]", "[]")),
        ],
    },
    Case {
        name: "scopes of matching entries unite, of others they do not come in",
        declared: &[
            r#""windows": ["main"], "permissions": [{ "identifier": "allow-read", "allow": ["m"] }]"#,
            r#""windows": ["m*"], "permissions": [{ "identifier": "allow-read", "deny": ["n"] }]"#,
            r#""windows": ["other"], "permissions": [{ "identifier": "allow-read", "allow": ["o"] }]"#,
            r#""local": false, "remote": { "urls": ["https://example.com"] },
               "windows": ["main"], "permissions": [{ "identifier": "allow-read", "allow": ["r"] }]"#,
        ],
        asked: &[
            (Local("main"), Scope("read", r#"["m"]"#, r#"["n"]"#)),
            (Local("more"), Scope("read", "[]", r#"["n"]"#)),
            (Local("other"), Scope("read", r#"["o"]"#, "[]")),
            (Remote("main", "https://example.com"), Scope("read", r#"["r"]"#, "[]")),
        ],
    },
    Case {
        name: "a permission without scope beside one with it leaves the scope",
        declared: &[r#""windows": ["*"], "permissions": ["allow-read", "scoped"]"#],
        asked: &[(Local("main"), Scope("read", r#"["a"]"#, r#"["b"]"#))],
    },
    Case {
        name: "an empty list of scopes is no scope",
        declared: &[r#""windows": ["*"], "permissions": ["empty-scope"]"#],
        asked: &[(Local("main"), Scope("read", "[]", "[]"))],
    },
    Case {
        name: "the scope of a denial goes nowhere",
        declared: &[r#""windows": ["*"], "permissions": ["allow-greet", "allow-read",
                 { "identifier": "deny-read", "allow": ["x"] }]"#],
        asked: &[(Local("main"), No("read")), (Local("main"), Scope("greet", "[]", "[]"))],
    },
    Case {
        name: "core:default is the right to listen and emit, and nothing of ours",
        declared: &[r#""windows": ["main"], "permissions": ["core:default"]"#],
        asked: &[
            (Local("main"), Hears("tick")),
            (Local("main"), Emits("any/thing:at_all")),
            (Local("other"), Deaf("tick")),
            (Local("other"), Mute("tick")),
            (Remote("main", "https://example.com"), Deaf("tick")),
            (Local("main"), No("greet")),
        ],
    },
    Case {
        name: "listening and emitting are rights apart",
        declared: &[
            r#""windows": ["ear"], "permissions": ["core:event:allow-listen"]"#,
            r#""windows": ["mouth"], "permissions": ["core:event:allow-emit"]"#,
            r#""windows": ["mouth-to"], "permissions": ["core:event:allow-emit-to"]"#,
            r#""windows": ["off"], "permissions": ["core:event:allow-unlisten"]"#,
        ],
        asked: &[
            (Local("ear"), Hears("tick")),
            (Local("ear"), Mute("tick")),
            (Local("mouth"), Emits("tick")),
            (Local("mouth"), Deaf("tick")),
            (Local("mouth-to"), Emits("tick")),
            (Local("off"), Deaf("tick")),
            (Local("off"), Mute("tick")),
        ],
    },
    Case {
        name: "denied events ignore labels, too",
        declared: &[
            r#""windows": ["main"], "permissions": ["core:event:default"]"#,
            r#""windows": ["other"], "permissions": ["core:event:deny-emit"]"#,
        ],
        asked: &[(Local("main"), Hears("tick")), (Local("main"), Mute("tick"))],
    },
    Case {
        name: "a scope narrows events by name and by pattern",
        declared: &[r#""windows": ["main"], "permissions": [
                 { "identifier": "core:event:allow-listen",
                   "allow": [{ "event": "tick" }, { "event": "progress/*" }],
                   "deny": [{ "event": "progress/secret" }] },
                 { "identifier": "core:event:allow-emit", "deny": [{ "event": "admin/*" }] }
               ]"#],
        asked: &[
            (Local("main"), Hears("tick")),
            (Local("main"), Hears("progress/a/b")),
            (Local("main"), Deaf("progress/secret")),
            (Local("main"), Deaf("ticks")),
            (Local("main"), Emits("tick")),
            (Local("main"), Mute("admin/reset")),
        ],
    },
    Case {
        name: "a narrow right does not take a wide one away",
        declared: &[r#""windows": ["main"], "permissions": ["core:event:allow-listen",
                 { "identifier": "core:event:allow-listen", "allow": [{ "event": "tick" }] }]"#],
        asked: &[(Local("main"), Hears("tock"))],
    },
    Case {
        name: "a denial may be narrow",
        declared: &[r#""windows": ["main"], "permissions": ["core:event:allow-emit",
                 { "identifier": "core:event:deny-emit", "deny": [{ "event": "admin/*" }] }]"#],
        asked: &[
            (Local("main"), Emits("tick")),
            (Local("main"), Mute("admin/reset")),
            (Local("other"), Mute("tick")),
        ],
    },
    Case {
        name: "permissions of plugins that are not here allow nothing",
        declared: &[
            r#""windows": ["*"], "permissions": ["opener:default", "core:window:allow-close",
                 { "identifier": "shell:allow-execute", "allow": [{ "name": "sh" }] }]"#,
        ],
        asked: &[
            (Local("main"), No("greet")),
            (Local("main"), No("plugin:opener|open_url")),
            (Local("main"), No("plugin:window|close")),
        ],
    },
];

#[test]
fn every_case_is_decided_as_declared() {
    assert!(CASES.len() >= 40, "{} cases", CASES.len());
    let mut asked = 0;
    for case in CASES {
        let list = capability_list(case);
        let ours = CapabilityFile::parse(&list, Format::Json).expect(case.name);
        let permissions = |text| PermissionFile::parse(text, Format::Toml).expect("good TOML");
        let declared = Capabilities::none()
            .with_permissions(permissions(PERMISSIONS))
            .with_plugin_permissions("fs", permissions(FS_PERMISSIONS))
            .with_file(ours);
        let (rules, _) = resolve(&declared, &COMMANDS, Platform::Linux).expect(case.name);
        for (who, ask) in case.asked {
            let (label, class) = match *who {
                Local(label) => (label, PeerClass::Local),
                Remote(label, origin) => (label, PeerClass::Remote { origin: origin.into() }),
            };
            let subject = Subject { label, class: &class };
            let about = format!("{}: {label:?}, {class}", case.name);
            asked += 1;
            match *ask {
                Yes(command) | No(command) => {
                    let found = rules.access(subject, command).is_allowed();
                    assert_eq!(found, matches!(ask, Yes(_)), "{about}: {command}");
                }
                Scope(command, allow, deny) => {
                    let list = |text| serde_json::from_str::<Vec<_>>(text).expect("a list");
                    let found = scope(&rules.access(subject, command));
                    assert_eq!(found, Some((list(allow), list(deny))), "{about}: {command}");
                }
                Hears(event) | Deaf(event) => {
                    let right = rules.events(subject, Asked::Listen).allow(event);
                    assert_eq!(right, matches!(ask, Hears(_)), "{about}: listen {event}");
                }
                Emits(event) | Mute(event) => {
                    let right = rules.events(subject, Asked::Emit).allow(event);
                    assert_eq!(right, matches!(ask, Emits(_)), "{about}: emit {event}");
                }
            }
        }
    }
    assert!(asked >= 130, "{asked} asked");
}

/// The command's scope, if the command is allowed: what it allows and what it denies.
pub(crate) fn scope(access: &Access) -> Option<(Vec<Value>, Vec<Value>)> {
    match access {
        Access::Denied => None,
        Access::Allowed(None) => Some((Vec::new(), Vec::new())),
        Access::Allowed(Some(scopes)) => {
            Some((scopes.command.allow().to_vec(), scopes.command.deny().to_vec()))
        }
    }
}

fn capability_list(case: &Case) -> String {
    let entry = |(index, rest)| format!("{{ \"identifier\": \"c{index}\", {rest} }}");
    let entries: Vec<_> = case.declared.iter().enumerate().map(entry).collect();
    format!("[{}]", entries.join(","))
}
