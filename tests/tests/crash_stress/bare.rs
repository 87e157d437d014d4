//! Rounds over a bare link: nothing but the ring, the bells and the socket.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;

use tramline::{LinkError, SendError};
use tramline_core::{ConnectError, Halves};
use tramline_tests::api_flood::LISTENER_SLOT;
use tramline_tests::doomed::{Progress, Victim, spin};
use tramline_tests::flood::{Reader, flood, open, receive};
use tramline_tests::random::Random;
use tramline_transport_shm::LinkCounters;

use crate::{PEER, Tally};

/// What the victim does.
struct Task {
    ring: usize,
    write: Option<u64>,
    count: Option<u64>,
    read: Option<u64>,
}

impl Task {
    fn new(random: &mut Random) -> Self {
        // Small rings wrap and fill all the time.
        let ring = 1 << (16 + 2 * random.below(3));
        Self { ring, write: None, count: None, read: None }
    }

    fn start(&self, progress: &Progress) -> (Victim, OwnedFd) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let text = |number: Option<u64>| number.map_or("-".into(), |number| number.to_string());
        let args = [self.ring.to_string(), text(self.write), text(self.count), text(self.read)];
        let [ring, write, count, read] = &args;
        let args = ["bare", ring, write, count, read];
        let victim = Victim::spawn(PEER, &args, OwnedFd::from(theirs), progress.for_victim());
        (victim, ours.into())
    }

    fn open(&self, progress: &Progress) -> (Victim, Halves, LinkCounters) {
        let (victim, socket) = self.start(progress);
        let (halves, counters) = open(socket, self.ring).expect("nobody was killed yet");
        (victim, halves, counters)
    }
}

fn reap(victim: &mut Victim) {
    let status = victim.reap();
    assert_eq!(status.signal(), Some(9), "the victim ended by itself: {status}");
}

/// A number whose size varies as much as its value.
fn any_size(random: &mut Random, max_bits: u64) -> u64 {
    let bits = random.below(max_bits + 1);
    random.below(1 << bits)
}

/// Whether the dead was about to commit something.
pub(crate) fn is_in_doubt(progress: &Progress) -> bool {
    (0..LISTENER_SLOT).any(|stream| {
        let (done, intended) = progress.read(stream);
        done != intended
    })
}

/// Reads what the dead left, then checks all of it.
fn finish(
    halves: &mut Halves,
    reader: &mut Reader,
    counters: &LinkCounters,
    ring: usize,
    progress: &Progress,
) -> Tally {
    let Halves { receiver, signal, .. } = halves;
    let end = loop {
        match receive(&mut **receiver, &**signal, |bytes| reader.see(bytes)) {
            Ok(()) => {}
            Err(end) => break end,
        }
    };
    assert_eq!(end, LinkError::PeerDied);
    // The end stays.
    assert_eq!(halves.receiver.poll().map(|_| ()), Err(LinkError::PeerDied));
    let claimed = halves.sender.claim(1).map(|_| ());
    assert!(matches!(claimed, Err(SendError::Link(LinkError::PeerDied))), "{claimed:?}");
    reader.finish(progress);
    // To the byte: all that was published and counted was read, and beyond it at most the one
    // publication that was cut off before its count. A publication is a part of the ring.
    let (read, counted) = (counters.own().consumed, counters.peer().bytes);
    assert!(read >= counted, "{counted} bytes were published, {read} read");
    assert!(read - counted <= ring as u64 / 2, "{counted} bytes were published, {read} read");
    Tally {
        kills: 1,
        messages: reader.history().seen(),
        in_doubt: u64::from(is_in_doubt(progress)),
    }
}

/// Kills when this many messages have been read.
pub(crate) fn writer_killed_at_a_count(random: &mut Random, progress: &Progress) -> Tally {
    let task = Task { write: Some(random.next_u64()), ..Task::new(random) };
    let at = any_size(random, 13);
    let (mut victim, mut halves, counters) = task.open(progress);
    let mut reader = Reader::new(task.write.expect("set above"));
    while reader.history().seen() < at {
        receive(&mut *halves.receiver, &*halves.signal, |bytes| reader.see(bytes)).expect("alive");
    }
    victim.shoot();
    let tally = finish(&mut halves, &mut reader, &counters, task.ring, progress);
    reap(&mut victim);
    // And once more, now that nothing can be under way any more.
    reader.finish(progress);
    tally
}

/// Kills while another thread reads, sleeps or wakes.
pub(crate) fn writer_killed_at_any_time(random: &mut Random, progress: &Progress) -> Tally {
    let task = Task { write: Some(random.next_u64()), ..Task::new(random) };
    let turns = any_size(random, 20);
    let (mut victim, mut halves, counters) = task.open(progress);
    let mut reader = Reader::new(task.write.expect("set above"));
    let tally = std::thread::scope(|scope| {
        let victim = &victim;
        scope.spawn(move || {
            spin(turns);
            victim.shoot();
        });
        finish(&mut halves, &mut reader, &counters, task.ring, progress)
    });
    reap(&mut victim);
    tally
}

/// Reads nothing until the ring is filling up or full, kills, and reads then.
pub(crate) fn writer_killed_with_a_full_ring(random: &mut Random, progress: &Progress) -> Tally {
    let task = Task { write: Some(random.next_u64()), ..Task::new(random) };
    let turns = any_size(random, 18);
    let (mut victim, mut halves, counters) = task.open(progress);
    let mut reader = Reader::new(task.write.expect("set above"));
    for _ in 0..any_size(random, 10) {
        receive(&mut *halves.receiver, &*halves.signal, |bytes| reader.see(bytes)).expect("alive");
    }
    // A writer without room has at least this much under way, so this comes.
    while counters.peer().bytes - counters.own().consumed < task.ring as u64 / 2 {
        std::thread::yield_now();
    }
    spin(turns);
    victim.shoot();
    reap(&mut victim);
    finish(&mut halves, &mut reader, &counters, task.ring, progress)
}

/// Writes to a reader that is killed.
pub(crate) fn reader_killed(random: &mut Random, progress: &Progress) -> Tally {
    let task = Task { read: Some(random.next_u64()), ..Task::new(random) };
    let turns = any_size(random, 20);
    let (mut victim, mut halves, counters) = task.open(progress);
    let own = Progress::new();
    let end = std::thread::scope(|scope| {
        let victim = &victim;
        scope.spawn(move || {
            spin(turns);
            victim.shoot();
        });
        let seed = task.read.expect("set above");
        flood(&mut *halves.sender, &*halves.signal, seed, None, &own)
    });
    reap(&mut victim);
    assert!(matches!(end, Err(SendError::Link(LinkError::PeerDied))), "{end:?}");
    let end = receive(&mut *halves.receiver, &*halves.signal, |_| ());
    assert_eq!(end, Err(LinkError::PeerDied));
    Tally { kills: 1, messages: was_read(progress, &own, &counters), in_doubt: 0 }
}

/// What the dead reader had checked, which is no more than was written.
fn was_read(victims: &Progress, own: &Progress, counters: &LinkCounters) -> u64 {
    let (read, _) = victims.read(LISTENER_SLOT);
    let intended: u64 = (0..LISTENER_SLOT).map(|slot| own.read(slot).1).sum();
    assert!(read <= intended, "{intended} messages were written, {read} read");
    let (written, consumed) = (counters.own().bytes, counters.peer().consumed);
    assert!(consumed <= written, "{written} bytes were published, {consumed} read");
    read
}

/// Both sides write and read when one is killed.
pub(crate) fn both_killed(random: &mut Random, progress: &Progress) -> Tally {
    let (write, read) = (Some(random.next_u64()), Some(random.next_u64()));
    let task = Task { write, read, ..Task::new(random) };
    let turns = any_size(random, 20);
    let (mut victim, halves, counters) = task.open(progress);
    let (own, seeds) = (Progress::new(), (write.expect("set above"), read.expect("set above")));
    let mut reader = Reader::new(seeds.0);
    let Halves { mut sender, mut receiver, signal, .. } = halves;
    std::thread::scope(|scope| {
        let (victim, signal, own) = (&victim, &*signal, &own);
        scope.spawn(move || {
            spin(turns);
            victim.shoot();
        });
        scope.spawn(move || {
            let end = flood(&mut *sender, signal, seeds.1, None, own);
            assert!(matches!(end, Err(SendError::Link(LinkError::PeerDied))), "{end:?}");
        });
        while let Ok(()) = receive(&mut *receiver, signal, |bytes| reader.see(bytes)) {}
        assert_eq!(receiver.poll().map(|_| ()), Err(LinkError::PeerDied));
    });
    reap(&mut victim);
    reader.finish(progress);
    let (consumed, counted) = (counters.own().consumed, counters.peer().bytes);
    assert!(consumed >= counted, "{counted} bytes were published, {consumed} read");
    let messages = reader.history().seen() + was_read(progress, &own, &counters);
    Tally { kills: 1, messages, in_doubt: u64::from(is_in_doubt(progress)) }
}

/// Stops and continues the writer: nothing is lost. Every other time it is killed while it stands
/// still; else only after all of a known number of messages have come.
pub(crate) fn stopped_and_continued(random: &mut Random, progress: &Progress) -> Tally {
    let dies_stopped = random.below(2) == 0;
    let count = (!dies_stopped).then(|| 1 + any_size(random, 13));
    let task = Task { write: Some(random.next_u64()), count, ..Task::new(random) };
    let stops: Vec<_> =
        (0..1 + random.below(5)).map(|_| (any_size(random, 18), any_size(random, 16))).collect();
    let (mut victim, mut halves, counters) = task.open(progress);
    let mut reader = Reader::new(task.write.expect("set above"));
    let tally = std::thread::scope(|scope| {
        let victim = &victim;
        let stopper = scope.spawn(move || {
            for (after, standing) in stops {
                spin(after);
                victim.stop();
                spin(standing);
                victim.go_on();
            }
            if dies_stopped {
                victim.stop();
                victim.shoot();
            }
        });
        if let Some(count) = count {
            while reader.history().seen() < count {
                let came =
                    receive(&mut *halves.receiver, &*halves.signal, |bytes| reader.see(bytes));
                came.expect("alive");
            }
            stopper.join().expect("it stops and continues");
            victim.shoot();
        }
        finish(&mut halves, &mut reader, &counters, task.ring, progress)
    });
    reap(&mut victim);
    if let Some(count) = count {
        assert_eq!(reader.history().seen(), count, "messages beyond the last");
    }
    tally
}

/// Kills while the link is being made, or right after.
pub(crate) fn killed_in_the_handshake(random: &mut Random, progress: &Progress) -> Tally {
    let task = Task { write: Some(random.next_u64()), ..Task::new(random) };
    let turns = any_size(random, 17);
    let (mut victim, socket) = task.start(progress);
    let opened = std::thread::scope(|scope| {
        let victim = &victim;
        scope.spawn(move || {
            spin(turns);
            victim.shoot();
        });
        open(socket, task.ring)
    });
    let tally = match opened {
        Ok((mut halves, counters)) => {
            let mut reader = Reader::new(task.write.expect("set above"));
            finish(&mut halves, &mut reader, &counters, task.ring, progress)
        }
        Err(ConnectError::Link(LinkError::PeerDied)) => Tally { kills: 1, ..Tally::default() },
        Err(other) => panic!("{other:?}"),
    };
    reap(&mut victim);
    tally
}
