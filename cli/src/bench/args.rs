//! What the command line can ask for.

use std::str::FromStr;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, ValueEnum};
use tramline::{AnyCodec, Scheme, WaitMode};

/// Largest payload, in bytes: as msgpack it then fits into a message twice.
const MAX_PAYLOAD: u64 = 7 << 20;

/// Measures this machine, always beside the floor: one cache line, there and back.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure.
    #[arg(value_enum)]
    pub(crate) what: What,
    /// How the bytes travel.
    #[arg(long, value_enum, default_value_t = Transport::Shm)]
    pub(crate) transport: Transport,
    /// How values become bytes.
    #[arg(long, value_enum, default_value_t = Codec::Msgpack)]
    pub(crate) codec: Codec,
    /// Bytes of `data` in every call or event.
    #[arg(long, default_value_t = 64, value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(0..=MAX_PAYLOAD))]
    payload: u64,
    /// Calls that each thread has under way at once; above 1 they are awaited.
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=512))]
    inflight: u16,
    /// Threads that call on one connection.
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// Open connections: all idle for `idle`, one of them active for `invoke`.
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=200))]
    connections: u16,
    /// Threads that serve all connections together, for `crowd`; 0 is one for each.
    #[arg(long, default_value_t = 0, value_name = "N",
        value_parser = clap::value_parser!(u16).range(0..=64))]
    shared: u16,
    /// How both sides wait.
    #[arg(long, value_enum, default_value_t = Wait::Balanced)]
    pub(crate) wait: Wait,
    /// CPUs of the calling and the serving process: `0,1`, `0` for both on one, `any` for no
    /// pinning; the first two by default.
    #[arg(long)]
    pub(crate) cpus: Option<Cpus>,
    /// Measured time in all.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// One JSON object per line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The other process.
#[derive(Debug, clap::Args)]
pub(crate) struct PeerArgs {
    /// Where other connections find it.
    pub(crate) endpoint: String,
    #[arg(long, value_enum, default_value_t = Wait::Balanced)]
    pub(crate) wait: Wait,
    #[arg(long)]
    pub(crate) cpu: Option<usize>,
    /// Both sides are on one CPU.
    #[arg(long)]
    pub(crate) shares_cpu: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// One cache line, there and back.
    Floor,
    /// The bare ring beside a Unix socket: no envelope, no codec.
    Ring,
    /// Calls.
    Invoke,
    /// Events, from the serving process to the calling one.
    Event,
    /// Connections that do nothing.
    Idle,
    /// Calls with a pause before each, beside a Unix socket.
    Wake,
    /// Calls while one client floods the server with events and another one reads nothing.
    Crowd,
    /// Values to bytes and back, in this process.
    Codec,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    Shm,
    Pipe,
    Mem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Codec {
    Msgpack,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    LowLatency,
    Balanced,
    Idle,
}

/// Which CPUs to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cpus {
    Any,
    One(usize),
    Two(usize, usize),
}

impl Args {
    /// Refuses what the kind of measurement has no use for.
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        let refuse = |text: String| {
            Err(crate::Arguments::command().error(ErrorKind::ArgumentConflict, text))
        };
        let name = self.what.name();
        if self.what != What::Invoke && (self.threads > 1 || self.inflight > 1) {
            return refuse(format!("bench {name} knows no --threads and no --inflight"));
        }
        if !matches!(self.what, What::Invoke | What::Idle) && self.connections > 1 {
            return refuse(format!("bench {name} knows no --connections"));
        }
        if self.what != What::Crowd && self.shared > 0 {
            return refuse(format!("bench {name} knows no --shared"));
        }
        if self.what == What::Crowd && self.transport == Transport::Mem {
            return refuse("bench crowd is between processes, not `mem`".into());
        }
        let bare = matches!(self.what, What::Floor | What::Ring | What::Codec);
        if bare && self.transport != Transport::Shm {
            return refuse(format!("bench {name} knows no --transport"));
        }
        Ok(())
    }

    /// In bytes.
    pub(crate) fn payload_len(&self) -> usize {
        // Below the limit, which is a `usize` on every system.
        usize::try_from(self.payload).unwrap_or(0)
    }

    pub(crate) fn inflight(&self) -> usize {
        self.inflight.into()
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads.into()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.into()
    }

    pub(crate) fn shared(&self) -> usize {
        self.shared.into()
    }

    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

impl What {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ring => "ring",
            Self::Invoke => "invoke",
            Self::Event => "event",
            Self::Idle => "idle",
            Self::Wake => "wake",
            Self::Crowd => "crowd",
            Self::Codec => "codec",
        }
    }
}

impl Transport {
    pub(crate) fn scheme(self) -> Scheme {
        match self {
            Self::Shm => Scheme::Shm,
            Self::Pipe => Scheme::Pipe,
            Self::Mem => Scheme::Mem,
        }
    }
}

impl Codec {
    pub(crate) fn codec(self) -> AnyCodec {
        match self {
            Self::Msgpack => AnyCodec::MSGPACK,
            Self::Json => AnyCodec::JSON,
        }
    }
}

impl Wait {
    pub(crate) fn mode(self) -> WaitMode {
        match self {
            Self::LowLatency => WaitMode::LowLatency,
            Self::Balanced => WaitMode::Balanced,
            Self::Idle => WaitMode::Idle,
        }
    }

    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LowLatency => "low-latency",
            Self::Balanced => "balanced",
            Self::Idle => "idle",
        }
    }
}

impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self::Any);
        }
        let numbers: Result<Vec<usize>, _> = text.split(',').map(|n| n.trim().parse()).collect();
        match numbers.as_deref() {
            Ok([one]) => Ok(Self::One(*one)),
            Ok([a, b]) if a == b => Ok(Self::One(*a)),
            Ok([a, b]) => Ok(Self::Two(*a, *b)),
            _ => Err("one CPU, two with a comma between, or `any`".into()),
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("not between 0.01 and 3600".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_one_or_two_numbers_or_any() {
        assert_eq!("0,1".parse(), Ok(Cpus::Two(0, 1)));
        assert_eq!("3".parse(), Ok(Cpus::One(3)));
        assert_eq!("2,2".parse(), Ok(Cpus::One(2)));
        assert_eq!("any".parse(), Ok(Cpus::Any));
        for bad in ["", "0,1,2", "-1", "a", "0;1"] {
            assert!(bad.parse::<Cpus>().is_err(), "{bad}");
        }
    }
}
