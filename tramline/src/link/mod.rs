//! One open connection: its two halves, the calls that wait, the messages that queue.
//!
//! Whoever holds the receiver *leads*: reads the ring and hands messages out. A thread that waits
//! for its own reply leads by itself (`lead.rs`), so a lone call makes no hop. Everything that is
//! not a reply belongs to the *runner* (`runner.rs`), one thread per connection, or one that serves
//! many (`crate::shared`): always there on a server, started on a client by the first listener or
//! awaited call.
//!
//! Rules that keep it alive:
//!
//! - The receiver is only ever *tried*, and whoever holds it only tries the sender. So no two
//!   threads wait for each other's half.
//! - Whoever stops leading passes the duty on (`Lead`'s drop, `Link::pass_on`) or sleeps at the
//!   transport with the peer told to ring.
//! - Whoever waits for room reads meanwhile, so two full sides do not wait for each other.
//! - No lock is held while a listener or a handler runs.

mod batch;
mod brought;
mod calls;
mod inbox;
mod lead;
mod room;
mod runner;
mod running;
mod send;
mod stand_in;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use tramline_core::channel::{Channels, Incoming};
use tramline_core::codec::AnyCodec;
use tramline_core::envelope::{Head, Kind};
use tramline_core::error::codes;
use tramline_core::events::{EventTarget, Subscriptions};
use tramline_core::session::{Agreement, Goodbye};
use tramline_core::transport::{Receiver, Sender, Signal};
use tramline_core::{Frame, Halves, Limits, LinkError, PeerFault, SendError};

use crate::layer::Leaving;

pub(crate) use self::brought::Brought;
use self::calls::Calls;
pub(crate) use self::calls::Ended;
use self::inbox::Inbox;
pub(crate) use self::lead::{Outgoing, deadline_passed};
use self::room::Room;
pub(crate) use self::runner::{IfQuiet, Runner, Service, Step};
pub(crate) use self::running::Tokens;
use crate::shadow::{LinkShadow, Shadow};
use crate::time::Time;

/// The runner is at work, or about to look for work.
const AWAKE: u8 = 0;
/// The runner sleeps and will be woken by the peer.
const ASLEEP_ON_DATA: u8 = 1;
/// The runner sleeps while another thread leads; only a kick wakes it.
const ASLEEP_ON_KICK: u8 = 2;
/// There is no runner.
const ABSENT: u8 = 3;

/// Up to here a message is written aside and then copied into its claim at once: while the peer waits
/// for a message it looks at the line in which it begins, and each look takes that line from whoever
/// is writing it piece by piece. Measured, calls with 64 bytes: 10 to 25 ns less of 440 to 580.
const SHORT_LEN: usize = 512;

/// Messages read in one go by a thread that has something else to do. A choice: keeps its own
/// deadline within microseconds of the mark.
const DRAIN_AT_ONCE: usize = 64;
/// How long an ordinary close may wait to say goodbye to a peer that does not read.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(250);

/// How long a sender that met the end of the link waits for the thread that reads to say why it
/// ended. A choice: that thread is at work, or in a decoder of the user's.
const LAST_WORD_TIMEOUT: Duration = Duration::from_secs(1);

/// What happened on one connection, for people.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Answers to calls nobody waits for any more.
    pub(crate) late_replies: AtomicU64,
    /// Cancels received for calls; the calls run on.
    pub(crate) cancels: AtomicU64,
    /// Events the peer may not emit, and messages of channels that are over or never were.
    pub(crate) ignored: AtomicU64,
}

type SenderGuard<'a> = MutexGuard<'a, SendHalf>;

struct SendHalf {
    half: Box<dyn Sender>,
    /// Where a short message is written before it is copied into its claim.
    short: Box<[u8; SHORT_LEN]>,
    /// Memory of the last message that did not fit into its claim.
    spill: Vec<u8>,
    /// The last number of a call whose thread waits; the lock makes it a plain count.
    last_id: u64,
}

impl SendHalf {
    /// An odd number that no other call of this connection has. Calls that are awaited have even
    /// ones.
    fn next_id(&mut self) -> u64 {
        self.last_id += 2;
        self.last_id
    }
}

pub(crate) struct Link {
    me: Weak<Link>,
    codec: AnyCodec,
    max_send_len: usize,
    limits: Limits,
    /// By which deadlines, quotas and waits for room go.
    time: Time,
    sender: Mutex<SendHalf>,
    /// The thread that has the sender waits for room.
    waiting_for_room: AtomicBool,
    /// The last message was given up after its first part: nothing may follow it.
    half_sent: AtomicBool,
    receiver: Mutex<Box<dyn Receiver>>,
    signal: Box<dyn Signal>,
    calls: Calls,
    /// The next number of a call that is awaited, even.
    next_task_id: AtomicU64,
    /// Messages for the runner that another thread read, in order.
    inbox: Inbox,
    runner: AtomicU8,
    runner_thread: OnceLock<ThreadId>,
    /// The runner serves other connections, too: it must not wait for room.
    shares_thread: AtomicBool,
    /// Counted up when the runner begins and when it ends to handle a message: odd in the middle.
    runner_turns: AtomicU64,
    standing_in: AtomicBool,
    /// Threads that lead and sleep at the transport.
    sleeping_leaders: AtomicUsize,
    /// Threads that could not lead and want to be kicked when they might.
    kick_waiters: AtomicUsize,
    calls_in_flight: AtomicUsize,
    bytes_in_flight: AtomicUsize,
    tokens: Tokens,
    channels: Channels,
    /// As what this side listens where it says nothing.
    own: EventTarget,
    pub(crate) leaving: Leaving,
    peer_listens: Subscriptions,
    said_goodbye: AtomicBool,
    /// This side is ending the link: nobody else sends any more.
    closing: AtomicBool,
    over: OnceLock<LinkError>,
    shadow: Option<LinkShadow>,
    pub(crate) counts: Counts,
}

impl Link {
    /// A link between `own`, this side, and `theirs`.
    pub(crate) fn new(
        halves: Halves,
        agreement: Agreement,
        limits: Limits,
        own: EventTarget,
        theirs: EventTarget,
        shadow: Option<&Arc<Shadow>>,
        time: Time,
    ) -> Arc<Self> {
        let peer_listens = Subscriptions::new(theirs);
        for one in &agreement.listens {
            // What is too many was said too early to be refused by itself.
            let _ = peer_listens.add(one.event(), one.target().cloned());
        }
        let shadow = shadow.map(|shadow| LinkShadow::new(shadow, agreement.codec));
        let link = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            codec: agreement.codec,
            max_send_len: agreement.max_send_len,
            limits,
            time,
            sender: Mutex::new(SendHalf {
                half: halves.sender,
                short: Box::new([0; SHORT_LEN]),
                spill: Vec::new(),
                last_id: 1,
            }),
            waiting_for_room: AtomicBool::new(false),
            half_sent: AtomicBool::new(false),
            receiver: Mutex::new(halves.receiver),
            signal: halves.signal,
            calls: Calls::default(),
            next_task_id: AtomicU64::new(2),
            inbox: Inbox::default(),
            runner: AtomicU8::new(ABSENT),
            runner_thread: OnceLock::new(),
            shares_thread: AtomicBool::new(false),
            runner_turns: AtomicU64::new(0),
            standing_in: AtomicBool::new(false),
            sleeping_leaders: AtomicUsize::new(0),
            kick_waiters: AtomicUsize::new(0),
            calls_in_flight: AtomicUsize::new(0),
            bytes_in_flight: AtomicUsize::new(0),
            tokens: Tokens::default(),
            channels: Channels::new(agreement.codec, &limits),
            own,
            leaving: Leaving::default(),
            peer_listens,
            said_goodbye: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            over: OnceLock::new(),
            shadow,
            counts: Counts::default(),
        });
        link.time.wakes(&link);
        link
    }

    /// The longest message the peer takes, in bytes.
    #[cfg(feature = "test-kit")]
    pub(crate) fn max_send_len(&self) -> usize {
        self.max_send_len
    }

    pub(crate) fn time(&self) -> &Time {
        &self.time
    }

    /// Everybody who waits for a time looks at the clock.
    #[cfg(feature = "test-kit")]
    pub(crate) fn time_has_moved(&self) {
        self.signal.kick();
        self.calls.wake_all_threads();
    }

    pub(crate) fn codec(&self) -> AnyCodec {
        self.codec
    }

    /// As what this side listens where it says nothing.
    pub(crate) fn own(&self) -> &EventTarget {
        &self.own
    }

    /// Who looks at the messages of this link, if anybody does.
    #[inline]
    pub(crate) fn shadow(&self) -> Option<&LinkShadow> {
        self.shadow.as_ref()
    }

    /// The runner will serve other connections, too.
    pub(crate) fn share_thread(&self) {
        self.shares_thread.store(true, Ordering::Relaxed);
    }

    /// Why the link is over, if it is.
    pub(crate) fn over(&self) -> Option<&LinkError> {
        self.over.get()
    }

    fn check(&self) -> Result<(), LinkError> {
        match self.over() {
            Some(error) => Err(error.clone()),
            None if self.closing.load(Ordering::Relaxed) => Err(LinkError::Closed),
            None => Ok(()),
        }
    }

    /// An even number that no other call of this connection has.
    fn next_task_id(&self) -> u64 {
        // Relaxed: only uniqueness matters.
        self.next_task_id.fetch_add(2, Ordering::Relaxed)
    }

    /// The receiver, unless another thread has it.
    fn try_lead(&self) -> Option<Lead<'_>> {
        try_lock(&self.receiver).map(|receiver| Lead { link: self, receiver: Some(receiver) })
    }

    fn lock_sender(&self) -> SenderGuard<'_> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sender, unless the thread that has it waits for room.
    fn try_sender(&self) -> Option<SenderGuard<'_>> {
        loop {
            if let Some(sender) = try_lock(&self.sender) {
                return Some(sender);
            }
            if self.waiting_for_room.load(Ordering::Relaxed) || self.over().is_some() {
                return None;
            }
            std::thread::yield_now();
        }
    }

    /// Ends the link on this side. The first reason stays.
    pub(crate) fn end(&self, error: LinkError) -> LinkError {
        let error = match error {
            LinkError::PeerDied if self.said_goodbye.load(Ordering::Relaxed) => LinkError::Closed,
            other => other,
        };
        let error = self.over.get_or_init(|| error).clone();
        self.signal.close();
        self.calls.end_all(&error);
        self.signal.kick();
        self.inbox.link_is_over();
        self.tokens.cancel_all();
        self.channels.end_all(&error);
        error
    }

    /// Says goodbye if the peer takes it, then ends the link.
    pub(crate) fn close(&self, reason: LinkError) {
        if self.begin_to_close(&reason) {
            self.finish_closing(reason, GOODBYE_TIMEOUT);
        }
    }

    /// Closes all of them in hardly more time than one: every peer that takes its goodbye at once
    /// is told before anyone is waited for, and all others have the same deadline.
    pub(crate) fn close_all(links: &[Arc<Self>], reason: &LinkError) {
        let unfinished: Vec<_> = links.iter().filter(|link| link.begin_to_close(reason)).collect();
        let until = Instant::now() + GOODBYE_TIMEOUT;
        for link in unfinished {
            // Without time left a goodbye goes if there is room by now.
            let left = until.saturating_duration_since(Instant::now());
            link.finish_closing(reason.clone(), left);
        }
    }

    /// From here on nobody else sends. Ends the link if its goodbye needs no waiting; true if
    /// whoever called has to wait and finish.
    #[must_use]
    fn begin_to_close(&self, reason: &LinkError) -> bool {
        if self.over().is_some() || self.closing.swap(true, Ordering::SeqCst) {
            return false;
        }
        // Senders that wait for room let go of the sender now.
        self.signal.kick();
        let full = match try_lock(&self.sender) {
            Some(mut sender) => {
                matches!(self.say_goodbye(&mut sender, codes::CLOSED), Err(SendError::Full))
            }
            None => true,
        };
        if !full {
            self.end(reason.clone());
        }
        full
    }

    fn finish_closing(&self, reason: LinkError, timeout: Duration) {
        let mut sender = self.lock_sender();
        let mut room = Room::until(timeout);
        while self.over().is_none()
            && let Err(SendError::Full) = self.say_goodbye(&mut sender, codes::CLOSED)
            && self.wait_for_room(&mut *sender.half, &mut room, None).is_ok()
        {}
        drop(sender);
        self.end(reason);
    }

    /// Says goodbye if there is room for it. Nothing follows half a message, so nothing is then
    /// what there is to say.
    fn say_goodbye(&self, sender: &mut SendHalf, code: &str) -> Result<(), SendError> {
        if self.half_sent.load(Ordering::Relaxed) {
            return Ok(());
        }
        let goodbye = Goodbye::new(code, "").to_frame();
        let slot = sender.half.claim(goodbye.len())?;
        put_whole(slot, &goodbye);
        sender.half.commit(goodbye.len());
        let _ = sender.half.flush();
        Ok(())
    }

    /// Ends the link because the peer broke a rule; tells it so if that needs no waiting.
    fn fault(&self, fault: PeerFault) -> LinkError {
        self.end_at_once(fault.into())
    }

    /// Ends the link; says goodbye if that needs no waiting.
    fn end_at_once(&self, reason: LinkError) -> LinkError {
        if let Some(mut sender) = try_lock(&self.sender) {
            let _ = self.say_goodbye(&mut sender, reason.code());
        }
        self.end(reason)
    }

    /// Reads a few messages and hands them out, unless `limit` bytes wait for the runner; how many.
    fn drain(&self, receiver: Held<'_>, limit: usize) -> Result<usize, LinkError> {
        for count in 0..DRAIN_AT_ONCE {
            if self.inbox.cost() >= limit {
                return Ok(count);
            }
            match receiver.poll()? {
                Some(frame) => self.hand_out(frame)?,
                None => return Ok(count),
            }
        }
        Ok(DRAIN_AT_ONCE)
    }

    /// Hands out a message that another thread than the runner has read: replies and messages of
    /// channels to those who wait, everything else to the runner.
    fn hand_out(&self, frame: Frame<'_>) -> Result<(), LinkError> {
        let message = frame.envelope().map_err(|e| self.fault(e))?;
        let Head { kind, id, .. } = message.head;
        match kind {
            Kind::Response | Kind::Error => {
                if !self.calls.answer(id, || frame.keep()) {
                    self.counts.late_replies.fetch_add(1, Ordering::Relaxed);
                } else if self.sleeping_leaders.load(Ordering::Relaxed) != 0 {
                    // The caller may sleep at the transport, where `answer` does not reach it. It
                    // counted itself before it looked into the table, and the table's lock orders
                    // the two.
                    self.signal.kick();
                }
            }
            Kind::Goodbye => self.said_goodbye.store(true, Ordering::Relaxed),
            _ if Incoming::is(kind) && self.channels.knows(id) => {
                let incoming = Incoming::read(&message);
                let received = incoming.and_then(|it| self.channels.receive(it, || frame.keep()));
                if !received.map_err(|e| self.fault(e))? {
                    self.counts.ignored.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ => self.put_into_inbox(frame.keep()),
        }
        Ok(())
    }

    /// Called by a thread that will not lead any more: somebody else may have counted on it.
    fn pass_on(&self) {
        // PAIRS WITH `Calls::add_thread` and the fence in `Link::sleep`: whoever went to sleep
        // because of us is seen below.
        fence(Ordering::SeqCst);
        if self.sleeping_leaders.load(Ordering::SeqCst) == 0 {
            self.calls.wake_one_thread();
        }
        if self.runner.load(Ordering::Relaxed) == ASLEEP_ON_KICK
            || self.kick_waiters.load(Ordering::Relaxed) != 0
        {
            self.signal.kick();
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("codec", &self.codec).field("over", &self.over).finish()
    }
}

/// The receiver, lent by whoever leads.
type Held<'a> = &'a mut (dyn Receiver + 'static);

/// The receiver, held. Dropping it passes the duty to read on.
struct Lead<'a> {
    link: &'a Link,
    receiver: Option<MutexGuard<'a, Box<dyn Receiver>>>,
}

impl Lead<'_> {
    /// Gives the receiver back to a sleep at the transport: the peer has been told to ring.
    fn release(mut self) {
        self.receiver = None;
    }

    /// Gives the receiver back for the runner, which will look at the link again by itself.
    fn step_aside(mut self) {
        let link = self.link;
        // Polling takes the bell away from those who sleep at the transport: give it back.
        let unheard = link.sleeping_leaders.load(Ordering::SeqCst) != 0 && self.arm().is_none();
        self.receiver = None;
        link.pass_on();
        if unheard {
            link.signal.kick();
        }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let Some(mut receiver) = self.receiver.take() else { return };
        let link = self.link;
        let someone_sleeps = link.sleeping_leaders.load(Ordering::SeqCst) != 0
            || link.runner.load(Ordering::Relaxed) != ABSENT;
        // Whoever sleeps at the transport must hear the peer's bell from now on.
        let unheard = someone_sleeps && receiver.arm().is_none();
        drop(receiver);
        link.pass_on();
        if unheard {
            link.signal.kick();
        }
    }
}

impl Deref for Lead<'_> {
    type Target = dyn Receiver;

    fn deref(&self) -> &Self::Target {
        match &self.receiver {
            Some(receiver) => &***receiver,
            None => unreachable!("the receiver is given back by value only"),
        }
    }
}

impl DerefMut for Lead<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match &mut self.receiver {
            Some(receiver) => &mut ***receiver,
            None => unreachable!("the receiver is given back by value only"),
        }
    }
}

/// The lock, unless another thread has it. A panic under it has left nothing half done.
fn try_lock<T: ?Sized>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn put_whole(slot: &mut [u8], frame: &[u8]) {
    // A claim has at least the length that was asked for.
    slot[..frame.len()].copy_from_slice(frame);
}
