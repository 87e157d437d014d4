//! The second way to sleep and to wake: a byte on the control socket.
//!
//! A thread that sleeps for many connections at once cannot sleep on their bells. It announces
//! itself in the park word as asleep on the socket, and whoever has something for it adds one byte
//! to the wake. Bytes stay until they are read, so there is nothing to compare before the sleep:
//! the fences of P3 are all it takes (`docs/WIRE-FORMAT.md` section 2.4).

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::RecvFlags;
use tramline_core::PeerFault;

use crate::control::{self, ControlSocket, Loaded, Pending};
use crate::counters::Counter;
use crate::link::Link;
use crate::ring::memory::{OwnMap, OwnWords};
use crate::ring::{Side, epochs_between, wants_doorbell};
use crate::sync::Ordering;

/// Rings a peer may waste in [`WINDOW`]. A choice (RING limits): an honest peer rings once for each
/// sleep that was announced, and has something to say.
const MAX_EMPTY: u32 = 1000;
const WINDOW: Duration = Duration::from_secs(1);
/// Rings that may come while nothing is read. A choice: an honest peer's are two at most.
const MAX_IDLE: u32 = 4;
/// Rings taken before they are judged. A choice: more than a socket holds.
const AT_MOST_AT_ONCE: u32 = 4 * MAX_EMPTY;

/// The words of our own segment, with the socket for a peer that sleeps there.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    own: OwnMap,
    /// None where the peers met by name, and nobody sleeps on a socket.
    socket: Option<Arc<ControlSocket>>,
}

impl Words {
    pub(crate) fn new(own: OwnMap, socket: Option<Arc<ControlSocket>>) -> Self {
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
    socket: Arc<ControlSocket>,
    link: Arc<Link>,
    /// Sleeps announced and bytes read when it was last heard.
    epoch: u32,
    head: Option<u64>,
    /// Sleeps that no ring has answered.
    due: u32,
    /// Rings since something was read.
    idle: u32,
    /// Rings without a reason.
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
    pub(crate) fn new(link: Arc<Link>, socket: Arc<ControlSocket>) -> Self {
        Self { socket, link, epoch: 0, head: None, due: 0, idle: 0, empty: 0, since: None }
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
        let head = self.link.own().told_head();
        let mut heard = 0_u32;
        while heard <= AT_MOST_AT_ONCE {
            match self.link.take_rings() {
                Ok(0) => break,
                Err(Loaded) => {
                    self.link
                        .fault(PeerFault::new("control socket", "a doorbell with descriptors"));
                    return;
                }
                Ok(rings) => heard = heard.saturating_add(u32::try_from(rings).unwrap_or(u32::MAX)),
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
                return;
            }
        }
        // Read behind the rings: each of them answers a sleep that was announced before it was sent.
        let epoch = self.link.own().told_epoch();
        self.due = self.due.saturating_add(epochs_between(self.epoch, epoch));
        let beyond = heard.saturating_sub(self.due);
        self.due = self.due.saturating_sub(heard);
        // The ring of a record that another thread has read may be late, and that of the next one
        // early: a few may come while nothing is read between them.
        self.idle =
            if self.head == Some(head) { self.idle.saturating_add(heard.max(1)) } else { 0 };
        let idle = if self.idle > MAX_IDLE { heard.max(1) } else { 0 };
        (self.head, self.epoch) = (Some(head), epoch);
        self.judge(beyond.max(idle));
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
