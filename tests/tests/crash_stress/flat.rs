//! What must not grow.

use std::fs;
use std::thread;
use std::time::Instant;

use tramline_tests::PATIENCE;

/// Memory that a process may gain without leaking, over the most it had in the first half of its
/// rounds: the allocator's own doing. A choice. Seen with one arena: 0.2 to 2.3 MiB over what it had
/// after a tenth, for 400 to 4000 rounds. A ring leaked in each of 2000 rounds is at least 64 MiB.
const RSS_SLACK_KIB: u64 = 4 << 10;

/// What this process holds, and what lies in shared memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flat {
    descriptors: usize,
    rss_kib: u64,
    /// Names in `/dev/shm`.
    shared: Vec<String>,
    /// Segments of links that are mapped here.
    segments: usize,
    children: usize,
}

impl Flat {
    /// As it stands now.
    fn take() -> Self {
        let mut shared: Vec<_> = fs::read_dir("/dev/shm")
            .map(|entries| entries.flatten().collect())
            .unwrap_or_else(|_| Vec::new())
            .iter()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        shared.sort();
        Self {
            descriptors: fs::read_dir("/proc/self/fd").expect("procfs").count(),
            rss_kib: rss_kib(),
            shared,
            segments: tramline_transport_shm::inspect(std::process::id()).expect("ours").len(),
            children: children(),
        }
    }

    /// As it stands once threads of earlier rounds have ended.
    pub(crate) fn settled() -> Self {
        let is_quiet = |now: &Self| now.children == 0 && now.segments == 0;
        let mut last = Self::take();
        let start = Instant::now();
        loop {
            thread::park_timeout(std::time::Duration::from_millis(20));
            let now = Self::take();
            let same = now.descriptors == last.descriptors && now.shared == last.shared;
            if same && is_quiet(&now) || start.elapsed() > PATIENCE {
                return now;
            }
            last = now;
        }
    }

    /// Waits until it is as flat as it will get, and says how it stands then.
    pub(crate) fn awaited(&self) -> Self {
        let start = Instant::now();
        loop {
            let now = Self::settled();
            let same = now.descriptors <= self.descriptors && now.shared == self.shared;
            if same || start.elapsed() > PATIENCE {
                return now;
            }
        }
    }

    /// Both, for people.
    pub(crate) fn beside(&self, after: &Self) -> String {
        format!(
            "fds {} -> {}, RSS {} -> {} KiB, /dev/shm entries {} -> {}, segments still mapped {}, \
             leftover processes {}",
            self.descriptors,
            after.descriptors,
            self.rss_kib,
            after.rss_kib,
            self.shared.len(),
            after.shared.len(),
            after.segments,
            after.children,
        )
    }

    /// `most_kib` is the most memory this process had in the first half of its rounds.
    pub(crate) fn assert_flat(&self, after: &Self, most_kib: u64) {
        // Fewer, if a thread of an early round was late with its last one.
        let (before, after_all) = (self.descriptors, after.descriptors);
        assert!(after_all <= before, "descriptors: {before} before, {after_all} after");
        assert_eq!(after.shared, self.shared, "/dev/shm");
        assert_eq!(after.segments, 0, "segments still mapped");
        assert_eq!(after.children, 0, "leftover processes");
        let grown = after.rss_kib.saturating_sub(most_kib);
        assert!(grown <= RSS_SLACK_KIB, "RSS grew by {grown} KiB over {most_kib} KiB");
    }
}

/// Resident memory of this process.
pub(crate) fn rss_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss = rss.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    rss.expect("VmRSS")
}

/// Processes whose parent is this one, zombies too.
fn children() -> usize {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").expect("procfs");
    entries
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        // Behind the name, which may hold anything: state, parent.
        .filter(|stat| {
            let fields = stat.rsplit(") ").next().map(|rest| rest.split(' ').nth(1));
            fields.flatten() == Some(own.as_str())
        })
        .count()
}
