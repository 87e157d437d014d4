//! The table of whoever is called: channels that a request brings, until its command has taken them.

use std::sync::Arc;

use super::{Channels, Entry, Phase, Table};
use crate::channel::receiving::{End, Receiving};
use crate::channel::sending::Sending;
use crate::channel::{Last, MAX_CREDIT, Token, grant};
use crate::command::Call;
use crate::error::{PeerFault, codes};
use crate::peer::{Patience, Port};

impl Channels {
    /// A request of the peer's brings a channel: the peer reads, and lets us send `credit` bytes at
    /// first, or sends, if that is 0. False: it has too many, and must be told that this one has
    /// ended: [`refuse`](Self::refuse).
    ///
    /// # Errors
    ///
    /// A [`PeerFault`] for a number that is in use, or a credit of more than [`MAX_CREDIT`].
    pub fn declare(&self, call: u64, id: u32, credit: u64) -> Result<bool, PeerFault> {
        if credit > MAX_CREDIT {
            let what = format_args!("{credit} bytes for channel {id}");
            return Err(PeerFault::new("channel credit", what));
        }
        let mut table = self.table();
        if table.by_id.contains_key(&id) {
            return Err(PeerFault::new("channel id", format_args!("{id} a second time")));
        }
        // If the link is over, a command that takes it finds out.
        let room = table.by_id.len() < self.max;
        if room && table.over.is_none() {
            table.by_id.insert(id, Entry::Declared { call, credit, end: None });
        }
        Ok(room)
    }

    /// Tells the peer that it has too many channels for this one.
    pub fn refuse(&self, port: &dyn Port, id: u32, patience: Patience) {
        let text = format!("{} channels are the limit", self.max);
        let last = Last::with_text(codes::TOO_MANY_CHANNELS, &text, self.codec);
        last.tell(port, id, patience);
    }

    /// As [`declare`](Self::declare) for a peer that names its channels otherwise: the number is
    /// ours. What such a peer reads it gives no credit for; its connection bounds that.
    ///
    /// For [`Port::channel_of_token`].
    ///
    /// # Errors
    ///
    /// The peer has too many channels, in words for it.
    pub fn declare_next(&self, call: u64, peer_reads: bool) -> Result<u32, String> {
        let mut table = self.table();
        if table.by_id.len() >= self.max {
            return Err(format!("{} channels are the limit", self.max));
        }
        let id = table.next_id().ok_or("this connection has had all its channels")?;
        if table.over.is_none() {
            let credit = if peer_reads { u64::MAX } else { 0 };
            table.by_id.insert(id, Entry::Declared { call, credit, end: None });
        }
        Ok(id)
    }

    /// The channel that an argument of this call names, and the table that it is in.
    fn named<'c>(
        call: &Call<'c>,
        arg: &str,
        token: &Token,
        peer_reads: bool,
    ) -> Result<(&'c Self, u32), String> {
        let port = call.peer().port();
        let id = match port.channel_of_token(call.id(), token, peer_reads) {
            Some(id) => id?,
            None => token.tauri_number(call, arg)?,
        };
        Ok((port.channels().ok_or("this connection carries no channels")?, id))
    }

    /// Takes the reading end of the channel that an argument of this call names.
    pub(in crate::channel) fn take_receiving(
        call: &Call<'_>,
        arg: &str,
        token: &Token,
    ) -> Result<Arc<Receiving>, String> {
        let (channels, id) = Self::named(call, arg, token, false)?;
        let receiving = Arc::new(Receiving::new(id, channels.window));
        let mut table = channels.table();
        if let Some(error) = table.over.as_ref().or(table.silent.as_ref()) {
            receiving.end(End::Link(error.clone()));
            table.by_id.remove(&id);
            return Ok(receiving);
        }
        match table.declared(call.id(), id)? {
            (0, end) => {
                if let Some(end) = end {
                    table.by_id.remove(&id);
                    receiving.end(end);
                    return Ok(receiving);
                }
            }
            _ => return Err(format!("the caller reads channel {id}, it sends nothing")),
        }
        table.by_id.insert(id, Entry::Receiving(Arc::clone(&receiving), Phase::Known));
        drop(table);
        grant(call.peer().port(), id, channels.window);
        Ok(receiving)
    }

    /// Takes the sending end of the channel that an argument of this call names.
    pub(in crate::channel) fn take_sending(
        call: &Call<'_>,
        arg: &str,
        token: &Token,
    ) -> Result<Arc<Sending>, String> {
        let (channels, id) = Self::named(call, arg, token, true)?;
        let mut table = channels.table();
        if let Some(error) = &table.over {
            let sending = Sending::new(id, 0);
            sending.link_ended(error.clone());
            return Ok(Arc::new(sending));
        }
        match table.declared(call.id(), id)? {
            (0, _) => Err(format!("the caller sends on channel {id}, it reads nothing")),
            (credit, None) => {
                let sending = Arc::new(Sending::new(id, credit));
                table.by_id.insert(id, Entry::Sending(Arc::clone(&sending), Phase::Known));
                Ok(sending)
            }
            (credit, Some(_)) => {
                table.by_id.remove(&id);
                let sending = Sending::new(id, credit);
                sending.reader_gone();
                Ok(Arc::new(sending))
            }
        }
    }

    /// A call of the peer's was answered: what it brought and its command did not take ends.
    pub fn settle(&self, port: &dyn Port, call: u64, patience: Patience) {
        let mut left = Vec::new();
        let mut table = self.table();
        table.by_id.retain(|id, entry| match entry {
            Entry::Declared { call: of, end, .. } if *of == call => {
                left.extend(end.is_none().then_some(*id));
                false
            }
            _ => true,
        });
        drop(table);
        for id in left {
            Last::not_taken(self.codec).tell(port, id, patience);
        }
    }
}

impl Table {
    /// What this call's request and the peer have said of a channel: its credit, and its end.
    fn declared(&self, call: u64, id: u32) -> Result<(u64, Option<End>), String> {
        match self.by_id.get(&id) {
            Some(Entry::Declared { call: of, credit, end }) if *of == call => {
                Ok((*credit, end.clone()))
            }
            _ => Err(format!("channel {id} is not one that this call brings")),
        }
    }
}
