//! SIGKILL at random moments, again and again: whoever survives has received exactly what was
//! committed, gets a typed error, and has nothing left of the dead.
//!
//! ```sh
//! TRAMLINE_KILL_ROUNDS=2000 cargo test -p tramline-tests --release --test crash_stress
//! ```
//!
//! Without the variable there are a few rounds only. `TRAMLINE_SEED` repeats the choices of a run;
//! the moments of the kills depend on the machine. One test, so that nothing else runs in this
//! process.

mod api;
mod bare;
mod flat;

use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};

use tramline_tests::PATIENCE;
use tramline_tests::doomed::{OneCpu, Progress, die_with_parent};
use tramline_tests::random::Random;

use crate::flat::Flat;

/// The program that is killed.
const PEER: &str = env!("CARGO_BIN_EXE_tramline-crash-peer");

/// Rounds without `TRAMLINE_KILL_ROUNDS`.
const FEW_ROUNDS: u64 = 60;

/// What the rounds of one kind did.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    kills: u64,
    messages: u64,
    /// Kills between "about to commit" and "committed", by the notes of the dead.
    in_doubt: u64,
}

/// One round: the seed decides everything but the time.
type Round = fn(&mut Random, &Progress) -> Tally;

const KINDS: [(&str, Round); 9] = [
    ("writer after a number of messages", bare::writer_killed_at_a_count),
    ("writer at any time", bare::writer_killed_at_any_time),
    ("writer with a full ring", bare::writer_killed_with_a_full_ring),
    ("reader", bare::reader_killed),
    ("both at work", bare::both_killed),
    ("stopped and continued", bare::stopped_and_continued),
    ("handshake", bare::killed_in_the_handshake),
    ("server", api::server_killed),
    ("client", api::client_killed),
];

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Ends the process, and with it the victim, if a round hangs.
fn watchdog() -> impl Fn(String) {
    let (begins, round) = channel::<String>();
    std::thread::spawn(move || {
        let mut current = String::new();
        loop {
            match round.recv_timeout(2 * PATIENCE) {
                Ok(next) => current = next,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("it hangs: {current}");
                    std::process::exit(101);
                }
            }
        }
    });
    move |round| begins.send(round).expect("it listens until we end")
}

/// The C library keeps memory for each of many threads, which hides a small leak. With this variable
/// it does not, but it has to be there when a process starts.
const ONE_ARENA: &str = "MALLOC_ARENA_MAX";

fn once_more_with_one_arena() {
    let own = std::env::current_exe().expect("this test");
    let mut rerun = Command::new(own);
    let status = rerun.args(["--exact", TEST, "--nocapture"]).env(ONE_ARENA, "1").status();
    let status = status.expect("this test starts once more");
    assert!(status.success(), "{status}");
}

/// The name of the one test.
const TEST: &str =
    "killing_either_side_at_any_moment_delivers_the_committed_prefix_and_leaves_nothing";

#[test]
fn killing_either_side_at_any_moment_delivers_the_committed_prefix_and_leaves_nothing() {
    if std::env::var_os(ONE_ARENA).is_none() {
        return once_more_with_one_arena();
    }
    die_with_parent();
    let rounds = number("TRAMLINE_KILL_ROUNDS").unwrap_or(FEW_ROUNDS).max(2);
    let seed = number("TRAMLINE_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("TRAMLINE_SEED={seed} TRAMLINE_KILL_ROUNDS={rounds}");
    let progress = Progress::new();
    let begin = watchdog();
    let mut tallies = [(0_u64, Tally::default()); KINDS.len()];
    let mut pinned = 0;
    // The first tenth starts what a process has once, and lets its memory grow to what it needs.
    let warm_up = (rounds / 10).max(2 * KINDS.len() as u64).min(rounds - 1);
    let (mut before, mut most_kib) = (None, 0);
    for round in 0..rounds {
        if round == warm_up {
            before = Some(Flat::settled());
        }
        let kind = usize::try_from(round % KINDS.len() as u64).expect("small");
        let (name, run) = KINDS[kind];
        let mut random = Random::new(seed.wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let one_cpu = random.below(4) == 0;
        let label = format!("round {round} of seed {seed}: {name}, one CPU: {one_cpu}");
        begin(label.clone());
        progress.reset();
        // Said when a round panics.
        let told = Told(label);
        let pin = one_cpu.then(OneCpu::pin);
        let done = run(&mut random, &progress);
        drop(pin);
        std::mem::forget(told);
        if round <= rounds / 2 {
            most_kib = most_kib.max(flat::rss_kib());
        }
        pinned += u64::from(one_cpu);
        let (count, tally) = &mut tallies[kind];
        *count += 1;
        tally.kills += done.kills;
        tally.messages += done.messages;
        tally.in_doubt += done.in_doubt;
    }
    begin("the end".into());
    let before = before.expect("at least one round after the first");
    let after = before.awaited();
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(|(_, tally)| of(tally)).sum::<u64>();
    let kinds: Vec<_> = KINDS
        .iter()
        .zip(&tallies)
        .map(|((name, _), (_, tally))| format!("{name} {}", tally.kills))
        .collect();
    println!(
        "{rounds} rounds ({pinned} on one CPU), {} kills ({}), {} in the middle of a batch, \
         {} messages checked, {}",
        sum(|t| t.kills),
        kinds.join(", "),
        sum(|t| t.in_doubt),
        sum(|t| t.messages),
        before.beside(&after),
    );
    assert_eq!(sum(|t| t.kills), rounds);
    before.assert_flat(&after, most_kib);
}

/// Says which round it was when it is dropped.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("in {}", self.0);
    }
}
