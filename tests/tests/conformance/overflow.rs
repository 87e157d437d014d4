//! Listeners that are slower than their events.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use tramline::{
    Client, EventTarget, LinkError, ListenOptions, ListenerCounts, ListenerId, Overflow, json,
};
use tramline_tests::commands::OVERRUN_QUEUE;
use tramline_tests::tally::Tally;
use tramline_tests::{Fixture, PATIENCE, Setup, conformance, eventually};

conformance! {
    each_overflow_policy_does_what_it_says,
    a_slow_listener_with_a_queue_holds_up_nobody,
    every_event_is_delivered_dropped_or_queued,
    unlisten_drops_what_waits,
    a_once_listener_may_have_a_queue,
    what_waits_is_delivered_after_the_connection_has_ended,
    a_panicking_listener_with_a_queue_hurts_nobody,
    a_client_that_overruns_a_listener_is_cut_off,
}

/// A client whose listener to `down` stays in its first event until it may go on.
struct Slow {
    client: Client,
    id: ListenerId,
    counts: ListenerCounts,
    /// The number of each event, when the listener is called.
    heard: Receiver<u64>,
    release: Sender<()>,
    /// An event that is handled at once, behind all others.
    passed: Receiver<String>,
}

impl Slow {
    fn new(f: &Fixture, options: ListenOptions) -> Self {
        let client = f.connect().label("slow").wait().expect("room");
        let counts = ListenerCounts::new();
        let (heard_sender, heard) = channel();
        let (release, released) = channel::<()>();
        let released = Mutex::new(released);
        let listener = move |event: tramline::Event<'_>| {
            let text: String = event.payload().expect("a text");
            let number = text.parse().expect("a number");
            heard_sender.send(number).expect("the test waits");
            if number == 0 {
                let released = released.lock().expect("not poisoned");
                released.recv_timeout(PATIENCE).expect("the test lets it go");
            }
        };
        let listening = client.listen("down", listener).with(options.counts(&counts));
        let id = listening.wait().expect("allowed");
        let (sent, passed) = channel();
        let listener = move |event: tramline::Event<'_>| {
            let _ = sent.send(event.payload::<String>().expect("a text"));
        };
        client.listen("other", listener).wait().expect("allowed");
        Self { client, id, counts, heard, release, passed }
    }

    /// Emits numbers to it, from another connection.
    fn emit(&self, f: &Fixture, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            emit(f, "down", &number.to_string());
        }
    }

    /// The listener is in its first event.
    fn enter(&self, f: &Fixture) {
        self.emit(f, [0]);
        assert_eq!(self.heard.recv_timeout(PATIENCE), Ok(0));
    }

    /// Everything that was emitted has come to its listeners.
    fn settle(&self, f: &Fixture) {
        emit(f, "other", "settle");
        assert_eq!(self.passed.recv_timeout(PATIENCE).expect("not held up"), "settle");
    }

    fn expect(&self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            assert_eq!(self.heard.recv_timeout(PATIENCE), Ok(number));
        }
    }

    /// Delivered, dropped, queued.
    fn seen(&self) -> (u64, u64, u64) {
        (self.counts.delivered(), self.counts.dropped(), self.counts.queued())
    }

    fn expect_seen(&self, delivered: u64, dropped: u64) {
        let expected = (delivered, dropped, 0);
        eventually("everything that is to come has come", || self.seen() == expected);
        assert!(self.heard.try_recv().is_err(), "and nothing else");
    }
}

fn emit(f: &Fixture, event: &str, text: &str) {
    let target = EventTarget::peer("slow");
    let args = json!({ "call": "emit_to", "target": target, "event": event, "text": text });
    f.client.invoke::<(), _>("emit_case", args).timeout(PATIENCE).wait().expect("emitted");
}

fn queue_of_four(overflow: Overflow) -> ListenOptions {
    ListenOptions::new().overflow(overflow).queue(4, 1 << 20)
}

fn each_overflow_policy_does_what_it_says(setup: &Setup) {
    let f = setup.open();
    for (overflow, queued, dropped, delivered) in [
        (Overflow::DropOldest, 4, 6, vec![7, 8, 9, 10]),
        (Overflow::DropNewest, 4, 6, vec![1, 2, 3, 4]),
        (Overflow::LatestOnly, 1, 9, vec![10]),
    ] {
        let slow = Slow::new(&f, queue_of_four(overflow));
        slow.enter(&f);
        slow.emit(&f, 1..=10);
        slow.settle(&f);
        assert_eq!(slow.seen(), (0, dropped, queued), "{overflow:?}");
        slow.release.send(()).expect("it waits");
        slow.expect(delivered);
        slow.expect_seen(1 + queued, dropped);
        assert_eq!(slow.client.ended(), None, "{overflow:?}");
        slow.client.close();
    }

    let slow = Slow::new(&f, queue_of_four(Overflow::Block));
    slow.enter(&f);
    slow.emit(&f, 1..=10);
    assert!(slow.passed.try_recv().is_err() && slow.seen() == (0, 0, 0));
    slow.release.send(()).expect("it waits");
    slow.expect(1..=10);
    slow.expect_seen(11, 0);
    slow.client.close();

    let slow = Slow::new(&f, queue_of_four(Overflow::Disconnect));
    slow.enter(&f);
    slow.emit(&f, 1..=5);
    let overrun = LinkError::Overflow { event: "down".into() };
    eventually("the connection ends", || slow.client.ended() == Some(overrun.clone()));
    assert_eq!(overrun.code(), "event-overflow");
    slow.release.send(()).expect("it waits");
    slow.expect(1..=4);
    slow.expect_seen(5, 1);
}

fn a_slow_listener_with_a_queue_holds_up_nobody(setup: &Setup) {
    let f = setup.open();
    let slow = Slow::new(&f, queue_of_four(Overflow::DropNewest));
    let tally = Arc::new(Tally::default());
    let counts = Arc::clone(&tally);
    let listener = move |event: tramline::Event<'_>| {
        let text: String = event.payload().expect("a text");
        counts.add(text.parse().expect("a number"));
    };
    slow.client.listen("down", listener).wait().expect("allowed");
    slow.enter(&f);
    slow.emit(&f, 1..100);
    tally.expect(100);
    let call = slow.client.invoke::<i64, _>("add", json!({ "a": 1, "b": 1 }));
    assert_eq!(call.timeout(PATIENCE).wait().expect("a sum"), 2);
    slow.release.send(()).expect("it waits");
    slow.expect(1..=4);
    slow.expect_seen(5, 95);
}

fn every_event_is_delivered_dropped_or_queued(setup: &Setup) {
    const MANY: u64 = 10_000;
    let f = setup.open();
    for overflow in [Overflow::DropOldest, Overflow::DropNewest, Overflow::LatestOnly] {
        let counts = ListenerCounts::new();
        let last = Mutex::new(None);
        let heard = Arc::new(Tally::default());
        let unordered = Arc::clone(&heard);
        let listener = move |event: tramline::Event<'_>| {
            let number: u64 = event.payload().expect("a number");
            let mut last = last.lock().expect("not poisoned");
            if last.replace(number).is_some_and(|last| last >= number) {
                unordered.add(number);
            }
        };
        let options = ListenOptions::new().overflow(overflow).queue(8, 1 << 20).counts(&counts);
        let id = f.client.listen("down", listener).with(options).wait().expect("allowed");
        let args = json!({ "event": "down", "first": 0, "count": MANY });
        f.client.invoke::<(), _>("emit_numbers", args).timeout(PATIENCE).wait().expect("emitted");
        eventually("every event is accounted for", || {
            counts.queued() == 0 && counts.delivered() + counts.dropped() == MANY
        });
        assert_eq!(heard.now().count, 0, "events came out of order");
        assert!(counts.delivered() > 0);
        f.client.unlisten(id);
    }
}

fn unlisten_drops_what_waits(setup: &Setup) {
    let f = setup.open();
    let slow = Slow::new(&f, queue_of_four(Overflow::DropOldest));
    slow.enter(&f);
    slow.emit(&f, 1..=3);
    slow.settle(&f);
    assert_eq!(slow.seen(), (0, 0, 3));
    slow.client.unlisten(slow.id);
    assert_eq!(slow.seen(), (0, 3, 0));
    slow.emit(&f, [4]);
    slow.settle(&f);
    slow.release.send(()).expect("it waits");
    slow.expect_seen(1, 3);
}

fn a_once_listener_may_have_a_queue(setup: &Setup) {
    let f = setup.open();
    let slow = Slow::new(&f, queue_of_four(Overflow::DropOldest).once());
    slow.enter(&f);
    slow.emit(&f, 1..=3);
    slow.settle(&f);
    slow.release.send(()).expect("it waits");
    slow.expect_seen(1, 0);
}

fn what_waits_is_delivered_after_the_connection_has_ended(setup: &Setup) {
    let f = setup.open();
    let slow = Slow::new(&f, queue_of_four(Overflow::DropOldest));
    slow.enter(&f);
    slow.emit(&f, 1..=3);
    slow.settle(&f);
    slow.client.close();
    slow.release.send(()).expect("it waits");
    slow.expect(1..=3);
    slow.expect_seen(4, 0);
}

fn a_panicking_listener_with_a_queue_hurts_nobody(setup: &Setup) {
    let f = setup.open();
    let counts = ListenerCounts::new();
    let panics = |_: tramline::Event<'_>| panic!("on purpose");
    let options = queue_of_four(Overflow::DropNewest).counts(&counts);
    f.client.listen("matrix", panics).with(options).wait().expect("allowed");
    for number in 0..3 {
        let args = json!({ "call": "emit", "event": "matrix", "text": "now" });
        f.client.invoke::<(), _>("emit_case", args).wait().expect("emitted");
        eventually("it was called", || counts.delivered() == number + 1);
    }
    assert_eq!(f.client.ended(), None);
}

fn a_client_that_overruns_a_listener_is_cut_off(setup: &Setup) {
    let f = setup.open();
    let second = f.second();
    let mut sent = 0;
    while second.emit("overrun", &sent).is_ok() {
        sent += 1;
    }
    eventually("the connection is over", || second.ended().is_some());
    assert!(sent > OVERRUN_QUEUE, "{sent}");
    // On a side that sends while the other ends the link, either is what it sees.
    let code = second.ended().map(|why| why.code());
    assert!(matches!(code, Some("link-closed" | "peer-died")), "{code:?}");
    let sum: i64 = f.client.invoke("add", json!({ "a": 1, "b": 1 })).wait().expect("it lives");
    assert_eq!(sum, 2);
    f.open_gate("overrun");
}
