//! What the server of a test does with channels.

use std::sync::Arc;
use std::thread;

use serde_json::Value;
use tramline::{
    CancelToken, Capabilities, Channel, ChannelReader, Raw, SealedBlob, SendError, Server, State,
    command, commands,
};

use crate::commands::{Failure, ON_PURPOSE};
use crate::gate::Gates;
use crate::{PATIENCE, matrix, stress};

/// How an operation ended: a fixed code, or `ok`.
fn code<T>(result: Result<T, SendError>) -> String {
    result.map_or_else(|e| e.code().to_owned(), |_| "ok".into())
}

/// Sends the numbers below `count` with ballast; how that ended.
#[command]
fn count_to(count: u64, ballast: usize, numbers: Channel<(u64, String)>) -> String {
    code((0..count).try_for_each(|n| numbers.send(&(n, "x".repeat(ballast)))))
}

#[command(inline)]
fn count_to_inline(count: u64, ballast: usize, numbers: Channel<(u64, String)>) -> String {
    code((0..count).try_for_each(|n| numbers.send(&(n, "x".repeat(ballast)))))
}

#[command]
async fn count_to_async(count: u64, ballast: usize, numbers: Channel<(u64, String)>) -> String {
    for number in 0..count {
        if let Err(e) = numbers.send_async(&(number, "x".repeat(ballast))).await {
            return code::<()>(Err(e));
        }
    }
    code(Ok(()))
}

/// How many numbers came, and the fixed code of the error that was their end.
pub type Counted = (u64, Option<String>);

#[derive(Default)]
struct Count(Counted);

impl Count {
    /// Whether that is all.
    fn add(&mut self, number: Option<Result<(u64, String), tramline::RecvError>>) -> bool {
        match number {
            Some(Ok((number, _))) if number == self.0.0 => self.0.0 += 1,
            Some(Ok((number, _))) => self.0.1 = Some(format!("{number} behind {}", self.0.0)),
            Some(Err(e)) => self.0.1 = Some(e.code().to_owned()),
            None => return true,
        }
        false
    }
}

/// Reads numbers that must come in order.
#[command]
fn count_up(mut numbers: ChannelReader<(u64, String)>) -> Counted {
    let mut count = Count::default();
    while !count.add(numbers.recv()) {}
    count.0
}

#[command(inline)]
fn count_up_inline(mut numbers: ChannelReader<(u64, String)>) -> Counted {
    let mut count = Count::default();
    while !count.add(numbers.recv()) {}
    count.0
}

#[command]
async fn count_up_async(mut numbers: ChannelReader<(u64, String)>) -> Counted {
    let mut count = Count::default();
    while !count.add(numbers.recv_async().await) {}
    count.0
}

/// As `count_up`, but not before a gate is open.
#[command]
fn count_up_late(
    gate: String,
    mut numbers: ChannelReader<(u64, String)>,
    gates: State<'_, Arc<Gates>>,
) -> Counted {
    gates.enter(&gate);
    let mut count = Count::default();
    while !count.add(numbers.recv()) {}
    count.0
}

/// Sends what it reads.
#[command]
fn pass_on(from: ChannelReader<Value>, to: Channel<Value>) -> Result<u64, String> {
    let mut count = 0;
    for value in from {
        to.send(&value.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        count += 1;
    }
    Ok(count)
}

#[command]
async fn pass_on_async(mut from: ChannelReader<Value>, to: Channel<Value>) -> Result<u64, String> {
    let mut count = 0;
    while let Some(value) = from.recv_async().await {
        let value = value.map_err(|e| e.to_string())?;
        to.send_async(&value).await.map_err(|e| e.to_string())?;
        count += 1;
    }
    Ok(count)
}

/// Sends what it reads, as it came.
#[command]
fn pass_on_raw(mut from: ChannelReader<Raw>, to: Channel<Raw>) -> Result<(), String> {
    while let Some(message) = from.recv_message() {
        let message = message.map_err(|e| e.to_string())?;
        to.send_raw(message.into_bytes()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Sends messages of these lengths, the text's first half as a value and the other one as bytes.
#[command]
fn send_sizes(sizes: Vec<usize>, to: Channel<String>) -> Result<(), String> {
    for size in sizes {
        let sent = to.send(&"x".repeat(size)).and_then(|()| to.send_raw(vec![7; size]));
        sent.map_err(|e| e.to_string())?;
    }
    Ok(())
}

#[command]
fn send_sealed(len: usize, count: u8, to: Channel<SealedBlob>) -> Result<(), String> {
    for number in 0..count {
        let blob = SealedBlob::write_with(len, |bytes| bytes.fill(number));
        to.send(&blob.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Sends until it would have to wait; how many messages went.
#[command]
fn fill_channel(ballast: usize, to: Channel<(u64, String)>) -> Result<u64, String> {
    for number in 0.. {
        match to.try_send(&(number, "x".repeat(ballast))) {
            Ok(()) => {}
            Err(SendError::Full) => return Ok(number),
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(0)
}

/// Sends until that is an error; seen at gate `<gate> <code>` then.
#[command]
fn send_until_closed(gate: String, to: Channel<u64>, gates: State<'_, Arc<Gates>>) -> String {
    gates.pass(&gate);
    let ended = (0..).map(|number| code(to.send(&number))).find(|code| code != "ok");
    let ended = ended.unwrap_or_default();
    gates.pass(&format!("{gate} {ended}"));
    ended
}

#[command]
async fn send_until_closed_async(
    gate: String,
    to: Channel<u64>,
    gates: State<'_, Arc<Gates>>,
) -> String {
    let gates = Arc::clone(&gates);
    gates.pass(&gate);
    let mut number = 0;
    let ended = loop {
        match to.send_async(&number).await {
            Ok(()) => number += 1,
            Err(e) => break code::<()>(Err(e)),
        }
    };
    gates.pass(&format!("{gate} {ended}"));
    ended
}

/// Says at gate `<gate> <code>` when the reader is gone.
#[command]
async fn wait_until_closed(gate: String, to: Channel<u64>, gates: State<'_, Arc<Gates>>) {
    let gates = Arc::clone(&gates);
    gates.pass(&gate);
    to.closed().await;
    gates.pass(&format!("{gate} {}", code(to.try_send(&1))));
}

/// Reads until the end; seen at gate `<gate> <code>` then.
#[command]
fn read_until_over(gate: String, from: ChannelReader<Value>, gates: State<'_, Arc<Gates>>) {
    gates.pass(&gate);
    let last = from.into_iter().find_map(Result::err);
    gates.pass(&format!("{gate} {}", last.as_ref().map_or("ok", tramline::RecvError::code)));
}

#[command]
async fn read_until_over_async(
    gate: String,
    mut from: ChannelReader<Value>,
    gates: State<'_, Arc<Gates>>,
) {
    let gates = Arc::clone(&gates);
    gates.pass(&gate);
    let last = loop {
        match from.recv_async().await {
            Some(Ok(_)) => {}
            Some(Err(e)) => break e.code().to_owned(),
            None => break "ok".into(),
        }
    };
    gates.pass(&format!("{gate} {last}"));
}

/// Reads so many messages and leaves.
#[command]
fn read_some(count: usize, from: ChannelReader<Value>) -> usize {
    from.into_iter().take(count).count()
}

/// One number, then an error.
#[command]
fn fail_channel(to: Channel<u64>) -> Result<(), String> {
    let failure = Failure { kind: "not-found".into(), path: None, tried: vec![1, 2] };
    to.send(&1).and_then(|()| to.fail(&failure)).map_err(|e| e.to_string())
}

#[command]
fn panic_channel(to: Channel<u64>) -> Result<(), String> {
    to.send(&1).map_err(|e| e.to_string())?;
    panic!("{ON_PURPOSE}");
}

#[command]
async fn panic_channel_async(to: Channel<u64>) -> Result<(), String> {
    to.send_async(&1).await.map_err(|e| e.to_string())?;
    panic!("{ON_PURPOSE}");
}

#[command]
fn panic_reader(mut from: ChannelReader<Value>) {
    assert!(from.recv().is_none(), "{ON_PURPOSE}");
}

/// Answers at once, and sends when a gate is opened.
#[command]
fn send_after_answer(gate: String, to: Channel<u64>, gates: State<'_, Arc<Gates>>) {
    let gates = Arc::clone(&gates);
    thread::spawn(move || {
        gates.enter(&gate);
        let _ = (0..10).try_for_each(|number| to.send(&number));
    });
}

/// Sends whether its caller has given it up, once it knows.
#[command]
fn tell_cancelled(
    gate: String,
    token: CancelToken,
    to: Channel<bool>,
    gates: State<'_, Arc<Gates>>,
) {
    gates.pass(&gate);
    let _ = to.send(&token.wait_timeout(PATIENCE));
}

#[command]
async fn tell_cancelled_async(
    gate: String,
    token: CancelToken,
    to: Channel<bool>,
    gates: State<'_, Arc<Gates>>,
) {
    let gates = Arc::clone(&gates);
    gates.pass(&gate);
    token.cancelled().await;
    let _ = to.send_async(&true).await;
}

#[command]
fn denied_channel(to: Channel<u64>) {
    drop(to);
}

/// Adds what test clients may call.
#[must_use]
pub fn capabilities(allowed: Capabilities) -> Capabilities {
    let names = [
        "count_to",
        "count_to_inline",
        "count_to_async",
        "count_up",
        "count_up_inline",
        "count_up_async",
        "count_up_late",
        "pass_on",
        "pass_on_async",
        "pass_on_raw",
        "send_sizes",
        "send_sealed",
        "fill_channel",
        "send_until_closed",
        "send_until_closed_async",
        "wait_until_closed",
        "read_until_over",
        "read_until_over_async",
        "read_some",
        "fail_channel",
        "panic_channel",
        "panic_channel_async",
        "panic_reader",
        "send_after_answer",
        "tell_cancelled",
        "tell_cancelled_async",
    ];
    let allowed = names.iter().fold(allowed, |allowed, name| allowed.command(name));
    matrix::capabilities(stress::capabilities(allowed))
}

/// Adds the commands.
#[must_use]
pub fn serve(server: Server) -> Server {
    let server = server.commands(commands![
        count_to,
        count_to_inline,
        count_to_async,
        count_up,
        count_up_inline,
        count_up_async,
        count_up_late,
        pass_on,
        pass_on_async,
        pass_on_raw,
        send_sizes,
        send_sealed,
        fill_channel,
        send_until_closed,
        send_until_closed_async,
        wait_until_closed,
        read_until_over,
        read_until_over_async,
        read_some,
        fail_channel,
        panic_channel,
        panic_channel_async,
        panic_reader,
        send_after_answer,
        tell_cancelled,
        tell_cancelled_async,
        denied_channel,
    ]);
    matrix::serve(stress::serve(server))
}
