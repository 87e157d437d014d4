//! What every transport of this crate does.

mod kit;

use std::thread;

use kit::{connected, fill, mem_pair, open, recv, send, wait_for_data};
use tramline_core::transport::WaitFor;
use tramline_core::{Halves, Limits, LinkError, PeerFault, SendError};
use tramline_transport_pipe::{PipeTransport, mem};

fn pairs(limits: &Limits) -> Vec<(Halves, Halves)> {
    vec![
        mem_pair(limits),
        pipe_pair(limits, limits),
        #[cfg(unix)]
        socket_pair(limits),
    ]
}

fn pipe_pair(ours: &Limits, theirs: &Limits) -> (Halves, Halves) {
    let (client, server) = connected();
    (
        open(PipeTransport::new(client, ours).expect("limits")),
        open(PipeTransport::new(server, theirs).expect("limits")),
    )
}

#[cfg(unix)]
fn socket_pair(limits: &Limits) -> (Halves, Halves) {
    use tramline_transport_pipe::Stream;
    let (stream, fd) = Stream::pair().expect("pair");
    let peer = Stream::from_fd(fd).expect("same user");
    (
        open(PipeTransport::new(stream, limits).expect("limits")),
        open(PipeTransport::new(peer, limits).expect("limits")),
    )
}

fn message(len: usize, seed: usize) -> Vec<u8> {
    (0_u8..251).cycle().skip(seed % 251).take(len).collect()
}

const LENS: [usize; 16] = [
    0,
    1,
    3,
    4,
    5,
    255,
    4096,
    4097,
    65_535,
    65_536,
    65_537,
    131_072,
    131_073,
    300_000,
    1 << 20,
    8 << 20,
];

fn round_trip(a: Halves, b: Halves) {
    thread::scope(|scope| {
        for halves in [a, b] {
            scope.spawn(move || {
                let Halves { mut sender, mut receiver, signal, .. } = halves;
                thread::scope(|scope| {
                    scope.spawn(|| {
                        for (i, len) in LENS.iter().chain(LENS.iter().rev()).enumerate() {
                            send(&mut *sender, &*signal, &message(*len, i));
                        }
                    });
                    for (i, len) in LENS.iter().chain(LENS.iter().rev()).enumerate() {
                        let found = recv(&mut *receiver, &*signal).expect("open");
                        assert!(found == message(*len, i), "message {i} of {len} bytes");
                    }
                });
                // A side that leaves first does no harm: what it flushed still arrives.
            });
        }
    });
}

#[test]
fn frames_of_every_size_round_trip_in_both_directions() {
    for (a, b) in pairs(&Limits::default()) {
        round_trip(a, b);
    }
}

#[test]
fn frames_round_trip_between_a_listener_and_whoever_connects_in_one_process() {
    let limits = Limits::default();
    let listener = mem::MemListener::bind("round-trip", &limits).expect("free");
    let client = mem::connect("round-trip", &limits).expect("served");
    let server = listener.accept().expect("running");
    round_trip(open(client), open(server));
}

#[test]
fn frames_round_trip_between_a_listener_and_whoever_connects() {
    let limits = Limits::default();
    let (client, server) = connected();
    assert_eq!(server.peer().pid, Some(std::process::id()));
    assert_eq!(server.peer(), client.peer());
    round_trip(
        open(PipeTransport::new(client, &limits).expect("limits")),
        open(PipeTransport::new(server, &limits).expect("limits")),
    );
}

#[test]
fn many_small_frames_arrive_in_order_while_the_link_is_often_full() {
    for (mut a, b) in pairs(&Limits::default()) {
        let Halves { mut receiver, signal, .. } = b;
        thread::scope(|scope| {
            scope.spawn(|| {
                for i in 0..50_000_u32 {
                    send(&mut *a.sender, &*a.signal, &i.to_le_bytes());
                }
            });
            for i in 0..50_000_u32 {
                assert_eq!(recv(&mut *receiver, &*signal).expect("open"), i.to_le_bytes());
            }
        });
    }
}

#[test]
fn committed_frames_leave_together_at_the_flush() {
    for (mut a, mut b) in pairs(&Limits::default()) {
        for i in 0..100_u8 {
            a.sender.claim(1).expect("room")[0] = i;
            a.sender.commit(1);
        }
        a.sender.claim(9).expect("room").fill(99);
        a.sender.flush().expect("open");
        for i in 0..100_u8 {
            assert_eq!(recv(&mut *b.receiver, &*b.signal), Ok(vec![i]));
        }
        assert!(b.receiver.poll().expect("open").is_none(), "a claim is no frame");
    }
}

#[test]
fn claim_is_never_larger_than_a_message_may_be() {
    let limits = small_limits();
    for (mut a, _b) in pairs(&limits) {
        assert_eq!(a.sender.claim(10).expect("room").len(), limits.max_message_len);
    }
    for (mut a, _b) in pairs(&Limits::default()) {
        assert!(a.sender.claim(0).expect("room").len() >= 64 << 10);
        assert_eq!(a.sender.claim(1 << 20).expect("room").len(), 128 << 10);
    }
}

fn small_limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_message_len = 1024;
    limits
}

#[test]
fn message_over_the_own_limit_is_refused_and_the_link_lives() {
    for (mut a, mut b) in pairs(&small_limits()) {
        let refused = a.sender.send_part(&[0; 1025], &mut 0);
        assert!(matches!(refused, Err(SendError::TooLarge { len: 1025, max: 1024 })));
        send(&mut *a.sender, &*a.signal, b"ok");
        assert_eq!(recv(&mut *b.receiver, &*b.signal), Ok(b"ok".to_vec()));
    }
}

#[test]
fn length_over_the_limit_ends_the_link() {
    let name = "over-the-limit";
    let listener = mem::MemListener::bind(name, &small_limits()).expect("free");
    let links = [
        (
            open(mem::connect(name, &Limits::default()).expect("served")),
            open(listener.accept().expect("running")),
        ),
        pipe_pair(&Limits::default(), &small_limits()),
    ];
    for (mut a, mut b) in links {
        send(&mut *a.sender, &*a.signal, &[7; 1024]);
        send(&mut *a.sender, &*a.signal, &[7; 1025]);
        send(&mut *a.sender, &*a.signal, &[7; 10]);
        assert_eq!(recv(&mut *b.receiver, &*b.signal), Ok(vec![7; 1024]));
        let what = "frame is 1025 bytes, the limit is 1024";
        let fault = Err(LinkError::Fault(PeerFault::new("frame length", what)));
        assert_eq!(recv(&mut *b.receiver, &*b.signal), fault);
        assert_eq!(recv(&mut *b.receiver, &*b.signal), fault);
        assert_eq!(b.receiver.arm(), None);
    }
}

#[test]
fn full_link_reports_backpressure_and_recovers() {
    for (mut a, mut b) in pairs(&Limits::default()) {
        let count = fill(&mut a, &[1; 1000]);
        assert!(count > 0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..count {
                    send(&mut *a.sender, &*a.signal, &[2; 2000]);
                }
                send(&mut *a.sender, &*a.signal, &[3; 200_000]);
            });
            for _ in 0..count {
                assert!(recv(&mut *b.receiver, &*b.signal).expect("open") == [1; 1000]);
            }
            for _ in 0..count {
                assert!(recv(&mut *b.receiver, &*b.signal).expect("open") == [2; 2000]);
            }
            assert!(recv(&mut *b.receiver, &*b.signal).expect("open") == [3; 200_000]);
        });
    }
}

#[test]
fn message_that_found_no_room_at_all_may_be_dropped() {
    for (mut a, mut b) in pairs(&Limits::default()) {
        let count = fill(&mut a, &[1; 1000]);
        let mut sent = 0;
        let refused = a.sender.send_part(&vec![9; 5 << 20], &mut sent);
        assert!(matches!(refused, Err(SendError::Full)) && sent == 0);
        for _ in 0..count {
            assert!(recv(&mut *b.receiver, &*b.signal).expect("open") == [1; 1000]);
        }
        send(&mut *a.sender, &*a.signal, b"next");
        assert_eq!(recv(&mut *b.receiver, &*b.signal), Ok(b"next".to_vec()));
    }
}

#[test]
fn bytes_left_by_flush_still_arrive() {
    for (mut a, mut b) in pairs(&Limits::default()) {
        let count = fill(&mut a, &[5; 3000]);
        for _ in 0..count {
            assert!(recv(&mut *b.receiver, &*b.signal).expect("open") == [5; 3000]);
        }
        assert!(b.receiver.poll().expect("open").is_none());
    }
}

#[test]
fn kick_between_check_and_wait_is_not_lost() {
    for (mut a, _b) in pairs(&Limits::default()) {
        for _ in 0..100 {
            let kicks = a.signal.kicks();
            let data = a.receiver.arm();
            a.signal.kick();
            a.signal.wait(WaitFor { kicks, data, ..WaitFor::default() });
            assert_eq!(a.signal.kicks(), kicks.wrapping_add(1));
        }
    }
}

#[test]
fn data_between_arm_and_wait_is_not_lost_even_if_somebody_else_reads_it() {
    for (mut a, mut b) in pairs(&Limits::default()) {
        let data = b.receiver.arm();
        assert!(data.is_some());
        send(&mut *a.sender, &*a.signal, b"x");
        assert_eq!(recv(&mut *b.receiver, &*b.signal), Ok(b"x".to_vec()));
        b.signal.wait(WaitFor { kicks: b.signal.kicks(), data, ..WaitFor::default() });
    }
}

/// In memory a message is there before its flush. A flush that is late finds the reader's next
/// announcement; the wake it then gives for the old message must end that sleep, for no other wake
/// will come for the next message.
#[test]
fn late_flush_does_not_take_back_a_younger_announcement() {
    let (mut a, mut b) = mem_pair(&Limits::default());
    a.sender.claim(1).expect("room")[0] = 7;
    a.sender.commit(1);
    assert_eq!(b.receiver.poll().expect("open").map(|frame| frame.bytes().to_vec()), Some(vec![7]));
    let kicks = b.signal.kicks();
    let data = b.receiver.arm();
    assert!(data.is_some(), "nothing else was sent");
    a.sender.flush().expect("open");
    let (slept, woken) = std::sync::mpsc::channel();
    thread::spawn(move || {
        b.signal.wait(WaitFor { kicks, data, ..WaitFor::default() });
        let _ = slept.send(());
        b
    });
    woken.recv_timeout(std::time::Duration::from_secs(30)).expect("the late wake ended the sleep");
}

/// Two threads that answer each other and sleep in between: a wake that is lost only now and then
/// stops them for good.
#[test]
fn no_wake_is_lost_in_many_rounds() {
    for (mut a, mut b) in pairs(&Limits::default()) {
        let rounds = if a.transport == "mem" { 200_000 } else { 5_000 };
        thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..rounds {
                    assert_eq!(recv(&mut *b.receiver, &*b.signal).expect("ping"), b"ping");
                    send(&mut *b.sender, &*b.signal, b"pong");
                }
            });
            for _ in 0..rounds {
                send(&mut *a.sender, &*a.signal, b"ping");
                assert_eq!(recv(&mut *a.receiver, &*a.signal).expect("pong"), b"pong");
            }
        });
    }
}

#[test]
fn arm_says_when_there_is_something_already() {
    for (mut a, mut b) in pairs(&Limits::default()) {
        assert!(b.receiver.arm().is_some());
        assert!(a.sender.arm().is_none(), "an empty link has room");
        send(&mut *a.sender, &*a.signal, b"one");
        send(&mut *a.sender, &*a.signal, b"two");
        wait_for_data(&mut b);
        assert_eq!(b.receiver.arm(), None);
        assert_eq!(recv(&mut *b.receiver, &*b.signal), Ok(b"one".to_vec()));
        wait_for_data(&mut b);
        drop(a);
        assert_eq!(recv(&mut *b.receiver, &*b.signal), Ok(b"two".to_vec()));
        wait_for_data(&mut b);
        assert_eq!(b.receiver.arm(), None);
    }
}

#[test]
fn close_wakes_both_sides_and_what_was_sent_before_is_still_read() {
    for (mut a, b) in pairs(&Limits::default()) {
        let Halves { mut receiver, signal, .. } = b;
        send(&mut *a.sender, &*a.signal, b"last");
        thread::scope(|scope| {
            let peer = scope.spawn(|| {
                let last = recv(&mut *receiver, &*signal);
                (last, recv(&mut *receiver, &*signal))
            });
            let local = {
                let (receiver, signal) = (&mut a.receiver, &a.signal);
                scope.spawn(move || recv(&mut **receiver, &**signal))
            };
            a.signal.close();
            a.signal.close();
            assert_eq!(local.join().expect("no panic"), Err(LinkError::Closed));
            let (last, end) = peer.join().expect("no panic");
            assert_eq!((last, end), (Ok(b"last".to_vec()), Err(LinkError::PeerDied)));
        });
        let refused = a.sender.claim(1);
        assert!(matches!(refused, Err(SendError::Link(LinkError::Closed))));
    }
}

#[test]
fn dropping_a_full_link_ends_it_after_the_frames_that_were_flushed() {
    for (mut a, mut b) in pairs(&Limits::default()) {
        let count = fill(&mut a, &[1; 1000]);
        drop(a);
        let mut found = 0;
        let end = loop {
            match recv(&mut *b.receiver, &*b.signal) {
                Ok(frame) => found += usize::from(frame == [1; 1000]),
                Err(error) => break error,
            }
        };
        assert_eq!(found, count);
        assert_eq!(end, LinkError::PeerDied);
        let refused = b.sender.claim(1).map(|_| ());
        assert!(matches!(refused, Err(SendError::Link(LinkError::PeerDied))), "{refused:?}");
    }
}

#[test]
fn sender_that_waits_for_room_hears_that_the_peer_died() {
    for (mut a, b) in pairs(&Limits::default()) {
        fill(&mut a, &[1; 1000]);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                loop {
                    let kicks = a.signal.kicks();
                    match kit::try_send(&mut *a.sender, b"x", &mut 0) {
                        Ok(()) | Err(SendError::Full) => {}
                        Err(error) => return error,
                    }
                    if let room @ Some(_) = a.sender.arm() {
                        a.signal.wait(WaitFor { kicks, room, ..WaitFor::default() });
                    }
                }
            });
            drop(b);
            let error = waiting.join().expect("no panic");
            assert!(matches!(error, SendError::Link(LinkError::PeerDied)), "{error:?}");
        });
    }
}
