//! The two processes, seen from the calling one.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use tramline::{Client, Running, Scheme, Server, Sidecar};

use super::args::{Args, Transport};
use super::machine::Pinning;
use super::peer;
use super::raw::{Bare, Task, settle};
use super::socket;
use crate::failure::Failure;

/// Samples of one burst at most; the memory for them is touched before anything is measured.
const SAMPLES: usize = 1 << 20;

/// This process and the other one. Dropping it ends the other one.
pub(crate) struct Pair {
    /// The connection whose calls and events are measured.
    pub(crate) client: Client,
    /// Orders, and the plain socket to compare with.
    pub(crate) control: UnixStream,
    pub(crate) bare: Bare,
    pub(crate) shares_cpu: bool,
    pub(crate) samples: Vec<u32>,
    next_ping: u64,
    endpoint: String,
    scheme: Scheme,
    codec: tramline::AnyCodec,
    mode: tramline::WaitMode,
    _here: Option<Running>,
    sidecar: Sidecar,
}

impl Pair {
    pub(crate) fn open(args: &Args, pinning: &Pinning) -> Result<Self, Failure> {
        let (mode, codec) = (args.wait.mode(), args.codec.codec());
        // Abstract socket names outlive nobody, and a process id is reused at some time.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let endpoint = format!("bench-{}-{}", std::process::id(), now.subsec_nanos());
        let pair = || UnixStream::pair().map_err(Failure::Pair);
        let ((control, their_control), (ring, their_ring)) = (pair()?, pair()?);
        let mut command = Command::new(std::env::current_exe().map_err(Failure::OwnFile)?);
        command
            .args(["bench-peer", &endpoint, "--wait", args.wait.name()])
            .stdin(Stdio::from(OwnedFd::from(their_control)))
            .stdout(Stdio::from(OwnedFd::from(their_ring)));
        if let Some(cpu) = pinning.server {
            command.args(["--cpu", &cpu.to_string()]);
        }
        if pinning.shares_cpu() {
            command.arg("--shares-cpu");
        }
        let scheme = args.transport.scheme();
        // Within this process there is nothing to connect to; the other one then is the floor's.
        let to_sidecar = if scheme == Scheme::Mem { Scheme::Pipe } else { scheme };
        let sidecar = Sidecar::spawn(command).scheme(to_sidecar).codec(codec).wait_mode(mode);
        let sidecar = sidecar.wait().map_err(Failure::Worker)?;
        let bare = Bare::open(ring.into(), mode, pinning.shares_cpu()).map_err(Failure::Worker)?;
        let here = match args.transport {
            Transport::Mem => {
                let server = peer::with_commands(Server::new()).wait_mode(mode);
                Some(server.start(&format!("mem:{endpoint}")).map_err(Failure::Serve)?)
            }
            _ => None,
        };
        let mut samples = vec![1; SAMPLES];
        samples.clear();
        let mut pair = Self {
            client: sidecar.client().clone(),
            control,
            bare,
            shares_cpu: pinning.shares_cpu(),
            samples,
            next_ping: 1,
            endpoint,
            scheme,
            codec,
            mode,
            _here: here,
            sidecar,
        };
        if scheme == Scheme::Mem {
            pair.client = pair.connect(scheme)?;
        }
        Ok(pair)
    }

    /// One more connection to the same server process, like the first one.
    pub(crate) fn connect_again(&self) -> Result<Client, Failure> {
        self.connect(self.scheme)
    }

    /// One more connection to the same server process.
    pub(crate) fn connect(&self, scheme: Scheme) -> Result<Client, Failure> {
        let connect = Client::connect(&format!("{scheme}:{}", self.endpoint));
        connect.codec(self.codec).wait_mode(self.mode).wait().map_err(Failure::Worker)
    }

    /// The other process.
    pub(crate) fn server_pid(&self) -> u32 {
        self.sidecar.id()
    }

    /// Tells the other process's thread what to do next.
    pub(crate) fn order(&mut self, task: Task) -> Result<(), Failure> {
        task.order(&mut self.control)
    }

    /// Values for `count` pings that were never used before; the other side knows of them.
    pub(crate) fn order_floor(&mut self, count: u64) -> Result<std::ops::Range<u64>, Failure> {
        let first = self.next_ping;
        self.next_ping += count;
        self.order(Task::Floor { first, count })?;
        Ok(first..first + count)
    }

    /// Waits until nobody spins on either side.
    pub(crate) fn settle(&mut self) -> Result<(), Failure> {
        self.order(Task::Settle)?;
        socket::done(&mut self.control)?;
        settle();
        Ok(())
    }
}
