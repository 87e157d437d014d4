//! Cancel, deadline and disconnect, over sync, async and channel commands: what both sides see, and that
//! the others go on.
//!
//! | | sync | async | channels |
//! |---|---|---|---|
//! | cancel | caller `Cancelled` at once; token fires | the same; what the command awaits is dropped | the same; both channels stay open until an end is dropped |
//! | deadline | caller `Deadline`; token fires | the same; what it awaits is dropped | the same; both channels stay open |
//! | server gone | caller `OutcomeUnknown`; not sent again | the same | the same; both channels end with the link's error |
//! | client gone | token fires | what it awaits is dropped | token fires; both channels end with the link's error |

use std::future::IntoFuture;
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use serde_json::Value;
use tramline::{
    CancelToken, Client, InvokeError, LinkError, RecvError, Running, SendError, Server, json,
};
use tramline_tests::fixture::{Fixture, limits, serve_there};
use tramline_tests::matrix::{ASYNC, CHANNELS, SYNC, stay_until_gone};
use tramline_tests::{PATIENCE, Peer, Setup, Transport, commands, conformance, eventually};

conformance! {
    cancel_returns_to_the_caller_and_tells_a_sync_command,
    cancel_returns_to_the_caller_and_drops_what_an_async_command_awaits,
    cancel_tells_a_channel_command_and_leaves_its_channels_open,
    deadline_returns_to_the_caller_and_tells_a_sync_command,
    deadline_returns_to_the_caller_and_drops_what_an_async_command_awaits,
    deadline_tells_a_channel_command_and_leaves_its_channels_open,
    end_of_the_server_leaves_a_sync_call_unknown_and_does_not_repeat_it,
    end_of_the_server_leaves_an_async_call_unknown_and_does_not_repeat_it,
    end_of_the_server_ends_a_channel_call_and_its_channels,
    end_of_the_client_tells_its_sync_command,
    end_of_the_client_drops_what_its_async_command_awaits,
    end_of_the_client_tells_its_channel_command_and_ends_the_channels,
}

fn cancel_returns_to_the_caller_and_tells_a_sync_command(setup: &Setup) {
    gives_up(setup, SYNC, GiveUp::Cancel);
}

fn cancel_returns_to_the_caller_and_drops_what_an_async_command_awaits(setup: &Setup) {
    gives_up(setup, ASYNC, GiveUp::Cancel);
}

fn cancel_tells_a_channel_command_and_leaves_its_channels_open(setup: &Setup) {
    gives_up_with_channels(setup, GiveUp::Cancel);
}

fn deadline_returns_to_the_caller_and_tells_a_sync_command(setup: &Setup) {
    gives_up(setup, SYNC, GiveUp::Deadline);
}

fn deadline_returns_to_the_caller_and_drops_what_an_async_command_awaits(setup: &Setup) {
    gives_up(setup, ASYNC, GiveUp::Deadline);
}

fn deadline_tells_a_channel_command_and_leaves_its_channels_open(setup: &Setup) {
    gives_up_with_channels(setup, GiveUp::Deadline);
}

fn end_of_the_server_leaves_a_sync_call_unknown_and_does_not_repeat_it(setup: &Setup) {
    loses_its_server(setup, SYNC);
}

fn end_of_the_server_leaves_an_async_call_unknown_and_does_not_repeat_it(setup: &Setup) {
    loses_its_server(setup, ASYNC);
}

fn end_of_the_client_tells_its_sync_command(setup: &Setup) {
    drop(loses_its_client(setup, SYNC));
}

fn end_of_the_client_drops_what_its_async_command_awaits(setup: &Setup) {
    drop(loses_its_client(setup, ASYNC));
}

/// Blocking, and awaited.
const WAYS: [bool; 2] = [false, true];

/// Long enough to send a request, short enough to wait for.
const SHORT: Duration = Duration::from_millis(20);

/// What a caller does about an answer that does not come.
#[derive(Debug, Clone, Copy)]
enum GiveUp {
    Cancel,
    Deadline,
}

fn call(
    client: &Client,
    column: &str,
    args: &Value,
    awaited: bool,
    until: Option<(GiveUp, &CancelToken)>,
) -> Result<bool, InvokeError> {
    let call = client.invoke::<bool, _>(column, args);
    let call = match until {
        Some((GiveUp::Cancel, token)) => call.cancel_with(token),
        Some((GiveUp::Deadline, _)) => call.timeout(SHORT),
        None => call,
    };
    if awaited { block_on(call.into_future()) } else { call.wait() }
}

/// Calls a command that does not answer, and gives it up when it has begun.
fn give_up(f: &Fixture, column: &str, args: &Value, awaited: bool, how: GiveUp) {
    let gate = args["gate"].as_str().expect("a text");
    let token = CancelToken::new();
    let ended = thread::scope(|scope| {
        let (client, until) = (&f.client, Some((how, &token)));
        let caller = scope.spawn(move || call(client, column, args, awaited, until));
        f.wait_entered(gate, 1);
        if matches!(how, GiveUp::Cancel) {
            assert!(!caller.is_finished());
            token.cancel();
        }
        // The command answers only when it is told: this is nobody's answer.
        caller.join().expect("no panic")
    });
    match how {
        GiveUp::Cancel => assert!(matches!(ended, Err(InvokeError::Cancelled(_))), "{ended:?}"),
        GiveUp::Deadline => assert!(matches!(ended, Err(InvokeError::Deadline(_))), "{ended:?}"),
    }
    f.wait_entered(&format!("{gate} told"), 1);
}

/// The next call is served, and the command began once.
fn assert_goes_on(client: &Client, gate: &str, begun: u64) {
    let add = client.invoke::<i64, _>("add", json!({ "a": 1, "b": 1 })).timeout(PATIENCE);
    assert_eq!(add.wait().expect("a sum"), 2);
    let entered = client.invoke::<u64, _>("entered", json!({ "gate": gate })).timeout(PATIENCE);
    assert_eq!(entered.wait().expect("a number"), begun, "{gate}");
    assert_eq!(client.ended(), None);
}

fn gives_up(setup: &Setup, column: &str, how: GiveUp) {
    let f = setup.open();
    for awaited in WAYS {
        let gate = format!("{how:?} {awaited}");
        give_up(&f, column, &json!({ "gate": gate }), awaited, how);
        assert_goes_on(&f.client, &gate, 1);
    }
}

fn gives_up_with_channels(setup: &Setup, how: GiveUp) {
    let f = setup.open();
    for awaited in WAYS {
        let gate = format!("{how:?} {awaited}");
        let (from, sender) = f.client.channel_to::<u64>();
        let (to, mut reader) = f.client.channel::<u64>();
        let args = json!({ "gate": gate, "from": from, "to": to });
        give_up(&f, CHANNELS, &args, awaited, how);
        // The call is over and its channels are not: the command reads what is sent now, and answers.
        assert_eq!(reader.recv().expect("open").expect("a number"), 0);
        assert!(reader.try_recv().is_none() && !reader.is_over());
        for number in 0..5 {
            sender.send(&number).expect("it reads");
        }
        drop(sender);
        assert_eq!(reader.recv().expect("open").expect("a number"), 5);
        assert!(reader.recv().is_none() && reader.is_over());
        f.wait_entered(&format!("{gate} reads ok"), 1);
        f.wait_entered(&format!("{gate} sends ok"), 1);
        assert_goes_on(&f.client, &gate, 1);
    }
}

/// Ends the server: its process, or what there is of it in this one. What its clients say then.
fn end_server(setup: &Setup, f: &mut Fixture) -> LinkError {
    match f.process() {
        Some(process) => {
            process.kill();
            // A guard lives, and hangs up.
            let guarded = setup.transport == Transport::ShmGuarded;
            if guarded { LinkError::Closed } else { LinkError::PeerDied }
        }
        None => {
            f.running().expect("it is here").stop();
            LinkError::Closed
        }
    }
}

/// A server at an endpoint whose server is gone.
#[derive(Debug)]
enum Successor {
    Here(Running),
    There(Peer),
}

impl Successor {
    fn start(setup: &Setup, endpoint: &str) -> Self {
        if setup.transport == Transport::Mem {
            let server = commands::serve(Server::new(), limits()).start(endpoint);
            return Self::Here(server.expect("the name is free again"));
        }
        Self::There(serve_there(setup.program, endpoint, &limits()))
    }

    fn stop(self) {
        match self {
            Self::Here(running) => running.stop(),
            Self::There(process) => drop(process),
        }
    }
}

/// The old client knows that its link is over; a new one finds a server that has never seen the call.
fn assert_not_repeated(setup: &Setup, f: &Fixture, gone: &LinkError, gate: &str) {
    assert_eq!(f.client.ended().as_ref(), Some(gone));
    let successor = Successor::start(setup, f.served_at());
    let refused = call(&f.client, SYNC, &json!({ "gate": gate }), false, None);
    let Err(InvokeError::Send(SendError::Link(error))) = refused else { panic!("{refused:?}") };
    assert_eq!(error, *gone);
    let client = f.connect().wait().expect("it serves");
    assert_goes_on(&client, gate, 0);
    client.close();
    successor.stop();
}

fn loses_its_server(setup: &Setup, column: &str) {
    for awaited in WAYS {
        let mut f = setup.open();
        let client = f.client.clone();
        let (ended, gone) = thread::scope(|scope| {
            let args = json!({ "gate": "lost" });
            let client = &client;
            let caller = scope.spawn(move || call(client, column, &args, awaited, None));
            f.wait_entered("lost", 1);
            let gone = end_server(setup, &mut f);
            (caller.join().expect("no panic"), gone)
        });
        let Err(InvokeError::OutcomeUnknown(error)) = ended else { panic!("{ended:?}") };
        assert_eq!(error, gone);
        assert_not_repeated(setup, &f, &gone, "lost");
    }
}

fn end_of_the_server_ends_a_channel_call_and_its_channels(setup: &Setup) {
    for awaited in WAYS {
        let mut f = setup.open();
        let client = f.client.clone();
        let (from, sender) = client.channel_to::<u64>();
        let (to, mut reader) = client.channel::<u64>();
        let gone = thread::scope(|scope| {
            let args = json!({ "gate": "lost", "from": from, "to": to });
            let client = &client;
            let caller = scope.spawn(move || call(client, CHANNELS, &args, awaited, None));
            f.wait_entered("lost", 1);
            sender.send(&1).expect("it will read");
            let gone = end_server(setup, &mut f);
            let ended = caller.join().expect("no panic");
            let Err(InvokeError::OutcomeUnknown(error)) = ended else { panic!("{ended:?}") };
            assert_eq!(error, gone);
            gone
        });
        // What had come is read first.
        assert_eq!(reader.recv().expect("there").expect("a number"), 0);
        let end = reader.recv().expect("an error").expect_err("the end");
        assert!(matches!(&end, RecvError::Link(error) if *error == gone), "{end:?}");
        assert!(reader.recv().is_none() && reader.is_over());
        let sent = sender.send(&2);
        assert!(matches!(&sent, Err(SendError::Link(error)) if *error == gone), "{sent:?}");
        // The end is told to one channel after the other.
        eventually("the sender knows", || sender.is_closed());
        assert_not_repeated(setup, &f, &gone, "lost");
    }
}

/// Has a client of its own call the command and be gone: a process that is killed, where processes are
/// what is between the two. What the server says then.
fn loses_its_client(setup: &Setup, column: &str) -> (Fixture, &'static str) {
    let f = setup.open();
    let why = if setup.transport == Transport::Mem {
        let second = f.second();
        thread::scope(|scope| {
            scope.spawn(|| stay_until_gone(&second, column, "left"));
            f.wait_entered("left", 1);
            second.close();
        });
        "link-closed"
    } else {
        let codec = setup.codec.name();
        let mut client = Peer::spawn(setup.program, &["stay", f.endpoint(), codec, column, "left"]);
        f.wait_entered("left", 1);
        client.kill();
        if setup.transport == Transport::ShmGuarded { "link-closed" } else { "peer-died" }
    };
    f.wait_entered("left told", 1);
    assert_goes_on(&f.client, "left", 1);
    // This one, and the one that minds the gates.
    let count = || f.client.invoke::<usize, _>("clients", ()).wait().expect("a number");
    eventually("the server has forgotten it", || count() == 2);
    (f, why)
}

fn end_of_the_client_tells_its_channel_command_and_ends_the_channels(setup: &Setup) {
    let (f, why) = loses_its_client(setup, CHANNELS);
    f.wait_entered(&format!("left reads {why}"), 1);
    f.wait_entered(&format!("left sends {why}"), 1);
}
