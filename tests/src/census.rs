//! What this process and the machine have open, to see that nothing is left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Counts of one moment. Linux only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// Targets of the open descriptors of this process, sorted; numbers that only name an
    /// instance are left out.
    pub descriptors: Vec<String>,
    /// Names of this process's threads that belong to the library.
    pub threads: Vec<String>,
    /// Files in shared memory, the temporary and the runtime folder that bear the library's name.
    pub files: BTreeSet<PathBuf>,
}

impl Census {
    /// Looks now.
    #[must_use]
    pub fn take() -> Self {
        let mut descriptors: Vec<_> = entries("/proc/self/fd")
            .into_iter()
            .filter_map(|entry| fs::read_link(entry).ok())
            .map(|target| target.display().to_string())
            .map(|target| target.split('[').next().unwrap_or_default().to_owned())
            .collect();
        descriptors.sort();
        let mut threads: Vec<_> = entries("/proc/self/task")
            .into_iter()
            .filter_map(|task| fs::read_to_string(task.join("comm")).ok())
            .map(|name| name.trim().to_owned())
            .filter(|name| name.starts_with("tramline"))
            .collect();
        threads.sort();
        Self { descriptors, threads, files: left_files() }
    }
}

/// What another process holds on behalf of its connections. Linux only.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// Open descriptors.
    pub descriptors: usize,
    /// Mappings of memory files.
    pub memory_files: usize,
    /// Threads that serve a connection or refuse one.
    pub connection_threads: usize,
    /// All threads.
    pub threads: usize,
}

impl Holdings {
    /// Whether it is more of anything than that.
    #[must_use]
    pub fn exceeds(self, that: Self) -> bool {
        self.descriptors > that.descriptors
            || self.memory_files > that.memory_files
            || self.connection_threads > that.connection_threads
            || self.threads > that.threads
    }

    /// What the process `pid` holds now.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
        let names = thread_names(pid);
        Self {
            descriptors: entries(process.join("fd")).len(),
            memory_files: maps.lines().filter(|line| line.contains("/memfd:")).count(),
            // The system keeps 15 letters of a name.
            threads: names.len(),
            connection_threads: names
                .iter()
                .filter(|name| ["tramline-server", "tramline-refuse"].contains(&name.as_str()))
                .count(),
        }
    }
}

/// The names of the threads of the process `pid`, as far as the system keeps them. Linux only.
#[must_use]
pub fn thread_names(pid: u32) -> Vec<String> {
    let names = entries(PathBuf::from(format!("/proc/{pid}/task"))).into_iter();
    let names = names.filter_map(|task| fs::read_to_string(task.join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// The most memory that the process `pid` has had so far, in bytes. Linux only.
#[must_use]
pub fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|text| text.trim().strip_suffix(" kB")).map(str::parse::<u64>);
    kib.and_then(Result::ok).map_or(0, |kib| kib << 10)
}

fn entries(folder: impl Into<PathBuf>) -> Vec<PathBuf> {
    fs::read_dir(folder.into())
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

fn left_files() -> BTreeSet<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let folders = [PathBuf::from("/dev/shm"), std::env::temp_dir()];
    let ours = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tramline"))
    };
    folders.into_iter().chain(runtime).flat_map(entries).filter(ours).collect()
}

/// Whether a process of this number exists and is not just a zombie.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit(") ").next().map(|rest| !rest.starts_with('Z')))
        .unwrap_or(false)
}
