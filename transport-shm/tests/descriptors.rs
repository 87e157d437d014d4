//! Descriptors are counted per process, so this suite has one test and a process of its own.
#![cfg(target_os = "linux")]

mod kit;

use std::os::fd::AsFd;

use kit::{
    against, all_seals, file, hello, message, nonce_with, read, sealed, segment_len, send_with,
};
use rustix::fs::MemfdFlags;
use tramline_core::ConnectError;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs").count()
}

/// The watcher may hold a link for a moment after its hang-up.
fn settles_at(count: usize) -> bool {
    (0..100_000).any(|_| {
        std::thread::yield_now();
        open_descriptors() == count
    })
}

#[test]
fn descriptor_bomb_leaks_nothing() {
    let bomb = |count: usize| {
        let (result, ()) = against(|socket| {
            send_with(socket, &hello(), &[]);
            let nonce = nonce_with(&read(socket));
            let file = sealed(file(segment_len(), nonce, MemfdFlags::ALLOW_SEALING), all_seals());
            let files = vec![file.as_fd(); count];
            send_with(socket, &kit::offer(segment_len(), kit::CAPACITY, nonce), &files);
            send_with(socket, &message(kit::READY, &[]), &[]);
        });
        result
    };
    // The watcher's descriptor comes with the first handshake and stays.
    drop(bomb(1));
    let before = open_descriptors();
    for count in [2, 3, 4, 16, 253] {
        let result = bomb(count);
        assert!(matches!(result, Err(ConnectError::Handshake { at: "OFFER", .. })), "{result:?}");
        assert!(settles_at(before), "{count} descriptors");
    }
    for _ in 0..20 {
        assert!(bomb(1).is_ok());
    }
    assert!(settles_at(before), "opened and dropped links");
}
