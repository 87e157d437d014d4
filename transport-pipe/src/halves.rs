//! The sender, the receiver and the signal of a link.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use tramline_core::transport::{Receiver, Sender, Signal, Ticket, WaitFor};
use tramline_core::{Frame, LinkError, SendError};

use crate::backlog::{BACKLOG_LIMIT, Wrote};
use crate::framing::{Decoder, HEADER_LEN, header};
use crate::link::Owner;
use crate::stream::Moved;
use crate::wake::{Reasons, lock, thread_waker};

#[derive(Debug)]
pub(crate) struct PipeSender {
    link: Arc<Owner>,
    /// `buffer[..committed]` are whole frames; behind them is the claim, after a gap for its
    /// length. All of it is initialised.
    buffer: Vec<u8>,
    committed: usize,
    claimed: usize,
    /// `send_part` ran out of room last: it needs the socket, not only the backlog.
    part_waits: bool,
    max_message_len: usize,
}

impl PipeSender {
    pub(crate) fn new(link: Arc<Owner>, max_message_len: usize) -> Self {
        let buffer = Vec::new();
        Self { link, buffer, committed: 0, claimed: 0, part_waits: false, max_message_len }
    }

    /// Writes what is committed as far as possible and leaves the rest to the flusher.
    /// True if nothing is left.
    fn push_out(&mut self) -> Result<bool, LinkError> {
        self.claimed = 0;
        self.link.over()?;
        let end = std::mem::take(&mut self.committed);
        let mut backlog = lock(&self.link.backlog);
        let mut written = 0;
        if backlog.drain(|bytes| self.link.write(bytes))? {
            while written < end {
                match self.link.write(&self.buffer[written..end]) {
                    Ok(Wrote::Some(len)) => written += len,
                    Ok(Wrote::Full) => break,
                    Err(error) => return Err(backlog.fail(error)),
                }
            }
            if written == end {
                return Ok(true);
            }
        }
        backlog.push_buffer(&mut self.buffer, written, end);
        self.link.flush_later(&mut backlog)?;
        Ok(false)
    }
}

impl Sender for PipeSender {
    fn claim(&mut self, min_len: usize) -> Result<&mut [u8], SendError> {
        self.part_waits = false;
        self.claimed = 0;
        self.link.over()?;
        if self.committed > BACKLOG_LIMIT {
            self.push_out()?;
        }
        {
            let mut backlog = lock(&self.link.backlog);
            if let Some(error) = &backlog.error {
                return Err(error.clone().into());
            }
            if backlog.len() > BACKLOG_LIMIT {
                backlog.drain(|bytes| self.link.write(bytes))?;
                if backlog.len() > BACKLOG_LIMIT {
                    return Err(SendError::Full);
                }
            }
        }
        let len = crate::claim_len(min_len, self.max_message_len);
        let start = self.committed + HEADER_LEN;
        if self.buffer.len() < start + len {
            self.buffer.resize(start + len, 0);
        }
        self.claimed = len;
        Ok(&mut self.buffer[start..start + len])
    }

    fn commit(&mut self, len: usize) {
        assert!(len <= self.claimed, "commit of {len} bytes, claimed are {}", self.claimed);
        self.claimed = 0;
        let start = self.committed + HEADER_LEN;
        let header = header(len).unwrap_or_else(|| unreachable!("a claim is at most 128 KiB"));
        self.buffer[self.committed..start].copy_from_slice(&header);
        self.committed = start + len;
    }

    fn send_part(&mut self, message: &[u8], sent: &mut usize) -> Result<(), SendError> {
        let max = self.max_message_len;
        let too_large = SendError::TooLarge { len: message.len(), max };
        let Some(header) = header(message.len()).filter(|_| message.len() <= max) else {
            return Err(too_large);
        };
        self.part_waits = true;
        if !self.push_out()? {
            return Err(SendError::Full);
        }
        let link = &self.link;
        let mut backlog = lock(&link.backlog);
        if *sent == 0 {
            let len = match link.wrote(link.stream.try_send_both(&header, message)) {
                Ok(Wrote::Some(len)) => len,
                Ok(Wrote::Full) => return Err(SendError::Full),
                Err(error) => return Err(backlog.fail(error).into()),
            };
            if let Some(rest) = header.get(len..).filter(|_| len < HEADER_LEN + message.len()) {
                // The frame has begun, but `sent` may stay 0 only if it has not. So its first byte
                // goes with the rest of the header.
                let kept = if message.len() <= BACKLOG_LIMIT { message.len() } else { 1 };
                backlog.push(rest);
                backlog.push(&message[..kept]);
                *sent = kept;
                link.flush_later(&mut backlog)?;
                self.part_waits = message.len() > kept;
                return if self.part_waits { Err(SendError::Full) } else { Ok(()) };
            }
            *sent = len.saturating_sub(HEADER_LEN);
        }
        while *sent < message.len() {
            match link.write(&message[*sent..]) {
                Ok(Wrote::Some(len)) => *sent += len,
                Ok(Wrote::Full) if message.len() <= BACKLOG_LIMIT => {
                    backlog.push(&message[*sent..]);
                    *sent = message.len();
                    link.flush_later(&mut backlog)?;
                }
                Ok(Wrote::Full) => return Err(SendError::Full),
                Err(error) => return Err(backlog.fail(error).into()),
            }
        }
        self.part_waits = false;
        Ok(())
    }

    /// What is as large as the backlog goes into it when the socket is full; larger messages may
    /// have to wait in the middle.
    fn fits(&mut self, len: usize) -> bool {
        len <= BACKLOG_LIMIT.min(self.max_message_len) && self.push_out().unwrap_or(false)
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        self.push_out().map(|_| ())
    }

    fn arm(&mut self) -> Option<Ticket> {
        let ticket = Ticket(self.link.drained.load(Ordering::SeqCst));
        self.link.over().ok()?;
        let mut backlog = lock(&self.link.backlog);
        let drained = backlog.drain(|bytes| self.link.write(bytes)).ok()?;
        let has_room = if self.part_waits {
            drained && self.link.stream.is_ready(Reasons::ROOM)
        } else {
            backlog.len() <= BACKLOG_LIMIT
        };
        (!has_room).then_some(ticket)
    }

    fn disarm(&mut self) {}
}

#[derive(Debug)]
pub(crate) struct PipeReceiver {
    link: Arc<Owner>,
    decoder: Decoder,
    error: Option<LinkError>,
}

impl PipeReceiver {
    pub(crate) fn new(link: Arc<Owner>, max_message_len: usize) -> Self {
        Self { link, decoder: Decoder::new(max_message_len), error: None }
    }

    /// Takes bytes off the socket; false if there are none now.
    fn read(&mut self) -> Result<bool, LinkError> {
        match self.link.stream.try_recv(self.decoder.space()) {
            Ok(Moved::Ended) => {
                let closed = self.link.closed.load(Ordering::SeqCst);
                Err(if closed { LinkError::Closed } else { LinkError::PeerDied })
            }
            Ok(Moved::Some(len)) => {
                self.decoder.filled(len);
                self.link.received.fetch_add(1, Ordering::SeqCst);
                // Whoever sleeps for data with a ticket from before must look again, for what he
                // waits for may now be in our buffer and no longer in the socket.
                if self.link.waiters.any_for_data() {
                    self.link.waiters.wake(|reasons| reasons.data);
                }
                Ok(true)
            }
            Ok(Moved::Blocked) => Ok(false),
            Err(error) => Err(LinkError::os("reading", &error)),
        }
    }

    /// True if a frame is complete.
    fn advance(&mut self) -> Result<bool, LinkError> {
        loop {
            if self.decoder.advance()? {
                return Ok(true);
            }
            if !self.read()? {
                return Ok(false);
            }
        }
    }
}

impl Receiver for PipeReceiver {
    fn poll(&mut self) -> Result<Option<Frame<'_>>, LinkError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        match self.advance() {
            Ok(true) => Ok(Some(self.decoder.frame())),
            Ok(false) => Ok(None),
            Err(error) => {
                // After a fault there may still be a last word to send; after an end there is not.
                if !matches!(error, LinkError::Fault(_)) {
                    self.link.ended.store(true, Ordering::SeqCst);
                }
                self.link.waiters.wake(|_| true);
                self.error = Some(error.clone());
                Err(error)
            }
        }
    }

    fn spin(&mut self) -> bool {
        // Looking costs a system call, as much as sleeping: there is nothing to gain.
        false
    }

    fn arm(&mut self) -> Option<Ticket> {
        let ticket = Ticket(self.link.received.load(Ordering::SeqCst));
        let has_data = self.error.is_some()
            || self.decoder.has_frame()
            || self.link.stream.is_ready(Reasons::DATA);
        (!has_data).then_some(ticket)
    }

    fn disarm(&mut self) {}
}

#[derive(Debug)]
pub(crate) struct PipeSignal {
    link: Arc<Owner>,
}

impl PipeSignal {
    pub(crate) fn new(link: Arc<Owner>) -> Self {
        Self { link }
    }
}

impl Signal for PipeSignal {
    fn kicks(&self) -> u32 {
        self.link.kicks.load(Ordering::SeqCst)
    }

    fn kick(&self) {
        self.link.kicks.fetch_add(1, Ordering::SeqCst);
        self.link.waiters.wake(|_| true);
    }

    fn wait(&self, wait: WaitFor) {
        let link = &self.link;
        let reasons = Reasons { data: wait.data.is_some(), room: wait.room.is_some() };
        let Ok(waker) = thread_waker() else {
            // Out of descriptors: nobody can wake this thread, so it gives up the processor and
            // looks again. Returning early is allowed.
            return thread::yield_now();
        };
        link.waiters.enter(&waker, reasons);
        let is_old = |ticket: Option<Ticket>, now: &AtomicU32| {
            ticket.is_some_and(|ticket| ticket.0 != now.load(Ordering::SeqCst))
        };
        // Whoever waits for a kick only is kicked by the end, too.
        let is_due = (link.over().is_err() && (reasons.data || reasons.room))
            || self.kicks() != wait.kicks
            || is_old(wait.data, &link.received)
            || is_old(wait.room, &link.drained);
        if !is_due {
            // Who waits for neither leaves the socket alone: a peer that died with data unread
            // would else keep him awake. Whoever reads sees the end and wakes everyone.
            // A failure (no memory) is an early return.
            let _ = link.stream.wait(Some(&waker), reasons, wait.timeout);
        }
        link.waiters.leave(&waker);
    }

    fn close(&self) {
        self.link.close();
    }
}

#[cfg(all(test, unix))] // for `Stream::pair`
mod tests {
    use super::*;
    use crate::{PipeTransport, Stream};
    use tramline_core::{Limits, Transport};

    #[test]
    fn kick_wakes_every_waiter() {
        let (stream, _peer) = Stream::pair().expect("pair");
        let transport = PipeTransport::new(stream, &Limits::default()).expect("limits");
        let signal = PipeSignal::new(transport.share());
        let sleeping = || signal.link.waiters.len();
        thread::scope(|scope| {
            for data in [None, None, Some(Ticket(0)), Some(Ticket(0))] {
                let signal = &signal;
                scope.spawn(move || {
                    let wait = WaitFor { kicks: 0, data, ..WaitFor::default() };
                    while signal.kicks() == 0 {
                        signal.wait(wait);
                    }
                });
            }
            while sleeping() < 4 {
                thread::yield_now();
            }
            signal.kick();
        });
        assert_eq!(sleeping(), 0);
    }

    #[test]
    fn room_ticket_from_before_the_flusher_drained_is_old() {
        let (stream, peer) = Stream::pair().expect("pair");
        let peer = Stream::from_fd(peer).expect("same user");
        let transport = Box::new(PipeTransport::new(stream, &Limits::default()).expect("limits"));
        let mut halves = transport.into_halves();
        loop {
            match halves.sender.claim(60_000) {
                Ok(slot) => slot[0] = 1,
                Err(error) => break assert!(matches!(error, SendError::Full)),
            }
            halves.sender.commit(60_000);
            halves.sender.flush().expect("open");
        }
        let room = halves.sender.arm();
        assert!(room.is_some());
        // The peer takes a backlog and more; from here only the flusher can have written it.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        peer.read_exact(&mut vec![0; BACKLOG_LIMIT], deadline).expect("the flusher goes on");
        halves.signal.wait(WaitFor { room, ..WaitFor::default() });
    }
}
