//! Other processes: `tramline-test-peer` in one of its roles.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::PATIENCE;

/// A running test peer. Dropping it kills and reaps it; it also ends by itself when this process
/// does, for its standard input then ends.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    /// Held open: the peer ends with it.
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Peer {
    /// Starts `program` with these arguments, without waiting for anything.
    #[must_use]
    pub fn spawn(program: &str, args: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test peer starts");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("piped above");
        let (line, lines) = channel();
        // Ends with the pipe.
        thread::spawn(move || {
            for text in BufReader::new(stdout).lines() {
                let Ok(text) = text else { break };
                if line.send(text).is_err() {
                    break;
                }
            }
        });
        Self { child, stdin, lines }
    }

    /// Starts it and waits until it says that it is ready.
    #[must_use]
    pub fn ready(program: &str, args: &[&str]) -> Self {
        let peer = Self::spawn(program, args);
        assert_eq!(peer.line().as_deref(), Some("ready"), "{args:?}");
        peer
    }

    /// The next line it prints; `None` when it has closed its output.
    ///
    /// # Panics
    ///
    /// If neither happens within [`PATIENCE`].
    #[must_use]
    pub fn line(&self) -> Option<String> {
        self.line_within(PATIENCE)
    }

    /// The next line it prints within this time; `None` when it has closed its output.
    ///
    /// # Panics
    ///
    /// If neither happens.
    #[must_use]
    pub fn line_within(&self, time: Duration) -> Option<String> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        match self.lines.recv_timeout(time) {
            Ok(line) => Some(line),
            Err(Disconnected) => None,
            Err(Timeout) => panic!("the peer says nothing"),
        }
    }

    /// Gives it a line of input.
    ///
    /// # Panics
    ///
    /// If its input was closed by [`hang_up`](Self::hang_up).
    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("not hung up");
        // A peer that has ended says so by its output.
        let _ = writeln!(stdin, "{line}");
    }

    /// Ends its input.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Whether it still runs.
    ///
    /// # Panics
    ///
    /// If the system does not tell.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL and reaps it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills it without reaping it, so that the call returns at once.
    pub fn shoot(&mut self) {
        self.child.kill().expect("it is ours");
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    ///
    /// If it does not within [`PATIENCE`].
    pub fn exit(mut self) -> ExitStatus {
        wait_for_exit(&pidfd(self.id()).expect("not reaped yet"));
        self.child.wait().expect("it is ours")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A descriptor that names a process for as long as it is held; `None` if there is no such process.
#[must_use]
pub fn pidfd(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Waits until a process has ended.
///
/// # Panics
///
/// If it has not within [`PATIENCE`].
pub fn wait_for_exit(pidfd: &OwnedFd) {
    let patience = Timespec::try_from(PATIENCE).expect("30 s");
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let ready = poll(&mut fds, Some(&patience)).expect("poll");
    assert_eq!(ready, 1, "the process does not end");
}
