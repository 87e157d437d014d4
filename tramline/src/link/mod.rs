//! One open connection: its two halves, the calls that wait, the messages that queue.
//!
//! Whoever holds the receiver *leads*: reads the ring and hands messages out. A thread that waits
//! for its own reply leads by itself (`lead.rs`), so a lone call makes no hop. Everything that is
//! not a reply belongs to the *runner* (`runner.rs`), one thread per connection: always there on a
//! server, started on a client by the first listener or awaited call.
//!
//! Rules that keep it alive:
//!
//! - The receiver is only ever *tried*, and whoever holds it only tries the sender. So no two
//!   threads wait for each other's half.
//! - Whoever stops leading passes the duty on (`Lead`'s drop, `Link::pass_on`) or sleeps at the
//!   transport with the peer told to ring.
//! - Whoever waits for room reads meanwhile, so two full sides do not wait for each other.
//! - No lock is held while a listener or a handler runs.

mod calls;
mod lead;
mod room;
mod runner;
mod stand_in;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, TryLockError, Weak,
};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tramline_core::codec::AnyCodec;
use tramline_core::command::Reply;
use tramline_core::envelope::{BodyKind, Envelope, Head, Kind};
use tramline_core::error::codes;
use tramline_core::peer::{Fill, Later, Patience, Port, send_bytes};
use tramline_core::session::{Agreement, Goodbye};
use tramline_core::transport::{Receiver, Sender, Signal, WaitFor, Written};
use tramline_core::{Frame, FrameWriter, Halves, Limits, LinkError, PeerFault, SendError};

use self::calls::Calls;
pub(crate) use self::calls::Ended;
pub(crate) use self::lead::{Outgoing, deadline_passed};
use self::room::Room;
pub(crate) use self::runner::Service;

/// The runner is at work, or about to look for work.
const AWAKE: u8 = 0;
/// The runner sleeps and will be woken by the peer.
const ASLEEP_ON_DATA: u8 = 1;
/// The runner sleeps while another thread leads; only a kick wakes it.
const ASLEEP_ON_KICK: u8 = 2;
/// There is no runner.
const ABSENT: u8 = 3;

/// What a queued message costs beside its bytes. A choice: the size of its handle, doubled.
const QUEUED_OVERHEAD: usize = 64;
/// Messages read in one go by a thread that has something else to do. A choice: keeps its own
/// deadline within microseconds of the mark.
const DRAIN_AT_ONCE: usize = 64;
/// A message's own memory is kept for the next one up to this size. A choice: a message of 1 MiB as
/// JSON fits.
const KEEP_SPILL_LEN: usize = 4 << 20;
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
    /// Events the peer may not emit, and channel messages without a channel.
    pub(crate) ignored: AtomicU64,
}

#[derive(Default)]
struct Inbox {
    queue: VecDeque<Bytes>,
    bytes: usize,
}

type SenderGuard<'a> = MutexGuard<'a, SendHalf>;

struct SendHalf {
    half: Box<dyn Sender>,
    /// Memory of the last message that did not fit into its claim.
    spill: Vec<u8>,
}

pub(crate) struct Link {
    me: Weak<Link>,
    codec: AnyCodec,
    max_send_len: usize,
    limits: Limits,
    sender: Mutex<SendHalf>,
    /// The thread that has the sender waits for room.
    waiting_for_room: AtomicBool,
    /// The last message was given up after its first part: nothing may follow it.
    half_sent: AtomicBool,
    receiver: Mutex<Box<dyn Receiver>>,
    signal: Box<dyn Signal>,
    calls: Calls,
    next_id: AtomicU64,
    /// Messages for the runner that another thread read, in order.
    inbox: Mutex<Inbox>,
    inbox_drained: Condvar,
    runner: AtomicU8,
    runner_thread: OnceLock<ThreadId>,
    /// Counted up when the runner begins and when it ends to handle a message: odd in the middle.
    runner_turns: AtomicU64,
    standing_in: AtomicBool,
    /// Threads that lead and sleep at the transport.
    sleeping_leaders: AtomicUsize,
    /// Threads that could not lead and want to be kicked when they might.
    kick_waiters: AtomicUsize,
    calls_in_flight: AtomicUsize,
    bytes_in_flight: AtomicUsize,
    peer_listens: RwLock<HashSet<Box<str>>>,
    said_goodbye: AtomicBool,
    /// This side is ending the link: nobody else sends any more.
    closing: AtomicBool,
    over: OnceLock<LinkError>,
    pub(crate) counts: Counts,
}

impl Link {
    pub(crate) fn new(halves: Halves, agreement: Agreement, limits: Limits) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            codec: agreement.codec,
            max_send_len: agreement.max_send_len,
            limits,
            sender: Mutex::new(SendHalf { half: halves.sender, spill: Vec::new() }),
            waiting_for_room: AtomicBool::new(false),
            half_sent: AtomicBool::new(false),
            receiver: Mutex::new(halves.receiver),
            signal: halves.signal,
            calls: Calls::default(),
            next_id: AtomicU64::new(1),
            inbox: Mutex::default(),
            inbox_drained: Condvar::new(),
            runner: AtomicU8::new(ABSENT),
            runner_thread: OnceLock::new(),
            runner_turns: AtomicU64::new(0),
            standing_in: AtomicBool::new(false),
            sleeping_leaders: AtomicUsize::new(0),
            kick_waiters: AtomicUsize::new(0),
            calls_in_flight: AtomicUsize::new(0),
            bytes_in_flight: AtomicUsize::new(0),
            peer_listens: RwLock::new(
                agreement.listens.into_iter().map(String::into_boxed_str).collect(),
            ),
            said_goodbye: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            over: OnceLock::new(),
            counts: Counts::default(),
        })
    }

    pub(crate) fn codec(&self) -> AnyCodec {
        self.codec
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

    /// A number no other call of this connection has.
    fn next_id(&self) -> u64 {
        // Relaxed: only uniqueness matters.
        self.next_id.fetch_add(1, Ordering::Relaxed)
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
        // Whoever looked at `over` before it was set is asleep by now, or holds this lock.
        drop(self.inbox.lock());
        self.inbox_drained.notify_all();
        error
    }

    /// Says goodbye if the peer takes it, then ends the link.
    pub(crate) fn close(&self, reason: LinkError) {
        if self.over().is_some() || self.closing.swap(true, Ordering::SeqCst) {
            return;
        }
        // Senders that wait for room let go of the sender now.
        self.signal.kick();
        let mut sender = self.lock_sender();
        if !self.half_sent.load(Ordering::Relaxed) {
            let goodbye = Goodbye::new(codes::CLOSED, "").to_frame();
            let mut room = Room::until(GOODBYE_TIMEOUT);
            while self.over().is_none() {
                match sender.half.claim(goodbye.len()) {
                    Ok(slot) => {
                        put_whole(slot, &goodbye);
                        sender.half.commit(goodbye.len());
                        let _ = sender.half.flush();
                        break;
                    }
                    Err(SendError::Full) => {
                        if self.wait_for_room(&mut *sender.half, &mut room, None).is_err() {
                            break;
                        }
                    }
                    Err(_) => break,
                }
            }
        }
        drop(sender);
        self.end(reason);
    }

    /// Ends the link because the peer broke a rule; tells it so if that needs no waiting.
    fn fault(&self, fault: PeerFault) -> LinkError {
        if let Some(mut sender) = try_lock(&self.sender)
            && !self.half_sent.load(Ordering::Relaxed)
        {
            let goodbye = Goodbye::new(fault.code(), "").to_frame();
            if let Ok(slot) = sender.half.claim(goodbye.len()) {
                put_whole(slot, &goodbye);
                sender.half.commit(goodbye.len());
                let _ = sender.half.flush();
            }
        }
        self.end(fault.into())
    }

    /// Sends one message. `lead` is the receiver if the caller holds it.
    fn send_message(
        &self,
        mut sender: SenderGuard<'_>,
        head: &Head<'_>,
        body_len: usize,
        fill: Fill<'_>,
        mut room: Room,
        mut lead: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        // An honest caller's guess is below the limit; a wrong one only costs a retry.
        let min_len = head.len() + body_len.min(self.max_send_len);
        loop {
            self.check()?;
            let SendHalf { half, spill } = &mut *sender;
            let slot = match half.claim(min_len) {
                Ok(slot) => slot,
                Err(SendError::Full) => {
                    self.wait_for_room(&mut **half, &mut room, lead.as_deref_mut())?;
                    continue;
                }
                Err(e) => return Err(self.send_failed(e, lead)),
            };
            let mut writer = FrameWriter::new(slot, self.max_send_len).reusing(spill);
            let written = writer
                .put(&head.to_bytes())
                .and_then(|()| writer.put(head.name.as_bytes()))
                .map_err(|_| SendError::TooLarge { len: head.len(), max: self.max_send_len });
            if let Err(e) = written.and_then(|()| fill(&mut writer).map_err(SendError::Encode)) {
                // The claim is not committed, so nothing of it is ever seen.
                return Err(match writer.overflow() {
                    Some(len) => SendError::TooLarge { len, max: self.max_send_len },
                    None => e,
                });
            }
            return match writer.finish() {
                Written::InPlace { len } => {
                    half.commit(len);
                    // The peer may have seen it whatever `flush` says; whoever reads finds the end.
                    let _ = half.flush();
                    Ok(())
                }
                Written::Spilled { bytes } => {
                    let sent = self.send_spilled(&mut **half, &bytes, &mut room, lead);
                    if bytes.capacity() <= KEEP_SPILL_LEN {
                        *spill = bytes;
                    }
                    sent
                }
            };
        }
    }

    fn send_spilled(
        &self,
        sender: &mut dyn Sender,
        bytes: &[u8],
        room: &mut Room,
        mut lead: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        if room.patience() == Patience::None && !sender.fits(bytes.len()) {
            return Err(SendError::Full);
        }
        let mut sent = 0;
        loop {
            let before = sent;
            let outcome = match sender.send_part(bytes, &mut sent) {
                Ok(()) => {
                    let _ = sender.flush();
                    return Ok(());
                }
                Err(SendError::Full) => {
                    if sent > before {
                        // A peer that reads, however slowly, is not stalled.
                        room.restart();
                    }
                    self.check()
                        .map_err(SendError::from)
                        .and_then(|()| self.wait_for_room(sender, room, lead.as_deref_mut()))
                }
                Err(e) => Err(self.send_failed(e, lead.as_deref_mut())),
            };
            match outcome {
                Ok(()) => {}
                Err(e) if sent == 0 => return Err(e),
                Err(e) => {
                    self.half_sent.store(true, Ordering::Relaxed);
                    return Err(match e {
                        SendError::Full => {
                            let stalled_ms = self.limits.send_timeout_ms;
                            self.end(LinkError::Stalled { stalled_ms }).into()
                        }
                        e => e,
                    });
                }
            }
        }
    }

    /// A transport that cannot send may still hold messages that came before the end, among them the
    /// peer's goodbye: they are handed out before the link ends.
    fn send_failed(&self, error: SendError, held: Option<Held<'_>>) -> SendError {
        let SendError::Link(error) = error else { return error };
        if let Some(receiver) = held {
            return self.end_behind_messages(receiver, error).into();
        }
        let until = Instant::now() + LAST_WORD_TIMEOUT;
        self.kick_waiters.fetch_add(1, Ordering::SeqCst);
        let error = loop {
            let kicks = self.signal.kicks();
            if let Some(error) = self.over() {
                break error.clone();
            }
            if let Some(mut lead) = self.try_lead() {
                break self.end_behind_messages(&mut *lead, error);
            }
            // Another thread leads: it will meet the end, or leave, and kick us in both cases.
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break self.end(error);
            }
            self.signal.wait(WaitFor { kicks, timeout: Some(left), ..WaitFor::default() });
        };
        self.kick_waiters.fetch_sub(1, Ordering::SeqCst);
        error.into()
    }

    fn end_behind_messages(&self, receiver: Held<'_>, error: LinkError) -> LinkError {
        // The peer is gone, so this ends; a peer that only says so is not listened to for ever.
        for _ in 0..10_000 {
            match self.drain(receiver, self.limits.max_queued_len) {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) => return self.end(e),
            }
        }
        self.end(error)
    }

    /// Reads a few messages and hands them out, unless `limit` bytes wait for the runner; how many.
    fn drain(&self, receiver: Held<'_>, limit: usize) -> Result<usize, LinkError> {
        for count in 0..DRAIN_AT_ONCE {
            if self.inbox_bytes() >= limit {
                return Ok(count);
            }
            match receiver.poll()? {
                Some(frame) => self.hand_out(frame)?,
                None => return Ok(count),
            }
        }
        Ok(DRAIN_AT_ONCE)
    }

    /// Hands out a message that another thread than the runner has read: replies to those who wait,
    /// everything else to the runner.
    fn hand_out(&self, frame: Frame<'_>) -> Result<(), LinkError> {
        let message = Envelope::parse(frame.bytes()).map_err(|e| self.fault(e))?;
        let Head { kind, id, .. } = message.head;
        match kind {
            Kind::Response | Kind::Error => {
                if !self.calls.answer(id, || frame.take()) {
                    self.counts.late_replies.fetch_add(1, Ordering::Relaxed);
                } else if self.sleeping_leaders.load(Ordering::Relaxed) != 0 {
                    // The caller may sleep at the transport, where `answer` does not reach it. It
                    // counted itself before it looked into the table, and the table's lock orders
                    // the two.
                    self.signal.kick();
                }
            }
            Kind::Goodbye => self.said_goodbye.store(true, Ordering::Relaxed),
            _ => self.put_into_inbox(frame.take()),
        }
        Ok(())
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox_bytes(&self) -> usize {
        self.inbox().bytes
    }

    fn inbox_is_empty(&self) -> bool {
        self.inbox().queue.is_empty()
    }

    fn put_into_inbox(&self, message: Bytes) {
        let mut inbox = self.inbox();
        inbox.bytes += message.len() + QUEUED_OVERHEAD;
        inbox.queue.push_back(message);
        drop(inbox);
        // PAIRS WITH the fence in `Link::sleep`: either the runner sees the message, or we see that
        // it sleeps.
        fence(Ordering::SeqCst);
        if matches!(self.runner.load(Ordering::Relaxed), ASLEEP_ON_DATA | ASLEEP_ON_KICK) {
            self.signal.kick();
        }
    }

    fn take_from_inbox(&self) -> Option<Bytes> {
        let max = self.limits.max_queued_len;
        let mut inbox = self.inbox();
        let message = inbox.queue.pop_front()?;
        let was_full = inbox.bytes >= max;
        inbox.bytes -= message.len() + QUEUED_OVERHEAD;
        let has_room = inbox.bytes < max;
        drop(inbox);
        if was_full && has_room {
            self.inbox_drained.notify_all();
            // A thread that waits for room may read again.
            self.signal.kick();
        }
        Some(message)
    }

    /// Waits until the runner has taken enough out of the inbox.
    fn make_inbox_room(&self) -> Result<(), LinkError> {
        let max = self.limits.max_queued_len;
        let mut inbox = self.inbox();
        if inbox.bytes < max {
            return Ok(());
        }
        let timeout = Duration::from_millis(self.limits.send_timeout_ms);
        if self.runner_thread.get() == Some(&std::thread::current().id()) {
            // A listener that invokes: nobody else can make room. Allow it once more.
            if inbox.bytes < 2 * max {
                return Ok(());
            }
        } else {
            let full = |inbox: &mut Inbox| inbox.bytes >= max && self.over().is_none();
            inbox = self
                .inbox_drained
                .wait_timeout_while(inbox, timeout, full)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if inbox.bytes < max || self.over().is_some() {
                drop(inbox);
                return self.check();
            }
        }
        drop(inbox);
        Err(self.end(LinkError::Stalled { stalled_ms: self.limits.send_timeout_ms }))
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

    /// Tells the peer that a call's answer is of no use any more. Best effort.
    pub(crate) fn cancel(&self, id: u64) {
        let head = Head { kind: Kind::Cancel, body: BodyKind::Empty, id, name: "" };
        let _ = send_bytes(self, &head, &[], Patience::None);
    }

    /// Sends a call if there is room for it now.
    pub(crate) fn try_send<A: Reply>(
        &self,
        kind: Kind,
        id: u64,
        name: &str,
        args: &A,
    ) -> Result<(), SendError> {
        let head = Head { kind, body: A::BODY, id, name };
        let fill: Fill<'_> = &mut |out| args.encode(self.codec, out);
        self.send(&head, args.len_hint(), fill, Patience::None)
    }
}

impl Port for Link {
    fn send(
        &self,
        head: &Head<'_>,
        body_len: usize,
        fill: Fill<'_>,
        patience: Patience,
    ) -> Result<(), SendError> {
        let sender = match patience {
            Patience::SendTimeout => self.lock_sender(),
            // Another thread may hold the sender while it waits for room.
            Patience::None => self.try_sender().ok_or(SendError::Full)?,
        };
        let room = Room::new(patience, &self.limits, None);
        self.send_message(sender, head, body_len, fill, room, None)
    }

    fn send_later(&self, message: Later) {
        let Some(link) = self.me.upgrade() else { return };
        blocking::unblock(move || {
            let Later { kind, body_kind, id, name, body } = message;
            let head = Head { kind, body: body_kind, id, name };
            if let Err(SendError::Full) = send_bytes(&*link, &head, &body, Patience::SendTimeout) {
                // An answer cannot be dropped: the caller would wait for ever.
                link.close(LinkError::Stalled { stalled_ms: link.limits.send_timeout_ms });
            }
        })
        .detach();
    }

    fn peer_listens(&self, event: &str) -> bool {
        let names = self.peer_listens.read().unwrap_or_else(PoisonError::into_inner);
        names.contains(event)
    }

    fn close(&self, reason: LinkError) {
        Link::close(self, reason);
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
