//! The way to a link, by hand: socket, greeting, handshake messages, segments.
//! `docs/WIRE-FORMAT.md` sections 1, 2.2 and 2.3.

use std::io::{IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use tramline_tests::PATIENCE;
use tramline_tests::raw::{address, greeting};

use crate::mapping::Mapping;

/// The capacity of both rings: the smallest there is.
pub(crate) const CAPACITY: u64 = 1 << 16;
/// Bytes before the ring.
pub(crate) const HEADER_LEN: u64 = 0x1000;
/// Most descriptors that one message can carry (a rule of Linux).
pub(crate) const MOST_DESCRIPTORS: usize = 253;

pub(crate) const HELLO: u32 = 1;
pub(crate) const OFFER: u32 = 2;
pub(crate) const READY: u32 = 3;
pub(crate) const REJECT: u32 = 4;

pub(crate) type Message = [u8; 64];

/// A message of the handshake: kind, then bytes at offsets.
pub(crate) fn message(kind: u32, parts: &[(usize, &[u8])]) -> Message {
    let mut message = [0; 64];
    message[..8].copy_from_slice(b"TRAMSHK1");
    message[8..12].copy_from_slice(&kind.to_le_bytes());
    for (at, bytes) in parts {
        message[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    message
}

/// A good HELLO with this half of the nonce.
pub(crate) fn hello(half: [u8; 16]) -> Message {
    let capacity = CAPACITY.to_le_bytes();
    message(HELLO, &[(12, &[1, 0, 1, 0]), (24, &half), (40, &capacity), (48, &capacity)])
}

pub(crate) fn offer(len: u64, capacity: u64, nonce: [u8; 16]) -> Message {
    message(OFFER, &[(16, &len.to_le_bytes()), (24, &capacity.to_le_bytes()), (32, &nonce)])
}

/// The kind of a message that came.
pub(crate) fn kind(message: &Message) -> u32 {
    u32::from_le_bytes([message[8], message[9], message[10], message[11]])
}

/// Bytes of a good segment.
pub(crate) fn segment_len() -> u64 {
    (CAPACITY + HEADER_LEN).next_multiple_of(rustix::param::page_size() as u64)
}

/// The half of the nonce that this program uses unless it plays tricks with it.
pub(crate) const HALF: [u8; 16] = [5; 16];

/// What both halves make.
pub(crate) fn nonce(ours: [u8; 16], their_hello: &Message) -> [u8; 16] {
    std::array::from_fn(|i| ours[i] ^ their_hello[24 + i])
}

/// All seals that a segment needs.
pub(crate) fn all_seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL
}

/// A good segment before anything is done to it.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Bytes of the file.
    pub(crate) len: u64,
    /// Its fixed part.
    pub(crate) header: [u8; 0x58],
    pub(crate) flags: MemfdFlags,
    pub(crate) seals: SealFlags,
}

impl Segment {
    pub(crate) fn good(nonce: [u8; 16]) -> Self {
        let mut header = [0_u8; 0x58];
        let fields: [(usize, &[u8]); 8] = [
            (0x00, b"TRAMSHM1"),
            (0x08, &1_u32.to_le_bytes()),
            (0x0C, &0x1000_u32.to_le_bytes()),
            (0x10, &segment_len().to_le_bytes()),
            (0x18, &HEADER_LEN.to_le_bytes()),
            (0x20, &CAPACITY.to_le_bytes()),
            (0x38, &0x0102_0304_u32.to_le_bytes()),
            (0x40, &nonce),
        ];
        for (at, bytes) in fields {
            header[at..at + bytes.len()].copy_from_slice(bytes);
        }
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        Self { len: segment_len(), header, flags, seals: all_seals() }
    }

    /// Makes the file and seals it; a mapping made in between still writes.
    pub(crate) fn make(&self) -> Result<(OwnedFd, Option<Mapping>), Errno> {
        let file = rustix::fs::memfd_create("hostile", self.flags)?;
        rustix::fs::ftruncate(&file, self.len)?;
        if !self.flags.contains(MemfdFlags::HUGETLB) {
            rustix::io::pwrite(&file, &self.header, 0)?;
        }
        // A sparse file of 1 TiB need not be mapped here; small ones are.
        let small = usize::try_from(self.len).ok().filter(|len| *len <= 1 << 20);
        let mapping = small.and_then(|len| Mapping::of_ours(file.as_fd(), len).ok());
        if !self.seals.is_empty() {
            rustix::fs::fcntl_add_seals(&file, self.seals)?;
        }
        Ok((file, mapping))
    }
}

/// A connected socket that may carry descriptors.
#[derive(Debug)]
pub(crate) struct Socket(pub(crate) UnixStream);

impl Socket {
    pub(crate) fn connect(name: &str) -> Self {
        Self::new(UnixStream::connect_addr(&address(name)).expect("somebody listens"))
    }

    pub(crate) fn accept(listener: &UnixListener) -> Self {
        Self::new(listener.accept().expect("a client").0)
    }

    fn new(socket: UnixStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).expect("socket");
        socket.set_write_timeout(Some(PATIENCE)).expect("socket");
        Self(socket)
    }

    /// Connects and greets as a client that can use shared memory and the pipe.
    pub(crate) fn greeted(name: &str) -> Self {
        let socket = Self::connect(name);
        socket.send(&greeting(3));
        assert!(socket.fill(&mut [0; 8]), "a greeting");
        socket
    }

    /// Sends bytes as they are; a side that has hung up is no error.
    pub(crate) fn send(&self, bytes: &[u8]) -> bool {
        self.send_with(bytes, &[])
    }

    /// Sends bytes, with descriptors on the first one: false if the other side has hung up.
    pub(crate) fn send_with(&self, bytes: &[u8], files: &[BorrowedFd<'_>]) -> bool {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        if !files.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(files)), "room for descriptors");
        }
        let parts = [IoSlice::new(bytes)];
        // With a timeout a wait does not go on by itself after the process was stopped.
        match retry_on_intr(|| {
            rustix::net::sendmsg(&self.0, &parts, &mut control, SendFlags::NOSIGNAL)
        }) {
            Ok(sent) => {
                assert_eq!(sent, bytes.len(), "short messages go at once");
                true
            }
            Err(Errno::PIPE | Errno::CONNRESET) => false,
            Err(e) => panic!("sendmsg: {e}"),
        }
    }

    /// Sends one urgent byte; a side that has hung up is no error.
    pub(crate) fn send_urgent(&self) {
        match rustix::net::send(&self.0, b"!", SendFlags::OOB | SendFlags::NOSIGNAL) {
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => {}
            Err(e) => panic!("send: {e}"),
        }
    }

    /// A doorbell's byte, as a peer that keeps the rules sends it.
    pub(crate) fn ring(&self) {
        let _ = rustix::net::send(&self.0, &[1], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }

    /// Fills `bytes`: false if the other side hangs up before.
    ///
    /// # Panics
    ///
    /// If neither happens within [`PATIENCE`].
    pub(crate) fn fill(&self, bytes: &mut [u8]) -> bool {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        match (&self.0).read_exact(bytes) {
            Ok(()) => true,
            Err(e) if matches!(e.kind(), TimedOut | WouldBlock) => panic!("nothing comes"),
            Err(_) => false,
        }
    }

    /// One message of the handshake; `None` if the other side hangs up.
    pub(crate) fn message(&self) -> Option<Message> {
        self.message_with_file().map(|(message, _)| message)
    }

    /// One message of the handshake and its descriptor, if it has one.
    pub(crate) fn message_with_file(&self) -> Option<(Message, Option<OwnedFd>)> {
        let mut message = [0; 64];
        let mut file = None;
        let mut read = 0;
        while read < message.len() {
            let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut room);
            let mut rest = [IoSliceMut::new(&mut message[read..])];
            let flags = RecvFlags::CMSG_CLOEXEC;
            let got = match rustix::net::recvmsg(&self.0, &mut rest, &mut control, flags) {
                Ok(got) if got.bytes != 0 => got.bytes,
                Err(Errno::INTR) => continue,
                Err(e @ Errno::AGAIN) => panic!("nothing comes: {e}"),
                Ok(_) | Err(_) => return None,
            };
            for part in control.drain() {
                if let RecvAncillaryMessage::ScmRights(files) = part {
                    file = files.last().or(file);
                }
            }
            read += got;
        }
        Some((message, file))
    }

    /// Waits until the other side hangs up.
    pub(crate) fn until_hung_up(&self) {
        while self.fill(&mut [0]) {}
    }

    /// Whether the other side has hung up, without waiting. What it wrote before (a doorbell's byte)
    /// may still be unread.
    pub(crate) fn is_hung_up(&self) -> bool {
        let mut socket = [PollFd::new(&self.0, PollFlags::RDHUP)];
        let gone = PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR;
        matches!(poll(&mut socket, Some(&Timespec::default())), Ok(1..))
            && socket[0].revents().intersects(gone)
    }
}

/// Both HELLOs: what the other side said.
pub(crate) fn exchange_hellos(socket: &Socket, half: [u8; 16]) -> Message {
    socket.send(&hello(half));
    let theirs = socket.message().expect("a HELLO");
    assert_eq!(kind(&theirs), HELLO);
    theirs
}

/// The other side's OFFER.
pub(crate) struct Theirs {
    pub(crate) len: u64,
    pub(crate) capacity: u64,
    pub(crate) file: OwnedFd,
}

pub(crate) fn their_offer(socket: &Socket) -> Theirs {
    let (message, file) = socket.message_with_file().expect("an OFFER");
    assert_eq!(kind(&message), OFFER);
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| message[at + i]));
    Theirs { len: word(16), capacity: word(24), file: file.expect("a descriptor") }
}
