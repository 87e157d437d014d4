//! Sleeping on the control socket.
#![cfg(target_os = "linux")]

mod kit;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kit::{limits, send_blob, shm_with_records, start};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags};
use tramline_core::transport::Transport;
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
