//! A process to be attacked: `tramline-victim serve <endpoint> [key=value ..]` or `call [..]`.
//!
//! A server prints a report for each connection that ended or did not come about. A client reads
//! endpoint names, calls each, and prints how that went. Both end with their input.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    reason = "a victim that cannot start ends with a panic and its words"
)]

use std::io::{BufRead, Read};
use std::process::exit;
use std::time::Duration;

use tramline::{Capabilities, Client, InvokeError, Limits, Raw, Server, json};
use tramline_tests::commands;
use tramline_tests::victim::{CALLERS_CODEC, Report};

/// What the arguments say.
struct Settings {
    limits: Limits,
    /// Everything is allowed, not only what test clients need.
    all: bool,
    /// Threads for all connections; 0 is one for each.
    threads: usize,
    /// How long a call may take.
    call_ms: u64,
}

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("serve") if args.len() > 1 => serve(&args[1], &settings(&args[2..])),
        Some("call") => call(&settings(&args[1..])),
        _ => {
            eprintln!("tramline-victim serve <endpoint> [key=value ..] | call [key=value ..]");
            exit(2);
        }
    }
}

fn settings(args: &[String]) -> Settings {
    // Generous where nothing is said: a loaded machine is not what is looked for.
    let mut settings =
        Settings { limits: Limits::default(), all: false, threads: 0, call_ms: 60_000 };
    settings.limits.handshake_timeout_ms = 30_000;
    settings.limits.send_timeout_ms = 60_000;
    for arg in args {
        let (key, value) = arg.split_once('=').expect("key=value");
        let number: u64 = value.parse().expect("a number");
        let size = usize::try_from(number).expect("64 bits");
        let limits = &mut settings.limits;
        match key {
            "ring" => limits.ring_capacity = size,
            "message" => limits.max_message_len = size,
            "queued" => limits.max_queued_len = size,
            "calls" => limits.max_calls_in_flight = size,
            "connections" => limits.max_connections = size,
            "mapped" => tramline::set_mapped_limit(size),
            "send" => limits.send_timeout_ms = number,
            "handshake" => limits.handshake_timeout_ms = number,
            "threads" => settings.threads = size,
            "all" => settings.all = number != 0,
            "call" => settings.call_ms = number,
            "descriptors" => limit_descriptors(number),
            _ => panic!("no such setting: {key}"),
        }
    }
    settings
}

/// As many descriptors as this and no more.
fn limit_descriptors(number: u64) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit { current: Some(number), maximum: Some(number) };
    setrlimit(Resource::Nofile, limit).expect("a lower limit is always allowed");
}

fn serve(endpoint: &str, settings: &Settings) {
    let mut server = commands::serve(Server::new(), settings.limits)
        .on_refused(|error| Report::refused(error).print())
        .on_ended(|peer, why| Report::ended(peer, why).print());
    if settings.threads > 0 {
        server = server.shared_threads(settings.threads);
    }
    if settings.all {
        server = server.allow(Capabilities::all());
    }
    let server = server.start(endpoint).expect("the name is free");
    println!("ready");
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
    server.stop();
}

fn call(settings: &Settings) {
    println!("ready");
    for name in std::io::stdin().lock().lines().map_while(Result::ok) {
        let endpoint = format!("shm:{name}");
        let connect = Client::connect(&endpoint).limits(settings.limits).codec(CALLERS_CODEC);
        match connect.wait() {
            Err(error) => Report::refused(&error).print(),
            Ok(client) => {
                let result = calls(&client, Duration::from_millis(settings.call_ms));
                drop(client);
                Report::called(result.as_ref().copied()).print();
            }
        }
    }
}

/// More than a lap of the smallest ring, then a small call.
fn calls(client: &Client, timeout: Duration) -> Result<(), InvokeError> {
    let body = vec![7; 30_000];
    for _ in 0..8 {
        let call = client.invoke_raw::<usize>("raw_length", Raw::from(body.clone()).0);
        assert_eq!(call.timeout(timeout).wait()?, body.len(), "nobody lies about that");
    }
    let sum: i64 = client.invoke("add", json!({ "a": 1, "b": 1 })).timeout(timeout).wait()?;
    assert_eq!(sum, 2);
    Ok(())
}
