//! From a connected socket to an open link: agree on a transport, then say hello.
//!
//! `docs/WIRE-FORMAT.md` sections 1 and 4. The transport is chosen before the first message: a
//! client says which ones it can use, the server picks one, and if shared memory then turns out not
//! to work on either side the same socket goes on as a pipe.

use std::time::{Duration, Instant};

use tramline_core::envelope::{Envelope, Kind};
use tramline_core::session::{Agreement, Goodbye, Hello, agree};
use tramline_core::transport::{Transport, WaitFor};
use tramline_core::{AnyCodec, ConnectError, Halves, Limits, SendError};
use tramline_transport_pipe::{PipeTransport, Stream, mem};
use tramline_transport_shm::Doorbell;

use crate::endpoint::{Endpoint, Scheme};

const MAGIC: [u8; 4] = *b"TRAM";
const MEET_VERSION: u8 = 1;
const PIPE: u8 = 1;
const SHM: u8 = 2;

/// The transports a scheme allows, on this machine.
fn offered(scheme: Scheme) -> Result<u8, ConnectError> {
    let shm_missing = tramline_transport_shm::unavailable();
    match (scheme, shm_missing) {
        (Scheme::Pipe, _) | (Scheme::Auto, Some(_)) => Ok(PIPE),
        (Scheme::Auto, None) => Ok(PIPE | SHM),
        (Scheme::Shm, None) => Ok(SHM),
        (Scheme::Shm, Some(why)) => {
            Err(ConnectError::Transport { transport: "shm", why: why.into() })
        }
        (Scheme::Mem, _) => Ok(0),
    }
}

fn greeting(transports: u8) -> [u8; 8] {
    let [t, r, a, m] = MAGIC;
    [t, r, a, m, MEET_VERSION, transports, 0, 0]
}

fn read_greeting(stream: &Stream, deadline: Instant) -> Result<u8, ConnectError> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes, deadline)?;
    let [t, r, a, m, version, transports, reserved @ ..] = bytes;
    if [t, r, a, m] != MAGIC {
        return Err(ConnectError::Handshake {
            at: "greeting",
            what: "the other side does not speak tramline".into(),
        });
    }
    if version != MEET_VERSION {
        let (found, supported) = (version.into(), MEET_VERSION.into());
        return Err(ConnectError::Version { found, supported });
    }
    if reserved != [0; 2] {
        let what = "reserved bytes are not 0".into();
        return Err(ConnectError::Handshake { at: "greeting", what });
    }
    Ok(transports)
}

/// The stream knows only the time that was left; people know the limit.
fn whole_limit(error: ConnectError, limits: &Limits) -> ConnectError {
    match error {
        ConnectError::TimedOut { .. } => {
            ConnectError::TimedOut { timeout_ms: limits.handshake_timeout_ms }
        }
        other => other,
    }
}

/// A fresh connection; with its doorbell if it goes through shared memory.
pub(crate) type Met = (Halves, Option<Doorbell>);

/// A connection to whoever serves this endpoint, on which nothing has been said yet.
pub(crate) fn dial(endpoint: &Endpoint, limits: &Limits) -> Result<Halves, ConnectError> {
    match endpoint.scheme() {
        Scheme::Mem => Ok(Box::new(mem::connect(endpoint.name(), limits)?).into_halves()),
        scheme => call(Stream::connect(endpoint.name())?, scheme, limits),
    }
}

/// The client's side: offers what `scheme` allows, takes what the server picks.
pub(crate) fn call(
    stream: Stream,
    scheme: Scheme,
    limits: &Limits,
) -> Result<Halves, ConnectError> {
    let deadline = Instant::now() + Duration::from_millis(limits.handshake_timeout_ms);
    let ours = offered(scheme)?;
    let chosen = stream
        .write_all(&greeting(ours), deadline)
        .and_then(|()| read_greeting(&stream, deadline))
        .map_err(|e| whole_limit(e, limits))?;
    if chosen & ours == 0 {
        return Err(ConnectError::Transport {
            transport: scheme.name(),
            why: "the server does not offer it".into(),
        });
    }
    open(stream, chosen, ours, limits).map(|(halves, _)| halves)
}

/// The server's side: picks the best transport both can use.
pub(crate) fn answer(stream: Stream, scheme: Scheme, limits: &Limits) -> Result<Met, ConnectError> {
    let deadline = Instant::now() + Duration::from_millis(limits.handshake_timeout_ms);
    let ours = offered(scheme)?;
    let theirs = read_greeting(&stream, deadline).map_err(|e| whole_limit(e, limits))?;
    let both = ours & theirs;
    // Shared memory with the pipe to fall back on, or one of the two, or nothing.
    stream
        .write_all(&greeting(both & (SHM | PIPE)), deadline)
        .map_err(|e| whole_limit(e, limits))?;
    if both == 0 {
        return Err(ConnectError::Transport {
            transport: scheme.name(),
            why: "the client does not offer it".into(),
        });
    }
    open(stream, both, ours, limits)
}

#[cfg(unix)]
fn open(stream: Stream, both: u8, ours: u8, limits: &Limits) -> Result<Met, ConnectError> {
    use tramline_transport_shm::Established;

    let both = both & ours;
    if both & SHM == 0 {
        return Ok((Box::new(PipeTransport::new(stream, limits)?).into_halves(), None));
    }
    let peer = stream.peer();
    match tramline_transport_shm::establish(stream.into_fd(), limits, peer)? {
        Established::Open(shm) => {
            let doorbell = shm.doorbell();
            Ok((Box::new(shm).into_halves(), doorbell))
        }
        Established::Rejected { socket, .. } if both & PIPE != 0 => {
            let stream = Stream::from_fd(socket)?;
            Ok((Box::new(PipeTransport::new(stream, limits)?).into_halves(), None))
        }
        Established::Rejected { why, .. } => Err(why),
    }
}

#[cfg(not(unix))]
fn open(stream: Stream, _: u8, _: u8, limits: &Limits) -> Result<Met, ConnectError> {
    Ok((Box::new(PipeTransport::new(stream, limits)?).into_halves(), None))
}

/// The client's hello and the server's answer.
pub(crate) fn hello_as_client(
    halves: &mut Halves,
    hello: &Hello,
    codec: AnyCodec,
    limits: &Limits,
) -> Result<Agreement, ConnectError> {
    let deadline = Instant::now() + Duration::from_millis(limits.handshake_timeout_ms);
    send(halves, &hello.to_frame(), deadline, limits)?;
    let answer = receive(halves, deadline, limits, Hello::read)??;
    agree(answer, &[codec], limits).map_err(refused)
}

/// The server's side: reads the hello, judges it, and leaves the answer to the caller.
pub(crate) fn hear_hello(
    halves: &mut Halves,
    codecs: &[AnyCodec],
    limits: &Limits,
) -> Result<Agreement, ConnectError> {
    let deadline = Instant::now() + Duration::from_millis(limits.handshake_timeout_ms);
    let hello = match receive(halves, deadline, limits, Hello::read)? {
        Ok(hello) => hello,
        Err(e) => {
            let _ = refuse(halves, &Goodbye::new("bad-hello", &e.to_string()), limits);
            return Err(e);
        }
    };
    match agree(hello, codecs, limits) {
        Ok(agreement) => Ok(agreement),
        Err(goodbye) => {
            refuse(halves, &goodbye, limits)?;
            Err(refused(goodbye))
        }
    }
}

/// Sends a goodbye and waits until the peer has had the chance to read it: closing a socket at once
/// may throw it away.
pub(crate) fn refuse(
    halves: &mut Halves,
    goodbye: &Goodbye,
    limits: &Limits,
) -> Result<(), ConnectError> {
    let deadline = Instant::now() + Duration::from_millis(limits.handshake_timeout_ms);
    send(halves, &goodbye.to_frame(), deadline, limits)?;
    // The peer hangs up when it has read it.
    let _ = receive(halves, deadline, limits, |bytes| {
        Envelope::parse(bytes).is_ok_and(|message| message.head.kind == Kind::Goodbye)
    });
    Ok(())
}

fn refused(goodbye: Goodbye) -> ConnectError {
    ConnectError::Refused { code: goodbye.code, text: goodbye.text }
}

pub(crate) fn send(
    halves: &mut Halves,
    frame: &[u8],
    deadline: Instant,
    limits: &Limits,
) -> Result<(), ConnectError> {
    let mut sent = 0;
    loop {
        let kicks = halves.signal.kicks();
        match halves.sender.send_part(frame, &mut sent) {
            Ok(()) => return Ok(halves.sender.flush()?),
            Err(SendError::Full) => {
                let timeout = Some(left(deadline, limits)?);
                let room = halves.sender.arm();
                if room.is_some() {
                    halves.signal.wait(WaitFor { kicks, data: None, room, timeout });
                }
                halves.sender.disarm();
            }
            Err(SendError::Link(e)) => return Err(e.into()),
            Err(e) => {
                return Err(ConnectError::Handshake { at: "hello", what: e.to_string().into() });
            }
        }
    }
}

fn receive<R>(
    halves: &mut Halves,
    deadline: Instant,
    limits: &Limits,
    read: impl FnOnce(&[u8]) -> R,
) -> Result<R, ConnectError> {
    loop {
        let kicks = halves.signal.kicks();
        if let Some(frame) = halves.receiver.poll()? {
            return Ok(read(frame.bytes()));
        }
        let timeout = Some(left(deadline, limits)?);
        let data = halves.receiver.arm();
        if data.is_some() {
            halves.signal.wait(WaitFor { kicks, data, room: None, timeout });
        }
        halves.receiver.disarm();
    }
}

fn left(deadline: Instant, limits: &Limits) -> Result<Duration, ConnectError> {
    match deadline.checked_duration_since(Instant::now()) {
        Some(left) if !left.is_zero() => Ok(left),
        _ => Err(ConnectError::TimedOut { timeout_ms: limits.handshake_timeout_ms }),
    }
}
