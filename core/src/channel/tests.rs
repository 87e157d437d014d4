//! Two ends without a link between them: what one sends is handed to the other one when a test
//! says so.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::command::{Args, Call, Raw, Reply};
use crate::envelope::ExtensionBuf;
use crate::error::{EncodeError, LinkError, PeerFault, RecvError, Rejection};
use crate::frame::{FrameWriter, Kept, Written};
use crate::limits::Limits;
use crate::peer::{Fill, Peer};
use crate::state::States;
use crate::transport::PeerIdentity;

/// A window that a few messages fill.
const WINDOW: usize = 4096;
const CODEC: AnyCodec = AnyCodec::MSGPACK;

/// One side: its channels, and what it has sent.
struct Side {
    channels: Channels,
    sent: Mutex<VecDeque<Kept>>,
    full: AtomicBool,
}

impl Port for Side {
    fn send(
        &self,
        head: &Head<'_>,
        _: usize,
        fill: Fill<'_>,
        p: Patience,
    ) -> Result<(), SendError> {
        if p == Patience::None && self.full.load(Ordering::SeqCst) {
            return Err(SendError::Full);
        }
        let mut out = FrameWriter::new(&mut [], usize::MAX);
        let put = |out: &mut FrameWriter<'_>, bytes: &[u8]| {
            out.put(bytes).map_err(|e| SendError::from(EncodeError::new("raw", e)))
        };
        put(&mut out, &head.to_bytes())?;
        put(&mut out, head.name.as_bytes())?;
        put(&mut out, head.extension.bytes())?;
        fill(CODEC, &mut out)?;
        let Written::Spilled { bytes } = out.finish() else { unreachable!("a head is not empty") };
        self.queue().push_back(bytes.into());
        Ok(())
    }

    fn send_later(&self, message: Later) {
        let Later { kind, body_kind, id, name, body } = message;
        let head = Head::new(kind, body_kind, id, name);
        send_body(self, &head, &body, Patience::SendTimeout).expect("waits for room");
    }

    fn peer_listens(&self, _: &str) -> bool {
        false
    }

    fn close(&self, reason: LinkError) {
        self.channels.end_all(&reason);
    }

    fn close_stalled(&self) {
        self.close(LinkError::Stalled { stalled_ms: 0 });
    }

    fn channels(&self) -> Option<&Channels> {
        Some(&self.channels)
    }
}

impl Side {
    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Kept>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, kind: Kind, id: u64, body: impl Into<Bytes>) -> Result<bool, PeerFault> {
        let (body, head) = (body.into(), Head::new(kind, BodyKind::Raw, id, ""));
        let frame = [&head.to_bytes()[..], &body[..]].concat();
        self.hear(&Kept::from(frame))
    }

    /// Takes a message in, as a link does.
    fn hear(&self, message: &Kept) -> Result<bool, PeerFault> {
        let incoming = Incoming::read(&message.envelope()?)?;
        self.channels.receive(incoming, || message.clone())
    }
}

/// Caller and callee, with the peers that their channels are made over.
struct Pair {
    caller: Arc<Side>,
    callee: Arc<Side>,
    to_callee: Peer,
    to_caller: Peer,
    states: States,
}

impl Pair {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl Fn(&mut Limits)) -> Self {
        let mut limits = Limits { channel_window: WINDOW, ..Limits::default() };
        change(&mut limits);
        let side = || {
            let channels = Channels::new(CODEC, &limits);
            Arc::new(Side { channels, sent: Mutex::default(), full: AtomicBool::new(false) })
        };
        let peer = |side: &Arc<Side>| {
            let port: Arc<dyn Port> = Arc::clone(side) as _;
            Peer::new(0, None, PeerIdentity::default(), "test", CODEC, port)
        };
        let (caller, callee) = (side(), side());
        let (to_callee, to_caller) = (peer(&caller), peer(&callee));
        Self { caller, callee, to_callee, to_caller, states: States::default() }
    }

    /// Hands over what was sent; how many messages of channels that the other side knew.
    fn carry(&self) -> usize {
        let mut known = 0;
        for (from, to) in [(&self.caller, &self.callee), (&self.callee, &self.caller)] {
            loop {
                let Some(message) = from.queue().pop_front() else { break };
                known += usize::from(to.hear(&message).expect("both keep the rules"));
            }
        }
        known
    }

    /// Sends a call with this channel as its argument `c`, and runs `command` with it as `A`.
    fn call<A: for<'a> Args<'a>>(
        &self,
        arg: &ChannelArg,
        command: impl FnOnce(Result<A, Rejection>),
    ) {
        self.call_with(&json!({ "c": arg }), command);
    }

    fn call_with<A: for<'a> Args<'a>>(
        &self,
        args: &serde_json::Value,
        command: impl FnOnce(Result<A, Rejection>),
    ) {
        let (mut extension, mut ids) = (ExtensionBuf::default(), Vec::new());
        args.channels(&mut |id| {
            if let Some(credit) = self.caller.channels.claim(id) {
                extension.channel(id, credit).expect("few");
                ids.push(id);
            }
        });
        self.caller.channels.sent(&*self.caller, &ids);
        let (id, body) = (7, CODEC.to_vec(args).expect("json"));
        for (channel, credit) in extension.as_extension().channels() {
            if !self.callee.channels.declare(id, channel, credit).expect("both keep the rules") {
                self.callee.channels.refuse(&*self.callee, channel, Patience::None);
            }
        }
        self.carry();
        let call = Call::new(id, "cmd", BodyKind::Structured, &body, &self.to_caller, &self.states)
            .extended(extension.as_extension(), &[]);
        command(call.args(&["c"]));
        call.answer(&()).expect("the first answer");
        // The answer itself is for nobody here.
        self.callee.queue().retain(|message| {
            message.envelope().is_ok_and(|message| Incoming::is(message.head.kind))
        });
    }

    /// A channel to the caller, and the command's end of it.
    fn down<T>(&self) -> (ChannelReader<T>, Channel<T>) {
        let (arg, reader) = ChannelReader::open(&self.to_callee);
        let mut sender = None;
        self.call::<(Channel<T>,)>(&arg, |args| sender = Some(args.expect("it is one").0));
        (reader, sender.expect("taken"))
    }

    /// A channel to the callee, and the command's end of it.
    fn up<T>(&self) -> (ChannelReader<T>, Channel<T>) {
        let (arg, sender) = Channel::open(&self.to_callee);
        let mut reader = None;
        self.call::<(ChannelReader<T>,)>(&arg, |args| reader = Some(args.expect("it is one").0));
        (reader.expect("taken"), sender)
    }

    fn both<T>(&self) -> [(ChannelReader<T>, Channel<T>); 2] {
        [self.down(), self.up()]
    }

    fn assert_empty(&self) {
        self.carry();
        assert_eq!((self.caller.channels.count(), self.callee.channels.count()), (0, 0));
        assert!(!self.caller.channels.has_unclaimed());
        assert!(!self.caller.channels.has_waiters() && !self.callee.channels.has_waiters());
    }
}

fn code<T: std::fmt::Debug>(result: Option<Result<T, RecvError>>) -> String {
    result.expect("not the ordinary end").expect_err("an error").code().to_owned()
}

#[test]
fn messages_come_in_order_and_then_the_end() {
    let pair = Pair::new();
    for (mut reader, sender) in pair.both::<u64>() {
        pair.carry();
        let clone = sender.clone();
        for number in 0..10 {
            [&sender, &clone][number % 2].send(&(number as u64)).expect("credit");
        }
        drop(sender);
        pair.carry();
        assert_eq!(reader.try_recv().expect("there").expect("a number"), 0);
        drop(clone);
        pair.carry();
        assert!(!reader.is_over());
        let rest: Vec<_> = reader.messages().map(|number| number.expect("a number")).collect();
        assert_eq!(rest, (1..10).collect::<Vec<_>>());
        assert!(reader.is_over() && reader.recv().is_none() && reader.try_recv().is_none());
    }
    pair.assert_empty();
}

#[test]
fn a_sender_has_one_window_of_credit_and_gets_more_when_half_of_it_was_read() {
    let pair = Pair::new();
    for (mut reader, sender) in pair.both::<Raw>() {
        pair.carry();
        let message = Raw::from(vec![7; 128]);
        let fill = || {
            let mut count = 0;
            while sender.try_send(&message).is_ok() {
                count += 1;
            }
            assert!(matches!(sender.try_send(&message), Err(SendError::Full)));
            count
        };
        assert_eq!(fill(), WINDOW / 256);
        pair.carry();
        for _ in 0..WINDOW / 512 - 1 {
            reader.recv().expect("there").expect("bytes");
        }
        assert_eq!((pair.carry(), fill()), (0, 0), "less than half of it was read");
        reader.recv().expect("there").expect("bytes");
        assert_eq!((pair.carry(), fill()), (1, WINDOW / 512));
        drop(sender);
        pair.carry();
        assert_eq!(reader.messages().count(), WINDOW / 256);
    }
    pair.assert_empty();
}

#[test]
fn one_message_may_be_larger_than_the_window() {
    let pair = Pair::new();
    let (mut reader, sender) = pair.down::<Raw>();
    for _ in 0..3 {
        sender.send(&vec![7; 10 * WINDOW].into()).expect("credit");
        assert!(matches!(sender.try_send(&Raw::default()), Err(SendError::Full)));
        pair.carry();
        assert_eq!(reader.recv().expect("there").expect("bytes").0.len(), 10 * WINDOW);
        assert_eq!(pair.carry(), 1, "granted anew");
    }
}

#[test]
fn values_and_bytes_go_over_one_channel() {
    let pair = Pair::new();
    let (mut reader, sender) = pair.down::<u64>();
    sender.send(&1).expect("credit");
    sender.send_raw(b"bytes").expect("credit");
    sender.send(&2).expect("credit");
    sender.send_raw(b"bytes").expect("credit");
    pair.carry();
    assert_eq!(reader.recv().expect("there").expect("a number"), 1);
    assert_eq!(code(reader.recv()), "decode-failed");
    let message = reader.recv_message().expect("there").expect("a message");
    assert_eq!((message.body_kind(), message.decode::<u64>()), (BodyKind::Structured, Ok(2)));
    let message = reader.recv_message().expect("there").expect("a message");
    assert_eq!((message.body_kind(), message.bytes()), (BodyKind::Raw, &b"bytes"[..]));
    assert_eq!(&message.into_bytes()[..], b"bytes");
}

#[test]
fn an_error_ends_a_channel_behind_its_messages_for_all_clones() {
    let pair = Pair::new();
    for (mut reader, sender) in pair.both::<u64>() {
        pair.carry();
        let clone = sender.clone();
        sender.send(&1).expect("credit");
        sender.fail(&json!({ "why": "disk" })).expect("open");
        assert!(matches!(clone.send(&2), Err(SendError::ChannelClosed)));
        assert!(matches!(clone.fail("again"), Err(SendError::ChannelClosed)));
        pair.carry();
        assert_eq!(reader.recv().expect("there").expect("a number"), 1);
        let Some(Err(RecvError::Failed(failure))) = reader.recv() else { panic!("no error") };
        assert_eq!(failure.code(), "channel-failed");
        assert_eq!(failure.value(), Ok(json!({ "why": "disk" })));
        assert!(reader.recv().is_none());
    }
    pair.assert_empty();
}

#[test]
fn a_panic_is_no_ordinary_end() {
    let pair = Pair::new();
    let (mut reader, sender) = pair.down::<u64>();
    let _ = catch_unwind(AssertUnwindSafe(move || {
        sender.send(&1).expect("credit");
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    pair.carry();
    assert_eq!(reader.recv().expect("there").expect("a number"), 1);
    assert_eq!(code(reader.recv()), "handler-panicked");
    pair.assert_empty();
}

#[test]
fn a_reader_that_is_gone_closes_the_sender() {
    let pair = Pair::new();
    for (reader, sender) in pair.both::<u64>() {
        pair.carry();
        assert!(!sender.is_closed());
        drop(reader);
        // Under way when the reader went: they go nowhere, and harm nobody.
        sender.send(&1).expect("credit");
        pair.carry();
        assert!(sender.is_closed());
        assert!(matches!(sender.send(&1), Err(SendError::ChannelClosed)));
    }
    pair.assert_empty();
}

#[test]
fn a_call_that_does_not_take_a_channel_ends_it() {
    let pair = Pair::new();
    let (arg, mut reader) = ChannelReader::<u64>::open(&pair.to_callee);
    pair.call::<()>(&arg, |_| {});
    pair.carry();
    assert_eq!(code(reader.recv()), "channel-not-taken");
    let (arg, sender) = Channel::<u64>::open(&pair.to_callee);
    assert!(matches!(sender.try_send(&1), Err(SendError::Full)), "the command has not begun");
    pair.call::<()>(&arg, |_| {});
    pair.carry();
    assert!(matches!(sender.send(&1), Err(SendError::ChannelClosed)));
    pair.assert_empty();
}

#[test]
fn what_is_dropped_before_its_call_is_sent_ends_when_it_was() {
    let pair = Pair::new();
    let (arg, reader) = ChannelReader::<u64>::open(&pair.to_callee);
    drop(reader);
    let mut taken = None;
    pair.call::<(Channel<u64>,)>(&arg, |args| taken = Some(args.expect("it is one").0));
    assert!(taken.expect("taken").is_closed());
    let (arg, sender) = Channel::<u64>::open(&pair.to_callee);
    sender.fail("nothing to say").expect("open");
    let mut taken = None;
    pair.call::<(ChannelReader<u64>,)>(&arg, |args| taken = Some(args.expect("it is one").0));
    pair.carry();
    assert_eq!(code(taken.expect("taken").recv()), "channel-failed");
    pair.assert_empty();
}

#[test]
fn an_end_may_come_before_a_command_takes_the_channel() {
    let pair = Pair::new();
    for (id, credit) in [(1, WINDOW as u64), (2, 0)] {
        assert!(pair.callee.channels.declare(7, id, credit).expect("new"));
        assert_eq!(pair.callee.say(Kind::ChannelEnd, id.into(), ""), Ok(true));
    }
    let call = |args: &'static [u8]| {
        Call::new(7, "cmd", BodyKind::Structured, args, &pair.to_caller, &pair.states)
    };
    let body = CODEC.to_vec(&json!({ "c": "__CHANNEL__:1" })).expect("json").leak();
    let (sender,): (Channel<u64>,) = call(body).args(&["c"]).expect("it is one");
    assert!(matches!(sender.send(&1), Err(SendError::ChannelClosed)));
    let body = CODEC.to_vec(&json!({ "c": "__CHANNEL__:2" })).expect("json").leak();
    let (mut reader,): (ChannelReader<u64>,) = call(body).args(&["c"]).expect("it is one");
    assert!(reader.recv().is_none());
    pair.assert_empty();
}

#[test]
fn a_channel_that_no_call_can_bring_ends() {
    let pair = Pair::new();
    let (arg, mut reader) = ChannelReader::<u64>::open(&pair.to_callee);
    drop(arg);
    assert_eq!(code(reader.recv()), "channel-not-taken");
    let (arg, sender) = Channel::<u64>::open(&pair.to_callee);
    let args = json!({ "c": arg });
    drop(arg);
    assert!(!sender.is_closed(), "a call may still come");
    assert_eq!(args, json!({ "c": "__CHANNEL__:2" }));
    assert_eq!(pair.caller.channels.claim(2), Some(0));
    assert_eq!(pair.caller.channels.claim(2), None, "with one call only");
    pair.caller.channels.unsent(&[2]);
    assert!(sender.is_closed());
    pair.assert_empty();
}

#[test]
fn an_argument_that_names_no_channel_of_its_call_is_refused() {
    let pair = Pair::new();
    let (of_another_call, _sender) = pair.down::<u64>();
    for (value, expected) in [
        (json!("__CHANNEL__:1"), "channel 1 is not one that this call brings"),
        (json!("__CHANNEL__:99"), "channel 99 is not one that this call brings"),
        (
            json!("channel"),
            "invalid channel value `channel`, expected a string in the `__CHANNEL__:ID` format",
        ),
        (json!(null), "invalid args `c` for command `cmd`: "),
        (json!(7), "invalid args `c` for command `cmd`: "),
    ] {
        pair.call_with::<(Channel<u64>,)>(&json!({ "c": value }), |args| {
            let text = args.expect_err("no channel").to_string();
            assert!(text.starts_with(expected), "{text}");
        });
    }
    pair.call_with::<(Channel<u64>,)>(&json!({}), |args| {
        let text = args.expect_err("missing").to_string();
        assert!(text.ends_with("command cmd missing required key c"), "{text}");
    });
    drop(of_another_call);
    let (arg, mut reader) = ChannelReader::<u64>::open(&pair.to_callee);
    pair.call::<(ChannelReader<u64>,)>(&arg, |args| {
        let text = args.expect_err("the wrong way").to_string();
        assert_eq!(text, "the caller reads channel 2, it sends nothing");
    });
    pair.carry();
    assert_eq!(code(reader.recv()), "channel-not-taken");
}

#[test]
fn the_end_of_the_link_ends_every_channel_behind_what_has_come() {
    let pair = Pair::new();
    let (mut reader, sender) = pair.down::<u64>();
    sender.send(&1).expect("credit");
    pair.carry();
    let (_arg, unsent) = Channel::<u64>::open(&pair.to_callee);
    for side in [&pair.caller, &pair.callee] {
        side.close(LinkError::PeerDied);
    }
    assert_eq!(reader.recv().expect("there").expect("a number"), 1);
    assert_eq!(code(reader.recv()), "peer-died");
    assert!(reader.recv().is_none());
    for sender in [sender, unsent] {
        assert!(matches!(sender.send(&1), Err(SendError::Link(LinkError::PeerDied))));
        assert!(matches!(sender.fail("x"), Err(SendError::Link(LinkError::PeerDied))));
    }
    let (_arg, mut late) = ChannelReader::<u64>::open(&pair.to_callee);
    assert_eq!(code(late.recv()), "peer-died");
    pair.assert_empty();
}

#[test]
fn too_many_channels_end_at_once_and_harm_no_other() {
    let pair = Pair::with(|limits| limits.max_channels = 2);
    let kept = [pair.down::<u64>(), pair.down()];
    let (arg, mut reader) = ChannelReader::<u64>::open(&pair.to_callee);
    pair.call::<(Channel<u64>,)>(&arg, |args| {
        args.expect_err("too many");
    });
    pair.carry();
    assert_eq!(code(reader.recv()), "too-many-channels");
    for (mut reader, sender) in kept {
        sender.send(&1).expect("credit");
        pair.carry();
        assert_eq!(reader.recv().expect("there").expect("a number"), 1);
    }
    pair.down::<u64>();
    pair.assert_empty();
}

#[test]
fn a_peer_without_credit_or_of_the_wrong_direction_is_at_fault() {
    let pair = Pair::new();
    let (reader, _sender) = pair.up::<Raw>();
    let (_reader, sender) = pair.down::<Raw>();
    let callee = &pair.callee;
    let at = |said: Result<bool, PeerFault>| said.expect_err("a fault").at;
    let number = |number: u64| number.to_le_bytes().to_vec();
    // Number 1 goes up to the callee, number 2 down from it.
    assert_eq!(at(callee.say(Kind::ChannelCredit, 1, number(1))), "channel");
    assert_eq!(at(callee.say(Kind::Channel, 2, "x")), "channel");
    for wrong in [&[][..], &[0; 7], &[0; 9]] {
        assert_eq!(at(callee.say(Kind::ChannelCredit, 2, wrong)), "channel credit");
    }
    assert_eq!(at(callee.say(Kind::ChannelCredit, 2, number(u64::MAX))), "channel credit");
    assert_eq!(at(callee.say(Kind::ChannelCredit, 2, number(MAX_CREDIT))), "channel credit");
    assert_eq!(callee.say(Kind::ChannelCredit, 2, number(MAX_CREDIT / 2)), Ok(true));
    assert_eq!(callee.say(Kind::ChannelCredit, 2, number(0)), Ok(true));
    assert_eq!(callee.say(Kind::Channel, 1, vec![0; 2 * WINDOW]), Ok(true));
    assert_eq!(at(callee.say(Kind::Channel, 1, "")), "channel credit");
    assert_eq!(at(callee.channels.declare(9, 1, 0).map(|_| true)), "channel id");
    assert_eq!(at(callee.channels.declare(9, 5, MAX_CREDIT + 1).map(|_| true)), "channel credit");
    assert_eq!(callee.channels.declare(9, 5, 0), Ok(true));
    assert_eq!(at(callee.say(Kind::Channel, 5, "early")), "channel credit");
    assert_eq!(at(callee.say(Kind::ChannelCredit, 5, number(1))), "channel");
    assert_eq!(callee.channels.declare(9, 6, 1), Ok(true));
    assert_eq!(callee.say(Kind::ChannelCredit, 6, number(MAX_CREDIT - 1)), Ok(true));
    assert_eq!(at(callee.say(Kind::ChannelCredit, 6, number(1))), "channel credit");
    assert_eq!(at(callee.say(Kind::Channel, 6, "x")), "channel");
    drop((reader, sender));
}

#[test]
fn what_is_said_about_no_channel_is_ignored() {
    let pair = Pair::new();
    let (mut reader, sender) = pair.up::<Raw>();
    pair.carry();
    let ends = [0; 3].map(|_| pair.callee.say(Kind::ChannelEnd, 1, ""));
    assert_eq!(ends, [Ok(true), Ok(false), Ok(false)]);
    for id in [0, 1, 99, 1 << 32, u64::MAX] {
        for kind in [Kind::Channel, Kind::ChannelEnd] {
            assert_eq!(pair.callee.say(kind, id, "x"), Ok(false));
        }
        let credit = u64::MAX.to_le_bytes().to_vec();
        assert_eq!(pair.callee.say(Kind::ChannelCredit, id, credit), Ok(false));
    }
    assert!(reader.recv().is_none());
    drop(sender);
}

#[test]
fn bytes_beside_the_body_count_too() {
    let pair = Pair::new();
    let (_reader, _sender) = pair.up::<Raw>();
    let mut extension = ExtensionBuf::default();
    extension.header("x", &"x".repeat(2 * WINDOW)).expect("room");
    let head = Head::new(Kind::Channel, BodyKind::Raw, 1, "").extended(extension.as_extension());
    let frame = [&head.to_bytes()[..], extension.as_extension().bytes()].concat();
    assert_eq!(pair.callee.hear(&frame.clone().into()), Ok(true));
    assert_eq!(pair.callee.hear(&frame.into()).expect_err("spent").at, "channel credit");
}

#[test]
fn many_threads_share_one_credit() {
    let pair = Pair::new();
    let (mut reader, sender) = pair.down::<(u64, u64)>();
    const EACH: u64 = 500;
    let mut next = [0; 4];
    thread::scope(|scope| {
        for thread in 0..4 {
            let sender = sender.clone();
            scope.spawn(move || {
                (0..EACH).for_each(|n| sender.send(&(thread, n)).expect("credit comes"));
            });
        }
        drop(sender);
        while !reader.is_over() {
            pair.carry();
            while let Some(message) = reader.try_recv() {
                let (thread, number) = message.expect("numbers");
                let next = &mut next[usize::try_from(thread).expect("small")];
                assert_eq!(number, *next);
                *next += 1;
            }
            thread::yield_now();
        }
    });
    assert_eq!(next, [EACH; 4]);
    pair.assert_empty();
}

#[test]
fn futures_wait_for_credit_for_room_and_for_messages() {
    let pair = Pair::new();
    let (mut reader, sender) = pair.down::<Raw>();
    let mut cx = Context::from_waker(Waker::noop());
    {
        let mut nothing = pin!(reader.recv_async());
        assert!(nothing.as_mut().poll(&mut cx).is_pending());
        assert!(pair.caller.channels.has_waiters());
        let large = vec![7; WINDOW].into();
        // The link is full, but somewhere else there is time to wait.
        pair.callee.full.store(true, Ordering::SeqCst);
        assert!(matches!(sender.try_send(&large), Err(SendError::Full)));
        let sent = pin!(sender.send_async(&large)).poll(&mut cx);
        assert!(matches!(sent, Poll::Ready(Ok(()))));
        pair.callee.full.store(false, Ordering::SeqCst);
        let mut waits = pin!(sender.send_async(&large));
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        pair.carry();
        assert!(nothing.as_mut().poll(&mut cx).is_ready());
        pair.carry();
        assert!(matches!(waits.as_mut().poll(&mut cx), Poll::Ready(Ok(()))));
    }
    let mut closed = pin!(sender.closed());
    assert!(closed.as_mut().poll(&mut cx).is_pending());
    drop(reader);
    pair.carry();
    assert!(closed.as_mut().poll(&mut cx).is_ready());
    assert!(!pair.caller.channels.has_waiters());
}

#[test]
fn a_future_that_is_dropped_waits_no_more_and_loses_nothing() {
    let pair = Pair::new();
    let (mut reader, sender) = pair.up::<u64>();
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        // No credit has come yet, and no message.
        assert!(pin!(sender.send_async(&1)).poll(&mut cx).is_pending());
        assert!(pin!(sender.closed()).poll(&mut cx).is_pending());
        assert!(pin!(reader.recv_async()).poll(&mut cx).is_pending());
        assert!(!pair.caller.channels.has_waiters() && !pair.callee.channels.has_waiters());
    }
    pair.carry();
    sender.send(&2).expect("credit");
    pair.carry();
    assert_eq!(reader.recv().expect("there").expect("a number"), 2);
}

#[test]
fn a_peer_with_tokens_gets_numbers_of_ours_and_gives_no_credit() {
    let pair = Pair::with(|limits| limits.max_channels = 2);
    let channels = &pair.callee.channels;
    let (up, down) = (channels.declare_next(7, false), channels.declare_next(7, true));
    assert_eq!((up.clone(), down), (Ok(1), Ok(2)));
    assert_eq!(channels.declare_next(7, true), Err("2 channels are the limit".into()));
    let call = |args: &'static [u8]| {
        Call::new(7, "cmd", BodyKind::Structured, args, &pair.to_caller, &pair.states)
    };
    let body = CODEC.to_vec(&json!({ "c": "__CHANNEL__:2" })).expect("json").leak();
    let (sender,): (Channel<Raw>,) = call(body).args(&["c"]).expect("it is one");
    for _ in 0..10 {
        sender.send(&vec![7; 10 * WINDOW].into()).expect("nobody bounds it here");
    }
    let body = CODEC.to_vec(&json!({ "c": "__CHANNEL__:1" })).expect("json").leak();
    let (mut reader,): (ChannelReader<Raw>,) = call(body).args(&["c"]).expect("it is one");
    assert_eq!(pair.callee.say(Kind::Channel, 1, "x"), Ok(true));
    // The peer says nothing more: what it sent is read, what it reads goes on.
    channels.end_incoming(&LinkError::Closed);
    assert_eq!(reader.recv().expect("there").expect("bytes").0, "x");
    assert_eq!(code(reader.recv()), "link-closed");
    sender.send(&Raw::default()).expect("somebody reads");
    let number = channels.declare_next(7, false).expect("one has ended");
    let body = CODEC.to_vec(&json!({ "c": format!("__CHANNEL__:{number}") })).expect("json").leak();
    let (mut late,): (ChannelReader<Raw>,) = call(body).args(&["c"]).expect("it is one");
    assert_eq!(code(late.recv()), "link-closed");
    drop(sender);
    assert_eq!(channels.count(), 0);
}

proptest! {
    /// Whatever a peer says, it is a fault or harmless, and waits in a bounded queue.
    #[test]
    fn whatever_a_peer_says_is_bounded(
        said in proptest::collection::vec((0..4_u8, 0..6_u64, any::<u64>(), 0..2 * WINDOW), 0..200)
    ) {
        let pair = Pair::new();
        let (mut up, _) = pair.up::<Raw>();
        let (_, down) = pair.down::<Raw>();
        for (what, id, number, len) in said {
            let said = match what {
                0 => pair.callee.say(Kind::Channel, id, vec![7; len]),
                1 => pair.callee.say(Kind::ChannelCredit, id, number.to_le_bytes().to_vec()),
                2 => pair.callee.say(Kind::ChannelEnd, id, ""),
                _ => pair.callee.channels.declare(number % 3, id.to_le_bytes()[0].into(), number % 2),
            };
            let at = said.map_err(|fault| fault.at);
            let faults = ["channel", "channel credit", "channel id"];
            prop_assert!(at.err().is_none_or(|at| faults.contains(&at)));
        }
        let waiting: usize = std::iter::from_fn(|| up.try_recv())
            .map_while(Result::ok)
            .take(WINDOW)
            .map(|body| body.0.len() + 128)
            .sum();
        prop_assert!(waiting < WINDOW + 2 * WINDOW + 128);
        // However much was granted, one that sends is told or goes on.
        let _ = down.try_send(&Raw::default());
    }
}
