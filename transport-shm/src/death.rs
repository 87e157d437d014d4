//! Noticing that a peer is gone: one thread per process sleeps on all control sockets, or on the
//! peers' processes where there is no socket.
//!
//! A side that sleeps on its control socket takes the bytes out of it by itself; then only the hang-up
//! is looked for here.
//!
//! It has no timer, so an idle process stays idle. It does not survive `fork` without `exec`; the
//! child of such a fork must not use links of its parent.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::event::epoll;
use rustix::io::Errno;
use tramline_core::PeerFault;

use crate::control::{ControlSocket, Pending};
use crate::link::Link;

/// What tells that the peer is gone.
#[derive(Debug)]
pub(crate) enum Lifeline {
    /// The control socket: hung up by the peer, or by its end.
    Socket(Arc<ControlSocket>),
    /// The peer's process, where there is no socket: readable once it has ended.
    #[cfg(feature = "named")]
    Process(OwnedFd),
}

impl AsFd for Lifeline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(socket) => socket.as_fd(),
            #[cfg(feature = "named")]
            Self::Process(process) => process.as_fd(),
        }
    }
}

/// Names one watched link. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WatchId(u64);

struct Watcher {
    epoll: OwnedFd,
    links: Mutex<(u64, HashMap<u64, Weak<Link>>)>,
}

static WATCHER: Mutex<Option<Arc<Watcher>>> = Mutex::new(None);

/// Starts the watcher if it does not run yet.
pub(crate) fn start() -> io::Result<()> {
    watcher().map(drop)
}

/// Watches `link` until it is forgotten or its peer is gone.
pub(crate) fn watch(link: &Arc<Link>) -> io::Result<WatchId> {
    let watcher = watcher()?;
    let id = {
        let mut links = lock(&watcher.links);
        links.0 += 1;
        let id = links.0;
        links.1.insert(id, Arc::downgrade(link));
        id
    };
    // Edge-triggered: a descriptor stays in the socket until the link's reader takes it, and must not
    // keep this thread awake meanwhile. Each arrival is an edge of its own.
    let wanted = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
    if let Err(error) =
        epoll::add(&watcher.epoll, link.lifeline(), epoll::EventData::new_u64(id), wanted)
    {
        lock(&watcher.links).1.remove(&id);
        return Err(error.into());
    }
    Ok(WatchId(id))
}

/// Leaves the bytes on a watched socket to somebody else from now on.
pub(crate) fn watch_hang_ups_only(WatchId(id): WatchId, socket: BorrowedFd<'_>) -> io::Result<()> {
    let id = epoll::EventData::new_u64(id);
    let wanted = epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
    match epoll::modify(watcher()?.epoll.as_fd(), socket, id, wanted) {
        // Not there any more: the peer hung up.
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Ends a watch. Before its descriptor is closed, for a closed descriptor cannot be taken out.
pub(crate) fn forget(WatchId(id): WatchId, lifeline: &Lifeline) {
    if let Ok(watcher) = watcher() {
        lock(&watcher.links).1.remove(&id);
        // Not there any more if the peer hung up first.
        let _ = epoll::delete(&watcher.epoll, lifeline);
    }
}

fn watcher() -> io::Result<Arc<Watcher>> {
    let mut slot = lock(&WATCHER);
    if let Some(watcher) = &*slot {
        return Ok(Arc::clone(watcher));
    }
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let links = Mutex::new((0, HashMap::new()));
    let watcher = Arc::new(Watcher { epoll, links });
    let runs = Arc::clone(&watcher);
    std::thread::Builder::new().name("tramline-watch".into()).spawn(move || runs.run())?;
    // Lives as long as the process, like its thread.
    *slot = Some(Arc::clone(&watcher));
    Ok(watcher)
}

impl Watcher {
    fn run(&self) {
        let mut room = [MaybeUninit::<epoll::Event>::uninit(); 32];
        loop {
            match epoll::wait(&self.epoll, &mut room, None) {
                Ok((events, _)) => {
                    for event in events {
                        self.handle(event.data.u64(), event.flags);
                    }
                }
                Err(Errno::INTR) => {}
                // Nothing else can happen to a valid epoll descriptor.
                Err(_) => return,
            }
        }
    }

    fn handle(&self, id: u64, flags: epoll::EventFlags) {
        // The lock is released before the link is used: dropping the last reference takes it again.
        let Some(link) = lock(&self.links).1.get(&id).and_then(Weak::upgrade) else { return };
        #[cfg(feature = "named")]
        if let Lifeline::Process(_) = link.lifeline() {
            self.stop(&link);
            link.hung_up();
            return;
        }
        let gone = epoll::EventFlags::HUP | epoll::EventFlags::RDHUP | epoll::EventFlags::ERR;
        if flags.intersects(gone) {
            self.stop(&link);
            link.hung_up();
            return;
        }
        match link.look_at_socket() {
            // Taken meanwhile, or waiting for its record: the reader's.
            Pending::Nothing | Pending::Ticket => {}
            Pending::Garbage => {
                self.stop(&link);
                link.fault(PeerFault::new("control socket", "unexpected bytes"));
            }
            Pending::End => {
                self.stop(&link);
                link.hung_up();
            }
        }
    }

    /// A hang-up stays: looking again would never sleep.
    fn stop(&self, link: &Link) {
        let _ = epoll::delete(&self.epoll, link.lifeline());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing inside can be left half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
