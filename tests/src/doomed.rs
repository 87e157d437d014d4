//! A process that is made to be killed, and what it leaves behind on purpose: how far it got.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::fs::MemfdFlags;
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A running victim. Dropping it kills and reaps it, stopped or not. It also dies with the thread
/// that started it, if it calls [`die_with_parent`].
#[derive(Debug)]
pub struct Victim {
    child: Child,
    pid: Pid,
}

impl Victim {
    /// Starts `program` with these arguments, standard input and output.
    #[must_use]
    pub fn spawn(
        program: &str,
        args: &[&str],
        stdin: impl Into<Stdio>,
        stdout: impl Into<Stdio>,
    ) -> Self {
        let child = Command::new(program).args(args).stdin(stdin).stdout(stdout).spawn();
        let child = child.expect("the victim starts");
        let pid = Pid::from_child(&child);
        Self { child, pid }
    }

    /// What it prints, if its output was piped and not taken yet.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL, without waiting for its end.
    pub fn shoot(&self) {
        // Not reaped before `reap`, so the number is still its own.
        kill_process(self.pid, Signal::KILL).expect("it is our child");
    }

    /// Stops it with SIGSTOP; returns when it stands still.
    pub fn stop(&self) {
        kill_process(self.pid, Signal::STOP).expect("it is our child");
        let stopped = waitpid(Some(self.pid), WaitOptions::UNTRACED).expect("it is our child");
        let (_, status) = stopped.expect("the call blocks");
        assert!(status.stopped(), "the victim ended by itself: {status:?}");
    }

    /// Lets it go on after [`stop`](Self::stop).
    pub fn go_on(&self) {
        kill_process(self.pid, Signal::CONT).expect("it is our child");
    }

    /// Waits until it has ended.
    pub fn reap(&mut self) -> ExitStatus {
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This process is killed when the thread that started it ends.
pub fn die_with_parent() {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("any process may ask");
}

/// How far a victim got, in memory that outlives it: for each of 16 slots, how many messages it
/// meant to commit at most, and how many it has committed for certain.
#[derive(Debug)]
pub struct Progress(File);

/// A slot: intended, done.
const SLOT_LEN: u64 = 16;
const SLOTS: usize = 16;

impl Progress {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        let file = rustix::fs::memfd_create("progress", MemfdFlags::CLOEXEC);
        let progress = Self(File::from(file.expect("a memory file")));
        progress.reset();
        progress
    }

    /// From a descriptor of [`for_victim`](Self::for_victim).
    #[must_use]
    pub fn inherited(file: OwnedFd) -> Self {
        Self(File::from(file))
    }

    /// The victim's end.
    #[must_use]
    pub fn for_victim(&self) -> OwnedFd {
        self.0.try_clone().expect("a descriptor").into()
    }

    /// All zero again.
    pub fn reset(&self) {
        self.0.write_all_at(&[0; SLOTS * 16], 0).expect("a memory file");
    }

    /// At most `count` messages will be committed until this is called again. Before the commit.
    ///
    /// One write in one page: a kill does not cut it in two.
    pub fn intend(&self, slot: u32, count: u64) {
        let at = u64::from(slot) * SLOT_LEN;
        self.0.write_all_at(&count.to_le_bytes(), at).expect("a memory file");
    }

    /// `count` messages are committed and flushed.
    pub fn done(&self, slot: u32, count: u64) {
        let at = u64::from(slot) * SLOT_LEN + 8;
        self.0.write_all_at(&count.to_le_bytes(), at).expect("a memory file");
    }

    /// Done and intended, as they stand.
    #[must_use]
    pub fn read(&self, slot: u32) -> (u64, u64) {
        let word = |at| {
            let mut bytes = [0; 8];
            self.0.read_exact_at(&mut bytes, at).expect("a memory file");
            u64::from_le_bytes(bytes)
        };
        let at = u64::from(slot) * SLOT_LEN;
        // A writer that lives may go on meanwhile: the lower bound first.
        let done = word(at + 8);
        (done, word(at))
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// This thread, and what it starts, on one CPU until this is dropped.
#[derive(Debug)]
pub struct OneCpu(CpuSet);

impl OneCpu {
    /// Pins the calling thread to the first CPU it may use.
    #[must_use]
    pub fn pin() -> Self {
        let before = sched_getaffinity(None).expect("any thread may ask");
        let first = (0..CpuSet::MAX_CPU).find(|cpu| before.is_set(*cpu)).expect("it runs on one");
        let mut one = CpuSet::new();
        one.set(first);
        sched_setaffinity(None, &one).expect("a subset of its own");
        Self(before)
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.0);
    }
}

/// Passes a little time without the clock and without sleeping.
pub fn spin(turns: u64) {
    for _ in 0..turns {
        std::hint::spin_loop();
    }
}
