//! The connect policy: who may come in, as what.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use tramline_core::PeerIdentity;
use tramline_core::acl::{PeerClass, Quota, Standing};
use tramline_core::error::codes;
use tramline_core::session::Goodbye;
use tramline_transport_pipe::Stream;

/// A process that wants to connect, as the connect policy sees it
/// ([`Server::admit`](crate::Server::admit)).
#[derive(Debug)]
pub struct Visitor {
    identity: PeerIdentity,
    label: Option<Box<str>>,
    transport: &'static str,
    process: Process,
}

impl Visitor {
    pub(crate) fn new(
        identity: PeerIdentity,
        label: Option<Box<str>>,
        transport: &'static str,
        process: Process,
    ) -> Self {
        Self { identity, label, transport, process }
    }

    /// User, group and process, as the system states them at the moment of connecting.
    #[must_use]
    pub fn identity(&self) -> PeerIdentity {
        self.identity
    }

    /// The label it asks for. Anyone can ask for any; JSON-RPC clients ask for none.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// `shm`, `pipe`, `mem` or `json-rpc`.
    #[must_use]
    pub fn transport(&self) -> &'static str {
        self.transport
    }

    /// The path of the program that the connecting process runs now.
    ///
    /// The process is held by a descriptor that the system made when it connected, so another one
    /// that was given its number meanwhile is never taken for it. What surprises people:
    ///
    /// - It keeps mistakes out, not enemies of the same user. Such a one can run the right program
    ///   and make it do something else (`ptrace`, `LD_PRELOAD`), or connect, hand the socket on and
    ///   only then become the right program.
    /// - A path is a name: whoever may write there decides what it runs. The path of a program that
    ///   was replaced or deleted ends in ` (deleted)`.
    ///
    /// # Errors
    ///
    /// - `Unsupported`: not on Linux 6.5 or newer, or no socket: a connection within this process,
    ///   standard streams.
    /// - `NotFound`: the process is gone, or the system cannot name it here (another PID
    ///   namespace).
    /// - Others as the system says, such as `PermissionDenied`.
    pub fn executable(&self) -> io::Result<PathBuf> {
        self.process.executable(self.identity.pid)
    }
}

/// What the connect policy says.
///
/// # Examples
///
/// ```
/// use tramline::{Admission, Quota, Rate};
///
/// // As it comes: local, under the label that it asks for.
/// let usual = Admission::local();
/// // A worker has the name we give it, and no more than it needs.
/// let worker = Admission::local()
///     .label("worker")
///     .quota(Quota::none().calls_in_flight(4).messages(Rate::per_second(100)));
/// let page = Admission::remote("https://app.example.com/");
/// let nobody = Admission::refuse("only the updater may connect");
/// # let _ = (usual, worker, page, nobody);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission(Result<Admitted, Box<str>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Admitted {
    class: PeerClass,
    /// `None` leaves the label that was asked for.
    label: Option<Option<Box<str>>>,
    quota: Option<Quota>,
}

impl Admission {
    /// Admitted as a part of the application, under the label that it asks for.
    #[must_use]
    pub fn local() -> Self {
        Self::of_class(PeerClass::Local)
    }

    /// Admitted as a stranger that comes from this URL: it may do only what capabilities with a
    /// matching `remote.urls` allow. Needs the feature `remote-urls` to be allowed anything.
    #[must_use]
    pub fn remote(origin: &str) -> Self {
        Self::of_class(PeerClass::Remote { origin: origin.into() })
    }

    /// Not admitted. The peer is told `text`, with the code `peer-refused`.
    #[must_use]
    pub fn refuse(text: &str) -> Self {
        Self(Err(text.into()))
    }

    /// Under this label, whatever it asks for.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        if let Ok(admitted) = &mut self.0 {
            admitted.label = Some(Some(label.into()));
        }
        self
    }

    /// Under no label, whatever it asks for.
    #[must_use]
    pub fn no_label(mut self) -> Self {
        if let Ok(admitted) = &mut self.0 {
            admitted.label = Some(None);
        }
        self
    }

    /// With this quota, instead of the server's.
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        if let Ok(admitted) = &mut self.0 {
            admitted.quota = Some(quota);
        }
        self
    }

    fn of_class(class: PeerClass) -> Self {
        Self(Ok(Admitted { class, label: None, quota: None }))
    }
}

/// The user's word on who may come in.
type Judge = dyn Fn(&Visitor) -> Admission + Send + Sync;

/// Who may come in, and with what quota.
#[derive(Default)]
pub(crate) struct Policy {
    pub(crate) judge: Option<Box<Judge>>,
    pub(crate) quota: Quota,
}

impl Policy {
    /// Whether anybody may ask for the visitor's process.
    pub(crate) fn looks_at_processes(&self) -> bool {
        self.judge.is_some()
    }

    /// Judges a visitor, who has said hello and nothing else. The transport has seen to its user.
    pub(crate) fn admit(&self, visitor: Visitor) -> Result<Standing, Goodbye> {
        let refused = |text: &str| Goodbye::new(codes::PEER_REFUSED, text);
        let Some(judge) = &self.judge else {
            return Ok(Standing { quota: self.quota, ..Standing::local(visitor.label) });
        };
        // A judge that panics admits nobody.
        let Admission(verdict) = catch_unwind(AssertUnwindSafe(|| judge(&visitor)))
            .unwrap_or_else(|_| Admission::refuse("the connect policy failed"));
        let Admitted { class, label, quota } = verdict.map_err(|text| refused(&text))?;
        let label = label.unwrap_or(visitor.label);
        Ok(Standing { label, class, quota: quota.unwrap_or(self.quota) })
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("quota", &self.quota).finish_non_exhaustive()
    }
}

pub(crate) use self::process::Process;

#[cfg(target_os = "linux")]
mod process {
    use std::os::fd::OwnedFd;

    use nix::errno::Errno;
    use nix::sys::socket::{getsockopt, sockopt};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::{PathBuf, Stream, io};

    /// The process that made a connection, held so that its number cannot come to mean another.
    #[derive(Debug)]
    pub(crate) struct Process(Result<OwnedFd, Errno>);

    impl Process {
        /// Nobody asks, or there is no socket.
        pub(crate) fn unknown() -> Self {
            Self(Err(Errno::ENOPROTOOPT))
        }

        /// The peer of this socket.
        pub(crate) fn of(stream: &Stream) -> Self {
            Self(getsockopt(stream, sockopt::PeerPidfd))
        }

        #[cfg(test)]
        pub(super) fn held(pidfd: OwnedFd) -> Self {
            Self(Ok(pidfd))
        }

        pub(super) fn executable(&self, pid: Option<u32>) -> io::Result<PathBuf> {
            let gone = || io::Error::new(io::ErrorKind::NotFound, "the process is gone");
            let pidfd = match &self.0 {
                Ok(pidfd) => pidfd,
                // Kernels before 6.5 do not know the option.
                Err(Errno::ENOPROTOOPT) => return Err(io::ErrorKind::Unsupported.into()),
                // The one that connected has ended, and was waited for.
                Err(Errno::EINVAL | Errno::ESRCH) => return Err(gone()),
                Err(other) => return Err((*other).into()),
            };
            let pid = pid.filter(|pid| *pid != 0).ok_or_else(gone)?;
            let path = std::fs::read_link(format!("/proc/{pid}/exe"))?;
            // Readable means that it has ended. As long as it has not, the number was its own all
            // the time.
            let at_once = Some(&Timespec { tv_sec: 0, tv_nsec: 0 });
            match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], at_once)? {
                0 => Ok(path),
                _ => Err(gone()),
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod process {
    use super::{PathBuf, Stream, io};

    /// The process that made a connection: not known here.
    #[derive(Debug)]
    pub(crate) struct Process;

    impl Process {
        pub(crate) fn unknown() -> Self {
            Self
        }

        pub(crate) fn of(_: &Stream) -> Self {
            Self
        }

        pub(super) fn executable(&self, _: Option<u32>) -> io::Result<PathBuf> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn a_process_that_was_given_the_number_of_a_dead_one_is_not_taken_for_it() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("it starts");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a number");
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("it runs");
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        // As if the dead one's number had become ours.
        let ours = Some(std::process::id());
        let found = Process::held(pidfd).executable(ours);
        assert_eq!(found.expect_err("dead").kind(), io::ErrorKind::NotFound);
    }
}
