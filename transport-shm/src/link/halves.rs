//! What different threads use of a link: the sender, the receiver, the signal.

use std::any::Any;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::io::Errno;
use tramline_core::transport::{Receiver, Sender, Signal, Ticket, WaitFor, WaitMode};
use tramline_core::{Frame, LinkError, Pages, PeerFault, SendError};

use super::{Link, ShmConsumer, ShmProducer};
use crate::control;
use crate::ring::Side;
use crate::ring::consumer::Polled;
use crate::ring::record::Kind;
use crate::segment::Sealed;
use crate::sync::Ordering;
use crate::wake::budget::Budget;
use crate::wake::futex::{self, Watch};

/// How long to look for room before sleeping. A choice: a peer that reads has made room for a frame
/// by then, and waking costs as much.
const ROOM_SPIN: Duration = Duration::from_micros(20);

pub(crate) struct ShmSender {
    /// There is a CPU for each side.
    pub(super) may_spin: bool,
    pub(super) spins: bool,
    pub(super) producer: ShmProducer,
    pub(super) link: Arc<Link>,
    pub(super) max_message_len: usize,
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
        match control::send(socket.as_fd(), ticket, sealed.file()) {
            Ok(()) => {}
            Err(Errno::PIPE | Errno::CONNRESET) => {
                self.link.hung_up();
                self.check()?;
                return Err(SendError::Link(LinkError::PeerDied));
            }
            // Too many descriptors on their way, a socket full of doorbells, no memory: nothing has
            // gone, so the bytes can.
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
    pub(super) consumer: ShmConsumer,
    pub(super) link: Arc<Link>,
    /// The body of the last message, if it was handed over and not taken from the frame.
    pub(super) tail: Bytes,
    pub(super) budget: Budget,
    /// When the current sleep was announced.
    pub(super) parked: Option<Instant>,
}

/// How often the next header is looked at between two looks at the clock. Measured: a clock read
/// costs as much as several polls; 64-byte round trips, 8 against 64 looks: 170 against 160 ns.
const POLLS_PER_CLOCK: u32 = 32;

/// How often to look before the first look at the clock.
const POLLS_BEFORE_CLOCK: u32 = 64;

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
        // A look at the clock may be what the next message waits for.
        for _ in 0..POLLS_BEFORE_CLOCK {
            std::hint::spin_loop();
            if self.consumer.has_news() {
                self.budget.found_in_time();
                return true;
            }
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
        if self.link.sleeps_on_socket() {
            self.consumer.sleep_on_socket();
        }
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
    pub(super) link: Arc<Link>,
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
