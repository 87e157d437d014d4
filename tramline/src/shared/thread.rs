//! Threads that serve many connections each.
//!
//! A thread gives a turn to each connection that has news, one after the other. One that is quiet
//! for a moment is told to ring; when all are, the thread sleeps on all control sockets at once.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use tramline_core::transport::WaitMode;
use tramline_transport_shm::Doorbell;

use super::Connection;
use super::shift::{Next, Shift};
use crate::hub::Hub;

/// How long a quiet connection is looked at before its peer is told to ring. A choice: as a thread
/// of its own begins with; a peer that answers at once does so within it.
const LINGER: Duration = Duration::from_micros(20);
/// The same for [`WaitMode::LowLatency`].
const LINGER_LOW_LATENCY: Duration = Duration::from_millis(2);
/// How often the sleeping connections are looked at while others are at work. A choice: a look costs
/// less than a microsecond.
const LOOK_EVERY: Duration = Duration::from_micros(20);
/// How often a thread that only looks offers its CPU to whoever waits for it: perhaps the peer.
const YIELD_EVERY: Duration = Duration::from_micros(2);
/// Sockets looked at in one go.
const EVENTS: usize = 64;
/// Names the eventfd among the sockets.
const KICKED: u64 = 0;

/// The threads of one server.
pub(crate) struct Threads {
    desks: Vec<Arc<Desk>>,
    started: AtomicBool,
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Threads").field(&self.desks.len()).finish()
    }
}

impl Threads {
    pub(super) fn new(count: usize) -> io::Result<Self> {
        let desks = (0..count).map(|_| Desk::new()).collect::<io::Result<_>>()?;
        Ok(Self { desks, started: AtomicBool::new(false) })
    }

    /// How many run.
    pub(super) fn count(&self) -> usize {
        if self.started.load(Ordering::Relaxed) { self.desks.len() } else { 0 }
    }

    pub(super) fn start(&self, hub: &Arc<Hub>) -> io::Result<()> {
        let linger = match hub.waits() {
            // Nobody else could have anything to say meanwhile.
            _ if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() == 1) => {
                Duration::ZERO
            }
            WaitMode::Idle => Duration::ZERO,
            WaitMode::LowLatency => LINGER_LOW_LATENCY,
            _ => LINGER,
        };
        self.started.store(true, Ordering::Relaxed);
        self.desks.iter().try_for_each(|desk| {
            let desk = Arc::clone(desk);
            hub.spawn("tramline-shared", move |_| Worker::new(desk, linger).run())
        })
    }

    /// Gives a connection to the thread that has the fewest.
    pub(super) fn take_over(
        &self,
        connection: Connection,
        doorbell: Doorbell,
    ) -> Option<Connection> {
        match self.desks.iter().min_by_key(|desk| desk.connections.load(Ordering::Relaxed)) {
            Some(desk) => desk.take_over(Shift::new(connection, doorbell)),
            None => Some(connection),
        }
    }

    pub(super) fn stop(&self) {
        for desk in &self.desks {
            desk.mail().stopping = true;
            desk.wake(desk.mail());
        }
    }
}

/// Where others leave work for one thread.
struct Desk {
    epoll: OwnedFd,
    /// Wakes the thread; never leaves this process.
    kick: OwnedFd,
    mail: Mutex<Mail>,
    connections: AtomicUsize,
}

#[derive(Default)]
struct Mail {
    last_token: u64,
    new: Vec<(u64, Member)>,
    kicked: Vec<u64>,
    asleep: bool,
    stopping: bool,
    /// The thread has ended.
    gone: bool,
}

/// A connection of this thread.
struct Member {
    shift: Shift,
    /// It waits in `Mail::kicked`.
    kicked: Arc<AtomicBool>,
    /// It gets turns.
    active: bool,
    quiet_since: Option<Instant>,
}

impl Desk {
    fn new() -> io::Result<Arc<Self>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let kick = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &kick, epoll::EventData::new_u64(KICKED), epoll::EventFlags::IN)?;
        let (mail, connections) = (Mutex::default(), AtomicUsize::new(0));
        Ok(Arc::new(Self { epoll, kick, mail, connections }))
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the thread if it sleeps. Its word that it does and its last look at the mail are one
    /// step.
    fn wake(&self, mut mail: MutexGuard<'_, Mail>) {
        if std::mem::take(&mut mail.asleep) {
            drop(mail);
            // Any number will do. Fails only when it is almost full, and then it wakes, too.
            let _ = rustix::io::write(&self.kick, &[1; 8]);
        }
    }

    /// Takes a connection on, unless the system or the end of this thread forbid it.
    fn take_over(self: &Arc<Self>, shift: Shift) -> Option<Connection> {
        let token = {
            let mut mail = self.mail();
            mail.last_token += 1;
            mail.last_token
        };
        // Edges only: a hang-up stays, and looking at it again would never sleep.
        let wanted = epoll::EventFlags::IN
            | epoll::EventFlags::PRI
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        let data = epoll::EventData::new_u64(token);
        if epoll::add(&self.epoll, shift.doorbell(), data, wanted).is_err() {
            return Some(shift.into_connection());
        }
        let kicked = Arc::new(AtomicBool::new(false));
        let (desk, flag) = (Arc::clone(self), Arc::clone(&kicked));
        let attached = shift.doorbell().attach(move || desk.kicked(token, &flag));
        let mut mail = self.mail();
        if attached.is_err() || mail.gone {
            drop(mail);
            let _ = epoll::delete(&self.epoll, shift.doorbell());
            return Some(shift.into_connection());
        }
        self.connections.fetch_add(1, Ordering::Relaxed);
        mail.new.push((token, Member { shift, kicked, active: false, quiet_since: None }));
        self.wake(mail);
        None
    }

    /// A connection is to have a turn.
    fn kicked(&self, token: u64, waits: &AtomicBool) {
        // PAIRS WITH the swap in `Worker::collect`: whoever finds it set leaves what it kicked for
        // to a turn that begins after that swap.
        if !waits.swap(true, Ordering::AcqRel) {
            let mut mail = self.mail();
            mail.kicked.push(token);
            self.wake(mail);
        }
    }
}

/// One thread at work.
struct Worker {
    desk: Arc<Desk>,
    linger: Duration,
    members: HashMap<u64, Member>,
    /// Those that get turns, in order.
    active: Vec<u64>,
    /// Empty between two looks at the mail.
    kicked: Vec<u64>,
}

/// What the mail says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Work,
    Sleep,
    End,
}

impl Worker {
    fn new(desk: Arc<Desk>, linger: Duration) -> Self {
        let (members, active, kicked) = (HashMap::new(), Vec::new(), Vec::new());
        Self { desk, linger, members, active, kicked }
    }

    fn run(mut self) {
        let mut looked = Instant::now();
        let mut offered = looked;
        loop {
            match self.collect() {
                Mood::End => return,
                Mood::Sleep => {
                    self.look(None);
                    continue;
                }
                Mood::Work => {}
            }
            let now = Instant::now();
            if now.duration_since(looked) >= LOOK_EVERY {
                looked = now;
                self.look(Some(&Timespec::default()));
            }
            if !self.round(now) {
                if now.duration_since(offered) >= YIELD_EVERY {
                    offered = now;
                    std::thread::yield_now();
                }
                std::hint::spin_loop();
            }
        }
    }

    /// Takes what others have left; says what to do then.
    fn collect(&mut self) -> Mood {
        let mut mail = self.desk.mail();
        mail.asleep = false;
        std::mem::swap(&mut mail.kicked, &mut self.kicked);
        let new = std::mem::take(&mut mail.new);
        if self.active.is_empty() && self.kicked.is_empty() && new.is_empty() {
            mail.gone = mail.stopping && self.members.is_empty();
            mail.asleep = !mail.gone;
            return if mail.gone { Mood::End } else { Mood::Sleep };
        }
        drop(mail);
        for (token, mut member) in new {
            // What came before it was here found nobody: the kick's mail was thrown away, the edge
            // not known.
            member.kicked.store(false, Ordering::Release);
            member.shift.hear();
            self.members.insert(token, member);
            self.activate(token);
        }
        let mut kicked = std::mem::take(&mut self.kicked);
        for token in kicked.drain(..) {
            if let Some(member) = self.members.get(&token) {
                // PAIRS WITH the swap in `Desk::kicked`.
                member.kicked.swap(false, Ordering::AcqRel);
                self.activate(token);
            }
        }
        self.kicked = kicked;
        Mood::Work
    }

    /// Looks which peers have rung.
    fn look(&mut self, timeout: Option<&Timespec>) {
        let mut room = [MaybeUninit::<epoll::Event>::uninit(); EVENTS];
        // Interrupted: the next look comes.
        let Ok((events, _)) = epoll::wait(&self.desk.epoll, &mut room, timeout) else { return };
        for event in events {
            let token = event.data.u64();
            if token == KICKED {
                let _ = rustix::io::read(&self.desk.kick, &mut [0_u8; 8]);
            } else if let Some(member) = self.members.get_mut(&token) {
                member.shift.hear();
                self.activate(token);
            }
        }
    }

    fn activate(&mut self, token: u64) {
        if let Some(member) = self.members.get_mut(&token)
            && !std::mem::replace(&mut member.active, true)
        {
            member.quiet_since = None;
            member.shift.awake();
            self.active.push(token);
        }
    }

    /// One turn for each active connection; true if one of them had something to do.
    fn round(&mut self, now: Instant) -> bool {
        let Self { desk, linger, members, active, .. } = self;
        let mut worked = false;
        active.retain(|token| {
            let Some(member) = members.get_mut(token) else { return false };
            let quiet =
                member.quiet_since.map_or(Duration::ZERO, |since| now.duration_since(since));
            match member.shift.turn(quiet < *linger) {
                Next::Again => {
                    member.quiet_since = None;
                    worked = true;
                    true
                }
                Next::Look => {
                    member.quiet_since.get_or_insert(now);
                    true
                }
                Next::Sleep => {
                    member.active = false;
                    false
                }
                Next::Drop => {
                    let _ = epoll::delete(&desk.epoll, member.shift.doorbell());
                    desk.connections.fetch_sub(1, Ordering::Relaxed);
                    members.remove(token);
                    worked = true;
                    false
                }
            }
        });
        worked
    }
}
