//! A calling client among others that behave badly: one floods the server with events, one is stopped and
//! reads nothing of what the server passes on to it.
//!
//! Three kinds of bursts in turn. *Alone*: the others are connected and do nothing. *Elsewhere*: the flood
//! goes to a second server process, so the machine is as busy as it will be, and the measured server is
//! not. *Crowd*: the flood goes to the measured server. What a crowd costs is the third beside the first;
//! what of it is the server's doing, and not that of too few CPUs, is the third beside the second.

mod helper;
mod roles;

use std::cell::RefCell;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tramline::{Client, Limits};

use self::helper::Helper;
pub(crate) use self::roles::{Args as RoleArgs, Role, run as take_part};
use super::args::Args;
use super::calls::{echo, one_by_one};
use super::pair::Pair;
use super::peer::bytes;
use super::report::{Line, ratio};
use super::window::{self, Burst, Measure};
use crate::failure::Failure;

/// Connections of the measured server: the caller, the flooder, the one that reads nothing.
const CONNECTIONS: u64 = 3;

pub(crate) fn measure(args: &Args, cpus: &[usize], pair: &mut Pair) -> Result<Line, Failure> {
    let data = &bytes(args.payload_len())[..];
    let crowd = Crowd::open(args, cpus)?;
    let client = &crowd.client;
    echo(client, 0, data)?;
    let calls = |pair: &mut Pair, slice| one_by_one(client, data, &mut pair.samples, slice);
    let mut measures: [Measure<'_>; 3] = [
        Box::new(calls),
        Box::new(|pair, slice| crowd.flooding(ELSEWHERE, || calls(pair, slice))),
        Box::new(|pair, slice| crowd.flooding(HERE, || calls(pair, slice))),
    ];
    let figures = window::run(args.time(), pair, u32::MAX, &mut measures)?;
    drop(measures);
    let [alone, elsewhere, among] = &figures.series[..] else { return Err(Failure::OtherGone) };
    let tally: roles::Tally = client.invoke("tally", ()).wait()?;
    let peak = resident(crowd.here.pid(), "VmHWM:");

    let mut line = Line::new(args);
    line.count("shared", args.shared() as u64);
    line.burst(among, data.len(), &figures.floor);
    line.number("max_ns", max_ns(among));
    line.number("alone_p50_ns", alone.p50_ns());
    line.number("alone_p99_ns", alone.quantile_ns(0.99));
    line.number("alone_p999_ns", alone.quantile_ns(0.999));
    line.number("alone_max_ns", max_ns(alone));
    line.number("alone_per_s", alone.per_second());
    line.number("elsewhere_p50_ns", elsewhere.p50_ns());
    line.number("elsewhere_p99_ns", elsewhere.quantile_ns(0.99));
    line.number("elsewhere_p999_ns", elsewhere.quantile_ns(0.999));
    line.number("elsewhere_max_ns", max_ns(elsewhere));
    line.number("elsewhere_per_s", elsewhere.per_second());
    let p99 = |burst: &Burst| burst.quantile_ns(0.99);
    line.number("ratio_alone_p99", ratio(p99(among), p99(alone)));
    line.number("ratio_elsewhere_p99", ratio(p99(among), p99(elsewhere)));
    line.number("ratio_alone_per_s", ratio(among.per_second(), alone.per_second()));
    line.number("ratio_elsewhere_per_s", ratio(among.per_second(), elsewhere.per_second()));
    let flood = crowd.flood.borrow();
    line.number("flood_per_s", flood.per_second());
    line.count("flooded", tally.received);
    line.count("passed_on", tally.passed_on);
    line.count("dropped", tally.dropped);
    line.count("server_before_bytes", crowd.before);
    line.count("server_peak_bytes", peak);
    line.count("server_growth_bytes", peak.saturating_sub(crowd.before));
    line.count("cap_bytes", CONNECTIONS * cap_of(&roles::limits()));
    line.windows(&figures);
    Ok(line)
}

fn max_ns(burst: &Burst) -> Option<f64> {
    (!burst.times_ns.is_empty()).then(|| burst.times_ns.max() as f64)
}

/// What one connection may cost its server, in bytes: a ring in each direction, and what was received and
/// waits.
fn cap_of(limits: &Limits) -> u64 {
    (2 * limits.ring_capacity + limits.max_queued_len) as u64
}

/// A process's memory, in bytes: `VmRSS:` what it has, `VmHWM:` the most it ever had.
fn resident(pid: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Which of the flooder's two connections.
const HERE: usize = 0;
const ELSEWHERE: usize = 1;

/// The measured server and its clients, and the other server.
struct Crowd {
    client: Client,
    flooder: RefCell<Helper>,
    /// What was flooded here.
    flood: RefCell<Burst>,
    // Ended in this order: the servers last.
    _stalled: Helper,
    here: Helper,
    /// The measured server's memory before its first client, in bytes.
    before: u64,
    _elsewhere: Helper,
}

impl Crowd {
    fn open(args: &Args, cpus: &[usize]) -> Result<Self, Failure> {
        // As for the pair: these names outlive nobody, and a process id is reused at some time.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let scheme = args.transport.scheme();
        let name =
            |place| format!("{scheme}:crowd-{}-{}-{place}", std::process::id(), now.subsec_nanos());
        let (here_name, elsewhere_name) = (name("here"), name("elsewhere"));
        let serve = |name: &str| Helper::start(Role::Server, args, cpus, &[name]);
        let (here, elsewhere) = (serve(&here_name)?, serve(&elsewhere_name)?);
        let before = resident(here.pid(), "VmRSS:");
        let both = [&here_name[..], &elsewhere_name[..]];
        let stalled = Helper::start(Role::Stalled, args, cpus, &both)?;
        stalled.stop()?;
        let flooder = Helper::start(Role::Flooder, args, cpus, &both)?;
        let client = Client::connect(&here_name);
        let client = client.codec(args.codec.codec()).wait_mode(args.wait.mode());
        Ok(Self {
            client: client.wait().map_err(Failure::Worker)?,
            flooder: RefCell::new(flooder),
            flood: RefCell::new(Burst::empty()),
            _stalled: stalled,
            here,
            before,
            _elsewhere: elsewhere,
        })
    }

    /// Takes a burst while the flood goes there.
    fn flooding(
        &self,
        place: usize,
        burst: impl FnOnce() -> Result<Burst, Failure>,
    ) -> Result<Burst, Failure> {
        let mut flooder = self.flooder.borrow_mut();
        flooder.say(&place.to_string())?;
        flooder.hear()?;
        let taken = burst();
        // It says how many events there were and how long they took, when the last one was handled.
        flooder.say("stop")?;
        let answer = flooder.hear()?;
        let mut numbers = answer.split(' ').filter_map(|word| word.parse::<u64>().ok());
        let (Some(count), Some(ns)) = (numbers.next(), numbers.next()) else {
            return Err(Failure::OtherGone);
        };
        if place == HERE {
            self.flood.borrow_mut().add(&Burst::counted(count, Duration::from_nanos(ns)));
        }
        taken
    }
}
