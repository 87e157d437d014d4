//! Commands that run until nobody wants their answer any more, and a caller of theirs: the columns of the
//! suites' matrix of cancel, deadline and disconnect.
//!
//! Each is seen at its gate when it begins, and at `<gate> told` when it knows.

use std::sync::Arc;
use std::thread;

use tramline::{
    CancelToken, Capabilities, Channel, ChannelReader, Client, Server, State, command, commands,
    json,
};

use crate::PATIENCE;
use crate::gate::Gates;

/// The column of sync commands.
pub const SYNC: &str = "stay";
/// The column of async commands.
pub const ASYNC: &str = "stay_async";
/// The column of commands with a channel in each direction.
pub const CHANNELS: &str = "stay_with_channels";

/// Blocks its thread until its token says that it may go.
#[command]
fn stay(gate: &str, token: CancelToken, gates: State<'_, Arc<Gates>>) -> bool {
    gates.pass(gate);
    let told = token.wait_timeout(PATIENCE);
    if told {
        gates.pass(&format!("{gate} told"));
    }
    told
}

/// What an async command holds while it waits.
struct Held {
    gates: Arc<Gates>,
    gate: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gates.pass(&format!("{} told", self.gate));
    }
}

/// Waits for something that never comes: only dropping that future lets go of what it holds.
#[command]
async fn stay_async(gate: String, token: CancelToken, gates: State<'_, Arc<Gates>>) -> bool {
    let gates = Arc::clone(&gates);
    gates.pass(&gate);
    let held = Held { gates, gate };
    let never = async move {
        std::future::pending::<()>().await;
        drop(held);
    };
    token.run(never).await.is_none()
}

/// Sends 0, waits until it is told, reads until the end, and sends how much it has read. How its two
/// channels have ended is seen at `<gate> reads <code>` and `<gate> sends <code>`.
#[command]
fn stay_with_channels(
    gate: &str,
    mut from: ChannelReader<u64>,
    to: Channel<u64>,
    token: CancelToken,
    gates: State<'_, Arc<Gates>>,
) -> bool {
    let begun = to.send(&0);
    gates.pass(gate);
    let told = begun.is_ok() && token.wait_timeout(PATIENCE);
    if told {
        gates.pass(&format!("{gate} told"));
    }
    let mut read = 0;
    let end = loop {
        match from.recv() {
            Some(Ok(_)) => read += 1,
            Some(Err(e)) => break e.code().to_owned(),
            None => break "ok".to_owned(),
        }
    };
    gates.pass(&format!("{gate} reads {end}"));
    let sent = to.send(&read);
    gates.pass(&format!("{gate} sends {}", sent.err().map_or("ok", |e| e.code())));
    told
}

/// How many have entered a gate: so a command that ran twice is found.
#[command(inline)]
fn entered(gate: &str, gates: State<'_, Arc<Gates>>) -> u64 {
    gates.entered(gate)
}

/// Calls a column's command and waits for as long as the link lives, with channels at work if it has any:
/// somebody who is going to be gone.
pub fn stay_until_gone(client: &Client, column: &str, gate: &str) {
    let mut args = json!({ "gate": gate });
    thread::scope(|scope| {
        if column == CHANNELS {
            let (from, sender) = client.channel_to::<u64>();
            let (to, reader) = client.channel::<u64>();
            args = json!({ "gate": gate, "from": from, "to": to });
            scope.spawn(move || {
                // Held until the link is over, and so until nobody reads it any more.
                let _ = sender.send(&1);
                reader.into_iter().last();
                drop(sender);
            });
        }
        let ended = client.invoke::<bool, _>(column, &args).wait();
        assert!(ended.is_err(), "{column} has answered {ended:?}");
    });
}

/// Adds what test clients may call.
#[must_use]
pub fn capabilities(allowed: Capabilities) -> Capabilities {
    allowed.commands([SYNC, ASYNC, CHANNELS, "entered"])
}

/// Adds the commands.
#[must_use]
pub fn serve(server: Server) -> Server {
    server.commands(commands![stay, stay_async, stay_with_channels, entered])
}
