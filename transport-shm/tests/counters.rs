//! The counters of a link, from inside and from outside. One test, since a process sees all of its
//! links.
#![cfg(target_os = "linux")]

mod kit;

use std::os::unix::net::UnixStream;

use kit::{limits, receive, send};
use tramline_core::{Halves, Transport};
use tramline_transport_shm::{Counters, Established, LinkCounters, SegmentReport, inspect};

fn open(socket: UnixStream) -> (Halves, LinkCounters) {
    match kit::start(socket, &limits(1 << 16)) {
        Ok(Established::Open(shm)) => {
            let counters = shm.counters();
            (Box::new(shm).into_halves(), counters)
        }
        other => panic!("not open: {other:?}"),
    }
}

fn own_segments() -> Vec<SegmentReport> {
    inspect(std::process::id()).expect("a process may look at itself")
}

#[test]
fn counters_say_what_was_published_and_read_and_outlive_the_link() {
    assert_eq!(own_segments(), []);
    let (x, y) = UnixStream::pair().expect("socket pair");
    let ((mut a, a_counters), (mut b, b_counters)) = std::thread::scope(|scope| {
        let other = scope.spawn(|| open(y));
        (open(x), other.join().expect("the other end"))
    });
    assert_eq!(a_counters.own(), Counters::default());

    // Headers of 8 bytes, payloads rounded up to 8.
    for len in [0, 1, 8, 100] {
        send(&mut *a.sender, &*a.signal, &vec![7; len]).expect("room");
    }
    assert_eq!(a_counters.own().records, 0, "not flushed yet");
    a.sender.flush().expect("open");
    let published = a_counters.own();
    assert_eq!((published.records, published.bytes), (4, 4 * 8 + 8 + 8 + 104));
    assert_eq!(b_counters.peer(), published);
    assert_eq!((b_counters.own().consumed, b_counters.own().records), (0, 0));
    for _ in 0..4 {
        receive(&mut *b.receiver, &*b.signal).expect("a message");
    }
    assert!(matches!(b.receiver.poll(), Ok(None)));
    assert_eq!(b_counters.own().consumed, published.bytes);
    assert_eq!(a_counters.peer().consumed, published.bytes);

    // A sleep, and its wake.
    let parks = b_counters.own().parks;
    assert!(b.receiver.arm().is_some());
    assert_eq!(a_counters.peer().parks, parks + 1);
    let wakes = a_counters.own().wakes;
    send(&mut *a.sender, &*a.signal, b"x").expect("room");
    a.sender.flush().expect("open");
    assert_eq!(a_counters.own().wakes, wakes + 1);
    b.receiver.disarm();

    // Until there is no room.
    while a.sender.send_part(&[0; 1000], &mut 0).is_ok() {}
    assert!(a_counters.own().full_waits >= 1);
    assert_eq!(a_counters.own().drops, 0, "whoever waits drops nothing");
    a.sender.count_drop();
    assert_eq!(b_counters.peer().drops, 1);

    // From outside: both directions, each mapped by its writer and by its reader.
    let segments = own_segments();
    assert_eq!(segments.len(), 4, "{segments:#?}");
    let of = |counters: Counters, own: bool| {
        let same = |s: &&SegmentReport| s.own == own && s.counters == counters;
        segments.iter().filter(same).count()
    };
    for counters in [a_counters.own(), b_counters.own()] {
        assert_eq!((of(counters, true), of(counters, false)), (1, 1), "{segments:#?}");
    }
    for segment in &segments {
        assert_eq!(segment.nonce, segments[0].nonce);
        assert_eq!((segment.ring_capacity, segment.state), (1 << 16, 1));
        assert_eq!(segment.owner_pid, u64::from(std::process::id()));
        assert_eq!(segment.rx_park & 1, 0, "nobody sleeps");
    }

    // The handle holds the memory, not the link.
    let last = a_counters.own();
    drop(a);
    let end = loop {
        if let Err(end) = receive(&mut *b.receiver, &*b.signal) {
            break end;
        }
    };
    assert_eq!(end, tramline_core::LinkError::Closed);
    drop(b);
    assert_eq!((a_counters.own(), b_counters.peer()), (last, last));
    assert!(!own_segments().is_empty());
    drop((a_counters, b_counters));
    // The watcher may hold a link for a moment after its hang-up.
    assert!((0..100_000).any(|_| {
        std::thread::yield_now();
        own_segments().is_empty()
    }));
}
