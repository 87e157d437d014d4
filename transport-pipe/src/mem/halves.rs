//! The halves and the signal of a connection within this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use crossbeam_utils::sync::Parker;
use tramline_core::transport::{Receiver, Sender, Signal, Ticket, WaitFor};
use tramline_core::{Frame, LinkError, PeerFault, SendError};

use super::{Owner, Sleeper, lock};

/// A message up to this size is copied out of the claim; above it the claim's buffer goes along.
/// A choice: the size up to which a receiver copies, too.
const COPY_UP_TO: usize = 4096;

/// How long to look before sleeping. A choice: about what sleeping and waking cost together.
const SPIN_FOR: Duration = Duration::from_micros(20);
/// After this long, spinning offers the CPU to others. A choice: a round trip between two CPUs is
/// over by then.
const YIELD_AFTER: Duration = Duration::from_micros(2);

pub(super) fn sender(owner: &Arc<Owner>, max_message_len: usize) -> Box<dyn Sender> {
    Box::new(MemSender {
        owner: Arc::clone(owner),
        slot: BytesMut::new(),
        claimed: 0,
        wanted: 0,
        unannounced: false,
        max_message_len,
    })
}

pub(super) fn receiver(owner: &Arc<Owner>, max_message_len: usize) -> Box<dyn Receiver> {
    Box::new(MemReceiver {
        owner: Arc::clone(owner),
        frame: BytesMut::new(),
        spins: thread::available_parallelism().is_ok_and(|cores| cores.get() > 1),
        fault: None,
        max_message_len,
    })
}

pub(super) fn signal(owner: &Arc<Owner>) -> Box<dyn Signal> {
    Box::new(MemSignal { owner: Arc::clone(owner) })
}

#[derive(Debug)]
struct MemSender {
    owner: Arc<Owner>,
    /// The claim; all of it is initialised.
    slot: BytesMut,
    claimed: usize,
    /// Bytes for which there was no room last.
    wanted: usize,
    /// Something was pushed since the last flush.
    unannounced: bool,
    max_message_len: usize,
}

impl MemSender {
    fn over(&self) -> Result<(), LinkError> {
        if self.owner.local().closed.load(Ordering::SeqCst) {
            Err(LinkError::Closed)
        } else if self.owner.is_over() {
            Err(LinkError::PeerDied)
        } else {
            Ok(())
        }
    }

    fn push(&mut self, message: BytesMut) {
        let way = self.owner.outgoing();
        way.len.fetch_add(message.len(), Ordering::SeqCst);
        // There is room: it was seen before, and this is the only sender.
        let pushed = way.into.try_send(message);
        debug_assert!(pushed.is_ok(), "the only sender found a full channel");
        self.unannounced = true;
    }

    fn announce(&mut self) {
        let way = self.owner.outgoing();
        if std::mem::take(&mut self.unannounced) && way.wants_data.swap(false, Ordering::SeqCst) {
            way.data_bell.fetch_add(1, Ordering::SeqCst);
            self.owner.peer().wake(|sleeper| sleeper.data);
        }
    }
}

impl Sender for MemSender {
    fn claim(&mut self, min_len: usize) -> Result<&mut [u8], SendError> {
        self.claimed = 0;
        self.over()?;
        let least = min_len.min(crate::MAX_CLAIM_LEN);
        if !self.owner.outgoing().has_room(least) {
            self.wanted = least;
            return Err(SendError::Full);
        }
        let len = crate::claim_len(min_len, self.max_message_len);
        if self.slot.len() < len {
            self.slot = BytesMut::zeroed(len);
        }
        self.claimed = len;
        Ok(&mut self.slot[..len])
    }

    fn commit(&mut self, len: usize) {
        assert!(len <= self.claimed, "commit of {len} bytes, claimed are {}", self.claimed);
        self.claimed = 0;
        let message = if len <= COPY_UP_TO {
            BytesMut::from(&self.slot[..len])
        } else {
            let mut message = std::mem::take(&mut self.slot);
            message.truncate(len);
            message
        };
        self.push(message);
    }

    fn send_part(&mut self, message: &[u8], sent: &mut usize) -> Result<(), SendError> {
        self.claimed = 0;
        let (len, max) = (message.len(), self.max_message_len);
        if len > max {
            return Err(SendError::TooLarge { len, max });
        }
        self.over()?;
        if !self.owner.outgoing().has_room(len) {
            self.wanted = len;
            return Err(SendError::Full);
        }
        self.push(BytesMut::from(message));
        *sent = len;
        self.announce();
        Ok(())
    }

    fn fits(&mut self, len: usize) -> bool {
        len <= self.max_message_len && self.owner.outgoing().has_room(len)
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        self.announce();
        self.over()
    }

    fn arm(&mut self) -> Option<Ticket> {
        // What was pushed must not wait for room that only its reader can make.
        self.announce();
        let way = self.owner.outgoing();
        let ticket = Ticket(way.room_bell.load(Ordering::SeqCst));
        way.wants_room.store(true, Ordering::SeqCst);
        (!way.has_room(self.wanted) && !self.owner.is_over()).then_some(ticket)
    }

    fn disarm(&mut self) {}
}

#[derive(Debug)]
struct MemReceiver {
    owner: Arc<Owner>,
    frame: BytesMut,
    spins: bool,
    fault: Option<PeerFault>,
    max_message_len: usize,
}

impl MemReceiver {
    fn has_news(&self) -> bool {
        !self.owner.incoming().out.is_empty() || self.owner.is_over() || self.fault.is_some()
    }
}

impl Receiver for MemReceiver {
    fn poll(&mut self) -> Result<Option<Frame<'_>>, LinkError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone().into());
        }
        // Looked at before the channel: what was sent before the end is in it by then.
        let closed = self.owner.local().closed.load(Ordering::SeqCst);
        let over = self.owner.is_over();
        let way = self.owner.incoming();
        let Ok(message) = way.out.try_recv() else {
            return match (closed, over) {
                (true, _) => Err(LinkError::Closed),
                (false, true) => Err(LinkError::PeerDied),
                (false, false) => Ok(None),
            };
        };
        way.len.fetch_sub(message.len(), Ordering::SeqCst);
        if way.wants_room.swap(false, Ordering::SeqCst) {
            way.room_bell.fetch_add(1, Ordering::SeqCst);
            self.owner.peer().wake(|sleeper| sleeper.room);
        }
        let (found, max) = (message.len(), self.max_message_len);
        if found > max {
            let what = format!("frame is {found} bytes, the limit is {max}");
            let fault = self.fault.insert(PeerFault::new("frame length", what));
            return Err(fault.clone().into());
        }
        self.frame = message;
        Ok(Some(Frame::new(&mut self.frame)))
    }

    fn spin(&mut self) -> bool {
        if self.has_news() {
            return true;
        }
        if self.spins {
            let started = Instant::now();
            while started.elapsed() < SPIN_FOR {
                for _ in 0..16 {
                    std::hint::spin_loop();
                }
                if started.elapsed() > YIELD_AFTER {
                    // The other side may be waiting for this very CPU.
                    std::thread::yield_now();
                }
                if self.has_news() {
                    return true;
                }
            }
        }
        false
    }

    fn arm(&mut self) -> Option<Ticket> {
        let way = self.owner.incoming();
        let ticket = Ticket(way.data_bell.load(Ordering::SeqCst));
        way.wants_data.store(true, Ordering::SeqCst);
        (!self.has_news()).then_some(ticket)
    }

    // Another thread may sleep with a ticket from before. A wish too many costs the sender one
    // look at an empty list.
    fn disarm(&mut self) {}
}

#[derive(Debug)]
struct MemSignal {
    owner: Arc<Owner>,
}

impl Signal for MemSignal {
    fn kicks(&self) -> u32 {
        self.owner.local().kicks.load(Ordering::SeqCst)
    }

    fn kick(&self) {
        let local = self.owner.local();
        local.kicks.fetch_add(1, Ordering::SeqCst);
        local.wake(|_| true);
    }

    fn wait(&self, wait: WaitFor) {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        thread_local! {
            static PARKER: (Parker, u64) =
                (Parker::new(), NEXT_ID.fetch_add(1, Ordering::Relaxed));
        }
        PARKER.with(|(parker, id)| {
            let local = self.owner.local();
            lock(&local.sleepers).push(Sleeper {
                unparker: parker.unparker().clone(),
                id: *id,
                data: wait.data.is_some(),
                room: wait.room.is_some(),
            });
            // Looked at after entering the list: whoever changes one of these from now on finds
            // the entry. An unpark left over from an earlier wait is an early return.
            let is_old = |ticket: Option<Ticket>, now: u32| ticket.is_some_and(|t| t.0 != now);
            // Whoever waits for a kick only is kicked by the end, too.
            let is_due = (self.owner.is_over() && (wait.data.is_some() || wait.room.is_some()))
                || self.kicks() != wait.kicks
                || is_old(wait.data, self.owner.incoming().data_bell.load(Ordering::SeqCst))
                || is_old(wait.room, self.owner.outgoing().room_bell.load(Ordering::SeqCst));
            if !is_due {
                match wait.timeout {
                    Some(timeout) => parker.park_timeout(timeout),
                    None => parker.park(),
                }
            }
            lock(&local.sleepers).retain(|sleeper| sleeper.id != *id);
        });
    }

    fn close(&self) {
        self.owner.close();
    }
}
