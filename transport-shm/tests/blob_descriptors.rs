//! Descriptors and mappings are counted per process, so this suite has one test and a process of its
//! own.
#![cfg(target_os = "linux")]

mod kit;

use std::os::fd::AsFd;

use kit::{
    BLOB, FIRST, blob_file, blob_record, blob_seals, limits, link, receive_kept, sealed, send_blob,
    send_with, ticket_bytes, with_records,
};
use rustix::fs::MemfdFlags;
use tramline_core::LinkError;
use tramline_transport_shm::SealedBlob;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs").count()
}

/// Mappings of memory files of ours and of the hostile peer.
fn mapped_files() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs");
    maps.lines().filter(|line| line.contains("/memfd:")).count()
}

/// The watcher may hold a link for a moment after its hang-up.
fn settles_at(found: impl Fn() -> usize, count: usize) -> bool {
    (0..100_000).any(|_| {
        std::thread::yield_now();
        found() == count
    })
}

#[test]
fn handing_over_leaks_no_descriptor_and_no_page() {
    let limits = limits(1 << 16);
    // The watcher's descriptor comes with the first link and stays.
    drop(link(&limits, &limits));
    assert!(settles_at(mapped_files, 0));
    let before = open_descriptors();

    let (mut a, mut b) = link(&limits, &limits);
    let (open, mapped) = (open_descriptors(), mapped_files());
    for i in 0..3000_u32 {
        let blob = SealedBlob::from_bytes(&i.to_le_bytes()).expect("a blob");
        send_blob(&mut *a.sender, &*a.signal, b"h", &blob).expect("sent");
        drop(blob);
        let kept = receive_kept(&mut *b.receiver, &*b.signal).expect("received");
        assert_eq!(open_descriptors(), open, "what is kept is no descriptor");
        assert_eq!(mapped_files(), mapped + 1);
        assert_eq!(kept.into_body(1), i.to_le_bytes()[..]);
    }
    assert_eq!((open_descriptors(), mapped_files()), (open, mapped));
    // One that is in flight when both ends go.
    let blob = SealedBlob::from_bytes(&[1; 100]).expect("a blob");
    send_blob(&mut *a.sender, &*a.signal, b"h", &blob).expect("sent");
    drop((a, b, blob));
    assert!(settles_at(open_descriptors, before) && settles_at(mapped_files, 0));

    // What is refused is closed, too, and so is what nobody takes.
    for (count, record) in [(0, true), (1, true), (1, false), (2, true), (100, true), (253, true)] {
        for sealed_well in [true, false] {
            let payload = blob_record(5000, 0);
            let records: [(u8, &[u8]); 2] = [(FIRST, b"head"), (BLOB, &payload)];
            let (mut halves, socket) =
                with_records(&limits, if record { &records[..] } else { &[] });
            let mut file = blob_file(5000, MemfdFlags::ALLOW_SEALING);
            if sealed_well {
                file = sealed(file, blob_seals());
            }
            send_with(&socket, &ticket_bytes(0), &vec![file.as_fd(); count]);
            drop((file, socket));
            match receive_kept(&mut *halves.receiver, &*halves.signal) {
                Ok(kept) => assert!(count == 1 && sealed_well && kept.len() == 5004),
                Err(LinkError::PeerDied) => assert!(!record),
                Err(LinkError::Fault(_)) => assert!(count != 1 || !sealed_well),
                Err(other) => panic!("{other}"),
            }
            drop(halves);
            assert!(settles_at(open_descriptors, before), "{count} descriptors");
            assert!(settles_at(mapped_files, 0), "{count} descriptors");
        }
    }
}
