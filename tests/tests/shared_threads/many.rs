//! Work for one thread.

use std::fs;
use std::sync::mpsc::channel;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use tramline::{Client, InvokeError, json};
use tramline_tests::fixture::{limits, serve_there_on, unique_name};
use tramline_tests::stress::Summary;
use tramline_tests::victim::{Attacker, Victim};
use tramline_tests::{PATIENCE, Peer, bounded, eventually};

use crate::{HOSTILE, PEER, Shared, VICTIM, add};

/// Clients in processes of their own, and in threads of this one.
const PROCESSES: usize = 8;
const THREADS: usize = 56;

/// Threads of a process that have this name.
fn threads(pid: u32, name: &str) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let comm = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
    tasks.flatten().filter_map(comm).filter(|comm| comm.trim() == name).count()
}

#[test]
fn one_thread_serves_64_clients_with_calls_and_events_both_ways() {
    bounded(|| {
        let endpoint = format!("shm:{}", unique_name());
        let server = serve_there_on(PEER, &endpoint, &limits(), 1);
        let seeds: Vec<_> = (0..PROCESSES).map(|n| n.to_string()).collect();
        // Each checks by itself that nothing is lost, doubled, damaged or out of order.
        let processes: Vec<_> =
            seeds.iter().map(|seed| Peer::spawn(PEER, &["stress", &endpoint, seed, "2"])).collect();
        let all_are_there = Barrier::new(THREADS + 1);
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (endpoint, all_are_there) = (&endpoint, &all_are_there);
                scope.spawn(move || {
                    let client = Client::connect(endpoint).limits(limits()).wait();
                    all_are_there.wait();
                    calls_and_events(&client.expect("it serves"), number);
                    // Nobody leaves before the count below.
                    all_are_there.wait();
                });
            }
            all_are_there.wait();
            // One that is being told hello has a thread meanwhile.
            eventually("no connection has a thread", || {
                threads(server.id(), "tramline-server") == 0
            });
            assert_eq!(threads(server.id(), "tramline-shared"), 1);
            all_are_there.wait();
        });
        for process in processes {
            let line = process.line().expect("it has counted");
            let summary: Summary = serde_json::from_str(&line).expect("a summary");
            assert!(summary.calls > 0 && summary.up > 0 && summary.down > 0, "{summary:?}");
            assert!(process.exit().success());
        }
        let last = Client::connect(&endpoint).limits(limits()).wait().expect("it serves");
        eventually("all others are gone", || {
            last.invoke::<usize, _>("clients", json!({})).wait().expect("a number") == 1
        });
    });
}

fn calls_and_events(client: &Client, number: usize) {
    const COUNT: u64 = 50;
    let (told, events) = channel();
    let told = Mutex::new(told);
    let listener = move |event: tramline::Event<'_>| {
        let number = event.payload::<u64>().expect("a number");
        let _ = told.lock().expect("not poisoned").send(number);
    };
    client.listen("down", listener).wait().expect("allowed");
    for count in 0..COUNT {
        add(client, i64::try_from(number).expect("small"), i64::try_from(count).expect("small"));
        client.emit("echo", &count).expect("sent");
    }
    for count in 0..COUNT {
        assert_eq!(events.recv_timeout(PATIENCE).expect("an event"), count);
    }
    // Also by a command that runs elsewhere, and one that is cancelled.
    let args = json!({ "event": "down", "first": COUNT, "count": 20 });
    client.invoke::<(), _>("emit_numbers", args).timeout(PATIENCE).wait().expect("emitted");
    for count in COUNT..COUNT + 20 {
        assert_eq!(events.recv_timeout(PATIENCE).expect("an event"), count);
    }
    // More than a window on a channel, read and sent meanwhile.
    let (numbers, reader) = client.channel::<(u64, String)>();
    let args = json!({ "count": 1000, "ballast": 300, "numbers": numbers });
    thread::scope(|scope| {
        let reading = scope.spawn(move || reader.into_iter().collect::<Result<Vec<_>, _>>());
        let counted = client.invoke::<String, _>("count_to", args).timeout(PATIENCE).wait();
        assert_eq!(counted.expect("answered"), "ok");
        let came = reading.join().expect("no panic").expect("numbers");
        assert!(came.iter().map(|(number, _)| *number).eq(0..1000));
    });
    let gate = format!("gate {number}");
    let held = client.invoke::<String, _>("hold", json!({ "gate": gate }));
    let late = held.timeout(Duration::from_millis(1)).wait().expect_err("nobody opened");
    assert!(matches!(late, InvokeError::Deadline(_)), "{late}");
    client.invoke::<(), _>("open", json!({ "gate": gate })).wait().expect("opened");
    add(client, 1, 1);
}

#[test]
fn a_client_on_a_futex_and_a_server_on_its_socket_wake_each_other() {
    bounded(|| {
        let shared = Shared::start();
        let client = shared.connect("lone");
        // Sleep, call, sleep, call: on most of these both sides have gone to sleep.
        for number in 0..200 {
            add(&client, number, 1);
            if number % 4 == 0 {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
        // An awaited call and a listener sleep in the client's own runner.
        let sum = client.invoke::<i64, _>("add", json!({ "a": 1, "b": 2 }));
        assert_eq!(futures_lite::future::block_on(sum.into_future()).expect("a sum"), 3);
        shared.server.stop();
    });
}

#[test]
fn answers_that_nobody_reads_keep_no_other_connection_waiting() {
    bounded(|| {
        // A thread that waited for room would do so for a minute.
        let settings = ["ring=65536", "message=65536", "send=60000", "threads=1"];
        let mut victim = Victim::serve(VICTIM, "shm", &settings);
        for variant in ["inline answers", "refusals", "answers of plain commands"] {
            let other = victim.connect().expect("it serves");
            let mut attacker = Attacker::only(HOSTILE, "never-reads", victim.name(), variant);
            assert_eq!(attacker.variant().as_deref(), Some(variant));
            for number in 0..300 {
                add(&other, number, 1);
                // Time for the attacker to fill everything; how much does not matter.
                thread::park_timeout(Duration::from_millis(1));
            }
            drop(attacker);
            assert_eq!(victim.report().code, "peer-died", "{variant}");
        }
        // The pool's 500 threads may all wait for room, each with an answer of up to 64 KiB, a stack
        // that was used, and what the allocator keeps for a thread.
        assert!(victim.growth() < 128 << 20, "{} bytes", victim.growth());
        victim.assert_unharmed();
    });
}

/// How often each thread of a process has gone to sleep, and whether it sleeps now.
fn naps(pid: u32) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let read = |task: &fs::DirEntry, file| fs::read_to_string(task.path().join(file)).ok();
    let naps = |task: fs::DirEntry| {
        let (status, name) = (read(&task, "status")?, read(&task, "comm")?);
        let line = |start| status.lines().find(|line| line.starts_with(start));
        let naps = format!("{} {}", line("State:")?, line("voluntary_ctxt_switches:")?);
        Some((name, naps))
    };
    let mut naps: Vec<_> = tasks.flatten().filter_map(naps).collect();
    naps.sort();
    naps
}

#[test]
fn an_idle_server_with_many_connections_sleeps() {
    bounded(|| {
        let endpoint = format!("shm:{}", unique_name());
        let server = serve_there_on(PEER, &endpoint, &limits(), 1);
        let clients: Vec<_> = (0..40)
            .map(|_| Client::connect(&endpoint).limits(limits()).wait().expect("serves"))
            .collect();
        clients.iter().for_each(|client| add(client, 1, 2));
        // Threads that told hello go home.
        let mut before = naps(server.id());
        eventually("it has gone to sleep", || {
            thread::park_timeout(Duration::from_millis(300));
            let now = naps(server.id());
            let asleep = now == before && now.iter().all(|(_, naps)| naps.contains("S (sleeping)"));
            before = now;
            asleep
        });
        thread::park_timeout(Duration::from_secs(2));
        assert_eq!(naps(server.id()), before, "something wakes it");
        clients.iter().for_each(|client| add(client, 1, 2));
    });
}

#[test]
fn a_flooding_client_does_not_starve_the_others() {
    bounded(|| {
        let settings = ["ring=65536", "message=65536", "threads=1"];
        let mut victim = Victim::serve(VICTIM, "shm", &settings);
        let mut attacker = Attacker::spawn(HOSTILE, "flood", victim.name());
        while let Some(variant) = attacker.variant() {
            let other = victim.connect().expect("it serves");
            for number in 0..300 {
                add(&other, number, 1);
            }
            drop(other);
            attacker.go_on();
            assert!(attacker.facts().is_empty());
            let report = victim.report();
            assert_eq!(report.code, "peer-died", "it was not cut off: {variant}: {report:?}");
            attacker.go_on();
        }
        attacker.end();
        // The pool's 500 threads may all wait for room, each with an answer of up to 64 KiB, a stack
        // that was used, and what the allocator keeps for a thread.
        assert!(victim.growth() < 128 << 20, "{} bytes", victim.growth());
        victim.assert_unharmed();
    });
}
