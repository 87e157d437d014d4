//! Attacks by records: headers and payloads that break a rule of the ring.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Signal, getpid, kill_process};
use tramline_core::envelope::{BodyKind, Kind};
use tramline_tests::random::Random;

use crate::link::{Link, MAX_FRAME, at, footprint, header, record};
use crate::meeting::{CAPACITY, HEADER_LEN};
use crate::stage::Stage;

/// Opens a link, lets `attack` loose on it, and waits for the other side to hang up.
fn ends(stage: &Stage, variant: &str, attack: impl FnOnce(&mut Link)) {
    stage.variant(variant, || {
        let mut link = Link::open(&stage.name, variant);
        assert!(link.add(), "the link works before the attack");
        attack(&mut link);
        link.until_hung_up();
    });
}

pub(crate) fn unknown_kind_or_flag(stage: &Stage) {
    for kind in [0, 6, 7, 9, 15, 0x7F, 0xFF] {
        ends(stage, &format!("kind {kind}"), |link| {
            link.put_header(header(kind, 0, 8, link.seq()));
        });
    }
    for flags in [1, 0x80, 0xFF] {
        ends(stage, &format!("flags {flags}"), |link| {
            link.put_header(header(record::DATA, flags, 8, link.seq()));
        });
    }
}

pub(crate) fn length_beyond(stage: &Stage) {
    let capacity = u32::try_from(CAPACITY).expect("small");
    let frame = u32::try_from(MAX_FRAME).expect("small");
    for len in [frame + 1, capacity - 16, capacity - 8, capacity, capacity + 1, 1 << 31, u32::MAX] {
        ends(stage, &format!("{len} bytes"), |link| {
            link.put_header(header(record::DATA, 0, len, link.seq()));
        });
    }
    ends(stage, "across the end", |link| {
        near_the_end(link);
        let len = u32::try_from(link.to_end()).expect("small");
        link.put_header(header(record::DATA, 0, len, link.seq()));
    });
}

/// Writes good events nobody listens to until less than a frame is left before the ring's end.
fn near_the_end(link: &mut Link) {
    let event = [&[Kind::Event as u8, 2, 1][..], &[0; 13], b"x", &[0; 4000]].concat();
    while link.to_end() > MAX_FRAME / 2 {
        link.record(record::DATA, &event);
    }
    // Read, so that the position is the other side's, too.
    assert!(link.add());
    assert!(link.to_end() <= MAX_FRAME / 2, "not around the end");
}

pub(crate) fn out_of_sequence(stage: &Stage) {
    for (variant, by) in [("replayed", 0xFFFF), ("skipped", 1), ("far off", 0x8000)] {
        ends(stage, variant, |link| {
            link.put_header(header(record::DATA, 0, 8, link.seq().wrapping_add(by)));
        });
    }
    ends(stage, "a lap old", |link| {
        // What stood there one lap ago, payload and all.
        near_the_end(link);
        let old = link.own.load64(at::RING);
        assert_ne!(old, 0, "the first record of the first lap still stands there");
        let len = u32::try_from(link.to_end() - 8).expect("small");
        link.put_header(header(record::PAD, 0, len, link.seq()));
    });
}

pub(crate) fn misplaced_padding(stage: &Stage) {
    for len in [0, 8, 64, 4096] {
        ends(stage, &format!("{len} bytes"), |link| {
            link.put_header(header(record::PAD, 0, len, link.seq()));
        });
    }
    for (variant, by) in [("short of the end", -8_i32), ("odd", -1), ("beyond the end", 8)] {
        ends(stage, variant, |link| {
            near_the_end(link);
            let len = i32::try_from(link.to_end() - 8).expect("small") + by;
            link.put_header(header(record::PAD, 0, len.cast_unsigned(), link.seq()));
        });
    }
}

pub(crate) fn two_paddings(stage: &Stage) {
    ends(stage, "at the end and at the start", |link| {
        near_the_end(link);
        let len = u32::try_from(link.to_end() - 8).expect("small");
        let seq = link.seq();
        link.own.store64(at::RING, header(record::PAD, 0, 64, seq.wrapping_add(1)));
        link.put_header(header(record::PAD, 0, len, seq));
    });
}

pub(crate) fn fragment_order(stage: &Stage) {
    let orders: [(&str, &[(u8, usize)]); 7] = [
        ("middle first", &[(record::MIDDLE, 8)]),
        ("last first", &[(record::LAST, 8)]),
        ("first twice", &[(record::FIRST, 8), (record::FIRST, 8)]),
        ("data inside", &[(record::FIRST, 8), (record::DATA, 8)]),
        ("close inside", &[(record::FIRST, 8), (record::CLOSE, 0)]),
        ("empty first", &[(record::FIRST, 0)]),
        ("empty middle", &[(record::FIRST, 8), (record::MIDDLE, 0)]),
    ];
    for (variant, records) in orders {
        ends(stage, variant, |link| {
            for (kind, len) in records {
                link.try_record(*kind, &vec![0; *len]);
            }
        });
    }
}

pub(crate) fn over_budget(stage: &Stage) {
    for (variant, fragment) in [("large fragments", &[0; MAX_FRAME][..]), ("tiny fragments", &[0])]
    {
        ends(stage, variant, |link| {
            let (mut kind, mut sent) = (record::FIRST, 0);
            while link.try_record(kind, fragment) {
                kind = record::MIDDLE;
                sent += fragment.len();
            }
            stage.fact(format_args!("{sent} bytes"));
        });
    }
}

pub(crate) fn after_close(stage: &Stage) {
    for (variant, kind) in [("data", record::DATA), ("close", record::CLOSE), ("pad", record::PAD)]
    {
        ends(stage, variant, |link| {
            // The second one is there before the first can be seen.
            let (offset, seq) = (link.offset(), link.seq());
            let second = header(kind, 0, 0, seq.wrapping_add(1));
            link.own.store64(at::RING + offset + footprint(0), second);
            link.put_header(header(record::CLOSE, 0, 0, seq));
        });
    }
    ends(stage, "close with payload", |link| {
        link.put_header(header(record::CLOSE, 0, 8, link.seq()));
    });
}

pub(crate) fn flipping_payload(stage: &Stage) {
    for (variant, from) in [("body", 40), ("envelope", 0)] {
        stage.variant(variant, || {
            let mut link = Link::open(&stage.name, variant);
            let (mut seen, mut random) = (Seen::default(), Random::new(7));
            while seen.rounds < 300 && flipping_call(&mut link, from, &mut random, &mut seen) {
                seen.rounds += 1;
            }
            stage.fact(format_args!("{} rounds", seen.rounds));
            stage.fact(format_args!("{} refused", seen.refused));
            stage.fact(format_args!("{} neither", seen.neither));
        });
    }
}

/// What came back for payloads that changed while they were read.
#[derive(Default)]
struct Seen {
    rounds: u32,
    /// Errors with the code that belongs to them.
    refused: u32,
    /// Neither a text nor such an error.
    neither: u32,
}

/// One call whose payload another thread changes from byte `from` on while it is read, and a good
/// one behind it; false when the other side hangs up.
fn flipping_call(link: &mut Link, from: usize, random: &mut Random, seen: &mut Seen) -> bool {
    let body = [br#"{"text":""#.as_slice(), &vec![b'a'; MAX_FRAME - 200], br#""}"#].concat();
    let name = "echo_text";
    let payload_len = 16 + name.len() + body.len();
    // A record never crosses the end: then it begins at the start.
    let start = if footprint(payload_len) > link.to_end() { 0 } else { link.offset() };
    let over = AtomicBool::new(false);
    let seed = random.next_u64();
    // A second handle on the same mapping: the call needs all of the link.
    let own = Arc::clone(&link.own);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random::new(seed);
            let words = u64::try_from((payload_len - from) / 8).expect("small");
            while !over.load(Ordering::Relaxed) {
                let word = usize::try_from(random.below(words)).expect("small");
                let at = at::RING + start + 8 + from + 8 * word;
                own.store64(at, own.load64(at) ^ (1 << random.below(64)));
            }
        });
        let last = link
            .request(name, BodyKind::Structured, &body)
            .and_then(|_| link.request("add", BodyKind::Structured, br#"{"a":1,"b":1}"#));
        let goes_on = last.is_some_and(|last| answers_up_to(link, last, seen));
        over.store(true, Ordering::Relaxed);
        goes_on
    })
}

/// Reads answers up to the one with this id; false when the other side hangs up.
fn answers_up_to(link: &mut Link, last: u64, seen: &mut Seen) -> bool {
    while let Some(answer) = link.answer() {
        if answer.id == last {
            return true;
        }
        let is_text = serde_json::from_slice::<String>(&answer.body).is_ok();
        match answer.kind {
            Kind::Response if is_text => {}
            Kind::Error if is_text && answer.name == "bad-arguments" => seen.refused += 1,
            _ => seen.neither += 1,
        }
    }
    false
}

pub(crate) fn killed_mid_record(stage: &Stage) {
    let die = || {
        kill_process(getpid(), Signal::KILL).expect("it is this process");
    };
    stage.variant("payload without header", || {
        let link = Link::open(&stage.name, "payload without header");
        link.put_payload(&[7; 4096]);
        die();
    });
    stage.variant("later header only", || {
        let link = Link::open(&stage.name, "later header only");
        link.put_payload(&[7; 64]);
        let second = header(record::DATA, 0, 64, link.seq().wrapping_add(1));
        link.own.store64(at::RING + link.offset() + footprint(64), second);
        die();
    });
    stage.variant("first fragment", || {
        let mut link = Link::open(&stage.name, "first fragment");
        link.record(record::FIRST, &[7; 64]);
        die();
    });
    stage.variant("behind a whole call", || {
        let mut link = Link::open(&stage.name, "behind a whole call");
        assert!(link.add());
        link.put_payload(&[7; 4096]);
        link.own.store32(at::RX_PARK, 5);
        link.own.store32(at::TX_PARK, 5);
        die();
    });
}

pub(crate) fn scribbling(stage: &Stage) {
    for seed in 0..12 {
        ends(stage, &format!("seed {seed}"), |link| {
            let mut random = Random::new(seed);
            let len = link.own.len();
            while !link.socket.is_hung_up() {
                for at in (0..len).step_by(8) {
                    link.own.store64(at, any_word(&mut random, link.seq()));
                }
                link.wake();
            }
        });
    }
    // Everything but the ring, while good calls go on: the words alone must not do harm.
    for seed in 0..4 {
        let variant = format!("words only, seed {seed}");
        stage.variant(&variant, || {
            let mut link = Link::open(&stage.name, &variant);
            let mut random = Random::new(100 + seed);
            let header_len = usize::try_from(HEADER_LEN).expect("small");
            for _ in 0..300 {
                for at in (0..header_len).step_by(8).filter(|at| *at != at::HEAD) {
                    link.own.store64(at, random.next_u64());
                }
                if !link.add() {
                    break;
                }
            }
            stage.fact(if link.socket.is_hung_up() { "hung up" } else { "served" });
        });
    }
}

/// Mostly noise; one word in four is a header that gets past the first checks.
fn any_word(random: &mut Random, seq: u16) -> u64 {
    let noise = random.next_u64();
    if noise.is_multiple_of(4) {
        let kind = u8::try_from(random.below(9)).expect("small");
        let len = u32::try_from(random.below(10_000)).expect("small");
        header(kind, 0, len, seq)
    } else {
        noise
    }
}
