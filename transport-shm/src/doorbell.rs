//! The second way to sleep and to wake: a byte on the control socket.
//!
//! A thread that sleeps for many connections at once cannot sleep on their bells. It announces
//! itself in the park word as asleep on the socket, and whoever has something for it adds one byte
//! to the wake. Bytes stay until they are read, so there is nothing to compare before the sleep:
//! the fences of P3 are all it takes (`docs/WIRE-FORMAT.md` section 2.4).

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::RecvFlags;
use tramline_core::PeerFault;

use crate::control::{self, Pending};
use crate::counters::Counter;
use crate::link::Link;
use crate::ring::memory::{OwnMap, OwnWords};
use crate::ring::{Side, epochs_between, wants_doorbell};
use crate::sync::Ordering;

/// Rings a peer may waste in [`WINDOW`]. A choice (RING limits): an honest peer rings once for each
/// sleep that was announced, and has something to say.
const MAX_EMPTY: u32 = 1000;
const WINDOW: Duration = Duration::from_secs(1);

/// The words of our own segment, with the socket for a peer that sleeps there.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    own: OwnMap,
    /// None where the peers met by name, and nobody sleeps on a socket.
    socket: Option<Arc<OwnedFd>>,
}

impl Words {
    pub(crate) fn new(own: OwnMap, socket: Option<Arc<OwnedFd>>) -> Self {
        Self { own, socket }
    }
}

impl OwnWords for Words {
    #[inline]
    fn put_head(&self, head: u64, order: Ordering) {
        self.own.put_head(head, order);
    }

    #[inline]
    fn put_park(&self, side: Side, word: u32, order: Ordering) {
        self.own.put_park(side, word, order);
    }

    #[inline]
    fn bump_bell(&self, side: Side, order: Ordering) {
        self.own.bump_bell(side, order);
    }

    fn wake_sleepers(&self, side: Side, park: u32) {
        // Other threads of a peer that sleeps on the socket may sleep on the bell.
        self.own.wake_sleepers(side, park);
        if wants_doorbell(park)
            && let Some(socket) = &self.socket
        {
            control::ring(socket.as_fd());
        }
    }

    #[inline]
    fn count(&self, counter: Counter, by: u64) {
        self.own.count(counter, by);
    }
}

/// Sleeping on the control socket, for a thread or a task that serves many connections.
///
/// Once it is [`attach`](Self::attach)ed, the link's receiver announces its sleeps as sleeps on the
/// socket. Whenever the socket is readable, or a kick was told of, call [`hear`](Self::hear) and
/// then look at the link: in this order, so that no ring is taken for an older one.
///
/// Threads that sleep in `Signal::wait` are woken as before.
pub struct Doorbell {
    link: Arc<Link>,
    socket: Arc<OwnedFd>,
    /// Sleeps announced and bytes read when the peer last rang.
    epoch: u32,
    head: Option<u64>,
    /// Rings without a reason since then.
    empty: u32,
    since: Option<Instant>,
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").field("empty", &self.empty).finish_non_exhaustive()
    }
}

impl AsFd for Doorbell {
    /// The control socket: readable when the peer rang or hung up.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Doorbell {
    pub(crate) fn new(link: Arc<Link>, socket: Arc<OwnedFd>) -> Self {
        Self { link, socket, epoch: 0, head: None, empty: 0, since: None }
    }

    /// Lets this side sleep on the socket from the next announcement on. `told` hears of each
    /// kick, from any thread; it must not block nor use the link. Only the first call counts.
    ///
    /// # Errors
    ///
    /// The system's, with nothing changed.
    pub fn attach(&self, told: impl Fn() + Send + Sync + 'static) -> io::Result<()> {
        self.link.sleep_on_socket(Box::new(told))
    }

    /// Takes the rings out of the socket. A hang-up, too many rings without a reason and anything
    /// that is no ring end the link; the receiver says so.
    pub fn hear(&mut self) {
        if self.link.is_over() {
            return;
        }
        let (head, epoch) = (self.link.own().told_head(), self.link.own().told_epoch());
        // A ring is due for each sleep, if the ring before it was answered by reading something.
        let due = match self.head {
            Some(before) if before == head => 0,
            _ => epochs_between(self.epoch, epoch),
        };
        let mut heard = 0;
        let more_than_enough = due.saturating_add(MAX_EMPTY);
        while heard <= more_than_enough {
            match self.link.take_rings() {
                0 => break,
                rings => heard = heard.saturating_add(u32::try_from(rings).unwrap_or(u32::MAX)),
            }
        }
        match self.link.look_at_socket() {
            // A descriptor waits for its record: the reader's.
            Pending::Nothing | Pending::Ticket => {}
            Pending::Garbage => {
                self.link.fault(PeerFault::new("control socket", "unexpected bytes"));
                return;
            }
            Pending::End => {
                self.link.hung_up();
                return;
            }
        }
        if heard == 0 {
            // The rings were taken by somebody else, or what is there is urgent.
            let urgent = RecvFlags::OOB | RecvFlags::PEEK | RecvFlags::DONTWAIT;
            if let Ok((1.., _)) = rustix::net::recv(self.as_fd(), &mut [0_u8; 1], urgent) {
                self.link.fault(PeerFault::new("control socket", "urgent bytes"));
            }
            return;
        }
        (self.head, self.epoch) = (Some(head), epoch);
        self.judge(heard.saturating_sub(due));
    }

    /// Counts rings without a reason.
    fn judge(&mut self, empty: u32) {
        if empty == 0 {
            return;
        }
        let now = Instant::now();
        if self.since.is_none_or(|since| now.duration_since(since) > WINDOW) {
            self.since = Some(now);
            self.empty = 0;
        }
        self.empty = self.empty.saturating_add(empty);
        if self.empty > MAX_EMPTY {
            let what = format_args!("more than {MAX_EMPTY} doorbells a second without data");
            self.link.fault(PeerFault::new("control socket", what));
        }
    }
}
