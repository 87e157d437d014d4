//! Whom an aimed event reaches.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};

use serde::Deserialize;
use tramline::{Client, EventTarget, ListenOptions, ListenerId, json};
use tramline_tests::commands::aimed_at;
use tramline_tests::{Fixture, PATIENCE, Setup, conformance, eventually};

conformance! {
    listener_sees_name_id_and_payload,
    emit_to_matrix_equals_tauri,
    what_a_client_aims_reaches_the_same_listeners_at_the_server,
    filter_always_reaches_any_listeners,
    default_targets_follow_the_handle,
    an_event_aimed_at_nobody_here_sends_nothing,
    unlisten_of_one_target_leaves_the_others,
    once_takes_its_own_target_back_and_no_other,
    queued_emit_keeps_its_filter,
    listeners_go_with_their_connection,
    a_label_that_is_too_long_is_an_error_of_the_caller,
}

/// Who heard something, by name.
struct Heard {
    sender: Sender<(String, String)>,
    came: Receiver<(String, String)>,
    listeners: usize,
}

impl Heard {
    fn new() -> Self {
        let (sender, came) = channel();
        Self { sender, came, listeners: 0 }
    }

    fn listen(&mut self, client: &Client, name: &str, options: ListenOptions) -> ListenerId {
        let (sender, name) = (self.sender.clone(), name.to_owned());
        let listener = move |event: tramline::Event<'_>| {
            let _ = sender.send((name.clone(), event.payload().expect("a text")));
        };
        self.listeners += 1;
        client.listen("matrix", listener).with(options).wait().expect("allowed")
    }

    /// Who has heard `text` before all of them heard the end, which `end` emits to all.
    fn until_end(&self, text: &str, end: impl FnOnce()) -> BTreeSet<String> {
        end();
        let mut reached = BTreeSet::new();
        let mut ended = 0;
        while ended < self.listeners {
            let (name, found) = self.came.recv_timeout(PATIENCE).expect("everybody hears the end");
            if found == "end" {
                ended += 1;
            } else {
                assert_eq!(found, text);
                assert!(reached.insert(name), "heard twice");
            }
        }
        reached
    }
}

fn emit(client: &Client, call: &str, target: Option<&EventTarget>, text: &str) {
    let args = json!({ "call": call, "target": target, "event": "matrix", "text": text });
    client.invoke::<(), _>("emit_case", args).timeout(PATIENCE).wait().expect("emitted");
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn listener_sees_name_id_and_payload(setup: &Setup) {
    let f = setup.open();
    let (sent, came) = channel();
    let ids = [0, 1].map(|_| {
        let sent = sent.clone();
        let listener = move |event: tramline::Event<'_>| {
            let seen = (event.id(), event.name().to_owned(), event.payload::<String>());
            sent.send(seen).expect("the test waits");
        };
        f.client.listen("matrix", listener).wait().expect("allowed")
    });
    assert_ne!(ids[0], ids[1]);
    emit(&f.client, "emit", None, "now");
    for id in ids {
        let seen = came.recv_timeout(PATIENCE).expect("it came");
        assert_eq!(seen, (id, "matrix".to_owned(), Ok("now".to_owned())));
    }
}

/// What `docs/ORACLE.md` describes, as far as this needs it.
#[derive(Deserialize)]
struct Table {
    listeners: Vec<(String, EventTarget)>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    call: String,
    target: Option<EventTarget>,
    reached: BTreeSet<String>,
}

fn emit_to_matrix_equals_tauri(setup: &Setup) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../oracle/expected/targets.json");
    let text = std::fs::read_to_string(file).expect("the oracle's file");
    let table: Table = serde_json::from_str(&text).expect("as it was written");
    assert!(table.cases.len() > 30 && table.listeners.len() > 9);
    let f = setup.open();
    let side = f.connect().label("side").wait().expect("room");
    let mut heard = Heard::new();
    for (name, target) in &table.listeners {
        let client = if target.label() == Some("side") { &side } else { &f.client };
        heard.listen(client, name, ListenOptions::new().target(target.clone()));
    }
    for case in &table.cases {
        emit(&f.client, &case.call, case.target.as_ref(), &case.id);
        let reached = heard.until_end(&case.id, || emit(&f.client, "emit", None, "end"));
        assert_eq!(reached, case.reached, "{}", case.id);
    }
}

/// Emits `aimed` and says who at the server heard it. Everybody hears what is aimed at nobody.
fn heard_at_server(f: &Fixture, emit: impl FnOnce(&Client)) -> BTreeSet<String> {
    let (sent, came) = channel();
    let listener = move |event: tramline::Event<'_>| {
        let _ = sent.send(event.payload::<String>().expect("a text"));
    };
    let id = f.client.listen("heard", listener).wait().expect("allowed");
    emit(&f.client);
    f.client.emit("aimed", &()).expect("room");
    let end = aimed_at().map(|(name, _)| name.to_owned());
    let mut all = Vec::new();
    while !all.ends_with(&end) {
        all.push(came.recv_timeout(PATIENCE).expect("the end comes"));
    }
    f.client.unlisten(id);
    all.truncate(all.len() - end.len());
    all.into_iter().collect()
}

fn what_a_client_aims_reaches_the_same_listeners_at_the_server(setup: &Setup) {
    let f = setup.open();
    let targets = [
        (EventTarget::App, &["app", "any"][..]),
        (EventTarget::window("main"), &["any", "window main", "label main"]),
        (EventTarget::webview("main"), &["any", "label main"]),
        (EventTarget::from("main"), &["any", "window main", "label main"]),
        (EventTarget::window("side"), &["any"]),
    ];
    for (target, expected) in targets {
        let reached = heard_at_server(&f, |client| {
            client.emit_to(target.clone(), "aimed", &()).expect("room");
        });
        assert_eq!(reached, names(expected.iter().copied()), "{target:?}");
    }
    let reached = heard_at_server(&f, |client| {
        let filter = |target: &EventTarget| target.label() == Some("main");
        client.emit_filter("aimed", &(), filter).expect("room");
    });
    assert_eq!(reached, names(["any", "window main", "label main"]));
}

fn filter_always_reaches_any_listeners(setup: &Setup) {
    let f = setup.open();
    let mut heard = Heard::new();
    heard.listen(&f.client, "own", ListenOptions::new());
    heard.listen(&f.client, "any", ListenOptions::new().target(EventTarget::Any));
    for target in [None, Some(EventTarget::window("nobody"))] {
        emit(&f.client, "emit_filter", target.as_ref(), "filtered");
        let reached = heard.until_end("filtered", || emit(&f.client, "emit", None, "end"));
        assert_eq!(reached, names(["any"]));
    }
}

fn default_targets_follow_the_handle(setup: &Setup) {
    let f = setup.open();
    let unlabelled = tramline::Client::connect(f.endpoint()).codec(setup.codec).wait();
    let unlabelled = unlabelled.expect("room");
    let mut heard = Heard::new();
    heard.listen(&f.client, "client", ListenOptions::new());
    heard.listen(&unlabelled, "client without a label", ListenOptions::new());
    let listener = {
        let sender = heard.sender.clone();
        move |event: tramline::Event<'_>| {
            let _ = sender.send(("any".to_owned(), event.payload().expect("a text")));
        }
    };
    f.client.listen_any("matrix", listener).wait().expect("allowed");
    heard.listeners += 1;
    for (target, expected) in [
        (EventTarget::peer("first"), &["client", "any"][..]),
        (EventTarget::from("first"), &["client", "any"]),
        (EventTarget::window("first"), &["any"]),
        (EventTarget::App, &["any"]),
        (EventTarget::peer(""), &["client without a label", "any"]),
        (EventTarget::Any, &["client", "client without a label", "any"]),
    ] {
        emit(&f.client, "emit_to", Some(&target), "aimed");
        let reached = heard.until_end("aimed", || emit(&f.client, "emit", None, "end"));
        assert_eq!(reached, names(expected.iter().copied()), "{target:?}");
    }
    let reached = heard_at_server(&f, |client| {
        client.emit_to(EventTarget::App, "aimed", &()).expect("room");
    });
    assert_eq!(reached, names(["app", "any"]));
}

fn an_event_aimed_at_nobody_here_sends_nothing(setup: &Setup) {
    let f = setup.open();
    let encoded = |target: EventTarget| -> u64 {
        let args = json!({ "target": target, "event": "other" });
        f.client.invoke("emit_expensive_to", args).wait().expect("emitted")
    };
    let listen = |target: EventTarget| {
        let options = ListenOptions::new().target(target);
        f.client.listen("other", |_| {}).with(options).wait().expect("allowed")
    };
    let (main, side) = (EventTarget::window("main"), EventTarget::window("side"));
    assert_eq!((encoded(EventTarget::Any), encoded(main.clone())), (0, 0));
    let id = listen(main.clone());
    assert_eq!((encoded(EventTarget::Any), encoded(main.clone())), (1, 1));
    assert_eq!((encoded(side.clone()), encoded(EventTarget::App)), (0, 0));
    listen(side.clone());
    assert_eq!((encoded(main.clone()), encoded(side.clone())), (1, 1));
    f.client.unlisten(id);
    assert_eq!((encoded(main), encoded(side)), (0, 1));

    let payload = tramline_tests::commands::Expensive::default();
    f.client.emit_to(EventTarget::window("main"), "up", &payload).expect("nobody listens as that");
    f.client.emit_filter("up", &payload, |_| false).expect("nobody is picked");
    f.client.emit_to(EventTarget::App, "never_heard", &payload).expect("nobody listens");
    assert_eq!(payload.0.load(std::sync::atomic::Ordering::SeqCst), 0);
    for emitted in
        [f.client.emit_to("main", "a b", &payload), f.client.emit_filter("a b", &payload, |_| true)]
    {
        assert_eq!(emitted.expect_err("a bad name").code(), "bad-event-name");
    }
}

fn unlisten_of_one_target_leaves_the_others(setup: &Setup) {
    let f = setup.open();
    let mut heard = Heard::new();
    let (a, b) = (EventTarget::window("a"), EventTarget::window("b"));
    let twice = [1, 2].map(|n| {
        heard.listen(&f.client, &format!("a {n}"), ListenOptions::new().target(a.clone()))
    });
    heard.listen(&f.client, "b", ListenOptions::new().target(b.clone()));
    let reached = |heard: &Heard, target: &EventTarget| {
        emit(&f.client, "emit_to", Some(target), "aimed");
        heard.until_end("aimed", || emit(&f.client, "emit", None, "end"))
    };
    assert_eq!(reached(&heard, &a), names(["a 1", "a 2"]));
    for (id, left) in twice.into_iter().zip([&["a 2"][..], &[]]) {
        f.client.unlisten(id);
        f.client.unlisten(id);
        heard.listeners -= 1;
        assert_eq!(reached(&heard, &a), names(left.iter().copied()));
        assert_eq!(reached(&heard, &b), names(["b"]));
    }
}

fn once_takes_its_own_target_back_and_no_other(setup: &Setup) {
    let f = setup.open();
    let mut heard = Heard::new();
    let (a, b) = (EventTarget::window("a"), EventTarget::window("b"));
    heard.listen(&f.client, "b", ListenOptions::new().target(b.clone()));
    heard.listen(&f.client, "once", ListenOptions::new().target(a.clone()).once());
    // Not for it, so it waits on.
    emit(&f.client, "emit_to", Some(&b), "first");
    emit(&f.client, "emit_to", Some(&a), "second");
    emit(&f.client, "emit_to", Some(&a), "third");
    for expected in [("b", "first"), ("once", "second")] {
        let (name, text) = heard.came.recv_timeout(PATIENCE).expect("it came");
        assert_eq!((name.as_str(), text.as_str()), expected);
    }
    heard.listeners = 1;
    assert!(heard.until_end("", || emit(&f.client, "emit", None, "end")).is_empty());
    let encoded = |target: &EventTarget| -> u64 {
        let args = json!({ "target": target, "event": "matrix" });
        f.client.invoke("emit_expensive_to", args).wait().expect("emitted")
    };
    eventually("the server has been told", || encoded(&a) == 0);
}

/// Tauri forgets the filter of what is emitted inside a listener.
fn queued_emit_keeps_its_filter(setup: &Setup) {
    let f = setup.open();
    let client = f.client.clone();
    let listener = move |_: tramline::Event<'_>| {
        client.emit_to(EventTarget::window("main"), "aimed", &()).expect("room");
        client.emit_filter("aimed", &(), |target| *target == EventTarget::App).expect("room");
        client.emit("aimed", &()).expect("room");
    };
    let (sent, came) = channel();
    let heard = move |event: tramline::Event<'_>| {
        let _ = sent.send(event.payload::<String>().expect("a text"));
    };
    f.client.listen("heard", heard).wait().expect("allowed");
    f.client.once("matrix", listener).wait().expect("allowed");
    emit(&f.client, "emit", None, "now");
    let first = ["any", "window main", "label main"];
    let expected = first.into_iter().chain(["app", "any"]).chain(aimed_at().map(|(name, _)| name));
    for name in expected {
        assert_eq!(came.recv_timeout(PATIENCE).expect("it came"), name);
    }
}

fn listeners_go_with_their_connection(setup: &Setup) {
    let f = setup.open();
    let leaves = f.connect().label("leaves").wait().expect("room");
    let mut heard = Heard::new();
    heard.listen(&f.client, "stays", ListenOptions::new());
    let held = Arc::new(());
    let gone: Vec<Weak<()>> = [ListenOptions::new(), ListenOptions::new().target(EventTarget::Any)]
        .map(|options| {
            let held = Arc::clone(&held);
            let gone = Arc::downgrade(&held);
            // It keeps its client, as a listener that answers does.
            let client = leaves.clone();
            let listener = move |_: tramline::Event<'_>| {
                let _ = (&held, &client);
            };
            leaves.listen("matrix", listener).with(options).wait().expect("allowed");
            gone
        })
        .into_iter()
        .collect();
    drop(held);
    let clients = || f.client.invoke::<usize, _>("clients", ()).wait().expect("a number");
    assert!(gone.iter().all(|gone| gone.upgrade().is_some()) && clients() == 2);
    leaves.close();
    eventually("its listeners are gone", || gone.iter().all(|gone| gone.upgrade().is_none()));
    eventually("the server has forgotten it", || clients() == 1);
    assert!(leaves.listen("matrix", |_| {}).wait().is_err());
    emit(&f.client, "emit_to", Some(&EventTarget::peer("leaves")), "to whom");
    emit(&f.client, "emit_to", Some(&EventTarget::peer("first")), "aimed");
    let reached = heard.until_end("aimed", || emit(&f.client, "emit", None, "end"));
    assert_eq!(reached, names(["stays"]));
}

fn a_label_that_is_too_long_is_an_error_of_the_caller(setup: &Setup) {
    let f = setup.open();
    let long = EventTarget::window("x".repeat(256));
    let options = ListenOptions::new().target(long.clone());
    let refused = f.client.listen("matrix", |_| {}).with(options).wait().expect_err("too long");
    assert_eq!(refused.code(), "bad-label");
    let options = ListenOptions::new().queue(0, 1);
    let refused = f.client.listen("matrix", |_| {}).with(options).wait().expect_err("no room");
    assert_eq!(refused.code(), "limit-out-of-range");
    // Nobody can listen as that.
    f.client.emit_to(long, "aimed", &()).expect("the server does not");
    assert_eq!(f.client.ended(), None);
}
