//! The other process: serves the calls, and has one thread for everything beside the library.

use std::borrow::Cow;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::exit;

use serde::{Deserialize, Serialize};
use tramline::{Bytes, Capabilities, Peer, Server, State, command, commands};

use super::args::PeerArgs;
use super::raw::{Bare, Task, gone, settle};
use super::{machine, socket};
use crate::failure::Failure;

/// The event that `emit` emits.
pub(crate) const DOWN: &str = "down";

/// What calls and events carry, borrowed. Bytes are bytes where the codec has them (msgpack), an
/// array of numbers where it has not (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockRef<'a> {
    pub(crate) id: u64,
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) data: Cow<'a, [u8]>,
}

impl<'a> BlockRef<'a> {
    pub(crate) fn new(id: u64, data: &'a [u8]) -> Self {
        Self { id, data: Cow::Borrowed(data) }
    }
}

/// As [`BlockRef`], to keep: what a call is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) id: u64,
    pub(crate) data: Bytes,
}

/// Arguments of `emit`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Emission {
    pub(crate) count: u64,
    /// Bytes of data in each.
    pub(crate) len: usize,
}

/// What emitted payloads are cut from.
struct Source(Vec<u8>);

/// Largest payload of an event, in bytes.
const SOURCE_LEN: usize = 7 << 20;

#[command(inline)]
fn echo<'a>(id: u64, data: &'a [u8]) -> BlockRef<'a> {
    BlockRef::new(id, data)
}

/// Emits `count` events to the caller and says how many it has.
#[command]
fn emit(peer: Peer, source: State<'_, Source>, count: u64, len: usize) -> Result<u64, String> {
    let data = source.0.get(..len).ok_or("too long")?;
    for id in 0..count {
        peer.emit(DOWN, &BlockRef::new(id, data)).map_err(|e| format!("event {id}: {e}"))?;
    }
    Ok(count)
}

/// The commands, for any kind of server.
pub(crate) fn with_commands(server: Server) -> Server {
    server
        .commands(commands![echo, emit])
        .manage(Source(bytes(SOURCE_LEN)))
        .allow(Capabilities::all())
}

/// `len` bytes in which every value is as frequent as any other.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        state.to_le_bytes()[7]
    })
    .take(len)
    .collect()
}

/// Serves the bench that started this process, until it is gone.
pub(crate) fn run(args: &PeerArgs) -> Result<(), Failure> {
    if let Some(cpu) = args.cpu {
        machine::pin(cpu)?;
    }
    let mode = args.wait.mode();
    let (control, ring) = (std::io::stdin(), std::io::stdout());
    let control = control.as_fd().try_clone_to_owned().map_err(gone)?;
    let ring = ring.as_fd().try_clone_to_owned().map_err(gone)?;
    let shares_cpu = args.shares_cpu;
    std::thread::Builder::new()
        .name("raw".into())
        .spawn(move || {
            let served = Bare::open(ring, mode, shares_cpu)
                .map_err(Failure::Worker)
                .and_then(|bare| obey(&mut UnixStream::from(control), bare));
            // The bench says what went wrong; one of the two is enough.
            exit(i32::from(served.is_err()));
        })
        .map_err(gone)?;
    let others = with_commands(Server::new()).wait_mode(mode);
    let _others = others.start(&format!("auto:{}", args.endpoint)).map_err(Failure::Serve)?;
    let parent = with_commands(Server::from_parent()).wait_mode(mode);
    parent.run().wait().map_err(Failure::Serve)
}

/// Does what the bench says. Between two orders this thread sleeps in the system.
fn obey(control: &mut UnixStream, bare: Bare) -> Result<(), Failure> {
    let Bare { mut ring, probe } = bare;
    while let Some(task) = Task::take(control)? {
        match task {
            Task::Floor { first, count } => {
                if !(first..first.saturating_add(count)).all(|value| probe.pong(value)) {
                    return Err(Failure::OtherGone);
                }
            }
            Task::RingEcho { len } => while ring.echo()? as u64 == len {},
            Task::RingSink { len } => {
                // Ready: the time it took to wake this thread is not the ring's.
                ring.send(&[0])?;
                ring.flush()?;
                while ring.receive()? as u64 == len {}
                ring.send(&[0])?;
                ring.flush()?;
            }
            Task::SocketEcho { len } => socket::echo(control, len_of(len)?)?,
            Task::SocketSink { len } => {
                socket::say_done(control)?;
                socket::sink(control, len_of(len)?)?;
            }
            Task::Settle => {
                settle();
                socket::say_done(control)?;
            }
        }
    }
    Ok(())
}

fn len_of(len: u64) -> Result<usize, Failure> {
    usize::try_from(len).map_err(|_| Failure::OtherGone)
}
