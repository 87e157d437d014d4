//! Both sides in one process, over channels.
//!
//! For tests, and for programs that are sometimes one process and sometimes two. Frames are handed
//! over as buffers; nothing is copied except small messages.

mod halves;
mod registry;

use bytes::BytesMut;
use crossbeam_channel::{Receiver, Sender, bounded};
use crossbeam_utils::sync::Unparker;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tramline_core::{Halves, Limits, PeerIdentity, Transport};

pub use self::registry::{MemListener, connect};

/// Messages in flight per direction. A choice: more than the calls a connection may have in flight
/// would not help it.
const MAX_MESSAGES: usize = 1024;

/// Bytes in flight per direction, unless one message alone is larger. A choice: four times the
/// default ring, for memory here is not set aside in advance.
const MAX_BYTES: usize = 4 << 20;

/// Locks `mutex`. A panic elsewhere leaves nothing half done under the locks of this module.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One side of a connection within this process.
#[derive(Debug)]
pub struct MemTransport {
    owner: Arc<Owner>,
    max_message_len: usize,
}

/// Two connected sides.
///
/// Both use the same limits, of which only
/// [`max_message_len`](Limits::max_message_len) matters here.
#[must_use]
pub fn pair(limits: &Limits) -> (MemTransport, MemTransport) {
    let wire =
        Arc::new(Wire { ways: [Way::new(), Way::new()], ends: [End::default(), End::default()] });
    let side = |at| MemTransport {
        owner: Arc::new(Owner { wire: Arc::clone(&wire), at }),
        max_message_len: limits.max_message_len,
    };
    (side(0), side(1))
}

impl Transport for MemTransport {
    fn into_halves(self: Box<Self>) -> Halves {
        #[cfg(unix)]
        let (uid, gid) = {
            use rustix::process::{getegid, geteuid};
            (Some(geteuid().as_raw()), Some(getegid().as_raw()))
        };
        #[cfg(not(unix))]
        let (uid, gid) = (None, None);
        Halves {
            transport: "mem",
            peer: PeerIdentity::new(uid, Some(std::process::id())).with_gid(gid),
            sender: halves::sender(&self.owner, self.max_message_len),
            receiver: halves::receiver(&self.owner, self.max_message_len),
            signal: halves::signal(&self.owner),
        }
    }
}

/// What both sides share.
#[derive(Debug)]
struct Wire {
    /// `ways[n]` carries what side `n` sends.
    ways: [Way; 2],
    ends: [End; 2],
}

/// One direction. Every access is SeqCst: each pair below is "write mine, then look at yours" on
/// both sides, and one of the two must see the other.
#[derive(Debug)]
struct Way {
    into: Sender<BytesMut>,
    out: Receiver<BytesMut>,
    /// Bytes in the channel.
    len: AtomicUsize,
    /// Wakes given to the receiver so far: its tickets, read before it says that it wants data. A
    /// count of messages would not do: a sender that is late with its look at `wants_data` takes
    /// back a wish that is younger than its message.
    data_bell: AtomicU32,
    /// Wakes given to the sender so far: its tickets, read before it says that it wants room.
    room_bell: AtomicU32,
    /// The receiver is about to sleep.
    wants_data: AtomicBool,
    /// The sender is about to sleep.
    wants_room: AtomicBool,
}

impl Way {
    fn new() -> Self {
        let (into, out) = bounded(MAX_MESSAGES);
        Self {
            into,
            out,
            len: AtomicUsize::new(0),
            data_bell: AtomicU32::new(0),
            room_bell: AtomicU32::new(0),
            wants_data: AtomicBool::new(false),
            wants_room: AtomicBool::new(false),
        }
    }

    /// True if a message of `len` bytes may go in. One always may when nothing is on the way.
    fn has_room(&self, len: usize) -> bool {
        let taken = self.len.load(Ordering::SeqCst);
        !self.into.is_full() && (taken == 0 || taken.saturating_add(len) <= MAX_BYTES)
    }
}

/// The threads of one side.
#[derive(Debug, Default)]
struct End {
    kicks: AtomicU32,
    /// This side has closed the link.
    closed: AtomicBool,
    sleepers: Mutex<Vec<Sleeper>>,
}

#[derive(Debug)]
struct Sleeper {
    unparker: Unparker,
    id: u64,
    data: bool,
    room: bool,
}

impl End {
    /// Wakes the threads that were `chosen`.
    fn wake(&self, chosen: impl Fn(&Sleeper) -> bool) {
        for sleeper in lock(&self.sleepers).iter().filter(|sleeper| chosen(sleeper)) {
            sleeper.unparker.unpark();
        }
    }
}

/// One side; closes the link when its last half is dropped.
#[derive(Debug)]
struct Owner {
    wire: Arc<Wire>,
    at: usize,
}

impl Owner {
    fn local(&self) -> &End {
        &self.wire.ends[self.at]
    }

    fn peer(&self) -> &End {
        &self.wire.ends[1 - self.at]
    }

    fn outgoing(&self) -> &Way {
        &self.wire.ways[self.at]
    }

    fn incoming(&self) -> &Way {
        &self.wire.ways[1 - self.at]
    }

    fn is_over(&self) -> bool {
        self.local().closed.load(Ordering::SeqCst) || self.peer().closed.load(Ordering::SeqCst)
    }

    fn close(&self) {
        if !self.local().closed.swap(true, Ordering::SeqCst) {
            self.local().wake(|_| true);
            self.peer().wake(|_| true);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close();
    }
}
