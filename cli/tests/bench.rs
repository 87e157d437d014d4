//! The measuring instrument as a user runs it. What it measures is not judged here: that depends on
//! the machine.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use serde_json::Value;

/// Far longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the other process's thread has slept once the measurement has begun.
const SLEEPS_AT_WORK: u32 = 5;

/// In every object.
const FIELDS: [&str; 14] = [
    "bench",
    "transport",
    "codec",
    "payload",
    "inflight",
    "wait",
    "n",
    "p50_ns",
    "p90_ns",
    "p99_ns",
    "p999_ns",
    "per_s",
    "bytes_per_s",
    "ratio_p50",
];

fn tramline() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tramline"))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn bench(args: &str) -> Output {
    tramline().arg("bench").args(args.split_whitespace()).output().expect("it starts")
}

/// The objects it prints.
fn lines(args: &str) -> Vec<Value> {
    let output = bench(&format!("{args} --seconds 0.05 --json"));
    assert!(output.status.success(), "{args}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{args}");
    let lines = text(&output.stdout).lines();
    let objects = lines.map(|line| serde_json::from_str(line).expect("an object a line"));
    let objects: Vec<Value> = objects.collect();
    for object in &objects {
        for field in FIELDS {
            assert!(object.get(field).is_some(), "{args}: no {field} in {object}");
        }
        assert!(object["floor_p50_ns"].as_f64().is_some_and(|ns| ns > 0.0), "{args}: {object}");
    }
    objects
}

/// The only object, in which these are numbers above 0.
fn figures(args: &str, above_zero: &[&str]) -> Value {
    let mut lines = lines(args);
    assert_eq!(lines.len(), 1, "{args}");
    let line = lines.remove(0);
    for field in above_zero {
        assert!(line[field].as_f64().is_some_and(|n| n > 0.0), "{args}: {field} in {line}");
    }
    line
}

const LATENCY: [&str; 7] = ["n", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "per_s", "ratio_p50"];

#[test]
fn floor_is_measured_between_two_processes() {
    figures("floor", &LATENCY);
}

#[test]
fn ring_has_round_trips_and_rates_of_both_the_ring_and_a_socket() {
    let beside = [
        "one_way_per_s",
        "one_way_each_per_s",
        "socket_p50_ns",
        "socket_one_way_per_s",
        "ratio_socket",
    ];
    figures("ring --wait low-latency", &[&LATENCY[..], &beside].concat());
    figures("ring --payload 300000", &[&LATENCY[..], &beside].concat());
    figures("ring --payload 0", &LATENCY);
    figures("ring --payload 1", &LATENCY);
}

#[test]
fn invoke_is_measured_over_every_transport_and_codec() {
    let line = figures("invoke", &[&LATENCY[..], &["ring_p50_ns", "ratio_ring"]].concat());
    assert_eq!((&line["transport"], &line["codec"]), (&"shm".into(), &"msgpack".into()));
    assert_eq!((&line["payload"], &line["inflight"]), (&64.into(), &1.into()));
    let line = figures("invoke --transport pipe --codec json --payload 1000", &LATENCY);
    assert_eq!((&line["transport"], &line["codec"]), (&"pipe".into(), &"json".into()));
    assert_eq!(line["payload"], 1000);
    figures("invoke --transport mem --wait idle", &LATENCY);
}

#[test]
fn invoke_on_one_cpu_is_compared_with_the_pipe_there() {
    let cpu = fs::read_to_string("/proc/self/status").expect("status");
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let cpu = cpu.and_then(|list| list.trim().split(['-', ',']).next()).expect("a CPU");
    figures(&format!("invoke --cpus {cpu}"), &["p50_ns", "pipe_p50_ns", "ratio_pipe"]);
}

#[test]
fn several_threads_are_compared_with_one() {
    let beside = ["one_thread_per_s", "ratio_one_thread"];
    figures("invoke --threads 4", &[&LATENCY[..], &beside].concat());
    figures("invoke --threads 2 --inflight 3", &[&LATENCY[..], &beside].concat());
}

#[test]
fn calls_under_way_at_once_are_awaited() {
    let line = figures("invoke --inflight 8", &LATENCY);
    assert_eq!(line["inflight"], 8);
}

#[test]
fn one_active_connection_among_others_is_compared_with_one_alone() {
    let beside = ["one_connection_p50_ns", "ratio_one_connection"];
    figures("invoke --connections 5", &[&LATENCY[..], &beside].concat());
}

#[test]
fn events_are_counted_beside_the_ring() {
    let line = figures("event", &["n", "per_s", "bytes_per_s", "ring_per_s", "ratio_ring"]);
    assert_eq!(line["lost"], 0);
    figures("event --transport pipe --codec json --payload 100", &["n", "per_s"]);
}

#[test]
fn idle_tells_cpu_time_and_wake_ups() {
    for args in ["idle", "idle --connections 5", "idle --transport pipe"] {
        let line = figures(args, &["cpu_s_per_s", "tasks"]);
        assert!(line["wakeups_per_s"].is_number(), "{line}");
    }
}

#[test]
fn wake_is_compared_with_a_socket_after_the_same_pauses() {
    figures("wake", &[&LATENCY[..], &["socket_p50_ns", "ratio_socket"]].concat());
}

#[test]
fn a_crowd_is_compared_with_a_quiet_server_and_costs_no_more_memory_than_is_configured() {
    // A ring is full after a few hundred of these.
    for args in ["", " --wait idle --shared 1", " --transport pipe --codec json"] {
        let beside = [
            "max_ns",
            "alone_p99_ns",
            "elsewhere_p99_ns",
            "ratio_alone_p99",
            "ratio_elsewhere_p99",
            "ratio_alone_per_s",
            "flood_per_s",
            "flooded",
            "passed_on",
            "dropped",
            "server_peak_bytes",
            "cap_bytes",
        ];
        let args = format!("crowd --payload 4096{args}");
        let line = figures(&args, &[&LATENCY[..], &beside].concat());
        let number = |field: &str| line[field].as_u64().expect("a number");
        assert_eq!(number("passed_on") + number("dropped"), number("flooded"), "{line}");
        assert!(number("server_growth_bytes") <= number("cap_bytes"), "{line}");
    }
}

#[test]
fn codec_has_a_line_for_each_shape_in_each_codec() {
    let lines = lines("codec");
    let of = |codec: &str| lines.iter().filter(|line| line["codec"] == codec).count();
    assert_eq!((of("msgpack"), of("json"), lines.len()), (3, 3, 6));
    for line in &lines {
        for field in ["bytes", "encode_ns", "decode_ns"] {
            assert!(line[field].as_f64().is_some_and(|n| n > 0.0), "{field} in {line}");
        }
    }
}

#[test]
fn without_json_the_same_figures_are_for_people() {
    let output = bench("invoke --seconds 0.05");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    for part in ["machine ", "pinning ", "p50_ns", "ratio_p50", "windows_apart"] {
        assert!(told.contains(part), "no {part} in {told}");
    }
}

#[test]
fn bad_argument_is_one_line_and_exit_code_2() {
    for args in [
        "",
        "nothing",
        "floor --cpus x",
        "floor --cpus 0,1,2",
        "ring --transport pipe",
        "crowd --transport mem",
        "invoke --shared 1",
        "event --threads 2",
        "wake --connections 2",
        "invoke --payload 99999999",
        "invoke --inflight 0",
        "invoke --seconds 0",
        "invoke --wait sometimes",
    ] {
        let output = bench(args);
        assert_eq!(output.status.code(), Some(2), "{args}");
        assert_eq!(text(&output.stdout), "", "{args}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{args}: {}", text(&output.stderr));
    }
}

#[test]
fn cpu_that_is_not_there_is_one_line_and_exit_code_1() {
    for args in ["floor --cpus 0,1000", "floor --cpus 99999"] {
        let output = bench(args);
        assert_eq!(output.status.code(), Some(1), "{args}");
        let told = text(&output.stderr);
        assert!(told.starts_with("tramline: cannot pin to the CPU"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn other_process_that_nobody_started_says_so_in_one_line() {
    let output = tramline().args(["bench-peer", "nobody"]).stdin(Stdio::null()).output();
    let output = output.expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).lines().count() <= 1, "{}", text(&output.stderr));
}

/// Looks until there is something.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "no {what} within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

fn tasks(pid: u32) -> impl Iterator<Item = PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    tasks.into_iter().flatten().flatten().map(|task| task.path())
}

fn children_of(pid: u32) -> Vec<u32> {
    let of = |task: PathBuf| fs::read_to_string(task.join("children")).unwrap_or_default();
    let ids = tasks(pid).map(of).collect::<String>();
    ids.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

fn child_of(pid: u32) -> Option<u32> {
    children_of(pid).first().copied()
}

fn pidfd(pid: u32) -> OwnedFd {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    pidfd_open(pid, PidfdFlags::empty()).expect("it is alive")
}

/// A bench that would run for long, and its other process, both at work. Neither outlives this.
struct AtWork {
    bench: Child,
    other: OwnedFd,
}

impl AtWork {
    fn start(what: &str) -> Self {
        // Tests that were started in the background have inherited that SIGINT is ignored.
        let bench = Command::new("env")
            .args(["--default-signal=INT", env!("CARGO_BIN_EXE_tramline")])
            .args(["bench", what, "--seconds", "600", "--json"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let id = bench.id();
        let other = wait_for("other process", || child_of(id));
        // This thread sleeps between orders, so it has had some by then.
        wait_for("orders for the thread beside the library", || {
            let named = |task: &PathBuf| {
                fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "raw")
            };
            let status = fs::read_to_string(tasks(other).find(named)?.join("status")).ok()?;
            let sleeps = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
            (sleeps.trim().parse::<u32>().ok()? >= SLEEPS_AT_WORK).then_some(())
        });
        Self { bench, other: pidfd(other) }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let _ = self.bench.kill();
        let _ = self.bench.wait();
        // Gone already, unless a test has failed.
        let _ = pidfd_send_signal(&self.other, Signal::KILL);
    }
}

fn wait_until_gone(pidfd: &OwnedFd) {
    let timeout = Timespec::try_from(PATIENCE).expect("fits");
    let ready = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout));
    assert_eq!(ready, Ok(1), "the other process outlives the bench");
}

#[test]
fn killed_bench_leaves_no_process() {
    for what in ["floor", "ring", "invoke", "event", "idle", "wake", "crowd"] {
        let mut work = AtWork::start(what);
        work.bench.kill().expect("it is ours");
        work.bench.wait().expect("it is ours");
        wait_until_gone(&work.other);
    }
}

/// The pair's, two servers, a client that floods and one that is stopped.
const PROCESSES_OF_A_CROWD: usize = 5;

#[test]
fn killed_crowd_leaves_no_process_not_even_the_stopped_one() {
    let mut work = AtWork::start("crowd");
    let children = wait_for("crowd", || {
        let children = children_of(work.bench.id());
        (children.len() == PROCESSES_OF_A_CROWD).then_some(children)
    });
    let is_stopped = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:\tT"))
    };
    wait_for("stopped client", || children.iter().any(is_stopped).then_some(()));
    let children: Vec<_> = children.into_iter().map(pidfd).collect();
    work.bench.kill().expect("it is ours");
    work.bench.wait().expect("it is ours");
    children.iter().for_each(wait_until_gone);
}

#[test]
fn a_crowd_that_loses_one_of_its_processes_ends_with_one_line() {
    // The measured server and the one that floods, in the order in which they were started.
    for gone in [1, 4] {
        let mut work = AtWork::start("crowd");
        let child = wait_for("crowd", || {
            let children = children_of(work.bench.id());
            (children.len() == PROCESSES_OF_A_CROWD).then(|| children[gone])
        });
        pidfd_send_signal(pidfd(child), Signal::KILL).expect("it is ours");
        let mut told = String::new();
        let mut stderr = work.bench.stderr.take().expect("piped");
        std::io::Read::read_to_string(&mut stderr, &mut told).expect("text");
        let status = work.bench.wait().expect("it is ours");
        assert_eq!(status.code(), Some(1), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn interrupted_bench_leaves_no_process() {
    let mut work = AtWork::start("invoke");
    let bench = i32::try_from(work.bench.id()).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(bench, Signal::INT).expect("it is ours");
    work.bench.wait().expect("it is ours");
    wait_until_gone(&work.other);
}

#[test]
fn bench_whose_other_process_dies_ends_with_one_line() {
    // Not `idle`: it sleeps for its whole time.
    for what in ["floor", "ring", "invoke", "event", "wake", "crowd"] {
        let mut work = AtWork::start(what);
        pidfd_send_signal(&work.other, Signal::KILL).expect("it is ours");
        let mut told = String::new();
        let mut stderr = work.bench.stderr.take().expect("piped");
        std::io::Read::read_to_string(&mut stderr, &mut told).expect("text");
        let status = work.bench.wait().expect("it is ours");
        assert_eq!(status.code(), Some(1), "{what}: {told}");
        assert_eq!(told.lines().count(), 1, "{what}: {told}");
        assert!(told.starts_with("tramline: "), "{what}: {told}");
    }
}
