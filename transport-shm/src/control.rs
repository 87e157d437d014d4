//! The control socket of an open link: descriptors of bodies that are handed over, and nothing else.
//!
//! A message is a ticket of 8 bytes with exactly one descriptor. At most one lies in the socket: the
//! next is sent when the peer's `head` has passed the BLOB record of the last.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use crate::segment::Refused;

/// Bytes of a ticket.
const TICKET_LEN: usize = 8;

/// Sends a ticket with its descriptor. Never blocks; all of it goes or nothing.
pub(crate) fn send(socket: BorrowedFd<'_>, ticket: u64, file: BorrowedFd<'_>) -> Result<(), Errno> {
    let bytes = ticket.to_le_bytes();
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
/// there, or the peer has broken a rule: the words say which.
pub(crate) fn take(socket: BorrowedFd<'_>, ticket: u64) -> Result<OwnedFd, Refused> {
    use Refused::{Os, Unfit};
    let mut bytes = [0; TICKET_LEN];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let got = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)
    });
    // Whatever is not kept is closed here, before any error leaves.
    let mut file = None;
    let mut count = 0;
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(files) = part {
            for one in files {
                count += 1;
                file.get_or_insert(one);
            }
        }
    }
    let Ok(got) = got else { return Err(Unfit("no descriptor came before the record")) };
    // Room for one was there, so it was this process that could not take it.
    if count == 0 && got.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Os("taking a descriptor", Errno::MFILE.into()));
    }
    // What did not fit was closed by the system, which says so by `CTRUNC`.
    if count > 1 || got.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Unfit("more than one descriptor"));
    }
    if got.bytes != TICKET_LEN {
        return Err(Unfit("no whole ticket"));
    }
    if u64::from_le_bytes(bytes) != ticket {
        return Err(Unfit("a descriptor with another ticket"));
    }
    file.ok_or(Unfit("a ticket without a descriptor"))
}

/// What lies in the socket, unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Nothing, and more may come.
    Nothing,
    /// One ticket with a descriptor.
    Ticket,
    /// What nobody may send.
    Garbage,
    /// The peer has hung up.
    End,
}

/// Looks at what lies in the socket and takes nothing. Not while somebody else may
/// [`take`](take) from it.
pub(crate) fn look(socket: BorrowedFd<'_>) -> Pending {
    // Also counts what cannot be peeked at: urgent bytes, and what lies behind a descriptor.
    let unread = rustix::io::ioctl_fionread(socket);
    let mut bytes = [0; TICKET_LEN + 1];
    // Without room for control data, `CTRUNC` tells that there is some, and it stays where it is.
    let mut control = RecvAncillaryBuffer::new(&mut []);
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let got = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)
    });
    match (unread, got) {
        (Ok(0), Err(Errno::AGAIN)) => Pending::Nothing,
        (_, Ok(got)) if got.bytes == 0 => Pending::End,
        (Ok(unread), Ok(got))
            if unread == TICKET_LEN as u64
                && got.bytes == TICKET_LEN
                && got.flags.contains(ReturnFlags::CTRUNC) =>
        {
            Pending::Ticket
        }
        (_, Ok(_) | Err(Errno::AGAIN)) => Pending::Garbage,
        (_, Err(_)) => Pending::End,
    }
}
