//! Reading, and sleeping until there is something to read.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};
use std::time::{Duration, Instant};

use tramline_core::transport::{Receiver, WaitMode};
use tramline_core::{Frame, LinkError};
use tramline_transport_shm::Doorbell;

/// The incoming half of a link, for a main loop. It may be used again from within itself, as when a
/// command that was read runs a main loop of its own.
pub struct Inlet {
    receiver: RefCell<Box<dyn Receiver>>,
    doorbell: RefCell<Doorbell>,
    fd: RawFd,
    /// The other end knows that we sleep.
    armed: Cell<bool>,
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet").field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// Looks between two looks at the clock, which costs as much as some of them.
const LOOKS_PER_CLOCK: u32 = 32;

/// What a look found.
#[derive(Debug)]
pub enum Polled<T> {
    /// A message.
    Message(T),
    /// None now.
    Nothing,
    /// The link is over.
    Over(LinkError),
}

impl Inlet {
    /// An inlet that sleeps on the link's socket.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn new(mut receiver: Box<dyn Receiver>, doorbell: Doorbell) -> std::io::Result<Self> {
        // A hang-up makes the socket readable, too, so there is nothing else to be told.
        doorbell.attach(|| {})?;
        receiver.set_wait_mode(WaitMode::Idle);
        let fd = doorbell.as_fd().as_raw_fd();
        let receiver = RefCell::new(receiver);
        Ok(Self { receiver, doorbell: RefCell::new(doorbell), fd, armed: Cell::new(false) })
    }

    /// What becomes readable when the other end wakes us. Open as long as the inlet lives.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// Announces a sleep: false if there is something to read instead.
    pub fn sleep(&self) -> bool {
        if !self.armed.get() {
            let Ok(mut receiver) = self.receiver.try_borrow_mut() else { return false };
            self.armed.set(receiver.arm().is_some());
        }
        self.armed.get()
    }

    /// Takes the announcement back.
    pub fn wake(&self) {
        if self.armed.replace(false)
            && let Ok(mut receiver) = self.receiver.try_borrow_mut()
        {
            receiver.disarm();
        }
    }

    /// Takes the wakes out of the descriptor, which would stay readable. To be called behind the
    /// messages, which should not wait for it: a wake that is taken too early is not missed, for
    /// [`sleep`](Self::sleep) looks again.
    pub fn hear(&self) {
        if let Ok(mut doorbell) = self.doorbell.try_borrow_mut() {
            doorbell.hear();
        }
    }

    /// Shows the next message to `read`, which must not use the inlet.
    pub fn poll<T>(&self, read: impl FnOnce(Frame<'_>) -> T) -> Polled<T> {
        let Ok(mut receiver) = self.receiver.try_borrow_mut() else { return Polled::Nothing };
        match receiver.poll() {
            Ok(Some(frame)) => Polled::Message(read(frame)),
            Ok(None) => Polled::Nothing,
            Err(error) => Polled::Over(error),
        }
    }

    /// Whether there may be a message. Costs little.
    #[must_use]
    pub fn has_news(&self) -> bool {
        // Without a budget for spinning it is one look.
        self.receiver.try_borrow_mut().is_ok_and(|mut receiver| receiver.spin())
    }

    /// Looks out for a message for so long, or until `stop`: true if there may be one. Keeps this
    /// thread's CPU busy, but lets others that wait for it have it.
    #[must_use]
    pub fn look_out(&self, time: Duration, stop: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < time {
            for _ in 0..LOOKS_PER_CLOCK {
                std::hint::spin_loop();
                if self.has_news() {
                    return true;
                }
            }
            if stop() {
                return false;
            }
            // The other end may be waiting for this very CPU.
            std::thread::yield_now();
        }
        false
    }
}
