//! One open connection: its two halves, the calls that wait, the messages that queue.
//!
//! Whoever holds the receiver *leads*: reads the ring and hands messages out. A thread that waits
//! for its own reply leads by itself (`lead.rs`), so a lone call makes no hop. Everything that is
//! not a reply belongs to the *runner* (`runner.rs`), one thread per connection: always there on a
//! server, started on a client by the first listener or awaited call.
//!
//! Locks are taken in this order: sender, receiver, everything else. The receiver is only ever
//! *tried*, and whoever holds it only tries the sender, so no two threads wait for each other.
//! No lock is held while a listener or a handler runs.

mod calls;
mod lead;
mod runner;

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tramline_core::codec::AnyCodec;
use tramline_core::command::Reply;
use tramline_core::envelope::{BodyKind, Head, Kind};
use tramline_core::error::codes;
use tramline_core::peer::{Fill, Patience, Port, send_bytes};
use tramline_core::session::{Agreement, Goodbye};
use tramline_core::transport::{Receiver, Sender, Signal, WaitFor, Written};
use tramline_core::{FrameWriter, Halves, Limits, LinkError, PeerFault, SendError};

use self::calls::Calls;
pub(crate) use self::calls::Ended;
pub(crate) use self::lead::{Outgoing, deadline_passed};
pub(crate) use self::runner::Service;

/// The runner is at work, or about to look for work.
const AWAKE: u8 = 0;
/// The runner sleeps and will be woken by the peer.
const ASLEEP_ON_DATA: u8 = 1;
/// The runner sleeps while another thread leads; only a kick wakes it.
const ASLEEP_ON_KICK: u8 = 2;
/// There is no runner.
const ABSENT: u8 = 3;

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

pub(crate) struct Link {
    codec: AnyCodec,
    max_send_len: usize,
    limits: Limits,
    sender: Mutex<Box<dyn Sender>>,
    receiver: Mutex<Box<dyn Receiver>>,
    signal: Box<dyn Signal>,
    calls: Calls,
    next_id: AtomicU64,
    /// Messages for the runner that another thread read, in order.
    inbox: Mutex<Inbox>,
    inbox_drained: Condvar,
    runner: AtomicU8,
    runner_thread: OnceLock<ThreadId>,
    /// Threads that lead and sleep at the transport; at most one should.
    sleeping_leaders: AtomicUsize,
    in_flight: AtomicUsize,
    peer_listens: RwLock<HashSet<Box<str>>>,
    said_goodbye: AtomicBool,
    over: OnceLock<LinkError>,
    pub(crate) counts: Counts,
}

type Lead<'a> = MutexGuard<'a, Box<dyn Receiver>>;

/// The receiver, lent by whoever leads.
type Held<'a> = &'a mut (dyn Receiver + 'static);

impl Link {
    pub(crate) fn new(halves: Halves, agreement: Agreement, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            codec: agreement.codec,
            max_send_len: agreement.max_send_len,
            limits,
            sender: Mutex::new(halves.sender),
            receiver: Mutex::new(halves.receiver),
            signal: halves.signal,
            calls: Calls::default(),
            next_id: AtomicU64::new(1),
            inbox: Mutex::default(),
            inbox_drained: Condvar::new(),
            runner: AtomicU8::new(ABSENT),
            runner_thread: OnceLock::new(),
            sleeping_leaders: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            peer_listens: RwLock::new(
                agreement.listens.into_iter().map(String::into_boxed_str).collect(),
            ),
            said_goodbye: AtomicBool::new(false),
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
        self.over().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// A number no other call of this connection has.
    fn next_id(&self) -> u64 {
        // Relaxed: only uniqueness matters.
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn try_lead(&self) -> Option<Lead<'_>> {
        match self.receiver.try_lock() {
            Ok(lead) => Some(lead),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }

    /// The sender, unless another thread keeps it for longer than one message takes.
    fn try_sender(&self) -> Option<MutexGuard<'_, Box<dyn Sender>>> {
        (0..100).find_map(|_| {
            std::hint::spin_loop();
            self.sender.try_lock().ok()
        })
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
        self.inbox_drained.notify_all();
        error
    }

    /// Says goodbye if there is room for it, then ends the link.
    pub(crate) fn close(&self, code: &str, reason: LinkError) {
        if self.over().is_none()
            && let Ok(mut sender) = self.sender.try_lock()
        {
            let goodbye = Goodbye::new(code, "").to_frame();
            if let Ok(slot) = sender.claim(goodbye.len())
                && let Some(slot) = slot.get_mut(..goodbye.len())
            {
                slot.copy_from_slice(&goodbye);
                sender.commit(goodbye.len());
                let _ = sender.flush();
            }
        }
        self.end(reason);
    }

    /// Sends one message. `lead` is the receiver if the caller holds it.
    fn send_message(
        &self,
        mut sender: MutexGuard<'_, Box<dyn Sender>>,
        head: &Head<'_>,
        body_len: usize,
        fill: Fill<'_>,
        patience: Patience,
        mut lead: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        let mut room = Room { deadline: None, patience };
        // An honest caller's guess is below the limit; a wrong one only costs a retry.
        let min_len = head.len() + body_len.min(self.max_send_len);
        loop {
            self.check()?;
            let slot = match sender.claim(min_len) {
                Ok(slot) => slot,
                Err(SendError::Full) => {
                    self.wait_for_room(&mut **sender, &mut room, lead.as_deref_mut())?;
                    continue;
                }
                Err(e) => return Err(self.send_failed(e)),
            };
            let mut writer = FrameWriter::new(slot, self.max_send_len);
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
                    sender.commit(len);
                    sender.flush().map_err(|e| self.end(e).into())
                }
                Written::Spilled { bytes } => {
                    self.send_spilled(&mut **sender, &bytes, &mut room, lead)
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
        let mut sent = 0;
        loop {
            self.check()?;
            match sender.send_part(bytes, &mut sent) {
                Ok(()) => return sender.flush().map_err(|e| self.end(e).into()),
                Err(SendError::Full) => {
                    if sent > 0 {
                        // Half a message is out: it must be finished, or the link is of no use.
                        room.patience = Patience::SendTimeout;
                    }
                    match self.wait_for_room(sender, room, lead.as_deref_mut()) {
                        Err(SendError::Full) if sent > 0 => {
                            let stalled_ms = self.limits.send_timeout_ms;
                            return Err(self.end(LinkError::Stalled { stalled_ms }).into());
                        }
                        other => other?,
                    }
                }
                Err(e) => return Err(self.send_failed(e)),
            }
        }
    }

    /// A transport that cannot send may still hold messages that came before the end; the reader
    /// finds out why. Without a reader the sender's word is the last.
    fn send_failed(&self, error: SendError) -> SendError {
        match error {
            SendError::Link(e) => {
                let error = match self.try_lead() {
                    Some(mut lead) => self.drain(&mut **lead).err().unwrap_or(e),
                    None => e,
                };
                self.end(error).into()
            }
            other => other,
        }
    }

    /// Sleeps until there is room. Meanwhile it reads, for the peer may be waiting for room too.
    fn wait_for_room(
        &self,
        sender: &mut dyn Sender,
        room: &mut Room,
        held: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        let timeout = match room.patience {
            Patience::None => return Err(SendError::Full),
            Patience::SendTimeout => room.remaining(self.limits.send_timeout_ms)?,
        };
        let kicks = self.signal.kicks();
        let mut own = if held.is_some() { None } else { self.try_lead() };
        let receiver: Option<Held<'_>> = match (held, &mut own) {
            (Some(held), _) => Some(held),
            (None, Some(lead)) => Some(&mut ***lead),
            (None, None) => None,
        };
        let mut data = None;
        if let Some(receiver) = receiver
            && !self.inbox_full()
        {
            if let Err(e) = self.drain(receiver) {
                return Err(self.end(e).into());
            }
            data = receiver.arm();
            if data.is_none() {
                if let Some(lead) = own {
                    self.leave(lead);
                }
                return Ok(());
            }
        }
        if let Some(ticket) = sender.arm() {
            self.signal.wait(WaitFor { kicks, data, room: Some(ticket), timeout: Some(timeout) });
        }
        sender.disarm();
        if let Some(lead) = own {
            self.leave(lead);
        }
        self.check().map_err(Into::into)
    }

    /// Reads whatever is there and hands it out.
    fn drain(&self, receiver: Held<'_>) -> Result<(), LinkError> {
        while !self.inbox_full() {
            match receiver.poll()? {
                Some(frame) => self.hand_out(frame)?,
                None => break,
            }
        }
        Ok(())
    }

    fn inbox_full(&self) -> bool {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.bytes >= self.limits.max_queued_len
    }

    /// Gives the receiver back and sees to it that somebody reads on.
    fn leave(&self, mut lead: Lead<'_>) {
        let sleepers = self.sleeping_leaders.load(Ordering::Relaxed) != 0;
        // Whoever sleeps at the transport must hear the peer's bell from now on.
        let runner = self.runner.load(Ordering::Relaxed) != ABSENT;
        let data_left = (sleepers || runner) && lead.arm().is_none();
        drop(lead);
        // PAIRS WITH `Calls::add_thread` and with the fence in `Link::run`: a thread that failed to
        // get the receiver before the drop above is seen below.
        fence(Ordering::SeqCst);
        if !sleepers {
            self.calls.wake_one_thread();
        }
        if data_left || self.runner.load(Ordering::Relaxed) == ASLEEP_ON_KICK {
            self.signal.kick();
        }
    }

    /// Waits until the runner has taken enough out of the inbox.
    fn make_inbox_room(&self) -> Result<(), LinkError> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let max = self.limits.max_queued_len;
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
                return self.check();
            }
        }
        drop(inbox);
        Err(self.end(LinkError::Stalled { stalled_ms: self.limits.send_timeout_ms }))
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

    /// Sends a call whose body is encoded already; waits for room.
    pub(crate) fn send_encoded_call(
        &self,
        kind: Kind,
        body: BodyKind,
        id: u64,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        let head = Head { kind, body, id, name };
        send_bytes(self, &head, bytes, Patience::SendTimeout)
    }

    /// Sends a message without an id whose structured body is encoded already; waits for room.
    pub(crate) fn send_encoded(
        &self,
        kind: Kind,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        self.send_encoded_call(kind, BodyKind::Structured, 0, name, bytes)
    }

    fn fault(&self, fault: PeerFault) -> LinkError {
        self.close("peer-fault", fault.clone().into());
        fault.into()
    }
}

/// How long one message may still wait for room.
struct Room {
    deadline: Option<Instant>,
    patience: Patience,
}

impl Room {
    fn remaining(&mut self, timeout_ms: u64) -> Result<Duration, SendError> {
        let now = Instant::now();
        let deadline = *self.deadline.get_or_insert(now + Duration::from_millis(timeout_ms));
        match deadline.checked_duration_since(now) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(SendError::Full),
        }
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
            Patience::SendTimeout => self.sender.lock().unwrap_or_else(PoisonError::into_inner),
            // Another thread may hold the sender while it waits for room.
            Patience::None => self.try_sender().ok_or(SendError::Full)?,
        };
        self.send_message(sender, head, body_len, fill, patience, None)
    }

    fn peer_listens(&self, event: &str) -> bool {
        let names = self.peer_listens.read().unwrap_or_else(PoisonError::into_inner);
        names.contains(event)
    }

    fn close(&self, reason: LinkError) {
        Link::close(self, codes::CLOSED, reason);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("codec", &self.codec).field("over", &self.over).finish()
    }
}
