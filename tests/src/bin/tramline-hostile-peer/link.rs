//! An open link, by hand: records written word by word, and the other side's records read.
//! `docs/WIRE-FORMAT.md` sections 2.4 and 3.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use tramline_core::envelope::{BodyKind, Envelope, Head, Kind};
use tramline_core::session::Hello;
use tramline_core::{AnyCodec, Limits};
use tramline_tests::PATIENCE;
use tramline_tests::raw::greeting;

use crate::mapping::Mapping;
use crate::meeting::{
    CAPACITY, HALF, HEADER_LEN, READY, Segment, Socket, exchange_hellos, kind, message, nonce,
    offer, their_offer,
};

/// Offsets of words in a segment.
pub(crate) mod at {
    pub(crate) const HEAD: usize = 0x080;
    pub(crate) const RX_PARK: usize = 0x100;
    pub(crate) const TX_PARK: usize = 0x104;
    pub(crate) const DATA_BELL: usize = 0x180;
    pub(crate) const SPACE_BELL: usize = 0x184;
    pub(crate) const STATE: usize = 0x200;
    /// Counters: records, bytes, parks, wakes, full waits.
    pub(crate) const RECORDS: usize = 0x280;
    pub(crate) const WAKES: usize = 0x298;
    pub(crate) const RING: usize = 0x1000;
}

/// Kinds of records.
pub(crate) mod record {
    pub(crate) const DATA: u8 = 1;
    pub(crate) const FIRST: u8 = 2;
    pub(crate) const MIDDLE: u8 = 3;
    pub(crate) const LAST: u8 = 4;
    pub(crate) const PAD: u8 = 5;
    pub(crate) const CLOSE: u8 = 8;
    pub(crate) const ABANDON: u8 = 9;
}

const RING_LEN: usize = 1 << 16;
const _: () = assert!(RING_LEN as u64 == CAPACITY && at::RING as u64 == HEADER_LEN);
/// Largest payload of one record.
pub(crate) const MAX_FRAME: usize = RING_LEN / 8;

/// How long to look away while nothing comes. A choice: costs neither side much.
const NAP: Duration = Duration::from_micros(50);

pub(crate) fn footprint(len: usize) -> usize {
    8 + len.next_multiple_of(8)
}

/// Any header word.
pub(crate) fn header(kind: u8, flags: u8, len: u32, seq: u16) -> u64 {
    u64::from(len) | (u64::from(kind) << 32) | (u64::from(flags) << 40) | (u64::from(seq) << 48)
}

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) kind: Kind,
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) body: Vec<u8>,
}

/// One end of a link, in a process that keeps no rule it does not want to keep.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: Socket,
    pub(crate) own: Arc<Mapping>,
    /// Our segment's descriptor.
    pub(crate) own_file: OwnedFd,
    pub(crate) theirs: Mapping,
    /// Their segment's descriptor.
    pub(crate) their_file: OwnedFd,
    their_len: usize,
    /// Bytes written, and the number of the next record.
    pub(crate) tail: u64,
    pub(crate) number: u64,
    /// Bytes read of their ring.
    pub(crate) head: u64,
    next_id: u64,
    /// Their park word that was last answered on the socket.
    rung: AtomicU64,
}

impl Link {
    /// Opens the memory over a greeted socket.
    pub(crate) fn over(socket: Socket) -> Self {
        Self::over_with(socket, |_| {})
    }

    /// As [`over`](Self::over), with a segment that is not quite as it should be.
    pub(crate) fn over_with(socket: Socket, change: impl FnOnce(&mut Segment)) -> Self {
        let nonce = nonce(HALF, &exchange_hellos(&socket, HALF));
        let mut segment = Segment::good(nonce);
        change(&mut segment);
        let (own_file, own) = segment.make().expect("a segment");
        socket.send_with(&offer(segment.len, CAPACITY, nonce), &[own_file.as_fd()]);
        let theirs = their_offer(&socket);
        socket.send(&message(READY, &[]));
        let ready = socket.message().expect("an answer");
        assert_eq!(kind(&ready), READY, "the other side took the segment");
        let len = usize::try_from(theirs.len).expect("64 bits");
        Self {
            socket,
            own: Arc::new(own.expect("a small segment")),
            own_file,
            theirs: Mapping::of_theirs(theirs.file.as_fd(), len).expect("their segment"),
            their_file: theirs.file,
            their_len: usize::try_from(theirs.capacity).expect("64 bits"),
            tail: 0,
            number: 0,
            head: 0,
            next_id: 1,
            rung: AtomicU64::new(0),
        }
    }

    /// A client that has said hello under this label, with JSON as its codec.
    pub(crate) fn open(name: &str, label: &str) -> Self {
        Self::open_as(name, label, AnyCodec::JSON)
    }

    pub(crate) fn open_as(name: &str, label: &str, codec: AnyCodec) -> Self {
        let mut link = Self::over(Socket::greeted(name));
        link.say_hello(label, codec);
        link
    }

    pub(crate) fn say_hello(&mut self, label: &str, codec: AnyCodec) {
        assert!(self.try_hello(label, codec), "a hello");
    }

    /// Says hello: false if it is not answered by one.
    pub(crate) fn try_hello(&mut self, label: &str, codec: AnyCodec) -> bool {
        let hello = Hello::new(codec, &Limits::default(), Some(label.into()), Vec::new());
        self.message(&hello.to_frame())
            && self.receive().is_some_and(|answer| Hello::read(&answer).is_ok())
    }

    /// A server that has accepted one client and answered its hello.
    pub(crate) fn accept(listener: &UnixListener) -> Self {
        let mut link = Self::accept_silent(listener);
        let hello = Hello::read(&link.receive().expect("a hello")).expect("a hello");
        link.message(&hello.to_frame());
        link
    }

    /// As [`accept`](Self::accept), without reading or answering the hello.
    pub(crate) fn accept_silent(listener: &UnixListener) -> Self {
        let socket = Socket::accept(listener);
        assert!(socket.fill(&mut [0; 8]), "a greeting");
        socket.send(&greeting(2));
        Self::over(socket)
    }

    /// Where the next record goes.
    pub(crate) fn offset(&self) -> usize {
        usize::try_from(self.tail % CAPACITY).expect("small")
    }

    /// Bytes from there to the ring's end.
    pub(crate) fn to_end(&self) -> usize {
        RING_LEN - self.offset()
    }

    /// The sequence number that the next record has to have.
    pub(crate) fn seq(&self) -> u16 {
        u16::try_from((self.number + 1) & 0xFFFF).expect("16 bits")
    }

    /// Writes a header word at the current position, without moving on, and wakes the other side.
    pub(crate) fn put_header(&self, word: u64) {
        self.own.store64(at::RING + self.offset(), word);
        self.wake();
    }

    /// Wakes whoever sleeps for data of ours.
    pub(crate) fn wake(&self) {
        self.own.ring(at::DATA_BELL);
        // Behind the record, before their park word: as every writer has to (P3).
        fence(Ordering::SeqCst);
        // The lower half; `tx_park` is the upper one.
        let park = self.theirs.load64(at::RX_PARK) & u64::from(u32::MAX);
        // Asleep on the socket: one byte for each time they say so.
        if park & 3 == 3 && self.rung.swap(park, Ordering::Relaxed) != park {
            self.socket.ring();
        }
    }

    /// Writes payload and the zero behind it; the header is still missing.
    pub(crate) fn put_payload(&self, payload: &[u8]) {
        let at = at::RING + self.offset();
        self.own.write(at + 8, payload);
        let next = (self.offset() + footprint(payload.len())) % RING_LEN;
        self.own.store64(at::RING + next, 0);
    }

    /// Writes one good record, with padding before it where that is needed. Waits for room.
    pub(crate) fn record(&mut self, kind: u8, payload: &[u8]) {
        assert!(self.try_record(kind, payload), "the other side hung up");
    }

    /// As [`record`](Self::record): false if the other side hung up before there was room.
    pub(crate) fn try_record(&mut self, kind: u8, payload: &[u8]) -> bool {
        let need = footprint(payload.len());
        let pad = if need > self.to_end() { self.to_end() } else { 0 };
        if !self.wait(|link| link.free() >= pad + need) {
            return false;
        }
        if pad != 0 {
            self.write_record(record::PAD, &vec![0; pad - 8]);
        }
        self.write_record(kind, payload);
        true
    }

    fn write_record(&mut self, kind: u8, payload: &[u8]) {
        self.put_payload(payload);
        let len = u32::try_from(payload.len()).expect("small");
        self.put_header(header(kind, 0, len, self.seq()));
        self.tail += footprint(payload.len()) as u64;
        self.number += 1;
    }

    /// Bytes that the other side's `head` leaves free.
    pub(crate) fn free(&self) -> usize {
        let used = self.tail - self.theirs.load64(at::HEAD);
        (RING_LEN - 8).saturating_sub(usize::try_from(used).expect("64 bits"))
    }

    /// Sends one message, in fragments if it is large: false if the other side hung up.
    pub(crate) fn message(&mut self, message: &[u8]) -> bool {
        if message.len() <= MAX_FRAME {
            return self.try_record(record::DATA, message);
        }
        let chunks = message.len().div_ceil(MAX_FRAME);
        message.chunks(MAX_FRAME).enumerate().all(|(index, chunk)| {
            let kind = match index {
                0 => record::FIRST,
                _ if index + 1 == chunks => record::LAST,
                _ => record::MIDDLE,
            };
            self.try_record(kind, chunk)
        })
    }

    /// Naps until `ready`: false if the other side hung up.
    ///
    /// # Panics
    ///
    /// If neither happens within [`PATIENCE`].
    pub(crate) fn wait(&self, mut ready: impl FnMut(&Self) -> bool) -> bool {
        let started = Instant::now();
        while !ready(self) {
            if self.socket.is_hung_up() {
                return ready(self);
            }
            assert!(started.elapsed() < PATIENCE, "nothing happens");
            thread::park_timeout(NAP);
        }
        true
    }

    /// The next message of the other side, if it is there.
    pub(crate) fn poll(&mut self) -> Option<Vec<u8>> {
        let (mut kind, mut whole) = self.take_record()?;
        while !matches!(kind, record::DATA | record::LAST) {
            // The rest of a message follows, or what stands behind padding.
            if !self.wait(|link| link.their_header() != 0) {
                return None;
            }
            let part;
            (kind, part) = self.take_record()?;
            whole.extend(part);
        }
        Some(whole)
    }

    /// The header at our position in their ring.
    fn their_header(&self) -> u64 {
        self.theirs.load64(at::RING + self.their_offset())
    }

    fn their_offset(&self) -> usize {
        usize::try_from(self.head).expect("64 bits") % self.their_len
    }

    /// Kind and payload of their next record; padding has none.
    fn take_record(&mut self) -> Option<(u8, Vec<u8>)> {
        let word = self.their_header();
        if word == 0 {
            return None;
        }
        let (len, kind) =
            (usize::try_from(word & 0xFFFF_FFFF).expect("64 bits"), word.to_le_bytes()[4]);
        let payload_len = if kind == record::PAD { 0 } else { len };
        let payload = self.theirs.read(at::RING + self.their_offset() + 8, payload_len);
        self.publish_head(self.head + footprint(len) as u64);
        Some((kind, payload))
    }

    fn publish_head(&mut self, head: u64) {
        self.head = head;
        self.own.store64(at::HEAD, head);
        self.own.ring(at::SPACE_BELL);
    }

    /// The next message of the other side; `None` if it hangs up.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let mut message = None;
        let started = Instant::now();
        while message.is_none() {
            let over = self.socket.is_hung_up();
            message = self.poll();
            if message.is_none() {
                if over {
                    return None;
                }
                assert!(started.elapsed() < PATIENCE, "nothing comes");
                thread::park_timeout(NAP);
            }
        }
        message
    }

    /// Sends a request and gives its id: `None` if the other side hung up.
    pub(crate) fn request(&mut self, name: &str, body: BodyKind, bytes: &[u8]) -> Option<u64> {
        let id = self.next_id;
        self.next_id += 1;
        let head = Head::new(Kind::Request, body, id, name);
        self.message(&frame(&head, bytes)).then_some(id)
    }

    /// The next answer; other messages are passed over. `None` if the other side hangs up.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = read_answer(&self.receive()?) {
                return Some(answer);
            }
        }
    }

    /// The next answer, if it is there.
    pub(crate) fn poll_answer(&mut self) -> Option<Answer> {
        let message = self.poll()?;
        read_answer(&message)
    }

    /// Calls a command and waits for its answer; `None` if the other side hangs up.
    pub(crate) fn call(&mut self, name: &str, body: &[u8]) -> Option<Answer> {
        let id = self.request(name, BodyKind::Structured, body)?;
        let answer = self.answer()?;
        assert_eq!(answer.id, id, "one call at a time");
        Some(answer)
    }

    /// Makes the call that shows that a link works.
    pub(crate) fn add(&mut self) -> bool {
        self.call("add", br#"{"a":1,"b":1}"#).is_some_and(|answer| answer.body == b"2")
    }

    /// Waits until the other side hangs up.
    pub(crate) fn until_hung_up(&self) {
        self.socket.until_hung_up();
    }
}

/// A message of its head and body.
pub(crate) fn frame(head: &Head<'_>, body: &[u8]) -> Vec<u8> {
    [&head.to_bytes()[..], head.name.as_bytes(), body].concat()
}

fn read_answer(message: &[u8]) -> Option<Answer> {
    let message = Envelope::parse(message).expect("an honest message");
    let Head { kind, id, name, .. } = message.head;
    matches!(kind, Kind::Response | Kind::Error).then(|| Answer {
        kind,
        id,
        name: name.to_owned(),
        body: message.body.to_vec(),
    })
}
