//! Links through a named file, for two processes that share nothing but a name. Feature `named`.
//!
//! For trusted processes of one user that cannot have a socket between them. Wherever there can be
//! one, use [`establish`](crate::establish): it is safe, and costs nothing more.
//!
//! One process makes an offer and passes its name on, as an argument, in the environment or on
//! standard input. Another one joins. As soon as both have mapped the file its name is gone, so
//! what is killed later leaves nothing behind.
//!
//! # Limits
//!
//! - **No protection from the peer.** Both map one file for writing, without seals: a faulty or
//!   hostile peer can write anything anywhere in it, or cut it off, and then the next access kills
//!   this process (SIGBUS). The same holds for any process that learns the name in time and runs as
//!   the same user. Hence the two `unsafe` functions. Everything read is still checked, as in any
//!   link, which catches mistakes.
//! - **One user.** The file must belong to the effective user of both, with mode 0600. Root can
//!   open it anyway.
//! - **One process namespace and one time namespace**: the peer's end is seen by its process. Two
//!   containers that share `/dev/shm` are refused.
//! - **A SIGKILL between [`NamedOffer::create`] and the meeting leaves the name**, and its memory,
//!   until the next [`sweep`].
//! - The file counts against the size of `/dev/shm` (64 MiB in many containers): it is reserved at
//!   once, 2 MiB and some with default limits.
//! - The link ends with the peer's *process*. A peer that only drops its halves says goodbye, but
//!   one that leaks them and lives on keeps the link open.
//! - Linux 5.3 or newer, with `/proc` and `/dev/shm`.
//!
//! # Source
//!
//! The bytes: `docs/WIRE-FORMAT.md` section 2.5. Why it is optional: `docs/DECISIONS.md`.
//!
//! # Examples
//!
//! ```no_run
//! use std::process::Command;
//! use std::time::Duration;
//! use tramline_core::{Limits, Transport};
//! use tramline_transport_shm::named::{self, NamedOffer};
//!
//! # fn parent() -> Result<(), Box<dyn std::error::Error>> {
//! // In one process:
//! let offer = NamedOffer::create(&Limits::default())?;
//! let child = Command::new("worker").arg(offer.name()).spawn()?;
//! // SAFETY: the worker is our own program, and nobody else was told the name.
//! let link = unsafe { offer.accept(Duration::from_secs(10)) }?;
//! let halves = Box::new(link).into_halves();
//! # Ok(())
//! # }
//!
//! # fn worker() -> Result<(), Box<dyn std::error::Error>> {
//! // In the other:
//! let name = std::env::args().nth(1).ok_or("no name")?;
//! // SAFETY: the name comes from the program that started this one.
//! let link = unsafe { named::join(&name, &Limits::default()) }?;
//! let halves = Box::new(link).into_halves();
//! # Ok(())
//! # }
//! ```

mod meeting;
mod name;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FallocateFlags;
use rustix::rand::GetRandomFlags;
use tramline_core::{ConfigError, ConnectError, Limits, LinkError, PeerIdentity};

use self::meeting::{Invitation, JOINED, LEFT, Meeting, OPEN, TAKEN, WAITING, WITHDRAWN};
use self::name::{Name, Process, Unlink, own_uid};
use crate::death::{self, Lifeline};
use crate::layout::{self, Fixed};
use crate::link::ShmTransport;
use crate::ring::memory::{self, PeerMap};
use crate::segment::{Mapping, NamedFile};
use crate::wake::cpus;

pub use self::name::sweep;

/// Where an error of this module is found.
const AT: &str = "named segment";

/// The parts of a file: a page to meet on, the creator's segment, the joiner's segment.
#[derive(Debug, Clone, Copy)]
struct Parts {
    page: usize,
    segment: usize,
}

impl Parts {
    fn of(capacity: u64) -> Self {
        let page = rustix::param::page_size();
        // Legal capacities fit.
        let segment = usize::try_from(layout::segment_len(capacity, page as u64)).unwrap_or(0);
        Self { page, segment }
    }

    fn whole(self) -> usize {
        self.page + 2 * self.segment
    }

    fn meeting(self, file: &Arc<NamedFile>) -> Meeting {
        Meeting::new(Mapping::part(file, 0, self.page))
    }

    /// The creator's segment and the joiner's, the one that is not ours read-only.
    fn segments(self, file: &Arc<NamedFile>, creator: bool) -> Result<Segments, ConnectError> {
        let (first, second) = (self.page, self.page + self.segment);
        let (own, peer) = if creator { (first, second) } else { (second, first) };
        let peer = Mapping::read_only_part(file, peer, self.segment)
            .map_err(|error| ConnectError::os("mprotect", error))?;
        Ok(Segments { own: Mapping::part(file, own, self.segment), peer })
    }
}

#[derive(Debug)]
struct Segments {
    own: Mapping,
    peer: Mapping,
}

/// A link that one other process may join, under a name that is hard to guess.
///
/// Dropping it takes the name back.
#[derive(Debug)]
pub struct NamedOffer {
    invitation: Invitation,
    segments: Segments,
    fixed: Fixed,
    max_message_len: usize,
}

impl NamedOffer {
    /// Makes the file for a link. Stale names of this user are taken away first.
    ///
    /// # Errors
    ///
    /// - [`ConnectError::Config`]: a limit is out of range.
    /// - [`ConnectError::Os`]: the system refused a step; with ENOSPC, `/dev/shm` is full.
    pub fn create(limits: &Limits) -> Result<Self, ConnectError> {
        limits.check()?;
        // A name that cannot be taken away is no reason not to make another.
        let _ = sweep();
        start_watcher()?;
        let nonce = random()?;
        let name = Name::new(own_process()?, nonce);
        let parts = Parts::of(limits.ring_capacity as u64);
        // Before the file is there, so that it goes on every way out.
        let unlink = Unlink(name.clone());
        let file = NamedFile::create(&name.os_id(), parts.whole())
            .map_err(|error| ConnectError::os("shm_open", error))?;
        reserve(&name.path(), parts.whole())
            .map_err(|error| ConnectError::os("fallocate", error))?;
        let mut segments = parts.segments(&file, true)?;
        let fixed = Fixed {
            segment_len: parts.segment as u64,
            ring_capacity: limits.ring_capacity as u64,
            nonce,
        };
        segments.own.write_fixed(&fixed.encode(u64::from(std::process::id())));
        let meeting = parts.meeting(&file);
        meeting.introduce_creator();
        Ok(Self {
            invitation: Invitation { meeting, unlink },
            segments,
            fixed,
            max_message_len: limits.max_message_len,
        })
    }

    /// What the other process needs for [`join`].
    #[must_use]
    pub fn name(&self) -> &str {
        self.invitation.unlink.0.as_str()
    }

    /// Waits until another process has joined. Afterwards the name is gone, whatever happened.
    ///
    /// The peer's identity is the owner of the file and the process that it says it is, which was
    /// seen to live.
    ///
    /// # Errors
    ///
    /// - [`ConnectError::TimedOut`]: nobody came within `timeout`.
    /// - [`ConnectError::Handshake`]: whoever came wrote something else than this library would.
    /// - [`ConnectError::Link`]: it came and went.
    /// - [`ConnectError::Os`]: the system refused a step.
    ///
    /// # Safety
    ///
    /// Until the link and all of its halves are dropped, every process that has joined, or has
    /// opened the file by its name otherwise, changes no byte of it except through this library (of
    /// one version of the wire format), and does not change its size.
    pub unsafe fn accept(self, timeout: Duration) -> Result<ShmTransport, ConnectError> {
        let Self { invitation, segments: Segments { own, peer }, fixed, max_message_len } = self;
        let meeting = &invitation.meeting;
        match meeting.wait_while(&[WAITING, TAKEN], meeting::after(timeout)) {
            JOINED => {}
            WAITING | TAKEN => {
                let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                return Err(ConnectError::TimedOut { timeout_ms });
            }
            LEFT => return Err(LinkError::Closed.into()),
            step => return Err(unfit(format_args!("meeting: step {step}"))),
        }
        fixed.check(&peer.read_fixed()).map_err(unfit)?;
        let joiner = meeting
            .joiner(invitation.unlink.0.creator.namespaces)
            .ok_or_else(|| unfit("meeting: joiner's process id"))?;
        let process = open(&joiner)?;
        meeting.step(JOINED, OPEN).map_err(|_| ConnectError::Link(LinkError::Closed))?;
        let cpus = cpus::shared_with(meeting.joiner_cpus());
        link(process, (own, peer), &fixed, joiner.pid, max_message_len, cpus)
    }
}

/// Joins the link that another process offers as `name`. Returns when both sides have it, or
/// neither.
///
/// # Errors
///
/// - [`ConnectError::Config`]: this is no name of an offer, or a limit is out of range.
/// - [`ConnectError::NotFound`]: nothing of that name, or another process has joined.
/// - [`ConnectError::PeerUser`]: made by, or for, another user.
/// - [`ConnectError::Transport`]: made in another process or time namespace.
/// - [`ConnectError::Handshake`]: the file has another mode, type, size or content than an offer,
///   its rings are larger than `limits.ring_capacity`, or another process is joining it.
/// - [`ConnectError::Link`]: the process that made it is dead, or withdrew it.
/// - [`ConnectError::TimedOut`]: it did not accept within `limits.handshake_timeout_ms`.
/// - [`ConnectError::Os`]: the system refused a step.
///
/// # Safety
///
/// `name` comes from [`NamedOffer::name`] of a process that is trusted, and the promise of
/// [`NamedOffer::accept`] holds on this side, too.
pub unsafe fn join(name: &str, limits: &Limits) -> Result<ShmTransport, ConnectError> {
    limits.check()?;
    let why = "not the name of an offer";
    let name = Name::parse(name)
        .ok_or_else(|| ConfigError::Endpoint { endpoint: name.into(), why })
        .map_err(ConnectError::from)?;
    of_our_user(name.uid)?;
    let own_process = own_process()?;
    if name.creator.namespaces != own_process.namespaces {
        let why = "the offer was made in another process or time namespace";
        return Err(ConnectError::Transport { transport: "shm", why: why.into() });
    }
    start_watcher()?;

    let most = Parts::of(limits.ring_capacity as u64).whole();
    let found = Found::look(&name, most)?;
    let process = open(&name.creator)?;
    let file = NamedFile::open(&name.os_id()).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => not_found(&name),
        _ => ConnectError::os("shm_open", error),
    })?;
    // What was checked is what was opened.
    if Found::look(&name, most)? != found || file.len() as u64 != found.len {
        return Err(unfit("the file changed while it was opened"));
    }
    let (parts, fixed) = read(&file, &name, limits.ring_capacity as u64)?;
    let Segments { mut own, peer } = parts.segments(&file, false)?;
    let meeting = parts.meeting(&file);

    meeting.step(WAITING, TAKEN).map_err(|step| match step {
        WITHDRAWN => ConnectError::Link(LinkError::Closed),
        _ => unfit("another process has joined"),
    })?;
    own.write_fixed(&fixed.encode(u64::from(own_process.pid)));
    meeting.introduce_joiner(&own_process);
    meeting.step(TAKEN, JOINED).map_err(|_| ConnectError::Link(LinkError::Closed))?;
    // Both have mapped it.
    let pid = name.creator.pid;
    drop(Unlink(name));

    let timeout_ms = limits.handshake_timeout_ms;
    let mut step = meeting.wait_while(&[JOINED], meeting::after(Duration::from_millis(timeout_ms)));
    if step == JOINED {
        // If the creator accepts in this moment it is open all the same.
        step = meeting.step(JOINED, LEFT).err().unwrap_or(LEFT);
    }
    match step {
        OPEN => {}
        LEFT if matches!(name::has_ended(&process), Ok(true)) => {
            return Err(LinkError::PeerDied.into());
        }
        LEFT => return Err(ConnectError::TimedOut { timeout_ms }),
        _ => return Err(LinkError::Closed.into()),
    }
    let cpus = cpus::shared_with(meeting.creator_cpus());
    link(process, (own, peer), &fixed, pid, limits.max_message_len, cpus)
}

/// What the folder says of a name, all of it checked.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    device: u64,
    inode: u64,
    len: u64,
}

impl Found {
    fn look(name: &Name, most: usize) -> Result<Self, ConnectError> {
        let metadata = fs::symlink_metadata(name.path()).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => not_found(name),
            _ => ConnectError::os("stat", error),
        })?;
        if !metadata.is_file() {
            return Err(unfit("not a regular file"));
        }
        of_our_user(metadata.uid())?;
        let mode = metadata.mode() & 0o7777;
        if mode != 0o600 {
            return Err(unfit(format_args!("mode is {mode:04o}, allowed is 0600")));
        }
        let (device, inode, len) = (metadata.dev(), metadata.ino(), metadata.len());
        let least = Parts::of(layout::MIN_RING_CAPACITY).whole();
        if !(least as u64..=most as u64).contains(&len) {
            return Err(unfit(format_args!("size is {len}, allowed is {least} to {most}")));
        }
        Ok(Self { device, inode, len })
    }
}

/// Checks what the creator wrote about its segment. The rest follows from it.
fn read(
    file: &Arc<NamedFile>,
    name: &Name,
    max_capacity: u64,
) -> Result<(Parts, Fixed), ConnectError> {
    let page = rustix::param::page_size();
    let header = Mapping::part(file, page, layout::HEADER_LEN).read_fixed();
    let ring_capacity = Fixed::ring_capacity_in(&header);
    if !layout::capacity_is_legal(ring_capacity) {
        return Err(unfit("segment header: ring_cap"));
    }
    let parts = Parts::of(ring_capacity);
    let fixed = Fixed { segment_len: parts.segment as u64, ring_capacity, nonce: name.nonce };
    fixed.check_offer(max_capacity, page as u64).map_err(unfit)?;
    fixed.check(&header).map_err(unfit)?;
    if file.len() != parts.whole() {
        return Err(unfit("size does not fit the ring capacity"));
    }
    Ok((parts, fixed))
}

/// Both sides have agreed.
fn link(
    process: OwnedFd,
    (own, peer): (Mapping, Mapping),
    fixed: &Fixed,
    pid: u32,
    max_message_len: usize,
    cpus: usize,
) -> Result<ShmTransport, ConnectError> {
    // Legal capacities fit.
    let capacity = usize::try_from(fixed.ring_capacity).unwrap_or(0);
    let own = memory::own(own, capacity);
    let peer = PeerMap::new(peer, capacity);
    let identity = PeerIdentity::new(Some(own_uid()), Some(pid));
    let lifeline = Lifeline::Process(process);
    ShmTransport::open_with(lifeline, own, peer, identity, max_message_len, cpus)
        .map_err(|error| ConnectError::os("watch the process", error))
}

/// Memory for the whole file now, or an error now. Without it a full file system is found by the
/// first write to each page, which is then a SIGBUS.
fn reserve(path: &Path, len: usize) -> io::Result<()> {
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    rustix::io::retry_on_intr(|| {
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len as u64)
    })?;
    Ok(())
}

fn open(process: &Process) -> Result<OwnedFd, ConnectError> {
    let found = process.open().map_err(|error| ConnectError::os("pidfd_open", error))?;
    found.ok_or_else(|| LinkError::PeerDied.into())
}

fn own_process() -> Result<Process, ConnectError> {
    Process::own().map_err(|error| ConnectError::os("reading /proc/self", error))
}

fn start_watcher() -> Result<(), ConnectError> {
    death::start().map_err(|error| ConnectError::os("start of the watcher", error))
}

fn random() -> Result<[u8; 16], ConnectError> {
    let mut bytes = [0; 16];
    // Up to 256 bytes come whole or not at all.
    rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty()))
        .map_err(|error| ConnectError::os("getrandom", error.into()))?;
    Ok(bytes)
}

fn of_our_user(found: u32) -> Result<(), ConnectError> {
    let expected = own_uid();
    if found == expected { Ok(()) } else { Err(ConnectError::PeerUser { found, expected }) }
}

fn not_found(name: &Name) -> ConnectError {
    ConnectError::NotFound { endpoint: name.as_str().into() }
}

fn unfit(what: impl ToString) -> ConnectError {
    ConnectError::Handshake { at: AT, what: what.to_string().into() }
}
