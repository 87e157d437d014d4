//! Waking and sleeping on 32-bit words, also on words this process may only read.

use core::ffi::c_void;
use core::time::Duration;
use std::time::Instant;

use rustix::io::Errno;
use rustix::thread::ClockId;
use rustix::thread::futex::{self, Timespec, Wait, WaitFlags, WaitPtr, WaitvFlags};

use crate::sync::{AtomicU32, Ordering};

/// How long the fallback sleeps at a stretch, since it cannot watch two words. A choice.
const SLICE: Duration = Duration::from_millis(50);
/// Most words one thread waits for: data, room and the local kick.
const MAX_WORDS: usize = 3;

/// 1 once the kernel said that it has no `futex_waitv` (before Linux 5.16).
static NO_WAITV: AtomicU32 = AtomicU32::new(0);

/// One word and the value it must still have for the sleep to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// The word's address: mapped for as long as the sleep lasts.
    pub(crate) word: *const u32,
    /// The value seen.
    pub(crate) value: u32,
    /// True if only threads of this process wake it.
    pub(crate) private: bool,
}

/// Wakes everyone, in any process, who sleeps on `word`.
pub(crate) fn wake_shared(word: &AtomicU32) {
    wake(word, futex::Flags::empty());
}

/// Wakes every thread of this process that sleeps on `word`.
pub(crate) fn wake_private(word: &AtomicU32) {
    wake(word, futex::Flags::PRIVATE);
}

fn wake(word: &AtomicU32, flags: futex::Flags) {
    // Cannot fail: the word is aligned and mapped. The kernel counts waiters as an `int`.
    let _ = futex::wake(word, flags, i32::MAX.unsigned_abs());
}

/// Sleeps until one of `watches` was woken or differs from its value, or `timeout` went by. May
/// return for no reason. The last watch must be the private one.
pub(crate) fn wait_any(watches: &[Watch], timeout: Option<Duration>) {
    if NO_WAITV.load(Ordering::Relaxed) == 0 {
        match wait_all_words(watches, timeout) {
            Err(Errno::NOSYS | Errno::PERM) => NO_WAITV.store(1, Ordering::Relaxed),
            _ => return,
        }
    }
    wait_one_word(watches, timeout);
}

fn wait_all_words(watches: &[Watch], timeout: Option<Duration>) -> Result<usize, Errno> {
    let mut waits = [Wait::new(); MAX_WORDS];
    for (wait, watch) in waits.iter_mut().zip(watches) {
        wait.val = u64::from(watch.value);
        // The kernel only reads through this pointer, so a read-only mapping will do.
        wait.uaddr = WaitPtr::new(watch.word.cast_mut().cast::<c_void>());
        wait.flags = WaitFlags::SIZE_U32;
        if watch.private {
            wait.flags |= WaitFlags::PRIVATE;
        }
    }
    let until = timeout.and_then(deadline);
    let count = watches.len().min(MAX_WORDS);
    futex::waitv(&waits[..count], WaitvFlags::empty(), until.as_ref(), ClockId::Monotonic)
}

/// `now + timeout` on the monotonic clock, `None` if that is beyond what the clock can say.
fn deadline(timeout: Duration) -> Option<Timespec> {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let nsec = now.tv_nsec + i64::from(timeout.subsec_nanos());
    let sec = i64::try_from(timeout.as_secs()).ok()?;
    let tv_sec = now.tv_sec.checked_add(sec)?.checked_add(nsec / 1_000_000_000)?;
    Some(Timespec { tv_sec, tv_nsec: nsec % 1_000_000_000 })
}

/// The fallback: sleeps on the first word only, in slices, and looks at the private one between.
fn wait_one_word(watches: &[Watch], timeout: Option<Duration>) {
    let (Some(first), Some(last)) = (watches.first(), watches.last()) else { return };
    let until = timeout.and_then(|t| Instant::now().checked_add(t));
    loop {
        let left = until.map(|u| u.saturating_duration_since(Instant::now()));
        // One word watched alone needs no slices.
        let nap = if first.private { left } else { Some(left.unwrap_or(SLICE).min(SLICE)) };
        if nap.is_some_and(|n| n.is_zero()) {
            return;
        }
        let woken = wait_word(*first, nap) != libc::ETIMEDOUT;
        // With two of the peer's words the other one is not watched: look at it after every slice.
        if woken || watches.len() > 2 || read_private(*last) != last.value {
            return;
        }
    }
}

/// Reads our own kick word. Only ever called with the last watch, which is the private one.
fn read_private(watch: Watch) -> u32 {
    // SAFETY:
    // - in bounds, aligned, alive: `word` is the address of an `AtomicU32` that the caller of
    //   `wait_any` keeps alive during the call.
    // - shared: other threads of this process change it, only through the same atomic type.
    let word = unsafe { AtomicU32::from_ptr(watch.word.cast_mut()) };
    word.load(Ordering::Relaxed)
}

/// `FUTEX_WAIT` on one word: 0 when woken, else the error number.
fn wait_word(watch: Watch, timeout: Option<Duration>) -> i32 {
    let relative = timeout.map(|t| libc::timespec {
        tv_sec: libc::time_t::try_from(t.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: i64::from(t.subsec_nanos()),
    });
    let until = relative.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    let private = if watch.private { libc::FUTEX_PRIVATE_FLAG } else { 0 };
    // SAFETY:
    // - arguments: as futex(2) wants them for FUTEX_WAIT; the unused ones are absent.
    // - alive: `relative` lives until the call returns; the word is kept mapped by the caller, and
    //   the kernel answers EFAULT for a bad address, it does not fault.
    // - the kernel only reads the word, so it may lie in a read-only mapping.
    let result = unsafe {
        libc::syscall(libc::SYS_futex, watch.word, libc::FUTEX_WAIT | private, watch.value, until)
    };
    if result == 0 { 0 } else { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(word: &AtomicU32, private: bool) -> Watch {
        Watch { word: word.as_ptr(), value: word.load(Ordering::Relaxed), private }
    }

    #[test]
    fn a_changed_word_does_not_sleep() {
        let (bell, kick) = (AtomicU32::new(1), AtomicU32::new(5));
        let stale = Watch { value: 4, ..watch(&kick, true) };
        wait_any(&[watch(&bell, false), stale], None);
        let stale = Watch { value: 0, ..watch(&bell, false) };
        wait_any(&[stale, watch(&kick, true)], None);
        wait_one_word(&[stale, watch(&kick, true)], None);
    }

    #[test]
    fn the_time_limit_ends_a_sleep() {
        let (bell, kick) = (AtomicU32::new(1), AtomicU32::new(5));
        let watches = [watch(&bell, false), watch(&kick, true)];
        wait_any(&watches, Some(Duration::from_millis(1)));
        wait_one_word(&watches, Some(Duration::from_millis(1)));
        wait_one_word(&watches[1..], Some(Duration::from_millis(1)));
    }

    #[test]
    fn the_fallback_hears_a_kick_between_two_slices() {
        let (bell, kick) = (AtomicU32::new(1), AtomicU32::new(5));
        let watches = [watch(&bell, false), watch(&kick, true)];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                kick.fetch_add(1, Ordering::Relaxed);
                wake_private(&kick);
            });
            wait_one_word(&watches, None);
        });
    }
}
