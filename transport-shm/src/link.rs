//! One open connection: the ring halves, what both share, and how the link ends.

use std::any::Any;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::Shutdown;
use tramline_core::transport::{Receiver, Sender, Signal, Ticket, WaitFor, WaitMode};
use tramline_core::{
    Frame, Halves, LinkError, Pages, PeerFault, PeerIdentity, SendError, Transport,
};

use crate::control::{self, Pending};
use crate::counters::LinkCounters;
use crate::death::{self, Lifeline};
use crate::layout;
use crate::probe::Probe;
use crate::ring::Side;
use crate::ring::consumer::{Consumer, Polled};
use crate::ring::memory::{OwnMap, OwnRingMap, OwnWords, PeerMap};
use crate::ring::producer::Producer;
use crate::ring::record::Kind;
use crate::segment::{self, Refused, Sealed};
use crate::sync::{AtomicU32, Ordering};
use crate::wake::budget::Budget;
use crate::wake::futex::{self, Watch};

/// Bits of [`Link::over`]: closed here, faulted, hung up by the peer.
const CLOSED: u32 = 1;
const FAULTED: u32 = 2;
const HUNG_UP: u32 = 4;

/// What the halves, the signal and the watcher share. Dropping the last one ends the link.
pub(crate) struct Link {
    own: OwnMap,
    peer: PeerMap,
    lifeline: Lifeline,
    /// Held while a descriptor is taken out of the socket, and while the watcher looks into it: it
    /// sees one or none, never one that is just leaving.
    taking: Mutex<()>,
    over: AtomicU32,
    kicks: AtomicU32,
    fault: OnceLock<PeerFault>,
    watch: OnceLock<death::WatchId>,
}

impl Link {
    /// What tells that the peer is gone.
    pub(crate) fn lifeline(&self) -> &Lifeline {
        &self.lifeline
    }

    /// The control socket, unless the peers met by name.
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.lifeline {
            Lifeline::Socket(socket) => Some(socket.as_fd()),
            #[cfg(feature = "named")]
            Lifeline::Process(_) => None,
        }
    }

    /// What lies in the control socket: for the watcher.
    pub(crate) fn look_at_socket(&self) -> Pending {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        self.socket().map_or(Pending::Nothing, control::look)
    }

    /// The body with this ticket, checked and mapped.
    fn take_blob(&self, len: usize, ticket: u64) -> Result<Bytes, LinkError> {
        let taken = {
            let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
            let none = Err(Refused::Unfit("a descriptor cannot come without a socket"));
            self.socket().map_or(none, |socket| control::take(socket, ticket))
        };
        taken.and_then(|file| segment::accept_blob(&file, len)).map_err(|refused| match refused {
            Refused::Unfit(why) => self.fault(PeerFault::new("blob", why)),
            Refused::Limit => {
                self.close();
                LinkError::os("mmap", &std::io::ErrorKind::OutOfMemory.into())
            }
            // Not the peer's doing, but the message is lost, and nothing may follow it.
            Refused::Os(step, error) => {
                self.close();
                LinkError::os(step, &error)
            }
        })
    }

    /// Stores our probe word.
    #[inline]
    pub(crate) fn store_probe(&self, value: u64) {
        self.own.store_probe(value);
    }

    /// The peer's probe word.
    #[inline]
    pub(crate) fn peer_probe(&self) -> u64 {
        self.peer.probe()
    }

    /// Whether the link is over, for whatever reason.
    pub(crate) fn is_over(&self) -> bool {
        self.flags() != 0
    }

    /// The peer is gone: called by the watcher.
    pub(crate) fn hung_up(&self) {
        self.raise(HUNG_UP);
        self.kick();
    }

    /// The peer broke the protocol.
    pub(crate) fn fault(&self, fault: PeerFault) -> LinkError {
        // The first fault is the one that is reported.
        let fault = self.fault.get_or_init(|| fault).clone();
        if self.raise(FAULTED) & (CLOSED | FAULTED) == 0 {
            self.end(layout::STATE_FAULTED);
        }
        LinkError::Fault(fault)
    }

    fn close(&self) {
        if self.raise(CLOSED) & (CLOSED | FAULTED) == 0 {
            self.end(layout::STATE_CLOSED);
        }
    }

    /// Tells the peer and every sleeper. The state word comes before the hang-up, so that a peer
    /// that sees the hang-up can tell a goodbye from a death.
    fn end(&self, state: u32) {
        // PAIRS WITH the acquire in `PeerMap::state`.
        self.own.word32(layout::STATE).store(state, Ordering::Release);
        self.own.ring_bell(Side::Data);
        self.own.ring_bell(Side::Space);
        match &self.lifeline {
            Lifeline::Socket(socket) => {
                // Fails only if the peer is gone already, which is what is wanted.
                let _ = rustix::net::shutdown(socket, Shutdown::Both);
            }
            // The state word is the goodbye, see `flags`.
            #[cfg(feature = "named")]
            Lifeline::Process(_) => {}
        }
        self.kick();
    }

    fn raise(&self, bit: u32) -> u32 {
        // PAIRS WITH the acquire in `flags`: whoever sees the bit sees the fault behind it.
        self.over.fetch_or(bit, Ordering::AcqRel)
    }

    #[inline]
    fn flags(&self) -> u32 {
        // PAIRS WITH `raise`.
        let flags = self.over.load(Ordering::Acquire);
        #[cfg(feature = "named")]
        if flags == 0 && matches!(self.lifeline, Lifeline::Process(_)) {
            return self.listen_for_goodbye();
        }
        flags
    }

    /// Where no socket hangs up, the state word alone says goodbye. The bells that the peer rings
    /// behind it wake whoever waits for data or room, and each of them looks here.
    #[cfg(feature = "named")]
    fn listen_for_goodbye(&self) -> u32 {
        if matches!(self.peer.state(), layout::STATE_CLOSED | layout::STATE_FAULTED) {
            self.hung_up();
        }
        // PAIRS WITH `raise`.
        self.over.load(Ordering::Acquire)
    }

    /// Why the link is over from this side, whatever may still lie in the ring.
    #[cold]
    fn ended_here(&self, flags: u32) -> Option<LinkError> {
        if flags & FAULTED != 0
            && let Some(fault) = self.fault.get()
        {
            Some(LinkError::Fault(fault.clone()))
        } else {
            (flags & CLOSED != 0).then_some(LinkError::Closed)
        }
    }

    /// Why the link is over, once nothing is left in the ring.
    #[cold]
    fn ended(&self, flags: u32) -> Option<LinkError> {
        self.ended_here(flags).or_else(|| {
            (flags & HUNG_UP != 0).then(|| {
                // The word is only believed about how the peer left; that it left, the socket says.
                if self.peer.state() == layout::STATE_CLOSED {
                    LinkError::Closed
                } else {
                    LinkError::PeerDied
                }
            })
        })
    }

    fn kick(&self) {
        // PAIRS WITH the acquire in `kicks`, and with the kernel's comparison in `wait`.
        self.kicks.fetch_add(1, Ordering::Release);
        futex::wake_private(&self.kicks);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.get() {
            death::forget(*watch, &self.lifeline);
        }
        self.close();
    }
}

type ShmProducer = Producer<OwnRingMap, OwnMap, PeerMap>;
type ShmConsumer = Consumer<OwnMap, PeerMap>;

/// An open connection through shared memory, from [`establish`](crate::establish).
///
/// Dropping it, or all of its halves, closes the link.
///
/// # Examples
///
/// ```no_run
/// # fn open(shm: tramline_transport_shm::ShmTransport) -> Result<(), tramline_core::SendError> {
/// use tramline_core::Transport;
///
/// let mut halves = Box::new(shm).into_halves();
/// let room = halves.sender.claim(5)?;
/// room[..5].copy_from_slice(b"hello");
/// halves.sender.commit(5);
/// halves.sender.flush()?;
/// # Ok(())
/// # }
/// ```
pub struct ShmTransport {
    identity: PeerIdentity,
    producer: ShmProducer,
    consumer: ShmConsumer,
    link: Arc<Link>,
    max_message_len: usize,
    /// CPUs that both sides together may run on.
    cpus: usize,
}

impl fmt::Debug for ShmTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShmTransport").field("peer", &self.identity).finish_non_exhaustive()
    }
}

impl ShmTransport {
    /// Puts an agreed connection together and starts to watch its socket.
    pub(crate) fn open(
        socket: OwnedFd,
        own: (OwnMap, OwnRingMap),
        peer: PeerMap,
        identity: PeerIdentity,
        max_message_len: usize,
        cpus: usize,
    ) -> std::io::Result<Self> {
        Self::open_with(Lifeline::Socket(socket), own, peer, identity, max_message_len, cpus)
    }

    /// The same, with whatever tells that the peer is gone.
    pub(crate) fn open_with(
        lifeline: Lifeline,
        (own, ring): (OwnMap, OwnRingMap),
        peer: PeerMap,
        identity: PeerIdentity,
        max_message_len: usize,
        cpus: usize,
    ) -> std::io::Result<Self> {
        // PAIRS WITH the acquire in `PeerMap::state`.
        own.word32(layout::STATE).store(layout::STATE_OPEN, Ordering::Release);
        let link = Arc::new(Link {
            own: own.clone(),
            peer: peer.clone(),
            lifeline,
            taking: Mutex::new(()),
            over: AtomicU32::new(0),
            kicks: AtomicU32::new(0),
            fault: OnceLock::new(),
            watch: OnceLock::new(),
        });
        let watch = death::watch(&link)?;
        // Set once, here.
        let _ = link.watch.set(watch);
        Ok(Self {
            identity,
            producer: Producer::new(ring, own.clone(), peer.clone()),
            consumer: Consumer::new(own, peer, max_message_len),
            link,
            max_message_len,
            cpus,
        })
    }

    /// What measures the time a cache line takes between the two processes. It keeps the memory
    /// mapped and the link open, as a half does.
    #[must_use]
    pub fn probe(&self) -> Probe {
        Probe::new(Arc::clone(&self.link))
    }

    /// The counters of this link, to be kept while its halves are at work, and after.
    #[must_use]
    pub fn counters(&self) -> LinkCounters {
        LinkCounters::new(self.link.own.clone(), self.link.peer.clone())
    }
}

impl Transport for ShmTransport {
    fn into_halves(self: Box<Self>) -> Halves {
        let (peer, sender, receiver, signal) = self.into_parts();
        Halves {
            transport: "shm",
            peer,
            sender: Box::new(sender),
            receiver: Box::new(receiver),
            signal: Box::new(signal),
        }
    }
}

impl ShmTransport {
    /// What different threads use.
    pub(crate) fn into_parts(self) -> (PeerIdentity, ShmSender, ShmReceiver, ShmSignal) {
        let cpus = self.cpus;
        let sender = ShmSender {
            may_spin: cpus > 1,
            spins: cpus > 1,
            producer: self.producer,
            link: Arc::clone(&self.link),
            max_message_len: self.max_message_len,
        };
        let receiver = ShmReceiver {
            consumer: self.consumer,
            link: Arc::clone(&self.link),
            tail: Bytes::new(),
            budget: Budget::new(cpus),
            parked: None,
        };
        (self.identity, sender, receiver, ShmSignal { link: self.link })
    }
}

/// How long to look for room before sleeping. A choice: a peer that reads has made room for a frame
/// by then, and waking costs as much.
const ROOM_SPIN: Duration = Duration::from_micros(20);

pub(crate) struct ShmSender {
    /// There is a CPU for each side.
    may_spin: bool,
    spins: bool,
    producer: ShmProducer,
    link: Arc<Link>,
    max_message_len: usize,
}

impl ShmSender {
    #[inline]
    fn check(&self) -> Result<(), LinkError> {
        match self.link.flags() {
            0 => Ok(()),
            flags => self.link.ended(flags).map_or(Ok(()), Err),
        }
    }

    fn fault(&self, fault: PeerFault) -> SendError {
        SendError::Link(self.link.fault(fault))
    }
}

impl Sender for ShmSender {
    fn claim(&mut self, min_len: usize) -> Result<&mut [u8], SendError> {
        self.check()?;
        match self.producer.claim(min_len) {
            Ok(true) => Ok(self.producer.slot()),
            Ok(false) => Err(SendError::Full),
            Err(fault) => Err(self.fault(fault)),
        }
    }

    fn commit(&mut self, len: usize) {
        self.producer.commit(Kind::Data, len);
    }

    fn send_part(&mut self, message: &[u8], sent: &mut usize) -> Result<(), SendError> {
        self.check()?;
        if message.len() > self.max_message_len {
            return Err(SendError::TooLarge { len: message.len(), max: self.max_message_len });
        }
        match self.producer.send_part(message, sent) {
            Ok(true) => Ok(()),
            Ok(false) => Err(SendError::Full),
            Err(fault) => Err(self.fault(fault)),
        }
    }

    fn count_drop(&mut self) {
        self.producer.count_drop();
    }

    fn streams(&self) -> bool {
        true
    }

    fn send_piece(&mut self, piece: &[u8], sent: &mut usize, last: bool) -> Result<(), SendError> {
        self.check()?;
        match self.producer.send_piece(piece, sent, last) {
            Ok(true) => Ok(()),
            Ok(false) => Err(SendError::Full),
            Err(fault) => Err(self.fault(fault)),
        }
    }

    fn hand_over(&mut self, head: &[u8], body: &dyn Pages) -> Result<bool, SendError> {
        self.check()?;
        let Some(sealed) = (body as &dyn Any).downcast_ref::<Sealed>() else { return Ok(false) };
        let Some(socket) = self.link.socket() else { return Ok(false) };
        let body_len = body.bytes().len();
        let len = head.len().saturating_add(body_len);
        if len > self.max_message_len {
            return Err(SendError::TooLarge { len, max: self.max_message_len });
        }
        if head.is_empty() || body_len == 0 || head.len() > self.producer.max_blob_head() {
            return Ok(false);
        }
        let ticket = match self.producer.claim_blob(head.len()) {
            Ok(Some(ticket)) => ticket,
            Ok(None) => return Err(SendError::Full),
            Err(fault) => return Err(self.fault(fault)),
        };
        match control::send(socket, ticket, sealed.file()) {
            Ok(()) => {}
            // It said that it had taken the last one.
            Err(Errno::AGAIN) => {
                return Err(self.fault(PeerFault::new("control socket", "full of what we sent")));
            }
            Err(Errno::PIPE | Errno::CONNRESET) => {
                self.link.hung_up();
                self.check()?;
                return Err(SendError::Link(LinkError::PeerDied));
            }
            // Too many descriptors on their way, no memory: nothing has gone, so the bytes can.
            Err(_) => return Ok(false),
        }
        self.producer.commit_blob(head, body_len);
        Ok(true)
    }

    fn abandon(&mut self) -> Result<(), SendError> {
        self.check()?;
        match self.producer.abandon() {
            Ok(true) => Ok(()),
            Ok(false) => Err(SendError::Full),
            Err(fault) => Err(self.fault(fault)),
        }
    }

    fn spin(&mut self) -> bool {
        if !self.spins {
            return false;
        }
        self.producer.flush();
        let start = Instant::now();
        let mut yield_at = YIELD_EVERY;
        loop {
            for _ in 0..POLLS_PER_CLOCK {
                std::hint::spin_loop();
                if self.producer.has_room() {
                    return true;
                }
            }
            let spent = start.elapsed();
            if spent >= ROOM_SPIN || self.link.flags() != 0 {
                return false;
            }
            if spent >= yield_at {
                // The peer may be waiting for this very CPU.
                rustix::thread::sched_yield();
                yield_at = start.elapsed() + YIELD_EVERY;
            }
        }
    }

    fn set_wait_mode(&mut self, mode: WaitMode) {
        self.spins = self.may_spin && mode != WaitMode::Idle;
    }

    fn fits(&mut self, len: usize) -> bool {
        len <= self.max_message_len && self.producer.fits(len)
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        self.check()?;
        self.producer.flush();
        Ok(())
    }

    fn arm(&mut self) -> Option<Ticket> {
        match self.producer.arm() {
            Ok(None) => None,
            Ok(Some(bell)) if self.link.flags() == 0 => Some(Ticket(bell)),
            Ok(Some(_)) => {
                self.producer.disarm();
                None
            }
            Err(fault) => {
                // The next call reports it.
                self.link.fault(fault);
                self.producer.disarm();
                None
            }
        }
    }

    fn disarm(&mut self) {
        self.producer.disarm();
    }
}

pub(crate) struct ShmReceiver {
    consumer: ShmConsumer,
    link: Arc<Link>,
    /// The body of the last message, if it was handed over and not taken from the frame.
    tail: Bytes,
    budget: Budget,
    /// When the current sleep was announced.
    parked: Option<Instant>,
}

/// How often the next header is looked at between two looks at the clock. Measured: a clock read
/// costs as much as several polls; 64-byte round trips, 8 against 64 looks: 170 against 160 ns.
const POLLS_PER_CLOCK: u32 = 32;

/// How long to look for data before offering the CPU to whoever waits for it, and again. A choice:
/// a round trip between two CPUs is over by then, so it never pays for the system call; on one CPU
/// it is what the peer waits for, instead of the whole budget. Measured on a shared machine, both
/// sides pinned to one CPU after they had met on two: 70 to 220 us a call without, 5 to 13 us with.
const YIELD_EVERY: Duration = Duration::from_micros(2);

impl ShmReceiver {
    #[cold]
    fn take_blob(&mut self) -> Result<Frame<'_>, LinkError> {
        let (len, ticket) = self.consumer.blob();
        self.tail = self.link.take_blob(len, ticket)?;
        self.consumer.blob_taken();
        Ok(Frame::with_tail(self.consumer.message(), &mut self.tail))
    }
}

/// What was found by a look that may read in place.
#[cfg(feature = "trusted-in-place")]
pub(crate) enum InPlace<'a, R> {
    /// A message, read where it lies.
    Read(R),
    /// A message that had to be put together.
    Copied(Frame<'a>),
    /// None.
    Nothing,
}

#[cfg(feature = "trusted-in-place")]
impl ShmReceiver {
    /// As [`Receiver::poll`]; a message of one record is shown to `read` where it lies. `read` is
    /// left in its place if nothing was shown to it.
    ///
    /// # Safety
    ///
    /// As [`Consumer::poll_in_place`].
    pub(crate) unsafe fn poll_in_place<R>(
        &mut self,
        read: &mut Option<impl FnOnce(&[u8]) -> R>,
    ) -> Result<InPlace<'_, R>, LinkError> {
        use crate::ring::in_place::InPlace as Found;
        let flags = self.flags_to_poll()?;
        // SAFETY: the caller's promise is the one that is asked for.
        let polled = match unsafe { self.consumer.poll_in_place(read) } {
            Ok(Found::Read(result)) => return Ok(InPlace::Read(result)),
            Ok(Found::Other(polled)) => Ok(polled),
            Err(fault) => Err(fault),
        };
        Ok(self.polled(polled, flags)?.map_or(InPlace::Nothing, InPlace::Copied))
    }
}

impl ShmReceiver {
    /// Why the link is over, if it is over from this side; else the bits to judge an empty ring by.
    #[inline]
    fn flags_to_poll(&self) -> Result<u32, LinkError> {
        let flags = self.link.flags();
        if flags != 0
            && let Some(end) = self.link.ended_here(flags)
        {
            return Err(end);
        }
        Ok(flags)
    }

    /// What a look at the ring means for the link.
    #[inline]
    fn polled(
        &mut self,
        polled: Result<Polled, PeerFault>,
        flags: u32,
    ) -> Result<Option<Frame<'_>>, LinkError> {
        match polled {
            Ok(Polled::Message) => {}
            Ok(Polled::Blob) => return self.take_blob().map(Some),
            Ok(Polled::Closed) => return Err(LinkError::Closed),
            Ok(Polled::Nothing) if flags == 0 || self.consumer.has_news() => return Ok(None),
            Ok(Polled::Nothing) => return self.link.ended(flags).map_or(Ok(None), Err),
            Err(fault) => return Err(self.link.fault(fault)),
        }
        Ok(Some(Frame::new(self.consumer.message())))
    }
}

impl Receiver for ShmReceiver {
    fn poll(&mut self) -> Result<Option<Frame<'_>>, LinkError> {
        // Read before the ring: what was committed before the end is then still seen below.
        let flags = self.flags_to_poll()?;
        let polled = self.consumer.poll();
        self.polled(polled, flags)
    }

    fn spin(&mut self) -> bool {
        let over = |link: &Link| link.flags() != 0;
        if self.consumer.has_news() || over(&self.link) {
            return true;
        }
        let budget = Duration::from_nanos(u64::from(self.budget.spin_ns()));
        if budget.is_zero() {
            return false;
        }
        let start = Instant::now();
        let mut yield_at = YIELD_EVERY;
        loop {
            for _ in 0..POLLS_PER_CLOCK {
                std::hint::spin_loop();
                if self.consumer.has_news() {
                    self.budget.found_in_time();
                    return true;
                }
            }
            if over(&self.link) {
                return true;
            }
            let spent = start.elapsed();
            if spent >= budget {
                self.budget.spun_in_vain();
                return false;
            }
            if spent >= yield_at {
                // The peer may be waiting for this very CPU.
                rustix::thread::sched_yield();
                yield_at = start.elapsed() + YIELD_EVERY;
            }
        }
    }

    fn set_wait_mode(&mut self, mode: WaitMode) {
        self.budget.set_mode(mode);
    }

    fn arm(&mut self) -> Option<Ticket> {
        let bell = self.consumer.arm()?;
        if self.link.flags() != 0 {
            self.consumer.disarm();
            return None;
        }
        self.parked.get_or_insert_with(Instant::now);
        // Pages that nobody has kept go back before a sleep.
        self.tail = Bytes::new();
        Some(Ticket(bell))
    }

    fn disarm(&mut self) {
        self.consumer.disarm();
        if let Some(since) = self.parked.take() {
            self.budget.parked(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }
}

pub(crate) struct ShmSignal {
    link: Arc<Link>,
}

impl Signal for ShmSignal {
    fn kicks(&self) -> u32 {
        // PAIRS WITH `Link::kick`: whoever reads a kick sees what it was for.
        self.link.kicks.load(Ordering::Acquire)
    }

    fn kick(&self) {
        self.link.kick();
    }

    fn wait(&self, wait: WaitFor) {
        // Whoever waits for a kick only is kicked by the end, too.
        if self.link.flags() != 0 && (wait.data.is_some() || wait.room.is_some()) {
            return;
        }
        let bell = |side, ticket: Ticket| Watch {
            word: self.link.peer.bell_ptr(side),
            value: ticket.0,
            private: false,
        };
        let kick =
            Watch { word: self.link.kicks.as_ptr().cast_const(), value: wait.kicks, private: true };
        match (wait.data, wait.room) {
            (None, None) => futex::wait_any(&[kick], wait.timeout),
            (Some(data), None) => {
                futex::wait_any(&[bell(Side::Data, data), kick], wait.timeout);
            }
            (None, Some(room)) => {
                futex::wait_any(&[bell(Side::Space, room), kick], wait.timeout);
            }
            (Some(data), Some(room)) => {
                let bells = [bell(Side::Data, data), bell(Side::Space, room), kick];
                futex::wait_any(&bells, wait.timeout);
            }
        }
    }

    fn close(&self) {
        self.link.close();
    }
}
