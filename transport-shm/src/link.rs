//! One open connection: what its halves share, and how it ends.

mod halves;

use std::fmt;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use rustix::net::Shutdown;
use tramline_core::{Halves, LinkError, PeerFault, PeerIdentity, Transport};

#[cfg(feature = "trusted-in-place")]
pub(crate) use self::halves::InPlace;
pub(crate) use self::halves::{ShmReceiver, ShmSender, ShmSignal};
use crate::control::{self, ControlSocket, Loaded, Pending};
use crate::counters::LinkCounters;
use crate::death::{self, Lifeline};
use crate::doorbell::{Doorbell, Words};
use crate::layout;
use crate::probe::Probe;
use crate::ring::consumer::Consumer;
use crate::ring::memory::{OwnMap, OwnRingMap, OwnWords as _, PeerMap};
use crate::ring::producer::Producer;
use crate::ring::{PARKED_ON_FUTEX, Side};
use crate::segment::{self, Refused};
use crate::sync::{AtomicU32, Ordering};
use crate::wake::budget::Budget;
use crate::wake::futex;

/// Bits of [`Link::over`]: closed here, faulted, hung up by the peer.
const CLOSED: u32 = 1;
const FAULTED: u32 = 2;
const HUNG_UP: u32 = 4;

/// What the halves, the signal and the watcher share. Dropping the last one ends the link.
pub(crate) struct Link {
    own: OwnMap,
    peer: PeerMap,
    lifeline: Lifeline,
    /// Held while anything is taken out of the socket or looked at in it: whoever looks sees one
    /// descriptor or none, never one that is just leaving.
    taking: Mutex<()>,
    over: AtomicU32,
    kicks: AtomicU32,
    fault: OnceLock<PeerFault>,
    watch: OnceLock<death::WatchId>,
    /// Told of each kick, once this side sleeps on the control socket.
    told: OnceLock<Box<Told>>,
}

/// Told of kicks.
pub(crate) type Told = dyn Fn() + Send + Sync;

impl Link {
    /// What tells that the peer is gone.
    pub(crate) fn lifeline(&self) -> &Lifeline {
        &self.lifeline
    }

    /// The control socket, unless the peers met by name.
    fn socket(&self) -> Option<&Arc<ControlSocket>> {
        match &self.lifeline {
            Lifeline::Socket(socket) => Some(socket),
            #[cfg(feature = "named")]
            Lifeline::Process(_) => None,
        }
    }

    /// What lies in the control socket: for the watcher.
    pub(crate) fn look_at_socket(&self) -> Pending {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(socket) = self.socket() else { return Pending::Nothing };
        let rings = self.sleeps_on_socket();
        match control::look(socket.as_fd(), rings) {
            // Doorbells may be right since we looked whether they are.
            Pending::Garbage if rings != self.sleeps_on_socket() => {
                control::look(socket.as_fd(), true)
            }
            found => found,
        }
    }

    /// Takes doorbells out of the control socket: how many, none once only something else is left.
    pub(crate) fn take_rings(&self) -> Result<usize, Loaded> {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        self.socket().map_or(Ok(0), |socket| control::take_rings(socket.as_fd()))
    }

    /// Whether this side has said, or may say, that it sleeps on the control socket.
    fn sleeps_on_socket(&self) -> bool {
        self.told.get().is_some()
    }

    /// The body with this ticket, checked and mapped.
    fn take_blob(&self, len: usize, ticket: u64) -> Result<Bytes, LinkError> {
        let taken = {
            let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
            let none = Err(Refused::Unfit("a descriptor cannot come without a socket"));
            let rings = self.sleeps_on_socket();
            self.socket().map_or(none, |socket| control::take(socket.as_fd(), ticket, rings))
        };
        let accepted = taken.and_then(|file| {
            segment::accept_blob(&file, len).inspect_err(|_| control::close_elsewhere(file))
        });
        accepted.map_err(|refused| match refused {
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

    /// Our own words.
    pub(crate) fn own(&self) -> &OwnMap {
        &self.own
    }

    /// From now on this side sleeps on the control socket, and `told` hears of each kick.
    pub(crate) fn sleep_on_socket(&self, told: Box<Told>) -> std::io::Result<()> {
        // The watcher keeps away from the bytes first: from the next announcement on they may come.
        if let (Some(watch), Some(socket)) = (self.watch.get(), self.socket()) {
            death::watch_hang_ups_only(*watch, socket.as_fd())?;
        }
        // Once for each link; the first one stays.
        let _ = self.told.set(told);
        // What was kicked for before is looked at by whoever asked.
        Ok(())
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
        self.own.ring_bell(Side::Data, PARKED_ON_FUTEX);
        self.own.ring_bell(Side::Space, PARKED_ON_FUTEX);
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
        if let Some(told) = self.told.get() {
            told();
        }
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

type ShmProducer = Producer<OwnRingMap, Words, PeerMap>;
type ShmConsumer = Consumer<Words, PeerMap>;

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
        Self::open_with(
            Lifeline::Socket(Arc::new(ControlSocket::new(socket))),
            own,
            peer,
            identity,
            max_message_len,
            cpus,
        )
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
        let socket = match &lifeline {
            Lifeline::Socket(socket) => Some(Arc::clone(socket)),
            #[cfg(feature = "named")]
            Lifeline::Process(_) => None,
        };
        let words = Words::new(own.clone(), socket);
        let link = Arc::new(Link {
            own,
            peer: peer.clone(),
            lifeline,
            taking: Mutex::new(()),
            over: AtomicU32::new(0),
            kicks: AtomicU32::new(0),
            fault: OnceLock::new(),
            watch: OnceLock::new(),
            told: OnceLock::new(),
        });
        let watch = death::watch(&link)?;
        // Set once, here.
        let _ = link.watch.set(watch);
        Ok(Self {
            identity,
            producer: Producer::new(ring, words.clone(), peer.clone()),
            consumer: Consumer::new(words, peer, max_message_len),
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

    /// What lets this side sleep on the control socket, together with other connections, instead of
    /// in [`Signal::wait`](tramline_core::transport::Signal::wait). It keeps the link open, as a
    /// half does. None for a link without a socket.
    #[must_use]
    pub fn doorbell(&self) -> Option<Doorbell> {
        let socket = Arc::clone(self.link.socket()?);
        Some(Doorbell::new(Arc::clone(&self.link), socket))
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
