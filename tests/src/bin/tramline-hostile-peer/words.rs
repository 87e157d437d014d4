//! Attacks by the words beside the ring, and by the control socket.

use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use rustix::fs::{FallocateFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use tramline_core::AnyCodec;
use tramline_core::envelope::BodyKind;

use crate::link::{Link, at, record};
use crate::mapping::Mapping;
use crate::meeting::Socket;
use crate::stage::Stage;

/// How many bytes each answer of `raw_result` has in these attacks: a few fill a ring.
const ANSWER_LEN: &[u8] = br#"{"len":4000}"#;

/// Asks for an answer without reading it; false if the other side hung up.
fn ask(link: &mut Link) -> bool {
    link.request("raw_result", BodyKind::Structured, ANSWER_LEN).is_some()
}

/// Asks for answers, with another lie about `head` before each, until the other side looks at it
/// and hangs up.
fn lie_about_head(link: &mut Link, mut lie: impl FnMut(u64) -> u64) {
    let mut head = link.head;
    loop {
        head = lie(head);
        link.own.store64(at::HEAD, head);
        if !ask(link) || link.socket.is_hung_up() {
            break;
        }
    }
    link.until_hung_up();
}

pub(crate) fn head_back(stage: &Stage) {
    for (variant, by) in [("by 8 bytes", 8), ("to the start", u64::MAX)] {
        stage.variant(variant, || {
            let mut link = Link::open(&stage.name, variant);
            // Read for more than a lap, so that the other side has seen our `head` move.
            for _ in 0..40 {
                assert!(ask(&mut link));
                assert!(link.answer().is_some());
            }
            // A step back whose start the other side has not seen is none: so again and again.
            lie_about_head(&mut link, |head| head.saturating_sub(by));
        });
    }
}

/// What is said instead of the true `head`.
pub(crate) type Lie = fn(u64) -> u64;

pub(crate) fn head_beyond(stage: &Stage) {
    let lies: [(&str, Lie); 4] = [
        ("by many laps", |head| head + (1 << 20)),
        ("no multiple of 8", |head| head | 4),
        ("half of all numbers", |_| 1 << 63),
        ("the largest number", |_| u64::MAX),
    ];
    for (variant, lie) in lies {
        stage.variant(variant, || {
            let mut link = Link::open(&stage.name, variant);
            assert!(link.add());
            lie_about_head(&mut link, lie);
        });
    }
}

pub(crate) fn lying_state(stage: &Stage) {
    for state in [0, 1, 2, 3, 4, 5, u32::MAX] {
        let variant = format!("state {state}");
        stage.variant(&variant, || {
            let mut link = Link::open(&stage.name, &variant);
            link.own.store32(at::STATE, state);
            link.wake();
            for _ in 0..20 {
                assert!(link.add(), "the other side goes by the socket");
            }
        });
    }
}

pub(crate) fn park_toggler(stage: &Stage) {
    const CALLS: u32 = 500;
    let counted = |link: &Link, epochs: u32, before: (u64, u64)| {
        let records = link.theirs.load64(at::RECORDS) - before.0;
        let wakes = link.theirs.load64(at::WAKES) - before.1;
        stage.fact(format_args!("{epochs} epochs"));
        stage.fact(format_args!("{records} records"));
        stage.fact(format_args!("{wakes} wakes"));
    };
    let counters = |link: &Link| (link.theirs.load64(at::RECORDS), link.theirs.load64(at::WAKES));
    stage.variant("one epoch for all calls", || {
        let mut link = Link::open(&stage.name, "one epoch for all calls");
        let before = counters(&link);
        link.own.store32(at::RX_PARK, (1 << 2) | 1);
        link.own.store32(at::TX_PARK, (1 << 2) | 1);
        for _ in 0..CALLS {
            assert!(link.add());
        }
        counted(&link, 2, before);
    });
    stage.variant("an epoch for each call", || {
        let mut link = Link::open(&stage.name, "an epoch for each call");
        let before = counters(&link);
        for epoch in 1..=CALLS {
            link.own.store32(at::RX_PARK, (epoch << 2) | 1);
            assert!(link.add());
        }
        counted(&link, CALLS, before);
    });
    stage.variant("epochs without end", || {
        let mut link = Link::open(&stage.name, "epochs without end");
        let before = counters(&link);
        let own = Arc::clone(&link.own);
        let (over, epochs) = (AtomicBool::new(false), AtomicU32::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let epoch = epochs.fetch_add(1, Ordering::Relaxed) + 1;
                    own.store32(at::RX_PARK, (epoch << 2) | 1);
                }
            });
            let served = (0..CALLS).all(|_| link.add());
            over.store(true, Ordering::Relaxed);
            assert!(served);
        });
        counted(&link, epochs.load(Ordering::Relaxed), before);
    });
}

/// Rings without a reason, from several threads, while good calls go on.
pub(crate) fn bell_ringer(stage: &Stage) {
    stage.variant("both bells", || {
        let mut link = Link::open(&stage.name, "both bells");
        let own = Arc::clone(&link.own);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for bell in [at::DATA_BELL, at::SPACE_BELL] {
                let (own, over) = (&own, &over);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        own.ring(bell);
                    }
                });
            }
            let served = (0..500).all(|_| link.add());
            over.store(true, Ordering::Relaxed);
            assert!(served);
        });
    });
}

pub(crate) fn doorbell_storm(stage: &Stage) {
    let storm = |variant: &str, act: &dyn Fn(&Link)| {
        stage.variant(variant, || {
            let mut link = Link::open(&stage.name, variant);
            assert!(link.add());
            act(&link);
            link.until_hung_up();
        });
    };
    storm("one byte", &|link| {
        link.socket.send(&[1]);
    });
    storm("many bytes", &|link| while link.socket.send(&[1; 64]) {});
    storm("one urgent byte", &|link| link.socket.send_urgent());
    storm("a byte and an urgent one", &|link| {
        link.socket.send(&[1]);
        link.socket.send_urgent();
    });
    storm("a descriptor", &|link| {
        link.socket.send_with(&[1], &[link.own_file.as_fd()]);
    });
    storm("descriptors without end", &|link| {
        let files = [link.own_file.as_fd(); 253];
        while link.socket.send_with(&[1], &files) {}
    });
}

/// What a side that sleeps on the socket is not meant to hear there.
pub(crate) fn doorbell_flood(stage: &Stage) {
    let flood = |variant: &str, act: &dyn Fn(&Link)| {
        stage.variant(variant, || {
            let mut link = Link::open(&stage.name, variant);
            assert!(link.add());
            act(&link);
            link.until_hung_up();
        });
    };
    flood("rings without end", &|link| while link.socket.send(&[1; 64]) {});
    flood("single rings without end", &|link| while link.socket.send(&[1]) {});
    flood("another byte", &|link| {
        link.socket.send(&[2]);
    });
    flood("another byte behind a ring", &|link| {
        link.socket.send(&[1, 0]);
    });
    flood("rings with descriptors without end", &|link| {
        let files = [link.own_file.as_fd(); 10];
        while link.socket.send_with(&[1], &files) {}
    });
    flood("one urgent byte", &|link| link.socket.send_urgent());
}

pub(crate) fn half_hang_up(stage: &Stage) {
    let shut = |variant: &str, how| {
        stage.variant(variant, || {
            let mut link = Link::open(&stage.name, variant);
            assert!(link.add());
            link.socket.0.shutdown(how).expect("it is open");
        });
    };
    shut("no more writing", Shutdown::Write);
    shut("no more reading", Shutdown::Read);
    shut("neither", Shutdown::Both);
    stage.variant("writing on without a socket", || {
        let mut link = Link::open(&stage.name, "writing on without a socket");
        assert!(link.add());
        link.socket.0.shutdown(Shutdown::Both).expect("it is open");
        // As long as there is room; answered or not.
        let call = [&[3, 1, 3, 0, 0, 0, 0, 0][..], &[9; 8], br#"add{"a":1,"b":1}"#].concat();
        let mut sent = 0;
        while sent < 100_000 && link.free() > 200 {
            link.record(record::DATA, &call);
            sent += 1;
        }
    });
}

/// Says what came of a way to do what must not work.
fn tell(stage: &Stage, route: &str, result: Result<(), Errno>) {
    match result {
        Ok(()) => stage.fact(format_args!("{route}: done")),
        Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => {
            stage.fact(format_args!("{route}: refused"))
        }
        Err(errno) => stage.fact(format_args!("{route}: {errno}")),
    }
}

/// Every route to writing the other side's memory.
pub(crate) fn write_theirs(stage: &Stage) {
    stage.variant("every route", || {
        let mut link = Link::open(&stage.name, "every route");
        let before = link.theirs.read(0, 0x58);
        let file = &link.their_file;
        let tell = |route, result| tell(stage, route, result);
        let reopened = || {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        };
        let written = |result: Result<usize, _>| result.map(drop);
        tell("write", written(rustix::io::write(file, b"x")));
        tell("pwrite", written(rustix::io::pwrite(file, b"x", 0)));
        tell("mmap", Mapping::of_ours(file.as_fd(), 4096).map(drop));
        tell("mprotect", link.theirs.try_make_writable(4096));
        tell("truncate to nothing", rustix::fs::ftruncate(file, 0));
        tell("grow", rustix::fs::ftruncate(file, 1 << 30));
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        tell("punch", rustix::fs::fallocate(file, punch, 0, 4096));
        tell("zero", rustix::fs::fallocate(file, FallocateFlags::ZERO_RANGE, 0, 4096));
        tell("remove", link.theirs.try_remove(4096));
        tell("seal against its writer", rustix::fs::fcntl_add_seals(file, SealFlags::WRITE));
        match reopened() {
            Ok(again) => {
                tell("reopen and pwrite", written(rustix::io::pwrite(&again, b"x", 0)));
                tell("reopen and mmap", Mapping::of_ours(again.as_fd(), 4096).map(drop));
                tell("reopen and truncate", rustix::fs::ftruncate(&again, 0));
            }
            Err(errno) => tell("reopen", Err(errno)),
        }
        assert_eq!(link.theirs.read(0, 0x58), before, "nothing has changed");
        assert!(link.add(), "the link works on");
    });
}

/// Takes memory away that the other side reads.
pub(crate) fn shrink_ours(stage: &Stage) {
    stage.variant("every route", || {
        let mut link = Link::open(&stage.name, "every route");
        let file = &link.own_file;
        let tell = |route, result| tell(stage, route, result);
        tell("truncate to nothing", rustix::fs::ftruncate(file, 0));
        tell("truncate to a page", rustix::fs::ftruncate(file, 4096));
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        tell("punch", rustix::fs::fallocate(file, punch, 0, 1 << 16));
        tell("remove", link.own.try_remove(1 << 16));
        assert!(link.add(), "the link works on");
    });
}

/// Says that it is another process.
pub(crate) fn stated_pid(stage: &Stage) {
    for pid in [0, 1, u64::MAX] {
        let variant = format!("pid {pid}");
        stage.variant(&variant, || {
            let socket = Socket::greeted(&stage.name);
            let mut link = Link::over_with(socket, |segment| {
                segment.header[0x50..0x58].copy_from_slice(&pid.to_le_bytes());
            });
            link.say_hello(&variant, AnyCodec::JSON);
            let answer = link.call("my_pid", b"{}").expect("an answer");
            stage.fact(String::from_utf8_lossy(&answer.body));
        });
    }
}
