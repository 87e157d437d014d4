//! The handshake against a peer that follows a script of its own.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::UnixStream;

use arbitrary::Arbitrary;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use tramline_core::{ConnectError, Limits, LinkError, PeerIdentity, Transport};

use crate::layout::{self, FIXED_LEN, Fixed};
use crate::{Established, establish};

/// A script for the peer.
#[derive(Debug, Arbitrary)]
pub struct Script {
    steps: Vec<Step>,
    /// Waits for the other side at the end, instead of hanging up.
    linger: bool,
    /// What lies in the peer's ring when the link opens.
    ring: Vec<u8>,
}

#[derive(Debug, Arbitrary)]
enum Step {
    /// A message of the handshake, with up to two bytes changed, in two pieces if cut.
    Say {
        word: Word,
        edits: Option<[(u8, u8); 2]>,
        cut: u8,
        attach: Attach,
    },
    Bytes(Vec<u8>),
    /// Reads one message.
    Listen,
    /// Says nothing more, but can still be told something.
    Mute,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Word {
    Hello,
    Offer,
    Ready,
    Reject(u32),
    /// What was heard last.
    Echo,
}

/// The descriptors that go with a message.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Attach {
    Nothing,
    /// What the word needs.
    Fitting,
    /// A segment with one byte of its header changed.
    Edited {
        at: u8,
        flip: u8,
    },
    /// A segment without some of its seals.
    Seals(u8),
    /// A segment of another size.
    Len(u16),
    Pipe,
    Socket,
    /// This many at once.
    Many(u8),
}

const CAPACITY: u64 = layout::MIN_RING_CAPACITY;
/// Mostly long enough for a handshake, and short against a fuzzer's patience.
const TIMEOUT_MS: u64 = 5;
/// How often to look whether the watcher has let go of a link.
const LOOKS: u32 = 50_000;

/// Plays the script against [`establish`].
///
/// # Panics
///
/// If a link opens that must not, if a descriptor of the connection stays open, or if our own
/// limits or system are blamed.
pub fn run(script: &Script) {
    opens(script, TIMEOUT_MS);
}

fn opens(script: &Script, timeout_ms: u64) -> bool {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let mut peer =
        Peer { socket: theirs, heard: [0; 64], said: [0; 64], seen: BTreeSet::new(), fit: false };
    peer.see(&ours);
    peer.see(&peer.socket.try_clone().expect("a descriptor"));
    let mut limits = Limits::default();
    limits.ring_capacity = 1 << 16;
    limits.max_message_len = 1 << 16;
    limits.handshake_timeout_ms = timeout_ms;

    let (opened, peer) = std::thread::scope(|scope| {
        let peer = scope.spawn(move || {
            peer.play(script);
            peer
        });
        let opened = judge(establish(ours.into(), &limits, PeerIdentity::default()));
        (opened, peer.join().expect("the peer's assertions hold"))
    });
    assert!(!opened || peer.fit, "opened without a good segment");
    let Peer { socket, seen, .. } = peer;
    drop(socket);
    let released = (0..LOOKS).any(|_| {
        std::thread::yield_now();
        seen.is_disjoint(&open_files())
    });
    assert!(released, "a descriptor was kept");
    opened
}

/// True if the link opened. Whatever there is, is dropped here, so the peer hears the end.
fn judge(result: Result<Established, ConnectError>) -> bool {
    match result {
        Ok(Established::Open(shm)) => {
            let mut halves = Box::new(shm).into_halves();
            while let Ok(Some(_)) = halves.receiver.poll() {}
            true
        }
        Ok(Established::Rejected { why, .. }) => {
            assert_eq!(why.code(), "transport-unavailable");
            false
        }
        Err(
            ConnectError::Handshake { .. }
            | ConnectError::TimedOut { .. }
            | ConnectError::Link(LinkError::PeerDied),
        ) => false,
        Err(other) => panic!("not for a peer to cause: {other:?}"),
    }
}

/// Device and inode: the same file whatever its number.
type FileId = (u64, u64);

fn open_files() -> BTreeSet<FileId> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("procfs").flatten();
    // A descriptor of another thread may be closed meanwhile.
    let files = entries.filter_map(|entry| std::fs::metadata(entry.path()).ok());
    files.map(|file| (file.dev(), file.ino())).collect()
}

/// The end that follows the script.
struct Peer {
    socket: UnixStream,
    heard: [u8; 64],
    /// The last HELLO that went out.
    said: [u8; 64],
    /// All files that take part.
    seen: BTreeSet<FileId>,
    /// A segment went out in which nothing is wrong.
    fit: bool,
}

impl Peer {
    fn play(&mut self, script: &Script) {
        for step in &script.steps {
            let goes_on = match step {
                Step::Say { word, edits, cut, attach } => {
                    self.say(*word, *edits, usize::from(*cut), *attach, &script.ring)
                }
                Step::Bytes(bytes) => self.send(bytes, &[]),
                Step::Listen => self.listen(),
                Step::Mute => self.socket.shutdown(std::net::Shutdown::Write).is_ok(),
            };
            if !goes_on {
                break;
            }
        }
        if script.linger {
            // Ends when the other side hangs up, which it does at its deadline.
            while self.listen() {}
        }
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    fn say(
        &mut self,
        word: Word,
        edits: Option<[(u8, u8); 2]>,
        cut: usize,
        attach: Attach,
        ring: &[u8],
    ) -> bool {
        let mut message = self.message(word);
        for (at, flip) in edits.into_iter().flatten() {
            message[usize::from(at) % 64] ^= flip;
        }
        if matches!(word, Word::Hello) {
            self.said = message;
        }
        let files = self.files(word, attach, ring);
        for file in &files {
            self.see(file);
        }
        let (first, rest) = message.split_at(1 + cut % 64);
        self.send(first, &files) && (rest.is_empty() || self.send(rest, &[]))
    }

    fn message(&self, word: Word) -> [u8; 64] {
        let mut message = [0; 64];
        let mut put = |at: usize, bytes: &[u8]| {
            message[at..at + bytes.len()].copy_from_slice(bytes);
        };
        let kind = match word {
            Word::Hello => 1,
            Word::Offer => 2,
            Word::Ready => 3,
            Word::Reject(_) => 4,
            Word::Echo => return self.heard,
        };
        put(0, b"TRAMSHK1");
        put(8, &[kind]);
        match word {
            Word::Hello => {
                put(12, &[1, 0, 1, 0]);
                put(24, &[5; 16]);
                put(40, &CAPACITY.to_le_bytes());
                put(48, &CAPACITY.to_le_bytes());
            }
            Word::Offer => {
                put(16, &segment_len().to_le_bytes());
                put(24, &CAPACITY.to_le_bytes());
                put(32, &self.nonce());
            }
            Word::Reject(code) => put(12, &code.to_le_bytes()),
            Word::Ready | Word::Echo => {}
        }
        message
    }

    /// The nonce that both sides would agree on, if a HELLO was heard last.
    fn nonce(&self) -> [u8; 16] {
        std::array::from_fn(|i| self.heard[24 + i] ^ self.said[24 + i])
    }

    fn files(&mut self, word: Word, attach: Attach, ring: &[u8]) -> Vec<OwnedFd> {
        let none = [0; FIXED_LEN];
        match attach {
            Attach::Fitting if matches!(word, Word::Offer) => {
                self.fit = true;
                vec![self.segment(segment_len(), none, all_seals(), ring)]
            }
            Attach::Nothing | Attach::Fitting => Vec::new(),
            Attach::Edited { at, flip } => {
                let mut edit = none;
                let at = usize::from(at) % FIXED_LEN;
                edit[at] = flip;
                // The process id is for people.
                self.fit |= flip == 0 || at >= 0x50;
                vec![self.segment(segment_len(), edit, all_seals(), ring)]
            }
            Attach::Seals(bits) => {
                let all = [
                    SealFlags::SEAL,
                    SealFlags::SHRINK,
                    SealFlags::GROW,
                    SealFlags::FUTURE_WRITE,
                    SealFlags::WRITE,
                ];
                let seals = (0..).zip(all).filter(|(i, _)| bits & (1 << i) != 0);
                let seals = seals.map(|(_, seal)| seal).collect::<SealFlags>();
                self.fit |= seals.contains(all_seals());
                vec![self.segment(segment_len(), none, seals, ring)]
            }
            Attach::Len(pages) => {
                let len = u64::from(pages) * 512;
                self.fit |= len == segment_len();
                vec![self.segment(len, none, all_seals(), ring)]
            }
            Attach::Pipe => vec![std::io::pipe().expect("a pipe").0.into()],
            Attach::Socket => vec![UnixStream::pair().expect("a socket pair").0.into()],
            Attach::Many(count) => {
                let one = self.segment(segment_len(), none, all_seals(), ring);
                // One alone is a good one.
                self.fit |= count % 8 == 0;
                (0..=count % 8).map(|_| one.try_clone().expect("a descriptor")).collect()
            }
        }
    }

    fn segment(&self, len: u64, edit: [u8; FIXED_LEN], seals: SealFlags, ring: &[u8]) -> OwnedFd {
        let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
        let file = File::from(rustix::fs::memfd_create("tramline-peer", flags).expect("memfd"));
        let fixed =
            Fixed { segment_len: segment_len(), ring_capacity: CAPACITY, nonce: self.nonce() };
        let mut header = fixed.encode(0);
        header.iter_mut().zip(edit).for_each(|(byte, flip)| *byte ^= flip);
        file.write_all_at(&header, 0).expect("written");
        file.write_all_at(ring, layout::HEADER_LEN as u64).expect("written");
        file.set_len(len).expect("resized");
        rustix::fs::fcntl_add_seals(&file, seals).expect("sealed");
        file.into()
    }

    fn send(&self, bytes: &[u8], files: &[OwnedFd]) -> bool {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, flags).is_ok()
    }

    /// Reads one message; false at the end.
    fn listen(&mut self) -> bool {
        let mut message = [0; 64];
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut room);
        let mut iov = [IoSliceMut::new(&mut message)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let Ok(got) = rustix::net::recvmsg(&self.socket, &mut iov, &mut control, flags) else {
            return false;
        };
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = part {
                fds.for_each(|fd| self.see(&fd));
            }
        }
        if got.bytes == 0 || (&self.socket).read_exact(&mut message[got.bytes..]).is_err() {
            return false;
        }
        self.heard = message;
        true
    }

    fn see(&mut self, file: &impl AsFd) {
        let file = File::from(file.as_fd().try_clone_to_owned().expect("a descriptor"));
        let file = file.metadata().expect("a file");
        self.seen.insert((file.dev(), file.ino()));
    }
}

fn segment_len() -> u64 {
    layout::segment_len(CAPACITY, rustix::param::page_size() as u64)
}

fn all_seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzzing::{input, replay};

    #[test]
    fn kept_handshakes_hold() {
        replay("handshake", run);
    }

    /// A script that opens a link.
    fn good() -> Script {
        let say = |word, attach| Step::Say { word, edits: None, cut: 63, attach };
        let steps = vec![
            say(Word::Hello, Attach::Nothing),
            Step::Listen,
            say(Word::Offer, Attach::Fitting),
            Step::Listen,
            say(Word::Ready, Attach::Nothing),
        ];
        Script { steps, linger: true, ring: Vec::new() }
    }

    #[test]
    fn fuzzers_start_from_a_script_that_opens_a_link() {
        let seed = include_bytes!("../../../fuzz/seeds/handshake/opens");
        assert!(opens(&input(seed), 10_000));
    }

    #[test]
    fn a_good_script_opens_a_link_and_each_part_of_it_is_needed() {
        assert!(opens(&good(), 10_000));
        for missing in [0, 1, 2, 4] {
            let mut script = good();
            script.steps.remove(missing);
            assert!(!opens(&script, TIMEOUT_MS), "without step {missing}");
        }
    }

    #[test]
    fn a_link_opens_only_with_a_fitting_segment() {
        let edits = (0..0x58).map(|at| Attach::Edited { at, flip: 0x10 });
        let odd = [Attach::Nothing, Attach::Len(0), Attach::Len(1), Attach::Pipe, Attach::Socket];
        let all = edits.chain((0..32).map(Attach::Seals)).chain((0..4).map(Attach::Many));
        let opened = all.chain(odd).filter(|attach| {
            let mut script = good();
            script.steps[2] =
                Step::Say { word: Word::Offer, edits: None, cut: 63, attach: *attach };
            // Panics itself if one opens that must not.
            opens(&script, 10_000)
        });
        // A changed process id, the seals with and without a needless one, one descriptor.
        assert_eq!(opened.count(), 8 + 2 + 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            max_shrink_iters: 32,
            ..ProptestConfig::with_cases(128)
        })]

        #[test]
        fn any_script_ends_and_keeps_no_descriptor(
            bytes in proptest::collection::vec(any::<u8>(), 0..1024),
        ) {
            run(&input(&bytes));
        }
    }
}
