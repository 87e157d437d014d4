//! Attacks by the segment that is offered: its descriptor, its numbers, its header.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

use crate::link::Link;
use crate::meeting::{
    CAPACITY, HALF, HELLO, Message, OFFER, READY, REJECT, Segment, Socket, all_seals,
    exchange_hellos, hello, kind, message, nonce, offer, segment_len, their_offer,
};
use crate::stage::Stage;

/// Goes through the handshake with this offer and says READY; tells what the other side answered
/// and waits for it to hang up.
fn offered(stage: &Stage, socket: &Socket, offer: &Message, file: OwnedFd) {
    socket.send_with(offer, &[file.as_fd()]);
    drop(file);
    let _ = their_offer(socket);
    socket.send(&message(READY, &[]));
    match socket.message() {
        Some(answer) if kind(&answer) == REJECT => {
            stage.fact(format_args!("rejected with code {}", answer[12]));
        }
        Some(answer) => stage.fact(format_args!("answered by kind {}", kind(&answer))),
        None => stage.fact("hung up"),
    }
    socket.until_hung_up();
}

/// One variant: an honest offer of whatever `make` makes for this nonce.
fn refused(stage: &Stage, variant: &str, make: impl FnOnce([u8; 16]) -> (Message, OwnedFd)) {
    stage.variant(variant, || {
        let socket = Socket::greeted(&stage.name);
        let nonce = nonce(HALF, &exchange_hellos(&socket, HALF));
        let (offer, file) = make(nonce);
        offered(stage, &socket, &offer, file);
    });
}

fn good_offer(nonce: [u8; 16]) -> Message {
    offer(segment_len(), CAPACITY, nonce)
}

/// A file as [`Segment::make`] makes it, after a change.
fn changed(nonce: [u8; 16], change: impl FnOnce(&mut Segment)) -> OwnedFd {
    let mut segment = Segment::good(nonce);
    change(&mut segment);
    segment.make().expect("a file").0
}

pub(crate) fn descriptor_matrix(stage: &Stage) {
    type Make = fn([u8; 16]) -> OwnedFd;
    let cases: [(&str, Make); 19] = [
        ("regular file", |_| temporary_file(std::env::temp_dir())),
        ("file in shared memory", |_| temporary_file("/dev/shm".into())),
        ("unsealed", |n| changed(n, |s| s.seals = SealFlags::empty())),
        ("no shrink seal", |n| changed(n, |s| s.seals -= SealFlags::SHRINK)),
        ("no grow seal", |n| changed(n, |s| s.seals -= SealFlags::GROW)),
        ("no write seal", |n| changed(n, |s| s.seals -= SealFlags::FUTURE_WRITE)),
        ("no seal seal", |n| changed(n, |s| s.seals -= SealFlags::SEAL)),
        ("sealing not allowed", |n| {
            changed(n, |s| {
                s.flags = MemfdFlags::CLOEXEC;
                s.seals = SealFlags::empty();
            })
        }),
        ("pipe", |_| std::io::pipe().expect("a pipe").0.into()),
        ("socket", |_| UnixStream::pair().expect("a socket pair").0.into()),
        ("directory", |_| File::open("/").expect("a directory").into()),
        ("zero device", |_| File::open("/dev/zero").expect("a device").into()),
        ("null device", |_| File::open("/dev/null").expect("a device").into()),
        ("path only", |_| {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            rustix::fs::open("/", flags, Mode::empty()).expect("a path")
        }),
        ("file of the kernel's", |_| File::open("/proc/self/status").expect("a file").into()),
        ("empty", |_| {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let file = rustix::fs::memfd_create("empty", flags).expect("a file");
            rustix::fs::fcntl_add_seals(&file, all_seals()).expect("seals");
            file
        }),
        ("too small", |n| changed(n, |s| s.len = 4096)),
        ("too large", |n| changed(n, |s| s.len += 1 << 16)),
        ("not a multiple of a page", |n| changed(n, |s| s.len -= 1)),
    ];
    for (variant, make) in cases {
        refused(stage, variant, |nonce| (good_offer(nonce), make(nonce)));
    }
    let flags = MemfdFlags::HUGETLB | MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let huge = Segment { len: 2 << 20, flags, ..Segment::good([0; 16]) };
    match huge.make() {
        Ok((file, _)) => refused(stage, "huge pages", |nonce| {
            let fitting = offer(2 << 20, CAPACITY, nonce);
            (fitting, file)
        }),
        Err(Errno::NOSYS | Errno::INVAL | Errno::NODEV) => eprintln!("no huge pages here"),
        Err(e) => panic!("huge pages: {e}"),
    }
}

/// A file on disk, or in what the system calls shared memory, without a name.
fn temporary_file(folder: std::path::PathBuf) -> OwnedFd {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR).expect("a file");
    rustix::fs::ftruncate(&file, segment_len()).expect("room");
    file
}

pub(crate) fn lying_numbers(stage: &Stage) {
    let len = segment_len();
    let lies = [
        ("capacity 0", len, 0),
        ("capacity 1", len, 1),
        ("no power of two", len, CAPACITY + 1),
        ("half the least capacity", len, CAPACITY / 2),
        ("capacity above the segment", len, CAPACITY * 2),
        ("the largest capacity", len, 1 << 26),
        ("capacity beyond all limits", len, u64::MAX),
        ("length 0", 0, CAPACITY),
        ("length that overflows", u64::MAX, CAPACITY),
        ("length not a multiple of a page", len + 1, CAPACITY),
    ];
    for (variant, len, capacity) in lies {
        refused(stage, variant, |nonce| (offer(len, capacity, nonce), changed(nonce, |_| {})));
        // And with a header that tells the same lie.
        let variant = format!("{variant}, in the header as well");
        refused(stage, &variant, |nonce| {
            let file = changed(nonce, |segment| {
                segment.header[0x10..0x18].copy_from_slice(&len.to_le_bytes());
                segment.header[0x20..0x28].copy_from_slice(&capacity.to_le_bytes());
                if (1..1 << 30).contains(&len) {
                    segment.len = len;
                }
            });
            (offer(len, capacity, nonce), file)
        });
    }
}

pub(crate) fn header_fields(stage: &Stage) {
    let fields = [
        ("magic", 0x00),
        ("layout_version", 0x08),
        ("header_len", 0x0C),
        ("segment_len", 0x10),
        ("ring_off", 0x18),
        ("ring_cap", 0x20),
        ("arena_off", 0x28),
        ("arena_len", 0x30),
        ("byte-order tag", 0x38),
        ("features", 0x3C),
        ("nonce", 0x40),
    ];
    for (index, (field, from)) in fields.iter().enumerate() {
        let to = fields.get(index + 1).map_or(0x50, |(_, next)| *next);
        for at in [*from, to - 1] {
            refused(stage, &format!("{field}, byte {at:#x}"), |nonce| {
                (good_offer(nonce), changed(nonce, |segment| segment.header[at] ^= 0x80))
            });
        }
    }
}

pub(crate) fn sparse(stage: &Stage) {
    for shift in [30, 40] {
        let len = 1_u64 << shift;
        refused(stage, &format!("2^{shift} bytes, offered as less"), |nonce| {
            (good_offer(nonce), changed(nonce, |segment| segment.len = len))
        });
        refused(stage, &format!("2^{shift} bytes, offered as such"), |nonce| {
            (offer(len, CAPACITY, nonce), changed(nonce, |segment| segment.len = len))
        });
        refused(stage, &format!("2^{shift} bytes, with a capacity to match"), |nonce| {
            let file = changed(nonce, |segment| segment.len = len);
            (offer(len, len / 2, nonce), file)
        });
    }
}

pub(crate) fn swapped(stage: &Stage) {
    let other = [9; 16];
    refused(stage, "header", |nonce| (good_offer(nonce), changed(other, |_| {})));
    refused(stage, "offer", |nonce| (good_offer(other), changed(nonce, |_| {})));
    refused(stage, "both", |_| (good_offer(other), changed(other, |_| {})));
}

/// The other side's own memory, offered back to it.
pub(crate) fn their_own(stage: &Stage) {
    stage.variant("of this connection", || {
        let socket = Socket::greeted(&stage.name);
        let nonce = nonce(HALF, &exchange_hellos(&socket, HALF));
        let theirs = their_offer(&socket);
        socket.send_with(&offer(theirs.len, theirs.capacity, nonce), &[theirs.file.as_fd()]);
        socket.send(&message(READY, &[]));
        let answer = socket.message().map_or(0, |answer| kind(&answer));
        stage.fact(format_args!("answered by kind {answer}"));
        socket.until_hung_up();
    });
    stage.variant("of another connection", || {
        let victim = Link::open(&stage.name, "whose memory is taken");
        let stolen: [u8; 16] = victim.theirs.read(0x40, 16).try_into().expect("16 bytes");
        let socket = Socket::greeted(&stage.name);
        // Our half is chosen after theirs is known, so that both make the stolen nonce.
        let theirs = socket.message().expect("a HELLO");
        assert_eq!(kind(&theirs), HELLO);
        socket.send(&hello(nonce(stolen, &theirs)));
        let _ = their_offer(&socket);
        socket.send_with(&good_offer(stolen), &[victim.their_file.as_fd()]);
        socket.send(&message(READY, &[]));
        let answer = socket.message().map_or(0, |answer| kind(&answer));
        stage.fact(format_args!("answered by kind {answer}"));
        // What the one link says is now heard by the other. Nothing that this process could not
        // have passed on by itself, so both may go on.
        let mut link = victim;
        for _ in 0..200 {
            assert!(link.add(), "the first link works on");
        }
    });
}

/// Sends back, byte by byte, whatever comes.
pub(crate) fn mirror(stage: &Stage) {
    stage.variant("mirror", || {
        let socket = Socket::greeted(&stage.name);
        while let Some((message, file)) = socket.message_with_file() {
            let files: Vec<_> = file.iter().map(AsFd::as_fd).collect();
            socket.send_with(&message, &files);
        }
    });
}

/// After a refused segment the same socket goes on as a pipe: what is said there is judged anew.
pub(crate) fn refused_then_pipe(stage: &Stage) {
    for (variant, frame) in [
        ("an honest call", None),
        ("garbage", Some(vec![0xA5; 32])),
        ("a length beyond the limit", Some(u32::MAX.to_le_bytes().to_vec())),
    ] {
        stage.variant(variant, || {
            let socket = Socket::greeted(&stage.name);
            let nonce = nonce(HALF, &exchange_hellos(&socket, HALF));
            let file = changed(nonce, |segment| segment.seals = SealFlags::empty());
            socket.send_with(&good_offer(nonce), &[file.as_fd()]);
            let _ = their_offer(&socket);
            socket.send(&message(READY, &[]));
            assert_eq!(kind(&socket.message().expect("an answer")), REJECT);
            match frame {
                Some(bytes) => {
                    socket.send(&bytes);
                    socket.until_hung_up();
                }
                None => {
                    let mut pipe = tramline_tests::raw::RawPeer::new(socket.0);
                    let sum = crate::messages::call_over_pipe(&mut pipe, variant);
                    stage.fact(format_args!("the sum is {sum}"));
                }
            }
        });
    }
}

/// Another kind of message where OFFER belongs, with a good file all the same.
pub(crate) fn not_an_offer(kind: u32, nonce: [u8; 16]) -> Message {
    let mut message = good_offer(nonce);
    message[8..12].copy_from_slice(&kind.to_le_bytes());
    debug_assert_ne!(kind, OFFER);
    message
}
