//! Reading in place, from a peer that is trusted.
#![cfg(all(target_os = "linux", feature = "trusted-in-place"))]

mod kit;

use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kit::{limits, open, send, send_blob, start};
use tramline_core::{Halves, LinkError};
use tramline_transport_shm::{Established, SealedBlob, TrustedParts, TrustedReader};

fn trusted() -> (Halves, TrustedParts) {
    let (x, y) = UnixStream::pair().expect("socket pair");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| match start(y, &limits(1 << 16)) {
            Ok(Established::Open(shm)) => shm.into_trusted_parts(),
            other => panic!("not open: {other:?}"),
        });
        (open(x, &limits(1 << 16)), other.join().expect("the other end"))
    })
}

fn read<R>(
    reader: &mut TrustedReader,
    read: impl FnOnce(&[u8]) -> R,
) -> Result<Option<R>, LinkError> {
    // SAFETY: the other end is this library, in this very process: it keeps committed records as
    // they are until they are released.
    unsafe { reader.poll_in_place(read) }
}

fn put(halves: &mut Halves, message: &[u8]) {
    send(&mut *halves.sender, &*halves.signal, message).expect("sent");
    halves.sender.flush().expect("open");
}

#[test]
fn messages_of_every_size_are_read_right_and_in_order() {
    let (mut a, mut b) = trusted();
    assert_eq!(read(&mut b.reader, <[u8]>::len), Ok(None));
    // Several laps of the ring, with padding, and some that are more than a record.
    for i in 0..3000_usize {
        let len = [0, 1, 7, 8, 300, 5000, 8192, 8193, 30_000][i % 9];
        let message: Vec<u8> = (0..len).map(|at| (at ^ i).to_le_bytes()[0]).collect();
        put(&mut a, &message);
        if i % 4 == 3 {
            let frame = b.reader.receiver().poll().expect("open").expect("a message");
            assert_eq!(frame.bytes(), message, "message {i}");
        } else {
            let same = read(&mut b.reader, |bytes| bytes == message);
            assert_eq!(same, Ok(Some(true)), "message {i}");
        }
    }
    let blob = SealedBlob::from_bytes(b"body").expect("a blob");
    send_blob(&mut *a.sender, &*a.signal, b"head", &blob).expect("sent");
    assert_eq!(read(&mut b.reader, <[u8]>::to_vec), Ok(Some(b"head".to_vec())));
}

#[test]
fn record_is_the_readers_until_the_closure_returns() {
    let (mut a, mut b) = trusted();
    let mut count = 0_u32;
    while a.sender.fits(8000) {
        put(&mut a, &vec![count.to_le_bytes()[0]; 8000]);
        count += 1;
    }
    while a.sender.claim(8000).is_ok() {
        a.sender.commit(8000);
        count += 1;
    }
    for i in 0..count {
        let sent = read(&mut b.reader, |bytes| {
            let before = bytes.to_vec();
            // The ring was filled to the brim, and the reader tells what it has read at every
            // eighth of it: this record would be told if it were released.
            let sent = i == 1 && a.sender.claim(8000).is_ok();
            assert_eq!(bytes, before);
            sent
        });
        assert_eq!(sent, Ok(Some(false)), "message {i}");
    }
    assert_eq!(read(&mut b.reader, <[u8]>::len), Ok(None));
    assert!(a.sender.claim(8000).is_ok(), "released");
}

#[test]
fn panicking_closure_leaves_the_link_usable() {
    let (mut a, mut b) = trusted();
    for i in 0..200_u8 {
        put(&mut a, &[i; 1000]);
        put(&mut a, &[i; 10]);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _ = read(&mut b.reader, |_| std::panic::resume_unwind(Box::new(())));
        }));
        assert!(panicked.is_err());
        assert_eq!(read(&mut b.reader, |bytes| bytes == [i; 10]), Ok(Some(true)), "message {i}");
    }
}

#[test]
fn record_that_breaks_a_rule_is_a_fault_in_place_too() {
    let (x, y) = UnixStream::pair().expect("socket pair");
    let mut parts = std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            kit::offer_segment(&y, |nonce| {
                let flags = rustix::fs::MemfdFlags::ALLOW_SEALING;
                let file = kit::file(kit::segment_len(), nonce, flags);
                let header = 1_u64 << 48 | 1 << 32 | 8193;
                rustix::io::pwrite(&file, &header.to_le_bytes(), 0x1000).expect("written");
                let offer = kit::offer(kit::segment_len(), kit::CAPACITY, nonce);
                (offer, kit::sealed(file, kit::all_seals()))
            });
        });
        let parts = match start(x, &limits(1 << 16)) {
            Ok(Established::Open(shm)) => shm.into_trusted_parts(),
            other => panic!("not open: {other:?}"),
        };
        other.join().expect("the hostile end");
        parts
    });
    let end = read(&mut parts.reader, |_| panic!("nothing to show"));
    assert!(matches!(&end, Err(LinkError::Fault(fault)) if fault.at == "len"), "{end:?}");
}
