//! What the suites share: links over a socket pair, and a peer that speaks the handshake by hand.
#![allow(dead_code, reason = "each suite uses a part")]
#![cfg(target_os = "linux")]

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use tramline_core::frame::Kept;
use tramline_core::transport::{Receiver, Sender, Signal, WaitFor};
use tramline_core::{ConnectError, Halves, Limits, LinkError, PeerIdentity, SendError, Transport};
use tramline_transport_shm::{Established, SealedBlob, ShmTransport, establish};

pub(crate) fn limits(ring_capacity: usize) -> Limits {
    let mut limits = Limits::default();
    limits.ring_capacity = ring_capacity;
    limits
}

pub(crate) fn start(
    socket: impl Into<OwnedFd>,
    limits: &Limits,
) -> Result<Established, ConnectError> {
    establish(socket.into(), limits, PeerIdentity::default())
}

pub(crate) fn open(socket: impl Into<OwnedFd>, limits: &Limits) -> Halves {
    match start(socket, limits) {
        Ok(Established::Open(shm)) => Box::new(shm).into_halves(),
        other => panic!("not open: {other:?}"),
    }
}

/// Two ends of one link, in one process.
pub(crate) fn link(a: &Limits, b: &Limits) -> (Halves, Halves) {
    let (x, y) = UnixStream::pair().expect("socket pair");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| open(y, b));
        (open(x, a), other.join().expect("the other end"))
    })
}

/// Receives as a thread of a real program does: look, spin, sleep.
pub(crate) fn receive(
    receiver: &mut dyn Receiver,
    signal: &dyn Signal,
) -> Result<Vec<u8>, LinkError> {
    loop {
        let kicks = signal.kicks();
        if let Some(frame) = receiver.poll()? {
            return Ok(frame.bytes().to_vec());
        }
        if receiver.spin() {
            continue;
        }
        if let Some(ticket) = receiver.arm() {
            signal.wait(WaitFor { kicks, data: Some(ticket), ..WaitFor::default() });
        }
        receiver.disarm();
    }
}

/// Sends as a thread of a real program does: as much as fits, then sleep.
pub(crate) fn send(
    sender: &mut dyn Sender,
    signal: &dyn Signal,
    message: &[u8],
) -> Result<(), SendError> {
    let mut sent = 0;
    loop {
        let kicks = signal.kicks();
        match sender.send_part(message, &mut sent) {
            Err(SendError::Full) => {}
            done => return done,
        }
        if let Some(ticket) = sender.arm() {
            signal.wait(WaitFor { kicks, room: Some(ticket), ..WaitFor::default() });
        }
        sender.disarm();
    }
}

pub(crate) type Message = [u8; 64];

pub(crate) const HELLO: u8 = 1;
pub(crate) const OFFER: u8 = 2;
pub(crate) const READY: u8 = 3;
pub(crate) const REJECT: u8 = 4;

/// A handshake message by hand: kind, then bytes at offsets.
pub(crate) fn message(kind: u8, parts: &[(usize, &[u8])]) -> Message {
    let mut message = [0; 64];
    message[..8].copy_from_slice(b"TRAMSHK1");
    message[8] = kind;
    for (at, bytes) in parts {
        message[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    message
}

pub(crate) fn hello() -> Message {
    let capacity = (1_u64 << 16).to_le_bytes();
    message(HELLO, &[(12, &[1, 0, 1, 0]), (24, &[5; 16]), (40, &capacity), (48, &capacity)])
}

pub(crate) fn offer(len: u64, capacity: u64, nonce: [u8; 16]) -> Message {
    message(OFFER, &[(16, &len.to_le_bytes()), (24, &capacity.to_le_bytes()), (32, &nonce)])
}

/// The nonce both sides agree on when `theirs` answers our [`hello`].
pub(crate) fn nonce_with(theirs: &Message) -> [u8; 16] {
    std::array::from_fn(|i| theirs[24 + i] ^ 5)
}

pub(crate) fn send_with(socket: &UnixStream, message: &[u8], files: &[BorrowedFd<'_>]) {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    if !files.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(files)));
    }
    let iov = [IoSlice::new(message)];
    let sent = rustix::net::sendmsg(socket, &iov, &mut control, SendFlags::NOSIGNAL);
    // The other side may have had enough by now and hung up; what it makes of it is looked at there.
    assert!(sent == Ok(message.len()) || sent == Err(Errno::PIPE), "{sent:?}");
}

pub(crate) fn read(mut socket: &UnixStream) -> Message {
    let mut message = [0; 64];
    socket.read_exact(&mut message).expect("a message");
    message
}

/// Reads one message and its descriptor.
pub(crate) fn read_with_file(socket: &UnixStream) -> (Message, OwnedFd) {
    let mut message = [0; 64];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let mut iov = [std::io::IoSliceMut::new(&mut message)];
    let got = rustix::net::recvmsg(socket, &mut iov, &mut control, RecvFlags::CMSG_CLOEXEC)
        .expect("recvmsg");
    assert_eq!(got.bytes, 64);
    let file = control.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    (message, file.expect("a descriptor"))
}

pub(crate) const CAPACITY: u64 = 1 << 16;

pub(crate) fn segment_len() -> u64 {
    (CAPACITY + 0x1000).next_multiple_of(rustix::param::page_size() as u64)
}

pub(crate) fn all_seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL
}

/// Seals of a body that can be handed over.
pub(crate) fn blob_seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL
}

/// A memory file of `len` bytes 7, unsealed.
pub(crate) fn blob_file(len: usize, flags: MemfdFlags) -> OwnedFd {
    let flags = flags | MemfdFlags::CLOEXEC;
    let file = rustix::fs::memfd_create("hostile", flags).expect("memfd");
    rustix::fs::ftruncate(&file, len as u64).expect("ftruncate");
    if !flags.contains(MemfdFlags::HUGETLB) {
        assert_eq!(rustix::io::pwrite(&file, &vec![7; len], 0), Ok(len));
    }
    file
}

/// A peer that opens a link and has written these records (kind, payload) into its ring, and after
/// that does nothing by itself: our end, and the control socket of the other one. The segment needs
/// no mapping of the peer's, since everything is there before it is sealed.
pub(crate) fn with_records(limits: &Limits, records: &[(u8, &[u8])]) -> (Halves, UnixStream) {
    let (shm, socket) = shm_with_records(limits, records);
    (Box::new(shm).into_halves(), socket)
}

/// The same before our end is taken apart.
pub(crate) fn shm_with_records(
    limits: &Limits,
    records: &[(u8, &[u8])],
) -> (ShmTransport, UnixStream) {
    let (x, y) = UnixStream::pair().expect("socket pair");
    std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            offer_segment(&y, |nonce| {
                let file = file(segment_len(), nonce, MemfdFlags::ALLOW_SEALING);
                let mut at = 0x1000;
                for (number, (kind, payload)) in (1_u64..).zip(records) {
                    let header = payload.len() as u64 | u64::from(*kind) << 32 | number << 48;
                    let record = [&header.to_le_bytes()[..], payload].concat();
                    assert_eq!(rustix::io::pwrite(&file, &record, at), Ok(record.len()));
                    at += record.len().next_multiple_of(8) as u64;
                }
                (offer(segment_len(), CAPACITY, nonce), sealed(file, all_seals()))
            });
            y
        });
        let Ok(Established::Open(shm)) = start(x, limits) else { panic!("not open") };
        (shm, other.join().expect("the other end"))
    })
}

pub(crate) const FIRST: u8 = 2;
pub(crate) const BLOB: u8 = 7;

/// What travels with a descriptor.
pub(crate) fn ticket_bytes(ticket: u64) -> [u8; 9] {
    let mut bytes = [2; 9];
    bytes[1..].copy_from_slice(&ticket.to_le_bytes());
    bytes
}

/// The payload of a BLOB record.
pub(crate) fn blob_record(len: u64, ticket: u64) -> [u8; 16] {
    let mut payload = [0; 16];
    payload[..8].copy_from_slice(&len.to_le_bytes());
    payload[8..].copy_from_slice(&ticket.to_le_bytes());
    payload
}

/// Sends a body as a thread of a real program does.
pub(crate) fn send_blob(
    sender: &mut dyn Sender,
    signal: &dyn Signal,
    head: &[u8],
    blob: &SealedBlob,
) -> Result<(), SendError> {
    let Some(pages) = tramline_core::command::Reply::pages(blob) else {
        panic!("blobs have pages")
    };
    loop {
        let kicks = signal.kicks();
        match sender.hand_over(head, &*pages) {
            Err(SendError::Full) => {}
            done => {
                assert!(done?, "handed over");
                return Ok(sender.flush()?);
            }
        }
        if let Some(ticket) = sender.arm() {
            signal.wait(WaitFor { kicks, room: Some(ticket), ..WaitFor::default() });
        }
        sender.disarm();
    }
}

/// Receives head and body.
pub(crate) fn receive_kept(
    receiver: &mut dyn Receiver,
    signal: &dyn Signal,
) -> Result<Kept, LinkError> {
    loop {
        let kicks = signal.kicks();
        if let Some(frame) = receiver.poll()? {
            return Ok(frame.keep());
        }
        if let Some(ticket) = receiver.arm() {
            signal.wait(WaitFor { kicks, data: Some(ticket), ..WaitFor::default() });
        }
        receiver.disarm();
    }
}

/// A memory file with a good header, for a peer that seals it wrongly.
pub(crate) fn file(len: u64, nonce: [u8; 16], flags: MemfdFlags) -> OwnedFd {
    let file = rustix::fs::memfd_create("hostile", flags | MemfdFlags::CLOEXEC).expect("memfd");
    rustix::fs::ftruncate(&file, len).expect("ftruncate");
    let mut header = [0_u8; 0x58];
    for (at, bytes) in [
        (0x00, &b"TRAMSHM1"[..]),
        (0x08, &1_u32.to_le_bytes()),
        (0x0C, &0x1000_u32.to_le_bytes()),
        (0x10, &segment_len().to_le_bytes()),
        (0x18, &0x1000_u64.to_le_bytes()),
        (0x20, &CAPACITY.to_le_bytes()),
        (0x38, &0x0102_0304_u32.to_le_bytes()),
        (0x40, &nonce),
    ] {
        header[at..at + bytes.len()].copy_from_slice(bytes);
    }
    rustix::io::pwrite(&file, &header, 0).expect("pwrite");
    file
}

pub(crate) fn sealed(file: OwnedFd, seals: SealFlags) -> OwnedFd {
    rustix::fs::fcntl_add_seals(&file, seals).expect("seals");
    file
}

/// Runs `establish` against a peer that does what `hostile` says.
pub(crate) fn against<T: Send>(
    hostile: impl FnOnce(&UnixStream) -> T + Send,
) -> (Result<Established, ConnectError>, T) {
    let (x, y) = UnixStream::pair().expect("socket pair");
    std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            let out = hostile(&y);
            (out, y)
        });
        let result = start(x, &limits(1 << 16));
        (result, other.join().expect("the hostile end").0)
    })
}

/// Goes through both exchanges with the given segment and says READY: what the other side said.
pub(crate) fn offer_segment(
    socket: &UnixStream,
    make: impl FnOnce([u8; 16]) -> (Message, OwnedFd),
) -> Message {
    send_with(socket, &hello(), &[]);
    let nonce = nonce_with(&read(socket));
    let (offer, file) = make(nonce);
    send_with(socket, &offer, &[file.as_fd()]);
    let _ = read_with_file(socket);
    send_with(socket, &message(READY, &[]), &[]);
    read(socket)
}
