//! What the system or this process allows no more. One test, for the limits are the process's.
#![cfg(target_os = "linux")]

mod kit;

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use kit::{limits, link, receive, send, start};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};
use tramline_core::Halves;
use tramline_transport_shm::{Established, mapped, set_mapped_limit};

/// Both ends of a pair that is refused shared memory: the sockets, and why.
fn refused() -> [(UnixStream, String); 2] {
    let (x, y) = UnixStream::pair().expect("socket pair");
    let end = |socket: UnixStream| match start(socket, &limits(1 << 16)) {
        Ok(Established::Rejected { socket, why }) => (UnixStream::from(socket), why.to_string()),
        other => panic!("not refused: {other:?}"),
    };
    std::thread::scope(|scope| {
        // Both on threads of their own: a child inherits what its parent's thread may do.
        let ends = [x, y].map(|socket| scope.spawn(move || end(socket)));
        ends.map(|thread| thread.join().expect("no panic"))
    })
}

/// Whatever comes next may use the sockets: not a byte is left over on them.
fn assert_in_step(ends: &[(UnixStream, String); 2]) {
    let [(a, _), (b, _)] = ends;
    for (mut from, mut to) in [(a, b), (b, a)] {
        from.write_all(b"next").expect("open");
        let mut next = [0; 4];
        to.read_exact(&mut next).expect("open");
        assert_eq!(&next, b"next");
    }
}

fn assert_carries((a, b): &mut (Halves, Halves)) {
    send(&mut *a.sender, &*a.signal, b"x").expect("sent");
    a.sender.flush().expect("sent");
    assert_eq!(receive(&mut *b.receiver, &*b.signal).expect("received"), b"x");
}

/// The thread that watches all links may hold one for a moment after its hang-up.
fn all_is_unmapped() -> bool {
    (0..100_000).any(|_| {
        std::thread::yield_now();
        mapped() == 0
    })
}

fn memory_beyond_the_limit_is_not_mapped_and_the_socket_goes_on() {
    assert_eq!(mapped(), 0);
    let mut first = link(&limits(1 << 16), &limits(1 << 16));
    // Both ends are in this process: four mappings.
    let one_link = mapped();
    assert!(one_link >= 4 << 16);
    // Not enough for a segment; for two of our own, but not for the peer's.
    for more in [one_link / 4 - 1, one_link / 2] {
        set_mapped_limit(one_link + more);
        let ends = refused();
        assert!(ends.iter().any(|(_, why)| why.contains("mapped as much")), "{ends:?}");
        assert_in_step(&ends);
        assert_eq!(mapped(), one_link, "what was mapped for them is given back");
        assert_carries(&mut first);
    }
    // Below what is mapped: open links stay.
    set_mapped_limit(0);
    assert_in_step(&refused());
    assert_carries(&mut first);
    drop(first);
    assert!(all_is_unmapped(), "{} bytes are left", mapped());
    set_mapped_limit(one_link);
    assert_carries(&mut link(&limits(1 << 16), &limits(1 << 16)));
}

/// Sends a descriptor that nobody receives.
fn leave_under_way(socket: &UnixStream, file: &OwnedFd) {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    let files = [file.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
    let sent =
        rustix::net::sendmsg(socket, &[IoSlice::new(b"x")], &mut control, SendFlags::DONTWAIT);
    assert!(matches!(sent, Ok(1) | Err(rustix::io::Errno::TOOMANYREFS)), "{sent:?}");
}

/// Linux lets a user have as many descriptors under way as a process may have open, unless the
/// sender is mighty.
fn a_descriptor_that_the_system_does_not_send_is_a_refusal_and_the_socket_goes_on() {
    let mighty = CapabilitySet::SYS_RESOURCE | CapabilitySet::SYS_ADMIN;
    let have = rustix::thread::capabilities(None).expect("capabilities");
    let less = CapabilitySets { effective: have.effective - mighty, ..have };
    rustix::thread::set_capabilities(None, less).expect("fewer are always allowed");
    let before = getrlimit(Resource::Nofile);
    let few = 128;
    let lower = Rlimit { current: Some(few), ..before };
    setrlimit(Resource::Nofile, lower).expect("a lower limit is always allowed");

    let (sender, receiver) = UnixStream::pair().expect("socket pair");
    let file: OwnedFd = std::fs::File::open("/dev/null").expect("it is there").into();
    for _ in 0..=few {
        leave_under_way(&sender, &file);
    }
    let ends = refused();
    assert!(ends.iter().all(|(_, why)| why.contains("sending a segment failed")), "{ends:?}");
    assert_in_step(&ends);
    drop((sender, receiver));
    setrlimit(Resource::Nofile, before).expect("as before");
    assert_carries(&mut link(&limits(1 << 16), &limits(1 << 16)));
}

#[test]
fn what_is_not_allowed_costs_shared_memory_and_nothing_else() {
    memory_beyond_the_limit_is_not_mapped_and_the_socket_goes_on();
    a_descriptor_that_the_system_does_not_send_is_a_refusal_and_the_socket_goes_on();
}
