//! An open link: messages both ways, closing, dying.
#![cfg(target_os = "linux")]

mod kit;

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use kit::{limits, link, open, receive, send, start};
use rustix::io::Errno;
use rustix::net::SendFlags;
use tramline_core::transport::WaitFor;
use tramline_core::{Halves, Limits, LinkError, SendError, Transport};
use tramline_transport_shm::{Established, ShmTransport};

const MAX: u32 = 1 << 20;

/// Message number `i`: mostly small, some large, some empty, every byte known.
fn message(i: u32) -> Vec<u8> {
    let mixed = i.wrapping_mul(0x9E37_79B9);
    let len: u32 = match mixed >> 28 {
        0 => 0,
        1 => mixed % MAX,
        2..5 => mixed % 60_000,
        _ => mixed % 600,
    };
    (0..len).map(|at| (at ^ mixed).to_le_bytes()[0]).collect()
}

/// Sends `count` messages each way at the same time and checks every byte.
fn exchange(a: Halves, b: Halves, count: u32) {
    std::thread::scope(|scope| {
        // Kept until everything is read: dropping them is a goodbye.
        let (mut kept, mut readers) = (Vec::new(), Vec::new());
        for Halves { mut sender, mut receiver, signal, .. } in [a, b] {
            let signal = Arc::new(signal);
            let same = Arc::clone(&signal);
            kept.push(Arc::clone(&signal));
            scope.spawn(move || {
                for i in 0..count {
                    send(&mut *sender, &**signal, &message(i)).expect("sent");
                    if i % 3 == 0 {
                        sender.flush().expect("open");
                    }
                }
                // The other end may have read all of it and left.
                let _ = sender.flush();
            });
            readers.push(scope.spawn(move || {
                for i in 0..count {
                    let got = receive(&mut *receiver, &**same).expect("received");
                    assert!(got == message(i), "message {i}, {} bytes", got.len());
                }
            }));
        }
        for reader in readers {
            reader.join().expect("every message");
        }
        drop(kept);
    });
}

/// Two ends of one link before they are split.
fn transports() -> [ShmTransport; 2] {
    let (x, y) = UnixStream::pair().expect("socket pair");
    let open = |socket: UnixStream| match start(socket, &limits(1 << 16)) {
        Ok(Established::Open(shm)) => shm,
        other => panic!("not open: {other:?}"),
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| open(y));
        [open(x), other.join().expect("the other end")]
    })
}

#[test]
fn probe_goes_there_and_back_while_messages_pass() {
    let [a, b] = transports();
    let (ping, pong) = (a.probe(), b.probe().yielding_after(1));
    let (a, b): (Halves, Halves) = (Box::new(a).into_halves(), Box::new(b).into_halves());
    std::thread::scope(|scope| {
        scope.spawn(|| assert!((1..1000).all(|value| pong.pong(value))));
        scope.spawn(|| assert!((1..1000).all(|value| ping.ping(value))));
        exchange(a, b, 50);
    });
}

#[test]
fn probe_gives_up_when_the_link_ends() {
    let [a, b] = transports();
    let ping = a.probe();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| ping.ping(1));
        drop(b);
        assert!(!waits.join().expect("no panic"));
    });
}

#[test]
fn every_message_arrives_once_and_in_order_both_ways() {
    for capacity in [1 << 16, 1 << 20] {
        let (a, b) = link(&limits(capacity), &limits(capacity));
        exchange(a, b, 3000);
    }
}

#[test]
fn ends_with_different_limits_agree_on_the_smaller_ring() {
    let (a, b) = link(&limits(1 << 16), &limits(1 << 20));
    exchange(a, b, 300);
}

#[test]
fn ping_pong_wakes_a_sleeping_reader_each_time() {
    let (mut a, mut b) = link(&Limits::default(), &Limits::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..2000_u32 {
                let got = receive(&mut *b.receiver, &*b.signal).expect("request");
                assert_eq!(got, i.to_le_bytes());
                send(&mut *b.sender, &*b.signal, &got).expect("reply");
                b.sender.flush().expect("open");
            }
        });
        for i in 0..2000_u32 {
            let kicks = a.signal.kicks();
            let room = a.sender.claim(4).expect("room");
            room[..4].copy_from_slice(&i.to_le_bytes());
            a.sender.commit(4);
            a.sender.flush().expect("open");
            // No spinning here: every reply meets a reader that sleeps or is about to.
            loop {
                if let Some(frame) = a.receiver.poll().expect("open") {
                    assert_eq!(frame.bytes(), i.to_le_bytes());
                    break;
                }
                if let Some(ticket) = a.receiver.arm() {
                    a.signal.wait(WaitFor { kicks, data: Some(ticket), ..WaitFor::default() });
                }
                a.receiver.disarm();
            }
        }
    });
}

#[test]
fn goodbye_comes_after_what_was_sent() {
    let (mut a, mut b) = link(&limits(1 << 16), &limits(1 << 16));
    send(&mut *a.sender, &*a.signal, b"last words").expect("sent");
    a.sender.flush().expect("open");
    a.signal.close();
    a.signal.close();
    assert!(matches!(a.sender.claim(1), Err(SendError::Link(LinkError::Closed))));
    assert!(matches!(a.receiver.poll(), Err(LinkError::Closed)));
    assert_eq!(receive(&mut *b.receiver, &*b.signal), Ok(b"last words".to_vec()));
    assert_eq!(receive(&mut *b.receiver, &*b.signal), Err(LinkError::Closed));
    assert_eq!(b.sender.flush(), Err(LinkError::Closed));
}

#[test]
fn dropping_all_halves_is_a_goodbye() {
    let (a, mut b) = link(&limits(1 << 16), &limits(1 << 16));
    let Halves { sender, receiver, signal, .. } = a;
    drop(sender);
    drop(signal);
    assert!(matches!(b.receiver.poll(), Ok(None)));
    drop(receiver);
    assert_eq!(receive(&mut *b.receiver, &*b.signal), Err(LinkError::Closed));
}

#[test]
fn closing_wakes_a_sender_that_waits_for_room() {
    let (mut a, b) = link(&limits(1 << 16), &limits(1 << 16));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let whole = vec![1; 1 << 20];
            send(&mut *a.sender, &*a.signal, &whole)
        });
        b.signal.close();
        let result = waiting.join().expect("no panic");
        assert!(matches!(result, Err(SendError::Link(LinkError::Closed))), "{result:?}");
    });
}

#[test]
fn a_kick_ends_a_sleep_without_ending_the_link() {
    let (mut a, _b) = link(&limits(1 << 16), &limits(1 << 16));
    let kicks = a.signal.kicks();
    std::thread::scope(|scope| {
        let signal = &a.signal;
        let sleeping = scope.spawn(move || {
            while signal.kicks() == kicks {
                signal.wait(WaitFor { kicks, ..WaitFor::default() });
            }
        });
        signal.kick();
        sleeping.join().expect("awake");
    });
    assert!(matches!(a.receiver.poll(), Ok(None)));
}

#[test]
fn a_message_above_the_limit_is_refused_by_its_sender() {
    let mut small = limits(1 << 16);
    small.max_message_len = 2000;
    let (mut a, _b) = link(&small, &small);
    assert!(matches!(
        a.sender.send_part(&[0; 2001], &mut 0),
        Err(SendError::TooLarge { len: 2001, max: 2000 })
    ));
}

#[test]
fn a_message_above_the_readers_limit_is_a_fault() {
    let mut small = limits(1 << 16);
    small.max_message_len = 2000;
    let (mut a, mut b) = link(&limits(1 << 16), &small);
    send(&mut *a.sender, &*a.signal, &[0; 2001]).expect("sent");
    a.sender.flush().expect("open");
    for _ in 0..2 {
        let result = receive(&mut *b.receiver, &*b.signal);
        assert!(matches!(&result, Err(LinkError::Fault(f)) if f.at == "len"), "{result:?}");
    }
    assert!(matches!(b.sender.claim(1), Err(SendError::Link(LinkError::Fault(_)))));
    assert_eq!(receive(&mut *a.receiver, &*a.signal), Err(LinkError::PeerDied));
}

#[test]
fn bytes_on_the_control_socket_are_a_fault() {
    let (x, y) = UnixStream::pair().expect("socket pair");
    let mut behind_the_back = y.try_clone().expect("duplicate");
    let (mut a, _b) = std::thread::scope(|scope| {
        let other = scope.spawn(|| open(y, &limits(1 << 16)));
        (open(x, &limits(1 << 16)), other.join().expect("the other end"))
    });
    behind_the_back.write_all(b"x").expect("written");
    let result = receive(&mut *a.receiver, &*a.signal);
    assert!(matches!(&result, Err(LinkError::Fault(f)) if f.at == "control socket"), "{result:?}");
}

#[test]
fn an_urgent_byte_on_the_control_socket_is_a_fault() {
    let (x, y) = UnixStream::pair().expect("socket pair");
    let behind_the_back = y.try_clone().expect("duplicate");
    let (mut a, _b) = std::thread::scope(|scope| {
        let other = scope.spawn(|| open(y, &limits(1 << 16)));
        (open(x, &limits(1 << 16)), other.join().expect("the other end"))
    });
    // It cannot be read like others, but makes the socket readable for ever.
    if rustix::net::send(&behind_the_back, b"x", SendFlags::OOB) == Err(Errno::OPNOTSUPP) {
        eprintln!("skipped: this kernel has no urgent bytes on such sockets");
        return;
    }
    let result = receive(&mut *a.receiver, &*a.signal);
    assert!(matches!(&result, Err(LinkError::Fault(f)) if f.at == "control socket"), "{result:?}");
}

/// Not a test: what the child process of the tests below runs.
#[test]
fn child() {
    if std::env::var_os("TRAMLINE_TEST_CHILD").is_none() {
        return;
    }
    let socket = std::io::stdin().as_fd().try_clone_to_owned().expect("the parent's socket");
    let mut halves = open(socket, &limits(1 << 16));
    // One message is committed, the next one is half written when the parent kills us.
    send(&mut *halves.sender, &*halves.signal, b"alive").expect("sent");
    halves.sender.flush().expect("open");
    halves.sender.claim(100).expect("room")[..50].fill(7);
    let _ = receive(&mut *halves.receiver, &*halves.signal);
}

fn child_process() -> (Child, Halves) {
    let (x, y) = UnixStream::pair().expect("socket pair");
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child", "--quiet"])
        .env("TRAMLINE_TEST_CHILD", "1")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(y)))
        .stdout(Stdio::null())
        .spawn()
        .expect("child process");
    (child, open(x, &limits(1 << 16)))
}

#[test]
fn parked_reader_learns_of_death() {
    let (mut child, mut halves) = child_process();
    assert_eq!(receive(&mut *halves.receiver, &*halves.signal), Ok(b"alive".to_vec()));
    let kicks = halves.signal.kicks();
    assert!(matches!(halves.receiver.poll(), Ok(None)));
    let ticket = halves.receiver.arm().expect("nothing to read");
    std::thread::scope(|scope| {
        let signal = &halves.signal;
        let sleeping = scope.spawn(move || {
            // Nothing but the death can end this: no timeout, and nobody rings.
            while signal.kicks() == kicks {
                signal.wait(WaitFor { kicks, data: Some(ticket), ..WaitFor::default() });
            }
        });
        child.kill().expect("killed");
        child.wait().expect("gone");
        sleeping.join().expect("awake");
    });
    assert!(matches!(halves.receiver.poll(), Err(LinkError::PeerDied)));
    assert!(matches!(halves.sender.claim(1), Err(SendError::Link(LinkError::PeerDied))));
}

#[test]
fn what_a_dead_peer_committed_is_still_delivered() {
    let (mut child, mut halves) = child_process();
    while !halves.receiver.spin() {
        let kicks = halves.signal.kicks();
        if let Some(ticket) = halves.receiver.arm() {
            halves.signal.wait(WaitFor { kicks, data: Some(ticket), ..WaitFor::default() });
        }
        halves.receiver.disarm();
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    assert_eq!(receive(&mut *halves.receiver, &*halves.signal), Ok(b"alive".to_vec()));
    assert_eq!(receive(&mut *halves.receiver, &*halves.signal), Err(LinkError::PeerDied));
}

#[test]
fn sender_learns_of_death_while_it_waits_for_room() {
    let (mut child, mut halves) = child_process();
    assert_eq!(receive(&mut *halves.receiver, &*halves.signal), Ok(b"alive".to_vec()));
    child.kill().expect("killed");
    child.wait().expect("gone");
    let result = send(&mut *halves.sender, &*halves.signal, &vec![0; 1 << 20]);
    assert!(matches!(result, Err(SendError::Link(LinkError::PeerDied))), "{result:?}");
}
