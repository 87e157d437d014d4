//! The handshake, against peers that do not play by the rules.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod kit;

use std::ffi::c_void;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use kit::{
    CAPACITY, HELLO, OFFER, READY, REJECT, against, all_seals, file, hello, limits, message,
    nonce_with, offer, offer_segment, read, read_with_file, sealed, segment_len, send_with, start,
};
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use tramline_core::{ConnectError, LinkError};
use tramline_transport_shm::{Established, unavailable};

const SEALABLE: MemfdFlags = MemfdFlags::ALLOW_SEALING;

fn good_offer(nonce: [u8; 16]) -> kit::Message {
    offer(segment_len(), CAPACITY, nonce)
}

fn refusal(result: Result<Established, ConnectError>) -> (OwnedFd, String) {
    match result {
        Ok(Established::Rejected { socket, why }) => {
            assert_eq!(why.code(), "transport-unavailable");
            (socket, why.to_string())
        }
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn shared_memory_is_available_here() {
    assert_eq!(unavailable(), None);
}

#[test]
fn a_good_segment_by_hand_is_accepted() {
    let (result, answer) = against(|socket| {
        offer_segment(socket, |nonce| {
            (good_offer(nonce), sealed(file(segment_len(), nonce, SEALABLE), all_seals()))
        })
    });
    assert!(matches!(result, Ok(Established::Open(_))), "{result:?}");
    assert_eq!(answer[8], READY);
}

#[test]
fn hostile_descriptor_matrix_is_refused() {
    type Make = fn([u8; 16]) -> OwnedFd;
    let cases: &[(&str, Make, &str)] = &[
        (
            "regular file",
            |_| {
                let path =
                    std::env::temp_dir().join(format!("tramline-matrix-{}", std::process::id()));
                let file =
                    std::fs::File::options().read(true).write(true).create_new(true).open(&path);
                std::fs::remove_file(&path).unwrap();
                let file = file.unwrap();
                file.set_len(segment_len()).unwrap();
                file.into()
            },
            "seal",
        ),
        ("unsealed", |n| file(segment_len(), n, SEALABLE), "seal"),
        (
            "no shrink seal",
            |n| sealed(file(segment_len(), n, SEALABLE), all_seals() - SealFlags::SHRINK),
            "seal",
        ),
        (
            "no grow seal",
            |n| sealed(file(segment_len(), n, SEALABLE), all_seals() - SealFlags::GROW),
            "seal",
        ),
        (
            "no write seal",
            |n| sealed(file(segment_len(), n, SEALABLE), all_seals() - SealFlags::FUTURE_WRITE),
            "seal",
        ),
        (
            "no seal seal",
            |n| sealed(file(segment_len(), n, SEALABLE), all_seals() - SealFlags::SEAL),
            "seal",
        ),
        ("sealing not allowed", |n| file(segment_len(), n, MemfdFlags::empty()), "seal"),
        ("pipe", |_| std::io::pipe().unwrap().0.into(), "memory file"),
        ("socket", |_| UnixStream::pair().unwrap().0.into(), "memory file"),
        ("directory", |_| std::fs::File::open("/").unwrap().into(), "memory file"),
        ("zero device", |_| std::fs::File::open("/dev/zero").unwrap().into(), "memory file"),
        ("too small", |n| sealed(file(4096, n, SEALABLE), all_seals()), "size"),
        (
            "too large",
            |n| sealed(file(segment_len() + (1 << 16), n, SEALABLE), all_seals()),
            "size",
        ),
        ("no page multiple", |n| sealed(file(segment_len() - 1, n, SEALABLE), all_seals()), "size"),
        ("sparse 1 TiB", |n| sealed(file(1 << 40, n, SEALABLE), all_seals()), "size"),
    ];
    for (name, make, why) in cases {
        let (result, answer) =
            against(|socket| offer_segment(socket, |nonce| (good_offer(nonce), make(nonce))));
        let (_, text) = refusal(result);
        assert!(text.contains(why) || text.contains("memory file"), "{name}: {text}");
        assert_eq!((answer[8], answer[12]), (REJECT, 4), "{name}");
    }
}

#[test]
fn hugetlb_segment_is_refused() {
    let flags = MemfdFlags::HUGETLB | SEALABLE | MemfdFlags::CLOEXEC;
    let Ok(huge) = rustix::fs::memfd_create("huge", flags) else {
        eprintln!("skipped: this kernel has no huge pages");
        return;
    };
    rustix::fs::ftruncate(&huge, 2 << 20).unwrap();
    let huge = sealed(huge, all_seals());
    let (result, _) = against(|socket| offer_segment(socket, |nonce| (good_offer(nonce), huge)));
    assert!(refusal(result).1.contains("not on tmpfs"));
}

#[test]
fn offers_that_lie_about_numbers_are_refused() {
    let len = segment_len();
    for (len, capacity) in [
        (len, 0),
        (len, CAPACITY + 1),
        (len, CAPACITY * 2),
        (len, u64::MAX),
        (u64::MAX, CAPACITY),
        (1 << 40, CAPACITY),
        (len + 1, CAPACITY),
    ] {
        let (result, _) = against(|socket| {
            offer_segment(socket, |nonce| {
                (
                    offer(len, capacity, nonce),
                    sealed(file(segment_len(), nonce, SEALABLE), all_seals()),
                )
            })
        });
        refusal(result);
        // The same numbers with a file of exactly that size.
        if len < 1 << 41 {
            let (result, _) = against(|socket| {
                offer_segment(socket, |nonce| {
                    (offer(len, capacity, nonce), sealed(file(len, nonce, SEALABLE), all_seals()))
                })
            });
            refusal(result);
        }
    }
}

#[test]
fn swapped_segment_is_refused() {
    let (result, _) = against(|socket| {
        offer_segment(socket, |nonce| {
            (good_offer(nonce), sealed(file(segment_len(), [9; 16], SEALABLE), all_seals()))
        })
    });
    assert!(refusal(result).1.contains("nonce"));
    let (result, _) = against(|socket| {
        offer_segment(socket, |_| {
            (good_offer([9; 16]), sealed(file(segment_len(), [9; 16], SEALABLE), all_seals()))
        })
    });
    assert!(refusal(result).1.contains("nonce"));
}

#[test]
fn our_own_segment_offered_back_is_refused() {
    let (result, answer) = against(|socket| {
        send_with(socket, &hello(), &[]);
        let nonce = nonce_with(&read(socket));
        let (_, theirs) = read_with_file(socket);
        send_with(socket, &good_offer(nonce), &[theirs.as_fd()]);
        send_with(socket, &message(READY, &[]), &[]);
        read(socket)
    });
    assert!(refusal(result).1.contains("own segment"));
    assert_eq!((answer[8], answer[12]), (REJECT, 4));
}

#[test]
fn handshake_out_of_order_is_refused() {
    let memory = || sealed(file(segment_len(), [0; 16], SEALABLE), all_seals());
    let firsts = [
        ("READY first", message(READY, &[])),
        ("REJECT first", message(REJECT, &[])),
        ("OFFER first", good_offer([0; 16])),
        ("kind 0", message(0, &[])),
        ("garbage", [0xA5; 64]),
        ("zeros", [0; 64]),
        ("HELLO with features", {
            let mut m = hello();
            m[16] = 1;
            m
        }),
    ];
    for (name, first) in firsts {
        let (result, ()) = against(|socket| send_with(socket, &first, &[]));
        assert!(
            matches!(result, Err(ConnectError::Handshake { at: "HELLO", .. })),
            "{name}: {result:?}"
        );
    }
    let (result, ()) = against(|socket| send_with(socket, &hello(), &[memory().as_fd()]));
    assert!(matches!(result, Err(ConnectError::Handshake { at: "HELLO", .. })), "{result:?}");

    let seconds = [
        ("second HELLO", hello(), false),
        ("READY before OFFER", message(READY, &[]), false),
        ("OFFER without descriptor", good_offer([0; 16]), false),
        ("REJECT with descriptor", message(REJECT, &[]), true),
        ("garbage", [0xA5; 64], false),
        (
            "OFFER with reserved bytes",
            {
                let mut m = good_offer([0; 16]);
                m[50] = 1;
                m
            },
            true,
        ),
    ];
    for (name, second, with_file) in seconds {
        let (result, ()) = against(|socket| {
            send_with(socket, &hello(), &[]);
            let file = memory();
            let files = [file.as_fd()];
            send_with(socket, &second, if with_file { &files } else { &[] });
        });
        assert!(
            matches!(result, Err(ConnectError::Handshake { at: "OFFER", .. })),
            "{name}: {result:?}"
        );
    }

    let thirds = [
        ("HELLO", message(HELLO, &[]), false),
        ("second OFFER", message(OFFER, &[]), true),
        ("READY with descriptor", message(READY, &[]), true),
        ("garbage", [0xA5; 64], false),
    ];
    for (name, third, with_file) in thirds {
        let (result, ()) = against(|socket| {
            send_with(socket, &hello(), &[]);
            let nonce = nonce_with(&read(socket));
            let file = sealed(file(segment_len(), nonce, SEALABLE), all_seals());
            let files = [file.as_fd()];
            send_with(socket, &good_offer(nonce), &files);
            send_with(socket, &third, if with_file { &files } else { &[] });
        });
        assert!(
            matches!(result, Err(ConnectError::Handshake { at: "READY", .. })),
            "{name}: {result:?}"
        );
    }
}

#[test]
fn after_a_refusal_the_socket_is_in_step() {
    // The peer refuses in the second exchange and goes on at once with its next protocol.
    let (result, answer) = against(|socket| {
        send_with(socket, &hello(), &[]);
        send_with(socket, &message(REJECT, &[(12, &[3])]), &[]);
        send_with(socket, b"next", &[]);
        read(socket);
        read_with_file(socket).0
    });
    assert_eq!(answer[8], OFFER);
    let (socket, why) = refusal(result);
    assert!(why.contains("capacity"), "{why}");
    let mut rest = [0; 4];
    UnixStream::from(socket).read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"next");

    // And in the third.
    let (result, ()) = against(|socket| {
        send_with(socket, &hello(), &[]);
        let nonce = nonce_with(&read(socket));
        let file = sealed(file(segment_len(), nonce, SEALABLE), all_seals());
        send_with(socket, &good_offer(nonce), &[file.as_fd()]);
        send_with(socket, &message(REJECT, &[(12, &[4])]), &[]);
        send_with(socket, b"next", &[]);
        read_with_file(socket);
        assert_eq!(read(socket)[8], READY);
    });
    let mut socket = UnixStream::from(refusal(result).0);
    socket.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"next");
}

#[test]
fn another_version_is_answered_by_a_rejection() {
    let (result, answer) = against(|socket| {
        let mut other = hello();
        other[12] = 2;
        other[60] = 7;
        send_with(socket, &other, &[]);
        send_with(socket, &message(REJECT, &[(12, &[2])]), &[]);
        read(socket);
        read(socket)
    });
    assert!(refusal(result).1.contains("version 2"));
    assert_eq!((answer[8], answer[12]), (REJECT, 2));
}

#[test]
fn messages_may_arrive_byte_by_byte() {
    let (result, answer) = against(|socket| {
        let mut writer = socket;
        for byte in hello() {
            writer.write_all(&[byte]).unwrap();
        }
        let nonce = nonce_with(&read(socket));
        let file = sealed(file(segment_len(), nonce, SEALABLE), all_seals());
        let offer = good_offer(nonce);
        send_with(socket, &offer[..1], &[file.as_fd()]);
        send_with(socket, &offer[1..], &[]);
        read_with_file(socket);
        send_with(socket, &message(READY, &[]), &[]);
        read(socket)
    });
    assert!(matches!(result, Ok(Established::Open(_))), "{result:?}");
    assert_eq!(answer[8], READY);
}

#[test]
fn silent_handshake_times_out() {
    let (x, _y) = UnixStream::pair().unwrap();
    let mut limits = limits(1 << 16);
    limits.handshake_timeout_ms = 20;
    let result = start(x, &limits);
    assert!(matches!(result, Err(ConnectError::TimedOut { timeout_ms: 20 })), "{result:?}");
}

#[test]
fn a_peer_that_hangs_up_in_the_handshake_is_a_dead_peer() {
    let (x, y) = UnixStream::pair().unwrap();
    drop(y);
    let result = start(x, &limits(1 << 16));
    assert!(matches!(result, Err(ConnectError::Link(LinkError::PeerDied))), "{result:?}");
    let (result, ()) = against(|socket| {
        send_with(socket, &hello(), &[]);
        read(socket);
        socket.shutdown(std::net::Shutdown::Both).unwrap();
    });
    assert!(matches!(result, Err(ConnectError::Link(LinkError::PeerDied))), "{result:?}");
}

/// Maps the descriptor of a segment that belongs to the other side.
fn map(file: &OwnedFd, access: ProtFlags) -> Result<*mut c_void, Errno> {
    // SAFETY: a fresh mapping, nothing is read or written through it.
    unsafe { rustix::mm::mmap(std::ptr::null_mut(), 4096, access, MapFlags::SHARED, file, 0) }
}

fn their_segment() -> (Result<Established, ConnectError>, OwnedFd) {
    against(|socket| {
        send_with(socket, &hello(), &[]);
        let nonce = nonce_with(&read(socket));
        let (_, theirs) = read_with_file(socket);
        let file = sealed(file(segment_len(), nonce, SEALABLE), all_seals());
        send_with(socket, &good_offer(nonce), &[file.as_fd()]);
        send_with(socket, &message(READY, &[]), &[]);
        theirs
    })
}

#[test]
fn peer_cannot_write_our_segment() {
    let (result, theirs) = their_segment();
    assert!(matches!(result, Ok(Established::Open(_))), "{result:?}");
    assert_eq!(map(&theirs, ProtFlags::READ | ProtFlags::WRITE).err(), Some(Errno::PERM));
    assert_eq!(rustix::io::pwrite(&theirs, b"x", 0), Err(Errno::PERM));
    let start = map(&theirs, ProtFlags::READ).unwrap();
    // SAFETY: the mapping just made; making it writable is what must fail.
    let raised =
        unsafe { rustix::mm::mprotect(start, 4096, MprotectFlags::READ | MprotectFlags::WRITE) };
    assert_eq!(raised, Err(Errno::ACCESS));
    // Opening it again gives a fresh description, but the seals belong to the file.
    let path = format!("/proc/self/fd/{}", theirs.as_raw_fd());
    let again = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap();
    assert_eq!(rustix::io::pwrite(&again, b"x", 0), Err(Errno::PERM));
    assert_eq!(map(&again, ProtFlags::READ | ProtFlags::WRITE).err(), Some(Errno::PERM));
}

#[test]
fn peer_cannot_shrink_or_punch_our_segment() {
    let (_open, theirs) = their_segment();
    assert_eq!(rustix::fs::ftruncate(&theirs, 0), Err(Errno::PERM));
    assert_eq!(rustix::fs::ftruncate(&theirs, 1 << 30), Err(Errno::PERM));
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert_eq!(rustix::fs::fallocate(&theirs, punch, 0, 4096), Err(Errno::PERM));
}
