//! A peer that hands over what it should not.
#![cfg(target_os = "linux")]

mod kit;

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use kit::{
    BLOB, FIRST, blob_file, blob_record, blob_seals, limits, receive_kept, sealed, send_with,
    ticket_bytes, with_records,
};
use rustix::fs::{MemfdFlags, SealFlags};
use tramline_core::frame::Kept;
use tramline_core::{Halves, LinkError, SendError};

const LEN: usize = 5000;

fn good() -> OwnedFd {
    sealed(blob_file(LEN, MemfdFlags::ALLOW_SEALING), blob_seals())
}

fn ticket(socket: &UnixStream, ticket: u64, files: &[BorrowedFd<'_>]) {
    send_with(socket, &ticket_bytes(ticket), files);
}

fn receive(halves: &mut Halves) -> Result<Kept, LinkError> {
    receive_kept(&mut *halves.receiver, &*halves.signal)
}

/// The link has ended with a fault at one of these places, in both directions and for good.
fn assert_fault(halves: &mut Halves, at: &[&str]) {
    for _ in 0..2 {
        let end = receive(halves);
        assert!(matches!(&end, Err(LinkError::Fault(f)) if at.contains(&f.at)), "{end:?}");
    }
    let end = halves.sender.claim(1).map(drop);
    assert!(matches!(&end, Err(SendError::Link(LinkError::Fault(_)))), "{end:?}");
}

/// One message with a blob as the record says and the descriptors as given.
fn one(record: (u64, u64), act: impl FnOnce(&UnixStream)) -> (Halves, UnixStream) {
    let record = blob_record(record.0, record.1);
    let (halves, socket) = with_records(&limits(1 << 16), &[(FIRST, b"head"), (BLOB, &record)]);
    act(&socket);
    (halves, socket)
}

/// A good record with this file behind it.
fn with_file(file: &OwnedFd) -> (Halves, UnixStream) {
    one((LEN as u64, 0), |socket| ticket(socket, 0, &[file.as_fd()]))
}

#[test]
fn a_good_blob_by_hand_is_taken() {
    let (mut halves, _socket) = with_file(&good());
    let kept = receive(&mut halves).expect("a message");
    assert_eq!((kept.bytes(), kept.len()), (&b"head"[..], LEN + 4));
    assert_eq!(kept.into_body(4), vec![7; LEN]);
}

#[test]
fn unknown_blob_ticket_closes_the_link() {
    for wrong in [1, u64::MAX] {
        let (mut halves, _socket) =
            one((LEN as u64, wrong), |socket| ticket(socket, wrong, &[good().as_fd()]));
        assert_fault(&mut halves, &["blob ticket"]);
        // The record is right, the socket is not.
        let (mut halves, _socket) =
            one((LEN as u64, 0), |socket| ticket(socket, wrong, &[good().as_fd()]));
        assert_fault(&mut halves, &["blob"]);
    }
}

#[test]
fn reused_blob_ticket_closes_the_link() {
    for (second, at) in [(0, "blob ticket"), (1, "blob")] {
        let records = [blob_record(LEN as u64, 0), blob_record(LEN as u64, second)];
        let [one, two] = &records;
        let records: [(u8, &[u8]); 4] =
            [(FIRST, b"one"), (BLOB, one), (FIRST, b"two"), (BLOB, two)];
        let (mut halves, socket) = with_records(&limits(1 << 16), &records);
        ticket(&socket, 0, &[good().as_fd()]);
        assert!(receive(&mut halves).is_ok());
        ticket(&socket, 0, &[good().as_fd()]);
        assert_fault(&mut halves, &[at]);
    }
}

#[test]
fn blob_that_is_not_sealed_enough_closes_the_link() {
    let all = blob_seals();
    for missing in [SealFlags::WRITE, SealFlags::SHRINK, SealFlags::GROW, SealFlags::SEAL] {
        let file = sealed(blob_file(LEN, MemfdFlags::ALLOW_SEALING), all - missing);
        assert_fault(&mut with_file(&file).0, &["blob"]);
    }
    // The seal that keeps out later writers only: its owner's mapping goes on writing.
    let future = (all - SealFlags::WRITE) | SealFlags::FUTURE_WRITE;
    let file = sealed(blob_file(LEN, MemfdFlags::ALLOW_SEALING), future);
    assert_fault(&mut with_file(&file).0, &["blob"]);
    assert_fault(&mut with_file(&blob_file(LEN, MemfdFlags::empty())).0, &["blob"]);
}

#[test]
fn blob_that_is_no_memory_file_closes_the_link() {
    let regular = std::env::current_exe().expect("this test");
    let regular = OwnedFd::from(std::fs::File::open(regular).expect("readable"));
    let zero = OwnedFd::from(std::fs::File::open("/dev/zero").expect("a device"));
    let folder = OwnedFd::from(std::fs::File::open("/dev/shm").expect("a folder"));
    let socket = OwnedFd::from(UnixStream::pair().expect("socket pair").0);
    let pipe = OwnedFd::from(std::io::pipe().expect("a pipe").0);
    for file in [regular, zero, folder, socket, pipe] {
        assert_fault(&mut with_file(&file).0, &["blob"]);
    }
}

#[test]
fn blob_of_huge_pages_closes_the_link() {
    let len = 2 << 20;
    let flags = MemfdFlags::HUGETLB | MemfdFlags::ALLOW_SEALING;
    let Ok(file) = std::panic::catch_unwind(|| sealed(blob_file(len, flags), blob_seals())) else {
        eprintln!("skipped: this kernel has no huge pages");
        return;
    };
    let (mut halves, _socket) = one((len as u64, 0), |s| ticket(s, 0, &[file.as_fd()]));
    assert_fault(&mut halves, &["blob"]);
}

#[test]
fn blob_of_another_length_closes_the_link() {
    for stated in [LEN - 1, LEN + 1, 8192, 1 << 20] {
        let (mut halves, _socket) =
            one((stated as u64, 0), |socket| ticket(socket, 0, &[good().as_fd()]));
        assert_fault(&mut halves, &["blob"]);
    }
    // Judged before the descriptor is looked at, so a sparse giant is never mapped.
    let max = limits(1 << 16).max_message_len as u64;
    for stated in [0, max - 3, max, 1 << 40, u64::MAX] {
        let (mut halves, _socket) = one((stated, 0), |socket| ticket(socket, 0, &[good().as_fd()]));
        assert_fault(&mut halves, &["blob len"]);
    }
}

#[test]
fn descriptors_that_are_not_one_close_the_link() {
    for count in [2, 3, 100, 253] {
        let file = good();
        let (mut halves, _socket) =
            one((LEN as u64, 0), |socket| ticket(socket, 0, &vec![file.as_fd(); count]));
        assert_fault(&mut halves, &["blob"]);
    }
    // No descriptor: the watcher may see it first.
    let (mut halves, _socket) = one((LEN as u64, 0), |socket| ticket(socket, 0, &[]));
    assert_fault(&mut halves, &["blob", "control socket"]);
}

#[test]
fn record_without_a_descriptor_closes_the_link() {
    let (mut halves, _socket) = one((LEN as u64, 0), |_| ());
    assert_fault(&mut halves, &["blob"]);
}

#[test]
fn bytes_without_a_record_close_the_link() {
    for bytes in [&b"x"[..], b"\x01", b"\x02", b"\x02234567", b"\x0223456789", b"\x022345678910"] {
        let (mut halves, mut socket) = with_records(&limits(1 << 16), &[]);
        socket.write_all(bytes).expect("written");
        assert_fault(&mut halves, &["control socket"]);
    }
    // A ticket of the wrong length, or of the right one in two messages.
    let file = good();
    let parts = [
        (&b"\x022345678"[..], &b""[..]),
        (b"\x02234567890", b""),
        (b"123456789", b""),
        (b"\x01\x0223456789", b""),
        (b"\x022345", b"6789"),
    ];
    for (one, two) in parts {
        let (mut halves, mut socket) = with_records(&limits(1 << 16), &[]);
        send_with(&socket, one, &[file.as_fd()]);
        // The link may have ended by now.
        let _ = socket.write_all(two);
        assert_fault(&mut halves, &["control socket"]);
    }
}

#[test]
fn second_descriptor_before_the_first_is_taken_closes_the_link() {
    let (mut halves, socket) = with_records(&limits(1 << 16), &[]);
    let file = good();
    // One may be on its way to its record: that is how an honest peer sends it.
    ticket(&socket, 0, &[file.as_fd()]);
    assert!(matches!(halves.receiver.poll(), Ok(None)));
    ticket(&socket, 1, &[file.as_fd()]);
    assert_fault(&mut halves, &["control socket"]);
}

#[test]
fn blob_record_outside_a_message_or_of_a_wrong_length_closes_the_link() {
    let record = blob_record(LEN as u64, 0);
    let (mut halves, socket) = with_records(&limits(1 << 16), &[(BLOB, &record)]);
    ticket(&socket, 0, &[good().as_fd()]);
    assert_fault(&mut halves, &["kind"]);
    for len in [0, 8, 15] {
        let (mut halves, socket) =
            with_records(&limits(1 << 16), &[(FIRST, b"head"), (BLOB, &record[..len])]);
        ticket(&socket, 0, &[good().as_fd()]);
        assert_fault(&mut halves, &["len"]);
    }
}
