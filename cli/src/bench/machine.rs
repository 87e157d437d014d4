//! The CPUs: which there are, and who runs where.

use std::fmt;
use std::fs;
use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::args::Cpus;
use crate::failure::Failure;

/// Where the two processes run. `None` is wherever the system puts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pinning {
    pub(crate) client: Option<usize>,
    pub(crate) server: Option<usize>,
    /// Nobody asked for one CPU, there is no other.
    only_one: bool,
}

impl Pinning {
    /// What was asked for, else the first two CPUs this process may use.
    pub(crate) fn choose(asked: Option<&Cpus>) -> Result<Self, Failure> {
        let on = |client, server, only_one| Self {
            client: Some(client),
            server: Some(server),
            only_one,
        };
        Ok(match asked {
            Some(Cpus::Any) => Self { client: None, server: None, only_one: false },
            Some(Cpus::One(cpu)) => on(*cpu, *cpu, false),
            Some(Cpus::Two(client, server)) => on(*client, *server, false),
            None => {
                let allowed = allowed()?;
                let mut allowed = allowed.iter().copied();
                let first = allowed.next().unwrap_or(0);
                let second = allowed.next();
                on(first, second.unwrap_or(first), second.is_none())
            }
        })
    }

    /// Whether both sides are on the same CPU.
    pub(crate) fn shares_cpu(&self) -> bool {
        self.client.is_some() && self.client == self.server
    }

    /// Pins this process. The other one's CPU is tried first: so this side tells what is wrong.
    pub(crate) fn pin_client(&self) -> Result<(), Failure> {
        [self.server, self.client].into_iter().flatten().try_for_each(pin)
    }
}

impl fmt::Display for Pinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.client, self.server) {
            (Some(client), Some(server)) if self.only_one => {
                write!(f, "client {client}, server {server}; there is no second CPU")
            }
            (Some(client), Some(server)) => write!(f, "client {client}, server {server}"),
            _ => f.write_str("not pinned"),
        }
    }
}

/// The CPUs this thread may use.
pub(crate) fn allowed() -> Result<Vec<usize>, Failure> {
    let set = sched_getaffinity(None).map_err(|e| Failure::Pin(e.into()))?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Keeps this thread, and all that it starts, on one CPU.
pub(crate) fn pin(cpu: usize) -> Result<(), Failure> {
    keep_on(&[cpu])
}

/// Keeps this thread, and all that it starts, on these CPUs.
pub(crate) fn keep_on(cpus: &[usize]) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        if *cpu >= CpuSet::MAX_CPU {
            return Err(Failure::Pin(io::ErrorKind::InvalidInput.into()));
        }
        set.set(*cpu);
    }
    sched_setaffinity(None, &set).map_err(|e| Failure::Pin(e.into()))
}

/// The machine, in words.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: u64,
    pub(crate) kernel: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let of = |key: &str| {
            let line = info.lines().find(|line| line.starts_with(key))?;
            line.split_once(": ").map(|(_, value)| value.trim().to_owned())
        };
        let cpu = of("model name").unwrap_or_else(|| std::env::consts::ARCH.into());
        let cores = info.lines().filter(|line| line.starts_with("processor")).count() as u64;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self { cpu, cores, kernel: kernel.trim().to_owned() }
    }
}
