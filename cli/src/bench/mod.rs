//! The measuring instrument: what calls, events, sleeping and waking cost on this machine, as
//! ratios to the floor that is measured beside them.

mod args;
mod calls;
mod codec;
mod crowd;
mod event;
mod floor;
mod idle;
mod invoke;
mod machine;
mod pair;
mod peer;
mod raw;
mod report;
mod ring;
mod socket;
mod wake;
mod window;

use std::io::Write;

use self::args::What;
pub(crate) use self::args::{Args, PeerArgs};
pub(crate) use self::crowd::{RoleArgs as CrowdArgs, take_part};
use self::machine::Pinning;
use self::pair::Pair;
pub(crate) use self::peer::run as serve;
use crate::failure::Failure;

/// Measures and prints.
pub(crate) fn run(args: &Args, out: &mut impl Write) -> Result<(), Failure> {
    // Before any thread is there: threads and the other process inherit it.
    let pinning = Pinning::choose(args.cpus.as_ref())?;
    let everywhere = machine::allowed()?;
    pinning.pin_client()?;
    let mut pair = Pair::open(args, &pinning)?;
    let lines = match args.what {
        What::Floor => vec![floor::measure(args, &mut pair)?],
        What::Ring => vec![ring::measure(args, &mut pair)?],
        What::Invoke => vec![invoke::measure(args, &mut pair)?],
        What::Event => vec![event::measure(args, &mut pair)?],
        What::Idle => vec![idle::measure(args, &mut pair)?],
        What::Wake => vec![wake::measure(args, &mut pair)?],
        What::Crowd => vec![crowd::measure(args, &everywhere, &mut pair)?],
        What::Codec => codec::measure(args, &mut pair)?,
    };
    drop(pair);
    report::print(args, &pinning, &lines, out)
}
