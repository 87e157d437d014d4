//! Sending: encode in place, or aside if it is short, wait for room, publish.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tramline_core::channel::Channels;
use tramline_core::command::Reply;
use tramline_core::envelope::{BodyKind, Head, Kind};
use tramline_core::events::Targets;
use tramline_core::frame::{Pieces, Written};
use tramline_core::peer::{Fill, Later, Patience, Port, Work, Working, send_body};
use tramline_core::transport::{Sender, WaitFor};
use tramline_core::{AnyCodec, EncodeError, FrameWriter, LinkError, Pages, SendError};

use super::lead::Outgoing;
use super::room::Room;
use super::running::Running;
use super::{Held, LAST_WORD_TIMEOUT, Link, SHORT_LEN, SendHalf, SenderGuard, put_whole};
use crate::shadow::LinkShadow;

/// A message's own memory is kept for the next one up to this size. A choice: a message of 1 MiB as
/// JSON fits.
const KEEP_SPILL_LEN: usize = 4 << 20;
/// Memory for what is written piece by piece. A choice: with what it is copied from and to it stays
/// in a second-level cache.
const PIECE_LEN: usize = 32 << 10;
/// What outgrows a shorter claim is tried once more with one of this length, before it is sent piece by
/// piece. A choice: small messages whose length was guessed too low fit.
const SHORT_SLOT_LEN: usize = 4 << 10;

impl Link {
    /// Sends one message. `lead` is the receiver if the caller holds it.
    pub(super) fn send_message(
        &self,
        mut sender: SenderGuard<'_>,
        head: &Head<'_>,
        body_len: usize,
        fill: Fill<'_>,
        mut room: Room,
        mut lead: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        // An honest caller's guess is below the limit; a wrong one only costs a retry.
        let mut min_len = head.len() + body_len.min(self.max_send_len);
        let in_pieces = room.patience() != Patience::None && sender.half.streams();
        if min_len <= SHORT_LEN
            && let Some(len) = self.write_short(&mut sender.short, head, fill)?
        {
            return self.send_short(&mut sender, len, room, lead);
        }
        loop {
            self.check()?;
            let SendHalf { half, spill, .. } = &mut *sender;
            let slot = match half.claim(min_len) {
                Ok(slot) => slot,
                Err(SendError::Full) => {
                    self.wait_or_drop(&mut **half, &mut room, lead.as_deref_mut())?;
                    continue;
                }
                Err(e) => return Err(self.send_failed(e, lead)),
            };
            if in_pieces && min_len > slot.len() {
                return self.send_in_pieces(&mut sender, head, fill, room, lead);
            }
            let was_short = slot.len() < SHORT_SLOT_LEN;
            let mut writer = if in_pieces {
                FrameWriter::in_place(slot, self.max_send_len)
            } else {
                FrameWriter::new(slot, self.max_send_len).reusing(spill)
            };
            let written = write(&mut writer, head, self.codec, fill);
            // Also where the value did not mind.
            if writer.outgrown() {
                if was_short && min_len < SHORT_SLOT_LEN {
                    // The claim lay at the end of the ring, or there was little room.
                    min_len = SHORT_SLOT_LEN;
                    continue;
                }
                return self.send_in_pieces(&mut sender, head, fill, room, lead);
            }
            if let Err(e) = written {
                // The claim is not committed, so nothing of it is ever seen.
                return Err(self.too_large(&writer).unwrap_or(e));
            }
            if let Some(e) = self.too_large(&writer) {
                return Err(e);
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

    /// Writes a message aside: its length, or `None` if it turns out to be no short one.
    #[inline]
    fn write_short(
        &self,
        short: &mut [u8; SHORT_LEN],
        head: &Head<'_>,
        fill: Fill<'_>,
    ) -> Result<Option<usize>, SendError> {
        let mut writer = FrameWriter::in_place(short, self.max_send_len);
        let written = write(&mut writer, head, self.codec, fill);
        if writer.outgrown() {
            return Ok(None);
        }
        if let Some(e) = self.too_large(&writer) {
            return Err(e);
        }
        written.map(|()| Some(writer.written()))
    }

    /// Sends the first `len` bytes of what was written aside.
    #[inline]
    fn send_short(
        &self,
        sender: &mut SendHalf,
        len: usize,
        mut room: Room,
        mut lead: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        let SendHalf { half, short, .. } = sender;
        let message = &short[..len];
        loop {
            self.check()?;
            match half.claim(len) {
                Ok(slot) => {
                    put_whole(slot, message);
                    half.commit(len);
                    // The peer may have seen it whatever `flush` says; whoever reads finds the end.
                    let _ = half.flush();
                    return Ok(());
                }
                Err(SendError::Full) => {
                    self.wait_or_drop(&mut **half, &mut room, lead.as_deref_mut())?;
                }
                Err(e) => return Err(self.send_failed(e, lead)),
            }
        }
    }

    /// Waits for room; a message for which there is none is counted.
    fn wait_or_drop(
        &self,
        half: &mut dyn Sender,
        room: &mut Room,
        lead: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        let waited = self.wait_for_room(half, room, lead);
        if let Err(SendError::Full) = waited {
            half.count_drop();
        }
        waited
    }

    /// Sends a call's message.
    #[inline(always)]
    pub(super) fn send_outgoing(
        &self,
        sender: SenderGuard<'_>,
        head: &Head<'_>,
        message: &mut Outgoing<'_, '_>,
        room: Room,
        lead: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        match &message.pages {
            None => {
                let (len, fill) = (message.body_len, &mut *message.fill);
                self.send_message(sender, head, len, fill, room, lead)?;
            }
            Some(pages) => self.send_with_pages(sender, head, &**pages, room, lead)?,
        }
        if let Some(brought) = message.brings {
            brought.sent();
        }
        Ok(())
    }

    /// Sends a message whose body is handed over if the transport can do that, and copied if not.
    #[cold]
    fn send_with_pages(
        &self,
        mut sender: SenderGuard<'_>,
        head: &Head<'_>,
        pages: &dyn Pages,
        mut room: Room,
        mut lead: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        let body = pages.bytes();
        let len = head.len() + body.len();
        if len > self.max_send_len {
            return Err(SendError::TooLarge { len, max: self.max_send_len });
        }
        let before = [&head.to_bytes()[..], head.name.as_bytes(), head.extension.bytes()].concat();
        loop {
            self.check()?;
            match sender.half.hand_over(&before, pages) {
                Ok(true) => {
                    // The peer may have seen it whatever `flush` says; whoever reads finds the end.
                    let _ = sender.half.flush();
                    return Ok(());
                }
                Ok(false) => break,
                Err(SendError::Full) => {
                    self.wait_for_room(&mut *sender.half, &mut room, lead.as_deref_mut())?;
                }
                Err(e) => return Err(self.send_failed(e, lead)),
            }
        }
        let fill: Fill<'_> = &mut |_, out| out.put(body).map_err(|e| EncodeError::new("raw", e));
        self.send_message(sender, head, body.len(), fill, room, lead)
    }

    #[inline(always)]
    fn send_as_it_is(
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

    #[cold]
    fn send_in_shadow(
        &self,
        shadow: &LinkShadow,
        head: &Head<'_>,
        body_len: usize,
        fill: Fill<'_>,
        patience: Patience,
    ) -> Result<(), SendError> {
        match shadow.outgoing(head, self.max_send_len, fill) {
            None => self.send_as_it_is(head, body_len, fill, patience),
            Some(seen) => self.send_as_it_is(head, seen.len(), &mut put_bytes(&seen), patience),
        }
    }

    /// Sends a message that is larger than a frame while it is being written: what fills the room
    /// goes, and a long run of bytes goes without touching it.
    fn send_in_pieces(
        &self,
        sender: &mut SendHalf,
        head: &Head<'_>,
        fill: Fill<'_>,
        room: Room,
        lead: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        let SendHalf { half, spill, .. } = sender;
        if spill.len() < PIECE_LEN {
            spill.resize(PIECE_LEN, 0);
        }
        let half = &mut **half;
        let mut pieces = LinkPieces { link: self, half, room, lead, begun: false, failed: None };
        let memory = &mut spill[..PIECE_LEN];
        let mut writer = FrameWriter::in_pieces(memory, self.max_send_len, &mut pieces);
        let written = write(&mut writer, head, self.codec, fill);
        let too_large = self.too_large(&writer);
        let written = match written {
            Ok(()) => {
                writer.finish_pieces().map_err(|e| SendError::Encode(EncodeError::new("", e)))
            }
            Err(e) => {
                drop(writer);
                Err(e)
            }
        };
        match (pieces.failed.take(), written) {
            (Some(e), _) => {
                pieces.abandon()?;
                Err(e)
            }
            (None, Ok(())) if too_large.is_none() => {
                pieces.begun = false;
                let _ = pieces.half.flush();
                Ok(())
            }
            (None, written) => {
                pieces.abandon()?;
                Err(too_large.or(written.err()).unwrap_or(SendError::Full))
            }
        }
    }

    fn too_large(&self, writer: &FrameWriter<'_>) -> Option<SendError> {
        writer.overflow().map(|len| SendError::TooLarge { len, max: self.max_send_len })
    }

    fn send_spilled(
        &self,
        sender: &mut dyn Sender,
        bytes: &[u8],
        room: &mut Room,
        mut lead: Option<Held<'_>>,
    ) -> Result<(), SendError> {
        if room.patience() == Patience::None && !sender.fits(bytes.len()) {
            sender.count_drop();
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
                    if sent > 0 {
                        room.begun();
                    }
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
                    return Err(self.stalled(e));
                }
            }
        }
    }

    /// Nothing can follow half a message: a link that is full for too long in the middle is over.
    fn stalled(&self, error: SendError) -> SendError {
        match error {
            SendError::Full => {
                let stalled_ms = self.limits.send_timeout_ms;
                self.end(LinkError::Stalled { stalled_ms }).into()
            }
            other => other,
        }
    }

    /// A transport that cannot send may still hold messages that came before the end, among them the
    /// peer's goodbye: they are handed out before the link ends.
    pub(super) fn send_failed(&self, error: SendError, held: Option<Held<'_>>) -> SendError {
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
        // What a dead peer leaves is queued whether the listeners keep up or not. It is one ring at
        // most; the shortest message takes 24 bytes of it and costs 80 here.
        let left = 4 * self.limits.ring_capacity;
        let limit = self.limits.max_queued_len.saturating_add(left);
        // The peer is gone, so this ends; a peer that only says so is not listened to for ever.
        for _ in 0..10_000 {
            match self.drain(receiver, limit) {
                // No message may also mean: not the end of a large one yet. Only a receiver that
                // would sleep has nothing left.
                Ok(0) if self.inbox.cost() >= limit || receiver.arm().is_some() => break,
                Ok(_) => {}
                Err(e) => return self.end(e),
            }
        }
        self.end(error)
    }

    /// Tells the peer that a call's answer is of no use any more. Best effort.
    pub(crate) fn cancel(&self, id: u64) {
        let head = Head::new(Kind::Cancel, BodyKind::Empty, id, "");
        let _ = self.send_bytes(&head, &[], Patience::None);
    }

    /// Sends a call if there is room for it now.
    pub(crate) fn try_send<A: Reply>(&self, head: &Head<'_>, args: &A) -> Result<(), SendError> {
        if let Some(pages) = args.pages() {
            return self.send_pages(head, &*pages, Patience::None);
        }
        let fill: Fill<'_> = &mut |codec, out| args.encode_args(codec, out);
        self.send(head, args.len_hint(), fill, Patience::None)
    }
}

/// Writes a body that is encoded already.
pub(super) fn put_bytes(
    bytes: &[u8],
) -> impl FnMut(AnyCodec, &mut FrameWriter<'_>) -> Result<(), EncodeError> {
    |_, out| out.put(bytes).map_err(|e| EncodeError::new("raw", e))
}

/// Writes head and body.
#[inline(always)]
fn write(
    writer: &mut FrameWriter<'_>,
    head: &Head<'_>,
    codec: AnyCodec,
    fill: Fill<'_>,
) -> Result<(), SendError> {
    let [fixed, id] = head.to_words();
    writer
        .put(&fixed)
        .and_then(|()| writer.put(&id))
        .and_then(|()| writer.put(head.name.as_bytes()))
        .and_then(|()| match head.extension.bytes() {
            [] => Ok(()),
            extension => writer.put(extension),
        })
        .map_err(|e| SendError::Encode(EncodeError::new("envelope", e)))?;
    fill(codec, writer).map_err(|e| refused(writer, head, e))
}

#[cold]
fn refused(writer: &FrameWriter<'_>, head: &Head<'_>, error: EncodeError) -> SendError {
    // What outgrew its claim is written once more: nobody reads this.
    let told = if writer.outgrown() { error } else { error.in_message(head.kind, head.name) };
    SendError::Encode(told)
}

/// The way of a message that goes while it is being written.
struct LinkPieces<'a, 'l> {
    link: &'a Link,
    half: &'a mut dyn Sender,
    room: Room,
    lead: Option<Held<'l>>,
    /// The peer has a part of it.
    begun: bool,
    failed: Option<SendError>,
}

impl Pieces for LinkPieces<'_, '_> {
    fn send(&mut self, piece: &[u8], last: bool) -> io::Result<()> {
        if self.failed.is_some() {
            // A value that goes on although it was told: nothing of it goes.
            return Err(io::ErrorKind::Other.into());
        }
        self.try_send(piece, last).map_err(|e| {
            self.failed = Some(e);
            io::ErrorKind::Other.into()
        })
    }
}

impl LinkPieces<'_, '_> {
    fn try_send(&mut self, piece: &[u8], last: bool) -> Result<(), SendError> {
        let mut sent = 0;
        loop {
            self.link.check()?;
            let before = sent;
            match self.half.send_piece(piece, &mut sent, last) {
                Ok(()) => {
                    self.begun = true;
                    // A peer that reads, however slowly, is not stalled.
                    self.room.restart();
                    return Ok(());
                }
                Err(SendError::Full) => {
                    self.begun |= sent > 0;
                    if sent > before {
                        self.room.restart();
                    }
                    let lead = self.lead.as_deref_mut();
                    self.link.wait_for_room(self.half, &mut self.room, lead)?;
                }
                Err(e) => return Err(self.link.send_failed(e, self.lead.as_deref_mut())),
            }
        }
    }

    /// Tells the peer that the rest will not come. There is always room for that.
    fn abandon(&mut self) -> Result<(), SendError> {
        if !std::mem::take(&mut self.begun) {
            return Ok(());
        }
        self.half.abandon().map_err(|e| {
            self.link.half_sent.store(true, Ordering::Relaxed);
            match e {
                SendError::Link(_) => self.link.send_failed(e, self.lead.as_deref_mut()),
                e => self.link.stalled(e),
            }
        })
    }
}

impl Drop for LinkPieces<'_, '_> {
    /// Also when code of the user's panicked while it wrote.
    fn drop(&mut self) {
        // What went wrong has ended the link.
        let _ = self.abandon();
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
        self.leaving.pass(head, || match self.shadow() {
            None => self.send_as_it_is(head, body_len, fill, patience),
            Some(shadow) => self.send_in_shadow(shadow, head, body_len, fill, patience),
        })
    }

    /// Nothing to compare: these are no other bytes as JSON, and were looked at when they were
    /// encoded.
    fn send_bytes(
        &self,
        head: &Head<'_>,
        body: &[u8],
        patience: Patience,
    ) -> Result<(), SendError> {
        self.leaving
            .pass(head, || self.send_as_it_is(head, body.len(), &mut put_bytes(body), patience))
    }

    fn send_pages(
        &self,
        head: &Head<'_>,
        pages: &dyn Pages,
        patience: Patience,
    ) -> Result<(), SendError> {
        self.leaving.pass(head, || {
            let sender = match patience {
                Patience::SendTimeout => self.lock_sender(),
                // Another thread may hold the sender while it waits for room.
                Patience::None => self.try_sender().ok_or(SendError::Full)?,
            };
            let room = Room::new(patience, &self.limits, None);
            if let Some(shadow) = self.shadow() {
                shadow.passed(head);
            }
            self.send_with_pages(sender, head, pages, room, None)
        })
    }

    fn send_later(&self, message: Later) {
        let Some(link) = self.me.upgrade() else { return };
        // A thread of its own would have waited here, reading no more calls.
        let held = link.shares_thread.load(Ordering::Relaxed).then(|| Running::hold_calls(&link));
        blocking::unblock(move || {
            let Later { kind, body_kind, id, name, body } = message;
            let head = Head::new(kind, body_kind, id, name);
            if let Err(SendError::Full) = send_body(&*link, &head, &body, Patience::SendTimeout) {
                // An answer cannot be dropped: the caller would wait for ever.
                link.close_stalled();
            }
            drop(held);
        })
        .detach();
    }

    fn peer_listens(&self, event: &str) -> bool {
        self.peer_listens.has(event)
    }

    fn peer_targets(&self, event: &str) -> Targets {
        self.peer_listens.targets(event)
    }

    fn channels(&self) -> Option<&Channels> {
        Some(&self.channels)
    }

    fn someone_waits(&self) {
        if let Some(link) = self.me.upgrade() {
            link.task_added();
        }
    }

    fn elsewhere(&self, work: Work) -> Working {
        Box::pin(blocking::unblock(work))
    }

    fn close(&self, reason: LinkError) {
        Link::close(self, reason);
    }

    fn cut_off(&self, reason: LinkError) {
        self.end_at_once(reason);
    }

    fn close_stalled(&self) {
        Link::close(self, LinkError::Stalled { stalled_ms: self.limits.send_timeout_ms });
    }
}
