//! The control socket of an open link: descriptors of bodies that are handed over, doorbells for a
//! side that sleeps on the socket, and nothing else.
//!
//! A descriptor comes with 9 bytes, [`TICKET`] and the ticket's number. At most one lies in the
//! socket: the next is sent when the peer's `head` has passed the BLOB record of the last. A doorbell
//! is one byte, [`RING`].

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use crate::segment::Refused;

/// A doorbell: all of it.
const RING: u8 = 1;
/// What a ticket begins with.
const TICKET: u8 = 2;
/// Bytes of a ticket with what it begins with.
const TICKET_LEN: usize = 9;

/// Doorbells taken in one go. A choice: an honest peer leaves one or two.
const RINGS_AT_ONCE: usize = 256;
/// Descriptors that one message can have on Linux.
const MAX_DESCRIPTORS: usize = 253;
/// Doorbells that may lie before a ticket. A choice: more than a socket holds, so that a peer that
/// goes on ringing does not keep a reader for ever.
const MAX_RINGS_BEFORE_TICKET: usize = 4096;

fn ticket_bytes(ticket: u64) -> [u8; TICKET_LEN] {
    let mut bytes = [TICKET; TICKET_LEN];
    bytes[1..].copy_from_slice(&ticket.to_le_bytes());
    bytes
}

/// Sends a doorbell. Never blocks, whatever the peer does with its end.
pub(crate) fn ring(socket: BorrowedFd<'_>) {
    // Full: bytes that wake the peer are there already. Gone: nobody is left to wake.
    let _ = rustix::net::send(socket, &[RING], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// A doorbell came with descriptors.
#[derive(Debug)]
pub(crate) struct Loaded;

/// Takes the doorbells out that come first: how many. What is no doorbell stays where it is.
pub(crate) fn take_rings(socket: BorrowedFd<'_>) -> Result<usize, Loaded> {
    let mut bytes = [0_u8; RINGS_AT_ONCE];
    let peek = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let Ok((found, _)) = rustix::net::recv(socket, &mut bytes, peek) else { return Ok(0) };
    let rings = bytes[..found].iter().take_while(|byte| **byte == RING).count();
    if rings == 0 {
        return Ok(0);
    }
    let (taken, files) = receive(socket, &mut bytes[..rings]);
    if files.is_empty() {
        Ok(taken.map_or(0, |got| got.bytes))
    } else {
        close_elsewhere(files);
        Err(Loaded)
    }
}

/// Takes bytes with all descriptors they have: what finds no room would be closed on this thread.
fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> (Result<RecvMsg, Errno>, Vec<OwnedFd>) {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let got = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, flags)
    });
    let mut files = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = part {
            files.extend(some);
        }
    }
    (got, files)
}

/// Our end of the control socket.
#[derive(Debug)]
pub(crate) struct ControlSocket(Option<OwnedFd>);

impl ControlSocket {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(Some(socket))
    }
}

impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().expect("only dropping takes it").as_fd()
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // What nobody has read may have descriptors, and they are closed with the socket.
        if rustix::io::ioctl_fionread(self.as_fd()).is_ok_and(|unread| unread != 0) {
            close_elsewhere(self.0.take());
        }
    }
}

/// Closes what a peer has sent, on a thread of its own: the peer decides what it is, and closing it
/// may take as long as the peer likes (a socket that lingers).
pub(crate) fn close_elsewhere(what: impl Send + 'static) {
    // Without a thread it is dropped here.
    let _ = std::thread::Builder::new().name("tramline-close".into()).spawn(move || drop(what));
}

/// Sends a ticket with its descriptor. Never blocks; all of it goes or nothing.
pub(crate) fn send(socket: BorrowedFd<'_>, ticket: u64, file: BorrowedFd<'_>) -> Result<(), Errno> {
    let bytes = ticket_bytes(ticket);
    let files = [file];
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let sent = rustix::io::retry_on_intr(|| {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        // There is room for one.
        control.push(SendAncillaryMessage::ScmRights(&files));
        rustix::net::sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, flags)
    })?;
    // The system takes so few bytes whole.
    if sent == TICKET_LEN { Ok(()) } else { Err(Errno::IO) }
}

/// Takes the descriptor of a record that has been read. It was sent before the record, so it is
/// there, or the peer has broken a rule: the words say which. Doorbells before it are taken as well
/// where `rings` may come: whoever reads the ring is awake.
pub(crate) fn take(socket: BorrowedFd<'_>, ticket: u64, rings: bool) -> Result<OwnedFd, Refused> {
    use Refused::{Os, Unfit};
    let mut rung = 0;
    while rings && rung < MAX_RINGS_BEFORE_TICKET {
        match take_rings(socket) {
            Ok(0) => break,
            Ok(taken) => rung += taken,
            Err(Loaded) => return Err(Unfit("a descriptor without a ticket")),
        }
    }
    let mut bytes = [0; TICKET_LEN];
    let (got, mut files) = receive(socket, &mut bytes);
    let count = files.len();
    let refuse = |files, why| {
        close_elsewhere(files);
        Err(why)
    };
    let Ok(got) = got else { return Err(Unfit("no descriptor came before the record")) };
    // Room for one was there, so it was this process that could not take it.
    if count == 0 && got.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Os("taking a descriptor", Errno::MFILE.into()));
    }
    if count > 1 || got.flags.contains(ReturnFlags::CTRUNC) {
        return refuse(files, Unfit("more than one descriptor"));
    }
    if got.bytes != TICKET_LEN {
        return refuse(files, Unfit("no whole ticket"));
    }
    if bytes != ticket_bytes(ticket) {
        return refuse(files, Unfit("a descriptor with another ticket"));
    }
    files.pop().ok_or(Unfit("a ticket without a descriptor"))
}

/// What lies in the socket, unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Nothing but doorbells, if those may come.
    Nothing,
    /// First of all one ticket with a descriptor.
    Ticket,
    /// What nobody may send.
    Garbage,
    /// The peer has hung up.
    End,
}

/// Looks at what lies in the socket and takes nothing. Not while somebody else may take from it.
/// `rings` says whether doorbells may come.
pub(crate) fn look(socket: BorrowedFd<'_>, rings: bool) -> Pending {
    // Also counts what cannot be peeked at: urgent bytes, and what lies behind a descriptor.
    let before = rustix::io::ioctl_fionread(socket);
    let mut bytes = [0; TICKET_LEN + 1];
    // Without room for control data, `CTRUNC` tells that there is some, and it stays where it is.
    let mut control = RecvAncillaryBuffer::new(&mut []);
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let got = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)
    });
    // Counted anew behind what was found: that may have come after the first count.
    let unread = if got.is_ok() { rustix::io::ioctl_fionread(socket) } else { before };
    match (unread, got) {
        (Ok(0), Err(Errno::AGAIN)) => Pending::Nothing,
        (_, Ok(got)) if got.bytes == 0 => Pending::End,
        (Ok(_), Ok(_)) if rings && bytes[0] == RING => Pending::Nothing,
        // A descriptor ends what can be peeked at. What lies behind it, doorbells if anything, is
        // looked at when it has been taken.
        (Ok(unread), Ok(got))
            if (unread == TICKET_LEN as u64 || rings)
                && got.bytes == TICKET_LEN
                && bytes[0] == TICKET
                && got.flags.contains(ReturnFlags::CTRUNC) =>
        {
            Pending::Ticket
        }
        (_, Ok(_) | Err(Errno::AGAIN)) => Pending::Garbage,
        (_, Err(_)) => Pending::End,
    }
}
