//! The server is killed while clients wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use tramline::{Client, InvokeError, LinkError, SendError, json};
use tramline_tests::fixture::{Fixture, Setup, Transport};
use tramline_tests::random::Random;
use tramline_tests::{PATIENCE, bounded, eventually};

use crate::PEER;

const BOTH: [Transport; 2] = [Transport::Shm, Transport::Pipe];

/// Runs for both transports that have another process.
fn with_server(test: fn(Fixture)) {
    for transport in BOTH {
        bounded(move || {
            let codec = Setup::MSGPACK;
            test(Setup { transport, codec, program: PEER }.open());
        });
    }
}

fn kill(f: &mut Fixture) {
    f.process().expect("another process").shoot();
}

fn hold(client: &Client) -> Result<String, InvokeError> {
    client.invoke("hold", json!({ "gate": "g" })).wait()
}

fn assert_died(ended: Result<String, InvokeError>) {
    match ended {
        Err(
            InvokeError::OutcomeUnknown(LinkError::PeerDied)
            | InvokeError::Send(SendError::Link(LinkError::PeerDied)),
        ) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn killing_the_server_ends_a_parked_call_with_peer_died() {
    with_server(|mut f| {
        let client = f.client.clone();
        let call = thread::spawn(move || hold(&client));
        f.wait_entered("g", 1);
        kill(&mut f);
        assert_died(call.join().expect("no panic"));
        assert_eq!(f.client.ended(), Some(LinkError::PeerDied));
        assert_died(hold(&f.client));
    });
}

#[test]
fn killing_the_server_ends_calls_of_several_threads_with_peer_died() {
    with_server(|mut f| {
        let calls: Vec<_> = (0..5)
            .map(|_| {
                let client = f.client.clone();
                thread::spawn(move || hold(&client))
            })
            .collect();
        f.wait_entered("g", 5);
        kill(&mut f);
        for call in calls {
            assert_died(call.join().expect("no panic"));
        }
    });
}

#[test]
fn killing_the_server_ends_awaited_calls_with_peer_died() {
    with_server(|mut f| {
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let client = f.client.clone();
                thread::spawn(move || {
                    let call = client.invoke::<String, _>("hold", json!({ "gate": "g" }));
                    futures_lite::future::block_on(async { call.await })
                })
            })
            .collect();
        f.wait_entered("g", 3);
        kill(&mut f);
        for call in calls {
            assert_died(call.join().expect("no panic"));
        }
    });
}

#[test]
fn killing_the_server_ends_calls_while_a_listener_is_there_with_peer_died() {
    with_server(|mut f| {
        f.client.listen("down", |_| {}).wait().expect("allowed");
        let client = f.client.clone();
        let call = thread::spawn(move || hold(&client));
        f.wait_entered("g", 1);
        kill(&mut f);
        assert_died(call.join().expect("no panic"));
    });
}

#[test]
fn killing_the_server_ends_a_busy_client_with_peer_died() {
    with_server(|mut f| {
        let calls = AtomicU64::new(0);
        thread::scope(|scope| {
            let busy: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            let args = json!({ "a": 1, "b": 1 });
                            match f.client.invoke::<i64, _>("add", args).wait() {
                                Ok(sum) => assert_eq!(sum, 2),
                                Err(e) => return Err(e),
                            }
                            calls.fetch_add(1, Ordering::SeqCst);
                        }
                    })
                })
                .collect();
            eventually("calls are made", || calls.load(Ordering::SeqCst) > 200);
            kill_scoped(&f);
            for busy in busy {
                assert_died(busy.join().expect("no panic"));
            }
        });
        f.process().expect("another process").kill();
    });
}

/// Kills without `&mut`, for use while other threads borrow the fixture.
fn kill_scoped(f: &Fixture) {
    let pid = f.client.server().identity().pid.expect("the system tells");
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is our child");
}

#[test]
fn killing_the_server_wakes_an_emit_that_waits_for_room() {
    with_server(|mut f| {
        f.client.emit("blocking", "gate").expect("room");
        f.wait_entered("gate", 1);
        let ballast = "x".repeat(50_000);
        while f.client.try_emit("up", &ballast).is_ok() {}
        thread::scope(|scope| {
            let emit = scope.spawn(|| {
                loop {
                    if let Err(e) = f.client.emit("up", &ballast) {
                        return e;
                    }
                }
            });
            kill_scoped(&f);
            let error = emit.join().expect("no panic");
            assert_eq!(error.code(), "peer-died", "{error:?}");
        });
        f.process().expect("another process").kill();
    });
}

#[test]
fn large_events_from_before_the_death_are_delivered_when_a_sender_is_the_first_to_notice_it() {
    bounded(|| {
        let codec = Setup::MSGPACK;
        let mut f = Setup { transport: Transport::Shm, codec, program: PEER }.open();
        let (entered, has_entered) = channel();
        let (release, released) = channel();
        let (came, released) = (Arc::new(Mutex::new(Vec::new())), Mutex::new(released));
        let listener = Arc::clone(&came);
        let see = move |event: tramline::Event<'_>| {
            let (number, ballast) = event.payload::<(u64, &str)>().expect("numbered");
            listener.lock().expect("no panic").push((number, ballast.len()));
            if number == 0 {
                entered.send(()).expect("the test waits");
                released.lock().expect("no panic").recv().expect("the test goes on");
            }
        };
        f.client.listen("down", see).wait().expect("allowed");
        // Larger than what the transport reads in one go, so that it comes to the end of the link in
        // the middle of one. Nobody reads while the listener waits.
        let ballast = 300_000;
        let args = json!({ "label": "first", "event": "down", "ballast": ballast });
        let count: u64 = f.second().invoke("fill", args).wait().expect("filled");
        assert!(count >= 2, "{count} events fit");
        has_entered.recv().expect("the first event comes");
        f.process().expect("another process").kill();
        let error = loop {
            if let Err(error) = f.client.emit("up", &1) {
                break error;
            }
        };
        assert_eq!(error.code(), "peer-died");
        release.send(()).expect("the listener waits");
        drop(f);
        eventually("all events were delivered", || Arc::strong_count(&came) == 1);
        let expected: Vec<_> = (0..count).map(|number| (number, ballast)).collect();
        assert_eq!(*came.lock().expect("no panic"), expected);
    });
}

#[test]
fn killing_the_server_ends_channels_with_peer_died() {
    with_server(|mut f| {
        let (to, mut quiet) = f.client.channel::<bool>();
        let (from, sender) = f.client.channel_to::<str>();
        let (numbers, mut busy) = f.client.channel::<(u64, String)>();
        thread::scope(|scope| {
            let call = |command, args| {
                let client = &f.client;
                scope.spawn(move || client.invoke::<Value, _>(command, args).wait());
            };
            call("tell_cancelled", json!({ "gate": "quiet", "to": to }));
            call("count_up_late", json!({ "gate": "late", "numbers": from }));
            let args = json!({ "count": u64::MAX, "ballast": 100, "numbers": numbers });
            call("count_to", args);
            // One waits for a message, one for room, one for neither.
            let quiet = scope.spawn(|| quiet.recv().expect("an error").expect_err("it died"));
            f.wait_entered("late", 1);
            let sending = scope.spawn(|| (0..).find_map(|_| sender.send("x").err()));
            assert!(busy.messages().take(1000).all(|number| number.is_ok()));
            f.wait_entered("quiet", 1);
            kill_scoped(&f);
            assert_eq!(quiet.join().expect("no panic").code(), "peer-died");
            let error = sending.join().expect("no panic").expect("an error");
            assert_eq!(error.code(), "peer-died", "{error:?}");
            // What had come is read first, in order.
            let mut next = 1000;
            let error = loop {
                match busy.recv().expect("an error") {
                    Ok((number, _)) => assert_eq!(number, next),
                    Err(error) => break error,
                }
                next += 1;
            };
            assert_eq!(error.code(), "peer-died");
            assert!(busy.recv().is_none());
        });
        f.process().expect("another process").kill();
    });
}

#[test]
fn killing_the_server_at_random_moments_of_traffic_always_ends_the_client() {
    for transport in BOTH {
        bounded(move || {
            let mut random = Random::new(7);
            for _ in 0..15 {
                let codec = Setup::MSGPACK;
                let mut f = Setup { transport, codec, program: PEER }.open();
                f.client.listen("down", |_| {}).wait().expect("allowed");
                let moment = random.below(400);
                let ballast = "x".repeat(usize::try_from(random.below(200_000)).expect("small"));
                let calls = AtomicU64::new(0);
                thread::scope(|scope| {
                    let called = scope.spawn(|| {
                        loop {
                            let args = json!({ "text": &ballast });
                            let echo = f.client.invoke::<String, _>("echo_text", args);
                            if let Err(e) = echo.timeout(PATIENCE).wait() {
                                return e;
                            }
                            calls.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                    let emitted = scope.spawn(|| {
                        for number in 0.. {
                            if let Err(e) = f.client.emit("echo", &number) {
                                return e;
                            }
                            calls.fetch_add(1, Ordering::SeqCst);
                        }
                        unreachable!()
                    });
                    eventually("traffic", || calls.load(Ordering::SeqCst) >= moment);
                    kill_scoped(&f);
                    assert_eq!(called.join().expect("no panic").code(), "peer-died");
                    assert_eq!(emitted.join().expect("no panic").code(), "peer-died");
                });
                assert_eq!(f.client.ended(), Some(LinkError::PeerDied));
                f.process().expect("another process").kill();
            }
        });
    }
}
