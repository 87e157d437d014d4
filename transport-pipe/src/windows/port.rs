//! A named pipe with the calls of a socket that does not block.
//!
//! A thread of the connection, the pump, keeps a read and a write going. What it has read waits in
//! a buffer for [`Port::try_recv`]; what [`Port::try_send`] takes waits in another for the pump.
//! Both are bounded: when the one is full the pump stops reading, when the other is full the
//! caller is told that there is no room. All operations are the pump's, because the system cancels
//! those of a thread that ends.

use std::io;
use std::net::Shutdown;
use std::os::windows::io::OwnedHandle;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::overlapped::{Event, Operation, wait};
use super::waker::Waker;
use crate::stream::Moved;
use crate::wake::{Reasons, Waiters, lock};

/// Above this many bytes a buffer takes no more; reading may overshoot by one read. A choice: the
/// step in which frames are read.
const BUFFER_LEN: usize = 64 << 10;

/// How long bytes may still go out after the end was asked for. A choice: as for the backlog.
const LINGER: Duration = Duration::from_secs(2);

/// How long the end of a stream waits for the pump to hand the last bytes to the system. A choice:
/// much longer than a thread needs to wake up, and short for a call that is not to block.
const HAND_OVER: Duration = Duration::from_millis(100);

/// Why nothing can be moved any more.
#[derive(Debug, Clone, Copy)]
enum Over {
    Ended,
    /// With the system's number.
    Failed(i32),
}

impl Over {
    fn new(error: &io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            // Also of a pipe that the other side has disconnected.
            (io::ErrorKind::BrokenPipe, _) | (_, Some(PIPE_NOT_CONNECTED) | None) => Self::Ended,
            (_, Some(code)) => Self::Failed(code),
        }
    }

    fn moved(self) -> io::Result<Moved> {
        match self {
            Self::Ended => Ok(Moved::Ended),
            Self::Failed(code) => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// `ERROR_PIPE_NOT_CONNECTED`, which std has no kind for.
const PIPE_NOT_CONNECTED: i32 =
    windows_sys::Win32::Foundation::ERROR_PIPE_NOT_CONNECTED.cast_signed();

#[derive(Debug, Default)]
struct State {
    /// `incoming[taken..]` is not taken yet.
    incoming: Vec<u8>,
    taken: usize,
    /// Nothing will be added to `incoming`.
    incoming_over: Option<Over>,
    /// The pump has stopped reading because `incoming` is full.
    is_paused: bool,
    outgoing: Vec<u8>,
    /// Nothing more can be written.
    outgoing_over: Option<Over>,
    /// The pump writes, and looks at `outgoing` when it is done.
    is_writing: bool,
    /// Asked to end: when to give up on `outgoing`.
    give_up: Option<Instant>,
}

impl State {
    fn waiting(&self) -> usize {
        self.incoming.len() - self.taken
    }

    fn is_ready(&self, wanted: Reasons) -> bool {
        let data = self.waiting() > 0 || self.incoming_over.is_some();
        let room = self.outgoing.len() < BUFFER_LEN || self.outgoing_over.is_some();
        wanted.data && data || wanted.room && room
    }

    /// Both directions of a pipe end together.
    fn end(&mut self, over: Over) {
        self.incoming_over.get_or_insert(over);
        self.outgoing_over.get_or_insert(over);
        self.outgoing.clear();
    }
}

#[derive(Debug)]
pub(super) struct Port {
    state: Mutex<State>,
    waiters: Waiters,
    /// Wakes the pump.
    bell: Event,
    /// The pump has looked at `outgoing`.
    looked: Condvar,
}

impl Port {
    /// Takes over a pipe that was opened for overlapped operations.
    pub(super) fn open(pipe: OwnedHandle) -> io::Result<Arc<Self>> {
        let pipe = Arc::new(pipe);
        let read = Operation::new(Arc::clone(&pipe))?;
        let write = Operation::new(pipe)?;
        let port = Arc::new(Self {
            state: Mutex::default(),
            waiters: Waiters::default(),
            bell: Event::new(false)?,
            looked: Condvar::new(),
        });
        let pump = Arc::clone(&port);
        thread::Builder::new().name("tramline-pipe".into()).spawn(move || pump.run(read, write))?;
        Ok(port)
    }

    pub(super) fn try_recv(&self, buf: &mut [u8]) -> io::Result<Moved> {
        let mut state = lock(&self.state);
        if state.waiting() == 0 {
            return match state.incoming_over {
                Some(over) => over.moved(),
                None => Ok(Moved::Blocked),
            };
        }
        let len = state.waiting().min(buf.len());
        buf[..len].copy_from_slice(&state.incoming[state.taken..state.taken + len]);
        state.taken += len;
        if state.waiting() == 0 {
            state.incoming.clear();
            state.taken = 0;
        }
        if state.waiting() < BUFFER_LEN && std::mem::take(&mut state.is_paused) {
            self.bell.set();
        }
        Ok(Moved::Some(len))
    }

    /// Takes as much of `parts`, one after the other, as there is room for.
    pub(super) fn try_send(&self, parts: &[&[u8]]) -> io::Result<Moved> {
        let mut state = lock(&self.state);
        if let Some(over) = state.outgoing_over {
            return over.moved();
        }
        if state.give_up.is_some() {
            return Ok(Moved::Ended);
        }
        let before = state.outgoing.len();
        for part in parts {
            let room = BUFFER_LEN.saturating_sub(state.outgoing.len());
            state.outgoing.extend(&part[..part.len().min(room)]);
        }
        let len = state.outgoing.len() - before;
        if len == 0 {
            return Ok(Moved::Blocked);
        }
        if before == 0 && !state.is_writing {
            self.bell.set();
        }
        Ok(Moved::Some(len))
    }

    pub(super) fn is_ready(&self, wanted: Reasons) -> bool {
        lock(&self.state).is_ready(wanted)
    }

    pub(super) fn wait(&self, waker: &Arc<Waker>, wanted: Reasons, timeout: Option<Duration>) {
        self.waiters.enter(waker, wanted);
        // Looked at after entering the list: a change from now on wakes this thread.
        if !self.is_ready(wanted) {
            waker.sleep(timeout);
        }
        self.waiters.leave(waker);
    }

    /// Ends reading, or all of it once `outgoing` is written.
    pub(super) fn shut_down(&self, how: Shutdown) {
        let mut state = lock(&self.state);
        state.incoming_over.get_or_insert(Over::Ended);
        if how != Shutdown::Read && state.give_up.is_none() {
            state.give_up = Some(Instant::now() + LINGER);
        }
        self.bell.set();
        // A process that ends takes the pump with it, but not what the system has. So the pump gets
        // the time to hand it over; not if it is at a write that the peer does not take.
        let is_due = |state: &mut State| !state.outgoing.is_empty() && !state.is_writing;
        if state.give_up.is_some() {
            state = self
                .looked
                .wait_timeout_while(state, HAND_OVER, is_due)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        drop(state);
        self.waiters.wake(|_| true);
    }

    /// The pump. The pipe closes when it returns, for `read` and `write` own it.
    fn run(&self, mut read: Operation, mut write: Operation) {
        loop {
            let mut news = Reasons::NONE;
            let give_up = {
                let mut state = lock(&self.state);
                news.data = Self::go_on_reading(&mut state, &mut read);
                news.room = Self::go_on_writing(&mut state, &mut write);
                state.give_up
            };
            self.looked.notify_all();
            if news.data || news.room {
                self.waiters.wake(|reasons| news.data && reasons.data || news.room && reasons.room);
            }
            let left = give_up.map(|at| at.saturating_duration_since(Instant::now()));
            let is_over = {
                let state = lock(&self.state);
                let is_sent = state.outgoing.is_empty() && !state.is_writing;
                left == Some(Duration::ZERO)
                    || left.is_some() && is_sent
                    || state.incoming_over.is_some() && state.outgoing_over.is_some()
            };
            if is_over {
                break;
            }
            if let Err(error) = wait(&self.bell, [&read, &write], left) {
                lock(&self.state).end(Over::new(&error));
                break;
            }
        }
        lock(&self.state).end(Over::Ended);
        self.looked.notify_all();
        self.waiters.wake(|_| true);
    }

    /// Takes what has been read and starts the next read. True if there are news.
    fn go_on_reading(state: &mut State, read: &mut Operation) -> bool {
        let mut news = false;
        loop {
            match read.finish() {
                Some(Ok(len)) => {
                    if state.incoming_over.is_none() {
                        let taken = std::mem::take(&mut state.taken);
                        state.incoming.drain(..taken);
                        state.incoming.extend(read.bytes(len));
                        news = true;
                    }
                }
                Some(Err(error)) => {
                    state.end(Over::new(&error));
                    return true;
                }
                None if read.is_pending() => return news,
                None => {}
            }
            if state.incoming_over.is_some() {
                return news;
            }
            state.is_paused = state.waiting() >= BUFFER_LEN;
            if state.is_paused {
                return news;
            }
            if let Err(error) = read.read() {
                state.end(Over::new(&error));
                return true;
            }
        }
    }

    /// Hands `outgoing` to the system. True if there is room again.
    fn go_on_writing(state: &mut State, write: &mut Operation) -> bool {
        let mut news = false;
        loop {
            match write.finish() {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    state.end(Over::new(&error));
                    state.is_writing = false;
                    return true;
                }
                None if write.is_pending() => return news,
                None => {}
            }
            state.is_writing = false;
            if state.outgoing.is_empty() || state.outgoing_over.is_some() {
                return news;
            }
            match write.write(&state.outgoing) {
                Ok(len) => {
                    state.outgoing.drain(..len);
                    state.is_writing = true;
                    news = true;
                }
                Err(error) => {
                    state.end(Over::new(&error));
                    return true;
                }
            }
        }
    }
}
