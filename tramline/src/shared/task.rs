//! Connections as tasks of a tokio runtime: the control socket is their one source of readiness.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use futures_lite::future;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tramline_transport_shm::Doorbell;

use super::Connection;
use super::shift::{Next, Shift};

/// Turns of a busy connection before other tasks have one. A choice (RING limits: poll budget).
const TURNS: u32 = 4;

/// Checks that the runtime this is called in can watch sockets.
///
/// # Panics
///
/// If it cannot; tokio says why.
pub(crate) fn check_runtime() {
    let flags = rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK;
    if let Ok(fd) = rustix::event::eventfd(0, flags) {
        // Without descriptors left it fails later, and the connection has a thread.
        let _ = watch(fd, Interest::READABLE);
    }
}

/// Tells the current runtime of a descriptor.
#[allow(
    deprecated,
    reason = "the new one is unsafe for types that may change their descriptor; this one owns it"
)]
fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}

/// Runs a connection as a task, unless the system or the runtime forbid it.
pub(super) fn take_over(
    runtime: &Handle,
    connection: Connection,
    doorbell: Doorbell,
) -> Option<Connection> {
    let mut shift = Shift::new(connection, doorbell);
    let _entered = runtime.enter();
    let socket = shift.doorbell().as_fd().try_clone_to_owned();
    let interest = Interest::READABLE | Interest::PRIORITY;
    let Some(socket) = socket.ok().and_then(|fd| watch(fd, interest).ok()) else {
        return Some(shift.into_connection());
    };
    let kicked = Arc::new(Notify::new());
    let told = Arc::clone(&kicked);
    if shift.doorbell().attach(move || told.notify_one()).is_err() {
        return Some(shift.into_connection());
    }
    shift.connection().leave_thread();
    // A runtime that is shutting down drops it, which ends the connection.
    runtime.spawn(run(shift, socket, kicked));
    None
}

async fn run(mut shift: Shift, socket: AsyncFd<OwnedFd>, kicked: Arc<Notify>) {
    let mut turns = 0;
    loop {
        match shift.turn(false) {
            Next::Drop => return,
            Next::Again | Next::Look => {
                turns += 1;
                if turns % TURNS == 0 {
                    tokio::task::yield_now().await;
                }
            }
            Next::Sleep => {
                turns = 0;
                let rang = async {
                    if let Ok(mut ready) =
                        socket.ready(Interest::READABLE | Interest::PRIORITY).await
                    {
                        // Before the bytes are read: one that comes meanwhile is news again.
                        ready.clear_ready();
                        return true;
                    }
                    // The runtime is shutting down, and will drop this task.
                    std::future::pending().await
                };
                let kicked = async {
                    kicked.notified().await;
                    false
                };
                if future::or(rang, kicked).await {
                    shift.hear();
                }
                shift.awake();
            }
        }
    }
}
