//! The other process of a test, in the role its arguments say. See `tramline_tests::child`.

#![allow(clippy::expect_used, reason = "a role that fails ends with a panic and its words")]

use std::io::Read;
use std::process::{Command, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tramline::guard::Guard;
use tramline::{AnyCodec, Client, JsonRpc, Limits, Server, Sidecar};
use tramline_tests::acl::Settings;
use tramline_tests::codec::Marked;
use tramline_tests::commands::{self, ON_PURPOSE};
use tramline_tests::fixture::limits;
use tramline_tests::{layers, matrix, stress};

fn main() {
    quiet_panics();
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", endpoint, message, send, connections, threads] => {
            let mut limits = Limits::default();
            // A loaded machine is not what is looked for.
            limits.handshake_timeout_ms = 30_000;
            limits.max_message_len = message.parse().expect("bytes");
            limits.send_timeout_ms = send.parse().expect("milliseconds");
            limits.max_connections = connections.parse().expect("a number");
            let mut server = commands::serve(Server::new(), limits);
            if let count @ 1.. = threads.parse().expect("a number") {
                server = server.shared_threads(count);
            }
            let server = server.start(endpoint);
            let server = server.expect("the name is free");
            end_with_input();
            println!("ready");
            server.wait();
        }
        ["json-rpc"] => {
            let server = commands::serve(Server::new(), limits());
            server.serve_json_rpc(JsonRpc::stdio()).wait().expect("standard streams");
        }
        ["serve-acl", endpoint, settings] => {
            let settings: Settings = serde_json::from_str(settings).expect("settings");
            let server = settings.server().start(endpoint).expect("it starts");
            if let Some(name) = &settings.json_rpc {
                server.add_json_rpc(JsonRpc::pipe(name)).expect("the name is free");
            }
            end_with_input();
            println!("ready");
            server.wait();
        }
        #[cfg(feature = "postcard")]
        ["serve-typed", endpoint] => {
            let server = tramline_tests::typed::serve(Server::new()).start(endpoint);
            let server = server.expect("the name is free");
            end_with_input();
            println!("ready");
            server.wait();
        }
        ["guard", listen, core] => {
            let guard = Guard::new(tramline_tests::guard::judge).limits(limits());
            let guarding = guard.between(listen, core).start().expect("the name is free");
            end_with_input();
            println!("ready");
            guarding.wait();
        }
        ["json-rpc-acl", settings] => {
            let settings: Settings = serde_json::from_str(settings).expect("settings");
            settings.server().serve_json_rpc(JsonRpc::stdio()).wait().expect("standard streams");
        }
        ["sidecar-acl", settings] => {
            let settings: Settings = serde_json::from_str(settings).expect("settings");
            settings.set_up(Server::from_parent()).run().wait().expect("a parent");
        }
        ["serve-in-shadow", endpoint] => {
            let server = commands::serve(Server::new(), limits());
            let server = server.shadow(|found| println!("{found}")).start(endpoint);
            let server = server.expect("the name is free");
            end_with_input();
            println!("ready");
            server.wait();
        }
        ["serve-layers", endpoint, kind, threads, ref onward @ ..] => {
            let threads = threads.parse().expect("a number");
            let server = layers::server(kind, onward.first().copied(), threads);
            let server = server.start(endpoint).expect("the name is free");
            end_with_input();
            println!("ready");
            server.wait();
        }
        ["serve-dying", endpoint, kind] => {
            let server = layers::dying_server(kind == "dies");
            let server = server.start(endpoint).expect("the name is free");
            end_with_input();
            println!("ready");
            server.wait();
        }
        ["idle", endpoint] => {
            let client = connect(endpoint);
            println!("ready");
            wait_for_input_to_end();
            drop(client);
        }
        ["park", endpoint] => {
            let client = connect(endpoint);
            end_with_input();
            println!("ready");
            let held = client.invoke::<String, _>("hold", tramline::json!({ "gate": "park" }));
            println!("{:?}", held.wait().map_err(|e| e.code().to_owned()));
        }
        ["stay", endpoint, codec, column, gate] => {
            let codecs = [AnyCodec::MSGPACK, AnyCodec::JSON, AnyCodec::custom::<Marked>()];
            let codec = codecs.into_iter().find(|known| known.name() == codec).expect("a codec");
            let connect = Client::connect(endpoint).limits(limits()).codec(codec);
            let client = connect.wait().expect("it serves");
            end_with_input();
            matrix::stay_until_gone(&client, column, gate);
        }
        ["traffic", endpoint] => traffic(endpoint),
        ["channels", endpoint] => channels(endpoint),
        ["stress", endpoint, seed, seconds] => {
            end_with_input();
            let seconds = Duration::from_secs(seconds.parse().expect("seconds"));
            let summary = stress::run_client(endpoint, seed.parse().expect("a seed"), seconds);
            println!("{}", serde_json::to_string(&summary).expect("numbers"));
        }
        ["sidecar"] => sidecar(Server::from_parent()),
        ["outliving-sidecar"] => {
            sidecar(Server::from_parent().outlive_parent());
            println!("outlived");
        }
        ["sleeping-sidecar"] => {
            sidecar(Server::from_parent().outlive_parent());
            // Does not end by itself: whoever started it has to see to that.
            loop {
                std::thread::park();
            }
        }
        ["middle", role] => {
            let mut command = Command::new(std::env::current_exe().expect("a path"));
            command.arg(role);
            let child = Sidecar::spawn(command).wait().expect("it starts");
            println!("{}", child.id());
            wait_for_input_to_end();
        }
        ["orphan"] => match Server::from_parent().run().wait() {
            Ok(()) => println!("ok"),
            Err(e) => println!("{}", e.code()),
        },
        _ => {
            eprintln!("no such role: {args:?}");
            exit(2);
        }
    }
}

fn connect(endpoint: &str) -> Client {
    Client::connect(endpoint).limits(limits()).wait().expect("it serves")
}

fn sidecar(server: Server) {
    commands::serve(server, limits()).run().wait().expect("a parent");
}

/// Calls and events as fast as they go; says what happened when the link ends.
fn traffic(endpoint: &str) {
    let client = connect(endpoint);
    end_with_input();
    let came = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&came);
    let listener = move |_: tramline::Event<'_>| {
        count.fetch_add(1, Ordering::Relaxed);
    };
    client.listen("down", listener).wait().expect("allowed");
    println!("ready");
    let ballast = "x".repeat(1500);
    for number in 0_u64.. {
        let sent = client.emit("up", &(number, &ballast));
        let echoed = client.emit("echo", &number);
        let called: Result<i64, _> =
            client.invoke("add", tramline::json!({ "a": number, "b": 1 })).wait();
        if sent.is_err() || echoed.is_err() || called.is_err() {
            println!("{:?}", client.ended().map(|e| e.code()));
            return;
        }
    }
}

/// A channel in each direction, as fast as they go.
fn channels(endpoint: &str) {
    let client = connect(endpoint);
    end_with_input();
    let (to, mut reader) = client.channel::<u64>();
    let (from, sender) = client.channel_to::<u64>();
    std::thread::scope(|scope| {
        let call = |command, key: &str, arg| {
            let args = tramline::json!({ "gate": command, key: arg });
            let client = &client;
            scope.spawn(move || client.invoke::<serde_json::Value, _>(command, args).wait());
        };
        call("send_until_closed", "to", to);
        call("read_until_over", "from", from);
        // Both commands have begun.
        assert!(reader.recv().is_some());
        sender.send(&0).expect("it reads");
        scope.spawn(move || reader.into_iter().count());
        println!("ready");
        while sender.send(&1).is_ok() {}
    });
}

/// Ends this process when whoever started it is gone or hangs up.
fn end_with_input() {
    std::thread::spawn(|| {
        wait_for_input_to_end();
        exit(0);
    });
}

fn wait_for_input_to_end() {
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
}

/// Panics that belong to a test stay out of its output.
fn quiet_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload_as_str().is_some_and(|text| text.starts_with(ON_PURPOSE)) {
            usual(panic);
        }
    }));
}
