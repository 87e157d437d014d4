//! Names in the shared-memory folder: who made one, whether it still lives, and taking stale ones
//! away.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

/// Where glibc and musl keep the files of `shm_open`.
const FOLDER: &str = "/dev/shm";

/// The id of this process's user.
pub(super) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// One process, also after its number was given to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// When it started, as `/proc/<pid>/stat` says.
    pub(super) start: u64,
    /// The namespaces in which the two numbers above mean something: process ids and time.
    pub(super) namespaces: u64,
}

impl Process {
    /// This process.
    pub(super) fn own() -> io::Result<Self> {
        let inode = |name: &str| fs::metadata(format!("/proc/self/ns/{name}")).map(|m| m.ino());
        // Before Linux 5.6 all time is one.
        let time = inode("time").unwrap_or(0);
        Ok(Self {
            pid: std::process::id(),
            start: started("self")?,
            // Such inodes have 32 bits.
            namespaces: (inode("pid")? << 32) | (time & u64::from(u32::MAX)),
        })
    }

    /// A descriptor that becomes readable when the process ends. `None` if it has.
    ///
    /// Only for a process of our own namespaces.
    pub(super) fn open(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let process = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if has_ended(&process)? {
            return Ok(None);
        }
        // After the descriptor was made: if the process with that number is then still the one we
        // mean, so is the one behind the descriptor.
        match started(&self.pid.to_string()) {
            Ok(start) if start == self.start => Ok(Some(process)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether the process has ended, although its parent may not have asked yet.
pub(super) fn has_ended(process: &OwnedFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&now)))? != 0)
}

/// When a process started: field 22, counted behind the name, which may hold anything.
fn started(pid: &str) -> io::Result<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    let behind = stat.iter().rposition(|byte| *byte == b')').map_or(0, |at| at + 1);
    std::str::from_utf8(&stat[behind..])
        .ok()
        .and_then(|fields| fields.split_ascii_whitespace().nth(22 - 3)?.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// `tramline-<uid>-<pid>-<start>-<namespaces>-<nonce>`, the last two in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) uid: u32,
    pub(super) creator: Process,
    pub(super) nonce: [u8; 16],
    text: String,
}

impl Name {
    /// A name for an offer of this process's user.
    pub(super) fn new(creator: Process, nonce: [u8; 16]) -> Self {
        Self::of(own_uid(), creator, nonce)
    }

    fn of(uid: u32, creator: Process, nonce: [u8; 16]) -> Self {
        let Process { pid, start, namespaces } = creator;
        let digits = u128::from_be_bytes(nonce);
        let text = format!("tramline-{uid}-{pid}-{start}-{namespaces:016x}-{digits:032x}");
        Self { uid, creator, nonce, text }
    }

    /// Reads exactly what [`new`](Self::new) writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("tramline-")?.split('-');
        let uid = parts.next()?.parse().ok()?;
        let pid = parts.next()?.parse().ok()?;
        let start = parts.next()?.parse().ok()?;
        let namespaces = u64::from_str_radix(parts.next()?, 16).ok()?;
        let nonce = u128::from_str_radix(parts.next()?, 16).ok()?.to_be_bytes();
        let name = Self::of(uid, Process { pid, start, namespaces }, nonce);
        // Each name is written in one way, so no sign, zero or further part slips through.
        (name.text == text).then_some(name)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// As `shm_open` wants it.
    pub(super) fn os_id(&self) -> String {
        format!("/{}", self.text)
    }

    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(FOLDER).join(&self.text)
    }
}

/// Takes a name away when dropped.
#[derive(Debug)]
pub(super) struct Unlink(pub(super) Name);

impl Drop for Unlink {
    fn drop(&mut self) {
        // Gone already if the peer was first.
        let _ = fs::remove_file(self.0.path());
    }
}

/// Takes away the names that processes of this user left behind when they were killed, and says how
/// many.
///
/// A name is taken away only if its file is ours and the process that made it has ended: its number
/// is free, or belongs to a process that started at another time. Names made in another process or
/// time namespace stay, for nobody here can tell.
///
/// [`NamedOffer::create`](super::NamedOffer::create) does it, too.
///
/// # Errors
///
/// The system does not let us read the shared-memory folder or `/proc`.
pub fn sweep() -> io::Result<usize> {
    let namespaces = Process::own()?.namespaces;
    let uid = own_uid();
    let mut swept = 0;
    for entry in fs::read_dir(FOLDER)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().and_then(Name::parse) else { continue };
        if name.uid != uid || name.creator.namespaces != namespaces {
            continue;
        }
        // Of the link itself, if it is one. Gone meanwhile: somebody else was first.
        let Ok(metadata) = entry.metadata() else { continue };
        // Where the system does not tell, it stays.
        let stale =
            metadata.is_file() && metadata.uid() == uid && matches!(name.creator.open(), Ok(None));
        if stale && fs::remove_file(entry.path()).is_ok() {
            swept += 1;
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let creator = Process { pid: 7, start: 99, namespaces: 0xF000_0001_0000_0002 };
        let name = Name::new(creator, *b"0123456789abcdef");
        assert_eq!(Name::parse(name.as_str()), Some(name.clone()));
        let other_user = name.as_str().replacen(&format!("-{}-", name.uid), "-4294967294-", 1);
        let found = Name::parse(&other_user).expect("a name");
        assert_eq!((found.uid, found.as_str()), (4_294_967_294, &*other_user));
    }

    #[test]
    fn what_is_not_written_that_way_is_no_name() {
        let creator = Process { pid: 7, start: 99, namespaces: 1 };
        let good = Name::new(creator, [0xAB; 16]).text;
        let bad = [
            String::new(),
            "tramline-".into(),
            format!("{good}0"),
            format!("{good}-"),
            format!("{good}/../x"),
            good.replace("tramline", "../tramline"),
            good.replace("-7-", "-07-"),
            good.replace("-7-", "-+7-"),
            good.replace("-99-", "-+99-"),
            good.replace("-7-", "-"),
            good.replace("ab", "AB"),
            good.replacen("-0000", "-", 1),
            good.replacen("tramline-", "tramline-0", 1),
        ];
        for bad in bad {
            assert_eq!(Name::parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn this_process_lives_and_an_earlier_one_of_its_number_does_not() {
        let own = Process::own().expect("proc");
        assert!(own.open().expect("pidfd").is_some());
        assert!(Process { start: own.start - 1, ..own }.open().expect("pidfd").is_none());
        // Beyond the largest number that the kernel gives.
        assert!(Process { pid: 1 << 30, ..own }.open().expect("pidfd").is_none());
    }
}
