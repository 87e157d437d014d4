//! Meeting on a socket: agree on a version, pass the segments, and say yes together or not at all.
//!
//! Both sides do the same: in each of three exchanges each sends exactly one message and receives
//! exactly one. Every message is 64 bytes; numbers are little-endian; unnamed bytes are 0 and
//! checked.
//!
//! | exchange | message | may be answered by |
//! |---|---|---|
//! | 1 | HELLO | HELLO |
//! | 2 | OFFER with one descriptor, or REJECT | OFFER or REJECT |
//! | 3 | READY, or REJECT | READY or REJECT |
//!
//! If either side sent REJECT, both stop after that exchange and the socket goes on with another
//! transport from its next byte. The link is open if both sent READY.
//!
//! Every message begins with
//!
//! | off | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `TRAMSHK1` |
//! | 8 | 4 | kind: 1 HELLO, 2 OFFER, 3 READY, 4 REJECT |
//!
//! and goes on, for HELLO, with
//!
//! | off | size | field |
//! |---|---|---|
//! | 12 | 2 | handshake version = 1 |
//! | 14 | 2 | layout version = 1 |
//! | 16 | 8 | features = 0 |
//! | 24 | 16 | nonce half: random |
//! | 40 | 8 | wanted ring capacity, in bytes |
//! | 48 | 8 | largest ring capacity taken from the peer, in bytes |
//! | 56 | 8 | CPUs the sender may run on: bit `n mod 64` for CPU `n`; a hint
//!
//! for OFFER, with
//!
//! | off | size | field |
//! |---|---|---|
//! | 16 | 8 | segment length, in bytes |
//! | 24 | 8 | ring capacity, in bytes: the smaller of own wanted and peer's largest |
//! | 32 | 16 | connection nonce: both halves, combined by exclusive or |
//!
//! and for REJECT with
//!
//! | off | size | field |
//! |---|---|---|
//! | 12 | 4 | code: 1 shared memory not available, 2 version, 3 capacity, 4 segment refused, 5 system error |
//!
//! A HELLO of another handshake or layout version is answered by REJECT 2 and is checked no
//! further than its first 16 bytes.

use std::io;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use rustix::rand::GetRandomFlags;
use tramline_core::{ConnectError, Limits, LinkError, PeerIdentity};

use crate::layout::{self, Fixed};
use crate::link::ShmTransport;
use crate::ring::memory::{self, PeerMap};
use crate::segment::{self, Mapping, Refused};
use crate::wake::cpus;
use crate::{Established, death};

const MESSAGE_LEN: usize = 64;
const MAGIC: [u8; 8] = *b"TRAMSHK1";
const VERSION: u16 = 1;
const LAYOUT_VERSION: u16 = 1;
const _: () = assert!(LAYOUT_VERSION as u32 == layout::LAYOUT_VERSION);

const HELLO: u32 = 1;
const OFFER: u32 = 2;
const READY: u32 = 3;
const REJECT: u32 = 4;

type Message = [u8; MESSAGE_LEN];

/// A reason for REJECT: the code for the peer, the words for us.
#[derive(Debug, Clone)]
struct Reject {
    code: u32,
    why: Box<str>,
}

impl Reject {
    const UNAVAILABLE: u32 = 1;
    const VERSION: u32 = 2;
    const CAPACITY: u32 = 3;
    const SEGMENT: u32 = 4;
    const SYSTEM: u32 = 5;

    fn new(code: u32, why: &str) -> Self {
        Self { code, why: why.into() }
    }

    fn system(step: &str, error: &io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        Self { code: Self::SYSTEM, why: format!("{step} failed, error {errno}").into() }
    }

    fn from_refused(refused: Refused) -> Self {
        match refused {
            Refused::Unfit(why) => {
                Self { code: Self::SEGMENT, why: format!("segment refused: {why}").into() }
            }
            Refused::Limit => {
                Self::new(Self::SYSTEM, "this process has mapped as much shared memory as it may")
            }
            Refused::Os(step, error) => Self::system(step, &error),
        }
    }

    fn from_peer(code: u32) -> Self {
        let why = match code {
            Self::UNAVAILABLE => "the peer has no shared memory",
            Self::VERSION => "the peer speaks another version of shared memory",
            Self::CAPACITY => "the peer does not agree to a ring capacity",
            Self::SEGMENT => "the peer refused our segment",
            Self::SYSTEM => "the peer's system refused a step",
            _ => "the peer refused for a reason this build does not know",
        };
        Self::new(code, why)
    }
}

impl From<Reject> for ConnectError {
    fn from(reject: Reject) -> Self {
        Self::Transport { transport: "shm", why: reject.why }
    }
}

/// The whole handshake. See [`crate::establish`].
pub(crate) fn run(
    socket: OwnedFd,
    limits: &Limits,
    peer: PeerIdentity,
) -> Result<Established, ConnectError> {
    limits.check()?;
    let max_capacity = limits.ring_capacity as u64;
    let wire = Wire::new(socket, limits.handshake_timeout_ms);
    let rejected = |wire: Wire, reject: Reject| {
        Ok(Established::Rejected { socket: wire.socket, why: reject.into() })
    };

    // Exchange 1.
    let half = random_half()?;
    wire.send(&hello(half, max_capacity))?;
    let (message, descriptor) = wire.receive("HELLO")?;
    no_descriptor("HELLO", descriptor)?;
    let theirs = read_hello(&message)?;

    // Exchange 2.
    let peer_cpus = theirs.as_ref().map_or(0, |theirs| theirs.cpus);
    let mine = theirs.and_then(|theirs| {
        if theirs.half == half {
            // Also what a mirror of our own bytes would send; its segment could be any.
            return Err(Reject::new(Reject::UNAVAILABLE, "the peer sent our own nonce"));
        }
        prepare(max_capacity.min(theirs.max_capacity), combine(half, theirs.half))
    });
    let mine = match mine {
        Ok((mapping, file, fixed)) => {
            wire.send_with(&offer(&fixed), &file)?.map(|()| (mapping, file, fixed))
        }
        Err(reject) => Err(reject),
    };
    if let Err(reject) = &mine {
        wire.send(&rejection(reject.code))?;
    }
    let (message, descriptor) = wire.receive("OFFER")?;
    let offered = read_offer(&message, descriptor)?;
    let ((mapping, own_file, fixed), (file, their_offer)) = match (mine, offered) {
        (Ok(mine), Ok(offered)) => (mine, offered),
        (Err(reject), _) | (_, Err(reject)) => return rejected(wire, reject),
    };

    // Exchange 3.
    let taken = take_segment(&file, &own_file, &their_offer, fixed.nonce, max_capacity);
    drop((file, own_file));
    match &taken {
        Ok(_) => wire.send(&message_of(READY))?,
        Err(reject) => wire.send(&rejection(reject.code))?,
    }
    let (message, descriptor) = wire.receive("READY")?;
    no_descriptor("READY", descriptor)?;
    let ready = read_ready(&message)?;
    let peer_map = match (taken, ready) {
        (Ok(peer_map), Ok(())) => peer_map,
        (Err(reject), _) | (_, Err(reject)) => return rejected(wire, reject),
    };
    let own = memory::own(mapping, capacity_of(&fixed));
    let cpus = cpus::shared_with(peer_cpus);
    let open = ShmTransport::open(wire.socket, own, peer_map, peer, limits.max_message_len, cpus);
    open.map(Established::Open).map_err(|error| ConnectError::os("watch the socket", error))
}

fn prepare(capacity: u64, nonce: [u8; 16]) -> Result<(Mapping, OwnedFd, Fixed), Reject> {
    if let Some(why) = crate::unavailable() {
        return Err(Reject::new(Reject::UNAVAILABLE, why));
    }
    if !layout::capacity_is_legal(capacity) {
        return Err(Reject::new(Reject::CAPACITY, "the peer takes no legal ring capacity"));
    }
    death::start().map_err(|error| Reject::system("start of the watcher", &error))?;
    segment::create(capacity, nonce).map_err(Reject::from_refused)
}

fn take_segment(
    file: &OwnedFd,
    own: &OwnedFd,
    offer: &Fixed,
    nonce: [u8; 16],
    max_capacity: u64,
) -> Result<PeerMap, Reject> {
    if offer.nonce != nonce {
        return Err(Reject::new(Reject::SEGMENT, "segment refused: nonce of another connection"));
    }
    let mapping = segment::accept(file, offer, max_capacity).map_err(Reject::from_refused)?;
    // After the checks above it is known to be a memory file, which answers at once.
    match segment::is_same(file, own) {
        Ok(false) => Ok(PeerMap::new(mapping, capacity_of(offer))),
        // We would talk to ourselves.
        Ok(true) => Err(Reject::from_refused(Refused::Unfit("this side's own segment"))),
        Err(error) => Err(Reject::system("fstat", &error)),
    }
}

fn capacity_of(fixed: &Fixed) -> usize {
    // Legal capacities fit; `accept` and `prepare` checked.
    usize::try_from(fixed.ring_capacity).unwrap_or(0)
}

fn random_half() -> Result<[u8; 16], ConnectError> {
    let mut half = [0; 16];
    // Up to 256 bytes come whole or not at all.
    rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut half, GetRandomFlags::empty()))
        .map_err(|error| ConnectError::os("getrandom", error.into()))?;
    Ok(half)
}

/// The same on both sides. The nonce tells connections apart; it is no secret, so a peer that
/// chooses its half after seeing ours wins nothing.
fn combine(mut half: [u8; 16], other: [u8; 16]) -> [u8; 16] {
    half.iter_mut().zip(other).for_each(|(a, b)| *a ^= b);
    half
}

fn message_of(kind: u32) -> Message {
    let mut message = [0; MESSAGE_LEN];
    put(&mut message, 0, &MAGIC);
    put(&mut message, 8, &kind.to_le_bytes());
    message
}

fn hello(half: [u8; 16], capacity: u64) -> Message {
    let mut message = message_of(HELLO);
    put(&mut message, 12, &VERSION.to_le_bytes());
    put(&mut message, 14, &LAYOUT_VERSION.to_le_bytes());
    put(&mut message, 24, &half);
    put(&mut message, 40, &capacity.to_le_bytes());
    put(&mut message, 48, &capacity.to_le_bytes());
    put(&mut message, 56, &cpus::own().to_le_bytes());
    message
}

fn offer(fixed: &Fixed) -> Message {
    let mut message = message_of(OFFER);
    put(&mut message, 16, &fixed.segment_len.to_le_bytes());
    put(&mut message, 24, &fixed.ring_capacity.to_le_bytes());
    put(&mut message, 32, &fixed.nonce);
    message
}

fn rejection(code: u32) -> Message {
    let mut message = message_of(REJECT);
    put(&mut message, 12, &code.to_le_bytes());
    message
}

fn put(message: &mut Message, at: usize, bytes: &[u8]) {
    message[at..at + bytes.len()].copy_from_slice(bytes);
}

fn get<const N: usize>(message: &Message, at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&message[at..at + N]);
    bytes
}

fn broken(at: &'static str, what: impl ToString) -> ConnectError {
    ConnectError::Handshake { at, what: what.to_string().into() }
}

fn no_descriptor(at: &'static str, descriptor: Option<OwnedFd>) -> Result<(), ConnectError> {
    descriptor.map_or(Ok(()), |_| Err(broken(at, "a descriptor where none belongs")))
}

/// The kind of a message, if it is one of ours.
fn kind(at: &'static str, message: &Message) -> Result<u32, ConnectError> {
    if get::<8>(message, 0) == MAGIC {
        Ok(u32::from_le_bytes(get(message, 8)))
    } else {
        Err(broken(at, "wrong magic"))
    }
}

fn zero_from(at: &'static str, message: &Message, from: usize) -> Result<(), ConnectError> {
    if message[from..].iter().all(|byte| *byte == 0) {
        Ok(())
    } else {
        Err(broken(at, "reserved bytes are not 0"))
    }
}

fn read_reject(at: &'static str, message: &Message) -> Result<Reject, ConnectError> {
    zero_from(at, message, 16)?;
    Ok(Reject::from_peer(u32::from_le_bytes(get(message, 12))))
}

struct Hello {
    half: [u8; 16],
    max_capacity: u64,
    cpus: u64,
}

fn read_hello(message: &Message) -> Result<Result<Hello, Reject>, ConnectError> {
    let at = "HELLO";
    let found = kind(at, message)?;
    if found != HELLO {
        return Err(broken(at, format_args!("message kind {found}")));
    }
    let version = u16::from_le_bytes(get(message, 12));
    let layout = u16::from_le_bytes(get(message, 14));
    if (version, layout) != (VERSION, LAYOUT_VERSION) {
        let why = format!("the peer speaks handshake version {version}, layout {layout}");
        return Ok(Err(Reject { code: Reject::VERSION, why: why.into() }));
    }
    if u64::from_le_bytes(get(message, 16)) != 0 {
        return Err(broken(at, "features that version 1 does not have"));
    }
    Ok(Ok(Hello {
        half: get(message, 24),
        max_capacity: u64::from_le_bytes(get(message, 48)),
        cpus: u64::from_le_bytes(get(message, 56)),
    }))
}

fn read_offer(
    message: &Message,
    descriptor: Option<OwnedFd>,
) -> Result<Result<(OwnedFd, Fixed), Reject>, ConnectError> {
    let at = "OFFER";
    match kind(at, message)? {
        OFFER => {
            zero_from(at, message, 48)?;
            if get::<4>(message, 12) != [0; 4] {
                return Err(broken(at, "reserved bytes are not 0"));
            }
            let file = descriptor.ok_or_else(|| broken(at, "no descriptor"))?;
            let fixed = Fixed {
                segment_len: u64::from_le_bytes(get(message, 16)),
                ring_capacity: u64::from_le_bytes(get(message, 24)),
                nonce: get(message, 32),
            };
            Ok(Ok((file, fixed)))
        }
        REJECT => {
            no_descriptor(at, descriptor)?;
            read_reject(at, message).map(Err)
        }
        found => Err(broken(at, format_args!("message kind {found}"))),
    }
}

fn read_ready(message: &Message) -> Result<Result<(), Reject>, ConnectError> {
    let at = "READY";
    match kind(at, message)? {
        READY => zero_from(at, message, 12).map(Ok),
        REJECT => read_reject(at, message).map(Err),
        found => Err(broken(at, format_args!("message kind {found}"))),
    }
}

/// The socket, with a deadline for everything.
struct Wire {
    socket: OwnedFd,
    deadline: Instant,
    timeout_ms: u64,
}

impl Wire {
    fn new(socket: OwnedFd, timeout_ms: u64) -> Self {
        Self { socket, deadline: Instant::now() + Duration::from_millis(timeout_ms), timeout_ms }
    }

    fn send(&self, message: &[u8]) -> Result<(), ConnectError> {
        let mut sent = 0;
        while sent < message.len() {
            let rest = [IoSlice::new(&message[sent..])];
            match self.try_send(&rest, &mut SendAncillaryBuffer::default()) {
                Ok(n) => sent += n,
                Err(error) => self.pause("sendmsg", error, PollFlags::OUT)?,
            }
        }
        Ok(())
    }

    /// Sends a message and a descriptor, which travels with the first byte. If the system does not
    /// take the descriptor, as when too many are under way, not a byte has gone.
    fn send_with(
        &self,
        message: &Message,
        file: &OwnedFd,
    ) -> Result<Result<(), Reject>, ConnectError> {
        let fds = [file.as_fd()];
        loop {
            let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut room);
            control.push(SendAncillaryMessage::ScmRights(&fds));
            match self.try_send(&[IoSlice::new(message)], &mut control) {
                Ok(n) => return self.send(&message[n..]).map(Ok),
                Err(error) => match self.pause("sendmsg", error, PollFlags::OUT) {
                    Ok(()) => {}
                    Err(ConnectError::Os { .. }) => {
                        return Ok(Err(Reject::system("sending a segment", &error.into())));
                    }
                    Err(over) => return Err(over),
                },
            }
        }
    }

    fn try_send(
        &self,
        bytes: &[IoSlice<'_>],
        control: &mut SendAncillaryBuffer<'_, '_, '_>,
    ) -> Result<usize, Errno> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::sendmsg(&self.socket, bytes, control, flags)
    }

    /// Reads exactly one message and not a byte more, with at most one descriptor.
    fn receive(&self, at: &'static str) -> Result<(Message, Option<OwnedFd>), ConnectError> {
        let mut message = [0; MESSAGE_LEN];
        let mut descriptor = None;
        let mut read = 0;
        while read < MESSAGE_LEN {
            let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut room);
            let mut rest = [IoSliceMut::new(&mut message[read..])];
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let got = match rustix::net::recvmsg(&self.socket, &mut rest, &mut control, flags) {
                Ok(got) => got,
                Err(error) => {
                    self.pause("recvmsg", error, PollFlags::IN)?;
                    continue;
                }
            };
            // Whatever is not kept is closed here, before any error leaves.
            let mut count = 0;
            for part in control.drain() {
                if let RecvAncillaryMessage::ScmRights(fds) = part {
                    for fd in fds {
                        count += 1;
                        descriptor.get_or_insert(fd);
                    }
                }
            }
            if got.flags.contains(ReturnFlags::CTRUNC) {
                return Err(broken(at, "control data was truncated"));
            }
            if count > 1 || (count == 1 && read != 0) {
                return Err(broken(at, "more than one descriptor, or one behind the first byte"));
            }
            if got.bytes == 0 {
                return Err(LinkError::PeerDied.into());
            }
            read += got.bytes;
        }
        Ok((message, descriptor))
    }

    /// Waits until the socket may go on, or turns `error` into the reason why it will not.
    fn pause(
        &self,
        step: &'static str,
        error: Errno,
        ready: PollFlags,
    ) -> Result<(), ConnectError> {
        match error {
            Errno::INTR => return Ok(()),
            Errno::AGAIN => {}
            Errno::PIPE | Errno::CONNRESET => return Err(LinkError::PeerDied.into()),
            error => return Err(ConnectError::os(step, error.into())),
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ConnectError::TimedOut { timeout_ms: self.timeout_ms });
        }
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut fds = [PollFd::new(&self.socket, ready)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(ConnectError::os("poll", error.into())),
        }
    }
}
