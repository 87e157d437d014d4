//! The channels of one connection.

mod callee;
mod caller;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::receiving::{End, Receiving};
use super::sending::Sending;
use super::{Last, MAX_CREDIT, NOT_TAKEN};
use crate::codec::AnyCodec;
use crate::envelope::{BodyKind, Envelope, HEADER_LEN, Kind};
use crate::error::{HandlerFailure, LinkError, PeerFault, codes};
use crate::frame::Kept;
use crate::limits::Limits;
use crate::peer::{Patience, Peer, Port};

/// The channels of one connection, of both sides and in both directions.
///
/// For whoever implements a [`Port`]: give one to [`Port::channels`], hand in what comes
/// ([`receive`](Self::receive)), say which channels a request brings ([`declare`](Self::declare))
/// before its command runs, and what has become of the link ([`end_all`](Self::end_all)).
pub struct Channels {
    codec: AnyCodec,
    window: u64,
    max: usize,
    table: Mutex<Table>,
    /// Channels made here that no call has brought yet. Written under the lock.
    unclaimed: AtomicUsize,
    /// Threads and tasks that wait for something to come.
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    last_id: u32,
    by_id: HashMap<u32, Entry, foldhash::fast::RandomState>,
    over: Option<LinkError>,
    /// Why the peer says nothing more, though it may still read.
    silent: Option<LinkError>,
}

impl Table {
    /// A number that this side has never given; `None` after four thousand million of them.
    fn next_id(&mut self) -> Option<u32> {
        self.last_id = self.last_id.checked_add(1)?;
        Some(self.last_id)
    }
}

#[derive(Debug)]
enum Entry {
    /// A request of the peer's brings it, and no command has taken it yet.
    Declared {
        call: u64,
        /// 0: the peer sends.
        credit: u64,
        /// What the peer has said since.
        end: Option<End>,
    },
    Receiving(Arc<Receiving>, Phase),
    Sending(Arc<Sending>, Phase),
    /// Made here and ended before the peer knew of it, which will learn both.
    Ended {
        credit: u64,
        last: Last,
        phase: Phase,
    },
}

/// What the peer knows of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing, and no call is about to tell.
    New,
    /// A call that brings it is about to go.
    Claimed,
    Known,
}

/// A received message of a channel: what the table needs of it.
#[derive(Debug, Clone, Copy)]
pub struct Incoming {
    kind: Kind,
    id: u64,
    body_kind: BodyKind,
    body_offset: usize,
    /// Bytes behind the header: what an honest message has there is its body.
    len: usize,
    credit: u64,
}

impl Incoming {
    /// Whether messages of this kind are for channels.
    #[inline]
    #[must_use]
    pub fn is(kind: Kind) -> bool {
        matches!(kind, Kind::Channel | Kind::ChannelEnd | Kind::ChannelCredit)
    }

    /// What a message says to the table.
    ///
    /// # Errors
    ///
    /// A [`PeerFault`] for a credit that is no number.
    pub fn read(message: &Envelope<'_>) -> Result<Self, PeerFault> {
        let Envelope { head, body, attachments } = message;
        let credit = match head.kind {
            Kind::ChannelCredit => {
                let bytes = <[u8; 8]>::try_from(*body).map_err(|_| {
                    let what = format_args!("a number of {} bytes, it has 8", body.len());
                    PeerFault::new("channel credit", what)
                })?;
                u64::from_le_bytes(bytes)
            }
            _ => 0,
        };
        Ok(Self {
            kind: head.kind,
            id: head.id,
            body_kind: head.body,
            body_offset: message.body_offset(),
            len: head.len() - HEADER_LEN + body.len() + attachments.len(),
            credit,
        })
    }
}

impl Channels {
    /// The table of a connection on which nothing has been said yet.
    #[must_use]
    pub fn new(codec: AnyCodec, limits: &Limits) -> Self {
        Self {
            codec,
            window: limits.channel_window as u64,
            max: limits.max_channels,
            table: Mutex::default(),
            unclaimed: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing inside can be left half done.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a channel of this number, so that its messages can be handed in.
    ///
    /// Messages of others keep their place behind the requests that came before them: one of those
    /// may bring the channel.
    #[must_use]
    pub fn knows(&self, id: u64) -> bool {
        u32::try_from(id).is_ok_and(|id| self.table().by_id.contains_key(&id))
    }

    /// A message has come. False if there is no such channel, any more or at all.
    ///
    /// Only for one thread at a time, in the order of the messages. Runs no code of the user's but
    /// wakers.
    ///
    /// # Errors
    ///
    /// A [`PeerFault`] for a message that the peer had no credit for, or that goes the wrong way.
    pub fn receive(
        &self,
        message: Incoming,
        keep: impl FnOnce() -> Kept,
    ) -> Result<bool, PeerFault> {
        let Incoming { kind, body_kind, body_offset, len, .. } = message;
        let Ok(id) = u32::try_from(message.id) else { return Ok(false) };
        let mut table = self.table();
        let Some(entry) = table.by_id.get_mut(&id) else { return Ok(false) };
        match (kind, entry) {
            (Kind::Channel, Entry::Receiving(receiving, _)) => {
                let receiving = Arc::clone(receiving);
                drop(table);
                receiving.receive(len, body_kind, body_offset, keep)?;
            }
            (Kind::ChannelCredit, Entry::Sending(sending, _)) => {
                let sending = Arc::clone(sending);
                drop(table);
                sending.grant(message.credit)?;
            }
            (Kind::ChannelCredit, Entry::Declared { credit, .. }) if *credit != 0 => {
                match credit.checked_add(message.credit) {
                    Some(sum) if sum <= MAX_CREDIT => *credit = sum,
                    _ => {
                        let what = format_args!("{} bytes more than {credit}", message.credit);
                        return Err(PeerFault::new("channel credit", what));
                    }
                }
            }
            (Kind::ChannelEnd, Entry::Declared { end, .. }) => {
                end.get_or_insert_with(|| self.end_in(keep()));
            }
            // It has ended here, too, and the peer will hear of it when it knows the channel.
            (_, Entry::Ended { .. }) => return Ok(false),
            (Kind::ChannelEnd, _) => {
                let entry = table.by_id.remove(&id);
                drop(table);
                match entry {
                    Some(Entry::Receiving(receiving, _)) => receiving.end(self.end_in(keep())),
                    Some(Entry::Sending(sending, _)) => sending.reader_gone(),
                    _ => {}
                }
            }
            (Kind::Channel, Entry::Declared { credit: 0, .. }) => {
                let what = format_args!("a message on channel {id} before it was granted any");
                return Err(PeerFault::new("channel credit", what));
            }
            _ => {
                let what = format_args!("{kind:?} on channel {id}, which goes the other way");
                return Err(PeerFault::new("channel", what));
            }
        }
        Ok(true)
    }

    /// What a `ChannelEnd` says.
    fn end_in(&self, message: Kept) -> End {
        let Ok(envelope) = message.envelope() else { return End::Done };
        let (code, body_kind) = (envelope.head.name, envelope.head.body);
        if code.is_empty() {
            return End::Done;
        }
        let (code, offset) = (code.into(), envelope.body_offset());
        let body = message.into_body(offset);
        End::Failed(HandlerFailure { code, body_kind, body, codec: self.codec })
    }

    /// The reader of this channel is gone.
    pub(super) fn reader_gone(&self, port: &dyn Port, id: u32) {
        self.gone(port, id, Last::DONE, |entry| match entry {
            Entry::Receiving(_, phase) => Some((*phase, self.window)),
            _ => None,
        });
    }

    /// The last sending end of this channel is gone, or was said to be the last.
    pub(super) fn writer_gone(&self, port: &dyn Port, id: u32, last: Last) {
        self.gone(port, id, last, |entry| match entry {
            Entry::Sending(_, phase) => Some((*phase, 0)),
            _ => None,
        });
    }

    /// `of` gives what the peer knows of our end and what it would be granted; nothing if the end
    /// is not in the table any more.
    fn gone(
        &self,
        port: &dyn Port,
        id: u32,
        last: Last,
        of: impl FnOnce(&Entry) -> Option<(Phase, u64)>,
    ) {
        let mut table = self.table();
        let Some((phase, credit)) = table.by_id.get(&id).and_then(of) else { return };
        let before = if phase == Phase::Known {
            let before = table.by_id.remove(&id);
            drop(table);
            last.tell(port, id, Patience::None);
            before
        } else {
            let before = table.by_id.insert(id, Entry::Ended { credit, last, phase });
            drop(table);
            before
        };
        // Without the lock: messages that wait may hold much memory.
        drop(before);
    }

    /// The link is over, and so are its channels, behind what has come.
    pub fn end_all(&self, error: &LinkError) {
        let mut table = self.table();
        table.over.get_or_insert_with(|| error.clone());
        let entries = std::mem::take(&mut table.by_id);
        self.unclaimed.store(0, Ordering::Relaxed);
        drop(table);
        for entry in entries.into_values() {
            match entry {
                Entry::Receiving(receiving, _) => receiving.end(End::Link(error.clone())),
                Entry::Sending(sending, _) => sending.link_ended(error.clone()),
                Entry::Declared { .. } | Entry::Ended { .. } => {}
            }
        }
    }

    /// The peer says nothing more, though it may still read: what it sends ends behind what has
    /// come.
    pub fn end_incoming(&self, error: &LinkError) {
        let mut table = self.table();
        table.silent.get_or_insert_with(|| error.clone());
        let is_incoming = |_: &u32, entry: &mut Entry| matches!(entry, Entry::Receiving(..));
        let ended: Vec<_> = table.by_id.extract_if(is_incoming).collect();
        drop(table);
        for (_, entry) in ended {
            if let Entry::Receiving(receiving, _) = entry {
                receiving.end(End::Link(error.clone()));
            }
        }
    }

    /// How many channels there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table().by_id.len()
    }

    /// Whether anybody waits for something to come: see [`Port::someone_waits`].
    #[inline]
    #[must_use]
    pub fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) != 0
    }
}

fn not_taken(codec: AnyCodec) -> End {
    End::Failed(HandlerFailure::with_text(codes::CHANNEL_NOT_TAKEN, NOT_TAKEN, codec))
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// A wait for something to come, counted as long as it lasts.
pub(super) struct Waiting(Peer);

impl Waiting {
    pub(super) fn new(peer: &Peer) -> Self {
        let port = peer.port();
        if let Some(channels) = port.channels() {
            channels.waiting.fetch_add(1, Ordering::SeqCst);
            port.someone_waits();
        }
        Self(peer.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(channels) = self.0.port().channels() {
            channels.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
