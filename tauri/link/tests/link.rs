//! Both ends of a link, in one process: what is sent arrives, whole and in order, however long it is
//! and however slowly it is read.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tramline_core::{LinkError, PeerIdentity, Transport as _};
use tramline_transport_shm::{Established, ShmTransport, establish};
use tramline_web_link::frames::{Head, PART_LEN, part_of, to_page};
use tramline_web_link::{Body, Inlet, MAX_MESSAGE_LEN, Outbox, OutboxError, Polled, limits};

/// Turns a hang into a failure.
const LIMIT: Duration = Duration::from_secs(60);

struct End {
    outbox: Arc<Outbox>,
    inlet: Inlet,
    stuck: Arc<AtomicUsize>,
}

fn end(transport: ShmTransport) -> End {
    let doorbell = transport.doorbell().unwrap();
    let halves = Box::new(transport).into_halves();
    let stuck = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&stuck);
    let outbox = Outbox::new(halves.sender, halves.signal, MAX_MESSAGE_LEN, move || {
        told.fetch_add(1, Ordering::Relaxed);
    });
    let inlet = Inlet::new(halves.receiver, doorbell).unwrap();
    End { outbox: Arc::new(outbox), inlet, stuck }
}

fn pair() -> (End, End) {
    let (a, b) = UnixStream::pair().unwrap();
    let open = |socket: UnixStream| {
        // A small ring, for it to be full soon.
        let mut limits = limits();
        limits.ring_capacity = 1 << 16;
        match establish(socket.into(), &limits, PeerIdentity::default()).unwrap() {
            Established::Open(transport) => transport,
            Established::Rejected { why, .. } => panic!("{why}"),
        }
    };
    let other = std::thread::spawn(move || open(b));
    (end(open(a)), end(other.join().unwrap()))
}

/// The next message, with the other end's outbox pumped meanwhile.
fn next(inlet: &Inlet, outbox: &Outbox) -> Vec<u8> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        match inlet.poll(|frame| frame.bytes().to_vec()) {
            Polled::Message(message) => return message,
            Polled::Nothing => drop(outbox.pump()),
            Polled::Over(error) => panic!("{error}"),
        }
    }
    panic!("nothing came")
}

fn body(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap() ^ seed).collect()
}

#[test]
fn messages_of_every_length_arrive_whole_and_in_order() {
    let (a, b) = pair();
    let lens = [0, 1, 1000, 8000, 8192, 60_000, 70_000, 65_536, 1 << 20, 5, (3 << 20) + 1, 0, 7];
    for (seed, len) in (0_u8..).zip(lens) {
        a.outbox.send(&[seed, 255], Body::Owned(body(len, seed))).unwrap();
    }
    assert!(a.outbox.is_stuck(), "a small ring does not hold all of that");
    assert_eq!(a.stuck.load(Ordering::Relaxed), 1, "told once");
    for (seed, len) in (0_u8..).zip(lens) {
        let message = next(&b.inlet, &a.outbox);
        assert_eq!(message[..2], [seed, 255]);
        assert_eq!(message[2..], body(len, seed)[..]);
    }
    a.outbox.pump();
    assert!(!a.outbox.is_stuck());
}

#[test]
fn a_message_sent_in_parts_arrives_as_one() {
    let (a, b) = pair();
    let whole = body(200_000, 3);
    a.outbox.send_part(b"head", &whole[..50_000], false).unwrap();
    a.outbox.send_part(&[], &whole[50_000..130_000], false).unwrap();
    a.outbox.send_part(&[], &whole[130_000..], true).unwrap();
    a.outbox.send_part(b"alone", &[], true).unwrap();
    let message = next(&b.inlet, &a.outbox);
    assert_eq!(message[..4], *b"head");
    assert_eq!(message[4..], whole[..]);
    assert_eq!(next(&b.inlet, &a.outbox), b"alone");
}

/// Takes a long body: the messages that brought it, and itself.
fn next_long(inlet: &Inlet, outbox: &Outbox, head: &Head) -> (usize, Vec<u8>) {
    let mut whole = Vec::new();
    for count in 1.. {
        let message = next(inlet, outbox);
        if let Some(rest) = message.strip_prefix(head.as_bytes()) {
            whole.extend_from_slice(rest);
            return (count, whole);
        }
        let (len, part) = part_of(&message).expect("nothing is between the parts");
        whole.extend_from_slice(part);
        assert!(part.len() <= PART_LEN && whole.len() <= len);
    }
    unreachable!()
}

#[test]
fn a_long_body_comes_in_messages_of_its_own_with_nothing_between_them() {
    let (a, b) = pair();
    let lens = [0, PART_LEN, PART_LEN + 1, 1 << 20, (3 << 20) + 1, 1];
    for (seed, len) in (0_u8..).zip(lens) {
        let head = Head::answer(to_page::OK_RAW, seed.into(), 0);
        a.outbox.send_long(&head, Body::Owned(body(len, seed))).unwrap();
        a.outbox.send(&[seed], Body::Borrowed(b"between")).unwrap();
    }
    assert!(a.outbox.is_stuck(), "a small ring does not hold all of that");
    for (seed, len) in (0_u8..).zip(lens) {
        let head = Head::answer(to_page::OK_RAW, seed.into(), 0);
        let (count, whole) = next_long(&b.inlet, &a.outbox, &head);
        assert_eq!(whole, body(len, seed));
        assert_eq!(count > 1, len > PART_LEN, "{count} messages for {len} bytes");
        assert_eq!(next(&b.inlet, &a.outbox)[1..], *b"between");
    }
    a.outbox.pump();
    assert!(!a.outbox.is_stuck());
}

#[test]
fn a_long_body_is_there_in_part_before_all_of_it_is_written() {
    let (a, b) = pair();
    let head = Head::answer(to_page::OK_RAW, 1, 2);
    a.outbox.send_long(&head, Body::Borrowed(&body(1 << 20, 5))).unwrap();
    assert!(a.outbox.is_stuck());
    let Polled::Message(first) = b.inlet.poll(|frame| frame.bytes().to_vec()) else {
        panic!("nothing is there")
    };
    let (len, part) = part_of(&first).unwrap();
    assert_eq!((len, part), (1 << 20, &body(1 << 20, 5)[..part.len()]));
}

#[test]
fn sending_never_waits_for_a_reader_that_does_not_read() {
    let (a, _b) = pair();
    for _ in 0..1000 {
        a.outbox.send(b"x", Body::Owned(body(4000, 0))).unwrap();
    }
    assert!(a.outbox.is_stuck());
    assert!(!a.outbox.pump(), "nothing was read, so nothing moves");
}

#[test]
fn what_is_too_large_is_refused_and_the_link_goes_on() {
    let (a, b) = pair();
    let huge = vec![0; MAX_MESSAGE_LEN];
    assert_eq!(a.outbox.send(b"x", Body::Borrowed(&huge)), Err(OutboxError::TooLarge));
    let head = Head::channel(to_page::CHANNEL_RAW, 1, 2);
    assert_eq!(a.outbox.send_long(&head, Body::Borrowed(&huge)), Err(OutboxError::TooLarge));
    drop(huge);
    a.outbox.send(b"y", Body::Owned(body(1000, 1))).unwrap();
    assert_eq!(next(&b.inlet, &a.outbox).len(), 1001);
}

#[test]
fn a_closed_outbox_takes_nothing_and_the_reader_is_told_behind_the_last_message() {
    let (a, b) = pair();
    a.outbox.send(b"last", Body::Borrowed(&[])).unwrap();
    a.outbox.close();
    assert_eq!(a.outbox.send(b"x", Body::Borrowed(&[])), Err(OutboxError::Closed));
    assert_eq!(next(&b.inlet, &a.outbox), b"last");
    let start = Instant::now();
    loop {
        match b.inlet.poll(|_| ()) {
            Polled::Over(error) => {
                assert!(matches!(error, LinkError::Closed), "{error}");
                break;
            }
            Polled::Message(()) => panic!("a message behind the last one"),
            Polled::Nothing => assert!(start.elapsed() < LIMIT, "the end was not told"),
        }
    }
}

#[test]
fn what_was_sent_before_an_end_left_is_read_although_it_cannot_be_answered() {
    let (a, b) = pair();
    for _ in 0..3 {
        a.outbox.send(b"call", Body::Borrowed(&[])).unwrap();
    }
    a.outbox.close();
    for _ in 0..3 {
        assert_eq!(next(&b.inlet, &a.outbox), b"call");
        // The hang-up is heard sooner or later.
        b.inlet.hear();
        let _ = b.outbox.send(b"answer", Body::Borrowed(&[]));
    }
    assert_eq!(b.outbox.send(b"answer", Body::Borrowed(&[])), Err(OutboxError::Closed));
    assert!(matches!(b.inlet.poll(|_| ()), Polled::Over(LinkError::Closed)));
}

#[test]
fn a_sleeper_is_woken_through_its_descriptor() {
    let (a, b) = pair();
    assert!(b.inlet.sleep(), "nothing is there");
    a.outbox.send(b"wake", Body::Borrowed(&[])).unwrap();
    assert!(readable(b.inlet.fd()), "the wake did not come");
    b.inlet.wake();
    assert_eq!(next(&b.inlet, &a.outbox), b"wake");
    b.inlet.hear();
    assert!(b.inlet.sleep());
    a.outbox.send(b"again", Body::Borrowed(&[])).unwrap();
    b.inlet.wake();
    assert!(b.inlet.has_news());
    b.inlet.hear();
    assert!(!b.inlet.sleep(), "the message is not forgotten with its wake");
    assert_eq!(next(&b.inlet, &a.outbox), b"again");
}

fn readable(fd: std::os::fd::RawFd) -> bool {
    let mut entry =
        glib_sys::GPollFD { fd, events: u16::try_from(glib_sys::G_IO_IN).unwrap(), revents: 0 };
    // SAFETY: one entry, alive during the call.
    unsafe { glib_sys::g_poll(&raw mut entry, 1, 60_000) > 0 }
}
