//! Sleeping on the control socket.
#![cfg(target_os = "linux")]

mod kit;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kit::{limits, send_blob, shm_with_records, start};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags};
use tramline_core::transport::{Transport, WaitFor};
use tramline_core::{Halves, LinkError};
use tramline_transport_shm::{Doorbell, Established, SealedBlob};

/// Two ends of one link; the first one sleeps on its socket. How often it was told of a kick.
fn link() -> (Halves, Doorbell, Arc<AtomicU32>, Halves) {
    let (x, y) = UnixStream::pair().expect("socket pair");
    let small = limits(1 << 16);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| kit::open(y, &small));
        let Ok(Established::Open(shm)) = start(x, &small) else { panic!("not open") };
        let doorbell = shm.doorbell().expect("a socket");
        let kicks = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&kicks);
        doorbell
            .attach(move || {
                told.fetch_add(1, Ordering::Relaxed);
            })
            .expect("attached");
        (Box::new(shm).into_halves(), doorbell, kicks, other.join().expect("the other end"))
    })
}

/// Bytes that wait in the socket.
fn rings(doorbell: &Doorbell) -> usize {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    rustix::net::recv(doorbell.as_fd(), &mut [0_u8; 4096], flags).map_or(0, |(_, rings)| rings)
}

fn send(halves: &mut Halves, message: &[u8]) {
    halves.sender.send_part(message, &mut 0).expect("room");
    halves.sender.flush().expect("open");
}

#[test]
fn a_sleeper_on_the_socket_gets_one_byte_for_each_sleep() {
    let (mut sleeper, mut doorbell, _, mut other) = link();
    send(&mut other, b"nobody sleeps");
    assert_eq!(rings(&doorbell), 0);
    assert!(sleeper.receiver.poll().expect("open").is_some());
    for _ in 0..3 {
        assert!(sleeper.receiver.arm().is_some());
        for _ in 0..3 {
            send(&mut other, b"wake up");
        }
        assert_eq!(rings(&doorbell), 1);
        let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
        let mut fds = [PollFd::new(&doorbell, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&patience)), Ok(1));
        doorbell.hear();
        assert_eq!(rings(&doorbell), 0);
        sleeper.receiver.disarm();
        for _ in 0..3 {
            assert!(sleeper.receiver.poll().expect("open").is_some());
        }
    }
}

#[test]
fn ringing_a_full_socket_never_blocks() {
    const SLEEPS: u32 = 2000;
    let (mut sleeper, mut doorbell, _, mut other) = link();
    for _ in 0..SLEEPS {
        assert!(sleeper.receiver.arm().is_some());
        send(&mut other, b"wake up");
        assert!(sleeper.receiver.poll().expect("open").is_some());
    }
    let waiting = rings(&doorbell);
    assert!(waiting > 0 && waiting < SLEEPS as usize, "the socket is full: {waiting}");
    // None of these was without a reason.
    doorbell.hear();
    assert!(sleeper.receiver.poll().expect("open").is_none());
    assert_eq!(rings(&doorbell), 0);
    assert!(sleeper.receiver.arm().is_some());
    send(&mut other, b"wake up");
    assert_eq!(rings(&doorbell), 1);
}

#[test]
fn a_hang_up_is_told_and_heard() {
    let (mut sleeper, mut doorbell, kicks, mut other) = link();
    assert!(sleeper.receiver.arm().is_some());
    send(&mut other, b"the last word");
    drop(other);
    // The watcher of this process may be first, or we are.
    doorbell.hear();
    doorbell.hear();
    assert!(kicks.load(Ordering::Relaxed) > 0);
    assert!(sleeper.receiver.poll().expect("still there").is_some());
    assert!(matches!(sleeper.receiver.poll(), Err(LinkError::Closed)));
}

#[test]
fn doorbells_and_descriptors_share_the_socket() {
    let (mut sleeper, mut doorbell, _, mut other) = link();
    let blob = SealedBlob::from_bytes(&[7; 5000]).expect("a blob");
    for round in 0..300_u32 {
        // A doorbell before the descriptor, and one behind it.
        assert!(sleeper.receiver.arm().is_some());
        send(&mut other, b"wake up");
        let hears_first = round % 2 == 0;
        if hears_first {
            doorbell.hear();
        }
        assert!(sleeper.receiver.poll().expect("open").is_some());
        assert!(sleeper.receiver.arm().is_some());
        send_blob(&mut *other.sender, &*other.signal, b"head", &blob).expect("sent");
        other.sender.flush().expect("open");
        assert!(rings(&doorbell) > 0);
        if round % 3 == 0 {
            // It must leave the descriptor to its record.
            doorbell.hear();
        }
        let frame = sleeper.receiver.poll().expect("open").expect("a message");
        assert_eq!(frame.keep().into_body(4), [7; 5000][..]);
        doorbell.hear();
        assert_eq!(rings(&doorbell), 0);
    }
}

#[test]
fn what_is_no_doorbell_ends_the_link() {
    for garbage in [&b"x"[..], b"\x01x", b"\x02", b"\x0223456789", b"\x01\x01\x02"] {
        let (shm, socket) = shm_with_records(&limits(1 << 16), &[]);
        let mut doorbell = shm.doorbell().expect("a socket");
        doorbell.attach(|| ()).expect("attached");
        let mut halves = Box::new(shm).into_halves();
        rustix::net::send(&socket, garbage, SendFlags::NOSIGNAL).expect("sent");
        doorbell.hear();
        assert!(matches!(halves.receiver.poll(), Err(LinkError::Fault(_))), "{garbage:?}");
    }
}

/// Every message is honest and every ring answers one sleep, but another thread of ours reads every
/// second message before its ring is heard.
#[test]
fn rings_of_an_honest_peer_may_be_late_and_early() {
    let (mut sleeper, mut doorbell, _, mut other) = link();
    for round in 0..3000 {
        assert!(sleeper.receiver.arm().is_some(), "{round}");
        send(&mut other, b"read before it is heard");
        assert!(sleeper.receiver.poll().expect("open").is_some(), "{round}");
        assert!(sleeper.receiver.arm().is_some());
        doorbell.hear();
        send(&mut other, b"heard before it is read");
        doorbell.hear();
        sleeper.receiver.disarm();
        assert!(sleeper.receiver.poll().expect("open").is_some(), "{round}");
    }
}

/// A ticket whose record never comes must not make what is behind it free of charge.
#[test]
fn wakes_without_a_reason_are_counted_behind_a_ticket_too() {
    let (shm, socket) = shm_with_records(&limits(1 << 16), &[]);
    let mut doorbell = shm.doorbell().expect("a socket");
    doorbell.attach(|| ()).expect("attached");
    let mut halves = Box::new(shm).into_halves();
    let file = kit::blob_file(5000, rustix::fs::MemfdFlags::ALLOW_SEALING);
    kit::send_with(&socket, &kit::ticket_bytes(0), &[file.as_fd()]);
    let ended = (0..20_000).any(|_| {
        rustix::net::shutdown(&socket, rustix::net::Shutdown::Read).expect("still open");
        doorbell.hear();
        halves.receiver.disarm();
        let ended = halves.receiver.poll().is_err();
        if !ended {
            let _ = halves.receiver.arm();
        }
        ended
    });
    assert!(ended);
}

/// A TCP socket whose `close` takes `seconds`: it lingers, has bytes that are not sent yet, and the
/// other end does not read.
fn lingering(seconds: u64) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut ours = TcpStream::connect(listener.local_addr().expect("its address")).expect("open");
    let (theirs, _) = listener.accept().expect("open");
    ours.set_nonblocking(true).expect("set");
    while ours.write(&[0; 65536]).is_ok() {}
    rustix::net::sockopt::set_socket_linger(&ours, Some(Duration::from_secs(seconds)))
        .expect("set");
    (ours, theirs)
}

/// Waits for the end of a link as a thread of a real program does.
fn wait_for_end(mut halves: Halves) -> LinkError {
    loop {
        let kicks = halves.signal.kicks();
        if let Err(end) = halves.receiver.poll() {
            return end;
        }
        if let Some(ticket) = halves.receiver.arm() {
            halves.signal.wait(WaitFor { kicks, data: Some(ticket), ..WaitFor::default() });
        }
        halves.receiver.disarm();
    }
}

/// Whoever closes the last descriptor of such a socket waits: neither who hears the doorbell, nor who
/// drops the link, nor the watcher of all links may be that.
#[test]
fn descriptors_of_a_peer_are_closed_where_nobody_waits() {
    // Far longer than all of this takes: what waits for it fails at the end.
    const LINGER_S: u64 = 60;
    let start = Instant::now();
    for bytes in [&b"\x01"[..], b"x", &kit::ticket_bytes(0)] {
        let (shm, socket) = shm_with_records(&limits(1 << 16), &[]);
        let mut doorbell = shm.doorbell().expect("a socket");
        doorbell.attach(|| ()).expect("attached");
        let mut halves = Box::new(shm).into_halves();
        assert!(halves.receiver.arm().is_some());
        let (ours, _theirs) = lingering(LINGER_S);
        kit::send_with(&socket, bytes, &[ours.as_fd()]);
        drop(ours);
        doorbell.hear();
        let ended = halves.receiver.poll().is_err();
        // A ticket may wait for its record.
        assert_eq!(ended, bytes.len() == 1, "{bytes:?}");
        drop((halves, doorbell));
    }
    for _ in 0..20 {
        let (halves, socket) = kit::with_records(&limits(1 << 16), &[]);
        let (ours, _theirs) = lingering(LINGER_S);
        kit::send_with(&socket, &kit::ticket_bytes(0), &[ours.as_fd()]);
        drop(ours);
        let end = std::thread::spawn(move || wait_for_end(halves));
        drop(socket);
        end.join().expect("no panic");
        // An innocent link of the same process.
        let (halves, socket) = kit::with_records(&limits(1 << 16), &[]);
        let end = std::thread::spawn(move || wait_for_end(halves));
        drop(socket);
        assert!(matches!(end.join().expect("no panic"), LinkError::PeerDied));
    }
    assert!(start.elapsed() < Duration::from_secs(LINGER_S), "something was waited for");
}
