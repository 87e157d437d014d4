//! Connections that do nothing: what they cost while they do it.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::args::Args;
use super::invoke::open;
use super::pair::Pair;
use super::peer::bytes;
use super::report::Line;
use super::window::{self, Burst, Measure};
use crate::failure::Failure;

/// From the last call to the first look: everything that spins has gone to sleep by then.
const CALM: Duration = Duration::from_millis(50);

pub(crate) fn measure(args: &Args, pair: &mut Pair) -> Result<Line, Failure> {
    let data = bytes(args.payload_len());
    super::calls::echo(&pair.client, 0, &data)?;
    let _others = open(pair, args.connections() - 1, &data)?;
    let mut used = Used::default();
    let time = args.time();
    let mut measures: [Measure<'_>; 1] = [Box::new(|pair, _| {
        sleep(CALM);
        used = watch(pair.server_pid(), time)?;
        Ok(Burst::empty())
    })];
    let figures = window::run(args.time(), pair, 1, &mut measures)?;
    drop(measures);
    let mut line = Line::new(args);
    line.burst(&Burst::empty(), data.len(), &figures.floor);
    let seconds = used.time.as_secs_f64();
    line.number("cpu_s_per_s", Some(used.cpu.as_secs_f64() / seconds));
    line.number("wakeups_per_s", Some(used.wakeups as f64 / seconds));
    line.count("wakeups", used.wakeups);
    line.count("tasks", used.tasks);
    line.text("cpu_from", used.cpu_from);
    line.windows(&figures);
    Ok(line)
}

/// What both processes used in `time`.
#[derive(Debug, Default)]
struct Used {
    time: Duration,
    cpu: Duration,
    wakeups: u64,
    tasks: u64,
    cpu_from: &'static str,
}

/// Sleeps once, and compares before and after. The thread that does it is left out: it would count
/// its own reading.
fn watch(server: u32, time: Duration) -> Result<Used, Failure> {
    let me = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
    let look = || Tasks::look([std::process::id(), server], me);
    let before = look();
    let own_before = own_cpu();
    let start = Instant::now();
    sleep(time);
    let time = start.elapsed();
    let own = own_cpu().saturating_sub(own_before);
    let after = look();
    if after.0.is_empty() {
        return Err(Failure::OtherGone);
    }
    // The sleep itself is part of what both processes did, as CPU time, but not as a wake-up.
    let mut used = Used { time, cpu: own, tasks: after.0.len() as u64, ..Used::default() };
    let exact = after.0.values().any(|task| task.cpu_ns > 0);
    used.cpu_from = if exact { "schedstat" } else { "stat" };
    for (id, now) in &after.0 {
        let then = before.0.get(id).copied().unwrap_or_default();
        let ns = if exact { now.cpu_ns - then.cpu_ns } else { now.tick_ns - then.tick_ns };
        used.cpu += Duration::from_nanos(ns);
        used.wakeups += now.sleeps - then.sleeps;
    }
    Ok(used)
}

/// CPU time of this thread, to the nanosecond.
fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What one task has used since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Task {
    /// From `schedstat`; 0 where the system keeps none.
    cpu_ns: u64,
    /// From `stat`, in steps of a tick.
    tick_ns: u64,
    /// Voluntary switches: how often it went to sleep, and so was woken.
    sleeps: u64,
}

struct Tasks(HashMap<u32, Task>);

impl Tasks {
    fn look(processes: [u32; 2], except: u32) -> Self {
        let mut tasks = HashMap::new();
        for process in processes {
            let found = fs::read_dir(format!("/proc/{process}/task"));
            for entry in found.into_iter().flatten().flatten() {
                let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
                if let Some(id) = id.filter(|id| *id != except) {
                    tasks.insert(id, Task::look(&entry.path()));
                }
            }
        }
        Self(tasks)
    }
}

impl Task {
    fn look(folder: &std::path::Path) -> Self {
        let read = |name| -> String {
            let path: PathBuf = folder.join(name);
            fs::read_to_string(path).unwrap_or_default()
        };
        Self {
            cpu_ns: first_number(&read("schedstat")),
            tick_ns: ticks(&read("stat"))
                * (1_000_000_000 / rustix::param::clock_ticks_per_second()),
            sleeps: voluntary_switches(&read("status")),
        }
    }
}

fn first_number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// User and system time: the 14th and 15th field; the second one may hold anything.
fn ticks(stat: &str) -> u64 {
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let words = after_name.split_whitespace().skip(11).take(2);
    words.filter_map(|word| word.parse::<u64>().ok()).sum()
}

fn voluntary_switches(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.map_or(0, first_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_task_are_found_behind_any_name() {
        let stat = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 300 40 0 0 20 0 1 0 5";
        assert_eq!(ticks(stat), 340);
        assert_eq!(first_number("1234 56 7\n"), 1234);
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t17\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(voluntary_switches(status), 17);
        assert_eq!((ticks(""), first_number(""), voluntary_switches("")), (0, 0, 0));
    }

    #[test]
    fn a_thread_that_sleeps_is_counted_and_the_one_that_looks_is_not() {
        let me = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        let mine = Tasks::look([std::process::id(), 0], me).0;
        assert!(!mine.contains_key(&me));
        let all = Tasks::look([std::process::id(), 0], 0).0;
        assert!(all.contains_key(&me));
    }
}
