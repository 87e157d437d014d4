//! The table of whoever calls: channels that were made here, until a call has brought them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Channels, Entry, Phase, not_taken};
use crate::channel::receiving::{End, Receiving};
use crate::channel::sending::Sending;
use crate::codec::AnyCodec;
use crate::error::LinkError;
use crate::peer::{Patience, Port};

impl Channels {
    pub(in crate::channel) fn open_receiving(&self) -> Arc<Receiving> {
        let receiving = |id| Arc::new(Receiving::new(id, self.window));
        match self.open(|id| {
            let receiving = receiving(id);
            (Entry::Receiving(Arc::clone(&receiving), Phase::New), receiving)
        }) {
            Ok(receiving) => receiving,
            Err(over) => {
                let ended = receiving(0);
                ended.end(over.map_or_else(|| not_taken(self.codec), End::Link));
                ended
            }
        }
    }

    pub(in crate::channel) fn open_sending(&self) -> Arc<Sending> {
        let sending = |id| Arc::new(Sending::new(id, 0));
        match self.open(|id| {
            let sending = sending(id);
            (Entry::Sending(Arc::clone(&sending), Phase::New), sending)
        }) {
            Ok(sending) => sending,
            Err(over) => {
                let ended = sending(0);
                over.map_or_else(|| ended.reader_gone(), |error| ended.link_ended(error));
                ended
            }
        }
    }

    /// The reading end of a channel over a connection that has none.
    pub(in crate::channel) fn closed_receiving(codec: AnyCodec) -> Arc<Receiving> {
        let receiving = Receiving::new(0, 0);
        receiving.end(not_taken(codec));
        Arc::new(receiving)
    }

    /// The sending end of a channel over a connection that has none.
    pub(in crate::channel) fn closed_sending() -> Arc<Sending> {
        let sending = Sending::new(0, 0);
        sending.reader_gone();
        Arc::new(sending)
    }

    /// Adds a channel of ours under a number that this connection has never had.
    fn open<E>(&self, make: impl FnOnce(u32) -> (Entry, E)) -> Result<E, Option<LinkError>> {
        let mut table = self.table();
        if let Some(over) = &table.over {
            return Err(Some(over.clone()));
        }
        let id = table.next_id().ok_or(None)?;
        let (entry, end) = make(id);
        table.by_id.insert(id, entry);
        self.unclaimed.fetch_add(1, Ordering::Relaxed);
        Ok(end)
    }

    /// Whether a call may bring a channel: its arguments are worth a look.
    #[inline]
    #[must_use]
    pub fn has_unclaimed(&self) -> bool {
        // Relaxed: whoever made a channel passed it, by whatever means, to whoever calls.
        self.unclaimed.load(Ordering::Relaxed) != 0
    }

    /// A call is about to bring this channel: what its request is to say as credit. `None` if the
    /// channel is none of ours, or has gone with another call.
    ///
    /// [`sent`](Self::sent) or [`unsent`](Self::unsent) must follow.
    #[must_use]
    pub fn claim(&self, id: u32) -> Option<u64> {
        let mut table = self.table();
        let (phase, credit) = match table.by_id.get_mut(&id)? {
            Entry::Receiving(_, phase) => (phase, self.window),
            Entry::Sending(_, phase) => (phase, 0),
            Entry::Ended { credit, phase, .. } => (phase, *credit),
            Entry::Declared { .. } => return None,
        };
        if *phase != Phase::New {
            return None;
        }
        *phase = Phase::Claimed;
        self.unclaimed.fetch_sub(1, Ordering::Relaxed);
        Some(credit)
    }

    /// The request that brings these channels has gone.
    pub fn sent(&self, port: &dyn Port, ids: &[u32]) {
        let mut ended = Vec::new();
        let mut table = self.table();
        for id in ids {
            match table.by_id.get_mut(id) {
                Some(Entry::Receiving(_, phase) | Entry::Sending(_, phase)) => {
                    *phase = Phase::Known
                }
                Some(Entry::Ended { .. }) => {
                    if let Some(Entry::Ended { last, .. }) = table.by_id.remove(id) {
                        ended.push((*id, last));
                    }
                }
                Some(Entry::Declared { .. }) | None => {}
            }
        }
        drop(table);
        for (id, last) in ended {
            last.tell(port, id, Patience::None);
        }
    }

    /// No request will bring these channels: they end here.
    pub fn unsent(&self, ids: &[u32]) {
        let mut ended = Vec::new();
        let mut table = self.table();
        for id in ids {
            let phase = match table.by_id.get(id) {
                Some(
                    Entry::Receiving(_, phase)
                    | Entry::Sending(_, phase)
                    | Entry::Ended { phase, .. },
                ) => *phase,
                Some(Entry::Declared { .. }) | None => continue,
            };
            if phase == Phase::New {
                self.unclaimed.fetch_sub(1, Ordering::Relaxed);
            }
            if phase != Phase::Known {
                ended.extend(table.by_id.remove(id));
            }
        }
        drop(table);
        for entry in ended {
            match entry {
                Entry::Receiving(receiving, _) => receiving.end(not_taken(self.codec)),
                Entry::Sending(sending, _) => sending.reader_gone(),
                Entry::Declared { .. } | Entry::Ended { .. } => {}
            }
        }
    }
}
