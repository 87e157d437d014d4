//! Bounds on waiting, so that a lost wake fails a test and does not hang it.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that has to come. A choice: far above anything a loaded
/// machine needs, so only a real fault reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `work` on a thread of its own; panics if it has not ended after twice [`PATIENCE`].
///
/// # Panics
///
/// With `work`, or when the time is up. The thread is then left behind.
pub fn bounded<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel();
    let worker = thread::spawn(move || {
        let result = work();
        let _ = done.send(result);
    });
    match ended.recv_timeout(2 * PATIENCE) {
        Ok(result) => {
            worker.join().expect("it has sent its result");
            result
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => match worker.join() {
            Ok(()) => unreachable!("it ended without a result"),
            Err(panic) => std::panic::resume_unwind(panic),
        },
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs: not done after 60 s"),
    }
}

/// Looks again and again until `holds`; only for what gives no sign of its own, such as a server's
/// list of clients.
///
/// # Panics
///
/// If it does not hold within [`PATIENCE`].
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "never came true: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}
