//! A child process over a private inherited socket: no name anywhere.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::ops::Deref;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use tramline_core::command::Commands;
use tramline_core::transport::WaitMode;
use tramline_core::{AnyCodec, ConfigError, ConnectError, Limits};
use tramline_transport_pipe::Stream;

use crate::client::{Client, Connect, Options, Target};
use crate::endpoint::Scheme;
use crate::shadow::Difference;

/// Names the inherited socket to the child: its descriptor and the parent's process id.
const PARENT_VARIABLE: &str = "TRAMLINE_PARENT";

/// The first descriptor after the standard ones; what the child finds it under does not matter
/// otherwise.
const CHILD_FD: RawFd = 3;

/// How long a child may take to end by itself when its sidecar is dropped, before it is killed. A
/// choice: long enough to write a file out, short enough not to be noticed as a hang.
const GRACE: Duration = Duration::from_secs(2);

/// A child process and the connection to it. Use it like the [`Client`] it derefs to.
///
/// Standard input, output and error stay free: the connection has a socket of its own. Dropping it
/// ends the connection, waits two seconds for the child to end and then kills it.
///
/// # Examples
///
/// ```no_run
/// use std::process::Command;
/// use tramline::Sidecar;
///
/// let worker = Sidecar::spawn(Command::new("./my-worker")).wait()?;
/// let answer: u32 = worker.invoke("answer", ()).wait()?;
/// # Ok::<(), tramline::Error>(())
/// ```
///
/// The child's side:
///
/// ```no_run
/// use tramline::{Capabilities, Server, command, commands};
///
/// #[command]
/// fn answer() -> u32 {
///     42
/// }
///
/// Server::from_parent().commands(commands![answer]).allow(Capabilities::all()).run().wait()?;
/// # Ok::<(), tramline::Error>(())
/// ```
pub struct Sidecar {
    client: Client,
    child: Reaped,
}

impl Sidecar {
    /// Starts `command` as a child process and connects to it.
    ///
    /// # Errors
    ///
    /// When awaited or waited for: [`ConnectError`].
    pub fn spawn(command: Command) -> Spawn {
        Spawn { command, scheme: Scheme::Auto, options: Options::default() }
    }

    /// The connection, to be used on its own. It ends with the sidecar.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The child's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// Kills the child at once and waits until it is gone.
    ///
    /// # Errors
    ///
    /// The system's refusal.
    pub fn kill(&mut self) -> std::io::Result<ExitStatus> {
        self.child.0.kill()?;
        self.child.0.wait()
    }

    /// Ends the connection and waits for the child to end by itself.
    ///
    /// # Errors
    ///
    /// The system's refusal.
    pub fn close(mut self) -> std::io::Result<ExitStatus> {
        self.client.close();
        self.child.0.wait()
    }
}

impl Deref for Sidecar {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // The child's server ends with its connection; `Reaped` sees to the rest.
        self.client.close();
    }
}

impl fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sidecar").field("pid", &self.id()).field("client", &self.client).finish()
    }
}

/// A child that does not outlive this value.
struct Reaped(Child);

impl Reaped {
    /// Waits for the child to end, as long as the grace lasts.
    #[cfg(target_os = "linux")]
    fn wait_for_grace(&mut self) {
        use rustix::event::{PollFd, PollFlags, poll};
        use rustix::process::{Pid, PidfdFlags, pidfd_open};

        let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) else {
            return;
        };
        if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
            let grace = rustix::event::Timespec::try_from(GRACE).ok();
            // A signal may interrupt it; the grace then begins anew, once per signal.
            while poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], grace.as_ref())
                == Err(rustix::io::Errno::INTR)
            {}
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn wait_for_grace(&mut self) {
        let _ = GRACE;
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.wait_for_grace();
        }
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// A child about to be started: `.await` it or `.wait()` for it.
#[must_use = "nothing happens until this is awaited or waited for"]
pub struct Spawn {
    command: Command,
    scheme: Scheme,
    options: Options,
}

impl Spawn {
    /// How the bytes travel; [`Scheme::Auto`] by default.
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// The codec of this connection; MessagePack by default.
    pub fn codec(mut self, codec: AnyCodec) -> Self {
        self.options.codec = codec;
        self
    }

    /// The label by which the child knows this process.
    pub fn label(mut self, label: &str) -> Self {
        self.options.label = Some(label.to_owned());
        self
    }

    /// Limits of this side.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = limits;
        self
    }

    /// How this side waits; [`WaitMode::Balanced`] by default. The child chooses for itself.
    pub fn wait_mode(mut self, mode: WaitMode) -> Self {
        self.options.wait_mode = mode;
        self
    }

    /// Commands of the child's whose types this program knows; see
    /// [`Connect::commands`](crate::Connect::commands).
    pub fn commands(mut self, commands: Commands) -> Self {
        self.options.commands.extend(commands);
        self
    }

    /// Shadow mode; see [`Connect::shadow`](crate::Connect::shadow).
    pub fn shadow(mut self, report: impl Fn(&Difference) + Send + Sync + 'static) -> Self {
        self.options.shadow = Some(Box::new(report));
        self
    }

    /// Starts the child and connects to it, blocking this thread.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; the child is gone then.
    pub fn wait(mut self) -> Result<Sidecar, ConnectError> {
        self.options.check()?;
        let (stream, child_end) =
            Stream::pair().map_err(|e| ConnectError::os("making a socket pair", e))?;
        let mapping = FdMapping { parent_fd: child_end, child_fd: CHILD_FD };
        self.command
            .env(PARENT_VARIABLE, format!("{CHILD_FD}:{}", std::process::id()))
            .fd_mappings(vec![mapping])
            .map_err(|_| ConnectError::Handshake {
                at: "starting the child",
                what: "descriptor 3 is mapped already".into(),
            })?;
        let child = self.command.spawn().map_err(|e| ConnectError::os("starting the child", e))?;
        let child = Reaped(child);
        // The command holds the child's end of the socket: without this, the child's death would
        // not be seen.
        drop(self.command);
        let client = Connect { target: Target::Stream(stream, self.scheme), options: self.options }
            .wait()?;
        Ok(Sidecar { client, child })
    }
}

impl IntoFuture for Spawn {
    type Output = Result<Sidecar, ConnectError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(blocking::unblock(move || self.wait()))
    }
}

impl fmt::Debug for Spawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawn").field("command", &self.command).finish_non_exhaustive()
    }
}

/// The socket that this process's parent left for it.
pub(crate) fn parent_stream() -> Result<Stream, ConfigError> {
    let no = |why| ConfigError::NoParent { why };
    let value = std::env::var(PARENT_VARIABLE)
        .map_err(|_| no("it was not started by tramline's Sidecar"))?;
    let numbers = value
        .split_once(':')
        .and_then(|(fd, pid)| Some((fd.parse::<RawFd>().ok()?, pid.parse::<u32>().ok()?)));
    let Some((fd, pid)) = numbers else {
        return Err(no("TRAMLINE_PARENT is not DESCRIPTOR:PID"));
    };
    // A grandchild inherits the variable but not the socket.
    if std::os::unix::process::parent_id() != pid {
        return Err(no("TRAMLINE_PARENT was meant for another process"));
    }
    Stream::inherited(fd)
}
