//! Blocking send and receive over any transport.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::atomic::{AtomicU32, Ordering};

use tramline_core::transport::{Receiver, Sender, Signal, WaitFor};
use tramline_core::{Halves, Limits, LinkError, SendError, Transport};
use tramline_transport_pipe::{Listener, Stream, mem};

pub(crate) fn open(transport: impl Transport + 'static) -> Halves {
    Box::new(transport).into_halves()
}

pub(crate) fn mem_pair(limits: &Limits) -> (Halves, Halves) {
    let (a, b) = mem::pair(limits);
    (open(a), open(b))
}

/// A name that nobody else uses.
pub(crate) fn name(of: &str) -> String {
    static NAMES: AtomicU32 = AtomicU32::new(0);
    let number = NAMES.fetch_add(1, Ordering::Relaxed);
    format!("test-{of}-{}-{number}", std::process::id())
}

/// Two ends of a connection: who connected, and who was connected to.
pub(crate) fn connected() -> (Stream, Stream) {
    let name = name("connected");
    let listener = Listener::bind(&name).expect("free");
    let client = Stream::connect(&name).expect("served");
    let server = listener.accept().expect("accept").expect("running");
    (client, server)
}

/// Sleeps until there is something to read. On Unix and in memory it is there when a flush returns.
pub(crate) fn wait_for_data(halves: &mut Halves) {
    loop {
        let kicks = halves.signal.kicks();
        let Some(data) = halves.receiver.arm() else {
            return;
        };
        if !cfg!(windows) {
            panic!("what was flushed has not come");
        }
        halves.signal.wait(WaitFor { kicks, data: Some(data), ..WaitFor::default() });
        halves.receiver.disarm();
    }
}

/// Tries to send once, without waiting. A message above 64 KiB goes in parts.
pub(crate) fn try_send(
    sender: &mut dyn Sender,
    message: &[u8],
    sent: &mut usize,
) -> Result<(), SendError> {
    if message.len() > 64 << 10 {
        return sender.send_part(message, sent);
    }
    sender.claim(message.len())?[..message.len()].copy_from_slice(message);
    sender.commit(message.len());
    Ok(sender.flush()?)
}

pub(crate) fn send(sender: &mut dyn Sender, signal: &dyn Signal, message: &[u8]) {
    let mut sent = 0;
    loop {
        let kicks = signal.kicks();
        match try_send(sender, message, &mut sent) {
            Ok(()) => return,
            Err(SendError::Full) => {}
            Err(error) => panic!("{error}"),
        }
        let room = sender.arm();
        if room.is_some() {
            signal.wait(WaitFor { kicks, room, ..WaitFor::default() });
        }
        sender.disarm();
    }
}

pub(crate) fn recv(receiver: &mut dyn Receiver, signal: &dyn Signal) -> Result<Vec<u8>, LinkError> {
    loop {
        let kicks = signal.kicks();
        if let Some(frame) = receiver.poll()? {
            return Ok(frame.take().to_vec());
        }
        if receiver.spin() {
            continue;
        }
        let data = receiver.arm();
        if data.is_some() {
            signal.wait(WaitFor { kicks, data, ..WaitFor::default() });
        }
        receiver.disarm();
    }
}

/// Sends until the link has no room; how many messages went in.
pub(crate) fn fill(halves: &mut Halves, message: &[u8]) -> usize {
    for count in 0..1 << 20 {
        match try_send(&mut *halves.sender, message, &mut 0) {
            Ok(()) => {}
            Err(SendError::Full) => return count,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the link never fills")
}
