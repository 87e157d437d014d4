//! Reading on a thread that has something else to go back to.

use std::future::IntoFuture;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use futures_lite::future::block_on;
use tramline::{InvokeError, WaitMode, json};
use tramline_tests::{PATIENCE, Setup, conformance};

conformance! {
    an_awaited_answer_comes_on_the_thread_that_looks_out,
    after_a_look_out_the_peer_wakes_the_connection_again,
    calls_of_other_threads_are_answered_while_one_looks_out,
    looking_out_on_a_closed_connection_ends_at_once,
}

/// Notes which thread wakes it.
#[derive(Default)]
struct WokenBy(Mutex<Option<ThreadId>>);

impl Wake for WokenBy {
    fn wake(self: Arc<Self>) {
        *self.0.lock().expect("no panic") = Some(thread::current().id());
    }
}

fn poll_once<T>(
    call: Pin<&mut impl Future<Output = Result<T, InvokeError>>>,
    waker: &Waker,
) -> Option<T> {
    match call.poll(&mut Context::from_waker(waker)) {
        Poll::Ready(answer) => Some(answer.expect("answered")),
        Poll::Pending => None,
    }
}

fn an_awaited_answer_comes_on_the_thread_that_looks_out(setup: &Setup) {
    let f = setup.open();
    let client = f.connect().wait_mode(WaitMode::Idle).wait().expect("it serves");
    let here = Some(thread::current().id());
    let mut came_here = 0;
    // The connection's own thread may still be about to sleep in some of them.
    for number in 0..200_u64 {
        let woken_by = Arc::new(WokenBy::default());
        let waker = Waker::from(Arc::clone(&woken_by));
        let look_out = client.look_out();
        let args = json!({ "a": number, "b": 1 });
        let mut call = pin!(client.invoke::<u64, _>("add", args).timeout(PATIENCE).into_future());
        let sum = loop {
            if let Some(sum) = poll_once(call.as_mut(), &waker) {
                break sum;
            }
            look_out.at_most(Duration::from_millis(5));
        };
        assert_eq!(sum, number + 1);
        came_here += u32::from(*woken_by.0.lock().expect("no panic") == here);
    }
    assert!(came_here > 0, "all answers came by way of another thread");
}

fn after_a_look_out_the_peer_wakes_the_connection_again(setup: &Setup) {
    let f = setup.open();
    let client = f.connect().wait_mode(WaitMode::Idle).wait().expect("it serves");
    for number in 0..200_u64 {
        let look_out = client.look_out();
        let args = json!({ "a": number, "b": 1 });
        let mut call = pin!(client.invoke::<u64, _>("add", args).timeout(PATIENCE).into_future());
        let mut sum = poll_once(call.as_mut(), Waker::noop());
        look_out.at_most(Duration::ZERO);
        drop(look_out);
        if sum.is_none() {
            sum = Some(block_on(call).expect("answered"));
        }
        assert_eq!(sum, Some(number + 1));
    }
}

fn calls_of_other_threads_are_answered_while_one_looks_out(setup: &Setup) {
    let f = setup.open();
    let client = f.connect().wait_mode(WaitMode::Idle).wait().expect("it serves");
    thread::scope(|scope| {
        let calls = |awaited: bool| {
            let client = &client;
            move || {
                for number in 0..300_u64 {
                    let args = json!({ "a": number, "b": 1 });
                    let call = client.invoke::<u64, _>("add", args).timeout(PATIENCE);
                    let sum = if awaited { block_on(call.into_future()) } else { call.wait() };
                    assert_eq!(sum.expect("answered"), number + 1);
                }
            }
        };
        let others = [scope.spawn(calls(true)), scope.spawn(calls(false))];
        while others.iter().any(|other| !other.is_finished()) {
            client.look_out().at_most(Duration::from_micros(20));
        }
    });
}

fn looking_out_on_a_closed_connection_ends_at_once(setup: &Setup) {
    let f = setup.open();
    f.client.close();
    assert!(f.client.look_out().at_most(PATIENCE));
}
