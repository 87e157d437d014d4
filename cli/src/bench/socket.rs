//! Messages over a blocking Unix stream socket: a length, then the bytes. What one would write
//! without a library.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use super::raw::gone;
use crate::failure::Failure;

const PREFIX_LEN: usize = 4;
/// The length that ends a burst.
const STOP: u32 = u32::MAX;
/// What a sink reads at a time, in bytes.
const SINK_BUFFER_LEN: usize = 64 << 10;
/// Says that the stop has been seen.
const DONE: u8 = 1;

/// A message with its length before it, and room for one that comes back.
pub(crate) struct Letter {
    out: Vec<u8>,
    back: Vec<u8>,
}

impl Letter {
    pub(crate) fn new(data: &[u8]) -> Self {
        let len = u32::try_from(data.len()).unwrap_or(STOP - 1);
        let out = [&len.to_le_bytes(), data].concat();
        Self { back: vec![0; out.len()], out }
    }

    pub(crate) fn send(&self, socket: &mut UnixStream) -> Result<(), Failure> {
        socket.write_all(&self.out).map_err(gone)
    }

    /// There and back.
    pub(crate) fn round_trip(&mut self, socket: &mut UnixStream) -> Result<(), Failure> {
        self.send(socket)?;
        match fill(socket, &mut self.back)? {
            Filled::Whole => Ok(()),
            Filled::Stop => Err(Failure::OtherGone),
        }
    }
}

/// Ends a burst and waits until the other side has seen it.
pub(crate) fn stop(socket: &mut UnixStream) -> Result<(), Failure> {
    socket.write_all(&STOP.to_le_bytes()).map_err(gone)?;
    done(socket)
}

pub(crate) fn say_done(socket: &mut UnixStream) -> Result<(), Failure> {
    socket.write_all(&[DONE]).map_err(gone)
}

pub(crate) fn done(socket: &mut UnixStream) -> Result<(), Failure> {
    socket.read_exact(&mut [0]).map_err(gone)
}

/// Sends every message of `len` bytes back until the stop.
pub(crate) fn echo(socket: &mut UnixStream, len: usize) -> Result<(), Failure> {
    let mut message = vec![0; PREFIX_LEN + len];
    while let Filled::Whole = fill(socket, &mut message)? {
        socket.write_all(&message).map_err(gone)?;
    }
    say_done(socket)
}

/// Reads messages of `len` bytes until the stop.
pub(crate) fn sink(socket: &mut UnixStream, len: usize) -> Result<(), Failure> {
    let mut message = vec![0; len];
    // Nothing follows the stop until it was answered, so the buffer ends with it.
    let mut reader = BufReader::with_capacity(SINK_BUFFER_LEN, &mut *socket);
    loop {
        let mut prefix = [0; PREFIX_LEN];
        reader.read_exact(&mut prefix).map_err(gone)?;
        if u32::from_le_bytes(prefix) == STOP {
            break;
        }
        reader.read_exact(&mut message).map_err(gone)?;
    }
    drop(reader);
    say_done(socket)
}

enum Filled {
    Whole,
    Stop,
}

/// One message with its length, in as few system calls as the socket allows.
fn fill(socket: &mut UnixStream, message: &mut [u8]) -> Result<Filled, Failure> {
    let mut filled = 0;
    while filled < message.len() {
        match socket.read(&mut message[filled..]).map_err(gone)? {
            0 => return Err(Failure::OtherGone),
            more => filled += more,
        }
        if filled == PREFIX_LEN && message[..PREFIX_LEN] == STOP.to_le_bytes() {
            return Ok(Filled::Stop);
        }
    }
    let stopped = message[..PREFIX_LEN] == STOP.to_le_bytes();
    Ok(if stopped { Filled::Stop } else { Filled::Whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_back_until_the_stop_and_the_socket_is_then_in_step() {
        for len in [0, 1, 64, 200_000] {
            let (mut here, mut there) = UnixStream::pair().expect("a pair");
            let other = std::thread::spawn(move || {
                echo(&mut there, len)?;
                sink(&mut there, len)
            });
            let mut letter = Letter::new(&vec![7; len]);
            for _ in 0..3 {
                letter.round_trip(&mut here).expect("comes back");
                assert_eq!(letter.out, letter.back);
            }
            stop(&mut here).expect("seen");
            for _ in 0..3 {
                letter.send(&mut here).expect("sent");
            }
            stop(&mut here).expect("seen");
            other.join().expect("no panic").expect("no failure");
        }
    }
}
