//! What an outbox says of a message when the link fails beneath it, and what may wait for room.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tramline_core::transport::{Sender, Signal, Ticket, WaitFor};
use tramline_core::{LinkError, SendError};
use tramline_web_link::frames::{Head, PART_LEN, to_page};
use tramline_web_link::{Body, Outbox, OutboxError};

#[derive(Default)]
struct Link {
    is_full: AtomicBool,
    /// The link is found dead when what was written is to be shown to the other end.
    flush_fails: AtomicBool,
    /// But not before more than so many messages were committed.
    flush_fails_above: AtomicU32,
    dead: AtomicBool,
    committed: AtomicU32,
    closed: AtomicBool,
}

struct End(Arc<Link>, Vec<u8>);

impl End {
    fn state(&self) -> Result<(), SendError> {
        if self.0.dead.load(Ordering::Relaxed) {
            Err(SendError::Link(LinkError::PeerDied))
        } else if self.0.is_full.load(Ordering::Relaxed) {
            Err(SendError::Full)
        } else {
            Ok(())
        }
    }
}

impl Sender for End {
    fn claim(&mut self, min_len: usize) -> Result<&mut [u8], SendError> {
        self.state()?;
        self.1.resize(min_len, 0);
        Ok(&mut self.1)
    }

    fn commit(&mut self, _: usize) {
        self.0.committed.fetch_add(1, Ordering::Relaxed);
    }

    fn send_part(&mut self, message: &[u8], sent: &mut usize) -> Result<(), SendError> {
        self.send_piece(message, sent, true)
    }

    fn streams(&self) -> bool {
        true
    }

    fn send_piece(&mut self, piece: &[u8], sent: &mut usize, last: bool) -> Result<(), SendError> {
        self.state()?;
        *sent = piece.len();
        self.0.committed.fetch_add(u32::from(last), Ordering::Relaxed);
        Ok(())
    }

    fn fits(&mut self, _: usize) -> bool {
        true
    }

    fn flush(&mut self) -> Result<(), LinkError> {
        let above = self.0.flush_fails_above.load(Ordering::Relaxed);
        let fails = self.0.flush_fails.load(Ordering::Relaxed)
            && self.0.committed.load(Ordering::Relaxed) > above;
        if fails { Err(LinkError::PeerDied) } else { Ok(()) }
    }

    fn arm(&mut self) -> Option<Ticket> {
        None
    }

    fn disarm(&mut self) {}
}

impl Signal for End {
    fn kicks(&self) -> u32 {
        0
    }

    fn kick(&self) {}

    fn wait(&self, _: WaitFor) {}

    fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }
}

/// A way to send something.
type Way<'a> = dyn Fn(&Outbox) -> Result<(), OutboxError> + 'a;

const MAX_LEN: usize = 256 << 20;

fn outbox() -> (Outbox, Arc<Link>) {
    let link = Arc::new(Link::default());
    let end = || Box::new(End(Arc::clone(&link), Vec::new()));
    (Outbox::new(end(), end(), MAX_LEN, || {}), link)
}

#[test]
fn a_message_that_was_committed_counts_as_sent_when_the_link_dies_beneath_it() {
    let large = vec![0; 100_000];
    let ways: [&Way<'_>; 4] = [
        &|outbox| outbox.send(b"a call", Body::Borrowed(b"small")),
        &|outbox| outbox.send(b"a call", Body::Borrowed(&large)),
        &|outbox| outbox.send_part(b"a call", b"its end", true),
        &|outbox| outbox.send_part(b"", b"its end", true),
    ];
    for send in ways {
        let (outbox, link) = outbox();
        link.flush_fails.store(true, Ordering::Relaxed);
        assert_eq!(send(&outbox), Ok(()), "it may have been read, and must not be sent again");
        assert_eq!(link.committed.load(Ordering::Relaxed), 1);
        assert!(!link.closed.load(Ordering::Relaxed), "what the other end has sent is still read");
        assert_eq!(send(&outbox), Err(OutboxError::Closed));
    }
}

#[test]
fn a_message_of_which_nothing_was_committed_counts_as_not_sent() {
    let (outbox, link) = outbox();
    link.dead.store(true, Ordering::Relaxed);
    assert_eq!(outbox.send(b"a call", Body::Borrowed(b"x")), Err(OutboxError::Closed));
    assert_eq!(link.committed.load(Ordering::Relaxed), 0);
}

#[test]
fn a_long_body_counts_as_sent_only_with_its_last_part() {
    let head = Head::answer(to_page::OK_RAW, 1, 2);
    for (shown, whole) in [(0, Err(OutboxError::Closed)), (1, Ok(()))] {
        let (outbox, link) = outbox();
        link.flush_fails.store(true, Ordering::Relaxed);
        link.flush_fails_above.store(shown, Ordering::Relaxed);
        let body = vec![0; 2 * PART_LEN];
        assert_eq!(outbox.send_long(&head, Body::Owned(body)), whole, "{shown} parts shown");
        assert_eq!(link.committed.load(Ordering::Relaxed), shown + 1);
    }
}

#[test]
fn parts_of_a_long_body_are_no_longer_than_is_said() {
    let (outbox, link) = outbox();
    let head = Head::answer(to_page::OK_RAW, 1, 2);
    outbox.send_long(&head, Body::Owned(vec![0; 3 * PART_LEN])).unwrap();
    assert_eq!(link.committed.load(Ordering::Relaxed), 3);
}

#[test]
fn messages_without_a_body_are_limited_too_for_they_take_memory() {
    let (outbox, link) = outbox();
    link.is_full.store(true, Ordering::Relaxed);
    let mut taken = 0_u32;
    while outbox.send(b"x", Body::Borrowed(&[])).is_ok() {
        taken += 1;
        assert!(taken <= 4 << 20, "as many were to be the most");
    }
    assert!(taken > 1_000_000, "a burst of events has room");
    assert!(outbox.has_overflowed());
    assert!(link.closed.load(Ordering::Relaxed));
}

#[test]
fn who_does_not_read_clogs_the_outbox_until_it_has_read() {
    let (outbox, link) = outbox();
    link.is_full.store(true, Ordering::Relaxed);
    outbox.send(b"x", Body::Borrowed(&[])).unwrap();
    assert!(outbox.is_stuck() && !outbox.is_clogged());
    outbox.send(b"x", Body::Owned(vec![0; 33 << 20])).unwrap();
    assert!(outbox.is_clogged());
    link.is_full.store(false, Ordering::Relaxed);
    assert!(outbox.pump());
    assert!(!outbox.is_stuck() && !outbox.is_clogged());
    assert_eq!(link.committed.load(Ordering::Relaxed), 2);
    assert!(!outbox.has_overflowed());
}
