//! A source that is ready again and again leaves turns of the main loop to what is less urgent.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::Cell;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::ptr::null_mut;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tramline_web_link::{Handler, Next, Source, Turn};

/// Turns a hang into a failure.
const LIMIT: Duration = Duration::from_secs(20);

/// Ready in one of the ways there are.
struct Always {
    turn: Turn,
    turns: Rc<Cell<u32>>,
}

impl Handler for Always {
    fn prepare(&self) -> Turn {
        self.turn
    }

    fn dispatch(&self, _: bool) -> Next {
        self.turns.set(self.turns.get() + 1);
        Next::Stay
    }
}

unsafe extern "C" fn draw(drawn: glib_sys::gpointer) -> glib_sys::gboolean {
    // SAFETY: the test's own count, which outlives the loop's turns.
    let drawn = unsafe { &*drawn.cast::<Cell<u32>>() };
    drawn.set(drawn.get() + 1);
    glib_sys::GTRUE
}

/// One test, for there is one default main loop.
#[test]
fn what_draws_has_its_turn_whether_messages_or_the_descriptor_keep_the_source_ready() {
    let (mut other, ours) = UnixStream::pair().unwrap();
    other.write_all(b"never taken out").unwrap();
    for turn in [Turn::Ready, Turn::Sleep] {
        let (turns, drawn) = (Rc::new(Cell::new(0)), Cell::new(0_u32));
        let handler = Rc::new(Always { turn, turns: Rc::clone(&turns) });
        let source = Source::attach(handler, ours.as_raw_fd()).unwrap();
        let data = (&raw const drawn).cast_mut().cast();
        // SAFETY: the function and its data outlive it; 120 is the urgency of GTK's redraws.
        let idle = unsafe { glib_sys::g_idle_add_full(120, Some(draw), data, None) };
        let start = Instant::now();
        while drawn.get() < 5 {
            assert!(start.elapsed() < LIMIT, "{turn:?}: drawn {} times", drawn.get());
            // SAFETY: the default main loop, on one thread.
            unsafe { glib_sys::g_main_context_iteration(null_mut(), glib_sys::GFALSE) };
        }
        assert!(turns.get() > drawn.get(), "it has most of the turns");
        // SAFETY: just made.
        unsafe { glib_sys::g_source_remove(idle) };
        drop(source);
    }
}
