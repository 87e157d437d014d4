//! Another process of a crowd, seen from the measuring one.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::super::args::Args;
use super::super::raw::gone;
use super::roles::Role;
use crate::failure::Failure;

/// A running one. Dropping it kills and reaps it, stopped or not.
pub(super) struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Helper {
    /// Starts it, and waits until it is ready.
    pub(super) fn start(
        role: Role,
        args: &Args,
        cpus: &[usize],
        endpoints: &[&str],
    ) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe().map_err(Failure::OwnFile)?);
        command.args(["bench-crowd", role.name()]).args(endpoints);
        command.args(["--wait", args.wait.name(), "--codec", args.codec.codec().name()]);
        command.args(["--payload", &args.payload_len().to_string()]);
        command.args(["--parent", &std::process::id().to_string()]);
        command.args(["--shared", &args.shared().to_string()]);
        for cpu in cpus {
            command.args(["--cpu", &cpu.to_string()]);
        }
        // What it would say when another one is gone is said here, once.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn();
        let mut helper = Self { child: child.map_err(Failure::Helper)?, stdin: None, stdout: None };
        helper.stdin = helper.child.stdin.take();
        helper.stdout = helper.child.stdout.take().map(BufReader::new);
        helper.hear()?;
        Ok(helper)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something.
    pub(super) fn say(&mut self, line: &str) -> Result<(), Failure> {
        let stdin = self.stdin.as_mut().ok_or(Failure::OtherGone)?;
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).map_err(gone)
    }

    /// Waits for a line of its own.
    pub(super) fn hear(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().ok_or(Failure::OtherGone)?;
        match stdout.read_line(&mut line) {
            Ok(1..) => Ok(line.trim_end().to_owned()),
            Ok(0) => Err(Failure::OtherGone),
            Err(e) => Err(gone(e)),
        }
    }

    /// Stops it with SIGSTOP: from the return on it does nothing, and does not notice.
    pub(super) fn stop(&self) -> Result<(), Failure> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).map_err(|e| gone(e.into()))?;
        let stopped = waitpid(Some(pid), WaitOptions::UNTRACED).map_err(|e| gone(e.into()))?;
        if stopped.is_some_and(|(_, status)| status.stopped()) {
            Ok(())
        } else {
            Err(Failure::OtherGone)
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
