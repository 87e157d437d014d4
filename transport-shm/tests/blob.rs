//! Bodies that are handed over: what arrives, in which order, and that nobody can change it.
#![cfg(target_os = "linux")]

mod kit;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kit::{limits, link, open, receive, receive_kept, send, send_blob};
use rustix::fs::{FallocateFlags, SealFlags};
use rustix::io::Errno;
use tramline_core::command::Reply;
use tramline_core::transport::WaitFor;
use tramline_core::{Halves, Limits, LinkError, SendError};
use tramline_transport_shm::SealedBlob;

const LARGE: usize = 64 << 20;

fn roomy() -> Limits {
    let mut limits = limits(1 << 16);
    limits.max_message_len = LARGE + 100;
    limits
}

/// Every byte known, and no page like another.
fn pattern(bytes: &mut [u8], seed: u8) {
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0] ^ seed;
    }
}

fn patterned(len: usize, seed: u8) -> SealedBlob {
    SealedBlob::write_with(len, |bytes| pattern(bytes, seed)).expect("a blob")
}

fn is_patterned(bytes: &[u8], seed: u8) -> bool {
    let mut expected = vec![0; bytes.len()];
    pattern(&mut expected, seed);
    bytes == expected
}

#[test]
fn blob_has_the_bytes_that_were_written() {
    for len in [0, 1, 4095, 4096, 4097, 1 << 20] {
        let mut expected = vec![0; len];
        pattern(&mut expected, 3);
        assert_eq!(&*patterned(len, 3), expected);
        let copied = SealedBlob::from_bytes(&expected).expect("a blob");
        assert_eq!(&*copied, expected);
        let bytes = Bytes::from(copied.clone());
        assert_eq!(bytes, expected);
        assert!(len == 0 || bytes.as_ptr() == copied.as_ptr(), "no copy");
        drop(copied);
        assert_eq!(bytes, expected, "the bytes keep the pages");
    }
}

#[test]
fn content_of_a_blob_cannot_be_changed() {
    let blob = patterned(1 << 16, 1);
    let files = std::fs::read_dir("/proc/self/fd").expect("procfs");
    let inode = |path: &std::path::Path| {
        std::fs::metadata(path).ok().map(|m| std::os::unix::fs::MetadataExt::ino(&m))
    };
    // Which of our descriptors it is, is told by the inode in the memory map.
    let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs");
    let start = format!("{:x}-", blob.as_ptr().addr());
    let line = maps.lines().find(|line| line.starts_with(&start)).expect("mapped");
    let wanted = line.split_whitespace().nth(4).and_then(|n| n.parse::<u64>().ok());
    let path = files
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| inode(path) == wanted && wanted.is_some())
        .expect("its descriptor is open");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("reopened");
    let seals = rustix::fs::fcntl_get_seals(&file).expect("a memory file");
    assert!(
        seals.contains(SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
    );
    assert_eq!(rustix::io::pwrite(&file, b"x", 0), Err(Errno::PERM));
    assert_eq!(rustix::fs::ftruncate(&file, 1), Err(Errno::PERM));
    assert_eq!(rustix::fs::ftruncate(&file, 1 << 20), Err(Errno::PERM));
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert_eq!(rustix::fs::fallocate(&file, hole, 0, 4096), Err(Errno::PERM));
    assert_eq!(rustix::fs::fcntl_add_seals(&file, SealFlags::EXEC), Err(Errno::PERM));
    assert!(is_patterned(&blob, 1));
}

#[test]
fn blob_arrives_with_its_head_and_as_the_same_pages() {
    let (mut a, mut b) = link(&roomy(), &roomy());
    let blob = patterned(100_000, 9);
    send_blob(&mut *a.sender, &*a.signal, b"head", &blob).expect("sent");
    let kept = receive_kept(&mut *b.receiver, &*b.signal).expect("received");
    assert_eq!(kept.bytes(), b"head");
    assert_eq!(kept.tail().map(|tail| &tail[..]), Some(&*blob));
    // It lives as long as anyone keeps it, whatever becomes of the link and the maker.
    drop((a, b, blob));
    assert!(is_patterned(&kept.into_body(4), 9));
}

#[test]
fn blob_of_64_mib_arrives_whole() {
    let (mut a, mut b) = link(&roomy(), &roomy());
    send_blob(&mut *a.sender, &*a.signal, b"h", &patterned(LARGE, 5)).expect("sent");
    let kept = receive_kept(&mut *b.receiver, &*b.signal).expect("received");
    assert_eq!(kept.len(), LARGE + 1);
    assert!(is_patterned(kept.tail().expect("a body"), 5));
}

#[test]
fn blobs_and_messages_keep_their_order_both_ways() {
    let (a, b) = link(&limits(1 << 16), &limits(1 << 16));
    let exchange = |from: Halves, to: Halves| {
        std::thread::scope(|scope| {
            let Halves { mut sender, receiver: unused, signal, .. } = from;
            let Halves { mut receiver, signal: wakes, sender: unused_too, .. } = to;
            let ends = scope.spawn(move || {
                let blobs: Vec<_> = (0..4).map(|seed| patterned(9000, seed)).collect();
                for i in 0..2000_u32 {
                    let head = i.to_le_bytes();
                    if i % 5 == 0 {
                        let blob = &blobs[i as usize % 4];
                        send_blob(&mut *sender, &*signal, &head, blob).expect("sent");
                    } else {
                        let long = [&head[..], &vec![7; (i % 13 * 3000) as usize]].concat();
                        send(&mut *sender, &*signal, &long).expect("sent");
                        sender.flush().expect("open");
                    }
                }
                (sender, unused, signal)
            });
            for i in 0..2000_u32 {
                let kept = receive_kept(&mut *receiver, &*wakes).expect("received");
                assert_eq!(kept.bytes()[..4], i.to_le_bytes(), "message {i}");
                assert_eq!(kept.tail().is_some(), i % 5 == 0, "message {i}");
                if let Some(tail) = kept.tail() {
                    assert!(is_patterned(tail, (i % 4).to_le_bytes()[0]), "message {i}");
                } else {
                    assert_eq!(kept.len(), 4 + (i % 13 * 3000) as usize);
                }
            }
            let (sender, unused, signal) = ends.join().expect("no panic");
            let from =
                Halves { transport: "shm", peer: from.peer, sender, receiver: unused, signal };
            (
                from,
                Halves {
                    transport: "shm",
                    peer: to.peer,
                    sender: unused_too,
                    receiver,
                    signal: wakes,
                },
            )
        })
    };
    let (a, b) = exchange(a, b);
    exchange(b, a);
}

#[test]
fn receiver_that_never_reads_has_one_blob_waiting_and_no_more() {
    let (mut a, mut b) = link(&roomy(), &roomy());
    let blob = patterned(5000, 2);
    let pages = Reply::pages(&blob).expect("pages");
    assert_eq!(a.sender.hand_over(b"1", &*pages).ok(), Some(true));
    a.sender.flush().expect("open");
    for _ in 0..3 {
        assert!(matches!(a.sender.hand_over(b"2", &*pages), Err(SendError::Full)));
        assert!(a.sender.arm().is_some(), "there is something to sleep for");
        a.sender.disarm();
    }
    // Small messages still go.
    assert!(a.sender.send_part(b"small", &mut 0).is_ok());
    assert!(matches!(a.sender.hand_over(b"2", &*pages), Err(SendError::Full)));
    a.sender.flush().expect("open");
    let ticket = a.sender.arm().expect("still nothing taken");
    let kicks = a.signal.kicks();
    std::thread::scope(|scope| {
        let signal = &a.signal;
        // Woken by the reader as soon as it has taken the blob, though it sleeps for nothing itself.
        let sleeper = scope.spawn(move || {
            let (start, timeout) = (Instant::now(), Duration::from_secs(60));
            let wait = WaitFor { kicks, room: Some(ticket), timeout: Some(timeout), data: None };
            signal.wait(wait);
            start.elapsed() < timeout
        });
        assert!(b.receiver.poll().expect("open").is_some_and(|frame| frame.tail().is_some()));
        assert!(sleeper.join().expect("no panic"), "nobody rang");
    });
    a.sender.disarm();
    assert_eq!(a.sender.hand_over(b"2", &*pages).ok(), Some(true));
}

#[test]
fn blob_above_the_limit_is_refused_by_its_sender() {
    let (mut a, _b) = link(&limits(1 << 16), &limits(1 << 16));
    let max = Limits::default().max_message_len;
    let blob = SealedBlob::builder(max).and_then(|builder| builder.seal()).expect("a blob");
    let pages = Reply::pages(&blob).expect("pages");
    let refused = a.sender.hand_over(b"h", &*pages);
    assert!(
        matches!(refused, Err(SendError::TooLarge { len, max: m }) if (len, m) == (max + 1, max)),
        "{refused:?}"
    );
}

#[test]
fn what_cannot_be_handed_over_is_left_to_be_copied() {
    #[derive(Debug)]
    struct Foreign;
    impl tramline_core::Pages for Foreign {
        fn bytes(&self) -> &[u8] {
            b"not ours"
        }
    }
    let (mut a, _b) = link(&limits(1 << 16), &limits(1 << 16));
    let empty = SealedBlob::from_bytes(b"").expect("a blob");
    let empty = Reply::pages(&empty).expect("pages");
    assert_eq!(a.sender.hand_over(b"h", &Foreign).ok(), Some(false));
    assert_eq!(a.sender.hand_over(b"h", &*empty).ok(), Some(false));
    let some = Reply::pages(&patterned(10, 1)).expect("pages");
    assert_eq!(a.sender.hand_over(b"", &*some).ok(), Some(false));
    assert_eq!(a.sender.hand_over(&[1; 1 << 13], &*some).ok(), Some(false));
    assert_eq!(a.sender.hand_over(b"h", &*some).ok(), Some(true));
}

/// Not a test: what the child process of the tests below runs.
#[test]
fn child() {
    if std::env::var_os("TRAMLINE_TEST_CHILD").is_none() {
        return;
    }
    let socket = std::io::stdin().as_fd().try_clone_to_owned().expect("the parent's socket");
    let mut halves = open(socket, &limits(1 << 16));
    for seed in 0..4 {
        let blob = patterned(1 << 20, seed);
        send_blob(&mut *halves.sender, &*halves.signal, &[seed], &blob).expect("sent");
        let echo = receive_kept(&mut *halves.receiver, &*halves.signal).expect("received");
        assert!(is_patterned(echo.tail().expect("a body"), seed + 100));
    }
    // The last one is in flight when the parent kills us.
    let blob = patterned(1 << 20, 200);
    send_blob(&mut *halves.sender, &*halves.signal, &[200], &blob).expect("sent");
    let _ = receive(&mut *halves.receiver, &*halves.signal);
}

fn child_process() -> (Child, Halves) {
    let (x, y) = UnixStream::pair().expect("socket pair");
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child", "--quiet"])
        .env("TRAMLINE_TEST_CHILD", "1")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(y)))
        .stdout(Stdio::null())
        .spawn()
        .expect("child process");
    (child, open(x, &limits(1 << 16)))
}

#[test]
fn blobs_cross_between_two_processes_and_survive_their_maker() {
    let (mut child, mut halves) = child_process();
    for seed in 0..4 {
        let kept = receive_kept(&mut *halves.receiver, &*halves.signal).expect("received");
        assert_eq!(kept.bytes(), [seed]);
        assert!(is_patterned(kept.tail().expect("a body"), seed));
        let blob = patterned(50_000, seed + 100);
        send_blob(&mut *halves.sender, &*halves.signal, b"echo", &blob).expect("sent");
    }
    while !halves.receiver.spin() {
        let kicks = halves.signal.kicks();
        if let Some(ticket) = halves.receiver.arm() {
            halves.signal.wait(WaitFor { kicks, data: Some(ticket), ..WaitFor::default() });
        }
        halves.receiver.disarm();
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    let kept = receive_kept(&mut *halves.receiver, &*halves.signal).expect("committed in time");
    assert!(is_patterned(kept.tail().expect("a body"), 200));
    let end = receive_kept(&mut *halves.receiver, &*halves.signal);
    assert!(matches!(end, Err(LinkError::PeerDied)), "{end:?}");
}

/// The watcher looks into the socket whenever a descriptor comes, and must not take one that comes
/// while it looks for something else.
#[test]
fn a_long_stream_of_blobs_is_never_taken_for_an_attack() {
    const BLOBS: u32 = 30_000;
    let limits = limits(1 << 16);
    let (mut a, mut b) = link(&limits, &limits);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let blob = SealedBlob::from_bytes(&[7; 100]).expect("a blob");
            for _ in 0..BLOBS {
                send_blob(&mut *a.sender, &*a.signal, b"head", &blob).expect("sent");
            }
        });
        for number in 0..BLOBS {
            let kept = receive_kept(&mut *b.receiver, &*b.signal);
            assert_eq!(kept.unwrap_or_else(|e| panic!("{number}: {e}")).len(), 104);
        }
    });
}
